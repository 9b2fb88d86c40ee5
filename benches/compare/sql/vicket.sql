-- `seed.sites` sites, ten of an org, with their articles. Site n has the key that requests.lua makes of n, a
-- revoked one, and limits that no run reaches. Triggers make the orgs' statuses and priorities, and sleep for the rest.
insert into vicket.orgs (slug, name)
  select 'org-' || n, 'Org ' || n from generate_series(1, (current_setting('seed.sites')::int + 9) / 10) as n;

set session_replication_role = replica;

insert into vicket.sites (org_id, slug, name, prefix,
    reads_per_minute, writes_per_minute, network_reads_per_minute, network_writes_per_minute)
  select o.id, 'site-' || n, 'Site ' || n, 'S' || translate(to_char(n, 'FM000000'), '0123456789', 'ABCDEFGHIJ'),
    10000000, 10000000, 10000000, 10000000
  from generate_series(1, current_setting('seed.sites')::int) as n
  join vicket.orgs o on o.slug = 'org-' || (n + 9) / 10;
create temporary table site as
  select org_id, id, substr(slug, 6)::int as n from vicket.sites;
create unique index on site (n);
analyze site;

insert into vicket.site_keys (org_id, site_id, key_hash, hint, state, activated_at, revoked_at)
  select org_id, id, sha256((kind || lpad(n::text, 37, '0'))::bytea), right(lpad(n::text, 4, '0'), 4), state, now(), revoked_at
  from site, (values ('pk_bench_', 'active', null), ('pk_older_', 'revoked', now())) as k (kind, state, revoked_at);
-- Their words are written by this trigger alone.
alter table vicket.articles enable always trigger help_written;
alter table vicket.faqs enable always trigger help_written;
insert into vicket.articles (org_id, site_id, slug, title, excerpt, body_markdown, body_html, status, published_at, created_at)
  select s.org_id, s.id, slug, title, excerpt, markdown, html, case when published then 'published' else 'draft' end,
    case when published then at end, at
  from article a join site s on s.n = a.site order by number, site;

alter table vicket.articles enable trigger help_written;
alter table vicket.faqs enable trigger help_written;
reset session_replication_role;
vacuum (analyze);
