//! Files that are generated and committed: each has one command, and a test here that fails when it is stale.
//!
//! With `VICKET_BLESS=1` the tests write what they would have compared.

use std::path::Path;

use sqlx::{AssertSqlSafe, Row as _};

use crate::harness::{DEPLOY, World};

/// Compares `text` with the committed file, or writes it.
fn compare(file: &str, text: &str, command: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("VICKET_BLESS").is_some() {
        std::fs::write(&path, text).expect("the checkout is writable");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).find(|(committed, generated)| committed != generated);
    assert!(committed == text, "{file} is stale; run: {command}\nfirst difference: {differs:?}");
}

#[test]
fn the_committed_openapi_documents_are_the_generated_ones() {
    let document = vicket::api::support::document().expect("a complete document");
    compare("openapi/support.v1.json", &document, "just openapi");
    let document = vicket::api::agent::document().expect("a complete document");
    compare("openapi/agent.v1.json", &document, "just openapi");
}

#[tokio::test]
async fn the_committed_isolation_report_is_what_the_catalog_says() {
    let world = World::new().await;
    compare("migrations/ISOLATION.md", &report(&world).await, "just isolation");
}

/// A section of the report: a heading, what it says, and a query whose rows are its lines.
struct Section {
    heading: &'static str,
    text: &'static str,
    columns: &'static [&'static str],
    sql: &'static str,
}

const SECTIONS: &[Section] = &[
    Section {
        heading: "Tables",
        text: "Row-level security must be enabled and forced on every one.",
        columns: &["table", "owner", "RLS", "forced"],
        sql: "select c.oid::regclass::text, c.relowner::regrole::text,
            case when c.relrowsecurity then 'yes' else '**NO**' end,
            case when c.relforcerowsecurity then 'yes' else '**NO**' end
          from pg_class c where c.relkind in ('r', 'p', 'm', 'f') and c.relnamespace in (select oid from ours)",
    },
    Section {
        heading: "Views",
        text: "They run as whoever reads them: security_invoker.",
        columns: &["view", "owner", "settings"],
        sql: "select c.oid::regclass::text, c.relowner::regrole::text, coalesce(array_to_string(c.reloptions, '; '), '')
          from pg_class c where c.relkind = 'v' and c.relnamespace in (select oid from ours)",
    },
    Section {
        heading: "Policies",
        text: "A row must pass one permissive policy of its command and every restrictive one.",
        columns: &["table", "policy", "kind", "command", "roles", "USING", "WITH CHECK"],
        sql: "select p.polrelid::regclass::text, p.polname::text,
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
            (select string_agg(coalesce(r.rolname, '**PUBLIC**'), ', ' order by r.rolname)
             from unnest(p.polroles) as of_policy (oid) left join pg_roles r on r.oid = of_policy.oid),
            coalesce(pg_get_expr(p.polqual, p.polrelid), ''),
            coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
          from pg_policy p join pg_class c on c.oid = p.polrelid where c.relnamespace in (select oid from ours)",
    },
    Section {
        heading: "Grants on tables and columns",
        text: "What is not here is not granted. Columns are listed where the grant is not of the whole table.",
        columns: &["table", "role", "privilege", "columns"],
        sql: "select g.tab, g.grantee, g.privilege, g.cols from (
            select c.oid::regclass::text as tab, coalesce(r.rolname, '**PUBLIC**')::text as grantee,
              lower(a.privilege_type) as privilege, '(whole table)' as cols
            from pg_class c cross join lateral aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
            where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relnamespace in (select oid from ours) and a.grantee <> c.relowner
            union all
            select c.oid::regclass::text, coalesce(r.rolname, '**PUBLIC**'), lower(a.privilege_type),
              string_agg(t.attname, ', ' order by t.attnum)
            from pg_class c
            join pg_attribute t on t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped
            cross join lateral aclexplode(t.attacl) a left join pg_roles r on r.oid = a.grantee
            where c.relnamespace in (select oid from ours)
            group by 1, 2, 3
          ) g",
    },
    Section {
        heading: "Functions",
        text: "SECURITY DEFINER functions belong to vicket_definer and pin their search_path; none is executable by PUBLIC.",
        columns: &["function", "owner", "security", "volatility", "settings", "executable by"],
        sql: "select p.oid::regprocedure::text, p.proowner::regrole::text,
            case when p.prosecdef then 'definer' else 'invoker' end,
            case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
            coalesce(array_to_string(p.proconfig, '; '), ''),
            coalesce((select string_agg(coalesce(r.rolname, '**PUBLIC**'), ', ' order by r.rolname)
             from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a left join pg_roles r on r.oid = a.grantee
             where a.grantee <> p.proowner), '')
          from pg_proc p where p.pronamespace in (select oid from ours)",
    },
    Section {
        heading: "Triggers",
        text: "",
        columns: &["table", "trigger", "definition"],
        sql: "select t.tgrelid::regclass::text, t.tgname::text,
            regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER \\S+ ', '')
          from pg_trigger t join pg_class c on c.oid = t.tgrelid
          where not t.tgisinternal and c.relnamespace in (select oid from ours)",
    },
    Section {
        heading: "Schemas",
        text: "",
        columns: &["schema", "owner", "granted"],
        sql: "select n.nspname::text, n.nspowner::regrole::text,
            coalesce((select string_agg(coalesce(r.rolname, '**PUBLIC**') || ': ' || lower(a.privilege_type), ', '
               order by r.rolname, a.privilege_type)
             from aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee where a.grantee <> n.nspowner), '')
          from pg_namespace n where n.oid in (select oid from ours)",
    },
    Section {
        heading: "Roles",
        text: "Nobody is a superuser or has BYPASSRLS. Logins are NOINHERIT: by themselves they may do what is listed above.",
        columns: &["role", "login", "inherits", "superuser", "bypassrls", "createrole", "member of", "settings"],
        sql: "select r.rolname::text, r.rolcanlogin::text, r.rolinherit::text, r.rolsuper::text, r.rolbypassrls::text,
            r.rolcreaterole::text,
            coalesce((select string_agg(m.roleid::regrole::text, ', ' order by m.roleid::regrole::text)
              from pg_auth_members m where m.member = r.oid
                and coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)), ''),
            coalesce((select array_to_string(array(select entry from unnest(s.setconfig) as c (entry) order by 1), '; ')
              from pg_db_role_setting s
              where s.setrole = r.oid and s.setdatabase = 0), '')
          from pg_roles r
          where r.rolname in ('vicket_owner', 'vicket_definer', 'vicket_widget', 'vicket_agent', 'vicket_operator',
            'vicket_auditor', 'vicket_gate_widget', 'vicket_gate_agent', 'vicket_worker')",
    },
];

