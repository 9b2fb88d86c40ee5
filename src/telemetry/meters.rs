//! What is counted while it happens. What can be asked for when somebody looks is not counted here (`metrics.rs`).

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

/// Upper bounds of a request's time, seconds.
const OF_REQUESTS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Of what stands before a statement: a connection, an entry.
const OF_ENTRIES: [f64; 10] = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 2.5];

pub type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The counters and histograms of one application.
#[derive(Debug)]
pub struct Meters {
    pub requests: Family<Answered, Counter>,
    /// Until the answer is made; of a stream, until it begins.
    pub request_seconds: Histograms<Route>,
    pub limit_refusals: Family<Limit, Counter>,
    pub event_streams: Gauge,
    /// Of the job that was worked on last, of each kind.
    pub job_rows_left: Family<JobKind, Gauge>,
    pub job_failures: Counter,
    /// Mail that came in, by what became of it.
    pub mail_in: Family<MailIn, Counter>,
    /// Tries of mail, by how they ended.
    pub mails: Family<MailTry, Counter>,
}

/// What becomes of mail, each of which is a series from the start: one that appears is no rise.
const IN: [&str; 9] = ["received", "duplicate", "refused", "deferred", "filed", "held", "ignored", "bounced", "failed"];
const OUT: [&str; 5] = ["sent", "bounced", "later", "failed", "suppressed"];

impl Default for Meters {
    fn default() -> Self {
        let (mail_in, mails) = (Family::<MailIn, Counter>::default(), Family::<MailTry, Counter>::default());
        for outcome in IN {
            mail_in.get_or_create(&MailIn { outcome }).inc_by(0);
        }
        for outcome in OUT {
            mails.get_or_create(&MailTry { outcome }).inc_by(0);
        }
        Self {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(OF_REQUESTS)),
            limit_refusals: Family::default(),
            event_streams: Gauge::default(),
            job_rows_left: Family::default(),
            job_failures: Counter::default(),
            mail_in,
            mails,
        }
    }
}

/// What a pool of connections costs those who need one.
#[derive(Clone, Debug)]
pub struct PoolMeters {
    /// For a connection.
    pub wait: Histogram,
    /// From a connection to a tenant: BEGIN where there is one, and the resolver; of a statement that enters for itself, all of it.
    pub enter: Histogram,
}

impl Default for PoolMeters {
    fn default() -> Self {
        Self { wait: Histogram::new(OF_ENTRIES), enter: Histogram::new(OF_ENTRIES) }
    }
}

/// A route as the documents write it, `/v1/orgs/{org}/tickets/{id}`: as many as there are routes, whatever is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template(Arc<str>);

impl Template {
    pub fn of(route: &str) -> Self {
        Self(route.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EncodeLabelValue for Template {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    pub surface: &'static str,
    pub route: Template,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    pub surface: &'static str,
    pub route: Template,
    pub method: &'static str,
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Limit {
    pub policy: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MailIn {
    /// `received`, `duplicate`, `refused` or `deferred` when it was handed over; then `filed`, `held`, `ignored`, `bounced` or
    /// `failed`.
    pub outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JobKind {
    pub kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MailTry {
    /// `sent`, `bounced`, `later`, `failed` or `suppressed`.
    pub outcome: &'static str,
}
