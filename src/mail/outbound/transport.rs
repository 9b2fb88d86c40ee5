//! Where mail goes: an SMTP server, a folder, or the log.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, TlsParameters},
    commands::{Data, Mail, Rcpt, Rset},
    extension::ClientId,
};
use url::Url;
use uuid::Uuid;

use super::letter::Letter;

const CONNECT: Duration = Duration::from_secs(15);
/// How long the whole of one mail may take.
const ONE_MAIL: Duration = Duration::from_mins(1);
/// Characters of an answer that are kept.
const SAID: usize = 500;

/// What the next server said to a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it: 250, and nothing may fail any more.
    Taken(String),
    /// Not this one, and not later either: the recipient or the text was refused with a 5xx.
    Refused(String),
    /// Not now, or nobody knows.
    Later(String),
}

/// Where mail goes.
#[derive(Debug)]
pub enum Transport {
    Smtp(Smtp),
    Folder(PathBuf),
    Log,
}

/// An SMTP server, and connections to it that are open.
pub struct Smtp {
    host: String,
    port: u16,
    implicit_tls: bool,
    credentials: Option<Credentials>,
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

/// Without the password.
impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{})", self.host, self.port)
    }
}

/// `%40` as `@`.
fn decoded(text: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).context("a % without two digits")?;
        bytes.push(byte);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).context("not UTF-8")
}

impl Transport {
    /// `smtp://[USER:PASSWORD@]HOST[:PORT]` (STARTTLS where it is offered, and always with a password, but on this machine),
    /// `smtps://...` (TLS from the beginning), `file:///DIR`, `log:`.
    ///
    /// # Errors
    /// When it is none of them. No error repeats it: it may hold a password.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        const NONE: &str =
            "is no URL of a mail server: smtps://USER:PASSWORD@HOST, smtp://HOST:PORT, file:///DIR or log:";
        let url = Url::parse(text).ok().context(NONE)?;
        match url.scheme() {
            "log" => Ok(Self::Log),
            "file" => url.to_file_path().ok().map(Self::Folder).context(NONE),
            scheme @ ("smtp" | "smtps") => {
                let host = url.host_str().filter(|host| !host.is_empty()).context(NONE)?.to_owned();
                let implicit_tls = scheme == "smtps";
                let credentials = match (decoded(url.username())?, url.password()) {
                    (user, Some(password)) if !user.is_empty() => Some(Credentials::new(user, decoded(password)?)),
                    _ => None,
                };
                let port = url.port().unwrap_or(match (implicit_tls, &credentials) {
                    (true, _) => 465,
                    (false, Some(_)) => 587,
                    (false, None) => 25,
                });
                Ok(Self::Smtp(Smtp { host, port, implicit_tls, credentials, idle: Mutex::default() }))
            }
            _ => anyhow::bail!(NONE),
        }
    }

    /// The host that mail is handed to, where it is another machine.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Smtp(server) if !is_here(&server.host) => Some(&server.host),
            _ => None,
        }
    }

    /// Hands a letter on. Whatever goes wrong is an answer.
    pub async fn deliver(&self, letter: &Letter) -> Answer {
        match self {
            Self::Smtp(server) => match tokio::time::timeout(ONE_MAIL, server.deliver(letter)).await {
                Ok(answer) => answer,
                Err(_) => Answer::Later(format!("the mail server did not answer within {} s", ONE_MAIL.as_secs())),
            },
            Self::Folder(dir) => match keep(dir, letter).await {
                Ok(()) => Answer::Taken("written to a file".to_owned()),
                Err(error) => Answer::Later(format!("the file could not be written: {error}")),
            },
            Self::Log => {
                tracing::info!(to = %letter.to, message = %String::from_utf8_lossy(&letter.message), "mail");
                Answer::Taken("written to the log".to_owned())
            }
        }
    }
}

/// Whole or not at all: who lists the folder finds no half of a message. A file each time, also of the same message.
async fn keep(dir: &Path, letter: &Letter) -> std::io::Result<()> {
    tokio::fs::create_dir_all(dir).await?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = format!("{}-{}", since.as_micros(), &Uuid::new_v4().simple().to_string()[..8]);
    let mut text = format!("Return-Path: <{}>\r\nDelivered-To: {}\r\n", letter.from, letter.to).into_bytes();
    text.extend_from_slice(&letter.message);
    let unfinished = dir.join(format!(".{name}.part"));
    tokio::fs::write(&unfinished, text).await?;
    tokio::fs::rename(&unfinished, dir.join(format!("{name}.eml"))).await
}

