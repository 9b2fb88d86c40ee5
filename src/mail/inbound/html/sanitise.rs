//! HTML that is harmless to show: no script, style or form. Pictures that came with the message keep their `cid:`, for who shows
//! it to say where they are, and pictures of other servers their `https:`: to load one tells its server that somebody reads, so
//! who shows it loads them only when asked.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use ammonia::{Builder, UrlRelative};

use super::tokens::{Token, Tokens};

/// The most HTML that is shown, bytes. Of more there is its text.
const MAX_BYTES: usize = 1024 * 1024;
/// How deep its elements may be.
const MAX_DEPTH: usize = 256;
/// What a browser's tree may cost to build: elements, and once more each for every unclosed `<b>` and its kin, which a new
/// paragraph opens again.
const MAX_COST: usize = 200_000;
/// Elements that are opened again when they were not closed.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
/// Elements that have no end.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];
/// What the end of an element outside does not end.
const SCOPES: [&str; 8] = ["table", "td", "th", "caption", "html", "template", "object", "marquee"];

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .add_tags(["font", "big", "tt", "u", "s", "strike", "center"])
        .rm_tags(["map", "area"])
        .add_tag_attributes("font", ["color", "face", "size"])
        .clean_content_tags(HashSet::from(["script", "style", "title", "template", "object", "select", "textarea"]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "cid"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(|element, attribute, value| {
            // A scheme that goes nowhere in a link.
            let own = value.trim_start().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid:"));
            match (element, attribute) {
                ("img", "src") => {
                    let elsewhere = value.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
                    (own || elsewhere).then_some(Cow::Borrowed(value))
                }
                (_, "href" | "cite" | "src") => (!own).then_some(Cow::Borrowed(value)),
                _ => Some(Cow::Borrowed(value)),
            }
        });
    builder
});

/// The HTML to show, or why there is none.
pub fn sanitised(html: &str) -> Result<String, &'static str> {
    if html.len() > MAX_BYTES {
        return Err("its HTML is longer than 1 MiB");
    }
    if !is_cheap(html) {
        return Err("its HTML is nested too deeply");
    }
    Ok(SANITISER.clean(html).to_string())
}

/// Text as HTML, for a message that has parts of both.
pub fn plain_as_html(text: &str) -> String {
    format!("<pre>{}</pre>", ammonia::clean_text(text))
}

/// Whether a browser's tree of it is neither deep nor much larger than itself. Ends are matched as a browser does, roughly, and
/// towards the deeper.
fn is_cheap(html: &str) -> bool {
    let (mut open, mut cost): (Vec<Cow<'_, str>>, usize) = (Vec::new(), 0);
    let mut formatting = [0_usize; FORMATTING.len()];
    for token in Tokens::of(html) {
        let unclosed: usize = formatting.iter().sum();
        cost += 1 + unclosed;
        match token {
            Token::Start(tag) => {
                if tag.crowded {
                    return false;
                }
                if let Some(at) = FORMATTING.iter().position(|name| *name == tag.name) {
                    formatting[at] += 1;
                }
                if !VOID.contains(&&*tag.name) {
                    open.push(tag.name);
                }
            }
            Token::End(name) => {
                if let Some(at) = FORMATTING.iter().position(|known| *known == name) {
                    formatting[at] = formatting[at].saturating_sub(1);
                }
                let ends_scope = SCOPES.contains(&&*name);
                let found =
                    open.iter().rposition(|known| *known == name || (!ends_scope && SCOPES.contains(&&**known)));
                if let Some(at) = found.filter(|at| open[*at] == name) {
                    open.truncate(at);
                }
            }
            Token::Raw(name) => {
                open.pop_if(|last| *last == name);
            }
            Token::Text(_) => {}
        }
        if open.len() > MAX_DEPTH || cost > MAX_COST {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_and_nothing_but_pictures_is_loaded() {
        for (html, clean) in [
            ("<p onclick=x>a<script>b</script><style>c</style></p>", "<p>a</p>"),
            (
                "<img src=\"https://example.com/pixel.gif\" alt=a>",
                "<img src=\"https://example.com/pixel.gif\" alt=\"a\">",
            ),
            ("<img src=\"http://example.com/pixel.gif\"><img src=\"tel:1\">", "<img><img>"),
            ("<img src=\"cid:logo@x\" srcset=\"https://example.com/a 2x\">", "<img src=\"cid:logo@x\">"),
            ("<img src=\" CID:logo@x\">", "<img src=\" CID:logo@x\">"),
            ("<img src=\"data:image/png;base64,AA\">", "<img>"),
            ("<img src=\"//example.com/a\"><img src=a.png>", "<img><img>"),
            ("<form action=https://example.com><input name=a>b</form>", "b"),
            ("<a href=\"javascript:alert(1)\">a</a>", "<a rel=\"noopener noreferrer nofollow\">a</a>"),
            ("<a href=\"cid:a\">a</a>", "<a rel=\"noopener noreferrer nofollow\">a</a>"),
            (
                "<table background=\"https://example.com/a\"><tr><td style=\"background:url(https://example.com/a)\">a</td></tr></table>",
                "<table><tbody><tr><td>a</td></tr></tbody></table>",
            ),
            ("<link rel=stylesheet href=https://example.com><iframe src=https://example.com></iframe>a", "a"),
            (
                "<svg><image href=https://example.com/a /></svg><video src=https://example.com/a poster=https://example.com/a></video>",
                "",
            ),
            ("<base href=https://example.com><meta http-equiv=refresh content=0>a", "a"),
        ] {
            assert_eq!(sanitised(html).as_deref(), Ok(clean), "{html}");
        }
    }

    #[test]
    fn what_would_cost_too_much_is_not_shown() {
        for html in [
            "<div>".repeat(10_000),
            "<b a=1>".repeat(100) + &"<p>x".repeat(10_000),
            (0..100).map(|at| format!("<b a={at}>")).collect::<String>() + &"<p>x</p>".repeat(10_000),
            "<table><td></div><div>".repeat(5000),
            format!("<a {}>", "b ".repeat(10_000)),
            "x".repeat(MAX_BYTES + 1),
        ] {
            assert!(sanitised(&html).is_err(), "{}", &html[..20]);
        }
        assert!(sanitised(&"<p><b>a</b> <br>b</p>".repeat(10_000)).is_ok());
    }
}
