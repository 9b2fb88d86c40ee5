//! Other customers' tickets: of the same site, which no setting of a tenant keeps apart, only the token does.

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;
use vicket::domain::keys::TicketToken;

use super::{Populated, attempt, begin_as, populated, raw, refused, run, value};

/// The values of one column, in order.
async fn column<T>(connection: &mut PgConnection, sql: &str) -> Vec<T>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.expect(sql)
}

async fn visible_tickets(connection: &mut PgConnection) -> Vec<Uuid> {
    column(connection, "select id from vicket.tickets").await
}

async fn tickets_of_visible_messages(connection: &mut PgConnection) -> Vec<Uuid> {
    column(connection, "select ticket_id from vicket.ticket_messages").await
}

#[tokio::test]
async fn without_a_token_no_ticket_and_no_message_is_visible() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    let stranger = TicketToken::mint();
    for (what, token) in
        [("no token", None), ("an unknown token", Some(&stranger)), ("a token of site b", Some(&tickets[1].my_token))]
    {
        begin_as(&mut connection, &world.site_a.key, token).await;
        assert_eq!(visible_tickets(&mut connection).await, Vec::<Uuid>::new(), "{what}");
        assert_eq!(tickets_of_visible_messages(&mut connection).await, Vec::<Uuid>::new(), "{what}");
        raw(&mut connection, "rollback").await;
    }
    begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
    assert_eq!(visible_tickets(&mut connection).await, [tickets[0].mine]);
}

#[tokio::test]
async fn a_token_opens_its_own_ticket_and_no_other_of_the_same_site() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    for (site, of) in [&world.site_a, &world.site_b, &world.site_c].into_iter().zip(&tickets) {
        for (token, ticket) in [(&of.my_token, of.mine), (&of.other_token, of.other)] {
            begin_as(&mut connection, &site.key, Some(token)).await;
            assert_eq!(visible_tickets(&mut connection).await, [ticket], "{}", site.slug);
            assert_eq!(tickets_of_visible_messages(&mut connection).await, [ticket], "{}", site.slug);
            raw(&mut connection, "rollback").await;
        }
    }
}

#[tokio::test]
async fn an_internal_note_is_never_visible_to_the_holder_of_the_ticket() {
    let Populated { world, tickets } = populated().await;
    let notes: i64 = world
        .look(&format!(
            "select count(*) from vicket.ticket_messages where internal and ticket_id = '{}'",
            tickets[0].mine
        ))
        .await;
    assert_eq!(notes, 1, "there is no note to be hidden");
    let mut connection = world.gate().await;
    begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
    let bodies: Vec<String> = column(&mut connection, "select body from vicket.ticket_messages").await;
    assert_eq!(bodies, ["We look into it."]);
    for sql in [
        "select internal from vicket.ticket_messages",
        "select body from vicket.ticket_messages where internal",
        "select email from vicket.tickets",
        "select token_hash from vicket.ticket_tokens",
        "select key_hash from vicket.submissions",
    ] {
        assert_eq!(attempt(&mut connection, sql).await, refused("42501"), "{sql}");
    }
}

fn issue(ticket: Uuid) -> String {
    format!(
        "insert into vicket.ticket_tokens (ticket_id, token_hash) values ('{ticket}', sha256('{}'))",
        Uuid::new_v4()
    )
}

#[tokio::test]
async fn nobody_issues_himself_a_token_for_a_ticket_that_is_there() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    for token in [None, Some(&tickets[0].my_token)] {
        begin_as(&mut connection, &world.site_a.key, token).await;
        for ticket in [tickets[0].mine, tickets[0].other] {
            assert_eq!(attempt(&mut connection, &issue(ticket)).await, refused("42501"));
        }
        raw(&mut connection, "rollback").await;
    }
}

#[tokio::test]
async fn a_claim_names_a_ticket_that_nobody_has_and_opens_no_other() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    let claim =
        "select verdict || ' ' || ticket_id from ctx.claim_submission('ticket', sha256('key'), sha256('request'))";
    begin_as(&mut connection, &world.site_a.key, None).await;
    let new: String = value(&mut connection, claim).await.expect("claimed");
    let claimed: Uuid = new.strip_prefix("new ").and_then(|id| id.parse().ok()).expect("a new ticket's id");
    let there: Vec<Uuid> = world.look("select array_agg(id) from vicket.tickets").await;
    assert!(there.len() >= 6 && !there.contains(&claimed));
    // From here on this transaction may issue further tokens of what it claimed, and of nothing else.
    assert_eq!(value(&mut connection, claim).await, Ok(format!("repeat {claimed}")));
    assert_eq!(attempt(&mut connection, &issue(claimed)).await, Ok(1));
    for ticket in [tickets[0].mine, tickets[0].other] {
        assert_eq!(attempt(&mut connection, &issue(ticket)).await, refused("42501"));
    }
}

