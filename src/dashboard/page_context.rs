//! A request of the dashboard: who sent it, from which page, what it brings; and the frame of the page that answers it.

use std::sync::Arc;

use askama::Template;
use poem::{
    Request, Response,
    http::{HeaderMap, Method, StatusCode, header},
};
use time::{OffsetDateTime, macros::format_description};

use super::form::Form;
use crate::{
    auth::{
        agent::{self, COOKIE, cookie},
        csrf::{self, RequestOrigin},
    },
    db::{Access, Credential, OrgTx},
    domain::{
        keys::Sha256Digest,
        problem::{Code, Problem},
    },
    http::request::{client_network, read_body},
    limits::Network,
    state::App,
    store::{self, members::Membership, paging::PageRequest},
};

/// The largest form, bytes.
const BODY: usize = 1024 * 1024;
/// Orgs that the menu lists.
const MAX_ORGS: u32 = 100;
/// The field of a form that carries its token.
const TOKEN: &str = "form_token";

/// A request of the dashboard.
pub struct PageContext {
    pub app: Arc<App>,
    pub post: bool,
    pub path: String,
    pub query: Form,
    pub form: Form,
    pub network: Network,
    pub public_url: String,
    session: Option<Sha256Digest>,
    /// What a form of this browser's session carries; of none, too, whose cookie may have outlived it.
    pub token: String,
}

impl PageContext {
    /// Reads a request. One that is to change something must come from a form of ours.
    ///
    /// # Errors
    /// `403 csrf_failed`, `405`, `413`, `415`, and `400` for what cannot be read.
    pub async fn read(app: &Arc<App>, mut request: Request) -> Result<Self, Problem> {
        let post = match *request.method() {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => {
                let problem = Problem::new(Code::MethodNotAllowed, "The dashboard takes GET, HEAD and POST.");
                return Err(Problem { allow: Some("GET, HEAD, POST".to_owned()), ..problem });
            }
        };
        let public_url = csrf::public_url(app.public_url.as_deref(), request.uri(), request.headers());
        if post && RequestOrigin::of(request.headers(), &public_url) != RequestOrigin::Own {
            return Err(csrf::refusal(&public_url));
        }
        let body = if post { read_body(&mut request, BODY).await? } else { poem::Body::empty() };
        let body = body.into_vec().await.map_err(Problem::internal)?;
        if post && !is_form(request.headers()) {
            return Err(Problem::new(Code::UnsupportedMediaType, "The dashboard takes forms."));
        }
        // A cookie that cannot be one of ours is none: whoever has it is asked to log in.
        let session = cookie(request.headers(), COOKIE).ok().flatten();
        let context = Self {
            app: Arc::clone(app),
            post,
            path: request.uri().path().to_owned(),
            query: Form::parse(request.uri().query().unwrap_or_default().as_bytes())?,
            form: Form::parse(&body)?,
            network: client_network(&request, app),
            public_url,
            session: session.map(Sha256Digest::of),
            token: Sha256Digest::of_parts(&[b"form token", session.unwrap_or_default()]).to_hex(),
        };
        // Before there is a session there is nothing to tie a token to, and the page's origin alone decides.
        if post && session.is_some() && context.form.get(TOKEN) != context.token {
            let detail =
                "The form was made for another log-in, or is none of ours. Open the page again, and send it again.";
            return Err(Problem::new(Code::CsrfFailed, detail));
        }
        Ok(context)
    }

    /// The digest of the session's token.
    ///
    /// # Errors
    /// `401 session_required`.
    pub fn session(&self) -> Result<Sha256Digest, Problem> {
        self.session.ok_or_else(|| Problem::new(Code::SessionRequired, "Log in."))
    }

    /// Enters an org as whoever visits, who must have this permission; `member` is none.
    ///
    /// # Errors
    /// `401`, `403 permission_required`, `404 not_found` for another's org.
    pub async fn enter(&self, access: Access, org: &str, permission: &str) -> Result<OrgTx, Problem> {
        let credential = Credential::Session(self.session()?);
        let tx = agent::enter(&self.app, access, credential, Some(Sha256Digest::of(org.as_bytes()))).await?;
        if permission != "member" && !tx.actor().is_some_and(|actor| actor.may(permission)) {
            return tx.finish(Err(Problem::permission_required(permission))).await;
        }
        agent::note_use(&self.app, tx.actor());
        Ok(tx)
    }

