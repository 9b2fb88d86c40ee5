//! Ticket forms, as agents make them: with points, and from which score on a ticket gets which priority.

use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Example};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::{
        permissions::{AnyMember, TemplateEdit},
        problem::Problem,
        text::{Checked, Prose, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Input,
    },
    store::{
        self,
        templates::{self, Forms, NewQuestion},
    },
};

pub struct TemplatesApi;

const NAME_LENGTH: usize = 200;
const DESCRIPTION_LENGTH: usize = 2000;

/// How a question is answered.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename = "QuestionType", rename_all = "snake_case")]
pub enum Type {
    /// A line.
    Text,
    /// Several lines.
    Textarea,
    /// One of the options, by its id.
    Select,
    /// `true` or `false`.
    Checkbox,
    /// A day, `YYYY-MM-DD`.
    Date,
}

impl From<templates::Type> for Type {
    fn from(kind: templates::Type) -> Self {
        match kind {
            templates::Type::Text => Self::Text,
            templates::Type::Textarea => Self::Textarea,
            templates::Type::Select => Self::Select,
            templates::Type::Checkbox => Self::Checkbox,
            templates::Type::Date => Self::Date,
        }
    }
}

impl From<Type> for templates::Type {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Text => Self::Text,
            Type::Textarea => Self::Textarea,
            Type::Select => Self::Select,
            Type::Checkbox => Self::Checkbox,
            Type::Date => Self::Date,
        }
    }
}

/// What may be chosen, and what it is worth.
#[derive(Object)]
struct ScoredOption {
    /// Its id.
    id: Uuid,
    /// Its text.
    label: String,
    /// What choosing it is worth; customers never see it.
    points: i32,
}

/// What a form asks.
#[derive(Object)]
struct ScoredQuestion {
    /// Its id.
    id: Uuid,
    /// Its text.
    label: String,
    /// How it is answered.
    #[oai(rename = "type")]
    kind: Type,
    /// Whether it must be answered.
    required: bool,
    /// Its place in the form, from 1.
    position: i32,
    /// What ticking it is worth, for a checkbox; customers never see it.
    points: i32,
    /// What may be chosen, for a select.
    options: Vec<ScoredOption>,
}

/// From which score on a ticket gets which priority.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct Threshold {
    /// The score, or more.
    points: i32,
    /// The name of the priority.
    priority: String,
}

/// A ticket form.
#[derive(Object)]
#[oai(example)]
struct Template {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// The slugs of the sites that offer it.
    sites: Vec<String>,
    /// What it asks, in order.
    questions: Vec<ScoredQuestion>,
    /// How the score tells the priority, ascending; the last that is reached counts.
    thresholds: Vec<Threshold>,
}

/// Forms as entries of an answer.
fn all(forms: Forms) -> Vec<Template> {
    let Forms { templates, questions, choices, thresholds, sites } = forms;
    let options = |question: Uuid| {
        let own = choices.iter().filter(move |choice| choice.question_id == question);
        own.map(|choice| ScoredOption { id: choice.id, label: choice.label.clone(), points: choice.points }).collect()
    };
    let question = |row: &templates::Question| ScoredQuestion {
        id: row.id,
        label: row.label.clone(),
        kind: row.kind.into(),
        required: row.required,
        position: row.position,
        points: row.points,
        options: options(row.id),
    };
    let whole = |form: templates::Template| Template {
        questions: questions.iter().filter(|row| row.template_id == form.id).map(question).collect(),
        thresholds: thresholds
            .iter()
            .filter(|row| row.template_id == form.id)
            .map(|row| Threshold { points: row.points, priority: row.priority.clone() })
            .collect(),
        sites: sites.iter().filter(|(id, _)| *id == form.id).map(|(_, slug)| slug.clone()).collect(),
        id: form.id,
        name: form.name,
        description: form.description,
    };
    templates.into_iter().map(whole).collect()
}

fn one(forms: Forms) -> Result<Template, Problem> {
    all(forms).pop().ok_or_else(Problem::not_found)
}

