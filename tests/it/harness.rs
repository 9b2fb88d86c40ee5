//! A cluster per run, a database per test, a server per wish.
//!
//! PostgreSQL comes from `vicket dev`'s own module (found, or downloaded), or from `TEST_DATABASE_URL`: a superuser of a
//! server that may be spoilt. Databases are copies of one template, migrated as a login that is no superuser. Tests
//! talk to the server over HTTP, or to the database as the logins that the server uses; `World::superuser` is for
//! arranging and for looking behind the curtain.

#![allow(dead_code, reason = "helpers that only some tests need")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, RequestBuilder};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::{sync::oneshot, task::JoinHandle};
use uuid::Uuid;
use vicket::{
    cli::{LogFormat, Tuning},
    commands::serve::{self, Listeners, Settings},
    db::{self, Access, AgentEntryRequest, AgentGate, AgentVerdict, Credential, Operator, OrgTx, Pool, Start},
    dev::postgres::{Cluster, Durability, Programs},
    domain::{
        keys::{PublishableKey, SessionToken, Sha256Digest},
        origins::Origin,
        problem::Problem,
        text::{OrgName, SiteName, Slug},
    },
    intake::{Intake, listener::Protocol, mailbox::Mailbox, secrets::Secrets},
    limits::Limits,
    mail::{doctor::Doctor, outbound::Outgoing},
    master_secret::MasterSecret,
    migrate::{self, Passwords, Patience},
    migrations::files::Files,
    objects::Place,
    state::App,
    store,
    telemetry::traces::Traces,
};

pub const DEPLOY: &str = "vicket_test_deploy";
const PASSWORD: &str = "test-only";
const TEMPLATE: &str = "vicket_test_template";

/// The server of this run.
struct Server {
    superuser_url: String,
    _cluster: Option<Cluster>,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

fn server() -> &'static Server {
    // A runtime of its own, because the first test's ends with that test.
    SERVER.get_or_init(|| {
        std::thread::spawn(|| {
            tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
                let server = start().await;
                make_template(&server.superuser_url).await;
                server
            })
        })
        .join()
        .expect("PostgreSQL starts and the template is made")
    })
}

