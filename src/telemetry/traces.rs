//! Traces: a span for each request, and below it one for each wait for a connection and for each statement. Sent by OTLP, as
//! protobuf over HTTP, where the standard variables say so: `OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`; the other `OTEL_` variables count too.
//!
//! Spans are made here and nowhere else: no library's own can get among them with what it was given.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::HeaderMap;
use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator as _,
    trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;

use super::known::Known;

/// How long a batch of spans may take to be taken, where OTEL_EXPORTER_OTLP_TIMEOUT does not say.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of a collector's answer, bytes.
const ANSWER: usize = 64 * 1024;

/// Where spans go.
#[derive(Debug, Default)]
pub struct Traces(Option<Provider>);

#[derive(Debug)]
struct Provider {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// As the `OTEL_` variables say; none when they name no endpoint.
    ///
    /// # Errors
    /// When what they say cannot be done.
    pub fn from_environment() -> anyhow::Result<Self> {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        if disabled || !(set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) {
            return Ok(Self::default());
        }
        let exporter = SpanExporter::builder().with_http().with_http_client(Client::new()?).build();
        let exporter = exporter.context("traces (OTEL_EXPORTER_OTLP_ENDPOINT)")?;
        let mut resource = Resource::builder();
        // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before this.
        if !set("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name("vicket");
        }
        let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer("vicket");
        Ok(Self(Some(Provider { provider, tracer })))
    }

    /// The span of a request that begins; in the trace that `parent` says, else the first of a new one.
    pub fn request(&self, parent: Option<&HeaderMap>) -> Span {
        let Some(Provider { tracer, .. }) = &self.0 else { return Span::default() };
        let one = |headers: &&HeaderMap| headers.get_all("traceparent").iter().count() == 1;
        let parent = parent.filter(one).map_or_else(Context::new, |headers| {
            TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers))
        });
        Span::begin(tracer, SpanBuilder::from_name("request").with_kind(SpanKind::Server), &parent)
    }

    /// Sends what is left.
    pub async fn shut_down(&self) {
        let Some(Provider { provider, .. }) = &self.0 else { return };
        let provider = provider.clone();
        // It waits for a thread that sends through this runtime.
        let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(TIMEOUT)).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// A span, or none.
#[derive(Clone, Default)]
pub struct Span(Option<(SdkTracer, Context)>);

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Span")
    }
}

impl Span {
    fn begin(tracer: &SdkTracer, builder: SpanBuilder, parent: &Context) -> Self {
        let span = tracer.build_with_context(builder, parent);
        Self(Some((tracer.clone(), parent.with_span(span))))
    }

    fn child(&self, builder: impl FnOnce() -> SpanBuilder) -> Self {
        match &self.0 {
            Some((tracer, context)) if context.span().span_context().is_sampled() => {
                Self::begin(tracer, builder(), context)
            }
            _ => Self::default(),
        }
    }

    /// A statement of ours below this: its text, whose values are bound and not in it.
    #[must_use]
    pub fn statement(&self, sql: &str) -> Self {
        self.child(|| {
            let operation =
                sql.split_whitespace().next().unwrap_or_default().trim_end_matches(';').to_ascii_uppercase();
            SpanBuilder::from_name(operation.clone()).with_kind(SpanKind::Client).with_attributes([
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.operation.name", operation),
                KeyValue::new("db.query.text", sql.to_owned()),
            ])
        })
    }

    /// The wait for a connection below this.
    #[must_use]
    pub fn wait(&self) -> Self {
        self.child(|| SpanBuilder::from_name("wait for a connection"))
    }

    /// It failed: `why` is a code.
    pub fn fail(&self, why: &str) {
        let Some((_, context)) = &self.0 else { return };
        context.span().set_attribute(KeyValue::new("error.type", why.to_owned()));
        context.span().set_status(Status::Error { description: Cow::Borrowed("") });
    }

    pub fn end(&self) {
        if let Some((_, context)) = &self.0 {
            context.span().end();
        }
    }

    /// Ends the span of a request with what became known of it.
    pub fn end_request(&self, id: &str, method: &'static str, status: u16, known: &Known) {
        let Some((_, context)) = &self.0 else { return };
        let span = context.span();
        if span.is_recording() {
            let route = known.template.as_ref().map(|template| template.as_str().to_owned());
            span.update_name(route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}")));
            span.set_attribute(KeyValue::new("http.request.method", method));
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            span.set_attribute(KeyValue::new("vicket.request_id", id.to_owned()));
            if let Some(route) = route {
                span.set_attribute(KeyValue::new("http.route", route));
            }
            let ids = [
                ("vicket.org_id", known.org_id),
                ("vicket.site_id", known.site_id),
                ("vicket.key_id", known.key_id),
                ("vicket.user_id", known.user_id),
            ];
            for (name, id) in ids {
                if let Some(id) = id {
                    span.set_attribute(KeyValue::new(name, id.to_string()));
                }
            }
            if let Some(policy) = known.limit {
                span.set_attribute(KeyValue::new("vicket.limit", policy));
            }
            if status >= 500 {
                span.set_attribute(KeyValue::new("error.type", status.to_string()));
                span.set_status(Status::Error { description: Cow::Borrowed("") });
            }
        }
        span.end();
    }
}

/// Sends what the exporter's thread hands over, within this runtime. Says once for each outage that it cannot.
#[derive(Debug)]
struct Client {
    runtime: Handle,
    http: reqwest::Client,
    failing: Arc<AtomicBool>,
}

impl Client {
    fn new() -> anyhow::Result<Self> {
        // A process chooses one implementation of TLS; somebody may have chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let milliseconds = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok()?.parse().ok());
        let timeout = milliseconds.map_or(TIMEOUT, Duration::from_millis);
        // What it sends goes to the collector that was named and to no other.
        let http = reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { runtime: Handle::try_current()?, http, failing: Arc::default() })
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let (http, failing) = (self.http.clone(), Arc::clone(&self.failing));
        let sending = self.runtime.spawn(async move {
            let answered = send(&http, request).await;
            let failed = !answered.as_ref().is_ok_and(|answer| answer.status().is_success());
            if failed && !failing.swap(true, Ordering::Relaxed) {
                let status = answered.as_ref().ok().map(|answer| answer.status().as_u16());
                let cause = answered.as_ref().err().map(|error| format!("{:#}", anyhow::anyhow!("{error}")));
                tracing::warn!(status, cause, "traces cannot be sent; they are dropped until they can be");
            } else if !failed && failing.swap(false, Ordering::Relaxed) {
                tracing::info!("traces can be sent again");
            }
            answered
        });
        sending.await?
    }
}

async fn send(client: &reqwest::Client, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
    // The URL may hold a password, and so may an error that names it.
    let mut answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let mut response = http::Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.extend(std::mem::take(answer.headers_mut()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > ANSWER {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(response.body(body.into())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_endpoint_there_is_no_span_and_none_below_it() {
        let span = Traces::default().request(None);
        assert!(span.0.is_none() && span.statement("select 1").0.is_none() && span.wait().0.is_none());
    }
}
