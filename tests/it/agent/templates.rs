//! Ticket forms: what agents make of them, what customers see and answer, and the score that comes of it.

use serde_json::{Value, json};

use super::People;
use crate::harness::{Answer, Running, Site, World};

const TEMPLATES: &str = "/v1/orgs/acme/templates";

fn form() -> Value {
    json!({
        "name": "Something is broken",
        "description": "Tell us what.",
        "sites": ["site-a"],
        "questions": [
            { "label": "How bad is it?", "type": "select", "required": true, "options": [
                { "label": "I cannot work", "points": 8 }, { "label": "It is ugly", "points": 1 },
            ] },
            { "label": "Are others affected?", "type": "checkbox", "points": 5 },
            { "label": "Since when?", "type": "date" },
            { "label": "Which browser?", "type": "text" },
            { "label": "What happened?", "type": "textarea" },
        ],
        "thresholds": [{ "points": 5, "priority": "High" }, { "points": 10, "priority": "Urgent" }],
    })
}

async fn offered(server: &Running, site: &Site) -> Value {
    server.get(&site.key, "/support/v1/templates").await.ok(200).json()["data"].clone()
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

async fn submit(server: &Running, site: &Site, template: &Value, answers: Value) -> Answer {
    let body = json!({
        "email": "ada@example.com", "subject": "Broken", "message": "It is.",
        "template_id": template["id"], "answers": answers,
    });
    server.post(&site.key, "/support/v1/tickets", &body).await
}

#[tokio::test]
async fn a_form_is_offered_by_its_sites_without_points_and_its_answers_are_scored_line_by_line() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    assert_eq!(offered(&server, &world.site_a).await, json!([]));
    server.post_as(&people.agent, TEMPLATES, form()).await.refused(403, "permission_required");
    let made = server.post_as(&people.admin, TEMPLATES, form()).await.ok(201).json();
    assert_eq!(made["questions"][0]["options"][0]["points"], 8);
    assert_eq!(made["thresholds"][1], json!({ "points": 10, "priority": "Urgent" }));
    server.post_as(&people.admin, TEMPLATES, form()).await.refused(409, "name_taken");

    let shown = offered(&server, &world.site_a).await;
    assert_eq!(offered(&server, &world.site_b).await, json!([]), "it is offered where it is enabled");
    assert!(!shown.to_string().contains("points"), "{shown}");
    let template = &shown[0];
    let questions = template["questions"].as_array().expect("questions");
    let labels: Vec<_> = questions.iter().map(|question| question["label"].as_str().expect("a label")).collect();
    assert_eq!(labels[0], "How bad is it?");
    assert_eq!(
        questions.iter().map(|question| question["position"].as_i64()).collect::<Vec<_>>(),
        (1..=5).map(Some).collect::<Vec<_>>()
    );
    let answers = json!({
        id(&questions[0]): id(&questions[0]["options"][0]),
        id(&questions[1]): true,
        id(&questions[2]): "2026-02-28",
        id(&questions[3]): "Lynx",
    });
    let submitted = submit(&server, &world.site_a, template, answers.clone()).await;
    assert!(!submitted.ok(201).text.contains("score"));
    let ticket = format!("/v1/orgs/acme/tickets/{}", id(&submitted.json()));
    let ticket_seen = server.get_as(&people.viewer, &ticket).await.ok(200).json();
    assert_eq!((&ticket_seen["score"], &ticket_seen["priority"]["name"]), (&json!(13), &json!("Urgent")));
    assert_eq!(ticket_seen["template"], "Something is broken");
    let lines: Vec<_> = ticket_seen["answers"]
        .as_array()
        .expect("answers")
        .iter()
        .map(|line| {
            format!(
                "{}={} ({})",
                line["label"].as_str().unwrap_or_default(),
                line["value"].as_str().unwrap_or_default(),
                line["points"]
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "How bad is it?=I cannot work (8)",
            "Are others affected?=yes (5)",
            "Since when?=2026-02-28 (0)",
            "Which browser?=Lynx (0)",
        ]
    );

    // What was said stays what it was.
    let renamed = json!({ "questions": [], "name": "Renamed" });
    server.patch_as(&people.admin, &format!("{TEMPLATES}/{}", id(&made)), renamed).await.ok(200);
    assert_eq!(offered(&server, &world.site_a).await[0]["questions"], json!([]), "in the very next request");
    assert_eq!(server.get_as(&people.viewer, &ticket).await.ok(200).json()["answers"], ticket_seen["answers"]);
    server.delete_as(&people.admin, &format!("{TEMPLATES}/{}", id(&made))).await.ok(204);
    assert_eq!(offered(&server, &world.site_a).await, json!([]));
    assert_eq!(server.get_as(&people.viewer, &ticket).await.ok(200).json()["score"], 13);
}

#[tokio::test]
async fn answers_that_do_not_fit_are_named_one_by_one_and_nothing_is_written() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    server.post_as(&people.admin, TEMPLATES, form()).await.ok(201);
    let template = offered(&server, &world.site_a).await[0].clone();
    let question = |n: usize| id(&template["questions"][n]);
    let wrong = json!({
        question(0): "I cannot work", question(1): "perhaps", question(2): "yesterday", question(3): "two\nlines", "no-such": "x",
    });
    let refused = submit(&server, &world.site_a, &template, wrong).await.refused(422, "unprocessable").json();
    let mut fields: Vec<_> = refused["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["field"].as_str().expect("a field").to_owned())
        .collect();
    fields.sort_unstable();
    let mut expected: Vec<_> =
        (0..4).map(|n| format!("answers.{}", question(n))).chain(["answers.no-such".to_owned()]).collect();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    let missing = submit(&server, &world.site_a, &template, json!({})).await.refused(422, "unprocessable").json();
    assert_eq!(
        missing["errors"],
        json!([{ "field": format!("answers.{}", question(0)), "message": "must be answered" }])
    );
    submit(&server, &world.site_a, &template, json!({ question(0): 5 })).await.refused(400, "invalid_request");
    submit(&server, &world.site_b, &template, json!({})).await.refused(422, "unprocessable");
    let unknown = json!({ "id": uuid::Uuid::new_v4() });
    let refused = submit(&server, &world.site_a, &unknown, json!({})).await.refused(422, "unprocessable").json();
    assert_eq!(refused["errors"][0]["field"], "template_id");
    assert_eq!(world.look::<i64>("select count(*) from vicket.tickets").await, 0);
    let fits = json!({ question(0): id(&template["questions"][0]["options"][1]) });
    submit(&server, &world.site_a, &template, fits).await.ok(201);
    assert_eq!(world.look::<i64>("select score::bigint from vicket.tickets").await, 1);
}

#[tokio::test]
async fn a_repeated_submission_with_a_form_is_the_same_ticket_scored_once() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let made = server.post_as(&people.admin, TEMPLATES, form()).await.ok(201).json();
    let question = &made["questions"][0];
    let send = async |option: usize| {
        let body = json!({
            "email": "ada@example.com", "subject": "Broken", "message": "It is.", "template_id": made["id"],
            "answers": { id(question): id(&question["options"][option]) },
        });
        let request = server.request(reqwest::Method::POST, "/support/v1/tickets").json(&body);
        Answer::of(request.header("X-Vicket-Key", &world.site_a.key).header("Idempotency-Key", "once")).await
    };
    let first = send(0).await.ok(201).json();
    // The form is gone meanwhile; the repeat is answered as then.
    server.delete_as(&people.admin, &format!("{TEMPLATES}/{}", id(&made))).await.ok(204);
    assert_eq!(id(&send(0).await.ok(201).json()), id(&first));
    send(1).await.refused(409, "idempotency_conflict");
    assert_eq!(world.look::<i64>("select count(*) from vicket.ticket_answers").await, 1);
}

