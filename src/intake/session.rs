//! One connection of a mail server that hands mail over: LMTP (RFC 2033) or SMTP (RFC 5321), as far as a mail server before this one
//! speaks it. Nothing here is passed on: there are only recipients of ours.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::{Intake, digests};
use crate::{
    db::MailGate,
    domain::{keys::Sha256Digest, problem::Problem},
    limits::Network,
    mail::inbound::MAX_MESSAGE_BYTES,
    memory_budget::{MemoryBudget, Reservation},
    store::inbound_mails::{self, NewMail},
    telemetry::meters::{MailIn, Meters},
};

/// Recipients of one mail.
pub const MAX_RECIPIENTS: usize = 100;
/// The longest line of a command, bytes.
const COMMAND: usize = 2048;
/// The longest line of a message, bytes; servers wrap what is longer than 998.
const LINE: usize = 64 * 1024;
/// How long the first command may take, and a later one.
const FIRST: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_mins(1);
/// How long all of a message may take.
const MESSAGE: Duration = Duration::from_mins(5);
/// Commands that are none, before the connection is closed.
const MISTAKES: usize = 20;
/// Memory is taken for so many bytes at a time.
const STEP: u64 = 256 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Lmtp,
    Smtp,
}

/// What all connections share.
pub struct Desk {
    pub intake: Arc<Intake>,
    pub gate: MailGate,
    pub meters: Arc<Meters>,
    /// For messages that are being received.
    pub memory: MemoryBudget,
    /// What this server calls itself.
    pub name: String,
    /// Believe a client on loopback that says for whom it speaks.
    pub xclient: bool,
}

struct Recipient {
    address: String,
    digest: Sha256Digest,
}

/// A mail that is being handed over.
#[derive(Default)]
struct Transaction {
    mail_from: Option<String>,
    recipients: Vec<Recipient>,
}

pub struct Session<S> {
    desk: Arc<Desk>,
    protocol: Protocol,
    peer: SocketAddr,
    stream: S,
    greeted: bool,
    mistakes: usize,
    /// For whom it speaks, and what that called itself.
    client: Option<IpAddr>,
    helo: Option<String>,
    mail: Transaction,
}

/// What came before the end of a message.
enum Body {
    Whole(Vec<u8>),
    /// It was read to its end, and is not taken.
    Refused(&'static str),
    /// The connection ended before.
    Cut,
}

enum Line {
    Whole(Vec<u8>),
    /// It was too long, and is read past.
    TooLong,
    End,
}

impl<S: AsyncBufRead + AsyncWrite + Unpin> Session<S> {
    pub fn new(desk: Arc<Desk>, protocol: Protocol, peer: SocketAddr, stream: S) -> Self {
        Self {
            desk,
            protocol,
            peer,
            stream,
            greeted: false,
            mistakes: 0,
            client: None,
            helo: None,
            mail: Transaction::default(),
        }
    }

    /// Until it is closed.
    ///
    /// # Errors
    /// When the connection breaks, or nothing came for too long.
    pub async fn run(mut self) -> io::Result<()> {
        let word = if self.protocol == Protocol::Lmtp { "LMTP" } else { "ESMTP" };
        let greeting = format!("220 {} {word}", self.desk.name);
        self.say(&greeting).await?;
        loop {
            let wait = if self.greeted { IDLE } else { FIRST };
            let Ok(line) = timeout(wait, read_line(&mut self.stream, COMMAND)).await else {
                return self.say("421 4.4.2 nothing came for too long").await;
            };
            let line = match line? {
                Line::Whole(line) => line,
                Line::TooLong => {
                    self.mistake("500 5.5.2 a command is not as long as that").await?;
                    continue;
                }
                Line::End => return Ok(()),
            };
            let Ok(line) = std::str::from_utf8(&line) else {
                self.mistake("500 5.5.2 no command").await?;
                continue;
            };
            let line = line.trim_end();
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            if verb.eq_ignore_ascii_case("QUIT") {
                return self.say("221 2.0.0 bye").await;
            }
            self.command(&verb.to_ascii_uppercase(), rest.trim()).await?;
            if self.mistakes >= MISTAKES {
                return self.say("421 4.7.0 too many mistakes").await;
            }
        }
    }

