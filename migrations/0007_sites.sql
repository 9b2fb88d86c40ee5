-- sites: the customer-facing surfaces of an org. A publishable key speaks for exactly one. Limits and versions of
-- content stand here, because auth.enter reads them with the key in one look-up.
set local role vicket_owner;

create table vicket.sites (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  slug text not null,
  name text not null,
  prefix text not null,
  content_version bigint not null default 1,
  views_version bigint not null default 1,
  reads_per_minute integer not null default 6000,
  writes_per_minute integer not null default 60,
  network_reads_per_minute integer not null default 300,
  network_writes_per_minute integer not null default 10,
  last_number bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint sites_pkey primary key (org_id, id),
  constraint sites_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint sites_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint sites_name_length check (char_length(name) between 1 and 200 and name ~ '\S'),
  constraint sites_prefix_shape check (prefix ~ '^[A-Z]{2,8}$'),
  constraint sites_limits_range check (
    reads_per_minute between 0 and 10000000 and writes_per_minute between 0 and 10000000
    and network_reads_per_minute between 0 and 10000000 and network_writes_per_minute between 0 and 10000000
  )
);
create unique index sites_slug_unique on vicket.sites (org_id, slug) where deleted_at is null;
create unique index sites_prefix_unique on vicket.sites (org_id, prefix) where deleted_at is null;

alter table vicket.sites enable row level security, force row level security;

create policy widget_select on vicket.sites for select to vicket_widget
  using (org_id = (select ctx.org_id()) and id = (select ctx.site_id()));
create policy widget_all_sealed on vicket.sites as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and id = (select ctx.site_by_key()));
create policy agent_select on vicket.sites for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()) and deleted_at is null);
create policy agent_insert on vicket.sites for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:create')));
create policy agent_update on vicket.sites for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')) and deleted_at is null)
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
create policy operator_all on vicket.sites for all to vicket_operator
  using (org_id = (select ctx.org_id()) and deleted_at is null) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.sites for select to vicket_definer using (true);
create policy definer_update on vicket.sites for update to vicket_definer using (true) with check (true);
create policy definer_delete on vicket.sites for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:delete')));
create policy definer_delete_marked on vicket.sites for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker');

grant select (org_id, id, slug, name, prefix) on vicket.sites to vicket_widget;
grant select (org_id, id, slug, name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute,
    network_writes_per_minute, created_at, updated_at),
  insert (slug, name, prefix),
  update (name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute, network_writes_per_minute, updated_at)
  on vicket.sites to vicket_agent;
grant select, insert (slug, name, prefix),
  update (slug, name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute, network_writes_per_minute,
    updated_at)
  on vicket.sites to vicket_operator;
grant select (org_id, id, slug, prefix, content_version, views_version, reads_per_minute, writes_per_minute,
    network_reads_per_minute, network_writes_per_minute, last_number, deleted_at),
  update (content_version, views_version, last_number, deleted_at), delete
  on vicket.sites to vicket_definer;
-- Not granted: limits to the widget (they are in the RateLimit headers), org_id and id to any writer, DELETE to
-- requests and commands (ctx.remove).

comment on table vicket.sites is 'Customer-facing surfaces of an org. A publishable key speaks for exactly one.';
comment on column vicket.sites.prefix is 'Begins the references of its tickets, APP-21; unique in the org.';
comment on column vicket.sites.content_version is
  'Grows with every change of what a reader of this site could see, but for view counts.';
comment on column vicket.sites.views_version is
  'Grows with every batch of view counts that a reader of this site could see.';
comment on column vicket.sites.reads_per_minute is 'Rate limit of the whole site, reads.';
comment on column vicket.sites.writes_per_minute is 'Rate limit of the whole site, ticket writes.';
comment on column vicket.sites.network_reads_per_minute is
  'Rate limit of one client network (IPv4 /24, IPv6 /56) within the site, reads.';
comment on column vicket.sites.network_writes_per_minute is
  'Rate limit of one client network within the site, ticket writes.';
comment on column vicket.sites.last_number is 'The highest number of a ticket that is gone: it is not given again.';
comment on column vicket.sites.deleted_at is
  'Set when a site that is too large to go at once was deleted: nobody sees it any more.';
