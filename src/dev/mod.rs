//! `vicket dev`: all of it on one machine. A private PostgreSQL in the data dir, migrations as a login that is no
//! superuser (as in production), the demo, the server.

pub mod content;
pub mod demo;
mod pages;
mod passwords;
pub mod postgres;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::{Notify, watch};

use crate::{
    cli::{DevArgs, Switch},
    commands::serve::{self, Listeners, Settings},
    db,
    intake::{Intake, listener::Protocol},
    limits::Limits,
    mail::{
        outbound::{Outgoing, sender::Sender, signing::Signing, transport::Transport},
        reply::Replies,
    },
    master_secret::MasterSecret,
    migrate::{self, Passwords},
    objects::Place,
    server,
    telemetry::traces::Traces,
};
use pages::{DemoPages, PageListeners};
use postgres::{Cluster, Durability, Programs};

const DATABASE: &str = "vicket";
/// Whom the demo's mail is from: a name that nobody has.
const MAIL_FROM: &str = "Vicket <vicket@mail.example.com>";
const MAIL_ADDRESS: &str = "vicket@mail.example.com";
/// Where the demo's mail is answered to.
const REPLY_DOMAIN: &str = "reply.example.com";
const DEPLOY_LOGIN: &str = "vicket_deploy";

/// `dev.json` in the data dir: what scripts and tests read.
#[derive(Debug, Serialize, Deserialize)]
pub struct DevFile {
    pub base_url: String,
    pub databases: Databases,
    pub users: Vec<demo::DemoUser>,
    pub sites: Vec<demo::DemoSite>,
    /// Where the support page of the first site is shown.
    #[serde(default)]
    pub pages: DemoPages,
    #[serde(default)]
    pub mail: DevMail,
}

/// Mail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DevMail {
    /// Where what was sent is, one `.eml` a message, unless --smtp-url says otherwise.
    pub dir: PathBuf,
    /// Where mail is taken in by LMTP.
    #[serde(default)]
    pub lmtp: String,
    /// The domain of reply addresses.
    #[serde(default)]
    pub reply_domain: String,
}

/// URLs of the databases' logins. `admin` is a superuser, for inspection; the others are the server's.
#[derive(Debug, Serialize, Deserialize)]
pub struct Databases {
    pub admin: String,
    pub widget: String,
    pub agent: String,
    /// The login of mail that comes in.
    #[serde(default)]
    pub mail: String,
    pub worker: String,
}

/// # Errors
/// When PostgreSQL cannot be had or started, the data does not fit, or the port is taken.
pub async fn run(args: DevArgs) -> anyhow::Result<()> {
    let began = Instant::now();
    serve::log(args.tuning.log_format, "warn,vicket=info");
    let stop = server::stop_signal()?;
    // Before anything is made: a taken port is the likeliest reason to fail.
    let mut listeners = Listeners::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)), args.tuning).await?;
    let lmtp = serve::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let taken_at = lmtp.local_addr()?;
    listeners.mail.push((Protocol::Lmtp, lmtp));
    let pages = PageListeners::bind(args.demo_ports).await;
    let dir = args.data_dir.as_path();
    if args.fresh {
        Cluster::remove(dir).await?;
        remove_file(&dev_file(dir))?;
        remove_file(&secret_file(dir))?;
        remove_mail(dir)?;
    }
    let mut stop = std::pin::pin!(stop);
    let starting = async { Cluster::start(&Programs::find().await?, dir, Durability::Durable).await };
    let cluster = tokio::select! {
        cluster = starting => cluster?,
        // A download may take minutes, and is given up at once.
        () = &mut stop => return Ok(()),
    };
    let outcome = serve_on(&cluster, &args, (listeners, pages, taken_at), began, stop).await;
    let stopped = cluster.stop().await;
    outcome.and(stopped)
}

