//! A table with all that belongs to it, as the statements that make it.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::function::function;
use super::statements::{Granted, commented, grants};
use crate::audit::{roles, sql};

/// A table's statements, and those that wait for another table.
pub struct Made {
    pub text: String,
    pub later: String,
}

#[derive(sqlx::FromRow)]
struct Table {
    name: String,
    kind: String,
    unlogged: bool,
    owner: String,
    rls: bool,
    forced: bool,
    options: Vec<String>,
    partitioned: Option<String>,
    partition: Option<String>,
    comment: Option<String>,
}

const TABLE: &str = "select format('%I.%I', n.nspname, c.relname) as name, c.relkind::text as kind,
    c.relpersistence = 'u' as unlogged,
    pg_get_userbyid(c.relowner)::text as owner, c.relrowsecurity as rls, c.relforcerowsecurity as forced,
    coalesce(c.reloptions, '{}') as options, pg_get_partkeydef(c.oid) as partitioned,
    (select format('%s %s', i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid)) from pg_inherits i
      where i.inhrelid = c.oid and c.relispartition) as partition,
    obj_description(c.oid, 'pg_class') as comment
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::oid";

#[derive(sqlx::FromRow)]
struct Column {
    name: String,
    kind: String,
    collation: Option<String>,
    required: bool,
    identity: String,
    generated: String,
    value: Option<String>,
    comment: Option<String>,
}

const COLUMNS: &str = "select quote_ident(a.attname) as name,
    replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz') as kind,
    case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end as collation,
    a.attnotnull as required, a.attidentity::text as identity, a.attgenerated::text as generated,
    pg_get_expr(d.adbin, d.adrelid) as value, col_description(a.attrelid, a.attnum) as comment
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
  order by a.attnum";

#[derive(sqlx::FromRow)]
struct Constraint {
    name: String,
    definition: String,
    validated: bool,
    /// Whether it refers to a table that is made later.
    later: bool,
    comment: Option<String>,
}

/// From 18 on, a column's NOT NULL is one too; it stands with the column.
const CONSTRAINTS: &str =
    "select quote_ident(conname) as name, pg_get_constraintdef(oid) as definition, convalidated as validated,
    contype = 'f' and confrelid > conrelid as later, obj_description(oid, 'pg_constraint') as comment
  from pg_constraint
  where conrelid = $1::oid and contype in ('p', 'u', 'x', 'f', 'c') and conparentid = 0
  order by array_position('{p,u,x,f,c}', contype::text), conname collate \"C\"";

const INDEXES: &str =
    "select pg_get_indexdef(i.indexrelid), i.indexrelid::regclass::text, obj_description(i.indexrelid, 'pg_class')
  from pg_index i join pg_class c on c.oid = i.indexrelid
  where i.indrelid = $1::oid and not c.relispartition
    and not exists (select from pg_constraint o where o.conindid = i.indexrelid and o.contype in ('p', 'u', 'x'))
  order by c.relname collate \"C\"";

const STATISTICS: &str = "select pg_get_statisticsobjdef(oid) from pg_statistic_ext where stxrelid = $1::oid
  order by stxname collate \"C\"";

#[derive(sqlx::FromRow)]
struct Policy {
    name: String,
    permissive: bool,
    command: String,
    /// `public` for PUBLIC.
    roles: Vec<String>,
    using: Option<String>,
    check: Option<String>,
    comment: Option<String>,
}

const POLICIES: &str = "select quote_ident(polname) as name, polpermissive as permissive,
    case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
    array(select coalesce(r.rolname::text, 'public') from unnest(polroles) u (oid) left join pg_roles r on r.oid = u.oid
      order by r.rolname collate \"C\") as roles,
    pg_get_expr(polqual, polrelid) as using, pg_get_expr(polwithcheck, polrelid) as check,
    obj_description(oid, 'pg_policy') as comment
  from pg_policy where polrelid = $1::oid
  order by array_position('{r,a,w,d,*}', polcmd::text), polname collate \"C\"";

const GRANTED: &str = "select g.grantee, g.privilege, g.column, g.grantable from (
    select coalesce(r.rolname::text, '') as grantee, a.privilege_type as privilege, null::text as column, a.is_grantable as grantable,
      0 as place
    from pg_class c cross join lateral aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
    where c.oid = $1::oid and a.grantee <> c.relowner
    union all
    select coalesce(r.rolname::text, ''), a.privilege_type, quote_ident(t.attname), a.is_grantable, t.attnum
    from pg_attribute t cross join lateral aclexplode(t.attacl) a left join pg_roles r on r.oid = a.grantee
    where t.attrelid = $1::oid and not t.attisdropped
  ) g order by g.place";

