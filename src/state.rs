//! What the process has besides a request: its gates, its limits, its buffers.

use std::sync::{Arc, atomic::AtomicBool};

use ipnet::IpNet;
use tokio::sync::watch;

use crate::{
    db::{AgentGate, WidgetGate, Worker},
    limits::Limits,
    memory_budget::MemoryBudget,
    objects::Objects,
    passwords::Hasher,
    response_cache::ResponseCache,
    usage::UsageBuffer,
};

/// What handlers need besides their credential.
pub struct App {
    pub gate: WidgetGate,
    pub agents: AgentGate,
    pub hasher: Hasher,
    pub worker: Arc<Worker>,
    pub usage: Arc<UsageBuffer>,
    pub limits: Limits,
    pub cache: ResponseCache,
    /// Where attachments are kept; the database when `None`.
    pub objects: Option<Objects>,
    pub uploads: MemoryBudget,
    pub downloads: MemoryBudget,
    /// Proxies whose X-Forwarded-For counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The origin under which people reach this server; that of each request when `None`.
    pub public_url: Option<String>,
    /// It was told to stop: not ready, and serving still.
    pub draining: AtomicBool,
    /// Says that the server stops: pages that wait for news end.
    pub stopping: watch::Sender<bool>,
}
