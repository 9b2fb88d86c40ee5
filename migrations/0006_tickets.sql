-- ticket_counters, tickets, ticket_tokens, ticket_messages, submissions: what customers write.
--
-- A customer is nobody but the holder of a ticket token, whose hash auth.enter puts into the context. ctx.ticket_id()
-- is the ticket that it opens; the widget's policies admit that ticket and its public messages, and nothing else.
-- A submission inserts the token first (its foreign key is deferred), so that the ticket it then inserts is its own.

grant create on schema ctx, vicket to vicket_definer;
set local role vicket_definer;

create function ctx.ticket_id() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select t.ticket_id
    from vicket.ticket_tokens t
    where t.org_id = ctx.org_id() and t.site_id = ctx.site_id() and t.token_hash = ctx.ticket_hash()
  );
end $$;

-- May a token be issued for this ticket? For one that does not exist yet (the caller is about to insert it; the
-- foreign key demands it by commit), or for the one that this very submission made before.
create function ctx.may_issue_token(p_ticket_id uuid) returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return not exists (
      select from vicket.tickets t
      where t.org_id = ctx.org_id() and t.site_id = ctx.site_id() and t.id = p_ticket_id
    )
    or exists (
      select from vicket.submissions s
      where s.org_id = ctx.org_id() and s.site_id = ctx.site_id() and s.ticket_id = p_ticket_id
        and s.kind = 'ticket'
        and s.key_hash || s.request_hash = ctx.submission_hash()
        and s.created_at > now() - interval '24 hours'
    );
end $$;

comment on function ctx.ticket_id() is 'The ticket that the token in the context opens; NULL when it opens none of this site.';
comment on function ctx.may_issue_token(uuid) is 'Whether this transaction may issue a token for the ticket: a new one, or its own repeated.';

grant execute on function ctx.ticket_id(), ctx.may_issue_token(uuid) to vicket_widget;
reset role;

-- ---------------------------------------------------------------------------------------------------------------------
-- ticket_counters
-- Why: tickets are numbered per site, without gaps that tell of other sites.
set local role vicket_owner;

create table vicket.ticket_counters (
  org_id uuid not null,
  site_id uuid not null,
  last_number bigint not null,
  constraint ticket_counters_pkey primary key (org_id, site_id),
  constraint ticket_counters_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade
);

alter table vicket.ticket_counters enable row level security;
alter table vicket.ticket_counters force row level security;

create policy definer_counts on vicket.ticket_counters
  for all to vicket_definer
  using (true)
  with check (true);

grant select, insert (org_id, site_id, last_number), update (last_number) on vicket.ticket_counters to vicket_definer;
-- Not granted: anything to a request role.

comment on table vicket.ticket_counters is 'The last ticket number of each site.';
comment on policy definer_counts on vicket.ticket_counters is 'The trigger that numbers tickets.';

-- ---------------------------------------------------------------------------------------------------------------------
-- tickets
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
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint tickets_pkey primary key (org_id, site_id, id),
  constraint tickets_number_unique unique (org_id, site_id, number),
  constraint tickets_site_fkey foreign key (org_id, site_id) references vicket.sites (org_id, id) on delete cascade,
  constraint tickets_email_length check (char_length(email) between 3 and 254),
  constraint tickets_name_length check (char_length(name) between 1 and 200),
  constraint tickets_subject_length check (char_length(subject) between 1 and 200),
  constraint tickets_status_known check (status in ('open', 'pending', 'resolved', 'closed'))
);

create index tickets_newest on vicket.tickets (org_id, site_id, created_at desc, id desc);

alter table vicket.tickets enable row level security;
alter table vicket.tickets force row level security;

create policy widget_submits on vicket.tickets
  for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
  );
create policy widget_reads_by_token on vicket.tickets
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and id = (select ctx.ticket_id())
  );
create policy widget_sealed on vicket.tickets
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy operator_all on vicket.tickets
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
create policy definer_reads on vicket.tickets
  for select to vicket_definer
  using (true);
create policy definer_reopens on vicket.tickets
  for update to vicket_definer
  using (true)
  with check (true);

grant select (org_id, site_id, id, number, name, subject, status, created_at), insert (id, email, name, subject)
  on vicket.tickets to vicket_widget;
grant select, insert (site_id, email, name, subject, status), update (status, updated_at), delete
  on vicket.tickets to vicket_operator;
grant select (org_id, site_id, id, status, created_at), update (status, updated_at) on vicket.tickets to vicket_definer;
-- Not granted: SELECT of email to vicket_widget (nobody needs it there), number to any writer (a trigger counts), any
-- UPDATE or DELETE to vicket_widget (a reply reopens by trigger).

