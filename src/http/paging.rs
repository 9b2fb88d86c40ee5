//! The parameters of a list: `limit` and `cursor`.

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    param::Query,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
    types::Type as _,
};

use crate::{
    domain::{problem::Problem, text::Text},
    store::paging::PageRequest,
};

/// Entries of a page, when a request does not say.
const DEFAULT: u32 = 20;
const MAX: u32 = 100;

/// Which page of a list is wanted. A cursor has at most `CURSOR` characters.
pub struct Paging<const CURSOR: usize = 400> {
    limit: u32,
    cursor: Option<Text<CURSOR>>,
}

impl<const CURSOR: usize> Paging<CURSOR> {
    pub fn request(&self) -> PageRequest<'_> {
        PageRequest { limit: self.limit, cursor: self.cursor.as_deref() }
    }
}

impl<'a, const CURSOR: usize> ApiExtractor<'a> for Paging<CURSOR> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    /// An object, which the document shows as its properties; see `described.rs`.
    fn param_schema_ref() -> Option<MetaSchemaRef> {
        let limit = MetaSchema {
            description: Some("How many entries a page holds; 20 when absent."),
            minimum: Some(1.0),
            maximum: Some(f64::from(MAX)),
            ..MetaSchema::new_with_format("integer", "uint32")
        };
        let said = MetaSchema { description: Some("`next_cursor` of the page before."), ..MetaSchema::ANY };
        let cursor = Text::<CURSOR>::schema_ref().merge(said);
        let properties = vec![("limit", MetaSchemaRef::Inline(Box::new(limit))), ("cursor", cursor)];
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema { properties, ..MetaSchema::new("object") })))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let named = |name| ExtractParamOptions { name, ..ExtractParamOptions::default() };
        let Query(limit) = Query::<Option<u32>>::from_request(request, body, named("limit")).await?;
        let named = |name| ExtractParamOptions { name, ..ExtractParamOptions::default() };
        let Query(cursor) = Query::from_request(request, body, named("cursor")).await?;
        let limit = limit.unwrap_or(DEFAULT);
        if !(1..=MAX).contains(&limit) {
            return Err(Problem::invalid_field("limit", format!("must be from 1 to {MAX}")).into());
        }
        Ok(Self { limit, cursor })
    }
}
