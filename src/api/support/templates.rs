//! Ticket forms, as a support page draws them: never what an answer is worth.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, types::Example};
use uuid::Uuid;

use super::{reading::serve, tags::Tag};
use crate::{
    api::agent::QuestionType,
    auth::site_key::SiteKey,
    http::{answers::Cached, failure::Failure, headers::IfNoneMatch, text::Nullable},
    response_cache::ViewCounts,
    state::App,
    store::{self, templates::Forms},
};

pub struct TemplatesApi;

/// What may be chosen.
#[derive(Object)]
#[oai(rename = "QuestionOption")]
struct Choice {
    /// Its id: what a ticket's `answers` hold.
    id: Uuid,
    /// Its text.
    label: String,
}

/// A question of a form.
#[derive(Object)]
struct Question {
    /// Its id: what a ticket's `answers` are named by.
    id: Uuid,
    /// Its text.
    label: String,
    /// How it is answered.
    #[oai(rename = "type")]
    kind: QuestionType,
    /// Whether it must be answered; a checkbox must be ticked.
    required: bool,
    /// Its place in the form, from 1.
    position: i32,
    /// What may be chosen; empty but for `select`.
    options: Vec<Choice>,
}

/// A ticket form.
#[derive(Object)]
#[oai(rename = "Template")]
struct Form {
    /// Its id: a ticket's `template_id`.
    id: Uuid,
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// What it asks, in order.
    questions: Vec<Question>,
}

/// The ticket forms of the site.
#[derive(Object)]
#[oai(example)]
struct TemplateList {
    /// The forms, by name.
    data: Vec<Form>,
    /// Always `null`: all forms are on one page.
    next_cursor: Nullable<String>,
}

impl From<Forms> for TemplateList {
    fn from(forms: Forms) -> Self {
        let options = |question: Uuid| {
            let own = forms.choices.iter().filter(move |choice| choice.question_id == question);
            own.map(|choice| Choice { id: choice.id, label: choice.label.clone() }).collect()
        };
        let questions = |template: Uuid| {
            let own = forms.questions.iter().filter(move |question| question.template_id == template);
            own.map(|row| Question {
                id: row.id,
                label: row.label.clone(),
                kind: row.kind.into(),
                required: row.required,
                position: row.position,
                options: options(row.id),
            })
            .collect()
        };
        let form = |row: &store::templates::Template| Form {
            id: row.id,
            name: row.name.clone(),
            description: row.description.clone(),
            questions: questions(row.id),
        };
        Self { data: forms.templates.iter().map(form).collect(), next_cursor: Nullable(None) }
    }
}

impl Example for TemplateList {
    fn example() -> Self {
        let id = Uuid::from_u128(0x2e74_b8d1_05fa_4c63_97e8_41c0_d6a3_8b5f);
        let form = Form {
            id,
            name: "Something is broken".to_owned(),
            description: "Tell us what does not work.".to_owned(),
            questions: vec![Question {
                id,
                label: "How bad is it?".to_owned(),
                kind: QuestionType::Select,
                required: true,
                position: 1,
                options: vec![Choice { id, label: "I cannot work".to_owned() }],
            }],
        };
        Self { data: vec![form], next_cursor: Nullable(None) }
    }
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Tickets")]
impl TemplatesApi {
    /// List ticket forms
    ///
    /// The forms that the site offers, with their questions and options. A ticket names one in `template_id`, and its answers
    /// by the questions' ids.
    #[oai(path = "/templates", method = "get", operation_id = "listTemplates")]
    async fn templates(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
    ) -> Result<Cached<TemplateList>, Failure> {
        let answer = serve(&app, &key, "templates".to_owned(), ViewCounts::Own, async |published| {
            let forms = store::templates::all_offered(published).await?;
            Ok(Cached::representation(&TemplateList::from(forms)))
        })
        .await?;
        Ok(Cached::of(&answer, &if_none_match))
    }
}
