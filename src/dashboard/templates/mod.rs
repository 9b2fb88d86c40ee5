//! Ticket forms: what they ask, what answers are worth, and a preview of the priority that a ticket would get.
//!
//! The editor is one form. Its buttons send all that was typed and get the page with it once more, a row added or moved. The
//! preview saves the form as it was typed, scores the answers with the functions that score tickets, and rolls back.

mod draft;

use std::collections::{BTreeMap, HashMap};

use poem::{Response, handler, web::Path};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    dashboard::{
        frame::{
            form::{Form, sentence},
            org_context::{MEMBER, OrgContext, Shell},
            page::{form_page, html},
            path::RowOrNew,
        },
        templates::draft::Draft,
    },
    db::{Access, OrgTx},
    domain::{
        permissions::Permission,
        problem::{Code, FieldError, Problem},
        text::FormName,
    },
    store::{
        self,
        paging::PageRequest,
        priorities::Priority,
        sites::Site,
        templates::{Change, Forms, Score},
    },
};

/// Forms of a page.
const PAGE: u32 = 50;
const CHOICES: PageRequest<'static> = PageRequest { limit: 100, cursor: None };

#[derive(askama::Template)]
#[template(path = "templates/templates.html")]
struct TemplatesPage<'a> {
    shell: Shell,
    forms: Forms,
    next: Option<String>,
    sites: Vec<Site>,
    query: &'a Form,
}

impl TemplatesPage<'_> {
    fn questions(&self, id: &Uuid) -> usize {
        self.forms.questions.iter().filter(|question| question.template_id == *id).count()
    }

    fn offered_by(&self, id: &Uuid) -> Vec<&str> {
        let own = self.forms.sites.iter().filter(|(form, _)| form == id);
        own.filter_map(|(_, slug)| self.sites.iter().find(|site| site.slug == *slug))
            .map(|site| site.name.as_str())
            .collect()
    }
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.filled("cursor") };
    let site = context.query.filled("site");
    let (shell, ((forms, next), sites)) = context
        .read(MEMBER, async |tx| {
            Ok((store::templates::page(tx, page_request, site).await?, store::sites::list(tx).await?))
        })
        .await?;
    let next = next.map(|next| context.query.next_page(&["site"], &next));
    html(&TemplatesPage { shell, forms, next, sites, query: &context.query })
}

#[derive(askama::Template)]
#[template(path = "templates/template.html")]
struct TemplatePage<'a> {
    shell: Shell,
    /// Its name as it is kept; `None` for a new one.
    kept: Option<String>,
    /// When what is kept was changed last.
    version: String,
    draft: Draft,
    sites: Vec<Site>,
    priorities: Vec<Priority>,
    score: Option<Score>,
    form: &'a Form,
    faults: Faults<'a>,
}

/// What is wrong, by field: the page asks for each of what may be thousands.
struct Faults<'a>(HashMap<&'a str, &'a str>);

impl<'a> Faults<'a> {
    fn of(form: &'a Form) -> Self {
        Self(form.faults().iter().map(|error| (error.field.as_str(), error.message.as_str())).collect())
    }

    fn get(&self, field: impl AsRef<str>) -> &'a str {
        self.0.get(field.as_ref()).copied().unwrap_or_default()
    }

    /// What is wrong, as it stands beside the field.
    fn note(&self, field: impl AsRef<str>) -> String {
        sentence("", self.get(field))
    }
}

/// A row of a list of the form, as its fields begin.
#[allow(clippy::trivially_copy_pass_by_ref)] // a template passes what its loop lends
fn row(rows: impl AsRef<str>, place: &usize) -> String {
    format!("{}[{place}]", rows.as_ref())
}

/// What is wrong with a field of the form, in words.
fn told(fault: &FieldError) -> String {
    sentence(&label(&fault.field), &fault.message)
}

