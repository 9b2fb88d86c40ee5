//! The documents to read, as pages: Swagger UI, which the framework has, with what it lacks.

use poem_openapi::OpenApiService;

use crate::{
    http::examples::{CURSOR, ENTITY_TAG, IDEMPOTENCY_KEY},
    response_cache::CachedResponse,
};

const STYLE: &str = include_str!("docs/docs.css");
const SCRIPT: &str = include_str!("docs/docs.js");

/// A document in the page of Swagger UI, which the framework makes of a document of its own.
pub fn page(document: &str) -> CachedResponse {
    let empty = OpenApiService::new((), "", "");
    let examples =
        serde_json::json!({ "cursor": CURSOR, "If-None-Match": ENTITY_TAG, "Idempotency-Key": IDEMPOTENCY_KEY });
    let script = SCRIPT.replacen("EXAMPLES", &examples.to_string(), 1);
    let head = format!(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Vicket API</title><style>{STYLE}</style><script>{script}</script>"
    );
    // The document is put in last: it may hold any of the texts that are looked for.
    let spec = empty.spec();
    let page = empty.swagger_ui_html();
    let page = page
        .replacen("<html charset=\"UTF-8\">", "<!doctype html><html lang=\"en\">", 1)
        .replacen("<title>Swagger UI</title>", &head, 1)
        .replacen("<div id=\"ui\"></div>", "<main id=\"ui\"></main>", 1)
        .replacen("spec: spec,", "spec: spec, requestInterceptor: globalThis.vicketRequest,", 1)
        .replacen(&spec, document, 1);
    CachedResponse::new(page.into_bytes())
}
