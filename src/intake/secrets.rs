//! Who may hand mail over by HTTP: providers, each with the secrets that it signs by, or whose password it sends.

use std::{fmt, fs::File, io::Read as _, path::Path};

use anyhow::Context as _;
use ring::hmac;

/// The shortest secret, bytes.
const SHORTEST: usize = 16;
/// The longest file, bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// Who hands mail over, and so in which form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provider {
    /// Anybody's own program, or one before this server.
    Raw,
    Mailgun,
    Postmark,
}

impl Provider {
    pub const ALL: [Self; 3] = [Self::Raw, Self::Mailgun, Self::Postmark];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mailgun => "mailgun",
            Self::Postmark => "postmark",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }
}

/// The secrets of all providers.
pub struct Secrets(Vec<(Provider, hmac::Key)>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Reads them from a file, lines of `PROVIDER SECRET`.
    ///
    /// # Errors
    /// When it cannot be read, or a line is none; which line, and never what stands there.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut text = Vec::new();
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        file.take(MOST_BYTES + 1).read_to_end(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(text.len() as u64 <= MOST_BYTES, "{} is longer than a file of secrets", path.display());
        let text = String::from_utf8(text).ok().with_context(|| format!("{} is not UTF-8", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// As [`Secrets::read`], of the file's content.
    ///
    /// # Errors
    /// Those of [`Secrets::read`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut secrets = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, secret) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let provider = Provider::named(name)
                .with_context(|| format!("line {number} does not begin with a provider: raw, mailgun or postmark"))?;
            let secret = secret.trim().as_bytes();
            anyhow::ensure!(
                secret.len() >= SHORTEST,
                "the secret in line {number} is shorter than {SHORTEST} characters"
            );
            secrets.push((provider, hmac::Key::new(hmac::HMAC_SHA256, secret)));
        }
        anyhow::ensure!(!secrets.is_empty(), "it has no line `PROVIDER SECRET`");
        Ok(Self(secrets))
    }

    /// The provider of that name, if it may hand mail over here.
    pub fn provider(&self, name: &str) -> Option<Provider> {
        Provider::named(name).filter(|provider| self.0.iter().any(|(known, _)| known == provider))
    }

    /// Whether `signature` is one of the provider's over these parts, one after the other. Takes as long for a wrong one.
    pub fn signed(&self, provider: Provider, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.keys(provider).fold(false, |signed, key| {
            let mut signing = hmac::Context::with_key(key);
            for part in parts {
                signing.update(part);
            }
            signed | same(signing.sign().as_ref(), signature)
        })
    }

    /// Whether this is one of the provider's secrets itself. Takes as long for a wrong one.
    pub fn is_secret(&self, provider: Provider, given: &[u8]) -> bool {
        // A key says only what it signs: by the same key both sign the same.
        let given = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, given), b"password");
        self.keys(provider).fold(false, |is, key| is | same(hmac::sign(key, b"password").as_ref(), given.as_ref()))
    }

    fn keys(&self, provider: Provider) -> impl Iterator<Item = &hmac::Key> {
        self.0.iter().filter(move |(known, _)| *known == provider).map(|(_, key)| key)
    }
}

/// Whether they are the same, in the same time for whatever is in them.
fn same(one: &[u8], other: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, one);
    hmac::verify(&key, other, hmac::sign(&key, one).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret of raw";
    const NEW: &str = "a new secret of raw!";

    fn tag(secret: &str, text: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text)
    }

    #[test]
    fn several_secrets_of_one_provider_count_and_those_of_others_do_not() {
        let text = format!("# of ours\nraw {NEW}\n\n raw\t{OLD}\npostmark the password of postmark\n");
        let secrets = Secrets::parse(&text).expect("secrets");
        for secret in [OLD, NEW] {
            assert!(secrets.signed(Provider::Raw, &[b"a", b"b"], tag(secret, b"ab").as_ref()));
            assert!(!secrets.signed(Provider::Raw, &[b"a", b"c"], tag(secret, b"ab").as_ref()));
            assert!(!secrets.signed(Provider::Postmark, &[b"ab"], tag(secret, b"ab").as_ref()));
        }
        assert!(!secrets.signed(Provider::Raw, &[b"ab"], &[]));
        assert!(secrets.is_secret(Provider::Postmark, b"the password of postmark"));
        for wrong in ["", "the password of postmarK", OLD] {
            assert!(!secrets.is_secret(Provider::Postmark, wrong.as_bytes()), "{wrong}");
        }
        let known: Vec<_> = ["raw", "mailgun", "postmark", "ses"].map(|name| secrets.provider(name)).into();
        assert_eq!(known, [Some(Provider::Raw), None, Some(Provider::Postmark), None]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_without_what_is_in_it() {
        for (text, said) in [
            ("", "no line"),
            ("raw", "line 1"),
            ("\nraw hunter2", "line 2"),
            ("hunter2hunter2hunter2", "line 1"),
            ("ses hunter2hunter2hunter2", "line 1"),
        ] {
            let wrong = format!("{:#}", Secrets::parse(text).expect_err(text));
            assert!(wrong.contains(said) && !wrong.contains("hunter2"), "{text}: {wrong}");
        }
        let secrets = Secrets::parse(&format!("raw {OLD}")).expect("secrets");
        assert_eq!(format!("{secrets:?}"), "Secrets");
    }
}
