//! A mailbox that is read by IMAP, as a URL says it, and the connection to its server.

use std::{
    fmt, io,
    net::IpAddr,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::Context as _;
use async_imap::{Client, Session};
use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use url::Url;

use super::keep::is_plain;
use crate::domain::keys::Sha256Digest;

/// How often it is looked at where the URL does not say.
const EVERY: Duration = Duration::from_secs(30);
/// How long connecting and logging in may take.
const CONNECTING: Duration = Duration::from_secs(30);
/// What may come in answer to a log-in, bytes.
const GREETING: u64 = 64 * 1024;

/// A mailbox, and how to log in there.
#[derive(Clone)]
pub struct Mailbox {
    tls: bool,
    host: String,
    port: u16,
    user: String,
    password: String,
    pub folder: String,
    /// Whom all that is in it was sent to; what servers wrote above each message where there is none.
    pub recipient: Option<String>,
    pub every: Duration,
    /// Certificates that vouch for the server, beside the usual ones.
    ca: Option<PathBuf>,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

impl Mailbox {
    /// `imaps://USER:PASSWORD@HOST[:PORT]/FOLDER[?recipient=ADDRESS&every=SECONDS&ca=FILE]`.
    ///
    /// # Errors
    /// When it is none, without what stands in it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let url = Url::parse(text).ok().context("it is no URL: imaps://USER:PASSWORD@HOST/FOLDER")?;
        let tls = match url.scheme() {
            "imaps" => true,
            "imap" => false,
            _ => anyhow::bail!("it begins with imaps://, or with imap:// on this machine"),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).context("it names no server")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        anyhow::ensure!(tls || loopback, "imap:// sends the password as it is: only to this machine; take imaps://");
        let decoded = |part: &str, what: &str| {
            let text = percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
            let plain = text.filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
            plain.with_context(|| format!("it has no {what}, or one with characters that none has"))
        };
        let folder = match url.path().trim_start_matches('/') {
            "" => "INBOX".to_owned(),
            folder => decoded(folder, "folder")?,
        };
        anyhow::ensure!(folder.is_ascii(), "its folder is to be named as the server does: in modified UTF-7");
        let mut mailbox = Self {
            tls,
            port: url.port().unwrap_or(if tls { 993 } else { 143 }),
            user: decoded(url.username(), "user")?,
            password: decoded(url.password().unwrap_or_default(), "password")?,
            folder,
            host,
            recipient: None,
            every: EVERY,
            ca: None,
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "recipient" => {
                    anyhow::ensure!(value.contains('@') && is_plain(&value), "its recipient is no address");
                    mailbox.recipient = Some(value.into_owned());
                }
                "every" => {
                    let seconds = value.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                    mailbox.every = Duration::from_secs(seconds.context("`every` is 1 to 3600 seconds")?);
                }
                "ca" => mailbox.ca = Some(PathBuf::from(&*value)),
                _ => anyhow::bail!("what stands after the `?` is recipient, every and ca"),
            }
        }
        // A mistake in it is said at the start.
        mailbox.roots()?;
        Ok(mailbox)
    }

    /// For people: which it is, without who logs in.
    pub fn name(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.folder)
    }

    /// What tells it from others.
    pub fn digest(&self) -> Sha256Digest {
        let port = self.port.to_be_bytes();
        let parts: [&[u8]; 5] = [b"imap", self.host.as_bytes(), &port, self.user.as_bytes(), self.folder.as_bytes()];
        Sha256Digest::of_parts(&parts)
    }

    /// Who vouches for servers.
    fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        if let Some(file) = &self.ca {
            let unreadable = || format!("its `ca`, {}, has no certificates in PEM", file.display());
            let certificates = CertificateDer::pem_file_iter(file).with_context(unreadable)?;
            let mut found = 0;
            for certificate in certificates {
                roots.add(certificate.with_context(unreadable)?).with_context(unreadable)?;
                found += 1;
            }
            anyhow::ensure!(found > 0, unreadable());
        }
        Ok(roots)
    }

    /// Connects, and logs in.
    ///
    /// # Errors
    /// What went wrong, without what the server said.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        tokio::time::timeout(CONNECTING, self.open()).await.context("it takes too long to connect")?
    }

    async fn open(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect((&*self.host, self.port)).await.context("no connection")?;
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Wire> = if self.tls {
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(self.roots()?)
                .with_no_client_auth();
            let name = ServerName::try_from(self.host.clone()).context("the server's name is none of TLS")?;
            Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.context("no TLS")?)
        } else {
            Box::new(stream)
        };
        let allowance = Arc::new(AtomicU64::new(GREETING));
        let mut client = Client::new(Bounded { stream, allowance: Arc::clone(&allowance) });
        let greeting = client.read_response().await.ok().flatten();
        anyhow::ensure!(greeting.is_some(), "no IMAP server answers");
        let session = client.login(&self.user, &self.password).await;
        let session = session.map_err(|(error, _)| anyhow::anyhow!("no log-in: {}", said(&error)))?;
        Ok(Connection { session, allowance })
    }
}

