-- articles: the help center. A row with site_id NULL serves all sites of its org. Markdown is rendered and sanitised
-- when it is written, so a read only selects.
set local role vicket_owner;

create table vicket.articles (
  org_id uuid not null default ctx.org_id(),
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  slug text not null,
  title text not null,
  excerpt text not null default '',
  body_markdown text not null default '',
  body_html text not null default '',
  status text not null default 'draft',
  view_count bigint not null default 0,
  popularity bigint not null default 0,
  published_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null default ctx.actor_name(),
  updated_at timestamptz not null default now(),
  updated_by text not null default ctx.actor_name(),
  search tsvector not null generated always as (
    setweight(to_tsvector('pg_catalog.english', title), 'A')
    || setweight(to_tsvector('pg_catalog.english', excerpt), 'B')
    || setweight(to_tsvector('pg_catalog.english', body_markdown), 'C')
  ) stored,
  constraint articles_pkey primary key (org_id, id),
  constraint articles_slug_unique unique nulls not distinct (org_id, site_id, slug),
  constraint articles_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint articles_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint articles_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,118}[a-z0-9])?$'),
  constraint articles_title_length check (char_length(title) between 1 and 200),
  constraint articles_body_length check (char_length(body_markdown) <= 200000),
  constraint articles_status_known check (status in ('draft', 'published', 'archived')),
  constraint articles_published_at check (status <> 'published' or published_at is not null),
  constraint articles_published_body check (status <> 'published' or body_markdown ~ '\S')
)
-- Room on each page, so that a batch of counts rewrites rows in place and touches no index: none is on view_count.
with (fillfactor = 80);
-- The orders of the lists. What is of one site and what is of all are two scans, merged: see src/store.
create index articles_newest on vicket.articles (org_id, site_id, published_at desc, id desc) where status = 'published';
create index articles_popular on vicket.articles (org_id, site_id, popularity desc, id desc) where status = 'published';
create index articles_made on vicket.articles (org_id, created_at desc, id desc);
create index articles_made_in_site on vicket.articles (org_id, site_id, created_at desc, id desc);
-- No GIN index on search: @@ is not leakproof, so it would not be used under row-level security; the tenant comes
-- first.
create statistics vicket.articles_tenant (dependencies, ndistinct) on org_id, site_id from vicket.articles;

alter table vicket.articles enable row level security, force row level security;

create policy widget_select on vicket.articles for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and (site_id is null or site_id = (select ctx.site_id()))
    and status = 'published'
  );
create policy widget_all_sealed on vicket.articles as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())))
  with check (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())));
-- Who may write may read what they write: INSERT ... RETURNING and UPDATE pass through the SELECT policy.
create policy agent_select on vicket.articles for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:read')) or (select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
create policy agent_insert on vicket.articles for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));
create policy agent_update on vicket.articles for update to vicket_agent
  using (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('article:publish'))))
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('article:publish'))));
create policy operator_all on vicket.articles for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.articles for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_update on vicket.articles for update to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()) and (select ctx.may('site:delete')))
  with check (session_user = 'vicket_worker');
create policy definer_delete on vicket.articles for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('site:delete'))));
create policy definer_delete_marked on vicket.articles for delete to vicket_definer
  using (session_user = 'vicket_worker');

grant select (org_id, site_id, id, slug, title, excerpt, body_markdown, body_html, status, view_count, popularity,
    published_at, updated_at, search)
  on vicket.articles to vicket_widget;
grant select (org_id, site_id, id, slug, title, excerpt, body_markdown, body_html, status, view_count, published_at,
    created_at, created_by, updated_at, updated_by, search),
  insert (site_id, slug, title, excerpt, body_markdown, body_html),
  update (slug, title, excerpt, body_markdown, body_html, status)
  on vicket.articles to vicket_agent;
grant select,
  insert (site_id, slug, title, excerpt, body_markdown, body_html, status, published_at),
  update (slug, title, excerpt, body_markdown, body_html, status, published_at, updated_at, created_by, updated_by)
  on vicket.articles to vicket_operator;
grant select (org_id, site_id, id, view_count, popularity), update (view_count, popularity), delete
  on vicket.articles to vicket_definer;
-- Not granted: any write to vicket_widget; site_id to UPDATE (an article does not move); status to an agent's INSERT
-- (it begins as a draft); who, when and counts to any writer; DELETE to requests and commands (ctx.remove).

comment on table vicket.articles is 'Help articles. site_id NULL: for all sites of the org.';
comment on column vicket.articles.body_html is 'body_markdown, rendered and sanitised when it was written.';
comment on column vicket.articles.search is 'Full-text document: title, excerpt, body, in that order of weight.';
comment on column vicket.articles.view_count is 'Counted by the server, written in batches by the worker.';
comment on column vicket.articles.popularity is
  'view_count when it last grew by a tenth: what lists are ordered by, so that a count moves no index entry.';
