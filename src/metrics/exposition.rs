//! One scrape: each metric with its help, its type and what it is now.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, histogram::Histogram},
};

use crate::{
    db::{Pool, PoolStatus, refused_statements, unclean_sessions},
    readiness::{Counts, Reason},
    server::Clients,
    state::App,
    store::mails::Waiting,
};

/// What is written of.
pub struct Exposition {
    pub app: Arc<App>,
    pub clients: Clients,
    pub reasons: Vec<Reason>,
    pub counts: Counts,
    /// Mail that waits; of a server that sends, where the database says it.
    pub mail: Option<Waiting>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposition")
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(encoder);
        self.requests(&mut page)?;
        self.database(&mut page)?;
        self.proofs(&mut page)?;
        self.memory(&mut page)?;
        self.background(&mut page)?;
        self.mail(&mut page)?;
        self.readiness(&mut page)?;
        process(&mut page)
    }
}

impl Exposition {
    fn requests(&self, page: &mut Page) -> fmt::Result {
        let meters = &self.app.meters;
        page.family(
            "vicket_http_requests",
            "Requests by route, method and status; 499 for one whose client went away.",
            &meters.requests,
        )?;
        page.family(
            "vicket_http_request_duration_seconds",
            "Time until the answer was made; of a stream, until it began.",
            &meters.request_seconds,
        )?;
        page.family("vicket_limit_refusals", "Requests that a limit refused, by its policy.", &meters.limit_refusals)?;
        page.family("vicket_event_streams", "Pages that listen to a stream of events.", &meters.event_streams)?;
        page.gauge("vicket_client_connections", "Connections of clients.", self.clients.open())?;
        page.gauge(
            "vicket_client_connections_max",
            "Connections that there may be; more wait.",
            self.clients.most().into(),
        )?;
        page.counter(
            "vicket_client_connections_refused",
            "Connections that were closed because their network had its share.",
            self.clients.closed(),
        )
    }

