-- Files on messages. A file is seen by whoever sees its message, and added by who wrote that message, for an hour: what
-- was said was said.
--
-- Its bytes stand in the row, which lists never read (PostgreSQL keeps them out of line), or in an object store under
-- object_key; then the row still decides who reads it. An object is written before its row and removed after it: its
-- key is reserved in object_removals first, and the row's insertion takes it off that list.

set local role vicket_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- attachments
-- Why: what customers and agents attach to what they write.
alter table vicket.ticket_messages
  add constraint ticket_messages_of_ticket unique (org_id, site_id, ticket_id, id);
alter table vicket.submissions
  drop constraint submissions_kind_known,
  add constraint submissions_kind_known check (kind in ('ticket', 'message', 'attachments'));

create table vicket.attachments (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  ticket_id uuid not null,
  message_id uuid not null,
  upload_id uuid not null,
  name text not null,
  content_type text not null,
  size bigint not null,
  content bytea,
  object_key text,
  created_at timestamptz not null default clock_timestamp(),
  constraint attachments_pkey primary key (org_id, site_id, id),
  constraint attachments_object_unique unique (org_id, site_id, object_key),
  constraint attachments_message_fkey foreign key (org_id, site_id, ticket_id, message_id)
    references vicket.ticket_messages (org_id, site_id, ticket_id, id) on delete cascade,
  constraint attachments_name_plain check (octet_length(name) between 1 and 255 and name !~ '[[:cntrl:]/\\]'),
  constraint attachments_type_harmless check (
    content_type in ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'application/pdf', 'text/plain', 'application/octet-stream')
  ),
  constraint attachments_size check (size between 1 and 10485760),
  constraint attachments_held_once check ((content is null) <> (object_key is null)),
  constraint attachments_content_size check (octet_length(content) = size),
  constraint attachments_object_own check (starts_with(object_key, org_id || '/' || site_id || '/'))
);
-- Most files are compressed already.
alter table vicket.attachments alter column content set storage external;

create index attachments_in_order on vicket.attachments (org_id, site_id, ticket_id, created_at, id);

alter table vicket.attachments enable row level security;
alter table vicket.attachments force row level security;

-- A subquery on messages shows what the policies of messages show: no internal note, no other ticket.
create policy widget_reads_by_token on vicket.attachments
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and message_id in (select m.id from vicket.ticket_messages m)
  );
create policy widget_adds_by_token on vicket.attachments
  for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and message_id in (
      select m.id from vicket.ticket_messages m
      where m.author = 'customer' and m.created_at > now() - interval '1 hour'
    )
  );
create policy widget_sealed on vicket.attachments
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy agent_reads on vicket.attachments
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_adds on vicket.attachments
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
    and (site_id, message_id) in (
      select m.site_id, m.id from vicket.ticket_messages m
      where m.author = 'agent' and m.created_at > now() - interval '1 hour'
        and m.author_id = (select ctx.actor_user_id())
    )
  );
create policy definer_counts on vicket.attachments
  for select to vicket_definer
  using (true);
create policy definer_reads on vicket.ticket_messages
  for select to vicket_definer
  using (true);

