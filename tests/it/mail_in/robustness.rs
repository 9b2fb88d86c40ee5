//! What nobody meant to send: cut, changed and made to cost much. It is read all the same, in a bounded time and memory.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use vicket::mail::inbound::{self, MAX_MESSAGE_BYTES, Parsed, Trust};

use super::{corpus, messages};

/// What is true of everything that was read.
fn is_sound(what: &str, read: &Parsed) {
    assert!(!read.text.contains('\0') && !read.text.contains('\r'), "{what}");
    assert!(read.quoted_from.is_none_or(|at| at <= read.text.chars().count()), "{what}");
    let html = read.html.as_deref().unwrap_or_default().to_lowercase();
    for harmful in
        ["<script", "<style", "<form", "<iframe", "<input", "<svg", "src=\"http:", "src=\"data", "javascript:"]
    {
        assert!(!html.contains(harmful), "{what}: {harmful}: {html}");
    }
    let json = serde_json::to_string(read).expect("JSON");
    serde_json::from_str::<serde_json::Value>(&json).expect("JSON again");
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % most.max(1)
    }
}

/// Pieces of which mail is made, to be put where they do not belong.
const PIECES: [&[u8]; 24] = [
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"--",
    b"=?utf-8?B?",
    b"?=",
    b"<!--",
    b"<a href=\"",
    b"<blockquote>",
    b"</div>",
    b"<script>",
    b"> ",
    b"begin 644 x\n",
    b"\x1b$B",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"=",
    b"\"",
    b"(",
    b";",
    b"&#x110000;",
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
    b"On Mon, Nov 3, 2025 at 10:11 a@b.example wrote:\n",
];

fn mutated(message: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = at + numbers.below((bytes.len() - at).min(200) + 1);
        match numbers.below(5) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let copy = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            2 => bytes[at..end].reverse(),
            3 => {
                let piece = PIECES[numbers.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(numbers.below(256)).expect("a byte");
                }
            }
        }
    }
    bytes
}

#[tokio::test]
async fn cut_and_changed_messages_are_read() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let trust = Trust::default();
    for (name, message) in messages() {
        // A few are long: of these less is tried.
        let times = if message.len() > 20_000 { 2 } else { 12 };
        for time in 0..times {
            let cut = &message[..numbers.below(message.len() + 1)];
            is_sound(&format!("{name}, cut {time}"), &inbound::parse(cut, None, &trust, None).await);
            let changed = mutated(&message, &mut numbers);
            is_sound(&format!("{name}, changed {time}"), &inbound::parse(&changed, None, &trust, None).await);
        }
    }
}

