-- stored_bytes: how many bytes of files a site and an org keep, and how many they may. Counted by rows that are added and never
-- changed, so that no upload waits for another; the worker makes one of many. Two uploads at the same moment do not see each
-- other, and may be over by one.
set local role vicket_owner;

alter table vicket.orgs add column file_quota_mib integer not null default 10240;
alter table vicket.orgs add constraint orgs_file_quota_range check (file_quota_mib between 0 and 10000000) not valid;
alter table vicket.sites add column file_quota_mib integer not null default 10240;
alter table vicket.sites add column network_upload_mib_per_day integer not null default 100;
alter table vicket.sites
  add constraint sites_file_quota_range
  check (file_quota_mib between 0 and 10000000 and network_upload_mib_per_day between 0 and 1000000) not valid;
grant select (file_quota_mib) on vicket.orgs to vicket_agent;
grant update (file_quota_mib) on vicket.orgs to vicket_operator;
grant select (file_quota_mib) on vicket.orgs to vicket_definer;
grant select (network_upload_mib_per_day) on vicket.sites to vicket_widget;
grant select (file_quota_mib, network_upload_mib_per_day), update (file_quota_mib, network_upload_mib_per_day)
  on vicket.sites to vicket_agent;
grant update (file_quota_mib, network_upload_mib_per_day) on vicket.sites to vicket_operator;
grant select (file_quota_mib) on vicket.sites to vicket_definer;
-- Not granted: an org's quota to its own members; `vicket org quota` sets it.
comment on column vicket.orgs.file_quota_mib is 'How much all its files may be, MiB. Set by who runs the server.';
comment on column vicket.sites.file_quota_mib is 'How much all files of the site may be, MiB.';
comment on column vicket.sites.network_upload_mib_per_day is
  'Files that customers of one client network (IPv4 /24, IPv6 /56) may add in a day, MiB.';

create table vicket.stored_bytes (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  bytes bigint not null,
  constraint stored_bytes_pkey primary key (org_id, site_id, id)
);
create statistics vicket.stored_bytes_tenant (dependencies, ndistinct) on org_id, site_id from vicket.stored_bytes;

alter table vicket.stored_bytes enable row level security, force row level security;

create policy agent_select on vicket.stored_bytes for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
create policy operator_select on vicket.stored_bytes for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy definer_select on vicket.stored_bytes for select to vicket_definer
  using (session_user = 'vicket_worker' or org_id = (select ctx.org_id()));
create policy definer_insert on vicket.stored_bytes for insert to vicket_definer with check (true);
create policy definer_delete on vicket.stored_bytes for delete to vicket_definer
  using (session_user = 'vicket_worker');

grant select (org_id, site_id, bytes) on vicket.stored_bytes to vicket_agent, vicket_operator;
grant select, insert (org_id, site_id, bytes), delete on vicket.stored_bytes to vicket_definer;
-- Not granted: anything to the widget, whose files a trigger counts; UPDATE to anyone.

comment on table vicket.stored_bytes is
  'Bytes of files, added and taken away; their sum is what a site keeps. No foreign key: they go when they are none.';
comment on column vicket.stored_bytes.bytes is 'Less than none for files that are gone.';
comment on policy agent_select on vicket.stored_bytes is 'Members see how much their org keeps.';
comment on policy operator_select on vicket.stored_bytes is 'vicket org list, after admin.enter_org.';
comment on policy definer_select on vicket.stored_bytes is 'attachment_added of one org, worker.purge of all.';
comment on policy definer_insert on vicket.stored_bytes is
  'Not narrowed: attachment_added and attachments_gone, whoever writes, a DBA without a context too; worker.purge.';
comment on policy definer_delete on vicket.stored_bytes is 'worker.purge, which adds their sum.';

