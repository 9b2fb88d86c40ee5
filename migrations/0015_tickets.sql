-- tickets, ticket_tokens, submissions, ticket_events: what customers ask, what opens a ticket, what happened to it.
--
-- A customer is nobody but the holder of a ticket token, whose hash auth.enter puts into the context. ctx.ticket_id()
-- is the ticket that it opens; the widget's policies admit that ticket and its public messages, and nothing else. A
-- submission inserts the token first (its foreign key is deferred), so that the ticket that it then inserts is its
-- own.
set local role vicket_owner;

-- Why: what a customer asked. Everything that an agent decides has a default, and the widget cannot bind it.
create table vicket.tickets (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  number bigint not null,
  email text not null,
  name text,
  subject text not null,
  status text not null default 'open',
  status_id uuid not null,
  priority_id uuid not null,
  assignee_id uuid,
  template_name text,
  score integer,
  message_count integer not null default 0,
  message_bytes integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  search tsvector not null generated always as (
    to_tsvector('pg_catalog.simple', subject || ' ' || email || ' ' || coalesce(name, ''))
  ) stored,
  constraint tickets_pkey primary key (org_id, site_id, id),
  constraint tickets_number_unique unique (org_id, site_id, number),
  constraint tickets_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint tickets_status_fkey foreign key (org_id, status_id) references vicket.statuses (org_id, id),
  constraint tickets_priority_fkey foreign key (org_id, priority_id) references vicket.priorities (org_id, id),
  constraint tickets_assignee_fkey foreign key (org_id, assignee_id)
    references vicket.members (org_id, user_id) on delete set null (assignee_id),
  constraint tickets_email_length check (char_length(email) between 3 and 254),
  constraint tickets_name_length check (char_length(name) between 1 and 200),
  constraint tickets_subject_length check (char_length(subject) between 1 and 200),
  constraint tickets_status_known check (status in ('open', 'pending', 'resolved', 'closed', 'custom')),
  -- Named for what callers are told: 1,000 messages, notes too, or 4 MiB of their text.
  constraint ticket_full check (message_count <= 1000 and message_bytes <= 4194304)
);
-- Agents name a ticket without its site.
create unique index tickets_by_id on vicket.tickets (org_id, id);
create index tickets_inbox on vicket.tickets (org_id, created_at desc, id desc);
-- By number alone, across the sites of an org.
create index tickets_number on vicket.tickets (org_id, number);
create index tickets_newest on vicket.tickets (org_id, site_id, created_at desc, id desc);
-- The dashboard asks every few seconds whether any ticket of an org changed.
create index tickets_changed on vicket.tickets (org_id, updated_at desc);
create index tickets_status on vicket.tickets (org_id, status_id);
create index tickets_priority on vicket.tickets (org_id, priority_id);
create index tickets_assignee on vicket.tickets (org_id, assignee_id) where assignee_id is not null;
create statistics vicket.tickets_tenant (dependencies, ndistinct) on org_id, site_id from vicket.tickets;

-- Why: what its customer holds. Rows of their own: a repeated submission gets one more, and earlier ones keep working.
create table vicket.ticket_tokens (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  token_hash bytea not null,
  created_at timestamptz not null default now(),
  constraint ticket_tokens_pkey primary key (org_id, site_id, token_hash),
  constraint ticket_tokens_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade
    deferrable initially deferred,
  constraint ticket_tokens_hash_length check (octet_length(token_hash) = 32)
);
-- Led by the ticket within the org: an index of (org_id, site_id, ticket_id) looked as good to the planner as the
-- primary key, and a token's lookup read every token of its site.
create index ticket_tokens_of_ticket on vicket.ticket_tokens (org_id, ticket_id);
create statistics vicket.ticket_tokens_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_tokens;

-- Why: an Idempotency-Key, kept 24 hours, so that a repeated POST makes one ticket or one message. Named for what it
-- holds: who repeats a submission must know its key and its whole body.
create table vicket.submissions (
  org_id uuid not null,
  site_id uuid not null,
  key_hash bytea not null,
  request_hash bytea not null,
  kind text not null,
  ticket_id uuid not null,
  message_id uuid not null,
  created_at timestamptz not null default now(),
  constraint submissions_pkey primary key (org_id, site_id, key_hash),
  constraint submissions_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade
    deferrable initially deferred,
  constraint submissions_kind_known check (kind in ('ticket', 'message', 'attachments')),
  constraint submissions_hash_length check (octet_length(key_hash) = 32 and octet_length(request_hash) = 32)
);
create index submissions_ticket on vicket.submissions (org_id, ticket_id);
-- Not led by a tenant: the worker purges what has expired, whose ever it is.
create index submissions_created on vicket.submissions (created_at);
create statistics vicket.submissions_tenant (dependencies, ndistinct) on org_id, site_id from vicket.submissions;

