//! The mutants, generated from the catalog: a table, policy or function that somebody adds is weakened too.

use sqlx::PgConnection;
use vicket::audit::conditions;

/// One weakening.
#[derive(Clone, Debug)]
pub struct Mutant {
    pub kind: &'static str,
    pub sql: String,
    /// The table whose rows it would show; `None` for all.
    pub table: Option<String>,
    /// The lints that are asked first, because they will know.
    pub lints: &'static str,
    /// Whether it must be noticed by more than the digest of a body.
    pub probed: bool,
}

/// The lints that are asked first, what is weakened, and a query of `table, sql`: whose rows it would show, and how.
const QUERIES: &[(&str, &str, &str)] = &[
    (
        "tables", "row-level security disabled",
        "select name, format('alter table %s disable row level security', name) from tab",
    ),
    ("tables", "not forced", "select name, format('alter table %s no force row level security', name) from tab"),
    (
        "policies", "restrictive policy dropped",
        "select of, format('drop policy %I on %s', name, of) from pol where not permissive",
    ),
    ("objects", "policy dropped", "select of, format('drop policy %I on %s', name, of) from pol where permissive"),
    (
        "objects", "trigger dropped",
        "select t.name, format('drop trigger %I on %s', g.tgname, t.name)
         from pg_trigger g join tab t on t.oid = g.tgrelid where not g.tgisinternal and g.tgparentid = 0",
    ),
    (
        "objects", "trigger of less",
        "select t.name, format('drop trigger %I on %s; %s', g.tgname, t.name,
           regexp_replace(pg_get_triggerdef(g.oid), ' (BEFORE|AFTER) .* ON ', ' \\1 DELETE ON '))
         from pg_trigger g join tab t on t.oid = g.tgrelid
         where not g.tgisinternal and g.tgparentid = 0 and pg_get_triggerdef(g.oid) !~ ' (BEFORE|AFTER) DELETE ON '",
    ),
    (
        "objects", "constraint dropped",
        "select t.name, format('alter table %s drop constraint %I cascade', t.name, k.conname)
         from pg_constraint k join tab t on t.oid = k.conrelid
         where k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0",
    ),
    (
        "objects", "unique index dropped",
        "select t.name, format('drop index vicket.%I', c.relname)
         from pg_index i join pg_class c on c.oid = i.indexrelid join tab t on t.oid = i.indrelid
         where i.indisunique and not exists (select from pg_constraint k where k.conindid = i.indexrelid)",
    ),
    (
        "policies", "using (true)",
        "select of, format('alter policy %I on %s using (true)', name, of) from pol where qual is not null and requests",
    ),
    (
        "policies", "with check (true)",
        "select of, format('alter policy %I on %s with check (true)', name, of) from pol where checked is not null and requests",
    ),
    (
        "policies", "policy for PUBLIC",
        "select of, format('alter policy %I on %s to public', name, of) from pol where requests and permissive",
    ),
    (
        "grants", "over-grant: the whole table to the widget",
        "select name, format('grant all on %s to vicket_widget', name) from tab",
    ),
    ("grants", "over-grant: TRUNCATE to agents", "select name, format('grant truncate on %s to vicket_agent', name) from tab"),
    (
        "grants", "over-grant: may lock the table",
        "select name, format('grant %s on %s to %s', p.privilege, name, r.role)
         from tab, unnest(array['update', 'delete']) as p (privilege), unnest(array['vicket_agent', 'vicket_worker']) as r (role)",
    ),
    ("grants", "over-grant: to the gate", "select name, format('grant select on %s to vicket_gate_widget', name) from tab"),
    ("grants", "over-grant: to what takes mail in", "select name, format('grant select on %s to vicket_mail', name) from tab"),
    (
        "grants", "over-grant: the tenant may be bound",
        "select name, format('grant insert (org_id), update (org_id) on %s to vicket_agent', name) from tab",
    ),
    (
        "grants", "over-grant: a secret",
        "select format('%I.%I', n.nspname, c.relname),
           format('grant select (%I) on %I.%I to vicket_agent', a.attname, n.nspname, c.relname)
         from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'vicket' and c.relkind = 'r' and a.attname in ('key_hash', 'token_hash', 'password_hash')",
    ),
    (
        "tables", "tenant nullable",
        "select name, format('alter table %s alter column org_id drop not null', name) from tab",
    ),
    (
        "tables", "trigger disabled",
        "select t.name, format('alter table %s disable trigger %I', t.name, g.tgname)
         from pg_trigger g join tab t on t.oid = g.tgrelid where not g.tgisinternal",
    ),
    (
        "structure", "foreign key without the tenant",
        "select t.name, format('create unique index mutant on %s (%I); alter table %s drop constraint %I, add foreign key (%I) references %1$s (%2$I)',
           target.name, there.attname, t.name, k.conname, here.attname)
         from pg_constraint k
         join tab t on t.oid = k.conrelid
         join tab target on target.oid = k.confrelid and target.name <> 'vicket.orgs'
         join pg_attribute here on here.attrelid = k.conrelid and here.attnum = k.conkey[array_upper(k.conkey, 1)]
         join pg_attribute there on there.attrelid = k.confrelid and there.attnum = k.confkey[array_upper(k.confkey, 1)]
         where k.contype = 'f' and array_length(k.conkey, 1) > 1",
    ),
    (
        "tables", "view with its owner's rights",
        "select name, format('create view vicket.mutant as select * from %s; grant select on vicket.mutant to vicket_agent', name)
         from tab",
    ),
    (
        "functions", "context helper IMMUTABLE",
        "select null, format('alter function %s immutable', f.oid::regprocedure) from fun f where f.schema = 'ctx' and f.provolatile <> 'i'",
    ),
    ("functions", "LEAKPROOF", "select null, format('alter function %s leakproof', f.oid::regprocedure) from fun f where f.schema = 'ctx'"),
    (
        "functions", "definer without search_path",
        "select null, format('alter function %s reset search_path', f.oid::regprocedure) from fun f where f.prosecdef",
    ),
    (
        "functions", "definer of another owner",
        "select null, format('alter function %s owner to vicket_owner', f.oid::regprocedure) from fun f where f.prosecdef",
    ),
    (
        "functions", "function for PUBLIC",
        "select null, format('grant execute on function %s to public', f.oid::regprocedure) from fun f",
    ),
    (
        "functions", "function that always says yes",
        "select null, format('create or replace function %s returns boolean language plpgsql stable security definer'
             || ' set search_path = pg_catalog, pg_temp as $mutant$ begin return true; end $mutant$',
           format('%I.%I(%s)', f.schema, f.proname, pg_get_function_arguments(f.oid)))
         from fun f where f.schema = 'ctx' and f.prosecdef and f.prorettype = 'boolean'::regtype
           and f.proname <> 'needs_actor'
           -- These say what they did, and open nothing.
           and f.proname not in ('end_customer_session', 'note_read', 'remove_draft', 'remove_tag', 'remove_view')",
    ),
    (
        "functions", "seal that believes a setting",
        "select null, format('create or replace function %s() returns uuid language plpgsql stable security definer'
             || ' set search_path = pg_catalog, pg_temp as $mutant$ begin return ctx.%s(); end $mutant$',
           f.oid::regproc, replace(f.proname, '_by_key', '_id'))
         from fun f where f.proname like '%\\_by\\_key'",
    ),
    (
        // With the policies of the function's owner out of the way, which would hold it.
        "functions", "function that believes a setting",
        "select null, format('%s; alter policy definer_select on vicket.ticket_tokens using (true);
             alter policy definer_select on vicket.submissions using (true);
             alter policy definer_select on vicket.customers using (true);
             alter policy definer_select on vicket.customer_sessions using (true);
             alter policy definer_insert on vicket.submissions with check (true);
             alter policy definer_update on vicket.submissions using (true) with check (true)',
           replace(
             replace(replace(pg_get_functiondef(f.oid), 'ctx.org_by_key()', 'ctx.org_id()'), 'ctx.site_by_key()', 'ctx.site_id()'),
             'k.key_hash = ctx.digest(''key'')', 'k.org_id = ctx.org_id() and k.site_id = ctx.site_id()'))
         from fun f
         where f.schema = 'ctx' and f.prosrc ~ '_by_key\\(\\)|k\\.key_hash = ctx\\.digest\\(''key''\\)'
           -- They ask ctx.ticket_id or ctx.customer first, which the key answers; or what a moved setting shows them, whether a
           -- site wants an identity and a session of one's own, is nobody else's.
           and f.proname not in ('score_ticket', 'activity_of_mine', 'note_read', 'may_submit', 'end_customer_session')",
    ),
    (
        "functions", "entering that leaves a setting of before",
        "select distinct null, replace(pg_get_functiondef(f.oid), format('set_config(''app.%s''', s.found[1]), 'set_config(''app.mutant''')
         from fun f cross join lateral regexp_matches(f.prosrc, 'set_config\\(''app\\.([a-z_]+)''', 'g') s (found)
         where f.proname in ('enter', 'enter_actor')",
    ),
    (
        "functions", "session that is always clean",
        "select null, replace(pg_get_functiondef(f.oid), 'return clean', 'return true')
         from fun f where f.proname = 'session_is_clean'",
    ),
    (
        "functions", "function of before: it takes its caller's word",
        "select null, f.made
         from (values
           ('create function ctx.claim_submission(text, bytea, bytea, ticket_id uuid, message_id uuid) returns text'),
           ('create function ctx.reserve_object(site_id uuid) returns text')
         ) w (head)
         cross join lateral (select w.head || ' language sql security definer set search_path = pg_catalog, pg_temp
           as $mutant$ select current_setting(''app.org_id'') $mutant$' as made) f",
    ),
    (
        "functions", "body that passes through",
        "select null, split_part(pg_get_functiondef(f.oid), E'\\nAS $', 1) || format(E'\\nas $mutant$ %s $mutant$',
           case
             when f.prorettype = 'trigger'::regtype then 'begin return coalesce(new, old); end'
             when f.lanname = 'sql' then 'select ' || coalesce(f.given, 'null::' || format_type(f.prorettype, null))
             when f.proretset or f.proargmodes is not null or f.prorettype = 'void'::regtype then 'begin return; end'
             else 'begin return ' || coalesce(f.given, 'null') || '; end'
           end)
         from (
           select f.*, l.lanname,
             case when f.prorettype = 'boolean'::regtype then 'true'
               else (
                 select '$' || min(a.place)
                 from unnest(f.proargtypes::oid[]) with ordinality a (type, place)
                 where a.type = f.prorettype
               )
             end as given
           from fun f join pg_language l on l.oid = f.prolang
         ) f",
    ),
    (
        "functions", "definer as invoker, invoker as definer",
        "select null, format('alter function %s security %s', f.oid::regprocedure, case when f.prosecdef then 'invoker' else 'definer' end)
         from fun f",
    ),
    (
        "functions", "volatility",
        "select null, format('alter function %s %s', f.oid::regprocedure, case f.provolatile when 'v' then 'stable' else 'volatile' end)
         from fun f",
    ),
    (
        "objects", "another default of an argument",
        "select null, replace(pg_get_functiondef(f.oid), 'DEFAULT NULL::text', 'DEFAULT ''mutant''::text')
         from fun f where pg_get_function_arguments(f.oid) like '%DEFAULT NULL::text%'",
    ),
    ("functions", "function dropped", "select null, format('drop function %s cascade', f.oid::regprocedure) from fun f"),
    (
        "functions", "function that nobody reviewed",
        "select null, format('create function ctx.%I(mutant integer) returns boolean language sql as $mutant$ select true $mutant$',
           f.proname)
         from fun f where f.schema = 'ctx'",
    ),
    (
        "roles", "role attribute",
        "select null, format('alter role %I %s', r.rolname, a.name)
         from pg_roles r, unnest(array['superuser', 'bypassrls', 'createrole']) as a (name) where r.rolname like 'vicket\\_%'",
    ),
    (
        "roles", "login that inherits, role that logs in",
        "select null, format('alter role %I %s', r.rolname, case when r.rolcanlogin then 'inherit' else 'login' end)
         from pg_roles r where r.rolname like 'vicket\\_%'",
    ),
    (
        "roles", "membership",
        "select null, format('grant %I to %I', granted.rolname, member.rolname)
         from pg_roles granted, pg_roles member
         where member.rolname in ('vicket_gate_widget', 'vicket_gate_agent', 'vicket_gate_mail', 'vicket_worker', 'vicket_widget',
           'vicket_agent', 'vicket_mail')
           and granted.rolname in ('vicket_owner', 'vicket_definer', 'vicket_widget', 'vicket_agent', 'vicket_mail', 'vicket_operator', 'pg_read_all_data')
           and granted.oid <> member.oid and not pg_has_role(member.oid, granted.oid, 'member')",
    ),
    (
        "roles", "setting of a role",
        "select null, format('alter role %I set %s', r.rolname, s.entry)
         from pg_roles r, unnest(array['app.org_id = ''x''', 'search_path = public', 'row_security = off']) as s (entry)
         where r.rolname in ('vicket_gate_widget', 'vicket_gate_agent', 'vicket_gate_mail')",
    ),
    (
        "roles", "bound of a login",
        "select null, format('alter role %I %s', r.rolname, s.change)
         from pg_roles r, unnest(array['set statement_timeout = 0', 'reset lock_timeout', 'set idle_in_transaction_session_timeout = 1',
           'set default_transaction_read_only = on', 'in database postgres set statement_timeout = 0']) as s (change)
         where r.rolname in ('vicket_gate_widget', 'vicket_gate_agent', 'vicket_gate_mail', 'vicket_worker')",
    ),
    (
        "server", "another database open",
        "select null, format('grant connect on database %I to %s', d.datname, who.name)
         from pg_database d, unnest(array['public', 'vicket_gate_widget', 'vicket_worker']) as who (name)
         where d.datallowconn and d.datname <> current_database()",
    ),
    (
        "grants", "default privilege",
        "select null, format('alter default privileges for role vicket_owner in schema vicket grant select on tables to %I', r.rolname)
         from pg_roles r where r.rolname in ('vicket_widget', 'vicket_agent', 'vicket_mail')",
    ),
    (
        "grants", "may create",
        "select null, format('grant create on schema %I to vicket_agent', nspname) from pg_namespace
         where nspname in ('vicket', 'ctx', 'auth', 'public')",
    ),
];

