//! The agent surface, `/v1`: what the dashboard and programs of an org call, with a session or a machine key.

mod articles;
mod attachments;
mod audit_log;
mod auth;
mod bulk;
mod faqs;
mod identity_secrets;
mod machine_keys;
mod mail;
mod members;
mod merging;
mod new_ticket;
mod orgs;
mod priorities;
mod publishing;
mod responses;
mod retention;
mod saved_replies;
mod saved_views;
mod site_keys;
mod sites;
mod statuses;
mod surface;
mod tags;
mod teams;
mod templates;
mod ticket_parts;
mod ticket_tags;
mod tickets;

use std::{collections::HashSet, sync::Arc};

use anyhow::ensure;
use poem::Route;
use poem_openapi::{LicenseObject, OpenApi, OpenApiService};
use serde_json::Value;

use crate::{
    http::{described::Described, openapi, router::router},
    state::App,
};

pub(super) use templates::Type as QuestionType;

const DESCRIPTION: &str = "What agents and programs of an org call.

People log in with `POST /v1/auth/login` and are known by a cookie; programs send a machine key as `Authorization: Bearer`.
A publishable key opens nothing here. Each operation names the permission that it needs (`x-permission`); roles have
permissions, and a machine key has at most those of its creator. An org that the caller does not belong to answers like one
that does not exist. Errors are `application/problem+json` with a stable `code`. Lists are paged: pass `next_cursor` as
`cursor` until it is `null`. Times are RFC 3339 in UTC.";

/// The typed handlers; [`surface::Surface`] stands before them.
fn apis() -> impl OpenApi {
    (
        (auth::AuthApi, orgs::OrgsApi, orgs::OrgApi),
        members::MembersApi,
        (sites::SitesApi, retention::RetentionApi),
        (site_keys::SiteKeysApi, identity_secrets::IdentitySecretsApi),
        articles::ArticlesApi,
        faqs::FaqsApi,
        (tickets::TicketsApi, ticket_tags::TicketTagsApi, merging::MergingApi),
        attachments::AttachmentsApi,
        statuses::StatusesApi,
        priorities::PrioritiesApi,
        (saved_replies::SavedRepliesApi, saved_views::SavedViewsApi),
        templates::TemplatesApi,
        teams::TeamsApi,
        (machine_keys::MachineKeysApi, mail::MailApi),
        audit_log::AuditLogApi,
    )
}

/// All that this surface serves. Adds the words of its paths to `words`.
pub fn endpoint(app: Arc<App>, words: &mut HashSet<String>) -> Route {
    router(apis(), surface::Surface::new(app), words)
}

/// The document of this surface as it is committed and served: [`document`] made it.
pub const COMMITTED: &str = include_str!("../../../openapi/agent.v1.json");

/// What describes it.
fn service() -> OpenApiService<impl OpenApi, ()> {
    OpenApiService::new(Described::<responses::Agents, _>::new(apis()), "Vicket agent API", "1.0.0")
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server("/")
}

/// The document of this surface, made of its handlers.
///
/// # Errors
/// When a handler lacks what a reader of the document needs, or a first argument that says who may call it.
pub fn document() -> anyhow::Result<String> {
    let text = openapi::finished(&service().spec())?;
    let document: Value = serde_json::from_str(&text)?;
    for (path, method, operation) in openapi::operations(&document) {
        ensure!(
            operation["x-permission"].is_string(),
            "{method} {path} does not say who may call it; see auth/caller.rs"
        );
    }
    Ok(text)
}
