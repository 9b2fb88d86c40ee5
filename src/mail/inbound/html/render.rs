//! HTML as text: what its reader sees, line by line. What is quoted has `> ` before it, and what programs write of where a quote
//! begins is remembered.

use super::tokens::{Tag, Token, Tokens, unescaped};

/// The most elements whose end is waited for.
const OPEN: usize = 64;
/// How deep quotes are shown.
const DEPTH: usize = 10;

/// A text, and where its HTML says that something quoted begins.
#[derive(Default)]
pub struct Rendered {
    pub text: String,
    pub marks: Vec<Mark>,
}

/// At a line's beginning, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    pub at: usize,
    pub kind: MarkKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkKind {
    /// Who wrote what and when; the quote stands behind it.
    Attribution,
    /// All from here on is what was answered to.
    Quote,
}

/// The text of `html`.
pub fn rendered(html: &str) -> Rendered {
    let mut renderer = Renderer { hides: true, ..Renderer::default() };
    renderer.run(html);
    // What hid everything behind it was never closed: then nothing is hidden.
    if renderer.hidden.is_some() {
        renderer = Renderer::default();
        renderer.run(html);
    }
    renderer.flush(false);
    let kept = renderer.out.trim_end().len();
    renderer.out.truncate(kept);
    Rendered { text: renderer.out, marks: renderer.marks }
}

#[derive(Default)]
struct Renderer {
    out: String,
    line: String,
    /// White space came after what is in the line.
    space: bool,
    /// The next line has an empty one before it, in a quote of this depth at most.
    blank: Option<usize>,
    /// Whether the paragraph stands apart.
    margin: bool,
    /// Whether the line before is empty, or there is none.
    after_blank: bool,
    open: Vec<Open>,
    depth: usize,
    preformatted: usize,
    marks: Vec<Mark>,
    /// Of the next line.
    mark: Option<MarkKind>,
    /// What of a list stands before the next line.
    bullet: Option<String>,
    hides: bool,
    /// The element that hides what is in it, and how many of its name are open.
    hidden: Option<(String, usize)>,
}

struct Open {
    name: String,
    effect: Effect,
}

enum Effect {
    Quote,
    Preformatted,
    /// A list, with its next number.
    List(Option<usize>),
    /// Where a link goes, and where its text begins in the line.
    Link(String, usize),
}

