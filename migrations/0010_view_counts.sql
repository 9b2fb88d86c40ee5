-- View counts have a version of their own: they change every few seconds, what an article says does not. Lists show
-- counts and are kept for both versions; an article's page is kept for the content's, and adds what was counted since.

set local role vicket_owner;

alter table vicket.sites add column views_version bigint not null default 1;
comment on column vicket.sites.content_version is 'Grows with every change of what a reader of this site could see, but for view counts.';
comment on column vicket.sites.views_version is 'Grows with every batch of view counts that a reader of this site could see.';
grant select (views_version), update (views_version) on vicket.sites to vicket_definer;
comment on policy definer_bumps on vicket.sites is 'The content triggers raise the two versions (the only columns granted).';

-- Room on each page, so that a batch of counts rewrites rows in place and touches no index.
alter table vicket.articles set (fillfactor = 80);

drop trigger content_updated on vicket.articles;
grant create on schema auth, vicket to vicket_definer;
reset role;
set local role vicket_definer;

create function vicket.article_updated() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  counted_only boolean := not exists (
    select from after_rows n
    join before_rows o on o.org_id = n.org_id and o.id = n.id
    where (n.site_id, n.slug, n.title, n.excerpt, n.body_markdown, n.body_html, n.status, n.published_at, n.updated_at)
      is distinct from
      (o.site_id, o.slug, o.title, o.excerpt, o.body_markdown, o.body_html, o.status, o.published_at, o.updated_at)
  );
begin
  -- In order, as in content_changed. A site that an article was taken from sees a change too.
  perform from vicket.sites s
    where exists (
      select from (select org_id, site_id from after_rows union select org_id, site_id from before_rows) c
      where c.org_id = s.org_id and (c.site_id is null or c.site_id = s.id)
    )
    order by s.id
    for no key update;
  update vicket.sites s
    set content_version = s.content_version + case when counted_only then 0 else 1 end,
      views_version = s.views_version + case when counted_only then 1 else 0 end
    where exists (
      select from (select org_id, site_id from after_rows union select org_id, site_id from before_rows) c
      where c.org_id = s.org_id and (c.site_id is null or c.site_id = s.id)
    );
  return null;
end $$;

comment on function vicket.article_updated() is
  'Trigger: raises content_version of each site that could see the changed rows, or views_version when only counts changed.';
grant execute on function vicket.article_updated() to vicket_owner;

drop function auth.enter(bytea, bytea, bytea);

-- As in 0007, and views_version beside content_version.
create function auth.enter(
  p_key_hash bytea, p_origin_hash bytea, p_ticket_hash bytea,
  out verdict text, out key_id uuid, out key_state text, out org_id uuid, out site_id uuid,
  out content_version bigint, out views_version bigint,
  out reads_per_minute integer, out writes_per_minute integer,
  out network_reads_per_minute integer, out network_writes_per_minute integer,
  out origin_listed boolean, out origin_known boolean
)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  select 'entered', k.id, k.state, k.org_id, k.site_id, s.content_version, s.views_version,
      s.reads_per_minute, s.writes_per_minute, s.network_reads_per_minute, s.network_writes_per_minute
    into enter.verdict, enter.key_id, enter.key_state, enter.org_id, enter.site_id, enter.content_version,
      enter.views_version,
      enter.reads_per_minute, enter.writes_per_minute, enter.network_reads_per_minute, enter.network_writes_per_minute
    from vicket.site_keys k
    join vicket.sites s on s.org_id = k.org_id and s.id = k.site_id
    where k.key_hash = p_key_hash and k.state in ('active', 'staged');

  if enter.verdict is null then
    enter.verdict := 'unknown';
    enter.origin_listed := false;
    enter.origin_known := p_origin_hash <> '' and exists (
      select from vicket.site_origins o where o.origin_hash = p_origin_hash
    );
    return;
  end if;

  enter.origin_listed := p_origin_hash <> '' and exists (
    select from vicket.site_origins o
    where o.org_id = enter.org_id and o.site_id = enter.site_id and o.origin_hash = p_origin_hash
  );
  enter.origin_known := enter.origin_listed;
  perform set_config('app.org_id', enter.org_id::text, true);
  perform set_config('app.site_id', enter.site_id::text, true);
  perform set_config('app.key_hash', encode(p_key_hash, 'hex'), true);
  -- Also when it sent none: what an injected SET left in this session must not be this request's.
  perform set_config('app.ticket_hash', encode(p_ticket_hash, 'hex'), true);
  perform set_config('app.submission_hash', '', true);
end $$;

comment on function auth.enter(bytea, bytea, bytea) is
  'Resolves a publishable key by its SHA-256 and sets the context of this transaction. One row; never raises.';
grant execute on function auth.enter(bytea, bytea, bytea) to vicket_gate_widget;

reset role;
set local role vicket_owner;
revoke create on schema auth, vicket from vicket_definer;

create trigger article_updated after update on vicket.articles
  referencing old table as before_rows new table as after_rows
  for each statement execute function vicket.article_updated();

reset role;
