-- articles and FAQs, as agents write them: drafts, published, archived; who and when; who may publish.

set local role vicket_owner;

alter table vicket.articles
  add column created_by text not null default 'cli',
  add column updated_by text not null default 'cli',
  add constraint articles_published_body check (status <> 'published' or body_markdown ~ '\S');
alter table vicket.faqs
  add column created_by text not null default 'cli',
  add column updated_by text not null default 'cli',
  add constraint faqs_published_answer check (status <> 'published' or answer_markdown ~ '\S');

-- Rows that were there are of the commands; from now on it is whoever acts.
alter table vicket.articles
  alter column created_by set default ctx.actor_name(),
  alter column updated_by set default ctx.actor_name();
alter table vicket.faqs
  alter column created_by set default ctx.actor_name(),
  alter column updated_by set default ctx.actor_name();

comment on column vicket.articles.created_by is 'Who wrote it first, as ctx.actor_name calls them.';
comment on column vicket.articles.updated_by is 'Who changed it last; set by trigger, with updated_at.';
comment on column vicket.faqs.created_by is 'Who wrote it first, as ctx.actor_name calls them.';
comment on column vicket.faqs.updated_by is 'Who changed it last; set by trigger, with updated_at.';

-- ---------------------------------------------------------------------------------------------------------------------
-- articles
-- Who may write may read what they write: INSERT ... RETURNING and UPDATE pass through the SELECT policy.
create policy agent_reads on vicket.articles
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:read')) or (select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
create policy agent_writes on vicket.articles
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));
create policy agent_changes on vicket.articles
  for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:write')) or (select ctx.may('article:publish')))
  )
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
create policy agent_deletes on vicket.articles
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));

grant select (org_id, site_id, id, slug, title, excerpt, body_markdown, body_html, status, view_count, published_at,
    created_at, created_by, updated_at, updated_by, search),
  insert (site_id, slug, title, excerpt, body_markdown, body_html),
  update (slug, title, excerpt, body_markdown, body_html, status),
  delete
  on vicket.articles to vicket_agent;
-- Not granted: site_id to UPDATE (an article does not move); status to INSERT (it begins as a draft); who and when.

comment on policy agent_reads on vicket.articles is 'article:read; and who may write or publish reads what they write.';
comment on policy agent_writes on vicket.articles is 'article:write. A draft: status is in no INSERT grant.';
comment on policy agent_changes on vicket.articles is 'article:write for the text, article:publish for the status (trigger content_guarded).';
comment on policy agent_deletes on vicket.articles is 'article:write.';

-- ---------------------------------------------------------------------------------------------------------------------
-- faqs
create policy agent_reads on vicket.faqs
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:read')) or (select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
create policy agent_writes on vicket.faqs
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));
create policy agent_changes on vicket.faqs
  for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:write')) or (select ctx.may('article:publish')))
  )
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
create policy agent_deletes on vicket.faqs
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));

grant select (org_id, site_id, id, question, answer_markdown, answer_html, position, status, created_at, created_by,
    updated_at, updated_by),
  insert (site_id, question, answer_markdown, answer_html, position),
  update (question, answer_markdown, answer_html, position, status),
  delete
  on vicket.faqs to vicket_agent;
-- Not granted: as for articles.

comment on policy agent_reads on vicket.faqs is 'article:read; and who may write or publish reads what they write.';
comment on policy agent_writes on vicket.faqs is 'article:write. A draft: status is in no INSERT grant.';
comment on policy agent_changes on vicket.faqs is 'article:write for the text, article:publish for the status (trigger content_guarded).';
comment on policy agent_deletes on vicket.faqs is 'article:write.';

grant create on schema vicket to vicket_definer;
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- One UPDATE may change text and status, which are two permissions; a policy cannot tell them apart, a trigger can.
-- Arguments: the columns that are the text.
set local role vicket_definer;

create function vicket.content_guarded() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
  -- Administration commands act for nobody, and a batch of view counts changes neither.
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

comment on function vicket.content_guarded() is
  'Trigger: text needs article:write, status article:publish; says who changed it and when.';

create function vicket.article_published() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.published_at := coalesce(new.published_at, now());
  return new;
end $$;

comment on function vicket.article_published() is 'Trigger: when an article was first published.';

grant execute on function vicket.content_guarded(), vicket.article_published() to vicket_owner;
reset role;

set local role vicket_owner;
revoke create on schema vicket from vicket_definer;

create trigger content_guarded before update on vicket.articles
  for each row execute function vicket.content_guarded('slug title excerpt body_markdown body_html');
create trigger content_guarded before update on vicket.faqs
  for each row execute function vicket.content_guarded('question answer_markdown answer_html position');
create trigger published before update of status on vicket.articles
  for each row when (new.status = 'published') execute function vicket.article_published();

reset role;