impl Renderer {
    fn run(&mut self, html: &str) {
        self.after_blank = true;
        for token in Tokens::of(html) {
            if let Some((name, count)) = &mut self.hidden {
                match token {
                    Token::Start(tag) if tag.name == *name => *count += 1,
                    Token::End(end) if end == *name => {
                        *count -= 1;
                        if *count == 0 {
                            self.hidden = None;
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match token {
                Token::Text(text) => self.text(&unescaped(text)),
                Token::Start(tag) => self.start(&tag),
                Token::End(name) => self.end(&name),
                Token::Raw(_) => {}
            }
        }
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\r' => {}
                '\n' if self.preformatted > 0 => self.flush(true),
                ' ' | '\t' if self.preformatted > 0 => self.push(' '),
                ' ' | '\t' | '\n' | '\u{c}' => self.space = true,
                // It is no white space that collapses, and reads as a space.
                '\u{a0}' => self.push(' '),
                c => self.push(c),
            }
        }
    }

    fn push(&mut self, c: char) {
        if self.space && !self.line.is_empty() {
            self.line.push(' ');
        }
        self.space = false;
        if self.line.is_empty()
            && let Some(bullet) = self.bullet.take()
        {
            self.line.push_str(&bullet);
        }
        self.line.push(c);
    }

    /// Ends the line; an empty one counts only when it was asked for.
    fn flush(&mut self, asked: bool) {
        self.space = false;
        let end = self.line.trim_end_matches(' ').len();
        // Nothing but a space that does not collapse: an empty line that somebody put there.
        let asked = asked || (end == 0 && !self.line.is_empty());
        self.line.truncate(end);
        if self.line.is_empty() && !asked {
            return;
        }
        if let Some(depth) = self.blank.filter(|_| !self.after_blank && !self.line.is_empty()) {
            self.write("", depth.min(self.depth));
        }
        if !self.line.is_empty() {
            self.blank = None;
            if let Some(kind) = self.mark.take() {
                self.marks.push(Mark { at: self.out.len(), kind });
            }
        }
        let line = std::mem::take(&mut self.line);
        self.write(&line, self.depth);
        self.after_blank = line.is_empty();
        for open in &mut self.open {
            if let Effect::Link(_, from) = &mut open.effect {
                *from = 0;
            }
        }
    }

    fn write(&mut self, line: &str, depth: usize) {
        let depth = depth.min(DEPTH);
        self.out.extend(std::iter::repeat_n('>', depth));
        if depth > 0 && !line.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn block(&mut self, with_margin: bool) {
        self.flush(false);
        if with_margin {
            self.apart();
        }
    }

    /// The next line stands apart from what is above it.
    fn apart(&mut self) {
        self.blank = Some(self.blank.map_or(self.depth, |depth| depth.min(self.depth)));
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let name = &*tag.name;
        let style = tag.attribute("style").map(|style| style.to_ascii_lowercase().replace(' ', "")).unwrap_or_default();
        let hideable = matches!(name, "div" | "span" | "table" | "tr" | "td" | "center" | "section" | "font");
        if hideable && self.hides && (style.contains("display:none") || style.contains("mso-hide:all")) {
            self.hidden = Some((name.to_owned(), 1));
            return;
        }
        if let Some(kind) = mark(tag, &style) {
            self.flush(false);
            self.mark = Some(kind);
        }
        match name {
            "br" => self.flush(true),
            "hr" => {
                self.flush(false);
                self.line.push_str("________________________________");
                self.flush(false);
            }
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dl" => {
                self.margin = has_margin(tag, &style);
                self.block(self.margin);
            }
            "ul" | "ol" => {
                let outermost = !self.open.iter().any(|open| matches!(open.effect, Effect::List(_)));
                self.block(outermost);
                self.open(name, Effect::List((name == "ol").then_some(1)));
            }
            "li" => {
                self.flush(false);
                let nested = self.open.iter().filter(|open| matches!(open.effect, Effect::List(_))).count();
                let list = self.open.iter_mut().rev().find_map(|open| match &mut open.effect {
                    Effect::List(number) => Some(number),
                    _ => None,
                });
                let mut bullet = "  ".repeat(nested.saturating_sub(1).min(DEPTH));
                match list {
                    Some(Some(number)) => {
                        bullet.push_str(&format!("{number}. "));
                        *number += 1;
                    }
                    _ => bullet.push_str("- "),
                }
                self.bullet = Some(bullet);
            }
            "blockquote" => {
                self.block(true);
                self.open(name, Effect::Quote);
            }
            "pre" | "listing" => {
                self.block(true);
                self.open(name, Effect::Preformatted);
            }
            "td" | "th" => self.space |= !self.line.is_empty(),
            "a" => {
                // A link in a link ends it.
                if self.open.iter().any(|open| matches!(open.effect, Effect::Link(..))) {
                    self.end("a");
                }
                if let Some(href) = tag.attribute("href") {
                    let from = self.line.len();
                    self.open(name, Effect::Link(href.trim().to_owned(), from));
                }
            }
            "img" => {
                let alternative = tag.attribute("alt").unwrap_or_default();
                let alternative = alternative.trim();
                // A picture that stands for a character, as webmail writes emoji; of others their description.
                if alternative.chars().count() <= 4 && !alternative.is_ascii() {
                    self.text(alternative);
                } else if !alternative.is_empty() {
                    self.text(&format!("[{alternative}]"));
                }
            }
            name if is_block(name) => self.flush(false),
            _ => {}
        }
    }

    fn open(&mut self, name: &str, effect: Effect) {
        if self.open.len() == OPEN {
            return;
        }
        match effect {
            Effect::Quote => self.depth += 1,
            Effect::Preformatted => self.preformatted += 1,
            Effect::List(_) | Effect::Link(..) => {}
        }
        self.open.push(Open { name: name.to_owned(), effect });
    }

    fn end(&mut self, name: &str) {
        match name {
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dl" => {
                let margin = std::mem::take(&mut self.margin);
                self.block(margin);
            }
            "li" => self.flush(false),
            "br" => self.flush(true),
            "ul" | "ol" | "blockquote" | "pre" | "listing" | "a" => {
                let Some(from) = self.open.iter().rposition(|open| open.name == name) else { return };
                // What was opened in it and not closed ends with it, but for links, which go on over blocks.
                while self.open.len() > from {
                    let Some(open) = self.open.pop() else { return };
                    self.close(open);
                }
            }
            name if is_block(name) => self.flush(false),
            _ => {}
        }
    }

    fn close(&mut self, open: Open) {
        match open.effect {
            Effect::Quote => {
                self.flush(false);
                self.depth -= 1;
                self.apart();
            }
            Effect::Preformatted => {
                self.flush(false);
                self.preformatted -= 1;
                self.apart();
            }
            Effect::List(_) => {
                self.flush(false);
                self.bullet = None;
                if !self.open.iter().any(|open| matches!(open.effect, Effect::List(_))) {
                    self.apart();
                }
            }
            Effect::Link(href, from) => {
                let shown = self.line.get(from..).unwrap_or_default().trim();
                let web = href.starts_with("http://") || href.starts_with("https://");
                if web && !shown.is_empty() && !is_same(shown, &href) {
                    let space = std::mem::take(&mut self.space);
                    self.line.push_str(&format!(" <{href}>"));
                    self.space = space;
                }
            }
        }
    }
}

/// Whether what a link shows is where it goes.
fn is_same(shown: &str, href: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim_start_matches("https://").trim_start_matches("http://").trim_start_matches("www.");
        text.trim_end_matches('/').to_lowercase()
    };
    bare(shown) == bare(href)
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "body"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "div"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "head"
            | "header"
            | "html"
            | "legend"
            | "main"
            | "nav"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "tfoot"
            | "thead"
            | "tr"
    )
}

