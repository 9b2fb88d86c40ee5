-- Roles. Run by `vicket migrate` before the numbered files, every time: it changes only what the catalog lacks. They
-- are the cluster's, so several migrations may race: each CREATE accepts another's success. Bounds: logins.sql. Two
-- gates: one login that may become both request roles lets an injected statement of the widget become an agent.
do $$ declare wanted record; begin
  for wanted in select * from (values
    ('vicket_owner', 'nologin'),               -- owns schemas and tables; is itself subject to FORCE ROW LEVEL SECURITY
    ('vicket_definer', 'nologin'),             -- owns the SECURITY DEFINER functions; narrow policies of its own
    ('vicket_widget', 'nologin'),              -- what requests with a publishable key run as; owns nothing
    ('vicket_agent', 'nologin'),               -- what requests of agents run as; owns nothing
    ('vicket_operator', 'nologin'),            -- what the administration commands run as
    ('vicket_auditor', 'nologin'),             -- reads catalogs, no tenant rows
    ('vicket_gate_widget', 'login noinherit'), -- login of the support surface: resolves a key, becomes vicket_widget
    ('vicket_gate_agent', 'login noinherit'),  -- login of the agent surface: becomes vicket_agent
    ('vicket_worker', 'login noinherit')       -- login of background work: EXECUTE on a few functions, no table
  ) as w (role, kind) where to_regrole(w.role) is null loop
    begin execute format('create role %I %s nosuperuser nobypassrls nocreatedb nocreaterole', wanted.role, wanted.kind);
    exception when duplicate_object or unique_violation then null; end;
  end loop;
  -- From 16 on, whoever creates a role is a member who may grant it, and may not SET ROLE to it: that does not serve.
  for wanted in select * from (values
    ('vicket_widget', 'vicket_gate_widget'), ('vicket_agent', 'vicket_gate_agent'),
    ('vicket_owner', current_user), ('vicket_definer', current_user), ('vicket_operator', current_user)
  ) as w (role, member) where not exists (
    select from pg_auth_members m
    where m.roleid = w.role::regrole and m.member = quote_ident(w.member)::regrole
      and coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
  ) loop
    execute format('grant %I to %I', wanted.role, wanted.member);
  end loop;
end $$;