#[derive(sqlx::FromRow)]
struct Trigger {
    name: String,
    definition: String,
    enabled: String,
    function: i64,
    comment: Option<String>,
}

const TRIGGERS: &str =
    "select quote_ident(tgname) as name, pg_get_triggerdef(oid) as definition, tgenabled::text as enabled,
    tgfoid::bigint as function, obj_description(oid, 'pg_trigger') as comment
  from pg_trigger where tgrelid = $1::oid and not tgisinternal and tgparentid = 0
  order by tgname collate \"C\"";

/// One table, with the functions of its triggers.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn table(connection: &mut PgConnection, oid: i64) -> anyhow::Result<String> {
    let made = made(connection, oid, &mut BTreeSet::new()).await?;
    Ok(if made.later.is_empty() { made.text } else { format!("{}\n{}", made.text, made.later) })
}

/// One table, with those functions of its triggers that are not written yet.
pub(super) async fn made(connection: &mut PgConnection, oid: i64, written: &mut BTreeSet<i64>) -> anyhow::Result<Made> {
    let table: Table = sqlx::query_as(TABLE).bind(oid).fetch_one(&mut *connection).await?;
    let columns: Vec<Column> = sqlx::query_as(COLUMNS).bind(oid).fetch_all(&mut *connection).await?;
    let constraints: Vec<Constraint> = sqlx::query_as(CONSTRAINTS).bind(oid).fetch_all(&mut *connection).await?;
    let name = &table.name;
    let (mut text, mut later) = (table.created(&columns, &constraints), String::new());
    text += &format!("alter table {name} owner to {};\n", table.owner);
    for constraint in constraints.iter().filter(|constraint| !constraint.stands_with_columns()) {
        let statement = format!("alter table {name} add constraint {};", constraint.said());
        let statements = if constraint.later { &mut later } else { &mut text };
        *statements += &format!("{}\n", sql::folded(&statement, 2));
    }
    text += &commented("table", name, table.comment.clone());
    for column in columns {
        text += &commented("column", &format!("{name}.{}", column.name), column.comment);
    }
    for constraint in constraints {
        let statements = if constraint.later { &mut later } else { &mut text };
        *statements += &commented("constraint", &format!("{} on {name}", constraint.name), constraint.comment);
    }

    let indexes: Vec<(String, String, Option<String>)> =
        sqlx::query_as(INDEXES).bind(oid).fetch_all(&mut *connection).await?;
    let statistics: Vec<String> = sqlx::query_scalar(STATISTICS).bind(oid).fetch_all(&mut *connection).await?;
    text += if indexes.is_empty() && statistics.is_empty() { "" } else { "\n" };
    for (definition, index, comment) in indexes {
        // What an index is when nobody says otherwise.
        let definition = sql::lowered(&definition).replacen(" using btree (", " (", 1);
        text += &format!("{};\n", sql::folded(&definition, 2));
        text += &commented("index", &index, comment);
    }
    for definition in statistics {
        text += &format!("{};\n", sql::folded(&sql::lowered(&definition), 2));
    }

    text.push('\n');
    text += if table.rls { "" } else { "-- **row-level security is off**\n" };
    for (holds, what) in [(table.rls, "enable"), (table.forced, "force")] {
        text += &if holds { format!("alter table {name} {what} row level security;\n") } else { String::new() };
    }
    let mut policies: Vec<Policy> = sqlx::query_as(POLICIES).bind(oid).fetch_all(&mut *connection).await?;
    policies.sort_by(|one, other| {
        roles::rank(&one.roles.join(", "))
            .cmp(&roles::rank(&other.roles.join(", ")))
            .then(other.permissive.cmp(&one.permissive))
    });
    for policy in policies {
        text += &format!("\n{}", policy.created(name));
        text += &commented("policy", &format!("{} on {name}", policy.name), policy.comment);
    }
    let granted = grants(&granted(connection, oid).await?, name);
    text += &if granted.is_empty() { granted } else { format!("\n{granted}") };

    let triggers: Vec<Trigger> = sqlx::query_as(TRIGGERS).bind(oid).fetch_all(&mut *connection).await?;
    for trigger in &triggers {
        if written.insert(trigger.function) {
            text += &format!("\n{}", function(connection, trigger.function).await?);
        }
    }
    text += if triggers.is_empty() { "" } else { "\n" };
    for trigger in triggers {
        text += &trigger.created(name);
        text += &commented("trigger", &format!("{} on {name}", trigger.name), trigger.comment);
    }
    Ok(Made { text, later })
}

