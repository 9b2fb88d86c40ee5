//! Every role, every table, every statement. What a role was not granted must answer 42501; what it was granted must
//! touch nothing outside a tenant and nothing foreign inside one.
//!
//! `vicket audit --probe` (src/audit/probe) tries much the same on anybody's database, and stands beside this for what neither
//! could say alone. The probe sees only what its own transaction planted, so it takes roles by SET ROLE; here rows are
//! committed and the logins are the server's, through its own gates. The probe cannot tell why it was refused; here each
//! refusal must be the missing grant's. And the probe is itself what is tried: with one list of statements for both, what it
//! forgets nobody would miss.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Populated, Table, attempt, enter, gate, granted, populated, raw, tables};
use crate::harness::{Site, World, connect, url};

/// Statements of [`everything`] on one table.
const STATEMENTS: usize = 10;

/// What one statement needs to be allowed at all.
struct Trial {
    sql: String,
    /// `None`: nobody may be granted what this needs.
    allowed_by_grant: bool,
    inserts: bool,
}

/// Every kind of statement on `table`, made so that it uses what `role` was granted and, where that is nothing, any
/// column.
async fn everything(world: &World, role: &str, table: &Table) -> Vec<Trial> {
    let name = &table.name;
    let select = granted(world, role, table, "select").await;
    let insert = granted(world, role, table, "insert").await;
    let update = granted(world, role, table, "update").await;
    let may = |privilege: &'static str| {
        let sql = format!("select has_table_privilege('{role}', '{name}', '{privilege}')");
        async move { world.look::<bool>(&sql).await }
    };
    let (delete, truncate, update_table) = (may("delete").await, may("truncate").await, may("update").await);
    let list = |columns: &[String]| if columns.is_empty() { table.columns.join(", ") } else { columns.join(", ") };
    let first = |columns: &[String]| columns.first().unwrap_or(&table.columns[0]).clone();
    let row = foreign_row(world, table).await;
    let copy = |columns: &[String]| {
        let columns = columns.join(", ");
        format!("insert into {name} ({columns}) select {columns} from jsonb_populate_record(null::{name}, {row})")
    };
    let all = insertable(world, table).await;
    let trial = |sql: String, allowed_by_grant: bool| Trial { sql, allowed_by_grant, inserts: false };
    let trials = vec![
        trial(format!("select {} from {name}", list(&select)), !select.is_empty()),
        trial(format!("select count(*) from {name}"), !select.is_empty()),
        trial(format!("select * from {name}"), select.len() == table.columns.len()),
        trial(format!("select 1 from {name} for update"), !select.is_empty() && !update.is_empty()),
        Trial { inserts: true, ..trial(copy(if insert.is_empty() { &all } else { &insert }), !insert.is_empty()) },
        Trial { inserts: true, ..trial(copy(&all), all.iter().all(|column| insert.contains(column))) },
        trial(format!("update {name} set {0} = default", first(&update)), !update.is_empty()),
        trial(format!("delete from {name}"), delete),
        trial(format!("truncate {name} cascade"), truncate),
        trial(format!("lock table {name} in access exclusive mode"), delete || truncate || update_table),
    ];
    assert_eq!(trials.len(), STATEMENTS);
    trials
}

/// A row of the other org as a JSON literal; what a copy of it would steal or spoil.
async fn foreign_row(world: &World, table: &Table) -> String {
    let condition =
        table.org_column().map_or_else(String::new, |column| format!("where {column} = '{}'", globex(world)));
    let sql = format!(
        "select coalesce((select quote_literal(to_jsonb(r)) from {} r {condition} limit 1), 'null')",
        table.name
    );
    world.look(&sql).await
}

async fn insertable(world: &World, table: &Table) -> Vec<String> {
    sqlx::query_scalar(
        "select attname::text from pg_attribute
        where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''
        order by attnum",
    )
    .bind(&table.name)
    .fetch_all(&world.superuser)
    .await
    .expect("the catalog")
}

fn globex(world: &World) -> Uuid {
    world.site_c.org_id
}

/// Outside a tenant: nothing without a grant, nothing to see or touch with one.
async fn nothing_outside(world: &World, who: &str, role: &str, connection: &mut PgConnection) -> usize {
    let mut tried = 0;
    for table in tables(world).await {
        for Trial { sql, allowed_by_grant, inserts } in everything(world, role, &table).await {
            let outcome = attempt(connection, &sql).await;
            let expected = match (allowed_by_grant, inserts) {
                // An aggregate has one row always; `count` is looked at by its value below.
                (true, false) if sql.starts_with("select count") => {
                    assert_eq!(super::value::<i64>(connection, &sql).await, Ok(0), "{who}: {sql}");
                    Ok(1)
                }
                (true, false) => Ok(0),
                (true, true) | (false, _) => Err("42501".to_owned()),
            };
            assert_eq!(outcome, expected, "{who}: {sql}");
            tried += 1;
        }
    }
    tried
}

#[tokio::test]
async fn outside_a_tenant_every_statement_of_every_role_on_every_table_reaches_nothing() {
    let Populated { world, .. } = populated().await;
    let superuser = url(None, &world.database);
    let subjects = [
        ("the widget's gate", world.url("vicket_gate_widget"), "vicket_gate_widget", ""),
        ("the agents' gate", world.url("vicket_gate_agent"), "vicket_gate_agent", ""),
        ("the worker", world.url("vicket_worker"), "vicket_worker", ""),
        ("the widget", world.url("vicket_gate_widget"), "vicket_widget", "set local role vicket_widget"),
        ("an agent", world.url("vicket_gate_agent"), "vicket_agent", "set local role vicket_agent"),
        // The auditor has no login; that it is not the superuser is asserted below.
        ("the auditor", superuser, "vicket_auditor", "set local role vicket_auditor"),
    ];
    let mut tried = 0;
    for (who, url, role, become_it) in subjects {
        let mut connection = connect(&url).await;
        raw(&mut connection, "begin").await;
        raw(&mut connection, become_it).await;
        assert_eq!(super::value(&mut connection, "select current_user::text").await, Ok(role.to_owned()));
        tried += nothing_outside(&world, who, role, &mut connection).await;
    }
    println!("{tried} statements tried outside a tenant");
    assert!(tried >= 6 * 14 * STATEMENTS, "only {tried}: the catalog was not read");
}

