//! The desk: what waits, what is unread, who is here, and that nothing typed is lost or sent twice.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{
    People,
    tickets::{reply, submit},
};
use crate::harness::{Answer, Options, Person, Running, World};

const TICKETS: &str = "/v1/orgs/acme/tickets";

/// The inbox of somebody.
async fn inbox(server: &Running, person: &Person, query: &str) -> Vec<Value> {
    let page = server.get_as(person, &format!("{TICKETS}?{query}")).await.ok(200).json();
    page["data"].as_array().expect("a list").clone()
}

fn flags(row: &Value) -> (bool, bool, &str) {
    let flag = |name: &str| row[name].as_bool().expect("a flag");
    (flag("waiting"), flag("unread"), row["snippet"].as_str().expect("a snippet"))
}

#[tokio::test]
async fn what_was_said_last_is_on_top_waits_and_is_unread_until_it_is_read_or_answered() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (old, token) = submit(&server, &world.site_a, "Old").await;
    let (young, _) = submit(&server, &world.site_b, "Young").await;
    let seen = |id: &str| format!("{TICKETS}/{id}/seen");
    let top = async |person| inbox(&server, person, "").await.remove(0);
    assert_eq!(top(&people.agent).await["id"], young);

    // A reply to an old ticket is on top; its snippet is one line, of 140 characters.
    reply(&server, &world.site_a, &token, &format!(" It\n\n came\tback. {}", "x".repeat(300))).await.ok(201);
    let row = top(&people.agent).await;
    assert_eq!((&row["id"], flags(&row)), (&json!(old), (true, true, row["snippet"].as_str().expect("text"))));
    assert!(row["snippet"].as_str().is_some_and(|text| text.starts_with("It came back. xxx") && text.len() == 140));
    let whole = server.get_as(&people.agent, &format!("{TICKETS}/{old}")).await.ok(200).json();
    assert_eq!((&whole["waiting"], &whole["unread"], &whole["viewers"]), (&json!(true), &json!(true), &json!([])));
    let ids: Vec<&Value> = whole["messages"].as_array().expect("messages").iter().map(|one| &one["id"]).collect();

    // Read in part, read, and read by one of them only.
    server.put_as(&people.agent, &seen(&old), json!({ "read_to": ids[0] })).await.ok(200);
    assert_eq!(top(&people.agent).await["unread"], true);
    server.put_as(&people.agent, &seen(&old), json!({ "read_to": ids[1] })).await.ok(200);
    server.put_as(&people.agent, &seen(&old), json!({ "read_to": ids[0] })).await.ok(200);
    assert_eq!(top(&people.agent).await["unread"], false, "nobody reads backwards");
    assert_eq!(top(&people.viewer).await["unread"], true);
    let refused = server.put_as(&people.agent, &seen(&young), json!({ "read_to": ids[0] })).await;
    assert_eq!(refused.refused(422, "unprocessable").fields(), ["read_to"]);

    // A note answers nothing; an answer does, and whoever wrote it has read it.
    let messages = format!("{TICKETS}/{old}/messages");
    let note = json!({ "body": "Ask Omar.", "internal": true });
    server.post_as(&people.admin, &messages, note).await.ok(201);
    assert_eq!(flags(&top(&people.agent).await), (true, true, "Ask Omar."));
    assert_eq!(flags(&top(&people.admin).await), (true, false, "Ask Omar."));
    server.post_as(&people.agent, &messages, json!({ "body": "Done." })).await.ok(201);
    assert_eq!(flags(&top(&people.agent).await), (false, false, "Done."));
    assert_eq!(flags(&top(&people.admin).await), (false, true, "Done."));
    server.post_as(&people.admin, &messages, json!({ "body": "And done." })).await.ok(201);
    // A program that answers has not read it for its creator.
    let (_, key) = server.machine_key(&people.admin, &["ticket:write", "ticket:read"]).await;
    let robot = server.request(Method::POST, &messages).bearer_auth(&key).json(&json!({ "body": "Beep." }));
    Answer::of(robot).await.ok(201);
    assert_eq!(flags(&top(&people.admin).await), (false, true, "Beep."));
    reply(&server, &world.site_a, &token, "Thank you, but no.").await.ok(201);
    assert_eq!(flags(&top(&people.agent).await), (true, true, "Thank you, but no."));
    // What is no longer open waits for nobody.
    server.patch_as(&people.agent, &format!("{TICKETS}/{old}"), json!({ "status": "resolved" })).await.ok(200);
    assert_eq!(top(&people.agent).await["waiting"], false);
}

