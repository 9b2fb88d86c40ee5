//! For what a migration waits: seen from a second connection, since the first is the one that waits.

use std::{fmt::Write as _, future::Future, time::Duration};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);
/// How often a long wait is said again.
const SAY: Duration = Duration::from_secs(30);

/// A connection that watches another.
pub struct Watch {
    connection: PgConnection,
    pid: i32,
}

impl Watch {
    /// Watches `other`, as the same login.
    ///
    /// # Errors
    /// When there is no second connection to be had.
    pub async fn of(other: &mut PgConnection, options: &PgConnectOptions) -> sqlx::Result<Self> {
        let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(other).await?;
        Ok(Self { connection: PgConnection::connect_with(options).await?, pid })
    }

    /// Does the work, and says for what it waited last, if it did. A wait of half a minute is logged, and said again.
    pub async fn during<T>(&mut self, file: &str, work: impl Future<Output = T>) -> (T, Option<String>) {
        let mut work = std::pin::pin!(work);
        let (mut last, mut since) = (None, tokio::time::Instant::now());
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, last),
                () = tokio::time::sleep(LOOK) => {}
            }
            // What cannot be seen is not said; the work is what counts.
            let seen = tokio::select! {
                biased;
                done = &mut work => return (done, last),
                seen = look(&mut self.connection, self.pid) => seen.ok().flatten(),
            };
            if let Some(wait) = seen {
                if since.elapsed() >= SAY {
                    tracing::info!(file, wait, "still waiting");
                    since = tokio::time::Instant::now();
                }
                last = Some(wait);
            }
        }
    }

    /// The watching connection, for what must be seen from outside the transaction.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// # Errors
    /// When the connection does not end in order.
    pub async fn close(self) -> sqlx::Result<()> {
        self.connection.close().await
    }
}

/// `AccessExclusiveLock on vicket.tickets, held by session 4711 (vicket_gate_agent, active, its transaction 12 s old)`.
async fn look(connection: &mut PgConnection, pid: i32) -> sqlx::Result<Option<String>> {
    let wanted: Option<(String, String)> = sqlx::query_as(
        "select mode, coalesce(relation::regclass::text, 'a ' || locktype)
        from pg_locks where pid = $1 and not granted limit 1",
    )
    .bind(pid)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((mode, object)) = wanted else { return Ok(None) };
    let holders: Vec<i32> = sqlx::query_scalar("select distinct unnest(pg_blocking_pids($1)) order by 1")
        .bind(pid)
        .fetch_all(&mut *connection)
        .await?;
    let mut said = format!("{mode} on {object}");
    for (place, holder) in holders.iter().enumerate() {
        let _ = write!(said, "{} session {holder}", if place == 0 { ", held by" } else { "," });
        // Hardening takes pg_stat_activity from logins that are no pg_read_all_stats; then the number must do. Whoever is none
        // sees the login of others, and not what they do.
        let about: sqlx::Result<Option<Option<String>>> = sqlx::query_scalar(
            "select usename || coalesce(', ' || state || ', its transaction '
              || extract(epoch from clock_timestamp() - xact_start)::bigint || ' s old', '')
            from pg_stat_activity where pid = $1",
        )
        .bind(holder)
        .fetch_optional(&mut *connection)
        .await;
        if let Ok(Some(Some(about))) = about {
            let _ = write!(said, " ({about})");
        }
    }
    Ok(Some(said))
}