/// What went wrong, without what the server said: that may hold mail, or the login.
pub fn said(error: &async_imap::error::Error) -> String {
    use async_imap::error::Error;
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::Other => "the server's answer is none of IMAP".to_owned(),
        Error::Io(error) => error.kind().to_string(),
        Error::Bad(_) | Error::No(_) => "the server refuses".to_owned(),
        Error::ConnectionLost => "the connection ended".to_owned(),
        _ => "the server's answer is not what was asked for".to_owned(),
    }
}

/// A connection that is logged in.
pub struct Connection {
    pub session: Session<Bounded>,
    allowance: Arc<AtomicU64>,
}

impl Connection {
    /// So many bytes may come from now on.
    pub fn allow(&self, bytes: u64) {
        self.allowance.store(bytes, Ordering::Relaxed);
    }
}

/// What bytes go over.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + fmt::Debug> Wire for T {}

/// A stream of which no more is read than is allowed, whatever the server announces.
#[derive(Debug)]
pub struct Bounded {
    stream: Box<dyn Wire>,
    allowance: Arc<AtomicU64>,
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        let left = self.allowance.load(Ordering::Relaxed);
        self.allowance.store(left.saturating_sub(read), Ordering::Relaxed);
        Poll::Ready(if read > left { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) })
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_all_of_it() {
        let url =
            "imaps://ada%40example.com:pass%3Aword@imap.example.com/Support%2FIn?recipient=help%40a.example&every=60";
        let mailbox = Mailbox::parse(url).expect("a mailbox");
        assert_eq!((mailbox.tls, mailbox.port, &*mailbox.host), (true, 993, "imap.example.com"));
        assert_eq!((&*mailbox.user, &*mailbox.password), ("ada@example.com", "pass:word"));
        assert_eq!((&*mailbox.folder, mailbox.recipient.as_deref()), ("Support/In", Some("help@a.example")));
        assert_eq!(mailbox.every, Duration::from_mins(1));
        let plain = Mailbox::parse("imap://a:b@127.0.0.1:1143").expect("a mailbox");
        assert_eq!((plain.tls, plain.port, &*plain.folder, plain.every), (false, 1143, "INBOX", EVERY));
        assert!(plain.digest() != mailbox.digest());
        // Another password is no other mailbox.
        assert!(plain.digest() == Mailbox::parse("imap://a:c@127.0.0.1:1143/INBOX").expect("a mailbox").digest());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "hunter2",
            "https://a:hunter2@b.example/",
            "imap://a:hunter2@imap.example.com/INBOX",
            "imaps://a@imap.example.com/INBOX",
            "imaps://:hunter2@imap.example.com/INBOX",
            "imaps://a:hunter2%0D%0A@imap.example.com/INBOX",
            "imaps://a:hunter2@imap.example.com/Entw%C3%BCrfe",
            "imaps://a:hunter2@imap.example.com/?recipient=nobody",
            "imaps://a:hunter2@imap.example.com/?every=0",
            "imaps://a:hunter2@imap.example.com/?since=yesterday",
            "imaps://a:hunter2@imap.example.com/?ca=/nowhere",
        ] {
            let wrong = format!("{:#}", Mailbox::parse(url).expect_err(url));
            assert!(!wrong.contains("hunter2"), "{url}: {wrong}");
        }
        let mailbox = Mailbox::parse("imaps://a:hunter2@imap.example.com").expect("a mailbox");
        assert!(!format!("{mailbox:?} {}", mailbox.name()).contains("hunter2"));
    }
}
