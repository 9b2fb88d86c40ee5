//! Markdown to HTML that a page may insert as it is, and to plain text.
//!
//! Articles and answers are written by agents and shown on somebody else's pages, so one bad article must not run code
//! there. Two things stand in the way, each enough by itself: the Markdown's own HTML is never passed on as HTML (it is
//! shown as the text that it is), and whatever comes out is sanitised last, by a parser of real HTML with a list of what
//! is allowed. The first also bounds the work: HTML only gets nested and repeated as far as [`MAX_DEPTH`].

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use ammonia::{Builder, UrlRelative};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream, html};
use url::Url;

/// How deep lists, quotes, emphasis and so on may be nested; deeper ones lose their markup and keep their text. The
/// sanitiser looks through all open elements at every new one, so unlimited depth would make its work quadratic.
pub const MAX_DEPTH: usize = 32;

/// How many quote and list markers may begin one line, see [`with_bounded_lines`]. Well above [`MAX_DEPTH`], and above
/// any rule drawn with dashes.
const MAX_MARKERS: usize = 200;

/// The longest [`excerpt`], in characters, its ellipsis included.
pub const EXCERPT_LENGTH: usize = 200;

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from([
            "a",
            "blockquote",
            "br",
            "code",
            "del",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "img",
            "li",
            "ol",
            "p",
            "pre",
            "strong",
            "table",
            "tbody",
            "td",
            "th",
            "thead",
            "tr",
            "ul",
        ]))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("img", HashSet::from(["src", "alt", "title"])),
            ("code", HashSet::from(["class"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Custom(Box::new(on_the_same_site)))
        .attribute_filter(allowed_value)
        .link_rel(Some("noopener noreferrer nofollow"));
    builder
});

/// Renders `CommonMark` with tables and strikethrough as sanitised HTML.
///
/// Links go to `http`, `https`, `mailto`, `/…` and `#…`; images come from `https` only. HTML in the text is shown as
/// text, except for `<br>`, which is the only way to break a line in a table; HTML comments are left out.
#[must_use]
pub fn render(markdown: &str) -> String {
    let markdown = with_bounded_lines(markdown);
    let mut unsafe_html = String::with_capacity(markdown.len() * 3 / 2);
    html::push_html(&mut unsafe_html, events(&markdown).into_iter());
    SANITISER.clean(&unsafe_html).to_string()
}

/// Renders a message that an agent wrote to a customer, as [`render`] does an article: but lines end where they were ended, as
/// people write messages, and addresses of pages are links.
#[must_use]
pub fn message(markdown: &str) -> String {
    let markdown = with_bounded_lines(markdown);
    let mut unsafe_html = String::with_capacity(markdown.len() * 3 / 2);
    let (mut within_link, mut within_code) = (0_usize, 0_usize);
    let events = TextMergeStream::new(events(&markdown).into_iter()).flat_map(|event| {
        match &event {
            Event::Start(Tag::Link { .. }) => within_link += 1,
            Event::End(TagEnd::Link) => within_link -= 1,
            Event::Start(Tag::CodeBlock(_)) => within_code += 1,
            Event::End(TagEnd::CodeBlock) => within_code -= 1,
            _ => {}
        }
        match event {
            Event::SoftBreak => vec![Event::HardBreak],
            Event::Text(text) if within_link + within_code == 0 => with_links(&text),
            other => vec![other],
        }
    });
    html::push_html(&mut unsafe_html, events);
    SANITISER.clean(&unsafe_html).to_string()
}

/// Plain text as HTML: nothing in it is markup, lines end where they were ended, and addresses of pages are links.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut unsafe_html = String::with_capacity(text.len() * 3 / 2);
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    let events = paragraphs.flat_map(|paragraph| {
        let mut events = vec![Event::Start(Tag::Paragraph)];
        for (number, line) in paragraph.trim_matches('\n').lines().enumerate() {
            if number > 0 {
                events.push(Event::HardBreak);
            }
            events.extend(with_links(line));
        }
        events.push(Event::End(TagEnd::Paragraph));
        events
    });
    html::push_html(&mut unsafe_html, events);
    SANITISER.clean(&unsafe_html).to_string()
}

