//! News of the inbox, as server-sent events. An event says only that something changed; the page then asks for itself again,
//! and shows what its person may see.
//!
//! Each round enters the org anew: a session that ended, a membership that was lost and a team that was left end the stream
//! or change what it tells. No connection of the database is held in between.

use std::{sync::Arc, time::Duration};

use futures_util::stream;
use poem::{
    handler,
    web::sse::{Event, SSE},
};
use tokio::sync::watch;

use crate::{
    auth::agent,
    dashboard::frame::org_context::OrgContext,
    db::Access,
    domain::{permissions::Permission, problem::Problem},
    state::App,
    store,
};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(2);
/// How often the stream says that it lives: proxies close silent ones, and a browser that went away is noticed by writing.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The browser asks again this many milliseconds after the stream ends.
const RETRY: u64 = 3000;

#[handler]
pub async fn listen(context: OrgContext) -> Result<SSE, Problem> {
    let mut tx = context.enter(Access::Read, Permission::TicketRead).await?;
    let latest = store::tickets::inbox::latest_change(&mut tx).await;
    let latest = tx.finish(latest).await?;
    let listener = Listener {
        app: Arc::clone(&context.app),
        caller: context.caller(Some(context.org_digest()))?,
        latest,
        stopping: context.app.stopping.subscribe(),
        greeted: false,
    };
    let events =
        stream::unfold(listener, |mut listener| async { listener.next().await.map(|event| (event, listener)) });
    Ok(SSE::new(events).keep_alive(KEEP_ALIVE))
}

/// Whoever listens to an org's stream.
struct Listener {
    app: Arc<App>,
    caller: agent::AgentCaller,
    latest: Option<i64>,
    stopping: watch::Receiver<bool>,
    greeted: bool,
}

impl Listener {
    /// The next event; none when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(Event::retry(RETRY));
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
            let latest = self.latest_change().await.ok()?;
            if latest != self.latest {
                self.latest = latest;
                return Some(Event::message("{}").event_type("change"));
            }
        }
    }

    async fn latest_change(&self) -> Result<Option<i64>, Problem> {
        let mut tx = self.caller.enter(&self.app, Access::Read, &mut Vec::new()).await?;
        let may = tx.actor().is_some_and(|actor| actor.may(Permission::TicketRead));
        let latest = if may {
            store::tickets::inbox::latest_change(&mut tx).await
        } else {
            Err(Problem::permission_required(Permission::TicketRead))
        };
        tx.finish(latest).await
    }
}
