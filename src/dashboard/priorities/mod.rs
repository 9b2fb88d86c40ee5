//! Priorities, as the workflow's pages show and save them.

use uuid::Uuid;

use crate::{
    dashboard::{frame::form::Form, workflow::entry::Entry},
    db::OrgTx,
    domain::problem::Problem,
    store::priorities::{self, Change, Priority},
};

impl From<Priority> for Entry {
    fn from(row: Priority) -> Self {
        Self { id: row.id, name: row.name, category: None, is_default: row.is_default }
    }
}

/// Saves what the form has, as a new priority when there is no `id`.
///
/// # Errors
/// `400 invalid_request`, and those of the store.
pub async fn save(tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<(), Problem> {
    let name = form.take_one("name")?;
    let saved = match id {
        None => priorities::create(tx, &name, None).await,
        Some(id) => priorities::change(tx, id, &Change { name: Some(&name), ..Change::default() }).await,
    };
    saved.map(drop)
}
