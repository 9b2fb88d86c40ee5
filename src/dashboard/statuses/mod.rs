//! Statuses, as the workflow's pages show and save them.

use uuid::Uuid;

use crate::{
    dashboard::{
        frame::form::Form,
        workflow::entry::{CATEGORIES, Entry},
    },
    db::OrgTx,
    domain::{problem::Problem, text::Checked},
    store::statuses::{self, Change, Status},
};

impl From<Status> for Entry {
    fn from(row: Status) -> Self {
        Self { id: row.id, name: row.name, category: Some(row.category), is_default: row.is_default }
    }
}

/// Saves what the form has, as a new status when there is no `id`.
///
/// # Errors
/// `400 invalid_request`, and those of the store.
pub async fn save(tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<(), Problem> {
    let mut checked = Checked::default();
    let name = form.take(&mut checked, "name");
    let category = CATEGORIES.iter().find(|(_, word, _)| *word == form.get("category")).map(|(category, ..)| *category);
    let category = checked.take("category", category.ok_or_else(|| "must be one of these".to_owned()));
    let (Some(name), Some(category)) = (name, category) else {
        return Err(checked.problem());
    };
    let saved = match id {
        None => statuses::create(tx, &name, category, None).await,
        Some(id) => {
            let change = Change { name: Some(&name), category: Some(category), ..Change::default() };
            statuses::change(tx, id, &change).await
        }
    };
    saved.map(drop)
}
