//! Ticket forms: what they ask, what answers are worth, and a preview of the priority that a ticket would get.
//!
//! The editor is one form. Its buttons send all that was typed and get the page with it once more, a row added or moved. The
//! preview saves the form as it was typed, scores the answers with the functions that score tickets, and rolls back.

mod draft;

use std::collections::{BTreeMap, HashMap};

use poem::Response;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use self::draft::Draft;
use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, html, to},
};
use crate::{
    db::{Access, OrgTx},
    domain::{
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
#[template(path = "templates.html")]
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

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.some("cursor") };
    let site = context.query.some("site");
    let (shell, ((forms, next), sites)) = context
        .see(org, "member", async |tx| {
            Ok((store::templates::page(tx, page_request, site).await?, store::sites::list(tx).await?))
        })
        .await?;
    let next = next.map(|next| context.query.more(&["site"], &next));
    html(&TemplatesPage { shell, forms, next, sites, query: &context.query })
}

#[derive(askama::Template)]
#[template(path = "template.html")]
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
}

/// A row of a list of the form, as its fields begin.
fn row(list: impl AsRef<str>, place: &usize) -> String {
    format!("{}[{place}]", list.as_ref())
}

/// A field of the form, in words.
fn called(field: &str) -> String {
    let mut called = String::new();
    for part in field.split('.') {
        let (word, place) = match part.split_once('[') {
            Some((list, place)) => (list.trim_end_matches('s'), place.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        if !called.is_empty() {
            called.push_str(", ");
        }
        called.push_str(word);
        if let Some(place) = place {
            called.push(' ');
            called.push_str(&(place + 1).to_string());
        }
    }
    called[..1].to_uppercase() + &called[1..]
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

fn read(id: &str) -> Result<Option<Uuid>, Problem> {
    match id {
        "new" => Ok(None),
        id => id.parse().map(Some).map_err(|_| Problem::not_found()),
    }
}

/// What the page shows besides what is kept.
#[derive(Default)]
struct Shown<'a> {
    draft: Option<Draft>,
    score: Option<Score>,
    form: Option<&'a Form>,
}

pub async fn show(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    show_with(context, org, read(id)?, Shown::default()).await
}

async fn show_with(context: &PageContext, org: &str, id: Option<Uuid>, shown: Shown<'_>) -> Result<Response, Problem> {
    let (shell, (forms, sites, priorities)) = context
        .see(org, if id.is_some() { "member" } else { "template:edit" }, async |tx| {
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
    let version = match form.some("version") {
        Some(sent) if form.code != Some(Code::EditConflict) => sent.to_owned(),
        _ => changed.unwrap_or_default(),
    };
    let draft = match shown.draft {
        Some(mut typed) if form.code == Some(Code::EditConflict) => {
            typed.renew(&forms);
            typed
        }
        Some(typed) if shell.may("template:edit") => typed,
        Some(typed) => Draft::of(&forms).answered(typed),
        None => Draft::of(&forms),
    };
    let kept = kept.map(|template| template.name.clone());
    let (score, faults) = (shown.score, Faults::of(form));
    form_page(&TemplatePage { shell, kept, version, draft, sites, priorities, score, form, faults }, form)
}

pub async fn change(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    let (id, form) = (read(id)?, &context.form);
    let mut draft = Draft::read(form);
    match (form.get("action"), id) {
        ("save", _) => {
            draft.prune();
            let saved = context.act(org, "template:edit", async |tx| save(tx, id, &draft, form).await).await;
            match saved {
                Ok(id) => Ok(to(&format!("/dashboard/{org}/templates/{id}?done=saved"))),
                Err(problem) => refused(context, org, id, draft, problem).await,
            }
        }
        ("preview", _) => {
            draft.prune();
            let scored = context.try_out(org, "template:edit", async |tx| preview(tx, id, &draft).await).await;
            tried(context, org, id, draft, scored).await
        }
        // Whoever may not edit the form tries it as it is kept.
        ("try", Some(kept)) => {
            let mut tx = context.enter(Access::Read, org, "member").await?;
            let scored = score(&mut tx, kept, &draft).await;
            let scored = tx.finish(scored).await;
            tried(context, org, id, draft, scored).await
        }
        ("delete", Some(id)) => {
            let deleted = context.act(org, "template:edit", async |tx| delete(tx, id, form).await).await;
            match deleted {
                Ok(()) => Ok(to(&format!("/dashboard/{org}/templates?done=deleted"))),
                Err(problem) => {
                    let again = form.again(problem)?;
                    show_with(context, org, Some(id), Shown { form: Some(&again), ..Shown::default() }).await
                }
            }
        }
        (action, _) => {
            context.enter(Access::Read, org, "template:edit").await?.finish(Ok(())).await?;
            if !draft.edit(action) {
                let problem = Problem::invalid_field("action", "is none that this page has");
                return refused(context, org, id, draft, problem).await;
            }
            show_with(context, org, id, Shown { draft: Some(draft), form: Some(form), score: None }).await
        }
    }
}

async fn refused(
    context: &PageContext,
    org: &str,
    id: Option<Uuid>,
    draft: Draft,
    problem: Problem,
) -> Result<Response, Problem> {
    let again = context.form.again(problem)?;
    show_with(context, org, id, Shown { draft: Some(draft), form: Some(&again), score: None }).await
}

async fn tried(
    context: &PageContext,
    org: &str,
    id: Option<Uuid>,
    draft: Draft,
    scored: Result<Score, Problem>,
) -> Result<Response, Problem> {
    match scored {
        Ok(score) => {
            show_with(context, org, id, Shown { draft: Some(draft), score: Some(score), form: Some(&context.form) })
                .await
        }
        Err(problem) => refused(context, org, id, draft, problem).await,
    }
}

async fn save(tx: &mut OrgTx, id: Option<Uuid>, draft: &Draft, form: &Form) -> Result<Uuid, Problem> {
    let change = draft.check()?;
    match id {
        None => store::templates::create(tx, &change).await,
        Some(id) => {
            let seen = OffsetDateTime::parse(form.get("version"), &Rfc3339);
            let seen = seen.map_err(|_| Problem::invalid_field("version", "is not that of this page"))?;
            store::templates::change(tx, id, &Change { seen: Some(seen), ..change }).await?;
            Ok(id)
        }
    }
}

async fn delete(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<(), Problem> {
    if form.get("sure") != "yes" {
        return Err(Problem::invalid_field("sure", "Tick the box to say that you mean it"));
    }
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
    let fitting = store::templates::fitting(&forms, &answers).map_err(|problem| placed(problem, &forms))?;
    store::templates::try_out(tx, id, &fitting).await
}

/// A problem whose fields are called as the form calls them.
fn placed(problem: Problem, forms: &Forms) -> Problem {
    let places = forms.questions.iter().enumerate();
    let places: BTreeMap<String, usize> =
        places.map(|(place, question)| (format!("answers.{}", question.id), place)).collect();
    let errors = problem.errors.iter().map(|error| FieldError {
        field: places.get(&error.field).map_or(error.field.clone(), |place| row("questions", place) + ".answer"),
        message: error.message.clone(),
    });
    Problem { errors: errors.collect(), ..problem }
}
