//! The first run: who opens the dashboard of a server that has neither an org nor a user makes both, once.

use poem::{Response, handler};

use crate::{
    auth::login,
    dashboard::frame::{
        form::Form,
        page::{form_page, redirect, with_cookie},
        page_context::PageContext,
    },
    domain::{
        keys::SessionToken,
        problem::{Code, Problem},
        request_id,
        text::{Checked, EmailAddress, NewPassword, OrgName, Slug},
    },
    passwords::Salt,
    store::{self, users::FirstOrg},
};

/// Where it is. No org may have this slug.
pub const PATH: &str = "/dashboard/setup";

#[derive(askama::Template)]
#[template(path = "first_run/first_run.html")]
struct FirstRunPage<'a> {
    form: &'a Form,
    token: &'a str,
}

/// Whether it is still to come.
///
/// # Errors
/// `5xx` only.
pub async fn is_due(context: &PageContext) -> Result<bool, Problem> {
    store::users::first_run(&context.app.agents).await
}

#[handler]
pub async fn show(context: &PageContext) -> Result<Response, Problem> {
    if is_due(context).await? { show_with(context, &Form::default()) } else { Ok(redirect("/dashboard")) }
}

fn show_with(context: &PageContext, form: &Form) -> Result<Response, Problem> {
    form_page(&FirstRunPage { form, token: &context.token }, form)
}

#[handler]
pub async fn create(context: &PageContext) -> Result<Response, Problem> {
    if !is_due(context).await? {
        return Err(over());
    }
    match create_first_org(context).await {
        Ok((slug, token)) => {
            Ok(with_cookie(redirect(&format!("/dashboard/{slug}/sites")), &login::cookie(&context.app, &token)))
        }
        Err(problem) => show_with(context, &context.form.with_problem(problem)?),
    }
}

async fn create_first_org(context: &PageContext) -> Result<(String, SessionToken), Problem> {
    let mut checked = Checked::default();
    if !context.app.setup_code.is(context.form.get("code")) {
        login::limited(&context.app, context.network, "set-up").await.1?;
        checked.fault("code", "is not the one in the server's log".to_owned());
    }
    let org_name = context.form.take::<OrgName>(&mut checked, "org");
    let name = context.form.take(&mut checked, "name");
    let email = context.form.take::<EmailAddress>(&mut checked, "email");
    let password = context.form.take::<NewPassword>(&mut checked, "password");
    let (Some(org_name), Some(name), Some(email), Some(password)) = (org_name, name, email, password) else {
        return Err(checked.problem());
    };
    if !context.app.setup_code.is(context.form.get("code")) {
        return Err(checked.problem());
    }
    let slug = match context.form.filled("slug") {
        Some(slug) => checked.text::<Slug>("slug", slug).ok_or_else(|| checked.problem())?,
        None => Slug::derived(&org_name),
    };
    let password = password.of(&email)?;
    login::limited(&context.app, context.network, &email).await.1?;
    let hash = context.app.hasher.hash(Salt::fresh(), password).await?;
    let request_id = request_id::current();
    let first = FirstOrg { slug: &slug, org_name: &org_name, email: &email, name: &name, password_hash: &hash };
    let token = store::users::begin_first_org(&context.app.agents, &first, &request_id).await?;
    Ok((slug.into_string(), token.ok_or_else(over)?))
}

/// `404`: somebody was first.
fn over() -> Problem {
    Problem::new(
        Code::NotFound,
        "This server already has its first org. Log in, or ask one of its owners to invite you.",
    )
}
