//! `vicket serve`, and the server that `vicket dev` runs too.

use std::{
    future::Future,
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use ipnet::IpNet;
use quick_cache::sync::Cache;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::said;
use crate::{
    cli::{LogFormat, ServeArgs, Switch, Tuning},
    db::{AgentGate, MailGate, Pool, Start, WidgetGate, Worker},
    domain::keys::SetupCode,
    intake::{
        Intake,
        filing::{self, Clerk},
        imap::Reader,
        keep::Keeper,
        listener::{self, Desk, Protocol},
        mailbox::Mailbox,
        secrets::Secrets,
    },
    jobs,
    limits::Limits,
    mail::{
        dns::Dns,
        doctor::Doctor,
        outbound::{self, Outgoing, sender::Sender, signing::Signing, transport::Transport},
        reply::Replies,
    },
    master_secret::MasterSecret,
    memory_budget::MemoryBudget,
    metrics::{self, Metrics},
    news,
    objects::{self, Objects, Place},
    passwords::Hasher,
    readiness::{self, Reason},
    response_cache::ResponseCache,
    routes::Root,
    server::{self, Clients},
    single_flight::SingleFlight,
    state::App,
    store,
    telemetry::{meters::Meters, traces::Traces},
    usage::{self, UsageBuffer},
};

/// Connections of the worker: what flushes, works, cleans up and counts limits waits for none of the others.
const WORKER_CONNECTIONS: usize = 4;

/// Connections of the gate of mail.
const MAIL_CONNECTIONS: usize = 4;

/// What the server needs to run.
pub struct Settings {
    pub widget_url: String,
    /// The same login on a standby.
    pub widget_read_url: Option<String>,
    pub agent_url: String,
    pub worker_url: String,
    /// No mail comes in without the two.
    pub mail_url: Option<String>,
    pub intake: Option<Intake>,
    /// Nobody hands mail over by HTTP without.
    pub inbound_secrets: Option<Secrets>,
    pub trusted_proxies: Vec<IpNet>,
    pub public_url: Option<String>,
    pub limits: Limits,
    pub attachments: Place,
    /// What its keys are made of.
    pub secret: Option<Arc<MasterSecret>>,
    /// No mail goes out without.
    pub mail: Option<Outgoing>,
    pub doctor: Option<Arc<Doctor>>,
    /// The folder whose mail is shown at `/dev/mail`.
    pub shown_mail: Option<PathBuf>,
    pub traces: Traces,
    pub tuning: Tuning,
}

/// # Errors
/// When isolation would not hold, a database cannot be reached or the address cannot be listened on.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    log(args.tuning.log_format, "info");
    anyhow::ensure!(
        args.listen.ip().is_loopback() || args.public_url.is_some(),
        "where others than this machine can connect, say under which URL people reach the server: --public-url \
         (VICKET_PUBLIC_URL); it stands in links, and must not be what a request claims"
    );
    let stop = server::stop_signal()?;
    let secret = args.secret_key_file.as_deref().map(MasterSecret::read).transpose();
    let secret = secret.context("--secret-key-file (VICKET_SECRET_KEY_FILE)")?.map(Arc::new);
    anyhow::ensure!(
        args.mail.dns_file.is_none() || args.listen.ip().is_loopback(),
        "--dns-file is for trials: it is taken where the server listens on this machine alone"
    );
    let replies = secret.clone().map(|secret| Arc::new(Replies::new(secret, args.mail.reply_domain.clone())));
    let mut mail = outgoing(&args, replies.clone())?;
    let public_host = args.public_url.as_deref().and_then(|url| Url::parse(url).ok()?.host_str().map(str::to_owned));
    let reply_domain = args.mail.reply_domain.clone();
    let doctor = doctor(args.mail.dns_file.as_deref(), mail.as_ref(), reply_domain, public_host)?;
    let signs = args.mail.mail_signing == Switch::On;
    if let (Some(mail), Some(doctor), Some(secret), true) = (&mut mail, &doctor, &secret, signs) {
        mail.signing = Some(Signing::new(Arc::clone(secret), Arc::clone(&doctor.dns)));
    }
    let dns = doctor.as_ref().map(|doctor| Arc::clone(&doctor.dns));
    let intake = args.mail.mail_url.is_some().then(|| intake(&args, replies, dns));
    let (lmtp, smtp) = (args.mail.lmtp_listen, args.mail.smtp_listen);
    let inbound_secrets = args.mail.inbound_secrets_file.as_deref().map(Secrets::read).transpose();
    let inbound_secrets = inbound_secrets.context("--inbound-secrets-file (VICKET_INBOUND_SECRETS_FILE)")?;
    let mailbox = args.mail.imap_url.as_deref().map(Mailbox::parse).transpose();
    let mailbox = mailbox.context("--imap-url (VICKET_IMAP_URL)")?;
    let settings = Settings {
        widget_url: args.widget_url,
        widget_read_url: args.widget_read_url,
        agent_url: args.agent_url,
        worker_url: args.worker_url,
        mail_url: args.mail.mail_url,
        intake,
        inbound_secrets,
        trusted_proxies: args.trusted_proxies,
        public_url: args.public_url,
        limits: Limits::new(),
        attachments: args.attachments,
        secret,
        mail,
        doctor,
        shown_mail: None,
        traces: Traces::from_environment()?,
        tuning: args.tuning,
    };
    let app = build(settings)?;
    check(&app).await?;
    if let Some(code) = setup_code(&app).await? {
        tracing::warn!(code, "no org and no user yet: /dashboard/setup makes the first, and asks for this code");
    }
    let mut listeners = Listeners::bind(args.listen, args.tuning).await?;
    for (protocol, address, flag) in [(Protocol::Lmtp, lmtp, "--lmtp-listen"), (Protocol::Smtp, smtp, "--smtp-listen")]
    {
        if let Some(address) = address {
            listeners.mail.push((protocol, listen(address).await.context(flag)?));
        }
    }
    listeners.mailbox = mailbox;
    let metrics = listeners.metrics.as_ref().map(TcpListener::local_addr).transpose()?;
    let (address, metrics) = (listeners.clients.local_addr()?, metrics.map(tracing::field::display));
    tracing::info!(%address, metrics, "serving");
    serve(app, listeners, args.tuning, stop).await
}

