-- Signed identity: a site's own server says who a visitor is, by a token that it signs; the customer session that is opened for
-- it reads and answers that person's tickets of that site, and nothing else.
--
-- No request becomes a customer by itself: a session is opened at the gate, before any role is taken, and only with the opener
-- of the site, which the server makes of its own secret and of which tables keep the digest.
set local role vicket_owner;

-- Why: whose signatures a site takes, and whether tickets without an identity are refused.
create table vicket.site_identities (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  keys text,
  required boolean not null default false,
  opener_hash bytea not null,
  updated_at timestamptz not null default now(),
  constraint site_identities_pkey primary key (org_id, site_id),
  constraint site_identities_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint site_identities_keys_length check (char_length(keys) <= 8192),
  constraint site_identities_opener_length check (octet_length(opener_hash) = 32)
);
create statistics vicket.site_identities_tenant (dependencies, ndistinct) on org_id, site_id from vicket.site_identities;

-- Why: what a site signs by that has no key pair. It must verify, so it is sealed by the server's secret and no digest.
create table vicket.identity_secrets (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  sealed_secret bytea,
  opener_hash bytea not null,
  hint text not null,
  state text not null,
  created_at timestamptz not null default now(),
  created_by text not null default ctx.actor_name(),
  constraint identity_secrets_pkey primary key (org_id, site_id, id),
  constraint identity_secrets_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint identity_secrets_sealed_length check (octet_length(sealed_secret) <= 256),
  constraint identity_secrets_opener_length check (octet_length(opener_hash) = 32),
  constraint identity_secrets_hint_length check (char_length(hint) = 4),
  constraint identity_secrets_state_known check (state in ('active', 'staged', 'revoked')),
  constraint identity_secrets_revoked_empty check ((state = 'revoked') = (sealed_secret is null))
);
-- One that is active and one that is staged, whatever races.
create unique index identity_secrets_one_active on vicket.identity_secrets (org_id, site_id) where state = 'active';
create unique index identity_secrets_one_staged on vicket.identity_secrets (org_id, site_id) where state = 'staged';
create statistics vicket.identity_secrets_tenant (dependencies, ndistinct) on org_id, site_id from vicket.identity_secrets;

-- Why: people whom a site vouched for, by its own name for them. Their address may change; whoever they are does not.
create table vicket.customers (
  org_id uuid not null default ctx.org_by_key(),
  site_id uuid not null default ctx.site_by_key(),
  id uuid not null default gen_random_uuid(),
  subject text not null,
  email text not null,
  name text,
  created_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  constraint customers_pkey primary key (org_id, site_id, id),
  constraint customers_subject_unique unique (org_id, site_id, subject),
  constraint customers_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint customers_subject_length check (char_length(subject) between 1 and 200),
  constraint customers_email_length check (char_length(email) between 3 and 254),
  constraint customers_name_length check (char_length(name) between 1 and 200)
);
create index customers_email on vicket.customers (org_id, lower(email collate "C"));
create statistics vicket.customers_tenant (dependencies, ndistinct) on org_id, site_id from vicket.customers;

-- Why: what a customer's browser holds, by its digest, and the token that it was given for, so that no token is taken twice.
create table vicket.customer_sessions (
  org_id uuid not null default ctx.org_by_key(),
  site_id uuid not null default ctx.site_by_key(),
  token_hash bytea not null,
  customer_id uuid not null,
  jti_hash bytea not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  constraint customer_sessions_pkey primary key (org_id, site_id, token_hash),
  constraint customer_sessions_jti_unique unique (org_id, site_id, jti_hash),
  constraint customer_sessions_customer_fkey foreign key (org_id, site_id, customer_id)
    references vicket.customers (org_id, site_id, id) on delete cascade,
  constraint customer_sessions_hash_length check (octet_length(token_hash) = 32 and octet_length(jti_hash) = 32)
);
create index customer_sessions_customer on vicket.customer_sessions (org_id, site_id, customer_id);
-- Not led by a tenant: the worker purges whatever is over.
create index customer_sessions_created on vicket.customer_sessions (created_at);
create statistics vicket.customer_sessions_tenant (dependencies, ndistinct) on org_id, site_id from vicket.customer_sessions;