    /// What a page shows of an org, with its frame.
    ///
    /// # Errors
    /// Those of [`PageContext::enter`] and of `work`.
    pub async fn see<T>(
        &self,
        org: &str,
        permission: &str,
        work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<(Shell, T), Problem> {
        let mut tx = self.enter(Access::Read, org, permission).await?;
        let seen = async {
            let (orgs, _) = store::members::memberships(&mut tx, PageRequest { limit: MAX_ORGS, cursor: None }).await?;
            let actor = tx.actor().cloned().ok_or_else(|| Problem::internal("nobody acts"))?;
            let shell = Shell {
                org: org.to_owned(),
                org_name: orgs.iter().find(|known| known.slug == org).map_or_else(String::new, |org| org.name.clone()),
                orgs,
                person: actor.name,
                email: actor.email.unwrap_or_default(),
                permissions: actor.permissions,
                token: self.token.clone(),
                path: self.path.clone(),
                notice: notice(self.query.get("done")),
            };
            Ok((shell, work(&mut tx).await?))
        }
        .await;
        tx.finish(seen).await
    }

    /// A change within an org.
    ///
    /// # Errors
    /// Those of [`PageContext::enter`] and of `work`; what policies refuse because a permission was lost meanwhile is `403`.
    pub async fn act<T>(
        &self,
        org: &str,
        permission: &str,
        work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.change(org, permission, Outcome::Kept, work).await
    }

    /// What a change would do: it is made, looked at and rolled back.
    ///
    /// # Errors
    /// Those of [`PageContext::act`].
    pub async fn try_out<T>(
        &self,
        org: &str,
        permission: &str,
        work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.change(org, permission, Outcome::Undone, work).await
    }

    async fn change<T>(
        &self,
        org: &str,
        permission: &str,
        outcome: Outcome,
        work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut tx = self.enter(Access::Write, org, permission).await?;
        let done = work(&mut tx).await;
        let done = match outcome {
            Outcome::Kept => tx.finish(done).await,
            Outcome::Undone => tx.undo(done).await,
        };
        if done.as_ref().is_err_and(|problem| problem.denied) {
            self.enter(Access::Read, org, permission).await?.finish(Ok(())).await?;
        }
        done
    }
}

/// What becomes of a change.
#[derive(Clone, Copy)]
enum Outcome {
    Kept,
    Undone,
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The frame of a page: who looks, at which org, and what they may do there.
#[derive(Debug)]
pub struct Shell {
    pub org: String,
    pub org_name: String,
    pub orgs: Vec<Membership>,
    pub person: String,
    pub email: String,
    pub permissions: Vec<String>,
    pub token: String,
    path: String,
    /// What was just done, in words.
    pub notice: &'static str,
}

impl Shell {
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|held| held == permission)
    }

    /// Marks the entry of the menu that the page belongs to.
    pub fn current(&self, section: &str) -> &'static str {
        let within = self.path.trim_start_matches("/dashboard/").trim_start_matches(&self.org);
        if within.trim_matches('/').split('/').next() == Some(section) { "page" } else { "false" }
    }
}

/// What `?done=` means: the text is ours, whoever made the link.
fn notice(done: &str) -> &'static str {
    match done {
        "saved" => "Saved.",
        "created" => "Created.",
        "deleted" => "Deleted.",
        "revoked" => "Revoked. The next request with it is refused.",
        "promoted" => "Rotated. The staged key is the site's key now, and the old one is dead.",
        "allowed" => "The origin is allowed from the next request on.",
        "sent" => "Sent.",
        "noted" => "Note added.",
        "published" => "Published. It shows in the very next request.",
        "unpublished" => "Taken back to the drafts.",
        "archived" => "Archived.",
        "moved" => "Moved.",
        _ => "",
    }
}

/// 200 with a page.
///
/// # Errors
/// `500` when the template cannot be rendered.
pub fn html(page: &impl Template) -> Result<Response, Problem> {
    let text = page.render().map_err(Problem::internal)?;
    Ok(Response::builder().content_type("text/html; charset=utf-8").body(text))
}

/// A page with a form: with the status of what was wrong with the one that was sent.
///
/// # Errors
/// `500` when the template cannot be rendered.
pub fn form_page(page: &impl Template, form: &Form) -> Result<Response, Problem> {
    let mut response = html(page)?;
    if let Some(status) = form.code.and_then(|code| StatusCode::from_u16(code.status()).ok()) {
        response.set_status(status);
    }
    Ok(response)
}

/// 303 to a path of ours.
pub fn to(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}

/// A time as people read it.
pub fn when(time: &OffsetDateTime) -> String {
    let form = format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute] UTC");
    time.format(&form).unwrap_or_default()
}

/// A time for machines: `<time datetime>`.
pub fn iso(time: &OffsetDateTime) -> String {
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