comment on column vicket.articles.created_by is 'Who wrote it first, as ctx.actor_name calls them.';
comment on column vicket.articles.updated_by is 'Who changed it last; set by trigger, with updated_at.';
comment on policy widget_select on vicket.articles is
  'The org predicate is what keeps a NULL site from meaning every org.';
comment on policy widget_all_sealed on vicket.articles is
  'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.articles is
  'article:read; and who may write or publish reads what they write.';
comment on policy agent_insert on vicket.articles is 'article:write. A draft: status is in no INSERT grant.';
comment on policy agent_update on vicket.articles is
  'article:write for the text, article:publish for the status (trigger content_guarded).';
comment on policy operator_all on vicket.articles is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.articles is
  'worker.add_views and worker.run_job for any org, ctx.remove for one.';
comment on policy definer_update on vicket.articles is
  'worker.add_views (the two counts are the only columns granted); ctx.remove_large locks what goes with a site.';
comment on policy definer_delete on vicket.articles is 'ctx.remove: article:write; with a site, site:delete.';
comment on policy definer_delete_marked on vicket.articles is 'worker.run_job, of a site that is marked.';

-- One UPDATE may change text and status, which are two permissions; a policy cannot tell them apart, a trigger can.
-- Arguments: the columns that are the text. Asked for articles and FAQs.
create function vicket.content_guarded() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  text_columns constant text[] := string_to_array(tg_argv[0], ' ');
  before_row constant jsonb := to_jsonb(old);
  after_row constant jsonb := to_jsonb(new);
  text_changed constant boolean := exists (
    select from unnest(text_columns) c (name) where before_row -> c.name is distinct from after_row -> c.name
  );
  status_changed constant boolean := new.status <> old.status;
  acts constant boolean := ctx.needs_actor();
begin
  if not text_changed and not status_changed then
    return new;
  end if;
  if acts and text_changed and not ctx.may('article:write') then
    raise exception 'article:write is needed' using errcode = 'insufficient_privilege';
  end if;
  if acts and status_changed and not ctx.may('article:publish') then
    raise exception 'article:publish is needed' using errcode = 'insufficient_privilege';
  end if;
  new.updated_at := now();
  new.updated_by := ctx.actor_name();
  return new;
end $$;

create function vicket.article_published() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.published_at := coalesce(new.published_at, now());
  return new;
end $$;

-- Triggers name their columns: none is asked when a batch of views is counted.
create trigger serialize_org_writes before insert or update of slug, title, excerpt, body_markdown, body_html, status or delete
  on vicket.articles
  for each statement execute function vicket.serialize_org_writes();
create trigger content_guarded before update of slug, title, excerpt, body_markdown, body_html, status on vicket.articles
  for each row execute function vicket.content_guarded('slug title excerpt body_markdown body_html');
create trigger published before update of status on vicket.articles
  for each row when (new.status = 'published') execute function vicket.article_published();
create trigger content_changed
  after insert or delete or update of slug, title, excerpt, body_markdown, body_html, status, published_at, updated_at
  on vicket.articles
  for each row execute function vicket.content_changed();
create trigger audited after insert or delete or update of slug, title, excerpt, body_markdown, body_html, status
  on vicket.articles
  for each row execute function vicket.audited('article', 'id', 'site_id slug title status updated_at');

set local role vicket_definer;
-- Articles in order, then sites in order: as whoever deletes a site takes them.
create function worker.add_views(p_org_ids uuid[], p_article_ids uuid[], p_counts bigint[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from vicket.articles a
    join unnest(p_org_ids, p_article_ids) as seen (org_id, article_id)
      on a.org_id = seen.org_id and a.id = seen.article_id
    order by a.org_id, a.id
    for no key update of a;
  update vicket.articles a
    set view_count = a.view_count + seen.views,
      popularity = case
        when a.view_count + seen.views >= a.popularity + greatest(1, a.popularity / 10) then a.view_count + seen.views
        else a.popularity
      end
    from unnest(p_org_ids, p_article_ids, p_counts) as seen (org_id, article_id, views)
    where a.org_id = seen.org_id and a.id = seen.article_id;
  perform from vicket.sites s
    where (s.org_id, s.id) in (
      select a.org_id, o.id
      from unnest(p_org_ids, p_article_ids) as seen (org_id, article_id)
      join vicket.articles a on a.org_id = seen.org_id and a.id = seen.article_id
      join vicket.sites o on o.org_id = a.org_id and (a.site_id is null or o.id = a.site_id)
    )
    order by s.org_id, s.id
    for no key update;
  update vicket.sites s
    set views_version = s.views_version + 1
    where (s.org_id, s.id) in (
      select a.org_id, o.id
      from unnest(p_org_ids, p_article_ids) as seen (org_id, article_id)
      join vicket.articles a on a.org_id = seen.org_id and a.id = seen.article_id
      join vicket.sites o on o.org_id = a.org_id and (a.site_id is null or o.id = a.site_id)
    );
end $$;
comment on function worker.add_views is 'Adds gathered views to articles. Definer: the worker reads no table.';
grant execute on function worker.add_views to vicket_worker;
reset role;