-- Why: what happened to a ticket besides what was said: the other half of its timeline.
create table vicket.ticket_events (
  org_id uuid not null,
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  ticket_id uuid not null,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  kind text not null,
  before text,
  after text,
  constraint ticket_events_pkey primary key (org_id, site_id, id),
  constraint ticket_events_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_events_kind_known check (kind in ('status', 'priority', 'assignee'))
);
create index ticket_events_in_order on vicket.ticket_events (org_id, ticket_id, at, id);
-- The dashboard's start page shows what was solved day by day.
create index ticket_events_recent on vicket.ticket_events (org_id, at desc);
create statistics vicket.ticket_events_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_events;

alter table vicket.tickets enable row level security, force row level security;
alter table vicket.ticket_tokens enable row level security, force row level security;
alter table vicket.submissions enable row level security, force row level security;
alter table vicket.ticket_events enable row level security, force row level security;

set local role vicket_definer;
create function ctx.ticket_id() returns uuid
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select t.ticket_id
    from vicket.ticket_tokens t
    where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.token_hash = ctx.digest('ticket')
  );
end $$;

-- May a token be issued for this ticket? For one that the key's site does not have (the caller is about to insert it;
-- the foreign key demands it by commit), or for the one that this very submission made before. Of another site's
-- tickets it says nothing: by the key, not by a setting that a statement could move.
create function ctx.may_issue_token(p_ticket_id uuid) returns boolean
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
begin
  return not exists (
      select from vicket.tickets t
      where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = p_ticket_id
    )
    or exists (
      select from vicket.submissions s
      where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.ticket_id = p_ticket_id
        and s.kind = 'ticket'
        and s.key_hash || s.request_hash = ctx.digest('submission')
        and s.created_at > now() - interval '24 hours'
    );
end $$;
comment on function ctx.ticket_id is
  'The ticket that the token in the context opens; NULL when it opens none of the key''s site. Definer: no request may read digests.';
comment on function ctx.may_issue_token is
  'Whether this transaction may issue a token for the ticket: a new one, or its own repeated. Definer: no request may read digests.';
grant execute on function ctx.ticket_id, ctx.may_issue_token to vicket_widget;

set local role vicket_owner;
create policy widget_insert on vicket.tickets for insert to vicket_widget
  with check (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
create policy widget_select on vicket.tickets for select to vicket_widget
  using (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()) and id = (select ctx.ticket_id()));
create policy widget_all_sealed on vicket.tickets as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy agent_select on vicket.tickets for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')) or (select ctx.may('ticket:assign'))
      or (select ctx.may('ticket:delete')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_update on vicket.tickets for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:write')) or (select ctx.may('ticket:assign')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:write')) or (select ctx.may('ticket:assign')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy operator_all on vicket.tickets for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_select on vicket.tickets for select to vicket_definer using (true);
create policy definer_update on vicket.tickets for update to vicket_definer using (true) with check (true);
create policy definer_delete on vicket.tickets for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_delete_marked on vicket.tickets for delete to vicket_definer
  using (session_user = 'vicket_worker');

create policy widget_insert on vicket.ticket_tokens for insert to vicket_widget
  with check (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()) and ctx.may_issue_token(ticket_id));
create policy widget_all_sealed on vicket.ticket_tokens as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_select on vicket.ticket_tokens for select to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));

create policy definer_select on vicket.submissions for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_insert on vicket.submissions for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_update on vicket.submissions for update to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_delete on vicket.submissions for delete to vicket_definer using (session_user = 'vicket_worker');

create policy agent_select on vicket.ticket_events for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy operator_all on vicket.ticket_events for all to vicket_operator
  using (org_id = (select ctx.org_id())) with check (org_id = (select ctx.org_id()));
create policy definer_insert on vicket.ticket_events for insert to vicket_definer with check (true);

grant select (org_id, site_id, id, number, name, subject, status, created_at), insert (id, email, name, subject)
  on vicket.tickets to vicket_widget;
grant select (org_id, site_id, id, number, email, name, subject, status, status_id, priority_id, assignee_id, template_name,
    score, message_count, message_bytes, created_at, updated_at, search),
  update (status_id, priority_id, assignee_id)
  on vicket.tickets to vicket_agent;
