//! What is proved of the program by a PostgreSQL of its own, made from the migrations and thrown away: that the audit would
//! notice ([`mutate`]), and that statements stay fast with many tenants ([`plans`]). Nobody who runs the server needs it.

pub mod mutate;
pub mod plans;
pub mod scratch;
