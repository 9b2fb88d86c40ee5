-- templates and what they consist of: ticket forms, with points that tell how urgent an answer is. Customers see
-- questions and options of the forms that their site offers, and never points: those are in columns that the widget
-- is not granted. The score of a ticket is computed here, from the same rows, and stored line by line.
set local role vicket_owner;

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
create statistics vicket.template_sites_tenant (dependencies, ndistinct) on org_id, site_id from vicket.template_sites;

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
    references vicket.priorities (org_id, id) on delete cascade
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
create index ticket_answers_of_ticket on vicket.ticket_answers (org_id, ticket_id, position);
create statistics vicket.ticket_answers_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_answers;

alter table vicket.templates enable row level security, force row level security;
alter table vicket.template_sites enable row level security, force row level security;
alter table vicket.template_questions enable row level security, force row level security;
alter table vicket.template_options enable row level security, force row level security;
alter table vicket.template_thresholds enable row level security, force row level security;
alter table vicket.ticket_answers enable row level security, force row level security;

-- The forms that the site of the context offers. Runs as whoever asks, and reads what the policies of template_sites
-- show.
create function ctx.template_ids() returns setof uuid
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return query select s.template_id from vicket.template_sites s where s.site_id = ctx.site_id();
end $$;
comment on function ctx.template_ids is 'The ticket forms that the site of the context offers.';
grant execute on function ctx.template_ids to vicket_widget;

create policy widget_select on vicket.template_sites for select to vicket_widget
  using (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
create policy widget_all_sealed on vicket.template_sites as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy widget_select on vicket.templates for select to vicket_widget
  using (org_id = (select ctx.org_id()) and id = any (array(select ctx.template_ids())));
create policy widget_all_sealed on vicket.templates as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and id = any (array(select ctx.template_ids())));
create policy widget_select on vicket.template_questions for select to vicket_widget
  using (org_id = (select ctx.org_id()) and template_id = any (array(select ctx.template_ids())));
create policy widget_all_sealed on vicket.template_questions as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())));
create policy widget_select on vicket.template_options for select to vicket_widget
  using (org_id = (select ctx.org_id()) and template_id = any (array(select ctx.template_ids())));
create policy widget_all_sealed on vicket.template_options as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())));

create policy agent_select on vicket.templates for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.templates for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_update on vicket.templates for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_select on vicket.template_sites for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.template_sites for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_select on vicket.template_questions for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.template_questions for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_select on vicket.template_options for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.template_options for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_select on vicket.template_thresholds for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy agent_insert on vicket.template_thresholds for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy agent_select on vicket.ticket_answers for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

create policy operator_all on vicket.templates for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_sites for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_questions for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_options for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy operator_all on vicket.template_thresholds for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));

create policy definer_select on vicket.templates for select to vicket_definer using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.templates for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_select on vicket.template_sites for select to vicket_definer
  using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.template_sites for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_select on vicket.template_questions for select to vicket_definer
  using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.template_questions for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_select on vicket.template_options for select to vicket_definer
  using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.template_thresholds for select to vicket_definer
  using (org_id = (select ctx.org_id()));
create policy definer_delete on vicket.template_thresholds for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
create policy definer_insert on vicket.ticket_answers for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));

grant select (org_id, id, name, description) on vicket.templates to vicket_widget;
grant select (org_id, template_id, site_id) on vicket.template_sites to vicket_widget;
grant select (org_id, template_id, id, label, type, required, position) on vicket.template_questions to vicket_widget;
grant select (org_id, template_id, question_id, id, label, position) on vicket.template_options to vicket_widget;
grant select, insert (name, description), update (name, description, updated_at) on vicket.templates to vicket_agent;
grant select, insert (template_id, site_id) on vicket.template_sites to vicket_agent, vicket_operator;
grant select, insert (template_id, id, label, type, required, position, points)
  on vicket.template_questions to vicket_agent, vicket_operator;
grant select, insert (template_id, question_id, id, label, position, points)
  on vicket.template_options to vicket_agent, vicket_operator;
grant select, insert (template_id, points, priority_id) on vicket.template_thresholds to vicket_agent, vicket_operator;
grant select on vicket.ticket_answers to vicket_agent;
grant select, insert (name, description) on vicket.templates to vicket_operator;
grant select, delete on vicket.templates, vicket.template_sites, vicket.template_questions, vicket.template_thresholds
  to vicket_definer;
