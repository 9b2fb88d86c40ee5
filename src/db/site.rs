//! The gate of the support surface: a publishable key enters its site.

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{Access, Exchange, Pool};
use crate::{
    keys::{Sha256Digest, TicketToken},
    problem::Problem,
};

/// What a request brings to the gate: digests only.
#[derive(Clone, Copy)]
pub struct Knock {
    pub access: Access,
    pub key: Sha256Digest,
    /// Digest of the `Origin` header as it was sent.
    pub origin: Option<Sha256Digest>,
    /// Digest of the ticket token: sent by a customer, or of the one that this request issues.
    pub ticket: Option<Sha256Digest>,
}

/// What `auth.enter` answered about a known key.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key_id: Uuid,
    pub key_staged: bool,
    pub org_id: Uuid,
    pub site_id: Uuid,
    /// Grows with every change of what a reader of this site could see, but for view counts.
    pub content_version: i64,
    /// Grows with every batch of view counts that a reader of this site could see.
    pub views_version: i64,
    pub limits: SiteLimits,
    /// The request's origin is in the site's list.
    pub origin_listed: bool,
}

/// Requests a minute: of the whole site, and of one client network within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteLimits {
    pub reads: u32,
    pub writes: u32,
    pub network_reads: u32,
    pub network_writes: u32,
}

/// The answer of the gate.
pub enum Verdict {
    Entered(SiteTx),
    /// No such key is active or staged. Says whether some site lists the origin.
    Unknown {
        origin_known: bool,
    },
}

/// The gate of the support surface: the login `vicket_gate_widget`, which may do nothing but become a site.
pub struct WidgetGate {
    pool: Pool,
}

impl WidgetGate {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Begins a transaction and enters the site of the key, in one round trip.
    ///
    /// # Errors
    /// `503` when no connection is to be had; an unknown key is a verdict and no error.
    pub async fn enter(&self, knock: &Knock) -> Result<Verdict, Problem> {
        let (exchange, rows) = self.pool.send(&entering(knock)).await?;
        let row = rows.first().ok_or_else(|| Problem::internal("auth.enter answered no row"))?;
        if row.try_get::<&str, _>("verdict")? != "entered" {
            let origin_known = row.try_get("origin_known")?;
            exchange.roll_back().await?;
            return Ok(Verdict::Unknown { origin_known });
        }
        let entry = entry(row)?;
        Ok(Verdict::Entered(SiteTx { exchange, entry, access: knock.access, issued_token: None }))
    }

    /// Whether some site lists this origin: what a preflight, which carries no key, is answered by.
    ///
    /// # Errors
    /// `503` when no connection is to be had.
    pub async fn origin_known(&self, origin: Sha256Digest) -> Result<bool, Problem> {
        let message = format!("SELECT auth.origin_known('\\x{}')", origin.to_hex());
        let (exchange, rows) = self.pool.send(&message).await?;
        exchange.finish();
        let row = rows.first().ok_or_else(|| Problem::internal("auth.origin_known answered no row"))?;
        Ok(row.try_get(0)?)
    }

    /// The pool, for the start-up checks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// The one message that enters a site. Only hex digests that we computed ourselves stand in its text.
fn entering(knock: &Knock) -> String {
    let hex = |digest: Option<Sha256Digest>| digest.map(Sha256Digest::to_hex).unwrap_or_default();
    let begin = match knock.access {
        Access::Read => "BEGIN READ ONLY",
        Access::Write => "BEGIN READ WRITE",
    };
    format!(
        "{begin}; SELECT * FROM auth.enter_site('\\x{}', '\\x{}', '\\x{}')",
        knock.key.to_hex(),
        hex(knock.origin),
        hex(knock.ticket),
    )
}

fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    let figure = |column: &str| row.try_get::<i32, _>(column).map(i32::cast_unsigned);
    Ok(Entry {
        key_id: row.try_get("key_id")?,
        key_staged: row.try_get::<&str, _>("key_state")? == "staged",
        org_id: row.try_get("org_id")?,
        site_id: row.try_get("site_id")?,
        content_version: row.try_get("content_version")?,
        views_version: row.try_get("views_version")?,
        limits: SiteLimits {
            reads: figure("reads_per_minute")?,
            writes: figure("writes_per_minute")?,
            network_reads: figure("network_reads_per_minute")?,
            network_writes: figure("network_writes_per_minute")?,
        },
        origin_listed: row.try_get("origin_listed")?,
    })
}

/// A transaction that already is a site: row-level security filters every statement by it. Dropped without
/// [`SiteTx::finish`], it closes its connection, which rolls back.
pub struct SiteTx {
    exchange: Exchange,
    entry: Entry,
    access: Access,
    issued_token: Option<TicketToken>,
}

impl SiteTx {
    /// What the gate said of this key.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// For `store/` only: every statement goes through here.
    pub fn connection(&mut self) -> &mut PgConnection {
        self.exchange.connection()
    }

    /// Keeps the token whose digest this transaction entered with, for the ticket that it may insert.
    #[must_use]
    pub fn issuing(mut self, token: Option<TicketToken>) -> Self {
        self.issued_token = token;
        self
    }

    /// The token that this transaction may issue; once.
    pub fn take_issued_token(&mut self) -> Option<TicketToken> {
        self.issued_token.take()
    }

    /// Commits when `result` is good, rolls back when it is not, and passes it on. The connection is reused only when
    /// PostgreSQL has answered.
    ///
    /// # Errors
    /// Those of `result`; `5xx` when the commit itself fails.
    pub async fn finish<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        self.exchange.end(result).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entering_message_holds_digests_and_no_callers_text() {
        let message = entering(&Knock {
            access: Access::Read,
            key: Sha256Digest::of(b"'; drop table x; --"),
            origin: Some(Sha256Digest::of(b"https://a.example")),
            ticket: None,
        });
        assert!(message.starts_with("BEGIN READ ONLY; SELECT * FROM auth.enter_site('\\x"));
        assert!(!message.contains("drop") && !message.contains("example"));
    }
}