/// Paragraphs stand apart, but for those of Word and others that say that they do not.
fn has_margin(tag: &Tag<'_>, style: &str) -> bool {
    let class = tag.attribute("class").unwrap_or_default();
    let word = class.to_ascii_lowercase().starts_with("mso") || class.contains("elementToProof");
    let none = ["margin:0", "margin-top:0", "margin-bottom:0"].iter().any(|none| style.contains(none));
    !word && !none
}

/// What the programs that people write mail with say of where a quote begins.
fn mark(tag: &Tag<'_>, style: &str) -> Option<MarkKind> {
    if tag.is_bare() {
        return None;
    }
    let id = tag.attribute("id").unwrap_or_default();
    let class = tag.attribute("class").unwrap_or_default();
    let has_class = |name: &str| class.split_ascii_whitespace().any(|class| class == name);
    // Gmail, Thunderbird, Proton, Zoho, and Roundcube.
    if ["gmail_attr", "gmail_quote", "moz-cite-prefix", "protonmail_quote", "zmail_extra", "tutanota_quote"]
        .iter()
        .any(|name| has_class(name))
        || id == "reply-intro"
        || id == "replybody1"
    {
        return Some(MarkKind::Attribution);
    }
    // Yahoo; Outlook on the web, on phones, for Windows and for Mac; Windows Mail; GMX and WEB.DE; Zimbra; NetEase; Samsung.
    let quote = has_class("yahoo_quoted")
        || has_class("ms-outlook-mobile-reference-message")
        || has_class("OutlookMessageHeader")
        || has_class("ntes-mailmaster-quote")
        || matches!(
            id.as_str(),
            "appendonsend"
                | "divRplyFwdMsg"
                | "mail-editor-reference-message-container"
                | "OLK_SRC_BODY_SECTION"
                | "isReplyContent"
                | "stopSpelling"
                | "zwchr"
                | "composer_quote_container"
        )
        || (tag.name == "div" && tag.attribute("name").as_deref() == Some("quote"))
        || tag.attribute("data-marker").as_deref() == Some("__QUOTED_TEXT__")
        // The line above From and Sent that Outlook for Windows draws.
        || (tag.name == "div" && style.contains("border:none;border-top:solid#") && style.contains("1.0pt"));
    quote.then_some(MarkKind::Quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        rendered(html).text
    }

    #[test]
    fn text_reads_as_it_is_shown() {
        for (html, shown) in [
            ("<div>a</div><div><br></div><div>b<br></div>c", "a\n\nb\nc"),
            ("<p>a</p>\n<p>b</p>", "a\n\nb"),
            ("<p class=MsoNormal>a</p><p class=MsoNormal>b<o:p></o:p></p>", "a\nb"),
            ("a  b\n c&nbsp; d", "a b c  d"),
            ("<ul><li>a<li>b<ul><li>c</ul></ul>d", "- a\n- b\n  - c\n\nd"),
            ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
            ("<pre>a\n  b</pre>c", "a\n  b\n\nc"),
            (
                "<a href=\"https://example.com/x\">here</a>, <a href='https://example.com/'>example.com</a>",
                "here <https://example.com/x>, example.com",
            ),
            ("<a href=\"mailto:a@b.c\">a@b.c</a>", "a@b.c"),
            ("<style>p{}</style><title>t</title>a<script>b</script>", "a"),
            ("<img alt='😀' src=x> <img alt='Logo'><img src=cid:1>", "😀 [Logo]"),
            ("<div style=\"display: none\"><div>x</div>hidden</div>shown", "shown"),
            ("<div style=\"display:none\">never closed", "never closed"),
            ("a<blockquote>b<blockquote>c</blockquote></blockquote>d", "a\n\n> b\n>\n>> c\n\nd"),
            ("1 < 2", "1 < 2"),
            ("", ""),
        ] {
            assert_eq!(text(html), shown, "{html}");
        }
    }

    #[test]
    fn where_a_quote_begins_is_remembered() {
        let html = "<div>mine</div><div class=\"gmail_quote\"><div class=\"gmail_attr\">Ann, gestern:<br></div><blockquote>theirs</blockquote></div>";
        let rendered = rendered(html);
        assert_eq!(rendered.text, "mine\nAnn, gestern:\n\n> theirs");
        assert_eq!(rendered.marks, [Mark { at: 5, kind: MarkKind::Attribution }]);
    }
}