grant select on vicket.template_options to vicket_definer;
grant insert on vicket.ticket_answers to vicket_definer;
-- Not granted: points to vicket_widget, in whatever table; more to vicket_operator than the demo needs; DELETE to
-- requests (ctx.remove).

comment on table vicket.templates is 'Ticket forms.';
comment on table vicket.template_sites is 'Which sites offer a form.';
comment on table vicket.template_questions is 'What a form asks, in order.';
comment on table vicket.template_options is 'What may be chosen for a question, in order.';
comment on table vicket.template_thresholds is 'From which score on a ticket gets which priority.';
comment on table vicket.ticket_answers is 'What a customer answered and what it was worth, as it was then.';
comment on column vicket.template_questions.points is 'What a ticked checkbox is worth; customers never see it.';
comment on column vicket.template_options.points is 'What this choice is worth; customers never see it.';
comment on policy widget_select on vicket.templates is 'The forms that the key''s site offers.';
comment on policy widget_select on vicket.template_sites is 'The forms that the key''s site offers.';
comment on policy widget_select on vicket.template_questions is
  'Of the forms that the key''s site offers; points are not granted.';
comment on policy widget_select on vicket.template_options is
  'Of the forms that the key''s site offers; points are not granted.';
comment on policy widget_all_sealed on vicket.templates is
  'Even an injected statement stays with the key in the context.';
comment on policy widget_all_sealed on vicket.template_sites is
  'Even an injected statement stays with the key in the context.';
comment on policy widget_all_sealed on vicket.template_questions is
  'Even an injected statement stays with the key in the context.';
comment on policy widget_all_sealed on vicket.template_options is
  'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.templates is 'Members see the forms.';
comment on policy agent_select on vicket.template_sites is 'Members see the forms.';
comment on policy agent_select on vicket.template_questions is 'Members see the forms, points too.';
comment on policy agent_select on vicket.template_options is 'Members see the forms, points too.';
comment on policy agent_select on vicket.template_thresholds is 'Members see the forms.';
comment on policy agent_select on vicket.ticket_answers is 'ticket:read; within one''s teams.';
comment on policy operator_all on vicket.templates is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_sites is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_questions is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_options is 'Administration commands, after admin.enter_org.';
comment on policy operator_all on vicket.template_thresholds is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.templates is 'ctx.score_ticket, ctx.remove.';
comment on policy definer_delete on vicket.templates is 'ctx.remove: template:edit.';
comment on policy definer_select on vicket.template_sites is 'ctx.score_ticket, ctx.remove.';
comment on policy definer_delete on vicket.template_sites is 'ctx.remove: template:edit.';
comment on policy definer_select on vicket.template_questions is 'ctx.score_ticket, ctx.remove.';
comment on policy definer_delete on vicket.template_questions is 'ctx.remove: template:edit.';
comment on policy definer_select on vicket.template_options is 'ctx.score_ticket.';
comment on policy definer_select on vicket.template_thresholds is 'ctx.score_ticket, ctx.remove.';
comment on policy definer_delete on vicket.template_thresholds is 'ctx.remove: template:edit.';
comment on policy definer_insert on vicket.ticket_answers is 'ctx.score_ticket.';