const CATALOG: &str = "with tab as (
      select c.oid, format('%I.%I', n.nspname, c.relname) as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'vicket' and c.relkind in ('r', 'p')
    ),
    pol as (
      select p.polname as name, t.name as of, p.polpermissive as permissive, pg_get_expr(p.polqual, p.polrelid) as qual,
        pg_get_expr(p.polwithcheck, p.polrelid) as checked,
        exists (select from pg_roles r where r.oid = any (p.polroles)
          and r.rolname in ('vicket_widget', 'vicket_agent', 'vicket_mail', 'vicket_operator')) as requests
      from pg_policy p join tab t on t.oid = p.polrelid
    ),
    fun as (
      select p.*, n.nspname as schema
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname in ('vicket', 'ctx', 'auth', 'worker', 'admin')
    ) ";

/// Kinds that must be noticed by more than a body's digest, which tells nothing of whether the probes ask the function.
const PROBED: [&str; 5] = [
    "function that always says yes",
    "seal that believes a setting",
    "function that believes a setting",
    "entering that leaves a setting of before",
    "session that is always clean",
];

type Weakening = (Option<String>, String);

/// # Errors
/// When the catalog cannot be read.
pub async fn of(connection: &mut PgConnection) -> anyhow::Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for (lints, kind, query) in QUERIES {
        let sql = format!("{CATALOG} select m.* from ({query}) as m (relation, sql) order by 2");
        let rows: Vec<Weakening> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
        mutants.extend(rows.into_iter().map(|(table, sql)| Mutant {
            kind,
            sql,
            table,
            lints,
            probed: PROBED.contains(kind),
        }));
    }
    mutants.extend(conjuncts(connection).await?);
    Ok(mutants)
}

