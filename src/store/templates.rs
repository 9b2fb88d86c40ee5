//! Ticket forms: as agents make them, with points, and as customers fill them in, without.

mod answers;

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

pub use self::answers::{Filled, Score, check, fitting, no_form, score, try_out};
use super::paging::{self, PageRequest};
use crate::{
    db::{OrgTx, Published, SiteTx},
    domain::{
        problem::{Code, Problem},
        text::{Checked, FormDescription, FormName, OptionLabel, PriorityName, QuestionLabel},
    },
};

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Type {
    Text,
    Textarea,
    Select,
    Checkbox,
    Date,
}

impl Type {
    /// As the table has it.
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Textarea => "textarea",
            Self::Select => "select",
            Self::Checkbox => "checkbox",
            Self::Date => "date",
        }
    }
}

/// A form, as it is offered.
#[derive(Debug, FromRow)]
pub struct Template {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    /// For agents only.
    #[sqlx(default)]
    pub updated_at: Option<OffsetDateTime>,
}

/// A question of a form. `points` is 0 where whoever asks may not know.
#[derive(Debug, FromRow)]
pub struct Question {
    pub template_id: Uuid,
    pub id: Uuid,
    pub label: String,
    #[sqlx(rename = "type")]
    pub kind: Type,
    pub required: bool,
    pub position: i32,
    #[sqlx(default)]
    pub points: i32,
}

/// What may be chosen.
#[derive(Debug, FromRow)]
pub struct Choice {
    pub question_id: Uuid,
    pub id: Uuid,
    pub label: String,
    #[sqlx(default)]
    pub points: i32,
}

/// From which score on a ticket gets which priority.
#[derive(Debug, FromRow)]
pub struct Threshold {
    pub template_id: Uuid,
    pub points: i32,
    pub priority: String,
}

/// Forms with all that belongs to them, each in order.
#[derive(Debug, Default)]
pub struct Forms {
    pub templates: Vec<Template>,
    pub questions: Vec<Question>,
    pub choices: Vec<Choice>,
    /// For agents only.
    pub thresholds: Vec<Threshold>,
    /// Slugs of the sites that offer each; for agents only.
    pub sites: Vec<(Uuid, String)>,
}

/// A part of what `auth.read_forms` reads.
#[derive(FromRow)]
struct Part {
    part: String,
    parent_id: Option<Uuid>,
    id: Uuid,
    label: String,
    description: Option<String>,
    #[sqlx(rename = "type")]
    kind: Option<Type>,
    required: Option<bool>,
    position: Option<i32>,
}

/// The forms that the site of the key offers, by name.
///
/// # Errors
/// `5xx` only.
pub async fn all_offered(published: &mut Published<'_>) -> Result<Forms, Problem> {
    let sql = "select (r.entry).*, r.part, r.parent_id, r.id, r.label, r.description, r.type, r.required, r.position
        from auth.read_forms($1, $2) r";
    let mut forms = Forms::default();
    for Part { part, parent_id, id, label, description, kind, required, position } in
        published.rows(sql, |call| call).await?
    {
        match (part.as_str(), parent_id, kind, required, position) {
            ("form", None, ..) => {
                let description = description.unwrap_or_default();
                forms.templates.push(Template { id, name: label, description, updated_at: None });
            }
            ("question", Some(template_id), Some(kind), Some(required), Some(position)) => {
                forms.questions.push(Question { template_id, id, label, kind, required, position, points: 0 });
            }
            ("choice", Some(question_id), ..) => forms.choices.push(Choice { question_id, id, label, points: 0 }),
            _ => return Err(Problem::internal("auth.read_forms gave what is no part of a form")),
        }
    }
    Ok(forms)
}

