-- Who may read and change what mail there is, and that its links open tickets. Every request of an agent reads the first table:
-- it is locked for nothing else.
set local role vicket_owner;

-- The digest of a link's token.
create policy definer_insert on vicket.ticket_tokens for insert to vicket_definer
  with check (session_user = 'vicket_worker');
grant insert (org_id, site_id, ticket_id, token_hash) on vicket.ticket_tokens to vicket_definer;
comment on policy definer_insert on vicket.ticket_tokens is 'worker.open_mails: the token of a link.';

-- Two permissions more. FORCE shows the owner no rows: hence a policy for the time.
create policy owner_insert on vicket.role_permissions for insert to vicket_owner with check (true);
insert into vicket.role_permissions (role, permission)
  values ('owner', 'mail:read'), ('owner', 'mail:edit'), ('admin', 'mail:read'), ('admin', 'mail:edit');
drop policy owner_insert on vicket.role_permissions;
reset role;
