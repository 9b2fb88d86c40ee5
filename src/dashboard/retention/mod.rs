//! How long a website keeps what, and the org the names in its audit log. What would go is shown before it is saved.

use poem::{Response, handler, web::Path};
use time::OffsetDateTime;

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{MEMBER, OrgContext, Shell},
        page::form_page,
        path,
    },
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem, text::Checked},
    store::{
        self,
        retention::{DAYS, Due, OfSite},
        sites::Site,
    },
};

/// The fields of a website, as the form and the API name them.
const FIELDS: [&str; 5] = ["open_days", "resolved_days", "closed_days", "files_days", "events_days"];
const AUDIT_LOG: &str = "audit_log_days";

#[derive(askama::Template)]
#[template(path = "retention/retention.html")]
struct RetentionPage<'a> {
    shell: Shell,
    site: Site,
    kept: OfSite,
    last_run_at: Option<OffsetDateTime>,
    audit_log_days: Option<i32>,
    form: &'a Form,
    /// What would go, were the form saved.
    due: Option<Due>,
    /// Entries of the audit log that would forget, likewise.
    forgotten: Option<i64>,
}

#[handler]
pub async fn show(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    show_with(&context, &site, &Form::default()).await
}

async fn show_with(context: &OrgContext, slug: &str, form: &Form) -> Result<Response, Problem> {
    let checks = |action: &str| form.get("action") == action && form.refused.is_none();
    let work = async |tx: &mut OrgTx| {
        let site = store::sites::by_slug(tx, slug).await?;
        let (kept, last_run_at) = store::retention::of_site(tx, site.id).await?;
        let (audit_log_days, _) = store::retention::of_audit_log(tx).await?;
        let (mut due, mut forgotten) = (None, None);
        if checks("check") {
            due = Some(store::retention::due_of_site(tx, site.id, &of_site(form)?).await?);
        }
        if checks("check_audit_log") {
            forgotten = Some(store::retention::due_of_audit_log(tx, days(form, AUDIT_LOG)?).await?);
        }
        Ok((site, kept, last_run_at, audit_log_days, due, forgotten))
    };
    let (shell, (site, kept, last_run_at, audit_log_days, due, forgotten)) = context.read(MEMBER, work).await?;
    let OfSite { open_days, resolved_days, closed_days, files_days, events_days } = kept;
    let kept_days = [open_days, resolved_days, closed_days, files_days, events_days, audit_log_days];
    let saved: Vec<(&str, String)> = FIELDS
        .into_iter()
        .chain([AUDIT_LOG])
        .zip(kept_days)
        .map(|(field, days)| (field, days.map_or_else(String::new, |days| days.to_string())))
        .collect();
    let shown = form.with_defaults(Form::of(&saved));
    form_page(&RetentionPage { shell, site, kept, last_run_at, audit_log_days, form: &shown, due, forgotten }, form)
}

#[handler]
pub async fn update(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    let form = &context.form;
    let needed = if form.get("action").ends_with("audit_log") { Permission::OrgEdit } else { Permission::TicketDelete };
    let done = context
        .write(needed, async |tx| {
            let site = store::sites::by_slug(tx, &site).await?;
            match form.get("action") {
                // Nothing changes: what would go is counted when the page is shown.
                "check" => of_site(form).map(|_| false),
                "check_audit_log" => days(form, AUDIT_LOG).map(|_| false),
                "save" => store::retention::set_of_site(tx, site.id, &of_site(form)?).await.map(|()| true),
                "save_audit_log" => store::retention::set_of_audit_log(tx, days(form, AUDIT_LOG)?).await.map(|()| true),
                _ => Err(Form::unknown_action()),
            }
        })
        .await;
    match done {
        Ok(true) => Ok(context.redirect(&format!("sites/{}/retention?done=saved", site.as_str()))),
        Ok(false) => match show_with(&context, &site, form).await {
            Err(problem) => show_with(&context, &site, &form.with_problem(problem)?).await,
            shown => shown,
        },
        Err(problem) => show_with(&context, &site, &form.with_problem(problem)?).await,
    }
}

fn of_site(form: &Form) -> Result<OfSite, Problem> {
    let mut checked = Checked::default();
    let mut field = |name: &str| {
        let text = form.get(name).trim();
        let read = if text.is_empty() { Ok(None) } else { text.parse().map(Some) };
        checked.take(name, read.map_err(|_| format!("must be from 1 to {} days, or empty", DAYS.end()))).flatten()
    };
    let [open_days, resolved_days, closed_days, files_days, events_days] = FIELDS.map(&mut field);
    checked.done()?;
    Ok(OfSite { open_days, resolved_days, closed_days, files_days, events_days })
}

fn days(form: &Form, name: &str) -> Result<Option<i32>, Problem> {
    let Some(text) = form.filled(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Problem::invalid_field(name, "must be a number of days, or empty"))
}
