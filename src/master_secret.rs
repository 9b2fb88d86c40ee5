//! The secret of the server, from which every key that it needs is made: of a purpose, and of one site where it is a site's.
//!
//! It is lines of a file, the newest first: the first makes what is made, all prove and open it, so that a new line above the
//! old one rotates it. No key of one purpose or site says anything of another, and nothing of the secret is ever shown.

use std::{fmt, fs::File, io::Read as _, path::Path};

use anyhow::Context as _;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};
use uuid::Uuid;

/// The shortest line, characters.
const SHORTEST: usize = 32;
/// The longest file, bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// Of a derived key.
const KEY_BYTES: usize = 32;

/// What a key, or a sealed value, is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purpose<'a> {
    /// Such as `mail token` or `dkim key`; never two things by one name.
    pub what: &'a str,
    /// Whose it is; of the whole server when `None`.
    pub site: Option<Uuid>,
    /// Which of them it is, where a site has several; empty where it has one.
    pub which: &'a str,
}

impl<'a> Purpose<'a> {
    /// The one of a site.
    pub const fn of_site(what: &'a str, site: Uuid) -> Self {
        Self { what, site: Some(site), which: "" }
    }

    /// The one of the server.
    pub const fn of_server(what: &'a str) -> Self {
        Self { what, site: None, which: "" }
    }

    /// One of several.
    #[must_use]
    pub const fn which(self, which: &'a str) -> Self {
        Self { which, ..self }
    }

    /// As bytes, no two alike: each part has its length before it.
    fn bytes(&self) -> Vec<u8> {
        let site = self.site.map(Uuid::into_bytes);
        let parts: [&[u8]; 4] =
            [b"vicket 1", self.what.as_bytes(), site.as_ref().map_or(&[], |id| id.as_slice()), self.which.as_bytes()];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// A key that was made of the secret. Its number says which line it is of, and nothing of it.
pub struct DerivedKey {
    pub id: u8,
    pub bytes: [u8; KEY_BYTES],
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey")
    }
}

/// The secret, a line after the other.
pub struct MasterSecret(Vec<(u8, Prk)>);

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret")
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

fn derive(line: &Prk, purpose: &Purpose<'_>) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let info = purpose.bytes();
    line.expand(&[&info], Length)
        .and_then(|okm| okm.fill(&mut key))
        .expect("32 bytes are fewer than HKDF-SHA256 can make");
    key
}

impl MasterSecret {
    /// Of its lines, the newest first; empty ones count for nothing.
    ///
    /// # Errors
    /// When there is none, one is shorter than 32 characters, or two would be taken for each other.
    pub fn of_lines(text: &str) -> Result<Self, &'static str> {
        let salt = Salt::new(HKDF_SHA256, b"vicket master secret 1");
        let mut lines: Vec<(u8, Prk)> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.chars().count() < SHORTEST {
                return Err("a line of it has fewer than 32 characters");
            }
            let prk = salt.extract(line.as_bytes());
            let id = derive(&prk, &Purpose::of_server("number of the line"))[0];
            if lines.iter().any(|(known, _)| *known == id) {
                return Err("two of its lines have the same number: choose another");
            }
            lines.push((id, prk));
        }
        if lines.is_empty() { Err("there is no secret in it") } else { Ok(Self(lines)) }
    }

    /// Of a file.
    ///
    /// # Errors
    /// When it cannot be read or is none; says never what is in it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(bytes.len() as u64 <= MOST_BYTES, "{} is longer than a secret", path.display());
        let text = String::from_utf8(bytes).ok().with_context(|| format!("{} is not UTF-8", path.display()))?;
        Self::of_lines(&text).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))
    }

    /// The keys of a purpose, the newest first.
    pub fn keys(&self, purpose: &Purpose<'_>) -> Vec<DerivedKey> {
        self.0.iter().map(|(id, line)| DerivedKey { id: *id, bytes: derive(line, purpose) }).collect()
    }

    /// Seals a value, so that only this secret opens it, and only for the same purpose: the number of the line, a nonce, the
    /// value by AES-256-GCM.
    pub fn seal(&self, purpose: &Purpose<'_>, value: &[u8]) -> Vec<u8> {
        let (id, line) = &self.0[0];
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = value.to_vec();
        sealing_key(line, purpose)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.bytes()), &mut sealed)
            .expect("a value is shorter than AES-GCM can seal");
        [&[*id][..], &nonce, &sealed].concat()
    }

    /// The value that was sealed; `None` when another secret, or for another purpose, or it was changed.
    pub fn open(&self, purpose: &Purpose<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = sealed.split_first()?;
        let (nonce, value) = rest.split_first_chunk::<NONCE_LEN>()?;
        let (_, line) = self.0.iter().find(|(known, _)| known == id)?;
        let mut value = value.to_vec();
        let opened = sealing_key(line, purpose)
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(purpose.bytes()), &mut value)
            .ok()?
            .len();
        value.truncate(opened);
        Some(value)
    }
}