comment on table vicket.tickets is 'What customers asked, numbered per site.';
comment on column vicket.tickets.number is 'Per site, from 1; assigned by trigger.';
comment on policy widget_submits on vicket.tickets is 'A key may submit tickets to its own site.';
comment on policy widget_reads_by_token on vicket.tickets is 'A customer reads the one ticket that the token in the context opens.';
comment on policy widget_sealed on vicket.tickets is 'Even injected SQL stays with the key in the context.';
comment on policy operator_all on vicket.tickets is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.tickets is 'ctx.may_issue_token and the reply trigger.';
comment on policy definer_reopens on vicket.tickets is 'The reply trigger reopens a resolved ticket.';

-- ---------------------------------------------------------------------------------------------------------------------
-- ticket_tokens
-- Why: a ticket token is what its customer holds. Rows of their own: a repeated submission gets one more, and earlier
-- ones keep working.
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

create index ticket_tokens_ticket on vicket.ticket_tokens (org_id, site_id, ticket_id);

alter table vicket.ticket_tokens enable row level security;
alter table vicket.ticket_tokens force row level security;

create policy widget_issues on vicket.ticket_tokens
  for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ctx.may_issue_token(ticket_id)
  );
create policy widget_sealed on vicket.ticket_tokens
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy definer_reads on vicket.ticket_tokens
  for select to vicket_definer
  using (true);

grant insert (ticket_id, token_hash) on vicket.ticket_tokens to vicket_widget;
grant select (org_id, site_id, ticket_id, token_hash) on vicket.ticket_tokens to vicket_definer;
-- Not granted: SELECT to vicket_widget and vicket_operator; UPDATE to anyone.

comment on table vicket.ticket_tokens is 'SHA-256 of the ticket tokens: a holder reads and answers that one ticket.';
comment on policy widget_issues on vicket.ticket_tokens is 'Only for a ticket that this transaction is creating, or that the same submission created before.';
comment on policy widget_sealed on vicket.ticket_tokens is 'Even injected SQL stays with the key in the context.';
comment on policy definer_reads on vicket.ticket_tokens is 'ctx.ticket_id looks a token up by its hash.';

-- ---------------------------------------------------------------------------------------------------------------------
-- ticket_messages
-- Why: the conversation. Internal notes stand in the same table and are in no policy of the widget.
create table vicket.ticket_messages (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  ticket_id uuid not null,
  author text not null default 'customer',
  author_name text,
  body text not null,
  internal boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  constraint ticket_messages_pkey primary key (org_id, site_id, id),
  constraint ticket_messages_ticket_fkey foreign key (org_id, site_id, ticket_id)
    references vicket.tickets (org_id, site_id, id) on delete cascade,
  constraint ticket_messages_author_known check (author in ('customer', 'agent')),
  constraint ticket_messages_author_name_length check (char_length(author_name) between 1 and 200),
  constraint ticket_messages_body_length check (char_length(body) between 1 and 20000),
  constraint ticket_messages_internal_author check (not internal or author = 'agent')
);

create index ticket_messages_in_order on vicket.ticket_messages (org_id, site_id, ticket_id, created_at, id);

alter table vicket.ticket_messages enable row level security;
alter table vicket.ticket_messages force row level security;

create policy widget_writes_by_token on vicket.ticket_messages
  for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and author = 'customer'
    and not internal
  );
create policy widget_reads_by_token on vicket.ticket_messages
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and not internal
  );
create policy widget_sealed on vicket.ticket_messages
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy operator_all on vicket.ticket_messages
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));

grant select (org_id, site_id, id, ticket_id, author, author_name, body, created_at), insert (id, ticket_id, author_name, body)
  on vicket.ticket_messages to vicket_widget;
grant select, insert (site_id, ticket_id, author, author_name, body, internal), delete
  on vicket.ticket_messages to vicket_operator;
-- Not granted: author and internal to vicket_widget; UPDATE to anyone.

comment on table vicket.ticket_messages is 'The conversation of a ticket, internal notes included.';
comment on column vicket.ticket_messages.internal is 'A note between agents; in no policy of the widget.';
comment on policy widget_writes_by_token on vicket.ticket_messages is 'A customer answers the one ticket that the token in the context opens.';
comment on policy widget_reads_by_token on vicket.ticket_messages is 'Never internal notes.';
comment on policy widget_sealed on vicket.ticket_messages is 'Even injected SQL stays with the key in the context.';
comment on policy operator_all on vicket.ticket_messages is 'Administration commands, after admin.enter_org.';