/// How mail goes out, when it does.
fn outgoing(args: &ServeArgs, replies: Option<Arc<Replies>>) -> anyhow::Result<Option<Outgoing>> {
    let Some(url) = &args.mail.smtp_url else { return Ok(None) };
    let transport = Transport::parse(url).context("--smtp-url (VICKET_SMTP_URL)")?;
    let from = args.mail.mail_from.as_deref().context(
        "mail needs somebody whom it is from: --mail-from (VICKET_MAIL_FROM), such as \"Acme Support <support@acme.com>\"",
    )?;
    let from = from.parse().map_err(|error| anyhow::anyhow!("--mail-from (VICKET_MAIL_FROM): {error}"))?;
    let public_url = args.public_url.clone().unwrap_or_else(|| format!("http://{}", args.listen));
    let sender = Sender { from, domains: args.mail.mail_sender_domains.clone(), public_url };
    Ok(Some(Outgoing { transport, sender, first_wait: outbound::FIRST_WAIT, replies, signing: None }))
}

/// What mail that comes in is judged by.
fn intake(args: &ServeArgs, replies: Option<Arc<Replies>>, dns: Option<Arc<Dns>>) -> Intake {
    let from = args.mail.mail_from.as_deref().and_then(|from| from.parse::<lettre::message::Mailbox>().ok());
    Intake {
        replies,
        dns,
        authserv_ids: args.mail.authserv_ids.clone(),
        domains: args.mail.mail_sender_domains.clone(),
        own: from.map(|from| from.email.to_string()).into_iter().collect(),
        received: Notify::new(),
    }
}