comment on policy widget_select on vicket.sites is 'The support page shows its site''s name.';
comment on policy widget_all_sealed on vicket.sites is 'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.sites is 'Members see their org''s sites.';
comment on policy operator_all on vicket.sites is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.sites is
  'Not narrowed: auth.enter reads limits and versions with the key, before there is a context.';
comment on policy definer_update on vicket.sites is
  'Not narrowed: whoever changes content, a DBA without a context too, must be seen by its readers.';
comment on policy definer_delete on vicket.sites is 'ctx.remove: site:delete.';
comment on policy definer_delete_marked on vicket.sites is 'worker.run_job ends what ctx.remove began.';

-- A new name is a new answer of GET /support/v1/site.
create function vicket.site_changed() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.content_version := old.content_version + 1;
  return new;
end $$;

-- The prefix that nobody chose: up to four letters of the slug, without the org's own, and up to four more where that is
-- taken: SHOP, SHOPB .. SHOPZ, SHOPBA and so on.
create function vicket.site_prefixed() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  org_slug constant text := (select o.slug from vicket.orgs o where o.id = new.org_id);
  own constant text := case when starts_with(new.slug, org_slug || '-') then substr(new.slug, length(org_slug) + 2)
    else new.slug end;
  letters constant text := left(upper(regexp_replace(own, '[^a-z]', '', 'g')), 4);
  proposed constant text := rpad(letters, greatest(2, length(letters)), 'X');
  more text := '';
  tries integer := 0;
  rest integer;
begin
  while exists (select from vicket.sites s where s.org_id = new.org_id and s.prefix = proposed || more) loop
    tries := tries + 1;
    more := '';
    rest := tries;
    while rest > 0 loop
      more := chr(65 + rest % 26) || more;
      rest := rest / 26;
    end loop;
  end loop;
  new.prefix := proposed || more;
  return new;
end $$;

create trigger serialize_org_writes before insert or update of slug, name, prefix, reads_per_minute, writes_per_minute,
    network_reads_per_minute, network_writes_per_minute, updated_at or delete
  on vicket.sites
  for each statement execute function vicket.serialize_org_writes();
create trigger site_changed before update of name, slug, prefix on vicket.sites
  for each row execute function vicket.site_changed();
create trigger site_prefixed before insert on vicket.sites
  for each row when (new.prefix is null) execute function vicket.site_prefixed();
create trigger audited
  after insert or delete or update of slug, name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute,
    network_writes_per_minute, deleted_at
  on vicket.sites
  for each row execute function vicket.audited('site', 'slug',
    'slug name prefix reads_per_minute writes_per_minute network_reads_per_minute network_writes_per_minute');
reset role;

-- Raised in the transaction of every change of what readers see, for each site that could see it, so that a kept
-- answer is known to be old. Rows are locked in the order of their ids, so that two changes for all sites cannot
-- deadlock. For each row of what is of one site or of all; for orgs, whose name stands on the page of each of their
-- sites; and once a statement, for `changed`, what many rows of an org are to all of its sites.
set local role vicket_definer;
create function vicket.content_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  orgs uuid[];
  -- NULL: all sites of the org.
  of_sites uuid[] := array[null];
  of_all boolean;
begin
  if tg_level = 'STATEMENT' then
    orgs := array(select distinct c.org_id from changed c);
  elsif tg_table_name = 'orgs' then
    orgs := array[new.id];
  elsif tg_op = 'INSERT' then
    orgs := array[new.org_id];
    of_sites := array[new.site_id];
  elsif tg_op = 'DELETE' then
    orgs := array[old.org_id];
    of_sites := array[old.site_id];
  else
    -- A site that something was taken from sees a change too.
    orgs := array[new.org_id];
    of_sites := array[new.site_id, old.site_id];
  end if;
  of_all := array_position(of_sites, null) is not null;
  perform from vicket.sites s
    where s.org_id = any (orgs) and (of_all or s.id = any (of_sites))
    order by s.id
    for no key update;
  update vicket.sites s
    set content_version = s.content_version + 1
    where s.org_id = any (orgs) and (of_all or s.id = any (of_sites));
  return null;
end $$;
comment on function vicket.content_changed is
  'Trigger: readers of the row''s site, or of all its org''s, see something new. Definer: no request may write there.';
grant execute on function vicket.content_changed to vicket_owner;
set local role vicket_owner;
create trigger content_changed after update of name on vicket.orgs
  for each row execute function vicket.content_changed();
reset role;
