//! The request in progress, as its access line and its span will show it. It stands beside the task that answers, so that the
//! database says how long it took without every call handing it on.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    known::Known,
    meters::{Limit, Meters},
    traces::Span,
};

tokio::task_local! {
    static CURRENT: Arc<Seen>;
}

/// A request.
pub struct Seen {
    meters: Arc<Meters>,
    span: Span,
    known: Mutex<Known>,
}

impl Seen {
    pub fn new(meters: Arc<Meters>, span: Span) -> Arc<Self> {
        Arc::new(Self { meters, span, known: Mutex::default() })
    }

    /// What `work` does is done for this request.
    pub fn scope<F: Future>(self: &Arc<Self>, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(Arc::clone(self), work)
    }

    /// As [`Seen::scope`], for what does not wait.
    pub fn sync_scope<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Arc::clone(self), work)
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    pub fn known(&self) -> Known {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes what became known of the request in progress; nothing outside one.
pub fn note(change: impl FnOnce(&mut Known)) {
    let _ = CURRENT.try_with(|seen| change(&mut seen.lock()));
}

/// The request in progress is refused by a limit.
pub fn refused(policy: &'static str) {
    let _ = CURRENT.try_with(|seen| {
        seen.lock().limit = Some(policy);
        seen.meters.limit_refusals.get_or_create(&Limit { policy }).inc();
    });
}

/// The span of the request in progress, to hang others below; none outside one.
pub fn span() -> Span {
    CURRENT.try_with(|seen| seen.span.clone()).unwrap_or_default()
}
