//! What stands for `traces.rs` where the program was built without the feature `otlp`: nothing is traced.

use http::HeaderMap;

use super::known::Known;

/// Where spans go: nowhere.
#[derive(Debug, Default)]
pub struct Traces;

/// No span.
#[derive(Clone, Debug, Default)]
pub struct Span;

impl Traces {
    /// # Errors
    /// When the environment asks for traces.
    pub fn from_environment() -> anyhow::Result<Self> {
        for variable in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
            anyhow::ensure!(std::env::var_os(variable).is_none(), "{variable}: this program was built without `otlp`");
        }
        Ok(Self)
    }

    pub fn request(&self, _parent: Option<&HeaderMap>) -> Span {
        Span
    }

    #[expect(clippy::unused_async, reason = "as the one that traces")]
    pub async fn shut_down(&self) {}
}

impl Span {
    #[must_use]
    pub fn statement(&self, _sql: &str) -> Self {
        Self
    }

    #[must_use]
    pub fn wait(&self) -> Self {
        Self
    }

    pub fn fail(&self, _why: &str) {}

    pub fn end(&self) {}

    pub fn end_request(&self, _id: &str, _method: &'static str, _status: u16, _known: &Known) {}
}