/// Who looks at the DNS of mail: by the file, or by whom the system asks. A system that names nobody is no reason not to serve.
///
/// # Errors
/// When the file cannot be read.
pub fn doctor(
    dns_file: Option<&Path>,
    mail: Option<&Outgoing>,
    reply_domain: Option<String>,
    public_host: Option<String>,
) -> anyhow::Result<Option<Arc<Doctor>>> {
    let dns = match Dns::open(dns_file) {
        Ok(dns) => Arc::new(dns),
        Err(error) if dns_file.is_none() => {
            tracing::warn!("DNS cannot be asked: {error:#}");
            return Ok(None);
        }
        Err(error) => return Err(error.context("--dns-file")),
    };
    Ok(Some(Arc::new(Doctor {
        dns,
        sender_domain: mail.map(|mail| mail.domain().to_owned()),
        smtp_host: mail.and_then(|mail| mail.transport.host()).map(str::to_owned),
        reply_domain,
        public_host,
    })))
}

/// What the first run asks for, while it is still to come.
///
/// # Errors
/// When the database cannot be asked.
pub async fn setup_code(app: &App) -> anyhow::Result<Option<String>> {
    let due = store::users::first_run(&app.agents).await.map_err(said)?;
    Ok(due.then(|| app.setup_code.reveal()))
}

/// Log lines to standard error: VICKET_LOG or `default`.
pub fn log(format: LogFormat, default: &str) {
    let filter = unspoken(EnvFilter::try_from_env("VICKET_LOG").unwrap_or_else(|_| EnvFilter::new(default)));
    // Colours are for people: a log file or a collector would keep the escape sequences.
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours);
    // A second subscriber in one process (tests) is refused, and the first goes on.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        // A request's line has the request's id, once.
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
}

/// Without what a mailbox is sent, which is its password too, and without the texts whose HTML is read, whatever is asked for.
fn unspoken(filter: EnvFilter) -> EnvFilter {
    let silent = ["async_imap::imap_stream=off", "html5ever=off"];
    silent.iter().fold(filter, |filter, silent| filter.add_directive(silent.parse().expect("a directive")))
}

/// Sessions and machine keys that are remembered to be good.
const KNOWN_CALLERS: usize = 20_000;

/// The application over its three logins; connects when first asked.
///
/// # Errors
/// When a URL is none.
pub fn build(settings: Settings) -> anyhow::Result<Arc<App>> {
    let connections = usize::from(settings.tuning.widget_connections);
    let agents = usize::from(settings.tuning.agent_connections);
    let widget = |url: &str| Pool::new(url, connections, &Start::WIDGET);
    let replica = settings.widget_read_url.as_deref().map(widget).transpose().context("VICKET_WIDGET_READ_URL")?;
    let mail_gate = settings
        .mail_url
        .map(|url| Pool::new(&url, MAIL_CONNECTIONS, &Start::MAIL).context("VICKET_MAIL_URL").map(MailGate::new))
        .transpose()?;
    let (intake, meters, incoming) =
        (settings.intake.map(Arc::new), Arc::new(Meters::default()), MemoryBudget::of_mail());
    let keeper = mail_gate.clone().zip(intake.clone()).map(|(gate, intake)| Keeper {
        intake,
        gate,
        meters: Arc::clone(&meters),
        memory: incoming.clone(),
    });
    Ok(Arc::new(App {
        gate: WidgetGate::new(widget(&settings.widget_url).context("VICKET_WIDGET_URL")?, replica),
        agents: AgentGate::new(Pool::new(&settings.agent_url, agents, &Start::AGENT).context("VICKET_AGENT_URL")?),
        worker: Arc::new(Worker::new(
            Pool::new(&settings.worker_url, WORKER_CONNECTIONS, &Start::WORKER).context("VICKET_WORKER_URL")?,
        )),
        mail_gate,
        usage: Arc::new(UsageBuffer::default()),
        news: Arc::default(),
        limits: settings.limits,
        known_callers: Cache::new(KNOWN_CALLERS),
        cache: ResponseCache::new(settings.tuning.answer_cache_mib),
        flights: SingleFlight::default(),
        setup_code: SetupCode::mint(),
        trusted_proxies: settings.trusted_proxies,
        public_url: settings.public_url,
        meters,
        traces: settings.traces,
        hasher: Hasher::default(),
        objects: Objects::open(&settings.attachments)?,
        secret: settings.secret,
        mail: settings.mail.map(Arc::new),
        intake,
        keeper,
        inbound_secrets: settings.inbound_secrets,
        doctor: settings.doctor,
        mail_written: Arc::new(Notify::new()),
        shown_mail: settings.shown_mail,
        text: MemoryBudget::of_text(),
        uploads: MemoryBudget::of_files(),
        downloads: MemoryBudget::of_files(),
        incoming,
        draining: AtomicBool::new(false),
        stopping: tokio::sync::watch::Sender::new(false),
    }))
}

