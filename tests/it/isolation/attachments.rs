//! Files of tickets, tried with SQL of one's own: other customers', those of notes, and objects of somebody else.

use vicket::domain::keys::{Sha256Digest, TicketToken};

use super::{Populated, attempt, begin_as, populated, raw, refused, run, value};
use crate::harness::{World, connect};

const SEEN: &str = "select count(*) from vicket.attachments";
const NEW: &str = "insert into vicket.attachments (ticket_id, message_id, upload_id, name, content_type, size, ";

#[tokio::test]
async fn a_token_shows_the_files_of_its_tickets_public_messages_only() {
    let Populated { world, tickets } = populated().await;
    assert_eq!(world.look::<i64>(SEEN).await, 12, "two tickets a site, each with a file on an answer and on a note");
    let mut connection = world.gate().await;
    let stranger = TicketToken::mint();
    for (token, seen) in
        [(Some(&tickets[0].my_token), 1), (None, 0), (Some(&stranger), 0), (Some(&tickets[1].my_token), 0)]
    {
        begin_as(&mut connection, &world.site_a.key, token).await;
        assert_eq!(value::<i64>(&mut connection, SEEN).await, Ok(seen));
        let of_notes = "select count(*) from vicket.attachments a
            where a.message_id not in (select m.id from vicket.ticket_messages m)";
        assert_eq!(value::<i64>(&mut connection, of_notes).await, Ok(0));
        raw(&mut connection, "rollback").await;
    }
    // A context that was moved to another site does not move the key.
    begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
    let (org, site) = (world.site_c.org_id, world.site_c.id);
    let token = tickets[2].my_token.digest().to_hex();
    raw(
        &mut connection,
        &format!(
            "set local app.org_id = '{org}'; set local app.site_id = '{site}'; set local app.ticket_hash = '{token}'"
        ),
    )
    .await;
    assert_eq!(value::<i64>(&mut connection, SEEN).await, Ok(0));
}

#[tokio::test]
async fn files_are_added_to_a_customers_own_recent_message_and_to_nothing_else() {
    let Populated { world, tickets } = populated().await;
    let (mine, other) = (tickets[0].mine, tickets[0].other);
    for ticket in [mine, other] {
        world
            .arrange(&format!(
                "insert into vicket.ticket_messages (org_id, site_id, ticket_id, body)
                select org_id, site_id, id, 'recent' from vicket.tickets where id = '{ticket}';
                insert into vicket.ticket_messages (org_id, site_id, ticket_id, body, created_at)
                select org_id, site_id, id, 'old', now() - interval '2 hours' from vicket.tickets where id = '{ticket}'"
            ))
            .await;
    }
    let message = async |ticket, condition: &str| {
        let sql = format!("select id::text from vicket.ticket_messages where ticket_id = '{ticket}' and {condition}");
        world.look::<String>(&sql).await
    };
    let recent = message(mine, "body = 'recent'").await;
    let (old, note) = (message(mine, "body = 'old'").await, message(mine, "internal").await);
    let (answer, others) =
        (message(mine, "author = 'agent' and not internal").await, message(other, "body = 'recent'").await);

    let mut connection = world.gate().await;
    begin_as(&mut connection, &world.site_a.key, Some(&tickets[0].my_token)).await;
    let add = |ticket, message: &str| {
        format!("{NEW} content) values ('{ticket}', '{message}', gen_random_uuid(), 'a', 'text/plain', 1, 'x')")
    };
    assert_eq!(attempt(&mut connection, &add(mine, &recent)).await, Ok(1));
    for (ticket, message) in [(mine, &old), (mine, &note), (mine, &answer), (other, &others), (mine, &others)] {
        assert_eq!(attempt(&mut connection, &add(ticket, message)).await, refused("42501"), "{message}");
    }
    // What a browser would run is no type that a row may have, and a name is no path.
    let page = add(mine, &recent).replace("text/plain", "text/html");
    assert_eq!(attempt(&mut connection, &page).await, refused("23514"));
    let path = add(mine, &recent).replace("'a', 'text", "'../a', 'text");
    assert_eq!(attempt(&mut connection, &path).await, refused("23514"));
    for sql in ["update vicket.attachments set name = 'b'", "delete from vicket.attachments"] {
        assert_eq!(attempt(&mut connection, sql).await, refused("42501"));
    }
}

