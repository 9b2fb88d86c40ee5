//! Logging in and out, and the way from `/dashboard` to an org.

use poem::{
    Response,
    http::{HeaderValue, header},
};

use super::{
    first_run,
    form::Form,
    page_context::{PageContext, form_page, html, to},
};
use crate::{
    auth::{agent, login},
    db::{Access, Credential},
    domain::{
        problem::Problem,
        text::{Checked, EMAIL_LENGTH, MAX_PASSWORD_LENGTH, Prose, Text},
    },
    store::{self, members::Membership, paging::PageRequest},
};

#[derive(askama::Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    form: &'a Form,
    next: &'a str,
    token: &'a str,
}

#[derive(askama::Template)]
#[template(path = "orgs.html")]
struct OrgsPage {
    orgs: Vec<Membership>,
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

pub async fn show(context: &PageContext) -> Result<Response, Problem> {
    if first_run::is_due(context).await? {
        return Ok(to(first_run::PATH));
    }
    html(&LoginPage { form: &Form::default(), next: next(&context.query), token: &context.token })
}

pub async fn log_in(context: &PageContext) -> Result<Response, Problem> {
    let mut checked = Checked::default();
    let email = context.form.take::<Text<EMAIL_LENGTH>>(&mut checked, "email");
    let password = context.form.take::<Prose<MAX_PASSWORD_LENGTH>>(&mut checked, "password");
    let opened = match (email, password) {
        (Some(email), Some(password)) => match login::limited(&context.app, context.network, &email).1 {
            Ok(()) => login::open(&context.app, &email, password.into_string()).await,
            Err(problem) => Err(problem),
        },
        _ => Err(checked.problem()),
    };
    match opened {
        Ok(token) => Ok(with_cookie(to(next(&context.form)), &login::cookie(&token))),
        Err(problem) => {
            let form = context.form.again(problem)?;
            form_page(&LoginPage { form: &form, next: next(&context.form), token: &context.token }, &form)
        }
    }
}

pub async fn log_out(context: &PageContext) -> Result<Response, Problem> {
    store::logins::close_session(&context.app.agents, context.session()?).await?;
    Ok(with_cookie(to("/dashboard/login"), &login::no_cookie()))
}

/// An answer with a cookie.
pub fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// To the org of whoever has one, else a choice.
pub async fn home(context: &PageContext) -> Result<Response, Problem> {
    let mut tx = agent::enter(&context.app, Access::Read, Credential::Session(context.session()?), None).await?;
    let orgs = store::members::memberships(&mut tx, PageRequest { limit: 100, cursor: None }).await;
    let (orgs, _) = tx.finish(orgs).await?;
    match orgs.as_slice() {
        [org] => Ok(to(&format!("/dashboard/{}", org.slug))),
        _ => html(&OrgsPage { orgs }),
    }
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
