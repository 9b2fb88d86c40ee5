//! Whether a machine sent it (RFC 3834), and what a bounce says (RFC 3464). Automatic mail is kept and shown, and triggers
//! nothing.

use serde::Serialize;

use super::{envelope::Envelope, headers::Head, parts::Tree, thread};
use crate::mail::token::{Kind, in_local_part};

/// The most recipients of a bounce that are read.
const RECIPIENTS: usize = 100;
/// The most of a report that is read, bytes.
const REPORT_BYTES: usize = 256 * 1024;

/// Fields that programs which answer by themselves add, of which any value says so.
const ANSWERING: [&str; 6] =
    ["x-autoreply", "x-autorespond", "x-autoreply-from", "x-mail-autoreply", "x-autoresponder", "x-auto-reply-from"];

/// Why a message is automatic: each sign of it. None means that a person sent it.
pub fn reasons(head: &Head<'_>, envelope: &Envelope, tree: &Tree<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if envelope.mail_from.as_deref() == Some("") {
        reasons.push("the return path is empty".to_owned());
    }
    let value = |name: &str| head.token(name).map(|value| value.to_lowercase());
    if let Some(submitted) = value("auto-submitted").filter(|value| word(value) != "no") {
        reasons.push(format!("Auto-Submitted: {}", word(&submitted)));
    }
    let list = head.names().find(|name| name.len() > 5 && name[..5].eq_ignore_ascii_case(b"list-"));
    if let Some(name) = list {
        reasons.push(format!("it came by a list: {}", String::from_utf8_lossy(name)));
    }
    for precedence in head.raw("precedence") {
        let precedence = String::from_utf8_lossy(precedence).trim().to_lowercase();
        if matches!(precedence.as_str(), "bulk" | "junk" | "list" | "auto_reply" | "auto-reply") {
            reasons.push(format!("Precedence: {precedence}"));
            break;
        }
    }
    if let Some(suppress) = value("x-auto-response-suppress").filter(|value| !matches!(word(value), "" | "none")) {
        reasons.push(format!("X-Auto-Response-Suppress: {}", suppress.chars().take(80).collect::<String>()));
    }
    for name in ANSWERING {
        if value(name).is_some_and(|value| !matches!(word(&value), "no" | "false")) {
            reasons.push(format!("it has {name}"));
            break;
        }
    }
    if tree.content_type.value == "multipart/report" {
        let kind = tree.content_type.parameter("report-type").unwrap_or("of no type");
        reasons.push(format!("it is a report: {}", kind.chars().take(80).collect::<String>()));
    }
    // Programs that know nothing of all that: they are the mail system itself.
    if reasons.is_empty() && from_mail_system(head) {
        reasons.push("the mail system sent it".to_owned());
    }
    reasons
}

/// Whether what makes it automatic is only that a program passed on what a person wrote: some mark that so. Not what answers by
/// itself, lists or reports.
pub fn passed_on(head: &Head<'_>, envelope: &Envelope, tree: &Tree<'_>, forward: bool) -> bool {
    let submitted = head.token("auto-submitted").map(|value| word(&value.to_lowercase()).to_owned());
    let said = match submitted.as_deref() {
        Some("auto-forwarded") => true,
        // As Exchange marks what a rule forwards.
        Some("auto-generated") => {
            forward || head.count("resent-from") > 0 || head.count("x-ms-exchange-generated-message-source") > 0
        }
        _ => false,
    };
    said && envelope.mail_from.as_deref() != Some("")
        && !head.names().any(|name| name.len() > 5 && name[..5].eq_ignore_ascii_case(b"list-"))
        && head.raw("precedence").next().is_none()
        && !ANSWERING.iter().any(|name| head.count(name) > 0)
        && tree.content_type.value != "multipart/report"
}

fn word(value: &str) -> &str {
    value.split([';', ' ', '(', ',']).next().unwrap_or_default()
}

fn from_mail_system(head: &Head<'_>) -> bool {
    head.addresses("from").first().is_some_and(|from| {
        let local = from.address.split('@').next().unwrap_or_default().to_ascii_lowercase();
        matches!(local.as_str(), "mailer-daemon" | "postmaster")
    })
}

