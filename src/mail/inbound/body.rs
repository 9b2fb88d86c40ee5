//! The text of a message: which of its parts are read, in which order, as plain text and as HTML.

use std::collections::HashMap;

use super::{
    charset, decoding,
    decoding::Uuencoded,
    html::{self, Mark},
    parts::{Leaf, MAX_PARTS, Multipart, Tree},
};

#[derive(Default)]
pub struct Body {
    pub text: String,
    /// What HTML says of where quotes begin, in `text`.
    pub marks: Vec<Mark>,
    /// Files that stood in the text.
    pub files: Vec<Uuencoded>,
    /// As HTML, where a part of it was.
    pub html: Option<String>,
    /// Why its HTML is not shown.
    pub no_html: Option<&'static str>,
    /// Which leaves are the text, in whichever form: these are no attachments.
    pub shown: Vec<usize>,
}

/// One part of the text, decoded.
struct Piece<'l, 'a> {
    number: usize,
    leaf: &'l Leaf<'a>,
    is_html: bool,
    text: String,
}

impl Body {
    pub fn read(tree: &Tree<'_>, domain: Option<&str>) -> Self {
        let leaves = tree.leaves.iter().enumerate().filter(|(_, leaf)| leaf.is_shown());
        let pieces: Vec<Piece<'_, '_>> = leaves.map(|(number, leaf)| Piece::read(number, leaf, domain)).collect();
        let related = chosen(&pieces, Multipart::Related, &|_| true);
        let in_root = |piece: &Piece<'_, '_>| piece.is_in(Multipart::Related, &related);
        let pieces: Vec<Piece<'_, '_>> = pieces.into_iter().filter(in_root).collect();

        let mut body = Self { shown: pieces.iter().map(|piece| piece.number).collect(), ..Self::default() };
        // The plain text where it has one that says something, else the HTML.
        let plain = chosen(&pieces, Multipart::Alternative, &|piece| !piece.is_html && !piece.text.trim().is_empty());
        for piece in pieces.iter().filter(|piece| piece.is_in(Multipart::Alternative, &plain)) {
            if piece.is_html {
                let rendered = html::rendered(&piece.text);
                body.append(&rendered.text, &rendered.marks);
            } else {
                let most = MAX_PARTS.saturating_sub(body.files.len());
                let (text, files) = decoding::without_uuencoded(&piece.text, most);
                body.files.extend(files);
                body.append(&text, &[]);
            }
        }
        if body.marks.is_empty()
            && let Some(piece) = pieces.iter().find(|piece| piece.is_html)
        {
            body.marks.extend(marked_as_in(&piece.text, &body.text));
        }
        if pieces.iter().any(|piece| piece.is_html) {
            let rich = chosen(&pieces, Multipart::Alternative, &|piece| piece.leaf.is_html());
            let mut shown = String::new();
            for piece in pieces.iter().filter(|piece| piece.is_in(Multipart::Alternative, &rich)) {
                if !piece.is_html {
                    shown.push_str(&html::plain_as_html(&piece.text));
                    continue;
                }
                match html::sanitised(&piece.text) {
                    Ok(clean) => shown.push_str(&clean),
                    Err(reason) => body.no_html = Some(reason),
                }
            }
            body.html = Some(shown).filter(|_| body.no_html.is_none());
        }
        body
    }

    /// One more part of the text, apart from those before it.
    fn append(&mut self, text: &str, marks: &[Mark]) {
        let text = text.trim_end();
        if text.trim().is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        let at = self.text.len();
        self.text.push_str(text);
        self.marks.extend(marks.iter().map(|mark| Mark { at: mark.at + at, ..*mark }));
    }
}

