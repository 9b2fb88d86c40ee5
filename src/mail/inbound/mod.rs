//! Mail that came in, read: which thread, who wrote it, what it says, what is quoted, what came with it, whether a machine sent
//! it. No database: what a token names is for who asks to look up.
//!
//! Whatever a message holds, reading it costs a bounded time and memory, and never fails: what is broken is read as far as it
//! goes, and what is left out is listed with the reason. A parser of parameters, addresses and charsets (mail-parser, encoding_rs)
//! is under it; the walk over the parts is its own, since limits have to hold while it goes.

mod author;
mod automatic;
mod body;
mod charset;
mod content_type;
mod decoding;
mod encoded_words;
mod envelope;
mod headers;
mod html;
mod parts;
mod quotes;
mod thread;

use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::files,
    mail::token::{Kind, Meaning, TokenKeys},
};

pub use author::{Connection, Trust};
pub use automatic::{Bounce, Recipient};
pub use envelope::Envelope;
pub use html::with_pictures;
pub use parts::MAX_MESSAGE_BYTES;

/// The longest subject that is passed on, characters.
const SUBJECT_LENGTH: usize = 1000;

/// A message, read.
#[derive(Debug, Serialize)]
pub struct Parsed {
    /// The token of ours that says which ticket it belongs to. Where keys were given one that holds, else one of that form.
    pub thread: Option<String>,
    /// The address that it says it is from.
    pub author: Option<String>,
    /// Whether that is proven.
    pub verified: bool,
    /// The whole body, its lines ended by LF.
    pub text: String,
    /// The character of `text` at which what was quoted begins.
    pub quoted_from: Option<usize>,
    pub attachments: Vec<Attachment>,
    /// Whether a machine sent it.
    pub automatic: bool,
    /// What each of these was decided by, for people.
    pub why: Vec<String>,
    pub author_name: Option<String>,
    pub subject: Option<String>,
    /// The ticket, where a key proved the token.
    pub ticket: Option<Uuid>,
    pub bounce: Option<Bounce>,
    /// The body as HTML that is harmless to show, where it has one.
    pub html: Option<String>,
    /// What the token means, and of what kind it is, where a key proved it.
    #[serde(skip)]
    pub proven: Option<(Kind, Meaning)>,
    /// It is automatic only because a program passed on what a person wrote.
    #[serde(skip)]
    pub passed_on: bool,
}

/// What came with a message.
#[derive(Debug, Serialize)]
pub struct Attachment {
    pub name: String,
    /// As its sender says.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Bytes.
    pub size: usize,
    /// Why it is not kept, if it is not.
    pub skipped: Option<String>,
    /// By which the HTML of the message names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// Its bytes; none of what is not kept.
    #[serde(skip)]
    pub content: Vec<u8>,
}

