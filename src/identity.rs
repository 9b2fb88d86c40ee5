//! Who a customer is, by the word of the site's own server: a JWT that it signed a moment ago.
//!
//! What signs decides what is taken: a token by the site's secret is HS256 and nothing else, a token by a key of its JWKS what
//! that key is for. The header of a token only chooses among them, so that no public key ever passes for a secret.

mod ring_provider;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    domain::{
        keys::{IdentitySecret, Sha256Digest},
        text::{CheckedText as _, EmailAddress, PersonName},
    },
    master_secret::{MasterSecret, Purpose},
};

/// The longest token, bytes.
pub const MAX_TOKEN: usize = 8192;
/// Keys of a JWKS at the most.
pub const MAX_KEYS: usize = 10;
/// From `iat` to `exp` at the most, seconds.
const LIFETIME: i64 = 300;
/// How far the clocks may be apart, seconds.
const SKEW: i64 = 60;
/// The longest `sub` and `jti`, characters.
const MAX_NAME: usize = 200;

/// A public key, as RFC 7517 writes it; what it is not for is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    pub kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

impl PublicKey {
    /// The algorithm that it is for and the key; else what is wrong with it, for people.
    ///
    /// # Errors
    /// When it is of another kind, or no point and no modulus of its kind.
    pub fn verifier(&self) -> Result<(Algorithm, DecodingKey), &'static str> {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let (algorithm, name, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_components(&part(&self.x))),
            ("EC", Some("P-256")) => {
                (Algorithm::ES256, "ES256", DecodingKey::from_ec_components(&part(&self.x), &part(&self.y)))
            }
            ("RSA", None) => {
                (Algorithm::RS256, "RS256", DecodingKey::from_rsa_components(&part(&self.n), &part(&self.e)))
            }
            _ => return Err("must be an Ed25519 key (EdDSA), a P-256 key (ES256) or an RSA key (RS256)"),
        };
        if self.alg.as_deref().is_some_and(|alg| alg != name) {
            return Err("has an `alg` that is not that of its kind: EdDSA, ES256 or RS256");
        }
        let key = key.map_err(|_| "is not in base64url")?;
        if ring_provider::is_sound(algorithm, &key) {
            Ok((algorithm, key))
        } else {
            Err("is no public key of its kind")
        }
    }
}

/// A JWKS, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    pub keys: Vec<PublicKey>,
}

/// What may verify the tokens of a site.
#[derive(Default)]
pub struct Verifiers {
    pub keys: Vec<PublicKey>,
    /// Secrets, opened.
    pub secrets: Vec<Vec<u8>>,
}

/// Who a token says the customer is.
#[derive(Debug)]
pub struct Identity {
    pub subject: String,
    pub email: EmailAddress,
    pub name: Option<PersonName>,
    /// Of its `jti`.
    pub once: Sha256Digest,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    email: String,
    name: Option<String>,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
    aud: String,
    jti: String,
}

/// Why a token is not taken: for the log of the server, never for whoever sent it.
pub type Refusal = &'static str;

/// Who a token says the customer is, if one of these may have signed it, for this site, at this moment.
///
/// # Errors
/// What is wrong with it.
pub fn verify(token: &str, site: Uuid, verifiers: &Verifiers, now: OffsetDateTime) -> Result<Identity, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err("it is too long");
    }
    ring_provider::install();
    let header = jsonwebtoken::decode_header(token).map_err(|_| "it is no JWT of a known algorithm")?;
    let keys: Vec<DecodingKey> = match header.alg {
        Algorithm::HS256 => {
            verifiers.secrets.iter().filter_map(|secret| DecodingKey::from_secret(secret).ok()).collect()
        }
        Algorithm::EdDSA | Algorithm::ES256 | Algorithm::RS256 => {
            let named = |key: &&PublicKey| header.kid.is_none() || key.kid.is_none() || key.kid == header.kid;
            let verifiers = verifiers.keys.iter().filter(named).filter_map(|key| key.verifier().ok());
            verifiers.filter(|(algorithm, _)| *algorithm == header.alg).map(|(_, key)| key).collect()
        }
        _ => return Err("its algorithm is none of EdDSA, ES256, RS256 and HS256"),
    };
    let mut validation = Validation::new(header.alg);
    // The times and the audience are looked at below, by one clock and as exactly as they are said.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let verified = keys.iter().find_map(|key| jsonwebtoken::decode::<Claims>(token, key, &validation).ok());
    let claims = verified.ok_or("no key of the site signed it, or a claim is missing or of another type")?.claims;
    check(claims, site, now.unix_timestamp())
}

