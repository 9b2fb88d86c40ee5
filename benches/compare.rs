//! `just bench`: the server against pgbench doing the same SQL.
//!
//! A private cluster with durable commits, 100 sites of 10 orgs, 60 articles each. For each kind of request, one round to
//! warm up and three that count, in turn: pgbench runs the very statements of the server (imported from `store`, prepared,
//! with the same entering message and the same number of round trips), then wrk loads `vicket serve` over loopback with
//! random keys of the 100 sites; 8 connections each. Prints requests per second of both and their ratio. Reads are measured twice:
//! answered from the tables every time, and with kept answers, as the server runs by default.
//!
//! Needs pgbench (with PostgreSQL's programs or on the PATH) and wrk. `BENCH_SECONDS` sets the length of a round (4).

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use sqlx::{Connection as _, PgConnection};
use vicket::{
    db::{self, Operator},
    dev::{
        content::NewArticle,
        postgres::{Cluster, Durability, Programs},
    },
    domain::{
        keys::{PublishableKey, Sha256Digest},
        problem::Problem,
        text::{OrgName, SiteName, Slug},
    },
    migrate::{self, Passwords},
    store::{
        self,
        articles::public::{BY_SLUG, NEWEST},
        sites::SiteChanges,
        tickets::public::INSERT_TICKET,
    },
};

const ORGS: usize = 10;
const SITES_AN_ORG: usize = 10;
const ARTICLES_A_SITE: usize = 60;
const ROUNDS: usize = 3;
const CONNECTIONS: usize = 8;
const PASSWORD: &str = "bench-only";
/// So many that they are counted and never reached.
const LIMIT: Option<u32> = Some(10_000_000);

