-- sites, site_origins, refused_origins: a customer-facing surface of an org, and which web pages may use its key.

-- ---------------------------------------------------------------------------------------------------------------------
-- sites
-- Why: what a publishable key speaks for. Its limits and the version of its content stand here, because auth.enter
-- reads them with the key in one look-up.
set local role vicket_owner;

create table vicket.sites (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  slug text not null,
  name text not null,
  content_version bigint not null default 1,
  reads_per_minute integer not null default 6000,
  writes_per_minute integer not null default 60,
  network_reads_per_minute integer not null default 300,
  network_writes_per_minute integer not null default 10,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sites_pkey primary key (org_id, id),
  constraint sites_slug_unique unique (org_id, slug),
  constraint sites_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint sites_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint sites_name_length check (char_length(name) between 1 and 200 and name ~ '\S'),
  constraint sites_limits_range check (
    reads_per_minute between 0 and 10000000 and writes_per_minute between 0 and 10000000
    and network_reads_per_minute between 0 and 10000000 and network_writes_per_minute between 0 and 10000000
  )
);

-- Indexes: the constraints', both led by the tenant.

alter table vicket.sites enable row level security;
alter table vicket.sites force row level security;

create policy widget_reads_own on vicket.sites
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and id = (select ctx.site_id()));
create policy widget_sealed on vicket.sites
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and id = (select ctx.site_by_key()));
create policy operator_all on vicket.sites
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.sites
  for select to vicket_definer
  using (true);
create policy definer_bumps on vicket.sites
  for update to vicket_definer
  using (true)
  with check (true);

grant select (org_id, id, slug, name) on vicket.sites to vicket_widget;
grant select, insert (slug, name), delete,
  update (slug, name, reads_per_minute, writes_per_minute, network_reads_per_minute, network_writes_per_minute, updated_at)
  on vicket.sites to vicket_operator;
grant select (org_id, id, slug, content_version, reads_per_minute, writes_per_minute, network_reads_per_minute,
    network_writes_per_minute),
  update (content_version)
  on vicket.sites to vicket_definer;
-- Not granted: limits to the widget (they are in the RateLimit headers), org_id and id to any writer.

comment on table vicket.sites is 'Customer-facing surfaces of an org. A publishable key speaks for exactly one.';
comment on column vicket.sites.content_version is 'Grows with every change that a reader of this site could see; kept answers are valid for one version.';
comment on column vicket.sites.reads_per_minute is 'Rate limit of the whole site, reads.';
comment on column vicket.sites.writes_per_minute is 'Rate limit of the whole site, ticket writes.';
comment on column vicket.sites.network_reads_per_minute is 'Rate limit of one client network (IPv4 /24, IPv6 /56) within the site, reads.';
comment on column vicket.sites.network_writes_per_minute is 'Rate limit of one client network within the site, ticket writes.';
comment on policy widget_reads_own on vicket.sites is 'The support page shows its site''s name.';
comment on policy widget_sealed on vicket.sites is 'Even injected SQL stays with the key in the context.';
comment on policy operator_all on vicket.sites is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.sites is 'auth.enter reads limits and version with the key.';
comment on policy definer_bumps on vicket.sites is 'The content triggers raise content_version (the only column granted).';

-- A new name is a new answer of GET /support/v1/site.
create function vicket.site_changed() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.content_version := old.content_version + 1;
  return new;
end $$;

comment on function vicket.site_changed() is 'Trigger: a new name or slug is a new content version.';

create trigger site_changed
  before update of name, slug on vicket.sites
  for each row execute function vicket.site_changed();

-- ---------------------------------------------------------------------------------------------------------------------
-- site_origins
-- Why: the exact origins whose pages may use the site's key from a browser.
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

alter table vicket.site_origins enable row level security;
alter table vicket.site_origins force row level security;

create policy operator_all on vicket.site_origins
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.site_origins
  for select to vicket_definer
  using (true);

grant select, insert (site_id, origin), delete on vicket.site_origins to vicket_operator;
grant select (org_id, site_id, origin, origin_hash) on vicket.site_origins to vicket_definer;
-- Not granted: anything to vicket_widget: a key cannot read the list it is checked against.

comment on table vicket.site_origins is 'Exact origins (scheme, host, port) whose pages may use the site''s key.';
comment on column vicket.site_origins.origin is 'In the form browsers send: lower case, punycode, no default port.';
comment on column vicket.site_origins.origin_hash is 'SHA-256 of origin: requests are compared by digest, so no caller''s text is in SQL.';
comment on policy operator_all on vicket.site_origins is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.site_origins is 'auth.enter, auth.origin_known and ctx.listed_origins ask.';

-- ---------------------------------------------------------------------------------------------------------------------
-- refused_origins
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

create index refused_origins_recent on vicket.refused_origins (org_id, site_id, last_seen desc);

alter table vicket.refused_origins enable row level security;
alter table vicket.refused_origins force row level security;

create policy operator_all on vicket.refused_origins
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_counts on vicket.refused_origins
  for all to vicket_definer
  using (true)
  with check (true);

grant select, delete on vicket.refused_origins to vicket_operator;
grant select, insert (org_id, site_id, origin, times, first_seen, last_seen), update (times, last_seen), delete
  on vicket.refused_origins to vicket_definer;
-- Not granted: anything to vicket_widget.

comment on table vicket.refused_origins is 'Origins that tried a good key and are not listed: at most 200 a site, the least recent dropped.';
comment on policy operator_all on vicket.refused_origins is 'Administration commands, after admin.enter_org.';
comment on policy definer_counts on vicket.refused_origins is 'worker.add_refused_origins.';

reset role;
