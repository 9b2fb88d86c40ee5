-- auth.enter: how a request becomes a tenant, in the one message that also begins its transaction.

set local role vicket_owner;
grant create on schema auth, ctx to vicket_definer;
reset role;
set local role vicket_definer;

-- One row, always; never an error: a refused key must cost a ROLLBACK and no connection.
--   verdict        'entered': the context is set; 'unknown': no such key is active or staged, and nothing is set
--   origin_listed  the request's origin (as SHA-256; empty when it sent none) is in this site's list
--   origin_known   it is in some site's list: a 401 may then be read by that page
create function auth.enter(
  p_key_hash bytea, p_origin_hash bytea, p_ticket_hash bytea,
  out verdict text, out key_id uuid, out key_state text, out org_id uuid, out site_id uuid,
  out content_version bigint,
  out reads_per_minute integer, out writes_per_minute integer,
  out network_reads_per_minute integer, out network_writes_per_minute integer,
  out origin_listed boolean, out origin_known boolean
)
  language plpgsql volatile security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  select 'entered', k.id, k.state, k.org_id, k.site_id, s.content_version,
      s.reads_per_minute, s.writes_per_minute, s.network_reads_per_minute, s.network_writes_per_minute
    into enter.verdict, enter.key_id, enter.key_state, enter.org_id, enter.site_id, enter.content_version,
      enter.reads_per_minute, enter.writes_per_minute, enter.network_reads_per_minute, enter.network_writes_per_minute
    from vicket.site_keys k
    join vicket.sites s on s.org_id = k.org_id and s.id = k.site_id
    where k.key_hash = p_key_hash and k.state in ('active', 'staged');

  if enter.verdict is null then
    enter.verdict := 'unknown';
    enter.origin_listed := false;
    enter.origin_known := p_origin_hash <> '' and exists (
      select from vicket.site_origins o where o.origin_hash = p_origin_hash
    );
    return;
  end if;

  enter.origin_listed := p_origin_hash <> '' and exists (
    select from vicket.site_origins o
    where o.org_id = enter.org_id and o.site_id = enter.site_id and o.origin_hash = p_origin_hash
  );
  enter.origin_known := enter.origin_listed;
  perform set_config('app.org_id', enter.org_id::text, true);
  perform set_config('app.site_id', enter.site_id::text, true);
  perform set_config('app.key_hash', encode(p_key_hash, 'hex'), true);
  -- Also when it sent none: what an injected SET left in this session must not be this request's.
  perform set_config('app.ticket_hash', encode(p_ticket_hash, 'hex'), true);
  perform set_config('app.submission_hash', '', true);
end $$;

-- A preflight carries no key: its browser may try when some site lists the origin.
create function auth.origin_known(p_origin_hash bytea) returns boolean
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (select from vicket.site_origins o where o.origin_hash = p_origin_hash);
end $$;

-- For key/check: the listed origins, so that it can say which part of the sent one differs. Through a function and not
-- through a grant: no SELECT of the widget lists what it is checked against.
create function ctx.listed_origins() returns setof text
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select o.origin
    from vicket.site_origins o
    where o.org_id = ctx.org_by_key() and o.site_id = ctx.site_by_key();
end $$;

comment on function auth.enter(bytea, bytea, bytea) is
  'Resolves a publishable key by its SHA-256 and sets the context of this transaction. One row; never raises.';
comment on function auth.origin_known(bytea) is 'Whether some site lists the origin with this SHA-256; for preflights.';
comment on function ctx.listed_origins() is 'The origins of the key''s own site, for key/check.';

grant execute on function auth.enter(bytea, bytea, bytea), auth.origin_known(bytea) to vicket_gate_widget;
grant execute on function ctx.listed_origins() to vicket_widget;

reset role;
set local role vicket_owner;
revoke create on schema auth, ctx from vicket_definer;
reset role;
