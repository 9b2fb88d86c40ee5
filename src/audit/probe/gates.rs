//! The gates' own logins: no superuser, nothing to read by themselves, nobody else to become, and no row without a context.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{
    attacks,
    catalog::Table,
    outcome::{Leak, Probes},
};

/// Tries a gate that may become `role`, in a transaction that is rolled back.
///
/// # Errors
/// When the connection is lost.
pub async fn gates(
    connection: &mut PgConnection,
    name: &str,
    role: &str,
    tables: &[Table],
    probes: &mut Probes,
) -> anyhow::Result<()> {
    let (login, passes): (String, bool) = sqlx::query_as(
        "select rolname::text, rolsuper or rolbypassrls or rolinherit from pg_roles where rolname = session_user",
    )
    .fetch_one(&mut *connection)
    .await?;
    let mut leak = |statement: &str, what: &str| {
        probes.leaks.push(Leak {
            table: "-".to_owned(),
            subject: format!("{name} ({login})"),
            statement: statement.to_owned(),
            what: what.to_owned(),
        });
    };
    if passes {
        leak("select session_user", "the login passes row-level security, or inherits its role's privileges");
    }
    let others: Vec<String> = sqlx::query_scalar(
        "select quote_ident(rolname) from pg_roles where rolname not in ($1, session_user) order by 1",
    )
    .bind(role)
    .fetch_all(&mut *connection)
    .await?;
    let mut statements: Vec<(String, &str)> = Vec::new();
    for other in others {
        statements.push((format!("set local role {other}"), "became somebody else"));
    }
    for table in tables {
        statements.push((format!("select 1 from {}", table.name), "read a table by itself"));
    }
    let mut tx = connection.begin().await?;
    for (statement, what) in &statements {
        probes.gates.tried += 1;
        if refused(&mut tx, "", statement).await?.is_none() {
            probes.gates.refused += 1;
        } else {
            probes.gates.leaked += 1;
            leak(statement, what);
        }
    }
    for table in tables {
        let statement = format!("select from {}", table.name);
        probes.gates.tried += 1;
        match refused(&mut tx, &format!("set local role {role};"), &statement).await? {
            None => probes.gates.refused += 1,
            Some(0) => probes.gates.contained += 1,
            Some(rows) => {
                probes.gates.leaked += 1;
                leak(&format!("set local role {role}; {statement}"), &format!("read {rows} rows without a context"));
            }
        }
    }
    tx.rollback().await?;
    attacks::session(connection, (&format!("{name} ({login})"), role), probes).await
}

/// `None` when PostgreSQL refused; else the rows. Undone.
async fn refused(tx: &mut PgConnection, before: &str, statement: &str) -> anyhow::Result<Option<usize>> {
    let sql = format!("savepoint gate; {before} {statement}");
    let outcome = match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut *tx).await {
        Ok(rows) => Some(rows.len()),
        Err(sqlx::Error::Database(_)) => None,
        Err(error) => return Err(error.into()),
    };
    sqlx::raw_sql("rollback to savepoint gate").execute(tx).await?;
    Ok(outcome)
}