    async fn command(&mut self, verb: &str, rest: &str) -> io::Result<()> {
        match (verb, self.protocol) {
            ("LHLO", Protocol::Lmtp) | ("EHLO", Protocol::Smtp) => self.greet(rest, true).await,
            ("HELO", Protocol::Smtp) => self.greet(rest, false).await,
            ("NOOP", _) => self.say("250 2.0.0 fine").await,
            ("VRFY", _) => self.say("252 2.5.2 send it, and see").await,
            ("RSET", _) => {
                self.mail = Transaction::default();
                self.say("250 2.0.0 forgotten").await
            }
            ("MAIL" | "RCPT" | "DATA", _) if !self.greeted => self.mistake("503 5.5.1 say hello first").await,
            ("XCLIENT", _) if self.believes_xclient() => self.xclient(rest).await,
            ("MAIL", _) => self.mail_from(rest).await,
            ("RCPT", _) => self.recipient(rest).await,
            ("DATA", _) => self.data().await,
            _ => self.mistake("500 5.5.1 no such command").await,
        }
    }

    async fn greet(&mut self, name: &str, extended: bool) -> io::Result<()> {
        if name.is_empty() {
            return self.mistake("501 5.5.4 say your name").await;
        }
        self.greeted = true;
        self.mail = Transaction::default();
        if !extended {
            let answer = format!("250 {}", self.desk.name);
            return self.say(&answer).await;
        }
        let xclient = if self.believes_xclient() { "\r\n250-XCLIENT NAME ADDR HELO" } else { "" };
        let answer = format!(
            "250-{}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES{xclient}\r\n250 SIZE {MAX_MESSAGE_BYTES}",
            self.desk.name
        );
        self.say(&answer).await
    }

    fn believes_xclient(&self) -> bool {
        self.desk.xclient && self.peer.ip().to_canonical().is_loopback()
    }

    async fn xclient(&mut self, rest: &str) -> io::Result<()> {
        for (name, value) in rest.split_whitespace().filter_map(|pair| pair.split_once('=')) {
            if name.eq_ignore_ascii_case("ADDR") {
                let address = value.strip_prefix("IPV6:").or_else(|| value.strip_prefix("ipv6:")).unwrap_or(value);
                self.client = address.parse().ok();
            } else if name.eq_ignore_ascii_case("HELO") {
                self.helo = (!value.starts_with('[')).then(|| value.chars().take(255).collect());
            }
        }
        self.mail = Transaction::default();
        let greeting = format!("220 {}", self.desk.name);
        self.say(&greeting).await
    }

