//! Which page is where, and what all answers of the dashboard have in common: headers, the page of a problem, the way to the
//! log-in and back.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt as _, IntoEndpoint, PathPattern, Request, Response, Route, RouteMethod,
    endpoint::BoxEndpoint,
    error::{MethodNotAllowedError, ParsePathError},
    get,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{NormalizePath, TrailingSlash},
    post,
};

use crate::{
    dashboard::{
        account, audit_log, first_run,
        frame::{
            page::{html, redirect},
            page_context::PageContext,
        },
        help, machine_keys, mail, members, notifications, orgs, password_resets, retention, saved_replies, sessions,
        site_keys, sites, stats, tags, teams, templates, tickets, workflow,
    },
    domain::{
        problem::{Code, Problem},
        request_id,
    },
    http::{failure::problem_of, request::log},
    state::App,
    telemetry::{meters::Template, request::note},
};

/// Scripts and styles are files of ours, forms go to us, nothing is inline, and nobody else frames a page. A frame says for itself what it
/// may.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn pages() -> Route {
    Route::new()
        .at("/dashboard", shows(orgs::home))
        .at("/dashboard/setup", shows_and_takes(first_run::show, first_run::create))
        .at("/dashboard/login", shows_and_takes(sessions::show, sessions::log_in))
        .at("/dashboard/login/forgot", shows_and_takes(password_resets::show, password_resets::ask))
        .at("/dashboard/login/password", shows_and_takes(password_resets::choose, password_resets::change))
        .at("/dashboard/logout", takes(sessions::log_out))
        .at("/dashboard/:org", shows(stats::show))
        .at("/dashboard/:org/inbox", shows_and_takes(tickets::list::inbox, tickets::list::update))
        .at("/dashboard/:org/inbox/:id", shows_and_takes(tickets::ticket::show, tickets::ticket::update))
        .at("/dashboard/:org/inbox/:id/mail/:message", shows(tickets::mail::show))
        .at("/dashboard/:org/new-ticket", shows_and_takes(tickets::opening::show, tickets::opening::create))
        .at("/dashboard/:org/events", shows(tickets::events::listen))
        .at("/dashboard/:org/replies", shows_and_takes(saved_replies::list, saved_replies::create))
        .at("/dashboard/:org/replies/:id", shows_and_takes(saved_replies::show, saved_replies::update))
        .at("/dashboard/:org/help", shows(help::list))
        .at("/dashboard/:org/help/preview", takes(help::preview))
        .at("/dashboard/:org/help/:kind/:id", shows_and_takes(help::show, help::update))
        .at("/dashboard/:org/templates", shows(templates::list))
        .at("/dashboard/:org/templates/:id", shows_and_takes(templates::show, templates::update))
        .at("/dashboard/:org/workflow", shows_and_takes(workflow::list, workflow::set_answers))
        .at("/dashboard/:org/workflow/:kind/:id", shows_and_takes(workflow::show, workflow::update))
        .at("/dashboard/:org/tags", shows_and_takes(tags::list, tags::create))
        .at("/dashboard/:org/tags/:id", shows_and_takes(tags::show, tags::update))
        .at("/dashboard/:org/sites", shows_and_takes(sites::list, sites::create))
        .at("/dashboard/:org/sites/:site", shows_and_takes(sites::show, sites::update))
        .at("/dashboard/:org/sites/:site/key", shows_and_takes(site_keys::show, site_keys::update))
        .at("/dashboard/:org/sites/:site/retention", shows_and_takes(retention::show, retention::update))
        .at("/dashboard/:org/sites/:site/mail", shows_and_takes(mail::show, mail::update))
        .at("/dashboard/:org/account", shows_and_takes(account::show, account::update))
        .at("/dashboard/:org/notifications", shows_and_takes(notifications::show, notifications::update))
        .at("/dashboard/:org/members", shows_and_takes(members::list, members::update))
        .at("/dashboard/:org/teams", shows_and_takes(teams::list, teams::create))
        .at("/dashboard/:org/teams/:id", shows_and_takes(teams::show, teams::update))
        .at("/dashboard/:org/machine-keys", shows_and_takes(machine_keys::list, machine_keys::update))
        .at("/dashboard/:org/audit", shows(audit_log::list))
}

/// The methods of a path; for another, which it has.
struct Methods {
    route: RouteMethod,
    allow: &'static str,
}

fn shows(page: impl IntoEndpoint<Endpoint: 'static>) -> Methods {
    Methods { route: get(page), allow: "GET, HEAD" }
}

fn takes(form: impl IntoEndpoint<Endpoint: 'static>) -> Methods {
    Methods { route: post(form), allow: "POST" }
}

fn shows_and_takes(page: impl IntoEndpoint<Endpoint: 'static>, form: impl IntoEndpoint<Endpoint: 'static>) -> Methods {
    Methods { route: get(page).post(form), allow: "GET, HEAD, POST" }
}

impl Endpoint for Methods {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        // Answered as a GET; its body is left out where those of all HEADs are, once its headers are known.
        if *request.method() == Method::HEAD {
            request.set_method(Method::GET);
        }
        if let Some(PathPattern(pattern)) = request.data::<PathPattern>() {
            note(|known| known.template = Some(template(pattern)));
        }
        self.route.call(request).await.map_err(|error| {
            if error.is::<MethodNotAllowedError>() {
                let problem = Problem::new(Code::MethodNotAllowed, format!("This page takes {}.", self.allow));
                Problem { allow: Some(self.allow.to_owned()), ..problem }.into()
            } else {
                error
            }
        })
    }
}

/// `/dashboard/:org/inbox/:id` as the documents would write it.
fn template(pattern: &str) -> Template {
    let part = |part: &str| part.strip_prefix(':').map_or_else(|| part.to_owned(), |name| format!("{{{name}}}"));
    Template::of(&pattern.split('/').map(part).collect::<Vec<_>>().join("/"))
}

/// Everything at `/dashboard`.
pub struct Dashboard {
    app: Arc<App>,
    pages: BoxEndpoint<'static, Response>,
}

impl Dashboard {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, pages: pages().with(NormalizePath::new(TrailingSlash::Trim)).boxed() }
    }

    async fn answer(&self, mut request: Request) -> Result<Response, Problem> {
        let context = PageContext::read(&self.app, &mut request).await?;
        request.set_data(Arc::new(context));
        self.pages
            .call(request)
            .await
            .map_err(|error| if error.is::<ParsePathError>() { Problem::not_found() } else { problem_of(error) })
    }
}

impl Endpoint for Dashboard {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let back = matches!(*request.method(), Method::GET | Method::HEAD).then_some(path);
        let answered = self.answer(request).await;
        let mut response = answered.unwrap_or_else(|problem| refusal(&problem, back.as_deref()));
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
        Ok(response)
    }
}

/// What a page says instead of what was asked for.
#[derive(askama::Template)]
#[template(path = "frame/problem.html")]
struct ProblemPage {
    status: u16,
    title: &'static str,
    detail: String,
    request_id: String,
}

/// The page of a problem; whoever is not logged in is asked to, and then brought to `back`.
fn refusal(problem: &Problem, back: Option<&str>) -> Response {
    log(problem);
    if matches!(problem.code, Code::SessionRequired | Code::SessionInvalid) {
        return redirect(&sessions::path(back));
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
