//! What is true without a database and without HTTP: ids, keys, origins, permissions, checked text, Markdown, problems.

pub mod files;
pub mod keys;
pub mod markdown;
pub mod origins;
pub mod permissions;
pub mod problem;
pub mod references;
pub mod request_id;
pub mod slugs;
pub mod spelling;
pub mod text;
