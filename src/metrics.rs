//! What a scraper reads, at `GET /metrics` of a listener of its own, in Prometheus' text format: what was counted while it
//! happened (`telemetry/meters.rs`), and what is asked for now. Labels are routes, codes and names of ours; never an org, a
//! site, a key or a network, of which there are as many as somebody makes. Each is explained in docs/observability.md.

mod exposition;

use std::{sync::Arc, time::Duration};

use poem::{
    Endpoint, Request, Response,
    http::{Method, StatusCode, header},
};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    readiness::{Reason, Watch},
    server::{self, Clients},
    state::App,
    store,
};
use exposition::Exposition;

/// Connections of scrapers at once.
const SCRAPERS: u32 = 16;
/// How long a scrape waits for the database to say whether it can be served from.
const READY: Duration = Duration::from_secs(2);

/// What is looked at.
pub struct Metrics {
    pub app: Arc<App>,
    pub clients: Clients,
    pub ready: Arc<Watch>,
}

/// Serves metrics until `stop` turns true, with the bounds that other connections have.
pub async fn serve(listener: TcpListener, metrics: Metrics, mut stop: watch::Receiver<bool>) {
    let clients = Clients::new(SCRAPERS).with(Some(SCRAPERS), &[]);
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    server::serve(listener, metrics, clients, stopped).await;
}

impl Metrics {
    async fn text(&self) -> Result<String, std::fmt::Error> {
        let reasons = tokio::time::timeout(READY, self.ready.reasons()).await;
        let mut reasons = reasons.unwrap_or_else(|_| vec![Reason::Database]);
        if self.app.draining.load(std::sync::atomic::Ordering::Relaxed) {
            reasons.push(Reason::Draining);
        }
        // Only of who sends; the others have no news of it.
        let waiting = async { store::mails::waiting(&self.app.worker).await.ok() };
        let mail = match &self.app.mail {
            Some(_) => tokio::time::timeout(READY, waiting).await.ok().flatten(),
            None => None,
        };
        let exposition = Exposition {
            mail,
            app: Arc::clone(&self.app),
            clients: self.clients.clone(),
            reasons,
            counts: self.ready.counts(),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(exposition));
        let mut text = String::with_capacity(32 * 1024);
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Endpoint for Metrics {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if request.uri().path() != "/metrics" {
            return Ok(StatusCode::NOT_FOUND.into());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(Response::builder()
                .status(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, "GET, HEAD")
                .finish());
        }
        let Ok(text) = self.text().await else { return Ok(StatusCode::INTERNAL_SERVER_ERROR.into()) };
        Ok(Response::builder()
            .content_type(prometheus_text::CONTENT_TYPE)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .body(text))
    }
}
