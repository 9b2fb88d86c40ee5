//! `migrations/SCHEMA.sql`, and `vicket audit show`: what the catalog holds, as the SQL that would make it. A file of all
//! migrations' outcome, noun by noun, and not one that anything runs but a test, which compares what becomes of it.

mod function;
mod statements;
mod table;

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{lints, sql};
pub use function::function;
pub use statements::title;
use statements::{Granted, commented, grants};
pub use table::table;

const HEAD: &str = "-- What the migrations make, as it is after all of them. Generated from the catalog: `just isolation` writes it, a test
-- compares it. `vicket audit show NAME` prints one table or function of a database.
--
-- First the schemas and the context that policies ask, then each table with its policies, grants and triggers, then what
-- a gate, background work and administration may execute. The roles are in roles.sql. The views of the schema audit are
-- the lints, src/audit/lints.

set check_function_bodies = off;
-- What is executable by PUBLIC would say so.
alter default privileges revoke execute on functions from public;
";

/// The whole file.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn write(connection: &mut PgConnection) -> anyhow::Result<String> {
    let mut out = HEAD.to_owned();
    out += &schemas(connection).await?;
    let mut written = BTreeSet::new();
    out += &types(connection).await?;
    out += &functions(connection, "ctx", &mut written).await?;
    let tables: Vec<(i64, String)> = sqlx::query_as(TABLES).fetch_all(&mut *connection).await?;
    anyhow::ensure!(!tables.is_empty(), "there is no table of Vicket in this database");
    let mut later = String::new();
    for (oid, name) in tables {
        out += &title(&name);
        let made = table::made(connection, oid, &mut written).await?;
        out += &made.text;
        later += &made.later;
    }
    if !later.is_empty() {
        out += &title("Foreign keys to tables that come later");
        out += &later;
    }
    let schemas: Vec<String> = sqlx::query_scalar(SCHEMAS_OF_FUNCTIONS).fetch_all(&mut *connection).await?;
    for schema in schemas {
        out += &functions(connection, &schema, &mut written).await?;
    }
    out += &others(connection).await?;
    Ok(out)
}

/// In the order in which migrations make them. Partitions are their parent's.
const TABLES: &str = "select c.oid::bigint, format('%I.%I', n.nspname, c.relname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relname <> '_sqlx_migrations'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by c.oid";

const SCHEMAS_OF_FUNCTIONS: &str = "select n.nspname::text
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  group by n.oid, n.nspname order by n.oid";

/// What is neither a table nor a function, and made by no lint.
async fn others(connection: &mut PgConnection) -> anyhow::Result<String> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "select c.oid::bigint, case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
            else 'sequence' end, format('%I.%I', n.nspname, c.relname)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          and not exists (select from pg_depend d
            where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('e', 'i'))
        union all
        select t.oid::bigint, 'type', format('%I.%I', n.nspname, t.typname)
        from pg_type t join pg_namespace n on n.oid = t.typnamespace
        where t.typtype in ('d', 'e', 'r') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
        order by 1",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut out = String::new();
    for (oid, kind, name) in rows {
        let of_lints = lints::views().iter().any(|(view, ..)| name == format!("audit.{view}"));
        match kind.as_str() {
            "view" if of_lints => {}
            "view" => out += &format!("{}{}", title(&name), view(connection, oid).await?),
            _ => out += &title(&format!("**a {kind}, {name}**")),
        }
    }
    Ok(out)
}

/// A view.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn view(connection: &mut PgConnection, oid: i64) -> anyhow::Result<String> {
    let (name, owner, options, definition, comment): (String, String, Vec<String>, String, Option<String>) = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname), pg_get_userbyid(c.relowner)::text, coalesce(c.reloptions, '{}'),
          pg_get_viewdef(c.oid), obj_description(c.oid, 'pg_class')
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::oid",
    )
    .bind(oid)
    .fetch_one(&mut *connection)
    .await?;
    let with = if options.is_empty() { String::new() } else { format!(" with ({})", options.join(", ")) };
    let mut out = format!("create view {name}{with} as\n{definition}\n");
    out += &format!("alter view {name} owner to {owner};\n{}", commented("view", &name, comment));
    Ok(out + &grants(&table::granted(connection, oid).await?, &name))
}