grant select, insert (site_id, email, name, subject, status), update (status, updated_at) on vicket.tickets to vicket_operator;
grant select (org_id, site_id, id, number, status, status_id, priority_id, assignee_id, template_name, message_count,
    message_bytes, created_at),
  update (status, status_id, priority_id, template_name, score, message_count, message_bytes, updated_at), delete
  on vicket.tickets to vicket_definer;
grant insert (ticket_id, token_hash) on vicket.ticket_tokens to vicket_widget;
grant select (org_id, site_id, ticket_id, token_hash) on vicket.ticket_tokens to vicket_definer;
grant select, insert, update (request_hash, kind, ticket_id, message_id, created_at), delete
  on vicket.submissions to vicket_definer;
grant select on vicket.ticket_events to vicket_agent;
grant select, update (actor, before, after) on vicket.ticket_events to vicket_operator;
grant insert (org_id, site_id, ticket_id, actor, kind, before, after) on vicket.ticket_events to vicket_definer;
-- Not granted: SELECT of email to vicket_widget (nobody needs it there), number, message_count and message_bytes to any
-- request or command that writes (triggers count), any
-- UPDATE or DELETE to vicket_widget (a reply reopens by trigger); tickets' INSERT and what the customer wrote to
-- agents; SELECT of tokens to requests and commands; submissions and events to any writer but the definer; DELETE to
-- requests and commands (ctx.remove).

comment on table vicket.tickets is 'What customers asked, numbered per site.';
comment on table vicket.ticket_tokens is 'SHA-256 of the ticket tokens: a holder reads and answers that one ticket.';
comment on table vicket.submissions is 'Idempotency keys (as digests), kept 24 hours, per site.';
comment on table vicket.ticket_events is
  'Changes of a ticket''s status, priority and assignee, by name, as they were then.';
comment on column vicket.tickets.number is
  'Per site, from 1, growing; assigned by trigger. A gap is a submission that was rolled back.';
comment on column vicket.tickets.search is 'Full-text document: subject, e-mail and name, as they are written.';
comment on column vicket.tickets.status is
  'The category of status_id; kept by trigger, and all that customers are told.';
comment on column vicket.tickets.assignee_id is 'The member who takes care of it.';
comment on column vicket.tickets.template_name is 'The form that was filled in, as it was called then.';
comment on column vicket.tickets.message_count is
  'Its messages, notes included; counted by trigger, with the ticket locked. In no index: counting moves no index entry.';
comment on column vicket.tickets.message_bytes is 'Bytes of their bodies; counted as message_count is.';
comment on column vicket.tickets.score is 'The sum of the points of its answers; NULL without a form.';
comment on column vicket.ticket_events.actor is 'An e-mail, `machine key NAME`, `cli`, or `customer`.';
comment on policy widget_insert on vicket.tickets is 'A key may submit tickets to its own site.';
comment on policy widget_select on vicket.tickets is
  'A customer reads the one ticket that the token in the context opens.';
comment on policy widget_all_sealed on vicket.tickets is
  'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.tickets is 'ticket:read, and who may do more; within one''s teams.';
comment on policy agent_update on vicket.tickets is
  'ticket:write, and ticket:assign for the assignee (trigger ticket_guarded); within one''s teams.';
comment on policy operator_all on vicket.tickets is 'Administration commands, after admin.enter_org.';
comment on policy definer_select on vicket.tickets is
  'Not narrowed: the triggers of tickets and of what hangs on them, whoever writes.';
comment on policy definer_update on vicket.tickets is
  'Not narrowed: the triggers of what hangs on a ticket, whoever writes; worker.run_job.';
comment on policy definer_delete on vicket.tickets is 'ctx.remove: ticket:delete; within one''s teams.';
comment on policy definer_delete_marked on vicket.tickets is 'worker.run_job, of a site that is marked.';
comment on policy widget_insert on vicket.ticket_tokens is
  'Only for a ticket that this transaction is creating, or that the same submission created before.';
comment on policy widget_all_sealed on vicket.ticket_tokens is
  'Even an injected statement stays with the key in the context.';
comment on policy definer_select on vicket.ticket_tokens is 'ctx.ticket_id.';
comment on policy definer_select on vicket.submissions is
  'ctx.claim_submission, ctx.may_issue_token for the key''s site; worker.purge for any.';