/// Messages that would cost a naive reader more than its length: three as long as may be, and the others a third of that.
fn costly() -> Vec<(&'static str, Vec<u8>)> {
    let head = "Return-Path: <a@b.example>\nFrom: a@b.example\nSubject: Re: x\nIn-Reply-To: <a@b.example>\n";
    let html = "Content-Type: text/html\n\n";
    let mixed = "Content-Type: multipart/mixed; boundary=b\n\n";
    let of = |begin: &str, unit: &str| {
        let begin = format!("{head}{begin}");
        let whole = ["> a\n", "<m.abcdefghijklmnopqrstuvwxyz@x>\n ", "--b\n\n"].contains(&unit);
        let most = if whole { MAX_MESSAGE_BYTES } else { MAX_MESSAGE_BYTES / 3 };
        let times = most.saturating_sub(begin.len()) / unit.len();
        [begin.as_bytes(), unit.repeat(times).as_bytes()].concat()
    };
    let nested: String =
        (0..400_000).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\n\n--b{at}\n")).collect();
    vec![
        ("lines of a quote", of("\nhello\n", "> a\n")),
        ("one line of marks", of("\nhello\n", ">")),
        ("references", of("References: ", "<m.abcdefghijklmnopqrstuvwxyz@x>\n ")),
        ("parts", of(mixed, "--b\n\n")),
        ("nested parts", format!("{head}{nested}").into_bytes()),
        ("messages in messages", of("", "Content-Type: message/rfc822\n\n")),
        ("alternatives", of(mixed, "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\nx\n--c--\n")),
        ("elements", of(html, "<div>")),
        ("elements that are opened again", of(&format!("{html}{}", "<b a=1>".repeat(100)), "<p>x")),
        ("attributes", of(&format!("{html}<a "), "b=1 ")),
        ("tags that do not end", of(html, "<a ")),
        ("comments that do not end", of(html, "<!--")),
        ("quotes in HTML", of(html, "<blockquote>a")),
        ("lists", of(html, "<ul><li>a")),
        ("hidden elements", of(html, "<div style=\"display:none\">")),
        ("references to characters", of(html, "&")),
        ("encoded words", of("Subject: ", "=?")),
        ("fields", of("", "A: b\n")),
        ("attributions", of("\n", "On Mon, Nov 3, 2025 at 10:11 a@b.example wrote:\n")),
        ("fields in the text", of("\n", "From: x\n")),
        ("uuencoded files", of("\n", "begin 644 a\n#86)C\n")),
        ("base64", of("Content-Transfer-Encoding: base64\n\n", "=")),
        ("signatures", of("", "DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=s; h=from; bh=aa; b=aa\n")),
        (
            "recipients of a bounce",
            of(
                "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n",
                "Final-Recipient: rfc822; a@b.example\n\n",
            ),
        ),
    ]
}

/// In a process of its own, which may have so much memory and no more: what grows with the square of a message's length would take
/// days, and what copies it again and again more than that.
#[test]
fn what_is_made_to_cost_much_costs_a_bounded_time_and_memory() {
    const MOST_TIME: Duration = Duration::from_mins(1);
    const MOST_KIB: u64 = 600 * 1024;
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("costly-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    for (what, message) in costly() {
        assert!(message.len() <= MAX_MESSAGE_BYTES);
        let file = dir.join("message.eml");
        fs::write(&file, message).expect("written");
        let began = Instant::now();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -v {MOST_KIB}; exec \"$@\""))
            .arg("sh")
            .arg(env!("CARGO_BIN_EXE_vicket"))
            .args(["mail", "parse"])
            .arg(&file)
            .arg("--dns-file")
            .arg(corpus().join("dns.txt"))
            // Memory that is set aside for threads and never used counts too.
            .env("MALLOC_ARENA_MAX", "1")
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("it runs");
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            if began.elapsed() > MOST_TIME {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{what}: not read within {MOST_TIME:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        println!("{what:<32} {:>6} ms", began.elapsed().as_millis());
        assert!(status.success(), "{what}: {status}");
    }
    fs::remove_dir_all(&dir).expect("removed");
}

/// What is longer than is read is cut, and says so.
#[tokio::test]
async fn a_message_that_is_too_long_is_read_as_far_as_it_may_be() {
    let head = "From: a@b.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHello.\n--b\n\
        Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n";
    let message = [head.as_bytes(), "UEsDBA".repeat(5_000_000).as_bytes()].concat();
    let read = inbound::parse(&message, None, &Trust::default(), None).await;
    assert_eq!(read.text, "Hello.");
    let file = &read.attachments[0];
    assert_eq!(file.name, "a.zip");
    assert!(file.skipped.as_deref().is_some_and(|reason| reason.contains("25 MiB")), "{file:?}");
    // A file that is too large alone is skipped, and the rest is not.
    let message = [
        head.as_bytes(),
        "UEsDBA".repeat(2_500_000).as_bytes(),
        b"\n--b\nContent-Type: image/png; name=b.png\n\nx\n--b--\n",
    ]
    .concat();
    let read = inbound::parse(&message, None, &Trust::default(), None).await;
    let skipped: Vec<bool> = read.attachments.iter().map(|file| file.skipped.is_some()).collect();
    assert_eq!(skipped, [true, false]);
    assert!(read.attachments[0].skipped.as_deref().is_some_and(|reason| reason.contains("10 MiB")));
}
