//! Articles: as customers read them, and as agents write them.

pub mod agent;
pub mod public;
