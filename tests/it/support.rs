//! The support surface: what a customer's browser may do with a publishable key, and what it is told.

mod articles;
pub mod attachments;
mod identity;
mod site_keys;
mod site_origins;
mod surface;
mod tickets;
