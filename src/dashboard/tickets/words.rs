//! What the pages of tickets say in words.

use time::OffsetDateTime;

use crate::{
    dashboard::frame::page::when,
    domain::markdown,
    store::{
        attachments::Attachment,
        inbound_mails::OfMessage,
        mails::Delivery,
        tickets::{
            agent::{Event, Message},
            seen::Viewer,
        },
    },
};

/// Whether a file came with a message.
pub fn of(file: &Attachment, message: &Message) -> bool {
    file.message_id == message.id
}

/// Whom a message by mail says it is from.
pub fn unproven(mail: &OfMessage) -> String {
    format!("It says that it is from {}; nothing proves that.", mail.author.as_deref().unwrap_or("nobody"))
}

/// What its sender wrote, and what that quotes, where a message came by mail and ends with a quote.
pub fn folded(message: &Message) -> Option<(&str, &str)> {
    let at = usize::try_from(message.mail.as_ref()?.quoted_from?).ok()?;
    let (byte, _) = message.body.char_indices().nth(at)?;
    let (above, quoted) = message.body.split_at(byte);
    (!above.trim().is_empty()).then_some((above.trim_end(), quoted))
}

/// What became of the mail of a message, in words.
pub fn delivered(delivery: &Delivery) -> String {
    let said = delivery.detail.as_deref().unwrap_or("no reason given");
    match delivery.state.as_str() {
        "queued" if delivery.detail.is_some() => format!("Mail: not sent yet, it is tried again: {said}"),
        "queued" => "Mail: to be sent".to_owned(),
        "sent" if said.starts_with("delayed: ") => format!("Mail: sent, and {said}"),
        "sent" => format!("Mail: sent {}", when(&delivery.at)),
        "suppressed" => format!("Mail: not sent, because earlier mail to this address was refused: {said}"),
        "failed" => format!("Mail: not delivered, given up: {said}"),
        _ => format!("Mail: not delivered: {said}"),
    }
}

/// A time as an event has it.
fn moment(text: &str) -> String {
    let parsed = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
    parsed.map_or_else(|_| text.to_owned(), |time| when(&time))
}

/// What changed, in words.
pub fn describe(event: &Event) -> String {
    let after = event.after.as_deref();
    match (event.kind.as_str(), event.before.as_deref(), after) {
        ("assignee", _, Some(after)) => format!("assigned it to {after}"),
        ("assignee", Some(before), None) => format!("unassigned {before}"),
        ("snooze", _, Some(after)) => format!("snoozed it until {}", moment(after)),
        ("snooze", _, None) => "woke it".to_owned(),
        ("merge", _, Some(after)) => format!("merged {after} into it"),
        ("merge", Some(before), None) => format!("took {before} out of it"),
        ("merged", _, Some(after)) => format!("merged it into {after}"),
        ("merged", Some(before), None) => format!("took it out of {before}"),
        ("tag", _, Some(after)) => format!("put on the tag {after}"),
        ("tag", Some(before), None) => format!("took off the tag {before}"),
        (kind, Some(before), Some(after)) => format!("changed the {kind} from {before} to {after}"),
        (kind, _, _) => format!("changed the {kind} to {}", after.unwrap_or("none")),
    }
}

/// A message as it is read: an agent's Markdown rendered as its customer sees it, what customers write as plain text with links.
pub fn rendered(message: &Message) -> String {
    if message.author == "agent" { markdown::message(&message.body) } else { markdown::plain(&message.body) }
}

/// Who has a ticket open besides whoever looks: "Agnes is writing", "Agnes and Bob are here".
pub fn presence(viewers: &[Viewer]) -> String {
    let writing: Vec<&str> = viewers.iter().filter(|one| one.typing).map(|one| one.name.as_str()).collect();
    let here: Vec<&str> = viewers.iter().map(|one| one.name.as_str()).collect();
    let (names, what) = if writing.is_empty() { (here, "here") } else { (writing, "writing") };
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{one} is {what}"),
        [first, second] => format!("{first} and {second} are {what}"),
        [first, rest @ ..] => format!("{first} and {} others are {what}", rest.len()),
    }
}

/// At most two letters that stand for somebody.
pub fn initials(name: &str) -> String {
    let mut letters = name.split_whitespace().filter_map(|word| word.chars().find(|letter| letter.is_alphanumeric()));
    let (first, last) = (letters.next(), letters.next_back());
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

/// Which of the eight colours of avatars is somebody's.
pub fn colour(name: &str) -> u32 {
    name.bytes().fold(0, |sum, byte| (sum * 31 + u32::from(byte)) % 8)
}

/// Bytes as people read them.
pub fn size(bytes: i64) -> String {
    match bytes {
        ..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_has_two_letters_or_one() {
        for (name, letters) in [
            ("Ada Lovelace", "AL"),
            ("ada@example.com", "A"),
            ("Jean de la Fontaine", "JF"),
            ("山田 太郎", "山太"),
            ("<script>", "S"),
            ("", ""),
        ] {
            assert_eq!(initials(name), letters);
        }
        assert!(colour("Ada Lovelace") < 8);
        assert_eq!([size(999), size(1500), size(2_350_000)], ["999 bytes", "1 kB", "2.3 MB"]);
    }
}
