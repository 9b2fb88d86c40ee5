//! What poem and poem-openapi lack: bodies under a cap, one shape of errors, answers with entity tags, types of input that
//! name every fault, a document that says what the server does.

pub mod answers;
pub mod described;
pub mod download;
pub mod encodings;
pub mod examples;
pub mod failure;
pub mod headers;
pub mod openapi;
pub mod paging;
pub mod request;
pub mod router;
pub mod text;
pub mod upload;