/// Refuses to start on a schema that is not the server's, and where isolation would not hold.
///
/// # Errors
/// With every reason.
pub async fn check(app: &App) -> anyhow::Result<()> {
    let findings = match readiness::all(app).await {
        Ok(findings) => findings,
        Err(problem) => {
            let unreachable = readiness::unreachable(app).await;
            anyhow::ensure!(!unreachable.is_empty(), said(problem).context("the start-up checks could not be run"));
            unreachable
        }
    };
    let Some(first) = findings.first() else { return Ok(()) };
    let said: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
    anyhow::ensure!(first.reason == Reason::Isolation, "refusing to start: {}", said.join("\n  "));
    anyhow::bail!("refusing to start, isolation would not hold:\n  {}", said.join("\n  "))
}

/// # Errors
/// When the address is taken or not ours.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Where the server listens.
pub struct Listeners {
    pub clients: TcpListener,
    /// For who scrapes the metrics; nobody does without.
    pub metrics: Option<TcpListener>,
    /// For mail servers that hand mail over.
    pub mail: Vec<(Protocol, TcpListener)>,
    /// Read for mail, which nobody hands over.
    pub mailbox: Option<Mailbox>,
}

impl Listeners {
    /// # Errors
    /// When an address is taken or not ours.
    pub async fn bind(clients: SocketAddr, tuning: Tuning) -> anyhow::Result<Self> {
        let clients = listen(clients).await?;
        let metrics = match tuning.metrics_listen {
            Some(address) => Some(listen(address).await.context("--metrics-listen (VICKET_METRICS_LISTEN)")?),
            None => None,
        };
        Ok(Self { clients, metrics, mail: Vec::new(), mailbox: None })
    }
}