async fn start() -> Server {
    if let Ok(superuser_url) = std::env::var("TEST_DATABASE_URL") {
        return Server { superuser_url, _cluster: None };
    }
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    sweep(&base).await;
    let programs = Programs::find().await.expect("PostgreSQL's programs");
    let dir = base.join(format!("cluster-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("the target directory is writable");
    let cluster = Cluster::start(&programs, &dir, Durability::Throwaway).await.expect("PostgreSQL starts");
    Server { superuser_url: cluster.superuser_url("postgres"), _cluster: Some(cluster) }
}

/// Removes what earlier runs left.
async fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("cluster-")?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) && Path::new("/proc/self").exists()
        {
            let _ = Cluster::remove(&entry.path()).await;
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// `url` with another login and database.
fn url_of(login: Option<&str>, database: &str) -> String {
    let mut url = url::Url::parse(&server_url()).expect("a URL");
    if let Some(login) = login {
        url.set_username(login).expect("a login");
        url.set_password(Some(PASSWORD)).expect("a password");
    }
    url.set_path(database);
    url.into()
}

fn server_url() -> String {
    SERVER.get().map_or_else(String::new, |server| server.superuser_url.clone())
}

async fn make_template(superuser_url: &str) {
    let mut superuser = connect(superuser_url).await;
    for statement in [
        format!("drop database if exists {TEMPLATE}"),
        format!(
            "do $$ begin create role {DEPLOY} login createrole password '{PASSWORD}'; \
             exception when duplicate_object then null; end $$"
        ),
        format!("alter role {DEPLOY} login createrole password '{PASSWORD}'"),
        format!("create database {TEMPLATE} owner {DEPLOY}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut superuser).await.expect("arranging");
    }
    let mut url = url::Url::parse(superuser_url).expect("a URL");
    url.set_path(TEMPLATE);
    let superuser_of_template = url.to_string();
    url.set_username(DEPLOY).expect("a login");
    url.set_password(Some(PASSWORD)).expect("a password");
    let password = || Some(PASSWORD.to_owned());
    let passwords = Passwords { widget: password(), agent: password(), mail: password(), worker: password() };
    // What is generated may come of migrations that differ from what was generated.
    let files = if std::env::var_os("VICKET_BLESS").is_some() { Files::embedded().draft() } else { Files::embedded() };
    let migrated = migrate::run_files(url.as_str(), &passwords, &files, &Patience::default()).await;
    migrated.expect("migrating as a login that is no superuser; after a change of migrations/: just isolation");
    let mut superuser = connect(&superuser_of_template).await;
    migrate::harden(&mut superuser).await.expect("hardening as a superuser");
    superuser.close().await.expect("closing");
}

pub async fn connect(url: &str) -> PgConnection {
    PgConnection::connect_with(&db::connect_options(url).await.expect("a URL")).await.expect("connecting")
}

/// A site with its key.
pub struct Site {
    pub org: &'static str,
    pub slug: &'static str,
    pub org_id: Uuid,
    pub id: Uuid,
    pub key: String,
    pub origin: &'static str,
}

/// A fresh database with two orgs: `site_a` and `site_b` are of `acme`, `site_c` is of `globex`. Each has a published and
/// a draft article and FAQ, each org one published article and FAQ for all its sites.
pub struct World {
    pub database: String,
    pub superuser: PgPool,
    pub operator: Operator,
    pub site_a: Site,
    pub site_b: Site,
    pub site_c: Site,
}

impl World {
    pub async fn new() -> Self {
        let database = empty_database().await;
        let operator = Operator::connect(&url_of(Some(DEPLOY), &database)).await.expect("the deploying login");
        let superuser = PgPoolOptions::new()
            .max_connections(3)
            .connect(&url_of(None, &database))
            .await
            .expect("the superuser, for arranging");
        let mut tx = operator.begin().await.expect("begin");
        org(&mut tx, "acme").await;
        let site_a = site(&mut tx, "acme", "site-a", "https://a.example").await;
        let site_b = site(&mut tx, "acme", "site-b", "https://b.example").await;
        org(&mut tx, "globex").await;
        let site_c = site(&mut tx, "globex", "site-c", "https://c.example").await;
        tx.commit().await.expect("commit");
        Self { database, superuser, operator, site_a, site_b, site_c }
    }

    /// The URL of a login of this database: `vicket_gate_widget`, `vicket_gate_agent`, `vicket_worker`, or [`DEPLOY`].
    pub fn url(&self, login: &str) -> String {
        url_of(Some(login), &self.database)
    }

    /// A connection of the widget's gate, as the server has: no superuser, no BYPASSRLS.
    pub async fn gate(&self) -> PgConnection {
        connect(&self.url("vicket_gate_widget")).await
    }

    /// A transaction within an org, as the administration commands have. Commit it yourself.
    pub async fn org(&self, slug: &str) -> OrgTx {
        self.operator.enter(slug).await.expect("the org is there")
    }

    /// Runs one statement as the superuser, for arranging.
    pub async fn arrange(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.superuser).await.expect(sql);
    }

    /// Adds messages of the customer's to a ticket, a microsecond from each other; `body` is SQL in which `n` counts from 1.
    pub async fn converse(&self, ticket: &str, count: u32, body: &str) {
        self.arrange(&format!(
            "insert into vicket.ticket_messages (org_id, site_id, ticket_id, author_name, body, created_at)
              select t.org_id, t.site_id, t.id, t.name, {body}, now() + n * interval '1 microsecond'
              from vicket.tickets t
              cross join generate_series(1, {count}) n
              where t.id = '{ticket}'
              order by n"
        ))
        .await;
    }

    /// One value as the superuser, for looking.
    pub async fn look<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.superuser).await.expect(sql)
    }

    /// Publishes an article; `site: None` is for all sites of the org.
    pub async fn publish(&self, org: &str, site: Option<Uuid>, slug: &str, title: &str, body: &str) {
        let mut tx = self.org(org).await;
        article(&mut tx, site, slug, title, body, true).await;
        tx.commit().await.expect("commit");
    }

    /// The real server, on a port of its own, with the default settings.
    pub async fn serve(&self) -> Running {
        self.serve_with(Options::default()).await
    }

    pub async fn serve_with(&self, options: Options) -> Running {
        self.serve_through(self.url("vicket_gate_widget"), self.url("vicket_gate_agent"), options).await
    }

    /// As [`World::serve_with`], with another way to the database of the gates.
    pub async fn serve_through(&self, widget_url: String, agent_url: String, options: Options) -> Running {
        let tuning = Tuning {
            widget_connections: options.connections,
            agent_connections: options.connections,
            max_clients: 1000,
            max_clients_per_network: Some(options.connections_per_network),
            drain_delay: options.drain_delay,
            answer_cache_mib: options.answer_cache_mib,
            metrics_listen: options.metrics.then_some(([127, 0, 0, 1], 0).into()),
            log_format: LogFormat::Text,
        };
        let app = serve::build(Settings {
            widget_url,
            widget_read_url: None,
            agent_url,
            worker_url: self.url("vicket_worker"),
            trusted_proxies: options.trusted_proxies.iter().map(|net| net.parse().expect("a network")).collect(),
            public_url: options.public_url.map(str::to_owned),
            limits: if options.limits { Limits::new() } else { Limits::off() },
            attachments: options.attachments,
            mail_url: options.intake.is_some().then(|| self.url("vicket_gate_mail")),
            intake: options.intake,
            inbound_secrets: options.inbound_secrets,
            secret: options.secret.map(|text| Arc::new(MasterSecret::of_lines(text).expect("a secret"))),
            doctor: options.doctor,
            mail: options.mail,
            shown_mail: None,
            traces: Traces::default(),
            tuning,
        })
        .expect("URLs");
        serve::check(&app).await.expect("isolation holds");
        let mut listeners = Listeners::bind(([127, 0, 0, 1], 0).into(), tuning).await.expect("a port");
        for protocol in [Protocol::Lmtp, Protocol::Smtp].into_iter().filter(|_| app.intake.is_some()) {
            listeners.mail.push((protocol, serve::listen(([127, 0, 0, 1], 0).into()).await.expect("a port")));
        }
        listeners.mailbox = options.mailbox;
        let mail = listeners.mail.iter().map(|(_, listener)| listener.local_addr().expect("bound")).collect();
        let base = format!("http://{}", listeners.clients.local_addr().expect("bound"));
        let metrics = listeners.metrics.as_ref().map(|listener| listener.local_addr().expect("bound"));
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::clone(&app);
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve::serve(served, listeners, tuning, stopped).await.expect("serving");
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
        Running { app, base, metrics, mail, client, stop: Some(stop), task: Some(task) }
    }
}

