-- articles, faqs: what a support page reads. A row with site_id NULL serves all sites of its org.

-- ---------------------------------------------------------------------------------------------------------------------
-- articles
-- Why: the help center. Markdown is rendered and sanitised when it is written, so a read only selects.
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
  published_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
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
  constraint articles_published_at check (status <> 'published' or published_at is not null)
);

-- Indexes: that of the slug's constraint serves the lists too. It finds an org's rows of one site and of all sites (two
-- scans, by the policy's OR), which are then sorted: an index in the order of a list could not serve both at once.
-- No GIN index on search: @@ is not leakproof, so it would not be used under row-level security; the tenant comes first.

alter table vicket.articles enable row level security;
alter table vicket.articles force row level security;

create policy widget_reads_published on vicket.articles
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and (site_id is null or site_id = (select ctx.site_id()))
    and status = 'published'
  );
create policy widget_sealed on vicket.articles
  as restrictive for all to vicket_widget
  using (
    org_id = (select ctx.org_by_key())
    and (site_id is null or site_id = (select ctx.site_by_key()))
  )
  with check (
    org_id = (select ctx.org_by_key())
    and (site_id is null or site_id = (select ctx.site_by_key()))
  );
create policy operator_all on vicket.articles
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.articles
  for select to vicket_definer
  using (true);
create policy definer_counts on vicket.articles
  for update to vicket_definer
  using (true)
  with check (true);

grant select (org_id, site_id, id, slug, title, excerpt, body_markdown, body_html, status, view_count, published_at,
    updated_at, search)
  on vicket.articles to vicket_widget;
grant select,
  insert (site_id, slug, title, excerpt, body_markdown, body_html, status, published_at),
  update (slug, title, excerpt, body_markdown, body_html, status, published_at, updated_at),
  delete
  on vicket.articles to vicket_operator;
grant select (org_id, id, view_count), update (view_count) on vicket.articles to vicket_definer;
-- Not granted: any write to vicket_widget; org_id to any writer; view_count to anyone but the definer.

comment on table vicket.articles is 'Help articles. site_id NULL: for all sites of the org.';
comment on column vicket.articles.body_html is 'body_markdown, rendered and sanitised when it was written.';
comment on column vicket.articles.search is 'Full-text document: title, excerpt, body, in that order of weight.';
comment on column vicket.articles.view_count is 'Counted by the server, written in batches by the worker.';
comment on policy widget_reads_published on vicket.articles is 'The org predicate is what keeps a NULL site from meaning every org.';
comment on policy widget_sealed on vicket.articles is 'Even injected SQL stays with the key in the context.';
comment on policy operator_all on vicket.articles is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.articles is 'worker.add_views finds the row it counts for.';
comment on policy definer_counts on vicket.articles is 'worker.add_views (view_count is the only column granted).';

-- ---------------------------------------------------------------------------------------------------------------------
-- faqs
-- Why: short questions and answers in an order that people chose.
create table vicket.faqs (
  org_id uuid not null default ctx.org_id(),
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  question text not null,
  answer_markdown text not null default '',
  answer_html text not null default '',
  position integer not null default 0,
  status text not null default 'draft',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint faqs_pkey primary key (org_id, id),
  constraint faqs_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint faqs_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint faqs_question_length check (char_length(question) between 1 and 500),
  constraint faqs_answer_length check (char_length(answer_markdown) <= 20000),
  constraint faqs_status_known check (status in ('draft', 'published', 'archived'))
);

create index faqs_in_order on vicket.faqs (org_id, site_id, position, id) where status = 'published';

alter table vicket.faqs enable row level security;
alter table vicket.faqs force row level security;

create policy widget_reads_published on vicket.faqs
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and (site_id is null or site_id = (select ctx.site_id()))
    and status = 'published'
  );
create policy widget_sealed on vicket.faqs
  as restrictive for all to vicket_widget
  using (
    org_id = (select ctx.org_by_key())
    and (site_id is null or site_id = (select ctx.site_by_key()))
  )
  with check (
    org_id = (select ctx.org_by_key())
    and (site_id is null or site_id = (select ctx.site_by_key()))
  );
create policy operator_all on vicket.faqs
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));

grant select (org_id, site_id, id, question, answer_markdown, answer_html, position, status) on vicket.faqs to vicket_widget;
grant select,
  insert (site_id, question, answer_markdown, answer_html, position, status),
  update (question, answer_markdown, answer_html, position, status, updated_at),
  delete
  on vicket.faqs to vicket_operator;
-- Not granted: any write to vicket_widget; org_id to any writer.

comment on table vicket.faqs is 'Frequently asked questions. site_id NULL: for all sites of the org.';
comment on column vicket.faqs.answer_html is 'answer_markdown, rendered and sanitised when it was written.';
comment on column vicket.faqs.position is 'Order on the page, ascending; ties by id.';
comment on policy widget_reads_published on vicket.faqs is 'The org predicate is what keeps a NULL site from meaning every org.';
comment on policy widget_sealed on vicket.faqs is 'Even injected SQL stays with the key in the context.';
comment on policy operator_all on vicket.faqs is 'Administration commands, after admin.enter_org.';

grant create on schema vicket to vicket_definer;
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- The content version: raised in the transaction of every change to articles and FAQs, for each site that could see
-- it. Rows are locked in the order of their ids, so that two changes for all sites cannot deadlock.
set local role vicket_definer;

create function vicket.content_changed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.sites s
    where exists (
      select from changed c
      where c.org_id = s.org_id and (c.site_id is null or c.site_id = s.id)
    )
    order by s.id
    for no key update;
  update vicket.sites s
    set content_version = s.content_version + 1
    where exists (
      select from changed c
      where c.org_id = s.org_id and (c.site_id is null or c.site_id = s.id)
    );
  return null;
end $$;

-- An org's name stands on the support page of each of its sites.
create function vicket.org_renamed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.sites s where s.org_id = new.id order by s.id for no key update;
  update vicket.sites s set content_version = s.content_version + 1 where s.org_id = new.id;
  return null;
end $$;

comment on function vicket.org_renamed() is 'Trigger: raises content_version of every site of the org.';
comment on function vicket.content_changed() is 'Trigger: raises content_version of each site that could see the changed rows.';

grant execute on function vicket.content_changed(), vicket.org_renamed() to vicket_owner;

reset role;
set local role vicket_owner;
revoke create on schema vicket from vicket_definer;

create trigger org_renamed after update of name on vicket.orgs
  for each row execute function vicket.org_renamed();

create trigger content_inserted after insert on vicket.articles
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger content_updated after update on vicket.articles
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger content_deleted after delete on vicket.articles
  referencing old table as changed for each statement execute function vicket.content_changed();

create trigger content_inserted after insert on vicket.faqs
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger content_updated after update on vicket.faqs
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger content_deleted after delete on vicket.faqs
  referencing old table as changed for each statement execute function vicket.content_changed();

reset role;
