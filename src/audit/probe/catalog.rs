//! The tables to probe, as the catalog has them: a table that somebody adds joins by itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use sqlx::{PgConnection, types::Json};

#[derive(Clone, Debug, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub has_default: bool,
    /// The values that a CHECK lists.
    pub listed: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ForeignKey {
    pub target: String,
    /// Column here, column there.
    pub pairs: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct Table {
    /// Qualified and quoted.
    pub name: String,
    pub org: Option<String>,
    pub site: Option<String>,
    pub site_required: bool,
    /// Without those that are generated.
    pub columns: Vec<Column>,
    pub keys: Vec<ForeignKey>,
    /// Of each CHECK, the columns.
    pub checks: BTreeMap<String, Vec<String>>,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

type Row = (
    String,
    Option<String>,
    Option<String>,
    bool,
    Json<Vec<Column>>,
    Json<Vec<ForeignKey>>,
    Json<BTreeMap<String, Vec<String>>>,
);

const TABLES: &str = "select format('%I.%I', n.nspname, c.relname),
    case when (n.nspname, c.relname) = ('vicket', 'orgs') then 'id' else org.attname::text end,
    case when (n.nspname, c.relname) = ('vicket', 'sites') then 'id' else site.attname::text end,
    coalesce(site.attnotnull, true),
    coalesce((
      select jsonb_agg(jsonb_build_object(
        'name', a.attname, 'kind', format_type(a.atttypid, null), 'required', a.attnotnull, 'has_default', a.atthasdef,
        'listed', coalesce((
          select jsonb_agg(m.found[1])
          from pg_constraint k, regexp_matches(pg_get_constraintdef(k.oid), '''([^'']+)''::text', 'g') as m (found)
          where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum]
            and pg_get_constraintdef(k.oid) like '%ARRAY[%'
        ), '[]')) order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ), '[]'),
    coalesce((
      select jsonb_agg(jsonb_build_object('target', format('%I.%I', tn.nspname, t.relname), 'pairs', (
        select jsonb_agg(jsonb_build_array(here.attname, there.attname))
        from unnest(k.conkey, k.confkey) as pair (here, there)
        join pg_attribute here on here.attrelid = k.conrelid and here.attnum = pair.here
        join pg_attribute there on there.attrelid = k.confrelid and there.attnum = pair.there)))
      from pg_constraint k join pg_class t on t.oid = k.confrelid join pg_namespace tn on tn.oid = t.relnamespace
      where k.conrelid = c.oid and k.contype = 'f'
    ), '[]'),
    coalesce((
      select jsonb_object_agg(k.conname, (
        select jsonb_agg(a.attname) from pg_attribute a where a.attrelid = c.oid and a.attnum = any (k.conkey)))
      from pg_constraint k where k.conrelid = c.oid and k.contype = 'c'
    ), '{}')
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_attribute org on org.attrelid = c.oid and org.attname = 'org_id' and not org.attisdropped
  left join pg_attribute site on site.attrelid = c.oid and site.attname = 'site_id' and not site.attisdropped
  where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and (n.nspname, c.relname) <> ('public', '_sqlx_migrations')
  order by 1";

/// Every table, those that others refer to first.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn tables(connection: &mut PgConnection) -> anyhow::Result<Vec<Table>> {
    let rows: Vec<Row> = sqlx::query_as(TABLES).fetch_all(connection).await?;
    let mut waiting: Vec<Table> = rows
        .into_iter()
        .map(|(name, org, site, site_required, columns, keys, checks)| Table {
            name,
            org,
            site,
            site_required,
            columns: columns.0,
            keys: keys.0,
            checks: checks.0,
        })
        .collect();
    let mut ordered: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let waits = |table: &Table, key: &ForeignKey| {
            key.target != table.name && waiting.iter().any(|other| other.name == key.target)
        };
        let may_be_null = |table: &Table, key: &ForeignKey| {
            key.pairs.iter().any(|(here, _)| table.column(here).is_some_and(|c| !c.required))
        };
        let ready = waiting.iter().position(|table| !table.keys.iter().any(|key| waits(table, key))).or_else(|| {
            waiting.iter().position(|table| !table.keys.iter().any(|key| waits(table, key) && !may_be_null(table, key)))
        });
        // A circle: the first goes first, and says so when it cannot be planted.
        ordered.push(waiting.remove(ready.unwrap_or_default()));
    }
    Ok(ordered)
}

/// Columns of `table` that `role` may use with `privilege`; of the current login when `None`.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn granted(
    connection: &mut PgConnection,
    role: Option<&str>,
    table: &Table,
    privilege: &str,
) -> anyhow::Result<Vec<String>> {
    let (schema, name) = table.name.split_once('.').unwrap_or(("public", &table.name));
    Ok(sqlx::query_scalar(
        "select a.attname::text
        from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where quote_ident(n.nspname) = $2 and quote_ident(c.relname) = $3
          and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
          and has_column_privilege(coalesce($1::name, current_user), c.oid, a.attnum, $4)
        order by a.attnum",
    )
    .bind(role)
    .bind(schema)
    .bind(name)
    .bind(privilege)
    .fetch_all(connection)
    .await?)
}
