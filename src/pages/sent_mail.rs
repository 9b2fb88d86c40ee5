//! `/dev/mail`: what `vicket dev` sent, for who tries it. A message's HTML is shown in a frame of its own that runs nothing,
//! loads nothing and is of no origin.

use std::path::Path;

use askama::Template;
use mail_parser::{Message, MessageParser};
use poem::{
    Response,
    http::{StatusCode, header},
};

use crate::domain::problem::Problem;

/// How a request's line calls these pages.
pub const TEMPLATE: &str = "/dev/mail/{name}";
/// The newest ones.
const MOST: usize = 200;
/// Styles of the page and of mail stand in them; a frame made of `srcdoc` has the policy of its page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One mail of the list.
struct Listed {
    name: String,
    to: String,
    subject: String,
    at: String,
}

#[derive(Template)]
#[template(path = "sent_mail/list.html")]
struct ListPage {
    mails: Vec<Listed>,
}

#[derive(Template)]
#[template(path = "sent_mail/mail.html")]
struct MailPage {
    from: String,
    to: String,
    subject: String,
    html: String,
    text: String,
    source: String,
}

/// What a path of these pages names: the list, or a message.
pub fn named(path: &str) -> Option<Option<&str>> {
    match path.strip_prefix("/dev/mail")? {
        "" | "/" => Some(None),
        rest => rest.strip_prefix('/').map(Some),
    }
}

/// The list, or the message of this name.
///
/// # Errors
/// `404 not_found`.
pub async fn show(dir: &Path, name: Option<&str>) -> Result<Response, Problem> {
    let Some(name) = name else { return answer(&ListPage { mails: list(dir).await? }) };
    if !is_ours(name) {
        return Err(Problem::not_found());
    }
    let raw = tokio::fs::read(dir.join(name)).await.map_err(|_| Problem::not_found())?;
    let message = MessageParser::default().parse(&raw[..]).ok_or_else(Problem::not_found)?;
    answer(&MailPage {
        from: header(&message, "From"),
        to: header(&message, "Delivered-To"),
        subject: message.subject().unwrap_or_default().to_owned(),
        html: message.body_html(0).unwrap_or_default().into_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        source: String::from_utf8_lossy(&raw).into_owned(),
    })
}

/// A name as the sender gives, which is no way to another folder.
fn is_ours(name: &str) -> bool {
    name.strip_suffix(".eml").is_some_and(|stem| {
        !stem.is_empty() && stem.bytes().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase() || c == b'-')
    })
}

async fn list(dir: &Path) -> Result<Vec<Listed>, Problem> {
    let mut names = Vec::new();
    if let Ok(mut entries) = tokio::fs::read_dir(dir).await {
        while let Some(entry) = entries.next_entry().await.map_err(Problem::internal)? {
            names.extend(entry.file_name().into_string().ok().filter(|name| is_ours(name)));
        }
    }
    // They begin with the time.
    names.sort_unstable_by(|a, b| b.cmp(a));
    names.truncate(MOST);
    let mut mails = Vec::new();
    for name in names {
        let Ok(raw) = tokio::fs::read(dir.join(&name)).await else { continue };
        let Some(message) = MessageParser::default().parse(&raw[..]) else { continue };
        mails.push(Listed {
            to: header(&message, "Delivered-To"),
            subject: message.subject().unwrap_or_default().to_owned(),
            at: message.date().map(ToString::to_string).unwrap_or_default(),
            name,
        });
    }
    Ok(mails)
}

fn header(message: &Message<'_>, name: &str) -> String {
    message.header_raw(name).unwrap_or_default().trim().to_owned()
}

fn answer(page: &impl Template) -> Result<Response, Problem> {
    let body = page.render().map_err(Problem::internal)?;
    Ok(Response::builder()
        .status(StatusCode::OK)
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_list_or_a_message() {
        assert_eq!(named("/dev/mail"), Some(None));
        assert_eq!(named("/dev/mail/"), Some(None));
        assert_eq!(named("/dev/mail/1-a.eml"), Some(Some("1-a.eml")));
        assert_eq!(named("/dev/mailbox"), None);
        assert_eq!(named("/dev"), None);
    }

    #[test]
    fn a_name_is_no_way_to_another_folder() {
        assert!(is_ours("1764518400000000-0a1b2c3d.eml"));
        for bad in ["", ".eml", "../dev.json", "..%2f1.eml", "a/b.eml", "1.EML", ".1.part"] {
            assert!(!is_ours(bad), "{bad}");
        }
    }
}