impl Example for Template {
    fn example() -> Self {
        let id = Uuid::from_u128(0x2e74_b8d1_05fa_4c63_97e8_41c0_d6a3_8b5f);
        Self {
            id,
            name: "Something is broken".to_owned(),
            description: "Tell us what does not work.".to_owned(),
            sites: vec!["acme-app".to_owned()],
            questions: vec![ScoredQuestion {
                id,
                label: "How bad is it?".to_owned(),
                kind: Type::Select,
                required: true,
                position: 1,
                points: 0,
                options: vec![ScoredOption { id, label: "I cannot work".to_owned(), points: 8 }],
            }],
            thresholds: vec![Threshold { points: 8, priority: "Urgent".to_owned() }],
        }
    }
}

/// What may be chosen.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewOption {
    /// Its id, to keep it through a change.
    id: Option<Uuid>,
    /// Its text.
    label: Text<200>,
    /// What choosing it is worth; 0 when absent.
    #[oai(validator(minimum(value = "-1000"), maximum(value = "1000")))]
    points: Option<i32>,
}

/// What a form is to ask.
#[derive(Object)]
#[oai(rename = "NewQuestion", deny_unknown_fields, skip_serializing_if_is_none)]
struct NewQuestionBody {
    /// Its id, to keep it through a change.
    id: Option<Uuid>,
    /// Its text.
    label: Text<500>,
    /// How it is answered.
    #[oai(rename = "type")]
    kind: Type,
    /// Whether it must be answered; not when absent.
    required: Option<bool>,
    /// What ticking it is worth, for a checkbox; 0 when absent.
    #[oai(validator(minimum(value = "-1000"), maximum(value = "1000")))]
    points: Option<i32>,
    /// What may be chosen, for a select.
    #[oai(validator(max_items = 100))]
    options: Option<Vec<NewOption>>,
}

/// From which score on a ticket gets which priority.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct NewThreshold {
    /// The score, or more.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    points: i32,
    /// The name of the priority.
    priority: Text<60>,
}

/// A form to make.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewTemplate {
    /// Its name.
    name: Input<Text<NAME_LENGTH>>,
    /// What it is for.
    description: Option<Input<Prose<DESCRIPTION_LENGTH>>>,
    /// The slugs of the sites that offer it; none when absent.
    #[oai(validator(max_items = 1000))]
    sites: Option<Input<Vec<Text<63>>>>,
    /// What it asks, in order; 100 at the most.
    #[oai(validator(max_items = 100))]
    questions: Option<Input<Vec<NewQuestionBody>>>,
    /// How the score tells the priority.
    #[oai(validator(max_items = 100))]
    thresholds: Option<Input<Vec<NewThreshold>>>,
}

/// What changes of a form; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct TemplateChange {
    /// Its new name.
    name: Option<Input<Text<NAME_LENGTH>>>,
    /// What it is for.
    description: Option<Input<Prose<DESCRIPTION_LENGTH>>>,
    /// The slugs of all sites that offer it from now on.
    #[oai(validator(max_items = 1000))]
    sites: Option<Input<Vec<Text<63>>>>,
    /// All that it asks from now on, in order. A question with the `id` of one that was there keeps it.
    #[oai(validator(max_items = 100))]
    questions: Option<Input<Vec<NewQuestionBody>>>,
    /// All thresholds from now on.
    #[oai(validator(max_items = 100))]
    thresholds: Option<Input<Vec<NewThreshold>>>,
}

impl Example for NewTemplate {
    fn example() -> Self {
        let option = |label: &str, points| NewOption { id: None, label: Text::known(label), points: Some(points) };
        let question = NewQuestionBody {
            id: None,
            label: Text::known("How bad is it?"),
            kind: Type::Select,
            required: Some(true),
            points: None,
            options: Some(vec![option("I cannot work", 8), option("It is ugly", 1)]),
        };
        Self {
            name: Input::of(Text::known("Something is broken")),
            description: None,
            sites: Some(Input::of(Vec::new())),
            questions: Some(Input::of(vec![question])),
            thresholds: Some(Input::of(vec![NewThreshold { points: 8, priority: Text::known("Urgent") }])),
        }
    }
}

