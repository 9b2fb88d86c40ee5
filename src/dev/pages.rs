//! The demo's support page, as a front-end developer serves it: from an origin of its own that the site lists, and the
//! same page from one that it does not list, so that both can be seen.

use std::net::{Ipv4Addr, SocketAddr};

use poem::{
    Endpoint, Request, Response,
    http::{Method, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    cli::DemoPorts,
    scaffold::{self, Page},
    server::{self, Clients},
};

/// Client connections at once, of each page.
const CLIENTS: u32 = 800;

/// Where the pages are; `None` where a port was taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DemoPages {
    /// From an origin that the first site lists.
    pub allowed: Option<String>,
    /// From an origin that it does not list.
    pub refused: Option<String>,
}

/// The ports, taken.
#[derive(Default)]
pub struct PageListeners {
    allowed: Option<TcpListener>,
    refused: Option<TcpListener>,
}

impl PageListeners {
    /// Takes the ports; of one that is taken already, one line says so.
    pub async fn bind(ports: DemoPorts) -> Self {
        match ports {
            DemoPorts::Off => Self::default(),
            DemoPorts::At { allowed, refused } => Self { allowed: bind(allowed).await, refused: bind(refused).await },
        }
    }

    pub fn urls(&self) -> DemoPages {
        DemoPages { allowed: url(self.allowed.as_ref()), refused: url(self.refused.as_ref()) }
    }

    /// Serves the page that uses this key until `stop` changes.
    pub fn serve(self, api: &str, key: &str, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let listeners = [self.allowed, self.refused].into_iter().flatten();
        let serving = listeners.map(|listener| {
            let mut stop = stop.clone();
            let site = Site { pages: scaffold::page(api, key), policy: policy(api) };
            tokio::spawn(async move {
                server::serve(listener, site, Clients::new(CLIENTS), async move { drop(stop.changed().await) }).await;
            })
        });
        serving.collect()
    }
}

async fn bind(port: u16) -> Option<TcpListener> {
    match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            println!("No demo page on port {port}: {error} (--demo-ports A,B chooses others, off none)");
            None
        }
    }
}

fn url(listener: Option<&TcpListener>) -> Option<String> {
    let address = listener?.local_addr().ok()?;
    Some(format!("http://localhost:{}", address.port()))
}

/// As strict as a page with the element can be: it is what the guide recommends.
fn policy(api: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' {api}; style-src 'self'; connect-src {api}; img-src https: data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

struct Site {
    pages: Vec<Page>,
    policy: String,
}

impl Endpoint for Site {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let found = self.pages.iter().find(|(path, ..)| *path == request.uri().path());
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let Some((_, content_type, text)) = found.filter(|_| reads) else {
            return Ok(Response::builder().status(StatusCode::NOT_FOUND).finish());
        };
        let response = Response::builder()
            .content_type(*content_type)
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::CONTENT_SECURITY_POLICY, &self.policy);
        Ok(response.body(text.clone()))
    }
}
