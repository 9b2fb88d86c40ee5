//! What a line around a quote says, in the languages that mail programs speak.

use super::words::{
    BELOW, COPY, DATE, FORWARD_PREFIXES, FORWARDED, FROM, ORIGINAL, OTHER, REPLY_PREFIXES, SUBJECT, TO, WROTE,
    WROTE_BEFORE,
};

/// What a field of a quoted head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    From,
    Date,
    To,
    Copy,
    Subject,
    /// Importance, attachments, and what else stands there.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prefix {
    Reply,
    Forward,
}

/// The first prefix of a subject says what the message is; labels in brackets before it are a list's.
pub fn subject_prefix(subject: &str) -> Option<Prefix> {
    let mut rest = subject.trim_start();
    while let Some(end) = rest.strip_prefix('[').and_then(|inside| inside.find(']')) {
        rest = rest[end + 2..].trim_start();
    }
    let end = rest.find([':', '：'])?;
    let word = rest[..end].trim().to_lowercase();
    // `Re[2]`, `AW (3)`.
    let word = word.split(['[', '(']).next().unwrap_or_default().trim();
    if REPLY_PREFIXES.contains(&word) {
        Some(Prefix::Reply)
    } else if FORWARD_PREFIXES.contains(&word) {
        Some(Prefix::Forward)
    } else {
        None
    }
}

/// What a line such as `*Von:* Ann` says, when it is a field with something in it.
pub fn role(line: &str) -> Option<Role> {
    let line = line.trim_start_matches(['*', '_', '|', ' ', '\t']);
    let end = line.char_indices().take(24).find(|(_, c)| matches!(c, ':' | '：')).map(|(at, _)| at)?;
    let value = line[end..].trim_start_matches([':', '：', '*', '_', ' ', '\t', '\u{a0}']);
    if value.is_empty() {
        return None;
    }
    // Japanese and Chinese programs fill the words up with spaces: `件　名`.
    let label = line[..end].trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '_').to_lowercase();
    let label = label.replace('\u{3000}', "");
    let is = |words: &[&str]| words.contains(&label.as_str());
    Some(match () {
        () if is(FROM) => Role::From,
        () if is(DATE) => Role::Date,
        () if is(TO) => Role::To,
        () if is(COPY) => Role::Copy,
        () if is(SUBJECT) => Role::Subject,
        () if is(OTHER) => Role::Other,
        () => return None,
    })
}

/// A line between dashes, or of what stands for them, that says one of `words`.
fn says_between_dashes(line: &str, words: &[&str]) -> bool {
    if line.len() > 200 {
        return false;
    }
    let said = line
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '_' | '=' | '*' | '>' | '<' | '—' | '–' | '─'));
    let dashes = line.chars().take_while(|c| matches!(c, '-' | '_' | '=' | '—' | '–' | '─')).count();
    let said = said.to_lowercase();
    let said = said.trim_end_matches([':', '：']).trim();
    dashes >= 2 && words.contains(&said)
}

pub fn is_original(line: &str) -> bool {
    says_between_dashes(line, ORIGINAL)
}

/// Whether a line says that what follows is passed on: between dashes, or alone with a colon, as Apple has it.
pub fn is_forward(line: &str) -> bool {
    if line.len() > 200 {
        return false;
    }
    if says_between_dashes(line, FORWARDED) {
        return true;
    }
    let said = line.to_lowercase();
    // `---------- Forwarded by Ann on ... ---------`
    if line.starts_with("---") && FORWARDED.iter().any(|words| said.trim_start_matches(['-', ' ']).starts_with(words)) {
        return true;
    }
    let alone = said.trim_end_matches([':', '：']).trim();
    said.ends_with([':', '：']) && FORWARDED.contains(&alone)
}

/// Whether a line ends by saying that somebody wrote something.
pub fn says_that_somebody_wrote(line: &str) -> bool {
    let line = line.trim_end_matches([':', '：', ' ', '\u{a0}']).to_lowercase();
    let ends = |word: &&str| {
        line.strip_suffix(*word).is_some_and(|before| {
            before.is_empty()
                || !before.ends_with(char::is_alphanumeric)
                || !word.is_ascii() && !word.starts_with(is_latin)
        })
    };
    // German and Dutch name who wrote it last; Scandinavians too.
    let names_last =
        [" schrieb ", " schreef ", " skrev ", " écrivait ", "ezt írta"].iter().any(|word| line.contains(word));
    WROTE.iter().any(ends) || names_last || WROTE_BEFORE.iter().any(|word| line.starts_with(word))
}

/// Whether one of its words is that somebody wrote something, wherever it stands.
pub fn names_writing(line: &str) -> bool {
    let line = line.to_lowercase();
    line.split(|c: char| !c.is_alphabetic()).any(|word| WROTE.contains(&word))
}

fn is_latin(c: char) -> bool {
    c.is_alphabetic() && u32::from(c) < 0x250
}

/// A line of nothing but dashes, underscores and their kin.
pub fn is_rule(line: &str) -> bool {
    line.chars().count() >= 2 && line.chars().all(|c| matches!(c, '-' | '_' | '=' | '*' | '—' | '–' | '─' | ' '))
}

pub fn says_that_the_answer_is_below(line: &str) -> bool {
    let line = line.to_lowercase();
    BELOW.iter().any(|words| {
        line.match_indices(words).any(|(at, _)| {
            let before = line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() || !is_latin(c));
            let after = line[at + words.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric() || !is_latin(c));
            before && after
        })
    })
}