/// Serves until `stop`, drains, and writes the last counts.
///
/// # Errors
/// When a task ended badly.
pub async fn serve(
    app: Arc<App>,
    listeners: Listeners,
    tuning: Tuning,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    if let Some(outgoing) = &app.mail {
        // Before the first request, so that what it writes goes out.
        store::mails::serve(&app.worker, outgoing.domain()).await.map_err(said)?;
    }
    let root = Root::new(Arc::clone(&app));
    let (stopped, stopping) = watch::channel(false);
    let telling = app.mail.clone().map(|outgoing| {
        tokio::spawn(outbound::accounts::run(
            outgoing,
            Arc::clone(&app.worker),
            Arc::clone(&app.meters),
            stopping.clone(),
        ))
    });
    let mailing = app.mail.clone().map(|outgoing| {
        let (worker, written) = (Arc::clone(&app.worker), Arc::clone(&app.mail_written));
        tokio::spawn(outbound::run(outgoing, worker, Arc::clone(&app.meters), written, stopping.clone()))
    });
    let mut taking = Vec::new();
    if let Some(keeper) = &app.keeper {
        let clerk = Clerk {
            intake: Arc::clone(&keeper.intake),
            worker: Arc::clone(&app.worker),
            objects: app.objects.clone(),
            meters: Arc::clone(&app.meters),
        };
        taking.push(tokio::spawn(filing::run(Arc::new(clerk), stopping.clone())));
        let desk = Arc::new(Desk {
            keeper: keeper.clone(),
            name: keeper.intake.reply_domain().unwrap_or("vicket").to_owned(),
            xclient: keeper.intake.tries_out(),
        });
        if let Some(mailbox) = listeners.mailbox {
            let reader = Reader::new(mailbox, keeper.clone(), Arc::clone(&app.worker));
            taking.push(tokio::spawn(reader.run(stopping.clone())));
        }
        for (protocol, listener) in listeners.mail {
            taking.push(tokio::spawn(listener::run(listener, protocol, Arc::clone(&desk), stopping.clone())));
        }
    }
    let counting = tokio::spawn(usage::run(Arc::clone(&app.usage), Arc::clone(&app.worker), stopping.clone()));
    let working = tokio::spawn(jobs::run(Arc::clone(&app.worker), Arc::clone(&app.meters), stopping.clone()));
    let watching = tokio::spawn(news::run(Arc::clone(&app.news), Arc::clone(&app.worker), stopping.clone()));
    // Until the last request is answered.
    let sharing = app.limits.share().map(|sharing| tokio::spawn(sharing.run(Arc::clone(&app.worker))));
    let cleaning = app
        .objects
        .clone()
        .map(|objects| tokio::spawn(objects::run(objects, Arc::clone(&app.worker), stopping.clone())));
    let stop = async {
        stop.await;
        // Whoever balances the load sees it before connections are refused.
        app.draining.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(tuning.drain_delay.into())).await;
        // What waits for news would otherwise be waited for.
        app.stopping.send_replace(true);
    };
    let clients = Clients::new(tuning.max_clients).with(tuning.max_clients_per_network, &app.trusted_proxies);
    let scraped = listeners.metrics.map(|listener| {
        let metrics = Metrics { app: Arc::clone(&app), clients: clients.clone(), ready: root.watch() };
        tokio::spawn(metrics::serve(listener, metrics, stopping))
    });
    server::serve(listeners.clients, root, clients, stop).await;
    if let Some(sharing) = sharing {
        sharing.abort();
    }
    tracing::info!("stopping: requests are drained, writing the last counts");
    let _ = stopped.send(true);
    counting.await.context("the counting task ended badly")?;
    working.await.context("the task that runs jobs ended badly")?;
    watching.await.context("the task that looks for news ended badly")?;
    if let Some(mailing) = mailing {
        mailing.await.context("the task that sends mail ended badly")?;
    }
    for taking in taking {
        taking.await.context("a task that takes mail in ended badly")?;
    }
    if let Some(telling) = telling {
        telling.await.context("the task that sends mail of accounts ended badly")?;
    }
    if let Some(cleaning) = cleaning {
        cleaning.await.context("the task that removes objects ended badly")?;
    }
    if let Some(scraped) = scraped {
        scraped.await.context("the task that serves metrics ended badly")?;
    }
    app.traces.shut_down().await;
    app.gate.pool().close();
    app.agents.pool().close();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_makes_the_log_say_what_a_mailbox_is_sent() {
        for asked in ["trace", "async_imap=trace", "async_imap::imap_stream=trace,info"] {
            let filter = unspoken(EnvFilter::new(asked)).to_string();
            let of_it: Vec<&str> =
                filter.split(',').filter(|part| part.starts_with("async_imap::imap_stream")).collect();
            assert_eq!(of_it, ["async_imap::imap_stream=off"], "{asked}: {filter}");
        }
    }
}
