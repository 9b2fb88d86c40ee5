-- site_origins, refused_origins: whose pages may use a site's key from a browser, and whose have tried.
set local role vicket_owner;

create table vicket.site_origins (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  origin text not null,
  origin_hash bytea not null generated always as (sha256(origin::bytea)) stored,
  created_at timestamptz not null default now(),
  constraint site_origins_pkey primary key (org_id, site_id, origin),
  constraint site_origins_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint site_origins_shape check (origin ~ '^https?://[^/?#@\s\\*]+$' and char_length(origin) <= 255)
);
create index site_origins_by_hash on vicket.site_origins (org_id, site_id, origin_hash);
-- Not led by a tenant: a preflight carries no key, so it asks whether any site at all lists its origin.
create index site_origins_anywhere on vicket.site_origins (origin_hash);
create statistics vicket.site_origins_tenant (dependencies, ndistinct) on org_id, site_id from vicket.site_origins;

-- Why: pages that tried a good key from an origin that is not listed; the site's owner sees them and may add one.
create table vicket.refused_origins (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  origin text not null,
  times bigint not null,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  constraint refused_origins_pkey primary key (org_id, site_id, origin),
  constraint refused_origins_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint refused_origins_length check (char_length(origin) <= 255)
);
-- At most 200 a site: sorted when asked. An index on last_seen would be rewritten with every count.
create statistics vicket.refused_origins_tenant (dependencies, ndistinct) on org_id, site_id from vicket.refused_origins;

alter table vicket.site_origins enable row level security, force row level security;
alter table vicket.refused_origins enable row level security, force row level security;

create policy widget_select on vicket.site_origins for select to vicket_widget
  using (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
create policy widget_all_sealed on vicket.site_origins as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy agent_select on vicket.site_origins for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.site_origins for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))));
create policy operator_all on vicket.site_origins for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.site_origins for select to vicket_definer using (true);
create policy definer_delete on vicket.site_origins for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));

create policy agent_select on vicket.refused_origins for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
create policy operator_all on vicket.refused_origins for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.refused_origins for select to vicket_definer using (true);
create policy definer_insert on vicket.refused_origins for insert to vicket_definer with check (true);
create policy definer_update on vicket.refused_origins for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
create policy definer_delete on vicket.refused_origins for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
create policy definer_delete_least on vicket.refused_origins for delete to vicket_definer
  using (session_user = 'vicket_worker');

grant select (org_id, site_id, origin) on vicket.site_origins to vicket_widget;
grant select (org_id, site_id, origin, created_at), insert (site_id, origin) on vicket.site_origins to vicket_agent;
grant select, insert (site_id, origin) on vicket.site_origins to vicket_operator;
grant select (org_id, site_id, origin, origin_hash), delete on vicket.site_origins to vicket_definer;
grant select (org_id, site_id, origin, times, first_seen, last_seen) on vicket.refused_origins to vicket_agent;
grant select on vicket.refused_origins to vicket_operator;
grant select, insert (org_id, site_id, origin, times, first_seen, last_seen), update (times, last_seen), delete
  on vicket.refused_origins to vicket_definer;
-- Not granted: origin_hash, which requests are compared by, to anyone but the definer; UPDATE of origins (one is added or
-- removed); DELETE to requests and commands (ctx.remove); counts to anyone but the worker's functions.

comment on table vicket.site_origins is 'Exact origins (scheme, host, port) whose pages may use the site''s key.';
comment on table vicket.refused_origins is
  'Origins that tried a good key and are not listed: at most 200 a site, the least recent dropped.';
comment on column vicket.site_origins.origin is 'In the form browsers send: lower case, punycode, no default port.';
comment on column vicket.site_origins.origin_hash is
  'SHA-256 of origin: requests are compared by digest, so no caller''s text is in SQL.';
comment on policy widget_select on vicket.site_origins is
  'Of the key''s own site, so that key/check can say which part of the sent origin differs.';
comment on policy widget_all_sealed on vicket.site_origins is 'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.site_origins is 'Members see which pages may use a site''s key.';
comment on policy agent_insert on vicket.site_origins is
  'site:edit; site:create for the list that a new site begins with.';
comment on policy operator_all on vicket.site_origins is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.site_origins is
  'Not narrowed: auth.enter before there is a context, for preflights of any site too.';
comment on policy definer_delete on vicket.site_origins is 'ctx.remove: site:edit.';
comment on policy operator_all on vicket.refused_origins is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.refused_origins is
  'Not narrowed: worker.add_refused_origins counts for many orgs at once.';
comment on policy definer_insert on vicket.refused_origins is
  'Not narrowed: worker.add_refused_origins counts for many orgs at once.';
comment on policy definer_update on vicket.refused_origins is 'worker.add_refused_origins.';
comment on policy definer_delete on vicket.refused_origins is 'ctx.remove: site:edit.';
comment on policy definer_delete_least on vicket.refused_origins is 'worker.add_refused_origins keeps 200.';

create trigger serialize_org_writes before insert or delete on vicket.site_origins
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or delete on vicket.site_origins
  for each row execute function vicket.audited('origin', 'origin', 'origin');

set local role vicket_definer;
-- At most 200 a site: the least recent go. Sites first, in order: whoever deletes one locks it before its rows.
create function worker.add_refused_origins(
  p_org_ids uuid[], p_site_ids uuid[], p_origins text[], p_times bigint[], p_first timestamptz[], p_last timestamptz[]
) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from vicket.sites s
    where (s.org_id, s.id) in (select u.org_id, u.site_id from unnest(p_org_ids, p_site_ids) as u (org_id, site_id))
    order by s.org_id, s.id
    for key share;
  insert into vicket.refused_origins as r (org_id, site_id, origin, times, first_seen, last_seen)
    select seen.org_id, seen.site_id, left(seen.origin, 255), seen.times, seen.first_seen, seen.last_seen
    from unnest(p_org_ids, p_site_ids, p_origins, p_times, p_first, p_last)
      as seen (org_id, site_id, origin, times, first_seen, last_seen)
    where exists (select from vicket.sites s where s.org_id = seen.org_id and s.id = seen.site_id)
    order by seen.org_id, seen.site_id, seen.origin
    on conflict (org_id, site_id, origin) do update
      set times = r.times + excluded.times, last_seen = greatest(r.last_seen, excluded.last_seen);
  delete from vicket.refused_origins r
    using (
      select o.org_id, o.site_id, o.origin,
        row_number() over (partition by o.org_id, o.site_id order by o.last_seen desc, o.origin) as place
      from vicket.refused_origins o
      where (o.org_id, o.site_id) in (select u.org_id, u.site_id from unnest(p_org_ids, p_site_ids) as u (org_id, site_id))
    ) ranked
    where ranked.place > 200
      and r.org_id = ranked.org_id and r.site_id = ranked.site_id and r.origin = ranked.origin;
end $$;
comment on function worker.add_refused_origins is
  'Counts origins that were refused; keeps the 200 most recent a site. Definer: the worker reads no table.';
grant execute on function worker.add_refused_origins to vicket_worker;
reset role;
