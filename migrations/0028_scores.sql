-- What answers are worth is computed in one place: for the ticket that is submitted, and for whoever edits a form and wants to
-- see what an answer would come to. Both functions run as whoever calls them, so that policies decide what they read.

set local role vicket_owner;

-- What an answer is worth, line by line, in the form's order. p_answers: an object of question ids and values (text, an
-- option's id, true, a date); what does not fit the form is left out.
create function ctx.scored_answers(p_org_id uuid, p_template_id uuid, p_answers jsonb)
  returns table (line integer, label text, value text, points integer)
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
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
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select h.priority_id
  from vicket.template_thresholds h
  where h.org_id = p_org_id and h.template_id = p_template_id and h.points <= p_score
  order by h.points desc
  limit 1
$$;

comment on function ctx.scored_answers(uuid, uuid, jsonb) is
  'What answers to a form are worth, line by line. Runs as its caller.';
comment on function ctx.priority_reached(uuid, uuid, integer) is
  'The priority of the highest threshold that a score reaches. Runs as its caller.';
grant execute on function ctx.scored_answers(uuid, uuid, jsonb), ctx.priority_reached(uuid, uuid, integer)
  to vicket_agent, vicket_definer;
-- Not granted: anything to vicket_widget, which reads no points.

grant create on schema ctx to vicket_definer;
reset role;
set local role vicket_definer;

-- As in 0020_templates.sql, with the lines and the priority as above.
create or replace function ctx.score_ticket(p_ticket_id uuid, p_template_id uuid, p_answers jsonb) returns text
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

reset role;
set local role vicket_owner;
revoke create on schema ctx from vicket_definer;
reset role;