/// A field of the form, in words.
fn label(field: &str) -> String {
    let mut label = String::new();
    for part in field.split('.') {
        let (word, place) = match part.split_once('[') {
            Some((rows, place)) => (rows.trim_end_matches('s'), place.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        if !label.is_empty() {
            label.push_str(", ");
        }
        label.push_str(word);
        if let Some(place) = place {
            label.push(' ');
            label.push_str(&(place + 1).to_string());
        }
    }
    label
}

impl TemplatePage<'_> {
    fn has_priority(&self, name: &str) -> bool {
        self.priorities.iter().any(|priority| priority.name == name)
    }

    /// Whether anything but an answer that is tried keeps the form from being saved.
    fn faulty(&self) -> bool {
        self.form.faults().iter().any(|fault| !fault.field.ends_with(".answer"))
    }
}

/// What the page shows besides what is kept.
#[derive(Default)]
struct Shown<'a> {
    draft: Option<Draft>,
    score: Option<Score>,
    form: Option<&'a Form>,
}

#[handler]
pub async fn show(context: OrgContext, Path(RowOrNew { id }): Path<RowOrNew>) -> Result<Response, Problem> {
    show_with(&context, id, Shown::default()).await
}

async fn show_with(context: &OrgContext, id: Option<Uuid>, shown: Shown<'_>) -> Result<Response, Problem> {
    let (shell, (forms, sites, priorities)) = context
        .read(id.is_none().then_some(Permission::TemplateEdit), async |tx| {
            let forms = match id {
                Some(id) => store::templates::by_id(tx, id).await?,
                None => Forms::default(),
            };
            let (priorities, _) = store::priorities::page(tx, CHOICES).await?;
            Ok((forms, store::sites::list(tx).await?, priorities))
        })
        .await?;
    let empty = Form::default();
    let form = shown.form.unwrap_or(&empty);
    let kept = forms.templates.first();
    let changed = kept.and_then(|template| template.updated_at).and_then(|at| at.format(&Rfc3339).ok());
    // Who was told that another changed the form may save theirs over it.
    let version = match form.filled("version") {
        Some(sent) if form.code != Some(Code::EditConflict) => sent.to_owned(),
        _ => changed.unwrap_or_default(),
    };
    let draft = match shown.draft {
        Some(mut typed) if form.code == Some(Code::EditConflict) => {
            typed.renew(&forms);
            typed
        }
        Some(typed) if shell.may(Permission::TemplateEdit) => typed,
        Some(typed) => Draft::of(&forms).answered(typed),
        None => Draft::of(&forms),
    };
    let kept = kept.map(|template| template.name.clone());
    let (score, faults) = (shown.score, Faults::of(form));
    form_page(&TemplatePage { shell, kept, version, draft, sites, priorities, score, form, faults }, form)
}

#[handler]
pub async fn update(context: OrgContext, Path(RowOrNew { id }): Path<RowOrNew>) -> Result<Response, Problem> {
    let form = &context.form;
    let mut draft = Draft::read(form);
    match (form.get("action"), id) {
        ("save", _) => {
            draft.prune();
            match context.write(Permission::TemplateEdit, async |tx| save(tx, id, &draft, form).await).await {
                Ok(id) => Ok(context.redirect(&format!("templates/{id}?done=saved"))),
                Err(problem) => refused(&context, id, Some(draft), problem).await,
            }
        }
        ("preview", _) => {
            draft.prune();
            let scored = context.dry_run(Permission::TemplateEdit, async |tx| preview(tx, id, &draft).await).await;
            tried(&context, id, draft, scored).await
        }
        // Whoever may not edit the form tries it as it is kept.
        ("try", Some(saved)) => {
            let mut tx = context.enter(Access::Read, MEMBER).await?;
            let scored = score(&mut tx, saved, &draft).await;
            let scored = tx.finish(scored).await;
            tried(&context, id, draft, scored).await
        }
        ("delete", Some(saved)) => {
            match context.write(Permission::TemplateEdit, async |tx| delete(tx, saved, form).await).await {
                Ok(()) => Ok(context.redirect("templates?done=deleted")),
                Err(problem) => refused(&context, id, None, problem).await,
            }
        }
        (action, _) => {
            context.require(Permission::TemplateEdit).await?;
            if !draft.edit(action) {
                return refused(&context, id, Some(draft), Form::unknown_action()).await;
            }
            show_with(&context, id, Shown { draft: Some(draft), form: Some(form), score: None }).await
        }
    }
}