#[tokio::test]
async fn whether_another_site_has_a_ticket_is_told_by_no_context() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    begin_as(&mut connection, &world.site_a.key, None).await;
    let may = |ticket: Uuid| format!("select ctx.may_issue_token('{ticket}')");
    for (site, ticket) in [(&world.site_b, tickets[1].mine), (&world.site_c, tickets[2].mine)] {
        let (org, id) = (site.org_id, site.id);
        raw(&mut connection, &format!("set local app.org_id = '{org}'; set local app.site_id = '{id}'")).await;
        for ticket in [ticket, Uuid::new_v4()] {
            assert_eq!(value(&mut connection, &may(ticket)).await, Ok(true), "{}", site.slug);
        }
        // Whatever the context says it is asked of the key's own site.
        assert_eq!(value(&mut connection, &may(tickets[0].mine)).await, Ok(false), "{}", site.slug);
    }
}

#[tokio::test]
async fn a_token_for_a_new_ticket_is_issued_and_stays_only_when_the_ticket_follows() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    // To this site a ticket of another is as new as one that nobody has.
    for (what, ticket) in
        [("of nobody", Uuid::new_v4()), ("of the other site", tickets[1].mine), ("of the other org", tickets[2].mine)]
    {
        begin_as(&mut connection, &world.site_a.key, None).await;
        assert_eq!(run(&mut connection, &issue(ticket)).await, Ok(1), "{what}");
        assert_eq!(run(&mut connection, "commit").await, refused("23503"), "{what}");
    }
    let (ticket, token) = (Uuid::new_v4(), TicketToken::mint());
    begin_as(&mut connection, &world.site_a.key, Some(&token)).await;
    for sql in [
        format!(
            "insert into vicket.ticket_tokens (ticket_id, token_hash) values ('{ticket}', '\\x{}')",
            token.digest().to_hex()
        ),
        format!("insert into vicket.tickets (id, email, subject) values ('{ticket}', 'bob@example.com', 'Hello')"),
        format!("insert into vicket.ticket_messages (ticket_id, body) values ('{ticket}', 'Hello.')"),
    ] {
        assert_eq!(run(&mut connection, &sql).await, Ok(1), "{sql}");
    }
    assert_eq!(run(&mut connection, "commit").await, Ok(0));
    begin_as(&mut connection, &world.site_a.key, Some(&token)).await;
    assert_eq!(visible_tickets(&mut connection).await, [ticket]);
}

#[tokio::test]
async fn a_message_is_written_to_the_ticket_of_the_token_and_to_no_other() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    let write =
        |ticket: Uuid| format!("insert into vicket.ticket_messages (ticket_id, body) values ('{ticket}', 'Me too.')");
    begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
    for ticket in [tickets[0].other, tickets[1].mine, tickets[2].mine, Uuid::new_v4()] {
        assert_eq!(attempt(&mut connection, &write(ticket)).await, refused("42501"));
    }
    assert_eq!(attempt(&mut connection, &write(tickets[0].mine)).await, Ok(1));
    raw(&mut connection, "rollback").await;
    begin_as(&mut connection, &world.site_a.key, None).await;
    assert_eq!(attempt(&mut connection, &write(tickets[0].mine)).await, refused("42501"), "without a token");
}