/// A key of its own for each purpose, so that a nonce that comes twice would have to come twice for one value.
fn sealing_key(line: &Prk, purpose: &Purpose<'_>) -> LessSafeKey {
    let mut info = purpose.bytes();
    info.extend_from_slice(b"seal");
    let mut key = [0; KEY_BYTES];
    line.expand(&[&info], Length)
        .and_then(|okm| okm.fill(&mut key))
        .expect("32 bytes are fewer than HKDF-SHA256 can make");
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("a key of AES-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret of more than thirty-two characters";
    const NEW: &str = "a new secret of more than thirty-two characters";

    fn old() -> MasterSecret {
        MasterSecret::of_lines(OLD).expect("a secret")
    }

    #[test]
    fn each_purpose_site_and_line_has_keys_of_its_own() {
        let both = MasterSecret::of_lines(&format!("{NEW}\n\n{OLD}\n")).expect("a secret");
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        let purposes = [
            Purpose::of_server("x"),
            Purpose::of_server("xy"),
            Purpose::of_site("x", a),
            Purpose::of_site("x", b),
            Purpose::of_site("x", a).which("y"),
            Purpose::of_server("x").which("y"),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for purpose in &purposes {
            let keys = both.keys(purpose);
            assert_eq!(keys.len(), 2);
            assert_eq!(keys[1].bytes, old().keys(purpose)[0].bytes, "a line's keys do not depend on the others");
            assert_eq!(keys[1].id, old().keys(purpose)[0].id);
            for key in keys {
                assert!(seen.insert(key.bytes), "{purpose:?}");
            }
        }
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_purpose_only_and_after_a_rotation() {
        let purpose = Purpose::of_site("dkim key", Uuid::new_v4()).which("s1");
        let sealed = old().seal(&purpose, b"hunter2");
        assert_eq!(old().open(&purpose, &sealed).as_deref(), Some(&b"hunter2"[..]));
        assert_ne!(sealed, old().seal(&purpose, b"hunter2"), "no two alike");
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        for other in [
            purpose.which("s2"),
            Purpose { site: Some(Uuid::new_v4()), ..purpose },
            Purpose { site: None, ..purpose },
            Purpose { what: "other", ..purpose },
        ] {
            assert_eq!(old().open(&other, &sealed), None, "{other:?}");
        }
        let both = MasterSecret::of_lines(&format!("{NEW}\n{OLD}")).expect("a secret");
        assert_eq!(both.open(&purpose, &sealed).as_deref(), Some(&b"hunter2"[..]));
        assert_eq!(old().open(&purpose, &both.seal(&purpose, b"hunter2")), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(old().open(&purpose, &changed), None, "byte {at}");
            assert_eq!(old().open(&purpose, &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn it_is_long_its_lines_differ_and_it_is_shown_nowhere() {
        for bad in ["", "\n \n", "hunter2", &format!("{NEW}\n{NEW}")] {
            let said = MasterSecret::of_lines(bad).expect_err("refused");
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert_eq!(format!("{:?}", old()), "MasterSecret");
        assert_eq!(format!("{:?}", old().keys(&Purpose::of_server("x"))), "[DerivedKey]");
    }
}
