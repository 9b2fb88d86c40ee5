//! One plan, as PostgreSQL explains it: by what it read rows of tenants, and how often it asked who the tenant is.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgConnection;

/// Members of a node that are conditions.
const CONDITIONS: [&str; 7] =
    ["Index Cond", "Recheck Cond", "Filter", "Join Filter", "Hash Cond", "Merge Cond", "One-Time Filter"];
/// A table of no more pages than this is read whole at what an index costs, and PostgreSQL does.
const SMALL: i32 = 8;
/// What belongs to all tenants alike.
const SHARED: &str = "role_permissions";
/// Conditions that name whose rows are read: a tenant's, or one person's own.
const WHOSE: [&str; 2] = ["(org_id = ", "(user_id = "];
/// Rows that may be read and left out: so many for each that is kept, and so many more.
const LEFT_OUT: (f64, f64) = (4.0, 100.0);

/// What the plans are measured by.
pub struct Catalog {
    /// Tables whose rows are somebody's, with their pages.
    tables: BTreeMap<String, i32>,
    /// Of each index: its first column, and whether few rows have a value of it: what is unique, and digests.
    indexes: BTreeMap<String, (String, bool)>,
}

impl Catalog {
    /// # Errors
    /// When it cannot be read.
    pub async fn read(connection: &mut PgConnection) -> anyhow::Result<Self> {
        let tables: Vec<(String, i32)> = sqlx::query_as(
            "select c.relname::text, c.relpages from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'vicket' and c.relkind in ('r', 'p') and c.relname <> $1",
        )
        .bind(SHARED)
        .fetch_all(&mut *connection)
        .await?;
        let indexes: Vec<(String, String, bool)> = sqlx::query_as(
            "select i.relname::text, a.attname::text,
              x.indisunique and x.indnkeyatts = 1 or a.attname like '%\\_hash'
            from pg_index x
            join pg_class i on i.oid = x.indexrelid
            join pg_class c on c.oid = x.indrelid
            join pg_namespace n on n.oid = c.relnamespace
            join pg_attribute a on a.attrelid = c.oid and a.attnum = x.indkey[0]
            where n.nspname = 'vicket'",
        )
        .fetch_all(connection)
        .await?;
        let indexes = indexes.into_iter().map(|(name, first, few)| (name, (first, few))).collect();
        Ok(Self { tables: tables.into_iter().collect(), indexes })
    }
}

/// What was seen in one plan.
#[derive(Default, Debug)]
pub struct Seen {
    pub indexes: Vec<String>,
    pub init_plans: u64,
    pub removed: u64,
    pub pages: u64,
    /// By what they are about, so that the same with other values is the same.
    pub faults: BTreeMap<String, String>,
}

/// Where a plan stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A statement of the server as the widget.
    Widget,
    /// A statement of the server as an agent, who may see what is their org's.
    Agent,
    /// A statement within a function or a foreign key, which chooses its rows itself.
    Within,
}

pub fn look(plan: &Value, catalog: &Catalog, place: Place) -> Seen {
    let mut seen = Seen::default();
    let pages = |member: &str| plan[member].as_u64().unwrap_or_default();
    seen.pages = pages("Shared Hit Blocks") + pages("Shared Read Blocks");
    visit(plan, catalog, place, &mut seen);
    seen
}

fn visit(node: &Value, catalog: &Catalog, place: Place, seen: &mut Seen) {
    let text = |member: &str| node[member].as_str().unwrap_or_default();
    let figure = |member: &str| node[member].as_f64().unwrap_or_default();
    let (kind, table) = (text("Node Type"), text("Relation Name"));
    let loops = figure("Actual Loops").max(1.0);
    let mut fault = |about: String, what: String| {
        seen.faults.entry(about).or_insert(what);
    };

    if text("Parent Relationship") == "InitPlan" {
        seen.init_plans += 1;
        if loops > 1.0 {
            fault("InitPlan".to_owned(), format!("{} ran {loops} times", text("Subplan Name")));
        }
    }
    for member in CONDITIONS.into_iter().filter(|_| place != Place::Within) {
        let condition = text(member);
        if condition.contains("current_setting(") || condition.contains("ctx.") {
            let about = if table.is_empty() { kind } else { table };
            fault(format!("context {about}"), format!("the context is not read once, before: {member} {condition}"));
        }
    }
    let pages = catalog.tables.get(table);
    let small = kind == "Seq Scan" && pages.is_some_and(|pages| *pages <= SMALL);
    if kind == "Seq Scan" && pages.is_some() && !small {
        fault(format!("scan {table}"), format!("Seq Scan of {table}: {}", text("Filter")));
    }
    let index = text("Index Name");
    if let Some((first, few)) = catalog.indexes.get(index) {
        seen.indexes.push(index.to_owned());
        let condition = text("Index Cond");
        if !condition.contains(&format!("({first} = ")) {
            fault(format!("index {index}"), format!("{kind} by {index} without its {first}: {condition}"));
        } else if !few && !WHOSE.iter().any(|whose| condition.contains(whose)) {
            fault(format!("index {index}"), format!("{kind} by {index} without a tenant: {condition}"));
        }
    }
    if pages.is_some() {
        let (removed, kept) = (figure("Rows Removed by Filter") * loops, figure("Actual Rows") * loops);
        seen.removed += node["Rows Removed by Filter"].as_u64().unwrap_or_default();
        if place != Place::Agent && !small && removed > LEFT_OUT.0 * kept + LEFT_OUT.1 {
            fault(
                format!("filter {table}"),
                format!("{removed} rows of {table} were read and left out, {kept} kept: {}", text("Filter")),
            );
        }
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        visit(child, catalog, place, seen);
    }
}
