//! Who is asking. A credential hands out the capability to open a transaction, and nothing else does: for now the
//! publishable key, which enters its site.

pub mod site_key;