#[tokio::test]
async fn who_is_at_a_ticket_is_seen_by_others_who_may_see_it_and_written_by_nobody_else() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (id, _) = submit(&server, &world.site_a, "Help").await;
    let (elsewhere, _) = submit(&server, &world.site_b, "Elsewhere").await;
    let seen = format!("{TICKETS}/{id}/seen");
    let alone = server.put_as(&people.agent, &seen, json!({ "typing": true })).await.ok(200).json();
    assert_eq!(alone, json!({ "viewers": [] }), "oneself is nobody else");
    let agent = json!([{ "id": people.agent.id, "name": "A agent of acme", "typing": true }]);
    assert_eq!(server.put_as(&people.viewer, &seen, json!({})).await.ok(200).json()["viewers"], agent);
    let rows = inbox(&server, &people.admin, "site=site-a").await;
    assert_eq!(rows[0]["viewers"].as_array().map(Vec::len), Some(2));
    assert_eq!(inbox(&server, &people.admin, "site=site-b").await[0]["viewers"], json!([]));
    // They stop typing, and go.
    world.arrange("update vicket.ticket_seen set typing_at = typing_at - interval '11 seconds'").await;
    assert_eq!(server.put_as(&people.viewer, &seen, json!({})).await.ok(200).json()["viewers"][0]["typing"], false);
    world.arrange("update vicket.ticket_seen set seen_at = seen_at - interval '31 seconds'").await;
    assert_eq!(server.put_as(&people.viewer, &seen, json!({})).await.ok(200).json()["viewers"], json!([]));

    // What is news to others is marked as such, and a sign of life is not.
    let changed = "select changed_at::text from vicket.ticket_seen s join vicket.users u on u.id = s.user_id
        where u.email like 'viewer%'";
    let before: String = world.look(changed).await;
    server.put_as(&people.viewer, &seen, json!({})).await.ok(200);
    assert_eq!(world.look::<String>(changed).await, before);
    server.put_as(&people.viewer, &seen, json!({ "typing": true })).await.ok(200);
    assert_ne!(world.look::<String>(changed).await, before);

    // Neither of another org, nor of a site of other teams.
    let theirs = seen.replace("acme", "globex");
    server.put_as(&people.rival, &theirs, json!({})).await.refused(404, "not_found");
    server.put_as(&people.rival, &seen, json!({})).await.refused(404, "not_found");
    let team = json!({ "name": "A", "members": [people.agent.id], "sites": ["site-a"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    let other = format!("{TICKETS}/{elsewhere}/seen");
    server.put_as(&people.agent, &other, json!({})).await.refused(404, "not_found");
    server.put_as(&people.viewer, &other, json!({})).await.ok(200);

    // Statements of one's own reach one's own rows only, of the tickets that one sees.
    let gate = world.agent_gate();
    let rows = async |person: &Person, sql: &str| {
        let mut tx = world.agent(&gate, person, "acme").await;
        let done = sqlx::query(AssertSqlSafe(sql)).execute(tx.connection()).await;
        done.map(|done| done.rows_affected())
            .map_err(|error| error.as_database_error().and_then(|error| error.code().map(String::from)))
    };
    let update = "update vicket.ticket_seen set read_to = now()";
    assert_eq!(rows(&people.agent, update).await, Ok(1));
    assert_eq!(rows(&people.viewer, update).await, Ok(2));
    assert_eq!(rows(&people.agent, "select from vicket.ticket_seen").await, Ok(2), "of its team's site");
    assert_eq!(rows(&people.admin, "select from vicket.ticket_seen").await, Ok(3));
    let forged = format!("update vicket.ticket_seen set user_id = '{}'", people.admin.id);
    assert_eq!(rows(&people.agent, &forged).await, Err(Some("42501".to_owned())));
    let insert =
        format!("insert into vicket.ticket_seen (site_id, ticket_id) values ('{}', '{elsewhere}')", world.site_b.id);
    assert_eq!(rows(&people.agent, &insert).await, Err(Some("42501".to_owned())));
    assert_eq!(rows(&people.admin, &insert).await, Ok(1));
}

#[tokio::test]
async fn what_is_typed_is_kept_for_its_writer_alone_until_it_is_sent() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (id, _) = submit(&server, &world.site_a, "Help").await;
    let draft = |kind: &str| format!("{TICKETS}/{id}/drafts/{kind}");
    let reply = draft("reply");
    server.get_as(&people.agent, &reply).await.refused(404, "not_found");
    let kept = server.put_as(&people.agent, &reply, json!({ "body": "It is" })).await.ok(200).json();
    assert_eq!((&kept["kind"], &kept["body"]), (&json!("reply"), &json!("It is")));
    server.put_as(&people.agent, &reply, json!({ "body": "It is on" })).await.ok(200);
    server.put_as(&people.agent, &draft("note"), json!({ "body": "Ask" })).await.ok(200);
    assert_eq!(server.get_as(&people.agent, &reply).await.ok(200).json()["body"], "It is on");
    for (body, code) in [(json!({ "body": "" }), 400), (json!({ "body": "x".repeat(20_001) }), 400)] {
        server.put_as(&people.agent, &reply, body).await.refused(code, "invalid_request");
    }
    server.put_as(&people.agent, &draft("letter"), json!({ "body": "x" })).await.refused(404, "not_found");
    server.put_as(&people.viewer, &reply, json!({ "body": "x" })).await.refused(403, "permission_required");
    server.put_as(&people.rival, &reply, json!({ "body": "x" })).await.refused(404, "not_found");
    // Who else may answer it neither sees it nor forgets it, in SQL either.
    server.get_as(&people.admin, &reply).await.refused(404, "not_found");
    server.delete_as(&people.admin, &reply).await.refused(404, "not_found");
    let gate = world.agent_gate();
    for (person, rows) in [(&people.agent, 2_i64), (&people.admin, 0), (&people.viewer, 0)] {
        let mut tx = world.agent(&gate, person, "acme").await;
        let read: i64 = sqlx::query_scalar("select count(*) from vicket.ticket_drafts")
            .fetch_one(tx.connection())
            .await
            .expect("granted");
        let update = sqlx::query("update vicket.ticket_drafts set updated_at = now()").execute(tx.connection()).await;
        assert_eq!((read, update.expect("granted").rows_affected()), (rows, rows.unsigned_abs()), "{}", person.email);
    }
    let flag = async |person| inbox(&server, person, "").await[0]["draft"].clone();
    assert_eq!((flag(&people.agent).await, flag(&people.admin).await), (json!(true), json!(false)));

    // What is sent is no draft any more; a program sends nothing that somebody typed.
    let messages = format!("{TICKETS}/{id}/messages");
    let (_, key) = server.machine_key(&people.admin, &["ticket:write"]).await;
    server.put_as(&people.admin, &reply, json!({ "body": "Mine" })).await.ok(200);
    let robot = server.request(Method::POST, &messages).bearer_auth(&key).json(&json!({ "body": "Beep." }));
    Answer::of(robot).await.ok(201);
    server.get_as(&people.admin, &reply).await.ok(200);
    server.post_as(&people.agent, &messages, json!({ "body": "It is on its way." })).await.ok(201);
    server.get_as(&people.agent, &reply).await.refused(404, "not_found");
    server.get_as(&people.agent, &draft("note")).await.ok(200);
    server.delete_as(&people.agent, &draft("note")).await.ok(204);
    server.delete_as(&people.agent, &draft("note")).await.refused(404, "not_found");
    // Who leaves takes theirs along.
    world.arrange(&format!("delete from vicket.members where user_id = '{}'", people.admin.id)).await;
    assert_eq!(world.look::<i64>("select count(*) from vicket.ticket_drafts").await, 0);
}

#[tokio::test]
async fn an_answer_is_added_once_and_not_to_a_conversation_that_went_on() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (id, token) = submit(&server, &world.site_a, "Help").await;
    let (other, _) = submit(&server, &world.site_a, "Other").await;
    let send = async |person: &Person, ticket: &str, key: &str, body: Value| {
        let request = server
            .request(Method::POST, &format!("{TICKETS}/{ticket}/messages"))
            .header("cookie", &person.cookie)
            .header("sec-fetch-site", "same-origin")
            .header("Idempotency-Key", key)
            .json(&body);
        Answer::of(request).await
    };
    let body = json!({ "body": "It is on its way." });
    let (one, two) =
        tokio::join!(send(&people.agent, &id, "k1", body.clone()), send(&people.agent, &id, "k1", body.clone()));
    let first = one.ok(201).json();
    assert_eq!(first, two.ok(201).json());
    assert_eq!(first, send(&people.agent, &id, "k1", body.clone()).await.ok(201).json());
    let note = json!({ "body": "It is on its way.", "internal": true });
    send(&people.agent, &id, "k1", note).await.refused(409, "idempotency_conflict");
    send(&people.agent, &id, "k1", json!({ "body": "x" })).await.refused(409, "idempotency_conflict");
    // A key is of one member and of one ticket; what failed has used none.
    assert_ne!(send(&people.admin, &id, "k1", body.clone()).await.ok(201).json()["id"], first["id"]);
    assert_ne!(send(&people.agent, &other, "k1", body.clone()).await.ok(201).json()["id"], first["id"]);
    send(&people.rival, &id, "k1", body.clone()).await.refused(404, "not_found");
    send(&people.viewer, &id, "k1", body.clone()).await.refused(403, "permission_required");
    server.patch_as(&people.agent, &format!("{TICKETS}/{other}"), json!({ "status": "closed" })).await.ok(200);
    send(&people.agent, &other, "k2", body.clone()).await.refused(409, "ticket_closed");
    server.patch_as(&people.agent, &format!("{TICKETS}/{other}"), json!({ "status": "open" })).await.ok(200);
    send(&people.agent, &other, "k2", body.clone()).await.ok(201);
    assert_eq!(world.look::<i64>("select count(*) from vicket.ticket_messages where author = 'agent'").await, 4);
    // A day later it is another answer's.
    world.arrange("update vicket.submissions set created_at = created_at - interval '25 hours'").await;
    assert_ne!(send(&people.agent, &id, "k1", body).await.ok(201).json()["id"], first["id"]);

    // Who answers says what they had read.
    let newest = async || {
        let whole = server.get_as(&people.agent, &format!("{TICKETS}/{id}")).await.ok(200).json();
        whole["messages"].as_array().and_then(|all| all.last()).expect("a message")["id"].clone()
    };
    let messages = format!("{TICKETS}/{id}/messages");
    let before = newest().await;
    let answer = json!({ "body": "Again.", "seen": before });
    server.post_as(&people.admin, &messages, json!({ "body": "A note.", "internal": true })).await.ok(201);
    server.post_as(&people.agent, &messages, answer.clone()).await.ok(201);
    server.post_as(&people.agent, &messages, answer.clone()).await.ok(201);
    server.post_as(&people.admin, &messages, json!({ "body": "Another." })).await.ok(201);
    let moved = server.post_as(&people.agent, &messages, answer.clone()).await;
    assert_eq!(moved.refused(409, "conversation_moved").json()["detail"], "A admin of acme answered while you wrote.");
    let note = json!({ "body": "Hm.", "seen": before, "internal": true });
    server.post_as(&people.agent, &messages, note).await.ok(201);
    server.post_as(&people.agent, &messages, json!({ "body": "Again.", "seen": newest().await })).await.ok(201);
    let before = newest().await;
    reply(&server, &world.site_a, &token, "Any news?").await.ok(201);
    let moved = server.post_as(&people.agent, &messages, json!({ "body": "Soon.", "seen": before })).await;
    let detail = moved.refused(409, "conversation_moved").json()["detail"].clone();
    assert!(detail.as_str().is_some_and(|text| text.ends_with(" wrote while you did.")), "{detail}");
    server.post_as(&people.agent, &messages, json!({ "body": "Soon." })).await.ok(201);
    let strange = json!({ "body": "x", "seen": people.agent.id });
    let refused = server.post_as(&people.agent, &messages, strange).await;
    assert_eq!(refused.refused(422, "unprocessable").fields(), ["seen"]);
}

