//! Tickets: as their customers see them, and as agents do.

pub mod agent;
pub mod bulk;
pub mod drafts;
pub mod inbox;
pub mod merging;
pub mod mine;
pub mod opening;
pub mod parts;
pub mod public;
pub mod seen;
pub mod thread;
