//! The RSA keys by which mail is signed: made, written down, and used.
//!
//! `ring` signs and cannot make a key, and the `rsa` crate has an open advisory for what it does with private keys. So the primes
//! come from `crypto-primes`, the rest of the key is arithmetic on them, and `ring` checks the whole key before it is used.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto_bigint::{NonZero, Odd, U1024, U4096};
use crypto_primes::{
    Flavor,
    hazmat::{SetBits, SmallFactorsSieveFactory},
    is_prime, sieve_and_find,
};
use mail_auth::{
    common::{
        crypto::{RsaKey, Sha256},
        headers::HeaderWriter as _,
    },
    dkim::{Canonicalization, DkimSigner, Done},
};
use rand::{rand_core::UnwrapErr, rngs::SysRng};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer};

/// Bits of a modulus. Everybody takes as many; longer ones do not fit into a text record by themselves.
const PRIME_BITS: u32 = 1024;
const EXPONENT: u64 = 65_537;
/// What is signed, where a mail has it. Not Message-ID, which some servers on the way write anew, and nothing that is absent: who
/// adds a Reply-To changes where answers go, so that one is always held.
const SIGNED: [&str; 10] = [
    "From",
    "Reply-To",
    "To",
    "Subject",
    "Date",
    "MIME-Version",
    "Content-Type",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
];

/// A key pair as it is kept.
pub struct NewKey {
    /// PKCS #1, DER: to be sealed.
    pub private: Vec<u8>,
    /// `SubjectPublicKeyInfo` in Base64, as the DNS record has it.
    pub public: String,
}

/// A number as DER writes it.
fn integer(number: &U4096) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let bytes: &[u8] = bytes.as_ref();
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    // A first bit that is set would be a sign.
    let sign = if bytes[start] & 0x80 == 0 { &[][..] } else { &[0][..] };
    tagged(0x02, &[sign, &bytes[start..]].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![tag];
    match length {
        [short] if *short < 0x80 => der.push(*short),
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            der.extend(long);
        }
    }
    der.extend(content);
    der
}

/// A prime whose two highest bits are set, so that the product of two has all its bits.
fn prime() -> U4096 {
    let mut random = UnwrapErr(SysRng);
    loop {
        let candidates = SmallFactorsSieveFactory::<U1024>::new(Flavor::Any, PRIME_BITS, SetBits::TwoMsb)
            .expect("a prime may have so many bits");
        let found = sieve_and_find(&mut random, candidates, |_, candidate| is_prime(Flavor::Any, candidate));
        let prime = found.expect("the number fits its bits").expect("there is always another candidate").resize();
        // The exponent has an inverse.
        if remainder(&less_one(&prime)) != 0 {
            return prime;
        }
    }
}

fn less_one(number: &U4096) -> U4096 {
    number.wrapping_sub(&U4096::ONE)
}

fn exponent() -> NonZero<U4096> {
    NonZero::new(U4096::from_u64(EXPONENT)).expect("it is not zero")
}

/// Of a division by the exponent.
fn remainder(number: &U4096) -> u64 {
    let rest = number.rem_vartime(&exponent()).to_be_bytes();
    let rest: &[u8] = rest.as_ref();
    rest[rest.len() - 8..].iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte))
}

/// The inverse of the exponent modulo `modulus`: `(1 + k * modulus) / e`, for the k with which that is a whole number.
fn inverse_of_exponent(modulus: &U4096) -> U4096 {
    let (mut inverse, mut base, mut power) = (1, remainder(modulus), EXPONENT - 2);
    while power > 0 {
        if power & 1 == 1 {
            inverse = inverse * base % EXPONENT;
        }
        base = base * base % EXPONENT;
        power >>= 1;
    }
    let factor = U4096::from_u64(EXPONENT - inverse);
    modulus.wrapping_mul(&factor).wrapping_add(&U4096::ONE).div_rem_vartime(&exponent()).0
}

/// A new key pair of 2,048 bits. Takes about a second of a processor.
pub fn make() -> NewKey {
    let (p, q) = loop {
        let (one, other) = (prime(), prime());
        if one != other {
            break if one > other { (one, other) } else { (other, one) };
        }
    };
    let modulus = p.wrapping_mul(&q);
    let private = inverse_of_exponent(&less_one(&p).wrapping_mul(&less_one(&q)));
    let odd: Odd<U1024> = Option::from(Odd::new(p.resize())).expect("a prime of many bits is odd");
    let inverse: Option<U1024> = q.resize::<{ U1024::LIMBS }>().invert_odd_mod(&odd).into();
    let inverse = inverse.expect("two primes have no common factor").resize();
    let numbers = [
        U4096::ZERO,
        modulus,
        *exponent(),
        private,
        p,
        q,
        inverse_of_exponent(&less_one(&p)),
        inverse_of_exponent(&less_one(&q)),
        inverse,
    ];
    let public = tagged(0x30, &[integer(&modulus), integer(&exponent())].concat());
    // rsaEncryption, and no parameters.
    let algorithm: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = tagged(0x03, &[&[0][..], &public].concat());
    NewKey {
        private: tagged(0x30, &numbers.iter().flat_map(integer).collect::<Vec<u8>>()),
        public: STANDARD.encode(tagged(0x30, &[algorithm, &bits].concat())),
    }
}

