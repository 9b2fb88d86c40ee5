-- ticket_drafts: what a member has typed and not sent. Nobody else reads it. And an answer that is sent twice is added once: what
-- its Idempotency-Key stands for is kept beside those of customers, 24 hours.
set local role vicket_owner;

create table vicket.ticket_drafts (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  user_id uuid not null default ctx.actor_user_id(),
  kind text not null,
  body text not null,
  updated_at timestamptz not null default now(),
  constraint ticket_drafts_pkey primary key (org_id, site_id, ticket_id, user_id, kind),
  constraint ticket_drafts_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_drafts_member_fkey foreign key (org_id, user_id)
    references vicket.members (org_id, user_id) on delete cascade,
  constraint ticket_drafts_kind_known check (kind in ('reply', 'note')),
  constraint ticket_drafts_body_length check (char_length(body) between 1 and 20000)
);
create index ticket_drafts_member on vicket.ticket_drafts (org_id, user_id);
create statistics vicket.ticket_drafts_tenant (dependencies, ndistinct) on org_id, site_id from vicket.ticket_drafts;

alter table vicket.ticket_drafts enable row level security, force row level security;

create policy agent_select on vicket.ticket_drafts for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_insert on vicket.ticket_drafts for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_update on vicket.ticket_drafts for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy operator_select on vicket.ticket_drafts for select to vicket_operator using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.ticket_drafts for select to vicket_definer
  using (org_id = (select ctx.org_id()) and user_id = (select ctx.actor_user_id()));
create policy definer_delete on vicket.ticket_drafts for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

-- What an agent's key stands for is of a ticket that they may answer.
create policy definer_select_answers on vicket.submissions for select to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_insert_answers on vicket.submissions for insert to vicket_definer
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_update_answers on vicket.submissions for update to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );

grant select (org_id, site_id, ticket_id, user_id, kind, body, updated_at), insert (site_id, ticket_id, kind, body),
  update (body, updated_at)
  on vicket.ticket_drafts to vicket_agent;
grant select on vicket.ticket_drafts to vicket_operator;
grant select (org_id, site_id, ticket_id, user_id, kind), delete on vicket.ticket_drafts to vicket_definer;
-- The id of a message that its key stands for.
grant insert (id) on vicket.ticket_messages to vicket_agent;
-- Not granted: whose draft it is, to requests; DELETE to requests (ctx.remove_draft).

comment on table vicket.ticket_drafts is 'What members have typed into an answer or a note, and not sent.';
comment on column vicket.ticket_drafts.user_id is 'Who typed it, who alone reads it.';
comment on column vicket.ticket_drafts.kind is 'No personal data.';
comment on column vicket.ticket_drafts.body is 'As far as it was typed. Personal data.';
comment on policy agent_select on vicket.ticket_drafts is 'One''s own, of tickets that one may answer.';
comment on policy agent_insert on vicket.ticket_drafts is 'One''s own, of tickets that one may answer.';
comment on policy agent_update on vicket.ticket_drafts is 'One''s own, of tickets that one may answer.';
comment on policy operator_select on vicket.ticket_drafts is 'vicket person export.';
comment on policy definer_select on vicket.ticket_drafts is 'ctx.remove_draft.';
comment on policy definer_delete on vicket.ticket_drafts is 'ctx.remove_draft: one''s own.';
comment on policy definer_select_answers on vicket.submissions is 'ctx.claim_answer: ticket:write; within one''s teams.';
comment on policy definer_insert_answers on vicket.submissions is 'ctx.claim_answer: ticket:write; within one''s teams.';
comment on policy definer_update_answers on vicket.submissions is 'ctx.claim_answer, of a key that has expired.';

grant create on schema ctx to vicket_definer;
set local role vicket_definer;
-- Deletes one's own draft; says whether there was one.
create function ctx.remove_draft(p_ticket_id uuid, p_kind text) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.ticket_drafts d
    using vicket.tickets t
    where t.org_id = ctx.org_id() and t.id = p_ticket_id
      and d.org_id = t.org_id and d.site_id = t.site_id and d.ticket_id = t.id
      and d.user_id = ctx.actor_user_id() and d.kind = p_kind;
  return found;
end $$;

-- As ctx.claim_submission, of who answers: a key is theirs, and of one ticket. 'no_ticket' when there is none that they may answer.
create function ctx.claim_answer(
  p_ticket_id uuid, p_key_hash bytea, p_request_hash bytea, out verdict text, out message_id uuid
)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  who record := ctx.actor();
  org constant uuid := ctx.org_id();
  everywhere constant boolean := ctx.sees_all_sites();
  sites constant uuid[] := array(select ctx.team_site_ids());
  site constant uuid := (
    select t.site_id from vicket.tickets t
    where t.org_id = org and t.id = p_ticket_id and ctx.may('ticket:write') and (everywhere or t.site_id = any (sites))
  );
  own constant bytea := sha256(
    p_key_hash || convert_to(concat_ws(' ', p_ticket_id, coalesce(who.machine_key_id, who.user_id)), 'UTF8'));
  kept record;
begin
  if site is null then
    claim_answer.verdict := 'no_ticket';
    return;
  end if;
  claim_answer.message_id := gen_random_uuid();
  insert into vicket.submissions as s (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
    values (org, site, own, p_request_hash, 'message', p_ticket_id, claim_answer.message_id)
    on conflict (org_id, site_id, key_hash) do update
      set request_hash = excluded.request_hash, message_id = excluded.message_id, created_at = now()
      where s.created_at <= now() - interval '24 hours';
  if found then
    claim_answer.verdict := 'new';
    return;
  end if;
  select s.request_hash, s.message_id into strict kept
    from vicket.submissions s
    where s.org_id = org and s.site_id = site and s.key_hash = own;
  claim_answer.verdict := case when kept.request_hash = p_request_hash then 'repeat' else 'conflict' end;
  claim_answer.message_id := kept.message_id;
end $$;
comment on function ctx.remove_draft is
  'Deletes one''s own draft; says whether there was one. Definer: with DELETE a request could lock a table.';
comment on function ctx.claim_answer is
  'Claims the Idempotency-Key of an answer: new, repeat (with the id of then), conflict or no_ticket. Definer: no request may read digests.';
grant execute on function ctx.remove_draft, ctx.claim_answer to vicket_agent;

set local role vicket_owner;
revoke create on schema ctx from vicket_definer;
reset role;