comment on policy definer_insert on vicket.submissions is 'ctx.claim_submission.';
comment on policy definer_update on vicket.submissions is
  'ctx.claim_submission, of a key that has expired; worker.purge locks what it deletes.';
comment on policy definer_delete on vicket.submissions is 'worker.purge.';
comment on policy agent_select on vicket.ticket_events is 'ticket:read; within one''s teams.';
comment on policy operator_all on vicket.ticket_events is 'vicket person erase.';
comment on policy definer_insert on vicket.ticket_events is 'Not narrowed: the trigger ticket_changed, whoever writes.';

-- One UPDATE may change what needs two permissions; a policy cannot tell them apart, a trigger can.
create function vicket.ticket_guarded() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- Neither a customer's reply nor an administration command acts for a member.
  if not ctx.needs_actor() then
    return new;
  end if;
  -- Whoever leaves the org is taken off their tickets by the foreign key.
  if new.assignee_id is distinct from old.assignee_id and not ctx.may('ticket:assign')
    and exists (select from vicket.members m where m.org_id = old.org_id and m.user_id = coalesce(old.assignee_id, new.assignee_id))
  then
    raise exception 'ticket:assign is needed' using errcode = 'insufficient_privilege';
  end if;
  if (new.status_id, new.priority_id) is distinct from (old.status_id, old.priority_id)
    and not (ctx.may('ticket:write') or ctx.may('status:edit') or ctx.may('priority:edit'))
  then
    raise exception 'ticket:write is needed' using errcode = 'insufficient_privilege';
  end if;
  new.updated_at := now();
  return new;
end $$;

set local role vicket_definer;
-- The next number of the site, without waiting for a submission that has not committed: its number is taken by a lock
-- that this one only tries, so it takes the one after. Nobody holds a lock that another needs; a number is given
-- once, and one that was rolled back stays a gap. Those that are deleted are not given again (sites.last_number).
create function vicket.ticket_numbered() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.site_id is null then
    return new; -- Outside a tenant: it is refused.
  end if;
  new.number := 1 + greatest(
    0,
    (select s.last_number from vicket.sites s where s.org_id = new.org_id and s.id = new.site_id),
    (select max(t.number) from vicket.tickets t where t.org_id = new.org_id and t.site_id = new.site_id)
  );
  loop
    -- Two statements: what the lock's last holder committed, only a look that begins after it sees.
    if pg_try_advisory_xact_lock(hashtextextended(new.site_id::text, new.number)) then
      exit when not exists (
        select from vicket.tickets t
        where t.org_id = new.org_id and t.site_id = new.site_id and t.number = new.number
      );
    end if;
    new.number := new.number + 1;
  end loop;
  return new;
end $$;

-- A ticket's status by name and by category never differ: whichever was set leads the other.
create function vicket.ticket_status_kept() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.status_id is null or tg_op = 'UPDATE' and new.status <> old.status and new.status_id = old.status_id then
    new.status_id := (
      select s.id
      from vicket.statuses s
      where s.org_id = new.org_id and s.deleted_at is null and (s.category = new.status or s.is_default)
      order by s.category = new.status desc, s.id = new.status_id desc nulls last, s.is_default desc, s.position, s.id
      limit 1
    );
  end if;
  new.status := coalesce(
    (select s.category from vicket.statuses s where s.org_id = new.org_id and s.id = new.status_id), new.status);
  if new.priority_id is null then
    new.priority_id := (select p.id from vicket.priorities p where p.org_id = new.org_id and p.is_default);
  end if;
  return new;
end $$;

create function vicket.ticket_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  who constant text := case
    when ctx.digest('key') is not null then 'customer'
    -- Of whoever began what the worker ends.
    when session_user = 'vicket_worker' then current_setting('app.actor', true)
    else ctx.actor_name()
  end;
begin
  insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
    select new.org_id, new.site_id, new.id, coalesce(nullif(who, ''), 'cli'), c.kind, c.before, c.after
    from (
      select 'status' as kind,
        (select s.name from vicket.statuses s where s.org_id = old.org_id and s.id = old.status_id) as before,
        (select s.name from vicket.statuses s where s.org_id = new.org_id and s.id = new.status_id) as after
      where new.status_id <> old.status_id
      union all
      select 'priority',
        (select p.name from vicket.priorities p where p.org_id = old.org_id and p.id = old.priority_id),
        (select p.name from vicket.priorities p where p.org_id = new.org_id and p.id = new.priority_id)
      where new.priority_id <> old.priority_id
      union all
      select 'assignee',
        (select u.email from vicket.users u where u.id = old.assignee_id),
        (select u.email from vicket.users u where u.id = new.assignee_id)
      where new.assignee_id is distinct from old.assignee_id
    ) c;
  return null;