impl Example for TemplateChange {
    fn example() -> Self {
        Self {
            name: Some(Input::of(Text::known("Something does not work"))),
            description: None,
            sites: None,
            questions: None,
            thresholds: None,
        }
    }
}

/// A question as the store takes it.
fn asked(question: NewQuestionBody) -> NewQuestion {
    let options = question.options.unwrap_or_default().into_iter();
    NewQuestion {
        id: question.id,
        label: question.label,
        kind: question.kind.into(),
        required: question.required.unwrap_or_default(),
        points: question.points.unwrap_or_default(),
        choices: options.map(|option| (option.id, option.label, option.points.unwrap_or_default())).collect(),
    }
}

fn change(checked: &mut Checked, body: TemplateChange) -> templates::Change {
    let name = checked.take_optional("name", body.name);
    let description = checked.take_optional("description", body.description);
    let sites = checked.take_optional("sites", body.sites);
    let questions =
        checked.take_optional("questions", body.questions).map(|questions| questions.into_iter().map(asked).collect());
    let thresholds = checked.take_optional("thresholds", body.thresholds);
    templates::Change {
        name,
        description,
        sites: sites.map(|sites| sites.into_iter().map(crate::domain::text::Text::into_string).collect()),
        questions,
        thresholds: thresholds.map(|thresholds| thresholds.into_iter().map(|row| (row.points, row.priority)).collect()),
        seen: None,
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl TemplatesApi {
    /// List ticket forms
    ///
    /// By name, with their questions, points and thresholds.
    #[oai(path = "/templates", method = "get", operation_id = "listTemplates")]
    async fn templates(
        &self,
        org: Org<AnyMember>,
        paging: Paging<1200>,
    ) -> Result<answers::Ok<Page<Template>>, Failure> {
        let (forms, next) = org.run(async |tx| store::templates::page(tx, paging.request(), None).await).await?;
        Ok(answers::Ok(Page::of((all(forms), next), std::convert::identity)))
    }

    /// Make a ticket form
    ///
    /// A site offers it to its customers when `sites` names it.
    #[oai(path = "/templates", method = "post", operation_id = "createTemplate")]
    async fn create(
        &self,
        org: Org<TemplateEdit>,
        body: Json<NewTemplate>,
    ) -> Result<answers::Created<Template>, Failure<409, 422>> {
        let NewTemplate { name, description, sites, questions, thresholds } = body.0;
        let mut checked = Checked::default();
        let body = TemplateChange { name: Some(name), description, sites, questions, thresholds };
        let change = change(&mut checked, body);
        checked.done()?;
        let forms = org
            .run(async |tx| {
                let id = store::templates::create(tx, &change).await?;
                store::templates::by_id(tx, id).await
            })
            .await?;
        Ok(answers::Created(one(forms)?))
    }

    /// Read a ticket form
    ///
    /// With its questions, points and thresholds.
    #[oai(path = "/templates/:id", method = "get", operation_id = "getTemplate")]
    async fn template(
        &self,
        org: Org<AnyMember>,
        /// The form's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Template>, Failure> {
        let forms = org.run(async |tx| store::templates::by_id(tx, id.0).await).await?;
        Ok(answers::Ok(one(forms)?))
    }

    /// Change a ticket form
    ///
    /// Shows in the next request of the sites that offer it. Tickets that were submitted with it keep their answers and score.
    #[oai(path = "/templates/:id", method = "patch", operation_id = "updateTemplate")]
    async fn update(
        &self,
        org: Org<TemplateEdit>,
        /// The form's id.
        id: Path<Uuid>,
        body: Json<TemplateChange>,
    ) -> Result<answers::Ok<Template>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let change = change(&mut checked, body.0);
        checked.done()?;
        let forms = org
            .run(async |tx| {
                store::templates::change(tx, id.0, &change).await?;
                store::templates::by_id(tx, id.0).await
            })
            .await?;
        Ok(answers::Ok(one(forms)?))
    }

    /// Delete a ticket form
    ///
    /// Tickets that were submitted with it keep their answers and score.
    #[oai(path = "/templates/:id", method = "delete", operation_id = "deleteTemplate")]
    async fn delete(
        &self,
        org: Org<TemplateEdit>,
        /// The form's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::templates::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
