//! Plants, and tries every statement of every subject at every table.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};

use super::{
    attacks::attacks,
    catalog::{Table, tables},
    outcome::{Leak, Probes, Tally},
    plant::{Planted, become_role, context, plant},
    statements::{self, Grants, Outcome},
    subjects,
};

/// Plants, probes every table, and rolls back.
///
/// # Errors
/// When the login may not take the roles, or the transaction breaks.
pub async fn run(connection: &mut PgConnection) -> anyhow::Result<Probes> {
    sqlx::raw_sql("set default_transaction_read_only = off").execute(&mut *connection).await?;
    let mut tx = connection.begin().await?;
    let outcome = probe_all(&mut tx).await;
    tx.rollback().await.context("the probes' transaction could not be rolled back")?;
    outcome
}

async fn probe_all(tx: &mut PgConnection) -> anyhow::Result<Probes> {
    begin(tx).await?;
    let tables = tables(tx).await?;
    let planted = plant(tx, &tables).await?;
    let mut probes = Probes::default();
    for (table, why) in &planted.barren {
        probes.failures.push(format!("{table}: no row could be planted, so nothing was proved of it: {why}"));
    }
    for table in &tables {
        probe(tx, table, &planted, &mut probes).await?;
    }
    attacks(tx, &planted, &mut probes).await?;
    for (subject, table) in subjects::MUST_SEE {
        if !probes.seen.contains(&(subject, (*table).to_owned())) {
            probes.failures.push(format!("{table}: {subject} saw no row of its own, so nothing was proved of it"));
        }
    }
    Ok(probes)
}

/// Bounds, and the roles that requests have: granted to this login for the transaction where it is no member.
///
/// # Errors
/// When it may not grant them to itself.
pub async fn begin(tx: &mut PgConnection) -> anyhow::Result<()> {
    // Another audit of the same login may hold these grants until it rolls them back.
    sqlx::raw_sql("set local lock_timeout = '2min'; set local statement_timeout = '2min'; set local row_security = on")
        .execute(&mut *tx)
        .await?;
    for role in ["vicket_widget", "vicket_agent", "vicket_mail", "vicket_operator", "vicket_definer", "vicket_auditor"]
    {
        // From 16 on the creator of a role is a member of it that may grant it, and may not become it.
        let may_become: bool = sqlx::query_scalar(
            "select pg_has_role($1, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end)",
        )
        .bind(role)
        .fetch_one(&mut *tx)
        .await?;
        if !may_become {
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("grant {role} to current_user")))
                .execute(&mut *tx)
                .await
                .with_context(|| format!("the probes act as {role}, and this login may not become it"))?;
        }
    }
    sqlx::raw_sql("set local lock_timeout = '2s'; set local statement_timeout = '10s'").execute(tx).await?;
    Ok(())
}

/// Every statement of every subject at one table.
///
/// # Errors
/// When the transaction breaks.
pub async fn probe(tx: &mut PgConnection, table: &Table, planted: &Planted, probes: &mut Probes) -> anyhow::Result<()> {
    let mut grants: BTreeMap<&str, Grants> = BTreeMap::new();
    sqlx::raw_sql("reset role; savepoint subjects").execute(&mut *tx).await?;
    for subject in subjects::subjects(planted) {
        context(tx, &subject.settings()).await?;
        let mut tally = Tally::default();
        if !grants.contains_key(subject.role) {
            grants.insert(subject.role, Grants::of(tx, subject.role, table).await?);
        }
        let trials = statements::trials(table, planted, &subject, &grants[subject.role]);
        become_role(tx, Some(subject.role)).await?;
        let passes: bool =
            sqlx::query_scalar("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
                .fetch_one(&mut *tx)
                .await?;
        if passes {
            probes.leaks.push(Leak {
                table: table.name.clone(),
                subject: subject.name.to_owned(),
                statement: format!("set role {}", subject.role),
                what: "the role passes row-level security".to_owned(),
            });
        }
        sqlx::raw_sql("savepoint probe").execute(&mut *tx).await?;
        for trial in trials {
            tally.tried += 1;
            match statements::attempt(tx, &trial).await? {
                Outcome::Refused => tally.refused += 1,
                Outcome::Ran { foreign, own } => {
                    if trial.reads && own > 0 {
                        tally.own_rows += own;
                        probes.seen.insert((subject.name, table.name.clone()));
                    }
                    if foreign > 0 {
                        tally.leaked += 1;
                        probes.leaks.push(Leak {
                            table: table.name.clone(),
                            subject: subject.name.to_owned(),
                            statement: trial.sql.clone(),
                            what: format!("{} {foreign} rows that it must not", trial.verb),
                        });
                    } else {
                        tally.contained += 1;
                    }
                }
            }
        }
        sqlx::raw_sql("rollback to savepoint subjects").execute(&mut *tx).await?;
        let sum = probes.tables.entry(table.name.clone()).or_default();
        sum.tried += tally.tried;
        sum.refused += tally.refused;
        sum.contained += tally.contained;
        sum.leaked += tally.leaked;
        sum.own_rows += tally.own_rows;
    }
    Ok(())
}