end $$;

-- Claims an Idempotency-Key for one submission. Answers 'new' (go on, with these ids), 'repeat' (with the ids of
-- then), 'conflict' (the key was used for another request), or 'no_ticket' when there is none to answer. A claim that
-- races another waits for it. No id is taken from the caller, and the site is the key's: a claim can name no ticket
-- but a new one or that of the token.
create function ctx.claim_submission(
  p_kind text, p_key_hash bytea, p_request_hash bytea, out verdict text, out ticket_id uuid, out message_id uuid
)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  kept record;
begin
  claim_submission.ticket_id := case p_kind when 'ticket' then gen_random_uuid() else ctx.ticket_id() end;
  if claim_submission.ticket_id is null then
    claim_submission.verdict := 'no_ticket';
    return;
  end if;
  claim_submission.message_id := gen_random_uuid();
  insert into vicket.submissions as s (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
    values (ctx.org_by_key(), ctx.site_by_key(), p_key_hash, p_request_hash, p_kind, claim_submission.ticket_id,
      claim_submission.message_id)
    on conflict (org_id, site_id, key_hash) do update
      set request_hash = excluded.request_hash, kind = excluded.kind, ticket_id = excluded.ticket_id,
        message_id = excluded.message_id, created_at = now()
      where s.created_at <= now() - interval '24 hours';
  if found then
    claim_submission.verdict := 'new';
    return;
  end if;

  select s.request_hash, s.kind, s.ticket_id, s.message_id
    into strict kept
    from vicket.submissions s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.key_hash = p_key_hash;
  claim_submission.ticket_id := null;
  claim_submission.message_id := null;
  if kept.kind <> p_kind or kept.request_hash <> p_request_hash then
    claim_submission.verdict := 'conflict';
    return;
  end if;
  perform set_config('app.submission_hash', encode(p_key_hash || p_request_hash, 'hex'), true);
  claim_submission.verdict := 'repeat';
  claim_submission.ticket_id := kept.ticket_id;
  claim_submission.message_id := kept.message_id;
end $$;

comment on function vicket.ticket_numbered is
  'Trigger: numbers a ticket within its site. Definer: customers may not read there.';
comment on function vicket.ticket_status_kept is
  'Trigger: status is the category of status_id; what is not said is the default. Definer: customers may not read there.';
comment on function vicket.ticket_changed is
  'Trigger: notes changes of a ticket in its timeline. Definer: no request may write there.';
comment on function ctx.claim_submission is
  'Claims an Idempotency-Key: new, repeat (with the ids of then), conflict or no_ticket. Definer: no request may read digests.';
grant execute on function vicket.ticket_numbered, vicket.ticket_status_kept, vicket.ticket_changed to vicket_owner;
grant execute on function ctx.claim_submission to vicket_widget;

set local role vicket_owner;
-- A number that was given is not given again. Tickets are deleted by vicket_definer's functions, with whose rights this
-- runs; or with their site, and then there is nothing to keep.
create function vicket.ticket_gone() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.sites s
    set last_number = gone.number
    from (select g.org_id, g.site_id, max(g.number) as number from gone_rows g group by 1, 2) gone
    where s.org_id = gone.org_id and s.id = gone.site_id and s.last_number < gone.number;
  return null;
end $$;

create trigger ticket_numbered before insert on vicket.tickets
  for each row when (new.number is null) execute function vicket.ticket_numbered();
create trigger status_kept before insert or update of status, status_id, priority_id on vicket.tickets
  for each row execute function vicket.ticket_status_kept();
create trigger ticket_guarded before update of status_id, priority_id, assignee_id on vicket.tickets
  for each row execute function vicket.ticket_guarded();
create trigger ticket_changed after update on vicket.tickets
  for each row when (
    (old.status_id, old.priority_id, old.assignee_id) is distinct from (new.status_id, new.priority_id, new.assignee_id)
  )
  execute function vicket.ticket_changed();
create trigger ticket_gone after delete on vicket.tickets
  referencing old table as gone_rows for each statement execute function vicket.ticket_gone();
create trigger audited after delete on vicket.tickets
  referencing old table as gone_rows for each statement execute function vicket.audited('ticket', 'id', 'site_id number status');
reset role;
