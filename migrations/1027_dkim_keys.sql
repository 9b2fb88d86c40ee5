-- dkim_keys: by which mail of a site is signed, for the domain of its own address. The key is sealed by the server's secret: a
-- dump, and whoever reads tables, signs nothing. What proves the domain is its DNS, which holds the key that this site was given:
-- it is asked when mail goes out, and stands in no table.
set local role vicket_owner;
create table vicket.dkim_keys (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  selector text not null,
  domain text not null,
  public_key text not null,
  sealed_key bytea not null,
  created_by text not null default ctx.actor_name(),
  created_at timestamptz not null default now(),
  constraint dkim_keys_pkey primary key (org_id, site_id, selector),
  constraint dkim_keys_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint dkim_keys_selector_shape check (selector ~ '^[a-z0-9-]{1,63}$'),
  constraint dkim_keys_domain_shape check (domain = lower(domain collate "C") and char_length(domain) between 1 and 253),
  constraint dkim_keys_public_key_length check (char_length(public_key) <= 1000),
  constraint dkim_keys_sealed_key_length check (octet_length(sealed_key) <= 4096)
);
create statistics vicket.dkim_keys_tenant (dependencies, ndistinct) on org_id, site_id from vicket.dkim_keys;
alter table vicket.dkim_keys enable row level security, force row level security;

create policy agent_select on vicket.dkim_keys for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_insert on vicket.dkim_keys for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy operator_select on vicket.dkim_keys for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.dkim_keys for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_delete on vicket.dkim_keys for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

grant select (org_id, site_id, selector, domain, public_key, created_by, created_at),
  insert (site_id, selector, domain, public_key, sealed_key)
  on vicket.dkim_keys to vicket_agent;
grant select (org_id, site_id, selector, domain, public_key, created_at) on vicket.dkim_keys to vicket_operator;
grant select, delete on vicket.dkim_keys to vicket_definer;
-- Not granted: sealed_key to any reader but the definer; any UPDATE: a new key is a new row.

comment on table vicket.dkim_keys is 'Keys by which mail of a site is signed. A rotation is one more, and the old one goes later.';
comment on column vicket.dkim_keys.selector is 'Begins the name of its DNS record. No personal data.';
comment on column vicket.dkim_keys.domain is 'That of the site''s own address when it was made. No personal data.';
comment on column vicket.dkim_keys.public_key is 'As the DNS record has it. No personal data.';
comment on column vicket.dkim_keys.sealed_key is 'RSA, PKCS #1, sealed by the server''s secret for this site and selector.';
comment on column vicket.dkim_keys.created_by is 'Personal data.';
comment on policy agent_select on vicket.dkim_keys is 'mail:read; within one''s teams.';
comment on policy agent_insert on vicket.dkim_keys is 'mail:edit; within one''s teams.';
comment on policy operator_select on vicket.dkim_keys is 'vicket mail doctor, after admin.enter_org.';
comment on policy definer_select on vicket.dkim_keys is 'worker.sender_keys, of any org; ctx.remove_dkim_key, of one.';
comment on policy definer_delete on vicket.dkim_keys is 'ctx.remove_dkim_key: mail:edit; within one''s teams.';

create trigger serialize_org_writes before insert or delete on vicket.dkim_keys
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or delete on vicket.dkim_keys
  for each row execute function vicket.audited('dkim_key', 'selector', 'domain');

grant create on schema ctx, worker to vicket_definer;
set local role vicket_definer;
-- Says how many it was, as ctx.remove does.
create function ctx.remove_dkim_key(p_site_id uuid, p_selector text) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
begin
  delete from vicket.dkim_keys k
    where k.org_id = ctx.org_id() and k.site_id = p_site_id and k.selector = p_selector;
  get diagnostics gone = row_count;
  return gone;
end $$;

-- The keys that mails may be signed by: of their sites, for the domain of their own address; the newest first.
create function worker.sender_keys(p_org_ids uuid[], p_mail_ids uuid[])
  returns table (place bigint, site_id uuid, selector text, domain text, public_key text, sealed_key bytea)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select asked.place, k.site_id, k.selector, k.domain, k.public_key, k.sealed_key
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    join vicket.sites s on s.org_id = m.org_id and s.id = m.site_id
    join vicket.dkim_keys k on k.org_id = s.org_id and k.site_id = s.id
      and k.domain = lower(split_part(s.mail_from_address, '@', 2) collate "C")
    order by asked.place, k.created_at desc;
end $$;

-- What waits to be sent, and since when.
create function worker.mail_waiting(out mails bigint, out oldest_seconds double precision, out given_up bigint)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  oldest timestamptz;
begin
  select count(*) filter (where t.dead_at is null), min(t.created_at) filter (where t.dead_at is null),
      count(*) filter (where t.dead_at is not null)
    into mail_waiting.mails, oldest, mail_waiting.given_up
    from vicket.tasks t
    where t.kind = 'mail';
  mail_waiting.oldest_seconds := coalesce(extract(epoch from clock_timestamp() - oldest), 0);
end $$;

comment on function ctx.remove_dkim_key is
  'Removes a key; says how many it was. Definer: with DELETE a request could lock a table.';
comment on function worker.sender_keys is 'By which keys mails may be signed. Definer: the worker reads no table.';
comment on function worker.mail_waiting is
  'How much mail waits, and for how long, and how much was given up. Definer: the worker reads no table.';
grant execute on function ctx.remove_dkim_key to vicket_agent;
grant execute on function worker.sender_keys, worker.mail_waiting to vicket_worker;
set local role vicket_owner;
revoke create on schema ctx, worker from vicket_definer;
reset role;