#[tokio::test]
async fn an_answer_sets_pending_and_assigns_as_the_org_says_and_a_reply_opens_again() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let state = async |id: &str| {
        let whole = server.get_as(&people.viewer, &format!("{TICKETS}/{id}")).await.ok(200).json();
        let kinds: Vec<String> = whole["events"]
            .as_array()
            .expect("events")
            .iter()
            .map(|event| event["kind"].as_str().expect("a kind").to_owned())
            .collect();
        (whole["status"]["category"].clone(), whole["assignee"]["id"].clone(), kinds.join(" "))
    };
    let answer = async |person: &Person, id: &str, body: Value| {
        server.post_as(person, &format!("{TICKETS}/{id}/messages"), body).await
    };
    let (agent, admin) = (json!(people.agent.id), json!(people.admin.id));
    let (id, token) = submit(&server, &world.site_a, "Help").await;
    answer(&people.admin, &id, json!({ "body": "A note.", "internal": true })).await.ok(201);
    assert_eq!(state(&id).await, (json!("open"), Value::Null, String::new()));
    answer(&people.agent, &id, json!({ "body": "Like this." })).await.ok(201);
    assert_eq!(state(&id).await, (json!("pending"), agent.clone(), "status assignee".to_owned()));
    reply(&server, &world.site_a, &token, "And now?").await.ok(201);
    assert_eq!(state(&id).await.0, "open");
    // Whose it is stays; where it stands may be said along.
    answer(&people.admin, &id, json!({ "body": "Done.", "status": "resolved" })).await.ok(201);
    assert_eq!(state(&id).await, (json!("resolved"), agent.clone(), "status assignee status status".to_owned()));
    answer(&people.admin, &id, json!({ "body": "By the way." })).await.ok(201);
    assert_eq!(state(&id).await.0, "resolved");
    let refused = answer(&people.admin, &id, json!({ "body": "x", "status": "lost" })).await;
    assert_eq!(refused.refused(422, "unprocessable").fields(), ["status"]);

    // A program is assigned nothing.
    let (id, _) = submit(&server, &world.site_a, "Robot").await;
    let (_, key) = server.machine_key(&people.admin, &["ticket:read", "ticket:write", "ticket:assign"]).await;
    let robot = server.request(Method::POST, &format!("{TICKETS}/{id}/messages")).bearer_auth(&key);
    Answer::of(robot.json(&json!({ "body": "Beep." }))).await.ok(201);
    assert_eq!(state(&id).await, (json!("pending"), Value::Null, "status".to_owned()));

    // As the org says.
    let org = "/v1/orgs/acme";
    let both = |row: &Value| (row["answer_sets_pending"].clone(), row["answer_assigns"].clone());
    assert_eq!(both(&server.get_as(&people.viewer, org).await.ok(200).json()), (json!(true), json!(true)));
    server.patch_as(&people.agent, org, json!({ "answer_assigns": false })).await.refused(403, "permission_required");
    let changed = server.patch_as(&people.admin, org, json!({ "answer_sets_pending": false })).await.ok(200).json();
    assert_eq!(both(&changed), (json!(false), json!(true)));
    let log = server.get_as(&people.admin, "/v1/orgs/acme/audit-log?limit=1").await.ok(200).json();
    let pending = |when: &str| log["data"][0][when]["answer_sets_pending"].clone();
    assert_eq!((pending("before"), pending("after")), (json!(true), json!(false)));
    let (id, _) = submit(&server, &world.site_a, "Open").await;
    answer(&people.admin, &id, json!({ "body": "Hm." })).await.ok(201);
    assert_eq!(state(&id).await, (json!("open"), admin, "assignee".to_owned()));
    server.patch_as(&people.admin, org, json!({ "answer_assigns": false })).await.ok(200);
    let (id, _) = submit(&server, &world.site_a, "Nobody's").await;
    answer(&people.admin, &id, json!({ "body": "Hm." })).await.ok(201);
    assert_eq!(state(&id).await, (json!("open"), Value::Null, String::new()));
}