/// Somebody who is logged in.
pub struct Person {
    pub id: Uuid,
    pub email: String,
    /// The value of the header `Cookie`.
    pub cookie: String,
    /// What the gate is knocked with.
    pub session: Sha256Digest,
}

impl World {
    /// Somebody who is logged in and works for `org`; in the role of nobody, for none.
    pub async fn person(&self, org: &str, role: &str) -> Person {
        let token = SessionToken::mint();
        let hash = token.digest().to_hex();
        let id = Uuid::new_v4();
        let email = format!("{role}-{}@{org}.example", &id.to_string()[..8]);
        self.arrange(&format!(
            "insert into vicket.users (id, email, name) values ('{id}', '{email}', 'A {role} of {org}');
            insert into vicket.sessions (user_id, token_hash) values ('{id}', '\\x{hash}')"
        ))
        .await;
        if role != "nobody" {
            self.join(id, org, role).await;
        }
        Person { id, email, cookie: format!("vicket_session={}", token.reveal()), session: token.digest() }
    }

    /// Makes somebody work for another org too.
    pub async fn join(&self, user_id: Uuid, org: &str, role: &str) {
        self.arrange(&format!(
            "insert into vicket.members (org_id, user_id, role)
            select id, '{user_id}', '{role}' from vicket.orgs where slug = '{org}'"
        ))
        .await;
    }

    /// Enters an org as somebody would over HTTP: through the agents' gate, as the server does.
    pub async fn enter(&self, gate: &AgentGate, person: &Person, org: &str, access: Access) -> AgentVerdict {
        let entry_request = AgentEntryRequest {
            access,
            credential: Credential::Session(person.session),
            org: Some(Sha256Digest::of(org.as_bytes())),
            request_id: "test",
        };
        gate.enter(&entry_request).await.expect("the gate answers")
    }

    /// As [`World::enter`], when it must be let in.
    pub async fn agent(&self, gate: &AgentGate, person: &Person, org: &str) -> OrgTx {
        match self.enter(gate, person, org, Access::Write).await {
            AgentVerdict::Entered(tx) => tx,
            AgentVerdict::NoOrg | AgentVerdict::Unknown => panic!("{} was not let into {org}", person.email),
        }
    }

    /// The agents' gate, with a few connections.
    pub fn agent_gate(&self) -> AgentGate {
        AgentGate::new(Pool::new(&self.url("vicket_gate_agent"), 3, &Start::AGENT).expect("a URL"))
    }
}

