-- Roles. Run by `vicket migrate` before the numbered files, every time: it changes only what the catalog lacks.
--
-- Roles belong to the cluster, not to the database, so several migrations may race here: each CREATE has a block of
-- its own that accepts another's success, and `vicket migrate` retries what concurrent GRANTs answer with
-- ("tuple concurrently updated").
--
--   vicket_owner          owns schemas and tables; is itself subject to FORCE ROW LEVEL SECURITY
--   vicket_definer        owns the SECURITY DEFINER functions; has narrow policies and grants of its own
--   vicket_widget         what requests with a publishable key run as; owns nothing
--   vicket_agent          what requests of agents run as; owns nothing
--   vicket_gate_widget    login of the support surface: may execute the key resolver and become vicket_widget
--   vicket_gate_agent     login of the agent surface: may become vicket_agent
--   vicket_worker         login of background work: EXECUTE on a few definer functions, no table at all
--   vicket_operator       what the administration commands run as; granted to the deploying login
--   vicket_auditor        reads catalogs, no tenant rows
--
-- The gates are NOINHERIT: whatever resets the role inside a request lands on a login that can read nothing.

do $$
begin
  if to_regrole('vicket_owner') is null then
    create role vicket_owner nologin nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_definer') is null then
    create role vicket_definer nologin nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_widget') is null then
    create role vicket_widget nologin nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_agent') is null then
    create role vicket_agent nologin nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_operator') is null then
    create role vicket_operator nologin nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_auditor') is null then
    create role vicket_auditor nologin nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_gate_widget') is null then
    create role vicket_gate_widget login noinherit nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_gate_agent') is null then
    create role vicket_gate_agent login noinherit nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  if to_regrole('vicket_worker') is null then
    create role vicket_worker login noinherit nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

-- Memberships. Two gates, because one login that may become both request roles lets an injected statement of the
-- widget become an agent of another org.
do $$
declare
  edge record;
begin
  for edge in
    select wanted.role, wanted.member
    from (values
      ('vicket_widget', 'vicket_gate_widget'),
      ('vicket_agent', 'vicket_gate_agent'),
      ('vicket_owner', current_user),
      ('vicket_definer', current_user),
      ('vicket_operator', current_user)
    ) as wanted (role, member)
    where not exists (
      select from pg_auth_members m
      where m.roleid = wanted.role::regrole and m.member = quote_ident(wanted.member)::regrole
        -- From 16 on, whoever creates a role is a member that may grant it and may not SET ROLE to it.
        and coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
    )
  loop
    execute format('grant %I to %I', edge.role, edge.member);
  end loop;
end $$;

-- Bounds of a request, as settings of the logins: a statement that was abandoned by its client ends by itself.
do $$
declare
  wanted record;
begin
  for wanted in
    select w.role, w.setting, w.value
    from (values
      ('vicket_gate_widget', 'statement_timeout', '5s'),
      ('vicket_gate_widget', 'lock_timeout', '3s'),
      ('vicket_gate_widget', 'idle_in_transaction_session_timeout', '10s'),
      ('vicket_gate_agent', 'statement_timeout', '10s'),
      ('vicket_gate_agent', 'lock_timeout', '3s'),
      ('vicket_gate_agent', 'idle_in_transaction_session_timeout', '10s'),
      ('vicket_worker', 'statement_timeout', '30s'),
      ('vicket_worker', 'lock_timeout', '5s'),
      ('vicket_worker', 'idle_in_transaction_session_timeout', '30s')
    ) as w (role, setting, value)
    where not exists (
      select from pg_db_role_setting s
      where s.setrole = w.role::regrole and s.setdatabase = 0
        and exists (select from unnest(s.setconfig) as c (entry) where c.entry like w.setting || '=%')
    )
  loop
    execute format('alter role %I set %I = %L', wanted.role, wanted.setting, wanted.value);
  end loop;
end $$;
