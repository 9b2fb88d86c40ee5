//! Keys and tokens: minting, hashing, and showing once.
//!
//! A secret is 32 bytes of the operating system's random source behind a prefix that says its kind. Only its SHA-256
//! is stored, and a caller's header is looked up by the SHA-256 of the whole value, never by its prefix. A secret's
//! `Debug` prints its type, so that no log can hold it by accident; `reveal` is the one way to its text.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRng as _, rngs::SysRng};
use sha2::{Digest as _, Sha256};

/// Characters in a publishable key or ticket token: a prefix of three and 43 of base64url.
pub const SECRET_LENGTH: usize = 46;

/// SHA-256 of something a caller sent; the only form in which secrets are stored or compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    pub fn of(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }

    /// The digest of several parts, each led by its length, so that no two lists of parts share a digest by shifting
    /// text from one part to the next.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hex characters, as the context holds it. Never for the text of a statement: bind the bytes.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

/// Lower-case hex, two characters a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256Digest")
    }
}

/// A site's publishable key (`pk_`), in the one moment when its text exists.
pub struct PublishableKey(String);

/// A customer's ticket token (`tk_`), in the one moment when its text exists.
pub struct TicketToken(String);

/// A site's identity secret (`is_`), in the one moment when its text exists.
pub struct IdentitySecret(String);

/// The token of a customer's session (`cs_`), in the one moment when its text exists.
pub struct CustomerToken(String);

/// The token of a person's session (`vs_`), as their cookie holds it.
pub struct SessionToken(String);

/// The token of an invitation (`vi_`), in the one moment when its text exists.
pub struct InvitationToken(String);

/// The token of a link to choose a password (`vr_`), in the one moment when its text exists.
pub struct ResetToken(String);

/// An org's machine key (`sk_`), in the one moment when its text exists. Ends in a checksum, so that a scanner can tell
/// a leaked key from text that looks like one.
pub struct MachineKey(String);

macro_rules! secret {
    ($type:ident, $prefix:literal, $mint:ident) => {
        impl $type {
            /// A new secret of 32 random bytes.
            pub fn mint() -> Self {
                Self($mint($prefix))
            }

            /// The text, for the one answer that shows it.
            pub fn reveal(&self) -> &str {
                &self.0
            }

            /// What is stored.
            pub fn digest(&self) -> Sha256Digest {
                Sha256Digest::of(self.0.as_bytes())
            }

            /// The last four characters, to recognise the secret by.
            pub fn hint(&self) -> &str {
                &self.0[self.0.len() - 4..]
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($type))
            }
        }
    };
}

secret!(PublishableKey, "pk_", mint);
secret!(TicketToken, "tk_", mint);
secret!(IdentitySecret, "is_", mint);
secret!(CustomerToken, "cs_", mint);
secret!(SessionToken, "vs_", mint);
secret!(InvitationToken, "vi_", mint);
secret!(ResetToken, "vr_", mint);
secret!(MachineKey, "sk_", mint_with_checksum);

/// Whether one of the secrets above may stand in a text, to keep it out of the log.
pub fn may_hold_secret(text: &str) -> bool {
    ["pk_", "tk_", "is_", "cs_", "vs_", "vi_", "vr_", "sk_"].iter().any(|prefix| text.contains(prefix))
}

impl MachineKey {
    /// Whether `text` has the form and the checksum of a machine key.
    pub fn is_well_formed(text: &str) -> bool {
        let parts = text.strip_prefix("sk_").and_then(|rest| rest.split_at_checked(43));
        let Some((secret, checksum)) = parts else { return false };
        secret.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
            && checksum.strip_prefix('_') == Some(&base62(crc32fast::hash(format!("sk_{secret}").as_bytes())))
    }
}

/// What whoever sets a new server up must read in its log: ten letters and digits that are not mistaken for each other.
pub struct SetupCode(String);

