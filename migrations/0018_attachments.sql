-- attachments, object_removals: files on messages. A file is seen by whoever sees its message, and added by who wrote
-- that message, for an hour: what was said was said.
--
-- Its bytes stand in the row, which lists never read (PostgreSQL keeps them out of line), or in an object store under
-- object_key; then the row still decides who reads it. An object is written before its row and removed after it: its
-- key is reserved in object_removals first, and the row's insertion takes it off that list.
set local role vicket_owner;

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
create unique index attachments_object_unique on vicket.attachments (org_id, site_id, object_key) where object_key is not null;
-- By message: a page of a conversation reads the files of its own messages, however many the ticket has.
create index attachments_in_order on vicket.attachments (org_id, ticket_id, message_id, created_at, id);
create statistics vicket.attachments_tenant (dependencies, ndistinct) on org_id, site_id from vicket.attachments;

-- Why: objects that no row owns. The worker removes what is due, whatever happened to the process that wrote it.
create table vicket.object_removals (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  object_key text not null,
  due_at timestamptz not null default now() + interval '1 hour',
  constraint object_removals_pkey primary key (org_id, site_id, object_key),
  constraint object_removals_object_own check (starts_with(object_key, org_id || '/' || site_id || '/'))
);
-- Not led by a tenant: the worker removes what is due, whose ever it is. No foreign key: objects outlive their site.
create index object_removals_due on vicket.object_removals (due_at);
create statistics vicket.object_removals_tenant (dependencies, ndistinct) on org_id, site_id from vicket.object_removals;

alter table vicket.attachments enable row level security, force row level security;
alter table vicket.object_removals enable row level security, force row level security;

-- A subquery on messages shows what the policies of messages show: no internal note, no other ticket.
create policy widget_select on vicket.attachments for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and message_id in (select m.id from vicket.ticket_messages m)
  );
create policy widget_insert on vicket.attachments for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and message_id in (
      select m.id from vicket.ticket_messages m
      where m.author = 'customer' and m.created_at > now() - interval '1 hour'
    )
  );
create policy widget_all_sealed on vicket.attachments as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy agent_select on vicket.attachments for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy agent_insert on vicket.attachments for insert to vicket_agent
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
create policy definer_select on vicket.attachments for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));

create policy widget_insert on vicket.object_removals for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and (select ctx.ticket_id()) is not null
  );
create policy widget_all_sealed on vicket.object_removals as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
create policy agent_insert on vicket.object_removals for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
create policy definer_select on vicket.object_removals for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_insert on vicket.object_removals for insert to vicket_definer
  with check (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_delete on vicket.object_removals for delete to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));

grant select (org_id, site_id, id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key, created_at),
  insert (ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
  on vicket.attachments to vicket_widget;
grant select (org_id, site_id, id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key, created_at),
  insert (site_id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
  on vicket.attachments to vicket_agent;
grant select (org_id, site_id, ticket_id, message_id, size, object_key) on vicket.attachments to vicket_definer;
grant insert (object_key) on vicket.object_removals to vicket_widget;
grant insert (site_id, object_key) on vicket.object_removals to vicket_agent;
grant select, insert, delete on vicket.object_removals to vicket_definer;
-- Not granted: UPDATE and DELETE of files to anyone (they go with their message); content to vicket_definer; when an
-- object goes to requests, and what is listed.

comment on table vicket.attachments is 'Files on messages, with their bytes or the key of their object.';
comment on table vicket.object_removals is
  'Objects to remove from the store: reserved ones that got no row, and those of deleted rows.';
comment on column vicket.attachments.upload_id is 'The request that brought it: what a repeated one answers.';
comment on column vicket.attachments.name is
  'As its writer called it, without folders and control characters; never a path of ours.';
comment on column vicket.attachments.content_type is
  'By content, never by name; what is not in the list is application/octet-stream.';
comment on column vicket.attachments.content is 'Its bytes; NULL when an object store holds them.';
comment on column vicket.attachments.object_key is
  'ORG/SITE/random in the object store; reserved in object_removals before it is written.';
comment on policy widget_select on vicket.attachments is
  'Files of the messages that the token in the context shows; never of internal notes.';
comment on policy widget_insert on vicket.attachments is 'A customer adds files to what they wrote in the last hour.';
comment on policy widget_all_sealed on vicket.attachments is
  'Even an injected statement stays with the key in the context.';
comment on policy agent_select on vicket.attachments is 'ticket:read; of internal notes too; within one''s teams.';
comment on policy agent_insert on vicket.attachments is
  'ticket:write, to what one wrote in the last hour; within one''s teams.';
comment on policy definer_select on vicket.attachments is
  'attachment_added keeps the limits of one org''s; worker.objects_due spares what has a row.';
comment on policy widget_insert on vicket.object_removals is
  'Whoever holds a ticket''s token reserves a key of the key''s site; its row, or an hour, ends that.';
comment on policy widget_all_sealed on vicket.object_removals is
  'Even an injected statement stays with the key in the context.';
comment on policy agent_insert on vicket.object_removals is 'ticket:write; within one''s teams.';
comment on policy definer_select on vicket.object_removals is 'attachment_added of one org, worker.objects_due of all.';
comment on policy definer_insert on vicket.object_removals is 'attachment_gone, whoever deletes.';
comment on policy definer_delete on vicket.object_removals is
  'attachment_added of one org, worker.objects_removed of all.';

create function vicket.attachment_gone() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.object_removals (org_id, site_id, object_key, due_at)
    values (old.org_id, old.site_id, old.object_key, now())
    on conflict do nothing;
  return null;
end $$;

set local role vicket_definer;
-- After the policies have admitted the row. The ticket is locked, so that two uploads at once count each other.
create function vicket.attachment_added() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
-- What has a row is no object to remove, whoever listed it.
create function worker.objects_due(p_most integer) returns setof text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.object_removals r
    using vicket.attachments a
    where r.due_at <= now()
      and a.org_id = r.org_id and a.site_id = r.site_id and a.object_key = r.object_key;
  return query
    select r.object_key from vicket.object_removals r where r.due_at <= now() order by r.due_at limit p_most;
end $$;
create function worker.objects_removed(p_object_keys text[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.object_removals r
    using unnest(p_object_keys) as k (object_key)
    where r.org_id = split_part(k.object_key, '/', 1)::uuid and r.site_id = split_part(k.object_key, '/', 2)::uuid
      and r.object_key = k.object_key and r.due_at <= now();
end $$;
comment on function vicket.attachment_added is
  'Trigger: a closed ticket takes files on notes only; 10 files a message, 100 MiB a ticket; an object must be reserved. Definer: no request may write there.';
comment on function worker.objects_due is
  'Keys of objects to remove from the store. Definer: the worker reads no table.';
comment on function worker.objects_removed is
  'Objects that are gone from the store. Definer: the worker reads no table.';
grant execute on function vicket.attachment_added to vicket_owner;
grant execute on function worker.objects_due, worker.objects_removed to vicket_worker;

set local role vicket_owner;
create trigger attachment_added after insert on vicket.attachments
  for each row execute function vicket.attachment_added();
create trigger attachment_gone after delete on vicket.attachments
  for each row when (old.object_key is not null) execute function vicket.attachment_gone();
reset role;
