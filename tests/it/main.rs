//! The integration tests: one binary, the real router over real HTTP, a fresh database per test, the login roles that
//! the server uses.

mod agent;
mod architecture;
mod audit;
mod concurrency;
mod connections;
mod dashboard;
mod docs;
mod encodings;
mod errors;
mod generated;
mod harness;
mod isolation;
mod jobs;
mod limits;
mod mail;
mod mail_in;
mod metrics;
mod migrations;
mod mta;
mod pooler;
mod processes;
mod production;
mod recovery;
mod replica;
mod round_trips;
mod rules;
mod secrets;
mod seen;
mod shipped;
mod support;
mod tasks;
mod together;
mod upgrade;
