-- Bounds of a request, as settings of the logins; after roles.sql, every time. A login may change its own settings:
-- what it has beyond these is removed, in every database, and these are put back. What only a superuser may set is
-- left, unless a superuser migrates. The widget reads by indexes: a page of a list is the first rows of one,
-- however many rows a site has, and whatever lies beside belongs to others.
do $$
declare
  wanted record;
  place text;
  entry text;
begin
  for wanted in select * from (values
    ('vicket_gate_widget', array['statement_timeout=5s', 'lock_timeout=3s', 'idle_in_transaction_session_timeout=10s', 'enable_bitmapscan=off', 'enable_seqscan=off']),
    ('vicket_gate_agent', array['statement_timeout=10s', 'lock_timeout=3s', 'idle_in_transaction_session_timeout=10s']),
    ('vicket_gate_mail', array['statement_timeout=20s', 'lock_timeout=3s', 'idle_in_transaction_session_timeout=10s']),
    ('vicket_worker', array['statement_timeout=30s', 'lock_timeout=5s', 'idle_in_transaction_session_timeout=30s'])
  ) as w (login, settings)
  loop
    for place in
      select coalesce('in database ' || quote_ident(d.datname), '')
      from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase
      where s.setrole = wanted.login::regrole and (s.setdatabase <> 0 or not s.setconfig <@ wanted.settings)
    loop
      execute format('alter role %I %s reset all', wanted.login, place);
    end loop;
    for entry in
      select w from unnest(wanted.settings) w
      where not exists (select from pg_db_role_setting s
        where s.setrole = wanted.login::regrole and s.setdatabase = 0 and w = any (s.setconfig))
    loop
      execute format('alter role %I set %I = %L', wanted.login, split_part(entry, '=', 1), split_part(entry, '=', 2));
    end loop;
  end loop;
end $$;