/// What could not be delivered, or not yet.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Bounce {
    /// Of our return path `b.TOKEN@...`, or of our Message-ID in what came back. Without one that verifies it changes nothing.
    pub token: Option<String>,
    pub recipients: Vec<Recipient>,
}

#[derive(Debug, Serialize, PartialEq, Eq, Default)]
pub struct Recipient {
    pub address: Option<String>,
    /// `failed`, `delayed`, `delivered`, `relayed`, `expanded`.
    pub action: Option<String>,
    /// E.g. `5.1.1`.
    pub status: Option<String>,
    /// What the other server said.
    pub diagnostic: Option<String>,
}

/// What a message says as a bounce, if it is one.
pub fn bounce(head: &Head<'_>, envelope: &Envelope, tree: &Tree<'_>, text: &str) -> Option<Bounce> {
    let report = tree.leaves.iter().find(|leaf| {
        matches!(leaf.content_type.value.as_str(), "message/delivery-status" | "message/global-delivery-status")
    });
    let mut recipients = Vec::new();
    if let Some(report) = report {
        let content = report.content();
        recipients = delivery_status(&content[..content.len().min(REPORT_BYTES)]);
    } else if let Some(failed) = head.token("x-failed-recipients").filter(|_| from_mail_system(head)) {
        // Exim without a report.
        let status = status_in(text);
        recipients.extend(failed.split(',').take(RECIPIENTS).map(|address| Recipient {
            address: Some(address.trim().to_owned()),
            action: Some("failed".to_owned()),
            status: status.clone(),
            diagnostic: None,
        }));
    }
    let verp = envelope.recipients.iter().find_map(|address| in_local_part(Kind::Bounce, address.rsplit_once('@')?.0));
    if recipients.is_empty() && (verp.is_none() || !from_mail_system(head)) {
        return None;
    }
    let returned = || {
        let back = tree.leaves.iter().find(|leaf| {
            matches!(
                leaf.content_type.value.as_str(),
                "message/rfc822" | "text/rfc822-headers" | "message/global" | "message/global-headers"
            )
        })?;
        let content = back.content();
        let (head, _) = Head::read(&content[..content.len().min(REPORT_BYTES)]);
        head.ids("message-id").iter().find_map(|id| thread::own_id(id))
    };
    Some(Bounce { token: verp.or_else(returned), recipients })
}

/// The groups of fields of RFC 3464: the first is of the message, each other of a recipient.
fn delivery_status(content: &[u8]) -> Vec<Recipient> {
    let text = String::from_utf8_lossy(content).replace("\r\n", "\n");
    let mut recipients = Vec::new();
    for group in text.split("\n\n").filter(|group| !group.trim().is_empty()) {
        let group = format!("{}\n", group.trim_start_matches('\n'));
        let (head, _) = Head::read(group.as_bytes());
        let typed = |name: &str| {
            let value = head.token(name)?;
            let value =
                value.split_once(';').map_or(value.as_str(), |(_, value)| value).trim().trim_matches(['<', '>']);
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            (!value.is_empty()).then(|| value.chars().take(998).collect::<String>())
        };
        // What we wrote to, where the other side made another address of it.
        let address = typed("original-recipient").or_else(|| typed("final-recipient"));
        let action = head.token("action").map(|action| word(&action.to_lowercase()).to_owned());
        let status = head.token("status").and_then(|status| status_in(&status));
        if address.is_some() || action.is_some() {
            recipients.push(Recipient { address, action, status, diagnostic: typed("diagnostic-code") });
        }
        if recipients.len() == RECIPIENTS {
            break;
        }
    }
    recipients
}

/// The first status of RFC 3463 in a text.
fn status_in(text: &str) -> Option<String> {
    let text = &text[..text.floor_char_boundary(text.len().min(REPORT_BYTES))];
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    let mut statuses = words.filter(|word| {
        let parts: Vec<&str> = word.trim_end_matches('.').split('.').collect();
        parts.len() == 3
            && matches!(parts[0], "2" | "4" | "5")
            && parts[1..].iter().all(|part| (1..=3).contains(&part.len()))
    });
    statuses.next().map(|status| status.trim_end_matches('.').to_owned())
}
