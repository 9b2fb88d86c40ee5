//! Request headers, read as bytes. poem-openapi's own `Header` skips a value that is not visible ASCII as if it had not
//! been sent, and takes the first of several: an `Idempotency-Key` that is silently ignored would make two tickets.

use poem::{Request, RequestBody, Result, http::HeaderMap};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
};

use crate::{
    domain::{keys::Sha256Digest, problem::Problem},
    store::tickets::public::Submission,
};

macro_rules! header_extractor {
    ($name:ident, required: $required:expr, schema: $schema:expr) => {
        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
            const PARAM_IS_REQUIRED: bool = $required;
            type ParamType = String;
            type ParamRawType = String;

            fn param_in() -> Option<MetaParamIn> {
                Some(MetaParamIn::Header)
            }

            fn param_schema_ref() -> Option<MetaSchemaRef> {
                Some(MetaSchemaRef::Inline(Box::new($schema)))
            }

            async fn from_request(
                request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<String>,
            ) -> Result<Self> {
                Self::read(request).map_err(Into::into)
            }
        }
    };
}

/// `Idempotency-Key`: up to 255 visible ASCII characters.
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    fn read(request: &Request) -> Result<Self, Problem> {
        let mut values = request.headers().get_all("idempotency-key").iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(value), None) => value.as_bytes(),
            (Some(_), Some(_)) => &[],
        };
        if value.is_empty() || value.len() > 255 || !value.iter().all(u8::is_ascii_graphic) {
            return Err(Problem::invalid_field(
                "Idempotency-Key",
                "must be given once, as 1 to 255 visible ASCII characters",
            ));
        }
        Ok(Self(Some(value.iter().map(|byte| char::from(*byte)).collect())))
    }

    /// What a repeat of `request` is known by; `None` without a key.
    pub fn of(self, request: Sha256Digest) -> Option<Submission> {
        self.0.map(|key| Submission { key: Sha256Digest::of(key.as_bytes()), request })
    }
}

header_extractor!(IdempotencyKey, required: false, schema: MetaSchema {
    min_length: Some(1),
    max_length: Some(255),
    pattern: Some("^[!-~]+$".to_owned()),
    ..MetaSchema::new("string")
});

/// `If-None-Match`. What can't be read matches nothing, so that the client gets the whole answer (RFC 9110, 13.1.2).
pub struct IfNoneMatch(Vec<u8>);

impl IfNoneMatch {
    #[expect(clippy::unnecessary_wraps, reason = "the macro's extractors may fail")]
    fn read(request: &Request) -> Result<Self, Problem> {
        Ok(Self::of(request.headers()))
    }

    pub fn of(headers: &HeaderMap) -> Self {
        let values: Vec<_> = headers.get_all("if-none-match").iter().map(object_store::HeaderValue::as_bytes).collect();
        Self(values.join(&b","[..]))
    }

    /// Whether the client has the representation of this entity tag (weak comparison).
    pub fn matches(&self, etag: &str) -> bool {
        let etag = etag.strip_prefix("W/").unwrap_or(etag);
        self.0
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|candidate| candidate == b"*" || candidate.strip_prefix(b"W/").unwrap_or(candidate) == etag.as_bytes())
    }
}

header_extractor!(IfNoneMatch, required: false, schema: MetaSchema::new("string"));

/// `X-Vicket-Customer`: the session of a customer, by its digest, where one is needed.
pub struct CustomerHeader(pub Sha256Digest);

impl CustomerHeader {
    fn read(request: &Request) -> Result<Self, Problem> {
        MaybeCustomerHeader::read(request)?.0.map(Self).ok_or_else(Problem::customer_session_invalid)
    }
}

/// The same where it may be left out.
pub struct MaybeCustomerHeader(pub Option<Sha256Digest>);

impl MaybeCustomerHeader {
    fn read(request: &Request) -> Result<Self, Problem> {
        let mut values = request.headers().get_all("x-vicket-customer").iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) if (1..=128).contains(&value.len()) => {
                Ok(Self(Some(Sha256Digest::of(value.as_bytes()))))
            }
            // What cannot be one is refused, and not taken for nobody.
            _ => Err(Problem::customer_session_invalid()),
        }
    }
}

fn customer_session() -> MetaSchema {
    MetaSchema { pattern: Some("^cs_[A-Za-z0-9_-]{43}$".to_owned()), ..MetaSchema::new("string") }
}

header_extractor!(CustomerHeader, required: true, schema: customer_session());
header_extractor!(MaybeCustomerHeader, required: false, schema: customer_session());

/// `X-Vicket-Ticket`, for the document. Its digest entered the transaction before the handler began, and a token that
/// is absent, malformed or unknown opens no ticket there: all alike 404.
pub struct TicketHeader;

impl TicketHeader {
    #[expect(clippy::unnecessary_wraps, reason = "the macro's extractors may fail")]
    fn read(_: &Request) -> Result<Self, Problem> {
        Ok(Self)
    }
}

header_extractor!(TicketHeader, required: true, schema: MetaSchema {
    pattern: Some("^tk_[A-Za-z0-9_-]{43}$".to_owned()),
    ..MetaSchema::new("string")
});