-- ---------------------------------------------------------------------------------------------------------------------
-- submissions
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
  constraint submissions_kind_known check (kind in ('ticket', 'message')),
  constraint submissions_hash_length check (octet_length(key_hash) = 32 and octet_length(request_hash) = 32)
);

create index submissions_ticket on vicket.submissions (org_id, site_id, ticket_id);
-- Not led by a tenant: the worker purges what has expired, whose ever it is.
create index submissions_created on vicket.submissions (created_at);

alter table vicket.submissions enable row level security;
alter table vicket.submissions force row level security;

create policy definer_claims on vicket.submissions
  for all to vicket_definer
  using (true)
  with check (true);

grant select, insert, update (request_hash, kind, ticket_id, message_id, created_at), delete
  on vicket.submissions to vicket_definer;
-- Not granted: anything to a request role; ctx.claim_submission is the way.

comment on table vicket.submissions is 'Idempotency keys (as digests), kept 24 hours, per site.';
comment on policy definer_claims on vicket.submissions is 'ctx.claim_submission, ctx.may_issue_token and worker.purge_expired.';

reset role;
set local role vicket_definer;

-- Claims an Idempotency-Key for one submission. Answers 'new' (go on, with the ids that were passed), 'repeat' (with
-- the ids of then) or 'conflict' (the key was used for another request). A claim that races another waits for it.
-- The site is the key's: no policy stands between here and the table, so a forged context must not choose it.
create function ctx.claim_submission(
  p_kind text, p_key_hash bytea, p_request_hash bytea, p_ticket_id uuid, p_message_id uuid,
  out verdict text, out ticket_id uuid, out message_id uuid
)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  kept record;
begin
  insert into vicket.submissions as s (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
    values (ctx.org_by_key(), ctx.site_by_key(), p_key_hash, p_request_hash, p_kind, p_ticket_id, p_message_id)
    on conflict (org_id, site_id, key_hash) do update
      set request_hash = excluded.request_hash, kind = excluded.kind, ticket_id = excluded.ticket_id,
        message_id = excluded.message_id, created_at = now()
      where s.created_at <= now() - interval '24 hours';
  if found then
    claim_submission.verdict := 'new';
    claim_submission.ticket_id := p_ticket_id;
    claim_submission.message_id := p_message_id;
    return;
  end if;

  select s.request_hash, s.kind, s.ticket_id, s.message_id
    into strict kept
    from vicket.submissions s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.key_hash = p_key_hash;
  if kept.kind <> p_kind or kept.request_hash <> p_request_hash then
    claim_submission.verdict := 'conflict';
    return;
  end if;
  perform set_config('app.submission_hash', encode(p_key_hash || p_request_hash, 'hex'), true);
  claim_submission.verdict := 'repeat';
  claim_submission.ticket_id := kept.ticket_id;
  claim_submission.message_id := kept.message_id;
end $$;

comment on function ctx.claim_submission(text, bytea, bytea, uuid, uuid) is
  'Claims an Idempotency-Key: new, repeat (with the ids of then) or conflict.';

grant execute on function ctx.claim_submission(text, bytea, bytea, uuid, uuid) to vicket_widget;

create function vicket.ticket_numbered() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.ticket_counters as c (org_id, site_id, last_number)
    values (new.org_id, new.site_id, 1)
    on conflict (org_id, site_id) do update set last_number = c.last_number + 1
    returning c.last_number into new.number;
  return new;
end $$;

comment on function vicket.ticket_numbered() is 'Trigger: numbers a ticket within its site.';

-- A customer's reply reopens a resolved ticket and is refused by a closed one. The ticket that the same transaction
-- inserted has nothing to reopen.
create function vicket.customer_replied() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (
    select from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.created_at = now()
  ) then
    return null;
  end if;
  update vicket.tickets t
    set status = case t.status when 'resolved' then 'open' else t.status end, updated_at = now()
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.status <> 'closed';
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;

comment on function vicket.customer_replied() is 'Trigger: a reply reopens a resolved ticket; a closed one refuses it (constraint ticket_not_closed).';

grant execute on function vicket.ticket_numbered(), vicket.customer_replied() to vicket_owner;

reset role;
set local role vicket_owner;

create trigger ticket_numbered before insert on vicket.tickets
  for each row execute function vicket.ticket_numbered();
create trigger customer_replied after insert on vicket.ticket_messages
  for each row when (new.author = 'customer') execute function vicket.customer_replied();

revoke create on schema ctx, vicket from vicket_definer;
reset role;
