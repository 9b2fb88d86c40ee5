//! The tokens of mail: in reply addresses `r.TOKEN@...`, in our Message-IDs `<m.TOKEN@...>`, in return paths `b.TOKEN@...`.
//!
//! A token says which ticket it belongs to and whose it is, under a keyed digest: nobody makes one for a ticket that they were
//! not written to about. It is lower-case base32 of 35 bytes, 56 characters, so that a local part has 58 of the 64 octets that
//! it may have; mail systems change the case of local parts, so that case does not matter.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | which key made it |
//! | 16 | the ticket |
//! | 8 | whose it is: the first half of the id of the participant, or of the message |
//! | 10 | HMAC-SHA256 of the kind and all that, cut |
//!
//! Half an id is enough where the ticket is known; the whole of both leaves 5 bytes for the digest, which is too little.

use std::fmt;

use ring::hmac;
use uuid::Uuid;

use crate::master_secret::DerivedKey;

/// RFC 4648, in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// How long a token is.
pub const TOKEN_LENGTH: usize = 56;
/// What may be a token of ours, or what is left of one, without asking a key.
const SHORTEST: usize = 16;
/// The most that a local part has room for, after `r.`.
const LONGEST: usize = 62;
const PAYLOAD: usize = 25;
const DIGEST: usize = 10;

/// What a token is for. One kind is never taken for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Where a participant answers to.
    Reply,
    /// A message that we sent.
    Message,
    /// Where what cannot be delivered goes back to.
    Bounce,
}

impl Kind {
    /// What stands before the token.
    pub const fn letter(self) -> char {
        match self {
            Self::Reply => 'r',
            Self::Message => 'm',
            Self::Bounce => 'b',
        }
    }

    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Reply => b"vicket mail reply 1",
            Self::Message => b"vicket mail message 1",
            Self::Bounce => b"vicket mail bounce 1",
        }
    }
}

/// What a token that holds says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meaning {
    pub ticket: Uuid,
    /// The first half of the id of a participant or message of that ticket.
    pub subject: [u8; 8],
}

/// The first half of an id, as a token holds it.
pub fn subject(id: Uuid) -> [u8; 8] {
    let mut half = [0; 8];
    half.copy_from_slice(&id.as_bytes()[..8]);
    half
}

/// The keys that make and prove tokens: the first makes them, all prove them.
pub struct TokenKeys(Vec<(u8, hmac::Key)>);

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKeys")
    }
}

impl TokenKeys {
    /// Of secrets, a line each, the newest first; empty lines count for nothing.
    ///
    /// # Errors
    /// When there is none, one is shorter than 32 characters, or two would be taken for each other.
    pub fn of_lines(text: &str) -> Result<Self, &'static str> {
        let mut keys: Vec<(u8, hmac::Key)> = Vec::new();
        for secret in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if secret.len() < 32 {
                return Err("a secret has at least 32 characters");
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            // A key's name says nothing of it: a byte of a digest that no token shows.
            let id = hmac::sign(&key, b"vicket mail key").as_ref()[0];
            if keys.iter().any(|(known, _)| *known == id) {
                return Err("two of the secrets have the same number: choose another");
            }
            keys.push((id, key));
        }
        if keys.is_empty() { Err("there is no secret") } else { Ok(Self(keys)) }
    }

    /// Of keys of a site, the newest first.
    pub fn derived(keys: &[DerivedKey]) -> Self {
        Self(keys.iter().map(|key| (key.id, hmac::Key::new(hmac::HMAC_SHA256, &key.bytes))).collect())
    }

    /// A token, by the newest key.
    pub fn mint(&self, kind: Kind, meaning: &Meaning) -> String {
        let (id, key) = &self.0[0];
        let mut bytes = [0; PAYLOAD + DIGEST];
        bytes[0] = *id;
        bytes[1..17].copy_from_slice(meaning.ticket.as_bytes());
        bytes[17..PAYLOAD].copy_from_slice(&meaning.subject);
        let digest = digest(key, kind, &bytes[..PAYLOAD]);
        bytes[PAYLOAD..].copy_from_slice(&digest);
        base32(&bytes)
    }

    /// What a token says, when one of the keys made it, for this kind. In time that does not depend on how much of it is right.
    pub fn verify(&self, kind: Kind, token: &str) -> Option<Meaning> {
        let bytes = bytes(token)?;
        let (payload, presented) = bytes.split_at(PAYLOAD);
        let (_, key) = self.0.iter().find(|(id, _)| *id == payload[0])?;
        let expected = digest(key, kind, payload);
        let differing = presented.iter().zip(expected).fold(0, |differing, (a, b)| differing | (a ^ b));
        if std::hint::black_box(differing) != 0 {
            return None;
        }
        let mut half = [0; 8];
        half.copy_from_slice(&payload[17..]);
        Some(Meaning { ticket: Uuid::from_slice(&payload[1..17]).ok()?, subject: half })
    }
}

fn digest(key: &hmac::Key, kind: Kind, payload: &[u8]) -> [u8; DIGEST] {
    let mut context = hmac::Context::with_key(key);
    // No domain is the beginning of another one's message: each ends before a length that all have.
    context.update(kind.domain());
    context.update(&[0]);
    context.update(payload);
    let tag = context.sign();
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&tag.as_ref()[..DIGEST]);
    digest
}