async fn report(world: &World) -> String {
    let mut report = String::from(
        "# Isolation, as it is after all migrations\n\n\
         Generated from the catalog; do not edit. `just isolation` writes it, a test compares it. A weaker policy or a wider \
         grant is a changed line here.\n",
    );
    for section in SECTIONS {
        let sql = format!(
            "with ours as (select oid from pg_namespace where nspname !~ '^pg_' and nspname not in ('information_schema', 'public'))
             {}",
            section.sql
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&world.superuser).await.expect(section.heading);
        assert!(!rows.is_empty(), "{} lists nothing", section.heading);
        report += &format!("\n## {}\n\n", section.heading);
        if !section.text.is_empty() {
            report += &format!("{}\n\n", section.text);
        }
        report += &format!("| {} |\n|{}\n", section.columns.join(" | "), "---|".repeat(section.columns.len()));
        // Sorted here and not by PostgreSQL, whose order of text depends on the database's locale.
        let mut lines: Vec<Vec<String>> = rows
            .iter()
            .map(|row| (0..section.columns.len()).map(|cell| printable(&row.get::<String, _>(cell))).collect())
            .collect();
        lines.sort();
        for cells in lines {
            report += &format!("| {} |\n", cells.join(" | "));
        }
    }
    report
}

/// One line, safe in a table cell, and without the name of whoever deployed.
fn printable(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace('|', "\\|").replace(DEPLOY, "(deploying login)")
}
