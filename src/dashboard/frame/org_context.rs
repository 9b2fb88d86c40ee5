//! A request of the dashboard that is about an org: who may enter it, and the frame of the page that answers.

use std::{ops::Deref, sync::Arc};

use poem::{FromRequest, Request, RequestBody, Response};

use crate::{
    auth::agent,
    dashboard::frame::{page, page_context::PageContext},
    db::{Access, OrgTx},
    domain::{keys::Sha256Digest, permissions::Permission, problem::Problem},
    store::{self, members::Membership, paging::PageRequest},
};

/// The permission that every member has.
pub const MEMBER: Option<Permission> = None;
/// Orgs that the menu lists.
const MAX_ORGS: u32 = 100;

/// A request that is about an org: what a handler of its pages takes.
pub struct OrgContext {
    context: Arc<PageContext>,
    /// As the path has it; whether there is one, and it is theirs, is seen when it is entered.
    org: String,
}

impl Deref for OrgContext {
    type Target = PageContext;

    fn deref(&self) -> &PageContext {
        &self.context
    }
}

impl<'a> FromRequest<'a> for OrgContext {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let context = PageContext::of(request)?;
        let org = request.raw_path_param("org").ok_or_else(Problem::not_found)?;
        Ok(Self { context: Arc::clone(context), org: org.to_owned() })
    }
}

impl OrgContext {
    /// The digest of the org's slug.
    pub fn org_digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.org.as_bytes())
    }

    /// 303 to a page of the org.
    pub fn redirect(&self, page: &str) -> Response {
        page::redirect(&format!("/dashboard/{}/{page}", self.org))
    }

    /// Enters the org as whoever asks, who must have this permission.
    ///
    /// # Errors
    /// `401`, `403 permission_required`, `404 not_found` for another's org.
    pub async fn enter(&self, access: Access, permission: impl Into<Option<Permission>>) -> Result<OrgTx, Problem> {
        let caller = self.caller(Some(self.org_digest()))?;
        let tx = caller.enter(&self.app, access, &mut Vec::new()).await?;
        if let Some(permission) = permission.into().filter(|needed| !tx.actor().is_some_and(|actor| actor.may(*needed)))
        {
            return tx.finish(Err(Problem::permission_required(permission))).await;
        }
        agent::note_use(&self.app, tx.actor());
        Ok(tx)
    }

    /// Only whether they may.
    ///
    /// # Errors
    /// Those of [`OrgContext::enter`].
    pub async fn require(&self, permission: impl Into<Option<Permission>>) -> Result<(), Problem> {
        self.enter(Access::Read, permission).await?.finish(Ok(())).await
    }

    /// What a page shows of the org, with its frame.
    ///
    /// # Errors
    /// Those of [`OrgContext::enter`] and of `work`.
    pub async fn read<T>(
        &self,
        permission: impl Into<Option<Permission>>,
        work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<(Shell, T), Problem> {
        let mut tx = self.enter(Access::Read, permission).await?;
        let read = async {
            let (orgs, _) = store::members::memberships(&mut tx, PageRequest { limit: MAX_ORGS, cursor: None }).await?;
            let actor = tx.actor().cloned().ok_or_else(|| Problem::internal("nobody acts"))?;
            let shell = Shell {
                org: self.org.clone(),
                org_name: orgs.iter().find(|org| org.slug == self.org).map_or_else(String::new, |org| org.name.clone()),
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
        tx.finish(read).await
    }

    /// A change within the org.
    ///
    /// # Errors
    /// Those of [`OrgContext::enter`] and of `work`; what policies refuse because a permission was lost meanwhile is `403`.
    pub async fn write<T>(
        &self,
        permission: impl Into<Option<Permission>>,
        work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let permission = permission.into();
        let mut tx = self.enter(Access::Write, permission).await?;
        let written = work(&mut tx).await;
        let written = tx.finish(written).await;
        self.explained(permission, written).await
    }

    /// What a change would do: it is made, looked at and rolled back.
    ///
    /// # Errors
    /// Those of [`OrgContext::write`].
    pub async fn dry_run<T>(
        &self,
        permission: impl Into<Option<Permission>>,
        work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let permission = permission.into();
        let mut tx = self.enter(Access::Write, permission).await?;
        let tried = work(&mut tx).await;
        let tried = tx.undo(tried).await;
        self.explained(permission, tried).await
    }

    /// What policies refused, as the `403` that a permission lost meanwhile is.
    async fn explained<T>(
        &self,
        permission: impl Into<Option<Permission>>,
        done: Result<T, Problem>,
    ) -> Result<T, Problem> {
        if done.as_ref().is_err_and(|problem| problem.denied) {
            self.require(permission).await?;
        }
        done
    }
}

/// The frame of a page: who looks, at which org, and what they may do there.
#[derive(Debug)]
pub struct Shell {
    pub org: String,
    pub org_name: String,
    pub orgs: Vec<Membership>,
    pub person: String,
    pub email: String,
    pub permissions: Vec<Permission>,
    pub token: String,
    path: String,
    /// What was just done, in words.
    pub notice: &'static str,
}

impl Shell {
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
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
        "promoted" => "Rotated. The staged key is now the site's key, and the old one no longer works.",
        "allowed" => "The origin is allowed from the next request on.",
        "sent" => "Sent.",
        "resolved" => "Sent and resolved.",
        "linked" => "A link is on its way to your address.",
        "password" => "Your password is changed. You are logged out everywhere else.",
        "ended" => "Logged out there.",
        "snoozed" => "Snoozed.",
        "merged" => "Merged: this ticket shows its conversation now, too.",
        "unmerged" => "Taken back: each ticket is by itself again.",
        "noted" => "Note added.",
        "published" => "Published. It is visible from the next request on.",
        "unpublished" => "Moved back to the drafts.",
        "archived" => "Archived.",
        "moved" => "Moved.",
        "cleared" => "Cleared. Mail is sent there again.",
        "accepted" => "Accepted. It is in its ticket in a moment.",
        "rejected" => "Rejected.",
        "retried" => "It is sent again.",
        _ => "",
    }
}
