//! Machine keys. As with a site's key, the text is in the answer to the form that made it and in no other page: the form
//! names the newest key of its list, so that sending it again (a reload, the way back) makes and shows nothing.

use poem::{Response, handler};
use time::{Date, Duration, OffsetDateTime, Time, macros::format_description};

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{OrgContext, Shell},
        page::{form_page, html},
    },
    db::OrgTx,
    domain::{
        keys::MachineKey,
        permissions::Permission,
        problem::{Code, Problem},
        text::{Checked, MachineKeyName},
    },
    store::{
        self,
        machine_keys::{MachineKeyRow, NewMachineKey},
        paging::PageRequest,
    },
};

/// What whoever sees and changes them may do.
const PERMISSION: Permission = Permission::MachinekeyEdit;
/// Keys of a page.
const PAGE: u32 = 50;

#[derive(askama::Template)]
#[template(path = "machine_keys/machine_keys.html")]
struct MachineKeysPage<'a> {
    shell: Shell,
    keys: Vec<MachineKeyRow>,
    next: Option<String>,
    /// The id of the newest key, whatever page is shown.
    newest: String,
    now: OffsetDateTime,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "machine_keys/reveal.html")]
struct RevealPage {
    shell: Shell,
    name: String,
    key: String,
    public_url: String,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    list_with(&context, &Form::default()).await
}

async fn list_with(context: &OrgContext, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.filled("cursor") };
    let (shell, (keys, next, newest)) = context
        .read(PERMISSION, async |tx| {
            let (keys, next) = store::machine_keys::page(tx, page_request).await?;
            Ok((keys, next, newest(tx).await?))
        })
        .await?;
    let next = next.map(|next| context.query.next_page(&[], &next));
    form_page(&MachineKeysPage { shell, keys, next, newest, now: OffsetDateTime::now_utc(), form }, form)
}

async fn newest(tx: &mut OrgTx) -> Result<String, Problem> {
    let (keys, _) = store::machine_keys::page(tx, PageRequest { limit: 1, cursor: None }).await?;
    Ok(keys.first().map_or_else(String::new, |key| key.id.to_string()))
}

/// What a form did.
enum Outcome {
    Revealed(String, MachineKey),
    Revoked,
}

#[handler]
pub async fn update(context: OrgContext) -> Result<Response, Problem> {
    match context.write(PERMISSION, async |tx| apply(tx, &context.form).await).await {
        Ok(Outcome::Revoked) => Ok(context.redirect("machine-keys?done=revoked")),
        Ok(Outcome::Revealed(name, key)) => {
            let (shell, ()) = context.read(PERMISSION, async |_| Ok(())).await?;
            html(&RevealPage { shell, name, key: key.reveal().to_owned(), public_url: context.public_url.clone() })
        }
        Err(problem) => list_with(&context, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, form: &Form) -> Result<Outcome, Problem> {
    match form.get("action") {
        "create" => create(tx, form).await,
        "revoke" => {
            form.confirmed()?;
            store::machine_keys::revoke(tx, form.id("id")?).await.map(|()| Outcome::Revoked)
        }
        _ => Err(Form::unknown_action()),
    }
}

async fn create(tx: &mut OrgTx, form: &Form) -> Result<Outcome, Problem> {
    let mut checked = Checked::default();
    let name = form.take::<MachineKeyName>(&mut checked, "name");
    let permissions: Vec<String> = form.all("permission").into_iter().map(str::to_owned).collect();
    let expires_at = form.filled("last_day").map(end_of);
    if expires_at == Some(None) {
        checked.fault("last_day", "must be a date such as 2031-12-31".to_owned());
    }
    store::machine_keys::check(&mut checked, &permissions, expires_at.flatten());
    let (Some(name), true) = (name, checked.is_empty()) else {
        return Err(with_form_fields(checked.problem()));
    };
    if form.get("newest") != newest(tx).await? {
        let detail = "A key was made since this page was shown. Nothing was done: check the list as it is now.";
        return Err(Problem::new(Code::EditConflict, detail));
    }
    let new = NewMachineKey { name: &name, permissions: &permissions, expires_at: expires_at.flatten(), creator: None };
    let (row, key) = store::machine_keys::create(tx, &new).await.map_err(with_form_fields)?;
    Ok(Outcome::Revealed(row.name, key))
}

/// A problem whose fields are called as the form calls them.
fn with_form_fields(mut problem: Problem) -> Problem {
    for error in &mut problem.errors {
        match error.field.as_str() {
            "permissions" => "permission".clone_into(&mut error.field),
            "expires_at" => "last_day".clone_into(&mut error.field),
            _ => {}
        }
    }
    problem
}

/// The end of a day, UTC.
fn end_of(day: &str) -> Option<OffsetDateTime> {
    let day = Date::parse(day, format_description!("[year]-[month]-[day]")).ok()?;
    day.with_time(Time::MIDNIGHT).assume_utc().checked_add(Duration::DAY).filter(|at| at.year() <= 9999)
}

/// Whether a key works, in a word.
fn state(key: &MachineKeyRow, now: OffsetDateTime) -> &'static str {
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        _ => "works",
    }
}
