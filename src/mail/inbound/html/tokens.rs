//! HTML as a row of tokens: what a browser's tokenizer does, in one pass.

use std::borrow::Cow;

use mail_parser::decoders::html::add_html_token;

/// The most attributes of a tag that are read.
pub const ATTRIBUTES: usize = 256;
/// Elements whose content is no HTML. That of the last two is text.
const RAW: [&str; 8] = ["script", "style", "xmp", "iframe", "noembed", "noframes", "title", "textarea"];

pub enum Token<'a> {
    /// With character references in it.
    Text(&'a str),
    Start(Tag<'a>),
    /// The name, in lower case.
    End(Cow<'a, str>),
    /// The content of an element that is no HTML, with its name.
    Raw(Cow<'a, str>),
}

pub struct Tag<'a> {
    /// In lower case.
    pub name: Cow<'a, str>,
    attributes: Vec<(&'a str, &'a str)>,
    /// Whether it had more attributes than are read.
    pub crowded: bool,
}

impl Tag<'_> {
    /// Whether it has no attributes, as most have none.
    pub fn is_bare(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The value of an attribute, its character references resolved.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let (_, value) = self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(unescaped(value))
    }
}

pub struct Tokens<'a> {
    html: &'a str,
    at: usize,
    /// What was looked for in vain is not there further on either.
    no_comment_end: bool,
    /// The element whose raw content comes next.
    raw: Option<Cow<'a, str>>,
}

impl<'a> Tokens<'a> {
    pub fn of(html: &'a str) -> Self {
        Self { html, at: 0, no_comment_end: false, raw: None }
    }