/// What the widget sees of `table` in this transaction, as JSON, and whose each row is. Panics on a foreign or an
/// unpublished one.
async fn rows_of_own(world: &World, site: &Site, table: &Table, connection: &mut PgConnection) -> usize {
    let select = granted(world, "vicket_widget", table, "select").await;
    if select.is_empty() {
        return 0;
    }
    let org = table.org_column().unwrap_or_else(|| panic!("{} serves the widget and has no org_id", table.name));
    assert!(
        select.iter().any(|column| column == org),
        "{}: the widget cannot read {org}, so this cannot judge",
        table.name
    );
    let sql = format!("select to_jsonb(r) from (select {} from {}) r", select.join(", "), table.name);
    let rows: Vec<serde_json::Value> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await.expect("granted");
    for row in &rows {
        assert_eq!(row[org], site.org_id.to_string(), "{}: a row of another org: {row}", table.name);
        if let Some(column) = table.site_column() {
            let of = &row[column];
            assert!(of.is_null() || *of == site.id.to_string(), "{}: a row of another site: {row}", table.name);
        }
        assert!(row["status"] != "draft" && row["status"] != "archived", "{}: unpublished: {row}", table.name);
        assert!(row["internal"] != true, "{}: an internal note: {row}", table.name);
    }
    rows.len()
}

/// Rows of the catalog's tables as seen in this transaction: all of them of `site`'s own. Says how many.
pub(super) async fn only_own_rows(world: &World, site: &Site, connection: &mut PgConnection) -> usize {
    let mut seen = 0;
    for table in tables(world).await {
        seen += rows_of_own(world, site, &table, connection).await;
    }
    seen
}

#[tokio::test]
async fn inside_a_site_every_statement_reaches_rows_of_that_site_and_its_org_only() {
    let Populated { world, tickets } = populated().await;
    let gate = gate(&world);
    let (mut tried, mut read) = (0, 0);
    for (site, tickets) in [&world.site_a, &world.site_b, &world.site_c].into_iter().zip(&tickets) {
        let mut tx = enter(&gate, &site.key, Some(&tickets.my_token)).await;
        for table in tables(&world).await {
            if !granted(&world, "vicket_widget", &table, "select").await.is_empty() {
                // The twin: that it sees its own is what makes the rest mean something.
                let seen = rows_of_own(&world, site, &table, tx.connection()).await;
                assert!(seen > 0, "{}: arrange a row of {} in `populated`, or give it a policy", table.name, site.slug);
                read += 1;
            }
            for Trial { sql, allowed_by_grant, inserts } in everything(&world, "vicket_widget", &table).await {
                let outcome = attempt(tx.connection(), &sql).await;
                match (allowed_by_grant, inserts) {
                    (false, _) => assert_eq!(outcome, Err("42501".to_owned()), "{sql}"),
                    (true, false) => assert!(outcome.is_ok(), "{sql}: {outcome:?}"),
                    (true, true) => stays_at_home(&world, site, &table, &sql, tx.connection()).await,
                }
                tried += 1;
            }
        }
    }
    println!("{tried} statements tried inside a tenant, {read} tables read");
    assert!(tried >= 3 * 14 * STATEMENTS && read >= 3 * 6, "only {tried} and {read}: the catalog was not read");
}

/// An INSERT of what the widget was granted, filled from a foreign row: it is refused, or the row is the site's own.
async fn stays_at_home(world: &World, site: &Site, table: &Table, sql: &str, connection: &mut PgConnection) {
    for tenant in ["org_id", "site_id"] {
        assert!(
            !granted(world, "vicket_widget", table, "insert").await.iter().any(|column| column == tenant),
            "{}: the widget may bind {tenant}",
            table.name
        );
    }
    raw(connection, "savepoint insert").await;
    match super::run(connection, sql).await {
        Ok(_) => drop(rows_of_own(world, site, table, connection).await),
        // A message of a foreign ticket; the token or number of one that is there; an object of another's folder.
        Err(code) => assert!(["42501", "23505", "23514"].contains(&code.as_str()), "{sql}: {code}"),
    }
    raw(connection, "rollback to savepoint insert").await;
}

#[tokio::test]
async fn every_table_has_rows_of_all_three_sites_to_be_kept_apart() {
    let Populated { world, .. } = populated().await;
    for table in tables(&world).await {
        if table.name == "public._sqlx_migrations" {
            continue;
        }
        let mut conditions = vec!["true".to_owned()];
        if let Some(org) = table.org_column() {
            conditions = vec![format!("{org} = '{}'", world.site_a.org_id), format!("{org} = '{}'", globex(&world))];
        }
        if let Some(site) = table.site_column() {
            conditions.push(format!("{site} = '{}'", world.site_a.id));
            conditions.push(format!("{site} = '{}'", world.site_b.id));
        }
        for condition in conditions {
            let there: bool =
                world.look(&format!("select exists (select from {} where {condition})", table.name)).await;
            assert!(there, "{}: no row where {condition}; arrange one in `populated`", table.name);
        }
    }
}
