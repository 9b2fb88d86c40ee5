-- templates and what they consist of: ticket forms, with points that tell how urgent an answer is.
--
-- Customers see questions and options of the forms that their site uses, and never points: those are in columns that the
-- widget is not granted. The score of a ticket is computed here, from the same rows, and stored line by line.

set local role vicket_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- templates
create table vicket.templates (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  description text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint templates_pkey primary key (org_id, id),
  constraint templates_name_unique unique (org_id, name),
  constraint templates_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint templates_name_length check (char_length(name) between 1 and 200 and name ~ '\S'),
  constraint templates_description_length check (char_length(description) <= 2000)
);

-- Why: which sites offer a form.
create table vicket.template_sites (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  site_id uuid not null,
  constraint template_sites_pkey primary key (org_id, template_id, site_id),
  constraint template_sites_template_fkey foreign key (org_id, template_id)
    references vicket.templates (org_id, id) on delete cascade,
  constraint template_sites_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade
);

create index template_sites_site on vicket.template_sites (org_id, site_id);

-- Why: what a form asks, in order. points: what a ticked checkbox is worth.
create table vicket.template_questions (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  id uuid not null default gen_random_uuid(),
  label text not null,
  type text not null,
  required boolean not null default false,
  position integer not null,
  points integer not null default 0,
  constraint template_questions_pkey primary key (org_id, template_id, id),
  constraint template_questions_template_fkey foreign key (org_id, template_id)
    references vicket.templates (org_id, id) on delete cascade,
  constraint template_questions_label_length check (char_length(label) between 1 and 500 and label ~ '\S'),
  constraint template_questions_type_known check (type in ('text', 'textarea', 'select', 'checkbox', 'date')),
  constraint template_questions_points_range check (points between -1000 and 1000),
  constraint template_questions_points_of_checkbox check (points = 0 or type = 'checkbox')
);

-- Why: what may be chosen, in order, and what each choice is worth.
create table vicket.template_options (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  question_id uuid not null,
  id uuid not null default gen_random_uuid(),
  label text not null,
  position integer not null,
  points integer not null default 0,
  constraint template_options_pkey primary key (org_id, template_id, question_id, id),
  constraint template_options_question_fkey foreign key (org_id, template_id, question_id)
    references vicket.template_questions (org_id, template_id, id) on delete cascade,
  constraint template_options_label_length check (char_length(label) between 1 and 200 and label ~ '\S'),
  constraint template_options_points_range check (points between -1000 and 1000)
);

-- Why: from which score on a ticket gets which priority.
create table vicket.template_thresholds (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  points integer not null,
  priority_id uuid not null,
  constraint template_thresholds_pkey primary key (org_id, template_id, points),
  constraint template_thresholds_template_fkey foreign key (org_id, template_id)
    references vicket.templates (org_id, id) on delete cascade,
  constraint template_thresholds_priority_fkey foreign key (org_id, priority_id)
    references vicket.ticket_priorities (org_id, id) on delete cascade
);

create index template_thresholds_priority on vicket.template_thresholds (org_id, priority_id);

-- Why: what a customer answered, and what it was worth then. Copies: a form that changes does not change what was said.
create table vicket.ticket_answers (
  org_id uuid not null,
  site_id uuid not null,
  ticket_id uuid not null,
  position integer not null,
  label text not null,
  value text not null,
  points integer not null,
  constraint ticket_answers_pkey primary key (org_id, site_id, ticket_id, position),
  constraint ticket_answers_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade
);

alter table vicket.tickets
  add column template_name text,
  add column score integer;
comment on column vicket.tickets.template_name is 'The form that was filled in, as it was called then.';
comment on column vicket.tickets.score is 'The sum of the points of its answers; NULL without a form.';

alter table vicket.templates enable row level security;
alter table vicket.templates force row level security;
alter table vicket.template_sites enable row level security;
alter table vicket.template_sites force row level security;
alter table vicket.template_questions enable row level security;
alter table vicket.template_questions force row level security;
alter table vicket.template_options enable row level security;
alter table vicket.template_options force row level security;
alter table vicket.template_thresholds enable row level security;
alter table vicket.template_thresholds force row level security;
alter table vicket.ticket_answers enable row level security;
alter table vicket.ticket_answers force row level security;

