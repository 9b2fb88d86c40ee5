-- What one would write by hand for the same three requests: tables under forced row-level security, a key that is found by
-- its SHA-256, a role for the request. No orgs, origins, limits, seal or audit. Site n has the key 'baseline_' || n, of 24
-- digits.
create role baseline_owner nologin noinherit;
create role baseline_widget nologin noinherit;
create role baseline_app login noinherit;
grant baseline_widget to baseline_app;
create schema app authorization baseline_owner;
set role baseline_owner;

create table app.sites (
  id uuid primary key,
  name text not null
);
create table app.site_keys (
  id bigint generated always as identity primary key,
  site_id uuid not null references app.sites on delete cascade,
  key_hash bytea not null unique check (octet_length(key_hash) = 32),
  revoked_at timestamptz
);
create unique index site_keys_one_active on app.site_keys (site_id) where revoked_at is null;
create table app.articles (
  id bigint generated always as identity primary key,
  site_id uuid not null references app.sites on delete cascade,
  slug text not null,
  title text not null,
  excerpt text not null,
  body_markdown text not null,
  published boolean not null,
  published_at timestamptz,
  created_at timestamptz not null default now(),
  unique (site_id, slug),
  check (published = (published_at is not null))
);
create index articles_newest on app.articles (site_id, published_at desc, id desc) where published;
create table app.tickets (
  id uuid primary key default gen_random_uuid(),
  site_id uuid not null default nullif(current_setting('app.site_id', true), '')::uuid references app.sites on delete cascade,
  email text not null check (length(email) between 3 and 320),
  subject text not null check (length(subject) between 1 and 200),
  message text not null check (length(message) between 1 and 20000),
  created_at timestamptz not null default now()
);
create index tickets_newest on app.tickets (site_id, created_at desc);

alter table app.sites enable row level security, force row level security;
alter table app.site_keys enable row level security, force row level security;
alter table app.articles enable row level security, force row level security;
alter table app.tickets enable row level security, force row level security;
create policy app_select on app.site_keys for select to baseline_app using (revoked_at is null);
create policy widget_select on app.articles for select to baseline_widget
  using (published and site_id = nullif(current_setting('app.site_id', true), '')::uuid);
create policy widget_insert on app.tickets for insert to baseline_widget
  with check (site_id = nullif(current_setting('app.site_id', true), '')::uuid);

grant usage on schema app to baseline_app, baseline_widget;
grant select (site_id, key_hash, revoked_at) on app.site_keys to baseline_app;
grant select on app.articles to baseline_widget;
grant insert (id, site_id, email, subject, message) on app.tickets to baseline_widget;
reset role;

insert into app.sites (id, name)
  select md5('site' || n)::uuid, 'Site ' || n from generate_series(1, current_setting('seed.sites')::int) as n;
insert into app.site_keys (site_id, key_hash)
  select md5('site' || n)::uuid, sha256(('baseline_' || lpad(n::text, 24, '0'))::bytea)
  from generate_series(1, current_setting('seed.sites')::int) as n;
-- And one that was, as keys are rotated.
insert into app.site_keys (site_id, key_hash, revoked_at)
  select md5('site' || n)::uuid, sha256(('revoked_' || lpad(n::text, 24, '0'))::bytea), now()
  from generate_series(1, current_setting('seed.sites')::int) as n;
-- Sites in turn, as tables fill.
insert into app.articles (site_id, slug, title, excerpt, body_markdown, published, published_at)
  select md5('site' || site)::uuid, slug, title, excerpt, markdown, published, case when published then at end
  from article order by number, site;
vacuum (analyze);
