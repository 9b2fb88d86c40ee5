//! Vicket: a multi-tenant customer-support backend, isolated by PostgreSQL row-level security.
//!
//! # A request in ten lines
//!
//! 1. `server.rs` accepts it; `app.rs` gives it an id and finds its surface.
//! 2. `api/support/surface.rs` answers preflights, reads the body under a cap, and hashes the key.
//! 3. `db.rs` begins a transaction and calls `auth.enter_site` with the key's digest: that transaction is the site. For what
//!    may be answered from what is kept (`kept.rs`) it asks `auth.enter` alone, which proves the key and opens nothing.
//! 4. The surface asks whether the origin is listed and the limits (`limits.rs`) are kept.
//! 5. The handler in `api/support/` takes the transaction from its `SiteKey`.
//!    For agents the same: the handler's first argument, `Org<ArticleWrite>`, enters the org by session or machine key and asks
//!    for the permission (`auth/caller.rs`), and hands out the transaction.
//! 6. It makes one call into `store/`, whose SQL never mentions the site.
//! 7. The policies in `migrations/` filter every row.
//! 8. COMMIT on success, ROLLBACK on a problem (`problem.rs`), and in the same message the question whether the session is
//!    clean; anything else closes the connection.
//! 9. The typed answer is written; poem-openapi documented it.
//! 10. `counts.rs` keeps what is written later: views, last use of keys, refused origins. `jobs.rs` does in batches what is
//!     too much for a request.
//!
//! # Where to put what
//!
//! A page of the dashboard is a handler and its template in `dashboard/`.
//! A new endpoint touches `api/<surface>/<noun>.rs`, `store/<noun>.rs` and a test; `just openapi` and `just docs` write the rest. SQL stands in `store/` and `migrations/`
//! only, HTTP in `api/` and `auth/`, pools and BEGIN in `db.rs`. What front-end developers get stands in `scaffold/kit/`.

pub mod api;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod commands;
pub mod dashboard;
pub mod db;
pub mod dev;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod limits;
pub mod memory_budget;
pub mod migrate;
pub mod migrations;
pub mod objects;
pub mod pages;
pub mod passwords;
pub mod readiness;
pub mod response_cache;
pub mod routes;
pub mod scaffold;
pub mod server;
pub mod state;
pub mod store;
pub mod usage;