/// Reads a message. Without `envelope` it is what a server wrote above the message; without `keys` tokens are not proved.
pub async fn parse(raw: &[u8], envelope: Option<Envelope>, trust: &Trust<'_>, keys: Option<&TokenKeys>) -> Parsed {
    let message = from_its_first_line(raw);
    let tree = parts::Tree::read(message);
    let head = &tree.head;
    let envelope = envelope.unwrap_or_else(|| Envelope::of_file(head));
    let mut why = Vec::new();

    let found = thread::found(head, &envelope);
    let (thread, proven) = match keys {
        None => {
            let first = found.first();
            why.push(match first {
                Some(found) => format!("thread: by {}; no key was asked whether it holds", found.place),
                None => "thread: it names no message or address of ours".to_owned(),
            });
            (first.map(|found| found.token.clone()), None)
        }
        Some(keys) => match thread::verified(&found, keys) {
            Some((found, meaning)) => {
                why.push(format!("thread: by {}, which holds", found.place));
                (Some(found.token.clone()), Some((found.kind, meaning)))
            }
            None if found.is_empty() => {
                why.push("thread: it names no message or address of ours".to_owned());
                (None, None)
            }
            None => {
                why.push(format!("thread: the token in {} does not hold", found[0].place));
                (None, None)
            }
        },
    };

    let author = author::author(head);
    let (verified, reason) = author::verified(message, head, &author, &envelope, trust).await;
    why.push(format!("{}: {reason}", if verified { "verified" } else { "not verified" }));

    let domain =
        author.address.as_ref().and_then(|from| from.address.rsplit_once('@')).map(|(_, domain)| domain.to_owned());
    let subject: Option<String> = head.text("subject").map(|subject| subject.chars().take(SUBJECT_LENGTH).collect());
    let names_another = head.count("in-reply-to") > 0 || head.count("references") > 0;
    let about = quotes::About::of(subject.as_deref().unwrap_or_default(), names_another);
    let body = body::Body::read(&tree, domain.as_deref());
    let fold = quotes::fold(&body.text, &body.marks, about);
    if body.html.is_none()
        && let Some(reason) = body.no_html
    {
        why.push(format!("HTML is not shown: {reason}"));
    }

    let reasons = automatic::reasons(head, &envelope, &tree);
    why.extend(reasons.iter().map(|reason| format!("automatic: {reason}")));
    let mut bounce = automatic::bounce(head, &envelope, &tree, &body.text);
    if let Some(keys) = keys
        && let Some(bounce) = &mut bounce
    {
        let holds =
            |token: &String| [Kind::Bounce, Kind::Message].iter().any(|kind| keys.verify(*kind, token).is_some());
        bounce.token = bounce.token.take().filter(holds);
    }

    Parsed {
        thread,
        author: author.address.as_ref().map(|from| from.address.clone()),
        verified,
        quoted_from: fold.map(|at| body.text[..at].chars().count()),
        text: body.text,
        attachments: attachments(&tree, &body.files, &body.shown),
        automatic: !reasons.is_empty(),
        why,
        author_name: author.address.and_then(|from| from.name),
        subject,
        ticket: proven.map(|(_, meaning)| meaning.ticket),
        bounce,
        html: body.html,
        proven,
        passed_on: automatic::passed_on(head, &envelope, &tree, about.forward),
    }
}

/// Without what stands above a head in files: a mark of UTF-8, empty lines, the line that separates mails in a mailbox.
fn from_its_first_line(raw: &[u8]) -> &[u8] {
    let mut message = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    while let Some(rest) = message.strip_prefix(b"\n").or_else(|| message.strip_prefix(b"\r\n")) {
        message = rest;
    }
    if message.starts_with(b"From ") { &message[headers::line_end(message, 0)..] } else { message }
}

/// Everything that is not the text of the message.
fn attachments(tree: &parts::Tree<'_>, files: &[decoding::Uuencoded], shown: &[usize]) -> Vec<Attachment> {
    let mut attachments = Vec::new();
    for (number, leaf) in tree.leaves.iter().enumerate() {
        if shown.contains(&number) {
            continue;
        }
        let content = leaf.content();
        let size = content.len();
        let content_id = leaf.head.ids("content-id").into_iter().next();
        let skipped = leaf.skipped.clone().or_else(|| too_large(size));
        attachments.push(Attachment {
            name: leaf.name(),
            media_type: leaf.content_type.value.chars().take(127).collect(),
            size,
            content: if skipped.is_none() { content.into_owned() } else { Vec::new() },
            skipped,
            content_id: content_id.filter(|_| leaf.skipped.is_none()),
        });
    }
    attachments.extend(files.iter().map(|file| Attachment {
        name: files::harmless(&file.name),
        media_type: "application/octet-stream".to_owned(),
        size: file.content.len(),
        skipped: too_large(file.content.len()),
        content_id: None,
        content: if too_large(file.content.len()).is_none() { file.content.clone() } else { Vec::new() },
    }));
    if tree.unlisted.0 > 0 {
        attachments.push(Attachment {
            name: format!("{} more parts", tree.unlisted.0),
            media_type: "application/octet-stream".to_owned(),
            size: tree.unlisted.1,
            skipped: Some(format!("the message has more than {} parts", parts::MAX_PARTS)),
            content_id: None,
            content: Vec::new(),
        });
    }
    attachments
}

fn too_large(size: usize) -> Option<String> {
    (size > files::MAX_BYTES).then(|| format!("larger than {} MiB", files::MAX_BYTES / 1024 / 1024))
}
