//! The site of the key: what a support page needs to draw itself.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, types::Example};

use super::{reading::serve, tags::Tag};
use crate::{
    auth::site_key::SiteKey,
    domain::text::{EMAIL_LENGTH, MESSAGE_LENGTH, NAME_LENGTH, SUBJECT_LENGTH},
    http::{answers::Cached, failure::Failure, headers::IfNoneMatch},
    response_cache::ViewCounts,
    state::App,
    store,
};

pub struct SiteApi;

/// A site, as its support page shows it.
#[derive(Object)]
#[oai(rename = "Site", example)]
struct SiteBody {
    /// The site's name, for a heading.
    name: String,
    /// The site's slug within its org.
    slug: String,
    /// The name of the org that runs the site.
    org_name: String,
    /// How many articles can be read here.
    article_count: i64,
    /// How many FAQs can be read here.
    faq_count: i64,
    /// The longest input that a ticket takes.
    limits: InputLimits,
}

/// The longest input that a ticket takes, in characters.
#[derive(Object)]
struct InputLimits {
    /// Of an e-mail address.
    email: usize,
    /// Of a customer's name.
    name: usize,
    /// Of a subject.
    subject: usize,
    /// Of a message or a reply.
    message: usize,
}

impl SiteBody {
    const LIMITS: InputLimits =
        InputLimits { email: EMAIL_LENGTH, name: NAME_LENGTH, subject: SUBJECT_LENGTH, message: MESSAGE_LENGTH };
}

impl Example for SiteBody {
    fn example() -> Self {
        Self {
            name: "Acme App".to_owned(),
            slug: "acme-app".to_owned(),
            org_name: "Acme".to_owned(),
            article_count: 4,
            faq_count: 3,
            limits: Self::LIMITS,
        }
    }
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Site")]
impl SiteApi {
    /// The key's site
    ///
    /// The name and the figures that a support page needs to draw itself.
    #[oai(path = "/site", method = "get", operation_id = "getSite")]
    async fn site(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
    ) -> Result<Cached<SiteBody>, Failure> {
        let answer = serve(&app, &key, "site".to_owned(), ViewCounts::Own, async |published| {
            let site = store::sites::own(published).await?;
            Ok(Cached::representation(&SiteBody {
                name: site.name,
                slug: site.slug,
                org_name: site.org_name,
                article_count: site.article_count,
                faq_count: site.faq_count,
                limits: SiteBody::LIMITS,
            }))
        })
        .await?;
        Ok(Cached::of(&answer, &if_none_match))
    }
}
