//! What each operation of the agent surface needs. One table: it becomes `x-permission` in the document, and the surface
//! enforces what the document says.

use anyhow::ensure;
use serde_json::{Value, json};

/// What an operation needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs<'a> {
    /// No credential at all.
    Nothing,
    /// A session or a machine key, of whatever org.
    Credential,
    /// A session, of whatever org.
    Session,
    /// To be a member of the org in the path.
    Membership,
    /// This permission in the org in the path.
    Permission(&'a str),
}

impl<'a> Needs<'a> {
    /// Reads an `x-permission`.
    pub fn read(text: &'a str) -> Self {
        match text {
            "none" => Self::Nothing,
            "credential" => Self::Credential,
            "session" => Self::Session,
            "member" => Self::Membership,
            permission => Self::Permission(permission),
        }
    }
}

/// Operations by their id, with what they need.
const OPERATIONS: &[(&str, &str)] = &[
    ("login", "none"),
    ("acceptInvitation", "none"),
    ("logout", "session"),
    ("logoutEverywhere", "session"),
    ("changePassword", "session"),
    ("getMe", "credential"),
    ("listOrgs", "credential"),
    ("getOrg", "member"),
    ("updateOrg", "org:edit"),
    ("deleteOrg", "org:delete"),
    ("listMembers", "member"),
    ("inviteMember", "member:invite"),
    ("updateMember", "member:role_set"),
    ("removeMember", "member:role_set"),
    ("listInvitations", "member:invite"),
    ("revokeInvitations", "member:invite"),
    ("revokeInvitation", "member:invite"),
    ("listSites", "member"),
    ("createSite", "site:create"),
    ("getSite", "member"),
    ("updateSite", "site:edit"),
    ("deleteSite", "site:delete"),
    ("listRefusedOrigins", "site:edit"),
    ("clearRefusedOrigins", "site:edit"),
    ("getSiteKey", "member"),
    ("createSiteKey", "apikey:rotate"),
    ("stageSiteKey", "apikey:rotate"),
    ("rotateSiteKey", "apikey:rotate"),
    ("revokeSiteKey", "apikey:rotate"),
    ("revokeStagedSiteKey", "apikey:rotate"),
    ("listArticles", "article:read"),
    ("createArticle", "article:write"),
    ("getArticle", "article:read"),
    ("updateArticle", "article:write"),
    ("deleteArticle", "article:write"),
    ("publishArticle", "article:publish"),
    ("unpublishArticle", "article:publish"),
    ("archiveArticle", "article:publish"),
    ("listFaqs", "article:read"),
    ("createFaq", "article:write"),
    ("getFaq", "article:read"),
    ("updateFaq", "article:write"),
    ("deleteFaq", "article:write"),
    ("publishFaq", "article:publish"),
    ("unpublishFaq", "article:publish"),
    ("archiveFaq", "article:publish"),
    ("listTickets", "ticket:read"),
    ("getTicket", "ticket:read"),
    ("updateTicket", "ticket:write"),
    ("deleteTicket", "ticket:delete"),
    ("answerTicket", "ticket:write"),
    ("uploadTicketAttachments", "ticket:write"),
    ("getTicketAttachment", "ticket:read"),
    ("listStatuses", "status:read"),
    ("createStatus", "status:edit"),
    ("updateStatus", "status:edit"),
    ("deleteStatus", "status:edit"),
    ("listPriorities", "priority:read"),
    ("createPriority", "priority:edit"),
    ("updatePriority", "priority:edit"),
    ("deletePriority", "priority:edit"),
    ("listTeams", "member"),
    ("createTeam", "team:edit"),
    ("getTeam", "member"),
    ("updateTeam", "team:edit"),
    ("deleteTeam", "team:edit"),
    ("listTemplates", "member"),
    ("createTemplate", "template:edit"),
    ("getTemplate", "member"),
    ("updateTemplate", "template:edit"),
    ("deleteTemplate", "template:edit"),
    ("listMachineKeys", "machinekey:edit"),
    ("createMachineKey", "machinekey:edit"),
    ("revokeMachineKey", "machinekey:edit"),
    ("listAuditLog", "audit:read"),
];

/// Puts `x-permission` on every operation of the document.
///
/// # Errors
/// When an operation is not in the table, or the table names one that is not there.
pub fn describe(document: &str) -> anyhow::Result<String> {
    let mut document: Value = serde_json::from_str(document)?;
    let mut left: Vec<&str> = OPERATIONS.iter().map(|(id, _)| *id).collect();
    let paths = document["paths"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut);
    for operation in paths.flat_map(|path| path.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut)) {
        let Some(id) = operation["operationId"].as_str().map(str::to_owned) else { continue };
        let needs = OPERATIONS.iter().find(|(known, _)| *known == id);
        let Some((_, needs)) = needs else { anyhow::bail!("{id} does not say what it needs; see api/agent/access.rs") };
        left.retain(|known| *known != id);
        operation["x-permission"] = json!(needs);
    }
    ensure!(left.is_empty(), "there are no operations {}", left.join(", "));
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
