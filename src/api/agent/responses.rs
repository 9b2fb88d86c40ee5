//! The answers that operations of the agent surface have in common, as the document says them.

use poem::http::Method;
use poem_openapi::registry::MetaOperation;

use crate::http::described::Responses;

pub struct Agents;

impl Responses for Agents {
    const CREATED: &'static str = "What was made. A secret in it is shown this once.";

    fn errors(path: &str, operation: &MetaOperation) -> Vec<u16> {
        let mut errors = vec![400, 401, 403, 500, 503];
        errors.extend(path.contains("{org}").then_some(404));
        errors.extend((operation.method != Method::GET).then_some(413));
        errors.extend(operation.request.is_some().then_some(415));
        errors
    }

    fn meaning(status: u16) -> &'static str {
        match status {
            400 => {
                "`invalid_request`: `errors` says which input is not acceptable. `invalid_cursor`: the cursor is not one of \
                 this list. `credentials_mixed`: an X-Vicket-Key, or a session and a machine key at once."
            }
            401 => {
                "`session_required`: there is no credential. `session_invalid`: the session is unknown or has ended. \
                 `machine_key_invalid`: the machine key is unknown, revoked or expired. `login_failed`: wrong e-mail or \
                 password."
            }
            403 => {
                "`permission_required`: `detail` names the permission. `csrf_failed`: an unsafe call with a cookie that does \
                 not come from our own page. `secret_key_in_browser`: a machine key with an `Origin`."
            }
            404 => "`not_found`: there is nothing here, or nothing that these credentials may see.",
            409 => {
                "The state forbids it: `slug_taken`, `name_taken`, `email_taken`, `last_owner`, `key_exists`, \
                 `staged_key_exists`, `no_active_key`, `rotation_conflict`, `edit_conflict`, `ticket_closed`, \
                 `ticket_full`, `conversation_moved` or `idempotency_conflict`."
            }
            413 => {
                "`body_too_large`: the body is over 1 MiB; with files over 25 MiB, or one of them over 10 MiB. `quota_exceeded`: the \
                 site or its org keeps no more files; `detail` says which."
            }
            415 => {
                "`unsupported_media_type`: the body is not `application/json`, or files are not `multipart/form-data`."
            }
            422 => "`unprocessable`: well-formed, but it names something that cannot be; see `errors`.",
            429 => "`rate_limited`: too many tries of this account or this network; `detail` says which.",
            500 => "`internal_error`: our mistake; the request id finds it in the server's log.",
            _ => "`overloaded` or `database_unavailable`: try again after `Retry-After` seconds.",
        }
    }
}