async fn schemas(connection: &mut PgConnection) -> anyhow::Result<String> {
    let rows: Vec<(i64, String, String, Option<String>)> = sqlx::query_as(
        "select n.oid::bigint, quote_ident(n.nspname), pg_get_userbyid(n.nspowner)::text, obj_description(n.oid, 'pg_namespace')
        from pg_namespace n where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by n.oid",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut out = String::new();
    for (oid, name, owner, comment) in rows {
        // PostgreSQL makes `public`, and lets everybody use it.
        let there = name == "public";
        if !there {
            out += &format!("\ncreate schema {name} authorization {owner};\n{}", commented("schema", &name, comment));
        }
        let granted: Vec<Granted> = sqlx::query_as(
            "select coalesce(r.rolname::text, '') as grantee, a.privilege_type as privilege, null as column,
              a.is_grantable as grantable
            from pg_namespace n cross join lateral aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee
            where n.oid = $1::oid and a.grantee <> n.nspowner and not ($2 and a.grantee = 0 and a.privilege_type = 'USAGE')",
        )
        .bind(oid)
        .bind(there)
        .fetch_all(&mut *connection)
        .await?;
        out += &grants(&granted, &format!("schema {name}"));
    }
    out.push('\n');
    // Of our roles; of whoever deploys, in the head.
    let mut defaults: Vec<String> = sqlx::query_scalar(
        "with of as (
          select d.*, format('alter default privileges for role %I', pg_get_userbyid(d.defaclrole))
              || coalesce((select format(' in schema %I', n.nspname) from pg_namespace n where n.oid = d.defaclnamespace), '') as head,
            case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
              else 'schemas' end as what
          from pg_default_acl d
          where pg_get_userbyid(d.defaclrole) in ('vicket_owner', 'vicket_definer')
        )
        select format('%s grant %s on %s to %s;', head, lower(a.privilege_type), what, coalesce(quote_ident(r.rolname), 'public'))
        from of cross join lateral aclexplode(of.defaclacl) a left join pg_roles r on r.oid = a.grantee
        where a.grantee <> of.defaclrole
        union all
        select format('%s revoke execute on functions from public;', head)
        from of
        where of.defaclobjtype = 'f' and of.defaclnamespace = 0
          and not exists (select from aclexplode(of.defaclacl) a where a.grantee = 0)",
    )
    .fetch_all(connection)
    .await?;
    defaults.sort_unstable();
    for statement in defaults {
        out += &format!("{}\n", sql::folded(&statement, 2));
    }
    Ok(out)
}

/// What functions return, before them.
async fn types(connection: &mut PgConnection) -> anyhow::Result<String> {
    let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname), pg_get_userbyid(c.relowner)::text,
          (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
          obj_description(c.reltype, 'pg_type')
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'c' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = c.reltype and d.deptype = 'e')
        order by c.oid",
    )
    .fetch_all(connection)
    .await?;
    let mut out = String::new();
    for (name, owner, columns, comment) in rows {
        out += &format!("{}\n", sql::listed(&format!("create type {name} as ({columns});"), 2));
        out += &format!("alter type {name} owner to {owner};\n{}", commented("type", &name, comment));
    }
    Ok(if out.is_empty() { out } else { format!("{}{out}", title("What functions return")) })
}

/// The functions of a schema that are not written yet.
async fn functions(connection: &mut PgConnection, schema: &str, written: &mut BTreeSet<i64>) -> anyhow::Result<String> {
    let oids: Vec<i64> = sqlx::query_scalar(
        "select p.oid::bigint from pg_proc p
        where p.pronamespace = to_regnamespace($1)
          and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
        order by p.oid",
    )
    .bind(schema)
    .fetch_all(&mut *connection)
    .await?;
    let mut out = String::new();
    for oid in oids {
        if written.insert(oid) {
            out += &format!("\n{}", function(connection, oid).await?);
        }
    }
    Ok(if out.is_empty() {
        out
    } else {
        format!("{}{}", title(&format!("Functions of {schema}")), out.trim_start_matches('\n'))
    })
}