fn check(claims: Claims, site: Uuid, now: i64) -> Result<Identity, Refusal> {
    let Claims { sub, email, name, iat, exp, nbf, aud, jti } = claims;
    if aud != site.to_string() {
        return Err("its `aud` is not the id of the site");
    }
    if exp.saturating_add(SKEW) <= now {
        return Err("it is expired");
    }
    if iat.saturating_sub(SKEW) > now || nbf.is_some_and(|nbf| nbf.saturating_sub(SKEW) > now) {
        return Err("it is of the future");
    }
    if exp <= iat || exp.saturating_sub(iat) > LIFETIME {
        return Err("its `exp` is not within five minutes after its `iat`");
    }
    let is_name = |text: &str| (1..=MAX_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if !is_name(&sub) || !is_name(&jti) {
        return Err("its `sub` or its `jti` is empty, too long, or has control characters");
    }
    let email = EmailAddress::parse(email).map_err(|_| "its `email` is no address")?;
    let name = name.map(PersonName::parse).transpose().map_err(|_| "its `name` is blank or too long")?;
    Ok(Identity { subject: sub, email, name, once: Sha256Digest::of(jti.as_bytes()) })
}

/// What a secret is sealed for.
fn purpose(site: Uuid) -> Purpose<'static> {
    Purpose::of_site("identity secret", site)
}

/// A secret, so that only this server reads it.
pub fn seal(server: &MasterSecret, site: Uuid, secret: &IdentitySecret) -> Vec<u8> {
    server.seal(&purpose(site), secret.reveal().as_bytes())
}

/// A secret that was sealed.
pub fn open(server: &MasterSecret, site: Uuid, sealed: &[u8]) -> Option<Vec<u8>> {
    server.open(&purpose(site), sealed)
}

/// By what this server opens sessions of a site: the first is the one whose digest is kept from now on, the others those of
/// before.
pub fn openers(server: &MasterSecret, site: Uuid) -> Vec<Vec<u8>> {
    let keys = server.keys(&Purpose::of_site("customer session opener", site));
    keys.into_iter().map(|key| key.bytes.to_vec()).collect()
}