impl SetupCode {
    /// A new one, of 50 random bits.
    pub fn mint() -> Self {
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut bytes = [0_u8; 10];
        SysRng
            .try_fill_bytes(&mut bytes)
            .expect("the operating system's random source answers, or no secret may be made");
        Self(bytes.map(|byte| char::from(LETTERS[usize::from(byte % 32)])).iter().collect())
    }

    /// As it is printed: two groups of five.
    pub fn reveal(&self) -> String {
        format!("{}-{}", &self.0[..5], &self.0[5..])
    }

    /// Whether it is what somebody typed, in small letters or large, with a hyphen or without.
    pub fn is(&self, typed: &str) -> bool {
        let typed: String = typed.chars().filter(char::is_ascii_alphanumeric).collect();
        // By their digests, so that the time tells nothing.
        Sha256Digest::of(typed.to_ascii_uppercase().as_bytes()) == Sha256Digest::of(self.0.as_bytes())
    }
}

fn mint_with_checksum(prefix: &str) -> String {
    let secret = mint(prefix);
    let checksum = base62(crc32fast::hash(secret.as_bytes()));
    format!("{secret}_{checksum}")
}

/// Six characters of 0-9, A-Z, a-z, the most significant first: enough for 32 bits.
fn base62(mut value: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = [b'0'; 6];
    for place in text.iter_mut().rev() {
        *place = DIGITS[(value % 62) as usize];
        value /= 62;
    }
    text.iter().map(|digit| char::from(*digit)).collect()
}

fn mint(prefix: &str) -> String {
    let mut bytes = [0_u8; 32];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system's random source answers, or no secret may be made");
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_code_is_known_however_it_is_typed() {
        let code = SetupCode::mint();
        let shown = code.reveal();
        assert_eq!(shown.len(), 11);
        assert!(code.is(&shown) && code.is(&shown.to_lowercase()) && code.is(&format!(" {} ", shown.replace('-', ""))));
        assert!(!code.is("") && !code.is(&shown[..10]) && !code.is(&SetupCode::mint().reveal()));
    }

    #[test]
    fn a_machine_key_carries_a_checksum_that_one_wrong_character_breaks() {
        let key = MachineKey::mint();
        let text = key.reveal();
        assert_eq!(text.len(), 3 + 43 + 1 + 6);
        assert!(MachineKey::is_well_formed(text));
        let other = if &text[10..11] == "A" { "B" } else { "A" };
        assert!(!MachineKey::is_well_formed(&format!("{}{other}{}", &text[..10], &text[11..])));
        for bad in ["", "sk_", "sk_short_000000", &text[1..], &format!("{text}0")] {
            assert!(!MachineKey::is_well_formed(bad), "{bad}");
        }
        assert_eq!(base62(u32::MAX), "4gfFC3");
    }

    #[test]
    fn a_key_is_its_prefix_and_43_characters_of_base64url() {
        for secret in [PublishableKey::mint().reveal().to_owned(), TicketToken::mint().reveal().to_owned()] {
            assert_eq!(secret.len(), SECRET_LENGTH);
            assert!(secret.starts_with("pk_") || secret.starts_with("tk_"));
            assert!(secret[3..].bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
            assert_eq!(URL_SAFE_NO_PAD.decode(&secret[3..]).map(|bytes| bytes.len()), Ok(32));
        }
    }

    #[test]
    fn no_two_keys_are_alike() {
        let keys: std::collections::HashSet<String> =
            (0..1000).map(|_| PublishableKey::mint().reveal().to_owned()).collect();
        assert_eq!(keys.len(), 1000);
    }

    #[test]
    fn debug_output_shows_neither_secret_nor_digest() {
        let key = PublishableKey::mint();
        assert_eq!(format!("{key:?}"), "PublishableKey");
        assert_eq!(format!("{:?}", key.digest()), "Sha256Digest");
    }

    #[test]
    fn hex_is_the_digest_as_sha256sum_prints_it() {
        assert_eq!(
            Sha256Digest::of(b"abc").to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn text_shifted_between_parts_changes_the_digest() {
        assert_ne!(Sha256Digest::of_parts(&[b"ab", b"c"]), Sha256Digest::of_parts(&[b"a", b"bc"]));
    }
}
