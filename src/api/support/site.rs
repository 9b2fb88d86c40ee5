//! The site of the key: what a support page needs to draw itself.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, types::Example};

use super::{reading::serve, tags::Tag};
use crate::{
    auth::site_key::SiteKey,
    domain::{
        files::{MAX_BYTES, MAX_FILES, MAX_MESSAGE_BYTES, SHOWN},
        text::{EMAIL_LENGTH, MESSAGE_LENGTH, NAME_LENGTH, SUBJECT_LENGTH},
    },
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

/// The longest input that a ticket takes: texts in characters.
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
    /// What files may go with one.
    files: FileLimits,
}

/// What files may go with a message, so that a form can say so before one is chosen.
#[derive(Object)]
struct FileLimits {
    /// How many.
    max_files: usize,
    /// How large one may be, bytes.
    max_bytes: usize,
    /// How large all of a message may be together, bytes, with what stands around them in the request.
    max_message_bytes: usize,
    /// What is shown as what it is, by its content. All else is taken, too, and is served as bytes to save.
    types: Vec<String>,
}

impl SiteBody {
    fn limits() -> InputLimits {
        InputLimits {
            email: EMAIL_LENGTH,
            name: NAME_LENGTH,
            subject: SUBJECT_LENGTH,
            message: MESSAGE_LENGTH,
            files: FileLimits {
                max_files: MAX_FILES,
                max_bytes: MAX_BYTES,
                max_message_bytes: MAX_MESSAGE_BYTES,
                types: SHOWN.map(str::to_owned).to_vec(),
            },
        }
    }
}

impl Example for SiteBody {
    fn example() -> Self {
        Self {
            name: "Acme App".to_owned(),
            slug: "acme-app".to_owned(),
            org_name: "Acme".to_owned(),
            article_count: 4,
            faq_count: 3,
            limits: Self::limits(),
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
                limits: SiteBody::limits(),
            }))
        })
        .await?;
        Ok(Cached::of(&answer, &if_none_match))
    }
}