#[tokio::test]
async fn the_statement_that_issues_a_token_writes_to_its_ticket_and_to_no_other() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    let (ticket, token) = (Uuid::new_v4(), TicketToken::mint());
    let issue = |token: &TicketToken| {
        let digest = token.digest().to_hex();
        format!(
            "with token as (
               insert into vicket.ticket_tokens (ticket_id, token_hash) values ('{ticket}', '\\x{digest}') returning true
             ) "
        )
    };
    let write =
        |to: Uuid| format!("insert into vicket.ticket_messages (ticket_id, body) select '{to}', 'Hi.' from token");
    let submit = |id: Uuid| {
        format!(
            "insert into vicket.tickets (id, email, subject) select '{id}', 'eve@example.com', 'Hello' from token returning id"
        )
    };
    begin_as(&mut connection, &world.site_a.key, Some(&token)).await;
    for (what, to) in [("of another customer", tickets[0].other), ("of another site", tickets[1].mine)] {
        assert_eq!(attempt(&mut connection, &(issue(&token) + &write(to))).await, refused("42501"), "{what}");
        assert_eq!(attempt(&mut connection, &(issue(&token) + &submit(to))).await, refused("42501"), "{what}");
    }
    // A token that is issued opens nothing unless it is the one that the transaction was entered with.
    let stranger = TicketToken::mint();
    assert_eq!(attempt(&mut connection, &(issue(&stranger) + &write(ticket))).await, refused("42501"));
    assert_eq!(attempt(&mut connection, &(issue(&stranger) + &submit(ticket))).await, refused("42501"));
    let both = issue(&token) + ", message as (" + &write(ticket) + ") " + &submit(ticket);
    assert_eq!(run(&mut connection, &both).await, Ok(1));
    assert_eq!(run(&mut connection, "commit").await, Ok(0));
}

#[tokio::test]
async fn what_an_agent_decides_cannot_be_bound_by_a_customer() {
    let Populated { world, tickets } = populated().await;
    let mine = tickets[0].mine;
    let mut connection = world.gate().await;
    begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
    let message = |columns: &str, values: &str| {
        format!("insert into vicket.ticket_messages (ticket_id, body{columns}) values ('{mine}', 'Hello.'{values})")
    };
    let ticket = |columns: &str, values: &str| {
        format!("insert into vicket.tickets (email, subject{columns}) values ('eve@example.com', 'Hello'{values})")
    };
    // The values are those that the defaults would give, so that it is the column that is refused.
    let (org, site) = (format!(", '{}'", world.site_a.org_id), format!(", '{}'", world.site_a.id));
    for (column, value) in [
        (", author", ", 'customer'"),
        (", internal", ", false"),
        (", created_at", ", now()"),
        (", org_id", org.as_str()),
        (", site_id", site.as_str()),
    ] {
        assert_eq!(attempt(&mut connection, &message(column, value)).await, refused("42501"), "message{column}");
    }
    for (column, value) in [
        (", number", ", 3"),
        (", message_count", ", 0"),
        (", message_bytes", ", 0"),
        (", status", ", 'open'"),
        (", created_at", ", now()"),
        (", updated_at", ", now()"),
        (", org_id", org.as_str()),
        (", site_id", site.as_str()),
    ] {
        assert_eq!(attempt(&mut connection, &ticket(column, value)).await, refused("42501"), "ticket{column}");
    }
    assert_eq!(attempt(&mut connection, &message(", author_name", ", 'Ada'")).await, Ok(1));
    assert_eq!(attempt(&mut connection, &ticket(", name", ", 'Ada'")).await, Ok(1));
    raw(&mut connection, &message("", "")).await;
    let author: Vec<String> =
        column(&mut connection, "select author from vicket.ticket_messages where body = 'Hello.'").await;
    assert_eq!(author, ["customer"]);
}

#[tokio::test]
async fn a_customer_changes_and_deletes_nothing_not_even_his_own() {
    let Populated { world, tickets } = populated().await;
    let mut connection = world.gate().await;
    begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
    for sql in [
        "update vicket.tickets set status = 'closed'",
        "update vicket.tickets set subject = 'Hello'",
        "update vicket.tickets set message_count = 0",
        "update vicket.tickets set message_bytes = 0",
        "update vicket.ticket_messages set body = 'Hello.'",
        "update vicket.ticket_messages set internal = true",
        "update vicket.ticket_tokens set token_hash = sha256('mine')",
        "delete from vicket.tickets",
        "delete from vicket.ticket_messages",
        "delete from vicket.ticket_tokens",
        "delete from vicket.submissions",
    ] {
        assert_eq!(attempt(&mut connection, sql).await, refused("42501"), "{sql}");
    }
    // It is the statement that is refused: the ticket is his to read and to answer.
    assert_eq!(value::<Uuid>(&mut connection, "select id from vicket.tickets").await, Ok(tickets[0].mine));
}
