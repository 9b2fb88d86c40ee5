//! What mail does to bytes and lines on their way: base64, quoted-printable, uuencode, format=flowed. Each forgives what is
//! broken, and goes over its input once.

use base64::Engine as _;

use super::encoded_words::LENIENT;

/// Base64, without what does not belong into it. What follows padding is read on, since programs join what they encoded.
pub fn base64(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3);
    let mut run: Vec<u8> = Vec::with_capacity(4096);
    let mut flush = |run: &mut Vec<u8>| {
        if run.len() % 4 == 1 {
            run.pop();
        }
        if let Ok(decoded) = LENIENT.decode(&*run) {
            bytes.extend(decoded);
        }
        run.clear();
    };
    for c in body {
        if c.is_ascii_alphanumeric() || *c == b'+' || *c == b'/' {
            run.push(*c);
            if run.len() == 4096 {
                flush(&mut run);
            }
        } else if *c == b'=' {
            flush(&mut run);
        }
    }
    flush(&mut run);
    bytes
}

/// Quoted-printable. What is no code stands for itself.
pub fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|c| *c == b'\n') {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let ending = &line[content.len()..];
        let (content, carriage) =
            content.strip_suffix(b"\r").map_or((content, &b""[..]), |content| (content, &b"\r"[..]));
        let last = content.iter().rposition(|c| !matches!(c, b' ' | b'\t')).map_or(0, |last| last + 1);
        let content = &content[..last];
        let soft = content.last() == Some(&b'=');
        let content = if soft { &content[..content.len() - 1] } else { content };
        let mut at = 0;
        while at < content.len() {
            let hex = content.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
            match (content[at], hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
                (b'=', Some(byte)) => {
                    bytes.push(byte);
                    at += 3;
                }
                (byte, _) => {
                    bytes.push(byte);
                    at += 1;
                }
            }
        }
        if !soft {
            bytes.extend(carriage);
            bytes.extend(ending);
        }
    }
    bytes
}

/// A file that stands in a text as uuencode writes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Uuencoded {
    pub name: String,
    pub content: Vec<u8>,
}

/// The text without the files in it, and the files, at most `most`.
pub fn without_uuencoded(text: &str, most: usize) -> (String, Vec<Uuencoded>) {
    if !text.contains("begin ") {
        return (text.to_owned(), Vec::new());
    }
    let (mut kept, mut files) = (String::with_capacity(text.len()), Vec::new());
    let mut lines = text.split_inclusive('\n').peekable();
    // No second search for an end that is not there.
    let mut ends = text.matches("\nend").count();
    while let Some(line) = lines.next() {
        let Some(name) = begin(line).filter(|_| files.len() < most && ends > 0) else {
            kept.push_str(line);
            continue;
        };
        // It is one when its lines are, up to `end`.
        let mut content = Vec::new();
        let mut taken = Vec::new();
        let mut complete = false;
        while let Some(next) = lines.peek() {
            let next = next.trim_end_matches(['\r', '\n']);
            if next == "end" {
                complete = true;
                lines.next();
                break;
            }
            let Some(bytes) = uu_line(next) else { break };
            content.extend(bytes);
            taken.extend(lines.next());
        }
        if complete {
            ends = ends.saturating_sub(1);
            files.push(Uuencoded { name: name.to_owned(), content });
        } else {
            kept.push_str(line);
            kept.extend(taken);
        }
    }
    (kept, files)
}

/// A part that says it is uuencoded.
pub fn uuencoded_body(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().skip_while(|line| begin(line).is_none()).skip(1);
    lines.take_while(|line| *line != "end").filter_map(uu_line).flatten().collect()
}

fn begin(line: &str) -> Option<&str> {
    let (mode, name) = line.strip_prefix("begin ")?.trim_end().split_once(' ')?;
    let mode_is_octal = (3..=4).contains(&mode.len()) && mode.bytes().all(|c| (b'0'..=b'7').contains(&c));
    (mode_is_octal && !name.is_empty()).then_some(name)
}

