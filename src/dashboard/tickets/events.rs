//! News of the inbox, as server-sent events. An event says only that something changed; the page then asks for itself again,
//! and shows what its person may see.
//!
//! One task of the process looks for what is new in all orgs that are listened to (`news.rs`), and wakes who listens. Whoever is
//! woken enters the org anew: a session that ended, a membership that was lost and a team that was left end the stream or change
//! what it tells, within half a minute when nothing is new. No connection of the database is held in between.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::stream;
use poem::{
    handler,
    web::sse::{Event, SSE},
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    auth::agent,
    dashboard::frame::org_context::OrgContext,
    db::Access,
    domain::{permissions::Permission, problem::Problem},
    state::App,
    store,
};

/// When nothing is new, it is asked all the same whether they may still listen.
const AT_LATEST: Duration = Duration::from_secs(30);
/// How often the stream says that it lives: proxies close silent ones, and a browser that went away is noticed by writing.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The browser asks again this many milliseconds after the stream ends.
const RETRY: u64 = 3000;

#[handler]
pub async fn listen(context: OrgContext) -> Result<SSE, Problem> {
    let mut tx = context.enter(Access::Read, Permission::TicketRead).await?;
    let news = store::news::mine(&mut tx).await;
    let (org_id, marks) = tx.finish(news).await?;
    let listener = Listener {
        app: Arc::clone(&context.app),
        caller: context.caller(Some(context.org_digest()))?,
        woken: context.app.news.listen(org_id),
        marks: marks.into_iter().collect(),
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
    woken: watch::Receiver<()>,
    /// What was new when they last looked.
    marks: HashSet<i64>,
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
                woken = self.woken.changed() => woken.ok()?,
                () = tokio::time::sleep(AT_LATEST) => {}
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
            let (_, marks) = self.look().await.ok()?;
            let marks: HashSet<i64> = marks.into_iter().collect();
            let new = !marks.is_subset(&self.marks);
            self.marks = marks;
            if new {
                return Some(Event::message("{}").event_type("change"));
            }
        }
    }

    /// What is new that they may see, when it is their turn.
    async fn look(&self) -> Result<(Uuid, Vec<i64>), Problem> {
        let _turn = self.app.news.turn().await;
        let mut tx = self.caller.enter(&self.app, Access::Read, &mut Vec::new()).await?;
        let may = tx.actor().is_some_and(|actor| actor.may(Permission::TicketRead));
        let news = if may {
            store::news::mine(&mut tx).await
        } else {
            Err(Problem::permission_required(Permission::TicketRead))
        };
        tx.finish(news).await
    }
}