grant select (org_id, site_id, id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key, created_at),
  insert (ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
  on vicket.attachments to vicket_widget;
grant select (org_id, site_id, id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key, created_at),
  insert (site_id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
  on vicket.attachments to vicket_agent;
grant select (org_id, site_id, ticket_id, message_id, size) on vicket.attachments to vicket_definer;
grant select (org_id, site_id, ticket_id, id, internal) on vicket.ticket_messages to vicket_definer;
-- Not granted: UPDATE and DELETE to anyone (they go with their message); content to vicket_definer.

comment on table vicket.attachments is 'Files on messages, with their bytes or the key of their object.';
comment on column vicket.attachments.upload_id is 'The request that brought it: what a repeated one answers.';
comment on column vicket.attachments.name is 'As its writer called it, without folders and control characters; never a path of ours.';
comment on column vicket.attachments.content_type is 'By content, never by name; what is not in the list is application/octet-stream.';
comment on column vicket.attachments.content is 'Its bytes; NULL when an object store holds them.';
comment on column vicket.attachments.object_key is 'ORG/SITE/random in the object store; reserved with ctx.reserve_object.';
comment on policy widget_reads_by_token on vicket.attachments is 'Files of the messages that the token in the context shows; never of internal notes.';
comment on policy widget_adds_by_token on vicket.attachments is 'A customer adds files to what they wrote in the last hour.';
comment on policy widget_sealed on vicket.attachments is 'Even injected SQL stays with the key in the context.';
comment on policy agent_reads on vicket.attachments is 'ticket:read; of internal notes too; within one''s teams.';
comment on policy agent_adds on vicket.attachments is 'ticket:write, to what one wrote in the last hour; within one''s teams.';
comment on policy definer_counts on vicket.attachments is 'The trigger attachment_added keeps the limits.';
comment on policy definer_reads on vicket.ticket_messages is 'The trigger attachment_added tells notes from answers.';

-- ---------------------------------------------------------------------------------------------------------------------
-- object_removals
-- Why: objects that no row owns. The worker removes what is due, whatever happened to the process that wrote it.
create table vicket.object_removals (
  org_id uuid not null,
  site_id uuid not null,
  object_key text not null,
  due_at timestamptz not null,
  constraint object_removals_pkey primary key (org_id, site_id, object_key)
);

-- Not led by a tenant: the worker removes what is due, whose ever it is.
create index object_removals_due on vicket.object_removals (due_at);

alter table vicket.object_removals enable row level security;
alter table vicket.object_removals force row level security;

create policy definer_removes on vicket.object_removals
  for all to vicket_definer
  using (true)
  with check (true);

grant select, insert, delete on vicket.object_removals to vicket_definer;
-- Not granted: anything to a request role; ctx.reserve_object is the way. No foreign key: objects outlive their site.

comment on table vicket.object_removals is 'Objects to remove from the store: reserved ones that got no row, and those of deleted rows.';
comment on policy definer_removes on vicket.object_removals is 'ctx.reserve_object, the triggers of attachments, and the worker.';

grant create on schema ctx, vicket, worker to vicket_definer;
reset role;
set local role vicket_definer;

-- The site is the key's, or one that the agent's policies will be asked about when the row is inserted. A key that gets
-- no row within an hour is removed, with the object if there is one.
create function ctx.reserve_object(p_site_id uuid) returns text
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org constant uuid := coalesce(ctx.org_by_key(), ctx.org_id());
  site constant uuid := coalesce(ctx.site_by_key(), p_site_id);
  reserved constant text := org || '/' || site || '/' || gen_random_uuid();
begin
  insert into vicket.object_removals (org_id, site_id, object_key, due_at)
    values (org, site, reserved, now() + interval '1 hour');
  return reserved;
end $$;

-- After the policies have admitted the row. The ticket is locked, so that two uploads at once count each other.
create function vicket.attachment_added() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  standing text;
  files bigint;
  bytes bigint;
begin
  select t.status into standing
    from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id
    for no key update;
  if standing = 'closed' and not exists (
    select from vicket.ticket_messages m
    where m.org_id = new.org_id and m.site_id = new.site_id and m.id = new.message_id and m.internal
  ) then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  select count(*) filter (where a.message_id = new.message_id), sum(a.size)
    into files, bytes
    from vicket.attachments a
    where a.org_id = new.org_id and a.site_id = new.site_id and a.ticket_id = new.ticket_id;
  if files > 10 then
    raise exception 'too many files' using errcode = 'check_violation', constraint = 'attachments_of_message';
  end if;
  if bytes > 104857600 then
    raise exception 'too many bytes' using errcode = 'check_violation', constraint = 'attachments_of_ticket';
  end if;
  if new.object_key is not null then
    delete from vicket.object_removals r
      where r.org_id = new.org_id and r.site_id = new.site_id and r.object_key = new.object_key and r.due_at > now();
    if not found then
      raise exception 'the object is not reserved' using errcode = 'check_violation', constraint = 'attachments_object_reserved';
    end if;
  end if;
  return null;
end $$;

create function vicket.attachment_gone() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.object_removals (org_id, site_id, object_key, due_at)
    values (old.org_id, old.site_id, old.object_key, now());
  return null;
end $$;

create function worker.objects_due(p_most integer) returns setof text
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select r.object_key from vicket.object_removals r where r.due_at <= now() order by r.due_at limit p_most;
end $$;

create function worker.objects_removed(p_object_keys text[]) returns void
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.object_removals r where r.object_key = any (p_object_keys) and r.due_at <= now();
end $$;

comment on function ctx.reserve_object(uuid) is 'A new key for an object of this site; removed in an hour unless a row takes it.';
comment on function vicket.attachment_added() is
  'Trigger: a closed ticket takes files on notes only; 10 files a message, 100 MiB a ticket; an object must be reserved.';
comment on function vicket.attachment_gone() is 'Trigger: the object of a deleted row is to be removed.';
comment on function worker.objects_due(integer) is 'Keys of objects to remove from the store.';
comment on function worker.objects_removed(text[]) is 'Objects that are gone from the store.';

grant execute on function ctx.reserve_object(uuid) to vicket_widget, vicket_agent;
grant execute on function vicket.attachment_added(), vicket.attachment_gone() to vicket_owner;
grant execute on function worker.objects_due(integer), worker.objects_removed(text[]) to vicket_worker;

reset role;
set local role vicket_owner;
revoke create on schema ctx, vicket, worker from vicket_definer;

create trigger attachment_added after insert on vicket.attachments
  for each row execute function vicket.attachment_added();
create trigger attachment_gone after delete on vicket.attachments
  for each row when (old.object_key is not null) execute function vicket.attachment_gone();

reset role;