alter table vicket.site_identities enable row level security, force row level security;
alter table vicket.identity_secrets enable row level security, force row level security;
alter table vicket.customers enable row level security, force row level security;
alter table vicket.customer_sessions enable row level security, force row level security;

create policy agent_select on vicket.site_identities for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.site_identities for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
create policy agent_update on vicket.site_identities for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
create policy operator_select on vicket.site_identities for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.site_identities for select to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));

create policy agent_select on vicket.identity_secrets for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.identity_secrets for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));
create policy agent_update on vicket.identity_secrets for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));
create policy operator_all on vicket.identity_secrets for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.identity_secrets for select to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));

create policy operator_select on vicket.customers for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.customers for select to vicket_definer
  using (
    org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key())
    or org_id = (select ctx.org_id()) and (select ctx.operates())
  );
create policy definer_insert on vicket.customers for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_update on vicket.customers for update to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_delete on vicket.customers for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.operates()));

create policy definer_select on vicket.customer_sessions for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_insert on vicket.customer_sessions for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_update on vicket.customer_sessions for update to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_delete on vicket.customer_sessions for delete to vicket_definer using (session_user = 'vicket_worker');

grant select (org_id, site_id, keys, required, updated_at), insert (site_id, keys, required, opener_hash),
  update (keys, required, opener_hash, updated_at)
  on vicket.site_identities to vicket_agent;
grant select (org_id, site_id, keys, required) on vicket.site_identities to vicket_operator;
grant select on vicket.site_identities to vicket_definer;
grant select (org_id, site_id, id, hint, state, created_at, created_by),
  insert (site_id, sealed_secret, opener_hash, hint, state), update (sealed_secret, state)
  on vicket.identity_secrets to vicket_agent;
grant select (org_id, site_id, id, created_by), update (created_by) on vicket.identity_secrets to vicket_operator;
grant select (org_id, site_id, id, sealed_secret, opener_hash, state) on vicket.identity_secrets to vicket_definer;
grant select (org_id, site_id, id, subject, email, name, created_at, seen_at) on vicket.customers to vicket_operator;
grant select, insert (subject, email, name), update (email, name, seen_at), delete on vicket.customers to vicket_definer;
grant select, insert (token_hash, customer_id, jti_hash), update (ended_at), delete on vicket.customer_sessions
  to vicket_definer;
-- Not granted: anything here to vicket_widget; what is sealed, and openers, to any reader but the definer; who made a secret to
-- anyone (the credential says); DELETE to requests.

comment on table vicket.site_identities is 'Whose signatures a site takes for the identity of its customers.';
comment on table vicket.identity_secrets is 'Secrets by which a site''s server signs who its customers are. Sealed by the server''s secret.';
comment on table vicket.customers is 'People whom a site vouched for, by its own name for them.';
comment on table vicket.customer_sessions is 'SHA-256 of the customer sessions, each of one signed token; 12 hours.';
comment on column vicket.site_identities.keys is 'A JWKS of public keys. No personal data.';
comment on column vicket.site_identities.opener_hash is 'SHA-256 of what the server makes of its secret for this site.';
comment on column vicket.identity_secrets.sealed_secret is 'Sealed by the server''s secret for this site; NULL once it is revoked.';
comment on column vicket.identity_secrets.opener_hash is 'As in site_identities.';
comment on column vicket.identity_secrets.hint is 'The last four characters of the secret, to recognise it by. No personal data.';
comment on column vicket.identity_secrets.state is
  'active, staged (works beside the active one until a rotation promotes it) or revoked. No personal data.';
