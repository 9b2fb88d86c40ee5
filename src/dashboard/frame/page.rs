//! The answer of a page: HTML, a redirection, a cookie; and how times are written.

use askama::Template;
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use time::{OffsetDateTime, macros::format_description};

use crate::{dashboard::frame::form::Form, domain::problem::Problem};

/// 200 with a page.
///
/// # Errors
/// `500` when the template cannot be rendered.
pub fn html(page: &impl Template) -> Result<Response, Problem> {
    let text = page.render().map_err(Problem::internal)?;
    Ok(Response::builder().content_type("text/html; charset=utf-8").body(text))
}

/// A page with a form: with the status of what was wrong with the one that was sent.
///
/// # Errors
/// `500` when the template cannot be rendered.
pub fn form_page(page: &impl Template, form: &Form) -> Result<Response, Problem> {
    let mut response = html(page)?;
    if let Some(status) = form.code.and_then(|code| StatusCode::from_u16(code.status()).ok()) {
        response.set_status(status);
    }
    Ok(response)
}

/// 303 to a path of ours.
pub fn redirect(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}

/// An answer with a cookie.
pub fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// A time as people read it.
pub fn when(time: &OffsetDateTime) -> String {
    let form = format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute] UTC");
    time.format(&form).unwrap_or_default()
}

/// A time for machines: `<time datetime>`.
pub fn iso(time: &OffsetDateTime) -> String {
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