    fn rest(&self) -> &'a str {
        &self.html[self.at..]
    }

    /// The content of an element such as `script`, up to its end tag, or to the end of all.
    fn raw_content(&mut self, name: Cow<'a, str>) -> Token<'a> {
        let rest = self.rest();
        let mut from = 0;
        while let Some(found) = rest[from..].find("</") {
            let at = from + found;
            let tail = &rest.as_bytes()[at + 2..];
            if tail.len() >= name.len() && tail[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
                let end = rest[at..].find('>').map_or(rest.len(), |length| at + length + 1);
                self.at += end;
                return Token::Raw(name);
            }
            from = at + 2;
        }
        self.at = self.html.len();
        Token::Raw(name)
    }

    /// A comment, a declaration or an instruction: nothing of it is shown.
    fn skip_declaration(&mut self) {
        let rest = self.rest();
        if rest.starts_with("<!--") && !self.no_comment_end {
            if rest.starts_with("<!-->") {
                self.at += 5;
                return;
            }
            if let Some(end) = rest[4..].find("-->") {
                self.at += 4 + end + 3;
                return;
            }
            self.no_comment_end = true;
        }
        self.at += rest.find('>').map_or(rest.len(), |end| end + 1);
    }

    /// The tag at the beginning of the rest, or nothing where it does not end.
    fn tag(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let closing = bytes[1] == b'/';
        let begin = 1 + usize::from(closing);
        let mut at = begin;
        while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'/' | b'>') {
            at += 1;
        }
        let name = lower(&rest[begin..at]);
        let mut attributes = Vec::new();
        let mut crowded = false;
        loop {
            while at < bytes.len() && matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'/') {
                at += 1;
            }
            if *bytes.get(at)? == b'>' {
                break;
            }
            let begin = at;
            at += 1;
            while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'/' | b'>' | b'=') {
                at += 1;
            }
            let attribute = &rest[begin..at];
            let mut after = at;
            while after < bytes.len() && bytes[after].is_ascii_whitespace() {
                after += 1;
            }
            let mut value = "";
            if bytes.get(after) == Some(&b'=') {
                at = after + 1;
                while at < bytes.len() && bytes[at].is_ascii_whitespace() {
                    at += 1;
                }
                let quote = *bytes.get(at)?;
                if quote == b'"' || quote == b'\'' {
                    let length = rest[at + 1..].find(char::from(quote))?;
                    value = &rest[at + 1..at + 1 + length];
                    at += length + 2;
                } else {
                    let begin = at;
                    while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'>') {
                        at += 1;
                    }
                    value = &rest[begin..at];
                }
            }
            if attributes.len() < ATTRIBUTES {
                attributes.push((attribute, value));
            } else {
                crowded = true;
            }
        }
        self.at += at + 1;
        if closing {
            return Some(Token::End(name));
        }
        if RAW.contains(&&*name) {
            self.raw = Some(name.clone());
        }
        Some(Token::Start(Tag { name, attributes, crowded }))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            return Some(self.raw_content(name));
        }
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return None;
            }
            let bytes = rest.as_bytes();
            if bytes[0] != b'<' {
                let end = rest.find('<').unwrap_or(rest.len());
                self.at += end;
                return Some(Token::Text(&rest[..end]));
            }
            match bytes.get(1) {
                Some(b'!' | b'?') => self.skip_declaration(),
                Some(c)
                    if c.is_ascii_alphabetic() || (*c == b'/' && bytes.get(2).is_some_and(u8::is_ascii_alphabetic)) =>
                {
                    if let Some(token) = self.tag() {
                        return Some(token);
                    }
                    // It does not end, and so none after it does: all that is left is text.
                    self.at = self.html.len();
                    return Some(Token::Text(rest));
                }
                // No tag: a less-than that somebody wrote.
                _ => {
                    let end = rest[1..].find('<').map_or(rest.len(), |end| end + 1);
                    self.at += end;
                    return Some(Token::Text(&rest[..end]));
                }
            }
        }
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|c| c.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Text with its character references resolved.
pub fn unescaped(text: &str) -> String {
    /// The longest name of one that is known, and some.
    const LONGEST: usize = 34;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let window = &rest.as_bytes()[1..rest.len().min(LONGEST)];
        let length = window.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == b'#').count();
        let mut reference = rest[..=length].to_owned();
        reference.push(';');
        let closed = window.get(length) == Some(&b';');
        // Without a semicolon only what old pages had counts: numbers, and these.
        let bare = reference.starts_with("&#")
            || matches!(reference.as_str(), "&nbsp;" | "&amp;" | "&lt;" | "&gt;" | "&quot;");
        let before = out.len();
        if length > 0 && (closed || bare) {
            add_html_token(&mut out, windows_1252(&reference).as_bytes(), false);
        }
        if out.len() > before && out[before..] != reference {
            rest = &rest[1 + length + usize::from(closed)..];
        } else {
            out.truncate(before);
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// Numbers between 128 and 159 mean what windows-1252 has there, and 0 means nothing.
fn windows_1252(reference: &str) -> Cow<'_, str> {
    let number = reference.strip_prefix("&#").and_then(|rest| rest.strip_suffix(';'));
    let number = number.and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    match number {
        Some(0) => Cow::Borrowed("&#65533;"),
        Some(byte @ 128..=159) => {
            let byte = [u8::try_from(byte).unwrap_or_default()];
            let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&byte);
            Cow::Owned(text.chars().next().map_or_else(String::new, |c| format!("&#{};", u32::from(c))))
        }
        _ => Cow::Borrowed(reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> String {
        Tokens::of(html)
            .map(|token| match token {
                Token::Text(text) => format!("'{}'", unescaped(text)),
                Token::Start(tag) => {
                    format!("<{}{}>", tag.name, tag.attribute("a").map(|a| format!(" {a}")).unwrap_or_default())
                }
                Token::End(name) => format!("</{name}>"),
                Token::Raw(name) => format!("[{name}]"),
            })
            .collect()
    }

    #[test]
    fn tokens_are_those_of_a_browser() {
        for (html, tokens) in [
            ("<P A=\"x>y\">a</p >", "<p x>y>'a'</p>"),
            ("a<!-- <b> -->b<!doctype html><?x y?>c", "'a''b''c'"),
            ("<![if !mso]>a<![endif]>", "'a'"),
            ("<!-->a", "'a'"),
            ("<style>p { a > b }</STYLE >x", "<style>[style]'x'"),
            ("<script>if (a</b) {}", "<script>[script]"),
            ("1 < 2 and 3 <4 <", "'1 ''< 2 and 3 ''<4 ''<'"),
            ("a <b c=\"d", "'a ''<b c=\"d'"),
            ("<br/><img a=x/y>", "<br><img x/y>"),
            (
                "&amp;lt; &nbsp;&#8364;&#x20AC;&euro;&#128; &amp &copy &unknown; & &#0;",
                "'&lt; \u{a0}€€€€ & &copy &unknown; & \u{fffd}'",
            ),
        ] {
            assert_eq!(shown(html), tokens, "{html}");
        }
    }
}
