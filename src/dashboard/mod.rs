//! Pages for people, at `/dashboard`: rendered here, working without JavaScript, under the sessions, roles and policies of
//! `/v1`. A page reads top down: its template's fields, then what GET shows and what POST does. Templates stand beside their
//! handlers and escape whatever they print.
//!
//! Every POST comes from a form of ours: `Origin` or `Sec-Fetch-Site` says so, and the form carries a token that only this
//! browser's session can have got. What a role may not do, pages do not offer, [`PageContext`] refuses, and policies forbid.

mod first_run;
mod form;
mod help;
mod inbox;
mod live;
mod login;
mod machine_keys;
mod page_context;
mod people;
mod saved_replies;
mod site_key;
mod sites;
mod stats;
mod teams;
mod templates;
mod workflow;

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

use crate::{
    dashboard::page_context::{PageContext, html},
    domain::{
        problem::{Code, Problem},
        request_id,
    },
    http::request::log,
    state::App,
};

/// Scripts and styles are files of ours, forms go to us, nothing is inline, and nobody frames a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What a page says instead of what was asked for.
#[derive(askama::Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    status: u16,
    title: &'static str,
    detail: String,
    request_id: String,
}

/// Answers a request of `/dashboard`.
pub async fn answer(app: &Arc<App>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let answered = match PageContext::read(app, request).await {
        Ok(context) => route(&context).await,
        Err(problem) => Err(problem),
    };
    let mut response = answered.unwrap_or_else(|problem| refusal(&problem, get.then_some(path.as_str())));
    let headers = response.headers_mut();
    // With `no-referrer` browsers would send `Origin: null` with our own forms.
    let usual = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "Cookie"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in usual {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn route(context: &PageContext) -> Result<Response, Problem> {
    let segments: Vec<&str> = context.path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect();
    match (context.post, segments.as_slice()) {
        (false, []) => login::home(context).await,
        (false, ["login"]) => login::show(context).await,
        (true, ["login"]) => login::log_in(context).await,
        (true, ["logout"]) => login::log_out(context).await,
        (false, ["setup"]) => first_run::show(context).await,
        (true, ["setup"]) => first_run::begin(context).await,
        (false, ["logout"] | [_, "help", "preview"]) => Err(only("POST")),
        (false, [org]) => stats::show(context, org).await,
        (false, [org, "sites"]) => sites::list(context, org).await,
        (true, [org, "sites"]) => sites::create(context, org).await,
        (false, [org, "sites", site]) => sites::show(context, org, site).await,
        (true, [org, "sites", site]) => sites::change(context, org, site).await,
        (false, [org, "sites", site, "key"]) => site_key::show(context, org, site).await,
        (true, [org, "sites", site, "key"]) => site_key::change(context, org, site).await,
        (false, [org, "inbox"]) => inbox::list(context, org).await,
        (false, [org, "events"]) => live::events(context, org).await,
        (false, [org, "inbox", id]) => inbox::show(context, org, id).await,
        (true, [org, "inbox", id]) => inbox::change(context, org, id).await,
        (false, [org, "replies"]) => saved_replies::list(context, org).await,
        (true, [org, "replies"]) => saved_replies::create(context, org).await,
        (false, [org, "replies", id]) => saved_replies::show(context, org, id).await,
        (true, [org, "replies", id]) => saved_replies::change(context, org, id).await,
        (false, [org, "help"]) => help::list(context, org).await,
        (true, [org, "help", "preview"]) => help::preview(context, org).await,
        (false, [org, "help", kind, id]) => help::edit(context, org, kind, id).await,
        (true, [org, "help", kind, id]) => help::change(context, org, kind, id).await,
        (false, [org, "members"]) => people::list(context, org).await,
        (true, [org, "members"]) => people::change(context, org).await,
        (false, [org, "machine-keys"]) => machine_keys::list(context, org).await,
        (true, [org, "machine-keys"]) => machine_keys::change(context, org).await,
        (false, [org, "teams"]) => teams::list(context, org).await,
        (true, [org, "teams"]) => teams::create(context, org).await,
        (false, [org, "teams", id]) => teams::show(context, org, id).await,
        (true, [org, "teams", id]) => teams::change(context, org, id).await,
        (false, [org, "templates"]) => templates::list(context, org).await,
        (false, [org, "templates", id]) => templates::show(context, org, id).await,
        (true, [org, "templates", id]) => templates::change(context, org, id).await,
        (false, [org, "workflow"]) => workflow::list(context, org).await,
        (false, [org, "workflow", kind, id]) => workflow::edit(context, org, kind, id).await,
        (true, [org, "workflow", kind, id]) => workflow::change(context, org, kind, id).await,
        (false, [org, "audit"]) => people::audit(context, org).await,
        (true, [] | [_] | [_, "inbox" | "help" | "events" | "audit" | "templates" | "workflow"]) => {
            Err(only("GET, HEAD"))
        }
        _ => Err(Problem::not_found()),
    }
}

/// `405` of a path that has other methods.
fn only(methods: &str) -> Problem {
    let problem = Problem::new(Code::MethodNotAllowed, format!("This takes {methods}."));
    Problem { allow: Some(methods.to_owned()), ..problem }
}

/// The page of a problem; whoever is not logged in is asked to, and then brought to `back`.
fn refusal(problem: &Problem, back: Option<&str>) -> Response {
    log(problem);
    if matches!(problem.code, Code::SessionRequired | Code::SessionInvalid) {
        return page_context::to(&login::path(back));
    }
    let page = ProblemPage {
        status: problem.code.status(),
        title: problem.code.title(),
        detail: problem.detail.to_string(),
        request_id: request_id::current(),
    };
    let mut response = html(&page).unwrap_or_default();
    response.set_status(StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let Some(Ok(allow)) = problem.allow.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