grant create on schema ctx, vicket to vicket_definer;
reset role;
set local role vicket_definer;

-- The forms that the key's own site offers. Asked by policies of tables that have no site.
create function ctx.template_ids() returns setof uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select s.template_id
    from vicket.template_sites s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key();
end $$;

comment on function ctx.template_ids() is 'The ticket forms that the site of the key in the context offers.';
grant execute on function ctx.template_ids() to vicket_widget;
reset role;

set local role vicket_owner;

create policy widget_reads_offered on vicket.templates
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and id = any (array(select ctx.template_ids())));
create policy widget_sealed on vicket.templates
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and id = any (array(select ctx.template_ids())));
create policy widget_reads_offered on vicket.template_questions
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and template_id = any (array(select ctx.template_ids())));
create policy widget_sealed on vicket.template_questions
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())));
create policy widget_reads_offered on vicket.template_options
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and template_id = any (array(select ctx.template_ids())));
create policy widget_sealed on vicket.template_options
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())));

create policy agent_reads on vicket.templates
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_adds on vicket.templates
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_edits on vicket.templates
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_deletes on vicket.templates
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));

create policy agent_reads on vicket.template_sites
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_adds on vicket.template_sites
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_deletes on vicket.template_sites
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_reads on vicket.template_sites
  for select to vicket_definer
  using (true);

create policy agent_reads on vicket.template_questions
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_adds on vicket.template_questions
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_deletes on vicket.template_questions
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_reads on vicket.template_questions
  for select to vicket_definer
  using (true);

create policy agent_reads on vicket.template_options
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_adds on vicket.template_options
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_deletes on vicket.template_options
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_reads on vicket.template_options
  for select to vicket_definer
  using (true);

create policy agent_reads on vicket.template_thresholds
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_adds on vicket.template_thresholds
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_deletes on vicket.template_thresholds
  for delete to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_reads on vicket.template_thresholds
  for select to vicket_definer
  using (true);

create policy agent_reads on vicket.ticket_answers
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_stores on vicket.ticket_answers
  for insert to vicket_definer
  with check (true);
create policy definer_reads on vicket.templates
  for select to vicket_definer
  using (true);

grant select (org_id, id, name, description) on vicket.templates to vicket_widget;
grant select (org_id, template_id, id, label, type, required, position) on vicket.template_questions to vicket_widget;
grant select (org_id, template_id, question_id, id, label, position) on vicket.template_options to vicket_widget;
grant select, insert (name, description), update (name, description, updated_at), delete on vicket.templates to vicket_agent;
grant select, insert (template_id, site_id), delete on vicket.template_sites to vicket_agent;
grant select, insert (template_id, id, label, type, required, position, points), delete
  on vicket.template_questions to vicket_agent;
grant select, insert (template_id, question_id, id, label, position, points), delete
  on vicket.template_options to vicket_agent;
grant select, insert (template_id, points, priority_id), delete on vicket.template_thresholds to vicket_agent;
grant select on vicket.ticket_answers to vicket_agent;
grant select (template_name, score) on vicket.tickets to vicket_agent;
grant select on vicket.templates, vicket.template_sites, vicket.template_questions, vicket.template_options,
  vicket.template_thresholds
  to vicket_definer;
grant insert on vicket.ticket_answers to vicket_definer;
grant select (template_name), update (template_name, score) on vicket.tickets to vicket_definer;
-- Not granted: points to vicket_widget, in whatever table; anything to vicket_operator but what the demo needs.

create policy operator_all on vicket.templates
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_sites
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_questions
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_options
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_thresholds
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
grant select, insert (name, description) on vicket.templates to vicket_operator;
grant select, insert (template_id, site_id) on vicket.template_sites to vicket_operator;
grant select, insert (template_id, id, label, type, required, position, points) on vicket.template_questions to vicket_operator;
grant select, insert (template_id, question_id, id, label, position, points) on vicket.template_options to vicket_operator;
grant select, insert (template_id, points, priority_id) on vicket.template_thresholds to vicket_operator;