/// A text, with the addresses of pages in it as links.
fn with_links(text: &str) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    let (mut done, mut from) = (0, 0);
    while let Some(at) = text[from..].find("http").map(|at| from + at) {
        let length = address_length(&text[at..]);
        let begins = !text[..at].ends_with(char::is_alphanumeric);
        if length == 0 || !begins {
            from = at + "http".len();
            continue;
        }
        let address = &text[at..at + length];
        events.push(Event::Text(text[done..at].to_owned().into()));
        events.push(Event::Start(Tag::Link {
            link_type: LinkType::Autolink,
            dest_url: address.to_owned().into(),
            title: CowStr::Borrowed(""),
            id: CowStr::Borrowed(""),
        }));
        events.push(Event::Text(address.to_owned().into()));
        events.push(Event::End(TagEnd::Link));
        (done, from) = (at + length, at + length);
    }
    events.push(Event::Text(text[done..].to_owned().into()));
    events
}

/// How long the address is that a text begins with; 0 when it begins with none. What ends a sentence is not of it.
fn address_length(text: &str) -> usize {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return 0;
    }
    let ends = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`' | '|');
    let mut address = &text[..text.find(ends).unwrap_or(text.len())];
    while let Some(last) = address.chars().last() {
        let closes = match last {
            ')' => !address.contains('('),
            ']' => !address.contains('['),
            _ => matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '…'),
        };
        if !closes {
            break;
        }
        address = &address[..address.len() - last.len_utf8()];
    }
    if Url::parse(address).is_ok_and(|url| url.has_host()) { address.len() } else { 0 }
}

/// The beginning of the running text as plain text (not HTML: escape it), at most [`EXCERPT_LENGTH`] characters, cut at
/// a word and ended with `…` when there is more. Headings, code blocks, tables and images are passed over, unless
/// there is nothing else.
#[must_use]
pub fn excerpt(markdown: &str) -> String {
    let markdown = with_bounded_lines(markdown);
    let events = events(&markdown);
    let text = plain_text(&events, true);
    shorten(if text.is_empty() { plain_text(&events, false) } else { text })
}

/// Takes the meaning from all but the first [`MAX_MARKERS`] quote and list markers of a line.
///
/// The parser compares every line with all quotes and lists that are open, so a line of 25,000 markers followed by as
/// many lines of text costs seconds. Lists nested by indentation, line by line, need more text than they cost time.
fn with_bounded_lines(markdown: &str) -> Cow<'_, str> {
    let excess: Vec<usize> = markdown
        .split_inclusive(['\n', '\r'])
        .scan(0, |offset, line| {
            let start = *offset;
            *offset += line.len();
            Some(nth_marker(line).map(|index| start + index))
        })
        .flatten()
        .collect();
    if excess.is_empty() {
        return Cow::Borrowed(markdown);
    }
    let mut bounded = String::with_capacity(markdown.len() + excess.len());
    let mut done = 0;
    for index in excess {
        bounded.push_str(&markdown[done..index]);
        bounded.push('\\');
        done = index;
    }
    bounded.push_str(&markdown[done..]);
    Cow::Owned(bounded)
}

/// Where in a line the first marker too many begins; for a number, its dot or parenthesis, as only that can be escaped.
fn nth_marker(line: &str) -> Option<usize> {
    line.bytes()
        .enumerate()
        .take_while(|(_, byte)| matches!(byte, b' ' | b'\t' | b'>' | b'-' | b'+' | b'*' | b'.' | b')' | b'0'..=b'9'))
        .filter(|(_, byte)| matches!(byte, b'>' | b'-' | b'+' | b'*' | b'.' | b')'))
        .nth(MAX_MARKERS)
        .map(|(index, _)| index)
}

fn events(markdown: &str) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    let mut depth = 0;
    let mut block = String::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::HtmlBlock) => block.clear(),
            Event::Html(line) => block.push_str(&line),
            Event::End(TagEnd::HtmlBlock) => {
                let text = without_comments(&block);
                let text = text.trim();
                if !text.is_empty() && !is_line_break(text) {
                    events.push(Event::Start(Tag::Paragraph));
                    events.push(Event::Text(text.to_owned().into()));
                    events.push(Event::End(TagEnd::Paragraph));
                }
            }
            Event::InlineHtml(html) if is_line_break(&html) => events.push(Event::HardBreak),
            Event::InlineHtml(html) if html.starts_with("<!--") => {}
            Event::InlineHtml(html) => events.push(Event::Text(html)),
            Event::Start(tag) => {
                depth += 1;
                if depth <= MAX_DEPTH {
                    events.push(Event::Start(tag));
                }
            }
            Event::End(tag) => {
                if depth <= MAX_DEPTH {
                    events.push(Event::End(tag));
                }
                depth -= 1;
            }
            other => events.push(other),
        }
    }
    events
}

fn is_line_break(html: &str) -> bool {
    matches!(html, "<br>" | "<br/>" | "<br />")
}

/// An author's note to himself must not become visible.
fn without_comments(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, comment)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    text + rest
}

/// Lets `#section` and `/path` through. `//host` is a link to somewhere else in disguise, and so is whatever a browser
/// reads as that: it takes `\` for `/` and drops tabs and line breaks.
fn on_the_same_site(link: &str) -> Option<Cow<'_, str>> {
    let allowed = link.starts_with('#')
        || link.starts_with('/') && !link.starts_with("//") && !link.contains(|c: char| c == '\\' || c.is_control());
    allowed.then_some(Cow::Borrowed(link))
}

