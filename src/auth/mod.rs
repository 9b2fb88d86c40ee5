//! Who is asking. A credential hands out the capability to open a transaction, and nothing else does: the publishable key
//! enters its site, a session or a machine key the org that the request names.

pub mod agent;
pub mod caller;
pub mod csrf;
pub mod login;
pub mod site_key;
pub mod visitor;

use std::sync::{Mutex, PoisonError};

/// Carries an entered transaction from the surface to the handler.
pub struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    pub fn new(tx: T) -> Self {
        Self(Mutex::new(Some(tx)))
    }

    /// Of a request whose handler enters by itself.
    pub fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub fn put(&self, tx: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tx);
    }

    /// The transaction, once.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