comment on table vicket.templates is 'Ticket forms.';
comment on table vicket.template_sites is 'Which sites offer a form.';
comment on table vicket.template_questions is 'What a form asks, in order.';
comment on table vicket.template_options is 'What may be chosen for a question, in order.';
comment on table vicket.template_thresholds is 'From which score on a ticket gets which priority.';
comment on table vicket.ticket_answers is 'What a customer answered and what it was worth, as it was then.';
comment on column vicket.template_questions.points is 'What a ticked checkbox is worth; customers never see it.';
comment on column vicket.template_options.points is 'What this choice is worth; customers never see it.';
comment on policy widget_reads_offered on vicket.templates is 'The forms that the key''s site offers.';
comment on policy widget_sealed on vicket.templates is 'Even injected SQL stays with the key in the context.';
comment on policy widget_reads_offered on vicket.template_questions is 'Of the forms that the key''s site offers; points are not granted.';
comment on policy widget_sealed on vicket.template_questions is 'Even injected SQL stays with the key in the context.';
comment on policy widget_reads_offered on vicket.template_options is 'Of the forms that the key''s site offers; points are not granted.';
comment on policy widget_sealed on vicket.template_options is 'Even injected SQL stays with the key in the context.';
comment on policy agent_reads on vicket.templates is 'Members see the forms.';
comment on policy agent_adds on vicket.templates is 'template:edit.';
comment on policy agent_edits on vicket.templates is 'template:edit.';
comment on policy agent_deletes on vicket.templates is 'template:edit.';
comment on policy agent_reads on vicket.template_sites is 'Members see the forms.';
comment on policy agent_adds on vicket.template_sites is 'template:edit.';
comment on policy agent_deletes on vicket.template_sites is 'template:edit.';
comment on policy agent_reads on vicket.template_questions is 'Members see the forms, points too.';
comment on policy agent_adds on vicket.template_questions is 'template:edit.';
comment on policy agent_deletes on vicket.template_questions is 'template:edit.';
comment on policy agent_reads on vicket.template_options is 'Members see the forms, points too.';
comment on policy agent_adds on vicket.template_options is 'template:edit.';
comment on policy agent_deletes on vicket.template_options is 'template:edit.';
comment on policy agent_reads on vicket.template_thresholds is 'Members see the forms.';
comment on policy agent_adds on vicket.template_thresholds is 'template:edit.';
comment on policy agent_deletes on vicket.template_thresholds is 'template:edit.';
comment on policy agent_reads on vicket.ticket_answers is 'ticket:read; within one''s teams.';
comment on policy definer_stores on vicket.ticket_answers is 'ctx.score_ticket.';
comment on policy definer_reads on vicket.templates is 'ctx.score_ticket.';
comment on policy definer_reads on vicket.template_sites is 'ctx.template_ids.';
comment on policy definer_reads on vicket.template_questions is 'ctx.score_ticket.';
comment on policy definer_reads on vicket.template_options is 'ctx.score_ticket.';
comment on policy definer_reads on vicket.template_thresholds is 'ctx.score_ticket.';
comment on policy operator_all on vicket.templates is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_sites is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_questions is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_options is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_thresholds is 'Administration commands, after admin.enter_org.';

reset role;
set local role vicket_definer;