/// The digest of the opener that is kept.
pub fn opener_hash(server: &MasterSecret, site: Uuid) -> Sha256Digest {
    Sha256Digest::of(openers(server, site).first().map_or(&[], Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use ring::{
        hmac,
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
        },
    };
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const SECRET: &[u8] = b"is_of_the_site_under_test";

    fn site() -> Uuid {
        Uuid::from_u128(7)
    }

    fn claims() -> Value {
        json!({
            "sub": "user-1", "email": "ada@example.com", "name": "Ada", "iat": NOW, "exp": NOW + 120,
            "aud": site().to_string(), "jti": "once",
        })
    }

    fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
    }

    fn by_secret(claims: &Value) -> String {
        token(&json!({"alg": "HS256"}), claims, |message| hs256(SECRET, message))
    }

    fn secrets() -> Verifiers {
        Verifiers { secrets: vec![b"another".to_vec(), SECRET.to_vec()], ..Verifiers::default() }
    }

    fn judge(token: &str, verifiers: &Verifiers) -> Result<Identity, Refusal> {
        verify(token, site(), verifiers, OffsetDateTime::from_unix_timestamp(NOW).expect("a time"))
    }

    fn encoded(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn public(kty: &str) -> PublicKey {
        PublicKey { kty: kty.to_owned(), crv: None, x: None, y: None, n: None, e: None, alg: None, kid: None }
    }

    type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

    /// A signer of each kind, with its public key.
    fn signers() -> Vec<(&'static str, PublicKey, Sign)> {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).expect("a key").as_ref());
        let ed = ed.expect("a key");
        let ed_public =
            PublicKey { crv: Some("Ed25519".to_owned()), x: Some(encoded(ed.public_key().as_ref())), ..public("OKP") };
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
        let point = ec.public_key().as_ref().to_vec();
        let ec_public = PublicKey {
            crv: Some("P-256".to_owned()),
            x: Some(encoded(&point[1..33])),
            y: Some(encoded(&point[33..])),
            ..public("EC")
        };
        let rsa = RsaKeyPair::from_der(&crate::mail::dkim::make().private).expect("a key");
        let parts: ring::rsa::PublicKeyComponents<Vec<u8>> = rsa.public().into();
        let rsa_public = PublicKey { n: Some(encoded(&parts.n)), e: Some(encoded(&parts.e)), ..public("RSA") };
        vec![
            ("EdDSA", ed_public, Box::new(move |message: &[u8]| ed.sign(message).as_ref().to_vec())),
            (
                "ES256",
                ec_public,
                Box::new(move |message: &[u8]| {
                    ec.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec()
                }),
            ),
            (
                "RS256",
                rsa_public,
                Box::new(move |message: &[u8]| {
                    let mut signature = vec![0; rsa.public().modulus_len()];
                    rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("signed");
                    signature
                }),
            ),
        ]
    }

    #[test]
    fn each_kind_of_key_verifies_what_it_signed_and_nothing_else() {
        let signers = signers();
        let all = Verifiers { keys: signers.iter().map(|(_, key, _)| key.clone()).collect(), ..secrets() };
        for (alg, key, sign) in &signers {
            let mine = token(&json!({"alg": alg}), &claims(), sign);
            let identity = judge(&mine, &all).expect("its own");
            assert_eq!((identity.subject.as_str(), identity.email.as_str()), ("user-1", "ada@example.com"));
            // Without its key, as another algorithm, changed, or with a key of another name.
            let others = all.keys.iter().filter(|other| *other != key).cloned().collect();
            assert!(judge(&mine, &Verifiers { keys: others, ..secrets() }).is_err(), "{alg}");
            for other in ["EdDSA", "ES256", "RS256", "HS256", "RS384", "PS256", "none"] {
                let confused = token(&json!({"alg": other}), &claims(), sign);
                assert_eq!(judge(&confused, &all).is_ok(), other == *alg, "{alg} as {other}");
            }
            let kept = Verifiers { keys: vec![PublicKey { kid: Some("a".to_owned()), ..key.clone() }], ..secrets() };
            for (kid, good) in [("a", true), ("b", false)] {
                let named = token(&json!({"alg": alg, "kid": kid}), &claims(), sign);
                assert_eq!(judge(&named, &kept).is_ok(), good, "{alg} {kid}");
            }
            let (head, signature) = mine.rsplit_once('.').expect("a signature");
            let forged = URL_SAFE_NO_PAD.encode(json!({"sub": "admin"}).to_string());
            let header = head.split('.').next().expect("a header");
            assert!(judge(&format!("{header}.{forged}.{signature}"), &all).is_err());
        }
    }

    #[test]
    fn a_public_key_is_no_secret_and_no_signature_is_none() {
        let signers = signers();
        for (alg, key, _) in &signers {
            let all = Verifiers { keys: vec![key.clone()], secrets: Vec::new() };
            let texts = [serde_json::to_string(key).expect("JSON"), key.x.clone().or(key.n.clone()).expect("a part")];
            let bytes = URL_SAFE_NO_PAD.decode(&texts[1]).expect("base64url");
            for secret in [texts[0].as_bytes(), texts[1].as_bytes(), &bytes, b""] {
                let confused = token(&json!({"alg": "HS256"}), &claims(), |message| hs256(secret, message));
                assert!(judge(&confused, &all).is_err(), "{alg}");
            }
        }
        for header in [json!({"alg": "none"}), json!({"alg": "None"}), json!({"typ": "JWT"}), json!({"alg": "HS512"})] {
            assert!(judge(&token(&header, &claims(), |_| Vec::new()), &secrets()).is_err(), "{header}");
            assert!(judge(&token(&header, &claims(), |message| hs256(SECRET, message)), &secrets()).is_err());
        }
        // What must be understood and is not.
        let critical = json!({"alg": "HS256", "crit": ["exp"], "exp": NOW});
        assert!(judge(&token(&critical, &claims(), |message| hs256(SECRET, message)), &secrets()).is_err());
        assert!(judge(&by_secret(&claims()), &secrets()).is_ok());
        assert!(judge(&by_secret(&claims()), &Verifiers::default()).is_err());
        for text in ["", "a", "a.b", "a.b.c", "....", &"x".repeat(MAX_TOKEN + 1)] {
            assert!(judge(text, &secrets()).is_err());
        }
    }

    #[test]
    fn each_claim_is_held_to_its_bounds() {
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            judge(&by_secret(&claims), &secrets())
        };
        assert!(with("sub", json!("user-1")).is_ok());
        let times = |iat: i64, exp: i64| {
            let mut claims = claims();
            claims["iat"] = json!(NOW + iat);
            claims["exp"] = json!(NOW + exp);
            judge(&by_secret(&claims), &secrets())
        };
        // Five minutes and no second more, whichever clock is off by a minute and no second more.
        assert!(times(0, 300).is_ok() && times(60, 360).is_ok() && times(-359, -59).is_ok());
        assert_eq!(times(0, 301).err(), Some("its `exp` is not within five minutes after its `iat`"));
        assert_eq!(times(0, 0).err(), Some("its `exp` is not within five minutes after its `iat`"));
        assert_eq!(times(61, 120).err(), Some("it is of the future"));
        assert_eq!(times(-360, -60).err(), Some("it is expired"));
        assert!(times(i64::MIN, 0).is_err() && times(0, i64::MAX - NOW).is_err());
        assert!(with("nbf", json!(NOW + 60)).is_ok() && with("nbf", json!(NOW + 61)).is_err());
        assert_eq!(with("aud", json!(Uuid::from_u128(8))).err(), Some("its `aud` is not the id of the site"));
        assert!(with("aud", json!([site()])).is_err());
        for (name, value) in [
            ("sub", json!("")),
            ("sub", json!("x".repeat(201))),
            ("sub", json!(1)),
            ("sub", Value::Null),
            ("jti", json!("")),
            ("jti", Value::Null),
            ("email", json!("ada")),
            ("email", Value::Null),
            ("name", json!(" ")),
            ("name", json!("x".repeat(201))),
            ("exp", json!((NOW + 120).to_string())),
            ("exp", Value::Null),
            ("iat", Value::Null),
            ("aud", Value::Null),
        ] {
            assert!(with(name, value.clone()).is_err(), "{name} {value}");
        }
        assert!(with("name", Value::Null).is_ok());
    }

    #[test]
    fn a_key_is_refused_when_it_is_saved_and_not_when_it_is_used() {
        for (_, key, _) in signers() {
            assert!(key.verifier().is_ok());
            assert!(PublicKey { alg: Some("HS256".to_owned()), ..key.clone() }.verifier().is_err());
            assert!(
                PublicKey { x: Some(encoded(b"short")), n: Some(encoded(b"short")), ..key.clone() }.verifier().is_err()
            );
            assert!(PublicKey { x: Some("%".to_owned()), n: Some("%".to_owned()), ..key }.verifier().is_err());
        }
        assert!(public("oct").verifier().is_err());
        assert!(PublicKey { crv: Some("P-384".to_owned()), ..public("EC") }.verifier().is_err());
    }
}
