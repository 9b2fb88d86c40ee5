//! What is tried at a table: to read, to insert rows like others', to forge the tenant, to update and delete without WHERE.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{
    catalog::{Table, granted},
    plant::{Planted, Row},
    subjects::{Kind, Subject},
};

pub struct Trial {
    /// One statement whose one row is `foreign, own`: how many rows it reached of others, and of its own.
    pub sql: String,
    pub verb: &'static str,
    pub reads: bool,
}

pub enum Outcome {
    Refused,
    Ran { foreign: i64, own: i64 },
}

/// Tries, and undoes to the savepoint `probe`.
///
/// # Errors
/// When the connection is lost.
pub async fn attempt(tx: &mut PgConnection, trial: &Trial) -> anyhow::Result<Outcome> {
    let outcome = sqlx::raw_sql(AssertSqlSafe(trial.sql.as_str())).fetch_all(&mut *tx).await;
    let outcome = match outcome {
        Ok(rows) => {
            let row = rows.last();
            let count = |name: &str| row.and_then(|row| row.try_get::<i64, _>(name).ok()).unwrap_or_default();
            Outcome::Ran { foreign: count("foreign_rows"), own: count("own_rows") }
        }
        Err(sqlx::Error::Database(_)) => Outcome::Refused,
        Err(error) => return Err(error.into()),
    };
    sqlx::raw_sql("rollback to savepoint probe").execute(tx).await?;
    Ok(outcome)
}

pub fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// Columns that a role may use.
pub struct Grants {
    select: Vec<String>,
    insert: Vec<String>,
    update: Vec<String>,
}

impl Grants {
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn of(tx: &mut PgConnection, role: &str, table: &Table) -> anyhow::Result<Self> {
        Ok(Self {
            select: granted(tx, Some(role), table, "select").await?,
            insert: granted(tx, Some(role), table, "insert").await?,
            update: granted(tx, Some(role), table, "update").await?,
        })
    }
}

/// Everything that this subject tries at this table, using what its role was granted; any column, where that is nothing.
pub fn trials(table: &Table, planted: &Planted, subject: &Subject, grants: &Grants) -> Vec<Trial> {
    let Grants { select, insert, update } = grants;
    let name = &table.name;
    let any = || table.columns.first().map(|column| column.name.clone()).unwrap_or_default();
    let foreign = foreign(table, planted, subject, select);
    let count = |from: &str| match &foreign {
        Some(foreign) => format!(
            "select count(*) filter (where {foreign}) as foreign_rows, count(*) filter (where not ({foreign})) as own_rows {from}"
        ),
        None => format!("select 0::bigint as foreign_rows, count(*) as own_rows {from}"),
    };
    let mut trials = vec![Trial { sql: count(&format!("from {name} r")), verb: "read", reads: true }];
    if select.is_empty() {
        trials[0].sql = format!("select 0::bigint as foreign_rows, count({}) as own_rows from {name}", any());
    }

    // What may be returned tells whose rows were reached; without it, whether any was.
    let touched = |statement: String| {
        let returning: Vec<&str> = if select.is_empty() || foreign.is_none() {
            vec!["1"]
        } else {
            select.iter().map(String::as_str).collect()
        };
        let reached = format!("with r as ({statement} returning {}) ", returning.join(", "));
        if subject.writes() && foreign.is_some() && !select.is_empty() {
            format!("{reached}{}", count("from r"))
        } else if subject.writes() {
            format!("{reached}select 0::bigint as foreign_rows, count(*) as own_rows from r")
        } else {
            format!("{reached}select count(*) as foreign_rows, 0::bigint as own_rows from r")
        }
    };
    let column = update.first().cloned().unwrap_or_else(any);
    trials.push(Trial {
        sql: touched(format!("update {name} set {column} = {column}")),
        verb: "updated",
        reads: false,
    });
    trials.push(Trial { sql: touched(format!("delete from {name}")), verb: "deleted", reads: false });
    trials.extend(removal(table, planted, subject));
    if let (Some(org), true) = (&table.org, planted.orgs.len() > 1) {
        let forged = literal(&planted.orgs[1]);
        let sql = format!(
            "with r as (update {name} set {org} = {forged} returning 1) select count(*) as foreign_rows from r"
        );
        trials.push(Trial { sql, verb: "moved to another org", reads: false });
    }
    for row in models(table, planted, subject) {
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for name in if insert.is_empty() { row.values.keys().cloned().collect() } else { insert.clone() } {
            if let (Some(value), Some(column)) = (row.value(&name), table.column(&name)) {
                columns.push(name);
                // What must be new is.
                values.push(match column.kind.as_str() {
                    "bytea" => "sha256(gen_random_uuid()::text::bytea)".to_owned(),
                    kind => format!("{}::{kind}", literal(value)),
                });
            }
        }
        // An own `id`, unless it is another row's that it names.
        if let Some(place) = columns.iter().position(|column| column == "id") {
            "gen_random_uuid()".clone_into(&mut values[place]);
        }
        let copied = format!("insert into {name} ({}) select {}", columns.join(", "), values.join(", "));
        // A row in one's own org is one's own, since the tenant comes from the context. Some foreign keys wait for COMMIT.
        let overstep = !subject.writes() || subject.oversteps(table, &columns, row, planted);
        let sql =
            format!("{copied}; set constraints all immediate; select {}::bigint as foreign_rows", i32::from(overstep));
        trials.push(Trial { sql, verb: "inserted", reads: false });
        if let (Some(org), true) = (&table.org, row.org == 1) {
            let pairs = columns.into_iter().zip(values).filter(|(column, _)| column != org);
            let (mut columns, mut values): (Vec<String>, Vec<String>) = pairs.unzip();
            columns.insert(0, org.clone());
            values.insert(0, literal(&planted.orgs[1]));
            let forged = format!("insert into {name} ({}) select {}", columns.join(", "), values.join(", "));
            let sql = format!("{forged}; set constraints all immediate; select 1::bigint as foreign_rows");
            trials.push(Trial { sql, verb: "inserted into another org", reads: false });
        }
    }
    trials
}