-- Stores the answers of the ticket that this very transaction submitted, with their points, and sets its score and
-- priority. p_answers: an object of question ids and values (text, an option's id, true, a date), which the server has
-- checked; what does not fit the form here is left out and scores nothing. Answers 'scored', or 'refused' for another
-- ticket, one that was scored, or a form that the key's site does not offer.
create function ctx.score_ticket(p_ticket_id uuid, p_template_id uuid, p_answers jsonb) returns text
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  total integer;
begin
  if p_template_id not in (select ctx.template_ids()) or p_ticket_id is distinct from ctx.ticket_id()
    or not exists (
      select from vicket.tickets t
      where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = p_ticket_id
        and t.created_at = now() and t.template_name is null
    )
  then
    return 'refused';
  end if;

  with answers as (
    select q.position, q.label,
      case q.type
        when 'select' then o.label
        when 'checkbox' then case when a.value = 'true' then 'yes' else 'no' end
        else a.value
      end as value,
      case q.type
        when 'select' then coalesce(o.points, 0)
        when 'checkbox' then case when a.value = 'true' then q.points else 0 end
        else 0
      end as points
    from jsonb_each_text(p_answers) as a (question_id, value)
    join vicket.template_questions q
      on q.org_id = ctx.org_by_key() and q.template_id = p_template_id and q.id::text = a.question_id
    left join vicket.template_options o
      on o.org_id = q.org_id and o.template_id = q.template_id and o.question_id = q.id and o.id::text = a.value
    where q.type <> 'select' or o.id is not null
  )
  insert into vicket.ticket_answers (org_id, site_id, ticket_id, position, label, value, points)
    select ctx.org_by_key(), ctx.site_by_key(), p_ticket_id,
      row_number() over (order by a.position), a.label, a.value, a.points
    from answers a;

  total := (
    select coalesce(sum(a.points), 0)
    from (
      select case q.type
          when 'select' then coalesce(o.points, 0)
          when 'checkbox' then case when a.value = 'true' then q.points else 0 end
          else 0
        end as points
      from jsonb_each_text(p_answers) as a (question_id, value)
      join vicket.template_questions q
        on q.org_id = ctx.org_by_key() and q.template_id = p_template_id and q.id::text = a.question_id
      left join vicket.template_options o
        on o.org_id = q.org_id and o.template_id = q.template_id and o.question_id = q.id and o.id::text = a.value
    ) a
  );
  update vicket.tickets t
    set template_name = (
        select f.name from vicket.templates f where f.org_id = ctx.org_by_key() and f.id = p_template_id
      ),
      score = total,
      priority_id = coalesce(
        (select h.priority_id
          from vicket.template_thresholds h
          where h.org_id = ctx.org_by_key() and h.template_id = p_template_id and h.points <= total
          order by h.points desc
          limit 1),
        t.priority_id)
    where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = p_ticket_id;
  return 'scored';
end $$;

comment on function ctx.score_ticket(uuid, uuid, jsonb) is
  'Stores the answers of the ticket that this transaction submitted, with their points, and sets its score and priority.';
grant execute on function ctx.score_ticket(uuid, uuid, jsonb) to vicket_widget;

-- A form that changes is a new answer of GET /support/v1/templates on the sites of its org.
create function vicket.templates_changed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.sites s
    where s.org_id in (select c.org_id from changed c)
    order by s.id
    for no key update;
  update vicket.sites s
    set content_version = s.content_version + 1
    where s.org_id in (select c.org_id from changed c);
  return null;
end $$;

comment on function vicket.templates_changed() is 'Trigger: raises content_version of the sites of an org whose forms changed.';
grant execute on function vicket.templates_changed() to vicket_owner;

reset role;
set local role vicket_owner;
revoke create on schema ctx, vicket from vicket_definer;

create trigger changed_on_insert after insert on vicket.template_sites
  referencing new table as changed for each statement execute function vicket.templates_changed();
create trigger changed_on_delete after delete on vicket.template_sites
  referencing old table as changed for each statement execute function vicket.templates_changed();
create trigger changed_on_update after update on vicket.templates
  referencing new table as changed for each statement execute function vicket.templates_changed();
create trigger changed_on_delete after delete on vicket.templates
  referencing old table as changed for each statement execute function vicket.templates_changed();
create trigger changed_on_insert after insert on vicket.template_questions
  referencing new table as changed for each statement execute function vicket.templates_changed();
create trigger changed_on_delete after delete on vicket.template_questions
  referencing old table as changed for each statement execute function vicket.templates_changed();
create trigger changed_on_insert after insert on vicket.template_options
  referencing new table as changed for each statement execute function vicket.templates_changed();
create trigger changed_on_delete after delete on vicket.template_options
  referencing old table as changed for each statement execute function vicket.templates_changed();

create trigger changes_take_turns before insert or update or delete on vicket.templates
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.template_sites
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.template_questions
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.template_options
  for each statement execute function vicket.changes_take_turns();
create trigger changes_take_turns before insert or update or delete on vicket.template_thresholds
  for each statement execute function vicket.changes_take_turns();
create trigger audited after insert or update or delete on vicket.templates
  for each row execute function vicket.audited('template', 'id', 'name description updated_at');
create trigger audited after insert or delete on vicket.template_sites
  for each row execute function vicket.audited('template_site', 'template_id', 'site_id');
create trigger audited after insert or delete on vicket.template_questions
  for each row execute function vicket.audited('template_question', 'id', 'template_id label type required position points');
create trigger audited after insert or delete on vicket.template_thresholds
  for each row execute function vicket.audited('template_threshold', 'template_id', 'points priority_id');

reset role;
