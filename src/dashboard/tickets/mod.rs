//! Tickets: the inbox to choose one from, and one with its conversation and what is decided about it.

pub mod events;
pub mod list;
pub mod mail;
pub mod ticket;
pub mod words;