#[tokio::test]
async fn a_ticket_is_given_to_nobody_who_does_not_see_it_or_only_reads() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let (id, _) = submit(&server, &world.site_a, "Help").await;
    let (elsewhere, _) = submit(&server, &world.site_b, "Elsewhere").await;
    let team = json!({ "name": "A", "members": [people.agent.id, people.admin.id], "sites": ["site-a"] });
    server.post_as(&people.admin, "/v1/orgs/acme/teams", team).await.ok(201);
    let candidates = async |id: &str| {
        let page = server.get_as(&people.viewer, &format!("{TICKETS}/{id}/assignees")).await.ok(200).json();
        page["data"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    let id_of = |person: &Person| json!(person.id);
    let (agent, admin, owner) = (id_of(&people.agent), id_of(&people.admin), id_of(&people.owner));
    assert_eq!(candidates(&id).await, [admin.clone(), agent.clone(), owner.clone()]);
    assert_eq!(candidates(&elsewhere).await, [admin.clone(), owner]);
    server.get_as(&people.rival, &format!("{TICKETS}/{id}/assignees")).await.refused(404, "not_found");
    let theirs = format!("/v1/orgs/globex/tickets/{id}/assignees");
    server.get_as(&people.rival, &theirs).await.refused(404, "not_found");
    for (ticket, person, reason) in [
        (&elsewhere, &people.agent, Some("they do not see this ticket: none of their teams has its site")),
        (&id, &people.viewer, Some("they only read tickets: a viewer takes care of none")),
        (&id, &people.rival, Some("the org has no such member")),
        (&id, &people.agent, None),
        (&elsewhere, &people.admin, None),
    ] {
        let change = json!({ "assignee": person.id });
        let changed = server.patch_as(&people.owner, &format!("{TICKETS}/{ticket}"), change).await;
        match reason {
            None => assert_eq!(changed.ok(200).json()["assignee"]["id"], id_of(person)),
            Some(reason) => {
                let problem = changed.refused(422, "unprocessable").json();
                assert_eq!(problem["errors"], json!([{ "field": "assignee", "message": reason }]));
            }
        }
    }
    // Whose it was before their teams changed, theirs it stays.
    let sites = json!({ "sites": ["site-b"] });
    let teams = server.get_as(&people.admin, "/v1/orgs/acme/teams").await.ok(200).json();
    let of = format!("/v1/orgs/acme/teams/{}", teams["data"][0]["id"].as_str().expect("an id"));
    server.patch_as(&people.admin, &of, sites).await.ok(200);
    let path = format!("{TICKETS}/{id}");
    let kept = server.patch_as(&people.owner, &path, json!({ "status": "pending" })).await.ok(200).json();
    assert_eq!(kept["assignee"]["id"], agent);
}

#[tokio::test]
async fn views_are_ones_own_or_the_teams_and_say_how_many_tickets_are_behind_them() {
    let world = World::new().await;
    let server = world.serve_with(Options { limits: false, ..Default::default() }).await;
    let people = People::of(&world).await;
    let views = "/v1/orgs/acme/views";
    let mut ids = Vec::new();
    for (n, site) in [&world.site_a, &world.site_a, &world.site_b, &world.site_b].into_iter().enumerate() {
        ids.push(submit(&server, site, &format!("Lot {n}")).await.0);
    }
    let change = async |n: usize, change: Value| {
        server.patch_as(&people.admin, &format!("{TICKETS}/{}", ids[n]), change).await.ok(200);
    };
    change(0, json!({ "assignee": people.agent.id, "priority": "Urgent" })).await;
    change(1, json!({ "assignee": people.agent.id, "status": "resolved" })).await;
    change(2, json!({ "priority": "Urgent" })).await;
    server.post_as(&people.admin, &format!("{TICKETS}/{}/messages", ids[3]), json!({ "body": "Hm." })).await.ok(201);

    let save = async |person: &Person, body: Value| server.post_as(person, views, body).await;
    let urgent = json!({ "name": "Urgent", "filter": { "priority": "urgent" }, "shared": true });
    save(&people.agent, urgent.clone()).await.refused(403, "permission_required");
    let shared = save(&people.admin, urgent.clone()).await.ok(201).json();
    save(&people.admin, urgent).await.refused(409, "name_taken");
    let of = |filter: Value| json!({ "name": filter.to_string(), "filter": filter });
    let mut expected = vec![("Urgent".to_owned(), json!(2))];
    for (filter, count) in [
        (json!({}), json!(3)),
        (json!({ "assignee": "me" }), json!(1)),
        (json!({ "assignee": "none", "site": "site-b" }), json!(1)),
        (json!({ "assignee": people.admin.id }), json!(1)),
        (json!({ "q": "Lot" }), Value::Null),
        (json!({ "site": "gone" }), json!(0)),
        (json!({ "status": "Pending" }), json!(1)),
        (json!({ "status": "open", "waiting": true }), json!(2)),
        (json!({ "unread": true, "waiting": true }), json!(1)),
    ] {
        save(&people.agent, of(filter.clone())).await.ok(201);
        expected.push((filter.to_string(), count));
    }
    expected[1..].sort_by(|one, other| one.0.cmp(&other.0));
    let whole = server.get_as(&people.agent, &format!("{TICKETS}/{}", ids[0])).await.ok(200).json();
    let seen = json!({ "read_to": whole["messages"][0]["id"] });
    server.put_as(&people.agent, &format!("{TICKETS}/{}/seen", ids[0]), seen).await.ok(200);
    for filter in [json!({ "assignee": "you" }), json!({ "color": "red" }), json!({ "site": 1 })] {
        save(&people.agent, json!({ "name": "x", "filter": filter })).await.refused(400, "invalid_request");
    }

    let listed = server.get_as(&people.agent, views).await.ok(200).json();
    let rows = listed["data"].as_array().expect("views").iter();
    let rows: Vec<(String, Value)> =
        rows.map(|row| (row["name"].as_str().expect("a name").to_owned(), row["count"].clone())).collect();
    assert_eq!(rows, expected);
    let built_in = ["mine", "unassigned", "waiting", "unread"].map(|name| listed[name].as_i64().expect("a count"));
    assert_eq!(built_in, [1, 1, 2, 2]);
    // Each is what the list shows.
    for (query, count) in [
        ("assignee=me&unresolved=true", 1),
        ("assignee=none&unresolved=true", 1),
        ("waiting=true", 2),
        ("unread=true&unresolved=true", 2),
        ("unread=true", 3),
        ("q=lot&waiting=true", 2),
    ] {
        assert_eq!(inbox(&server, &people.agent, query).await.len(), count, "{query}");
    }

    // The team's are changed by who may share, one's own by oneself.
    let path = |view: &Value| format!("{views}/{}", view["id"].as_str().expect("an id"));
    let renamed = json!({ "name": "Burning", "position": 3 });
    server.patch_as(&people.agent, &path(&shared), renamed.clone()).await.refused(403, "permission_required");
    server.delete_as(&people.agent, &path(&shared)).await.refused(403, "permission_required");
    let changed = server.patch_as(&people.owner, &path(&shared), renamed).await.ok(200).json();
    assert_eq!((&changed["name"], &changed["filter"]["priority"]), (&json!("Burning"), &json!("urgent")));
    let own = listed["data"][1].clone();
    server.patch_as(&people.owner, &path(&own), json!({ "name": "x" })).await.refused(404, "not_found");
    server.delete_as(&people.owner, &path(&own)).await.refused(404, "not_found");
    server.patch_as(&people.agent, &path(&own), json!({ "name": "x" })).await.ok(200);
    server.delete_as(&people.agent, &path(&own)).await.ok(204);
    server.delete_as(&people.owner, &path(&shared)).await.ok(204);
    server.get_as(&people.rival, views).await.refused(404, "not_found");
    assert_eq!(server.get_as(&people.viewer, views).await.ok(200).json()["data"], json!([]));
    let log = server.get_as(&people.admin, "/v1/orgs/acme/audit-log?limit=100").await.ok(200).json();
    let of_views =
        log["data"].as_array().expect("entries").iter().filter(|entry| entry["object"]["kind"] == "saved_view");
    assert_eq!(of_views.count(), 3, "of the team's, and of nobody else's");
    // In SQL nobody reaches another's, or makes one theirs.
    let gate = world.agent_gate();
    for (person, sql, rows) in [
        (&people.agent, "update vicket.saved_views set position = 1".to_owned(), Ok(8)),
        (&people.admin, "update vicket.saved_views set position = 1".to_owned(), Ok(0)),
        (
            &people.admin,
            format!(
                "insert into vicket.saved_views (user_id, name, filter) values ('{}', 'x', '{{}}')",
                people.agent.id
            ),
            Err(Some("42501".to_owned())),
        ),
    ] {
        let mut tx = world.agent(&gate, person, "acme").await;
        let done = sqlx::query(AssertSqlSafe(sql)).execute(tx.connection()).await.map(|done| done.rows_affected());
        let done = done.map_err(|error| error.as_database_error().and_then(|error| error.code().map(String::from)));
        assert_eq!(done, rows, "{}", person.email);
    }
}
