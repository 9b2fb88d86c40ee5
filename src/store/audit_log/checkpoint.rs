//! Checkpoints: where an org's chain stood when a month was taken out of it, signed with a key that no database has.

use std::path::Path;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use sqlx::FromRow;
use time::Date;
use uuid::Uuid;

use crate::{db::OrgTx, domain::problem::Problem};

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410).
const ED25519_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Entries of an org that were detached, and how their chain ended.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Checkpoint {
    pub org_id: Uuid,
    /// The first day of the month; earlier ones may be in it.
    pub month: Date,
    pub first_seq: i64,
    pub last_seq: i64,
    /// Of the entry `last_seq`, 32 bytes.
    pub last_hash: Vec<u8>,
    /// Ed25519, 32 bytes.
    pub public_key: Vec<u8>,
    /// Ed25519, 64 bytes, of [`Checkpoint::text`].
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// What is signed.
    pub fn text(&self) -> String {
        let Self { org_id, month, first_seq, last_seq, .. } = self;
        let (year, number) = (month.year(), u8::from(month.month()));
        let hash = hex(&self.last_hash);
        format!(
            "vicket audit checkpoint\norg {org_id}\nmonth {year:04}-{number:02}\nentries {first_seq} to {last_seq}\nhash {hash}\n"
        )
    }

    fn is_signed(&self) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public_key).verify(self.text().as_bytes(), &self.signature).is_ok()
    }

    /// Of the key that signed it, as `ssh-keygen -l` shows keys: SHA-256 in base64.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.public_key)))
    }
}

/// An Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Reads the PEM that `openssl pkey -pubout` writes.
    ///
    /// # Errors
    /// When the file cannot be read or holds no such key.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| file.display().to_string())?;
        let info = SubjectPublicKeyInfoDer::from_pem_slice(&text)
            .map_err(|error| anyhow::anyhow!("{}: no public key in PEM: {error}", file.display()))?;
        match info.strip_prefix(&ED25519_INFO) {
            Some(key) if key.len() == 32 => Ok(Self(key.to_vec())),
            _ => anyhow::bail!("{}: the key is not an Ed25519 key", file.display()),
        }
    }
}

/// An Ed25519 key that signs checkpoints.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads the PEM that `openssl genpkey -algorithm ed25519` writes.
    ///
    /// # Errors
    /// When the file cannot be read or holds no such key.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| file.display().to_string())?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&text)
            .map_err(|error| anyhow::anyhow!("{}: no private key in PEM (PKCS #8): {error}", file.display()))?;
        // OpenSSL writes no public half, which this computes.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|error| anyhow::anyhow!("{}: the key is not an Ed25519 key: {error}", file.display()))?;
        Ok(Self(pair))
    }

    /// Signs a checkpoint, whichever key it named.
    pub fn sign(&self, checkpoint: &mut Checkpoint) {
        checkpoint.public_key = self.0.public_key().as_ref().to_vec();
        checkpoint.signature = self.0.sign(checkpoint.text().as_bytes()).as_ref().to_vec();
    }
}

/// The org's checkpoints, in the order of its entries.
///
/// # Errors
/// `5xx` only.
pub async fn all(tx: &mut OrgTx) -> Result<Vec<Checkpoint>, Problem> {
    Ok(sqlx::query_as(
        "select c.org_id, c.month, c.first_seq, c.last_seq, c.last_hash, c.public_key, c.signature
        from vicket.audit_checkpoints c
        order by c.first_seq",
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Writes a checkpoint.
///
/// # Errors
/// `5xx` only.
pub async fn insert(tx: &mut OrgTx, checkpoint: &Checkpoint) -> Result<(), Problem> {
    sqlx::query(
        "insert into vicket.audit_checkpoints (month, first_seq, last_seq, last_hash, public_key, signature)
        values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(checkpoint.month)
    .bind(checkpoint.first_seq)
    .bind(checkpoint.last_seq)
    .bind(&checkpoint.last_hash)
    .bind(&checkpoint.public_key)
    .bind(&checkpoint.signature)
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The first that does not hold, by an entry of it, and why.
pub fn fault(checkpoints: &[Checkpoint], key: Option<&PublicKey>) -> Option<(i64, String)> {
    let mut last = 0;
    for checkpoint in checkpoints {
        let said = |what: &str| Some((checkpoint.first_seq, format!("the checkpoint of {} {what}", checkpoint.month)));
        if checkpoint.first_seq != last + 1 {
            return said("does not follow the one before it");
        }
        if !checkpoint.is_signed() {
            return said("is not what was signed");
        }
        if key.is_some_and(|PublicKey(key)| *key != checkpoint.public_key) {
            return said("was signed with another key");
        }
        last = checkpoint.last_seq;
    }
    None
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
