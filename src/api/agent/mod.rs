//! The agent surface, `/v1`: what the dashboard and programs of an org call, with a session or a machine key.

mod access;
mod articles;
mod attachments;
mod audit_log;
mod auth;
mod faqs;
mod listing;
mod machine_keys;
mod members;
mod orgs;
mod site_keys;
mod sites;
mod surface;
mod teams;
mod templates;
mod tickets;
mod workflow;

use poem_openapi::{LicenseObject, OpenApiService, Tags};

use crate::http::openapi;

pub use surface::Surface;
pub(super) use templates::Type as QuestionType;

#[derive(Tags)]
enum Tag {
    /// Logging in and out, and who is asking.
    Login,
    /// Orgs, their members and invitations.
    Orgs,
    /// Sites, their origins and their publishable keys.
    Sites,
    /// Articles and FAQs: drafts, published, archived.
    Help,
    /// The inbox, statuses, priorities, ticket forms and teams.
    Tickets,
    /// Machine keys and the audit log.
    Administration,
}

const DESCRIPTION: &str = "What agents and programs of an org call.

People log in with `POST /v1/auth/login` and are known by a cookie; programs send a machine key as `Authorization: Bearer`.
A publishable key opens nothing here. Each operation names the permission that it needs (`x-permission`); roles have
permissions, and a machine key has at most those of its creator. An org that the caller does not belong to answers like one
that does not exist. Errors are `application/problem+json` with a stable `code`. Lists are paged: pass `next_cursor` as
`cursor` until it is `null`. Times are RFC 3339 in UTC.";

type Apis = (
    auth::AuthApi,
    orgs::OrgsApi,
    members::MembersApi,
    sites::SitesApi,
    site_keys::SiteKeysApi,
    articles::ArticlesApi,
    faqs::FaqsApi,
    tickets::TicketsApi,
    attachments::AttachmentsApi,
    workflow::StatusesApi,
    workflow::PrioritiesApi,
    templates::TemplatesApi,
    teams::TeamsApi,
    machine_keys::MachineKeysApi,
    audit_log::AuditLogApi,
);

/// The typed handlers; [`Surface`] stands before them.
pub fn service() -> OpenApiService<Apis, ()> {
    let apis = (
        auth::AuthApi,
        orgs::OrgsApi,
        members::MembersApi,
        sites::SitesApi,
        site_keys::SiteKeysApi,
        articles::ArticlesApi,
        faqs::FaqsApi,
        tickets::TicketsApi,
        attachments::AttachmentsApi,
        workflow::StatusesApi,
        workflow::PrioritiesApi,
        templates::TemplatesApi,
        teams::TeamsApi,
        machine_keys::MachineKeysApi,
        audit_log::AuditLogApi,
    );
    OpenApiService::new(apis, "Vicket agent API", "1.0.0")
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server("/")
}

/// The document of this surface, as it is served and committed.
///
/// # Errors
/// When a handler lacks what a reader of the document needs.
pub fn document() -> anyhow::Result<String> {
    access::describe(&openapi::finished(&service().spec())?)
}
