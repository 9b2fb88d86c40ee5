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
    running.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    assert_eq!(next(&mut left).await, None);
    assert_eq!(next(&mut gone).await, None);
    assert_eq!(next(&mut kept).await.as_deref(), Some("event: change\ndata: {}\n\n"));
}

/// An event reaches 200 streams within a second; with VICKET_LOAD, since others build on the machine of a developer.
#[tokio::test]
async fn an_event_reaches_each_of_two_hundred_streams_within_a_second() {
    let load = std::env::var_os("VICKET_LOAD").is_some();
    let (streams, within) = if load { (200, Duration::from_secs(1)) } else { (20, SOON) };
    let world = World::new().await;
    let running = world.serve_with(crate::harness::Options { limits: false, ..Default::default() }).await;
    let person = world.person("acme", "agent").await;
    let mut all = Vec::new();
    for _ in 0..streams {
        all.push(listen(&running, &person, "acme").await);
    }
    // Whoever began is looked for once more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let began = std::time::Instant::now();
    running.post(&world.site_a.key, "/support/v1/tickets", &ticket()).await.ok(201);
    let told = all.into_iter().map(|mut stream| async move {
        loop {
            match next(&mut stream).await.as_deref() {
                Some(":\n\n") => {}
                other => {
                    assert_eq!(other, Some("event: change\ndata: {}\n\n"));
                    return (began.elapsed(), stream);
                }
            }
        }
    });
    let all = futures_util::future::join_all(told).await;
    let last = all.iter().map(|(took, _)| *took).max().expect("streams");
    println!("{streams} streams, the last after {} ms", last.as_millis());
    assert!(last < within, "{last:?}");
    // Presence is news, too.
    let mut streams: Vec<Response> = all.into_iter().map(|(_, stream)| stream).take(2).collect();
    let id: String = world.look("select id::text from vicket.tickets").await;
    let other = world.person("acme", "viewer").await;
    running
        .call_as(&other, Method::PUT, &format!("/v1/orgs/acme/tickets/{id}/seen"), Some(&serde_json::json!({})))
        .await
        .ok(200);
    for stream in &mut streams {
        assert_eq!(next(stream).await.as_deref(), Some("event: change\ndata: {}\n\n"));
    }
}
