//! Vicket: a multi-tenant customer-support backend, isolated by PostgreSQL row-level security.
//!
//! # The layers
//!
//! Imports go down only; `tests/it/architecture.rs` holds that. From the ground:
//!
//! * `domain`: ids, keys, origins, permissions, checked text, Markdown, problems. No HTTP, no SQL.
//! * `master_secret`: the secret of the server, and the keys that are made of it.
//! * `telemetry`: what is seen of the request in progress, and what is counted. Ids and figures, no values.
//! * `db`: pools, leases, the message that enters a tenant. The only way in.
//! * `store`: every SQL statement, a noun a file or folder. It takes checked types and a `SiteTx` or `OrgTx`, and owns the rules.
//! * `limits`, `usage`, `response_cache`, `single_flight`, `memory_budget`, `passwords`, `objects`, `jobs`, `news`, `mail`: what the process
//!   has besides a request; `state` holds one of each.
//! * `mail`: what comes in, read; the tokens by which it finds its thread.
//! * `intake`: mail that comes in, taken and filed.
//! * `http`: what poem and poem-openapi lack. `auth`: who asks.
//! * `api`, `dashboard`, `pages`: what programs and people see. They do not know each other.
//! * `migrations`, `audit`, `migrate`, `readiness`: the schema, and whether it holds.
//! * `routes`, `server`, `metrics`, `cli`, `scaffold`, `commands`, `dev`: the roof.
//!
//! # A request in ten lines
//!
//! 1. `server.rs` accepts it; `routes.rs` gives it an id and finds its surface.
//! 2. `api/support/surface.rs` answers preflights, reads the body under a cap, and hashes the key.
//! 3. `db.rs` begins a transaction and calls `auth.enter_site` with the key's digest: that transaction is the site. For a read
//!    of published content it asks `auth.enter_many` alone, which proves the key and opens nothing.
//! 4. The surface asks whether the origin is listed and the limits (`limits.rs`) are kept.
//! 5. The handler in `api/support/` takes the transaction from its `SiteKey`; of published content the response cache has the
//!    answer, or a statement of its own enters, reads and is over (`db/published.rs`).
//!    For agents the same: the handler's first argument, `Org<ArticleWrite>`, enters the org by session or machine key, asks for
//!    the permission, and hands out the transaction (`auth/caller.rs`).
//! 6. It makes one call into `store/`, whose SQL never mentions the site.
//! 7. The policies in `migrations/` filter every row.
//! 8. COMMIT on success, ROLLBACK on a problem (`domain/problem.rs`), and in the same message the question whether the session
//!    is clean; anything else closes the connection.
//! 9. The typed answer is written; poem-openapi documented it.
//! 10. The request's line is written (`routes/answered.rs`). `usage.rs` keeps what is written later: views, last use of keys,
//!     refused origins. `jobs.rs` does in batches what is too much for a request.
//!
//! # Where to put what
//!
//! A new endpoint touches `api/<surface>/<noun>.rs`, `store/<noun>.rs` and a test; `just openapi` and `just docs` write what
//! describes it. A page of the dashboard is a handler and its
//! template in `dashboard/`. SQL stands in `store/` and `migrations/` only (and in `dev`, what serves the demo alone), HTTP in
//! `api/`, `auth/` and `http/`. What front-end developers get stands in `scaffold/kit/`. The words: `docs/glossary.md`.

pub mod api;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod codings;
pub mod commands;
pub mod dashboard;
pub mod db;
pub mod dev;
pub mod domain;
pub mod http;
pub mod identity;
pub mod intake;
pub mod jobs;
pub mod limits;
pub mod mail;
pub mod master_secret;
pub mod memory_budget;
pub mod metrics;
pub mod migrate;
pub mod migrations;
pub mod news;
pub mod objects;
pub mod pages;
pub mod passwords;
pub mod readiness;
pub mod response_cache;
pub mod routes;
pub mod scaffold;
pub mod server;
pub mod single_flight;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod usage;
