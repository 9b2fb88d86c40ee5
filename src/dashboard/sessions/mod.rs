//! Logging in and out.

use poem::{Response, handler};

use crate::{
    auth::login,
    dashboard::{
        first_run,
        frame::{
            form::Form,
            page::{form_page, redirect, with_cookie},
            page_context::PageContext,
        },
    },
    domain::{
        keys::SessionToken,
        problem::Problem,
        text::{Checked, EMAIL_LENGTH, MAX_PASSWORD_LENGTH, Prose, Text},
    },
    store,
};

#[derive(askama::Template)]
#[template(path = "sessions/log_in.html")]
struct LogInPage<'a> {
    form: &'a Form,
    next: &'a str,
    token: &'a str,
    /// A password was just chosen by a link.
    chosen: bool,
}

/// The page that asks for a log-in and then goes on to `back`.
pub fn path(back: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    match back.filter(|back| *back != "/dashboard") {
        Some(back) => format!("/dashboard/login?{}", query.append_pair("next", back).finish()),
        None => "/dashboard/login".to_owned(),
    }
}

/// `next` when it is a path of the dashboard, and no other place.
fn next(form: &Form) -> &str {
    let wanted = form.get("next");
    let plain = wanted.bytes().all(|c| c.is_ascii_graphic() && c != b'\\');
    let ours = wanted == "/dashboard" || wanted.starts_with("/dashboard/");
    if ours && plain && !wanted.starts_with("/dashboard/log") { wanted } else { "/dashboard" }
}

#[handler]
pub async fn show(context: &PageContext) -> Result<Response, Problem> {
    if first_run::is_due(context).await? {
        return Ok(redirect(first_run::PATH));
    }
    show_with(context, &Form::default(), next(&context.query))
}

fn show_with(context: &PageContext, form: &Form, next: &str) -> Result<Response, Problem> {
    let chosen = context.query.get("done") == "chosen";
    form_page(&LogInPage { form, next, token: &context.token, chosen }, form)
}

#[handler]
pub async fn log_in(context: &PageContext) -> Result<Response, Problem> {
    match open(context).await {
        Ok(token) => Ok(with_cookie(redirect(next(&context.form)), &login::cookie(&context.app, &token))),
        Err(problem) => show_with(context, &context.form.with_problem(problem)?, next(&context.form)),
    }
}

async fn open(context: &PageContext) -> Result<SessionToken, Problem> {
    let mut checked = Checked::default();
    let email = context.form.take::<Text<EMAIL_LENGTH>>(&mut checked, "email");
    let password = context.form.take::<Prose<MAX_PASSWORD_LENGTH>>(&mut checked, "password");
    let (Some(email), Some(password)) = (email, password) else {
        return Err(checked.problem());
    };
    login::limited(&context.app, context.network, &email).await.1?;
    login::open(&context.app, context.network, &context.visitor, &email, password.into_string()).await
}

#[handler]
pub async fn log_out(context: &PageContext) -> Result<Response, Problem> {
    store::users::close_session(&context.app.agents, context.session()?).await?;
    Ok(with_cookie(redirect("/dashboard/login"), &login::no_cookie(&context.app)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_log_in_one_stays_in_the_dashboard() {
        let next = |wanted: &str| next(&Form::of(&[("next", wanted.to_owned())])).to_owned();
        assert_eq!(next("/dashboard/acme/inbox?status=open"), "/dashboard/acme/inbox?status=open");
        for bad in
            ["", "https://evil.example", "//evil.example", "/dashboard.evil", "/dashboard/\\evil", "/dashboard/a\r\nb"]
        {
            assert_eq!(next(bad), "/dashboard", "{bad:?}");
        }
    }
}
