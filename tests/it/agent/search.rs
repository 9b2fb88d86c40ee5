//! Searches of the inbox: what words mean, who finds what, and words that very many have.

use serde_json::json;
use uuid::Uuid;
use vicket::{
    db::{Access, AgentEntryRequest, AgentVerdict, Credential},
    domain::keys::Sha256Digest,
};

use super::{People, tickets::submit};
use crate::harness::{Options, Person, Running, World};

const TICKETS: &str = "/v1/orgs/acme/tickets";

async fn found(server: &Running, person: &Person, query: &[(&str, &str)]) -> Vec<String> {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let page = server.get_as(person, &format!("{TICKETS}?{query}")).await.ok(200).json();
    let rows = page["data"].as_array().expect("a list").iter();
    rows.map(|row| row["subject"].as_str().expect("a subject").to_owned()).collect()
}

#[tokio::test]
async fn words_may_lack_their_end_stand_in_any_place_and_be_left_out() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    for (subject, message) in [
        ("Export", "The exporter stops at page 3. It's odd."),
        ("Import", "The CSV file of 2026 has a header row."),
        ("Invoice", "Where is the row of my invoice from 20267?"),
        ("Rechnung", "Wo ist die Straße der Übersicht?"),
    ] {
        let body = json!({ "email": "jane@acme.example", "subject": subject, "message": message });
        server.post(&world.site_a.key, "/support/v1/tickets", &body).await.ok(201);
    }
    let q = async |text: &str| found(&server, &people.viewer, &[("q", text)]).await;
    for (text, subjects) in [
        ("expor", &["Export"][..]),
        ("stops exp", &["Export"]),
        ("exp stops", &[]),
        ("EXPORTER", &["Export"]),
        ("header row", &["Import"]),
        ("row header", &["Import"]),
        ("\"header row\"", &["Import"]),
        ("\"row header\"", &[]),
        ("\"expor\"", &[]),
        ("\"header ro", &["Import"]),
        ("row -header", &["Invoice"]),
        ("row -\"header row\"", &["Invoice"]),
        ("row -\"row header\"", &["Invoice", "Import"]),
        ("exporter or header", &["Import", "Export"]),
        ("-row", &["Rechnung", "Invoice", "Import", "Export"]),
        ("row -head", &["Invoice", "Import"]),
        ("2026", &["Import"]),
        ("it's", &["Export"]),
        ("stra", &["Rechnung"]),
        ("übers", &["Rechnung"]),
        ("jane@acme.example", &["Rechnung", "Invoice", "Import", "Export"]),
        ("zeppelin", &[]),
        ("' & | ! <-> \\ :*", &[]),
    ] {
        assert_eq!(q(text).await, subjects, "{text:?}");
    }
    // Words that no index would hold whole.
    let long = "y".repeat(2040);
    let body =
        json!({ "email": "jane@acme.example", "subject": "Long", "message": format!("{long} {}", "ü".repeat(1020)) });
    server.post(&world.site_a.key, "/support/v1/tickets", &body).await.ok(201);
    assert_eq!(q(&"y".repeat(190)).await, ["Long"]);
}

/// 2,500 tickets of five messages each, whose first words are the same; the oldest 200 ask about a lamp.
async fn many(world: &World) {
    world
        .arrange(
            "insert into vicket.tickets (org_id, site_id, number, email, subject, status_id, priority_id, created_at)
             select s.org_id, s.id, n, 'jane@acme.example', 'Lot ' || n, t.id, p.id, now() - n * interval '1 minute'
             from vicket.sites s
             join vicket.statuses t on t.org_id = s.org_id and t.is_default
             join vicket.priorities p on p.org_id = s.org_id and p.is_default
             cross join generate_series(1, 2500) n
             where s.slug = 'site-a';
             insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, body)
             select t.org_id, t.site_id, t.id, 'customer', 'common word' || case when number > 2300 then ' lamp' else '' end
             from vicket.tickets t cross join generate_series(1, 5) n;
             update vicket.tickets set last_activity_at = created_at",
        )
        .await;
}