/// One form that the site of the key offers; nothing where it does not.
///
/// # Errors
/// `5xx` only.
pub async fn offered(tx: &mut SiteTx, id: Uuid) -> Result<Forms, Problem> {
    let templates = sqlx::query_as("select id, name, description from vicket.templates where id = $1")
        .bind(id)
        .fetch_all(tx.connection())
        .await?;
    let questions = sqlx::query_as(
        "select template_id, id, label, type, required, position from vicket.template_questions
        where template_id = $1 order by position, id",
    )
    .bind(id)
    .fetch_all(tx.connection())
    .await?;
    let choices = sqlx::query_as(
        "select question_id, id, label from vicket.template_options where template_id = $1 order by position, id",
    )
    .bind(id)
    .fetch_all(tx.connection())
    .await?;
    Ok(Forms { templates, questions, choices, ..Forms::default() })
}

/// The forms of the org, by name: all, or those that the site of this slug offers.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
    site: Option<&str>,
) -> Result<(Forms, Option<String>), Problem> {
    let rows: Vec<Template> = sqlx::query_as(
        "select t.id, t.name, t.description, t.updated_at
        from vicket.templates t
        where ($1::text is null or t.name > $1)
          and ($3::text is null or exists (
            select from vicket.template_sites ts
            join vicket.sites s on s.org_id = ts.org_id and s.id = ts.site_id
            where ts.org_id = t.org_id and ts.template_id = t.id and s.slug = $3
          ))
        order by t.name
        limit $2",
    )
    .bind(page_request.after_text(b'e')?)
    .bind(page_request.fetch())
    .bind(site)
    .fetch_all(tx.connection())
    .await?;
    let (templates, next) = page_request.into_page(rows, |template| paging::write_text(b'e', &template.name));
    Ok((with_all(tx, templates).await?, next))
}

/// The form of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Forms, Problem> {
    let template: Option<Template> =
        sqlx::query_as("select id, name, description, updated_at from vicket.templates where id = $1")
            .bind(id)
            .fetch_optional(tx.connection())
            .await?;
    with_all(tx, vec![template.ok_or_else(Problem::not_found)?]).await
}

async fn with_all(tx: &mut OrgTx, templates: Vec<Template>) -> Result<Forms, Problem> {
    let ids: Vec<Uuid> = templates.iter().map(|template| template.id).collect();
    let questions = sqlx::query_as(
        "select template_id, id, label, type, required, position, points from vicket.template_questions
        where template_id = any ($1) order by position, id",
    )
    .bind(&ids)
    .fetch_all(tx.connection())
    .await?;
    let choices = sqlx::query_as(
        "select question_id, id, label, points from vicket.template_options
        where template_id = any ($1) order by position, id",
    )
    .bind(&ids)
    .fetch_all(tx.connection())
    .await?;
    let thresholds = sqlx::query_as(
        "select h.template_id, h.points, p.name as priority
        from vicket.template_thresholds h
        join vicket.priorities p on p.org_id = h.org_id and p.id = h.priority_id
        where h.template_id = any ($1)
        order by h.points",
    )
    .bind(&ids)
    .fetch_all(tx.connection())
    .await?;
    let sites = sqlx::query_as(
        "select ts.template_id, s.slug
        from vicket.template_sites ts
        join vicket.sites s on s.org_id = ts.org_id and s.id = ts.site_id
        where ts.template_id = any ($1)
        order by s.slug",
    )
    .bind(&ids)
    .fetch_all(tx.connection())
    .await?;
    Ok(Forms { templates, questions, choices, thresholds, sites })
}

/// A question to be asked.
#[derive(Debug)]
pub struct NewQuestion {
    /// That of a question of this form keeps its place in what customers have begun to fill in.
    pub id: Option<Uuid>,
    pub label: QuestionLabel,
    pub kind: Type,
    pub required: bool,
    /// For `checkbox` only.
    pub points: i32,
    /// For `select` only.
    pub choices: Vec<NewChoice>,
}

/// Id, label and points of what may be chosen.
pub type NewChoice = (Option<Uuid>, OptionLabel, i32);

