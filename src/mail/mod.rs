//! Mail: what comes in, and the tokens by which it finds its thread.

pub mod dns;
pub mod inbound;
pub mod token;