/// Where `text` has the line at which its HTML says that a quote begins: for languages whose words are not known. Only where it
/// is one line of the text and no other.
fn marked_as_in(html: &str, text: &str) -> Option<Mark> {
    /// The fewest letters that are taken for the same line, and the most that are compared.
    const LETTERS: (usize, usize) = (10, 60);
    let letters = |line: &str| -> String { line.chars().filter(|c| c.is_alphanumeric()).take(LETTERS.1).collect() };
    let rendered = html::rendered(html);
    let mark = *rendered.marks.first()?;
    let marked = rendered.text[mark.at..].lines().map(letters).find(|line| !line.is_empty())?;
    let mut at = 0;
    let mut found = None;
    let mut rule_at = None;
    for line in text.split_inclusive('\n') {
        let own = letters(line);
        // One of them may be wrapped.
        let same = own.chars().count() >= LETTERS.0 && (marked.starts_with(&own) || own.starts_with(&marked));
        if same && marked.chars().count() >= LETTERS.0 {
            if found.is_some() {
                return None;
            }
            found = Some(Mark { at: rule_at.unwrap_or(at), kind: mark.kind });
        }
        if !line.trim().is_empty() {
            rule_at = line.trim().chars().all(|c| matches!(c, '_' | '-')).then_some(at);
        }
        at += line.len();
    }
    found
}

impl<'l, 'a> Piece<'l, 'a> {
    fn read(number: usize, leaf: &'l Leaf<'a>, domain: Option<&str>) -> Self {
        let bytes = leaf.content();
        let declared = matches!(leaf.content_type.value.as_str(), "text/html" | "text/x-amp-html");
        let label = leaf.content_type.parameter("charset").map(str::to_owned);
        let label = label.or_else(|| declared.then(|| charset_of_meta(&bytes)).flatten());
        let text = charset::decode(&bytes, label.as_deref(), domain);
        let text = with_line_feeds(text);
        let begin = text.trim_start_matches('\u{feff}').trim_start();
        let begins = |with: &str| begin.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
        let is_html = declared || begins("<!doctype html") || begins("<html");
        let flowed = leaf.content_type.parameter("format").is_some_and(|format| format.eq_ignore_ascii_case("flowed"));
        let text = if flowed && !is_html {
            let del_sp = leaf.content_type.parameter("delsp").is_some_and(|value| value.eq_ignore_ascii_case("yes"));
            decoding::unflowed(&text, del_sp)
        } else {
            text
        };
        Self { number, leaf, is_html, text }
    }

    /// Whether it is in the chosen branch of each multipart of that kind above it.
    fn is_in(&self, kind: Multipart, chosen: &HashMap<usize, usize>) -> bool {
        let mut places = self.leaf.above().iter().filter(|place| place.kind == kind);
        places.all(|place| chosen.get(&place.multipart).is_none_or(|branch| *branch == place.branch))
    }
}

/// The branch of each multipart of a kind: the first one with a piece that is preferred, else one that says something, else any.
/// An AMP page is read only where there is nothing else.
fn chosen(
    pieces: &[Piece<'_, '_>],
    kind: Multipart,
    preferred: &dyn Fn(&Piece<'_, '_>) -> bool,
) -> HashMap<usize, usize> {
    let is_amp = |piece: &Piece<'_, '_>| piece.leaf.content_type.value == "text/x-amp-html";
    let says_something = |piece: &Piece<'_, '_>| !piece.text.trim().is_empty();
    let mut chosen = HashMap::new();
    let orders: [&dyn Fn(&Piece<'_, '_>) -> bool; 3] =
        [&|piece| preferred(piece) && !is_amp(piece), &|piece| says_something(piece) && !is_amp(piece), &|_| true];
    for order in orders {
        for piece in pieces.iter().filter(|piece| order(piece)) {
            for place in piece.leaf.above().iter().filter(|place| place.kind == kind) {
                chosen.entry(place.multipart).or_insert(place.branch);
            }
        }
    }
    chosen
}

/// What an HTML page says it is in, in its first bytes.
fn charset_of_meta(bytes: &[u8]) -> Option<String> {
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_ascii_lowercase();
    let at = begin.find("charset=")?;
    let label = begin[at + 8..].trim_start_matches(['"', '\'', ' ']);
    let label: String = label.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c)).collect();
    // What could be read so far is not in two bytes a character.
    (!label.is_empty() && !label.starts_with("utf-16")).then_some(label)
}

fn with_line_feeds(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}