/// What a form is to be; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change {
    pub name: Option<FormName>,
    pub description: Option<FormDescription>,
    /// Slugs.
    pub sites: Option<Vec<String>>,
    pub questions: Option<Vec<NewQuestion>>,
    /// Points, and the name of a priority.
    pub thresholds: Option<Vec<(i32, PriorityName)>>,
    /// When the form was changed last that this change was made of; refused when it was changed since.
    pub seen: Option<OffsetDateTime>,
}

/// Makes a form; `name` must be there.
///
/// # Errors
/// `409 name_taken`; `422 unprocessable` for a site or a priority that is not there.
pub async fn create(tx: &mut OrgTx, change: &Change) -> Result<Uuid, Problem> {
    let id: Uuid = sqlx::query_scalar("insert into vicket.templates (name, description) values ($1, $2) returning id")
        .bind(change.name.as_deref())
        .bind(change.description.as_deref().unwrap_or_default())
        .fetch_one(tx.connection())
        .await
        .map_err(name_taken)?;
    fill(tx, id, change, Fresh::Yes).await?;
    Ok(id)
}

/// Changes a form. Tickets that were submitted with it keep their answers and their score.
///
/// # Errors
/// `404 not_found`; `409 name_taken`, or `edit_conflict` after another's change; `422 unprocessable` for a site or a priority that is not there.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change) -> Result<(), Problem> {
    let changed = sqlx::query(
        "update vicket.templates
        set name = coalesce($2, name), description = coalesce($3, description), updated_at = now()
        where id = $1 and ($4::timestamptz is null or updated_at = $4)",
    )
    .bind(id)
    .bind(change.name.as_deref())
    .bind(change.description.as_deref())
    .bind(change.seen)
    .execute(tx.connection())
    .await
    .map_err(name_taken)?;
    if changed.rows_affected() == 0 && change.seen.is_some() {
        by_id(tx, id).await?;
        return Err(Problem::new(Code::EditConflict, "Somebody changed the form meanwhile. Nothing was saved."));
    }
    super::one_row(changed.rows_affected())?;
    fill(tx, id, change, Fresh::No).await
}

/// Whether a form has nothing yet that would have to make room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fresh {
    Yes,
    No,
}

async fn fill(tx: &mut OrgTx, id: Uuid, change: &Change, fresh: Fresh) -> Result<(), Problem> {
    if let Some(sites) = &change.sites {
        if fresh == Fresh::No {
            super::remove_of(tx, "template_sites", &[], Some(id), None).await?;
        }
        let made = sqlx::query(
            "insert into vicket.template_sites (template_id, site_id)
            select $1, s.id from vicket.sites s where s.slug = any ($2)",
        )
        .bind(id)
        .bind(sites)
        .execute(tx.connection())
        .await?;
        let distinct: std::collections::HashSet<&String> = sites.iter().collect();
        if made.rows_affected() != distinct.len() as u64 {
            return Err(Problem::unprocessable("sites", "names a site that the org has not"));
        }
    }
    if let Some(questions) = &change.questions {
        ask(tx, id, questions, fresh).await?;
    }
    if let Some(thresholds) = &change.thresholds {
        if fresh == Fresh::No {
            super::remove_of(tx, "template_thresholds", &[], Some(id), None).await?;
        }
        let made = sqlx::query(
            "insert into vicket.template_thresholds (template_id, points, priority_id)
            select $1, t.points, p.id
            from unnest($2::integer[], $3::text[]) as t (points, priority)
            join vicket.priorities p on lower(p.name) = lower(t.priority) and p.deleted_at is null
            on conflict do nothing",
        )
        .bind(id)
        .bind(thresholds.iter().map(|(points, _)| *points).collect::<Vec<_>>())
        .bind(thresholds.iter().map(|(_, priority)| priority.as_str()).collect::<Vec<_>>())
        .execute(tx.connection())
        .await?;
        if made.rows_affected() != thresholds.len() as u64 {
            let message = "names a priority that the org has not, or the same points twice";
            return Err(Problem::unprocessable("thresholds", message));
        }
    }
    Ok(())
}

