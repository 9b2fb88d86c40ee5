-- mailboxes: how far a mailbox that is read by IMAP was read, and which process reads it now: one at a time, for the time of a
-- lease. Whoever is killed lets the lease end, and another goes on where the last committed message was.
set local role vicket_owner;

create table vicket.mailboxes (
  digest bytea not null,
  uid_validity bigint,
  last_uid bigint not null default 0,
  holder uuid not null,
  held_until timestamptz not null,
  constraint mailboxes_pkey primary key (digest),
  constraint mailboxes_digest_length check (octet_length(digest) = 32),
  constraint mailboxes_uids check (uid_validity between 0 and 4294967295 and last_uid between 0 and 4294967295)
);
alter table vicket.mailboxes enable row level security, force row level security;

create policy definer_select on vicket.mailboxes for select to vicket_definer using (true);
create policy definer_insert on vicket.mailboxes for insert to vicket_definer with check (true);
create policy definer_update on vicket.mailboxes for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
grant select, insert (digest, holder, held_until), update (uid_validity, last_uid, holder, held_until)
  on vicket.mailboxes to vicket_definer;

comment on table vicket.mailboxes is 'How far mailboxes were read, and by whom they are now: of no tenant, one row a mailbox.';
comment on column vicket.mailboxes.digest is 'SHA-256 of its server, login and folder.';
comment on column vicket.mailboxes.uid_validity is 'As long as the server says this, its UIDs are the same. NULL before it was read.';
comment on column vicket.mailboxes.last_uid is 'Of the last message that was taken in or passed over.';
comment on column vicket.mailboxes.holder is 'The process that reads it. No personal data.';
comment on column vicket.mailboxes.held_until is 'When its lease ends, by the clock of the database.';
comment on policy definer_select on vicket.mailboxes is 'worker.hold_mailbox and move_mailbox. Not narrowed: of no tenant.';
comment on policy definer_insert on vicket.mailboxes is 'worker.hold_mailbox. Not narrowed: of no tenant.';
comment on policy definer_update on vicket.mailboxes is 'worker.hold_mailbox and move_mailbox.';

grant create on schema worker to vicket_definer;
set local role vicket_definer;
-- Holds a mailbox for p_lease and says how far it was read; no row while another holds it. A lease that is over is let go of.
create function worker.hold_mailbox(p_digest bytea, p_holder uuid, p_lease interval)
  returns table (uid_validity bigint, last_uid bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    insert into vicket.mailboxes as m (digest, holder, held_until)
      values (p_digest, p_holder, clock_timestamp() + p_lease)
      on conflict (digest) do update
        set holder = excluded.holder, held_until = excluded.held_until
        where m.holder = excluded.holder or m.held_until <= clock_timestamp()
      returning m.uid_validity, m.last_uid;
end $$;

-- Says how far it was read, and lengthens the lease; false when another holds it.
create function worker.move_mailbox(p_digest bytea, p_holder uuid, p_uid_validity bigint, p_last_uid bigint, p_lease interval)
  returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.mailboxes m
    set uid_validity = p_uid_validity, last_uid = p_last_uid, held_until = clock_timestamp() + p_lease
    where m.digest = p_digest and m.holder = p_holder;
  return found;
end $$;
comment on function worker.hold_mailbox is 'Holds a mailbox, if nobody else does. Definer: the worker reads no table.';
comment on function worker.move_mailbox is 'Says how far a mailbox was read. Definer: the worker reads no table.';
grant execute on function worker.hold_mailbox, worker.move_mailbox to vicket_worker;

set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