async fn serve_on(
    cluster: &Cluster,
    args: &DevArgs,
    (listeners, pages, taken_at): (Listeners, PageListeners, SocketAddr),
    began: Instant,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(stop);
    let (dev, seeded) = tokio::select! {
        prepared = prepare(cluster, args, (listeners.clients.local_addr()?.port(), taken_at), pages.urls()) => prepared?,
        () = &mut stop => return Ok(()),
    };
    let secret = Arc::new(secret(&args.data_dir)?);
    let replies = Arc::new(Replies::new(Arc::clone(&secret), Some(REPLY_DOMAIN.to_owned())));
    let mut mail = outgoing(args, &dev, &replies)?;
    let reply_domain = Some(REPLY_DOMAIN.to_owned());
    let doctor = serve::doctor(args.dns_file.as_deref(), Some(&mail), reply_domain, Some("localhost".to_owned()))?;
    mail.signing = doctor.as_ref().map(|doctor| Signing::new(Arc::clone(&secret), Arc::clone(&doctor.dns)));
    // Without a file nobody is asked: a developer's machine may be offline.
    let dns = doctor.as_ref().filter(|_| args.dns_file.is_some()).map(|doctor| Arc::clone(&doctor.dns));
    let intake = Intake {
        replies: Some(Arc::clone(&replies)),
        dns,
        authserv_ids: Vec::new(),
        domains: Vec::new(),
        own: vec![MAIL_ADDRESS.to_owned()],
        received: Notify::new(),
    };
    let app = serve::build(Settings {
        widget_url: dev.databases.widget.clone(),
        widget_read_url: None,
        agent_url: dev.databases.agent.clone(),
        worker_url: dev.databases.worker.clone(),
        mail_url: Some(dev.databases.mail.clone()),
        intake: Some(intake),
        inbound_secrets: None,
        trusted_proxies: Vec::new(),
        public_url: None,
        attachments: Place::Database,
        secret: Some(secret),
        mail: Some(mail),
        doctor,
        shown_mail: args.smtp_url.is_none().then(|| dev.mail.dir.clone()),
        traces: Traces::from_environment()?,
        limits: if args.rate_limits == Switch::Off { Limits::off() } else { Limits::new() },
        tuning: args.tuning,
    })?;
    serve::check(&app).await?;
    introduce(&dev, &args.data_dir, seeded, began, app.shown_mail.is_some());
    if let Some(code) = serve::setup_code(&app).await? {
        println!("Code for the set-up: {code}\n");
    }
    let (stopped, stopping) = watch::channel(false);
    let shown = dev.sites.first().map(|site| pages.serve(&dev.base_url, &site.key, &stopping)).unwrap_or_default();
    let served = serve::serve(app, listeners, args.tuning, stop).await;
    let _ = stopped.send(true);
    for page in shown {
        let _ = page.await;
    }
    served
}

/// The secret of the server, made the first time.
fn secret(dir: &Path) -> anyhow::Result<MasterSecret> {
    let file = secret_file(dir);
    if !file.exists() {
        write_private(&file, format!("{}{}", passwords::random()?, passwords::random()?).as_bytes())?;
    }
    MasterSecret::read(&file)
}

/// Mail of `vicket dev` goes to a folder, where /dev/mail shows it.
fn outgoing(args: &DevArgs, dev: &DevFile, replies: &Arc<Replies>) -> anyhow::Result<Outgoing> {
    let transport = match &args.smtp_url {
        Some(url) => Transport::parse(url).context("--smtp-url (VICKET_SMTP_URL)")?,
        None => Transport::Folder(dev.mail.dir.clone()),
    };
    let from = MAIL_FROM.parse().context("the sender of the demo's mail")?;
    let sender = Sender { from, domains: Vec::new(), public_url: dev.base_url.clone() };
    Ok(Outgoing {
        transport,
        sender,
        first_wait: Duration::from_secs(args.mail_retry),
        replies: Some(Arc::clone(replies)),
        signing: None,
    })
}

