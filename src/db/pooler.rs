//! What may stand between the server and PostgreSQL.
//!
//! A pooler that hands one connection to several clients by turns is fine if it keeps a transaction on one connection, and
//! gives the statements that each client prepared names of its own. One that does not is found before it serves: a
//! statement would meet another client's of the same name.

use std::{sync::atomic::Ordering, time::Duration};

use sqlx::{Connection as _, PgConnection};

use super::error::mixed_statements;
use super::{CONNECT, ENTER, Pool};
use crate::domain::problem::Problem;

/// Bounds a question to a connection that waits for one that another holds.
const ANSWER: Duration = Duration::from_secs(1);
/// How often the connections change places: one look may find each of two on a connection of its own by chance.
const ROUNDS: usize = 4;

const MIXES: &str = "a pooler in front of PostgreSQL gives one connection to several clients and mixes what they prepared: set \
                     max_prepared_statements (PgBouncer 1.21 or newer), or pool_mode = session for this login";
const SPLITS: &str = "a pooler in front of PostgreSQL does not keep a transaction on one connection: set pool_mode = \
                      transaction, and max_prepared_statements (PgBouncer 1.21 or newer)";

/// Its own name on the server, as the driver or a pooler gave it.
const OWN_NAME: &str = "select coalesce(bool_and(s.name not like 'sqlx\\_s\\_%'), false)
    from pg_catalog.pg_prepared_statement() s where s.statement = $1";

/// What two connections showed.
enum Seen {
    /// Each has a connection to PostgreSQL of its own.
    Apart,
    /// They take turns on one.
    Shared,
    /// What was begun is gone at the next message.
    Split,
}

impl Pool {
    /// What a pooler in front of PostgreSQL does that cannot be served through. Looks when it never has, and again when
    /// a statement has since met another's name.
    ///
    /// # Errors
    /// `503` when the database cannot be reached.
    pub async fn pooler(&self) -> Result<Option<&'static str>, Problem> {
        let mixed = mixed_statements();
        if self.trusted_at.load(Ordering::Relaxed) == mixed {
            return Ok(None);
        }
        let found = self.look_for_pooler().await?;
        if found.is_none() {
            self.trusted_at.store(mixed, Ordering::Relaxed);
        }
        Ok(found)
    }

    async fn look_for_pooler(&self) -> Result<Option<&'static str>, Problem> {
        // Not from the pool, which may be of one connection, and busy.
        let servers = &self.pool.manager().servers;
        let connected =
            async { Ok::<_, sqlx::Error>([servers.connect(CONNECT).await?, servers.connect(CONNECT).await?]) };
        let mut pair = tokio::time::timeout(CONNECT, connected)
            .await
            .map_err(|_| Problem::database_unavailable("no connection could be made in time"))??;
        let seen = tokio::time::timeout(ENTER, look(&mut pair)).await.map_err(|_| {
            Problem::database_unavailable("PostgreSQL, or a pooler before it, has no two connections for one login")
        })??;
        let found = match seen {
            Seen::Apart => None,
            Seen::Split => Some(SPLITS),
            Seen::Shared => match renamed(&mut pair[0]).await {
                Ok(true) => None,
                Ok(false) => Some(MIXES),
                Err(sqlx::Error::Database(met)) if matches!(met.code().as_deref(), Some("26000" | "42P05")) => {
                    Some(MIXES)
                }
                Err(error) => return Err(error.into()),
            },
        };
        for connection in pair {
            let _ = connection.close().await;
        }
        Ok(found)
    }
}

/// One holds a transaction while the other asks which process serves it.
async fn look(pair: &mut [PgConnection; 2]) -> Result<Seen, sqlx::Error> {
    for _ in 0..ROUNDS {
        let [idle, busy] = &mut *pair;
        let before = process(idle).await?;
        match sqlx::raw_sql("BEGIN").execute(&mut *busy).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(refused)) if refused.message().contains("statement pooling") => {
                return Ok(Seen::Split);
            }
            Err(error) => return Err(error),
        }
        let held = process(busy).await?;
        if process(busy).await? != held {
            return Ok(Seen::Split);
        }
        let shared = held == before
            || match tokio::time::timeout(ANSWER, process(idle)).await {
                Ok(after) => after? != before,
                // It waits for the one that is held.
                Err(_) => true,
            };
        sqlx::raw_sql("ROLLBACK").execute(&mut *busy).await?;
        if shared {
            return Ok(Seen::Shared);
        }
        pair.swap(0, 1);
    }
    Ok(Seen::Apart)
}

async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    use sqlx::{Executor as _, Row as _};
    connection.fetch_one(sqlx::raw_sql("select pg_catalog.pg_backend_pid()")).await?.try_get(0)
}

/// Whether a pooler gives what is prepared another name than the driver did. Asked twice: a name of its own is met only
/// where somebody has used it before.
async fn renamed(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ask = || sqlx::query_scalar(OWN_NAME).bind(OWN_NAME);
    Ok(ask().fetch_one(&mut *connection).await? && ask().fetch_one(&mut *connection).await?)
}
