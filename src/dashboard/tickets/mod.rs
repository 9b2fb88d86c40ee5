//! Tickets: the inbox to choose one from, and one with its conversation and what is decided about it.

pub mod bulk;
pub mod events;
pub mod list;
pub mod mail;
pub mod opening;
pub mod snooze;
pub mod ticket;
pub mod words;
