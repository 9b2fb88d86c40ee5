//! Mail: what comes in, and the tokens by which it finds its thread; what goes out.

pub mod dkim;
pub mod dns;
pub mod doctor;
pub mod inbound;
pub mod outbound;
pub mod reply;
pub mod token;
