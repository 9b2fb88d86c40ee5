-- What a pooled connection may not carry over from one tenant to the next.
set local role vicket_owner;

-- Asked after a transaction and RESET ALL: whether the session is as its pool made it. What an injected statement may
-- leave on it outlives COMMIT and would meet the next tenant there. The driver's own statements are no SQL's PREPARE,
-- so one that took the name of such a statement shows too. A role set for the session the server looks for itself.
--
-- The server closes a connection that is not clean. A pooler would keep the session for the next client, so it is cleaned
-- here, and ends by itself a moment later, with what a pooler believed to be prepared on it.
create function auth.session_is_clean() returns boolean
  language plpgsql volatile as $$
declare
  clean boolean;
  left_over text;
begin
  -- Advisory locks are let go and not looked for: pg_locks copies the lock table of the whole server under its locks,
  -- and this only walks the session's own. Hardened, the gates may take none and may not call it.
  if pg_catalog.has_function_privilege('pg_catalog.pg_advisory_unlock_all()'::pg_catalog.regprocedure, 'execute') then
    perform pg_catalog.pg_advisory_unlock_all();
  end if;
  clean := current_user operator(pg_catalog.=) session_user
    and pg_catalog.pg_my_temp_schema() operator(pg_catalog.=) 0::pg_catalog.oid
    and not exists (select from pg_catalog.pg_prepared_statement() s where s.from_sql)
    and not exists (select from pg_catalog.pg_cursor() c where c.is_holdable)
    and not exists (select from pg_catalog.pg_listening_channels());
  if not clean then
    for left_over in
      select pg_catalog.format('deallocate %I', s.name) from pg_catalog.pg_prepared_statement() s where s.from_sql
      union all
      select pg_catalog.format('close %I', c.name) from pg_catalog.pg_cursor() c where c.is_holdable
    loop
      execute left_over;
    end loop;
    unlisten *;
    discard temp;
    set idle_session_timeout = 1;
  end if;
  return clean;
end $$;
comment on function auth.session_is_clean is
  'Whether nothing is left on this session that the next tenant would meet; what is left goes, and the session ends.';
grant execute on function auth.session_is_clean to vicket_gate_widget, vicket_gate_agent;
reset role;
