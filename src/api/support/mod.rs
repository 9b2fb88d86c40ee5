//! The support surface, `/support/v1`: what a support page calls with its publishable key.

mod articles;
mod attachments;
mod faqs;
mod identity;
pub mod key_check;
mod my_tickets;
mod reading;
mod responses;
mod search;
mod site;
mod surface;
mod tags;
mod templates;
mod tickets;

use std::{collections::HashSet, sync::Arc};

use poem::Route;
use poem_openapi::{LicenseObject, OpenApi, OpenApiService};

use crate::{
    http::{described::Described, openapi, router::router},
    state::App,
};

const DESCRIPTION: &str = "What a support page calls from the browser, or a server on its behalf.

Every call carries the site's publishable key in `X-Vicket-Key`. The key says which site; nothing else can. Calls from a
browser work from the origins that the site lists. Errors are `application/problem+json` with a stable `code`. Lists are
paged: pass `next_cursor` as `cursor` until it is `null`. Times are RFC 3339 in UTC.";

/// The typed handlers; [`surface::Surface`] stands before them.
fn apis() -> impl OpenApi {
    (
        site::SiteApi,
        articles::ArticlesApi,
        faqs::FaqsApi,
        templates::TemplatesApi,
        tickets::TicketsApi,
        attachments::AttachmentsApi,
        (identity::IdentityApi, my_tickets::MyTicketsApi),
        key_check::KeyCheckApi,
    )
}

/// All that this surface serves. Adds the words of its paths to `words`.
pub fn endpoint(app: Arc<App>, words: &mut HashSet<String>) -> Route {
    router(apis(), surface::Surface::new(app), words)
}

/// The document of this surface as it is committed and served: [`document`] made it.
pub const COMMITTED: &str = include_str!("../../../openapi/support.v1.json");

/// What describes it.
fn service() -> OpenApiService<impl OpenApi, ()> {
    OpenApiService::new(Described::<responses::Support, _>::new(apis()), "Vicket support API", "1.0.0")
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server("/")
}

/// The document of this surface, made of its handlers.
///
/// # Errors
/// When a handler lacks what a reader of the document needs.
pub fn document() -> anyhow::Result<String> {
    openapi::finished(&service().spec())
}
