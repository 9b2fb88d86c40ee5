//! What is seen of the process and of each request: figures, ids, templates of routes and texts of our own statements, for the
//! access line, the metrics and the spans. No value that came with a request gets here, so that none can be shown.

mod known;
pub mod meters;
pub mod request;
#[cfg_attr(not(feature = "otlp"), path = "untraced.rs")]
pub mod traces;
