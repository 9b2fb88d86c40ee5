//! Ticket forms in the dashboard: who may see, try, make and change them, and that a preview scores as a ticket is scored.

use super::token;
use crate::harness::{Answer, Person, Running, World};

const NEW: &str = "/dashboard/acme/templates/new";

/// A form of a choice and a checkbox, as its page sends it.
fn fields(action: &str) -> Vec<(String, String)> {
    [
        ("action", action),
        ("name", "Something is broken"),
        ("description", "Tell us what."),
        ("site", "site-a"),
        ("questions[0].label", "How bad is it?"),
        ("questions[0].kind", "select"),
        ("questions[0].required", "yes"),
        ("questions[0].options[0].id", "11111111-1111-4111-8111-111111111111"),
        ("questions[0].options[0].label", "I cannot work"),
        ("questions[0].options[0].points", "8"),
        ("questions[0].options[1].label", ""),
        ("questions[1].label", "Are others affected?"),
        ("questions[1].kind", "checkbox"),
        ("questions[1].points", "5"),
        ("thresholds[0].points", "5"),
        ("thresholds[0].priority", "High"),
        ("thresholds[1].points", "10"),
        ("thresholds[1].priority", "Urgent"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The fields with others in their place, or besides.
fn with(mut fields: Vec<(String, String)>, others: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.retain(|(name, _)| others.iter().all(|(other, _)| other != name));
    fields.extend(others.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    fields
}

impl Running {
    async fn send_form(&self, person: &Person, path: &str, fields: &[(String, String)]) -> Answer {
        let page = self.page(person, "/dashboard/acme/templates").await;
        let token = token(&page.text);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.form(person, path, &[fields.as_slice(), &[("form_token", &token)]].concat()).await
    }
}

/// The score and the priority that a page shows.
fn verdict(page: &str) -> Option<(&str, &str)> {
    let (_, rest) = page.split_once("class=\"verdict\"><strong>")?;
    let (priority, rest) = rest.split_once("</strong> <span class=\"dim\">")?;
    Some((priority, rest.split_once(" points")?.0))
}

#[tokio::test]
async fn a_preview_scores_what_is_typed_as_a_ticket_would_be_and_stores_nothing() {
    let world = World::new().await;
    let running = world.serve().await;
    let admin = world.person("acme", "admin").await;
    let kept = "select (select count(*) from vicket.templates) + (select count(*) from vicket.tickets)
        + (select count(*) from vicket.audit_log where object_kind like 'template%')";
    let version = "select content_version::bigint from vicket.sites where slug = 'site-a'";
    let before = (world.look::<i64>(kept).await, world.look::<i64>(version).await);
    let option = "11111111-1111-4111-8111-111111111111";
    let answers = [("questions[0].answer", option), ("questions[1].answer", "true")];
    // A name is not needed to try a form.
    let typed = with(fields("preview"), &[&answers[..], &[("name", "")]].concat());
    let tried = running.send_form(&admin, NEW, &typed).await;
    assert_eq!((tried.status, verdict(&tried.text)), (200, Some(("Urgent", "13"))), "{}", tried.text);
    for (others, status, seen) in [
        (&[("questions[1].answer", "")][..], 200, Some(("High", "8"))),
        (&[("thresholds[0].points", "9"), ("questions[1].answer", "")], 200, Some(("Normal", "8"))),
        (&[("questions[0].options[0].points", "-3")], 200, Some(("Normal", "2"))),
        (&[("questions[0].answer", "")], 422, None),
        (&[("questions[0].answer", "22222222-2222-4222-8222-222222222222")], 422, None),
        (&[("questions[1].points", "1001")], 400, None),
        (&[("thresholds[1].points", "5")], 400, None),
        (&[("thresholds[1].priority", "Lost")], 422, None),
        (&[("questions[0].options[0].label", ""), ("questions[0].options[0].points", "")], 400, None),
    ] {
        let answer = running.send_form(&admin, NEW, &with(typed.clone(), others)).await;
        assert_eq!((answer.status, verdict(&answer.text)), (status, seen), "{others:?}: {}", answer.text);
    }
    assert_eq!((world.look::<i64>(kept).await, world.look::<i64>(version).await), before);

    // Saved and sent by a customer, it comes to the same.
    let saved = running.send_form(&admin, NEW, &fields("save")).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let id = async |sql: &'static str| world.look::<uuid::Uuid>(sql).await;
    let form = id("select id from vicket.templates").await;
    let bad = id("select id from vicket.template_questions where type = 'select'").await;
    let others = id("select id from vicket.template_questions where type = 'checkbox'").await;
    let body = serde_json::json!({
        "email": "ada@example.com", "subject": "Broken", "message": "It is.", "template_id": form,
        "answers": { bad.to_string(): option, others.to_string(): true },
    });
    running.post(&world.site_a.key, "/support/v1/tickets", &body).await.ok(201);
    let scored: String = world
        .look(
            "select p.name || ' ' || t.score from vicket.tickets t
            join vicket.priorities p on p.org_id = t.org_id and p.id = t.priority_id",
        )
        .await;
    assert_eq!(scored, "Urgent 13");
}

#[tokio::test]
async fn forms_are_made_changed_and_deleted_by_who_may_and_tried_by_every_member() {
    let world = World::new().await;
    let running = world.serve().await;
    let (admin, viewer) = (world.person("acme", "admin").await, world.person("acme", "viewer").await);
    let agent = world.person("acme", "agent").await;
    let rival = world.person("globex", "owner").await;
    let list = "/dashboard/acme/templates";
    let count = "select count(*) from vicket.templates";
    for person in [&viewer, &agent] {
        assert_eq!(running.page(person, NEW).await.status, 403);
        assert!(!running.page(person, list).await.text.contains("New form"));
        for action in ["save", "preview", "add-question"] {
            let refused = running.send_form(person, NEW, &fields(action)).await;
            assert_eq!(refused.status, 403, "{action}");
            assert!(refused.text.contains("template:edit"), "{}", refused.text);
        }
    }
    assert_eq!(world.look::<i64>(count).await, 0);
    let blank = running.send_form(&admin, NEW, &with(fields("save"), &[("name", " ")])).await;
    assert!(blank.status == 400 && blank.text.contains("id=\"name-fault\""), "{}", blank.text);
    assert!(blank.text.contains("value=\"I cannot work\""), "what was typed is lost");
    assert_eq!(running.send_form(&admin, NEW, &with(fields("save"), &[("site", "site-c")])).await.status, 422);
    assert_eq!(
        running.send_form(&admin, NEW, &with(fields("save"), &[("questions[0].kind", "song")])).await.status,
        400
    );
    let made = running.send_form(&admin, NEW, &fields("save")).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let form = made.header("location").expect("the form").trim_end_matches("?done=saved").to_owned();
    assert_eq!(running.send_form(&admin, NEW, &fields("save")).await.status, 409, "the name is taken");

    let page = running.page(&viewer, &form).await;
    assert!(page.status == 200 && !page.text.contains("add-question") && !page.text.contains("Delete form"));
    let tried = [("questions[0].answer", "11111111-1111-4111-8111-111111111111"), ("action", "try")];
    let tried = tried.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = running.send_form(&viewer, &form, &tried).await;
    assert_eq!((answer.status, verdict(&answer.text)), (200, Some(("High", "8"))), "{}", answer.text);
    for (action, sure) in [("save", ""), ("preview", ""), ("up:1", ""), ("delete", "yes")] {
        let refused = running.send_form(&viewer, &form, &with(fields(action), &[("sure", sure)])).await;
        assert_eq!(refused.status, 403, "{action}");
    }

    // Another org's, by whichever path; neither is theirs to try.
    for path in [form.clone(), form.replace("acme", "globex")] {
        assert_eq!(running.page(&rival, &path).await.status, 404, "{path}");
        let own = running.page(&rival, "/dashboard/globex/templates").await;
        for action in ["save", "preview", "try", "delete"] {
            let sent = with(fields(action), &[("sure", "yes"), ("form_token", &token(&own.text))]);
            let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(running.form(&rival, &path, &sent).await.status, 404, "{action} {path}");
        }
    }
    assert_eq!(running.send_form(&admin, &form, &with(fields("burn"), &[])).await.status, 400);
    assert_eq!(running.send_form(&admin, &form, &with(fields("delete"), &[])).await.status, 400);
    assert_eq!(world.look::<i64>(count).await, 1);
    assert_eq!(running.send_form(&admin, &form, &with(fields("delete"), &[("sure", "yes")])).await.status, 303);
    assert_eq!(world.look::<i64>(count).await, 0);
}

#[tokio::test]
async fn a_form_that_another_changed_is_saved_over_only_knowingly() {
    let world = World::new().await;
    let running = world.serve().await;
    let (one, other) = (world.person("acme", "admin").await, world.person("acme", "owner").await);
    let made = running.send_form(&one, NEW, &fields("save")).await;
    let form = made.header("location").expect("the form").trim_end_matches("?done=saved").to_owned();
    let version = super::hidden(&running.page(&one, &form).await.text, "version");
    let save = |name: &'static str, version: &str| with(fields("save"), &[("name", name), ("version", version)]);
    assert_eq!(running.send_form(&other, &form, &save("Theirs", &version)).await.status, 303);
    let told = running.send_form(&one, &form, &save("Mine", &version)).await;
    assert!(told.status == 409 && told.text.contains("Somebody changed this form"), "{}", told.text);
    assert!(told.text.contains("value=\"Mine\""), "what was typed is lost");
    let name = "select name from vicket.templates";
    assert_eq!(world.look::<String>(name).await, "Theirs");
    assert_eq!(running.send_form(&one, &form, &save("Mine", "yesterday")).await.status, 400);
    let now = super::hidden(&told.text, "version");
    assert_eq!(running.send_form(&one, &form, &save("Mine", &now)).await.status, 303);
    assert_eq!(world.look::<String>(name).await, "Mine");
    // Also where the other took out what this one goes on with.
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select id from vicket.template_questions order by position")
        .fetch_all(&world.superuser)
        .await
        .expect("two questions");
    let (first, second) = (ids[0].to_string(), ids[1].to_string());
    let version = super::hidden(&running.page(&one, &form).await.text, "version");
    let whole = |version: &str, second: &str| {
        with(fields("save"), &[("version", version), ("questions[0].id", first.as_str()), ("questions[1].id", second)])
    };
    let less: Vec<_> = whole(&version, "").into_iter().filter(|(name, _)| !name.starts_with("questions[1]")).collect();
    assert_eq!(running.send_form(&other, &form, &less).await.status, 303);
    let told = running.send_form(&one, &form, &whole(&version, &second)).await;
    assert_eq!(told.status, 409, "{}", told.text);
    let (now, renewed) = (super::hidden(&told.text, "version"), super::hidden(&told.text, "questions[1].id"));
    assert_eq!((super::hidden(&told.text, "questions[0].id"), renewed.as_str()), (first.clone(), ""));
    let saved = running.send_form(&one, &form, &whole(&now, &renewed)).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    assert_eq!(world.look::<i64>("select count(*) from vicket.template_questions").await, 2);
}
