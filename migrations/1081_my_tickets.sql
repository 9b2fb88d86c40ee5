-- The tickets of a customer: those that their session submitted. It lists them, and opens any of them as its token would.
set local role vicket_owner;

alter table vicket.tickets add column customer_id uuid, add column customer_read_at timestamptz;
alter table vicket.tickets alter column customer_id set default ctx.customer_id();
alter table vicket.tickets add constraint tickets_customer_fkey foreign key (org_id, site_id, customer_id)
  references vicket.customers (org_id, site_id, id) on delete set null (customer_id) not valid;
comment on column vicket.tickets.customer_id is 'Whose session submitted it; NULL without one. Nobody says it but the context.';
comment on column vicket.tickets.customer_read_at is 'When they last opened it by a session.';

alter policy widget_insert on vicket.tickets
  with check (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()) and ctx.may_submit(email));
create policy widget_select_mine on vicket.tickets for select to vicket_widget
  using (
    org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()) and customer_id = (select ctx.customer_id())
  );
comment on policy widget_insert on vicket.tickets is
  'A submission; by a customer''s session under its own address, and not without one where the site wants an identity.';
comment on policy widget_select_mine on vicket.tickets is 'Those of the customer whose session is in the context.';
grant select (customer_id) on vicket.tickets to vicket_widget;
grant select (customer_id, customer_read_at), update (customer_read_at) on vicket.tickets to vicket_definer;
-- Not granted: INSERT of customer_id to anyone (it is of the context), UPDATE of it to anyone.

grant create on schema ctx, auth to vicket_definer;
set local role vicket_definer;
-- As it was, and: nothing is left of the customer who was here before.
create or replace function auth.enter(p_key_hash bytea, p_origin_hash bytea, p_ticket_hash bytea) returns auth.site_entry
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry auth.site_entry;
begin
  select 'entered', k.id, k.state, k.org_id, k.site_id, s.content_version, s.views_version, s.reads_per_minute,
      s.writes_per_minute, s.network_reads_per_minute, s.network_writes_per_minute, o.listed, o.listed
    into entry
    from vicket.site_keys k
    join vicket.sites s on s.org_id = k.org_id and s.id = k.site_id
    cross join lateral (select exists (select from vicket.site_origins o
      where o.org_id = k.org_id and o.site_id = k.site_id and o.origin_hash = p_origin_hash)) as o (listed)
    where k.key_hash = p_key_hash and k.state in ('active', 'staged');
  if not found then
    entry.verdict := 'unknown';
    entry.origin_listed := false;
    entry.origin_known := exists (select from vicket.site_origins o where o.origin_hash = p_origin_hash);
    p_key_hash := '';
    p_ticket_hash := '';
  end if;
  perform set_config('app.org_id', coalesce(entry.org_id::text, ''), true),
    set_config('app.site_id', coalesce(entry.site_id::text, ''), true),
    set_config('app.key_hash', encode(p_key_hash, 'hex'), true),
    set_config('app.ticket_hash', encode(p_ticket_hash, 'hex'), true), set_config('app.submission_hash', '', true),
    set_config('app.session_hash', '', true), set_config('app.machine_key_hash', '', true),
    set_config('app.invitation_hash', '', true), set_config('app.request_id', '', true),
    set_config('app.customer_hash', '', true), set_config('app.customer_ticket', '', true);
  return entry;
end $$;

-- As it was, or: the one of theirs that a customer's session named.
create or replace function ctx.ticket_id() returns uuid
  language plpgsql volatile parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  named constant text := nullif(current_setting('app.customer_ticket', true), '');
  ticket uuid;
begin
  if named is null then
    select t.ticket_id into ticket
      from vicket.site_keys k
      join vicket.ticket_tokens t on t.org_id = k.org_id and t.site_id = k.site_id
      where k.key_hash = ctx.digest('key') and t.token_hash = ctx.digest('ticket');
  else
    select t.id into ticket
      from vicket.site_keys k
      join vicket.tickets t on t.org_id = k.org_id and t.site_id = k.site_id
      where k.key_hash = ctx.digest('key') and t.id = named::uuid and t.customer_id = ctx.customer_id();
  end if;
  return ticket;
end $$;
-- When something was last said on a customer's ticket, notes between agents aside, and how many answers came since they last
-- opened it.
create function ctx.activity_of_mine(p_ticket_id uuid, out last_at timestamptz, out unread bigint)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  select max(m.created_at),
      count(*) filter (where m.author = 'agent' and m.created_at > coalesce(t.customer_read_at, '-infinity'))
    into activity_of_mine.last_at, activity_of_mine.unread
    from vicket.site_keys k
    join vicket.tickets t on t.org_id = k.org_id and t.site_id = k.site_id
    join vicket.ticket_messages m on m.org_id = t.org_id and m.site_id = t.site_id and m.ticket_id = t.id
    where k.key_hash = ctx.digest('key') and t.id = p_ticket_id and t.customer_id = ctx.customer_id() and not m.internal;
end $$;
-- The ticket in the context was opened by its customer; says whether it is theirs.
create function ctx.note_read() returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.tickets t
    set customer_read_at = clock_timestamp()
    where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = ctx.ticket_id()
      and t.customer_id = ctx.customer_id();
  return found;
end $$;
comment on function ctx.activity_of_mine is
  'When a customer''s ticket was last written to, and how many answers are new. Definer: customers may not read there.';
comment on function ctx.note_read is
  'Notes that a customer opened their ticket; says whether it is theirs. Definer: no request may write there.';
grant execute on function ctx.activity_of_mine, ctx.note_read to vicket_widget;

set local role vicket_owner;
grant select (author, created_at) on vicket.ticket_messages to vicket_definer;
revoke create on schema ctx, auth from vicket_definer;
reset role;
