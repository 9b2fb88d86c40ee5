//! Where what was quoted begins, so that it can be folded: never cut, and never with anything in it that the sender wrote.
//!
//! Two kinds of quotes. One whose every line is marked, by `>` or by HTML: it is folded only where nothing else follows, so that
//! an answer below it or between its lines is seen. And one that only begins, as Outlook has it, with `From:` and `Sent:`: nothing
//! tells an answer in it from the rest, so that it is folded only where the sender wrote above it, and did not say that they
//! answered below. A forward is what its sender wants read, and is never folded.

mod languages;
mod words;

use super::html::{Mark, MarkKind};

/// The longest text in which a quote is looked for, bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The longest text above a quote that only begins, bytes: all of it is looked through for a word on where the answer is.
const OWN_BYTES: usize = 256 * 1024;
/// The longest that says who wrote what and when, bytes.
const ATTRIBUTION_BYTES: usize = 400;
/// Over how many lines it may be wrapped.
const ATTRIBUTION_LINES: usize = 4;

/// What the head says of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// It answers another.
    pub reply: bool,
    /// It passes another on.
    pub forward: bool,
}

impl About {
    pub fn of(subject: &str, names_another: bool) -> Self {
        let prefix = languages::subject_prefix(subject);
        Self {
            reply: names_another || prefix == Some(languages::Prefix::Reply),
            forward: prefix == Some(languages::Prefix::Forward),
        }
    }
}

struct Line<'a> {
    /// Where it begins, in bytes.
    at: usize,
    /// Without the marks of a quote and white space around it.
    content: &'a str,
    depth: usize,
}

/// The byte at which the fold of `text` begins. `marks` are what HTML says of it.
pub fn fold(text: &str, marks: &[Mark], about: About) -> Option<usize> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let lines = lines(text);
    Search { lines: &lines, about }.run(marks).map(|line| lines[line].at)
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut at = 0;
    let lines = text.split('\n').map(|line| {
        let (depth, content) = quoted(line);
        let begins = at;
        at += line.len() + 1;
        Line { at: begins, content: trimmed(content), depth }
    });
    let mut lines: Vec<Line<'_>> = lines.collect();
    // A mailbox file turns `From here on it works` into `>From here on it works`: alone it is no quote.
    for at in 0..lines.len() {
        let near = |other: Option<usize>| other.and_then(|other| lines.get(other)).is_some_and(|line| line.depth > 0);
        let mangled = lines[at].depth == 1 && text[lines[at].at..].starts_with(">From ");
        if mangled && !near(at.checked_sub(1)) && !near(Some(at + 1)) {
            lines[at].depth = 0;
        }
    }
    lines
}

/// How deep a line is quoted, and what stands in it. `>` and spaces between them, as programs write them.
fn quoted(line: &str) -> (usize, &str) {
    let (mut depth, mut rest) = (0, line);
    loop {
        let after = rest.strip_prefix(' ').unwrap_or(rest);
        let Some(inner) = after.strip_prefix('>') else { return (depth, rest) };
        depth += 1;
        rest = inner;
    }
}

/// Without white space and marks of direction, which right-to-left languages have around such lines.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    })
}

struct Search<'a> {
    lines: &'a [Line<'a>],
    about: About,
}