/// The rules that depend on the attribute's value and that a list of names can't express.
fn allowed_value<'v>(tag: &str, attribute: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let allowed = match (tag, attribute) {
        ("img", "src") => Url::parse(value).is_ok_and(|url| url.scheme() == "https"),
        ("code", "class") => value.strip_prefix("language-").is_some_and(|language| {
            language.chars().all(|c| c.is_alphanumeric() || matches!(c, '+' | '-' | '_' | '.' | '#'))
        }),
        _ => true,
    };
    allowed.then_some(Cow::Borrowed(value))
}

/// Text with single spaces, of which only as much is gathered as [`shorten`] needs.
fn plain_text(events: &[Event<'_>], running_text_only: bool) -> String {
    let mut text = String::new();
    let mut length = 0;
    let mut skipping = 0;
    let mut space = false;
    for event in events {
        match event {
            Event::Start(Tag::Image { .. }) => skipping += 1,
            Event::End(TagEnd::Image) => skipping -= 1,
            Event::Start(Tag::Heading { .. } | Tag::CodeBlock(_) | Tag::Table(_)) if running_text_only => {
                skipping += 1;
            }
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::Table) if running_text_only => {
                skipping -= 1;
            }
            // Emphasis may be inside a word; every other boundary is between words.
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. })
            | Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link) => {}
            Event::Text(part) | Event::Code(part) if skipping == 0 => {
                for c in part.chars() {
                    if c.is_whitespace() || c.is_control() {
                        space = true;
                        continue;
                    }
                    if std::mem::take(&mut space) && !text.is_empty() {
                        text.push(' ');
                        length += 1;
                    }
                    text.push(c);
                    length += 1;
                    if length > EXCERPT_LENGTH {
                        return text;
                    }
                }
            }
            _ => space = true,
        }
    }
    text
}

