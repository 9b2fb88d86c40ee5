//! The support surface, `/support/v1`: what a support page calls with its publishable key.

mod articles;
mod attachments;
mod faqs;
pub mod key_check;
mod reading;
mod site;
mod surface;
mod templates;
mod tickets;

use poem_openapi::{LicenseObject, OpenApiService, Tags};

use crate::http::openapi;

pub use surface::Surface;

#[derive(Tags)]
enum Tag {
    /// The site that the key speaks for, and whether the key works from here.
    Site,
    /// Published articles and FAQs.
    Help,
    /// What customers submit, and the conversation that follows.
    Tickets,
}

const DESCRIPTION: &str = "What a support page calls from the browser, or a server on its behalf.

Every call carries the site's publishable key in `X-Vicket-Key`. The key says which site; nothing else can. Calls from a
browser work from the origins that the site lists. Errors are `application/problem+json` with a stable `code`. Lists are
paged: pass `next_cursor` as `cursor` until it is `null`. Times are RFC 3339 in UTC.";

type Apis = (
    site::SiteApi,
    articles::ArticlesApi,
    faqs::FaqsApi,
    templates::TemplatesApi,
    tickets::TicketsApi,
    attachments::AttachmentsApi,
    key_check::KeyCheckApi,
);

/// The typed handlers; [`Surface`] stands before them.
pub fn service() -> OpenApiService<Apis, ()> {
    let apis = (
        site::SiteApi,
        articles::ArticlesApi,
        faqs::FaqsApi,
        templates::TemplatesApi,
        tickets::TicketsApi,
        attachments::AttachmentsApi,
        key_check::KeyCheckApi,
    );
    OpenApiService::new(apis, "Vicket support API", "1.0.0")
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server("/")
}

/// The document of this surface, as it is served and committed.
///
/// # Errors
/// When a handler lacks what a reader of the document needs.
pub fn document() -> anyhow::Result<String> {
    openapi::finished(&service().spec())
}
