//! The gate of mail that comes in: by the address that it was sent to it becomes one site for one transaction, and may do
//! nothing there but add mail.

use sqlx::Row as _;

use super::{ConnectionLease, Pool, Session};
use crate::domain::{keys::Sha256Digest, problem::Problem};

/// The gate of mail: the login `vicket_gate_mail`, which may do nothing but enter the site of an address.
#[derive(Clone)]
pub struct MailGate {
    pool: Pool,
}

impl MailGate {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Begins a transaction and enters the site of an address, by its digest; `None` when there is no such address.
    ///
    /// # Errors
    /// `503` when no connection is to be had.
    pub async fn enter(&self, recipient: Sha256Digest) -> Result<Option<MailTx>, Problem> {
        let entered = self.pool.start(Some(recipient), |mut lease| async move {
            let _entering = self.pool.entering();
            sqlx::raw_sql("BEGIN READ WRITE").execute(lease.connection()).await?;
            let query = sqlx::query("select auth.enter_recipient($1)").bind(recipient.as_bytes().as_slice());
            let verdict: String = query.fetch_one(lease.connection()).await?.try_get(0)?;
            Ok((lease, verdict == "entered"))
        });
        let (lease, entered) = entered.await?;
        if entered {
            return Ok(Some(MailTx { lease }));
        }
        lease.roll_back().await?;
        Ok(None)
    }

    /// The pool, for the start-up checks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// A transaction that already is the site of an address. Dropped without [`MailTx::finish`], it closes its connection, which
/// rolls back.
pub struct MailTx {
    lease: ConnectionLease,
}

impl MailTx {
    /// For `store/` only: every statement goes through here.
    pub fn connection(&mut self) -> &mut Session {
        self.lease.connection()
    }

    /// Commits when `result` is good, rolls back when it is not, and passes it on.
    ///
    /// # Errors
    /// Those of `result`; `5xx` when the commit itself fails.
    pub async fn finish<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        self.lease.end(result).await
    }

    /// Rolls back: it was asked only whether there is such an address.
    ///
    /// # Errors
    /// `5xx` when PostgreSQL does not answer.
    pub async fn leave(self) -> Result<(), Problem> {
        self.lease.roll_back().await
    }
}
