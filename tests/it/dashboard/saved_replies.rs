//! Saved replies: who has them, and how one gets into an answer.

use uuid::Uuid;

use crate::harness::World;

const PAGE: &str = "/dashboard/acme/replies";

#[tokio::test]
async fn whoever_answers_keeps_replies_and_nobody_else() {
    let world = World::new().await;
    let running = world.serve().await;
    let agent = world.person("acme", "agent").await;
    let viewer = world.person("acme", "viewer").await;
    let rival = world.person("globex", "owner").await;
    let form = [("name", "Refund <b>"), ("body", "Hi {customer}")];
    assert_eq!(running.page(&viewer, PAGE).await.status, 403);
    // A form of a page that they may see.
    let token = super::token(&running.page(&viewer, "/dashboard/acme/sites").await.text);
    let sent = running.form(&viewer, PAGE, &[form[0], form[1], ("form_token", &token)]).await;
    assert_eq!(sent.status, 403, "{}", sent.text);
    assert_eq!(running.page(&rival, PAGE).await.status, 404);
    assert_eq!(world.look::<i64>("select count(*) from vicket.saved_replies").await, 0);

    assert_eq!(running.send(&agent, PAGE, &form).await.status, 303);
    let again = running.send(&agent, PAGE, &form).await;
    assert_eq!(again.status, 409);
    assert!(again.text.contains("already") && again.text.contains("Hi {customer}</textarea>"), "{}", again.text);
    let list = running.page(&agent, PAGE).await.text;
    assert!(list.contains("Refund &#60;b&#62;") && !list.contains("Refund <b>"), "{list}");

    let id: Uuid = world.look("select id from vicket.saved_replies").await;
    let one = format!("{PAGE}/{id}");
    assert_eq!(running.send(&agent, &one, &[("action", "save"), ("name", " "), ("body", "x")]).await.status, 400);
    let changed = running.send(&agent, &one, &[("action", "save"), ("name", "Refund"), ("body", "Hello")]).await;
    assert_eq!(changed.status, 303, "{}", changed.text);
    let kept = "select name || ' ' || body || ' ' || (updated_by like 'agent-%') from vicket.saved_replies";
    assert_eq!(world.look::<String>(kept).await, "Refund Hello true");
    // Through one's own org neither.
    assert_eq!(running.page(&rival, &format!("/dashboard/globex/replies/{id}")).await.status, 404);
    assert_eq!(running.send(&agent, &one, &[("action", "delete")]).await.status, 400);
    assert_eq!(running.send(&agent, &one, &[("action", "delete"), ("sure", "yes")]).await.status, 303);
    let audited = "select string_agg(action, ' ' order by seq) from vicket.audit_log where object_kind = 'saved_reply'";
    assert_eq!(world.look::<String>(audited).await, "created updated deleted");
}

#[tokio::test]
async fn a_saved_reply_joins_what_was_typed_and_sends_nothing() {
    let world = World::new().await;
    let running = world.serve().await;
    let agent = world.person("acme", "agent").await;
    let viewer = world.person("acme", "viewer").await;
    running.post(&world.site_a.key, "/support/v1/tickets", &crate::harness::ticket()).await.ok(201);
    world
        .arrange(
            "insert into vicket.saved_replies (org_id, name, body, updated_by)
             select id, 'Hello of ' || slug, 'Hi {customer}, about {ticket}.' || chr(10) || '{agent}', 'cli' from vicket.orgs",
        )
        .await;
    let ticket: Uuid = world.look("select id from vicket.tickets").await;
    let reply = async |org: &str| -> Uuid {
        let sql = format!(
            "select r.id from vicket.saved_replies r join vicket.orgs o on o.id = r.org_id where o.slug = '{org}'"
        );
        world.look(&sql).await
    };
    let (own, foreign) = (reply("acme").await.to_string(), reply("globex").await.to_string());
    let path = format!("/dashboard/acme/inbox/{ticket}");
    let page = running.page(&agent, &path).await.text;
    assert!(page.contains("Hello of acme") && !page.contains("Hello of globex"), "{page}");
    assert!(!running.page(&viewer, &path).await.text.contains("Hello of acme"));

    let form = |saved| [("action", "insert"), ("saved", saved), ("reply", "Dear you.\r\n")];
    let filled = running.send(&agent, &path, &form(&own)).await;
    assert_eq!(filled.status, 200, "{}", filled.text);
    assert!(filled.text.contains("Dear you.\n\nHi Ada, about SITE-1.\nA agent of acme</textarea>"), "{}", filled.text);
    // One of another org is as one that was deleted meanwhile: what was typed stays.
    for gone in [foreign.as_str(), "00000000-0000-4000-8000-000000000000", ""] {
        let refused = running.send(&agent, &path, &form(gone)).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.text.contains("Dear you.") && refused.text.contains("This saved reply is gone"));
        assert!(!refused.text.contains("Hi Ada, about"), "{}", refused.text);
    }
    let token = super::token(&running.page(&viewer, &path).await.text);
    let [action, saved, typed] = form(&own);
    assert_eq!(running.form(&viewer, &path, &[action, saved, typed, ("form_token", &token)]).await.status, 403);
    assert_eq!(world.look::<i64>("select count(*) from vicket.ticket_messages where author = 'agent'").await, 0);
}