/// What a server answered, with its code, on one line.
fn said(error: &Error) -> String {
    use std::error::Error as _;
    let text = match (error.status(), error.source()) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        (Some(code), None) => code.to_string(),
        _ => error.to_string(),
    };
    text.chars().take(SAID).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A 5xx to the recipient or to the text is about them; anything else may be otherwise later.
fn refusal(error: &Error) -> Answer {
    if error.is_permanent() { Answer::Refused(said(error)) } else { Answer::Later(said(error)) }
}

fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

impl Smtp {
    async fn connect(&self, domain: &str) -> Result<AsyncSmtpConnection, String> {
        let tls = || TlsParameters::new(self.host.clone()).map_err(|error| said(&error));
        let hello = ClientId::Domain(domain.to_owned());
        let first = if self.implicit_tls { Some(tls()?) } else { None };
        let place = (self.host.trim_matches(['[', ']']), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT), &hello, first, None)
            .await
            .map_err(|error| said(&error))?;
        if connection.can_starttls() {
            connection.starttls(tls()?, &hello).await.map_err(|error| said(&error))?;
        }
        if let Some(credentials) = &self.credentials {
            if !connection.is_encrypted() && !is_here(&self.host) {
                connection.abort().await;
                return Err("the mail server offers no TLS, and the password is not sent without".to_owned());
            }
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await.map_err(|error| said(&error))?;
        }
        Ok(connection)
    }

    /// A connection that has taken MAIL FROM.
    async fn begin(&self, letter: &Letter) -> Result<AsyncSmtpConnection, String> {
        let mail = || Mail::new(Some(letter.from.clone()), Vec::new());
        let kept = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        // It may have ended meanwhile; nothing was sent on it.
        if let Some(mut connection) = kept
            && connection.command(mail()).await.is_ok()
        {
            return Ok(connection);
        }
        let mut connection = self.connect(letter.from.domain()).await?;
        match connection.command(mail()).await {
            Ok(_) => Ok(connection),
            // Even a 5xx is about us and no recipient.
            Err(error) => {
                connection.abort().await;
                Err(said(&error))
            }
        }
    }

    async fn deliver(&self, letter: &Letter) -> Answer {
        let mut connection = match self.begin(letter).await {
            Ok(connection) => connection,
            Err(why) => return Answer::Later(why),
        };
        let answer = transfer(&mut connection, letter).await;
        let usable = match &answer {
            Answer::Taken(_) => true,
            _ => !connection.has_broken() && connection.command(Rset).await.is_ok(),
        };
        if usable {
            self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(connection);
        } else {
            connection.abort().await;
        }
        answer
    }
}

async fn transfer(connection: &mut AsyncSmtpConnection, letter: &Letter) -> Answer {
    if let Err(error) = connection.command(Rcpt::new(letter.to.clone(), Vec::new())).await {
        return refusal(&error);
    }
    if let Err(error) = connection.command(Data).await {
        return refusal(&error);
    }
    match connection.message(&letter.message).await {
        Ok(response) => {
            let text = format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" "));
            Answer::Taken(text.chars().take(SAID).map(|c| if c.is_control() { ' ' } else { c }).collect())
        }
        Err(error) => refusal(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_and_errors_do_not_repeat_them() {
        let smtp = |text: &str| match Transport::parse(text) {
            Ok(Transport::Smtp(server)) => {
                (server.host, server.port, server.implicit_tls, server.credentials.is_some())
            }
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(smtp("smtps://u:p%40ss@mail.example"), ("mail.example".to_owned(), 465, true, true));
        assert_eq!(smtp("smtp://mail.example"), ("mail.example".to_owned(), 25, false, false));
        assert_eq!(smtp("smtp://u:p@mail.example"), ("mail.example".to_owned(), 587, false, true));
        assert_eq!(smtp("smtp://127.0.0.1:2525"), ("127.0.0.1".to_owned(), 2525, false, false));
        assert!(matches!(Transport::parse("log:"), Ok(Transport::Log)));
        assert!(
            matches!(Transport::parse("file:///var/mail"), Ok(Transport::Folder(dir)) if dir == Path::new("/var/mail"))
        );
        for bad in ["", "hunter2", "http://u:hunter2@mail.example", "smtp://", "smtp:///hunter2"] {
            let error = Transport::parse(bad).expect_err(bad);
            assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
        }
        let debug = format!("{:?}", Transport::parse("smtps://u:hunter2@mail.example").expect("a server"));
        assert!(!debug.contains("hunter2"), "{debug}");
    }
}
