-- Hardening that needs a superuser: EXECUTE on built-in functions belongs to the cluster's bootstrap user, so a
-- deploying login that is no superuser cannot revoke it (REVOKE would only warn). `vicket migrate` runs this file when
-- it is connected as a superuser; else it reports what is still open and a superuser may run it by hand:
--
--   psql "$SUPERUSER_URL" -v ON_ERROR_STOP=1 -f migrations/hardening.sql
--
-- The policies do not rest on it: they seal every row to the credential in the context. But it takes away the tools
-- that an injected statement would like, and `vicket audit` goes on naming what is open (builtin-open, database-open).
-- It is this database's; run it in each that holds Vicket.
--
-- Looked at and left to PUBLIC, because nothing of a tenant is in it or because no privilege takes it away:
--   * pg_stat_get_* of tables and databases, sizes, WAL positions, txid_* and pg_xact_*: numbers of everybody together,
--     which pg_class.reltuples tells as well.
--   * pg_blocking_pids and its like: process ids, with which nothing can be done. pg_prepared_xact: transactions that
--     max_prepared_transactions = 0 forbids; the lint server-setting asks for that.
--   * pg_export_snapshot: no rows, and pg_dump -j needs it. currval, lastval, nextval: the sequence's privileges hold.
--   * pg_prepared_statement, pg_cursor, pg_listening_channels: one's own session; auth.session_is_clean asks them.
--   * NOTIFY, LISTEN, PREPARE, SET and LOCK are statements, not functions (LOCK needs a privilege on the table).
--   * Functions of replication, pg_read_file and their like check who calls, or are not PUBLIC's (builtin-dangerous).
--   * pg_stat_statements shows a login its own statements, constants replaced. dblink and its like: the lint
--     extension-reaches-out.
--
-- A backup login that has BYPASSRLS and is no superuser needs one of these back, because pg_dump begins with it:
--   grant execute on function pg_catalog.set_config(text, text, boolean) to LOGIN;

do $$
declare
  dangerous record;
begin
  for dangerous in
    select p.oid::regprocedure as signature
    from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and (
        p.proname in (
          -- The context and the role, changed from inside a query.
          'set_config',
          -- A text that becomes a statement of the same role; currtid2 finds versions of rows past the policies.
          'query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema',
          'cursor_to_xml', 'cursor_to_xmlschema', 'table_to_xml', 'table_to_xmlschema',
          'table_to_xml_and_xmlschema', 'schema_to_xml', 'schema_to_xmlschema', 'schema_to_xml_and_xmlschema',
          'database_to_xml', 'database_to_xmlschema', 'database_to_xml_and_xmlschema', 'ts_stat', 'ts_rewrite',
          'currtid2',
          -- What outlives the transaction, or its rollback.
          'pg_notify', 'pg_logical_emit_message',
          'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_export', 'lo_open', 'lo_put', 'lo_get',
          'lo_unlink', 'loread', 'lowrite', 'lo_truncate', 'lo_truncate64',
          -- Other sessions: what they do, from where, what they lock; holding a connection; ending theirs.
          'pg_stat_get_activity', 'pg_lock_status', 'pg_terminate_backend', 'pg_cancel_backend',
          'pg_sleep', 'pg_sleep_for', 'pg_sleep_until'
        )
        or p.proname like 'pg\_stat\_get\_backend\_%'
        or p.proname like 'pg\_advisory\_%'
        or p.proname like 'pg\_try\_advisory\_%'
      )
  loop
    execute format('revoke execute on function %s from public', dangerous.signature);
  end loop;
end $$;

revoke usage on language plpgsql from public;

-- Monitoring goes on seeing who does what.
grant execute on function pg_catalog.pg_stat_get_activity(integer), pg_catalog.pg_stat_get_backend_activity(integer),
  pg_catalog.pg_lock_status()
  to pg_read_all_stats;

-- What the project itself uses of the above, granted by name. The resolvers set the context, and tickets are numbered
-- under an advisory lock of their transaction; migrations hold one lock, run DO blocks and create plpgsql functions.
grant execute on function pg_catalog.set_config(text, text, boolean), pg_catalog.pg_try_advisory_xact_lock(bigint)
  to vicket_definer;
grant execute on function pg_catalog.pg_advisory_lock(bigint), pg_catalog.pg_advisory_unlock(bigint),
  pg_catalog.pg_lock_status()
  to vicket_operator;
grant usage on language plpgsql to vicket_owner, vicket_definer, vicket_operator;

-- From any database of the cluster all sessions are seen, and what is revoked here is not revoked there: whoever got a
-- gate's password would look from there. So PUBLIC does not enter the two that every cluster is made with; who needs
-- one is granted it by name (grant connect on database postgres to LOGIN). Others' are theirs to close, and named.
do $$
declare
  open record;
begin
  for open in
    select d.datname as name
    from pg_database d
    where d.datallowconn and d.datname <> current_database()
      and exists (
        select from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        where a.grantee = 0 and a.privilege_type = 'CONNECT'
      )
  loop
    if open.name in ('postgres', 'template1') then
      execute format('revoke connect, temporary on database %I from public', open.name);
    else
      raise warning 'PUBLIC may connect to the database %', open.name
        using hint = format('revoke connect on database %I from public;', open.name);
    end if;
  end loop;
end $$;
