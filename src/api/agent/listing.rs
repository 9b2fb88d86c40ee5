//! What all operations of the agent surface share: their errors, their answers, their lists.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{IsObjectType, ParseFromJSON, ToJSON, Type},
};

use crate::http::{
    failure::{self, Statuses, meta_header},
    text::Nullable,
};

/// The headers of every answer of the agent surface.
fn every_answer() -> Vec<MetaHeader> {
    failure::every_answer()
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => {
            "`invalid_request`: `errors` says which input is not acceptable. `invalid_cursor`: the cursor is not one of this \
             list. `credentials_mixed`: an X-Vicket-Key, or a session and a machine key at once."
        }
        401 => {
            "`session_required`: there is no credential. `session_invalid`: the session is unknown or has ended. \
             `machine_key_invalid`: the machine key is unknown, revoked or expired. `login_failed`: wrong e-mail or password."
        }
        403 => {
            "`permission_required`: `detail` names the permission. `csrf_failed`: an unsafe call with a cookie that does not \
             come from our own page. `secret_key_in_browser`: a machine key with an `Origin`."
        }
        404 => "`not_found`: there is nothing here, or nothing that these credentials may see.",
        409 => {
            "The state forbids it: `slug_taken`, `name_taken`, `email_taken`, `last_owner`, `key_exists`, \
             `staged_key_exists`, `no_active_key`, `rotation_conflict`, `edit_conflict` or `ticket_closed`."
        }
        413 => "`body_too_large`: the body is over 1 MiB; with files over 25 MiB, or one of them over 10 MiB.",
        415 => "`unsupported_media_type`: the body is not `application/json`, or files are not `multipart/form-data`.",
        422 => "`unprocessable`: well-formed, but it names something that cannot be; see `errors`.",
        429 => "`rate_limited`: too many tries of this account or this network; `detail` says which.",
        500 => "`internal_error`: our mistake; the request id finds it in the server's log.",
        _ => "`overloaded` or `database_unavailable`: try again after `Retry-After` seconds.",
    }
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = [$($status:literal),*];)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl Statuses for $name {
                const STATUSES: &'static [u16] = &[$($status),*];
                const MEANINGS: fn(u16) -> &'static str = meaning;
                const HEADERS: fn() -> Vec<MetaHeader> = every_answer;
            }
        )*
    };
}

statuses! {
    /// Logging in, with no credential yet.
    LoggingIn = [400, 401, 403, 413, 415, 429, 500, 503];
    /// Joining, with an invitation and no credential yet.
    Accepting = [400, 401, 403, 404, 413, 415, 429, 500, 503];
    /// A read about the caller.
    Looking = [400, 401, 403, 500, 503];
    /// A call about the caller's own log-in.
    Leaving = [400, 401, 403, 413, 500, 503];
    /// The caller's own password.
    Changing = [400, 401, 403, 413, 415, 429, 500, 503];
    /// A read within an org.
    Reading = [400, 401, 403, 404, 500, 503];
    /// A list within an org that names something to filter by.
    Finding = [400, 401, 403, 404, 422, 500, 503];
    /// A write within an org, with a body.
    Writing = [400, 401, 403, 404, 409, 413, 415, 422, 500, 503];
    /// An answer to a ticket.
    Answering = [400, 401, 403, 404, 409, 413, 415, 500, 503];
    /// Files for a message.
    Uploading = [400, 401, 403, 404, 409, 413, 415, 422, 500, 503];
    /// A deletion of what something may still need.
    Removing = [400, 401, 403, 404, 413, 422, 500, 503];
    /// A change of where something stands, without a body.
    Moving = [400, 401, 403, 404, 413, 422, 500, 503];
    /// A write within an org, without a body.
    Doing = [400, 401, 403, 404, 409, 413, 500, 503];
}

pub type Failure<S> = failure::Failure<S>;

fn answered(status: StatusCode) -> poem::ResponseBuilder {
    Response::builder().status(status).header("cache-control", "no-store")
}

macro_rules! json_answer {
    ($(#[$doc:meta])* $name:ident = $status:literal $text:literal) => {
        $(#[$doc])*
        pub struct $name<T>(pub T);

        impl<T: ToJSON> IntoResponse for $name<T> {
            fn into_response(self) -> Response {
                let status = StatusCode::from_u16($status).expect("a status");
                answered(status).content_type("application/json").body(self.0.to_json_string())
            }
        }

        impl<T: ToJSON> ApiResponse for $name<T> {
            fn meta() -> MetaResponses {
                MetaResponses {
                    responses: vec![MetaResponse {
                        description: $text,
                        status: Some($status),
                        status_range: None,
                        content: vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }],
                        headers: uncached(),
                    }],
                }
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }
        }
    };
}

fn uncached() -> Vec<MetaHeader> {
    let mut headers = every_answer();
    headers.push(meta_header::<String>("Cache-Control", "`no-store`.", true));
    headers
}

json_answer! {
    /// 200 with what was asked for, or with what it is now.
    Shown = 200 "What was asked for, or what it is now."
}
json_answer! {
    /// 201 with what was made, its secret included, once.
    Made = 201 "What was made. A secret in it is shown this once."
}

/// 204.
pub struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        answered(StatusCode::NO_CONTENT).finish()
    }
}

impl ApiResponse for Done {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Done.",
                status: Some(204),
                status_range: None,
                content: vec![],
                headers: uncached(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// 200 or 204 that also sets or clears the session's cookie.
pub struct WithCookie<T> {
    pub answer: T,
    /// The whole value of `Set-Cookie`.
    pub cookie: String,
}

impl<T: IntoResponse> IntoResponse for WithCookie<T> {
    fn into_response(self) -> Response {
        self.answer.with_header("set-cookie", self.cookie).into_response()
    }
}

impl<T: ApiResponse> ApiResponse for WithCookie<T> {
    fn meta() -> MetaResponses {
        let mut meta = T::meta();
        for response in &mut meta.responses {
            response.headers.push(meta_header::<String>("Set-Cookie", "The session: set, or cleared.", true));
        }
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A page of a list.
#[derive(Object)]
pub struct Page<T: Type + ParseFromJSON + ToJSON + IsObjectType + Send + Sync> {
    /// The entries.
    data: Vec<T>,
    /// Pass it as `cursor` for the next page; `null` on the last one.
    next_cursor: Nullable<String>,
}

impl<T: Type + ParseFromJSON + ToJSON + IsObjectType + Send + Sync> Page<T> {
    /// Rows of the store as entries of the answer.
    pub fn of<R>((rows, next): (Vec<R>, Option<String>), entry: impl Fn(R) -> T) -> Self {
        Self { data: rows.into_iter().map(entry).collect(), next_cursor: Nullable(next) }
    }
}