/// An empty database with the schema, a copy of the template.
pub async fn empty_database() -> String {
    let mut superuser = connect(&server().superuser_url).await;
    let database = format!("vicket_test_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    for statement in [
        format!("create database {database} template {TEMPLATE} owner {DEPLOY} allow_connections false"),
        // A copy does not inherit the privileges of the database itself. PUBLIC never gets in: other tests' audits look.
        format!("revoke all on database {database} from public"),
        format!(
            "grant connect on database {database}
             to vicket_gate_widget, vicket_gate_agent, vicket_gate_mail, vicket_worker, vicket_auditor"
        ),
        format!("alter database {database} allow_connections true"),
    ] {
        // Two copies at once may find the template in use.
        let mut tries = 0;
        while let Err(error) = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut superuser).await {
            tries += 1;
            assert!(tries < 100, "{statement}: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    superuser.close().await.expect("closing");
    database
}

/// A URL of this run's PostgreSQL: as the superuser, or as a login with the tests' password.
pub fn url(login: Option<&str>, database: &str) -> String {
    server();
    url_of(login, database)
}

async fn org(tx: &mut OrgTx, slug: &str) {
    store::orgs::create(tx, &Slug::known(slug), &OrgName::known(slug)).await.expect("an org");
    tx.enter(slug).await.expect("entered");
    article(tx, None, "for-all-sites", &format!("For all sites of {slug}"), "For **all** sites.", true).await;
    faq(tx, None, &format!("A question for all sites of {slug}?"), true).await;
}

async fn site(tx: &mut OrgTx, org: &'static str, slug: &'static str, origin: &'static str) -> Site {
    let site = store::sites::create(tx, &Slug::known(slug), &SiteName::known(slug), None).await.expect("a site");
    store::sites::add_origin(tx, site.id, &Origin::parse(origin).expect("an origin")).await.expect("listed");
    let key: PublishableKey = store::site_keys::create(tx, site.id).await.expect("a key");
    article(tx, Some(site.id), &format!("{slug}-published"), &format!("Published on {slug}"), "Hello *you*.", true)
        .await;
    article(tx, Some(site.id), &format!("{slug}-draft"), &format!("Draft on {slug}"), "Not yet.", false).await;
    faq(tx, Some(site.id), &format!("A question of {slug}?"), true).await;
    faq(tx, Some(site.id), &format!("A draft question of {slug}?"), false).await;
    let org_id: Uuid = sqlx::query_scalar("select ctx.org_id()").fetch_one(tx.connection()).await.expect("entered");
    Site { org, slug, org_id, id: site.id, key: key.reveal().to_owned(), origin }
}

pub async fn article(tx: &mut OrgTx, site_id: Option<Uuid>, slug: &str, title: &str, body: &str, published: bool) {
    let new = vicket::dev::content::NewArticle { site_id, slug, title, body_markdown: body, published };
    vicket::dev::content::insert_article(tx, &new).await.expect("an article");
}

pub async fn faq(tx: &mut OrgTx, site_id: Option<Uuid>, question: &str, published: bool) {
    let new = vicket::dev::content::NewFaq { site_id, question, answer_markdown: "*Yes.*", position: 1, published };
    vicket::dev::content::insert_faq(tx, &new).await.expect("a FAQ");
}

/// How a test's server differs from the default.
pub struct Options {
    pub connections: u16,
    pub limits: bool,
    pub drain_delay: u16,
    /// Of clients, from one network.
    pub connections_per_network: u32,
    pub answer_cache_mib: u64,
    pub trusted_proxies: &'static [&'static str],
    pub public_url: Option<&'static str>,
    pub attachments: Place,
    pub mail: Option<Outgoing>,
    /// Takes mail in.
    pub intake: Option<Intake>,
    /// Of those who hand mail over by HTTP.
    pub inbound_secrets: Option<Secrets>,
    /// Is read by IMAP.
    pub mailbox: Option<Mailbox>,
    pub doctor: Option<Arc<Doctor>>,
    pub secret: Option<&'static str>,
    pub metrics: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 4,
            limits: true,
            drain_delay: 0,
            connections_per_network: 1000,
            answer_cache_mib: 8,
            trusted_proxies: &[],
            public_url: None,
            attachments: Place::Database,
            mail: None,
            intake: None,
            inbound_secrets: None,
            mailbox: None,
            doctor: None,
            secret: None,
            metrics: false,
        }
    }
}