async fn refused(
    context: &OrgContext,
    id: Option<Uuid>,
    draft: Option<Draft>,
    problem: Problem,
) -> Result<Response, Problem> {
    let form = context.form.with_problem(problem)?;
    show_with(context, id, Shown { draft, form: Some(&form), score: None }).await
}

async fn tried(
    context: &OrgContext,
    id: Option<Uuid>,
    draft: Draft,
    scored: Result<Score, Problem>,
) -> Result<Response, Problem> {
    match scored {
        Ok(score) => {
            let shown = Shown { draft: Some(draft), score: Some(score), form: Some(&context.form) };
            show_with(context, id, shown).await
        }
        Err(problem) => refused(context, id, Some(draft), problem).await,
    }
}

async fn save(tx: &mut OrgTx, id: Option<Uuid>, draft: &Draft, form: &Form) -> Result<Uuid, Problem> {
    let change = draft.check()?;
    match id {
        None => store::templates::create(tx, &change).await,
        Some(id) => {
            let seen = OffsetDateTime::parse(form.get("version"), &Rfc3339);
            let seen = seen.map_err(|_| Problem::invalid_field("version", "is not that of this form"))?;
            store::templates::change(tx, id, &Change { seen: Some(seen), ..change }).await?;
            Ok(id)
        }
    }
}

async fn delete(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<(), Problem> {
    form.confirmed()?;
    store::templates::delete(tx, id).await
}

/// Saves what scores, and scores with it; whoever calls it rolls back.
async fn preview(tx: &mut OrgTx, id: Option<Uuid>, draft: &Draft) -> Result<Score, Problem> {
    let mut change = draft.check_scoring()?;
    let id = match id {
        Some(id) => {
            // What it is called when it is saved makes no difference to its points.
            for question in change.questions.iter_mut().flatten() {
                question.id = None;
            }
            store::templates::change(tx, id, &change).await?;
            id
        }
        // A name that no other form has.
        None => {
            store::templates::create(tx, &Change { name: Some(FormName::known(&Uuid::new_v4().to_string())), ..change })
                .await?
        }
    };
    score(tx, id, draft).await
}

async fn score(tx: &mut OrgTx, id: Uuid, draft: &Draft) -> Result<Score, Problem> {
    let forms = store::templates::by_id(tx, id).await?;
    let kept = Draft::of(&forms);
    let answers: BTreeMap<String, String> = kept
        .questions
        .into_iter()
        .zip(&draft.questions)
        .filter_map(|(mut question, typed)| {
            question.answer.clone_from(&typed.answer);
            question.given().map(str::to_owned).map(|given| (question.id, given))
        })
        .collect();
    let fitting = store::templates::fitting(&forms, &answers).map_err(|problem| with_form_fields(problem, &forms))?;
    store::templates::try_out(tx, id, &fitting).await
}

/// A problem whose fields are called as the form calls them.
fn with_form_fields(problem: Problem, forms: &Forms) -> Problem {
    let places = forms.questions.iter().enumerate();
    let places: BTreeMap<String, usize> =
        places.map(|(place, question)| (format!("answers.{}", question.id), place)).collect();
    let errors = problem.errors.iter().map(|error| FieldError {
        field: places.get(&error.field).map_or(error.field.clone(), |place| row("questions", place) + ".answer"),
        message: error.message.clone(),
    });
    Problem { errors: errors.collect(), ..problem }
}