/// The token of a local part such as `r.TOKEN`, in lower case, if it has the form of one; no key is asked.
pub fn in_local_part(kind: Kind, local: &str) -> Option<String> {
    let (letter, token) = local.split_once('.')?;
    let well_formed = letter.eq_ignore_ascii_case(kind.letter().encode_utf8(&mut [0; 4]))
        && (SHORTEST..=LONGEST).contains(&token.len())
        && token.bytes().all(|c| ALPHABET.contains(&c.to_ascii_lowercase()));
    well_formed.then(|| token.to_ascii_lowercase())
}

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::with_capacity(bytes.len().div_ceil(5) * 8), 0_u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(held << (5 - bits)) as usize & 31]));
    }
    text
}

/// The bytes of a token of ours, which has no bits to spare: two texts are never one token, but for their case.
fn bytes(token: &str) -> Option<[u8; PAYLOAD + DIGEST]> {
    if token.len() != TOKEN_LENGTH {
        return None;
    }
    let (mut bytes, mut at, mut held, mut bits) = ([0; PAYLOAD + DIGEST], 0, 0_u32, 0);
    for c in token.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == c.to_ascii_lowercase())?;
        held = (held << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes[at] = u8::try_from((held >> bits) & 255).ok()?;
            at += 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret of more than thirty-two characters";
    const NEW: &str = "a new secret of more than thirty-two characters";

    fn meaning() -> Meaning {
        Meaning { ticket: Uuid::new_v4(), subject: subject(Uuid::new_v4()) }
    }

    #[test]
    fn a_token_says_what_it_was_made_for_in_any_case_and_fits_a_local_part() {
        let keys = TokenKeys::of_lines(NEW).expect("a key");
        for kind in [Kind::Reply, Kind::Message, Kind::Bounce] {
            let meaning = meaning();
            let token = keys.mint(kind, &meaning);
            assert_eq!(token.len(), TOKEN_LENGTH);
            let local = format!("{}.{token}", kind.letter());
            assert!(local.len() <= 64);
            assert_eq!(in_local_part(kind, &local.to_uppercase()), Some(token.clone()));
            assert_eq!(keys.verify(kind, &token), Some(meaning));
            assert_eq!(keys.verify(kind, &token.to_uppercase()), Some(meaning));
        }
    }

    #[test]
    fn one_kind_is_never_taken_for_another() {
        let keys = TokenKeys::of_lines(NEW).expect("a key");
        let kinds = [Kind::Reply, Kind::Message, Kind::Bounce];
        for made in kinds {
            let token = keys.mint(made, &meaning());
            for asked in kinds {
                assert_eq!(keys.verify(asked, &token).is_some(), made == asked, "{made:?} as {asked:?}");
            }
            assert_eq!(in_local_part(made, &format!("x.{token}")), None);
        }
    }

    #[test]
    fn no_changed_character_and_no_cut_token_holds() {
        let keys = TokenKeys::of_lines(NEW).expect("a key");
        let token = keys.mint(Kind::Reply, &meaning());
        for at in 0..token.len() {
            for letter in ALPHABET {
                let mut other = token.clone().into_bytes();
                other[at] = *letter;
                let other = String::from_utf8(other).expect("ASCII");
                assert_eq!(keys.verify(Kind::Reply, &other).is_some(), other == token, "{other}");
            }
            assert_eq!(keys.verify(Kind::Reply, &token[..at]), None);
        }
        for other in ["", "1", &format!("{token}a"), &token.replace(&token[..1], "1"), "ä"] {
            assert_eq!(keys.verify(Kind::Reply, other), None);
        }
    }

    #[test]
    fn old_tokens_hold_while_their_key_is_known_and_strangers_never() {
        let old = TokenKeys::of_lines(OLD).expect("a key");
        let both = TokenKeys::of_lines(&format!("{NEW}\n\n{OLD}\n")).expect("keys");
        let meaning = meaning();
        let (before, after) = (old.mint(Kind::Reply, &meaning), both.mint(Kind::Reply, &meaning));
        assert_eq!(both.verify(Kind::Reply, &before), Some(meaning));
        assert_eq!(both.verify(Kind::Reply, &after), Some(meaning));
        assert_eq!(old.verify(Kind::Reply, &after), None);
        // Even one that claims to be of a known key.
        let mut forged = bytes(&after).expect("a token");
        forged[0] = bytes(&before).expect("a token")[0];
        assert_eq!(old.verify(Kind::Reply, &base32(&forged)), None);
    }

    #[test]
    fn secrets_are_long_and_differ() {
        for bad in ["", "\n \n", "short", &format!("{NEW}\n{NEW}")] {
            assert!(TokenKeys::of_lines(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", TokenKeys::of_lines(NEW).expect("a key")), "TokenKeys");
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn what_may_be_a_token_is_seen_without_a_key() {
        for (local, token) in [
            ("r.abcdefghijklmnop", Some("abcdefghijklmnop")),
            ("R.ABCDEFGHIJKLMNOP", Some("abcdefghijklmnop")),
            ("r.abcdefghijklmno", None),
            ("r.abcdefghijklmno1", None),
            ("rabcdefghijklmnop", None),
            ("m.abcdefghijklmnop", None),
            ("r.", None),
        ] {
            assert_eq!(in_local_part(Kind::Reply, local).as_deref(), token, "{local}");
        }
    }
}
