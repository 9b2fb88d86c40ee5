-- faqs: short questions and answers in an order that people chose. A row with site_id NULL serves all sites of its
-- org. This file is the pattern of a noun that the widget reads; 0019_saved_replies.sql, of one that it does not.
set local role vicket_owner;

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
  created_by text not null default ctx.actor_name(),
  updated_at timestamptz not null default now(),
  updated_by text not null default ctx.actor_name(),
  constraint faqs_pkey primary key (org_id, id),
  constraint faqs_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint faqs_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint faqs_question_length check (char_length(question) between 1 and 500),
  constraint faqs_answer_length check (char_length(answer_markdown) <= 20000),
  constraint faqs_status_known check (status in ('draft', 'published', 'archived')),
  constraint faqs_published_answer check (status <> 'published' or answer_markdown ~ '\S')
);
create index faqs_in_order on vicket.faqs (org_id, site_id, position, id);
create statistics vicket.faqs_tenant (dependencies, ndistinct) on org_id, site_id from vicket.faqs;

alter table vicket.faqs enable row level security, force row level security;

create policy widget_select on vicket.faqs for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and (site_id is null or site_id = (select ctx.site_id()))
    and status = 'published'
  );
create policy widget_all_sealed on vicket.faqs as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())))
  with check (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())));
create policy agent_select on vicket.faqs for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:read')) or (select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
create policy agent_insert on vicket.faqs for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));
create policy agent_update on vicket.faqs for update to vicket_agent
  using (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('article:publish'))))
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('article:publish'))));
create policy operator_all on vicket.faqs for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.faqs for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.faqs for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));

grant select (org_id, site_id, id, question, answer_markdown, answer_html, position, status) on vicket.faqs to vicket_widget;
grant select,
  insert (site_id, question, answer_markdown, answer_html, position),
  update (question, answer_markdown, answer_html, position, status)
  on vicket.faqs to vicket_agent;
grant select,
  insert (site_id, question, answer_markdown, answer_html, position, status),
  update (question, answer_markdown, answer_html, position, status, updated_at, created_by, updated_by)
  on vicket.faqs to vicket_operator;
grant select (org_id, id), delete on vicket.faqs to vicket_definer;
-- Not granted: org_id to any writer (it comes from the context); site_id to UPDATE (a row does not move); status to
-- an agent's INSERT (it begins as a draft); DELETE to requests and commands: who may delete a table's rows may lock
-- it (ctx.remove).

comment on table vicket.faqs is 'Frequently asked questions. site_id NULL: for all sites of the org.';
comment on policy widget_select on vicket.faqs is 'The org predicate is what keeps a NULL site from meaning every org.';
comment on policy widget_all_sealed on vicket.faqs is 'Even an injected statement stays with the key in the context.';
comment on policy agent_update on vicket.faqs is
  'article:write for the text, article:publish for the status (content_guarded).';
comment on policy definer_delete on vicket.faqs is 'ctx.remove.';

create trigger serialize_org_writes before insert or update or delete on vicket.faqs
  for each statement execute function vicket.serialize_org_writes();
create trigger content_guarded before update on vicket.faqs
  for each row execute function vicket.content_guarded('question answer_markdown answer_html position');
create trigger content_changed after insert or update or delete on vicket.faqs
  for each row execute function vicket.content_changed();
create trigger audited after insert or delete or update of question, answer_markdown, answer_html, position, status
  on vicket.faqs
  for each row execute function vicket.audited('faq', 'id', 'site_id question position status updated_at');
reset role;
