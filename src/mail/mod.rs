//! Mail.

pub mod outbound;
