//! What a server leaves for whoever looks at it later: its log, its metrics, its spans. Here it is run as a process, since a
//! log and the `OTEL_` variables are a process's.

mod access_line;
#[cfg(feature = "otlp")]
mod traces;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use poem::{Endpoint, Request, Response};
use prost::Message as _;
use tokio::net::TcpListener;
use vicket::server::{self, Clients};

use crate::{
    harness::World,
    processes::{Dev, text, vicket},
};

/// What OTLP calls a span.
pub type Span = opentelemetry_proto::tonic::trace::v1::Span;

/// Takes what a server sends by OTLP.
#[derive(Clone, Default)]
struct Sink {
    /// Heads and bodies, as they came.
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Endpoint for Sink {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        assert_eq!(request.uri().path(), "/v1/traces");
        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
        let body = request.take_body().into_vec().await.expect("a body");
        self.sent.lock().expect("no panic").push(body);
        Ok(Response::builder().content_type("application/x-protobuf").finish())
    }
}

/// A server that is watched.
pub struct Watched {
    process: Dev,
    pub base: String,
    pub metrics: String,
    log: PathBuf,
    sink: Sink,
}

/// What was seen of a server until its end.
pub struct Seen {
    pub log: String,
    /// What was sent by OTLP.
    pub traces: Vec<Vec<u8>>,
}

impl Watched {
    /// `vicket serve` on the databases of a `dev.json`, traced where `traced` says so.
    pub async fn start(databases: &serde_json::Value, traced: bool, settings: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sink = Sink::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let collector = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(server::serve(listener, sink.clone(), Clients::new(8), std::future::pending()));
        let name = format!("watched-{}.log", uuid::Uuid::new_v4());
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let url = |login: &str| databases[login].as_str().expect("a URL").to_owned();
        let mut command = vicket();
        command
            .env("VICKET_WIDGET_URL", url("widget"))
            .env("VICKET_AGENT_URL", url("agent"))
            .env("VICKET_WORKER_URL", url("worker"))
            .env("VICKET_LISTEN", "127.0.0.1:0")
            .env("VICKET_METRICS_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .arg("serve")
            .stderr(std::fs::File::create(&log).expect("a log"));
        if traced && cfg!(feature = "otlp") {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector).env("OTEL_BSP_SCHEDULE_DELAY", "200");
        }
        let process = Dev(Some(command.spawn().expect("the program starts")));
        let mut watched = Self { process, base: String::new(), metrics: String::new(), log, sink };
        watched.logs("serving").await;
        let log = watched.log();
        let line = log.lines().find(|line| line.contains("serving")).expect("it says where");
        let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
        let ports: Vec<String> = line.split("127.0.0.1:").skip(1).map(digits).collect();
        watched.base = format!("http://127.0.0.1:{}", ports[0]);
        watched.metrics = format!("http://127.0.0.1:{}/metrics", ports[1]);
        watched
    }

    /// On a world's database.
    pub async fn of(world: &World, traced: bool, settings: &[(&str, &str)]) -> Self {
        let databases = serde_json::json!({
            "widget": world.url("vicket_gate_widget"),
            "agent": world.url("vicket_gate_agent"),
            "worker": world.url("vicket_worker"),
        });
        Self::start(&databases, traced, settings).await
    }

    /// The log so far.
    pub fn log(&self) -> String {
        text(&std::fs::read(&self.log).expect("a log"))
    }

    /// Waits until the log has this.
    pub async fn logs(&self, what: &str) {
        let since = Instant::now();
        while !self.log().contains(what) {
            assert!(since.elapsed() < Duration::from_secs(20), "{what} is not in the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the server in order.
    pub async fn end(self) -> Seen {
        let ended = self.process.end("TERM").await;
        let log = text(&std::fs::read(&self.log).expect("a log"));
        assert!(ended.status.success(), "{log}");
        std::fs::remove_file(&self.log).expect("removed");
        let traces = self.sink.sent.lock().expect("no panic").clone();
        Seen { log, traces }
    }
}

impl Seen {
    /// The spans that were sent.
    pub fn spans(&self) -> Vec<Span> {
        use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Export;
        let exports = self.traces.iter().map(|body| Export::decode(body.as_slice()).expect("protobuf"));
        let scopes = exports.flat_map(|export| export.resource_spans).flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// An attribute of a span, as text.
pub fn attribute(span: &Span, name: &str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}
