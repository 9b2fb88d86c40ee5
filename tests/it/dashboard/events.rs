//! News without a reload: each org its own, and nobody longer than they may see it.

use std::time::Duration;

use reqwest::{Method, Response};

use super::{Running, ask};
use crate::harness::{Person, World, ticket};

/// Longer than the server takes between two looks, on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// A stream whose greeting was read.
async fn listen(running: &Running, person: &Person, org: &str) -> Response {
    let request = ask(running, Method::GET, &format!("/dashboard/{org}/events")).header("cookie", &person.cookie);
    let mut stream = request.send().await.expect("an answer");
    assert_eq!(stream.status(), 200);
    assert_eq!(next(&mut stream).await.as_deref(), Some("retry: 3000\n\n"));
    stream
}

/// What comes next: `None` when the stream has ended.
async fn next(stream: &mut Response) -> Option<String> {
    let chunk = tokio::time::timeout(SOON, stream.chunk()).await.expect("soon").expect("a sound stream");
    chunk.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn a_ticket_is_news_to_its_own_org_only() {
    let world = World::new().await;
    let running = world.serve().await;
    let (own, rival) = (world.person("acme", "agent").await, world.person("globex", "owner").await);
    let mut theirs = listen(&running, &rival, "globex").await;
    let mut ours = listen(&running, &own, "acme").await;
    running.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    assert_eq!(next(&mut ours).await.as_deref(), Some("event: change\ndata: {}\n\n"));
    assert_eq!(next(&mut ours).await.as_deref(), Some(":\n\n"), "told once");
    // A sign of life, and no news; then their own.
    assert_eq!(next(&mut theirs).await.as_deref(), Some(":\n\n"));
    running.post(&world.site_c.key, "/support/v1/tickets", &ticket()).await.ok(201);
    assert_eq!(next(&mut theirs).await.as_deref(), Some("event: change\ndata: {}\n\n"));
}

#[tokio::test]
async fn a_stream_ends_with_the_session_and_with_the_membership() {
    let world = World::new().await;
    let running = world.serve().await;
    let leaves = world.person("acme", "agent").await;
    let removed = world.person("acme", "agent").await;
    let stays = world.person("acme", "agent").await;
    let mut left = listen(&running, &leaves, "acme").await;
    let mut gone = listen(&running, &removed, "acme").await;
    let mut kept = listen(&running, &stays, "acme").await;
    world.arrange(&format!("delete from vicket.sessions where user_id = '{}'", leaves.id)).await;
    world.arrange(&format!("delete from vicket.members where user_id = '{}'", removed.id)).await;
    assert_eq!(next(&mut left).await, None);
    assert_eq!(next(&mut gone).await, None);
    running.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    assert_eq!(next(&mut kept).await.as_deref(), Some("event: change\ndata: {}\n\n"));
}