-- What answers are worth is computed in one place: for the ticket that is submitted, and for whoever edits a form and
-- wants to see what an answer would come to. Both functions run as whoever calls them, so that policies decide what
-- they read. p_answers: an object of question ids and values (text, an option's id, true, a date); what does not fit
-- the form is left out.
create function ctx.scored_answers(p_org_id uuid, p_template_id uuid, p_answers jsonb)
  returns table (line integer, label text, value text, points integer)
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select row_number() over (order by q.position, q.id)::integer, q.label,
    case q.type
      when 'select' then o.label
      when 'checkbox' then case when a.value = 'true' then 'yes' else 'no' end
      else a.value
    end,
    case q.type
      when 'select' then o.points
      when 'checkbox' then case when a.value = 'true' then q.points else 0 end
      else 0
    end
  from jsonb_each_text(p_answers) as a (question_id, value)
  join vicket.template_questions q
    on q.org_id = p_org_id and q.template_id = p_template_id and q.id::text = a.question_id
  left join vicket.template_options o
    on o.org_id = q.org_id and o.template_id = q.template_id and o.question_id = q.id and o.id::text = a.value
  where q.type <> 'select' or o.id is not null
  order by 1
$$;
-- The priority of the highest threshold that a score reaches; NULL when it reaches none.
create function ctx.priority_reached(p_org_id uuid, p_template_id uuid, p_score integer) returns uuid
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select h.priority_id
  from vicket.template_thresholds h
  where h.org_id = p_org_id and h.template_id = p_template_id and h.points <= p_score
  order by h.points desc
  limit 1
$$;
comment on function ctx.scored_answers is 'What answers to a form are worth, line by line. Runs as its caller.';
comment on function ctx.priority_reached is
  'The priority of the highest threshold that a score reaches. Runs as its caller.';
grant execute on function ctx.scored_answers, ctx.priority_reached to vicket_agent, vicket_definer;
-- Not granted: anything to vicket_widget, which reads no points.

set local role vicket_definer;
-- Stores the answers of the ticket that this very transaction submitted, with their points, and sets its score and
-- priority. What the server checked and does not fit here is left out and scores nothing. Answers 'scored', or
-- 'refused' for another ticket, one that was scored, or a form that the key's site does not offer.
create function ctx.score_ticket(p_ticket_id uuid, p_template_id uuid, p_answers jsonb) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  total integer;
begin
  if p_ticket_id is distinct from ctx.ticket_id()
    or not exists (
      select from vicket.template_sites s
      where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.template_id = p_template_id
    )
    or not exists (
      select from vicket.tickets t
      where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = p_ticket_id
        and t.created_at = now() and t.template_name is null
    )
  then
    return 'refused';
  end if;

  total := (
    select coalesce(sum(a.points), 0) from ctx.scored_answers(ctx.org_by_key(), p_template_id, p_answers) a
  );
  insert into vicket.ticket_answers (org_id, site_id, ticket_id, position, label, value, points)
    select ctx.org_by_key(), ctx.site_by_key(), p_ticket_id, a.line, a.label, a.value, a.points
    from ctx.scored_answers(ctx.org_by_key(), p_template_id, p_answers) a;
  update vicket.tickets t
    set template_name = (
        select f.name from vicket.templates f where f.org_id = ctx.org_by_key() and f.id = p_template_id
      ),
      score = total,
      priority_id = coalesce(ctx.priority_reached(ctx.org_by_key(), p_template_id, total), t.priority_id)
    where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = p_ticket_id;
  return 'scored';
end $$;

comment on function ctx.score_ticket is
  'Stores the answers of the ticket that this transaction submitted, and its score. Definer: customers may not read there.';
grant execute on function ctx.score_ticket to vicket_widget;

set local role vicket_owner;
-- A form that changes is a new answer of GET /support/v1/templates on the sites of its org. Once a statement, for many
-- rows.
create trigger changed_on_insert after insert on vicket.template_sites
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger changed_on_delete after delete on vicket.template_sites
  referencing old table as changed for each statement execute function vicket.content_changed();
create trigger changed_on_update after update on vicket.templates
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger changed_on_delete after delete on vicket.templates
  referencing old table as changed for each statement execute function vicket.content_changed();
create trigger changed_on_insert after insert on vicket.template_questions
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger changed_on_delete after delete on vicket.template_questions
  referencing old table as changed for each statement execute function vicket.content_changed();
create trigger changed_on_insert after insert on vicket.template_options
  referencing new table as changed for each statement execute function vicket.content_changed();
create trigger changed_on_delete after delete on vicket.template_options
  referencing old table as changed for each statement execute function vicket.content_changed();

create trigger serialize_org_writes before insert or update or delete on vicket.templates
  for each statement execute function vicket.serialize_org_writes();
create trigger serialize_org_writes before insert or update or delete on vicket.template_sites
  for each statement execute function vicket.serialize_org_writes();
create trigger serialize_org_writes before insert or update or delete on vicket.template_questions
  for each statement execute function vicket.serialize_org_writes();
create trigger serialize_org_writes before insert or update or delete on vicket.template_options
  for each statement execute function vicket.serialize_org_writes();
create trigger serialize_org_writes before insert or update or delete on vicket.template_thresholds
  for each statement execute function vicket.serialize_org_writes();
create trigger audited after insert or update or delete on vicket.templates
  for each row execute function vicket.audited('template', 'id', 'name description updated_at');
create trigger audited after insert or delete on vicket.template_sites
  for each row execute function vicket.audited('template_site', 'template_id', 'site_id');
create trigger audited after insert or delete on vicket.template_questions
  for each row execute function vicket.audited('template_question', 'id', 'template_id label type required position points');
create trigger audited after insert or delete on vicket.template_thresholds
  for each row execute function vicket.audited('template_threshold', 'template_id', 'points priority_id');
reset role;
