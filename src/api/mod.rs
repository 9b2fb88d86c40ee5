//! HTTP: typed handlers, a few lines each, from which poem-openapi generates the documents. Handlers take the
//! transaction that their credential gave, make one store call, finish, answer.

pub mod agent;
pub mod inbound;
pub mod support;
