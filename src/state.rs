//! What the process has besides a request: its gates, its limits, its buffers.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use ipnet::IpNet;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, watch};

use crate::{
    db::{AgentGate, MailGate, WidgetGate, Worker},
    domain::{
        keys::{SetupCode, Sha256Digest},
        problem::Problem,
    },
    intake::{Intake, keep::Keeper, secrets::Secrets},
    limits::Limits,
    mail::{doctor::Doctor, outbound::Outgoing},
    master_secret::MasterSecret,
    memory_budget::MemoryBudget,
    news::News,
    objects::Objects,
    passwords::Hasher,
    response_cache::{CacheKey, CachedResponse, ResponseCache},
    single_flight::SingleFlight,
    telemetry::{meters::Meters, traces::Traces},
    usage::UsageBuffer,
};

/// What handlers need besides their credential.
pub struct App {
    pub gate: WidgetGate,
    pub agents: AgentGate,
    pub hasher: Hasher,
    pub worker: Arc<Worker>,
    /// Of mail that comes in, where this server takes any.
    pub mail_gate: Option<MailGate>,
    pub usage: Arc<UsageBuffer>,
    /// Who waits for news of which org.
    pub news: Arc<News>,
    pub limits: Limits,
    /// Sessions and machine keys that were good lately, by themselves and with an org, and networks that an account logged in
    /// from: they are counted as themselves before
    /// the database is asked, and others as the networks that try them. Never a way in.
    pub known_callers: Cache<Sha256Digest, ()>,
    pub cache: ResponseCache,
    /// Answers that are being made, to be kept.
    pub flights: SingleFlight<CacheKey, Result<CachedResponse, Problem>>,
    /// Where attachments are kept; the database when `None`.
    pub objects: Option<Objects>,
    /// What the keys of the server are made of, where it has any.
    pub secret: Option<Arc<MasterSecret>>,
    /// How mail goes out; none is written for this server when `None`, and another may still send.
    pub mail: Option<Arc<Outgoing>>,
    /// What mail that comes in is judged by, where this server takes any.
    pub intake: Option<Arc<Intake>>,
    /// What keeps it, where this server takes any.
    pub keeper: Option<Keeper>,
    /// Of those who hand it over by HTTP; nobody does without.
    pub inbound_secrets: Option<Secrets>,
    /// Looks at the DNS of mail; `None` where nobody can be asked.
    pub doctor: Option<Arc<Doctor>>,
    /// A request may have written mail.
    pub mail_written: Arc<Notify>,
    /// The folder whose mail `/dev/mail` shows; only of `vicket dev`.
    pub shown_mail: Option<PathBuf>,
    /// Memory for bodies that are no files.
    pub text: MemoryBudget,
    pub uploads: MemoryBudget,
    pub downloads: MemoryBudget,
    /// For mail that comes in.
    pub incoming: MemoryBudget,
    /// What the first run asks for; in this process's log while there is neither an org nor a user.
    pub setup_code: SetupCode,
    pub meters: Arc<Meters>,
    pub traces: Traces,
    /// Proxies whose X-Forwarded-For counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The origin under which people reach this server; that of each request when `None`.
    pub public_url: Option<String>,
    /// It was told to stop: not ready, and serving still.
    pub draining: AtomicBool,
    /// Says that the server stops: pages that wait for news end.
    pub stopping: watch::Sender<bool>,
}
