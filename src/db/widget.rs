//! The gate of the support surface, with the standby that it may read from.

use sqlx::{FromRow, postgres::PgRow};

use super::{
    Pool,
    proof::{Proofs, Question},
    replica::Replica,
    site::{self, Call, Entry, EntryRequest, Verdict},
};
use crate::domain::{keys::Sha256Digest, problem::Problem};

/// The gate of the support surface: the login `vicket_gate_widget`, which may do nothing but become a site.
#[derive(Clone)]
pub struct WidgetGate {
    pool: Pool,
    proofs: Proofs,
    replica: Option<Replica>,
}

impl WidgetGate {
    /// `replica`: the same login on a standby, for published content.
    pub fn new(pool: Pool, replica: Option<Pool>) -> Self {
        Self { proofs: Proofs::new(pool.clone()), pool, replica: replica.map(Replica::new) }
    }

    /// Asks about the key, in one round trip that it shares with whoever asks at the same time: whether it is good now, and
    /// for what versions of the content an answer is fresh now. It gives no way to a table.
    ///
    /// # Errors
    /// `503` when no connection is to be had; an unknown key is a verdict and no error.
    pub async fn prove(&self, entry_request: &EntryRequest) -> Result<Verdict<Entry>, Problem> {
        let verdict = self.proofs.of(Question { key: Some(entry_request.key), origin: entry_request.origin }).await?;
        if let Verdict::Entered(entry) = &verdict {
            entry.note();
        }
        Ok(verdict)
    }

    /// Reads published content, in one round trip: on the replica, where there is one that knows the key and has all that the
    /// primary `proved` a moment ago; else on the primary.
    pub(super) async fn read(
        &self,
        entry_request: &EntryRequest,
        proved: &Entry,
        call: &'static str,
        bind: impl Fn(Call) -> Call,
    ) -> Result<Verdict<(Entry, Vec<PgRow>)>, Problem> {
        if let Some(replica) = &self.replica
            && let Some(read) = replica.read(entry_request, proved, call, &bind).await
        {
            return Ok(Verdict::Entered(read));
        }
        site::read(&self.pool, entry_request, call, bind).await
    }

    /// Begins a transaction and enters the site of the key, in two round trips.
    ///
    /// # Errors
    /// `503` when no connection is to be had; an unknown key is a verdict and no error.
    pub async fn enter(&self, entry_request: &EntryRequest) -> Result<Verdict, Problem> {
        site::enter(&self.pool, entry_request).await
    }

    /// The gate as the holder of a key asks it, before any role is taken.
    pub fn keyed(&self, key: Sha256Digest) -> KeyedGate<'_> {
        KeyedGate { gate: self, key }
    }

    /// Whether some site lists this origin: what a preflight, which carries no key, is answered by.
    ///
    /// # Errors
    /// `503` when no connection is to be had.
    pub async fn origin_known(&self, origin: Sha256Digest) -> Result<bool, Problem> {
        match self.proofs.of(Question { key: None, origin: Some(origin) }).await? {
            Verdict::Unknown { origin_known } => Ok(origin_known),
            Verdict::Entered(_) => Err(Problem::internal("no key opened a site")),
        }
    }

    /// How many keys were asked about since the start, and in how many round trips.
    pub fn proofs(&self) -> (u64, u64) {
        self.proofs.counts()
    }

    /// The pool, for the start-up checks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The pool of the replica, for the start-up checks.
    pub fn replica(&self) -> Option<&Pool> {
        self.replica.as_ref().map(Replica::pool)
    }
}

/// The gate with a key: it asks functions of the schema `auth`, whose first parameter is the digest of the key.
#[derive(Clone, Copy)]
pub struct KeyedGate<'a> {
    gate: &'a WidgetGate,
    key: Sha256Digest,
}

impl KeyedGate<'_> {
    /// Asks one function, in a transaction of its own. For `store/` only.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn ask<T>(&self, sql: &'static str, bind: impl FnOnce(Call) -> Call) -> Result<T, Problem>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        // BEGIN is the test of the connection, after which the function itself is tried once.
        let mut lease = self.gate.pool.begin("BEGIN").await?;
        let call = bind(sqlx::query(sql).bind(self.key.as_bytes().to_vec()));
        let row = call.fetch_one(lease.connection()).await.map_err(Problem::from);
        Ok(T::from_row(&lease.end(row).await?)?)
    }
}
