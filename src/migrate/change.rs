//! A change, in a transaction of its own or outside one.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection,
    migrate::{Migrate as _, Migration},
};

use super::judge::{Moment, judge};
use super::session::{Patience, bound, is_of, millis};
use super::waits::Watch;
use crate::migrations::{
    files::Files,
    ledger::{self, TABLE},
    name,
    statements::{self, Kind, Statement},
};

const MAX_PAUSE: Duration = Duration::from_secs(10);

/// One change, in its lane, again and again while others are in its way.
///
/// # Errors
/// When it fails, when isolation would not hold after it, or when others are in its way at every try.
pub async fn run(
    connection: &mut PgConnection,
    watch: &mut Watch,
    file: &Migration,
    (files, moment): (&Files, Moment),
    patience: &Patience,
) -> anyhow::Result<()> {
    let title = name(file);
    let mut pause = patience.pause;
    let mut attempt = 1;
    loop {
        let began = Instant::now();
        let (outcome, waited) = if file.no_tx {
            (outside(connection, watch, file, (files, moment)).await, None)
        } else {
            watch.during(&title, within(connection, file, (files, moment), patience)).await
        };
        let Err(error) = outcome else {
            tracing::info!(file = title, attempt, milliseconds = millis(began.elapsed()), "done");
            return Ok(());
        };
        // No lock in time; a deadlock; a row of the catalog that another changed.
        if !is_of(&error, &["55P03", "40P01", "XX000"]) {
            return Err(error);
        }
        let waited = waited.unwrap_or_else(|| "what could not be seen".to_owned());
        if attempt >= patience.tries {
            let hint = format!("others were in its way at each of {attempt} tries, last of all {waited}");
            return Err(error.context(hint));
        }
        tracing::warn!(
            file = title,
            attempt,
            of = patience.tries,
            waited,
            pause = millis(pause),
            "given up for now, so that traffic goes on"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        attempt += 1;
    }
}

/// A change in a transaction of its own.
async fn within(
    connection: &mut PgConnection,
    file: &Migration,
    (files, moment): (&Files, Moment),
    patience: &Patience,
) -> anyhow::Result<()> {
    let mut tx = connection.begin().await?;
    bound(&mut tx, patience.lock, patience.statement).await?;
    let work = async |tx: &mut PgConnection| {
        // What once began in the other lane, and did not end there.
        let unfinished = format!("delete from {TABLE} where version = $1 and not success");
        sqlx::query(AssertSqlSafe(unfinished)).bind(file.version).execute(&mut *tx).await?;
        tx.apply(TABLE, file).await?;
        ledger::say_schema(tx, files).await?;
        judge(tx, moment).await
    };
    match work(&mut tx).await {
        Ok(()) => Ok(tx.commit().await?),
        Err(error) => {
            // Now, and not when the connection is next used: nobody waits for what will not be.
            tx.rollback().await?;
            Err(error)
        }
    }
}

/// A change outside a transaction, from the statement on that an earlier run did not end.
async fn outside(
    connection: &mut PgConnection,
    watch: &mut Watch,
    file: &Migration,
    (files, moment): (&Files, Moment),
) -> anyhow::Result<()> {
    let began = Instant::now();
    let statements = statements::of(file)?;
    let done = begin_outside(connection, file).await?;
    for (number, statement) in statements.iter().enumerate().skip(done) {
        let title = name(file);
        tracing::info!(file = title, statement = number + 1, of = statements.len(), sql = statement.sql, "running");
        let (outcome, _) = watch.during(&title, repeat(connection, statement)).await;
        outcome.with_context(|| format!("statement {} of {}", number + 1, statements.len()))?;
        let progress = format!("update {TABLE} set statements_done = $2 where version = $1");
        sqlx::query(AssertSqlSafe(progress))
            .bind(file.version)
            .bind(i32::try_from(number + 1)?)
            .execute(&mut *connection)
            .await?;
    }
    let mut tx = connection.begin().await?;
    let ended =
        format!("update {TABLE} set success = true, installed_on = now(), execution_time = $2 where version = $1");
    sqlx::query(AssertSqlSafe(ended))
        .bind(file.version)
        .bind(i64::try_from(began.elapsed().as_nanos())?)
        .execute(&mut *tx)
        .await?;
    ledger::say_schema(&mut tx, files).await?;
    judge(&mut tx, moment).await.context("all its statements ran, and it is not marked as done")?;
    tx.commit().await?;
    Ok(())
}

/// Writes into the ledger that a file has begun, and says how many of its statements an earlier run has done. When its text
/// was mended since, that is none.
async fn begin_outside(connection: &mut PgConnection, file: &Migration) -> anyhow::Result<usize> {
    let column = format!("alter table {TABLE} add column if not exists statements_done integer");
    sqlx::raw_sql(AssertSqlSafe(column)).execute(&mut *connection).await?;
    let begin = format!(
        "insert into {TABLE} as m (version, description, success, checksum, execution_time, statements_done)
        values ($1, $2, false, $3, -1, 0)
        on conflict (version) do update set
          description = excluded.description,
          checksum = excluded.checksum,
          statements_done = case when m.checksum = excluded.checksum then m.statements_done else 0 end
        returning statements_done"
    );
    let done: i32 = sqlx::query_scalar(AssertSqlSafe(begin))
        .bind(file.version)
        .bind(&*file.description)
        .bind(&*file.checksum)
        .fetch_one(connection)
        .await?;
    Ok(usize::try_from(done)?)
}

/// A statement that may have been done before, wholly or in part.
async fn repeat(connection: &mut PgConnection, statement: &Statement) -> anyhow::Result<()> {
    if let Kind::CreateIndex { index } = &statement.kind {
        drop_invalid(connection, index).await?;
    }
    let outcome = sqlx::raw_sql(AssertSqlSafe(statement.sql.clone())).execute(&mut *connection).await;
    if let (Err(_), Kind::CreateIndex { index }) = (&outcome, &statement.kind) {
        // Half an index costs every write; the error is what counts.
        let _ = drop_invalid(connection, index).await;
    }
    outcome?;
    Ok(())
}

/// Drops an index that was begun and not ended: it is never used, and `if not exists` takes it for the wanted one.
async fn drop_invalid(connection: &mut PgConnection, index: &str) -> anyhow::Result<()> {
    let invalid: bool = sqlx::query_scalar(
        "select exists (select from pg_index where indexrelid = to_regclass($1) and not indisvalid)",
    )
    .bind(index)
    .fetch_one(&mut *connection)
    .await?;
    if invalid {
        tracing::warn!(index, "left unfinished by an earlier run; it is dropped and made anew");
        // A name of a file of ours, without quotes, as `statements` saw to.
        let statement = format!("drop index concurrently if exists {index}");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    }
    Ok(())
}