grant create on schema vicket, worker to vicket_definer;
set local role vicket_definer;
-- As it was, and: what an org and a site may keep.
create or replace function vicket.attachment_added() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  standing text;
  files bigint;
  bytes bigint;
  of_site bigint;
  of_org bigint;
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
  insert into vicket.stored_bytes (org_id, site_id, bytes) values (new.org_id, new.site_id, new.size);
  select sum(b.bytes) filter (where b.site_id = new.site_id), sum(b.bytes)
    into of_site, of_org
    from vicket.stored_bytes b
    where b.org_id = new.org_id;
  if of_site > (
    select s.file_quota_mib * 1048576::bigint from vicket.sites s where s.org_id = new.org_id and s.id = new.site_id
  ) then
    raise exception 'the site keeps too much' using errcode = 'check_violation', constraint = 'attachments_of_site';
  end if;
  if of_org > (select o.file_quota_mib * 1048576::bigint from vicket.orgs o where o.id = new.org_id) then
    raise exception 'the org keeps too much' using errcode = 'check_violation', constraint = 'attachments_of_org';
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
comment on function vicket.attachment_added is
  'Trigger: a closed ticket takes files on notes only; 10 files a message, 100 MiB a ticket, what a site and an org may keep; an object must be reserved. Definer: no request may write there.';

-- As it was, and: one row of many in stored_bytes, those of 100 sites at a time.
create or replace function worker.purge(p_most integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone bigint;
  of_all bigint := 0;
begin
  delete from vicket.submissions s
    using (
      select e.org_id, e.site_id, e.key_hash
      from vicket.submissions e
      where e.created_at <= now() - interval '24 hours'
      order by e.created_at
      limit p_most
      for update skip locked
    ) expired
    where s.org_id = expired.org_id and s.site_id = expired.site_id and s.key_hash = expired.key_hash;
  get diagnostics gone = row_count;
  of_all := of_all + gone;
  delete from vicket.sessions s
    where s.id in (
      select e.id
      from vicket.sessions e
      where e.created_at <= now() - interval '14 days'
        and (e.last_used_at <= now() - interval '14 days' or e.created_at <= now() - interval '90 days')
      order by e.created_at
      limit p_most
    );
  get diagnostics gone = row_count;
  of_all := of_all + gone;
  delete from vicket.missed_searches m
    where (m.org_id, m.site_id, m.day, m.search) in (
      select e.org_id, e.site_id, e.day, e.search
      from vicket.missed_searches e
      where e.day < (now() at time zone 'UTC')::date - 30
      order by e.day
      limit p_most
    );
  get diagnostics gone = row_count;
  of_all := of_all + gone;
  with folded as (
    delete from vicket.stored_bytes b
      where (b.org_id, b.site_id) in (
        select many.org_id, many.site_id
        from vicket.stored_bytes many
        group by many.org_id, many.site_id
        having count(*) > 1
        limit 100
      )
      returning b.org_id, b.site_id, b.bytes
  )
  insert into vicket.stored_bytes (org_id, site_id, bytes)
    select f.org_id, f.site_id, sum(f.bytes) from folded f group by f.org_id, f.site_id having sum(f.bytes) <> 0;
  return of_all;
end $$;
comment on function worker.purge is
  'Deletes what has expired, and returns how many rows; sums up what sites keep. Definer: the worker reads no table.';

set local role vicket_owner;
-- By statement: a ticket that goes takes its files with it, and an org all of its.
create function vicket.attachments_gone() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into vicket.stored_bytes (org_id, site_id, bytes)
    select g.org_id, g.site_id, -sum(g.size) from gone_rows g group by g.org_id, g.site_id;
  return null;
end $$;
create trigger attachments_gone after delete on vicket.attachments
  referencing old table as gone_rows
  for each statement execute function vicket.attachments_gone();

-- What is there already; the trigger has taken the lock that keeps more from coming. FORCE shows the owner no rows.
create policy owner_all on vicket.attachments to vicket_owner using (true);
create policy owner_all on vicket.stored_bytes to vicket_owner with check (true);
insert into vicket.stored_bytes (org_id, site_id, bytes)
  select a.org_id, a.site_id, sum(a.size) from vicket.attachments a group by a.org_id, a.site_id;
drop policy owner_all on vicket.stored_bytes;
drop policy owner_all on vicket.attachments;
revoke create on schema vicket, worker from vicket_definer;
reset role;
