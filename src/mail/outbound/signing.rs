//! Whose mail may be from an address of its own, and is signed for its domain: that of a site whose key the domain's DNS holds.

use std::{fmt, sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    domain::problem::Problem,
    mail::{
        dkim::{self, Signer},
        dns::Dns,
    },
    master_secret::{MasterSecret, Purpose},
    store::dkim_keys::{DkimKey, SenderKey},
};

/// Keys that are remembered.
const KNOWN: usize = 1000;

/// How long somebody waits for their turn to make one.
const WAIT: Duration = Duration::from_secs(10);

/// What a key is sealed for.
fn purpose(site: Uuid, selector: &str) -> Purpose<'_> {
    Purpose::of_site("dkim key", site).which(selector)
}

/// Keys are made one after the other: each takes a processor for about a second.
static TURN: Semaphore = Semaphore::const_new(1);

/// A new key of a site, for the domain of its own address; and what signs, sealed.
///
/// # Errors
/// `422 unprocessable` when the site has no address of its own, or the server no secret; `503 overloaded` when too many wait.
pub async fn make(
    secret: Option<&MasterSecret>,
    site: Uuid,
    address: Option<&str>,
) -> Result<(DkimKey, Vec<u8>), Problem> {
    let secret = secret.ok_or_else(|| {
        Problem::unprocessable("site", "cannot have a key: this server has no secret to seal it by (--secret-key-file)")
    })?;
    let (_, domain) = address
        .and_then(|address| address.rsplit_once('@'))
        .ok_or_else(|| Problem::unprocessable("site", "needs an address of its own first, which says the domain"))?;
    let turn = tokio::time::timeout(WAIT, TURN.acquire()).await;
    let _turn = turn.map_err(|_| Problem::overloaded("too many keys are made"))?.map_err(Problem::internal)?;
    let made = tokio::task::spawn_blocking(dkim::make).await.map_err(Problem::internal)?;
    let selector = format!("vicket-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let sealed = secret.seal(&purpose(site, &selector), &made.private);
    let key = DkimKey {
        selector,
        domain: domain.to_lowercase(),
        public_key: made.public,
        created_at: OffsetDateTime::now_utc(),
    };
    Ok((key, sealed))
}

/// Whether DNS proves the domain of an address: it holds one of these keys, which are those of the address's site.
pub async fn proves(dns: &Dns, address: &str, keys: &[DkimKey]) -> bool {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let source = dns.source();
    for key in keys.iter().filter(|key| key.domain.eq_ignore_ascii_case(domain)) {
        let texts = source.texts(&format!("{}._domainkey.{}", key.selector, key.domain)).await;
        if texts.is_ok_and(|texts| texts.iter().any(|text| dkim::holds(text, &key.public_key))) {
            return true;
        }
    }
    false
}

/// Signs mail of sites.
pub struct Signing {
    secret: Arc<MasterSecret>,
    dns: Arc<Dns>,
    /// What DNS said of a key last, for while it does not answer.
    proven: Cache<(Uuid, String, String), bool>,
    signers: Cache<(Uuid, String, String), Arc<Signer>>,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signing")
    }
}

impl Signing {
    pub fn new(secret: Arc<MasterSecret>, dns: Arc<Dns>) -> Self {
        Self { secret, dns, proven: Cache::new(KNOWN), signers: Cache::new(KNOWN) }
    }

    /// Whether the key's record is in its domain's DNS.
    async fn is_proven(&self, key: &SenderKey) -> bool {
        let known = (key.site_id, key.selector.clone(), key.domain.clone());
        match self.dns.source().texts(&format!("{}._domainkey.{}", key.selector, key.domain)).await {
            Ok(texts) => {
                let proven = texts.iter().any(|text| dkim::holds(text, &key.public_key));
                self.proven.insert(known, proven);
                proven
            }
            Err(_) => self.proven.get(&known).unwrap_or(false),
        }
    }

    /// Whether DNS proves the domain of an address, by one of these keys of its site.
    pub async fn proves(&self, address: &str, keys: &[DkimKey]) -> bool {
        proves(&self.dns, address, keys).await
    }

    /// By which of these keys, the newest first, a mail is signed; `None` when no domain's DNS holds one.
    pub async fn signer(&self, keys: &[SenderKey]) -> Option<Arc<Signer>> {
        for key in keys {
            if !self.is_proven(key).await {
                continue;
            }
            let known = (key.site_id, key.selector.clone(), key.domain.clone());
            if let Some(signer) = self.signers.get(&known) {
                return Some(signer);
            }
            let opened = self.secret.open(&purpose(key.site_id, &key.selector), &key.sealed_key);
            let signer = opened
                .ok_or_else(|| "it was sealed by another secret".to_owned())
                .and_then(|private| Signer::new(private, &key.domain, &key.selector));
            match signer {
                Ok(signer) => {
                    let signer = Arc::new(signer);
                    self.signers.insert(known, Arc::clone(&signer));
                    return Some(signer);
                }
                Err(why) => tracing::warn!(selector = key.selector, why, "a key for signing mail cannot be used"),
            }
        }
        None
    }
}