impl Search<'_> {
    /// The line at which the fold begins: the first thing from above that is a quote decides.
    fn run(&self, marks: &[Mark]) -> Option<usize> {
        let mut marks = marks.iter().peekable();
        for at in 0..self.lines.len() {
            let line = &self.lines[at];
            let mut mark = None;
            while let Some(next) = marks.next_if(|mark| mark.at <= line.at) {
                mark = Some(next.kind);
            }
            if line.content.is_empty() && line.depth == 0 {
                continue;
            }
            if line.depth == 0 && languages::is_forward(line.content) {
                return None;
            }
            match mark {
                Some(MarkKind::Quote) => return self.only_begun(at),
                Some(MarkKind::Attribution) => return self.attributed(at),
                None => {}
            }
            if line.depth > 0 {
                return self.unattributed(at);
            }
            if languages::is_original(line.content) || self.heads_block(at) {
                return self.only_begun(at);
            }
            if let Some((from, strong)) = self.attribution_that_ends(at) {
                let next = self.next(at + 1);
                match next {
                    Some(next) if self.lines[next].depth > 0 => return self.all_marked(next).then_some(from),
                    // Yahoo, Outlook on phones: what is quoted has no marks.
                    _ if strong && next.is_some() && self.about.reply => return self.only_begun(from),
                    _ => {}
                }
            }
        }
        None
    }

    /// The next line from `at` that has something in it.
    fn next(&self, at: usize) -> Option<usize> {
        (at..self.lines.len()).find(|at| !self.lines[*at].content.is_empty())
    }

    /// Whether every line from `at` on is marked as quoted, or has nothing in it that somebody wrote.
    fn all_marked(&self, at: usize) -> bool {
        self.lines[at..]
            .iter()
            .all(|line| line.depth > 0 || languages::is_rule(line.content) || line.content.is_empty())
    }

    /// A quote that only begins at `at`, and is all that follows.
    fn only_begun(&self, at: usize) -> Option<usize> {
        if self.about.forward || !self.about.reply {
            return None;
        }
        // Behind its head each line may have a mark all the same.
        let body = (at..self.lines.len().min(at + 16)).find(|at| self.lines[*at].depth > 0);
        if let Some(body) = body {
            let head_only = self.lines[at..body].iter().all(|line| {
                line.content.is_empty()
                    || languages::is_rule(line.content)
                    || languages::is_original(line.content)
                    || languages::role(line.content).is_some()
                    || line.content.ends_with([':', '：'])
            });
            if head_only {
                return self.all_marked(body).then_some(at);
            }
        }
        let own = &self.lines[..at];
        let wrote = own.iter().any(|line| !line.content.is_empty() && !languages::is_rule(line.content));
        if own.last().is_some_and(|last| last.at > OWN_BYTES) {
            return None;
        }
        let below = own.iter().any(|line| languages::says_that_the_answer_is_below(line.content));
        (wrote && !below).then_some(at)
    }

    /// A quote that HTML says begins at `at`, with who wrote it.
    fn attributed(&self, at: usize) -> Option<usize> {
        let Some(quote) = (at..self.lines.len()).find(|at| self.lines[*at].depth > 0) else {
            return self.only_begun(at);
        };
        let said: Vec<&str> =
            self.lines[at..quote].iter().map(|line| line.content).filter(|content| !content.is_empty()).collect();
        if said.iter().any(|content| languages::is_forward(content)) || !self.all_marked(quote) {
            return None;
        }
        // What stands before it and is no attribution, the sender wrote.
        let attribution =
            said.len() <= ATTRIBUTION_LINES && said.last().is_some_and(|last| last.ends_with([':', '：']));
        Some(if attribution { at } else { quote })
    }

    /// Marked lines at `at` that nobody is said to have written: in the lines themselves, or not at all.
    fn unattributed(&self, at: usize) -> Option<usize> {
        if !self.all_marked(at) {
            return None;
        }
        let head = &self.lines[at..self.lines.len().min(at + 8)];
        if head.iter().any(|line| languages::is_forward(line.content)) {
            return None;
        }
        let said = (0..head.len()).any(|end| {
            let from = end.saturating_sub(ATTRIBUTION_LINES - 1);
            (from..=end).any(|from| is_attribution(&joined(&head[from..=end])))
        });
        if said {
            return Some(at);
        }
        // Somebody who writes "the error is:" and pastes it wrote it; and three marks are a prompt.
        let introduced = self.lines[..at]
            .iter()
            .rfind(|line| !line.content.is_empty())
            .is_some_and(|line| line.content.ends_with([':', '：']));
        // One line, or one right below the sender's, may be what they wrote themselves: a sign in front of a line.
        let apart = at == 0 || self.lines[at - 1].content.is_empty();
        let several = self.lines[at..].iter().filter(|line| !line.content.is_empty()).take(2).count() == 2;
        let prompt = head.iter().all(|line| line.depth >= 3 || line.content.is_empty());
        (self.about.reply && !self.about.forward && !introduced && !prompt && apart && several).then_some(at)
    }

    /// Whether `From:`, `Sent:`, `To:` and so on begin at `at`, or behind a rule there.
    fn heads_block(&self, at: usize) -> bool {
        let first = if languages::is_rule(self.lines[at].content) {
            let Some(next) = self.next(at + 1).filter(|next| *next <= at + 2) else { return false };
            next
        } else {
            at
        };
        if languages::role(self.lines[first].content).is_none() {
            return false;
        }
        let mut roles = Vec::new();
        let mut others = 0;
        for line in self.lines[first..self.lines.len().min(first + 14)].iter().filter(|line| !line.content.is_empty()) {
            match languages::role(line.content) {
                Some(role) if !roles.contains(&role) => roles.push(role),
                // A list of recipients goes on over some lines.
                _ if others < 3 && roles.len() < 5 => others += 1,
                _ => break,
            }
        }
        let has = |role| roles.contains(&role);
        has(languages::Role::From) && roles.len() >= 3 && (has(languages::Role::Date) || has(languages::Role::Subject))
    }

    /// Where what says who wrote what begins, when it ends with line `end`; and whether it says so much that nobody writes it by
    /// hand.
    fn attribution_that_ends(&self, end: usize) -> Option<(usize, bool)> {
        // Zoho has it between dashes: `---- On Mon, 03 Nov 2025 10:11:12 +0100 Ann <ann@example.com> wrote ---`.
        let between = self.lines[end].content.strip_prefix("---").and_then(|rest| rest.strip_suffix("---"));
        if between.is_some_and(|said| is_attribution(&format!("{}:", trimmed(said.trim_matches('-'))))) {
            return Some((end, true));
        }
        let content = self.lines[end].content;
        // Old Gmail has no word on it: `2011/4/7 Ann <ann@example.com>`.
        if content.ends_with('>') && has_date(content) && has_address(content) && content.len() <= ATTRIBUTION_BYTES {
            return Some((end, false));
        }
        if !content.ends_with([':', '：']) {
            return None;
        }
        let mut from = end;
        // The fewest lines that say enough, so that none of the sender's is taken for one of them.
        loop {
            let text = joined(&self.lines[from..=end]);
            if is_attribution(&text) {
                return Some((from, has_address(&text) && has_time(&text)));
            }
            let above = from.checked_sub(1).filter(|above| end - above < ATTRIBUTION_LINES);
            match above.filter(|above| self.lines[*above].depth == 0 && !self.lines[*above].content.is_empty()) {
                Some(above) => from = above,
                None => break,
            }
        }
        let text = self.lines[end].content;
        (text.len() <= ATTRIBUTION_BYTES && languages::says_that_somebody_wrote(text)).then_some((end, false))
    }
}