#[tokio::test]
async fn a_word_that_very_many_have_is_found_among_the_newest_and_else_among_all() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    many(&world).await;
    let few: Option<Vec<Uuid>> = {
        let gate = world.agent_gate();
        let mut tx = world.agent(&gate, &people.owner, "acme").await;
        let query = sqlx::query_scalar("select ctx.tickets_with_words('common', 2000)");
        query.fetch_one(tx.connection()).await.expect("granted")
    };
    assert_eq!(few, None, "more than the server lets the index list");
    let newest: Vec<String> = (1..=3).map(|n| format!("Lot {n}")).collect();
    assert_eq!(found(&server, &people.viewer, &[("q", "common"), ("limit", "3")]).await, newest);
    // Pages go on, beyond those among which was looked first.
    let mut query = vec![("q".to_owned(), "common".to_owned()), ("limit".to_owned(), "100".to_owned())];
    let mut seen = Vec::new();
    loop {
        let pairs: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
        let page = server.get_as(&people.viewer, &format!("{TICKETS}?{pairs}")).await.ok(200).json();
        let rows = page["data"].as_array().expect("a list");
        seen.extend(rows.iter().map(|row| row["number"].as_i64().expect("a number")));
        let Some(next) = page["next_cursor"].as_str() else { break };
        query.truncate(2);
        query.push(("cursor".to_owned(), next.to_owned()));
    }
    assert_eq!(seen, (1..=2500).collect::<Vec<_>>());
    // Too common for the index to list, and where they are the newest have none.
    world
        .arrange(
            "update vicket.tickets set last_activity_at = last_activity_at - interval '1 year' where number <= 2100",
        )
        .await;
    world
        .arrange(
            "update vicket.tickets set status_id = s.id, status = 'resolved' from vicket.statuses s
                   where s.org_id = tickets.org_id and s.name = 'Resolved' and tickets.number = 2100",
        )
        .await;
    let resolved = [("q", "common"), ("status", "resolved")];
    assert_eq!(found(&server, &people.viewer, &resolved).await, ["Lot 2100"]);
    assert_eq!(found(&server, &people.viewer, &[("q", "common -lamp"), ("limit", "1")]).await, ["Lot 2101"]);
    assert_eq!(found(&server, &people.viewer, &[("q", "common -word")]).await, [""; 0]);
    assert_eq!(found(&server, &people.viewer, &[("q", "lamp"), ("limit", "2")]).await, ["Lot 2301", "Lot 2302"]);
}

/// What `who` is told by the function that looks below the policies.
async fn told(world: &World, who: &Person, org: &str, words: &str) -> usize {
    let gate = world.agent_gate();
    let mut tx = world.agent(&gate, who, org).await;
    let query = sqlx::query_scalar("select coalesce(cardinality(ctx.tickets_with_words($1, 100)), -1)").bind(words);
    let count: i32 = query.fetch_one(tx.connection()).await.expect("granted");
    usize::try_from(count).expect("few")
}

#[tokio::test]
async fn a_search_tells_of_no_other_org_no_site_of_other_teams_and_nothing_that_one_may_not_read() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    for (site, subject) in [(&world.site_a, "Quokka A"), (&world.site_b, "Quokka B"), (&world.site_c, "Quokka C")] {
        let (id, _) = submit(&server, site, subject).await;
        world.converse(&id, 1, "'the wombat sleeps'").await;
    }
    // A tenant whose words have the same mark as those of acme.
    world
        .arrange(
            "set session_replication_role = replica;
             insert into vicket.tickets (org_id, site_id, number, email, subject, status_id, priority_id)
             select (left(t.org_id::text, 8) || '-0000-4000-8000-000000000000')::uuid, t.site_id, 77, t.email, t.subject,
               t.status_id, t.priority_id
             from vicket.tickets t where t.subject = 'Quokka A';
             insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, body)
             select t.org_id, t.site_id, t.id, 'customer', 'the wombat sleeps' from vicket.tickets t where t.number = 77;
             reset session_replication_role",
        )
        .await;
    for (who, org, tickets) in [(&people.viewer, "acme", 2), (&people.agent, "acme", 2), (&people.rival, "globex", 1)] {
        for word in ["quokka", "wombat", "quok"] {
            assert_eq!(told(&world, who, org, word).await, tickets, "{} {word}", who.email);
        }
    }
    // Within one's teams.
    let team = json!({ "name": "A", "members": [people.agent.id], "sites": ["site-a"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    for word in ["quokka", "wombat"] {
        assert_eq!(told(&world, &people.agent, "acme", word).await, 1, "{word}");
        assert_eq!(found(&server, &people.agent, &[("q", word)]).await, ["Quokka A"]);
    }
    // Who may assign tickets sees them, and not what was said in them.
    for (permission, counts) in [("ticket:assign", [2, 0]), ("ticket:read", [2, 2]), ("article:read", [0, 0])] {
        let (_, key) = server.machine_key(&people.owner, &[permission]).await;
        let gate = world.agent_gate();
        let entry_request = AgentEntryRequest {
            access: Access::Read,
            credential: Credential::MachineKey(Sha256Digest::of(key.as_bytes())),
            org: None,
            request_id: "test",
        };
        let AgentVerdict::Entered(mut tx) = gate.enter(&entry_request).await.expect("the gate answers") else {
            panic!("the key was not let in")
        };
        for (word, tickets) in ["quokka", "wombat"].into_iter().zip(counts) {
            let query = sqlx::query_scalar("select cardinality(ctx.tickets_with_words($1, 100))").bind(word);
            let count: i32 = query.fetch_one(tx.connection()).await.expect("granted");
            assert_eq!(count, tickets, "{permission} {word}");
        }
    }
}

#[tokio::test]
async fn a_publishable_key_may_not_search_tickets() {
    let world = World::new().await;
    let mut gate = world.gate().await;
    for sql in ["select ctx.tickets_with_words('a', 1)", "select ctx.sought('a')"] {
        let refused = sqlx::query(sql).execute(&mut gate).await.expect_err("not granted");
        assert_eq!(
            refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
            Some("42501"),
            "{sql}"
        );
    }
}
