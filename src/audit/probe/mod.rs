//! Live probes: rows of two orgs in every table, and every kind of statement of every role at them, in a transaction that is
//! always rolled back. What must be invisible is there: it was planted in the same transaction.
//!
//! Requests' roles are taken by SET ROLE from the auditing login, because only its own transaction sees what it planted;
//! row-level security asks the current role, and that this one is no superuser is asserted. The gates' own logins are
//! tried apart ([`gates`]).

mod attacks;
mod catalog;
mod gates;
mod outcome;
mod plant;
mod run;
mod statements;
mod subjects;

pub use attacks::attacks;
pub use catalog::{Table, tables};
pub use gates::gates;
pub use outcome::{Leak, Probes, Tally};
pub use plant::{Planted, become_role, context, plant};
pub use run::{begin, probe, run};
