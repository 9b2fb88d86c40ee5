//! FAQs, as the help center's pages show and save them.

use uuid::Uuid;

use crate::{
    dashboard::{
        frame::form::Form,
        help::entry::{Entry, seen, with_form_field},
    },
    db::OrgTx,
    domain::{problem::Problem, text::Checked},
    store::{
        faqs::agent::{self, Change, Faq, NewFaq},
        publishing::Status,
    },
};

impl From<Faq> for Entry {
    fn from(row: Faq) -> Self {
        let Faq { id, site, question, status, answer_markdown, updated_at, .. } = row;
        Self { id, site, title: question, status, body: answer_markdown, slug: String::new(), updated_at }
    }
}

/// Saves what the form has, as a new FAQ when there is no `id`.
///
/// # Errors
/// `400 invalid_request`, and those of the store.
pub async fn save(tx: &mut OrgTx, id: Option<Uuid>, form: &Form) -> Result<Uuid, Problem> {
    let mut checked = Checked::default();
    let question = form.take(&mut checked, "title");
    let answer = checked.text("body", form.get("body"));
    let (Some(question), Some(answer)) = (question, answer) else {
        return Err(checked.problem());
    };
    let saved = match id {
        None => {
            let site = form.filled("site");
            let new = NewFaq { site, question: &question, answer_markdown: Some(&answer), position: None };
            agent::create(tx, &new).await
        }
        Some(id) => {
            let seen = seen(form)?;
            let change = Change { question: Some(&question), answer_markdown: Some(&answer), position: None, seen };
            agent::change(tx, id, &change).await
        }
    };
    saved.map(|row| row.id).map_err(|problem| with_form_field(problem, "answer_markdown"))
}

/// # Errors
/// `404 not_found`; `422` for one without an answer that is to be published.
pub async fn set_status(tx: &mut OrgTx, id: Uuid, status: Status) -> Result<(), Problem> {
    let set = agent::set_status(tx, id, status).await;
    set.map(drop).map_err(|problem| with_form_field(problem, "answer_markdown"))
}
