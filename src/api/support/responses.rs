//! The answers that operations of the support surface have in common, as the document says them.

use poem::http::Method;
use poem_openapi::registry::MetaOperation;

use crate::http::described::Responses;

pub struct Support;

impl Responses for Support {
    const CREATED: &'static str = "What was made.";

    fn errors(_path: &str, operation: &MetaOperation) -> Vec<u16> {
        let mut errors = vec![400, 401, 429, 500, 503];
        // Any origin may ask why its key does not work.
        errors.extend((operation.operation_id != Some("checkKey")).then_some(403));
        if operation.method == Method::POST {
            errors.extend([413, 415]);
        }
        errors
    }

    fn meaning(status: u16) -> &'static str {
        match status {
            400 => {
                "`invalid_request`: `errors` says which input is not acceptable. `invalid_cursor`: the cursor is not one of this \
                 list."
            }
            401 => {
                "`key_missing`: there is no X-Vicket-Key. `key_invalid`: it is unknown or revoked. `customer_session_invalid`: the \
                 X-Vicket-Customer is unknown here or ended. `identity_invalid`: no token that this site takes, or not any more. \
                 `identity_required`: this site takes tickets from customer sessions only."
            }
            403 => "`origin_not_allowed`: the page's origin is not in the site's list. Nothing was done.",
            404 => "`not_found`: there is nothing here, or nothing that these credentials may see.",
            409 => {
                "`idempotency_conflict`: the Idempotency-Key was used for another request. `ticket_closed`: a closed ticket takes no replies. `ticket_full`: nor does one with 1,000 messages or 4 MiB of text."
            }
            413 => {
                "`body_too_large`: the body is over 128 KiB; with files over 25 MiB, or one of them over 10 MiB. `quota_exceeded`: \
                 the site or its org keeps no more files, or takes no more of this network today; `detail` says which."
            }
            415 => {
                "`unsupported_media_type`: the body is not `application/json`, or files are not `multipart/form-data`."
            }
            422 => "`unprocessable`: well-formed, but it names something that does not exist; see `errors`.",
            429 => "`rate_limited`: the site or the client's network sent too much; `detail` says which.",
            500 => "`internal_error`: our mistake; the request id finds it in the server's log.",
            _ => "`overloaded` or `database_unavailable`: try again after `Retry-After` seconds.",
        }
    }
}