comment on column vicket.identity_secrets.created_by is 'Personal data.';
comment on column vicket.customers.subject is 'What the site calls them: `sub` of the token. Personal data.';
comment on column vicket.customers.email is 'As the last token said. Personal data.';
comment on column vicket.customers.name is 'As the last token said. Personal data.';
comment on column vicket.customer_sessions.jti_hash is 'SHA-256 of `jti` of the token that it was opened for.';
comment on policy agent_select on vicket.site_identities is 'Members.';
comment on policy agent_insert on vicket.site_identities is 'site:edit.';
comment on policy agent_update on vicket.site_identities is 'site:edit.';
comment on policy operator_select on vicket.site_identities is 'vicket site, after admin.enter_org.';
comment on policy definer_select on vicket.site_identities is 'auth.identity_keys and its kin, of the site of the key.';
comment on policy agent_select on vicket.identity_secrets is 'Members see when one was made; what is sealed is in no grant.';
comment on policy agent_insert on vicket.identity_secrets is 'apikey:rotate.';
comment on policy agent_update on vicket.identity_secrets is 'apikey:rotate.';
comment on policy operator_all on vicket.identity_secrets is 'vicket person erase, after admin.enter_org.';
comment on policy definer_select on vicket.identity_secrets is 'auth.identity_keys and its kin, of the site of the key.';
comment on policy operator_select on vicket.customers is 'vicket person export and erase.';
comment on policy definer_select on vicket.customers is 'ctx.customer, of the site of the key; admin.forget_customer, of one org.';
comment on policy definer_insert on vicket.customers is 'auth.open_customer_session.';
comment on policy definer_update on vicket.customers is 'auth.open_customer_session.';
comment on policy definer_delete on vicket.customers is 'admin.forget_customer.';
comment on policy definer_select on vicket.customer_sessions is 'ctx.customer, of the site of the key; the worker.';
comment on policy definer_insert on vicket.customer_sessions is 'auth.open_customer_session.';
comment on policy definer_update on vicket.customer_sessions is 'ctx.end_customer_session.';
comment on policy definer_delete on vicket.customer_sessions is 'worker.purge_customer_sessions.';

create trigger serialize_org_writes before insert or update on vicket.site_identities
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or update of keys, required on vicket.site_identities
  for each row execute function vicket.audited('site_identity', 'site_id', 'keys required');
create trigger serialize_org_writes before insert or update of state or delete on vicket.identity_secrets
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or delete or update of state on vicket.identity_secrets
  for each row execute function vicket.audited('identity_secret', 'hint', 'hint state');

grant create on schema ctx, auth, worker, admin to vicket_definer;
set local role vicket_definer;
-- The seal of a customer: the session whose digest is in the context, of the site of the key, until it ends.
create function ctx.customer(out id uuid, out email text, out name text)
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  if ctx.digest('customer') is null then
    return;
  end if;
  select c.id, c.email, c.name into customer.id, customer.email, customer.name
    from vicket.site_keys k
    join vicket.customer_sessions s on s.org_id = k.org_id and s.site_id = k.site_id
    join vicket.customers c on c.org_id = s.org_id and c.site_id = s.site_id and c.id = s.customer_id
    where k.key_hash = ctx.digest('key') and s.token_hash = ctx.digest('customer')
      and s.ended_at is null and s.created_at > now() - interval '12 hours';
end $$;
-- Whether a ticket may be submitted under this address: by a customer's session its own; without one any, unless the site
-- wants an identity.
create function ctx.may_submit(p_email text) returns boolean
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  if ctx.digest('customer') is not null then
    return coalesce((ctx.customer()).email = p_email, false);
  end if;
  return not exists (
    select from vicket.site_identities i
    where i.org_id = ctx.org_by_key() and i.site_id = ctx.site_by_key() and i.required
  );
end $$;
-- Says who asks from here on, and of which of their tickets: instead of that of a ticket's token.
create function ctx.as_customer(p_session_hash bytea, p_ticket_id uuid, out id uuid, out email text, out name text)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('app.customer_hash', encode(p_session_hash, 'hex'), true),
    set_config('app.customer_ticket', coalesce(p_ticket_id::text, ''), true);
  if p_ticket_id is not null then
    perform set_config('app.ticket_hash', '', true);
  end if;
  select c.id, c.email, c.name into as_customer.id, as_customer.email, as_customer.name from ctx.customer() c;
end $$;
-- Ends the session in the context; says whether it was one.
create function ctx.end_customer_session() returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.customer_sessions s
    set ended_at = now()
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.token_hash = ctx.digest('customer')
      and s.ended_at is null and s.created_at > now() - interval '12 hours';
  return found;
end $$;

-- By what a token of the site of this key may be signed. One row, always.
create function auth.identity_keys(p_key_hash bytea, out site_id uuid, out keys text, out secrets bytea[])
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform auth.enter(p_key_hash, '', '');
  identity_keys.site_id := ctx.site_id();
  identity_keys.keys := (
    select i.keys from vicket.site_identities i where i.org_id = ctx.org_by_key() and i.site_id = ctx.site_by_key()
  );
  identity_keys.secrets := array(
    select s.sealed_secret from vicket.identity_secrets s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.state in ('active', 'staged')
  );