/// What does not fit the type of its question.
fn fit(questions: &[NewQuestion]) -> Result<(), Problem> {
    let mut checked = Checked::default();
    for (number, question) in questions.iter().enumerate() {
        if (question.kind == Type::Select) == question.choices.is_empty() {
            let fault = "a select has options, and nothing else has".to_owned();
            checked.fault(&format!("questions[{number}].options"), fault);
        }
        if question.kind != Type::Checkbox && question.points != 0 {
            let fault = "only a checkbox has points of its own".to_owned();
            checked.fault(&format!("questions[{number}].points"), fault);
        }
    }
    checked.done()
}

async fn ask(tx: &mut OrgTx, id: Uuid, questions: &[NewQuestion], fresh: Fresh) -> Result<(), Problem> {
    fit(questions)?;
    let known: Vec<Uuid> = match fresh {
        Fresh::Yes => Vec::new(),
        Fresh::No => {
            let there = sqlx::query_scalar("select id from vicket.template_questions where template_id = $1")
                .bind(id)
                .fetch_all(tx.connection())
                .await?;
            super::remove_of(tx, "template_questions", &[], Some(id), None).await?;
            there
        }
    };
    let mut ids = Vec::new();
    for question in questions {
        ids.push(match question.id {
            Some(old) if known.contains(&old) && !ids.contains(&old) => old,
            Some(_) => return Err(Problem::unprocessable("questions", "an `id` that is no question of this form")),
            None => Uuid::new_v4(),
        });
    }
    // One statement for all: each raises the version of the org's sites, whose writers wait for each other meanwhile.
    sqlx::query(
        "insert into vicket.template_questions (template_id, id, label, type, required, position, points)
        select $1, q.id, q.label, q.type, q.required, q.position::integer, q.points
        from unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::integer[]) with ordinality
          as q (id, label, type, required, points, position)",
    )
    .bind(id)
    .bind(&ids)
    .bind(questions.iter().map(|question| question.label.as_str()).collect::<Vec<_>>())
    .bind(questions.iter().map(|question| question.kind.word()).collect::<Vec<_>>())
    .bind(questions.iter().map(|question| question.required).collect::<Vec<_>>())
    .bind(questions.iter().map(|question| question.points).collect::<Vec<_>>())
    .execute(tx.connection())
    .await?;
    let choices: Vec<(Uuid, i32, &NewChoice)> = ids
        .iter()
        .zip(questions)
        .flat_map(|(id, question)| (1..).zip(&question.choices).map(|(place, choice)| (*id, place, choice)))
        .collect();
    sqlx::query(
        "insert into vicket.template_options (template_id, question_id, id, label, position, points)
        select $1, o.question_id, o.id, o.label, o.position, o.points
        from unnest($2::uuid[], $3::uuid[], $4::text[], $5::integer[], $6::integer[])
          as o (question_id, id, label, position, points)",
    )
    .bind(id)
    .bind(choices.iter().map(|(question, ..)| *question).collect::<Vec<_>>())
    .bind(choices.iter().map(|(.., (choice, ..))| choice.unwrap_or_else(Uuid::new_v4)).collect::<Vec<_>>())
    .bind(choices.iter().map(|(.., (_, label, _))| label.as_str()).collect::<Vec<_>>())
    .bind(choices.iter().map(|(_, place, _)| *place).collect::<Vec<_>>())
    .bind(choices.iter().map(|(.., (.., points))| *points).collect::<Vec<_>>())
    .execute(tx.connection())
    .await
    .map_err(|error| {
        Problem::on_constraint(error, "template_options_pkey", || {
            Problem::unprocessable("questions", "two options of a question have one `id`")
        })
    })?;
    Ok(())
}

/// Deletes a form. Tickets that were submitted with it keep their answers and their score.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    super::one_row(super::remove(tx, "templates", &[id]).await?)
}

fn name_taken(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "templates_name_unique", || {
        Problem::new(Code::NameTaken, "There is a form of this name already.")
    })
}
