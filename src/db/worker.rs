//! The login of background work, which is no tenant's.

use sqlx::{
    FromRow, Postgres,
    postgres::{PgArguments, PgRow},
    query::{Query, QueryAs, QueryScalar},
};

use super::{NOBODY, Pool};
use crate::domain::problem::Problem;

/// The login of background work: EXECUTE on a few functions of the schema `worker`, and no table.
pub struct Worker {
    pool: Pool,
}

impl Worker {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Runs one statement of background work on a connection of the worker.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn execute(&self, query: Query<'_, Postgres, PgArguments>) -> Result<(), Problem> {
        let mut lease = self.pool.lease(NOBODY).await?;
        query.execute(lease.connection()).await?;
        lease.finish();
        Ok(())
    }

    /// One column of text of one statement of background work.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn list(&self, query: QueryScalar<'_, Postgres, String, PgArguments>) -> Result<Vec<String>, Problem> {
        let mut lease = self.pool.lease(NOBODY).await?;
        let rows = query.fetch_all(lease.connection()).await?;
        lease.finish();
        Ok(rows)
    }

    /// The row of one statement of background work, where it has one.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn row<T>(&self, query: QueryAs<'_, Postgres, T, PgArguments>) -> Result<Option<T>, Problem>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut lease = self.pool.lease(NOBODY).await?;
        let row = query.fetch_optional(lease.connection()).await?;
        lease.finish();
        Ok(row)
    }

    /// The rows of one statement of background work.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn rows<T>(&self, query: QueryAs<'_, Postgres, T, PgArguments>) -> Result<Vec<T>, Problem>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut lease = self.pool.lease(NOBODY).await?;
        let rows = query.fetch_all(lease.connection()).await?;
        lease.finish();
        Ok(rows)
    }

    /// The pool, for the start-up checks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