fn uu_line(line: &str) -> Option<Vec<u8>> {
    let line = line.as_bytes();
    let value = |c: u8| (b' '..=b'`').contains(&c).then(|| (c - b' ') & 63);
    let length = usize::from(value(*line.first()?)?);
    let mut bytes = Vec::with_capacity(length + 2);
    for four in line[1..].chunks(4) {
        let mut held = 0_u32;
        for at in 0..4 {
            held = (held << 6) | u32::from(value(four.get(at).copied().unwrap_or(b' '))?);
        }
        bytes.extend(&held.to_be_bytes()[1..]);
    }
    // Spaces at a line's end get lost on the way.
    if bytes.len() + 3 < length || line.len() > 80 {
        return None;
    }
    bytes.resize(length, 0);
    Some(bytes)
}

/// Lines of `format=flowed` (RFC 3676) joined to paragraphs; with `del_sp` the space that they flow by is no space of the text.
pub fn unflowed(text: &str, del_sp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // The depth of the paragraph that is still open.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let depth = line.bytes().take_while(|c| *c == b'>').count();
        let content = &line[depth..];
        let content = content.strip_prefix(' ').unwrap_or(content);
        let signature = content == "-- ";
        let joins = open == Some(depth) && !signature;
        if open.is_some() && !joins {
            out.push('\n');
        }
        if !joins {
            out.extend(std::iter::repeat_n('>', depth));
            if depth > 0 && !content.is_empty() {
                out.push(' ');
            }
        }
        let flows = content.ends_with(' ') && !signature;
        out.push_str(if flows && del_sp { &content[..content.len() - 1] } else { content });
        if flows {
            open = Some(depth);
        } else {
            out.push('\n');
            open = None;
        }
    }
    if open.is_some() {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_forgives() {
        for (body, bytes) in [
            (&b"aGVsbG8=\r\n"[..], &b"hello"[..]),
            (b"aGVs\r\nbG8", b"hello"),
            (b"aGVsbG8=aGVsbG8=", b"hellohello"),
            (b"aG!VsbG8\x00=", b"hello"),
            (b"a", b""),
            (b"====", b""),
        ] {
            assert_eq!(base64(body), bytes);
        }
        let long = "QUJD".repeat(5000);
        assert_eq!(base64(long.as_bytes()), "ABC".repeat(5000).as_bytes());
    }

    #[test]
    fn quoted_printable_forgives() {
        for (body, bytes) in [
            (&b"a=3Db=\r\nc\r\n"[..], &b"a=bc\r\n"[..]),
            (b"=e2=82=AC  \n", "€\n".as_bytes()),
            (b"50 =% =\n=", b"50 =% "),
            (b"=\n=\nx", b"x"),
            (b"a= \nb", b"ab"),
        ] {
            assert_eq!(quoted_printable(body), bytes);
        }
    }

    #[test]
    fn a_uuencoded_file_is_taken_out_of_its_text() {
        let text = "before\nbegin 644 a.txt\n#86)C\n`\nend\nafter\n";
        let (kept, files) = without_uuencoded(text, 10);
        assert_eq!(kept, "before\nafter\n");
        assert_eq!(files, [Uuencoded { name: "a.txt".to_owned(), content: b"abc".to_vec() }]);
        for text in ["begin 644 a.txt\nI write about this.\nend\n", "begin 644 a.txt\n#86)C\n", "begin with it\nend\n"]
        {
            assert_eq!(without_uuencoded(text, 10), (text.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn flowed_lines_are_joined_within_their_depth() {
        let text = "a \nb\n> c \n> d\n>> e \n> f\n\n stuffed\n-- \nname\n";
        assert_eq!(unflowed(text, false), "a b\n> c d\n>> e \n> f\n\nstuffed\n-- \nname\n");
        assert_eq!(unflowed("日本 \n語\n", true), "日本語\n");
    }
}