/// What is granted on a table or view, and its columns.
///
/// # Errors
/// When the catalog cannot be read.
pub(super) async fn granted(connection: &mut PgConnection, oid: i64) -> anyhow::Result<Vec<Granted>> {
    Ok(sqlx::query_as(GRANTED).bind(oid).fetch_all(connection).await?)
}

impl Table {
    fn created(&self, columns: &[Column], constraints: &[Constraint]) -> String {
        if let Some(partition) = &self.partition {
            let (parent, bound) = partition.split_once(' ').unwrap_or((partition, ""));
            return format!("create table {} partition of {parent}\n  {};\n", self.name, sql::lowered(bound));
        }
        let mut lines: Vec<String> = columns.iter().map(Column::said).collect();
        let constraints = constraints.iter().filter(|constraint| constraint.stands_with_columns());
        lines.extend(constraints.map(|constraint| format!("constraint {}", constraint.said())));
        let lines: Vec<String> = lines.iter().map(|line| sql::folded(&format!("  {line}"), 4)).collect();
        let create = if self.unlogged { "create unlogged table" } else { "create table" };
        let mut out = format!("{create} {} (\n{}\n)", self.name, lines.join(",\n"));
        if let Some(key) = &self.partitioned {
            out += &format!(" partition by {}", sql::lowered(key));
        }
        if !self.options.is_empty() {
            out += &format!(" with ({})", self.options.join(", "));
        }
        out += ";\n";
        if self.kind == "p" {
            out += "-- Its partitions are made as time goes by, and reached through it alone.\n";
        }
        out
    }
}

impl Column {
    fn said(&self) -> String {
        let mut out = format!("{} {}", self.name, self.kind);
        if let Some(collation) = &self.collation {
            out += &format!(" collate {collation}");
        }
        out += if self.required { " not null" } else { "" };
        match (self.identity.as_str(), self.value.as_deref().map(sql::readable)) {
            ("a", _) => out += " generated always as identity",
            ("d", _) => out += " generated by default as identity",
            (_, Some(value)) if self.generated == "s" => out += &format!(" generated always as ({value}) stored"),
            (_, Some(value)) if self.generated == "v" => out += &format!(" generated always as ({value}) virtual"),
            (_, Some(value)) => out += &format!(" default {value}"),
            (_, None) => {}
        }
        out
    }
}

impl Constraint {
    fn stands_with_columns(&self) -> bool {
        self.validated && !self.later
    }

    fn said(&self) -> String {
        format!("{} {}", self.name, sql::readable(&self.definition))
    }
}

impl Policy {
    fn created(&self, table: &str) -> String {
        let kind = if self.permissive { "" } else { "as restrictive " };
        let mut out = format!("create policy {} on {table}\n", self.name);
        out += &format!("  {kind}for {} to {}", self.command, self.roles.join(", "));
        for (clause, expression) in [("using", &self.using), ("with check", &self.check)] {
            if let Some(expression) = expression {
                out += &clause_of(clause, &sql::readable(expression));
            }
        }
        out + ";\n"
    }
}

/// On one line, or a condition a line.
fn clause_of(clause: &str, expression: &str) -> String {
    let line = format!("\n  {clause} ({expression})");
    if line.chars().count() <= sql::WIDTH {
        return line;
    }
    let conditions: Vec<String> = sql::conditions(expression)
        .into_iter()
        .enumerate()
        .map(|(place, condition)| {
            let joined = if place == 0 { format!("    {condition}") } else { format!("    and {condition}") };
            sql::folded(&joined, 6)
        })
        .collect();
    format!("\n  {clause} (\n{}\n  )", conditions.join("\n"))
}

impl Trigger {
    fn created(&self, table: &str) -> String {
        let definition = sql::readable(&self.definition);
        let mut out = match definition.split_once(" for each ") {
            Some((what, how)) => {
                format!("{}\n{};\n", sql::folded(what, 2), sql::folded(&format!("  for each {how}"), 4))
            }
            None => format!("{};\n", sql::folded(&definition, 2)),
        };
        let how = match self.enabled.as_str() {
            "O" => return out,
            "D" => "disable trigger",
            "R" => "enable replica trigger",
            _ => "enable always trigger",
        };
        out += &format!("alter table {table} {how} {};\n", self.name);
        out
    }
}
