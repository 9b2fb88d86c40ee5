//! Articles, as the help center's pages show and save them.

use uuid::Uuid;

use crate::{
    dashboard::{
        frame::form::Form,
        help::entry::{Entry, seen, with_form_field},
    },
    db::OrgTx,
    domain::{
        problem::Problem,
        text::{Checked, PageSlug},
    },
    store::{
        articles::agent::{self, Article, Change, NewArticle},
        publishing::Status,
    },
};

impl From<Article> for Entry {
    fn from(row: Article) -> Self {
        let Article { id, site, title, status, body_markdown, slug, updated_at, .. } = row;
        Self { id, site, title, status, body: body_markdown, slug, updated_at }
    }
}

/// Saves what the form has, as a new article when there is no `id`.
///
/// # Errors
/// `400 invalid_request`, and those of the store.
pub async fn save(tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<Uuid, Problem> {
    let mut checked = Checked::default();
    let title = form.take(&mut checked, "title");
    let slug = form.filled("slug").and_then(|_| form.take::<PageSlug>(&mut checked, "slug"));
    let body = checked.text("body", form.get("body"));
    let (Some(title), Some(body), true) = (title, body, checked.is_empty()) else {
        return Err(checked.problem());
    };
    let saved = match id {
        None => {
            let new = NewArticle {
                site: form.filled("site"),
                title: &title,
                body_markdown: Some(&body),
                slug: slug.as_ref(),
            };
            agent::create(tx, &new).await
        }
        Some(id) => {
            let seen = seen(form)?;
            let change = Change { title: Some(&title), body_markdown: Some(&body), slug: slug.as_ref(), seen };
            agent::change(tx, id, &change).await
        }
    };
    saved.map(|row| row.id).map_err(|problem| with_form_field(problem, "body_markdown"))
}

/// # Errors
/// `404 not_found`; `422` for one without a text that is to be published.
pub async fn set_status(tx: &mut OrgTx, id: Uuid, status: Status) -> Result<(), Problem> {
    let set = agent::set_status(tx, id, status).await;
    set.map(drop).map_err(|problem| with_form_field(problem, "body_markdown"))
}
