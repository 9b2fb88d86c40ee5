-- Roles. Run by `vicket migrate` before the numbered files, every time: it changes only what the catalog lacks. They
-- are the cluster's, so several migrations may race: each CREATE accepts another's success; "concurrently updated" is
-- retried. `owner` owns schemas and tables and is itself subject to FORCE ROW LEVEL SECURITY, `definer` the SECURITY
-- DEFINER functions; requests with a key, those of agents, and mail that comes in run as `widget`, `agent` and `mail`,
-- which own nothing; `operator` is of the administration commands; `auditor` reads catalogs and no tenant rows. The
-- logins (bounds: logins.sql) are NOINHERIT: whatever resets the role lands on one that reads nothing. A gate becomes
-- one role: were two of one login, an injected statement of the widget would become an agent. `worker` executes a few
-- functions. From 16 on a role's creator is a member that may grant it and may not SET ROLE to it: that does not serve.
do $$ declare wanted record; begin
  for wanted in select 'vicket_' || unnest(string_to_array(r, ' ')) as role, kind from (values
    ('owner definer widget agent mail operator auditor', 'nologin'),
    ('gate_widget gate_agent gate_mail worker', 'login noinherit')) as w (r, kind) loop
    continue when to_regrole(wanted.role) is not null;
    begin execute format('create role %I %s nosuperuser nobypassrls nocreatedb nocreaterole', wanted.role, wanted.kind);
    exception when duplicate_object or unique_violation then null; end;
  end loop;
  for wanted in select * from (values
    ('vicket_widget', 'vicket_gate_widget'), ('vicket_agent', 'vicket_gate_agent'), ('vicket_mail', 'vicket_gate_mail'),
    ('vicket_owner', current_user), ('vicket_definer', current_user), ('vicket_operator', current_user)
  ) as w (role, member) where not exists (select from pg_auth_members m
    where m.roleid = w.role::regrole and m.member = quote_ident(w.member)::regrole
      and coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)) loop
    execute format('grant %I to %I', wanted.role, wanted.member);
  end loop;
end $$;
