-- Mail of accounts, which are of no tenant: a link to choose a password, and what its owner must hear of. Whoever asks for a
-- link writes a row, whether there is such an account or not: answer and time are the same. Who has none is found when the
-- mail is to be sent, and the row goes. No token stands in mail that waits: whoever sends it mints one, as for tickets.
set local role vicket_owner;

create table vicket.account_mails (
  id uuid not null default gen_random_uuid(),
  kind text not null,
  email text not null,
  about text,
  language text not null default 'en',
  message_ref text not null,
  attempts integer not null default 0,
  run_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  constraint account_mails_pkey primary key (id),
  constraint account_mails_kind_known check (kind in ('password_reset', 'address_proof', 'password_changed', 'new_device')),
  constraint account_mails_language_known check (language in ('en', 'de', 'fr', 'es')),
  constraint account_mails_email_length check (char_length(email) between 3 and 254),
  constraint account_mails_about_length check (char_length(about) between 1 and 200)
);
create index account_mails_due on vicket.account_mails (run_at);

-- Of several tries of a mail each link works; when one was used, none does.
create table vicket.password_resets (
  token_hash bytea not null,
  user_id uuid not null,
  expires_at timestamptz not null default clock_timestamp() + interval '15 minutes',
  constraint password_resets_pkey primary key (token_hash),
  constraint password_resets_user_fkey foreign key (user_id) references vicket.users (id) on delete cascade,
  constraint password_resets_hash_length check (octet_length(token_hash) = 32)
);
create index password_resets_user on vicket.password_resets (user_id);

-- From where an account was used: a digest of who, of the network and of the kind of browser.
create table vicket.known_devices (
  user_id uuid not null,
  digest bytea not null,
  last_used_at timestamptz not null default now(),
  constraint known_devices_pkey primary key (user_id, digest),
  constraint known_devices_user_fkey foreign key (user_id) references vicket.users (id) on delete cascade,
  constraint known_devices_digest_length check (octet_length(digest) = 32)
);

alter table vicket.account_mails enable row level security, force row level security;
alter table vicket.password_resets enable row level security, force row level security;
alter table vicket.known_devices enable row level security, force row level security;

create policy definer_select on vicket.account_mails for select to vicket_definer using (true);
create policy definer_insert on vicket.account_mails for insert to vicket_definer with check (true);
create policy definer_update on vicket.account_mails for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
create policy definer_delete on vicket.account_mails for delete to vicket_definer using (session_user = 'vicket_worker');
create policy definer_select on vicket.password_resets for select to vicket_definer using (true);
create policy definer_insert on vicket.password_resets for insert to vicket_definer with check (true);
create policy definer_delete on vicket.password_resets for delete to vicket_definer using (true);
create policy definer_select on vicket.known_devices for select to vicket_definer using (true);
create policy definer_insert on vicket.known_devices for insert to vicket_definer with check (true);
create policy definer_update on vicket.known_devices for update to vicket_definer using (true) with check (true);
create policy definer_delete on vicket.known_devices for delete to vicket_definer using (true);

grant select, insert (kind, email, about, language, message_ref), update (attempts, run_at), delete
  on vicket.account_mails to vicket_definer;
grant select, insert (token_hash, user_id), delete on vicket.password_resets to vicket_definer;
grant select, insert (user_id, digest), update (last_used_at), delete on vicket.known_devices to vicket_definer;
-- In which language an org invites: that of its first site.
grant select (created_at) on vicket.sites to vicket_definer;
-- Whether an invitation reached whom it was for.
grant select (invitation_id) on vicket.mails to vicket_agent;
-- Not granted: anything to a request role, a gate or a command.

comment on table vicket.account_mails is 'Mail of accounts that waits: of no tenant. What was sent is no row.';
comment on table vicket.password_resets is
  'Links to choose a password, by the SHA-256 of their token: 15 minutes, once. Of no tenant.';
comment on table vicket.known_devices is 'From where accounts were used, by digests, 180 days. Of no tenant.';
comment on column vicket.account_mails.kind is 'No personal data.';
comment on column vicket.account_mails.email is 'As it was asked for: there may be no such account. Personal data.';
comment on column vicket.account_mails.about is 'Of new_device: network and kind of browser. Personal data.';
comment on column vicket.account_mails.language is 'No personal data.';
comment on column vicket.account_mails.message_ref is
  'Its Message-ID, the same however often it is sent. No personal data.';
comment on column vicket.account_mails.attempts is 'How often it was claimed.';
comment on column vicket.account_mails.run_at is 'When it is due; while somebody sends it, when their lease ends.';
comment on policy definer_select on vicket.account_mails is 'Not narrowed: of no tenant. worker.open_account_mails.';
comment on policy definer_insert on vicket.account_mails is 'Not narrowed: whoever asks has no tenant. vicket.write_account_mail.';
comment on policy definer_update on vicket.account_mails is 'worker.open_account_mails and settle_account_mails.';
comment on policy definer_delete on vicket.account_mails is 'worker.open_account_mails and settle_account_mails.';
comment on policy definer_select on vicket.password_resets is
  'Not narrowed: a link is found by its digest before there is a context.';
comment on policy definer_insert on vicket.password_resets is
  'Not narrowed: of no tenant. worker.open_account_mails: the token of a link.';