fn joined(lines: &[Line<'_>]) -> String {
    let length: usize = lines.iter().map(|line| line.content.len() + 1).sum();
    if length > ATTRIBUTION_BYTES {
        return String::new();
    }
    lines.iter().map(|line| line.content).collect::<Vec<_>>().join(" ")
}

/// Whether it says who wrote, and when: in any language, since an address and a date are the same in all.
fn is_attribution(text: &str) -> bool {
    if text.len() > ATTRIBUTION_BYTES || !text.ends_with([':', '：']) || languages::role(text).is_some() {
        return false;
    }
    let (address, date, time) = (has_address(text), has_date(text), has_time(text));
    let said = || languages::says_that_somebody_wrote(text) || (time && languages::names_writing(text));
    (address && (date || time)) || (date && said())
}

fn has_address(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || "<>()[]\"',;:：".contains(c))
        .any(|word| word.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.')))
}

/// A year, or day, month and year with signs between them.
fn has_date(text: &str) -> bool {
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).collect();
    let year =
        |number: &&str| number.len() == 4 && matches!(number.as_bytes(), [b'1', b'9', ..] | [b'2', b'0' | b'5', ..]);
    let short = text.split(|c: char| !(c.is_ascii_digit() || "./-".contains(c))).any(|word| {
        let parts: Vec<&str> = word.split(['.', '/', '-']).filter(|part| !part.is_empty()).collect();
        parts.len() == 3 && parts.iter().all(|part| part.len() <= 4)
    });
    numbers.iter().any(year) || short
}

fn has_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..bytes.len().saturating_sub(2)).any(|at| {
        matches!(bytes[at], b':' | b'.' | b'h')
            && bytes[at - 1].is_ascii_digit()
            && bytes[at + 1].is_ascii_digit()
            && bytes[at + 2].is_ascii_digit()
            && bytes.get(at + 3).is_none_or(|c| !c.is_ascii_digit())
    }) || has_date(text) && text.contains(['時', '时', '시'])
}