/// Brings the cluster to the state that the server needs, and `dev.json` with it. The second value says whether the
/// demo was made now.
async fn prepare(
    cluster: &Cluster,
    args: &DevArgs,
    (port, taken_at): (u16, SocketAddr),
    pages: DemoPages,
) -> anyhow::Result<(DevFile, bool)> {
    let file = dev_file(&args.data_dir);
    let earlier = read(&file)?;
    let deploy_password = passwords::random()?;
    create_database(&cluster.superuser_url("postgres"), &deploy_password).await?;

    let passwords = Passwords {
        widget: Some(passwords::random()?),
        agent: Some(passwords::random()?),
        mail: Some(passwords::random()?),
        worker: Some(passwords::random()?),
    };
    let url =
        |login: &str, password: &str| format!("postgres://{login}:{password}@127.0.0.1:{}/{DATABASE}", cluster.port());
    let deploy = url(DEPLOY_LOGIN, &deploy_password);
    migrate::run(&deploy, &passwords).await?;
    let admin = cluster.superuser_url(DATABASE);
    let mut superuser = PgConnection::connect_with(&db::connect_options(&admin).await?).await?;
    migrate::harden(&mut superuser).await?;
    superuser.close().await?;

    let login = |name: &str, password: &Option<String>| url(name, password.as_deref().unwrap_or_default());
    let databases = Databases {
        admin,
        widget: login("vicket_gate_widget", &passwords.widget),
        agent: login("vicket_gate_agent", &passwords.agent),
        mail: login("vicket_gate_mail", &passwords.mail),
        worker: login("vicket_worker", &passwords.worker),
    };
    let base_url = format!("http://localhost:{port}");
    let mail = DevMail {
        dir: std::path::absolute(&args.data_dir)?.join("mail"),
        lmtp: taken_at.to_string(),
        reply_domain: REPLY_DOMAIN.to_owned(),
    };
    let operator = db::Operator::connect(&deploy).await?;
    // What was begun without the demo goes on without it.
    let begun_empty = earlier.as_ref().is_some_and(|dev| dev.sites.is_empty());
    if args.empty || begun_empty {
        anyhow::ensure!(
            begun_empty || !demo::exists(&operator).await?,
            "the database has the demo; --fresh --empty starts over without"
        );
        let dev =
            DevFile { base_url, databases, users: Vec::new(), sites: Vec::new(), pages: DemoPages::default(), mail };
        write(&file, &dev)?;
        return Ok((dev, false));
    }
    if demo::exists(&operator).await? {
        let DevFile { users, sites, .. } = earlier.with_context(|| {
            format!(
                "the database has the demo, but {} is gone and with it the demo's keys; --fresh starts over",
                file.display()
            )
        })?;
        let dev = DevFile { base_url, databases, users, sites, pages, mail };
        write(&file, &dev)?;
        return Ok((dev, false));
    }
    // The keys exist as text only now, so the file is written before what it describes is committed.
    let (demo, tx) = demo::seed(&operator, pages.allowed.as_deref()).await?;
    let dev = DevFile { base_url, databases, users: demo.users, sites: demo.sites, pages, mail };
    write(&file, &dev)?;
    tx.commit().await.map_err(|problem| anyhow::anyhow!("the demo could not be committed: {problem}"))?;
    Ok((dev, true))
}

/// The database and its deploying login, as a DBA would make them: CREATEROLE and owner, no superuser. PUBLIC may not
/// connect to any other database of the cluster.
async fn create_database(superuser_url: &str, deploy_password: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect_with(&db::connect_options(superuser_url).await?).await?;
    let verifier = postgres_protocol::password::scram_sha_256(deploy_password.as_bytes());
    let exists: bool = sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(DEPLOY_LOGIN)
        .fetch_one(&mut connection)
        .await?;
    let verb = if exists { "alter" } else { "create" };
    // The verifier is of our own making: base64, digits, `$` and `:`.
    let statement = format!("{verb} role {DEPLOY_LOGIN} login createrole password '{verifier}'");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        sqlx::raw_sql("create database vicket owner vicket_deploy").execute(&mut connection).await?;
    }
    sqlx::raw_sql("revoke all on database postgres, template1 from public").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

