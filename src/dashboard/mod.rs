//! Pages for people, at `/dashboard`: rendered here, working without JavaScript, under the sessions, roles and policies of
//! `/v1`. A noun has a folder: its handlers, which read top down (a template's fields, what GET shows, what POST does), and
//! beside them their templates, which escape whatever they print. `routes` says which page is where; `frame` is what all
//! stand on. `help` and `workflow` are pages of two nouns each.
//!
//! Every POST comes from a form of ours: `Origin` or `Sec-Fetch-Site` says so, and the form carries a token that only this
//! browser's session can have got. What a role may not do, pages do not offer, `OrgContext` refuses, and policies forbid.

mod frame;
mod routes;

mod account;
mod articles;
mod audit_log;
mod faqs;
mod first_run;
mod help;
mod invitations;
mod machine_keys;
mod mail;
mod members;
mod notifications;
mod orgs;
mod password_resets;
mod priorities;
mod retention;
mod saved_replies;
mod sessions;
mod site_keys;
mod sites;
mod stats;
mod statuses;
mod tags;
mod teams;
mod templates;
mod tickets;
mod workflow;

pub use routes::Dashboard;