#[tokio::test]
async fn a_form_keeps_the_ids_of_questions_that_stay_and_refuses_what_makes_no_sense() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let made = server.post_as(&people.admin, TEMPLATES, form()).await.ok(201).json();
    let path = format!("{TEMPLATES}/{}", id(&made));
    let kept = json!({ "questions": [
        { "id": made["questions"][1]["id"], "label": "Others too?", "type": "checkbox", "points": 2 },
        { "label": "New", "type": "text" },
    ] });
    let changed = server.patch_as(&people.admin, &path, kept).await.ok(200).json();
    assert_eq!(changed["questions"][0]["id"], made["questions"][1]["id"]);
    assert_eq!((&changed["questions"][0]["position"], &changed["thresholds"]), (&json!(1), &made["thresholds"]));
    for (questions, code) in [
        (json!([{ "label": "x", "type": "select" }]), 400),
        (json!([{ "label": "x", "type": "text", "points": 3 }]), 400),
        (json!([{ "label": " ", "type": "text" }]), 400),
        (json!([{ "label": "x", "type": "song" }]), 400),
        (json!([{ "id": uuid::Uuid::new_v4(), "label": "x", "type": "text" }]), 422),
    ] {
        let answer = server.patch_as(&people.admin, &path, json!({ "questions": questions })).await;
        assert_eq!(answer.status, code, "{questions}: {}", answer.text);
    }
    for (field, value) in [("sites", json!(["site-c"])), ("thresholds", json!([{ "points": 1, "priority": "Lost" }]))] {
        let answer = server.patch_as(&people.admin, &path, json!({ field: value })).await;
        assert_eq!(answer.refused(422, "unprocessable").json()["errors"][0]["field"], field);
    }
    let again = server.get_as(&people.viewer, &path).await.ok(200).json();
    assert_eq!(again["questions"], changed["questions"], "what was refused changed nothing");
    server.get_as(&people.rival, &path.replace("acme", "globex")).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_widget_reads_no_points_and_scores_no_ticket_but_the_one_it_submits() {
    let world = World::new().await;
    let server = world.serve().await;
    let people = People::of(&world).await;
    let made = server.post_as(&people.admin, TEMPLATES, form()).await.ok(201).json();
    let (site, question) = (&world.site_a, &made["questions"][0]);
    let answers = json!({ id(question): id(&question["options"][1]) });
    submit(&server, site, &made, answers.clone()).await.ok(201);
    let ticket: uuid::Uuid = world.look("select id from vicket.tickets").await;
    let mut gate = world.gate().await;
    let key = vicket::domain::keys::Sha256Digest::of(site.key.as_bytes()).to_hex();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "begin; select auth.enter('\\x{key}', '\\x', '\\x'); set local role vicket_widget"
    )))
    .execute(&mut gate)
    .await
    .expect("entered");
    let scored: String = sqlx::query_scalar("select ctx.score_ticket($1, $2, $3)")
        .bind(ticket)
        .bind(id(&made).parse::<uuid::Uuid>().expect("an id"))
        .bind(answers)
        .fetch_one(&mut gate)
        .await
        .expect("granted");
    assert_eq!(scored, "refused");
    for sql in [
        "select points from vicket.template_options",
        "select points from vicket.template_questions",
        "select * from vicket.template_thresholds",
        "select * from vicket.ticket_answers",
        "select score from vicket.tickets",
        "select * from vicket.priorities",
        "select ctx.scored_answers(ctx.org_id(), gen_random_uuid(), '{}')",
        "select ctx.priority_reached(ctx.org_id(), gen_random_uuid(), 0)",
    ] {
        sqlx::raw_sql("savepoint s").execute(&mut gate).await.expect("a savepoint");
        let refused = sqlx::raw_sql(sql).execute(&mut gate).await.expect_err(sql);
        assert_eq!(
            refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
            Some("42501"),
            "{sql}"
        );
        sqlx::raw_sql("rollback to savepoint s").execute(&mut gate).await.expect("rolled back");
    }
    let labels: i64 = sqlx::query_scalar("select count(label) from vicket.template_options")
        .fetch_one(&mut gate)
        .await
        .expect("granted");
    assert_eq!(labels, 2, "the twin");
}