fn introduce(dev: &DevFile, dir: &Path, seeded: bool, began: Instant, shows_mail: bool) {
    println!(
        "Vicket is ready at {} after {:.2} s (Ctrl-C stops all of it)\n",
        dev.base_url,
        began.elapsed().as_secs_f64()
    );
    println!("  Dashboard  {}/dashboard", dev.base_url);
    if shows_mail {
        println!("  Mail       {}/dev/mail  (nothing leaves this machine)", dev.base_url);
    }
    println!("  Mail in    LMTP at {}, for mail to {}", dev.mail.lmtp, dev.mail.reply_domain);
    println!("  API docs   {0}/docs/support and {0}/docs/agent", dev.base_url);
    for url in [&dev.pages.allowed, &dev.pages.refused].into_iter().flatten() {
        // The site lists what it was made with: on other ports, later, both may be refused.
        let listed = dev.sites.first().is_some_and(|site| site.origins.contains(url));
        let (title, does) = if listed { ("Its page", "lists") } else { ("Refused", "does not list") };
        println!("  {title:<9}  {url}  (the first site's support page, from an origin that the site {does})");
    }
    println!("  For tools  {}  (URLs, keys, logins, databases)\n", dev_file(dir).display());
    for site in &dev.sites {
        let key = if seeded { site.key.as_str() } else { "not shown again" };
        println!("  {}/{:<15} key {key}", site.org, site.slug);
        println!("  {:<21} origins {}", "", site.origins.join(" "));
    }
    println!();
    for user in &dev.users {
        let password = if seeded { user.password.as_str() } else { "not shown again" };
        println!("  {:<7} {:<8} {:<24} password {password}", user.org, user.role, user.email);
    }
    if dev.users.is_empty() {
        println!("  No demo: whoever opens the dashboard first makes the first org there. (--fresh makes the demo.)");
    } else if !seeded {
        println!("\nKeys and passwords are shown once, as in production; since this is a demo, they stay in dev.json.");
    }
    if let Some(site) = dev.sites.first() {
        let key = if seeded {
            site.key.clone()
        } else {
            format!(
                "$(python3 -c 'import json; print(json.load(open(\"{}\"))[\"sites\"][0][\"key\"])')",
                dev_file(dir).display()
            )
        };
        println!(
            "\nTry it:\n  KEY={key}\n  curl -H \"X-Vicket-Key: $KEY\" {}/support/v1/help/articles\n",
            dev.base_url
        );
    }
}

fn dev_file(dir: &Path) -> std::path::PathBuf {
    dir.join("dev.json")
}

fn secret_file(dir: &Path) -> PathBuf {
    dir.join("secret.key")
}

fn read(file: &Path) -> anyhow::Result<Option<DevFile>> {
    match std::fs::read(file) {
        Ok(text) => {
            let dev = serde_json::from_slice(&text);
            dev.map(Some).with_context(|| format!("{} is damaged; --fresh starts over", file.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn write(file: &Path, dev: &DevFile) -> anyhow::Result<()> {
    write_private(file, &serde_json::to_vec_pretty(dev)?)
}

/// Writes the file whole or not at all, readable by its owner only: it holds keys and passwords.
fn write_private(file: &Path, text: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;

    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    remove_file(&fresh)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = (|| {
        let mut out = options.open(&fresh)?;
        out.write_all(text)?;
        out.write_all(b"\n")?;
        out.sync_all()?;
        std::fs::rename(&fresh, file)
    })();
    written.with_context(|| format!("cannot write {}", file.display()))
}

fn remove_mail(dir: &Path) -> anyhow::Result<()> {
    let mail = dir.join("mail");
    match std::fs::remove_dir_all(&mail) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", mail.display()))
        }
        _ => Ok(()),
    }
}

fn remove_file(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