#[tokio::test]
async fn a_row_cannot_claim_the_object_of_another() {
    let Populated { world, tickets } = populated().await;
    let (mine, site) = (tickets[0].mine, &world.site_a);
    world
        .arrange(&format!(
            "insert into vicket.ticket_messages (org_id, site_id, ticket_id, body)
            select org_id, site_id, id, 'recent' from vicket.tickets where id = '{mine}'"
        ))
        .await;
    let message: String = world.look("select id::text from vicket.ticket_messages where body = 'recent'").await;
    let rival = format!("{}/{}/secret", world.site_c.org_id, world.site_c.id);
    let guessed = format!("{}/{}/secret", site.org_id, site.id);

    let mut connection = world.gate().await;
    begin_as(&mut connection, &site.key, Some(&tickets[0].my_token)).await;
    let claim = |key: &str| {
        format!("{NEW} object_key) values ('{mine}', '{message}', gen_random_uuid(), 'a', 'text/plain', 1, '{key}')")
    };
    assert_eq!(attempt(&mut connection, &claim(&rival)).await, refused("23514"));
    assert_eq!(attempt(&mut connection, &claim(&guessed)).await, refused("23514"), "it was never reserved");
    // A key is of the publishable key's own site, whatever is asked for, and serves once.
    let reserve = |key: &str| format!("insert into vicket.object_removals (object_key) values ('{key}')");
    assert_eq!(attempt(&mut connection, &reserve(&rival)).await, refused("23514"));
    let bound =
        format!("insert into vicket.object_removals (site_id, object_key) values ('{}', '{rival}')", world.site_c.id);
    assert_eq!(attempt(&mut connection, &bound).await, refused("42501"));
    let reserved = format!("{}/{}/mine", site.org_id, site.id);
    assert_eq!(run(&mut connection, &reserve(&reserved)).await, Ok(1));
    assert_eq!(run(&mut connection, &claim(&reserved)).await, Ok(1));
    assert_eq!(attempt(&mut connection, &claim(&reserved)).await, refused("23505"));
    assert_eq!(attempt(&mut connection, "select * from vicket.object_removals").await, refused("42501"));
    // Who holds no ticket reserves nothing.
    raw(&mut connection, "rollback").await;
    begin_as(&mut connection, &site.key, None).await;
    assert_eq!(attempt(&mut connection, &reserve(&reserved)).await, refused("42501"));
}

#[tokio::test]
async fn an_objects_name_is_reserved_in_the_own_tenant_by_who_may_write_there() {
    let world = World::new().await;
    let (own, other) = (&world.site_a, &world.site_c);
    let moved = format!("set local app.org_id = '{}'; set local app.site_id = '{}'", other.org_id, other.id);
    let theirs = format!("{}/{}/x", other.org_id, other.id);
    let mut connection = world.gate().await;
    raw(&mut connection, &format!("begin; set local role vicket_widget; {moved}")).await;
    let reserve = format!("insert into vicket.object_removals (object_key) values ('{theirs}')");
    assert_eq!(attempt(&mut connection, &reserve).await, refused("42501"), "without a key");

    let mut connection = connect(&world.url("vicket_gate_agent")).await;
    for (role, may) in [("viewer", refused("42501")), ("agent", Ok(1))] {
        let person = world.person("acme", role).await;
        let (session, org) = (person.session.to_hex(), Sha256Digest::of(b"acme").to_hex());
        raw(&mut connection, &format!("begin; select auth.enter_org('\\x{session}', '', '\\x{org}', '')")).await;
        let reserve = |site, key: &str| {
            format!("insert into vicket.object_removals (site_id, object_key) values ('{site}', '{key}')")
        };
        let mine = reserve(own.id, &format!("{}/{}/x", own.org_id, own.id));
        assert_eq!(attempt(&mut connection, &mine).await, may, "{role}");
        raw(&mut connection, &moved).await;
        assert_eq!(attempt(&mut connection, &reserve(other.id, &theirs)).await, refused("42501"), "{role}, elsewhere");
        raw(&mut connection, "rollback").await;
    }
}