comment on policy definer_delete on vicket.password_resets is
  'Not narrowed: a new password ends all links; worker.open_account_mails, those that expired.';
comment on policy definer_select on vicket.known_devices is 'Not narrowed: whoever logs in has no tenant yet.';
comment on policy definer_insert on vicket.known_devices is 'Not narrowed: whoever logs in has no tenant yet.';
comment on policy definer_update on vicket.known_devices is 'Not narrowed: whoever logs in has no tenant yet.';
comment on policy definer_delete on vicket.known_devices is 'Not narrowed: those of the person that are old.';

grant create on schema vicket, auth, worker to vicket_definer;
set local role vicket_definer;
-- Writes mail of an account, where a server sends at all. For vicket_definer's functions alone, with whose rights it runs.
create function vicket.write_account_mail(p_kind text, p_email text, p_about text, p_language text) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  domain constant text := vicket.mail_domain();
begin
  if domain is not null and vicket.count_mail('account ' || p_kind, p_email, 5) then
    insert into vicket.account_mails (kind, email, about, language, message_ref)
      values (p_kind, lower(p_email collate "C"), p_about, p_language,
        '<m.' || replace(gen_random_uuid()::text, '-', '') || '@' || domain || '>');
  end if;
end $$;

-- A link to choose a password, to whoever reads that address. It does not say whether there is such an account, nor whether
-- it was asked for too often today.
create function auth.ask_password_reset(p_email text, p_language text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform vicket.write_account_mail('password_reset', p_email, null, p_language);
end $$;

-- The address that a link proves; NULL when it is unknown, was used or has expired.
create function auth.password_reset(p_token_hash bytea) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select u.email
    from vicket.password_resets r
    join vicket.users u on u.id = r.user_id
    where r.token_hash = p_token_hash and r.expires_at > now()
  );
end $$;

-- Mail of accounts that is due, p_most at the most, for p_lease; the digest at the place of a link's mail opens it from now on.
create function worker.open_account_mails(p_most integer, p_lease interval, p_token_hashes bytea[])
  returns table (
    place bigint, id uuid, kind text, recipient text, name text, about text, language text, message_ref text, attempts integer
  )
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  due uuid[];
begin
  delete from vicket.account_mails m
    where m.id in (
      select t.id from vicket.account_mails t
      where t.run_at <= clock and not exists (select from vicket.users u where u.email = t.email)
      limit 100
      for update skip locked
    );
  delete from vicket.password_resets r
    where r.token_hash in (select t.token_hash from vicket.password_resets t where t.expires_at < clock limit 100);
  due := array(
    select m.id from vicket.account_mails m
    where m.run_at <= clock
    order by m.run_at
    limit p_most
    for update skip locked
  );
  update vicket.account_mails m
    set run_at = clock + p_lease, attempts = m.attempts + 1
    where m.id = any (due);
  insert into vicket.password_resets (token_hash, user_id)
    select asked.token_hash, u.id
    from unnest((select due), (select p_token_hashes)) as asked (id, token_hash)
    join vicket.account_mails m on m.id = asked.id
    join vicket.users u on u.email = m.email
    where m.kind in ('password_reset', 'address_proof');
  return query
    select asked.place, m.id, m.kind, m.email, u.name, m.about, m.language, m.message_ref, m.attempts
    from unnest((select due)) with ordinality as asked (id, place)
    join vicket.account_mails m on m.id = asked.id
    join vicket.users u on u.email = m.email
    order by asked.place;
end $$;

-- What was sent, or given up, is no row any more; the rest is due again after so many seconds.
create function worker.settle_account_mails(p_ids uuid[], p_seconds double precision[]) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from vicket.account_mails m
    using unnest((select p_ids), (select p_seconds)) as told (id, seconds)
    where m.id = told.id and told.seconds is null;
  update vicket.account_mails m
    set run_at = clock_timestamp() + told.seconds * interval '1 second'
    from unnest((select p_ids), (select p_seconds)) as told (id, seconds)
    where m.id = told.id and told.seconds is not null;
end $$;

-- The language of an org's first site, of each.
create function worker.languages_of_orgs(p_org_ids uuid[]) returns table (org_id uuid, language text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
    select distinct on (s.org_id) s.org_id, s.language
    from vicket.sites s
    where s.org_id = any ((select p_org_ids)::uuid[]) and s.deleted_at is null
    order by s.org_id, s.created_at, s.id;
end $$;

comment on function vicket.write_account_mail is 'Writes mail of an account, five of a kind a day.';
comment on function auth.ask_password_reset is
  'Asks for a link to choose a password; says nothing. Definer: no request may read users.';
comment on function auth.password_reset is
  'The address that the link of a mail proves. Definer: no request may read digests.';
comment on function worker.open_account_mails is
  'Mail of accounts that is due, and a token for the link of each. Definer: the worker reads no table.';
comment on function worker.settle_account_mails is 'What became of mail of accounts. Definer: the worker reads no table.';
comment on function worker.languages_of_orgs is
  'In which language an org writes to people whom it invites. Definer: the worker reads no table.';
grant execute on function auth.ask_password_reset, auth.password_reset to vicket_gate_agent;
grant execute on function worker.open_account_mails, worker.settle_account_mails, worker.languages_of_orgs to vicket_worker;

set local role vicket_owner;
revoke create on schema vicket, auth, worker from vicket_definer;
reset role;