end $$;
-- Opens a session for whom a token named, once. 'opened', and until when; 'replayed': that token opened one before; 'sealed':
-- whoever asks has not the opener of this site.
create function auth.open_customer_session(
  p_key_hash bytea, p_openers bytea[], p_subject text, p_email text, p_name text, p_jti_hash bytea, p_token_hash bytea,
  out verdict text, out expires_at timestamptz
)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  person uuid;
begin
  perform auth.enter(p_key_hash, '', '');
  open_customer_session.verdict := 'sealed';
  if not exists (
    select from (
      select i.opener_hash from vicket.site_identities i
        where i.org_id = ctx.org_by_key() and i.site_id = ctx.site_by_key()
      union all
      select s.opener_hash from vicket.identity_secrets s
        where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.state in ('active', 'staged')
    ) known
    where known.opener_hash = any (array(select sha256(o.opener) from unnest((select p_openers)) as o (opener)))
  ) then
    return;
  end if;
  open_customer_session.verdict := 'replayed';
  if exists (
    select from vicket.customer_sessions s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.jti_hash = p_jti_hash
  ) then
    return;
  end if;
  insert into vicket.customers as c (subject, email, name)
    values (p_subject, p_email, p_name)
    on conflict (org_id, site_id, subject) do update set email = excluded.email, name = excluded.name, seen_at = now()
    returning c.id into person;
  insert into vicket.customer_sessions as s (token_hash, customer_id, jti_hash)
    values (p_token_hash, person, p_jti_hash)
    on conflict on constraint customer_sessions_jti_unique do nothing
    returning s.created_at + interval '12 hours' into open_customer_session.expires_at;
  if open_customer_session.expires_at is not null then
    open_customer_session.verdict := 'opened';
  end if;
end $$;

create function worker.purge_customer_sessions(p_most integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  delete from vicket.customer_sessions s
    using (
      select e.org_id, e.site_id, e.token_hash
      from vicket.customer_sessions e
      where e.created_at <= now() - interval '12 hours'
      order by e.created_at
      limit p_most
    ) over
    where s.org_id = over.org_id and s.site_id = over.site_id and s.token_hash = over.token_hash;
  get diagnostics gone = row_count;
  return gone;
end $$;
create function admin.forget_customer(p_address text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  delete from vicket.customers c where c.org_id = ctx.org_id() and lower(c.email collate "C") = p_address;
  get diagnostics gone = row_count;
  return gone;
end $$;
comment on function ctx.customer is
  'Whose session is in the context, of the site of the key. Definer: no request may read digests.';
comment on function ctx.as_customer is
  'Sets a customer''s session, and one of their tickets, and says who they are. Definer: no request may read digests.';
comment on function ctx.may_submit is
  'Whether a ticket may be submitted under an address. Definer: customers may not read there.';
comment on function ctx.end_customer_session is
  'Ends the session in the context; says whether it was one. Definer: no request may write there.';
comment on function auth.identity_keys is 'By what a token of a site may be signed. Definer: customers may not read there.';
comment on function auth.open_customer_session is
  'Opens a session for whom a signed token named, once, with the opener of the site. Definer: no request may write there.';
comment on function worker.purge_customer_sessions is
  'Deletes sessions that are over; says how many. Definer: the worker reads no table.';
comment on function admin.forget_customer is 'Deletes whom a site vouched for; says how many. Definer: commands may not write there.';
grant execute on function ctx.customer to vicket_widget, vicket_agent, vicket_operator;
grant execute on function ctx.as_customer, ctx.may_submit, ctx.end_customer_session to vicket_widget;
grant execute on function auth.identity_keys, auth.open_customer_session to vicket_gate_widget;
grant execute on function worker.purge_customer_sessions to vicket_worker;
grant execute on function admin.forget_customer to vicket_operator;

set local role vicket_owner;
create function ctx.customer_id() returns uuid language sql stable parallel safe as $$ select (ctx.customer()).id $$;
comment on function ctx.customer_id is 'Whose session is in the context.';
grant execute on function ctx.customer_id to vicket_widget, vicket_agent, vicket_operator, vicket_definer;
revoke create on schema ctx, auth, worker, admin from vicket_definer;
reset role;