/// Rows that are none of the subject's to delete, asked of the function by which requests delete: none must go.
fn removal(table: &Table, planted: &Planted, subject: &Subject) -> Option<Trial> {
    let bare = table.name.strip_prefix("vicket.")?;
    let key = match bare {
        "articles" | "faqs" | "invitations" | "orgs" | "saved_replies" | "sites" | "teams" | "templates"
        | "priorities" | "statuses" | "tickets" => "id",
        "members" => "user_id",
        _ => return None,
    };
    let rows = planted.of(&table.name).iter();
    let others = rows.filter(|row| !subject.writes() || subject.forbidden(table, row, planted));
    let ids: Vec<String> = others.filter_map(|row| row.value(key)).map(literal).collect();
    let large = matches!(bare, "orgs" | "sites" | "statuses" | "priorities");
    let sql = if large {
        format!(
            "select count(*) filter (where ctx.remove_large('{bare}', o.id)) as foreign_rows
            from unnest(array[{}]::uuid[]) o (id)",
            ids.join(", ")
        )
    } else {
        format!("select ctx.remove('{bare}', array[{}]::uuid[]) as foreign_rows", ids.join(", "))
    };
    (!ids.is_empty()).then_some(Trial { sql, verb: "removed", reads: false })
}

/// Rows to copy: one of the other org, one of the other site, one of another customer of the same site, one's own.
fn models<'a>(table: &Table, planted: &'a Planted, subject: &Subject) -> Vec<&'a Row> {
    let rows = planted.of(&table.name);
    let mut models: Vec<&Row> = Vec::new();
    let mut first = |wanted: &dyn Fn(&Row) -> bool| {
        if let Some(row) = rows.iter().find(|row| wanted(row)) {
            models.push(row);
        }
    };
    first(&|row| row.org == 1);
    first(&|row| row.org == 0 && row.site == Some(1));
    first(&|row| row.org == 0 && row.site != Some(1) && subject.forbidden(table, row, planted));
    first(&|row| row.org == 0 && !subject.forbidden(table, row, planted));
    models
}

/// A condition that holds for rows that are none of the subject's business, in terms of the columns that it may read: their
/// tenant, and the ids of what was planted. `None` when those tell nothing.
fn foreign(table: &Table, planted: &Planted, subject: &Subject, select: &[String]) -> Option<String> {
    if subject.kind == Kind::Nobody {
        return Some("true".to_owned());
    }
    let may = |column: &String| select.contains(column);
    let mut conditions = Vec::new();
    if let Some(org) = table.org.as_ref().filter(|org| may(org)) {
        conditions.push(format!("r.{org} <> {}", literal(&planted.orgs[0])));
    }
    if matches!(subject.kind, Kind::Widget | Kind::Customer)
        && let Some(site) = table.site.as_ref().filter(|site| may(site))
    {
        conditions.push(format!("r.{site} <> {}", literal(planted.sites[0].first()?)));
    }
    for key in ["id", "ticket_id", "user_id", "template_id"] {
        let key = key.to_owned();
        if !may(&key) {
            continue;
        }
        let is = |forbidden: bool| -> Vec<String> {
            let rows = planted.of(&table.name).iter();
            let rows = rows.filter(|row| subject.forbidden(table, row, planted) == forbidden);
            rows.filter_map(|row| row.value(&key)).map(literal).collect()
        };
        let allowed = is(false);
        let forbidden: Vec<String> = is(true).into_iter().filter(|value| !allowed.contains(value)).collect();
        if !forbidden.is_empty() {
            conditions.push(format!("r.{key} in ({})", forbidden.join(", ")));
        }
    }
    // Null is not another tenant's.
    (!conditions.is_empty()).then(|| format!("coalesce({}, false)", conditions.join(" or ")))
}
