//! News of the inbox, as server-sent events. An event says only that something changed; the page then asks for itself again,
//! and shows what its person may see.
//!
//! Each round enters the org anew: a session that ended, a membership that was lost and a team that was left end the stream
//! or change what it tells. No connection of the database is held in between.

use std::{sync::Arc, time::Duration};

use poem::{Body, Response, http::header};
use tokio::io::{AsyncWriteExt as _, DuplexStream};

use super::page_context::PageContext;
use crate::{
    auth::agent,
    db::{Access, Credential},
    domain::{keys::Sha256Digest, problem::Problem},
    state::App,
    store,
};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(2);
/// Rounds without news after which the stream says that it lives: proxies close silent ones, and a browser that went
/// away is noticed by writing.
const QUIET_ROUNDS: u32 = 5;

pub async fn events(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let mut tx = context.enter(Access::Read, org, "ticket:read").await?;
    let latest = store::tickets::agent::latest_change(&mut tx).await;
    let latest = tx.finish(latest).await?;
    let (theirs, ours) = tokio::io::duplex(1024);
    let watch = Watch {
        app: Arc::clone(&context.app),
        session: context.session()?,
        org: Sha256Digest::of(org.as_bytes()),
        latest,
    };
    tokio::spawn(watch.run(ours));
    Ok(Response::builder()
        .content_type("text/event-stream")
        .header(header::CACHE_CONTROL, "no-store")
        .header("x-accel-buffering", "no")
        .body(Body::from_async_read(theirs)))
}

struct Watch {
    app: Arc<App>,
    session: Sha256Digest,
    org: Sha256Digest,
    latest: Option<i64>,
}

impl Watch {
    async fn run(mut self, mut to: DuplexStream) {
        let mut stopping = self.app.stopping.subscribe();
        let mut quiet = 0;
        // The browser asks again this many milliseconds after the stream ends.
        let mut said: &[u8] = b"retry: 3000\n\n";
        loop {
            // Whoever went away reads no more.
            if !said.is_empty() && to.write_all(said).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            quiet += 1;
            said = match self.look().await {
                Ok(latest) if latest != self.latest => {
                    self.latest = latest;
                    b"event: change\ndata: {}\n\n"
                }
                Ok(_) if quiet < QUIET_ROUNDS => b"",
                Ok(_) => b":\n\n",
                Err(_) => return,
            };
            if !said.is_empty() {
                quiet = 0;
            }
        }
    }

    async fn look(&self) -> Result<Option<i64>, Problem> {
        let mut tx = agent::enter(&self.app, Access::Read, Credential::Session(self.session), Some(self.org)).await?;
        let may = tx.actor().is_some_and(|actor| actor.may("ticket:read"));
        let latest = match may {
            true => store::tickets::agent::latest_change(&mut tx).await,
            false => Err(Problem::permission_required("ticket:read")),
        };
        tx.finish(latest).await
    }
}