/// A server that answers.
pub struct Running {
    pub app: Arc<App>,
    pub base: String,
    /// Where the metrics are.
    pub metrics: Option<SocketAddr>,
    /// Where mail is taken in, by LMTP and SMTP.
    pub mail: Vec<SocketAddr>,
    pub client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, key: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).header("X-Vicket-Key", key)).await
    }

    pub async fn post(&self, key: &str, path: &str, body: &serde_json::Value) -> Answer {
        Answer::of(self.request(Method::POST, path).header("X-Vicket-Key", key).json(body)).await
    }

    /// A call of somebody who is logged in, from our own page.
    pub async fn call_as(
        &self,
        person: &Person,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Answer {
        let mut request = self.request(method, path).header("Cookie", &person.cookie).header("Origin", &self.base);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request).await
    }

    /// What a scraper reads.
    pub async fn scrape(&self) -> String {
        let url = format!("http://{}/metrics", self.metrics.expect("asked for in the options"));
        let answer = Answer::of(self.client.get(url)).await;
        answer.ok(200);
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        answer.text
    }

    /// Stops accepting, drains, writes the last counts.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(task) = self.task.take() {
            task.await.expect("an orderly end");
        }
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

/// The text of a body, in whichever coding it was sent.
fn decoded(coding: Option<&reqwest::header::HeaderValue>, body: &[u8]) -> String {
    use std::io::Read as _;
    let mut text = Vec::new();
    match coding.map(reqwest::header::HeaderValue::as_bytes) {
        None => return String::from_utf8_lossy(body).into_owned(),
        Some(b"gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut text),
        Some(b"br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut text),
        Some(_) => panic!("nobody asked for {coding:?}"),
    }
    .expect("a sound encoding");
    String::from_utf8(text).expect("text")
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a body");
        let text = if body.is_empty() { String::new() } else { decoded(headers.get("content-encoding"), &body) };
        Self { status, headers, text }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// The `code` of a problem; the body must be one.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        for member in ["type", "title", "status", "detail", "code", "request_id"] {
            assert!(!problem[member].is_null(), "{member} is missing: {self:?}");
        }
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        problem["code"].as_str().expect("text").to_owned()
    }

    /// Asserts a status and a code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
        self
    }

    /// Asserts a status.
    #[track_caller]
    pub fn ok(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// A ticket's body.
pub fn ticket() -> serde_json::Value {
    serde_json::json!({"email": "ada@example.com", "name": "Ada", "subject": "Help", "message": "Please help."})
}

impl World {
    /// One change as administration makes it, committed when it is `Ok`.
    pub async fn administer<T>(
        &self,
        org: &str,
        change: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut tx = self.org(org).await;
        let done = change(&mut tx).await?;
        tx.commit().await?;
        Ok(done)
    }
}

impl Running {
    /// A request without a body.
    pub async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        Answer::of(with_headers(self.request(method, path), headers)).await
    }

    /// A `POST` of this text, of whatever type the headers say.
    pub async fn post_text(&self, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(with_headers(self.request(Method::POST, path), headers).body(body)).await
    }

    /// Sends these bytes as they are, for requests that no decent client makes; `Connection: close` must be in them.
    pub async fn raw(&self, request: &[u8]) -> Answer {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(&self.base["http://".len()..]).await.expect("a connection");
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, text)) = answer.split_once("\r\n\r\n") else { panic!("no answer: {read:?} {answer:?}") };
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect();
        Answer { status, headers, text: text.to_owned() }
    }
}

fn with_headers(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    // As bytes, since a test may well send what is no ASCII.
    headers.iter().fold(request, |request, (name, value)| request.header(*name, value.as_bytes()))
}

impl Answer {
    /// A header of a list, all its lines and items, lower-case.
    pub fn list(&self, name: &str) -> Vec<String> {
        let lines = self.headers.get_all(name).iter().map(|value| value.to_str().expect("text").to_ascii_lowercase());
        lines.flat_map(|line| line.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>()).collect()
    }

    /// Every header of the CORS protocol that the answer has.
    pub fn cors(&self) -> Vec<&str> {
        self.headers
            .keys()
            .map(reqwest::header::HeaderName::as_str)
            .filter(|name| name.starts_with("access-control-"))
            .collect()
    }

    /// All that a caller could tell two answers apart by, without what differs from one request to the next anyway.
    pub fn comparable(&self) -> (u16, Vec<(String, String)>, serde_json::Value) {
        let passing = ["date", "x-request-id", "ratelimit"];
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, _)| !passing.contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .collect();
        headers.sort_unstable();
        let mut body = self.json();
        if let Some(body) = body.as_object_mut() {
            body.remove("request_id");
        }
        (self.status, headers, body)
    }

    /// One member of each entry of a list, as text.
    pub fn each(&self, member: &str) -> Vec<String> {
        let page = self.ok(200).json();
        let entries = page["data"].as_array().unwrap_or_else(|| panic!("no list: {self:?}"));
        entries.iter().map(|entry| entry[member].as_str().expect("text").to_owned()).collect()
    }

    /// The input fields that a problem names.
    pub fn fields(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().expect("text").to_owned()).collect()
    }
}
