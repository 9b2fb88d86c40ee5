//! A message as it looked in the mail that it came by, for a frame of its ticket's page: it runs nothing, belongs to no origin, and
//! loads pictures of other servers only when asked.

use poem::{
    Response, handler,
    http::{HeaderValue, header},
    web::Path,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    dashboard::frame::{org_context::OrgContext, page::html},
    domain::{permissions::Permission, problem::Problem},
    store,
};

/// No scripts and no origin; links open elsewhere. Styles are ours: those of the mail were left out.
const POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; \
                      style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const POLICY_WITH_PICTURES: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data: https:; \
                                    style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// A message of a ticket.
#[derive(Deserialize)]
pub struct Place {
    id: Uuid,
    message: Uuid,
}

#[derive(askama::Template)]
#[template(path = "tickets/mail.html")]
struct MailPage {
    /// Sanitised.
    body: String,
}

#[handler]
pub async fn show(context: OrgContext, Path(place): Path<Place>) -> Result<Response, Problem> {
    let mut tx = context.enter(crate::db::Access::Read, Permission::TicketRead).await?;
    let found = store::inbound_mails::html(&mut tx, place.id, place.message).await;
    let body = tx.finish(found).await?;
    let mut response = html(&MailPage { body })?;
    let policy = if context.query.holds("pictures", "yes") { POLICY_WITH_PICTURES } else { POLICY };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