fn shorten(mut text: String) -> String {
    if text.chars().count() <= EXCERPT_LENGTH {
        return text;
    }
    let end = text.char_indices().nth(EXCERPT_LENGTH - 1).map_or(text.len(), |(index, _)| index);
    // A language written without spaces, or one long word: better cut inside than lose most of it.
    let cut = if text[end..].starts_with(' ') { Some(end) } else { text[..end].rfind(' ') };
    let cut = cut.filter(|&space| space > end / 2).unwrap_or(end);
    text.truncate(cut);
    text.truncate(text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':')).len());
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::domain::text::MESSAGE_LENGTH;

    #[test]
    fn commonmark_with_tables_and_strikethrough_is_rendered() {
        for (markdown, html) in [
            ("# One\n\n###### Six", "<h1>One</h1>\n<h6>Six</h6>\n"),
            ("a *b* **c** ~~d~~ `e`", "<p>a <em>b</em> <strong>c</strong> <del>d</del> <code>e</code></p>\n"),
            ("3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>\n"),
            ("> a", "<blockquote>\n<p>a</p>\n</blockquote>\n"),
            ("```rust\n1 < 2\n```", "<pre><code class=\"language-rust\">1 &lt; 2\n</code></pre>\n"),
            ("```c++ x\n1\n```", "<pre><code class=\"language-c++\">1\n</code></pre>\n"),
            ("```a\"b\n1\n```", "<pre><code>1\n</code></pre>\n"),
            ("a<br>b", "<p>a<br>\nb</p>\n"),
            (
                "|a|b|\n|-|:-:|\n|1|2<br>3|",
                "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>\n\
                 <tr><td>1</td><td>2<br>\n3</td></tr>\n</tbody></table>\n",
            ),
            (
                "![a](https://i.example/a.png \"t\")",
                "<p><img src=\"https://i.example/a.png\" alt=\"a\" title=\"t\"></p>\n",
            ),
        ] {
            assert_eq!(render(markdown), html, "{markdown}");
        }
    }

    #[test]
    fn links_go_to_the_web_to_mail_and_to_the_same_site() {
        let rel = "rel=\"noopener noreferrer nofollow\"";
        for target in ["https://a.example/?b=c#d", "http://a.example", "mailto:a@b.example", "/help", "#top", "/?q=1"] {
            assert_eq!(render(&format!("[x]({target})")), format!("<p><a href=\"{target}\" {rel}>x</a></p>\n"));
        }
        for target in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java&#10;script:alert(1)",
            "&#1;javascript:alert(1)",
            "<java\tscript:alert(1)>",
            "javascript&colon;alert(1)",
            "vbscript:x",
            "data:text/html,<script>alert(1)</script>",
            "file:///etc/passwd",
            "ftp://a.example",
            "//evil.example",
            "\\\\evil.example",
            "page.html",
            "?q=1",
        ] {
            let html = render(&format!("[x]({target})"));
            assert!(!html.contains("href"), "{target}: {html}");
        }
        for link in ["", "//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example", "x"] {
            assert_eq!(on_the_same_site(link), None, "{link:?}");
        }
    }

    #[test]
    fn images_come_from_https_only() {
        for target in
            ["http://a.example/a.png", "data:image/png;base64,AA", "/a.png", "//a.example/a.png", "#a", "javascript:1"]
        {
            assert_eq!(render(&format!("![x]({target})")), "<p><img alt=\"x\"></p>\n", "{target}");
        }
    }

    #[test]
    fn nothing_in_the_text_becomes_script_style_or_a_handler() {
        for attack in [
            "<script>alert(1)</script>",
            "a <script>alert(1)</script>",
            "<scr<script>ipt>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "a <img src=x onerror=alert(1)> b",
            "<svg/onload=alert(1)>",
            "<svg><style><img src=x onerror=alert(1)></style></svg>",
            "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
            "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
            "<a href='javascript:alert(1)'>x</a>",
            "<a href=\"https://a.example\" onclick=\"alert(1)\" style=\"position:fixed\" id=\"x\" class=\"y\">x</a>",
            "<style>body { display: none }</style>",
            "<base href=https://evil.example>",
            "<meta http-equiv=refresh content='0;url=https://evil.example'>",
            "<form action=https://evil.example><input name=password></form>",
            "<object data=x></object><embed src=x>",
            "<!-- --><script>alert(1)</script>",
            "<!--><script>alert(1)</script>-->",
            "<![CDATA[<script>alert(1)</script>]]>",
            "<?php <script>alert(1)</script> ?>",
            "<javascript:alert(1)>",
            "[x](https://a.example \"\\\" onmouseover=alert(1) \\\"\")",
            "![\" onerror=alert(1) \"](https://a.example/a.png)",
            "![x](https://a.example/\"onerror=alert`1`)",
            "[x]: javascript:alert(1)\n\n[x]",
            "[<img src=x onerror=alert(1)>](https://a.example)",
            "```\"><script>alert(1)</script>\n```",
            "```x onload=alert(1)\n```",
            "`<script>alert(1)</script>`",
            "|<script>|\n|-|\n|<img src=x onerror=alert(1)>|",
            "# <script>alert(1)</script> {#x .y onclick=z}",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "<br onclick=alert(1)>",
            "<br/onclick=alert(1)>",
            "<x\0 onclick=alert(1)>",
            "<textarea><p title=\"</textarea><img src onerror=alert(1)>\">",
            "<plaintext>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        ] {
            assert_harmless(attack, &render(attack));
        }
    }

    /// Reads the output without the help of what made it: every `<` must open or close a tag of the list, and hold
    /// only attributes of the list.
    fn assert_harmless(markdown: &str, html: &str) {
        let mut rest = html;
        while let Some((_, tag)) = rest.split_once('<') {
            let name_end = tag.find(|c: char| !c.is_ascii_alphanumeric() && c != '/').unwrap();
            let name = tag[..name_end].trim_start_matches('/');
            assert!(
                "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr img li ol p pre strong table tbody td th thead tr ul"
                    .split(' ')
                    .any(|allowed| allowed == name),
                "{markdown:?} gave {html:?}"
            );
            rest = tag[name_end..].trim_start();
            while !rest.starts_with('>') {
                let (attribute, value) = rest.split_once("=\"").unwrap();
                let (value, after) = value.split_once('"').unwrap();
                let fine = match (name, attribute) {
                    ("a", "href") => value.starts_with("https://a.example"),
                    ("img", "src") => value.starts_with("https://a.example/"),
                    ("a" | "img", "title") | ("img", "alt") | ("a", "rel") | ("ol", "start") => true,
                    ("code", "class") => value.starts_with("language-"),
                    _ => false,
                };
                assert!(fine, "{markdown:?} gave {html:?}");
                rest = after.trim_start();
            }
        }
    }

    #[test]
    fn html_is_shown_as_the_text_that_it_is() {
        assert_eq!(render("Use <Foo> here"), "<p>Use &lt;Foo&gt; here</p>\n");
        assert_eq!(render("<div>\n*a*\n</div>"), "<p>&lt;div&gt;\n*a*\n&lt;/div&gt;</p>\n");
        assert_eq!(render("a <!-- secret --> b"), "<p>a  b</p>\n");
        assert_eq!(render("<!-- secret\n\nsecret -->\n\na"), "<p>a</p>\n");
        assert_eq!(render("<div> <!-- secret --> a"), "<p>&lt;div&gt;  a</p>\n");
        assert_eq!(render("<!-- secret"), "");
    }

    #[test]
    fn the_sanitiser_alone_is_enough() {
        for html in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<svg/onload=alert(1)>",
            "<a href=javascript:alert(1) onclick=x style=y id=z>x</a>",
            "<p style=x class=y id=z>a</p>",
            "<code class='language-x evil'>a</code>",
        ] {
            assert_harmless(html, &SANITISER.clean(html).to_string());
        }
    }

    #[test]
    fn pathological_input_takes_bounded_time_and_gives_bounded_output() {
        // Without optimisation everything is ten times as slow.
        let size = if cfg!(debug_assertions) { 25_000 } else { 100_000 };
        let filled = |pattern: &str| pattern.repeat(size / pattern.len());
        let half = |pattern: &str| pattern.repeat(size / 2 / pattern.len());
        let numbered = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<String>();
        let mut inputs: Vec<String> = [
            "[",
            "![",
            "[a](",
            "[a][",
            ">",
            "> ",
            "- ",
            "1. ",
            "*a ",
            "*a **a ",
            "*_~a",
            "~~a ",
            "<",
            "<b>",
            "a <!--",
            "<!--",
            "a <?",
            "a <!A ",
            "a <![CDATA[",
            "&#x10ffff;",
            "\\",
            "#\n",
            "|",
            "a\n-\n",
            "```\n",
            "<a@b.example>",
        ]
        .map(filled)
        .into();
        inputs.extend([
            half("[") + &half("]"),
            half("- ") + "a" + &half("\n"),
            half("- ") + "a\n" + &half("b\n"),
            half("> ") + "a\n" + &half("b\n"),
            half("1. ") + "a\n" + &half("b\n"),
            (">".repeat(200) + "\n").repeat(size / 200),
            "[a]: /".to_owned() + &half("x") + "\n\n" + &half("[a] "),
            half("|a") + "|\n" + &half("|-") + "|\n" + &half("|\n"),
            numbered(size / 300, &|n| "  ".repeat(n) + "- a\n"),
            numbered(size / 250, &|n| "`".repeat(n + 1) + " "),
            numbered(size / 20, &|n| format!("<b x{n}>")) + &half("\n\n<p>x"),
            numbered(size / 10, &|n| format!("[{n}]: x\n")),
        ]);
        for markdown in inputs {
            let start = Instant::now();
            let html = render(&markdown);
            let _ = excerpt(&markdown);
            let (elapsed, name) = (start.elapsed(), markdown.get(..20));
            println!("{elapsed:?} {} bytes to {} {name:?}", markdown.len(), html.len());
            assert!(elapsed < Duration::from_secs(5), "{name:?} took {elapsed:?}");
            assert!(html.len() < 30 * size, "{name:?} gave {} bytes", html.len());
        }
    }

    /// An answer of 1 MiB has room for the longest message, as it was written and rendered. References are what repeats text
    /// most; how often, the parser limits.
    #[test]
    fn the_longest_message_renders_to_less_than_an_answer_holds() {
        let size = MESSAGE_LENGTH;
        let repeated = |pattern: &str, size: usize| pattern.repeat(size / pattern.chars().count());
        let mut inputs: Vec<String> = ["- >\n+ >\n", "[](/)", "![](https:a)", "<a:b>", "-\n+\n", "|\n"]
            .map(|pattern| repeated(pattern, size))
            .into();
        for share in [2, 8, 100, 200] {
            let target = size / share;
            let links = repeated("[a]", size - target - 12);
            inputs.push(format!("[a]: / \"{}\"\n\n{links}", repeated("&", target)));
            inputs.push(format!("[a]: /{}\n\n{links}", repeated("😀", target)));
            let columns = size / share / 4;
            let rows = repeated("|\n", size - 4 * columns - 4);
            inputs.push(format!("{}|\n{}|\n{rows}", "|a".repeat(columns), "|-".repeat(columns)));
        }
        for markdown in inputs {
            assert!(markdown.chars().count() <= size);
            let json = serde_json::to_string(&render(&markdown)).expect("text").len();
            assert!(json < 640 * 1024, "{:?} gave {json} bytes", markdown.get(..20));
        }
    }

    #[test]
    fn what_is_nested_too_deep_keeps_its_text() {
        let html = render(&("> ".repeat(100) + "deep"));
        assert_eq!(html.matches("<blockquote>").count(), MAX_DEPTH);
        assert!(html.contains("deep"));
    }

    #[test]
    fn a_line_of_very_many_markers_keeps_them_as_text() {
        assert_eq!(nth_marker(&("1. ".repeat(200) + "a")), None);
        for marker in ["> ", ">", "- ", "+ ", "* ", "1. ", "1) "] {
            let markdown = marker.repeat(MAX_MARKERS) + marker + "a\nb";
            let html = render(&markdown);
            let text = marker.replace('>', "&gt;");
            assert!(html.contains(&(text + "a\nb")), "{marker}: {html}");
        }
        let rule = "-".repeat(MAX_MARKERS);
        assert_eq!(render(&rule), "<hr>\n");
    }

    #[test]
    fn the_excerpt_is_the_first_paragraphs_as_plain_text() {
        for (markdown, text) in [
            ("# Title\n\nOne *two*\nthree `four`.\n\nFive [six](https://a.example).", "One two three four. Five six."),
            ("![logo](https://a.example/a.png)\n\nIm**port**ant", "Important"),
            ("```\ncode\n```\n\n|a|\n|-|\n|b|\n\nText", "Text"),
            ("- one\n- two", "one two"),
            ("AT&amp;T <b>x</b> 1 < 2", "AT&T <b>x</b> 1 < 2"),
            ("# Only a title", "Only a title"),
            ("```\nonly code\n```", "only code"),
            ("a\n\n---\n\nb  \nc", "a b c"),
            ("", ""),
        ] {
            assert_eq!(excerpt(markdown), text, "{markdown}");
        }
    }

    #[test]
    fn a_long_excerpt_is_cut_at_a_word() {
        assert_eq!(excerpt(&"word ".repeat(40)), "word ".repeat(40).trim_end());
        assert_eq!(excerpt(&"word ".repeat(41)), "word ".repeat(39) + "word…");
        assert_eq!(excerpt(&"a".repeat(200)), "a".repeat(200));
        assert_eq!(excerpt(&"a".repeat(201)), "a".repeat(199) + "…");
        assert_eq!(excerpt(&"語".repeat(300)), "語".repeat(199) + "…");
        assert_eq!(excerpt(&("短 ".to_owned() + &"語".repeat(300))), "短 ".to_owned() + &"語".repeat(197) + "…");
        let commas = "wo, ".repeat(60);
        assert!(excerpt(&commas).ends_with("wo…") && excerpt(&commas).chars().count() <= EXCERPT_LENGTH);
    }

    #[test]
    fn a_message_ends_its_lines_where_they_were_ended_and_links_what_is_an_address() {
        for (written, html) in [
            ("one\ntwo", "<p>one<br>\ntwo</p>\n"),
            ("**bold** and `http://a.example`", "<p><strong>bold</strong> and <code>http://a.example</code></p>\n"),
            (
                "See https://a.example/x_y_z?q=1&r=2, or (http://b.example).",
                "<p>See <a href=\"https://a.example/x_y_z?q=1&amp;r=2\" rel=\"noopener noreferrer nofollow\">\
                 https://a.example/x_y_z?q=1&amp;r=2</a>, or \
                 (<a href=\"http://b.example\" rel=\"noopener noreferrer nofollow\">http://b.example</a>).</p>\n",
            ),
            (
                "[https://a.example](https://b.example)",
                "<p><a href=\"https://b.example\" rel=\"noopener noreferrer nofollow\">https://a.example</a></p>\n",
            ),
            ("xhttp://a.example http:// httpd", "<p>xhttp://a.example http:// httpd</p>\n"),
            ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ] {
            assert_eq!(message(written).trim(), html.trim(), "{written}");
        }
    }

    #[test]
    fn plain_text_stays_text() {
        for (written, html) in [
            ("a *b* <b>c</b> &amp;", "<p>a *b* &lt;b&gt;c&lt;/b&gt; &amp;amp;</p>"),
            ("one\ntwo\n\n\nthree", "<p>one<br>\ntwo</p>\n<p>three</p>"),
            ("javascript:alert(1)", "<p>javascript:alert(1)</p>"),
            (
                "http://a.example/\"onmouseover=x",
                "<p><a href=\"http://a.example/\" rel=\"noopener noreferrer nofollow\">http://a.example/</a>\"onmouseover=x</p>",
            ),
        ] {
            assert_eq!(plain(written).trim(), html, "{written}");
        }
    }
}