    fn database(&self, page: &mut Page) -> fmt::Result {
        let pools: [(&'static str, &Pool); 3] =
            [("widget", self.app.gate.pool()), ("agent", self.app.agents.pool()), ("worker", self.app.worker.pool())];
        let pools = pools.map(|(name, pool)| (name, pool.status()));
        let of = |figure: fn(&PoolStatus) -> usize| {
            pools.iter().map(move |(name, status)| ([("pool", *name)], figure(status) as u64))
        };
        let by_state = pools.iter().flat_map(|(name, status)| {
            let label = |state| [("pool", *name), ("state", state)];
            [(label("used"), status.used as u64), (label("idle"), status.idle as u64)]
        });
        page.gauges("vicket_db_pool_connections", "Connections to PostgreSQL, by what they do.", by_state)?;
        page.gauges("vicket_db_pool_connections_max", "Connections that a pool may have.", of(|status| status.most))?;
        page.gauges("vicket_db_pool_waiting", "Requests that wait for a connection now.", of(|status| status.waiting))?;
        page.histograms(
            "vicket_db_pool_wait_seconds",
            "Time that a connection was waited for.",
            pools.iter().map(|(name, status)| (*name, &status.meters.wait)),
        )?;
        page.histograms(
            "vicket_db_enter_seconds",
            "Time to prove a credential and enter its tenant, once there was a connection.",
            pools[..2].iter().map(|(name, status)| (*name, &status.meters.enter)),
        )?;
        page.counter(
            "vicket_refused_statements",
            "Statements of our own that PostgreSQL refused (42501): a bug or an attack.",
            refused_statements(),
        )?;
        page.counter(
            "vicket_unclean_sessions",
            "Connections that were closed because a request had left something on their session.",
            unclean_sessions(),
        )
    }

    fn mail(&self, page: &mut Page) -> fmt::Result {
        page.family("vicket_mails", "Tries of mail, by how they ended.", &self.app.meters.mails)?;
        let Some(waiting) = self.mail else { return Ok(()) };
        page.gauge("vicket_mails_waiting", "Mails of orgs that wait, in the database.", waiting.mails.unsigned_abs())?;
        page.gauge(
            "vicket_mail_oldest_waiting_seconds",
            "How long the oldest of them waits.",
            Duration::try_from_secs_f64(waiting.oldest_seconds).unwrap_or_default().as_secs(),
        )?;
        page.gauge(
            "vicket_mail_dead_letters",
            "Mails that were given up, and wait for people.",
            waiting.given_up.unsigned_abs(),
        )
    }

    fn proofs(&self, page: &mut Page) -> fmt::Result {
        let (keys, questions) = self.app.gate.proofs();
        page.counter(
            "vicket_proved_keys",
            "Publishable keys, and origins of preflights, that the database was asked about.",
            keys,
        )?;
        page.counter(
            "vicket_proof_round_trips",
            "Round trips that they took: who waits together travels together.",
            questions,
        )
    }

    fn memory(&self, page: &mut Page) -> fmt::Result {
        let (hits, misses) = self.app.cache.finds();
        page.counter("vicket_answer_cache_hits", "Answers that were kept and were served.", hits)?;
        page.counter("vicket_answer_cache_misses", "Answers that were not kept, and were made.", misses)?;
        page.gauge(
            "vicket_answer_cache_bytes",
            "Memory of kept answers, and what their encodings may take.",
            self.app.cache.bytes(),
        )?;
        let budgets = [
            ("text", self.app.text.taken()),
            ("uploads", self.app.uploads.taken()),
            ("downloads", self.app.downloads.taken()),
            ("mail", self.app.incoming.taken()),
        ];
        let taken = budgets.iter().map(|(budget, (taken, _))| ([("budget", *budget)], *taken));
        page.gauges("vicket_body_memory_bytes", "Memory of bodies under way.", taken)?;
        let most = budgets.iter().map(|(budget, (_, most))| ([("budget", *budget)], *most));
        page.gauges("vicket_body_memory_max_bytes", "Memory that bodies may take; more wait.", most)
    }

    fn background(&self, page: &mut Page) -> fmt::Result {
        let backlog = self.app.usage.backlog() as u64;
        page.gauge(
            "vicket_usage_backlog",
            "Articles, keys, sites and sessions whose use waits to be written.",
            backlog,
        )?;
        let failures = self.app.usage.failures();
        page.counter(
            "vicket_usage_flush_failures",
            "Batches of use that could not be written; they are kept.",
            failures,
        )?;
        let meters = &self.app.meters;
        page.family(
            "vicket_job_rows_left",
            "Rows left of the job that this process worked on last.",
            &meters.job_rows_left,
        )?;
        page.family("vicket_mail_in", "Mail that came in, by what became of it.", &meters.mail_in)?;
        page.family("vicket_job_failures", "Batches of jobs that failed; they are tried again.", &meters.job_failures)
    }

    fn readiness(&self, page: &mut Page) -> fmt::Result {
        let reasons =
            Reason::ALL.map(|reason| ([("reason", reason.as_str())], u64::from(self.reasons.contains(&reason))));
        page.gauges("vicket_not_ready", "1 for each reason of /readyz not to serve.", reasons)?;
        let counts = [
            ([("severity", "error")], self.counts.errors as u64),
            ([("severity", "warning")], self.counts.warnings as u64),
        ];
        page.gauges("vicket_isolation_findings", "What the last look at isolation found.", counts)?;
        let version = [([("version", env!("CARGO_PKG_VERSION"))], 1)];
        page.gauges("vicket_build_info", "1; which version this is.", version)
    }
}

/// What the system says of this process, by the names that Prometheus' own libraries use. Nothing where there is no /proc.
#[cfg(target_os = "linux")]
fn process(page: &mut Page) -> fmt::Result {
    let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
    if let Ok(stat) = process.stat() {
        let bytes = stat.rss.saturating_mul(procfs::page_size());
        page.gauge("process_resident_memory_bytes", "Memory in use.", bytes)?;
        #[expect(clippy::cast_precision_loss, reason = "hundreds of years of ticks fit")]
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let counter = ConstCounter::new(seconds);
        counter.encode(page.descriptor("process_cpu_seconds", "Time of processors used.", MetricType::Counter)?)?;
    }
    if let Ok(count) = process.fd_count() {
        page.gauge("process_open_fds", "Open file descriptors.", count as u64)?;
    }
    let most = process.limits().map(|limits| limits.max_open_files.soft_limit);
    if let Ok(procfs::process::LimitValue::Value(most)) = most {
        page.gauge("process_max_fds", "File descriptors that may be open.", most)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn process(_: &mut Page) -> fmt::Result {
    Ok(())
}

/// What is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn descriptor(
        &mut self,
        name: &'static str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    /// What was counted with labels of its own, or without any.
    fn family(&mut self, name: &'static str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        metric.encode(self.descriptor(name, help, metric.metric_type())?)
    }

    /// `name` is without `_total`.
    fn counter(&mut self, name: &'static str, help: &str, value: u64) -> fmt::Result {
        ConstCounter::new(value).encode(self.descriptor(name, help, MetricType::Counter)?)
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: u64) -> fmt::Result {
        ConstGauge::new(value).encode(self.descriptor(name, help, MetricType::Gauge)?)
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &'static str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, &'static str); N], u64)>,
    ) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histograms<'h>(
        &mut self,
        name: &'static str,
        help: &str,
        values: impl IntoIterator<Item = (&'static str, &'h Histogram)>,
    ) -> fmt::Result {
        let mut metric = self.descriptor(name, help, MetricType::Histogram)?;
        for (pool, histogram) in values {
            histogram.encode(metric.encode_family(&[("pool", pool)])?)?;
        }
        Ok(())
    }
}
