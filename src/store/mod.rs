//! Every SQL statement, one file a noun. Functions take the transaction that a credential gave (`SiteTx` for a
//! publishable key, `OrgTx` for an administration command) and never name a site of their own: row-level security
//! filters by the context of that transaction.

pub mod articles;
pub mod content;
pub mod cursor;
pub mod faqs;
pub mod keys;
pub mod orgs;
pub mod origins;
pub mod sites;
pub mod tickets;
pub mod worker;
