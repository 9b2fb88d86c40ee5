-- Foundations: schemas, who may enter them, and the context that every policy reads.
--
--   vicket   tables
--   ctx      the context helpers that policies and column defaults read
--   auth     resolvers: what a gate may execute to become a tenant
--   worker   what background work may execute
--   admin    what the administration commands may execute

do $$
begin
  execute format('revoke all on database %I from public', current_database());
  execute format(
    'grant connect on database %I to vicket_gate_widget, vicket_gate_agent, vicket_worker, vicket_auditor',
    current_database());
end $$;

-- A function is executable by PUBLIC unless somebody says otherwise; here nobody gets anything that is not written down.
alter default privileges revoke execute on functions from public;
alter default privileges for role vicket_owner revoke execute on functions from public;
alter default privileges for role vicket_definer revoke execute on functions from public;

create schema vicket authorization vicket_owner;
create schema ctx authorization vicket_owner;
create schema auth authorization vicket_owner;
create schema worker authorization vicket_owner;
create schema admin authorization vicket_owner;

set local role vicket_owner;

comment on schema vicket is 'Tables. Every one has org_id, ENABLE and FORCE ROW LEVEL SECURITY, and policies by role.';
comment on schema ctx is 'The context of a request, as policies read it. Set transaction-locally by auth.enter.';
comment on schema auth is 'Resolvers: a gate executes one to become a tenant. SECURITY DEFINER, owned by vicket_definer.';
comment on schema worker is 'Background work: batches of counts, expiry. SECURITY DEFINER, for vicket_worker only.';
comment on schema admin is 'Administration commands. SECURITY DEFINER, for vicket_operator only.';

grant usage on schema vicket to vicket_widget, vicket_operator, vicket_definer;
grant usage on schema ctx to vicket_widget, vicket_operator, vicket_definer;
grant usage on schema auth to vicket_gate_widget, vicket_definer;
grant usage on schema worker to vicket_worker, vicket_definer;
grant usage on schema admin to vicket_operator, vicket_definer;
-- Not granted: anything to vicket_agent and vicket_gate_agent (no table serves agents yet), vicket to the gates.

-- The context. After a transaction a custom setting is '' and not NULL, hence nullif: without it only reused
-- connections would fail. STABLE, never IMMUTABLE: an immutable helper in a prepared statement served one site's row
-- to another. Plain SQL, so that the planner inlines them; policies read them as (select ctx.x()), once a statement.
create function ctx.org_id() returns uuid
  language sql stable parallel safe
  return nullif(current_setting('app.org_id', true), '')::uuid;

create function ctx.site_id() returns uuid
  language sql stable parallel safe
  return nullif(current_setting('app.site_id', true), '')::uuid;

create function ctx.key_hash() returns bytea
  language sql stable parallel safe
  return decode(nullif(current_setting('app.key_hash', true), ''), 'hex');

create function ctx.ticket_hash() returns bytea
  language sql stable parallel safe
  return decode(nullif(current_setting('app.ticket_hash', true), ''), 'hex');

create function ctx.submission_hash() returns bytea
  language sql stable parallel safe
  return decode(nullif(current_setting('app.submission_hash', true), ''), 'hex');

comment on function ctx.org_id() is 'The org of this transaction; NULL outside a tenant, which matches no row.';
comment on function ctx.site_id() is 'The site of this transaction; NULL outside a tenant, which matches no row.';
comment on function ctx.key_hash() is 'SHA-256 of the publishable key that opened this transaction.';
comment on function ctx.ticket_hash() is 'SHA-256 of the ticket token sent with this request, or of the one being issued.';
comment on function ctx.submission_hash() is 'Digests of an Idempotency-Key and of its request, once claimed (64 bytes).';

grant execute on function ctx.org_id(), ctx.site_id() to vicket_widget, vicket_operator, vicket_definer;
grant execute on function ctx.key_hash(), ctx.ticket_hash(), ctx.submission_hash() to vicket_definer;

grant create on schema ctx to vicket_definer;
reset role;

-- The seal. A plain setting stops no SQL injection, so a RESTRICTIVE policy on every table of the widget also demands
-- that the row belongs to the key whose hash is in the context: an injected statement would have to know another
-- site's key. Any key ever issued maps to its site, revoked ones too: whether a key is good is asked once, by
-- auth.enter, or a rotation in mid-request would turn a good request into an empty answer.
set local role vicket_definer;

create function ctx.site_by_key() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (select k.site_id from vicket.site_keys k where k.key_hash = ctx.key_hash());
end $$;

create function ctx.org_by_key() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (select k.org_id from vicket.site_keys k where k.key_hash = ctx.key_hash());
end $$;

comment on function ctx.site_by_key() is 'The site of the key whose hash is in the context. Only the restrictive policies ask.';
comment on function ctx.org_by_key() is 'The org of the key whose hash is in the context. Only the restrictive policies ask.';

grant execute on function ctx.site_by_key(), ctx.org_by_key() to vicket_widget;

reset role;
set local role vicket_owner;
revoke create on schema ctx from vicket_definer;
reset role;
