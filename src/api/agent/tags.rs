//! The groups of the document.

use poem_openapi::Tags;

#[derive(Tags)]
pub(super) enum Tag {
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
    /// The mail of sites, and what members are told by mail.
    Mail,
    /// Machine keys and the audit log.
    Administration,
}
