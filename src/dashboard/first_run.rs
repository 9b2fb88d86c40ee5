//! The first run: who opens the dashboard of a server that has neither an org nor a user makes both, once.

use poem::Response;

use super::{
    form::Form,
    login,
    visit::{Visit, form_page, to},
};
use crate::{
    api::{
        failure::REQUEST_ID,
        text::{Checked, EmailAddress, NAME_LENGTH, NewPassword, Text},
    },
    auth::{self, password::Salt},
    keys::SessionToken,
    problem::{Code, Problem},
    store::{self, logins::FirstOrg},
};

/// Where it is. No org may have this slug.
pub const PATH: &str = "/dashboard/setup";

#[derive(askama::Template)]
#[template(path = "first_run.html")]
struct FirstRunPage<'a> {
    form: &'a Form,
    token: &'a str,
}

/// Whether it is still to come.
///
/// # Errors
/// `5xx` only.
pub async fn is_due(visit: &Visit) -> Result<bool, Problem> {
    store::logins::first_run(&visit.app.agents).await
}

pub async fn show(visit: &Visit) -> Result<Response, Problem> {
    match is_due(visit).await? {
        true => show_with(visit, &Form::default()),
        false => Ok(to("/dashboard")),
    }
}

fn show_with(visit: &Visit, form: &Form) -> Result<Response, Problem> {
    form_page(&FirstRunPage { form, token: &visit.token }, form)
}

pub async fn begin(visit: &Visit) -> Result<Response, Problem> {
    if !is_due(visit).await? {
        return Err(over());
    }
    match try_to_begin(visit).await {
        Ok((slug, token)) => {
            Ok(login::with_cookie(to(&format!("/dashboard/{slug}/sites")), &auth::login::cookie(&token)))
        }
        Err(problem) => show_with(visit, &visit.form.again(problem)?),
    }
}

async fn try_to_begin(visit: &Visit) -> Result<(String, SessionToken), Problem> {
    let mut checked = Checked::default();
    let org_name = visit.form.take::<Text<NAME_LENGTH>>(&mut checked, "org");
    let name = visit.form.take::<Text<NAME_LENGTH>>(&mut checked, "name");
    let email = visit.form.take::<EmailAddress>(&mut checked, "email");
    let password = visit.form.take::<NewPassword>(&mut checked, "password");
    let (Some(Text(org_name)), Some(Text(name)), Some(EmailAddress(email)), Some(NewPassword(password))) =
        (org_name, name, email, password)
    else {
        return Err(checked.problem());
    };
    let slug = match visit.form.some("slug") {
        Some(slug) => slug.to_owned(),
        None => store::slugs::of(&org_name, 63),
    };
    store::orgs::check_new_slug(&slug)?;
    auth::login::limited(&visit.app, visit.network, &email).1?;
    let hash = visit.app.hasher.hash(Salt::fresh(), password).await?;
    let request_id = REQUEST_ID.try_with(Clone::clone).unwrap_or_default();
    let first = FirstOrg { slug: &slug, org_name: &org_name, email: &email, name: &name, password_hash: &hash };
    let token = store::logins::begin_first_org(&visit.app.agents, &first, &request_id).await?;
    Ok((slug, token.ok_or_else(over)?))
}

/// `404`: somebody was first.
fn over() -> Problem {
    Problem::new(Code::NotFound, "This server has its first org already. Log in, or ask somebody there to invite you.")
}
