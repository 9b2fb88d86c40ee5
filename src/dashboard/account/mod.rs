//! One's own account: name, password, and where one is logged in.

use poem::{Response, handler};

use crate::{
    auth::login,
    dashboard::frame::{
        form::Form,
        org_context::{MEMBER, OrgContext, Shell},
        page::{form_page, redirect, with_cookie},
    },
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::{Checked, MAX_PASSWORD_LENGTH, NewPassword, PersonName, Prose},
    },
    store::{
        members,
        users::{self, Session},
    },
};

#[derive(askama::Template)]
#[template(path = "account/account.html")]
struct AccountPage<'a> {
    shell: Shell,
    /// The address of whoever looks is proven.
    proven: bool,
    sessions: Vec<Session>,
    form: &'a Form,
}

#[handler]
pub async fn show(context: OrgContext) -> Result<Response, Problem> {
    show_with(&context, &Form::default()).await
}

async fn show_with(context: &OrgContext, form: &Form) -> Result<Response, Problem> {
    let work = async |tx: &mut OrgTx| Ok(!members::is_unproven(tx).await?);
    let (shell, proven) = context.read(MEMBER, work).await?;
    let sessions = users::sessions(&context.app.agents, context.session()?).await?;
    let shown = form.with_defaults(Form::of(&[("name", shell.person.clone())]));
    form_page(&AccountPage { shell, proven, sessions, form: &shown }, form)
}

#[handler]
pub async fn update(context: OrgContext) -> Result<Response, Problem> {
    let (form, gate, session) = (&context.form, &context.app.agents, context.session()?);
    let done = match form.get("action") {
        "name" => rename(&context).await.map(|()| "saved"),
        "password" => change_password(&context).await.map(|()| "password"),
        "end" => users::end_session(gate, session, form.get("id").parse().unwrap_or_default()).await.map(|()| "ended"),
        "end_all" => match form.confirmed() {
            Ok(()) => {
                users::close_sessions(gate, session).await?;
                return Ok(with_cookie(redirect("/dashboard/login"), &login::no_cookie(&context.app)));
            }
            Err(problem) => Err(problem),
        },
        _ => Err(Form::unknown_action()),
    };
    match done {
        Ok(done) => Ok(context.redirect(&format!("account?done={done}"))),
        Err(problem) => show_with(&context, &form.with_problem(problem)?).await,
    }
}

async fn rename(context: &OrgContext) -> Result<(), Problem> {
    let mut checked = Checked::default();
    let name = context.form.take::<PersonName>(&mut checked, "name").ok_or_else(|| checked.problem())?;
    users::rename(&context.app.agents, context.session()?, &name).await
}

async fn change_password(context: &OrgContext) -> Result<(), Problem> {
    let mut checked = Checked::default();
    let current = context.form.take::<Prose<MAX_PASSWORD_LENGTH>>(&mut checked, "current_password");
    let new = context.form.take::<NewPassword>(&mut checked, "new_password");
    let (Some(current), Some(new)) = (current, new) else { return Err(checked.problem()) };
    let (shell, ()) = context.read(MEMBER, async |_: &mut OrgTx| Ok(())).await?;
    login::limited(&context.app, context.network, &shell.email).await.1?;
    let of = (context.session()?, shell.email.as_str());
    match login::change_password(&context.app, of, current.into_string(), new).await {
        // Whoever asks is logged in all the same.
        Err(problem) if problem.code == Code::LoginFailed => {
            Err(Problem::unprocessable("current_password", "is not your password"))
        }
        changed => changed,
    }
}
