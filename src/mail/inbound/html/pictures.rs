//! Pictures that came with a message, inside its HTML: what shows it needs to load nothing.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;

use super::super::Attachment;

/// The most that the pictures of a message may be, bytes. Those that are more stand among its files.
const MAX_BYTES: usize = 1024 * 1024;
/// Before the name of a picture, as the sanitiser writes it.
const SOURCE: &str = " src=\"";

/// Sanitised HTML with the pictures that it names by `cid:` as `data:`, the first that there is room for.
pub fn with_pictures(html: &str, attachments: &[Attachment]) -> String {
    let mut room = MAX_BYTES;
    let mut whole = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(SOURCE) {
        let (before, after) = rest.split_at(at + SOURCE.len());
        whole.push_str(before);
        let (name, end) = after.split_at(after.find('"').unwrap_or(after.len()));
        rest = end;
        let picture = named(name, attachments).filter(|(_, bytes)| bytes.len() <= room);
        if let Some((media_type, bytes)) = picture {
            room -= bytes.len();
            let _ = write!(whole, "data:{media_type};base64,{}", STANDARD.encode(bytes));
        } else {
            whole.push_str(name);
        }
    }
    whole.push_str(rest);
    whole
}

/// The type and bytes of the picture that `cid:` and a Content-ID name.
fn named<'a>(name: &str, attachments: &'a [Attachment]) -> Option<(&'static str, &'a [u8])> {
    let name = name.trim();
    let id = name.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).map(|_| &name[4..])?;
    let id = id.replace("&amp;", "&");
    let id = percent_decode_str(&id).decode_utf8_lossy();
    let known = |one: &&Attachment| one.content_id.as_deref().is_some_and(|known| known.trim_matches(['<', '>']) == id);
    let content = attachments.iter().find(known).map(|one| one.content.as_slice())?;
    // What it is, whatever its sender says.
    let media_type = match content {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => return None,
    };
    Some((media_type, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(content_id: &str, content: Vec<u8>) -> Attachment {
        Attachment {
            name: "a".to_owned(),
            media_type: "image/png".to_owned(),
            size: content.len(),
            skipped: None,
            content_id: Some(content_id.to_owned()),
            content,
        }
    }

    #[test]
    fn pictures_that_came_with_it_are_inside_and_nothing_else_is() {
        let png = [0x89, b'P', b'N', b'G', 1];
        let mut large = png.to_vec();
        large.resize(MAX_BYTES, 0);
        let attachments = [
            picture("<logo&1@x>", png.to_vec()),
            picture("large", large),
            picture("svg", b"<svg onload=alert(1)>".to_vec()),
        ];
        for (html, shown) in [
            ("<img src=\"cid:logo&amp;1@x\" alt=\"\">", "<img src=\"data:image/png;base64,iVBORwE=\" alt=\"\">"),
            ("<img src=\" CID:logo%261%40x\">", "<img src=\"data:image/png;base64,iVBORwE=\">"),
            ("<img src=\"cid:nowhere\">", "<img src=\"cid:nowhere\">"),
            ("<img src=\"cid:svg\">", "<img src=\"cid:svg\">"),
            ("<img src=\"https://a.example/b\">", "<img src=\"https://a.example/b\">"),
            ("<p> src=\"cid:</p>", "<p> src=\"cid:</p>"),
            ("<p>text</p>", "<p>text</p>"),
        ] {
            assert_eq!(with_pictures(html, &attachments), shown, "{html}");
        }
        // There is room for one of them.
        let twice = with_pictures("<img src=\"cid:large\"><img src=\"cid:large\">", &attachments);
        assert_eq!((twice.matches("data:").count(), twice.matches("cid:large").count()), (1, 1));
    }
}