struct Bench {
    dir: PathBuf,
    pgbench: PathBuf,
    widget_url: String,
    seconds: u64,
    keys: Vec<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    List,
    Slug,
    Ticket,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::List => "article list",
            Kind::Slug => "article by slug",
            Kind::Ticket => "ticket insert",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo test --benches` and the like pass no --bench: this is no test.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let seconds = std::env::var("BENCH_SECONDS").ok().map_or(Ok(4), |text| text.parse())?;
    let dir = std::env::temp_dir().join(format!("vicket-bench-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let programs = Programs::find().await?;
    let cluster = Cluster::start(&programs, &dir, Durability::Durable).await?;
    let outcome = run(&cluster, &programs, &dir, seconds).await;
    cluster.stop().await?;
    Cluster::remove(&dir).await?;
    fs::remove_dir_all(&dir)?;
    outcome
}

async fn run(cluster: &Cluster, programs: &Programs, dir: &Path, seconds: u64) -> anyhow::Result<()> {
    let superuser = cluster.superuser_url("postgres");
    let password = || Some(PASSWORD.to_owned());
    migrate::run(&superuser, &Passwords { widget: password(), agent: password(), worker: password() }).await?;
    let url = |login: &str| format!("postgres://{login}:{PASSWORD}@127.0.0.1:{}/postgres", cluster.port());
    let keys = seed(&superuser).await?;
    let pgbench = programs.bin.join("pgbench");
    let bench = Bench {
        dir: dir.to_owned(),
        pgbench: if pgbench.exists() { pgbench } else { "pgbench".into() },
        widget_url: url("vicket_gate_widget"),
        seconds,
        keys,
    };
    let serve = |cache: &str| Server::start(&bench.widget_url, &url("vicket_gate_agent"), &url("vicket_worker"), cache);

    println!(
        "{} connections, {} s a round, {} sites, durable commits; requests per second",
        CONNECTIONS,
        seconds,
        bench.keys.len()
    );
    println!("{:<34} {:>10} {:>10} {:>7}", "", "pgbench", "server", "ratio");
    for (kind, cache) in
        [(Kind::List, "0"), (Kind::Slug, "0"), (Kind::Ticket, "0"), (Kind::List, "64"), (Kind::Slug, "64")]
    {
        let server = serve(cache)?;
        let title = format!("{}{}", kind.name(), if cache == "0" { "" } else { ", kept answers" });
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // Not counted: caches fill, PostgreSQL's and ours.
        bench.pgbench(kind)?;
        bench.wrk(kind, &server.base)?;
        for round in 1..=ROUNDS {
            theirs.push(bench.pgbench(kind)?);
            ours.push(bench.wrk(kind, &server.base)?);
            print_row(&format!("{title} ({round})"), theirs[round - 1], ours[round - 1]);
        }
        print_row(&title, median(&mut theirs), median(&mut ours));
        // Checkpoint between kinds, so that one's writes are not another's disk load.
        let mut connection = PgConnection::connect_with(&db::connect_options(&superuser).await?).await?;
        sqlx::raw_sql("checkpoint").execute(&mut connection).await?;
        connection.close().await?;
    }
    Ok(())
}

fn print_row(title: &str, theirs: f64, ours: f64) {
    println!("{title:<34} {theirs:>10.0} {ours:>10.0} {:>7.2}", ours / theirs);
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn seed(superuser: &str) -> anyhow::Result<Vec<String>> {
    let operator = Operator::connect(superuser).await?;
    let body = "A paragraph of **help** with a [link](https://example.com) and `code`.\n\n".repeat(30);
    let mut keys = Vec::new();
    for org in 0..ORGS {
        let slug = format!("org-{org}");
        let mut tx = operator.begin().await.map_err(failed)?;
        store::orgs::create(&mut tx, &Slug::known(&slug), &OrgName::known(&slug)).await.map_err(failed)?;
        tx.enter(&slug).await.map_err(failed)?;
        for site in 0..SITES_AN_ORG {
            let slug = format!("site-{site}");
            let made = store::sites::create(&mut tx, &Slug::known(&slug), &SiteName::known(&slug), None)
                .await
                .map_err(failed)?;
            let changes = SiteChanges {
                name: None,
                prefix: None,
                origins: None,
                reads: LIMIT,
                writes: LIMIT,
                network_reads: LIMIT,
                network_writes: LIMIT,
                ..SiteChanges::default()
            };
            store::sites::update(&mut tx, &slug, &changes).await.map_err(failed)?;
            for article in 0..ARTICLES_A_SITE {
                let (slug, title) = (format!("article-{article}"), format!("How to do thing {article}"));
                let new = NewArticle {
                    site_id: Some(made.id),
                    slug: &slug,
                    title: &title,
                    body_markdown: &body,
                    published: true,
                };
                vicket::dev::content::insert_article(&mut tx, &new).await.map_err(failed)?;
            }
            let key: PublishableKey = store::site_keys::create(&mut tx, made.id).await.map_err(failed)?;
            keys.push(key.reveal().to_owned());
        }
        tx.commit().await.map_err(failed)?;
    }
    let mut connection = PgConnection::connect_with(&db::connect_options(superuser).await?).await?;
    sqlx::raw_sql("vacuum analyze").execute(&mut connection).await?;
    connection.close().await?;
    Ok(keys)
}

fn failed(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{problem} {}", problem.cause.as_deref().unwrap_or_default())
}

impl Bench {
    /// Transactions per second of pgbench: one script a key, chosen at random, each preparing its statements once a
    /// connection.
    fn pgbench(&self, kind: Kind) -> anyhow::Result<f64> {
        let mut command = Command::new(&self.pgbench);
        command.args(["-n", "-M", "simple", "-j", "2", "-D", "prepared=0"]);
        command.args(["-c", &CONNECTIONS.to_string(), "-T", &self.seconds.to_string()]);
        for (number, key) in self.keys.iter().enumerate() {
            let file = self.dir.join(format!("{number}.sql"));
            fs::write(&file, script(kind, key))?;
            command.arg("-f").arg(file);
        }
        let output = command.arg(&self.widget_url).output().context("pgbench cannot be run")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        let failed = text.lines().find(|line| line.starts_with("number of failed transactions")).unwrap_or_default();
        ensure!(failed.contains(": 0 "), "pgbench failed: {failed} {}", String::from_utf8_lossy(&output.stderr));
        tps.with_context(|| format!("pgbench printed no tps: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Requests per second of the server; every answer must be a success.
    fn wrk(&self, kind: Kind, base: &str) -> anyhow::Result<f64> {
        let file = self.dir.join("wrk.lua");
        fs::write(&file, self.lua(kind))?;
        let output = Command::new("wrk")
            .args(["-t", "2", "-c", &CONNECTIONS.to_string(), "-d", &format!("{}s", self.seconds), "-s"])
            .arg(&file)
            .arg(base)
            .output()
            .context("wrk cannot be run; apt-get install wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "wrk saw failures: {text}");
        let figure = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
        figure.with_context(|| format!("wrk printed no figure: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn lua(&self, kind: Kind) -> String {
        let mut lua = String::from("local keys = {\n");
        for key in &self.keys {
            let _ = writeln!(lua, "  \"{key}\",");
        }
        lua.push_str("}\nmath.randomseed(os.time())\n");
        let body =
            r#"'{"email":"ada@example.com","name":"Ada","subject":"Help","message":"Please help me with this."}'"#;
        let (method, path, body) = match kind {
            Kind::List => ("GET", "\"/support/v1/help/articles\"".to_owned(), "nil"),
            Kind::Slug => {
                let path = format!("\"/support/v1/help/articles/article-\" .. math.random(0, {})", ARTICLES_A_SITE - 1);
                ("GET", path, "nil")
            }
            Kind::Ticket => ("POST", "\"/support/v1/tickets\"".to_owned(), body),
        };
        let _ = write!(
            lua,
            "request = function()\n  local headers = {{ [\"X-Vicket-Key\"] = keys[math.random(#keys)], \
             [\"Content-Type\"] = \"application/json\" }}\n  return wrk.format(\"{method}\", {path}, headers, {body})\nend\n"
        );
        lua
    }
}

/// One request in SQL, as the server sends it.
fn script(kind: Kind, key: &str) -> String {
    let key = Sha256Digest::of(key.as_bytes()).to_hex();
    let prepare = |name: &str, sql: &str| format!("PREPARE {name} AS {};\n", sql.replace('\n', " "));
    let resolver = "(bytea, bytea, bytea)";
    let mut resolvers = String::from("\\if :prepared = 0\n");
    resolvers += &prepare(&format!("prove {resolver}"), "select * from auth.enter($1, $2, $3)");
    resolvers += &prepare(&format!("enter {resolver}"), "select * from auth.enter_site($1, $2, $3)");
    resolvers += "\\endif\n";
    // Prepared in the first transaction, because only the tenant's role may see the tables; kept by the connection.
    let mut prepared = String::from("\\if :prepared = 0\n");
    prepared += &prepare("list (bigint, uuid, bigint, text)", NEWEST);
    prepared += &prepare("slug (text)", BY_SLUG);
    prepared += &prepare("ticket (uuid, bytea, text, text, text, uuid, text)", INSERT_TICKET);
    prepared += "\\set prepared 1\n\\endif\n";
    // Twelve digits: they end a UUID and a digest alike.
    let random = "\\set r random(100000000000, 999999999999)\n";
    let mut text = String::new();
    let (begin, ticket, work) = match kind {
        Kind::List => ("READ ONLY", "", "EXECUTE list(NULL, NULL, 21, NULL);\n".to_owned()),
        Kind::Slug => {
            let _ = writeln!(text, "\\set n random(0, {})", ARTICLES_A_SITE - 1);
            ("READ ONLY", "", "EXECUTE slug('article-:n');\n".to_owned())
        }
        Kind::Ticket => {
            text += random;
            let digest = "0000000000000000000000000000000000000000000000000000:r";
            let work = format!(
                "EXECUTE ticket('10000000-0000-4000-8000-:r', '\\x{digest}', 'ada@example.com', 'Ada', 'Help', \
                 '20000000-0000-4000-8000-:r', 'Please help me with this.');\n"
            );
            ("READ WRITE", digest, work)
        }
    };
    text += &resolvers;
    if !matches!(kind, Kind::Ticket) {
        let _ = writeln!(text, "EXECUTE prove('\\x{key}', '\\x', '\\x');");
    }
    let _ = writeln!(text, "BEGIN {begin};\nEXECUTE enter('\\x{key}', '\\x', '\\x{ticket}');");
    text += &prepared;
    text += &work;
    // Without the question whether the session is clean: what this session prepared by SQL is what that looks for.
    text += "SET CONSTRAINTS ALL IMMEDIATE \\; COMMIT \\; RESET ALL;\n";
    text
}

struct Server {
    child: Child,
    base: String,
}

impl Server {
    fn start(widget: &str, agent: &str, worker: &str, cache: &str) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let child = Command::new(env!("CARGO_BIN_EXE_vicket"))
            .arg("serve")
            .args(["--listen", &listen, "--answer-cache-mib", cache])
            .args(["--widget-connections", &CONNECTIONS.to_string()])
            .env("VICKET_WIDGET_URL", widget)
            .env("VICKET_AGENT_URL", agent)
            .env("VICKET_WORKER_URL", worker)
            .env("VICKET_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()?;
        let server = Self { child, base: format!("http://{listen}") };
        let began = Instant::now();
        while std::net::TcpStream::connect(&listen).is_err() {
            ensure!(began.elapsed() < Duration::from_secs(10), "the server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
