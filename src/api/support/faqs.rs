//! FAQs, published ones only.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query, types::Example};
use uuid::Uuid;

use super::{reading::serve, search, tags::Tag};
use crate::{
    auth::site_key::SiteKey,
    domain::text::Text,
    http::{answers::Cached, failure::Failure, headers::IfNoneMatch, text::Nullable},
    response_cache::ViewCounts,
    state::App,
    store,
};

pub struct FaqsApi;

/// A frequently asked question.
#[derive(Object)]
struct Faq {
    /// Its id.
    id: Uuid,
    /// The question, plain text.
    question: String,
    /// The answer as it was written, Markdown.
    answer_markdown: String,
    /// The answer rendered and sanitised: safe to insert into a page.
    answer_html: String,
    /// Its place in the order of the page, ascending.
    position: i32,
}

/// The FAQs of a site, in the order of the page.
#[derive(Object)]
#[oai(example)]
struct FaqList {
    /// The FAQs.
    data: Vec<Faq>,
    /// Always `null`: one answer holds them all.
    next_cursor: Nullable<String>,
}

impl From<store::faqs::public::Faq> for Faq {
    fn from(row: store::faqs::public::Faq) -> Self {
        Self {
            id: row.id,
            question: row.question,
            answer_markdown: row.answer_markdown,
            answer_html: row.answer_html,
            position: row.position,
        }
    }
}

impl Example for FaqList {
    fn example() -> Self {
        let faq = Faq {
            id: Uuid::from_u128(0x2f1c_9f7e_5a0b_4c63_8a7d_9e10_11c2_7b55),
            question: "Can I change my plan later?".to_owned(),
            answer_markdown: "Yes, at **any** time.".to_owned(),
            answer_html: "<p>Yes, at <strong>any</strong> time.</p>\n".to_owned(),
            position: 1,
        };
        Self { data: vec![faq], next_cursor: Nullable(None) }
    }
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Help")]
impl FaqsApi {
    /// List FAQs
    ///
    /// The published FAQs of the site, and of its org for all sites, in the order that people chose. With `q` those that a
    /// search finds, in the syntax of the search of articles, best match first.
    #[oai(path = "/help/faqs", method = "get", operation_id = "listFaqs")]
    async fn faqs(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        /// What to search for.
        q: Query<Option<Text<200>>>,
        /// The `ETag` of an earlier answer: 304 when nothing changed.
        #[oai(name = "If-None-Match")]
        if_none_match: IfNoneMatch,
    ) -> Result<Cached<FaqList>, Failure> {
        let sought = q.0.map(crate::domain::text::Text::into_string);
        let question = format!("faqs {sought:?}");
        let answer = serve(&app, &key, question, ViewCounts::Own, async |published| {
            let rows = match &sought {
                Some(sought) => search::faqs(&app, published, sought).await?,
                None => store::faqs::public::all(published).await?,
            };
            let data = rows.into_iter().map(Faq::from).collect();
            Ok(Cached::representation(&FaqList { data, next_cursor: Nullable(None) }))
        })
        .await?;
        Ok(Cached::of(&answer, &if_none_match))
    }
}