/// Signs mail of a domain.
pub struct Signer(DkimSigner<RsaKey<Sha256>, Done>);

impl Signer {
    /// # Errors
    /// When the key is none that can be used.
    pub fn new(private: Vec<u8>, domain: &str, selector: &str) -> Result<Self, String> {
        let key = RsaKey::<Sha256>::from_key_der(PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(private)))
            .map_err(|error| error.to_string())?;
        let signer = DkimSigner::from_key(key)
            .domain(domain)
            .selector(selector)
            .headers(SIGNED)
            .header_canonicalization(Canonicalization::Relaxed)
            .body_canonicalization(Canonicalization::Relaxed);
        Ok(Self(signer))
    }

    /// The message with its signature above it.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let signature = self.0.sign(message).map_err(|error| error.to_string())?;
        Ok([signature.to_header().as_bytes(), message].concat())
    }
}

/// The text of the DNS record of a key.
pub fn record(public: &str) -> String {
    format!("v=DKIM1; k=rsa; p={public}")
}

/// Whether a text of a DNS record holds this key.
pub fn holds(text: &str, public: &str) -> bool {
    let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
    tags.any(|(name, value)| name.trim() == "p" && value.chars().filter(|c| !c.is_whitespace()).eq(public.chars()))
}

#[cfg(test)]
mod tests {
    use mail_auth::{AuthenticatedMessage, DkimResult};

    use super::*;
    use crate::mail::dns::Dns;

    const MESSAGE: &str = "From: Acme <help@acme.example>\r\nTo: ada@example.com\r\nSubject: Hello\r\n\
                           Message-ID: <m.1@acme.example>\r\n\r\nHello.\r\n";

    #[test]
    fn numbers_are_written_as_der_has_them() {
        assert_eq!(integer(&U4096::ZERO), [2, 1, 0]);
        assert_eq!(integer(&U4096::from_u64(127)), [2, 1, 127]);
        assert_eq!(integer(&U4096::from_u64(128)), [2, 2, 0, 128]);
        assert_eq!(tagged(4, &[7; 130])[..3], [4, 0x81, 130]);
        assert_eq!(tagged(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn a_small_key_is_the_one_that_arithmetic_says() {
        // e * d = 1 modulo (p - 1)(q - 1), with p and q small enough to be seen.
        let modulus = U4096::from_u64(1_000_003 * 999_983);
        let inverse = inverse_of_exponent(&modulus);
        let product = inverse.wrapping_mul(&U4096::from_u64(EXPONENT));
        assert_eq!(product.rem_vartime(&NonZero::new(modulus).expect("not zero")), U4096::ONE);
    }

    #[tokio::test]
    async fn what_is_signed_by_a_new_key_holds_by_its_record_and_what_was_changed_does_not() {
        let (one, other) = (make(), make());
        assert_ne!(one.public, other.public);
        let bits = ring::rsa::KeyPair::from_der(&one.private).expect("ring takes it").public().modulus_len() * 8;
        assert_eq!(bits, 2048);
        let path = std::env::temp_dir().join(format!("vicket-dkim-{}", std::process::id()));
        let line = format!("v1._domainkey.acme.example TXT {}\n", record(&one.public));
        std::fs::write(&path, line).expect("written");
        let source = Dns::open(Some(&path)).expect("a file").source();
        std::fs::remove_file(&path).expect("removed");
        let results = async |message: &[u8]| {
            let read = AuthenticatedMessage::parse_with_opts(message, None, true).expect("a message");
            let authenticator = source.authenticator().expect("one");
            let outputs = authenticator.verify_dkim(source.answers(&read)).await;
            assert_eq!(outputs.len(), 1);
            outputs[0].result() == &DkimResult::Pass
        };
        let signer = Signer::new(one.private, "acme.example", "v1").expect("a signer");
        let signed = signer.sign(MESSAGE.as_bytes()).expect("signed");
        assert!(results(&signed).await);
        let text = String::from_utf8(signed).expect("ASCII");
        // Servers on the way may write it anew.
        assert!(results(text.replace("<m.1@", "<m.2@").as_bytes()).await);
        for (from, to) in [("Hello.", "Hullo."), ("Subject: Hello", "Subject: Hallo"), ("help@acme", "self@acme")] {
            assert!(!results(text.replace(from, to).as_bytes()).await, "{from}");
        }
        let wrong = Signer::new(other.private, "acme.example", "v1").expect("a signer");
        assert!(!results(&wrong.sign(MESSAGE.as_bytes()).expect("signed")).await);
    }

    #[test]
    fn a_record_holds_a_key_however_it_is_spaced() {
        assert!(holds(&record("AB+/c="), "AB+/c="));
        assert!(holds("v=DKIM1;p=AB+/ c=", "AB+/c="));
        assert!(!holds("v=DKIM1; p=AB+/d=", "AB+/c="));
        assert!(!holds("v=DKIM1; p=", "AB+/c="));
    }
}
