-- Hardening that needs a superuser: EXECUTE on built-in functions belongs to the cluster's bootstrap user, so a
-- deploying login that is no superuser cannot revoke it (REVOKE would only warn). `vicket migrate` runs this file when
-- it is connected as a superuser; else it reports what is still open and a superuser may run it by hand:
--
--   psql "$SUPERUSER_URL" -f migrations/hardening.sql
--
-- The policies do not rest on it: they seal every row to the credential in the context, and a credential's digest is only
-- ever a parameter of a statement, which no session is shown of another. But it takes away the tools that an injected
-- statement would like: changing the context or the role from inside a query, seeing in pg_stat_activity which statements
-- other sessions of its own login run, ending those sessions, reading tables through XML or text search helpers, holding
-- locks, sleeping, anonymous blocks. Run it wherever there is a superuser to run it.

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
          'set_config', 'query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema',
          'cursor_to_xml', 'cursor_to_xmlschema', 'table_to_xml', 'table_to_xmlschema',
          'table_to_xml_and_xmlschema', 'schema_to_xml', 'schema_to_xmlschema', 'schema_to_xml_and_xmlschema',
          'database_to_xml', 'database_to_xmlschema', 'database_to_xml_and_xmlschema',
          'ts_stat', 'pg_notify', 'pg_sleep', 'pg_sleep_for', 'pg_sleep_until',
          'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_export', 'lo_open', 'lo_put', 'lo_get',
          'lo_unlink', 'loread', 'lowrite', 'lo_truncate', 'lo_truncate64',
          'pg_stat_get_activity', 'pg_stat_get_backend_activity', 'pg_terminate_backend', 'pg_cancel_backend'
        )
        or p.proname like 'pg\_advisory\_%'
        or p.proname like 'pg\_try\_advisory\_%'
      )
  loop
    execute format('revoke execute on function %s from public', dangerous.signature);
  end loop;
end $$;

revoke usage on language plpgsql from public;

-- Monitoring goes on seeing who does what.
grant execute on function pg_catalog.pg_stat_get_activity(integer), pg_catalog.pg_stat_get_backend_activity(integer)
  to pg_read_all_stats;

-- What the project itself uses of the above, granted by name. The resolvers set the context; migrations hold one
-- advisory lock, run DO blocks and create plpgsql functions.
grant execute on function pg_catalog.set_config(text, text, boolean) to vicket_definer;
grant execute on function pg_catalog.pg_advisory_lock(bigint), pg_catalog.pg_advisory_unlock(bigint) to vicket_operator;
grant usage on language plpgsql to vicket_owner, vicket_definer, vicket_operator;