type Expressions = (String, String, Option<String>, Option<String>, Vec<String>);

/// Each condition of each expression left out.
async fn conjuncts(connection: &mut PgConnection) -> anyhow::Result<Vec<Mutant>> {
    let rows: Vec<Expressions> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{CATALOG} select of, name::text, qual, checked, array(
            select a.attname::text from pg_attribute a
            where a.attrelid = to_regclass(of) and a.attnum > 0 and not a.attisdropped
              and has_column_privilege('vicket_agent', a.attrelid, a.attnum, 'insert, update')
          ) from pol where requests order by 1, 2"
    )))
    .fetch_all(connection)
    .await?;
    let mut mutants = Vec::new();
    for (table, policy, using, check, settable) in rows {
        for (clause, expression) in [("using", using), ("with check", check)] {
            let parts = conditions::top_level(expression.as_deref().unwrap_or_default());
            for left_out in 0..parts.len() {
                if parts.len() < 2 || says_the_default(parts[left_out], &settable) {
                    continue;
                }
                let rest: Vec<&str> =
                    parts.iter().enumerate().filter(|(part, _)| *part != left_out).map(|(_, part)| *part).collect();
                mutants.push(Mutant {
                    kind: "condition left out",
                    sql: format!("alter policy {policy} on {table} {clause} ({})", rest.join(" and ")),
                    table: Some(table.clone()),
                    lints: "policies",
                    probed: false,
                });
            }
        }
    }
    Ok(mutants)
}

/// Whether a condition binds a column to who acts that no statement can set: its default says the same, and to leave the
/// condition out changes nothing. Where the column is settable, or the condition is another, it must be missed.
fn says_the_default(condition: &str, settable: &[String]) -> bool {
    condition
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(" = ( SELECT ctx.actor_user_id()"))
        .is_some_and(|(column, _)| !column.contains(' ') && !settable.iter().any(|name| name == column))
}

#[cfg(test)]
mod tests {
    use super::says_the_default;

    #[test]
    fn only_a_column_that_nobody_can_set_may_lose_its_condition() {
        let bound = "(created_by = ( SELECT ctx.actor_user_id() AS actor_user_id))";
        assert!(says_the_default(bound, &["name".to_owned()]));
        assert!(!says_the_default(bound, &["created_by".to_owned()]));
        let within = "(message_id IN ( SELECT m.id FROM m WHERE (m.author_id = ( SELECT ctx.actor_user_id() AS x))))";
        assert!(!says_the_default(within, &[]));
    }
}
