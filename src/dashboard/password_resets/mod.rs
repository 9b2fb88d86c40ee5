//! Forgotten passwords: a link by mail, and the page that it opens, where a new one is chosen. The link proves the address; to
//! open it changes nothing, since programs that look through mail open links too.

use poem::{Response, handler};

use crate::{
    auth::login,
    dashboard::frame::{
        form::Form,
        page::{form_page, redirect, with_cookie},
        page_context::PageContext,
    },
    domain::{
        problem::{Code, Problem},
        text::{Checked, EmailAddress, NewPassword},
    },
    store,
};

#[derive(askama::Template)]
#[template(path = "password_resets/forgot.html")]
struct ForgotPage<'a> {
    form: &'a Form,
    token: &'a str,
    /// This server sends mail.
    sends: bool,
    asked: bool,
}

#[derive(askama::Template)]
#[template(path = "password_resets/choose.html")]
struct ChoosePage<'a> {
    form: &'a Form,
    token: &'a str,
    /// Of the link.
    link: &'a str,
    /// Whose password it is; `None` when the link is good for nothing.
    email: Option<String>,
}

#[handler]
pub fn show(context: &PageContext) -> Result<Response, Problem> {
    forgot(context, &Form::default(), false)
}

fn forgot(context: &PageContext, form: &Form, asked: bool) -> Result<Response, Problem> {
    form_page(&ForgotPage { form, token: &context.token, sends: context.app.mail.is_some(), asked }, form)
}

#[handler]
pub async fn ask(context: &PageContext) -> Result<Response, Problem> {
    match mail_link(context).await {
        Ok(()) => forgot(context, &Form::default(), true),
        Err(problem) => forgot(context, &context.form.with_problem(problem)?, false),
    }
}

async fn mail_link(context: &PageContext) -> Result<(), Problem> {
    let email = context.form.take_one::<EmailAddress>("email")?;
    login::limited(&context.app, context.network, &login::reset_of(&email)).await.1?;
    store::users::ask_password_reset(&context.app.agents, &email, context.visitor.language).await
}

#[handler]
pub async fn choose(context: &PageContext) -> Result<Response, Problem> {
    choose_with(context, context.query.get("token"), &Form::default()).await
}

async fn choose_with(context: &PageContext, link: &str, form: &Form) -> Result<Response, Problem> {
    login::limited(&context.app, context.network, link).await.1?;
    let email = match store::users::password_reset(&context.app.agents, store::users::token_digest(link)).await {
        Ok(email) => Some(email),
        Err(problem) if problem.code == Code::NotFound => None,
        Err(problem) => return Err(problem),
    };
    form_page(&ChoosePage { form, token: &context.token, link, email }, form)
}

#[handler]
pub async fn change(context: &PageContext) -> Result<Response, Problem> {
    let link = context.form.get("token");
    match set(context, link).await {
        // Whoever was logged in here is so no more, as everywhere.
        Ok(()) => Ok(with_cookie(redirect("/dashboard/login?done=chosen"), &login::no_cookie(&context.app))),
        Err(problem) if problem.code == Code::NotFound => choose_with(context, link, &Form::default()).await,
        Err(problem) => choose_with(context, link, &context.form.with_problem(problem)?).await,
    }
}

async fn set(context: &PageContext, link: &str) -> Result<(), Problem> {
    let mut checked = Checked::default();
    let password = context.form.take::<NewPassword>(&mut checked, "password").ok_or_else(|| checked.problem())?;
    login::limited(&context.app, context.network, link).await.1?;
    login::reset_password(&context.app, &context.visitor, link, password).await
}