    async fn mail_from(&mut self, rest: &str) -> io::Result<()> {
        if self.mail.mail_from.is_some() {
            return self.mistake("503 5.5.1 one mail at a time").await;
        }
        let Some((address, parameters)) = path("FROM:", rest) else {
            return self.mistake("501 5.5.4 say MAIL FROM:<...>").await;
        };
        let size = parameters.split_whitespace().find_map(|word| {
            let (name, value) = word.split_once('=')?;
            name.eq_ignore_ascii_case("SIZE").then(|| value.parse::<u64>().ok())?
        });
        if size.is_some_and(|size| size > MAX_MESSAGE_BYTES as u64) {
            self.count("refused");
            return self.say("552 5.3.4 it is larger than 25 MiB").await;
        }
        self.mail = Transaction { mail_from: Some(address.to_owned()), recipients: Vec::new() };
        self.say("250 2.1.0 and to whom?").await
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<()> {
        if self.mail.mail_from.is_none() {
            return self.mistake("503 5.5.1 say MAIL first").await;
        }
        let Some((address, _)) = path("TO:", rest).filter(|(address, _)| !address.is_empty()) else {
            return self.mistake("501 5.5.4 say RCPT TO:<...>").await;
        };
        if self.mail.recipients.len() >= MAX_RECIPIENTS {
            return self.say("452 4.5.3 that are all recipients that one mail may have").await;
        }
        let Some((local, domain)) = address.rsplit_once('@') else {
            self.count("refused");
            return self.say("550 5.1.1 no such address").await;
        };
        let below = self.desk.intake.reply_domain().is_some_and(|reply| reply.eq_ignore_ascii_case(domain));
        let of = if below { local.to_ascii_lowercase() } else { address.to_ascii_lowercase() };
        let digest = Sha256Digest::of(of.as_bytes());
        match self.knows(digest).await {
            Ok(true) => {
                let recipient = Recipient { address: address.chars().take(320).collect(), digest };
                self.mail.recipients.push(recipient);
                self.say("250 2.1.5 here").await
            }
            Ok(false) => {
                self.count("refused");
                self.say("550 5.1.1 no such address").await
            }
            Err(_) => {
                self.count("deferred");
                self.say("451 4.3.0 not now").await
            }
        }
    }

    async fn knows(&self, digest: Sha256Digest) -> Result<bool, Problem> {
        let entered = self.desk.gate.enter(digest).await.inspect_err(away)?;
        match entered {
            Some(tx) => tx.leave().await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.mail.recipients.is_empty() {
            return self.mistake("503 5.5.1 nobody is to have it").await;
        }
        self.say("354 go on; a line with a dot ends it").await?;
        let mut reservation = self.desk.memory.reserve(Network::of(self.peer.ip()));
        let Ok(body) = timeout(MESSAGE, receive(&mut self.stream, &mut reservation)).await else {
            return self.say("421 4.4.2 it took too long").await;
        };
        let mail = std::mem::take(&mut self.mail);
        let raw = match body? {
            Body::Cut => return Err(io::ErrorKind::UnexpectedEof.into()),
            Body::Whole(raw) => raw,
            Body::Refused(why) => {
                let times = if self.protocol == Protocol::Lmtp { mail.recipients.len() } else { 1 };
                for _ in 0..times {
                    self.count(if why.starts_with('4') { "deferred" } else { "refused" });
                    self.say(why).await?;
                }
                return Ok(());
            }
        };
        let (message_digest, content_digest) = digests::of(&raw);
        let client = self.client.map(|client| client.to_string());
        let mut all = true;
        for recipient in &mail.recipients {
            let new = NewMail {
                recipient: &recipient.address,
                mail_from: mail.mail_from.as_deref().unwrap_or_default(),
                client: client.as_deref(),
                helo: self.helo.as_deref(),
                message_digest,
                content_digest,
                raw: &raw,
            };
            let taken = self.keep(recipient.digest, &new).await;
            let answer = match taken {
                Ok(Some(_)) => "250 2.0.0 it is kept",
                Ok(None) => "550 5.1.1 no such address any more",
                Err(()) => "451 4.3.0 not now",
            };
            self.count(match taken {
                Ok(Some(true)) => "received",
                Ok(Some(false)) => "duplicate",
                Ok(None) => "refused",
                Err(()) => "deferred",
            });
            all &= taken.is_ok();
            if self.protocol == Protocol::Lmtp {
                self.say(answer).await?;
            }
        }
        self.desk.intake.received.notify_one();
        match (self.protocol, all) {
            (Protocol::Lmtp, _) => Ok(()),
            (Protocol::Smtp, true) => self.say("250 2.0.0 it is kept").await,
            // All of it comes again; what is kept already is known by then.
            (Protocol::Smtp, false) => self.say("451 4.3.0 not now").await,
        }
    }

    /// Commits the mail for one recipient: false when it is there already, nothing when the recipient is gone.
    async fn keep(&self, digest: Sha256Digest, mail: &NewMail<'_>) -> Result<Option<bool>, ()> {
        let kept = async {
            let Some(mut tx) = self.desk.gate.enter(digest).await? else { return Ok(None) };
            let added = inbound_mails::add(&mut tx, mail).await;
            tx.finish(added).await.map(Some)
        };
        kept.await.map_err(|problem: Problem| away(&problem))
    }

    fn count(&self, outcome: &'static str) {
        self.desk.meters.mail_in.get_or_create(&MailIn { outcome }).inc();
    }

    async fn mistake(&mut self, answer: &str) -> io::Result<()> {
        self.mistakes += 1;
        self.say(answer).await
    }

    async fn say(&mut self, answer: &str) -> io::Result<()> {
        let said = async {
            self.stream.write_all(answer.as_bytes()).await?;
            self.stream.write_all(b"\r\n").await?;
            self.stream.flush().await
        };
        timeout(IDLE, said).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

fn away(problem: &Problem) {
    tracing::warn!(cause = problem.cause.as_deref(), "mail could not be taken in; its server sends it again");
}

/// `FROM:<a@b.c> SIZE=1`: the address, and what follows.
fn path<'l>(word: &str, rest: &'l str) -> Option<(&'l str, &'l str)> {
    let (said, rest) = rest.split_at_checked(word.len())?;
    if !said.eq_ignore_ascii_case(word) {
        return None;
    }
    let (address, parameters) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    // A route that names servers on the way counts for nothing.
    let address = if address.starts_with('@') { address.split_once(':')?.1 } else { address };
    let plain =
        address.chars().count() <= 320 && !address.chars().any(|c| c.is_control() || c.is_whitespace() || c == '<');
    plain.then_some((address, parameters))
}

/// A message up to the line that ends it. Only a dot between two whole line ends does: what other servers may take for an end is
/// part of the message, so that nobody hides a second mail in one.
async fn receive(stream: &mut (impl AsyncBufRead + Unpin), memory: &mut Reservation) -> io::Result<Body> {
    let (mut raw, mut whole_line, mut refused, mut room) = (Vec::new(), true, None, 0_u64);
    loop {
        let line = match timeout(IDLE, read_line(stream, LINE)).await.map_err(|_| io::ErrorKind::TimedOut)?? {
            Line::Whole(line) => line,
            Line::TooLong => {
                refused.get_or_insert("500 5.5.2 a line is longer than 64 KiB");
                whole_line = false;
                continue;
            }
            Line::End => return Ok(Body::Cut),
        };
        if whole_line && line == b".\r\n" {
            return Ok(refused.map_or(Body::Whole(raw), Body::Refused));
        }
        let text = if whole_line && line.first() == Some(&b'.') { &line[1..] } else { &line[..] };
        whole_line = line.ends_with(b"\r\n");
        if refused.is_some() {
            continue;
        }
        if raw.len() + text.len() > MAX_MESSAGE_BYTES {
            (raw, refused) = (Vec::new(), Some("552 5.3.4 it is larger than 25 MiB"));
            continue;
        }
        if raw.len() as u64 + text.len() as u64 > room {
            if memory.grow(STEP).await.is_err() {
                (raw, refused) = (Vec::new(), Some("452 4.3.1 too much comes in at once"));
                continue;
            }
            room += STEP;
        }
        raw.extend_from_slice(text);
    }
}

/// A line with its end; bytes that are too many are read past.
async fn read_line(stream: &mut (impl AsyncBufRead + Unpin), most: usize) -> io::Result<Line> {
    let (mut line, mut too_long) = (Vec::new(), false);
    loop {
        let bytes = stream.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(Line::End);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(bytes.len(), |at| at + 1);
        if line.len() + count > most {
            too_long = true;
            line.clear();
        } else if !too_long {
            line.extend_from_slice(&bytes[..count]);
        }
        stream.consume(count);
        if end.is_some() {
            return Ok(if too_long { Line::TooLong } else { Line::Whole(line) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    async fn received(text: &str) -> Body {
        let memory = MemoryBudget::of_mail();
        let mut reservation = memory.reserve(Network::of(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        receive(&mut text.as_bytes(), &mut reservation).await.expect("no error")
    }

    #[tokio::test]
    async fn only_a_dot_between_two_whole_line_ends_ends_a_message() {
        for (sent, is) in [
            ("a\r\n.\r\n", "a\r\n"),
            (".\r\n", ""),
            ("..\r\n...a\r\n.\r\n", ".\r\n..a\r\n"),
            ("a\n.\r\nMAIL FROM:<x>\r\n.\r\n", "a\n.\r\nMAIL FROM:<x>\r\n"),
            ("a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n"),
            ("a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n"),
        ] {
            let Body::Whole(raw) = received(sent).await else { panic!("{sent:?}") };
            assert_eq!(String::from_utf8_lossy(&raw), is, "{sent:?}");
        }
        assert!(matches!(received("a\r\n").await, Body::Cut));
    }

    #[tokio::test]
    async fn what_is_too_long_is_read_to_its_end_and_refused() {
        let long = format!("{}\r\na\r\n.\r\n", "x".repeat(LINE));
        assert!(matches!(received(&long).await, Body::Refused(why) if why.starts_with("500")));
        let large = format!("{}.\r\n", format!("{}\r\n", "x".repeat(998)).repeat(27_000));
        assert!(matches!(received(&large).await, Body::Refused(why) if why.starts_with("552")));
    }

    #[test]
    fn an_address_stands_in_brackets() {
        for (said, is) in [
            ("TO:<a@b.c>", Some("a@b.c")),
            ("to: <a@b.c> NOTIFY=NEVER", Some("a@b.c")),
            ("TO:<@x.y,@z:a@b.c>", Some("a@b.c")),
            ("TO:<>", Some("")),
            ("TO:a@b.c", None),
            ("TO:<a b@c.d>", None),
            ("TO:<a@b.c", None),
            ("FROM:<a@b.c>", None),
        ] {
            assert_eq!(path("TO:", said).map(|(address, _)| address), is, "{said}");
        }
    }
}
