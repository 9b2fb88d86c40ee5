-- What the migrations make, as it is after all of them. Generated from the catalog: `just isolation` writes it, a test
-- compares it. `vicket audit show NAME` prints one table or function of a database.
--
-- First the schemas and the context that policies ask, then each table with its policies, grants and triggers, then what
-- a gate, background work and administration may execute. The roles are in roles.sql. The views of the schema audit are
-- the lints, src/audit/lints.

set check_function_bodies = off;
-- What is executable by PUBLIC would say so.
alter default privileges revoke execute on functions from public;

create schema vicket authorization vicket_owner;
grant usage on schema vicket to vicket_widget, vicket_agent, vicket_mail, vicket_operator, vicket_definer;

create schema ctx authorization vicket_owner;
grant usage on schema ctx to vicket_widget, vicket_agent, vicket_mail, vicket_operator, vicket_definer;

create schema auth authorization vicket_owner;
grant usage on schema auth to vicket_definer, vicket_gate_agent, vicket_gate_mail, vicket_gate_widget;

create schema worker authorization vicket_owner;
grant usage on schema worker to vicket_definer, vicket_worker;

create schema admin authorization vicket_owner;
grant usage on schema admin to vicket_operator, vicket_definer;

create schema archive authorization vicket_owner;
comment on schema archive is
  'Months of the audit log after `vicket audit detach`: to be dumped, kept as long as is needed, and dropped.';

create schema audit authorization vicket_owner;
comment on schema audit is
  'Isolation, for a DBA: views over pg_catalog that run as whoever reads them. No tenant''s row.';
grant usage on schema audit to vicket_auditor;

alter default privileges for role vicket_definer revoke execute on functions from public;
alter default privileges for role vicket_owner revoke execute on functions from public;

-- ---------------------------------------------------------------------------------------------------------------------
-- What functions return
create type auth.site_entry as (verdict text, key_id uuid, key_state text, org_id uuid, site_id uuid,
  content_version bigint, views_version bigint, reads_per_minute integer, writes_per_minute integer,
  network_reads_per_minute integer, network_writes_per_minute integer, origin_listed boolean, origin_known boolean);
alter type auth.site_entry owner to vicket_owner;
create type auth.org_entry as (verdict text, actor_id uuid, email text, name text, org_id uuid, role text,
  permissions text[]);
alter type auth.org_entry owner to vicket_owner;
create type auth.read_site as (entry auth.site_entry, name text, slug text, org_name text, article_count bigint,
  faq_count bigint);
alter type auth.read_site owner to vicket_owner;
create type auth.read_article as (entry auth.site_entry, id uuid, slug text, title text, excerpt text,
  view_count bigint, published_at timestamp with time zone, updated_at timestamp with time zone, rank bigint,
  body_markdown text, body_html text);
alter type auth.read_article owner to vicket_owner;
create type auth.read_faq as (entry auth.site_entry, id uuid, question text, answer_markdown text, answer_html text,
  "position" integer);
alter type auth.read_faq owner to vicket_owner;
create type auth.read_form as (entry auth.site_entry, part text, parent_id uuid, id uuid, label text, description text,
  type text, required boolean, "position" integer);
alter type auth.read_form owner to vicket_owner;
create type auth.read_word as (entry auth.site_entry, word text);
alter type auth.read_word owner to vicket_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions of ctx
create function ctx.org_id() returns uuid
  language sql stable parallel safe
as $$ select nullif(pg_catalog.current_setting('app.org_id', true), '')::uuid $$;
alter function ctx.org_id() owner to vicket_owner;
grant execute on function ctx.org_id() to vicket_widget, vicket_agent, vicket_mail, vicket_operator, vicket_definer;

create function ctx.site_id() returns uuid
  language sql stable parallel safe
as $$ select nullif(pg_catalog.current_setting('app.site_id', true), '')::uuid $$;
alter function ctx.site_id() owner to vicket_owner;
grant execute on function ctx.site_id() to vicket_widget, vicket_agent, vicket_mail, vicket_operator, vicket_definer;

create function ctx.digest(p_of text) returns bytea
  language sql stable parallel safe
as $$ select pg_catalog.decode(nullif(pg_catalog.current_setting('app.' || p_of || '_hash', true), ''), 'hex') $$;
alter function ctx.digest(text) owner to vicket_owner;
grant execute on function ctx.digest(text) to vicket_widget, vicket_agent, vicket_operator, vicket_definer;

create function ctx.operates() returns boolean
  language sql stable parallel safe
as $$ select pg_catalog.current_setting('role') = 'vicket_operator' $$;
alter function ctx.operates() owner to vicket_owner;
grant execute on function ctx.operates() to vicket_widget, vicket_agent, vicket_operator, vicket_definer;

create function ctx.needs_actor() returns boolean
  language sql stable parallel safe
as $$ select session_user = 'vicket_gate_agent' $$;
alter function ctx.needs_actor() owner to vicket_owner;
grant execute on function ctx.needs_actor() to vicket_widget, vicket_agent, vicket_operator, vicket_definer;

create function ctx.site_by_key() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$ begin return (select k.site_id from vicket.site_keys k where k.key_hash = ctx.digest('key')); end $$;
alter function ctx.site_by_key() owner to vicket_definer;
comment on function ctx.site_by_key() is 'The site of the key in the context. Definer: no request may read digests.';
grant execute on function ctx.site_by_key() to vicket_widget;

create function ctx.org_by_key() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$ begin return (select k.org_id from vicket.site_keys k where k.key_hash = ctx.digest('key')); end $$;
alter function ctx.org_by_key() owner to vicket_definer;
comment on function ctx.org_by_key() is 'The org of the key in the context. Definer: no request may read digests.';
grant execute on function ctx.org_by_key() to vicket_widget;

create function ctx.permissions_of(p_role text) returns text[]
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return array(select p.permission from vicket.role_permissions p where p.role = p_role order by p.permission);
end $$;
alter function ctx.permissions_of(text) owner to vicket_definer;
comment on function ctx.permissions_of(text) is 'What a role may do, sorted. Definer: the matrix is granted to nobody.';
grant execute on function ctx.permissions_of(text) to vicket_agent, vicket_operator, vicket_owner;

create function ctx.session_user_id(p_token_hash bytea) returns uuid
  language plpgsql stable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (select s.user_id from vicket.sessions s where s.token_hash = p_token_hash
    and s.last_used_at > now() - interval '14 days' and s.created_at > now() - interval '90 days'
    and (s.org_ids is null or ctx.org_id() is null or ctx.org_id() = any (s.org_ids)));
end $$;
alter function ctx.session_user_id(bytea) owner to vicket_definer;

create function ctx.actor(out user_id uuid, out machine_key_id uuid, out role text,
  out permissions text[]) returns record
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person uuid := ctx.session_user_id(ctx.digest('session'));
  machine_key uuid;
  given text[];
begin
  if person is null then
    select k.created_by, k.id, k.permissions into person, machine_key, given from vicket.machine_keys k
      where k.key_hash = ctx.digest('machine_key') and k.org_id = ctx.org_id()
        and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
  end if;
  select m.user_id, machine_key, m.role,
      array(select p from unnest(ctx.permissions_of(m.role)) p where given is null or p = any (given))
    into actor.user_id, actor.machine_key_id, actor.role, actor.permissions
    from vicket.members m where m.org_id = ctx.org_id() and m.user_id = person;
end $$;
alter function ctx.actor() owner to vicket_definer;
comment on function ctx.actor() is 'Who acts here, and what they may do now. Definer: no request may read digests.';
grant execute on function ctx.actor() to vicket_agent, vicket_operator, vicket_owner;

create function ctx.may(p_permission text) returns boolean
  language sql stable parallel safe
as $$ select coalesce(p_permission = any ((ctx.actor()).permissions), false) or ctx.operates() $$;
alter function ctx.may(text) owner to vicket_owner;
grant execute on function ctx.may(text) to vicket_agent, vicket_operator, vicket_definer;

create function ctx.may_all(p_permissions text[]) returns boolean
  language sql stable parallel safe
as $$ select coalesce(p_permissions <@ (ctx.actor()).permissions, false) or ctx.operates() $$;
alter function ctx.may_all(text[]) owner to vicket_owner;
grant execute on function ctx.may_all(text[]) to vicket_agent, vicket_operator, vicket_definer;

create function ctx.may_grant(p_role text) returns boolean
  language sql stable parallel safe
as $$ select ctx.may_all(ctx.permissions_of(p_role)) $$;
alter function ctx.may_grant(text) owner to vicket_owner;
grant execute on function ctx.may_grant(text) to vicket_agent, vicket_operator, vicket_definer;

create function ctx.is_member() returns boolean
  language sql stable parallel safe
as $$ select (ctx.actor()).role is not null $$;
alter function ctx.is_member() owner to vicket_owner;
grant execute on function ctx.is_member() to vicket_agent, vicket_operator, vicket_definer;

create function ctx.actor_user_id() returns uuid
  language sql stable parallel safe
as $$ select (ctx.actor()).user_id $$;
alter function ctx.actor_user_id() owner to vicket_owner;
grant execute on function ctx.actor_user_id() to vicket_agent, vicket_operator, vicket_definer;

create function ctx.actor_name() returns text
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
begin
  if who.machine_key_id is not null then
    return (select 'machine key ' || k.name from vicket.machine_keys k
      where k.org_id = ctx.org_id() and k.id = who.machine_key_id);
  end if;
  return coalesce(
    (select u.email from vicket.users u where u.id = who.user_id),
    case when session_user = 'vicket_worker' then nullif(current_setting('app.actor', true), '') end,
    'cli');
end $$;
alter function ctx.actor_name() owner to vicket_definer;
comment on function ctx.actor_name() is
  'Whoever acts, as people call them: an e-mail, `machine key NAME`, `retention`, or `cli`. Definer: no request may '
  'read users.';
grant execute on function ctx.actor_name() to vicket_agent, vicket_operator, vicket_owner;

create function ctx.memberships() returns table(org_id uuid, slug text, name text, created_at timestamp with time zone,
  role text, permissions text[])
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  person constant uuid := ctx.session_user_id(ctx.digest('session'));
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = ctx.digest('session'));
  who record;
begin
  if person is not null then
    return query
      select o.id, o.slug, o.name, o.created_at, m.role, ctx.permissions_of(m.role)
      from vicket.members m
      join vicket.orgs o on o.id = m.org_id
      where m.user_id = person and (within is null or m.org_id = any (within))
      order by o.slug;
    return;
  end if;
  who := ctx.actor();
  return query
    select o.id, o.slug, o.name, o.created_at, who.role, who.permissions
    from vicket.orgs o
    where o.id = ctx.org_id() and who.role is not null;
end $$;
alter function ctx.memberships() owner to vicket_definer;
comment on function ctx.memberships() is
  'The orgs of whoever acts, with their role and permissions. Definer: no request may read users.';
grant execute on function ctx.memberships() to vicket_agent;

create function ctx.people() returns table(user_id uuid, email text, name text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select u.id, u.email, coalesce(a.name, u.name)
    from vicket.members m
    join vicket.users u on u.id = m.user_id
    left join vicket.unproven_accounts a on a.org_id = m.org_id and a.user_id = m.user_id
    where m.org_id = ctx.org_id() and (select ctx.is_member() or ctx.operates());
end $$;
alter function ctx.people() owner to vicket_definer;
comment on function ctx.people() is
  'Ids, e-mails and names of this org''s members. Definer: no request may read users.';
grant execute on function ctx.people() to vicket_agent, vicket_operator;

create function ctx.sees_all_sites() returns boolean
  language plpgsql stable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
begin
  return who.role in ('owner', 'admin')
    or ctx.operates()
    or who.role is not null and not exists (
      select from vicket.team_members m where m.org_id = ctx.org_id() and m.user_id = who.user_id
    );
end $$;
alter function ctx.sees_all_sites() owner to vicket_owner;
comment on function ctx.sees_all_sites() is
  'Whether whoever acts sees the tickets of every site: an owner, an admin, a member of no team, a command.';
grant execute on function ctx.sees_all_sites() to vicket_agent, vicket_definer;

create function ctx.team_site_ids() returns setof uuid
  language plpgsql stable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select s.site_id
    from vicket.team_members m
    join vicket.team_sites s on s.org_id = m.org_id and s.team_id = m.team_id
    where m.org_id = ctx.org_id() and m.user_id = ctx.actor_user_id();
end $$;
alter function ctx.team_site_ids() owner to vicket_owner;
comment on function ctx.team_site_ids() is 'The sites of the teams of whoever acts.';
grant execute on function ctx.team_site_ids() to vicket_agent, vicket_definer;

create function ctx.ticket_id() returns uuid
  language plpgsql parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
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
alter function ctx.ticket_id() owner to vicket_definer;
comment on function ctx.ticket_id() is
  'The ticket that the token in the context opens; NULL when it opens none of the key''s site. Definer: no request '
  'may read digests.';
grant execute on function ctx.ticket_id() to vicket_widget;

create function ctx.may_issue_token(p_ticket_id uuid) returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform
    from vicket.site_keys k
    join vicket.tickets t on t.org_id = k.org_id and t.site_id = k.site_id
    where k.key_hash = ctx.digest('key') and t.id = p_ticket_id;
  return not found
    or exists (
      select from vicket.site_keys k
      join vicket.submissions s on s.org_id = k.org_id and s.site_id = k.site_id
      where k.key_hash = ctx.digest('key') and s.ticket_id = p_ticket_id
        and s.kind = 'ticket'
        and s.key_hash || s.request_hash = ctx.digest('submission')
        and s.created_at > now() - interval '24 hours'
    );
end $$;
alter function ctx.may_issue_token(uuid) owner to vicket_definer;
comment on function ctx.may_issue_token(uuid) is
  'Whether this transaction may issue a token for the ticket: a new one, or its own repeated. Definer: no request may '
  'read digests.';
grant execute on function ctx.may_issue_token(uuid) to vicket_widget;

create function ctx.claim_submission(p_kind text, p_key_hash bytea, p_request_hash bytea, out verdict text,
  out ticket_id uuid, out message_id uuid) returns record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  kept record;
begin
  claim_submission.ticket_id := case p_kind when 'ticket' then gen_random_uuid() else ctx.ticket_id() end;
  if claim_submission.ticket_id is null then
    claim_submission.verdict := 'no_ticket';
    return;
  end if;
  claim_submission.message_id := gen_random_uuid();
  insert into vicket.submissions as s (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
    values (ctx.org_by_key(), ctx.site_by_key(), p_key_hash, p_request_hash, p_kind, claim_submission.ticket_id,
      claim_submission.message_id)
    on conflict (org_id, site_id, key_hash) do update
      set request_hash = excluded.request_hash, kind = excluded.kind, ticket_id = excluded.ticket_id,
        message_id = excluded.message_id, created_at = now()
      where s.created_at <= now() - interval '24 hours';
  if found then
    claim_submission.verdict := 'new';
    return;
  end if;

  select s.request_hash, s.kind, s.ticket_id, s.message_id
    into strict kept
    from vicket.submissions s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.key_hash = p_key_hash;
  claim_submission.ticket_id := null;
  claim_submission.message_id := null;
  if kept.kind <> p_kind or kept.request_hash <> p_request_hash then
    claim_submission.verdict := 'conflict';
    return;
  end if;
  perform set_config('app.submission_hash', encode(p_key_hash || p_request_hash, 'hex'), true);
  claim_submission.verdict := 'repeat';
  claim_submission.ticket_id := kept.ticket_id;
  claim_submission.message_id := kept.message_id;
end $$;
alter function ctx.claim_submission(text,bytea,bytea) owner to vicket_definer;
comment on function ctx.claim_submission(text,bytea,bytea) is
  'Claims an Idempotency-Key: new, repeat (with the ids of then), conflict or no_ticket. Definer: no request may read '
  'digests.';
grant execute on function ctx.claim_submission(text,bytea,bytea) to vicket_widget;

create function ctx.template_ids() returns setof uuid
  language plpgsql stable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query select s.template_id from vicket.template_sites s where s.site_id = ctx.site_id();
end $$;
alter function ctx.template_ids() owner to vicket_owner;
comment on function ctx.template_ids() is 'The ticket forms that the site of the context offers.';
grant execute on function ctx.template_ids() to vicket_widget;

create function ctx.scored_answers(p_org_id uuid, p_template_id uuid, p_answers jsonb) returns table(line integer,
  label text, value text, points integer)
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select row_number() over (order by q.position, q.id)::integer, q.label,
    case q.type
      when 'select' then o.label
      when 'checkbox' then case when a.value = 'true' then 'yes' else 'no' end
      else a.value
    end,
    case q.type
      when 'select' then o.points
      when 'checkbox' then case when a.value = 'true' then q.points else 0 end
      else 0
    end
  from jsonb_each_text(p_answers) as a (question_id, value)
  join vicket.template_questions q
    on q.org_id = p_org_id and q.template_id = p_template_id and q.id::text = a.question_id
  left join vicket.template_options o
    on o.org_id = q.org_id and o.template_id = q.template_id and o.question_id = q.id and o.id::text = a.value
  where q.type <> 'select' or o.id is not null
  order by 1
$$;
alter function ctx.scored_answers(uuid,uuid,jsonb) owner to vicket_owner;
comment on function ctx.scored_answers(uuid,uuid,jsonb) is
  'What answers to a form are worth, line by line. Runs as its caller.';
grant execute on function ctx.scored_answers(uuid,uuid,jsonb) to vicket_agent, vicket_definer;

create function ctx.priority_reached(p_org_id uuid, p_template_id uuid, p_score integer) returns uuid
  language sql stable
  set search_path = pg_catalog, pg_temp
as $$
  select h.priority_id
  from vicket.template_thresholds h
  where h.org_id = p_org_id and h.template_id = p_template_id and h.points <= p_score
  order by h.points desc
  limit 1
$$;
alter function ctx.priority_reached(uuid,uuid,integer) owner to vicket_owner;
comment on function ctx.priority_reached(uuid,uuid,integer) is
  'The priority of the highest threshold that a score reaches. Runs as its caller.';
grant execute on function ctx.priority_reached(uuid,uuid,integer) to vicket_agent, vicket_definer;

create function ctx.score_ticket(p_ticket_id uuid, p_template_id uuid, p_answers jsonb) returns text
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  total integer;
begin
  if p_ticket_id is distinct from ctx.ticket_id()
    or not exists (
      select from vicket.template_sites s
      where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.template_id = p_template_id
    )
    or not exists (
      select from vicket.tickets t
      where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = p_ticket_id
        and t.created_at = now() and t.template_name is null
    )
  then
    return 'refused';
  end if;

  total := (
    select coalesce(sum(a.points), 0) from ctx.scored_answers(ctx.org_by_key(), p_template_id, p_answers) a
  );
  insert into vicket.ticket_answers (org_id, site_id, ticket_id, position, label, value, points)
    select ctx.org_by_key(), ctx.site_by_key(), p_ticket_id, a.line, a.label, a.value, a.points
    from ctx.scored_answers(ctx.org_by_key(), p_template_id, p_answers) a;
  update vicket.tickets t
    set template_name = (
        select f.name from vicket.templates f where f.org_id = ctx.org_by_key() and f.id = p_template_id
      ),
      score = total,
      priority_id = coalesce(ctx.priority_reached(ctx.org_by_key(), p_template_id, total), t.priority_id)
    where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = p_ticket_id;
  return 'scored';
end $$;
alter function ctx.score_ticket(uuid,uuid,jsonb) owner to vicket_definer;
comment on function ctx.score_ticket(uuid,uuid,jsonb) is
  'Stores the answers of the ticket that this transaction submitted, and its score. Definer: customers may not read '
  'there.';
grant execute on function ctx.score_ticket(uuid,uuid,jsonb) to vicket_widget;

create function ctx.remove(p_table text, p_ids uuid[], p_of uuid default null::uuid,
  p_text text default null::text) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org constant uuid := ctx.org_id();
  gone bigint;
begin
  case p_table
    when 'articles' then
      delete from vicket.articles t where t.org_id = org and t.id = any (p_ids);
    when 'faqs' then
      delete from vicket.faqs t where t.org_id = org and t.id = any (p_ids);
    when 'invitations' then
      delete from vicket.invitations t where t.org_id = org and t.id = any (p_ids);
    when 'members' then
      delete from vicket.members t where t.org_id = org and t.user_id = any (p_ids);
    when 'refused_origins' then
      delete from vicket.refused_origins t
        where t.org_id = org and t.site_id = p_of and (p_text is null or t.origin = p_text);
    when 'saved_replies' then
      delete from vicket.saved_replies t where t.org_id = org and t.id = any (p_ids);
    when 'site_origins' then
      delete from vicket.site_origins t where t.org_id = org and t.site_id = p_of and t.origin = p_text;
    when 'suppressions' then
      delete from vicket.suppressions t where t.org_id = org and (p_of is null or t.site_id = p_of) and t.id = any (p_ids);
    when 'team_members' then
      delete from vicket.team_members t where t.org_id = org and t.team_id = p_of and t.user_id = any (p_ids);
    when 'team_sites' then
      delete from vicket.team_sites t where t.org_id = org and t.team_id = p_of and t.site_id = any (p_ids);
    when 'teams' then
      delete from vicket.teams t where t.org_id = org and t.id = any (p_ids);
    when 'template_questions' then
      delete from vicket.template_questions t where t.org_id = org and t.template_id = p_of;
    when 'template_sites' then
      delete from vicket.template_sites t where t.org_id = org and t.template_id = p_of;
    when 'template_thresholds' then
      delete from vicket.template_thresholds t where t.org_id = org and t.template_id = p_of;
    when 'templates' then
      delete from vicket.templates t where t.org_id = org and t.id = any (p_ids);
    when 'tickets' then
      delete from vicket.tickets t where t.org_id = org and t.id = any (p_ids);
  end case;
  get diagnostics gone = row_count;
  return gone;
end $$;
alter function ctx.remove(text,uuid[],uuid,text) owner to vicket_definer;
comment on function ctx.remove(text,uuid[],uuid,text) is
  'Deletes rows; says how many. Definer: with DELETE a request could lock a table.';
grant execute on function ctx.remove(text,uuid[],uuid,text) to vicket_agent, vicket_operator;

create function ctx.remove_large(p_table text, p_id uuid) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  at_once constant integer := 1000;
  org constant uuid := ctx.org_id();
  permission constant text := case p_table
    when 'orgs' then 'org:delete' when 'sites' then 'site:delete'
    when 'statuses' then 'status:edit' when 'priorities' then 'priority:edit'
  end;
  of_sites constant uuid[] := case p_table
    when 'sites' then array[p_id]
    when 'orgs' then array(select s.id from vicket.sites s where s.org_id = org)
  end;
  total bigint;
  each uuid;
begin
  if not coalesce(ctx.may(permission), false) then
    raise exception '% is needed', permission using errcode = 'insufficient_privilege';
  end if;
  -- No longer than is needed to know that it is too much.
  total := case p_table
    when 'statuses' then (
      select count(*) from (select from vicket.tickets t where t.org_id = org and t.status_id = p_id limit at_once + 1) t)
    when 'priorities' then (
      select count(*) from (select from vicket.tickets t where t.org_id = org and t.priority_id = p_id limit at_once + 1) t)
    else (
      select count(*) from (
        select from vicket.tickets t where t.org_id = org and t.site_id = any (of_sites) limit at_once + 1
      ) t) + (
      select count(*) from (
        select from vicket.articles a
        where a.org_id = org and (p_table = 'orgs' or a.site_id = any (of_sites))
        limit at_once + 1
      ) a)
  end;
  if total <= at_once and p_table in ('orgs', 'sites') then
    -- Articles before their site, in order: as worker.add_views takes them.
    perform from vicket.articles a
      where a.org_id = org and (p_table = 'orgs' or a.site_id = any (of_sites))
      order by a.id
      for share;
  end if;

  case p_table
    when 'orgs' then
      update vicket.orgs o set deleted_at = now() where o.id = org and o.id = p_id and o.deleted_at is null;
    when 'sites' then
      update vicket.sites s set deleted_at = now() where s.org_id = org and s.id = p_id and s.deleted_at is null;
    when 'statuses' then
      update vicket.statuses s set deleted_at = now() where s.org_id = org and s.id = p_id and s.deleted_at is null;
    when 'priorities' then
      update vicket.priorities p set deleted_at = now() where p.org_id = org and p.id = p_id and p.deleted_at is null;
  end case;
  if not found then
    return false;
  end if;
  if p_table in ('orgs', 'sites') then
    update vicket.sites s set deleted_at = now() where s.org_id = org and s.id = any (of_sites) and s.deleted_at is null;
    update vicket.site_keys k
      set state = 'revoked', revoked_at = now()
      where k.org_id = org and k.site_id = any (of_sites) and k.state <> 'revoked';
    delete from vicket.site_origins o where o.org_id = org and o.site_id = any (of_sites);
  end if;

  if total > at_once then
    insert into vicket.jobs (kind, subject_id, total)
      values (
        case p_table when 'orgs' then 'remove_org' when 'sites' then 'remove_site'
          when 'statuses' then 'remove_status' else 'remove_priority' end,
        p_id,
        (select count(*) from vicket.tickets t
          where t.org_id = org and case p_table
            when 'orgs' then true
            when 'sites' then t.site_id = p_id
            when 'statuses' then t.status_id = p_id
            else t.priority_id = p_id
          end)
      );
    if p_table = 'orgs' then
      delete from vicket.members m where m.org_id = org;
    end if;
    return true;
  end if;

  case p_table
    when 'statuses' then
      update vicket.tickets t
        set status_id = (select s.id from vicket.statuses s where s.org_id = org and s.is_default)
        where t.org_id = org and t.status_id = p_id;
      delete from vicket.statuses s where s.org_id = org and s.id = p_id;
    when 'priorities' then
      update vicket.tickets t
        set priority_id = (select p.id from vicket.priorities p where p.org_id = org and p.is_default)
        where t.org_id = org and t.priority_id = p_id;
      delete from vicket.priorities p where p.org_id = org and p.id = p_id;
    else
      delete from vicket.articles a where a.org_id = org and (p_table = 'orgs' or a.site_id = any (of_sites));
      foreach each in array of_sites loop
        delete from vicket.sites s where s.org_id = org and s.id = each;
      end loop;
      if p_table = 'orgs' then
        delete from vicket.orgs o where o.id = org;
      end if;
  end case;
  return true;
end $$;
alter function ctx.remove_large(text,uuid) owner to vicket_definer;
comment on function ctx.remove_large(text,uuid) is
  'Deletes an org, site, status or priority, at once or as a job; says whether it was there. Definer: with DELETE a '
  'request could lock a table.';
grant execute on function ctx.remove_large(text,uuid) to vicket_agent, vicket_operator;

create function ctx.words_of_org(p_org_id uuid, p_document tsvector) returns tsvector
  language plpgsql immutable parallel safe strict
  set search_path = pg_catalog, pg_temp
as $$
begin
  return array_to_tsvector(array(
    select left(p_org_id::text, 8) || left(w.word, 500) from unnest(tsvector_to_array(p_document)) as w (word)
  ));
end $$;
alter function ctx.words_of_org(uuid,tsvector) owner to vicket_owner;
comment on function ctx.words_of_org(uuid,tsvector) is
  'Of a document its words, each with the mark of its org: what the indexes tickets_words and ticket_messages_words '
  'hold.';
grant execute on function ctx.words_of_org(uuid,tsvector) to vicket_widget, vicket_agent, vicket_operator,
  vicket_definer;

create function ctx.sought(p_words text) returns tsquery
  language plpgsql immutable parallel safe strict
  set search_path = pg_catalog, pg_temp
as $$
declare
  sought constant text := websearch_to_tsquery('simple', p_words)::text;
begin
  return case
    when p_words ~ '\w$' and sought ~ '(^|[^!''])''[^''0-9-]([^'']|'''')+''$' then sought || ':*'
    else sought
  end;
end $$;
alter function ctx.sought(text) owner to vicket_owner;
comment on function ctx.sought(text) is 'The query that somebody typed; its last word stands for all that begin so.';
grant execute on function ctx.sought(text) to vicket_agent, vicket_definer;

create function ctx.tickets_with_words(p_words text, p_most integer) returns uuid[]
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org constant uuid := ctx.org_id();
  sought constant tsquery := ctx.sought(p_words);
  asked text := querytree(sought);
  indexed tsquery;
  hears constant boolean := ctx.may('ticket:read') or ctx.may('ticket:write');
  sees constant boolean := hears or ctx.may('ticket:assign') or ctx.may('ticket:delete');
  everywhere constant boolean := ctx.sees_all_sites();
  sites constant uuid[] := array(select ctx.team_site_ids());
  found uuid[];
  seen bigint;
begin
  if asked in ('', 'T') then
    return null;
  end if;
  asked := regexp_replace(asked, ' <(-|[0-9]+)> ', ' & ', 'g');
  indexed := regexp_replace(asked, '''((?:[^'']|'''')+)''', '''' || left(org::text, 8) || '\1''', 'g');
  with heads as materialized (
    select t.org_id, t.site_id, t.id, t.search
    from vicket.tickets t where sees and ctx.words_of_org(t.org_id, t.search) @@ indexed
    limit p_most + 1
  ), messages as materialized (
    select m.org_id, m.site_id, m.ticket_id, m.search
    from vicket.ticket_messages m where hears and ctx.words_of_org(m.org_id, m.search) @@ indexed
    limit p_most + 1
  ), documents as (
    select * from heads union all select * from messages
  )
  select
      array_agg(distinct d.id)
        filter (where d.org_id = org and (everywhere or d.site_id = any (sites)) and d.search @@ sought),
      greatest((select count(*) from heads), (select count(*) from messages))
    into found, seen
    from documents d;
  return case when seen <= p_most then coalesce(found, '{}') end;
end $$;
alter function ctx.tickets_with_words(text,integer) owner to vicket_definer;
comment on function ctx.tickets_with_words(text,integer) is
  'Tickets whose words these are, in what was said or who asked; NULL when more than p_most places have them. '
  'Definer: below policies no index of words is asked.';
grant execute on function ctx.tickets_with_words(text,integer) to vicket_agent;

create function ctx.run_again(p_id uuid) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  mail uuid;
begin
  update vicket.tasks t
    set dead_at = null, run_at = now(), attempts = 0
    where t.org_id = ctx.org_id() and t.id = p_id and t.dead_at is not null
      and (ctx.sees_all_sites() or t.site_id = any (array(select ctx.team_site_ids())))
    returning t.subject_id into mail;
  update vicket.mails m
    set state = 'queued', at = clock_timestamp()
    where m.org_id = ctx.org_id() and m.id = mail;
  return case when mail is null then 0 else 1 end;
end $$;
alter function ctx.run_again(uuid) owner to vicket_definer;
comment on function ctx.run_again(uuid) is
  'Runs again what was given up; says how many it was. Definer: no request may write there.';
grant execute on function ctx.run_again(uuid) to vicket_agent;

create function ctx.choose_notifications(p_assigned boolean, p_customer_answered boolean) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
begin
  if who.user_id is null or who.machine_key_id is not null then
    return 0;
  end if;
  insert into vicket.notifications as n (org_id, user_id, assigned, customer_answered)
    values (ctx.org_id(), who.user_id, coalesce(p_assigned, true), coalesce(p_customer_answered, true))
    on conflict (org_id, user_id) do update
      set assigned = coalesce(p_assigned, n.assigned), customer_answered = coalesce(p_customer_answered, n.customer_answered);
  return 1;
end $$;
alter function ctx.choose_notifications(boolean,boolean) owner to vicket_definer;
comment on function ctx.choose_notifications(boolean,boolean) is
  'What a person is told by mail; says of how many. Definer: no request may write there.';
grant execute on function ctx.choose_notifications(boolean,boolean) to vicket_agent;

create function ctx.org_by_mail() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$ begin return (select a.org_id from vicket.mail_addresses a where a.digest = ctx.digest('mail')); end $$;
alter function ctx.org_by_mail() owner to vicket_definer;
comment on function ctx.org_by_mail() is 'The org of the address in the context. Definer: no request may read digests.';
grant execute on function ctx.org_by_mail() to vicket_mail;

create function ctx.site_by_mail() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$ begin return (select a.site_id from vicket.mail_addresses a where a.digest = ctx.digest('mail')); end $$;
alter function ctx.site_by_mail() owner to vicket_definer;
comment on function ctx.site_by_mail() is
  'The site of the address in the context. Definer: no request may read digests.';
grant execute on function ctx.site_by_mail() to vicket_mail;

create function ctx.address_by_mail() returns uuid
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$ begin return (select a.id from vicket.mail_addresses a where a.digest = ctx.digest('mail')); end $$;
alter function ctx.address_by_mail() owner to vicket_definer;
comment on function ctx.address_by_mail() is 'The address in the context. Definer: no request may read digests.';
grant execute on function ctx.address_by_mail() to vicket_mail;

create function ctx.decide_mail(p_site_id uuid, p_id uuid, p_accept boolean) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  decided bigint;
begin
  update vicket.inbound_mails i
    set accepted = p_accept, state = case when p_accept then i.state else 'rejected' end
    where i.org_id = ctx.org_id() and i.site_id = p_site_id and i.id = p_id and i.state = 'held' and not i.accepted
      and (ctx.sees_all_sites() or i.site_id = any (array(select ctx.team_site_ids())));
  get diagnostics decided = row_count;
  if decided > 0 and p_accept then
    insert into vicket.tasks (org_id, site_id, kind, subject_id)
      values (ctx.org_id(), p_site_id, 'inbound', p_id)
      on conflict do nothing;
  end if;
  return decided;
end $$;
alter function ctx.decide_mail(uuid,uuid,boolean) owner to vicket_definer;
comment on function ctx.decide_mail(uuid,uuid,boolean) is
  'Accepts or rejects mail that is held; says how many it was. Definer: no request may write there.';
grant execute on function ctx.decide_mail(uuid,uuid,boolean) to vicket_agent;

create function ctx.set_mail_address(p_site_id uuid, p_address text) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.mail_addresses a
    where a.org_id = ctx.org_id() and a.site_id = p_site_id and a.kind = 'own' and a.address is distinct from p_address;
  insert into vicket.mail_addresses (org_id, site_id, kind, digest, address)
    select s.org_id, s.id, 'own', sha256(convert_to(lower(p_address collate "C"), 'UTF8')), p_address
    from vicket.sites s
    where s.org_id = ctx.org_id() and s.id = p_site_id and p_address is not null and ctx.may('mail:edit')
      and (ctx.sees_all_sites() or s.id = any (array(select ctx.team_site_ids())))
    on conflict do nothing;
  return (
    select count(*)
    from vicket.mail_addresses a
    where a.org_id = ctx.org_id() and a.site_id = p_site_id and a.kind = 'own' and a.address = p_address
  );
end $$;
alter function ctx.set_mail_address(uuid,text) owner to vicket_definer;
comment on function ctx.set_mail_address(uuid,text) is
  'Says the address of a site, and how many it has then. Definer: no request may write there.';
grant execute on function ctx.set_mail_address(uuid,text) to vicket_agent;

create function ctx.unproven_people() returns setof uuid
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select a.user_id
    from vicket.unproven_accounts a
    where a.org_id = ctx.org_id() and (select ctx.is_member() or ctx.operates());
end $$;
alter function ctx.unproven_people() owner to vicket_definer;
comment on function ctx.unproven_people() is
  'Members of this org who have not proven their address. Definer: no request may read users.';
grant execute on function ctx.unproven_people() to vicket_agent, vicket_operator;

create function ctx.remove_dkim_key(p_site_id uuid, p_selector text) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.dkim_keys k
    where k.org_id = ctx.org_id() and k.site_id = p_site_id and k.selector = p_selector;
  get diagnostics gone = row_count;
  return gone;
end $$;
alter function ctx.remove_dkim_key(uuid,text) owner to vicket_definer;
comment on function ctx.remove_dkim_key(uuid,text) is
  'Removes a key; says how many it was. Definer: with DELETE a request could lock a table.';
grant execute on function ctx.remove_dkim_key(uuid,text) to vicket_agent;

create function ctx.remove_draft(p_ticket_id uuid, p_kind text) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.ticket_drafts d
    using vicket.tickets t
    where t.org_id = ctx.org_id() and t.id = p_ticket_id
      and d.org_id = t.org_id and d.site_id = t.site_id and d.ticket_id = t.id
      and d.user_id = ctx.actor_user_id() and d.kind = p_kind;
  return found;
end $$;
alter function ctx.remove_draft(uuid,text) owner to vicket_definer;
comment on function ctx.remove_draft(uuid,text) is
  'Deletes one''s own draft; says whether there was one. Definer: with DELETE a request could lock a table.';
grant execute on function ctx.remove_draft(uuid,text) to vicket_agent;

create function ctx.claim_answer(p_ticket_id uuid, p_key_hash bytea, p_request_hash bytea, out verdict text,
  out message_id uuid) returns record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
alter function ctx.claim_answer(uuid,bytea,bytea) owner to vicket_definer;
comment on function ctx.claim_answer(uuid,bytea,bytea) is
  'Claims the Idempotency-Key of an answer: new, repeat (with the id of then), conflict or no_ticket. Definer: no '
  'request may read digests.';
grant execute on function ctx.claim_answer(uuid,bytea,bytea) to vicket_agent;

create function ctx.remove_view(p_id uuid) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.saved_views v where v.org_id = ctx.org_id() and v.id = p_id;
  return found;
end $$;
alter function ctx.remove_view(uuid) owner to vicket_definer;
comment on function ctx.remove_view(uuid) is
  'Deletes a view; says whether there was one. Definer: with DELETE a request could lock a table.';
grant execute on function ctx.remove_view(uuid) to vicket_agent;

create function ctx.dictionary(p_language text) returns regconfig
  language sql immutable parallel safe strict
as $$
  select case p_language
    when 'de' then 'pg_catalog.german'
    when 'fr' then 'pg_catalog.french'
    when 'es' then 'pg_catalog.spanish'
    else 'pg_catalog.english'
  end::regconfig
$$;
alter function ctx.dictionary(text) owner to vicket_owner;
comment on function ctx.dictionary(text) is 'The dictionary of a language of vicket.sites.';
grant execute on function ctx.dictionary(text) to vicket_widget, vicket_definer;

create function ctx.words_of_help(p_languages text[], p_title text, p_excerpt text, p_text text) returns tsvector
  language plpgsql stable parallel safe
  set search_path = pg_catalog, pg_temp
as $$
declare
  words tsvector := '';
  dictionary regconfig;
begin
  foreach dictionary in array array(select distinct ctx.dictionary(l.code) from unnest(p_languages) as l (code)) loop
    words := words || setweight(to_tsvector(dictionary, p_title), 'A') || setweight(to_tsvector(dictionary, p_excerpt), 'B')
      || setweight(to_tsvector(dictionary, p_text), 'C');
  end loop;
  return words || to_tsvector('pg_catalog.simple', concat_ws(' ', p_title, p_excerpt, p_text));
exception when program_limit_exceeded then
  return ctx.words_of_help(p_languages, p_title, p_excerpt, left(p_text, char_length(p_text) / 2));
end $$;
alter function ctx.words_of_help(text[],text,text,text) owner to vicket_owner;
comment on function ctx.words_of_help(text[],text,text,text) is
  'The words of an article or FAQ, in these languages and as they are written.';
grant execute on function ctx.words_of_help(text[],text,text,text) to vicket_definer;

create function ctx.sought_in_help(p_language text, p_words text) returns tsquery
  language plpgsql stable parallel safe strict
  set search_path = pg_catalog, pg_temp
as $$
declare
  dictionary constant regconfig := ctx.dictionary(p_language);
  sought constant tsquery := websearch_to_tsquery(dictionary, p_words);
  last_word constant text := lower(substring(p_words from '(?:^|\s)([[:alpha:]][[:alnum:]]+)$'));
  stem tsquery;
begin
  if last_word is null or p_words ~ '"' then
    return sought;
  end if;
  stem := plainto_tsquery(dictionary, last_word);
  if numnode(stem) <> 1 then
    return sought;
  end if;
  return replace(sought::text, stem::text, format('(%s | %L:*)', stem, last_word))::tsquery;
end $$;
alter function ctx.sought_in_help(text,text) owner to vicket_owner;
comment on function ctx.sought_in_help(text,text) is
  'The query that somebody typed; its last word stands for all that begin so.';
grant execute on function ctx.sought_in_help(text,text) to vicket_widget;

create function ctx.remove_tag(p_id uuid) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.tags t where t.org_id = ctx.org_id() and t.id = p_id;
  return found;
end $$;
alter function ctx.remove_tag(uuid) owner to vicket_definer;
comment on function ctx.remove_tag(uuid) is
  'Deletes a tag; says whether there was one. Definer: with DELETE a request could lock a table.';
grant execute on function ctx.remove_tag(uuid) to vicket_agent;

create function ctx.untag(p_ticket_ids uuid[], p_tag_ids uuid[]) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.ticket_tags g
    using vicket.tickets t
    where t.org_id = ctx.org_id() and t.id = any ((select p_ticket_ids)::uuid[])
      and g.org_id = t.org_id and g.site_id = t.site_id and g.ticket_id = t.id and g.tag_id = any ((select p_tag_ids)::uuid[]);
  get diagnostics gone = row_count;
  return gone;
end $$;
alter function ctx.untag(uuid[],uuid[]) owner to vicket_definer;
comment on function ctx.untag(uuid[],uuid[]) is
  'Takes tags off tickets; says how many came off. Definer: with DELETE a request could lock a table.';
grant execute on function ctx.untag(uuid[],uuid[]) to vicket_agent;

create function ctx.claim_opening(p_site_id uuid, p_key_hash bytea, p_request_hash bytea, out verdict text,
  out ticket_id uuid, out message_id uuid) returns record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  who record := ctx.actor();
  org constant uuid := ctx.org_id();
  own constant bytea := sha256(
    p_key_hash || convert_to(concat_ws(' ', 'opening', coalesce(who.machine_key_id, who.user_id)), 'UTF8'));
  kept record;
begin
  if not ctx.may('ticket:write')
    or not (ctx.sees_all_sites() or p_site_id in (select ctx.team_site_ids()))
    or not exists (select from vicket.sites s where s.org_id = org and s.id = p_site_id)
  then
    claim_opening.verdict := 'no_site';
    return;
  end if;
  claim_opening.ticket_id := gen_random_uuid();
  claim_opening.message_id := gen_random_uuid();
  insert into vicket.submissions as s (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
    values (org, p_site_id, own, p_request_hash, 'ticket', claim_opening.ticket_id, claim_opening.message_id)
    on conflict (org_id, site_id, key_hash) do update
      set request_hash = excluded.request_hash, ticket_id = excluded.ticket_id, message_id = excluded.message_id,
        created_at = now()
      where s.created_at <= now() - interval '24 hours';
  if found then
    claim_opening.verdict := 'new';
    return;
  end if;
  select s.request_hash, s.ticket_id, s.message_id into strict kept
    from vicket.submissions s
    where s.org_id = org and s.site_id = p_site_id and s.key_hash = own;
  claim_opening.verdict := case when kept.request_hash = p_request_hash then 'repeat' else 'conflict' end;
  claim_opening.ticket_id := kept.ticket_id;
  claim_opening.message_id := kept.message_id;
end $$;
alter function ctx.claim_opening(uuid,bytea,bytea) owner to vicket_definer;
comment on function ctx.claim_opening(uuid,bytea,bytea) is
  'Claims the Idempotency-Key of a ticket that an agent makes: new, repeat (with the ids of then), conflict or '
  'no_site. Definer: no request may read digests.';
grant execute on function ctx.claim_opening(uuid,bytea,bytea) to vicket_agent;

create function ctx.customer(out id uuid, out email text, out name text) returns record
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if ctx.digest('customer') is null then
    return;
  end if;
  select c.id, c.email, c.name into customer.id, customer.email, customer.name
    from vicket.site_keys k
    join vicket.customer_sessions s on s.org_id = k.org_id and s.site_id = k.site_id
    join vicket.customers c on c.org_id = s.org_id and c.site_id = s.site_id and c.id = s.customer_id
    where k.key_hash = ctx.digest('key') and s.token_hash = ctx.digest('customer')
      and s.ended_at is null and s.created_at > now() - interval '12 hours';
end $$;
alter function ctx.customer() owner to vicket_definer;
comment on function ctx.customer() is
  'Whose session is in the context, of the site of the key. Definer: no request may read digests.';
grant execute on function ctx.customer() to vicket_widget, vicket_agent, vicket_operator;

create function ctx.may_submit(p_email text) returns boolean
  language plpgsql stable parallel safe security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if ctx.digest('customer') is not null then
    return coalesce((ctx.customer()).email = p_email, false);
  end if;
  return not exists (
    select from vicket.site_identities i
    where i.org_id = ctx.org_by_key() and i.site_id = ctx.site_by_key() and i.required
  );
end $$;
alter function ctx.may_submit(text) owner to vicket_definer;
comment on function ctx.may_submit(text) is
  'Whether a ticket may be submitted under an address. Definer: customers may not read there.';
grant execute on function ctx.may_submit(text) to vicket_widget;

create function ctx.as_customer(p_session_hash bytea, p_ticket_id uuid, out id uuid, out email text,
  out name text) returns record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('app.customer_hash', encode(p_session_hash, 'hex'), true),
    set_config('app.customer_ticket', coalesce(p_ticket_id::text, ''), true);
  if p_ticket_id is not null then
    perform set_config('app.ticket_hash', '', true);
  end if;
  select c.id, c.email, c.name into as_customer.id, as_customer.email, as_customer.name from ctx.customer() c;
end $$;
alter function ctx.as_customer(bytea,uuid) owner to vicket_definer;
comment on function ctx.as_customer(bytea,uuid) is
  'Sets a customer''s session, and one of their tickets, and says who they are. Definer: no request may read digests.';
grant execute on function ctx.as_customer(bytea,uuid) to vicket_widget;

create function ctx.end_customer_session() returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.customer_sessions s
    set ended_at = now()
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.token_hash = ctx.digest('customer')
      and s.ended_at is null and s.created_at > now() - interval '12 hours';
  return found;
end $$;
alter function ctx.end_customer_session() owner to vicket_definer;
comment on function ctx.end_customer_session() is
  'Ends the session in the context; says whether it was one. Definer: no request may write there.';
grant execute on function ctx.end_customer_session() to vicket_widget;

create function ctx.customer_id() returns uuid
  language sql stable parallel safe
as $$ select (ctx.customer()).id $$;
alter function ctx.customer_id() owner to vicket_owner;
comment on function ctx.customer_id() is 'Whose session is in the context.';
grant execute on function ctx.customer_id() to vicket_widget, vicket_agent, vicket_operator, vicket_definer;

create function ctx.activity_of_mine(p_ticket_id uuid, out last_at timestamp with time zone,
  out unread bigint) returns record
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  select max(m.created_at),
      count(*) filter (where m.author = 'agent' and m.created_at > coalesce(t.customer_read_at, '-infinity'))
    into activity_of_mine.last_at, activity_of_mine.unread
    from vicket.site_keys k
    join vicket.tickets t on t.org_id = k.org_id and t.site_id = k.site_id
    join vicket.ticket_messages m on m.org_id = t.org_id and m.site_id = t.site_id and m.ticket_id = t.id
    where k.key_hash = ctx.digest('key') and t.id = p_ticket_id and t.customer_id = ctx.customer_id() and not m.internal;
end $$;
alter function ctx.activity_of_mine(uuid) owner to vicket_definer;
comment on function ctx.activity_of_mine(uuid) is
  'When a customer''s ticket was last written to, and how many answers are new. Definer: customers may not read there.';
grant execute on function ctx.activity_of_mine(uuid) to vicket_widget;

create function ctx.note_read() returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.tickets t
    set customer_read_at = clock_timestamp()
    where t.org_id = ctx.org_by_key() and t.site_id = ctx.site_by_key() and t.id = ctx.ticket_id()
      and t.customer_id = ctx.customer_id();
  return found;
end $$;
alter function ctx.note_read() owner to vicket_definer;
comment on function ctx.note_read() is
  'Notes that a customer opened their ticket; says whether it is theirs. Definer: no request may write there.';
grant execute on function ctx.note_read() to vicket_widget;

create function ctx.unmerge(p_ticket_id uuid) returns uuid
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  was vicket.ticket_merges;
begin
  delete from vicket.ticket_merges g
    using vicket.tickets t
    where t.org_id = ctx.org_id() and t.id = p_ticket_id and g.org_id = t.org_id and g.site_id = t.site_id and g.ticket_id = t.id
    returning g.* into was;
  if was.into_id is null then
    return null;
  end if;
  insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before)
    select was.org_id, was.site_id, e.ticket_id, coalesce(nullif(ctx.actor_name(), ''), 'cli'), e.kind,
      s.prefix || '-' || t.number
    from (values (was.ticket_id, 'merged', was.into_id), (was.into_id, 'merge', was.ticket_id)) e (ticket_id, kind, other)
    join vicket.tickets t on t.org_id = was.org_id and t.site_id = was.site_id and t.id = e.other
    join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id;
  update vicket.tickets t
    set updated_at = now(),
      status_id = coalesce((
        select s.id from vicket.statuses s
        where t.status = 'resolved' and s.org_id = was.org_id and s.id = was.status_id and s.deleted_at is null
      ), t.status_id)
    where t.org_id = was.org_id and t.site_id = was.site_id and t.id = was.ticket_id;
  update vicket.tickets t
    set updated_at = now()
    where t.org_id = was.org_id and t.site_id = was.site_id and t.id = was.into_id;
  return was.into_id;
end $$;
alter function ctx.unmerge(uuid) owner to vicket_definer;
comment on function ctx.unmerge(uuid) is
  'Takes back that a ticket is part of another; says of which it was. Definer: with DELETE a request could lock a '
  'table.';
grant execute on function ctx.unmerge(uuid) to vicket_agent;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.role_permissions
create table vicket.role_permissions (
  role text not null,
  permission text not null,
  constraint role_permissions_pkey primary key (role, permission),
  constraint role_permissions_role_known check (role = any (array['owner', 'admin', 'agent', 'viewer'])),
  constraint role_permissions_shape check (permission ~ '^[a-z]+:[a-z_]+$')
);
alter table vicket.role_permissions owner to vicket_owner;
comment on table vicket.role_permissions is 'What each role may do, in every org: no tenant.';
comment on column vicket.role_permissions.role is 'No personal data.';
comment on column vicket.role_permissions.permission is 'No personal data.';

alter table vicket.role_permissions enable row level security;
alter table vicket.role_permissions force row level security;

create policy definer_select on vicket.role_permissions
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.role_permissions is 'Not narrowed: belongs to nobody. ctx.permissions_of.';

grant select on vicket.role_permissions to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.audit_log
create table vicket.audit_log (
  org_id uuid not null,
  seq bigint not null,
  at timestamptz not null,
  actor_kind text not null,
  actor_id uuid,
  actor text,
  actor_salt bytea,
  actor_digest bytea not null,
  action text not null,
  object_kind text not null,
  object_id text,
  before jsonb,
  after jsonb,
  object_salt bytea,
  object_digest bytea not null,
  site_id uuid,
  request_id text,
  prev_hash bytea not null,
  hash bytea not null,
  constraint audit_log_pkey primary key (org_id, seq, at),
  constraint audit_log_action_known check (action = any (array['created', 'updated', 'deleted', 'erased'])),
  constraint audit_log_actor_kind_known check (actor_kind = any (array['user', 'machine_key', 'cli'])),
  constraint audit_log_actor_whole check (case when (actor_salt is null) then (num_nonnulls(actor_id, actor) = 0) else
    (actor is not null) end),
  constraint audit_log_hash_length check (octet_length(hash) = 32),
  constraint audit_log_object_whole check (case when (object_salt is null) then (num_nonnulls(object_id, before, after)
    = 0) else (object_id is not null) end)
) partition by range (at);
-- Its partitions are made as time goes by, and reached through it alone.
alter table vicket.audit_log owner to vicket_owner;
comment on table vicket.audit_log is
  'What happened in each org: appended by triggers, numbered without gaps, chained by hash.';
comment on column vicket.audit_log.seq is 'Per org, from 1, without gaps.';
comment on column vicket.audit_log.at is
  'Never before that of the row before; the log is partitioned by it, a month each.';
comment on column vicket.audit_log.actor_kind is 'No personal data.';
comment on column vicket.audit_log.actor is
  'As people call them; NULL once they are erased, as are actor_id and actor_salt. Personal data.';
comment on column vicket.audit_log.actor_digest is
  'SHA-256 of actor_salt, actor_id and actor; see vicket.append_audit.';
comment on column vicket.audit_log.action is 'No personal data.';
comment on column vicket.audit_log.object_kind is 'No personal data.';
comment on column vicket.audit_log.object_id is
  'NULL once it is erased, as are before, after and object_salt. Personal data.';
comment on column vicket.audit_log.before is 'Personal data.';
comment on column vicket.audit_log.after is 'Personal data.';
comment on column vicket.audit_log.object_digest is 'SHA-256 of object_salt, object_id, before and after.';
comment on column vicket.audit_log.request_id is 'No personal data.';
comment on column vicket.audit_log.hash is 'SHA-256 of prev_hash and of this row, its digests for what may be erased.';

alter table vicket.audit_log enable row level security;
alter table vicket.audit_log force row level security;

create policy agent_select on vicket.audit_log
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('audit:read')));

create policy operator_select on vicket.audit_log
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.audit_log is 'vicket audit log.';

create policy definer_select on vicket.audit_log
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.operates())));
comment on policy definer_select on vicket.audit_log is
  'admin.erase_person, of one org; worker.run_job, of one that was deleted.';

create policy definer_insert on vicket.audit_log
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.audit_log is
  'The audit triggers. Not narrowed: a new org''s first row comes before its context.';

create policy definer_update on vicket.audit_log
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.operates())))
  with check (actor_salt is null or object_salt is null);
comment on policy definer_update on vicket.audit_log is 'The same; they can only take away (trigger only_forgets).';

grant select (org_id, seq, at, actor_kind, actor_id, actor, action, object_kind, object_id, before, after, site_id,
  request_id) on vicket.audit_log to vicket_agent;
grant select on vicket.audit_log to vicket_operator;
grant select, insert, update (actor_id, actor, actor_salt, object_id, before, after,
  object_salt) on vicket.audit_log to vicket_definer;

create function vicket.audit_log_is_append_only() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end $$;
alter function vicket.audit_log_is_append_only() owner to vicket_owner;

create function vicket.audit_log_only_forgets() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  kept vicket.audit_log := old;
begin
  if new.actor_salt is null then
    kept.actor_id := null;
    kept.actor := null;
    kept.actor_salt := null;
  end if;
  if new.object_salt is null then
    kept.object_id := null;
    kept.before := null;
    kept.after := null;
    kept.object_salt := null;
  end if;
  if new is distinct from kept then
    raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
alter function vicket.audit_log_only_forgets() owner to vicket_owner;

create trigger append_only before delete on vicket.audit_log
  for each row execute function vicket.audit_log_is_append_only();
create trigger never_truncated before truncate on vicket.audit_log
  for each statement execute function vicket.audit_log_is_append_only();
create trigger only_forgets before update on vicket.audit_log
  for each row execute function vicket.audit_log_only_forgets();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.audit_heads
create table vicket.audit_heads (
  org_id uuid not null,
  last_seq bigint not null default 0,
  last_hash bytea not null default '\x'::bytea,
  last_at timestamptz not null default '-infinity'::timestamp with time zone,
  constraint audit_heads_pkey primary key (org_id)
);
alter table vicket.audit_heads owner to vicket_owner;
comment on table vicket.audit_heads is
  'The end of each org''s chain. Its row is the lock by which changes of one org take turns.';

alter table vicket.audit_heads enable row level security;
alter table vicket.audit_heads force row level security;

create policy operator_select on vicket.audit_heads
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.audit_heads is 'vicket audit log --verify compares the end of the chain.';

create policy definer_select on vicket.audit_heads
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.audit_heads is 'The audit triggers. Not narrowed: as for the log.';

create policy definer_insert on vicket.audit_heads
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.audit_heads is 'The audit triggers. Not narrowed: as for the log.';

create policy definer_update on vicket.audit_heads
  for update to vicket_definer
  using (true)
  with check (true);
comment on policy definer_update on vicket.audit_heads is 'The audit triggers. Not narrowed: as for the log.';

grant select on vicket.audit_heads to vicket_operator;
grant select, insert (org_id), update (last_seq, last_hash, last_at) on vicket.audit_heads to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.audit_checkpoints
create table vicket.audit_checkpoints (
  org_id uuid not null default ctx.org_id(),
  month date not null,
  first_seq bigint not null,
  last_seq bigint not null,
  last_hash bytea not null,
  detached_at timestamptz not null default now(),
  public_key bytea not null,
  signature bytea not null,
  constraint audit_checkpoints_pkey primary key (org_id, month),
  constraint audit_checkpoints_hash_length check (octet_length(last_hash) = 32),
  constraint audit_checkpoints_key_length check (octet_length(public_key) = 32),
  constraint audit_checkpoints_order check (first_seq <= last_seq),
  constraint audit_checkpoints_signature_length check (octet_length(signature) = 64)
);
alter table vicket.audit_checkpoints owner to vicket_owner;
comment on table vicket.audit_checkpoints is
  'Months of the log that were taken out of it, one row an org, each signed: where the chain stood.';
comment on column vicket.audit_checkpoints.last_hash is
  'Of the row last_seq: the prev_hash of the first that is still here.';
comment on column vicket.audit_checkpoints.public_key is
  'Ed25519. Who verifies should bring their own, from elsewhere.';
comment on column vicket.audit_checkpoints.signature is 'Ed25519, of the text that `vicket audit log --verify` prints.';

alter table vicket.audit_checkpoints enable row level security;
alter table vicket.audit_checkpoints force row level security;

create policy operator_select on vicket.audit_checkpoints
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.audit_checkpoints is 'vicket audit log --verify.';

create policy operator_insert on vicket.audit_checkpoints
  for insert to vicket_operator
  with check (org_id = (select ctx.org_id()));
comment on policy operator_insert on vicket.audit_checkpoints is 'vicket audit detach.';

grant select, insert (month, first_seq, last_seq, last_hash, public_key,
  signature) on vicket.audit_checkpoints to vicket_operator;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.orgs
create table vicket.orgs (
  id uuid not null default gen_random_uuid(),
  slug text not null,
  slug_hash bytea not null generated always as (sha256((slug)::bytea)) stored,
  name text not null,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  file_quota_mib integer not null default 10240,
  answer_sets_pending boolean not null default true,
  answer_assigns boolean not null default true,
  constraint orgs_pkey primary key (id),
  constraint orgs_file_quota_range check (file_quota_mib >= 0 and file_quota_mib <= 10000000),
  constraint orgs_name_length check (char_length(name) >= 1 and char_length(name) <= 200 and name ~ '\S'),
  constraint orgs_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
);
alter table vicket.orgs owner to vicket_owner;
comment on table vicket.orgs is 'Tenants. The tenant column of this one table is id.';
comment on column vicket.orgs.slug is 'In URLs and on the command line; never changes. No personal data.';
comment on column vicket.orgs.slug_hash is
  'SHA-256 of slug: requests name an org by digest, so no caller''s text is in SQL.';
comment on column vicket.orgs.name is 'No personal data.';
comment on column vicket.orgs.deleted_at is
  'Set when an org that is too large to go at once was deleted: nobody is a member any more.';
comment on column vicket.orgs.file_quota_mib is 'How much all its files may be, MiB. Set by who runs the server.';
comment on column vicket.orgs.answer_sets_pending is 'Whether an open ticket that is answered becomes pending.';
comment on column vicket.orgs.answer_assigns is 'Whether a ticket of nobody becomes that of the member who answers it.';

create unique index orgs_slug_hash on vicket.orgs (slug_hash) where (deleted_at is null);
create unique index orgs_slug_unique on vicket.orgs (slug) where (deleted_at is null);

alter table vicket.orgs enable row level security;
alter table vicket.orgs force row level security;

create policy widget_select on vicket.orgs
  for select to vicket_widget
  using (id = (select ctx.org_id()));
comment on policy widget_select on vicket.orgs is 'The support page shows its org''s name.';

create policy widget_all_sealed on vicket.orgs
  as restrictive for all to vicket_widget
  using (id = (select ctx.org_by_key()))
  with check (id = (select ctx.org_by_key()));
comment on policy widget_all_sealed on vicket.orgs is 'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.orgs
  for select to vicket_agent
  using (id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.orgs is 'A member reads their org.';

create policy agent_update on vicket.orgs
  for update to vicket_agent
  using (id = (select ctx.org_id()) and (select ctx.may('org:edit')))
  with check (id = (select ctx.org_id()) and (select ctx.may('org:edit')));
comment on policy agent_update on vicket.orgs is 'org:edit. The name, and what follows an answer.';

create policy operator_all on vicket.orgs
  for all to vicket_operator
  using (id = (select ctx.org_id()))
  with check (id = (select ctx.org_id()));
comment on policy operator_all on vicket.orgs is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.orgs
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.orgs is
  'Not narrowed: an org is found by its slug before there is a context.';

create policy definer_insert on vicket.orgs
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.orgs is
  'Not narrowed: a new org has no context. admin.create_org, auth.begin_first_org.';

create policy definer_update on vicket.orgs
  for update to vicket_definer
  using (id = (select ctx.org_id()) and (select ctx.may('org:delete')))
  with check (id = (select ctx.org_id()) and (select ctx.may('org:delete')));
comment on policy definer_update on vicket.orgs is
  'ctx.remove marks a large org (deleted_at is the only column granted).';

create policy definer_delete on vicket.orgs
  for delete to vicket_definer
  using (id = (select ctx.org_id()) and (select ctx.may('org:delete')));
comment on policy definer_delete on vicket.orgs is 'ctx.remove.';

create policy definer_delete_marked on vicket.orgs
  for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker'::name);
comment on policy definer_delete_marked on vicket.orgs is 'worker.run_job ends what ctx.remove began.';

grant select (id, name) on vicket.orgs to vicket_widget;
grant select (id, slug, name, created_at, file_quota_mib, answer_sets_pending, answer_assigns), update (name,
  answer_sets_pending, answer_assigns) on vicket.orgs to vicket_agent;
grant select, update (name, file_quota_mib) on vicket.orgs to vicket_operator;
grant select (id, slug, slug_hash, name, created_at, deleted_at, file_quota_mib), insert (id, slug, name),
  update (deleted_at), delete on vicket.orgs to vicket_definer;

create function vicket.audited() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  recorded constant text[] := string_to_array(tg_argv[2], ' ');
  entries vicket.audit_log[];
  entry vicket.audit_log;
  who record;
  person uuid;
  actor text;
  org uuid;
begin
  if tg_level = 'STATEMENT' then
    entries := array(
      select e
      from gone_rows g
      cross join lateral vicket.audit_entry(tg_argv[0], tg_argv[1], recorded, to_jsonb(g), null) e
      where e.org_id is not null
    );
  else
    entry := vicket.audit_entry(tg_argv[0], tg_argv[1], recorded,
      case when tg_op <> 'INSERT' then to_jsonb(old) end, case when tg_op <> 'DELETE' then to_jsonb(new) end);
    if entry.org_id is not null then
      entries := array[entry];
    end if;
  end if;
  if entries is null or entries = '{}' then
    return coalesce(new, old);
  end if;

  who := ctx.actor();
  -- Also when they are no member any more: whoever leaves an org did that.
  person := coalesce(who.user_id, ctx.session_user_id(ctx.digest('session')));
  -- Through the agents' gate somebody acts, always. What a foreign key takes along is the doing of the same statement.
  if person is null and ctx.needs_actor() and pg_trigger_depth() = 1 then
    raise exception 'nobody acts' using errcode = 'insufficient_privilege';
  end if;
  actor := case
    when who.machine_key_id is null and person is not null
      then (select u.email from vicket.users u where u.id = person)
    when who.machine_key_id is null and ctx.needs_actor() then 'machine key that is gone'
    else ctx.actor_name()
  end;
  for i in 1 .. cardinality(entries) loop
    entries[i].actor_kind := case
      when who.machine_key_id is not null then 'machine_key'
      when person is not null then 'user'
      when ctx.needs_actor() then 'machine_key'
      else 'cli'
    end;
    entries[i].actor_id := coalesce(who.machine_key_id, person);
    entries[i].actor := actor;
  end loop;
  for org in select distinct e.org_id from unnest(entries) e loop
    perform vicket.append_audit(variadic array(select e from unnest(entries) e where e.org_id = org));
  end loop;
  return coalesce(new, old);
end $$;
alter function vicket.audited() owner to vicket_definer;
comment on function vicket.audited() is
  'Trigger: appends what changed to the audit log, in the transaction of the change. Definer: no request may write '
  'there.';
grant execute on function vicket.audited() to vicket_owner;

create function vicket.content_changed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  orgs uuid[];
  -- NULL: all sites of the org.
  of_sites uuid[] := array[null];
  of_all boolean;
begin
  if tg_level = 'STATEMENT' then
    orgs := array(select distinct c.org_id from changed c);
  elsif tg_table_name = 'orgs' then
    orgs := array[new.id];
  elsif tg_op = 'INSERT' then
    orgs := array[new.org_id];
    of_sites := array[new.site_id];
  elsif tg_op = 'DELETE' then
    orgs := array[old.org_id];
    of_sites := array[old.site_id];
  else
    -- A site that something was taken from sees a change too.
    orgs := array[new.org_id];
    of_sites := array[new.site_id, old.site_id];
  end if;
  of_all := array_position(of_sites, null) is not null;
  perform from vicket.sites s
    where s.org_id = any (orgs) and (of_all or s.id = any (of_sites))
    order by s.id
    for no key update;
  update vicket.sites s
    set content_version = s.content_version + 1
    where s.org_id = any (orgs) and (of_all or s.id = any (of_sites));
  return null;
end $$;
alter function vicket.content_changed() owner to vicket_definer;
comment on function vicket.content_changed() is
  'Trigger: readers of the row''s site, or of all its org''s, see something new. Definer: no request may write there.';
grant execute on function vicket.content_changed() to vicket_owner;

create function vicket.org_gone() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.jobs (kind, subject_id, actor, total)
    select 'forget_org', old.id, 'cli', h.last_seq from vicket.audit_heads h where h.org_id = old.id;
  return null;
end $$;
alter function vicket.org_gone() owner to vicket_owner;

create function vicket.seed_org_defaults() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.statuses (org_id, name, category, position, is_default)
    values (new.id, 'Open', 'open', 1, true), (new.id, 'Pending', 'pending', 2, false),
      (new.id, 'Resolved', 'resolved', 3, false), (new.id, 'Closed', 'closed', 4, false);
  insert into vicket.priorities (org_id, name, position, is_default)
    values (new.id, 'Low', 1, false), (new.id, 'Normal', 2, true), (new.id, 'High', 3, false), (new.id, 'Urgent', 4, false);
  return null;
end $$;
alter function vicket.seed_org_defaults() owner to vicket_owner;

create function vicket.serialize_org_writes() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if ctx.org_id() is null or ctx.needs_actor() and not ctx.is_member() then
    return null;
  end if;
  insert into vicket.audit_heads (org_id)
    select o.id from vicket.orgs o where o.id = ctx.org_id()
    on conflict do nothing;
  perform from vicket.audit_heads h where h.org_id = ctx.org_id() for update;
  return null;
end $$;
alter function vicket.serialize_org_writes() owner to vicket_definer;
comment on function vicket.serialize_org_writes() is
  'Trigger: administrative changes of one org wait for each other. Definer: no request may write there.';
grant execute on function vicket.serialize_org_writes() to vicket_owner;

create trigger audited after insert or update on vicket.orgs
  for each row execute function vicket.audited('org', 'slug', 'slug name answer_sets_pending answer_assigns');
create trigger audited_end before delete on vicket.orgs
  for each row execute function vicket.audited('org', 'slug', 'slug name');
create trigger content_changed after update of name on vicket.orgs
  for each row execute function vicket.content_changed();
create trigger org_gone after delete on vicket.orgs
  for each row execute function vicket.org_gone();
create trigger seed_org_defaults after insert on vicket.orgs
  for each row execute function vicket.seed_org_defaults();
create trigger serialize_org_writes before delete or update on vicket.orgs
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.users
create table vicket.users (
  id uuid not null default gen_random_uuid(),
  email text not null,
  name text not null,
  password_hash text,
  created_at timestamptz not null default now(),
  proven_at timestamptz,
  constraint users_pkey primary key (id),
  constraint users_email_unique unique (email),
  constraint users_email_length check (char_length(email) >= 3 and char_length(email) <= 254),
  constraint users_email_lower check (email = lower(email collate "C")),
  constraint users_name_length check (char_length(name) >= 1 and char_length(name) <= 200),
  constraint users_password_hash_shape check (password_hash ~~ '$argon2id$%')
);
alter table vicket.users owner to vicket_owner;
comment on table vicket.users is 'People who log in. Not tenant rows: reached through definer functions only.';
comment on column vicket.users.email is 'Lower case, unique across orgs. Personal data.';
comment on column vicket.users.name is 'Personal data.';
comment on column vicket.users.password_hash is
  'argon2id in PHC form; compared by functions of the schema auth, returned by none. NULL while the account has none '
  'of its own: unproven_accounts. Personal data.';
comment on column vicket.users.proven_at is 'When somebody showed that they read mail of the address.';

alter table vicket.users enable row level security;
alter table vicket.users force row level security;

create policy definer_select on vicket.users
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.users is 'Not narrowed: whoever logs in has no tenant yet.';

create policy definer_insert on vicket.users
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.users is 'Not narrowed: whoever joins has no tenant yet.';

create policy definer_update on vicket.users
  for update to vicket_definer
  using (true)
  with check (true);
comment on policy definer_update on vicket.users is
  'Not narrowed: password, name and proof are a person''s, of no tenant (the only columns granted).';

create policy definer_delete on vicket.users
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name or (select ctx.operates()));
comment on policy definer_delete on vicket.users is
  'worker.forget_org, admin.erase_person: whoever is in no org any more.';

grant select (id, email, name, password_hash, created_at, proven_at), insert (id, email, name, password_hash),
  update (name, password_hash, proven_at), delete on vicket.users to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.sessions
create table vicket.sessions (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  token_hash bytea not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  org_ids uuid[],
  device text,
  constraint sessions_pkey primary key (id),
  constraint sessions_user_fkey foreign key (user_id) references vicket.users(id) on delete cascade,
  constraint sessions_hash_length check (octet_length(token_hash) = 32)
);
alter table vicket.sessions owner to vicket_owner;
comment on table vicket.sessions is
  'Sessions of people, by the SHA-256 of their token: 14 days since the last use, 90 at most.';
comment on column vicket.sessions.last_used_at is 'Written in batches by the worker, when a minute has passed.';
comment on column vicket.sessions.org_ids is 'The orgs that it is good in; NULL for all of the person''s.';
comment on column vicket.sessions.device is
  'Browser, system and network at the log-in, as its mail says it; NULL of whoever joined. Personal data.';

create index sessions_created on vicket.sessions (created_at);
create unique index sessions_token on vicket.sessions (token_hash);
create index sessions_user on vicket.sessions (user_id);

alter table vicket.sessions enable row level security;
alter table vicket.sessions force row level security;

create policy definer_select on vicket.sessions
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.sessions is
  'Not narrowed: a session is found by its digest before there is a context.';

create policy definer_insert on vicket.sessions
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.sessions is 'Not narrowed: whoever logs in has no context yet.';

create policy definer_update on vicket.sessions
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.sessions is
  'worker.touch_sessions (last_used_at is the only column granted).';

create policy definer_delete on vicket.sessions
  for delete to vicket_definer
  using (true);
comment on policy definer_delete on vicket.sessions is 'Not narrowed: logging out, a new password, worker.purge.';

grant select, insert (user_id, token_hash, org_ids, device), update (last_used_at),
  delete on vicket.sessions to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.members
create table vicket.members (
  org_id uuid not null default ctx.org_id(),
  user_id uuid not null,
  role text not null,
  created_at timestamptz not null default now(),
  constraint members_pkey primary key (org_id, user_id),
  constraint members_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint members_user_fkey foreign key (user_id) references vicket.users(id) on delete cascade,
  constraint members_role_known check (role = any (array['owner', 'admin', 'agent', 'viewer']))
);
alter table vicket.members owner to vicket_owner;
comment on table vicket.members is 'Who works for which org, and as what.';
comment on column vicket.members.role is 'No personal data.';

create index members_user on vicket.members (user_id, org_id);

alter table vicket.members enable row level security;
alter table vicket.members force row level security;

create policy agent_select on vicket.members
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.members is 'Members see who else works here.';

create policy agent_update on vicket.members
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('member:role_set')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('member:role_set')));
comment on policy agent_update on vicket.members is 'member:role_set, within the owner rules (trigger member_guarded).';

create policy operator_all on vicket.members
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.members is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.members
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.members is
  'Not narrowed: ctx.actor is what the context is asked of; a person''s orgs are many.';

create policy definer_insert on vicket.members
  for insert to vicket_definer
  with check (org_id = (select ctx.org_id()));
comment on policy definer_insert on vicket.members is 'auth.accept_invitation, auth.begin_first_org.';

create policy definer_delete on vicket.members
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('member:role_set')) or (select ctx.may('org:delete'))));
comment on policy definer_delete on vicket.members is
  'ctx.remove: member:role_set, within the owner rules; all of them, with their org.';

grant select (org_id, user_id, role, created_at), update (role) on vicket.members to vicket_agent;
grant select, insert (user_id, role), update (role) on vicket.members to vicket_operator;
grant select (org_id, user_id, role, created_at), insert (org_id, user_id, role),
  delete on vicket.members to vicket_definer;

create function vicket.member_guarded() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
  leaves constant boolean := tg_op = 'DELETE';
begin
  if tg_op = 'UPDATE' and new.role = old.role then
    return new;
  end if;
  -- The org itself goes, and its members with it. Asked apart: an agent, who changes roles, may not read deleted_at.
  if leaves then
    if not exists (select from vicket.orgs o where o.id = old.org_id and o.deleted_at is null) then
      return old;
    end if;
  end if;
  if old.role = 'owner' and not exists (
    select from vicket.members m
    where m.org_id = old.org_id and m.role = 'owner' and m.user_id <> old.user_id
  ) then
    raise exception 'the org would be without an owner'
      using errcode = 'check_violation', constraint = 'members_last_owner';
  end if;
  if who.user_id is null then
    if ctx.needs_actor() then
      raise exception 'nobody acts' using errcode = 'insufficient_privilege';
    end if;
    return case when leaves then old else new end;
  end if;
  if not leaves and who.user_id = old.user_id then
    raise exception 'nobody changes their own role'
      using errcode = 'check_violation', constraint = 'members_not_oneself';
  end if;
  if not ctx.may_grant(old.role) or not leaves and not ctx.may_grant(new.role) then
    raise exception 'a role beyond one''s own'
      using errcode = 'check_violation', constraint = 'members_beyond_oneself';
  end if;
  return case when leaves then old else new end;
end $$;
alter function vicket.member_guarded() owner to vicket_owner;

create trigger audited after insert or update on vicket.members
  for each row execute function vicket.audited('member', 'user_id', 'user_id role');
create trigger member_guarded before delete or update of role on vicket.members
  for each row execute function vicket.member_guarded();
create trigger member_leaves before delete on vicket.members
  for each row execute function vicket.audited('member', 'user_id', 'user_id role');
create trigger serialize_org_writes before delete or update on vicket.members
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.invitations
create table vicket.invitations (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  email text not null,
  role text not null,
  token_hash bytea not null,
  invited_by text not null default ctx.actor_name(),
  invited_by_id uuid default ctx.actor_user_id(),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null default now() + '7 days'::interval,
  mailed_token_hash bytea,
  constraint invitations_pkey primary key (org_id, id),
  constraint invitations_email_unique unique (org_id, email),
  constraint invitations_inviter_fkey foreign key (org_id, invited_by_id) references vicket.members(org_id, user_id) on
    delete cascade,
  constraint invitations_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint invitations_email_length check (char_length(email) >= 3 and char_length(email) <= 254),
  constraint invitations_email_lower check (email = lower(email collate "C")),
  constraint invitations_email_shape check (email ~ '^[^@\s]+@[^@\s]+$'),
  constraint invitations_hash_length check (octet_length(token_hash) = 32),
  constraint invitations_mailed_hash_length check (octet_length(mailed_token_hash) = 32),
  constraint invitations_role_known check (role = any (array['owner', 'admin', 'agent', 'viewer']))
);
alter table vicket.invitations owner to vicket_owner;
comment on table vicket.invitations is 'Invitations that wait to be accepted, by the SHA-256 of their token.';
comment on column vicket.invitations.email is 'Personal data.';
comment on column vicket.invitations.role is 'No personal data.';
comment on column vicket.invitations.invited_by is 'Personal data.';
comment on column vicket.invitations.invited_by_id is
  'The member who invited: it goes with them, and is worth what they may do when it is accepted. NULL for a command.';

create index invitations_inviter on vicket.invitations (org_id, invited_by_id);
create unique index invitations_mailed_token on vicket.invitations (mailed_token_hash);
create unique index invitations_token on vicket.invitations (token_hash);

alter table vicket.invitations enable row level security;
alter table vicket.invitations force row level security;

create policy agent_select on vicket.invitations
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('member:invite')));

create policy agent_insert on vicket.invitations
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('member:invite')) and ctx.may_grant(role));
comment on policy agent_insert on vicket.invitations is 'member:invite, and a role that one may give.';

create policy operator_all on vicket.invitations
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.invitations is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.invitations
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.invitations is
  'Not narrowed: an invitation is found by its digest before there is a context.';

create policy definer_update on vicket.invitations
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.invitations is 'worker.open_mails: the token of a link.';

create policy definer_delete on vicket.invitations
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('member:invite'))
    and (ctx.may_grant(role) or expires_at <= now())
  );
comment on policy definer_delete on vicket.invitations is
  'ctx.remove: a role that one may give; one that has expired in any case.';

create policy definer_delete_accepted on vicket.invitations
  for delete to vicket_definer
  using (token_hash = (select ctx.digest('invitation')));
comment on policy definer_delete_accepted on vicket.invitations is 'auth.accept_invitation: good for one join.';

grant select (org_id, id, email, role, invited_by, created_at, expires_at), insert (email, role,
  token_hash) on vicket.invitations to vicket_agent;
grant select (org_id, id, email, role, invited_by, created_at, expires_at), insert (email, role, token_hash),
  update (invited_by) on vicket.invitations to vicket_operator;
grant select (org_id, id, email, role, token_hash, invited_by, invited_by_id, expires_at, mailed_token_hash),
  update (mailed_token_hash), delete on vicket.invitations to vicket_definer;

create function vicket.invitation_mailed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  mail vicket.mails;
begin
  if session_user = 'vicket_gate_agent' and vicket.mail_domain() is not null
    and vicket.count_mail('invitation', new.email, 3)
  then
    mail.org_id := new.org_id;
    mail.kind := 'invitation';
    mail.invitation_id := new.id;
    mail.recipient := new.email;
    perform vicket.write_mail(mail);
  end if;
  return null;
end $$;
alter function vicket.invitation_mailed() owner to vicket_definer;
comment on function vicket.invitation_mailed() is 'Trigger: sends an invitation. Definer: no request may write there.';
grant execute on function vicket.invitation_mailed() to vicket_owner;

create trigger audited after insert or delete on vicket.invitations
  for each row execute function vicket.audited('invitation', 'id', 'email role expires_at');
create trigger invitation_mailed after insert on vicket.invitations
  for each row execute function vicket.invitation_mailed();
create trigger serialize_org_writes before insert or delete or update on vicket.invitations
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.machine_keys
create table vicket.machine_keys (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  key_hash bytea not null,
  hint text not null,
  permissions text[] not null,
  created_by uuid not null default ctx.actor_user_id(),
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  parent_id uuid,
  constraint machine_keys_pkey primary key (org_id, id),
  constraint machine_keys_creator_fkey foreign key (org_id, created_by) references vicket.members(org_id, user_id) on
    delete cascade,
  constraint machine_keys_parent_fkey foreign key (org_id, parent_id) references vicket.machine_keys(org_id, id) on
    delete cascade,
  constraint machine_keys_hash_length check (octet_length(key_hash) = 32),
  constraint machine_keys_hint_length check (char_length(hint) = 4),
  constraint machine_keys_name_length check (char_length(name) >= 1 and char_length(name) <= 200 and name ~ '\S'),
  constraint machine_keys_some_permission check (cardinality(permissions) > 0)
);
alter table vicket.machine_keys owner to vicket_owner;
comment on table vicket.machine_keys is 'Secret keys of programs (sk_), as SHA-256. The plaintext is in no table.';
comment on column vicket.machine_keys.name is 'No personal data.';
comment on column vicket.machine_keys.hint is 'No personal data.';
comment on column vicket.machine_keys.permissions is
  'What the key was given; ctx.actor takes away what its creator may not do now. No personal data.';
comment on column vicket.machine_keys.created_by is
  'The member whose permissions bound this key; it goes with their membership.';
comment on column vicket.machine_keys.parent_id is 'The machine key that made it: it ends with that one.';

create index machine_keys_creator on vicket.machine_keys (org_id, created_by);
create unique index machine_keys_hash on vicket.machine_keys (key_hash);
create index machine_keys_id on vicket.machine_keys (id);
create index machine_keys_parent on vicket.machine_keys (org_id, parent_id);

alter table vicket.machine_keys enable row level security;
alter table vicket.machine_keys force row level security;

create policy agent_select on vicket.machine_keys
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')));

create policy agent_insert on vicket.machine_keys
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('machinekey:edit'))
    and created_by = (select ctx.actor_user_id())
    and ctx.may_all(permissions)
  );
comment on policy agent_insert on vicket.machine_keys is
  'machinekey:edit; in one''s own name, and no permission that one lacks.';

create policy agent_update on vicket.machine_keys
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('machinekey:edit')));
comment on policy agent_update on vicket.machine_keys is 'machinekey:edit (revoked_at is the only column granted).';

create policy operator_all on vicket.machine_keys
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.machine_keys is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.machine_keys
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.machine_keys is
  'Not narrowed: a key is found by its digest before there is a context.';

create policy definer_update on vicket.machine_keys
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.machine_keys is
  'worker.touch_machine_keys (last_used_at is the only column granted).';

grant select (org_id, id, name, hint, permissions, created_by, created_at, expires_at, revoked_at, last_used_at,
  parent_id), insert (name, key_hash, hint, permissions, expires_at),
  update (revoked_at) on vicket.machine_keys to vicket_agent;
grant select (org_id, id, name, hint, permissions, created_by, created_at, expires_at, revoked_at, last_used_at,
  parent_id), insert (name, key_hash, hint, permissions, created_by, expires_at),
  update (revoked_at) on vicket.machine_keys to vicket_operator;
grant select (org_id, id, name, key_hash, permissions, created_by, expires_at, revoked_at, last_used_at),
  update (last_used_at) on vicket.machine_keys to vicket_definer;

create function vicket.machine_key_bounded() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    new.parent_id := (ctx.actor()).machine_key_id;
    new.expires_at := least(
      new.expires_at,
      (select k.expires_at from vicket.machine_keys k where k.org_id = new.org_id and k.id = new.parent_id));
    return new;
  end if;
  update vicket.machine_keys k
    set revoked_at = new.revoked_at
    where k.org_id = new.org_id and k.parent_id = new.id and k.revoked_at is null;
  return null;
end $$;
alter function vicket.machine_key_bounded() owner to vicket_owner;

create function vicket.stays_revoked() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at then
    raise exception 'a revoked key stays revoked' using errcode = 'check_violation', constraint = 'stays_revoked';
  end if;
  return new;
end $$;
alter function vicket.stays_revoked() owner to vicket_owner;

create trigger audited after insert or delete or update on vicket.machine_keys
  for each row execute function vicket.audited('machine_key', 'id',
    'name hint permissions created_by expires_at revoked_at');
create trigger bounded before insert on vicket.machine_keys
  for each row execute function vicket.machine_key_bounded();
create trigger bounded_end after update of revoked_at on vicket.machine_keys
  for each row when (old.revoked_at is null and new.revoked_at is not null) execute function
    vicket.machine_key_bounded();
create trigger serialize_org_writes before insert or delete or update of revoked_at on vicket.machine_keys
  for each statement execute function vicket.serialize_org_writes();
create trigger stays_revoked before update of revoked_at on vicket.machine_keys
  for each row execute function vicket.stays_revoked();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.sites
create table vicket.sites (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  slug text not null,
  name text not null,
  prefix text not null,
  content_version bigint not null default 1,
  views_version bigint not null default 1,
  reads_per_minute integer not null default 6000,
  writes_per_minute integer not null default 60,
  network_reads_per_minute integer not null default 300,
  network_writes_per_minute integer not null default 10,
  last_number bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  file_quota_mib integer not null default 10240,
  network_upload_mib_per_day integer not null default 100,
  support_url text,
  language text not null default 'en',
  mail_from_name text,
  mail_from_address text,
  constraint sites_pkey primary key (org_id, id),
  constraint sites_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint sites_file_quota_range check (file_quota_mib >= 0 and file_quota_mib <= 10000000 and
    network_upload_mib_per_day >= 0 and network_upload_mib_per_day <= 1000000),
  constraint sites_language_known check (language = any (array['en', 'de', 'fr', 'es'])),
  constraint sites_limits_range check (reads_per_minute >= 0 and reads_per_minute <= 10000000 and writes_per_minute >= 0
    and writes_per_minute <= 10000000 and network_reads_per_minute >= 0 and network_reads_per_minute <= 10000000 and
    network_writes_per_minute >= 0 and network_writes_per_minute <= 10000000),
  constraint sites_mail_from_length check (char_length(mail_from_name) >= 1 and char_length(mail_from_name) <= 200 and
    char_length(mail_from_address) >= 3 and char_length(mail_from_address) <= 254),
  constraint sites_name_length check (char_length(name) >= 1 and char_length(name) <= 200 and name ~ '\S'),
  constraint sites_prefix_shape check (prefix ~ '^[A-Z]{2,8}$'),
  constraint sites_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint sites_support_url_shape check (support_url ~ '^https?://[^[:space:]#]+$' and char_length(support_url) <=
    500)
);
alter table vicket.sites owner to vicket_owner;
comment on table vicket.sites is 'Customer-facing surfaces of an org. A publishable key speaks for exactly one.';
comment on column vicket.sites.slug is 'No personal data.';
comment on column vicket.sites.name is 'No personal data.';
comment on column vicket.sites.prefix is
  'Begins the references of its tickets, APP-21; unique in the org. No personal data.';
comment on column vicket.sites.content_version is
  'Grows with every change of what a reader of this site could see, but for view counts.';
comment on column vicket.sites.views_version is
  'Grows with every batch of view counts that a reader of this site could see.';
comment on column vicket.sites.reads_per_minute is 'Rate limit of the whole site, reads.';
comment on column vicket.sites.writes_per_minute is 'Rate limit of the whole site, ticket writes.';
comment on column vicket.sites.network_reads_per_minute is
  'Rate limit of one client network (IPv4 /24, IPv6 /56) within the site, reads.';
comment on column vicket.sites.network_writes_per_minute is
  'Rate limit of one client network within the site, ticket writes.';
comment on column vicket.sites.last_number is 'The highest number of a ticket that is gone: it is not given again.';
comment on column vicket.sites.deleted_at is
  'Set when a site that is too large to go at once was deleted: nobody sees it any more.';
comment on column vicket.sites.file_quota_mib is 'How much all files of the site may be, MiB.';
comment on column vicket.sites.network_upload_mib_per_day is
  'Files that customers of one client network (IPv4 /24, IPv6 /56) may add in a day, MiB.';
comment on column vicket.sites.support_url is
  'The page on which customers read their tickets; links in mail lead there. No personal data.';
comment on column vicket.sites.language is 'Of its mail. No personal data.';
comment on column vicket.sites.mail_from_name is 'Whom its mail is from; its own name when NULL. No personal data.';
comment on column vicket.sites.mail_from_address is
  'Stands in From where the server may send for its domain, else in Reply-To. No personal data.';

create unique index sites_prefix_unique on vicket.sites (org_id, prefix) where (deleted_at is null);
create unique index sites_slug_unique on vicket.sites (org_id, slug) where (deleted_at is null);

alter table vicket.sites enable row level security;
alter table vicket.sites force row level security;

create policy widget_select on vicket.sites
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and id = (select ctx.site_id()));
comment on policy widget_select on vicket.sites is 'The support page shows its site''s name.';

create policy widget_all_sealed on vicket.sites
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.sites is 'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.sites
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()) and deleted_at is null);
comment on policy agent_select on vicket.sites is 'Members see their org''s sites.';

create policy agent_insert on vicket.sites
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:create')));

create policy agent_update on vicket.sites
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')) and deleted_at is null)
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));

create policy operator_all on vicket.sites
  for all to vicket_operator
  using (org_id = (select ctx.org_id()) and deleted_at is null)
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.sites is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.sites
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.sites is
  'Not narrowed: auth.enter reads limits and versions with the key, before there is a context.';

create policy definer_update on vicket.sites
  for update to vicket_definer
  using (true)
  with check (true);
comment on policy definer_update on vicket.sites is
  'Not narrowed: whoever changes content, a DBA without a context too, must be seen by its readers.';

create policy definer_delete on vicket.sites
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:delete')));
comment on policy definer_delete on vicket.sites is 'ctx.remove: site:delete.';

create policy definer_delete_marked on vicket.sites
  for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker'::name);
comment on policy definer_delete_marked on vicket.sites is 'worker.run_job ends what ctx.remove began.';

grant select (org_id, id, slug, name, prefix, network_upload_mib_per_day, language) on vicket.sites to vicket_widget;
grant select (org_id, id, slug, name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute,
  network_writes_per_minute, created_at, updated_at, file_quota_mib, network_upload_mib_per_day, support_url, language,
  mail_from_name, mail_from_address), insert (slug, name, prefix), update (name, prefix, reads_per_minute,
  writes_per_minute, network_reads_per_minute, network_writes_per_minute, updated_at, file_quota_mib,
  network_upload_mib_per_day, support_url, language, mail_from_name, mail_from_address) on vicket.sites to vicket_agent;
grant select, insert (slug, name, prefix), update (slug, name, prefix, reads_per_minute, writes_per_minute,
  network_reads_per_minute, network_writes_per_minute, updated_at, file_quota_mib, network_upload_mib_per_day,
  support_url, language, mail_from_name, mail_from_address) on vicket.sites to vicket_operator;
grant select (org_id, id, slug, name, prefix, content_version, views_version, reads_per_minute, writes_per_minute,
  network_reads_per_minute, network_writes_per_minute, last_number, created_at, deleted_at, file_quota_mib, support_url,
  language, mail_from_name, mail_from_address), update (content_version, views_version, last_number, deleted_at),
  delete on vicket.sites to vicket_definer;

create function vicket.site_language_changed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' and new.language = old.language then
    return null;
  end if;
  -- What is for all sites has the words of this language already, and a new site has nothing of its own.
  if tg_op = 'INSERT' and exists (
    select from vicket.sites s
    where s.org_id = new.org_id and s.id <> new.id and s.language = new.language and s.deleted_at is null
  ) then
    return null;
  end if;
  update vicket.articles a set words = null where a.org_id = new.org_id and (a.site_id is null or a.site_id = new.id);
  update vicket.faqs f set words = null where f.org_id = new.org_id and (f.site_id is null or f.site_id = new.id);
  perform from vicket.sites s where s.org_id = new.org_id order by s.id for no key update;
  update vicket.sites s set content_version = s.content_version + 1 where s.org_id = new.org_id;
  return null;
end $$;
alter function vicket.site_language_changed() owner to vicket_definer;
comment on function vicket.site_language_changed() is
  'Trigger: what the readers of a site search has words of its language. Definer: no request may write there.';
grant execute on function vicket.site_language_changed() to vicket_owner;

create function vicket.site_addressed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  local_part constant text := 's.' || replace(gen_random_uuid()::text, '-', '');
begin
  insert into vicket.mail_addresses (org_id, site_id, kind, digest, address)
    values (new.org_id, new.id, 'site', sha256(convert_to(local_part, 'UTF8')), local_part);
  return null;
end $$;
alter function vicket.site_addressed() owner to vicket_definer;
comment on function vicket.site_addressed() is
  'Trigger: a site has an address below the reply domain. Definer: no request may write there.';
grant execute on function vicket.site_addressed() to vicket_owner;

create function vicket.site_changed() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.content_version := old.content_version + 1;
  return new;
end $$;
alter function vicket.site_changed() owner to vicket_owner;

create function vicket.site_prefixed() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  org_slug constant text := (select o.slug from vicket.orgs o where o.id = new.org_id);
  own constant text := case when starts_with(new.slug, org_slug || '-') then substr(new.slug, length(org_slug) + 2)
    else new.slug end;
  letters constant text := left(upper(regexp_replace(own, '[^a-z]', '', 'g')), 4);
  proposed constant text := rpad(letters, greatest(2, length(letters)), 'X');
  more text := '';
  tries integer := 0;
  rest integer;
begin
  while exists (select from vicket.sites s where s.org_id = new.org_id and s.prefix = proposed || more) loop
    tries := tries + 1;
    more := '';
    rest := tries;
    while rest > 0 loop
      more := chr(65 + rest % 26) || more;
      rest := rest / 26;
    end loop;
  end loop;
  new.prefix := proposed || more;
  return new;
end $$;
alter function vicket.site_prefixed() owner to vicket_owner;

create trigger audited after insert or delete or update of slug, name, prefix, reads_per_minute, writes_per_minute,
  network_reads_per_minute, network_writes_per_minute, support_url, language, mail_from_name, mail_from_address,
  deleted_at on vicket.sites
  for each row execute function vicket.audited('site', 'slug',
    'slug name prefix reads_per_minute writes_per_minute network_reads_per_minute network_writes_per_minute support_url language mail_from_name mail_from_address');
create trigger language_changed after insert or update of language on vicket.sites
  for each row execute function vicket.site_language_changed();
create trigger serialize_org_writes before insert or delete or update of slug, name, prefix, reads_per_minute,
  writes_per_minute, network_reads_per_minute, network_writes_per_minute, support_url, language, mail_from_name,
  mail_from_address, updated_at on vicket.sites
  for each statement execute function vicket.serialize_org_writes();
create trigger site_addressed after insert on vicket.sites
  for each row execute function vicket.site_addressed();
create trigger site_changed before update of name, slug, prefix on vicket.sites
  for each row execute function vicket.site_changed();
create trigger site_prefixed before insert on vicket.sites
  for each row when (new.prefix is null) execute function vicket.site_prefixed();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.site_origins
create table vicket.site_origins (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  origin text not null,
  origin_hash bytea not null generated always as (sha256((origin)::bytea)) stored,
  created_at timestamptz not null default now(),
  constraint site_origins_pkey primary key (org_id, site_id, origin),
  constraint site_origins_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint site_origins_shape check (origin ~ '^https?://[^/?#@\s\\*]+$' and char_length(origin) <= 255)
);
alter table vicket.site_origins owner to vicket_owner;
comment on table vicket.site_origins is 'Exact origins (scheme, host, port) whose pages may use the site''s key.';
comment on column vicket.site_origins.origin is
  'In the form browsers send: lower case, punycode, no default port. No personal data.';
comment on column vicket.site_origins.origin_hash is
  'SHA-256 of origin: requests are compared by digest, so no caller''s text is in SQL.';

create index site_origins_anywhere on vicket.site_origins (origin_hash);
create index site_origins_by_hash on vicket.site_origins (org_id, site_id, origin_hash);
create statistics vicket.site_origins_tenant (ndistinct, dependencies) on org_id, site_id from vicket.site_origins;

alter table vicket.site_origins enable row level security;
alter table vicket.site_origins force row level security;

create policy widget_select on vicket.site_origins
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
comment on policy widget_select on vicket.site_origins is
  'Of the key''s own site, so that key/check can say which part of the sent origin differs.';

create policy widget_all_sealed on vicket.site_origins
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.site_origins is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.site_origins
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.site_origins is 'Members see which pages may use a site''s key.';

create policy agent_insert on vicket.site_origins
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))));
comment on policy agent_insert on vicket.site_origins is
  'site:edit; site:create for the list that a new site begins with.';

create policy operator_all on vicket.site_origins
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.site_origins is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.site_origins
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.site_origins is
  'Not narrowed: auth.enter before there is a context, for preflights of any site too.';

create policy definer_delete on vicket.site_origins
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
comment on policy definer_delete on vicket.site_origins is 'ctx.remove: site:edit.';

grant select (org_id, site_id, origin) on vicket.site_origins to vicket_widget;
grant select (org_id, site_id, origin, created_at), insert (site_id, origin) on vicket.site_origins to vicket_agent;
grant select, insert (site_id, origin) on vicket.site_origins to vicket_operator;
grant select (org_id, site_id, origin, origin_hash), delete on vicket.site_origins to vicket_definer;

create trigger audited after insert or delete on vicket.site_origins
  for each row execute function vicket.audited('origin', 'origin', 'origin');
create trigger serialize_org_writes before insert or delete on vicket.site_origins
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.refused_origins
create table vicket.refused_origins (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  origin text not null,
  times bigint not null,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  constraint refused_origins_pkey primary key (org_id, site_id, origin),
  constraint refused_origins_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete
    cascade,
  constraint refused_origins_length check (char_length(origin) <= 255)
);
alter table vicket.refused_origins owner to vicket_owner;
comment on table vicket.refused_origins is
  'Origins that tried a good key and are not listed: at most 200 a site, the least recent dropped.';
comment on column vicket.refused_origins.origin is 'No personal data.';

create statistics vicket.refused_origins_tenant (ndistinct, dependencies) on org_id, site_id from vicket.refused_origins;

alter table vicket.refused_origins enable row level security;
alter table vicket.refused_origins force row level security;

create policy agent_select on vicket.refused_origins
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));

create policy operator_all on vicket.refused_origins
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.refused_origins is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.refused_origins
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.refused_origins is
  'Not narrowed: worker.add_refused_origins counts for many orgs at once.';

create policy definer_insert on vicket.refused_origins
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.refused_origins is
  'Not narrowed: worker.add_refused_origins counts for many orgs at once.';

create policy definer_update on vicket.refused_origins
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.refused_origins is 'worker.add_refused_origins.';

create policy definer_delete on vicket.refused_origins
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
comment on policy definer_delete on vicket.refused_origins is 'ctx.remove: site:edit.';

create policy definer_delete_least on vicket.refused_origins
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete_least on vicket.refused_origins is 'worker.add_refused_origins keeps 200.';

grant select (org_id, site_id, origin, times, first_seen, last_seen) on vicket.refused_origins to vicket_agent;
grant select on vicket.refused_origins to vicket_operator;
grant select, insert (org_id, site_id, origin, times, first_seen, last_seen), update (times, last_seen),
  delete on vicket.refused_origins to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.site_keys
create table vicket.site_keys (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  key_hash bytea not null,
  hint text not null,
  state text not null,
  created_at timestamptz not null default now(),
  created_by text not null default ctx.actor_name(),
  activated_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  constraint site_keys_pkey primary key (org_id, site_id, id),
  constraint site_keys_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint site_keys_hash_length check (octet_length(key_hash) = 32),
  constraint site_keys_hint_length check (char_length(hint) = 4),
  constraint site_keys_revoked_at check ((state = 'revoked') = (revoked_at is not null)),
  constraint site_keys_state_known check (state = any (array['active', 'staged', 'revoked']))
);
alter table vicket.site_keys owner to vicket_owner;
comment on table vicket.site_keys is 'Publishable keys as SHA-256. The plaintext is in no table.';
comment on column vicket.site_keys.key_hash is 'SHA-256 of the whole header value, 32 bytes.';
comment on column vicket.site_keys.hint is 'The last four characters of the key, to recognise it by. No personal data.';
comment on column vicket.site_keys.state is
  'active, staged (works beside the active one until a rotation promotes it) or revoked. No personal data.';
comment on column vicket.site_keys.created_by is 'Personal data.';
comment on column vicket.site_keys.last_used_at is 'Written in batches by the worker; a few seconds late.';

create unique index site_keys_hash on vicket.site_keys (key_hash);
create unique index site_keys_one_active on vicket.site_keys (org_id, site_id) where (state = 'active'::text);
create unique index site_keys_one_staged on vicket.site_keys (org_id, site_id) where (state = 'staged'::text);
create statistics vicket.site_keys_tenant (ndistinct, dependencies) on org_id, site_id from vicket.site_keys;

alter table vicket.site_keys enable row level security;
alter table vicket.site_keys force row level security;

create policy agent_select on vicket.site_keys
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.site_keys is
  'Members see when a key was made and last used; its hash is in no grant.';

create policy agent_insert on vicket.site_keys
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));

create policy agent_update on vicket.site_keys
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));

create policy operator_all on vicket.site_keys
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.site_keys is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.site_keys
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.site_keys is
  'Not narrowed: auth.enter and the seal find a key by its digest.';

create policy definer_update_revoked on vicket.site_keys
  for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:delete')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:delete')) and state = 'revoked');
comment on policy definer_update_revoked on vicket.site_keys is
  'ctx.remove: the keys of a large site are dead before its rows are gone.';

create policy definer_update_used on vicket.site_keys
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update_used on vicket.site_keys is 'worker.touch_keys.';

grant select (org_id, site_id, id, hint, state, created_at, created_by, activated_at, revoked_at, last_used_at),
  insert (site_id, key_hash, hint, state, activated_at), update (state, activated_at,
  revoked_at) on vicket.site_keys to vicket_agent;
grant select (org_id, site_id, id, hint, state, created_at, created_by, activated_at, revoked_at, last_used_at),
  insert (site_id, key_hash, hint, state, activated_at), update (state, created_by, activated_at,
  revoked_at) on vicket.site_keys to vicket_operator;
grant select (org_id, site_id, id, key_hash, state, last_used_at), update (state, revoked_at,
  last_used_at) on vicket.site_keys to vicket_definer;

create trigger audited after insert or delete or update of state on vicket.site_keys
  for each row execute function vicket.audited('site_key', 'hint', 'hint state');
create trigger serialize_org_writes before insert or delete or update of state on vicket.site_keys
  for each statement execute function vicket.serialize_org_writes();
create trigger stays_revoked before update of state, revoked_at on vicket.site_keys
  for each row execute function vicket.stays_revoked();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.site_key_origins
create table vicket.site_key_origins (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  key_id uuid not null,
  origin text not null,
  last_used_at timestamptz not null,
  constraint site_key_origins_pkey primary key (org_id, site_id, key_id, origin),
  constraint site_key_origins_key_fkey foreign key (org_id, site_id, key_id) references vicket.site_keys(org_id,
    site_id, id) on delete cascade,
  constraint site_key_origins_length check (char_length(origin) <= 255)
);
alter table vicket.site_key_origins owner to vicket_owner;
comment on table vicket.site_key_origins is 'From which of the site''s origins a key was used, and when last.';
comment on column vicket.site_key_origins.origin is
  'Empty for requests without one: servers and tools. No personal data.';

create statistics vicket.site_key_origins_tenant (ndistinct, dependencies) on org_id, site_id from
  vicket.site_key_origins;

alter table vicket.site_key_origins enable row level security;
alter table vicket.site_key_origins force row level security;

create policy agent_select on vicket.site_key_origins
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.site_key_origins is 'Members see where a key was last used.';

create policy definer_select on vicket.site_key_origins
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.site_key_origins is
  'Not narrowed: worker.touch_keys writes for many orgs at once.';

create policy definer_insert on vicket.site_key_origins
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.site_key_origins is
  'Not narrowed: worker.touch_keys writes for many orgs at once.';

create policy definer_update on vicket.site_key_origins
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.site_key_origins is 'worker.touch_keys.';

grant select (org_id, site_id, key_id, origin, last_used_at) on vicket.site_key_origins to vicket_agent;
grant select (org_id, site_id, key_id, origin, last_used_at), insert (org_id, site_id, key_id, origin, last_used_at),
  update (last_used_at) on vicket.site_key_origins to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.articles
create table vicket.articles (
  org_id uuid not null default ctx.org_id(),
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  slug text not null,
  title text not null,
  excerpt text not null default '',
  body_markdown text not null default '',
  body_html text not null default '',
  status text not null default 'draft',
  view_count bigint not null default 0,
  popularity bigint not null default 0,
  published_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null default ctx.actor_name(),
  updated_at timestamptz not null default now(),
  updated_by text not null default ctx.actor_name(),
  search tsvector not null generated always as ((setweight(to_tsvector('english'::regconfig, title), 'A'::"char") ||
    setweight(to_tsvector('english'::regconfig, excerpt), 'B'::"char")) || setweight(to_tsvector('english'::regconfig,
    body_markdown), 'C'::"char")) stored,
  words tsvector,
  constraint articles_pkey primary key (org_id, id),
  constraint articles_slug_unique unique nulls not distinct (org_id, site_id, slug),
  constraint articles_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint articles_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint articles_body_length check (char_length(body_markdown) <= 200000),
  constraint articles_published_at check (status <> 'published' or published_at is not null),
  constraint articles_published_body check (status <> 'published' or body_markdown ~ '\S'),
  constraint articles_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,118}[a-z0-9])?$'),
  constraint articles_status_known check (status = any (array['draft', 'published', 'archived'])),
  constraint articles_title_length check (char_length(title) >= 1 and char_length(title) <= 200),
  constraint articles_words_known check (words is not null)
) with (fillfactor=80);
alter table vicket.articles owner to vicket_owner;
comment on table vicket.articles is 'Help articles. site_id NULL: for all sites of the org.';
comment on column vicket.articles.slug is 'No personal data.';
comment on column vicket.articles.title is 'No personal data.';
comment on column vicket.articles.excerpt is 'No personal data.';
comment on column vicket.articles.body_markdown is 'No personal data.';
comment on column vicket.articles.body_html is
  'body_markdown, rendered and sanitised when it was written. No personal data.';
comment on column vicket.articles.status is 'No personal data.';
comment on column vicket.articles.view_count is 'Counted by the server, written in batches by the worker.';
comment on column vicket.articles.popularity is
  'view_count when it last grew by a tenth: what lists are ordered by, so that a count moves no index entry.';
comment on column vicket.articles.created_by is 'Who wrote it first, as ctx.actor_name calls them. Personal data.';
comment on column vicket.articles.updated_by is 'Who changed it last; set by trigger, with updated_at. Personal data.';
comment on column vicket.articles.search is
  'Full-text document: title, excerpt, body, in that order of weight. No personal data.';
comment on column vicket.articles.words is
  'Words of title, excerpt and text (A, B, C) in the languages of its readers, and as they are written (D). No '
  'personal data.';

create index articles_made on vicket.articles (org_id, created_at desc, id desc);
create index articles_made_in_site on vicket.articles (org_id, site_id, created_at desc, id desc);
create index articles_newest on vicket.articles (org_id, site_id, published_at desc, id desc) where (status =
  'published'::text);
create index articles_popular on vicket.articles (org_id, site_id, popularity desc, id desc) where (status =
  'published'::text);
create index articles_published_slug on vicket.articles (org_id, slug, site_id) where (status = 'published'::text);
create statistics vicket.articles_tenant (ndistinct, dependencies) on org_id, site_id from vicket.articles;

alter table vicket.articles enable row level security;
alter table vicket.articles force row level security;

create policy widget_select on vicket.articles
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and (site_id is null or site_id = (select ctx.site_id()))
    and status = 'published'
  );
comment on policy widget_select on vicket.articles is
  'The org predicate is what keeps a NULL site from meaning every org.';

create policy widget_all_sealed on vicket.articles
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())))
  with check (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())));
comment on policy widget_all_sealed on vicket.articles is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.articles
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:read')) or (select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
comment on policy agent_select on vicket.articles is
  'article:read; and who may write or publish reads what they write.';

create policy agent_insert on vicket.articles
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));
comment on policy agent_insert on vicket.articles is 'article:write. A draft: status is in no INSERT grant.';

create policy agent_update on vicket.articles
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('article:publish'))))
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
comment on policy agent_update on vicket.articles is
  'article:write for the text, article:publish for the status (trigger content_guarded).';

create policy operator_all on vicket.articles
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.articles is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.articles
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.articles is
  'worker.add_views and worker.run_job for any org, ctx.remove for one.';

create policy definer_update on vicket.articles
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('site:delete'))))
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.articles is
  'worker.add_views (the two counts are the only columns granted); ctx.remove_large locks what goes with a site.';

create policy definer_update_words on vicket.articles
  for update to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))))
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))));
comment on policy definer_update_words on vicket.articles is
  'vicket.site_language_changed, of whoever may change the site.';

create policy definer_delete on vicket.articles
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('site:delete'))));
comment on policy definer_delete on vicket.articles is 'ctx.remove: article:write; with a site, site:delete.';

create policy definer_delete_marked on vicket.articles
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete_marked on vicket.articles is 'worker.run_job, of a site that is marked.';

grant select (org_id, site_id, id, slug, title, excerpt, body_markdown, body_html, status, view_count, popularity,
  published_at, updated_at, search, words) on vicket.articles to vicket_widget;
grant select (org_id, site_id, id, slug, title, excerpt, body_markdown, body_html, status, view_count, published_at,
  created_at, created_by, updated_at, updated_by, search), insert (site_id, slug, title, excerpt, body_markdown,
  body_html), update (slug, title, excerpt, body_markdown, body_html, status) on vicket.articles to vicket_agent;
grant select, insert (site_id, slug, title, excerpt, body_markdown, body_html, status, published_at), update (slug,
  title, excerpt, body_markdown, body_html, status, published_at, created_by, updated_at,
  updated_by) on vicket.articles to vicket_operator;
grant select (org_id, site_id, id, view_count, popularity), update (view_count, popularity, words),
  delete on vicket.articles to vicket_definer;

create function vicket.content_guarded() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  text_columns constant text[] := string_to_array(tg_argv[0], ' ');
  before_row constant jsonb := to_jsonb(old);
  after_row constant jsonb := to_jsonb(new);
  text_changed constant boolean := exists (
    select from unnest(text_columns) c (name) where before_row -> c.name is distinct from after_row -> c.name
  );
  status_changed constant boolean := new.status <> old.status;
  acts constant boolean := ctx.needs_actor();
begin
  if not text_changed and not status_changed then
    return new;
  end if;
  if acts and text_changed and not ctx.may('article:write') then
    raise exception 'article:write is needed' using errcode = 'insufficient_privilege';
  end if;
  if acts and status_changed and not ctx.may('article:publish') then
    raise exception 'article:publish is needed' using errcode = 'insufficient_privilege';
  end if;
  new.updated_at := now();
  new.updated_by := ctx.actor_name();
  return new;
end $$;
alter function vicket.content_guarded() owner to vicket_owner;

create function vicket.help_written() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  languages constant text[] := array(
    select distinct s.language
    from vicket.sites s
    where s.org_id = new.org_id and (new.site_id is null or s.id = new.site_id) and s.deleted_at is null
  );
begin
  if tg_table_name = 'articles' then
    new.words := ctx.words_of_help(languages, new.title, new.excerpt, new.body_markdown);
  else
    new.words := ctx.words_of_help(languages, new.question, '', new.answer_markdown);
  end if;
  return new;
end $$;
alter function vicket.help_written() owner to vicket_definer;
comment on function vicket.help_written() is
  'Trigger: the words of an article or FAQ. Definer: no request may write there.';
grant execute on function vicket.help_written() to vicket_owner;

create function vicket.article_published() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.published_at := coalesce(new.published_at, now());
  return new;
end $$;
alter function vicket.article_published() owner to vicket_owner;

create trigger audited after insert or delete or update of slug, title, excerpt, body_markdown, body_html, status on
  vicket.articles
  for each row execute function vicket.audited('article', 'id', 'site_id slug title status updated_at');
create trigger content_changed after insert or delete or update of slug, title, excerpt, body_markdown, body_html,
  status, published_at, updated_at on vicket.articles
  for each row execute function vicket.content_changed();
create trigger content_guarded before update of slug, title, excerpt, body_markdown, body_html, status on
  vicket.articles
  for each row execute function vicket.content_guarded('slug title excerpt body_markdown body_html');
create trigger help_written before insert or update of title, excerpt, body_markdown, words on vicket.articles
  for each row execute function vicket.help_written();
create trigger published before update of status on vicket.articles
  for each row when (new.status = 'published') execute function vicket.article_published();
create trigger serialize_org_writes before insert or delete or update of slug, title, excerpt, body_markdown, body_html,
  status on vicket.articles
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.faqs
create table vicket.faqs (
  org_id uuid not null default ctx.org_id(),
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  question text not null,
  answer_markdown text not null default '',
  answer_html text not null default '',
  "position" integer not null default 0,
  status text not null default 'draft',
  created_at timestamptz not null default now(),
  created_by text not null default ctx.actor_name(),
  updated_at timestamptz not null default now(),
  updated_by text not null default ctx.actor_name(),
  words tsvector,
  constraint faqs_pkey primary key (org_id, id),
  constraint faqs_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint faqs_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint faqs_answer_length check (char_length(answer_markdown) <= 20000),
  constraint faqs_published_answer check (status <> 'published' or answer_markdown ~ '\S'),
  constraint faqs_question_length check (char_length(question) >= 1 and char_length(question) <= 500),
  constraint faqs_status_known check (status = any (array['draft', 'published', 'archived'])),
  constraint faqs_words_known check (words is not null)
);
alter table vicket.faqs owner to vicket_owner;
comment on table vicket.faqs is 'Frequently asked questions. site_id NULL: for all sites of the org.';
comment on column vicket.faqs.question is 'No personal data.';
comment on column vicket.faqs.answer_markdown is 'No personal data.';
comment on column vicket.faqs.answer_html is 'No personal data.';
comment on column vicket.faqs.status is 'No personal data.';
comment on column vicket.faqs.created_by is 'Personal data.';
comment on column vicket.faqs.updated_by is 'Personal data.';
comment on column vicket.faqs.words is
  'Words of question and answer (A, C) in the languages of its readers, and as they are written (D). No personal data.';

create index faqs_in_order on vicket.faqs (org_id, site_id, "position", id);
create statistics vicket.faqs_tenant (ndistinct, dependencies) on org_id, site_id from vicket.faqs;

alter table vicket.faqs enable row level security;
alter table vicket.faqs force row level security;

create policy widget_select on vicket.faqs
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and (site_id is null or site_id = (select ctx.site_id()))
    and status = 'published'
  );
comment on policy widget_select on vicket.faqs is 'The org predicate is what keeps a NULL site from meaning every org.';

create policy widget_all_sealed on vicket.faqs
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())))
  with check (org_id = (select ctx.org_by_key()) and (site_id is null or site_id = (select ctx.site_by_key())));
comment on policy widget_all_sealed on vicket.faqs is 'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.faqs
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:read')) or (select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );

create policy agent_insert on vicket.faqs
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));

create policy agent_update on vicket.faqs
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and ((select ctx.may('article:write')) or (select ctx.may('article:publish'))))
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('article:write')) or (select ctx.may('article:publish')))
  );
comment on policy agent_update on vicket.faqs is
  'article:write for the text, article:publish for the status (content_guarded).';

create policy operator_all on vicket.faqs
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));

create policy definer_select on vicket.faqs
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));

create policy definer_update_words on vicket.faqs
  for update to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))))
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))));
comment on policy definer_update_words on vicket.faqs is
  'vicket.site_language_changed, of whoever may change the site.';

create policy definer_delete on vicket.faqs
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('article:write')));
comment on policy definer_delete on vicket.faqs is 'ctx.remove.';

grant select (org_id, site_id, id, question, answer_markdown, answer_html, "position", status,
  words) on vicket.faqs to vicket_widget;
grant select, insert (site_id, question, answer_markdown, answer_html, "position"), update (question, answer_markdown,
  answer_html, "position", status) on vicket.faqs to vicket_agent;
grant select, insert (site_id, question, answer_markdown, answer_html, "position", status), update (question,
  answer_markdown, answer_html, "position", status, created_by, updated_at,
  updated_by) on vicket.faqs to vicket_operator;
grant select (org_id, site_id, id), update (words), delete on vicket.faqs to vicket_definer;

create trigger audited after insert or delete or update of question, answer_markdown, answer_html, "position", status on
  vicket.faqs
  for each row execute function vicket.audited('faq', 'id', 'site_id question position status updated_at');
create trigger content_changed after insert or delete or update on vicket.faqs
  for each row execute function vicket.content_changed();
create trigger content_guarded before update on vicket.faqs
  for each row execute function vicket.content_guarded('question answer_markdown answer_html position');
create trigger help_written before insert or update of question, answer_markdown, words on vicket.faqs
  for each row execute function vicket.help_written();
create trigger serialize_org_writes before insert or delete or update on vicket.faqs
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.statuses
create table vicket.statuses (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  category text not null,
  "position" integer not null default 0,
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint statuses_pkey primary key (org_id, id),
  constraint statuses_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint statuses_category_known check (category = any (array['open', 'pending', 'resolved', 'closed', 'custom'])),
  constraint statuses_default_open check (not is_default or category = 'open'),
  constraint statuses_name_length check (char_length(name) >= 1 and char_length(name) <= 60 and name ~ '\S')
);
alter table vicket.statuses owner to vicket_owner;
comment on table vicket.statuses is 'Where a ticket can stand, as the org calls it, in fixed categories.';
comment on column vicket.statuses.name is 'No personal data.';
comment on column vicket.statuses.category is 'No personal data.';
comment on column vicket.statuses.deleted_at is 'Set while its many tickets move to the default; its name is free.';

create unique index statuses_name_unique on vicket.statuses (org_id, name) where (deleted_at is null);
create unique index statuses_one_default on vicket.statuses (org_id) where is_default;

alter table vicket.statuses enable row level security;
alter table vicket.statuses force row level security;

create policy agent_select on vicket.statuses
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('status:read')) or (select ctx.may('status:edit')) or (select ctx.may('ticket:read')))
  );
comment on policy agent_select on vicket.statuses is
  'status:read; and who reads tickets reads what their status is called.';

create policy agent_insert on vicket.statuses
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));

create policy agent_update on vicket.statuses
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')) and deleted_at is null)
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));

create policy operator_all on vicket.statuses
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.statuses is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.statuses
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.statuses is
  'Not narrowed: the triggers of tickets, whoever writes them; worker.run_job.';

create policy definer_insert on vicket.statuses
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.statuses is
  'Not narrowed: what a new org begins with, before it has a context.';

create policy definer_update on vicket.statuses
  for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
comment on policy definer_update on vicket.statuses is
  'ctx.remove marks one that many tickets have (the only column granted).';

create policy definer_delete on vicket.statuses
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('status:edit')));
comment on policy definer_delete on vicket.statuses is 'ctx.remove: status:edit.';

create policy definer_delete_marked on vicket.statuses
  for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker'::name);
comment on policy definer_delete_marked on vicket.statuses is 'worker.run_job ends what ctx.remove began.';

grant select (org_id, id, name, category, "position", is_default, created_at, deleted_at), insert (name, category,
  "position"), update (name, category, "position", is_default) on vicket.statuses to vicket_agent;
grant select on vicket.statuses to vicket_operator;
grant select, insert (org_id, name, category, "position", is_default), update (deleted_at),
  delete on vicket.statuses to vicket_definer;

create function vicket.default_stays() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if old.is_default and exists (select from vicket.orgs o where o.id = old.org_id and o.deleted_at is null) then
    raise exception 'the default stays' using errcode = 'check_violation', constraint = tg_table_name || '_default_stays';
  end if;
  return coalesce(new, old);
end $$;
alter function vicket.default_stays() owner to vicket_owner;

create function vicket.status_moved() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  waiting constant bigint := (
    select count(*) from vicket.tickets t
    where t.org_id = new.org_id and t.status_id = new.id and t.status <> new.category
  );
begin
  if waiting > 1000 then
    insert into vicket.jobs as j (kind, subject_id, total)
      values ('move_status', new.id, waiting)
      on conflict (org_id, kind, subject_id) do update set total = j.done + waiting;
  else
    update vicket.tickets t
      set status = new.category
      where t.org_id = new.org_id and t.status_id = new.id and t.status <> new.category;
  end if;
  return null;
end $$;
alter function vicket.status_moved() owner to vicket_definer;
comment on function vicket.status_moved() is
  'Trigger: a status of another category takes its tickets with it. Definer: no request may write there.';
grant execute on function vicket.status_moved() to vicket_owner;

create trigger audited after insert or delete or update on vicket.statuses
  for each row execute function vicket.audited('status', 'id', 'name category position is_default');
create trigger default_stays before delete or update of deleted_at on vicket.statuses
  for each row execute function vicket.default_stays();
create trigger serialize_org_writes before insert or delete or update on vicket.statuses
  for each statement execute function vicket.serialize_org_writes();
create trigger status_moved after update of category on vicket.statuses
  for each row execute function vicket.status_moved();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.priorities
create table vicket.priorities (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  "position" integer not null default 0,
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint priorities_pkey primary key (org_id, id),
  constraint priorities_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint priorities_name_length check (char_length(name) >= 1 and char_length(name) <= 60 and name ~ '\S')
);
alter table vicket.priorities owner to vicket_owner;
comment on table vicket.priorities is
  'How urgent a ticket can be, as the org calls it; a higher position is more urgent.';
comment on column vicket.priorities.name is 'No personal data.';
comment on column vicket.priorities.deleted_at is 'Set while its many tickets move to the default; its name is free.';

create unique index priorities_name_unique on vicket.priorities (org_id, name) where (deleted_at is null);
create unique index priorities_one_default on vicket.priorities (org_id) where is_default;

alter table vicket.priorities enable row level security;
alter table vicket.priorities force row level security;

create policy agent_select on vicket.priorities
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('priority:read')) or (select ctx.may('priority:edit')) or (select ctx.may('ticket:read')))
  );
comment on policy agent_select on vicket.priorities is
  'priority:read; and who reads tickets reads what their priority is called.';

create policy agent_insert on vicket.priorities
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));

create policy agent_update on vicket.priorities
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')) and deleted_at is null)
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));

create policy operator_all on vicket.priorities
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.priorities is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.priorities
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.priorities is
  'Not narrowed: the triggers of tickets, whoever writes them; worker.run_job.';

create policy definer_insert on vicket.priorities
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.priorities is
  'Not narrowed: what a new org begins with, before it has a context.';

create policy definer_update on vicket.priorities
  for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
comment on policy definer_update on vicket.priorities is
  'ctx.remove marks one that many tickets have (the only column granted).';

create policy definer_delete on vicket.priorities
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('priority:edit')));
comment on policy definer_delete on vicket.priorities is 'ctx.remove: priority:edit.';

create policy definer_delete_marked on vicket.priorities
  for delete to vicket_definer
  using (deleted_at is not null and session_user = 'vicket_worker'::name);
comment on policy definer_delete_marked on vicket.priorities is 'worker.run_job ends what ctx.remove began.';

grant select (org_id, id, name, "position", is_default, created_at, deleted_at), insert (name, "position"),
  update (name, "position", is_default) on vicket.priorities to vicket_agent;
grant select on vicket.priorities to vicket_operator;
grant select, insert (org_id, name, "position", is_default), update (deleted_at),
  delete on vicket.priorities to vicket_definer;

create trigger audited after insert or delete or update on vicket.priorities
  for each row execute function vicket.audited('priority', 'id', 'name position is_default');
create trigger default_stays before delete or update of deleted_at on vicket.priorities
  for each row execute function vicket.default_stays();
create trigger serialize_org_writes before insert or delete or update on vicket.priorities
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.teams
create table vicket.teams (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  created_at timestamptz not null default now(),
  constraint teams_pkey primary key (org_id, id),
  constraint teams_name_unique unique (org_id, name),
  constraint teams_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint teams_name_length check (char_length(name) >= 1 and char_length(name) <= 100 and name ~ '\S')
);
alter table vicket.teams owner to vicket_owner;
comment on table vicket.teams is 'Groups of members that take care of some sites.';
comment on column vicket.teams.name is 'No personal data.';

alter table vicket.teams enable row level security;
alter table vicket.teams force row level security;

create policy agent_select on vicket.teams
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.teams is 'Members see the teams.';

create policy agent_insert on vicket.teams
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));

create policy agent_update on vicket.teams
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));

create policy definer_select on vicket.teams
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.teams is 'ctx.remove.';

create policy definer_delete on vicket.teams
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));
comment on policy definer_delete on vicket.teams is 'ctx.remove: team:edit.';

grant select (org_id, id, name, created_at), insert (name), update (name) on vicket.teams to vicket_agent;
grant select (org_id, id), delete on vicket.teams to vicket_definer;

create trigger audited after insert or delete or update on vicket.teams
  for each row execute function vicket.audited('team', 'id', 'name');
create trigger serialize_org_writes before insert or delete or update on vicket.teams
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.team_members
create table vicket.team_members (
  org_id uuid not null default ctx.org_id(),
  team_id uuid not null,
  user_id uuid not null,
  constraint team_members_pkey primary key (org_id, team_id, user_id),
  constraint team_members_member_fkey foreign key (org_id, user_id) references vicket.members(org_id, user_id) on delete
    cascade,
  constraint team_members_team_fkey foreign key (org_id, team_id) references vicket.teams(org_id, id) on delete cascade
);
alter table vicket.team_members owner to vicket_owner;
comment on table vicket.team_members is 'Who is in a team; goes with the membership.';

create index team_members_user on vicket.team_members (org_id, user_id);

alter table vicket.team_members enable row level security;
alter table vicket.team_members force row level security;

create policy agent_select on vicket.team_members
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.team_members is 'Members see the teams.';

create policy agent_insert on vicket.team_members
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));

create policy definer_select on vicket.team_members
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.team_members is 'ctx.remove.';

create policy definer_delete on vicket.team_members
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));
comment on policy definer_delete on vicket.team_members is 'ctx.remove: team:edit.';

grant select (org_id, team_id, user_id), insert (team_id, user_id) on vicket.team_members to vicket_agent;
grant select (org_id, team_id, user_id), delete on vicket.team_members to vicket_definer;

create trigger audited after insert or delete on vicket.team_members
  for each row execute function vicket.audited('team_member', 'team_id', 'user_id');
create trigger serialize_org_writes before insert or delete or update on vicket.team_members
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.team_sites
create table vicket.team_sites (
  org_id uuid not null default ctx.org_id(),
  team_id uuid not null,
  site_id uuid not null,
  constraint team_sites_pkey primary key (org_id, team_id, site_id),
  constraint team_sites_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint team_sites_team_fkey foreign key (org_id, team_id) references vicket.teams(org_id, id) on delete cascade
);
alter table vicket.team_sites owner to vicket_owner;
comment on table vicket.team_sites is 'Whose tickets a team sees.';

create index team_sites_site on vicket.team_sites (org_id, site_id);
create statistics vicket.team_sites_tenant (ndistinct, dependencies) on org_id, site_id from vicket.team_sites;

alter table vicket.team_sites enable row level security;
alter table vicket.team_sites force row level security;

create policy agent_select on vicket.team_sites
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.team_sites is 'Members see the teams.';

create policy agent_insert on vicket.team_sites
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));

create policy definer_select on vicket.team_sites
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.team_sites is 'ctx.remove.';

create policy definer_delete on vicket.team_sites
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('team:edit')));
comment on policy definer_delete on vicket.team_sites is 'ctx.remove: team:edit.';

grant select (org_id, team_id, site_id), insert (team_id, site_id) on vicket.team_sites to vicket_agent;
grant select (org_id, team_id, site_id), delete on vicket.team_sites to vicket_definer;

create trigger audited after insert or delete on vicket.team_sites
  for each row execute function vicket.audited('team_site', 'team_id', 'site_id');
create trigger serialize_org_writes before insert or delete or update on vicket.team_sites
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.tickets
create table vicket.tickets (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  number bigint not null,
  email text not null,
  name text,
  subject text not null,
  status text not null default 'open',
  status_id uuid not null,
  priority_id uuid not null,
  assignee_id uuid,
  template_name text,
  score integer,
  message_count integer not null default 0,
  message_bytes integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  search tsvector not null generated always as (to_tsvector('simple'::regconfig, ((((subject || ' ') || email) || ' ')
    || coalesce(name, '')))) stored,
  last_activity_at timestamptz not null default now(),
  unanswered boolean not null default true,
  snoozed_until timestamptz,
  customer_id uuid default ctx.customer_id(),
  customer_read_at timestamptz,
  constraint tickets_pkey primary key (org_id, site_id, id),
  constraint tickets_number_unique unique (org_id, site_id, number),
  constraint tickets_assignee_fkey foreign key (org_id, assignee_id) references vicket.members(org_id, user_id) on
    delete set null (assignee_id),
  constraint tickets_priority_fkey foreign key (org_id, priority_id) references vicket.priorities(org_id, id),
  constraint tickets_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint tickets_status_fkey foreign key (org_id, status_id) references vicket.statuses(org_id, id),
  constraint ticket_full check (message_count <= 1000 and message_bytes <= 4194304),
  constraint tickets_email_length check (char_length(email) >= 3 and char_length(email) <= 254),
  constraint tickets_name_length check (char_length(name) >= 1 and char_length(name) <= 200),
  constraint tickets_status_known check (status = any (array['open', 'pending', 'resolved', 'closed', 'custom'])),
  constraint tickets_subject_length check (char_length(subject) >= 1 and char_length(subject) <= 200)
);
alter table vicket.tickets owner to vicket_owner;
comment on table vicket.tickets is 'What customers asked, numbered per site.';
comment on column vicket.tickets.number is
  'Per site, from 1, growing; assigned by trigger. A gap is a submission that was rolled back.';
comment on column vicket.tickets.email is 'Personal data.';
comment on column vicket.tickets.name is 'Personal data.';
comment on column vicket.tickets.subject is 'Personal data.';
comment on column vicket.tickets.status is
  'The category of status_id; kept by trigger, and all that customers are told. No personal data.';
comment on column vicket.tickets.assignee_id is 'The member who takes care of it.';
comment on column vicket.tickets.template_name is
  'The form that was filled in, as it was called then. No personal data.';
comment on column vicket.tickets.score is 'The sum of the points of its answers; NULL without a form.';
comment on column vicket.tickets.message_count is
  'Its messages, notes included; counted by trigger, with the ticket locked. In no index: counting moves no index '
  'entry.';
comment on column vicket.tickets.message_bytes is 'Bytes of their bodies; counted as message_count is.';
comment on column vicket.tickets.search is
  'Full-text document: subject, e-mail and name, as they are written. Personal data.';
comment on column vicket.tickets.last_activity_at is 'When something was said last, notes included; by trigger.';
comment on column vicket.tickets.unanswered is
  'Whether the customer said something after the last answer; by trigger. Notes answer nothing, nor does mail of a '
  'machine ask.';
comment on column vicket.tickets.snoozed_until is
  'Until when it is out of sight; NULL when it is not. One that is over tells that it came back.';
comment on column vicket.tickets.customer_id is
  'Whose session submitted it; NULL without one. Nobody says it but the context.';
comment on column vicket.tickets.customer_read_at is 'When they last opened it by a session.';

create index tickets_activity on vicket.tickets (org_id, last_activity_at desc, id desc);
create index tickets_activity_of_site on vicket.tickets (org_id, site_id, last_activity_at desc, id desc);
create index tickets_assignee on vicket.tickets (org_id, assignee_id) where (assignee_id is not null);
create unique index tickets_by_id on vicket.tickets (org_id, id);
create index tickets_changed on vicket.tickets (org_id, updated_at desc);
create index tickets_inbox on vicket.tickets (org_id, created_at desc, id desc);
create index tickets_number on vicket.tickets (org_id, number);
create index tickets_of_customer on vicket.tickets (org_id, site_id, customer_id, created_at desc, id desc) where
  (customer_id is not null);
create index tickets_priority on vicket.tickets (org_id, priority_id);
create index tickets_snoozed on vicket.tickets (org_id, snoozed_until) where (snoozed_until is not null);
create index tickets_status on vicket.tickets (org_id, status_id);
create index tickets_unresolved on vicket.tickets (org_id, last_activity_at desc, id desc) where (status <> all
  (array['resolved'::text, 'closed'::text]));
create index tickets_words on vicket.tickets using gin (ctx.words_of_org(org_id, search)) with (fastupdate=off);
create statistics vicket.tickets_tenant (ndistinct, dependencies) on org_id, site_id from vicket.tickets;

alter table vicket.tickets enable row level security;
alter table vicket.tickets force row level security;

create policy widget_select on vicket.tickets
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()) and id = (select ctx.ticket_id()));
comment on policy widget_select on vicket.tickets is
  'A customer reads the one ticket that the token in the context opens.';

create policy widget_select_mine on vicket.tickets
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and customer_id = (select ctx.customer_id())
  );
comment on policy widget_select_mine on vicket.tickets is 'Those of the customer whose session is in the context.';

create policy widget_insert on vicket.tickets
  for insert to vicket_widget
  with check (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()) and ctx.may_submit(email));
comment on policy widget_insert on vicket.tickets is
  'A submission; by a customer''s session under its own address, and not without one where the site wants an identity.';

create policy widget_all_sealed on vicket.tickets
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.tickets is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.tickets
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')) or (select ctx.may('ticket:assign')) or
      (select ctx.may('ticket:delete')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.tickets is 'ticket:read, and who may do more; within one''s teams.';

create policy agent_insert on vicket.tickets
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.tickets is 'ticket:write; within one''s teams.';

create policy agent_update on vicket.tickets
  for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:write')) or (select ctx.may('ticket:assign')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:write')) or (select ctx.may('ticket:assign')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_update on vicket.tickets is
  'ticket:write, and ticket:assign for the assignee (trigger ticket_guarded); within one''s teams.';

create policy operator_all on vicket.tickets
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.tickets is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.tickets
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.tickets is
  'Not narrowed: the triggers of tickets and of what hangs on them, whoever writes.';

create policy definer_insert on vicket.tickets
  for insert to vicket_definer
  with check (
    session_user = 'vicket_worker'::name
    and org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
  );
comment on policy definer_insert on vicket.tickets is 'worker.file_mail, of the site of the mail.';

create policy definer_update on vicket.tickets
  for update to vicket_definer
  using (true)
  with check (true);
comment on policy definer_update on vicket.tickets is
  'Not narrowed: the triggers of what hangs on a ticket, whoever writes; worker.run_job.';

create policy definer_delete on vicket.tickets
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_delete on vicket.tickets is 'ctx.remove: ticket:delete; within one''s teams.';

create policy definer_delete_marked on vicket.tickets
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete_marked on vicket.tickets is 'worker.run_job, of a site that is marked.';

grant select (org_id, site_id, id, number, name, subject, status, created_at, customer_id), insert (id, email, name,
  subject) on vicket.tickets to vicket_widget;
grant select (org_id, site_id, id, number, email, name, subject, status, status_id, priority_id, assignee_id,
  template_name, score, message_count, message_bytes, created_at, updated_at, search, last_activity_at, unanswered,
  snoozed_until), insert (site_id, id, email, name, subject), update (status_id, priority_id, assignee_id,
  snoozed_until) on vicket.tickets to vicket_agent;
grant select, insert (site_id, email, name, subject, status), update (status,
  updated_at) on vicket.tickets to vicket_operator;
grant select (org_id, site_id, id, number, email, name, subject, status, status_id, priority_id, assignee_id,
  template_name, message_count, message_bytes, created_at, updated_at, search, last_activity_at, unanswered,
  snoozed_until, customer_id, customer_read_at), insert (org_id, site_id, id, email, name, subject), update (status,
  status_id, priority_id, template_name, score, message_count, message_bytes, updated_at, last_activity_at, unanswered,
  snoozed_until, customer_read_at), delete on vicket.tickets to vicket_definer;

create function vicket.ticket_status_kept() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status_id is null or tg_op = 'UPDATE' and new.status <> old.status and new.status_id = old.status_id then
    new.status_id := (
      select s.id
      from vicket.statuses s
      where s.org_id = new.org_id and s.deleted_at is null and (s.category = new.status or s.is_default)
      order by s.category = new.status desc, s.id = new.status_id desc nulls last, s.is_default desc, s.position, s.id
      limit 1
    );
  end if;
  new.status := coalesce(
    (select s.category from vicket.statuses s where s.org_id = new.org_id and s.id = new.status_id), new.status);
  if new.priority_id is null then
    new.priority_id := (select p.id from vicket.priorities p where p.org_id = new.org_id and p.is_default);
  end if;
  return new;
end $$;
alter function vicket.ticket_status_kept() owner to vicket_definer;
comment on function vicket.ticket_status_kept() is
  'Trigger: status is the category of status_id; what is not said is the default. Definer: customers may not read '
  'there.';
grant execute on function vicket.ticket_status_kept() to vicket_owner;

create function vicket.ticket_change_mailed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  mail vicket.mails;
begin
  if session_user <> 'vicket_gate_agent' or vicket.mail_domain() is null then
    return null;
  end if;
  mail.org_id := new.org_id;
  mail.site_id := new.site_id;
  mail.ticket_id := new.id;
  if new.assignee_id is distinct from old.assignee_id then
    mail.kind := 'agent_assigned';
    mail.user_id := new.assignee_id;
    perform vicket.member_mail(mail);
  end if;
  if new.status = 'resolved' and old.status <> 'resolved' and not exists (
    select from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.id)
  then
    mail.kind := 'ticket_resolved';
    mail.user_id := null;
    mail.recipient := new.email;
    perform vicket.write_mail(mail);
  end if;
  return null;
end $$;
alter function vicket.ticket_change_mailed() owner to vicket_definer;
comment on function vicket.ticket_change_mailed() is
  'Trigger: tells a member what they were assigned, and a customer that it is resolved. Definer: no request may write '
  'there.';
grant execute on function vicket.ticket_change_mailed() to vicket_owner;

create function vicket.ticket_changed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who constant text := case
    when ctx.digest('key') is not null then 'customer'
    -- Of whoever began what the worker ends.
    when session_user = 'vicket_worker' then current_setting('app.actor', true)
    else ctx.actor_name()
  end;
begin
  insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
    select new.org_id, new.site_id, new.id, coalesce(nullif(who, ''), 'cli'), c.kind, c.before, c.after
    from (
      select 'status' as kind,
        (select s.name from vicket.statuses s where s.org_id = old.org_id and s.id = old.status_id) as before,
        (select s.name from vicket.statuses s where s.org_id = new.org_id and s.id = new.status_id) as after
      where new.status_id <> old.status_id
      union all
      select 'priority',
        (select p.name from vicket.priorities p where p.org_id = old.org_id and p.id = old.priority_id),
        (select p.name from vicket.priorities p where p.org_id = new.org_id and p.id = new.priority_id)
      where new.priority_id <> old.priority_id
      union all
      select 'assignee',
        (select u.email from vicket.users u where u.id = old.assignee_id),
        (select u.email from vicket.users u where u.id = new.assignee_id)
      where new.assignee_id is distinct from old.assignee_id
    ) c;
  return null;
end $$;
alter function vicket.ticket_changed() owner to vicket_definer;
comment on function vicket.ticket_changed() is
  'Trigger: notes changes of a ticket in its timeline. Definer: no request may write there.';
grant execute on function vicket.ticket_changed() to vicket_owner;

create function vicket.ticket_gone() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.sites s
    set last_number = gone.number
    from (select g.org_id, g.site_id, max(g.number) as number from gone_rows g group by 1, 2) gone
    where s.org_id = gone.org_id and s.id = gone.site_id and s.last_number < gone.number;
  return null;
end $$;
alter function vicket.ticket_gone() owner to vicket_owner;

create function vicket.ticket_guarded() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  given text;
begin
  -- Neither a customer's reply nor an administration command acts for a member.
  if not ctx.needs_actor() then
    return new;
  end if;
  -- Whoever leaves the org is taken off their tickets by the foreign key.
  if new.assignee_id is distinct from old.assignee_id and not ctx.may('ticket:assign')
    and exists (select from vicket.members m where m.org_id = old.org_id and m.user_id = coalesce(old.assignee_id, new.assignee_id))
  then
    raise exception 'ticket:assign is needed' using errcode = 'insufficient_privilege';
  end if;
  if (new.status_id, new.priority_id) is distinct from (old.status_id, old.priority_id)
    and not (ctx.may('ticket:write') or ctx.may('status:edit') or ctx.may('priority:edit'))
  then
    raise exception 'ticket:write is needed' using errcode = 'insufficient_privilege';
  end if;
  if new.assignee_id is not null and new.assignee_id is distinct from old.assignee_id then
    given := (select m.role from vicket.members m where m.org_id = new.org_id and m.user_id = new.assignee_id);
    if given is not null and not 'ticket:write' = any (ctx.permissions_of(given)) then
      raise exception 'they only read tickets' using errcode = 'check_violation', constraint = 'tickets_assignee_writes';
    end if;
    if given not in ('owner', 'admin')
      and exists (select from vicket.team_members m where m.org_id = new.org_id and m.user_id = new.assignee_id)
      and not exists (
        select from vicket.team_members m
        join vicket.team_sites s on s.org_id = m.org_id and s.team_id = m.team_id
        where m.org_id = new.org_id and m.user_id = new.assignee_id and s.site_id = new.site_id
      )
    then
      raise exception 'their teams do not see it' using errcode = 'check_violation', constraint = 'tickets_assignee_sees';
    end if;
  end if;
  new.updated_at := now();
  return new;
end $$;
alter function vicket.ticket_guarded() owner to vicket_owner;

create function vicket.ticket_mailed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  mail vicket.mails;
begin
  if session_user = 'vicket_gate_widget' and vicket.mail_domain() is not null
    and vicket.count_mail('site ' || new.site_id, new.email, 1) and vicket.count_mail('received', new.email, 3)
  then
    mail.org_id := new.org_id;
    mail.site_id := new.site_id;
    mail.kind := 'ticket_received';
    mail.ticket_id := new.id;
    mail.recipient := new.email;
    perform vicket.write_mail(mail);
  end if;
  return null;
end $$;
alter function vicket.ticket_mailed() owner to vicket_definer;
comment on function vicket.ticket_mailed() is
  'Trigger: tells a customer that their ticket is here, within bounds. Definer: no request may write there.';
grant execute on function vicket.ticket_mailed() to vicket_owner;

create function vicket.ticket_opened() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  numbered constant boolean := new.number is not null;
begin
  if new.site_id is null then
    return new; -- Outside a tenant: it is refused.
  end if;
  select
      coalesce(new.status_id, (
        select s.id from vicket.statuses s where s.org_id = new.org_id and s.is_default and s.deleted_at is null
      )),
      coalesce(new.priority_id, (select p.id from vicket.priorities p where p.org_id = new.org_id and p.is_default)),
      coalesce(new.number, 1 + greatest(
        0,
        (select s.last_number from vicket.sites s where s.org_id = new.org_id and s.id = new.site_id),
        (select max(t.number) from vicket.tickets t where t.org_id = new.org_id and t.site_id = new.site_id)
      ))
    into new.status_id, new.priority_id, new.number;
  while not numbered loop
    -- Two statements: what the lock's last holder committed, only a look that begins after it sees.
    if pg_try_advisory_xact_lock(hashtextextended(new.site_id::text, new.number)) then
      -- In the order of its index: the planner took another one, and read all tickets of the site.
      perform from (
          select t.number
          from vicket.tickets t
          where t.org_id = new.org_id and t.site_id = new.site_id and t.number >= new.number
          order by t.number
          limit 1
        ) next
        where next.number = new.number;
      exit when not found;
    end if;
    new.number := new.number + 1;
  end loop;
  return new;
end $$;
alter function vicket.ticket_opened() owner to vicket_definer;
comment on function vicket.ticket_opened() is
  'Trigger: numbers a ticket within its site; its status and priority are the defaults, unless said. Definer: '
  'customers may not read there.';
grant execute on function vicket.ticket_opened() to vicket_owner;

create function vicket.snooze_noted() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who constant text := case
    when ctx.digest('key') is not null then 'customer'
    when session_user = 'vicket_worker' then current_setting('app.actor', true)
    else ctx.actor_name()
  end;
begin
  -- That one is forgotten which was over is nothing that happened.
  if greatest(old.snoozed_until, new.snoozed_until) > now() then
    insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
      values (new.org_id, new.site_id, new.id, coalesce(nullif(who, ''), 'cli'), 'snooze',
        to_char(old.snoozed_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        to_char(new.snoozed_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
  end if;
  return null;
end $$;
alter function vicket.snooze_noted() owner to vicket_definer;
comment on function vicket.snooze_noted() is
  'Trigger: notes in the timeline that a ticket sleeps, or wakes. Definer: no request may write there.';
grant execute on function vicket.snooze_noted() to vicket_owner;

create function vicket.ticket_snoozed() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status in ('resolved', 'closed') then
    new.snoozed_until := null;
  end if;
  -- Neither a customer's reply nor an administration command acts for a member.
  if not ctx.needs_actor() then
    return new;
  end if;
  if new.snoozed_until is distinct from old.snoozed_until and not ctx.may('ticket:write') then
    raise exception 'ticket:write is needed' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
alter function vicket.ticket_snoozed() owner to vicket_owner;
comment on function vicket.ticket_snoozed() is 'Trigger: snoozing needs ticket:write; what is solved is not snoozed.';

create trigger audited after delete on vicket.tickets referencing old table as gone_rows
  for each statement execute function vicket.audited('ticket', 'id', 'site_id number status');
create trigger status_kept before update of status, status_id, priority_id on vicket.tickets
  for each row execute function vicket.ticket_status_kept();
create trigger status_said before insert on vicket.tickets
  for each row when (new.status <> 'open' or new.status_id is not null) execute function vicket.ticket_status_kept();
create trigger ticket_change_mailed after update on vicket.tickets
  for each row when (old.assignee_id is distinct from new.assignee_id or old.status is distinct from new.status) execute
    function vicket.ticket_change_mailed();
create trigger ticket_changed after update on vicket.tickets
  for each row when (old.status_id is distinct from new.status_id or old.priority_id is distinct from new.priority_id or
    old.assignee_id is distinct from new.assignee_id) execute function vicket.ticket_changed();
create trigger ticket_gone after delete on vicket.tickets referencing old table as gone_rows
  for each statement execute function vicket.ticket_gone();
create trigger ticket_guarded before update of status_id, priority_id, assignee_id on vicket.tickets
  for each row execute function vicket.ticket_guarded();
create trigger ticket_mailed after insert on vicket.tickets
  for each row execute function vicket.ticket_mailed();
create trigger ticket_opened before insert on vicket.tickets
  for each row execute function vicket.ticket_opened();
create trigger ticket_snooze_noted after update on vicket.tickets
  for each row when (old.snoozed_until is distinct from new.snoozed_until) execute function vicket.snooze_noted();
create trigger ticket_snoozed before update of status, status_id, snoozed_until on vicket.tickets
  for each row execute function vicket.ticket_snoozed();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_tokens
create table vicket.ticket_tokens (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  token_hash bytea not null,
  created_at timestamptz not null default now(),
  constraint ticket_tokens_pkey primary key (org_id, site_id, token_hash),
  constraint ticket_tokens_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade deferrable initially deferred,
  constraint ticket_tokens_hash_length check (octet_length(token_hash) = 32)
);
alter table vicket.ticket_tokens owner to vicket_owner;
comment on table vicket.ticket_tokens is 'SHA-256 of the ticket tokens: a holder reads and answers that one ticket.';

create index ticket_tokens_of_ticket on vicket.ticket_tokens (org_id, ticket_id);
create statistics vicket.ticket_tokens_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_tokens;

alter table vicket.ticket_tokens enable row level security;
alter table vicket.ticket_tokens force row level security;

create policy widget_insert on vicket.ticket_tokens
  for insert to vicket_widget
  with check (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()) and ctx.may_issue_token(ticket_id));
comment on policy widget_insert on vicket.ticket_tokens is
  'Only for a ticket that this transaction is creating, or that the same submission created before.';

create policy widget_all_sealed on vicket.ticket_tokens
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.ticket_tokens is
  'Even an injected statement stays with the key in the context.';

create policy definer_select on vicket.ticket_tokens
  for select to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_select on vicket.ticket_tokens is 'ctx.ticket_id.';

create policy definer_insert on vicket.ticket_tokens
  for insert to vicket_definer
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_insert on vicket.ticket_tokens is 'worker.open_mails: the token of a link.';

grant insert (ticket_id, token_hash) on vicket.ticket_tokens to vicket_widget;
grant select (org_id, site_id, ticket_id, token_hash), insert (org_id, site_id, ticket_id,
  token_hash) on vicket.ticket_tokens to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.submissions
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
  constraint submissions_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id, site_id,
    id) on delete cascade deferrable initially deferred,
  constraint submissions_hash_length check (octet_length(key_hash) = 32 and octet_length(request_hash) = 32),
  constraint submissions_kind_known check (kind = any (array['ticket', 'message', 'attachments']))
);
alter table vicket.submissions owner to vicket_owner;
comment on table vicket.submissions is 'Idempotency keys (as digests), kept 24 hours, per site.';
comment on column vicket.submissions.kind is 'No personal data.';

create index submissions_created on vicket.submissions (created_at);
create index submissions_ticket on vicket.submissions (org_id, ticket_id);
create statistics vicket.submissions_tenant (ndistinct, dependencies) on org_id, site_id from vicket.submissions;

alter table vicket.submissions enable row level security;
alter table vicket.submissions force row level security;

create policy definer_select on vicket.submissions
  for select to vicket_definer
  using (
    session_user = 'vicket_worker'::name or (org_id = (select ctx.org_by_key()) and site_id = (select
      ctx.site_by_key()))
  );
comment on policy definer_select on vicket.submissions is
  'ctx.claim_submission, ctx.may_issue_token for the key''s site; worker.purge for any.';

create policy definer_select_answers on vicket.submissions
  for select to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_select_answers on vicket.submissions is
  'ctx.claim_answer: ticket:write; within one''s teams.';

create policy definer_insert on vicket.submissions
  for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_insert on vicket.submissions is 'ctx.claim_submission.';

create policy definer_insert_answers on vicket.submissions
  for insert to vicket_definer
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_insert_answers on vicket.submissions is
  'ctx.claim_answer: ticket:write; within one''s teams.';

create policy definer_update on vicket.submissions
  for update to vicket_definer
  using (
    session_user = 'vicket_worker'::name or (org_id = (select ctx.org_by_key()) and site_id = (select
      ctx.site_by_key()))
  )
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_update on vicket.submissions is
  'ctx.claim_submission, of a key that has expired; worker.purge locks what it deletes.';

create policy definer_update_answers on vicket.submissions
  for update to vicket_definer
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
comment on policy definer_update_answers on vicket.submissions is 'ctx.claim_answer, of a key that has expired.';

create policy definer_delete on vicket.submissions
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.submissions is 'worker.purge.';

grant select, insert, update (request_hash, kind, ticket_id, message_id, created_at),
  delete on vicket.submissions to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_events
create table vicket.ticket_events (
  org_id uuid not null,
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  ticket_id uuid not null,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  kind text not null,
  before text,
  after text,
  constraint ticket_events_pkey primary key (org_id, site_id, id),
  constraint ticket_events_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade,
  constraint ticket_events_kind_known check (kind = any (array['status', 'priority', 'assignee', 'tag', 'snooze',
    'merge', 'merged']))
);
alter table vicket.ticket_events owner to vicket_owner;
comment on table vicket.ticket_events is
  'Changes of a ticket''s status, priority, assignee and tags, by name, as they were then; until when it was snoozed; '
  'what it became part of (merged), and what became part of it (merge), by reference.';
comment on column vicket.ticket_events.actor is 'An e-mail, `machine key NAME`, `cli`, or `customer`. Personal data.';
comment on column vicket.ticket_events.kind is 'No personal data.';
comment on column vicket.ticket_events.before is 'Personal data.';
comment on column vicket.ticket_events.after is 'Personal data.';

create index ticket_events_in_order on vicket.ticket_events (org_id, ticket_id, at, id);
create index ticket_events_recent on vicket.ticket_events (org_id, at desc);
create statistics vicket.ticket_events_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_events;

alter table vicket.ticket_events enable row level security;
alter table vicket.ticket_events force row level security;

create policy agent_select on vicket.ticket_events
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.ticket_events is 'ticket:read; within one''s teams.';

create policy operator_all on vicket.ticket_events
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.ticket_events is 'vicket person erase.';

create policy definer_select on vicket.ticket_events
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.ticket_events is 'worker.retain.';

create policy definer_insert on vicket.ticket_events
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.ticket_events is 'Not narrowed: the trigger ticket_changed, whoever writes.';

create policy definer_delete on vicket.ticket_events
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.ticket_events is 'worker.retain.';

grant select on vicket.ticket_events to vicket_agent;
grant select, update (actor, before, after) on vicket.ticket_events to vicket_operator;
grant select (org_id, site_id, id, ticket_id, at), insert (org_id, site_id, ticket_id, actor, kind, before, after),
  delete on vicket.ticket_events to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_messages
create table vicket.ticket_messages (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  ticket_id uuid not null,
  author text not null default 'customer',
  author_id uuid,
  author_name text,
  body text not null,
  internal boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  search tsvector not null generated always as (to_tsvector('simple'::regconfig, body)) stored,
  told boolean not null default true,
  constraint ticket_messages_pkey primary key (org_id, site_id, id),
  constraint ticket_messages_of_ticket unique (org_id, site_id, ticket_id, id),
  constraint ticket_messages_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade,
  constraint ticket_messages_author_known check (author = any (array['customer', 'agent'])),
  constraint ticket_messages_author_name_length check (char_length(author_name) >= 1 and char_length(author_name) <=
    200),
  constraint ticket_messages_body_length check (char_length(body) >= 1 and char_length(body) <= 20000),
  constraint ticket_messages_internal_author check (not internal or author = 'agent')
);
alter table vicket.ticket_messages owner to vicket_owner;
comment on table vicket.ticket_messages is 'The conversation of a ticket, internal notes included.';
comment on column vicket.ticket_messages.author is 'No personal data.';
comment on column vicket.ticket_messages.author_id is
  'The person who answered; NULL for customers, commands, and for who is gone.';
comment on column vicket.ticket_messages.author_name is 'Personal data.';
comment on column vicket.ticket_messages.body is 'Personal data.';
comment on column vicket.ticket_messages.internal is 'A note between agents; in no policy of the widget.';
comment on column vicket.ticket_messages.search is 'Full-text document of the body, as it is written. Personal data.';
comment on column vicket.ticket_messages.told is 'Whether its customer is told of it by mail, where an agent wrote it.';

create index ticket_messages_in_order on vicket.ticket_messages (org_id, ticket_id, created_at, id);
create index ticket_messages_words on vicket.ticket_messages using gin (ctx.words_of_org(org_id, search)) with
  (fastupdate=off);
create statistics vicket.ticket_messages_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_messages;

alter table vicket.ticket_messages enable row level security;
alter table vicket.ticket_messages force row level security;

create policy widget_select on vicket.ticket_messages
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and not internal
  );
comment on policy widget_select on vicket.ticket_messages is 'Never internal notes.';

create policy widget_insert on vicket.ticket_messages
  for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and author = 'customer'
    and not internal
  );
comment on policy widget_insert on vicket.ticket_messages is
  'A customer answers the one ticket that the token in the context opens.';

create policy widget_all_sealed on vicket.ticket_messages
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.ticket_messages is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.ticket_messages
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.ticket_messages is 'ticket:read; internal notes too; within one''s teams.';

create policy agent_insert on vicket.ticket_messages
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
    and author = 'agent'
  );
comment on policy agent_insert on vicket.ticket_messages is 'ticket:write, as an agent; within one''s teams.';

create policy operator_all on vicket.ticket_messages
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.ticket_messages is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.ticket_messages
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.ticket_messages is
  'Not narrowed: attachment_added tells notes from answers, whoever writes.';

create policy definer_insert on vicket.ticket_messages
  for insert to vicket_definer
  with check (
    session_user = 'vicket_worker'::name
    and org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
  );
comment on policy definer_insert on vicket.ticket_messages is 'worker.file_mail, of the site of the mail.';

grant select (org_id, site_id, id, ticket_id, author, author_name, body, created_at), insert (id, ticket_id,
  author_name, body) on vicket.ticket_messages to vicket_widget;
grant select (org_id, site_id, id, ticket_id, author, author_id, author_name, body, internal, created_at, search),
  insert (site_id, id, ticket_id, author, body, internal, told) on vicket.ticket_messages to vicket_agent;
grant select, insert (site_id, ticket_id, author, author_name, body, internal), update (author_id,
  author_name) on vicket.ticket_messages to vicket_operator;
grant select (org_id, site_id, id, ticket_id, author, author_name, body, internal, created_at, search), insert (org_id,
  site_id, id, ticket_id, author, author_id, author_name, body) on vicket.ticket_messages to vicket_definer;

create function vicket.agent_answered() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
  said timestamptz;
begin
  if who.user_id is not null then
    new.author_id := who.user_id;
    new.author_name := vicket.name_in(new.org_id, who.user_id);
  end if;
  if not new.internal and exists (
    select from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.status = 'closed'
  ) then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  update vicket.tickets t
    set updated_at = now(), message_count = t.message_count + 1,
      message_bytes = t.message_bytes + octet_length(new.body), last_activity_at = clock_timestamp(),
      unanswered = t.unanswered and new.internal
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id
    returning t.last_activity_at into said;
  if said is not null and who.machine_key_id is null then
    insert into vicket.ticket_seen as s (org_id, site_id, ticket_id, user_id, read_to)
      select new.org_id, new.site_id, new.ticket_id, m.user_id, said
      from vicket.members m
      where m.org_id = new.org_id and m.user_id = new.author_id
      on conflict (org_id, site_id, ticket_id, user_id) do update set read_to = excluded.read_to;
  end if;
  return new;
end $$;
alter function vicket.agent_answered() owner to vicket_definer;
comment on function vicket.agent_answered() is
  'Trigger: says who answered; a closed ticket takes notes only (constraint ticket_not_closed), a full one nothing '
  '(ticket_full). Definer: no request may write there.';
grant execute on function vicket.agent_answered() to vicket_owner;

create function vicket.customer_replied() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  quiet constant boolean := session_user = 'vicket_worker' and current_setting('app.quiet', true) = 'on';
  whole uuid;
begin
  update vicket.tickets t
    set message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body)
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id and t.created_at = now();
  if found then
    return null;
  end if;
  whole := (
    select g.into_id from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.ticket_id
  );
  update vicket.tickets t
    set status = case when t.status in ('resolved', 'pending') and not quiet and whole is null then 'open' else t.status end,
      updated_at = now(), message_count = t.message_count + 1, message_bytes = t.message_bytes + octet_length(new.body),
      last_activity_at = clock_timestamp(), unanswered = t.unanswered or not quiet,
      snoozed_until = case when quiet then t.snoozed_until end
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id
      and (t.status <> 'closed' or quiet or whole is not null);
  if found and whole is not null then
    update vicket.tickets t
      set status = case when t.status in ('resolved', 'pending') and not quiet then 'open' else t.status end, updated_at = now(),
        last_activity_at = clock_timestamp(), unanswered = t.unanswered or not quiet,
        snoozed_until = case when quiet then t.snoozed_until end
      where t.org_id = new.org_id and t.site_id = new.site_id and t.id = whole and (t.status <> 'closed' or quiet);
  end if;
  if not found then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  return null;
end $$;
alter function vicket.customer_replied() owner to vicket_definer;
comment on function vicket.customer_replied() is
  'Trigger: a reply opens a resolved or a pending ticket, or the one that it is part of, and wakes one that is '
  'snoozed; a closed one refuses it (constraint ticket_not_closed), a full one too (ticket_full). Definer: no request '
  'may write there.';
grant execute on function vicket.customer_replied() to vicket_owner;

create function vicket.message_mailed() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  mail vicket.mails;
  ticket record;
begin
  if session_user not in ('vicket_gate_widget', 'vicket_gate_agent') or vicket.mail_domain() is null then
    return null;
  end if;
  select t.email, t.assignee_id, t.created_at into ticket
    from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  mail.org_id := new.org_id;
  mail.site_id := new.site_id;
  mail.ticket_id := new.ticket_id;
  mail.message_id := new.id;
  if new.author = 'agent' then
    if not new.told then
      return null;
    end if;
    mail.kind := 'ticket_answered';
    if ticket.created_at = now() then
      mail.kind := 'ticket_opened';
      if not (vicket.count_mail('opened', ticket.email, 3) and vicket.count_mail('opened by', new.org_id::text, 500)) then
        raise exception 'too much mail today' using errcode = 'check_violation', constraint = 'mail_bounded';
      end if;
    end if;
    mail.recipient := ticket.email;
    perform vicket.write_mail(mail);
  -- What a ticket begins with is no answer.
  elsif ticket.created_at <> now() then
    mail.kind := 'agent_customer_answered';
    mail.user_id := ticket.assignee_id;
    perform vicket.member_mail(mail);
  end if;
  return null;
end $$;
alter function vicket.message_mailed() owner to vicket_definer;
comment on function vicket.message_mailed() is
  'Trigger: tells a customer what was answered, and who takes care that the customer answered. Definer: no request '
  'may write there.';
grant execute on function vicket.message_mailed() to vicket_owner;

create trigger agent_answered before insert on vicket.ticket_messages
  for each row when (new.author = 'agent') execute function vicket.agent_answered();
create trigger customer_replied after insert on vicket.ticket_messages
  for each row when (new.author = 'customer') execute function vicket.customer_replied();
create trigger message_mailed after insert on vicket.ticket_messages
  for each row when (not new.internal) execute function vicket.message_mailed();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.templates
create table vicket.templates (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  description text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint templates_pkey primary key (org_id, id),
  constraint templates_name_unique unique (org_id, name),
  constraint templates_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint templates_description_length check (char_length(description) <= 2000),
  constraint templates_name_length check (char_length(name) >= 1 and char_length(name) <= 200 and name ~ '\S')
);
alter table vicket.templates owner to vicket_owner;
comment on table vicket.templates is 'Ticket forms.';
comment on column vicket.templates.name is 'No personal data.';
comment on column vicket.templates.description is 'No personal data.';

alter table vicket.templates enable row level security;
alter table vicket.templates force row level security;

create policy widget_select on vicket.templates
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and id = any (array(select ctx.template_ids())));
comment on policy widget_select on vicket.templates is 'The forms that the key''s site offers.';

create policy widget_all_sealed on vicket.templates
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and id = any (array(select ctx.template_ids())));
comment on policy widget_all_sealed on vicket.templates is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.templates
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.templates is 'Members see the forms.';

create policy agent_insert on vicket.templates
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));

create policy agent_update on vicket.templates
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));

create policy operator_all on vicket.templates
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.templates is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.templates
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.templates is 'ctx.score_ticket, ctx.remove.';

create policy definer_delete on vicket.templates
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
comment on policy definer_delete on vicket.templates is 'ctx.remove: template:edit.';

grant select (org_id, id, name, description) on vicket.templates to vicket_widget;
grant select, insert (name, description), update (name, description, updated_at) on vicket.templates to vicket_agent;
grant select, insert (name, description) on vicket.templates to vicket_operator;
grant select, delete on vicket.templates to vicket_definer;

create trigger audited after insert or delete or update on vicket.templates
  for each row execute function vicket.audited('template', 'id', 'name description updated_at');
create trigger changed_on_delete after delete on vicket.templates referencing old table as changed
  for each statement execute function vicket.content_changed();
create trigger changed_on_update after update on vicket.templates referencing new table as changed
  for each statement execute function vicket.content_changed();
create trigger serialize_org_writes before insert or delete or update on vicket.templates
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.template_sites
create table vicket.template_sites (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  site_id uuid not null,
  constraint template_sites_pkey primary key (org_id, template_id, site_id),
  constraint template_sites_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete
    cascade,
  constraint template_sites_template_fkey foreign key (org_id, template_id) references vicket.templates(org_id, id) on
    delete cascade
);
alter table vicket.template_sites owner to vicket_owner;
comment on table vicket.template_sites is 'Which sites offer a form.';

create index template_sites_site on vicket.template_sites (org_id, site_id);
create statistics vicket.template_sites_tenant (ndistinct, dependencies) on org_id, site_id from vicket.template_sites;

alter table vicket.template_sites enable row level security;
alter table vicket.template_sites force row level security;

create policy widget_select on vicket.template_sites
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and site_id = (select ctx.site_id()));
comment on policy widget_select on vicket.template_sites is 'The forms that the key''s site offers.';

create policy widget_all_sealed on vicket.template_sites
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.template_sites is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.template_sites
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.template_sites is 'Members see the forms.';

create policy agent_insert on vicket.template_sites
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));

create policy operator_all on vicket.template_sites
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.template_sites is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.template_sites
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.template_sites is 'ctx.score_ticket, ctx.remove.';

create policy definer_delete on vicket.template_sites
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
comment on policy definer_delete on vicket.template_sites is 'ctx.remove: template:edit.';

grant select (org_id, template_id, site_id) on vicket.template_sites to vicket_widget;
grant select, insert (template_id, site_id) on vicket.template_sites to vicket_agent, vicket_operator;
grant select, delete on vicket.template_sites to vicket_definer;

create trigger audited after insert or delete on vicket.template_sites
  for each row execute function vicket.audited('template_site', 'template_id', 'site_id');
create trigger changed_on_delete after delete on vicket.template_sites referencing old table as changed
  for each statement execute function vicket.content_changed();
create trigger changed_on_insert after insert on vicket.template_sites referencing new table as changed
  for each statement execute function vicket.content_changed();
create trigger serialize_org_writes before insert or delete or update on vicket.template_sites
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.template_questions
create table vicket.template_questions (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  id uuid not null default gen_random_uuid(),
  label text not null,
  type text not null,
  required boolean not null default false,
  "position" integer not null,
  points integer not null default 0,
  constraint template_questions_pkey primary key (org_id, template_id, id),
  constraint template_questions_template_fkey foreign key (org_id, template_id) references vicket.templates(org_id, id)
    on delete cascade,
  constraint template_questions_label_length check (char_length(label) >= 1 and char_length(label) <= 500 and label ~
    '\S'),
  constraint template_questions_points_of_checkbox check (points = 0 or type = 'checkbox'),
  constraint template_questions_points_range check (points >= '-1000'::integer and points <= 1000),
  constraint template_questions_type_known check (type = any (array['text', 'textarea', 'select', 'checkbox', 'date']))
);
alter table vicket.template_questions owner to vicket_owner;
comment on table vicket.template_questions is 'What a form asks, in order.';
comment on column vicket.template_questions.label is 'No personal data.';
comment on column vicket.template_questions.type is 'No personal data.';
comment on column vicket.template_questions.points is 'What a ticked checkbox is worth; customers never see it.';

alter table vicket.template_questions enable row level security;
alter table vicket.template_questions force row level security;

create policy widget_select on vicket.template_questions
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and template_id = any (array(select ctx.template_ids())));
comment on policy widget_select on vicket.template_questions is
  'Of the forms that the key''s site offers; points are not granted.';

create policy widget_all_sealed on vicket.template_questions
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())));
comment on policy widget_all_sealed on vicket.template_questions is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.template_questions
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.template_questions is 'Members see the forms, points too.';

create policy agent_insert on vicket.template_questions
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));

create policy operator_all on vicket.template_questions
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.template_questions is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.template_questions
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.template_questions is 'ctx.score_ticket, ctx.remove.';

create policy definer_delete on vicket.template_questions
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
comment on policy definer_delete on vicket.template_questions is 'ctx.remove: template:edit.';

grant select (org_id, template_id, id, label, type, required, "position") on vicket.template_questions to vicket_widget;
grant select, insert (template_id, id, label, type, required, "position",
  points) on vicket.template_questions to vicket_agent, vicket_operator;
grant select, delete on vicket.template_questions to vicket_definer;

create trigger audited after insert or delete on vicket.template_questions
  for each row execute function vicket.audited('template_question', 'id',
    'template_id label type required position points');
create trigger changed_on_delete after delete on vicket.template_questions referencing old table as changed
  for each statement execute function vicket.content_changed();
create trigger changed_on_insert after insert on vicket.template_questions referencing new table as changed
  for each statement execute function vicket.content_changed();
create trigger serialize_org_writes before insert or delete or update on vicket.template_questions
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.template_options
create table vicket.template_options (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  question_id uuid not null,
  id uuid not null default gen_random_uuid(),
  label text not null,
  "position" integer not null,
  points integer not null default 0,
  constraint template_options_pkey primary key (org_id, template_id, question_id, id),
  constraint template_options_question_fkey foreign key (org_id, template_id, question_id) references
    vicket.template_questions(org_id, template_id, id) on delete cascade,
  constraint template_options_label_length check (char_length(label) >= 1 and char_length(label) <= 200 and label ~
    '\S'),
  constraint template_options_points_range check (points >= '-1000'::integer and points <= 1000)
);
alter table vicket.template_options owner to vicket_owner;
comment on table vicket.template_options is 'What may be chosen for a question, in order.';
comment on column vicket.template_options.label is 'No personal data.';
comment on column vicket.template_options.points is 'What this choice is worth; customers never see it.';

alter table vicket.template_options enable row level security;
alter table vicket.template_options force row level security;

create policy widget_select on vicket.template_options
  for select to vicket_widget
  using (org_id = (select ctx.org_id()) and template_id = any (array(select ctx.template_ids())));
comment on policy widget_select on vicket.template_options is
  'Of the forms that the key''s site offers; points are not granted.';

create policy widget_all_sealed on vicket.template_options
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())))
  with check (org_id = (select ctx.org_by_key()) and template_id = any (array(select ctx.template_ids())));
comment on policy widget_all_sealed on vicket.template_options is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.template_options
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.template_options is 'Members see the forms, points too.';

create policy agent_insert on vicket.template_options
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));

create policy operator_all on vicket.template_options
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.template_options is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.template_options
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.template_options is 'ctx.score_ticket.';

grant select (org_id, template_id, question_id, id, label, "position") on vicket.template_options to vicket_widget;
grant select, insert (template_id, question_id, id, label, "position",
  points) on vicket.template_options to vicket_agent, vicket_operator;
grant select on vicket.template_options to vicket_definer;

create trigger changed_on_delete after delete on vicket.template_options referencing old table as changed
  for each statement execute function vicket.content_changed();
create trigger changed_on_insert after insert on vicket.template_options referencing new table as changed
  for each statement execute function vicket.content_changed();
create trigger serialize_org_writes before insert or delete or update on vicket.template_options
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.template_thresholds
create table vicket.template_thresholds (
  org_id uuid not null default ctx.org_id(),
  template_id uuid not null,
  points integer not null,
  priority_id uuid not null,
  constraint template_thresholds_pkey primary key (org_id, template_id, points),
  constraint template_thresholds_priority_fkey foreign key (org_id, priority_id) references vicket.priorities(org_id,
    id) on delete cascade,
  constraint template_thresholds_template_fkey foreign key (org_id, template_id) references vicket.templates(org_id, id)
    on delete cascade
);
alter table vicket.template_thresholds owner to vicket_owner;
comment on table vicket.template_thresholds is 'From which score on a ticket gets which priority.';

create index template_thresholds_priority on vicket.template_thresholds (org_id, priority_id);

alter table vicket.template_thresholds enable row level security;
alter table vicket.template_thresholds force row level security;

create policy agent_select on vicket.template_thresholds
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.template_thresholds is 'Members see the forms.';

create policy agent_insert on vicket.template_thresholds
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));

create policy operator_all on vicket.template_thresholds
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.template_thresholds is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.template_thresholds
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.template_thresholds is 'ctx.score_ticket, ctx.remove.';

create policy definer_delete on vicket.template_thresholds
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('template:edit')));
comment on policy definer_delete on vicket.template_thresholds is 'ctx.remove: template:edit.';

grant select, insert (template_id, points, priority_id) on vicket.template_thresholds to vicket_agent, vicket_operator;
grant select, delete on vicket.template_thresholds to vicket_definer;

create trigger audited after insert or delete on vicket.template_thresholds
  for each row execute function vicket.audited('template_threshold', 'template_id', 'points priority_id');
create trigger serialize_org_writes before insert or delete or update on vicket.template_thresholds
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_answers
create table vicket.ticket_answers (
  org_id uuid not null,
  site_id uuid not null,
  ticket_id uuid not null,
  "position" integer not null,
  label text not null,
  value text not null,
  points integer not null,
  constraint ticket_answers_pkey primary key (org_id, site_id, ticket_id, "position"),
  constraint ticket_answers_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade
);
alter table vicket.ticket_answers owner to vicket_owner;
comment on table vicket.ticket_answers is 'What a customer answered and what it was worth, as it was then.';
comment on column vicket.ticket_answers.label is 'No personal data.';
comment on column vicket.ticket_answers.value is 'Personal data.';

create index ticket_answers_of_ticket on vicket.ticket_answers (org_id, ticket_id, "position");
create statistics vicket.ticket_answers_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_answers;

alter table vicket.ticket_answers enable row level security;
alter table vicket.ticket_answers force row level security;

create policy agent_select on vicket.ticket_answers
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.ticket_answers is 'ticket:read; within one''s teams.';

create policy operator_select on vicket.ticket_answers
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.ticket_answers is 'vicket person export, after admin.enter_org.';

create policy definer_insert on vicket.ticket_answers
  for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_insert on vicket.ticket_answers is 'ctx.score_ticket.';

grant select on vicket.ticket_answers to vicket_agent;
grant select (org_id, site_id, ticket_id, "position", label, value) on vicket.ticket_answers to vicket_operator;
grant insert on vicket.ticket_answers to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.attachments
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
  constraint attachments_message_fkey foreign key (org_id, site_id, ticket_id, message_id) references
    vicket.ticket_messages(org_id, site_id, ticket_id, id) on delete cascade,
  constraint attachments_content_size check (octet_length(content) = size),
  constraint attachments_held_once check ((content is null) <> (object_key is null)),
  constraint attachments_name_plain check (octet_length(name) >= 1 and octet_length(name) <= 255 and name !~
    '[[:cntrl:]/\\]'),
  constraint attachments_object_own check (starts_with(object_key, (((org_id || '/') || site_id) || '/'))),
  constraint attachments_size check (size >= 1 and size <= 10485760),
  constraint attachments_type_harmless check (content_type = any (array['image/png', 'image/jpeg', 'image/gif',
    'image/webp', 'application/pdf', 'text/plain', 'application/octet-stream']))
);
alter table vicket.attachments owner to vicket_owner;
comment on table vicket.attachments is 'Files on messages, with their bytes or the key of their object.';
comment on column vicket.attachments.upload_id is 'The request that brought it: what a repeated one answers.';
comment on column vicket.attachments.name is
  'As its writer called it, without folders and control characters; never a path of ours. Personal data.';
comment on column vicket.attachments.content_type is
  'By content, never by name; what is not in the list is application/octet-stream. No personal data.';
comment on column vicket.attachments.content is 'Its bytes; NULL when an object store holds them. Personal data.';
comment on column vicket.attachments.object_key is
  'ORG/SITE/random in the object store; reserved in object_removals before it is written. No personal data.';

create index attachments_in_order on vicket.attachments (org_id, ticket_id, message_id, created_at, id);
create unique index attachments_object_unique on vicket.attachments (org_id, site_id, object_key) where (object_key is
  not null);
create statistics vicket.attachments_tenant (ndistinct, dependencies) on org_id, site_id from vicket.attachments;

alter table vicket.attachments enable row level security;
alter table vicket.attachments force row level security;

create policy widget_select on vicket.attachments
  for select to vicket_widget
  using (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and message_id in (select m.id from vicket.ticket_messages m)
  );
comment on policy widget_select on vicket.attachments is
  'Files of the messages that the token in the context shows; never of internal notes.';

create policy widget_insert on vicket.attachments
  for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and ticket_id = (select ctx.ticket_id())
    and message_id in (select m.id from vicket.ticket_messages m where m.author = 'customer' and m.created_at > (now() -
      '01:00:00'::interval))
  );
comment on policy widget_insert on vicket.attachments is 'A customer adds files to what they wrote in the last hour.';

create policy widget_all_sealed on vicket.attachments
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.attachments is
  'Even an injected statement stays with the key in the context.';

create policy agent_select on vicket.attachments
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.attachments is 'ticket:read; of internal notes too; within one''s teams.';

create policy agent_insert on vicket.attachments
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
    and (site_id, message_id) in (select m.site_id, m.id from vicket.ticket_messages m where m.author = 'agent' and
      m.created_at > (now() - '01:00:00'::interval) and m.author_id = (select ctx.actor_user_id()))
  );
comment on policy agent_insert on vicket.attachments is
  'ticket:write, to what one wrote in the last hour; within one''s teams.';

create policy operator_select on vicket.attachments
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.attachments is 'vicket person export, after admin.enter_org.';

create policy definer_select on vicket.attachments
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.attachments is
  'attachment_added keeps the limits of one org''s; worker.objects_due spares what has a row.';

create policy definer_insert on vicket.attachments
  for insert to vicket_definer
  with check (
    session_user = 'vicket_worker'::name
    and org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
  );
comment on policy definer_insert on vicket.attachments is 'worker.file_mail, of the site of the mail.';

create policy definer_delete on vicket.attachments
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.attachments is 'worker.retain.';

grant select (org_id, site_id, id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key,
  created_at), insert (ticket_id, message_id, upload_id, name, content_type, size, content,
  object_key) on vicket.attachments to vicket_widget;
grant select (org_id, site_id, id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key,
  created_at), insert (site_id, ticket_id, message_id, upload_id, name, content_type, size, content,
  object_key) on vicket.attachments to vicket_agent;
grant select (org_id, site_id, id, ticket_id, message_id, name, content_type, size, content, object_key,
  created_at) on vicket.attachments to vicket_operator;
grant select (org_id, site_id, id, ticket_id, message_id, size, object_key, created_at), insert (org_id, site_id,
  ticket_id, message_id, upload_id, name, content_type, size, content, object_key),
  delete on vicket.attachments to vicket_definer;

create function vicket.attachment_added() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
alter function vicket.attachment_added() owner to vicket_definer;
comment on function vicket.attachment_added() is
  'Trigger: a closed ticket takes files on notes only; 10 files a message, 100 MiB a ticket, what a site and an org '
  'may keep; an object must be reserved. Definer: no request may write there.';
grant execute on function vicket.attachment_added() to vicket_owner;

create function vicket.attachment_gone() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.object_removals (org_id, site_id, object_key, due_at)
    values (old.org_id, old.site_id, old.object_key, now())
    on conflict do nothing;
  return null;
end $$;
alter function vicket.attachment_gone() owner to vicket_owner;

create function vicket.attachments_gone() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.stored_bytes (org_id, site_id, bytes)
    select g.org_id, g.site_id, -sum(g.size) from gone_rows g group by g.org_id, g.site_id;
  return null;
end $$;
alter function vicket.attachments_gone() owner to vicket_owner;

create trigger attachment_added after insert on vicket.attachments
  for each row execute function vicket.attachment_added();
create trigger attachment_gone after delete on vicket.attachments
  for each row when (old.object_key is not null) execute function vicket.attachment_gone();
create trigger attachments_gone after delete on vicket.attachments referencing old table as gone_rows
  for each statement execute function vicket.attachments_gone();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.object_removals
create table vicket.object_removals (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  object_key text not null,
  due_at timestamptz not null default now() + '01:00:00'::interval,
  constraint object_removals_pkey primary key (org_id, site_id, object_key),
  constraint object_removals_object_own check (starts_with(object_key, (((org_id || '/') || site_id) || '/')))
);
alter table vicket.object_removals owner to vicket_owner;
comment on table vicket.object_removals is
  'Objects to remove from the store: reserved ones that got no row, and those of deleted rows.';
comment on column vicket.object_removals.object_key is 'No personal data.';

create index object_removals_due on vicket.object_removals (due_at);
create statistics vicket.object_removals_tenant (ndistinct, dependencies) on org_id, site_id from vicket.object_removals;

alter table vicket.object_removals enable row level security;
alter table vicket.object_removals force row level security;

create policy widget_insert on vicket.object_removals
  for insert to vicket_widget
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and (select ctx.ticket_id()) is not null
  );
comment on policy widget_insert on vicket.object_removals is
  'Whoever holds a ticket''s token reserves a key of the key''s site; its row, or an hour, ends that.';

create policy widget_all_sealed on vicket.object_removals
  as restrictive for all to vicket_widget
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy widget_all_sealed on vicket.object_removals is
  'Even an injected statement stays with the key in the context.';

create policy agent_insert on vicket.object_removals
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.object_removals is 'ticket:write; within one''s teams.';

create policy definer_select on vicket.object_removals
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.object_removals is 'attachment_added of one org, worker.objects_due of all.';

create policy definer_insert on vicket.object_removals
  for insert to vicket_definer
  with check (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_insert on vicket.object_removals is 'attachment_gone, whoever deletes.';

create policy definer_delete on vicket.object_removals
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_delete on vicket.object_removals is
  'attachment_added of one org, worker.objects_removed of all.';

grant insert (object_key) on vicket.object_removals to vicket_widget;
grant insert (site_id, object_key) on vicket.object_removals to vicket_agent;
grant select, insert, delete on vicket.object_removals to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.saved_replies
create table vicket.saved_replies (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  body text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  updated_by text not null default ctx.actor_name(),
  constraint saved_replies_pkey primary key (org_id, id),
  constraint saved_replies_name_unique unique (org_id, name),
  constraint saved_replies_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint saved_replies_body_length check (char_length(body) >= 1 and char_length(body) <= 20000 and body ~ '\S'),
  constraint saved_replies_name_length check (char_length(name) >= 1 and char_length(name) <= 100 and name ~ '\S')
);
alter table vicket.saved_replies owner to vicket_owner;
comment on table vicket.saved_replies is 'Texts that agents put into an answer.';
comment on column vicket.saved_replies.name is 'No personal data.';
comment on column vicket.saved_replies.body is
  'Plain text; {customer}, {ticket} and {agent} are filled in on use. No personal data.';
comment on column vicket.saved_replies.updated_by is
  'Who changed it last (ctx.actor_name); by trigger, as updated_at. Personal data.';

alter table vicket.saved_replies enable row level security;
alter table vicket.saved_replies force row level security;

create policy agent_select on vicket.saved_replies
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('reply:read')));
comment on policy agent_select on vicket.saved_replies is 'reply:read: whoever answers.';

create policy agent_insert on vicket.saved_replies
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')));

create policy agent_update on vicket.saved_replies
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')));

create policy operator_all on vicket.saved_replies
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.saved_replies is 'vicket person erase.';

create policy definer_select on vicket.saved_replies
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.saved_replies is 'ctx.remove.';

create policy definer_delete on vicket.saved_replies
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('reply:edit')));
comment on policy definer_delete on vicket.saved_replies is 'ctx.remove: reply:edit.';

grant select (org_id, id, name, body, created_at, updated_at, updated_by), insert (name, body), update (name,
  body) on vicket.saved_replies to vicket_agent;
grant select (org_id, id, name, updated_at, updated_by), update (updated_by) on vicket.saved_replies to vicket_operator;
grant select (org_id, id), delete on vicket.saved_replies to vicket_definer;

create function vicket.saved_reply_touched() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := clock_timestamp();
  new.updated_by := ctx.actor_name();
  return new;
end $$;
alter function vicket.saved_reply_touched() owner to vicket_owner;

create trigger audited after insert or delete or update of name, body on vicket.saved_replies
  for each row execute function vicket.audited('saved_reply', 'id', 'name updated_at');
create trigger serialize_org_writes before insert or delete or update on vicket.saved_replies
  for each statement execute function vicket.serialize_org_writes();
create trigger touched before update of name, body on vicket.saved_replies
  for each row execute function vicket.saved_reply_touched();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.missed_searches
create table vicket.missed_searches (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  day date not null,
  search text not null,
  times bigint not null,
  last_at timestamptz not null default clock_timestamp(),
  constraint missed_searches_pkey primary key (org_id, site_id, day, search),
  constraint missed_searches_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete
    cascade,
  constraint missed_searches_length check (char_length(search) >= 1 and char_length(search) <= 100)
);
alter table vicket.missed_searches owner to vicket_owner;
comment on table vicket.missed_searches is
  'Searches that found no article, for 30 days: at most 1,000 a site and day, the most frequent, then the last.';
comment on column vicket.missed_searches.day is 'In UTC.';
comment on column vicket.missed_searches.search is
  'In lower case, white space made one; its first 100 characters. Personal data.';

create index missed_searches_day on vicket.missed_searches (day);
create statistics vicket.missed_searches_tenant (ndistinct, dependencies) on org_id, site_id from vicket.missed_searches;

alter table vicket.missed_searches enable row level security;
alter table vicket.missed_searches force row level security;

create policy agent_select on vicket.missed_searches
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('article:read')));

create policy definer_select on vicket.missed_searches
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.missed_searches is
  'Not narrowed: worker.add_missed_searches counts for many orgs at once.';

create policy definer_insert on vicket.missed_searches
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.missed_searches is
  'Not narrowed: worker.add_missed_searches counts for many orgs at once.';

create policy definer_update on vicket.missed_searches
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.missed_searches is 'worker.add_missed_searches.';

create policy definer_delete on vicket.missed_searches
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('site:delete'))));
comment on policy definer_delete on vicket.missed_searches is
  'worker.add_missed_searches, worker.purge, worker.run_job; ctx.remove with their site.';

grant select (org_id, site_id, day, search, times) on vicket.missed_searches to vicket_agent;
grant select (org_id, site_id, day, search, times, last_at), insert (org_id, site_id, day, search, times),
  update (times, last_at), delete on vicket.missed_searches to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.jobs
create table vicket.jobs (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  kind text not null,
  subject_id uuid not null,
  actor text not null default ctx.actor_name(),
  total bigint not null,
  done bigint not null default 0,
  created_at timestamptz not null default now(),
  worked_at timestamptz,
  run_at timestamptz not null default now(),
  attempts integer not null default 0,
  last_error text,
  constraint jobs_pkey primary key (org_id, id),
  constraint jobs_subject_unique unique (org_id, kind, subject_id),
  constraint jobs_kind_known check (kind = any (array['remove_org', 'remove_site', 'remove_status', 'remove_priority',
    'move_status', 'forget_org']))
);
alter table vicket.jobs owner to vicket_owner;
comment on table vicket.jobs is 'What the worker does in batches, and how far it is.';
comment on column vicket.jobs.kind is 'No personal data.';
comment on column vicket.jobs.subject_id is 'Of the org, site, status or priority.';
comment on column vicket.jobs.actor is 'Who began it, as ctx.actor_name calls them. Personal data.';
comment on column vicket.jobs.total is
  'Tickets when it began; articles count too while they go. Of forget_org, entries of the audit log.';
comment on column vicket.jobs.run_at is 'When it is due.';
comment on column vicket.jobs.attempts is 'Batches that failed since one did not.';
comment on column vicket.jobs.last_error is 'Why the last one failed. Personal data.';

alter table vicket.jobs enable row level security;
alter table vicket.jobs force row level security;

create policy agent_select on vicket.jobs
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.jobs is 'Members see what is under way in their org.';

create policy operator_select on vicket.jobs
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.jobs is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.jobs
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.jobs is
  'Not narrowed: worker.run_job takes whichever waited longest; admin.jobs lists them.';

create policy definer_insert on vicket.jobs
  for insert to vicket_definer
  with check (org_id = (select ctx.org_id()));
comment on policy definer_insert on vicket.jobs is 'ctx.remove_large, status_moved, org_gone.';

create policy definer_update on vicket.jobs
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()))
  with check (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_update on vicket.jobs is 'worker.run_job, of any org; status_moved, of one.';

create policy definer_delete on vicket.jobs
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.jobs is 'worker.run_job.';

grant select (org_id, id, kind, subject_id, actor, total, done, created_at, worked_at) on vicket.jobs to vicket_agent,
  vicket_operator;
grant select, insert (kind, subject_id, actor, total), update (total, done, worked_at, run_at, attempts, last_error),
  delete on vicket.jobs to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.limit_windows
create unlogged table vicket.limit_windows (
  bucket bytea not null,
  ends_at timestamptz not null,
  used bigint not null,
  lent bigint not null,
  constraint limit_windows_pkey primary key (bucket),
  constraint limit_windows_bucket_length check (octet_length(bucket) = 32)
);
alter table vicket.limit_windows owner to vicket_owner;
comment on table vicket.limit_windows is
  'What all processes together used of the rate limits in the window that runs; a digest says of which bucket.';
comment on column vicket.limit_windows.used is 'With what was lent and may not be used yet.';
comment on column vicket.limit_windows.lent is 'What the last one who asked got.';

create index limit_windows_ended on vicket.limit_windows (ends_at);

alter table vicket.limit_windows enable row level security;
alter table vicket.limit_windows force row level security;

create policy definer_select on vicket.limit_windows
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.limit_windows is
  'worker.draw_limits. Not narrowed: its rows are no tenant''s.';

create policy definer_insert on vicket.limit_windows
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.limit_windows is
  'worker.draw_limits. Not narrowed: its rows are no tenant''s.';

create policy definer_update on vicket.limit_windows
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.limit_windows is 'worker.draw_limits.';

create policy definer_delete on vicket.limit_windows
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.limit_windows is 'worker.draw_limits, of windows that have ended.';

grant select, insert, update (ends_at, used, lent), delete on vicket.limit_windows to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.stored_bytes
create table vicket.stored_bytes (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  bytes bigint not null,
  constraint stored_bytes_pkey primary key (org_id, site_id, id)
);
alter table vicket.stored_bytes owner to vicket_owner;
comment on table vicket.stored_bytes is
  'Bytes of files, added and taken away; their sum is what a site keeps. No foreign key: they go when they are none.';
comment on column vicket.stored_bytes.bytes is 'Less than none for files that are gone.';

create statistics vicket.stored_bytes_tenant (ndistinct, dependencies) on org_id, site_id from vicket.stored_bytes;

alter table vicket.stored_bytes enable row level security;
alter table vicket.stored_bytes force row level security;

create policy agent_select on vicket.stored_bytes
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.stored_bytes is 'Members see how much their org keeps.';

create policy operator_select on vicket.stored_bytes
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.stored_bytes is 'vicket org list, after admin.enter_org.';

create policy definer_select on vicket.stored_bytes
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.stored_bytes is 'attachment_added of one org, worker.purge of all.';

create policy definer_insert on vicket.stored_bytes
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.stored_bytes is
  'Not narrowed: attachment_added and attachments_gone, whoever writes, a DBA without a context too; worker.purge.';

create policy definer_delete on vicket.stored_bytes
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.stored_bytes is 'worker.purge, which adds their sum.';

grant select (org_id, site_id, bytes) on vicket.stored_bytes to vicket_agent, vicket_operator;
grant select, insert (org_id, site_id, bytes), delete on vicket.stored_bytes to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.retention
create table vicket.retention (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  site_id uuid,
  open_days integer,
  resolved_days integer,
  closed_days integer,
  files_days integer,
  events_days integer,
  audit_log_days integer,
  updated_at timestamptz not null default now(),
  worked_at timestamptz,
  ended_at timestamptz,
  run_at timestamptz not null default now(),
  attempts integer not null default 0,
  last_error text,
  constraint retention_pkey primary key (org_id, id),
  constraint retention_site_unique unique nulls not distinct (org_id, site_id),
  constraint retention_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint retention_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint retention_audit_log_days_range check (audit_log_days >= 90),
  constraint retention_days_range check (least(open_days, resolved_days, closed_days, files_days, events_days) >= 1 and
    greatest(open_days, resolved_days, closed_days, files_days, events_days, audit_log_days) <= 36500),
  constraint retention_of_site_or_org check (case when (site_id is null) then (num_nonnulls(open_days, resolved_days,
    closed_days, files_days, events_days) = 0) else (audit_log_days is null) end)
);
alter table vicket.retention owner to vicket_owner;
comment on table vicket.retention is
  'How long a site keeps what; the row without a site, how long an org keeps the names in its audit log.';
comment on column vicket.retention.open_days is
  'Days after its last change until a ticket goes that is neither resolved nor closed.';
comment on column vicket.retention.resolved_days is 'The same of a resolved ticket.';
comment on column vicket.retention.closed_days is 'The same of a closed ticket.';
comment on column vicket.retention.files_days is 'Days until a file goes from its message.';
comment on column vicket.retention.events_days is
  'Days until it is forgotten who changed status, priority or assignee of a ticket.';
comment on column vicket.retention.audit_log_days is
  'Days until an entry of the audit log forgets who did it and to what; the chain still verifies.';
comment on column vicket.retention.worked_at is 'The last batch.';
comment on column vicket.retention.ended_at is
  'When nothing was left that had to go; a day later it is looked for again.';
comment on column vicket.retention.run_at is 'When it is due.';
comment on column vicket.retention.attempts is 'Batches that failed since one did not.';
comment on column vicket.retention.last_error is 'Why the last one failed. Personal data.';

create statistics vicket.retention_tenant (ndistinct, dependencies) on org_id, site_id from vicket.retention;

alter table vicket.retention enable row level security;
alter table vicket.retention force row level security;

create policy agent_select on vicket.retention
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.retention is 'Members see how long their org keeps what.';

create policy agent_insert on vicket.retention
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and (site_id is not null or (select ctx.may('org:edit')))
  );
comment on policy agent_insert on vicket.retention is 'ticket:delete; of the org''s own row org:edit, too.';

create policy agent_update on vicket.retention
  for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and (site_id is not null or (select ctx.may('org:edit')))
  )
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:delete'))
    and (site_id is not null or (select ctx.may('org:edit')))
  );
comment on policy agent_update on vicket.retention is 'ticket:delete; of the org''s own row org:edit, too.';

create policy operator_select on vicket.retention
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.retention is 'Administration commands, after admin.enter_org.';

create policy definer_select on vicket.retention
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.retention is
  'Not narrowed: worker.run_retention_batch takes whichever waited longest; admin.list_jobs lists what fails.';

create policy definer_update on vicket.retention
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.retention is 'worker.retain.';

grant select (org_id, id, site_id, open_days, resolved_days, closed_days, files_days, events_days, audit_log_days,
  updated_at, ended_at), insert (site_id, open_days, resolved_days, closed_days, files_days, events_days,
  audit_log_days), update (open_days, resolved_days, closed_days, files_days, events_days,
  audit_log_days) on vicket.retention to vicket_agent;
grant select on vicket.retention to vicket_operator;
grant select, update (worked_at, ended_at, run_at, attempts, last_error) on vicket.retention to vicket_definer;

create function vicket.retention_changed() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.updated_at := now();
  new.ended_at := null;
  return new;
end $$;
alter function vicket.retention_changed() owner to vicket_owner;

create trigger audited after insert or update of open_days, resolved_days, closed_days, files_days, events_days,
  audit_log_days on vicket.retention
  for each row execute function vicket.audited('retention', 'id',
    'open_days resolved_days closed_days files_days events_days audit_log_days');
create trigger retention_changed before update of open_days, resolved_days, closed_days, files_days, events_days,
  audit_log_days on vicket.retention
  for each row execute function vicket.retention_changed();
create trigger serialize_org_writes before insert or update of open_days, resolved_days, closed_days, files_days,
  events_days, audit_log_days on vicket.retention
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.tasks
create table vicket.tasks (
  org_id uuid not null default ctx.org_id(),
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  subject_id uuid not null,
  run_at timestamptz not null default now(),
  attempts integer not null default 0,
  last_error text,
  dead_at timestamptz,
  created_at timestamptz not null default now(),
  constraint tasks_pkey primary key (org_id, id),
  constraint tasks_subject_unique unique (org_id, kind, subject_id),
  constraint tasks_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint tasks_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint tasks_kind_known check (kind = any (array['mail', 'inbound'])),
  constraint tasks_last_error_length check (char_length(last_error) <= 1000)
);
alter table vicket.tasks owner to vicket_owner;
comment on table vicket.tasks is 'Work that waits, and what was given up. What is done is no row.';
comment on column vicket.tasks.kind is 'mail: to be sent; inbound: to be read. No personal data.';
comment on column vicket.tasks.subject_id is
  'Of what it is about: of mail, vicket.mails; of inbound, vicket.inbound_mails. It goes with it, by trigger.';
comment on column vicket.tasks.run_at is
  'When it is due; while somebody works on it, when their lease ends. By the clock of the database.';
comment on column vicket.tasks.attempts is 'How often it was claimed since it was last run by hand.';
comment on column vicket.tasks.last_error is 'What the last one who tried was told. Personal data.';
comment on column vicket.tasks.dead_at is 'When it was given up.';

create index tasks_due on vicket.tasks (kind, org_id, run_at) where (dead_at is null);
create index tasks_of_site on vicket.tasks (org_id, site_id) where (site_id is not null);
create statistics vicket.tasks_tenant (ndistinct, dependencies) on org_id, site_id from vicket.tasks;

alter table vicket.tasks enable row level security;
alter table vicket.tasks force row level security;

create policy agent_select on vicket.tasks
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.tasks is 'mail:read, what was given up; within one''s teams.';

create policy definer_select on vicket.tasks
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.tasks is
  'Not narrowed: worker.claim and its kin, of any org; the trigger mails_gone, whoever deletes.';

create policy definer_insert on vicket.tasks
  for insert to vicket_definer
  with check (org_id = (select ctx.org_id()));
comment on policy definer_insert on vicket.tasks is 'The triggers that write mail.';

create policy definer_update on vicket.tasks
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('mail:edit'))))
  with check (
    session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')))
  );
comment on policy definer_update on vicket.tasks is 'worker.claim, renew and retry, of any org; ctx.run_again, of one.';

create policy definer_delete on vicket.tasks
  for delete to vicket_definer
  using (true);
comment on policy definer_delete on vicket.tasks is
  'Not narrowed: worker.done; the trigger mails_gone, whoever deletes.';

grant select (org_id, site_id, id, kind, subject_id, attempts, last_error, dead_at,
  created_at) on vicket.tasks to vicket_agent;
grant select, insert (org_id, site_id, kind, subject_id), update (run_at, attempts, last_error, dead_at),
  delete on vicket.tasks to vicket_definer;

create trigger audited after update of dead_at on vicket.tasks
  for each row when (old.dead_at is not null and new.dead_at is null) execute function vicket.audited('dead_letter',
    'id', 'kind dead_at');

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.mail_service
create table vicket.mail_service (
  id boolean not null default true,
  domain text not null,
  on_until timestamptz not null,
  constraint mail_service_pkey primary key (id),
  constraint mail_service_domain_length check (char_length(domain) >= 1 and char_length(domain) <= 253),
  constraint mail_service_one check (id)
);
alter table vicket.mail_service owner to vicket_owner;
comment on table vicket.mail_service is 'The server that sends mail, if there is one: of no tenant, one row.';
comment on column vicket.mail_service.domain is 'Of the ids of messages. No personal data.';
comment on column vicket.mail_service.on_until is
  'Servers that send say so again and again; three days after the last one, nothing is written any more.';

alter table vicket.mail_service enable row level security;
alter table vicket.mail_service force row level security;

create policy definer_select on vicket.mail_service
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.mail_service is 'Not narrowed: of no tenant. The triggers that write mail.';

create policy definer_insert on vicket.mail_service
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.mail_service is 'worker.serve_mail. Not narrowed: of no tenant.';

create policy definer_update on vicket.mail_service
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.mail_service is 'worker.serve_mail.';

grant select, insert (domain, on_until), update (domain, on_until) on vicket.mail_service to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.mail_counts
create table vicket.mail_counts (
  digest bytea not null,
  day date not null,
  mails integer not null,
  constraint mail_counts_pkey primary key (digest),
  constraint mail_counts_digest_length check (octet_length(digest) = 32)
);
alter table vicket.mail_counts owner to vicket_owner;
comment on table vicket.mail_counts is
  'Mail to an address on a day that anybody could cause, over all orgs; a digest says which. Of no tenant.';

create index mail_counts_day on vicket.mail_counts (day);

alter table vicket.mail_counts enable row level security;
alter table vicket.mail_counts force row level security;

create policy definer_select on vicket.mail_counts
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.mail_counts is 'vicket.count_mail. Not narrowed: of no tenant.';

create policy definer_insert on vicket.mail_counts
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.mail_counts is 'vicket.count_mail. Not narrowed: of no tenant.';

create policy definer_update on vicket.mail_counts
  for update to vicket_definer
  using (true)
  with check (true);
comment on policy definer_update on vicket.mail_counts is 'vicket.count_mail. Not narrowed: of no tenant.';

create policy definer_delete on vicket.mail_counts
  for delete to vicket_definer
  using (true);
comment on policy definer_delete on vicket.mail_counts is
  'vicket.count_mail, of days that are over. Not narrowed: of no tenant.';

grant select, insert, update (mails), delete on vicket.mail_counts to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.mails
create table vicket.mails (
  org_id uuid not null,
  site_id uuid,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  ticket_id uuid,
  message_id uuid,
  user_id uuid,
  invitation_id uuid,
  recipient text not null,
  message_ref text not null,
  state text not null default 'queued',
  detail text,
  at timestamptz not null default clock_timestamp(),
  created_at timestamptz not null default clock_timestamp(),
  constraint mails_pkey primary key (org_id, id),
  constraint mails_invitation_fkey foreign key (org_id, invitation_id) references vicket.invitations(org_id, id) on
    delete cascade,
  constraint mails_member_fkey foreign key (org_id, user_id) references vicket.members(org_id, user_id) on delete
    cascade,
  constraint mails_message_fkey foreign key (org_id, site_id, message_id) references vicket.ticket_messages(org_id,
    site_id, id) on delete cascade,
  constraint mails_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id, site_id, id)
    on delete cascade,
  constraint mails_detail_length check (char_length(detail) <= 1000),
  constraint mails_kind_known check (kind = any (array['ticket_received', 'ticket_opened', 'ticket_answered',
    'ticket_resolved', 'agent_assigned', 'agent_customer_answered', 'invitation'])),
  constraint mails_of_one check (case when (kind = 'invitation') then (invitation_id is not null) else
    (num_nonnulls(site_id, ticket_id) = 2) end and (user_id is not null or kind !~~ 'agent\_%')),
  constraint mails_state_known check (state = any (array['queued', 'sent', 'bounced', 'failed', 'suppressed']))
);
alter table vicket.mails owner to vicket_owner;
comment on table vicket.mails is 'Mail that was written, and what became of it. It goes with what it tells of.';
comment on column vicket.mails.kind is 'No personal data.';
comment on column vicket.mails.recipient is 'Personal data.';
comment on column vicket.mails.message_ref is 'Its Message-ID, the same however often it is sent. No personal data.';
comment on column vicket.mails.state is
  'queued; sent: the next server took it; bounced: it refused; failed: tried for three days; suppressed. No personal '
  'data.';
comment on column vicket.mails.detail is 'What the next server said. Personal data.';
comment on column vicket.mails.at is 'When the state became what it is.';

create index mails_of_invitation on vicket.mails (org_id, invitation_id) where (invitation_id is not null);
create index mails_of_member on vicket.mails (org_id, user_id) where (user_id is not null);
create index mails_of_message on vicket.mails (org_id, message_id) where (message_id is not null);
create index mails_of_site on vicket.mails (org_id, site_id, at desc) where (state = 'sent'::text);
create index mails_of_ticket on vicket.mails (org_id, ticket_id, created_at) where (ticket_id is not null);
create statistics vicket.mails_tenant (ndistinct, dependencies) on org_id, site_id from vicket.mails;

alter table vicket.mails enable row level security;
alter table vicket.mails force row level security;

create policy agent_select on vicket.mails
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('mail:read')) or (select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.mails is 'mail:read, or who reads the ticket; within one''s teams.';

create policy operator_select on vicket.mails
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.mails is 'vicket person export.';

create policy definer_select on vicket.mails
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.mails is
  'worker.open_mails and settle_mails, of any org; ctx.run_again, of one.';

create policy definer_insert on vicket.mails
  for insert to vicket_definer
  with check (org_id = (select ctx.org_id()));
comment on policy definer_insert on vicket.mails is 'The triggers that write mail.';

create policy definer_update on vicket.mails
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('mail:edit'))))
  with check (
    session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')))
  );
comment on policy definer_update on vicket.mails is
  'worker.open_mails and settle_mails, of any org; ctx.run_again, of one.';

grant select (org_id, site_id, id, kind, ticket_id, message_id, invitation_id, state, detail, at,
  created_at) on vicket.mails to vicket_agent;
grant select (org_id, site_id, kind, ticket_id, recipient, state, detail, at,
  created_at) on vicket.mails to vicket_operator;
grant select, insert (org_id, site_id, id, kind, ticket_id, message_id, user_id, invitation_id, recipient, message_ref),
  update (message_ref, state, detail, at) on vicket.mails to vicket_definer;

create function vicket.mails_gone() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.tasks t using gone_rows g where t.org_id = g.org_id and t.kind = 'mail' and t.subject_id = g.id;
  return null;
end $$;
alter function vicket.mails_gone() owner to vicket_definer;
comment on function vicket.mails_gone() is
  'Trigger: mail that is gone is not sent. Definer: no request may write there.';
grant execute on function vicket.mails_gone() to vicket_owner;

create trigger mails_gone after delete on vicket.mails referencing old table as gone_rows
  for each statement execute function vicket.mails_gone();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.suppressions
create table vicket.suppressions (
  org_id uuid not null,
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  address text not null,
  reason text not null,
  at timestamptz not null default now(),
  constraint suppressions_pkey primary key (org_id, id),
  constraint suppressions_address_unique unique (org_id, site_id, address),
  constraint suppressions_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint suppressions_address_lower check (address = lower(address collate "C")),
  constraint suppressions_reason_length check (char_length(reason) >= 1 and char_length(reason) <= 1000)
);
alter table vicket.suppressions owner to vicket_owner;
comment on table vicket.suppressions is 'Addresses that mail of a site does not reach: it is not sent there.';
comment on column vicket.suppressions.address is 'Personal data.';
comment on column vicket.suppressions.reason is 'What was said when mail was refused. Personal data.';

create statistics vicket.suppressions_tenant (ndistinct, dependencies) on org_id, site_id from vicket.suppressions;

alter table vicket.suppressions enable row level security;
alter table vicket.suppressions force row level security;

create policy agent_select on vicket.suppressions
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.suppressions is 'mail:read; within one''s teams.';

create policy operator_select on vicket.suppressions
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.suppressions is 'vicket person export and erase.';

create policy definer_select on vicket.suppressions
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.suppressions is 'worker.open_mails, of any org; ctx.remove, of one.';

create policy definer_insert on vicket.suppressions
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.suppressions is 'Not narrowed: worker.settle_mails, of any org.';

create policy definer_update on vicket.suppressions
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.suppressions is
  'worker.settle_mails, of an address that is suppressed already.';

create policy definer_delete on vicket.suppressions
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_delete on vicket.suppressions is 'ctx.remove: mail:edit; within one''s teams.';

grant select on vicket.suppressions to vicket_agent, vicket_operator;
grant select, insert (org_id, site_id, address, reason), update (reason, at),
  delete on vicket.suppressions to vicket_definer;

create trigger audited after delete on vicket.suppressions
  for each row execute function vicket.audited('suppression', 'id', 'address reason');
create trigger serialize_org_writes before delete on vicket.suppressions
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.notifications
create table vicket.notifications (
  org_id uuid not null default ctx.org_id(),
  user_id uuid not null,
  assigned boolean not null default true,
  customer_answered boolean not null default true,
  constraint notifications_pkey primary key (org_id, user_id),
  constraint notifications_member_fkey foreign key (org_id, user_id) references vicket.members(org_id, user_id) on
    delete cascade
);
alter table vicket.notifications owner to vicket_owner;
comment on table vicket.notifications is 'What members are told by mail, as they chose.';

alter table vicket.notifications enable row level security;
alter table vicket.notifications force row level security;

create policy agent_select on vicket.notifications
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()) and user_id = (select ctx.actor_user_id()));
comment on policy agent_select on vicket.notifications is 'One''s own.';

create policy definer_select on vicket.notifications
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.notifications is 'vicket.member_mail, ctx.choose_notifications.';

create policy definer_insert on vicket.notifications
  for insert to vicket_definer
  with check (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy definer_insert on vicket.notifications is 'ctx.choose_notifications, of whoever acts.';

create policy definer_update on vicket.notifications
  for update to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()))
  with check (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy definer_update on vicket.notifications is 'ctx.choose_notifications, of whoever acts.';

grant select on vicket.notifications to vicket_agent;
grant select, insert (org_id, user_id, assigned, customer_answered), update (assigned,
  customer_answered) on vicket.notifications to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.mail_addresses
create table vicket.mail_addresses (
  org_id uuid not null,
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  kind text not null,
  digest bytea not null,
  address text,
  ticket_id uuid,
  user_id uuid,
  mail_id uuid,
  created_at timestamptz not null default now(),
  constraint mail_addresses_pkey primary key (org_id, site_id, id),
  constraint mail_addresses_mail_fkey foreign key (org_id, mail_id) references vicket.mails(org_id, id) on delete
    cascade,
  constraint mail_addresses_member_fkey foreign key (org_id, user_id) references vicket.members(org_id, user_id) on
    delete cascade,
  constraint mail_addresses_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete
    cascade,
  constraint mail_addresses_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade,
  constraint mail_addresses_digest_length check (octet_length(digest) = 32),
  constraint mail_addresses_kind_known check (kind = any (array['site', 'own', 'reply', 'bounce'])),
  constraint mail_addresses_length check (char_length(address) >= 1 and char_length(address) <= 254),
  constraint mail_addresses_of_kind check (case kind when 'reply' then (ticket_id is not null and num_nonnulls(address,
    mail_id) = 0) when 'bounce' then (num_nonnulls(ticket_id, mail_id) = 2 and num_nonnulls(address, user_id) = 0) else
    (address is not null and num_nonnulls(ticket_id, user_id, mail_id) = 0) end)
);
alter table vicket.mail_addresses owner to vicket_owner;
comment on table vicket.mail_addresses is
  'What mail of a site may be sent to: its own addresses, and by their digests reply addresses and return paths.';
comment on column vicket.mail_addresses.kind is
  'site: made with it, below the reply domain; own: chosen; reply: a participant''s of a ticket; bounce: a mail''s '
  'return path. No personal data.';
comment on column vicket.mail_addresses.digest is
  'SHA-256 of the address in lower case; below the reply domain, of what stands before the @.';
comment on column vicket.mail_addresses.address is
  'What customers may write to: below the reply domain without it, else whole. NULL of reply addresses and return '
  'paths. No personal data.';
comment on column vicket.mail_addresses.user_id is 'The member whose reply address it is; NULL for the customer''s.';

create unique index mail_addresses_digest on vicket.mail_addresses (digest);
create index mail_addresses_mail on vicket.mail_addresses (org_id, mail_id) where (mail_id is not null);
create index mail_addresses_member on vicket.mail_addresses (org_id, user_id) where (user_id is not null);
create unique index mail_addresses_one on vicket.mail_addresses (org_id, site_id, kind) where (kind = any
  (array['site'::text, 'own'::text]));
create index mail_addresses_ticket on vicket.mail_addresses (org_id, ticket_id) where (ticket_id is not null);
create statistics vicket.mail_addresses_tenant (ndistinct, dependencies) on org_id, site_id from vicket.mail_addresses;

alter table vicket.mail_addresses enable row level security;
alter table vicket.mail_addresses force row level security;

create policy agent_select on vicket.mail_addresses
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
    and ticket_id is null
  );
comment on policy agent_select on vicket.mail_addresses is 'mail:read, those of the site itself; within one''s teams.';

create policy definer_select on vicket.mail_addresses
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.mail_addresses is
  'Not narrowed: auth.enter_mail and the seal find a site by a digest; the worker''s functions.';

create policy definer_insert on vicket.mail_addresses
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.mail_addresses is
  'Not narrowed: site_addressed, whoever makes a site; worker.address_mails; ctx.set_mail_address.';

create policy definer_delete on vicket.mail_addresses
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_delete on vicket.mail_addresses is 'ctx.set_mail_address: mail:edit; within one''s teams.';

grant select (org_id, site_id, id, kind, address, ticket_id, created_at) on vicket.mail_addresses to vicket_agent;
grant select, insert (org_id, site_id, kind, digest, address, ticket_id, user_id, mail_id),
  delete on vicket.mail_addresses to vicket_definer;

create trigger audited after insert on vicket.mail_addresses
  for each row when (new.kind = 'own') execute function vicket.audited('mail_address', 'id', 'address');
create trigger audited_gone after delete on vicket.mail_addresses
  for each row when (old.kind = 'own') execute function vicket.audited('mail_address', 'id', 'address');

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.inbound_mails
create table vicket.inbound_mails (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  id uuid not null default gen_random_uuid(),
  address_id uuid,
  recipient text not null,
  mail_from text not null,
  client text,
  helo text,
  message_digest bytea not null,
  content_digest bytea not null,
  raw bytea,
  received_at timestamptz not null default clock_timestamp(),
  state text not null default 'received',
  reason text,
  accepted boolean not null default false,
  ticket_id uuid,
  message_id uuid,
  author text,
  author_name text,
  subject text,
  verified boolean not null default false,
  automatic boolean not null default false,
  quoted_from integer,
  reopened boolean not null default false,
  html text,
  thread_digest bytea,
  constraint inbound_mails_pkey primary key (org_id, id),
  constraint inbound_mails_once unique (org_id, site_id, address_id, message_digest, content_digest),
  constraint inbound_mails_address_fkey foreign key (org_id, site_id, address_id) references
    vicket.mail_addresses(org_id, site_id, id) on delete set null (address_id),
  constraint inbound_mails_message_fkey foreign key (org_id, site_id, message_id) references
    vicket.ticket_messages(org_id, site_id, id) on delete cascade,
  constraint inbound_mails_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint inbound_mails_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade,
  constraint inbound_mails_digest_length check (octet_length(message_digest) = 32 and octet_length(content_digest) = 32),
  constraint inbound_mails_envelope_length check (char_length(recipient) <= 320 and char_length(mail_from) <= 320 and
    char_length(client) <= 64 and char_length(helo) <= 255),
  constraint inbound_mails_held_on_ticket check (state <> 'held' or ticket_id is not null),
  constraint inbound_mails_html_size check (octet_length(html) <= 4194304),
  constraint inbound_mails_raw_size check (octet_length(raw) <= 26214400),
  constraint inbound_mails_state_known check (state = any (array['received', 'filed', 'held', 'rejected', 'ignored',
    'failed'])),
  constraint inbound_mails_thread_digest_length check (octet_length(thread_digest) = 32)
);
alter table vicket.inbound_mails owner to vicket_owner;
comment on table vicket.inbound_mails is
  'Mail that came in, as it came, and what became of it. It goes with its ticket.';
comment on column vicket.inbound_mails.recipient is 'The address that it was sent to. Personal data.';
comment on column vicket.inbound_mails.mail_from is 'Its return path; empty for none. Personal data.';
comment on column vicket.inbound_mails.client is
  'The client that it came from, where the server before this one says so. Personal data.';
comment on column vicket.inbound_mails.helo is 'What that client called itself. Personal data.';
comment on column vicket.inbound_mails.message_digest is 'Of its Message-ID, or of the rest where it has none.';
comment on column vicket.inbound_mails.content_digest is
  'Of From, Date, Subject and what stands below the head: not of the traces that servers on the way write.';
comment on column vicket.inbound_mails.raw is 'As it came; NULL once it is not kept any longer. Personal data.';
comment on column vicket.inbound_mails.state is
  'received: not read yet; filed: a message of a ticket; held: waits for a person; rejected by one; ignored: changes '
  'nothing; failed. No personal data.';
comment on column vicket.inbound_mails.reason is 'Why it is what it is, for people. No personal data.';
comment on column vicket.inbound_mails.accepted is 'A person accepted it: it is filed whoever wrote it.';
comment on column vicket.inbound_mails.author is 'The address that it says it is from. Personal data.';
comment on column vicket.inbound_mails.author_name is 'The name beside it. Personal data.';
comment on column vicket.inbound_mails.subject is 'Personal data.';
comment on column vicket.inbound_mails.verified is 'Whether that it is from there is proven.';
comment on column vicket.inbound_mails.automatic is 'Whether a machine sent it.';
comment on column vicket.inbound_mails.quoted_from is 'The character of the message at which what it quotes begins.';
comment on column vicket.inbound_mails.reopened is 'Whether it reopened its ticket.';
comment on column vicket.inbound_mails.html is 'As it looked, sanitised; NULL where it was text. Personal data.';
comment on column vicket.inbound_mails.thread_digest is
  'SHA-256 of the first Message-ID that it refers to, or of its own. NULL: it came before this was kept.';

create index inbound_mails_ended on vicket.inbound_mails (received_at) where (state = any (array['ignored'::text,
  'rejected'::text]));
create index inbound_mails_failed on vicket.inbound_mails (org_id, site_id) where (state = 'failed'::text);
create index inbound_mails_held on vicket.inbound_mails (org_id, site_id, received_at desc, id desc) where (state =
  'held'::text);
create index inbound_mails_ignored on vicket.inbound_mails (org_id, site_id, received_at desc, id desc) where (state =
  'ignored'::text);
create index inbound_mails_kept on vicket.inbound_mails (org_id, site_id, received_at) where ((raw is not null) and
  (state <> 'received'::text));
create index inbound_mails_newest on vicket.inbound_mails (org_id, site_id, received_at desc);
create index inbound_mails_of_address on vicket.inbound_mails (org_id, site_id, address_id) where (address_id is not
  null);
create index inbound_mails_of_message on vicket.inbound_mails (org_id, message_id) where (message_id is not null);
create index inbound_mails_of_thread on vicket.inbound_mails (org_id, site_id, thread_digest) where (ticket_id is not
  null);
create index inbound_mails_of_ticket on vicket.inbound_mails (org_id, ticket_id) where (ticket_id is not null);
create statistics vicket.inbound_mails_tenant (ndistinct, dependencies) on org_id, site_id from vicket.inbound_mails;

alter table vicket.inbound_mails enable row level security;
alter table vicket.inbound_mails force row level security;

create policy agent_select on vicket.inbound_mails
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('mail:read')) or (select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.inbound_mails is 'mail:read, or who reads tickets; within one''s teams.';

create policy mail_insert on vicket.inbound_mails
  for insert to vicket_mail
  with check (
    org_id = (select ctx.org_id())
    and site_id = (select ctx.site_id())
    and address_id = (select ctx.address_by_mail())
  );
comment on policy mail_insert on vicket.inbound_mails is
  'Mail of the site, and to the address, that the context names.';

create policy mail_all_sealed on vicket.inbound_mails
  as restrictive for all to vicket_mail
  using (org_id = (select ctx.org_by_mail()) and site_id = (select ctx.site_by_mail()))
  with check (org_id = (select ctx.org_by_mail()) and site_id = (select ctx.site_by_mail()));
comment on policy mail_all_sealed on vicket.inbound_mails is
  'Even an injected statement stays with the address in the context.';

create policy operator_select on vicket.inbound_mails
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.inbound_mails is 'vicket person export and erase; vicket mail reparse.';

create policy definer_select on vicket.inbound_mails
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.inbound_mails is
  'worker.open_inbound and its kin, of any org; ctx.decide_mail and admin.*, of one.';

create policy definer_update on vicket.inbound_mails
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('mail:edit'))))
  with check (
    session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.may('mail:edit')))
  );
comment on policy definer_update on vicket.inbound_mails is
  'worker.file_mail and its kin, of any org; ctx.decide_mail and admin.reparse_mail, of one.';

create policy definer_delete on vicket.inbound_mails
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name or (org_id = (select ctx.org_id()) and (select ctx.operates())));
comment on policy definer_delete on vicket.inbound_mails is
  'worker.forget_mail, of any org; admin.forget_mail, of one.';

grant select (org_id, site_id, id, received_at, state, reason, ticket_id, message_id, author, author_name, subject,
  verified, automatic, quoted_from, html, thread_digest) on vicket.inbound_mails to vicket_agent;
grant insert (address_id, recipient, mail_from, client, helo, message_digest, content_digest, raw,
  thread_digest) on vicket.inbound_mails to vicket_mail;
grant select (org_id, site_id, id, recipient, mail_from, received_at, state, ticket_id, author, author_name,
  subject) on vicket.inbound_mails to vicket_operator;
grant select, update (raw, state, reason, accepted, ticket_id, message_id, author, author_name, subject, verified,
  automatic, quoted_from, reopened, html), delete on vicket.inbound_mails to vicket_definer;

create function vicket.inbound_gone() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.tasks t using gone_rows g where t.org_id = g.org_id and t.kind = 'inbound' and t.subject_id = g.id;
  return null;
end $$;
alter function vicket.inbound_gone() owner to vicket_definer;
comment on function vicket.inbound_gone() is
  'Trigger: mail that is gone is not read. Definer: no request may write there.';
grant execute on function vicket.inbound_gone() to vicket_owner;

create function vicket.mail_received() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.tasks (org_id, site_id, kind, subject_id) values (new.org_id, new.site_id, 'inbound', new.id);
  return null;
end $$;
alter function vicket.mail_received() owner to vicket_definer;
comment on function vicket.mail_received() is
  'Trigger: mail that came in is to be read. Definer: no request may write there.';
grant execute on function vicket.mail_received() to vicket_owner;

create trigger audited after update of state on vicket.inbound_mails
  for each row when (old.state = 'held' and new.state = 'rejected') execute function vicket.audited('held_mail', 'id',
    'author state');
create trigger audited_accepted after update of accepted on vicket.inbound_mails
  for each row when (not old.accepted and new.accepted) execute function vicket.audited('held_mail', 'id',
    'author accepted');
create trigger inbound_gone after delete on vicket.inbound_mails referencing old table as gone_rows
  for each statement execute function vicket.inbound_gone();
create trigger mail_received after insert on vicket.inbound_mails
  for each row execute function vicket.mail_received();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.account_mails
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
  constraint account_mails_about_length check (char_length(about) >= 1 and char_length(about) <= 200),
  constraint account_mails_email_length check (char_length(email) >= 3 and char_length(email) <= 254),
  constraint account_mails_kind_known check (kind = any (array['password_reset', 'address_proof', 'password_changed',
    'new_device'])),
  constraint account_mails_language_known check (language = any (array['en', 'de', 'fr', 'es']))
);
alter table vicket.account_mails owner to vicket_owner;
comment on table vicket.account_mails is 'Mail of accounts that waits: of no tenant. What was sent is no row.';
comment on column vicket.account_mails.kind is 'No personal data.';
comment on column vicket.account_mails.email is 'As it was asked for: there may be no such account. Personal data.';
comment on column vicket.account_mails.about is 'Of new_device: network and kind of browser. Personal data.';
comment on column vicket.account_mails.language is 'No personal data.';
comment on column vicket.account_mails.message_ref is
  'Its Message-ID, the same however often it is sent. No personal data.';
comment on column vicket.account_mails.attempts is 'How often it was claimed.';
comment on column vicket.account_mails.run_at is 'When it is due; while somebody sends it, when their lease ends.';

create index account_mails_due on vicket.account_mails (run_at);

alter table vicket.account_mails enable row level security;
alter table vicket.account_mails force row level security;

create policy definer_select on vicket.account_mails
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.account_mails is 'Not narrowed: of no tenant. worker.open_account_mails.';

create policy definer_insert on vicket.account_mails
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.account_mails is
  'Not narrowed: whoever asks has no tenant. vicket.write_account_mail.';

create policy definer_update on vicket.account_mails
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.account_mails is 'worker.open_account_mails and settle_account_mails.';

create policy definer_delete on vicket.account_mails
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.account_mails is 'worker.open_account_mails and settle_account_mails.';

grant select, insert (kind, email, about, language, message_ref), update (attempts, run_at),
  delete on vicket.account_mails to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.password_resets
create table vicket.password_resets (
  token_hash bytea not null,
  user_id uuid not null,
  expires_at timestamptz not null default clock_timestamp() + '00:15:00'::interval,
  constraint password_resets_pkey primary key (token_hash),
  constraint password_resets_user_fkey foreign key (user_id) references vicket.users(id) on delete cascade,
  constraint password_resets_hash_length check (octet_length(token_hash) = 32)
);
alter table vicket.password_resets owner to vicket_owner;
comment on table vicket.password_resets is
  'Links to choose a password, by the SHA-256 of their token: 15 minutes, once. Of no tenant.';

create index password_resets_user on vicket.password_resets (user_id);

alter table vicket.password_resets enable row level security;
alter table vicket.password_resets force row level security;

create policy definer_select on vicket.password_resets
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.password_resets is
  'Not narrowed: a link is found by its digest before there is a context.';

create policy definer_insert on vicket.password_resets
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.password_resets is
  'Not narrowed: of no tenant. worker.open_account_mails: the token of a link.';

create policy definer_delete on vicket.password_resets
  for delete to vicket_definer
  using (true);
comment on policy definer_delete on vicket.password_resets is
  'Not narrowed: a new password ends all links; worker.open_account_mails, those that expired.';

grant select, insert (token_hash, user_id), delete on vicket.password_resets to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.known_devices
create table vicket.known_devices (
  user_id uuid not null,
  digest bytea not null,
  last_used_at timestamptz not null default now(),
  constraint known_devices_pkey primary key (user_id, digest),
  constraint known_devices_user_fkey foreign key (user_id) references vicket.users(id) on delete cascade,
  constraint known_devices_digest_length check (octet_length(digest) = 32)
);
alter table vicket.known_devices owner to vicket_owner;
comment on table vicket.known_devices is 'From where accounts were used, by digests, 180 days. Of no tenant.';

alter table vicket.known_devices enable row level security;
alter table vicket.known_devices force row level security;

create policy definer_select on vicket.known_devices
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.known_devices is 'Not narrowed: whoever logs in has no tenant yet.';

create policy definer_insert on vicket.known_devices
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.known_devices is 'Not narrowed: whoever logs in has no tenant yet.';

create policy definer_update on vicket.known_devices
  for update to vicket_definer
  using (true)
  with check (true);
comment on policy definer_update on vicket.known_devices is 'Not narrowed: whoever logs in has no tenant yet.';

create policy definer_delete on vicket.known_devices
  for delete to vicket_definer
  using (true);
comment on policy definer_delete on vicket.known_devices is 'Not narrowed: those of the person that are old.';

grant select, insert (user_id, digest), update (last_used_at), delete on vicket.known_devices to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.unproven_accounts
create table vicket.unproven_accounts (
  org_id uuid not null,
  user_id uuid not null,
  name text not null,
  password_hash text not null,
  created_at timestamptz not null default now(),
  constraint unproven_accounts_pkey primary key (org_id, user_id),
  constraint unproven_accounts_member_fkey foreign key (org_id, user_id) references vicket.members(org_id, user_id) on
    delete cascade,
  constraint unproven_accounts_name_length check (char_length(name) >= 1 and char_length(name) <= 200),
  constraint unproven_accounts_password_hash_shape check (password_hash ~~ '$argon2id$%')
);
alter table vicket.unproven_accounts owner to vicket_owner;
comment on table vicket.unproven_accounts is
  'Passwords of people who joined by a link that was not mailed to them: good in that org alone, until they prove '
  'their address.';
comment on column vicket.unproven_accounts.name is 'As whoever joined called themself. Personal data.';
comment on column vicket.unproven_accounts.password_hash is 'As that of users, with the same salt. Personal data.';

create index unproven_accounts_user on vicket.unproven_accounts (user_id);

alter table vicket.unproven_accounts enable row level security;
alter table vicket.unproven_accounts force row level security;

create policy definer_select on vicket.unproven_accounts
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.unproven_accounts is 'Not narrowed: whoever logs in has no tenant yet.';

create policy definer_insert on vicket.unproven_accounts
  for insert to vicket_definer
  with check (org_id = (select ctx.org_id()));
comment on policy definer_insert on vicket.unproven_accounts is 'auth.accept_invitation.';

create policy definer_update on vicket.unproven_accounts
  for update to vicket_definer
  using (true)
  with check (true);
comment on policy definer_update on vicket.unproven_accounts is
  'Not narrowed: a password is a person''s. auth.change_password.';

create policy definer_delete on vicket.unproven_accounts
  for delete to vicket_definer
  using (true);
comment on policy definer_delete on vicket.unproven_accounts is
  'Not narrowed: who proves an address ends what others chose, in any org.';

grant select, insert (org_id, user_id, name, password_hash), update (password_hash),
  delete on vicket.unproven_accounts to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.dkim_keys
create table vicket.dkim_keys (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  selector text not null,
  domain text not null,
  public_key text not null,
  sealed_key bytea not null,
  created_by text not null default ctx.actor_name(),
  created_at timestamptz not null default now(),
  constraint dkim_keys_pkey primary key (org_id, site_id, selector),
  constraint dkim_keys_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint dkim_keys_domain_shape check (domain = lower(domain collate "C") and char_length(domain) >= 1 and
    char_length(domain) <= 253),
  constraint dkim_keys_public_key_length check (char_length(public_key) <= 1000),
  constraint dkim_keys_sealed_key_length check (octet_length(sealed_key) <= 4096),
  constraint dkim_keys_selector_shape check (selector ~ '^[a-z0-9-]{1,63}$')
);
alter table vicket.dkim_keys owner to vicket_owner;
comment on table vicket.dkim_keys is
  'Keys by which mail of a site is signed. A rotation is one more, and the old one goes later.';
comment on column vicket.dkim_keys.selector is 'Begins the name of its DNS record. No personal data.';
comment on column vicket.dkim_keys.domain is 'That of the site''s own address when it was made. No personal data.';
comment on column vicket.dkim_keys.public_key is 'As the DNS record has it. No personal data.';
comment on column vicket.dkim_keys.sealed_key is
  'RSA, PKCS #1, sealed by the server''s secret for this site and selector.';
comment on column vicket.dkim_keys.created_by is 'Personal data.';

create statistics vicket.dkim_keys_tenant (ndistinct, dependencies) on org_id, site_id from vicket.dkim_keys;

alter table vicket.dkim_keys enable row level security;
alter table vicket.dkim_keys force row level security;

create policy agent_select on vicket.dkim_keys
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:read'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.dkim_keys is 'mail:read; within one''s teams.';

create policy agent_insert on vicket.dkim_keys
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.dkim_keys is 'mail:edit; within one''s teams.';

create policy operator_select on vicket.dkim_keys
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.dkim_keys is 'vicket mail doctor, after admin.enter_org.';

create policy definer_select on vicket.dkim_keys
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name or org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.dkim_keys is 'worker.sender_keys, of any org; ctx.remove_dkim_key, of one.';

create policy definer_delete on vicket.dkim_keys
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('mail:edit'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_delete on vicket.dkim_keys is 'ctx.remove_dkim_key: mail:edit; within one''s teams.';

grant select (org_id, site_id, selector, domain, public_key, created_by, created_at), insert (site_id, selector, domain,
  public_key, sealed_key) on vicket.dkim_keys to vicket_agent;
grant select (org_id, site_id, selector, domain, public_key, created_at) on vicket.dkim_keys to vicket_operator;
grant select, delete on vicket.dkim_keys to vicket_definer;

create trigger audited after insert or delete on vicket.dkim_keys
  for each row execute function vicket.audited('dkim_key', 'selector', 'domain');
create trigger serialize_org_writes before insert or delete on vicket.dkim_keys
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.mailboxes
create table vicket.mailboxes (
  digest bytea not null,
  uid_validity bigint,
  last_uid bigint not null default 0,
  holder uuid not null,
  held_until timestamptz not null,
  constraint mailboxes_pkey primary key (digest),
  constraint mailboxes_digest_length check (octet_length(digest) = 32),
  constraint mailboxes_uids check (uid_validity >= 0 and uid_validity <= '4294967295'::bigint and last_uid >= 0 and
    last_uid <= '4294967295'::bigint)
);
alter table vicket.mailboxes owner to vicket_owner;
comment on table vicket.mailboxes is
  'How far mailboxes were read, and by whom they are now: of no tenant, one row a mailbox.';
comment on column vicket.mailboxes.digest is 'SHA-256 of its server, login and folder.';
comment on column vicket.mailboxes.uid_validity is
  'As long as the server says this, its UIDs are the same. NULL before it was read.';
comment on column vicket.mailboxes.last_uid is 'Of the last message that was taken in or passed over.';
comment on column vicket.mailboxes.holder is 'The process that reads it. No personal data.';
comment on column vicket.mailboxes.held_until is 'When its lease ends, by the clock of the database.';

alter table vicket.mailboxes enable row level security;
alter table vicket.mailboxes force row level security;

create policy definer_select on vicket.mailboxes
  for select to vicket_definer
  using (true);
comment on policy definer_select on vicket.mailboxes is
  'worker.hold_mailbox and move_mailbox. Not narrowed: of no tenant.';

create policy definer_insert on vicket.mailboxes
  for insert to vicket_definer
  with check (true);
comment on policy definer_insert on vicket.mailboxes is 'worker.hold_mailbox. Not narrowed: of no tenant.';

create policy definer_update on vicket.mailboxes
  for update to vicket_definer
  using (session_user = 'vicket_worker'::name)
  with check (session_user = 'vicket_worker'::name);
comment on policy definer_update on vicket.mailboxes is 'worker.hold_mailbox and move_mailbox.';

grant select, insert (digest, holder, held_until), update (uid_validity, last_uid, holder,
  held_until) on vicket.mailboxes to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_seen
create table vicket.ticket_seen (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  user_id uuid not null default ctx.actor_user_id(),
  read_to timestamptz,
  seen_at timestamptz,
  typing_at timestamptz,
  changed_at timestamptz not null default clock_timestamp(),
  constraint ticket_seen_pkey primary key (org_id, site_id, ticket_id, user_id),
  constraint ticket_seen_member_fkey foreign key (org_id, user_id) references vicket.members(org_id, user_id) on delete
    cascade,
  constraint ticket_seen_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id, site_id,
    id) on delete cascade
);
alter table vicket.ticket_seen owner to vicket_owner;
comment on table vicket.ticket_seen is 'How far members have read which tickets, and which they have open now.';
comment on column vicket.ticket_seen.user_id is 'The member, who alone writes it.';
comment on column vicket.ticket_seen.read_to is 'They have read what was said until then; NULL for nothing.';
comment on column vicket.ticket_seen.seen_at is
  'When the ticket was last open before them: half a minute later it no longer is. NULL when it never was.';
comment on column vicket.ticket_seen.typing_at is
  'When they last typed an answer: ten seconds later they no longer do. NULL when they stopped.';
comment on column vicket.ticket_seen.changed_at is
  'When others could see something new in it: that they came, began or stopped typing, or have read on.';

create index ticket_seen_changed on vicket.ticket_seen (org_id, changed_at desc);
create index ticket_seen_member on vicket.ticket_seen (org_id, user_id);
create statistics vicket.ticket_seen_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_seen;

alter table vicket.ticket_seen enable row level security;
alter table vicket.ticket_seen force row level security;

create policy agent_select on vicket.ticket_seen
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.ticket_seen is
  'ticket:read: who is at a ticket that one sees; within one''s teams.';

create policy agent_insert on vicket.ticket_seen
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.ticket_seen is 'One''s own, of tickets that one sees.';

create policy agent_update on vicket.ticket_seen
  for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  )
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_update on vicket.ticket_seen is 'One''s own, of tickets that one sees.';

create policy definer_select on vicket.ticket_seen
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.ticket_seen is 'agent_answered: whoever answers has read it.';

create policy definer_select_news on vicket.ticket_seen
  for select to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_select_news on vicket.ticket_seen is 'worker.news_of_orgs.';

create policy definer_insert on vicket.ticket_seen
  for insert to vicket_definer
  with check (org_id = (select ctx.org_id()));
comment on policy definer_insert on vicket.ticket_seen is 'agent_answered: whoever answers has read it.';

create policy definer_update on vicket.ticket_seen
  for update to vicket_definer
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy definer_update on vicket.ticket_seen is 'agent_answered: whoever answers has read it.';

grant select (org_id, site_id, ticket_id, user_id, read_to, seen_at, typing_at, changed_at), insert (site_id, ticket_id,
  read_to, seen_at, typing_at), update (read_to, seen_at, typing_at, changed_at) on vicket.ticket_seen to vicket_agent;
grant select (org_id, site_id, ticket_id, user_id, read_to, changed_at), insert (org_id, site_id, ticket_id, user_id,
  read_to), update (read_to) on vicket.ticket_seen to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_drafts
create table vicket.ticket_drafts (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  user_id uuid not null default ctx.actor_user_id(),
  kind text not null,
  body text not null,
  updated_at timestamptz not null default now(),
  constraint ticket_drafts_pkey primary key (org_id, site_id, ticket_id, user_id, kind),
  constraint ticket_drafts_member_fkey foreign key (org_id, user_id) references vicket.members(org_id, user_id) on
    delete cascade,
  constraint ticket_drafts_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade,
  constraint ticket_drafts_body_length check (char_length(body) >= 1 and char_length(body) <= 20000),
  constraint ticket_drafts_kind_known check (kind = any (array['reply', 'note']))
);
alter table vicket.ticket_drafts owner to vicket_owner;
comment on table vicket.ticket_drafts is 'What members have typed into an answer or a note, and not sent.';
comment on column vicket.ticket_drafts.user_id is 'Who typed it, who alone reads it.';
comment on column vicket.ticket_drafts.kind is 'No personal data.';
comment on column vicket.ticket_drafts.body is 'As far as it was typed. Personal data.';

create index ticket_drafts_member on vicket.ticket_drafts (org_id, user_id);
create statistics vicket.ticket_drafts_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_drafts;

alter table vicket.ticket_drafts enable row level security;
alter table vicket.ticket_drafts force row level security;

create policy agent_select on vicket.ticket_drafts
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.ticket_drafts is 'One''s own, of tickets that one may answer.';

create policy agent_insert on vicket.ticket_drafts
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.ticket_drafts is 'One''s own, of tickets that one may answer.';

create policy agent_update on vicket.ticket_drafts
  for update to vicket_agent
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
comment on policy agent_update on vicket.ticket_drafts is 'One''s own, of tickets that one may answer.';

create policy operator_select on vicket.ticket_drafts
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.ticket_drafts is 'vicket person export.';

create policy definer_select on vicket.ticket_drafts
  for select to vicket_definer
  using (org_id = (select ctx.org_id()) and user_id = (select ctx.actor_user_id()));
comment on policy definer_select on vicket.ticket_drafts is 'ctx.remove_draft.';

create policy definer_delete on vicket.ticket_drafts
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_delete on vicket.ticket_drafts is 'ctx.remove_draft: one''s own.';

grant select (org_id, site_id, ticket_id, user_id, kind, body, updated_at), insert (site_id, ticket_id, kind, body),
  update (body, updated_at) on vicket.ticket_drafts to vicket_agent;
grant select on vicket.ticket_drafts to vicket_operator;
grant select (org_id, site_id, ticket_id, user_id, kind), delete on vicket.ticket_drafts to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.saved_views
create table vicket.saved_views (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  user_id uuid not null default ctx.actor_user_id(),
  shared boolean not null default false,
  owner_id uuid generated always as (case when (not shared) then user_id else null::uuid end) stored,
  name text not null,
  filter jsonb not null,
  "position" integer not null default 0,
  constraint saved_views_pkey primary key (org_id, id),
  constraint saved_views_name_unique unique nulls not distinct (org_id, owner_id, name),
  constraint saved_views_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint saved_views_owner_fkey foreign key (org_id, owner_id) references vicket.members(org_id, user_id) on delete
    cascade,
  constraint saved_views_filter_shape check (jsonb_typeof(filter) = 'object' and octet_length((filter)::text) <= 4000),
  constraint saved_views_name_length check (char_length(name) >= 1 and char_length(name) <= 100 and name ~ '\S')
);
alter table vicket.saved_views owner to vicket_owner;
comment on table vicket.saved_views is 'Filters of the inbox by name.';
comment on column vicket.saved_views.user_id is 'Who made it.';
comment on column vicket.saved_views.owner_id is 'Whose it is, with whom it goes; NULL for the team''s.';
comment on column vicket.saved_views.name is 'No personal data.';
comment on column vicket.saved_views.filter is
  'What it shows: site, status, priority, assignee, tags, q, waiting, unread, unresolved. Words of q may name '
  'somebody. Personal data.';
comment on column vicket.saved_views."position" is 'In the list; then by name.';

alter table vicket.saved_views enable row level security;
alter table vicket.saved_views force row level security;

create policy agent_select on vicket.saved_views
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.is_member())
    and (shared or user_id = (select ctx.actor_user_id()))
  );
comment on policy agent_select on vicket.saved_views is 'One''s own, and the team''s.';

create policy agent_insert on vicket.saved_views
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and user_id = (select ctx.actor_user_id())
    and (select ctx.may('ticket:read'))
    and (not shared or (select ctx.may('view:share')))
  );
comment on policy agent_insert on vicket.saved_views is 'One''s own; the team''s by view:share.';

create policy agent_update on vicket.saved_views
  for update to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:read'))
    and (shared or user_id = (select ctx.actor_user_id()))
    and (not shared or (select ctx.may('view:share')))
  )
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:read'))
    and (shared or user_id = (select ctx.actor_user_id()))
    and (not shared or (select ctx.may('view:share')))
  );
comment on policy agent_update on vicket.saved_views is 'One''s own; the team''s by view:share.';

create policy definer_select on vicket.saved_views
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.saved_views is 'ctx.remove_view.';

create policy definer_delete on vicket.saved_views
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:read'))
    and (shared or user_id = (select ctx.actor_user_id()))
    and (not shared or (select ctx.may('view:share')))
  );
comment on policy definer_delete on vicket.saved_views is 'ctx.remove_view: one''s own; the team''s by view:share.';

grant select (org_id, id, user_id, shared, name, filter, "position"), insert (shared, name, filter, "position"),
  update (name, filter, "position") on vicket.saved_views to vicket_agent;
grant select (org_id, id), delete on vicket.saved_views to vicket_definer;

create trigger audited after insert or update on vicket.saved_views
  for each row when (new.shared) execute function vicket.audited('saved_view', 'id', 'name position');
create trigger audited_end after delete on vicket.saved_views
  for each row when (old.shared) execute function vicket.audited('saved_view', 'id', 'name position');
create trigger serialize_org_writes before insert or delete or update on vicket.saved_views
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.tags
create table vicket.tags (
  org_id uuid not null default ctx.org_id(),
  id uuid not null default gen_random_uuid(),
  name text not null,
  colour text not null default 'grey',
  constraint tags_pkey primary key (org_id, id),
  constraint tags_org_fkey foreign key (org_id) references vicket.orgs(id) on delete cascade,
  constraint tags_colour_known check (colour = any (array['grey', 'red', 'orange', 'yellow', 'green', 'teal', 'blue',
    'purple'])),
  constraint tags_name_length check (char_length(name) >= 1 and char_length(name) <= 60 and name ~ '\S')
);
alter table vicket.tags owner to vicket_owner;
comment on table vicket.tags is 'What an org calls its tickets.';
comment on column vicket.tags.name is 'Unique in the org, in whichever letters. No personal data.';
comment on column vicket.tags.colour is 'Of a small palette. No personal data.';

create unique index tags_name_unique on vicket.tags (org_id, lower(name));

alter table vicket.tags enable row level security;
alter table vicket.tags force row level security;

create policy agent_select on vicket.tags
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')) or (select ctx.may('tag:edit')))
  );
comment on policy agent_select on vicket.tags is 'Whoever sees tickets, and whoever edits tags.';

create policy agent_insert on vicket.tags
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')));
comment on policy agent_insert on vicket.tags is 'tag:edit.';

create policy agent_update on vicket.tags
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')));
comment on policy agent_update on vicket.tags is 'tag:edit.';

create policy definer_select on vicket.tags
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.tags is 'ctx.remove_tag; ticket_tagged, for the timeline.';

create policy definer_delete on vicket.tags
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.may('tag:edit')));
comment on policy definer_delete on vicket.tags is 'ctx.remove_tag: tag:edit.';

grant select (org_id, id, name, colour), insert (name, colour), update (name, colour) on vicket.tags to vicket_agent;
grant select (org_id, id, name), delete on vicket.tags to vicket_definer;

create trigger audited after insert or delete or update of name, colour on vicket.tags
  for each row execute function vicket.audited('tag', 'id', 'name colour');
create trigger serialize_org_writes before insert or delete or update on vicket.tags
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_tags
create table vicket.ticket_tags (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  tag_id uuid not null,
  constraint ticket_tags_pkey primary key (org_id, site_id, ticket_id, tag_id),
  constraint ticket_tags_tag_fkey foreign key (org_id, tag_id) references vicket.tags(org_id, id) on delete cascade,
  constraint ticket_tags_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id, site_id,
    id) on delete cascade
);
alter table vicket.ticket_tags owner to vicket_owner;
comment on table vicket.ticket_tags is 'Which tags are on which tickets.';

create index ticket_tags_of_tag on vicket.ticket_tags (org_id, tag_id, ticket_id);
create statistics vicket.ticket_tags_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_tags;

alter table vicket.ticket_tags enable row level security;
alter table vicket.ticket_tags force row level security;

create policy agent_select on vicket.ticket_tags
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.ticket_tags is 'ticket:read; within one''s teams.';

create policy agent_insert on vicket.ticket_tags
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.ticket_tags is 'ticket:write; within one''s teams.';

create policy definer_select on vicket.ticket_tags
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.ticket_tags is 'ctx.untag; ticket_tagged, which counts.';

create policy definer_delete on vicket.ticket_tags
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_delete on vicket.ticket_tags is 'ctx.untag: ticket:write; within one''s teams.';

grant select (org_id, site_id, ticket_id, tag_id), insert (site_id, ticket_id,
  tag_id) on vicket.ticket_tags to vicket_agent;
grant select (org_id, site_id, ticket_id, tag_id), delete on vicket.ticket_tags to vicket_definer;

create function vicket.ticket_tagged() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  puts constant boolean := tg_op = 'INSERT';
begin
  if puts and exists (
    select from vicket.ticket_tags t
    where (t.org_id, t.site_id, t.ticket_id) in (select c.org_id, c.site_id, c.ticket_id from changed_rows c)
    group by t.ticket_id
    having count(*) > 30
  ) then
    raise exception 'a ticket has at most 30 tags' using errcode = 'check_violation', constraint = 'ticket_tags_most';
  end if;
  with noted as (
    insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
      select c.org_id, c.site_id, c.ticket_id, coalesce(nullif(ctx.actor_name(), ''), 'cli'), 'tag',
        case when not puts then g.name end, case when puts then g.name end
      from changed_rows c
      join vicket.tags g on g.org_id = c.org_id and g.id = c.tag_id
      join vicket.tickets t on t.org_id = c.org_id and t.site_id = c.site_id and t.id = c.ticket_id
      order by g.name
      returning org_id, site_id, ticket_id
  )
  update vicket.tickets t
    set updated_at = now()
    from (select distinct n.org_id, n.site_id, n.ticket_id from noted n) n
    where t.org_id = n.org_id and t.site_id = n.site_id and t.id = n.ticket_id;
  return null;
end $$;
alter function vicket.ticket_tagged() owner to vicket_definer;
comment on function vicket.ticket_tagged() is
  'Trigger: notes tags in the timeline; a ticket has 30 (ticket_tags_most). Definer: no request may write there.';
grant execute on function vicket.ticket_tagged() to vicket_owner;

create trigger ticket_tagged after insert on vicket.ticket_tags referencing new table as changed_rows
  for each statement execute function vicket.ticket_tagged();
create trigger ticket_untagged after delete on vicket.ticket_tags referencing old table as changed_rows
  for each statement execute function vicket.ticket_tagged();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.site_identities
create table vicket.site_identities (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  keys text,
  required boolean not null default false,
  opener_hash bytea not null,
  updated_at timestamptz not null default now(),
  constraint site_identities_pkey primary key (org_id, site_id),
  constraint site_identities_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete
    cascade,
  constraint site_identities_keys_length check (char_length(keys) <= 8192),
  constraint site_identities_opener_length check (octet_length(opener_hash) = 32)
);
alter table vicket.site_identities owner to vicket_owner;
comment on table vicket.site_identities is 'Whose signatures a site takes for the identity of its customers.';
comment on column vicket.site_identities.keys is 'A JWKS of public keys. No personal data.';
comment on column vicket.site_identities.opener_hash is 'SHA-256 of what the server makes of its secret for this site.';

create statistics vicket.site_identities_tenant (ndistinct, dependencies) on org_id, site_id from vicket.site_identities;

alter table vicket.site_identities enable row level security;
alter table vicket.site_identities force row level security;

create policy agent_select on vicket.site_identities
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.site_identities is 'Members.';

create policy agent_insert on vicket.site_identities
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
comment on policy agent_insert on vicket.site_identities is 'site:edit.';

create policy agent_update on vicket.site_identities
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('site:edit')));
comment on policy agent_update on vicket.site_identities is 'site:edit.';

create policy operator_select on vicket.site_identities
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.site_identities is 'vicket site, after admin.enter_org.';

create policy definer_select on vicket.site_identities
  for select to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_select on vicket.site_identities is 'auth.identity_keys and its kin, of the site of the key.';

grant select (org_id, site_id, keys, required, updated_at), insert (site_id, keys, required, opener_hash), update (keys,
  required, opener_hash, updated_at) on vicket.site_identities to vicket_agent;
grant select (org_id, site_id, keys, required) on vicket.site_identities to vicket_operator;
grant select on vicket.site_identities to vicket_definer;

create trigger audited after insert or update of keys, required on vicket.site_identities
  for each row execute function vicket.audited('site_identity', 'site_id', 'keys required');
create trigger serialize_org_writes before insert or update on vicket.site_identities
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.identity_secrets
create table vicket.identity_secrets (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null,
  id uuid not null default gen_random_uuid(),
  sealed_secret bytea,
  opener_hash bytea not null,
  hint text not null,
  state text not null,
  created_at timestamptz not null default now(),
  created_by text not null default ctx.actor_name(),
  constraint identity_secrets_pkey primary key (org_id, site_id, id),
  constraint identity_secrets_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete
    cascade,
  constraint identity_secrets_hint_length check (char_length(hint) = 4),
  constraint identity_secrets_opener_length check (octet_length(opener_hash) = 32),
  constraint identity_secrets_revoked_empty check ((state = 'revoked') = (sealed_secret is null)),
  constraint identity_secrets_sealed_length check (octet_length(sealed_secret) <= 256),
  constraint identity_secrets_state_known check (state = any (array['active', 'staged', 'revoked']))
);
alter table vicket.identity_secrets owner to vicket_owner;
comment on table vicket.identity_secrets is
  'Secrets by which a site''s server signs who its customers are. Sealed by the server''s secret.';
comment on column vicket.identity_secrets.sealed_secret is
  'Sealed by the server''s secret for this site; NULL once it is revoked.';
comment on column vicket.identity_secrets.opener_hash is 'As in site_identities.';
comment on column vicket.identity_secrets.hint is
  'The last four characters of the secret, to recognise it by. No personal data.';
comment on column vicket.identity_secrets.state is
  'active, staged (works beside the active one until a rotation promotes it) or revoked. No personal data.';
comment on column vicket.identity_secrets.created_by is 'Personal data.';

create unique index identity_secrets_one_active on vicket.identity_secrets (org_id, site_id) where (state =
  'active'::text);
create unique index identity_secrets_one_staged on vicket.identity_secrets (org_id, site_id) where (state =
  'staged'::text);
create statistics vicket.identity_secrets_tenant (ndistinct, dependencies) on org_id, site_id from
  vicket.identity_secrets;

alter table vicket.identity_secrets enable row level security;
alter table vicket.identity_secrets force row level security;

create policy agent_select on vicket.identity_secrets
  for select to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.is_member()));
comment on policy agent_select on vicket.identity_secrets is
  'Members see when one was made; what is sealed is in no grant.';

create policy agent_insert on vicket.identity_secrets
  for insert to vicket_agent
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));
comment on policy agent_insert on vicket.identity_secrets is 'apikey:rotate.';

create policy agent_update on vicket.identity_secrets
  for update to vicket_agent
  using (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')))
  with check (org_id = (select ctx.org_id()) and (select ctx.may('apikey:rotate')));
comment on policy agent_update on vicket.identity_secrets is 'apikey:rotate.';

create policy operator_all on vicket.identity_secrets
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));
comment on policy operator_all on vicket.identity_secrets is 'vicket person erase, after admin.enter_org.';

create policy definer_select on vicket.identity_secrets
  for select to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_select on vicket.identity_secrets is
  'auth.identity_keys and its kin, of the site of the key.';

grant select (org_id, site_id, id, hint, state, created_at, created_by), insert (site_id, sealed_secret, opener_hash,
  hint, state), update (sealed_secret, state) on vicket.identity_secrets to vicket_agent;
grant select (org_id, site_id, id, created_by), update (created_by) on vicket.identity_secrets to vicket_operator;
grant select (org_id, site_id, id, sealed_secret, opener_hash, state) on vicket.identity_secrets to vicket_definer;

create trigger audited after insert or delete or update of state on vicket.identity_secrets
  for each row execute function vicket.audited('identity_secret', 'hint', 'hint state');
create trigger serialize_org_writes before insert or delete or update of state on vicket.identity_secrets
  for each statement execute function vicket.serialize_org_writes();

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.customers
create table vicket.customers (
  org_id uuid not null default ctx.org_by_key(),
  site_id uuid not null default ctx.site_by_key(),
  id uuid not null default gen_random_uuid(),
  subject text not null,
  email text not null,
  name text,
  created_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  constraint customers_pkey primary key (org_id, site_id, id),
  constraint customers_subject_unique unique (org_id, site_id, subject),
  constraint customers_site_fkey foreign key (org_id, site_id) references vicket.sites(org_id, id) on delete cascade,
  constraint customers_email_length check (char_length(email) >= 3 and char_length(email) <= 254),
  constraint customers_name_length check (char_length(name) >= 1 and char_length(name) <= 200),
  constraint customers_subject_length check (char_length(subject) >= 1 and char_length(subject) <= 200)
);
alter table vicket.customers owner to vicket_owner;
comment on table vicket.customers is 'People whom a site vouched for, by its own name for them.';
comment on column vicket.customers.subject is 'What the site calls them: `sub` of the token. Personal data.';
comment on column vicket.customers.email is 'As the last token said. Personal data.';
comment on column vicket.customers.name is 'As the last token said. Personal data.';

create index customers_email on vicket.customers (org_id, lower((email collate "C")));
create statistics vicket.customers_tenant (ndistinct, dependencies) on org_id, site_id from vicket.customers;

alter table vicket.customers enable row level security;
alter table vicket.customers force row level security;

create policy operator_select on vicket.customers
  for select to vicket_operator
  using (org_id = (select ctx.org_id()));
comment on policy operator_select on vicket.customers is 'vicket person export and erase.';

create policy definer_select on vicket.customers
  for select to vicket_definer
  using (
    (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key())) or (org_id = (select ctx.org_id()) and
      (select ctx.operates()))
  );
comment on policy definer_select on vicket.customers is
  'ctx.customer, of the site of the key; admin.forget_customer, of one org.';

create policy definer_insert on vicket.customers
  for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_insert on vicket.customers is 'auth.open_customer_session.';

create policy definer_update on vicket.customers
  for update to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_update on vicket.customers is 'auth.open_customer_session.';

create policy definer_delete on vicket.customers
  for delete to vicket_definer
  using (org_id = (select ctx.org_id()) and (select ctx.operates()));
comment on policy definer_delete on vicket.customers is 'admin.forget_customer.';

grant select (org_id, site_id, id, subject, email, name, created_at, seen_at) on vicket.customers to vicket_operator;
grant select, insert (subject, email, name), update (email, name, seen_at),
  delete on vicket.customers to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.customer_sessions
create table vicket.customer_sessions (
  org_id uuid not null default ctx.org_by_key(),
  site_id uuid not null default ctx.site_by_key(),
  token_hash bytea not null,
  customer_id uuid not null,
  jti_hash bytea not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  constraint customer_sessions_pkey primary key (org_id, site_id, token_hash),
  constraint customer_sessions_jti_unique unique (org_id, site_id, jti_hash),
  constraint customer_sessions_customer_fkey foreign key (org_id, site_id, customer_id) references
    vicket.customers(org_id, site_id, id) on delete cascade,
  constraint customer_sessions_hash_length check (octet_length(token_hash) = 32 and octet_length(jti_hash) = 32)
);
alter table vicket.customer_sessions owner to vicket_owner;
comment on table vicket.customer_sessions is 'SHA-256 of the customer sessions, each of one signed token; 12 hours.';
comment on column vicket.customer_sessions.jti_hash is 'SHA-256 of `jti` of the token that it was opened for.';

create index customer_sessions_created on vicket.customer_sessions (created_at);
create index customer_sessions_customer on vicket.customer_sessions (org_id, site_id, customer_id);
create statistics vicket.customer_sessions_tenant (ndistinct, dependencies) on org_id, site_id from
  vicket.customer_sessions;

alter table vicket.customer_sessions enable row level security;
alter table vicket.customer_sessions force row level security;

create policy definer_select on vicket.customer_sessions
  for select to vicket_definer
  using (
    session_user = 'vicket_worker'::name or (org_id = (select ctx.org_by_key()) and site_id = (select
      ctx.site_by_key()))
  );
comment on policy definer_select on vicket.customer_sessions is 'ctx.customer, of the site of the key; the worker.';

create policy definer_insert on vicket.customer_sessions
  for insert to vicket_definer
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_insert on vicket.customer_sessions is 'auth.open_customer_session.';

create policy definer_update on vicket.customer_sessions
  for update to vicket_definer
  using (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()))
  with check (org_id = (select ctx.org_by_key()) and site_id = (select ctx.site_by_key()));
comment on policy definer_update on vicket.customer_sessions is 'ctx.end_customer_session.';

create policy definer_delete on vicket.customer_sessions
  for delete to vicket_definer
  using (session_user = 'vicket_worker'::name);
comment on policy definer_delete on vicket.customer_sessions is 'worker.purge_customer_sessions.';

grant select, insert (token_hash, customer_id, jti_hash), update (ended_at),
  delete on vicket.customer_sessions to vicket_definer;

-- ---------------------------------------------------------------------------------------------------------------------
-- vicket.ticket_merges
create table vicket.ticket_merges (
  org_id uuid not null default ctx.org_id(),
  site_id uuid not null default ctx.site_id(),
  ticket_id uuid not null,
  into_id uuid not null,
  status_id uuid,
  constraint ticket_merges_pkey primary key (org_id, site_id, ticket_id),
  constraint ticket_merges_into_fkey foreign key (org_id, site_id, into_id) references vicket.tickets(org_id, site_id,
    id) on delete cascade,
  constraint ticket_merges_ticket_fkey foreign key (org_id, site_id, ticket_id) references vicket.tickets(org_id,
    site_id, id) on delete cascade,
  constraint ticket_merges_of_another check (ticket_id <> into_id)
);
alter table vicket.ticket_merges owner to vicket_owner;
comment on table vicket.ticket_merges is 'Which tickets are part of which other of the same customer.';
comment on column vicket.ticket_merges.status_id is
  'Where it stood before, and stands again when that is taken back, unless the status is gone.';

create index ticket_merges_into on vicket.ticket_merges (org_id, into_id);
create statistics vicket.ticket_merges_tenant (ndistinct, dependencies) on org_id, site_id from vicket.ticket_merges;

alter table vicket.ticket_merges enable row level security;
alter table vicket.ticket_merges force row level security;

create policy agent_select on vicket.ticket_merges
  for select to vicket_agent
  using (
    org_id = (select ctx.org_id())
    and ((select ctx.may('ticket:read')) or (select ctx.may('ticket:write')))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_select on vicket.ticket_merges is 'ticket:read; within one''s teams.';

create policy agent_insert on vicket.ticket_merges
  for insert to vicket_agent
  with check (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy agent_insert on vicket.ticket_merges is 'ticket:write; within one''s teams.';

create policy definer_select on vicket.ticket_merges
  for select to vicket_definer
  using (org_id = (select ctx.org_id()));
comment on policy definer_select on vicket.ticket_merges is
  'ctx.unmerge; the triggers of tickets and of what is said in them.';

create policy definer_update on vicket.ticket_merges
  for update to vicket_definer
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
comment on policy definer_update on vicket.ticket_merges is 'ticket_merged: ticket:write; within one''s teams.';

create policy definer_delete on vicket.ticket_merges
  for delete to vicket_definer
  using (
    org_id = (select ctx.org_id())
    and (select ctx.may('ticket:write'))
    and ((select ctx.sees_all_sites()) or site_id = any (array(select ctx.team_site_ids())))
  );
comment on policy definer_delete on vicket.ticket_merges is 'ctx.unmerge: ticket:write; within one''s teams.';

grant select (org_id, site_id, ticket_id, into_id), insert (site_id, ticket_id,
  into_id) on vicket.ticket_merges to vicket_agent;
grant select (org_id, site_id, ticket_id, into_id, status_id), update (into_id, status_id),
  delete on vicket.ticket_merges to vicket_definer;

create function vicket.ticket_merged() returns trigger
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  source record;
  target record;
  waits boolean;
begin
  -- Nobody else decides it: what is restored was decided before.
  if session_user <> 'vicket_gate_agent' then
    return null;
  end if;
  -- In one order, so that those who merge at once wait for each other.
  perform from vicket.tickets t
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id in (new.ticket_id, new.into_id)
    order by t.id
    for no key update;
  select s.prefix || '-' || t.number as reference, t.email, t.status, t.status_id, t.unanswered, t.last_activity_at
    into strict source
    from vicket.tickets t join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  select s.prefix || '-' || t.number as reference, t.email, t.status into strict target
    from vicket.tickets t join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.into_id;
  if lower(source.email collate "C") <> lower(target.email collate "C") then
    raise exception 'they are not of one customer'
      using errcode = 'check_violation', constraint = 'ticket_merges_of_one_customer';
  end if;
  if target.status = 'closed' then
    raise exception 'the ticket is closed' using errcode = 'check_violation', constraint = 'ticket_not_closed';
  end if;
  if exists (
    select from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.into_id)
  then
    raise exception 'the other is part of a third' using errcode = 'check_violation', constraint = 'ticket_merges_of_whole';
  end if;
  update vicket.ticket_merges g
    set into_id = new.into_id
    where g.org_id = new.org_id and g.site_id = new.site_id and g.into_id = new.ticket_id;
  update vicket.ticket_merges g
    set status_id = source.status_id
    where g.org_id = new.org_id and g.site_id = new.site_id and g.ticket_id = new.ticket_id;
  if (
    select count(*) > 20
    from vicket.ticket_merges g
    where g.org_id = new.org_id and g.site_id = new.site_id and g.into_id = new.into_id)
  then
    raise exception 'a ticket has at most 20 others' using errcode = 'check_violation', constraint = 'ticket_merges_most';
  end if;
  insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, after)
    select new.org_id, new.site_id, e.ticket_id, coalesce(nullif(ctx.actor_name(), ''), 'cli'), e.kind, e.reference
    from (values (new.ticket_id, 'merged', target.reference), (new.into_id, 'merge', source.reference))
      e (ticket_id, kind, reference);
  -- Who waited there waits here.
  waits := source.status = 'open' and source.unanswered;
  update vicket.tickets t
    set status = case when t.status = 'closed' then t.status else 'resolved' end, updated_at = now()
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.ticket_id;
  update vicket.tickets t
    set status = case when waits and t.status in ('pending', 'resolved') then 'open' else t.status end,
      unanswered = t.unanswered or waits, last_activity_at = greatest(t.last_activity_at, source.last_activity_at),
      snoozed_until = case when not waits then t.snoozed_until end, updated_at = now()
    where t.org_id = new.org_id and t.site_id = new.site_id and t.id = new.into_id;
  return null;
end $$;
alter function vicket.ticket_merged() owner to vicket_definer;
comment on function vicket.ticket_merged() is
  'Trigger: a ticket becomes part of another that is not closed, of the same customer and of no third, which has 20 '
  'at the most (constraints ticket_not_closed, ticket_merges_of_one_customer, ticket_merges_of_whole, '
  'ticket_merges_most). Definer: no request may write there.';
grant execute on function vicket.ticket_merged() to vicket_owner;

create trigger ticket_merged after insert on vicket.ticket_merges
  for each row execute function vicket.ticket_merged();

-- ---------------------------------------------------------------------------------------------------------------------
-- Foreign keys to tables that come later
alter table vicket.tickets add constraint tickets_customer_fkey foreign key (org_id, site_id, customer_id) references
  vicket.customers(org_id, site_id, id) on delete set null (customer_id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions of vicket
create function vicket.add_audit_months() returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  first_moment constant text := 'YYYY-MM-01 00:00:00"+00"';
  present constant date := date_trunc('month', now() at time zone 'UTC')::date;
  newest date := (
    select max(to_date(right(c.relname, 7), 'YYYY_MM'))
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'vicket.audit_log'::regclass and c.relname ~ '^audit_log_\d{4}_\d{2}$'
  );
  month date;
  made text;
  bounds text;
begin
  if newest < present then
    -- It holds what came after the newest month, and nothing else: it becomes the partition of the months since.
    made := 'audit_log_' || to_char(present, 'YYYY_MM');
    alter table vicket.audit_log detach partition vicket.audit_log_later;
    execute format('alter table vicket.audit_log_later rename to %I', made);
    execute format('alter table vicket.audit_log attach partition vicket.%I for values from (%L) to (%L)', made,
      to_char(newest + interval '1 month', first_moment), to_char(present + interval '1 month', first_moment));
    newest := present;
  end if;
  for month in
    select m::date
    from generate_series(
      coalesce(newest + interval '1 month', present), present + interval '13 months', interval '1 month'
    ) m
    union all
    select null where to_regclass('vicket.audit_log_later') is null
  loop
    made := coalesce('audit_log_' || to_char(month, 'YYYY_MM'), 'audit_log_later');
    bounds := case
      when month is null then 'default'
      when newest is null then format('for values from (minvalue) to (%L)', to_char(month + interval '1 month', first_moment))
      else format('for values from (%L) to (%L)', to_char(month, first_moment),
        to_char(month + interval '1 month', first_moment))
    end;
    -- Made beside the log, then attached: so readers and writers go on.
    execute format('create table vicket.%I (like vicket.audit_log including defaults including constraints)', made);
    execute format('alter table vicket.%I enable row level security', made);
    execute format('alter table vicket.%I force row level security', made);
    execute format('create trigger never_truncated before truncate on vicket.%I
      for each statement execute function vicket.audit_log_is_append_only()', made);
    execute format('alter table vicket.audit_log attach partition vicket.%I %s', made, bounds);
    newest := coalesce(month, newest);
  end loop;
end $$;
alter function vicket.add_audit_months() owner to vicket_owner;
comment on function vicket.add_audit_months() is
  'Makes the partitions of the audit log for the next 13 months, where they are missing.';

create function vicket.append_audit(variadic p_entries vicket.audit_log[]) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  org constant uuid := p_entries[1].org_id;
  request_id constant text := nullif(current_setting('app.request_id', true), '');
  entries vicket.audit_log[];
  entry vicket.audit_log;
  head record;
begin
  if p_entries = '{}' then
    return;
  end if;
  insert into vicket.audit_heads (org_id) values (org) on conflict do nothing;
  select h.last_seq, h.last_hash, h.last_at
    into strict head
    from vicket.audit_heads h
    where h.org_id = org
    for update;
  foreach entry in array p_entries loop
    entry.seq := head.last_seq + 1;
    -- Whatever the clock does: the rows of an org's month follow each other.
    entry.at := greatest(clock_timestamp(), head.last_at);
    entry.request_id := request_id;
    entry.actor_salt := uuid_send(gen_random_uuid());
    entry.actor_digest := sha256(
      entry.actor_salt || convert_to(jsonb_build_array(entry.actor_id, entry.actor)::text, 'UTF8'));
    entry.object_salt := uuid_send(gen_random_uuid());
    entry.object_digest := sha256(
      entry.object_salt || convert_to(jsonb_build_array(entry.object_id, entry.before, entry.after)::text, 'UTF8'));
    entry.prev_hash := head.last_hash;
    entry.hash := sha256(entry.prev_hash || convert_to(
      jsonb_build_array(
        entry.org_id, entry.seq, extract(epoch from entry.at), entry.actor_kind, encode(entry.actor_digest, 'hex'),
        entry.action, entry.object_kind, encode(entry.object_digest, 'hex'), entry.site_id, entry.request_id
      )::text, 'UTF8'));
    head.last_seq := entry.seq;
    head.last_hash := entry.hash;
    head.last_at := entry.at;
    entries := entries || entry;
  end loop;
  insert into vicket.audit_log select e.* from unnest(entries) e;
  update vicket.audit_heads h
    set last_seq = head.last_seq, last_hash = head.last_hash, last_at = head.last_at
    where h.org_id = org;
end $$;
alter function vicket.append_audit(vicket.audit_log[]) owner to vicket_definer;
comment on function vicket.append_audit(vicket.audit_log[]) is 'Appends entries to their org''s chain.';

create function vicket.audit_entry(p_kind text, p_id_column text, p_recorded text[], p_old jsonb,
  p_new jsonb) returns vicket.audit_log
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
declare
  whole constant jsonb := coalesce(p_new, p_old);
  -- An org or a site that is too large to go at once is marked first.
  ends constant boolean := p_new is null or p_new ->> 'deleted_at' is not null;
  entry vicket.audit_log;
begin
  entry.org_id := (case when p_kind = 'org' then whole ->> 'id' else whole ->> 'org_id' end)::uuid;
  entry.site_id := (case when p_kind = 'site' then whole ->> 'id' else whole ->> 'site_id' end)::uuid;
  -- What goes because something else went needs no entry of its own: the org, its site, or whose machine key it was.
  if p_old ->> 'deleted_at' is not null
    or p_kind <> 'org' and not exists (select from vicket.orgs o where o.id = entry.org_id and o.deleted_at is null)
    or p_kind not in ('org', 'site') and ends and entry.site_id is not null and not exists (
      select from vicket.sites s where s.org_id = entry.org_id and s.id = entry.site_id and s.deleted_at is null)
  then
    return null;
  end if;
  entry.before := (select jsonb_object_agg(f.key, f.value) from jsonb_each(p_old) f where f.key = any (p_recorded));
  if not ends then
    entry.after := (select jsonb_object_agg(f.key, f.value) from jsonb_each(p_new) f where f.key = any (p_recorded));
  end if;
  if entry.before = entry.after then
    return null;
  end if;
  entry.action := case when ends then 'deleted' when p_old is null then 'created' else 'updated' end;
  entry.object_kind := p_kind;
  entry.object_id := whole ->> p_id_column;
  return entry;
end $$;
alter function vicket.audit_entry(text,text,text[],jsonb,jsonb) owner to vicket_definer;
comment on function vicket.audit_entry(text,text,text[],jsonb,jsonb) is
  'What the audit log says of a change, but for who made it; NULL is no news.';

create function vicket.mail_domain() returns text
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (select s.domain from vicket.mail_service s where s.on_until > now());
end $$;
alter function vicket.mail_domain() owner to vicket_definer;
comment on function vicket.mail_domain() is 'Of the server that sends mail; NULL when there is none.';

create function vicket.write_mail(p_mail vicket.mails) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  new_id constant uuid := gen_random_uuid();
begin
  insert into vicket.mails (org_id, site_id, id, kind, ticket_id, message_id, user_id, invitation_id, recipient, message_ref)
    values (p_mail.org_id, p_mail.site_id, new_id, p_mail.kind, p_mail.ticket_id, p_mail.message_id, p_mail.user_id,
      p_mail.invitation_id, p_mail.recipient,
      '<m.' || replace(gen_random_uuid()::text, '-', '') || '@' || vicket.mail_domain() || '>');
  insert into vicket.tasks (org_id, site_id, kind, subject_id) values (p_mail.org_id, p_mail.site_id, 'mail', new_id);
end $$;
alter function vicket.write_mail(vicket.mails) owner to vicket_definer;
comment on function vicket.write_mail(vicket.mails) is 'Writes a mail and its task.';

create function vicket.count_mail(p_what text, p_address text, p_most integer) returns boolean
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.mail_counts c
    where c.digest in (
      select old.digest from vicket.mail_counts old
      where old.day < current_date
      limit 4
      for update skip locked
    );
  insert into vicket.mail_counts as c (digest, day, mails)
    values (
      sha256(convert_to(concat_ws(' ', current_date, p_what, lower(p_address collate "C")), 'UTF8')), current_date, 1)
    on conflict (digest) do update set mails = c.mails + 1 where c.mails < p_most;
  return found;
end $$;
alter function vicket.count_mail(text,text,integer) owner to vicket_definer;
comment on function vicket.count_mail(text,text,integer) is
  'Counts mail that anybody may cause; says whether there is room.';

create function vicket.member_mail(p_mail vicket.mails) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  who record := ctx.actor();
  whole record;
begin
  if p_mail.kind = 'agent_customer_answered' then
    select t.assignee_id into whole
      from vicket.ticket_merges g
      join vicket.tickets t on t.org_id = g.org_id and t.site_id = g.site_id and t.id = g.into_id
      where g.org_id = p_mail.org_id and g.site_id = p_mail.site_id and g.ticket_id = p_mail.ticket_id;
    if found then
      p_mail.user_id := whole.assignee_id;
    end if;
  end if;
  if p_mail.user_id is null or p_mail.user_id = who.user_id and who.machine_key_id is null
    or exists (
      select from vicket.unproven_accounts a where a.org_id = p_mail.org_id and a.user_id = p_mail.user_id)
    or exists (
      select from vicket.notifications n
      where n.org_id = p_mail.org_id and n.user_id = p_mail.user_id
        and not case p_mail.kind when 'agent_assigned' then n.assigned else n.customer_answered end)
  then
    return;
  end if;
  p_mail.recipient := (select u.email from vicket.users u where u.id = p_mail.user_id);
  perform vicket.write_mail(p_mail);
end $$;
alter function vicket.member_mail(vicket.mails) owner to vicket_definer;
comment on function vicket.member_mail(vicket.mails) is 'Writes mail to a member, as they chose.';

create function vicket.write_account_mail(p_kind text, p_email text, p_about text, p_language text) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  domain constant text := vicket.mail_domain();
begin
  if domain is not null and vicket.count_mail('account ' || p_kind, p_email, 5) then
    insert into vicket.account_mails (kind, email, about, language, message_ref)
      values (p_kind, lower(p_email collate "C"), p_about, p_language,
        '<m.' || replace(gen_random_uuid()::text, '-', '') || '@' || domain || '>');
  end if;
end $$;
alter function vicket.write_account_mail(text,text,text,text) owner to vicket_definer;
comment on function vicket.write_account_mail(text,text,text,text) is
  'Writes mail of an account, five of a kind a day.';

create function vicket.name_in(p_org_id uuid, p_user_id uuid) returns text
  language plpgsql stable
  set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(
    (select a.name from vicket.unproven_accounts a where a.org_id = p_org_id and a.user_id = p_user_id),
    (select u.name from vicket.users u where u.id = p_user_id));
end $$;
alter function vicket.name_in(uuid,uuid) owner to vicket_definer;
comment on function vicket.name_in(uuid,uuid) is 'How a person is called in an org.';

create function vicket.take_over(p_user_id uuid, p_password_hash text) returns void
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.users u
    set password_hash = p_password_hash, proven_at = coalesce(u.proven_at, now())
    where u.id = p_user_id;
  delete from vicket.unproven_accounts a where a.user_id = p_user_id;
  delete from vicket.sessions s where s.user_id = p_user_id;
  delete from vicket.password_resets r where r.user_id = p_user_id;
end $$;
alter function vicket.take_over(uuid,text) owner to vicket_definer;
comment on function vicket.take_over(uuid,text) is
  'An account''s password, by whoever its address is: all else is over.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions of auth
create function auth.enter(p_key_hash bytea, p_origin_hash bytea, p_ticket_hash bytea) returns auth.site_entry
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
alter function auth.enter(bytea,bytea,bytea) owner to vicket_definer;
comment on function auth.enter(bytea,bytea,bytea) is
  'Proves a key, sets its site. Definer: no request may read digests.';
grant execute on function auth.enter(bytea,bytea,bytea) to vicket_gate_widget;

create function auth.enter_actor(p_session_hash bytea, p_machine_key_hash bytea, p_slug_hash bytea,
  p_request_id text) returns auth.org_entry
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  entry auth.org_entry;
  within uuid[];
begin
  perform set_config('app.org_id', '', true);
  if p_machine_key_hash = '' then
    entry.actor_id := ctx.session_user_id(p_session_hash);
    select u.email, u.name, s.org_ids into entry.email, entry.name, within
      from vicket.sessions s join vicket.users u on u.id = s.user_id
      where s.token_hash = p_session_hash and u.id = entry.actor_id;
    if within is not null then
      entry.name := coalesce(
        (select a.name from vicket.unproven_accounts a
          where a.user_id = entry.actor_id and a.org_id = any (within) order by a.created_at desc limit 1),
        entry.name);
    end if;
  elsif p_session_hash = '' then
    select k.id, k.name, k.org_id into entry.actor_id, entry.name, entry.org_id from vicket.machine_keys k
      where k.key_hash = p_machine_key_hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
  end if;
  if p_slug_hash <> '' then
    entry.org_id := (select o.id from vicket.orgs o where o.slug_hash = p_slug_hash and o.deleted_at is null
      and (entry.org_id is null or o.id = entry.org_id));
  end if;
  perform set_config('app.org_id', coalesce(entry.org_id::text, ''), true), set_config('app.site_id', '', true),
    set_config('app.key_hash', '', true), set_config('app.ticket_hash', '', true),
    set_config('app.submission_hash', '', true), set_config('app.session_hash', encode(p_session_hash, 'hex'), true),
    set_config('app.machine_key_hash', encode(p_machine_key_hash, 'hex'), true),
    set_config('app.invitation_hash', '', true), set_config('app.request_id', p_request_id, true);
  select a.role, a.permissions into entry.role, entry.permissions from ctx.actor() a;
  entry.verdict := case when entry.actor_id is null then 'unknown'
    when p_slug_hash <> '' and entry.role is null then 'no_org' else 'entered' end;
  if entry.verdict <> 'entered' then
    entry.org_id := null;
    perform set_config('app.org_id', '', true), set_config('app.session_hash', '', true),
      set_config('app.machine_key_hash', '', true);
  end if;
  return entry;
end $$;
alter function auth.enter_actor(bytea,bytea,bytea,text) owner to vicket_definer;
comment on function auth.enter_actor(bytea,bytea,bytea,text) is
  'Proves a session or machine key, sets its org. Definer: no request may read digests.';
grant execute on function auth.enter_actor(bytea,bytea,bytea,text) to vicket_gate_agent;

create function auth.enter_site(p_key_hash bytea, p_origin_hash bytea, p_ticket_hash bytea) returns auth.site_entry
  language plpgsql
as $$
declare
  entry constant auth.site_entry := auth.enter(p_key_hash, p_origin_hash, p_ticket_hash);
begin
  if entry.verdict operator(pg_catalog.=) 'entered' then set local role vicket_widget; end if;
  return entry;
end $$;
alter function auth.enter_site(bytea,bytea,bytea) owner to vicket_owner;
grant execute on function auth.enter_site(bytea,bytea,bytea) to vicket_gate_widget;

create function auth.enter_org(p_session_hash bytea, p_machine_key_hash bytea, p_slug_hash bytea,
  p_request_id text) returns auth.org_entry
  language plpgsql
as $$
declare
  entry constant auth.org_entry := auth.enter_actor(p_session_hash, p_machine_key_hash, p_slug_hash, p_request_id);
begin
  if entry.verdict operator(pg_catalog.=) 'entered' then set local role vicket_agent; end if;
  return entry;
end $$;
alter function auth.enter_org(bytea,bytea,bytea,text) owner to vicket_owner;
grant execute on function auth.enter_org(bytea,bytea,bytea,text) to vicket_gate_agent;

create function auth.password_salt(p_email text) returns text
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select substring(
      coalesce(u.password_hash, (select a.password_hash from vicket.unproven_accounts a where a.user_id = u.id limit 1))
      from '^(\$argon2id\$.+\$)[^$]+$')
    from vicket.users u
    where u.email = lower(p_email collate "C")
  );
end $$;
alter function auth.password_salt(text) owner to vicket_definer;
comment on function auth.password_salt(text) is
  'Algorithm, parameters and salt of a password; NULL for a stranger. Definer: no request may read users.';
grant execute on function auth.password_salt(text) to vicket_gate_agent;

create function auth.open_session(p_email text, p_password_hash text, p_token_hash bytea) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return auth.log_in(p_email, p_password_hash, p_token_hash, null::bytea, null::text, 'en');
end $$;
alter function auth.open_session(text,text,bytea) owner to vicket_definer;
comment on function auth.open_session(text,text,bytea) is
  'Opens a session when the password''s hash is right; says whether it did. Definer: no request may read users.';
grant execute on function auth.open_session(text,text,bytea) to vicket_gate_agent;

create function auth.close_session(p_token_hash bytea, p_all boolean) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  delete from vicket.sessions s
    where s.token_hash = p_token_hash
      or p_all and s.user_id = ctx.session_user_id(p_token_hash) and (within is null or s.org_ids <@ within);
end $$;
alter function auth.close_session(bytea,boolean) owner to vicket_definer;
comment on function auth.close_session(bytea,boolean) is
  'Logs out, here or everywhere. Definer: no request may read users.';
grant execute on function auth.close_session(bytea,boolean) to vicket_gate_agent;

create function auth.change_password(p_token_hash bytea, p_old_hash text, p_new_hash text) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
  address text;
begin
  if within is not null then
    update vicket.unproven_accounts a
      set password_hash = p_new_hash
      where a.user_id = person and a.org_id = any (within) and a.password_hash = p_old_hash;
    if not found then
      return false;
    end if;
    delete from vicket.sessions s where s.user_id = person and s.token_hash <> p_token_hash and s.org_ids <@ within;
    return true;
  end if;
  update vicket.users u
    set password_hash = p_new_hash
    where u.id = person and u.password_hash = p_old_hash
    returning u.email into address;
  if not found then
    return false;
  end if;
  delete from vicket.sessions s where s.user_id = person and s.token_hash <> p_token_hash;
  delete from vicket.unproven_accounts a where a.user_id = person;
  delete from vicket.password_resets r where r.user_id = person;
  perform vicket.write_account_mail('password_changed', address, null, 'en');
  return true;
end $$;
alter function auth.change_password(bytea,text,text) owner to vicket_definer;
comment on function auth.change_password(bytea,text,text) is
  'Changes a password, says whether it did. Definer: no request may read users.';
grant execute on function auth.change_password(bytea,text,text) to vicket_gate_agent;

create function auth.invitation(p_token_hash bytea, out email text, out org_slug text, out org_name text, out role text,
  out known boolean) returns record
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  select i.email, o.slug, o.name, i.role, exists (select from vicket.users u where u.email = i.email)
    into invitation.email, invitation.org_slug, invitation.org_name, invitation.role, invitation.known
    from vicket.invitations i
    join vicket.orgs o on o.id = i.org_id
    where (i.token_hash = p_token_hash or i.mailed_token_hash = p_token_hash) and i.expires_at > now();
end $$;
alter function auth.invitation(bytea) owner to vicket_definer;
comment on function auth.invitation(bytea) is
  'What an invitation says, to the holder of its token. Definer: no request may read digests.';
grant execute on function auth.invitation(bytea) to vicket_gate_agent;

create function auth.accept_invitation(p_token_hash bytea, p_name text, p_password_hash text, p_session_hash bytea,
  p_request_id text) returns text
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  salt constant text := '^(\$argon2id\$.+\$)[^$]+$';
  invited record;
  inviter_may text[];
  person record;
  whole boolean;
  taken_over boolean := false;
begin
  perform auth.enter_actor(''::bytea, ''::bytea, ''::bytea, p_request_id);
  select i.org_id, i.id, i.email, i.role, i.invited_by_id, i.token_hash,
      coalesce(i.mailed_token_hash = p_token_hash, false) as mailed
    into invited
    from vicket.invitations i
    where (i.token_hash = p_token_hash or i.mailed_token_hash = p_token_hash) and i.expires_at > now();
  if not found then
    return 'unknown';
  end if;
  -- It is worth what whoever invited may do now.
  if invited.invited_by_id is not null then
    inviter_may := (
      select ctx.permissions_of(m.role) from vicket.members m
      where m.org_id = invited.org_id and m.user_id = invited.invited_by_id
    );
    if inviter_may is null or not 'member:invite' = any (inviter_may)
      or not ctx.permissions_of(invited.role) <@ inviter_may
    then
      return 'unknown';
    end if;
  end if;
  begin
    insert into vicket.users (id, email, name, password_hash)
      values (gen_random_uuid(), invited.email, p_name, null)
      on conflict (email) do nothing;
    select u.id, u.password_hash, u.proven_at into person from vicket.users u where u.email = invited.email for update;
    -- Whoever else joined by this address meanwhile brought a salt that this hash was not made with.
    if exists (
      select from (
        select person.password_hash union all
        select a.password_hash from vicket.unproven_accounts a where a.user_id = person.id
      ) known (hash)
      where substring(known.hash from salt) is distinct from substring(p_password_hash from salt) and known.hash is not null
    ) then
      raise exception 'the account was made meanwhile' using errcode = 'serialization_failure';
    end if;
    whole := coalesce(person.password_hash = p_password_hash, false);
    if invited.mailed and (whole or person.proven_at is null) then
      if whole then
        update vicket.users u set proven_at = coalesce(u.proven_at, now()) where u.id = person.id;
      else
        taken_over := person.password_hash is not null;
        perform vicket.take_over(person.id, p_password_hash);
        update vicket.users u set name = p_name where u.id = person.id;
        whole := true;
      end if;
    end if;
    insert into vicket.sessions (user_id, token_hash, org_ids)
      values (person.id, p_session_hash, case when not whole then
        (select array_agg(a.org_id) from vicket.unproven_accounts a
          where a.user_id = person.id and a.password_hash = p_password_hash and a.org_id <> invited.org_id) || invited.org_id end);
    perform set_config('app.session_hash', encode(p_session_hash, 'hex'), true),
      set_config('app.org_id', invited.org_id::text, true),
      set_config('app.invitation_hash', encode(invited.token_hash, 'hex'), true);
    -- Of two that accept at once the second waits here, and then finds nothing.
    delete from vicket.invitations i where i.org_id = invited.org_id and i.id = invited.id;
    if not found then
      raise exception 'the invitation was accepted meanwhile' using errcode = 'no_data_found';
    end if;
    insert into vicket.members (org_id, user_id, role)
      values (invited.org_id, person.id, invited.role)
      on conflict (org_id, user_id) do nothing;
    if not whole then
      -- A member already, by another password: this one opens nothing of theirs.
      if not found then
        raise exception 'they are a member already' using errcode = 'no_data_found';
      end if;
      insert into vicket.unproven_accounts (org_id, user_id, name, password_hash)
        values (invited.org_id, person.id, p_name, p_password_hash);
    end if;
    if taken_over then
      perform vicket.write_account_mail('password_changed', invited.email, null, 'en');
    end if;
  exception when no_data_found then
    return 'unknown';
  end;
  return 'joined';
end $$;
alter function auth.accept_invitation(bytea,text,text,bytea,text) owner to vicket_definer;
comment on function auth.accept_invitation(bytea,text,text,bytea,text) is
  'Joins, and logs in: joined, unknown or wrong_password. Definer: no request may read digests.';
grant execute on function auth.accept_invitation(bytea,text,text,bytea,text) to vicket_gate_agent;

create function auth.first_run() returns boolean
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return not exists (select from vicket.orgs) and not exists (select from vicket.users);
end $$;
alter function auth.first_run() owner to vicket_definer;
comment on function auth.first_run() is
  'Whether there is neither an org nor a user. Definer: no request may read users.';
grant execute on function auth.first_run() to vicket_gate_agent;

create function auth.begin_first_org(p_slug text, p_org_name text, p_email text, p_name text, p_password_hash text,
  p_session_hash bytea, p_request_id text) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  first_org constant uuid := '00000000-0000-4000-8000-000000000001';
  person constant uuid := gen_random_uuid();
begin
  perform auth.enter_actor(''::bytea, ''::bytea, ''::bytea, p_request_id);
  if not auth.first_run() then
    return false;
  end if;
  begin
    insert into vicket.users (id, email, name, password_hash) values (person, lower(p_email collate "C"), p_name, p_password_hash);
    insert into vicket.sessions (user_id, token_hash) values (person, p_session_hash);
    perform set_config('app.session_hash', encode(p_session_hash, 'hex'), true),
      set_config('app.org_id', first_org::text, true);
    insert into vicket.orgs (id, slug, name) values (first_org, p_slug, p_org_name);
    insert into vicket.members (org_id, user_id, role) values (first_org, person, 'owner');
  exception when unique_violation then
    return false;
  end;
  return true;
end $$;
alter function auth.begin_first_org(text,text,text,text,text,bytea,text) owner to vicket_definer;
comment on function auth.begin_first_org(text,text,text,text,text,bytea,text) is
  'Makes the first org and its owner; says whether it did. Never a second one. Definer: no request may read users.';
grant execute on function auth.begin_first_org(text,text,text,text,text,bytea,text) to vicket_gate_agent;

create function auth.session_is_clean() returns boolean
  language plpgsql
as $$
declare
  clean boolean;
  left_over text;
begin
  -- Advisory locks are let go and not looked for: pg_locks copies the lock table of the whole server under its locks,
  -- and this only walks the session's own. Hardened, the gates may take none and may not call it.
  if pg_catalog.has_function_privilege('pg_catalog.pg_advisory_unlock_all()'::pg_catalog.regprocedure, 'execute') then
    perform pg_catalog.pg_advisory_unlock_all();
  end if;
  clean := current_user operator(pg_catalog.=) session_user
    and pg_catalog.pg_my_temp_schema() operator(pg_catalog.=) 0::pg_catalog.oid
    and not exists (select from pg_catalog.pg_prepared_statement() s where s.from_sql)
    and not exists (select from pg_catalog.pg_cursor() c where c.is_holdable)
    and not exists (select from pg_catalog.pg_listening_channels());
  if not clean then
    for left_over in
      select pg_catalog.format('deallocate %I', s.name) from pg_catalog.pg_prepared_statement() s where s.from_sql
      union all
      select pg_catalog.format('close %I', c.name) from pg_catalog.pg_cursor() c where c.is_holdable
    loop
      execute left_over;
    end loop;
    unlisten *;
    discard temp;
    set idle_session_timeout = 1;
  end if;
  return clean;
end $$;
alter function auth.session_is_clean() owner to vicket_owner;
comment on function auth.session_is_clean() is
  'Whether nothing is left on this session that the next tenant would meet; what is left goes, and the session ends.';
grant execute on function auth.session_is_clean() to vicket_gate_agent, vicket_gate_mail, vicket_gate_widget;

create function auth.enter_many(p_key_hashes bytea[], p_origin_hashes bytea[]) returns setof auth.site_entry
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select case when k.id is null then 'unknown' else 'entered' end, k.id, k.state, k.org_id, k.site_id, k.content_version,
      k.views_version, k.reads_per_minute, k.writes_per_minute, k.network_reads_per_minute, k.network_writes_per_minute,
      coalesce(k.listed, false),
      coalesce(k.listed, exists (select from vicket.site_origins o where o.origin_hash = asked.origin_hash))
    from unnest((select p_key_hashes), (select p_origin_hashes)) with ordinality as asked (key_hash, origin_hash, place)
    left join lateral (
      select k.id, k.state, k.org_id, k.site_id, s.content_version, s.views_version, s.reads_per_minute,
        s.writes_per_minute, s.network_reads_per_minute, s.network_writes_per_minute,
        exists (select from vicket.site_origins o
          where o.org_id = k.org_id and o.site_id = k.site_id and o.origin_hash = asked.origin_hash) as listed
      from vicket.site_keys k
      join vicket.sites s on s.org_id = k.org_id and s.id = k.site_id
      where k.key_hash = asked.key_hash and k.state in ('active', 'staged')
      limit 1
    ) k on true
    order by asked.place;
end $$;
alter function auth.enter_many(bytea[],bytea[]) owner to vicket_definer;
comment on function auth.enter_many(bytea[],bytea[]) is
  'What auth.enter says of many keys, without entering. Definer: no request may read digests.';
grant execute on function auth.enter_many(bytea[],bytea[]) to vicket_gate_widget;

create function auth.enter_mail(p_recipient_hash bytea) returns text
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  found_address record;
begin
  select a.org_id, a.site_id into found_address
    from vicket.mail_addresses a
    join vicket.sites s on s.org_id = a.org_id and s.id = a.site_id and s.deleted_at is null
    join vicket.orgs o on o.id = a.org_id and o.deleted_at is null
    where a.digest = p_recipient_hash;
  perform set_config('app.org_id', coalesce(found_address.org_id::text, ''), true),
    set_config('app.site_id', coalesce(found_address.site_id::text, ''), true),
    set_config('app.mail_hash', case when found_address.org_id is null then '' else encode(p_recipient_hash, 'hex') end, true),
    set_config('app.key_hash', '', true), set_config('app.ticket_hash', '', true),
    set_config('app.submission_hash', '', true), set_config('app.session_hash', '', true),
    set_config('app.machine_key_hash', '', true), set_config('app.invitation_hash', '', true),
    set_config('app.request_id', '', true);
  return case when found_address.org_id is null then 'unknown' else 'entered' end;
end $$;
alter function auth.enter_mail(bytea) owner to vicket_definer;
comment on function auth.enter_mail(bytea) is
  'Sets the site of an address that mail was sent to. Definer: no request may read digests.';
grant execute on function auth.enter_mail(bytea) to vicket_gate_mail;

create function auth.enter_recipient(p_recipient_hash bytea) returns text
  language plpgsql
as $$
declare
  verdict constant text := auth.enter_mail(p_recipient_hash);
begin
  if verdict operator(pg_catalog.=) 'entered' then set local role vicket_mail; end if;
  return verdict;
end $$;
alter function auth.enter_recipient(bytea) owner to vicket_owner;
grant execute on function auth.enter_recipient(bytea) to vicket_gate_mail;

create function auth.ask_password_reset(p_email text, p_language text) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform vicket.write_account_mail('password_reset', p_email, null, p_language);
end $$;
alter function auth.ask_password_reset(text,text) owner to vicket_definer;
comment on function auth.ask_password_reset(text,text) is
  'Asks for a link to choose a password; says nothing. Definer: no request may read users.';
grant execute on function auth.ask_password_reset(text,text) to vicket_gate_agent;

create function auth.password_reset(p_token_hash bytea) returns text
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select u.email
    from vicket.password_resets r
    join vicket.users u on u.id = r.user_id
    where r.token_hash = p_token_hash and r.expires_at > now()
  );
end $$;
alter function auth.password_reset(bytea) owner to vicket_definer;
comment on function auth.password_reset(bytea) is
  'The address that the link of a mail proves. Definer: no request may read digests.';
grant execute on function auth.password_reset(bytea) to vicket_gate_agent;

create function auth.log_in(p_email text, p_password_hash text, p_token_hash bytea, p_device_hash bytea, p_device text,
  p_language text) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person record;
  within uuid[];
  anywhere boolean;
begin
  select u.id, u.email, coalesce(u.password_hash = p_password_hash, false) as whole into person
    from vicket.users u
    where u.email = lower(p_email collate "C");
  if not found then
    return false;
  end if;
  if not person.whole then
    within := (
      select array_agg(a.org_id) from vicket.unproven_accounts a
      where a.user_id = person.id and a.password_hash = p_password_hash
    );
    if within is null then
      return false;
    end if;
  end if;
  insert into vicket.sessions (user_id, token_hash, org_ids, device) values (person.id, p_token_hash, within, left(p_device, 200));
  if not person.whole or p_device_hash is null then
    return true;
  end if;
  delete from vicket.known_devices d where d.user_id = person.id and d.last_used_at < now() - interval '180 days';
  anywhere := exists (select from vicket.known_devices d where d.user_id = person.id);
  update vicket.known_devices d set last_used_at = now() where d.user_id = person.id and d.digest = p_device_hash;
  if not found then
    insert into vicket.known_devices (user_id, digest) values (person.id, p_device_hash) on conflict do nothing;
    if anywhere then
      perform vicket.write_account_mail('new_device', person.email, p_device, p_language);
    end if;
  end if;
  return true;
end $$;
alter function auth.log_in(text,text,bytea,bytea,text,text) owner to vicket_definer;
comment on function auth.log_in(text,text,bytea,bytea,text,text) is
  'Opens a session when the password''s hash is right, and tells of a new device; says whether it did. Definer: no '
  'request may read users.';
grant execute on function auth.log_in(text,text,bytea,bytea,text,text) to vicket_gate_agent;

create function auth.reset_password(p_token_hash bytea, p_password_hash text, p_language text) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person uuid;
begin
  delete from vicket.password_resets r
    where r.token_hash = p_token_hash and r.expires_at > now()
    returning r.user_id into person;
  if person is null then
    return false;
  end if;
  perform vicket.take_over(person, p_password_hash);
  perform vicket.write_account_mail(
    'password_changed', (select u.email from vicket.users u where u.id = person), null, p_language);
  return true;
end $$;
alter function auth.reset_password(bytea,text,text) owner to vicket_definer;
comment on function auth.reset_password(bytea,text,text) is
  'Chooses a password by the link of a mail, once; says whether it did. Definer: no request may read digests.';
grant execute on function auth.reset_password(bytea,text,text) to vicket_gate_agent;

create function auth.ask_address_proof(p_token_hash bytea, p_language text) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  address constant text := (select u.email from vicket.users u where u.id = ctx.session_user_id(p_token_hash));
begin
  if address is not null then
    perform vicket.write_account_mail('address_proof', address, null, p_language);
  end if;
end $$;
alter function auth.ask_address_proof(bytea,text) owner to vicket_definer;
comment on function auth.ask_address_proof(bytea,text) is
  'Mails whoever has the session a link that proves their address. Definer: no request may read users.';
grant execute on function auth.ask_address_proof(bytea,text) to vicket_gate_agent;

create function auth.enter_reading(p_key_hash bytea, p_origin_hash bytea) returns auth.site_entry
  language plpgsql
as $$
begin
  set local transaction_read_only = on;
  return auth.enter_site(p_key_hash, p_origin_hash, '');
end $$;
alter function auth.enter_reading(bytea,bytea) owner to vicket_owner;
grant execute on function auth.enter_reading(bytea,bytea) to vicket_gate_widget;

create function auth.read_site(p_key_hash bytea, p_origin_hash bytea) returns setof auth.read_site
  language plpgsql
as $$
declare
  answer auth.read_site;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, s.name, s.slug, o.name,
      (select count(*) from vicket.articles a where a.site_id = (select ctx.site_id()))
        + (select count(*) from vicket.articles a
          where a.site_id is null and not exists (
            select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
          )),
      (select count(*) from vicket.faqs)
    from vicket.sites s
    join vicket.orgs o on o.id = s.org_id;
end $$;
alter function auth.read_site(bytea,bytea) owner to vicket_owner;
grant execute on function auth.read_site(bytea,bytea) to vicket_gate_widget;

create function auth.read_articles(p_key_hash bytea, p_origin_hash bytea, p_order text, p_key bigint, p_id uuid,
  p_most bigint, p_search text) returns setof auth.read_article
  language plpgsql
as $$
declare
  answer auth.read_article;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  if p_order = 'newest' then
    return query
      select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank,
        null::text, null::text
      from (
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            0::bigint as rank, a.published_at as key
          from vicket.articles a
          where a.site_id = (select ctx.site_id())
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.published_at, a.id) < (timestamptz 'epoch' + p_key * interval '1 microsecond', p_id))
          order by a.published_at desc, a.id desc
          limit p_most)
        union all
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            0::bigint as rank, a.published_at as key
          from vicket.articles a
          where a.site_id is null and not exists (
              select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
            )
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.published_at, a.id) < (timestamptz 'epoch' + p_key * interval '1 microsecond', p_id))
          order by a.published_at desc, a.id desc
          limit p_most)
      ) p
      order by p.key desc, p.id desc
      limit p_most;
  elsif p_order = 'popular' then
    return query
      select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank,
        null::text, null::text
      from (
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            a.popularity as rank, a.popularity as key
          from vicket.articles a
          where a.site_id = (select ctx.site_id())
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.popularity, a.id) < (p_key, p_id))
          order by a.popularity desc, a.id desc
          limit p_most)
        union all
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            a.popularity as rank, a.popularity as key
          from vicket.articles a
          where a.site_id is null and not exists (
              select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
            )
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.popularity, a.id) < (p_key, p_id))
          order by a.popularity desc, a.id desc
          limit p_most)
      ) p
      order by p.key desc, p.id desc
      limit p_most;
  elsif p_order = 'relevant' then
    -- A rank is a float4; scaled to a bigint it sorts the same way and survives a cursor.
    return query
      select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank,
        null::text, null::text
      from (
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            r.rank as rank, r.rank as key
          from vicket.articles a
          cross join lateral (
            select (ts_rank(a.search, websearch_to_tsquery('pg_catalog.english', p_search)) * 1000000000)::bigint
          ) as r (rank)
          where a.site_id = (select ctx.site_id())
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (r.rank, a.id) < (p_key, p_id))
          order by r.rank desc, a.id desc
          limit p_most)
        union all
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            r.rank as rank, r.rank as key
          from vicket.articles a
          cross join lateral (
            select (ts_rank(a.search, websearch_to_tsquery('pg_catalog.english', p_search)) * 1000000000)::bigint
          ) as r (rank)
          where a.site_id is null and not exists (
              select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
            )
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (r.rank, a.id) < (p_key, p_id))
          order by r.rank desc, a.id desc
          limit p_most)
      ) p
      order by p.key desc, p.id desc
      limit p_most;
  else
    raise exception 'no such order' using errcode = 'invalid_parameter_value';
  end if;
end $$;
alter function auth.read_articles(bytea,bytea,text,bigint,uuid,bigint,text) owner to vicket_owner;
grant execute on function auth.read_articles(bytea,bytea,text,bigint,uuid,bigint,text) to vicket_gate_widget;

create function auth.read_article(p_key_hash bytea, p_origin_hash bytea, p_slug text) returns setof auth.read_article
  language plpgsql
as $$
declare
  answer auth.read_article;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at, 0::bigint,
      a.body_markdown, a.body_html
    from vicket.articles a
    where a.slug = p_slug
    order by a.site_id nulls last
    limit 1;
end $$;
alter function auth.read_article(bytea,bytea,text) owner to vicket_owner;
grant execute on function auth.read_article(bytea,bytea,text) to vicket_gate_widget;

create function auth.read_faqs(p_key_hash bytea, p_origin_hash bytea, p_most bigint) returns setof auth.read_faq
  language plpgsql
as $$
declare
  answer auth.read_faq;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, f.id, f.question, f.answer_markdown, f.answer_html, f.position
    from vicket.faqs f
    order by f.position, f.id
    limit p_most;
end $$;
alter function auth.read_faqs(bytea,bytea,bigint) owner to vicket_owner;
grant execute on function auth.read_faqs(bytea,bytea,bigint) to vicket_gate_widget;

create function auth.read_forms(p_key_hash bytea, p_origin_hash bytea) returns setof auth.read_form
  language plpgsql
as $$
declare
  answer auth.read_form;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, 'form', null::uuid, t.id, t.name, t.description, null::text, null::boolean, null::integer
    from vicket.templates t
    order by t.name;
  return query
    select answer.entry, 'question', q.template_id, q.id, q.label, null::text, q.type, q.required, q.position
    from vicket.template_questions q
    order by q.position, q.id;
  return query
    select answer.entry, 'choice', c.question_id, c.id, c.label, null::text, null::text, null::boolean, c.position
    from vicket.template_options c
    order by c.position, c.id;
end $$;
alter function auth.read_forms(bytea,bytea) owner to vicket_owner;
grant execute on function auth.read_forms(bytea,bytea) to vicket_gate_widget;

create function auth.search_articles(p_key_hash bytea, p_origin_hash bytea, p_order text, p_key bigint, p_id uuid,
  p_most bigint, p_search text) returns setof auth.read_article
  language plpgsql
as $$
declare
  answer auth.read_article;
  sought tsquery;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  sought := (select ctx.sought_in_help(s.language, p_search) from vicket.sites s where s.id = (select ctx.site_id()));
  return query
    select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.key,
      null::text, null::text
    from (
      select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
        -- A rank is a float4; scaled to a bigint it sorts the same way and survives a cursor.
        case p_order
          when 'newest' then (extract(epoch from a.published_at) * 1000000)::bigint
          when 'popular' then a.popularity
          else (ts_rank(a.words, sought) * 1000000000)::bigint
        end as key
      from (
        select own.id, own.slug, own.title, own.excerpt, own.view_count, own.popularity, own.published_at, own.updated_at,
            own.words
          from vicket.articles own where own.site_id = (select ctx.site_id())
        union all
        select shared.id, shared.slug, shared.title, shared.excerpt, shared.view_count, shared.popularity,
            shared.published_at, shared.updated_at, shared.words
          from vicket.articles shared
          where shared.site_id is null and not exists (
            select from vicket.articles own where own.slug = shared.slug and own.site_id = (select ctx.site_id())
          )
      ) a
      where a.words @@ sought
    ) p
    where p_key is null or (p.key, p.id) < (p_key, p_id)
    order by p.key desc, p.id desc
    limit p_most;
end $$;
alter function auth.search_articles(bytea,bytea,text,bigint,uuid,bigint,text) owner to vicket_owner;
grant execute on function auth.search_articles(bytea,bytea,text,bigint,uuid,bigint,text) to vicket_gate_widget;

create function auth.search_faqs(p_key_hash bytea, p_origin_hash bytea, p_most bigint,
  p_search text) returns setof auth.read_faq
  language plpgsql
as $$
declare
  answer auth.read_faq;
  sought tsquery;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  sought := (select ctx.sought_in_help(s.language, p_search) from vicket.sites s where s.id = (select ctx.site_id()));
  return query
    select answer.entry, f.id, f.question, f.answer_markdown, f.answer_html, f.position
    from vicket.faqs f
    where f.words @@ sought
    order by ts_rank(f.words, sought) desc, f.position, f.id
    limit p_most;
end $$;
alter function auth.search_faqs(bytea,bytea,bigint,text) owner to vicket_owner;
grant execute on function auth.search_faqs(bytea,bytea,bigint,text) to vicket_gate_widget;

create function auth.read_words(p_key_hash bytea, p_origin_hash bytea, p_documents bigint,
  p_most bigint) returns setof auth.read_word
  language plpgsql
as $$
declare
  answer auth.read_word;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, w.word
    from (
      (select a.words from vicket.articles a where a.site_id = (select ctx.site_id())
        order by a.published_at desc, a.id desc limit p_documents)
      union all
      (select a.words from vicket.articles a where a.site_id is null
        order by a.published_at desc, a.id desc limit p_documents)
      union all
      (select f.words from vicket.faqs f order by f.position, f.id limit p_documents)
    ) d
    cross join lateral unnest(tsvector_to_array(ts_filter(d.words, '{d}'))) as w (word)
    where w.word ~ '^[[:alpha:]]{4,40}$'
    group by w.word
    order by count(*) desc, w.word
    limit p_most;
end $$;
alter function auth.read_words(bytea,bytea,bigint,bigint) owner to vicket_owner;
grant execute on function auth.read_words(bytea,bytea,bigint,bigint) to vicket_gate_widget;

create function auth.my_sessions(p_token_hash bytea) returns table(id uuid, device text,
  created_at timestamp with time zone, last_used_at timestamp with time zone, is_this boolean)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  return query
    select s.id, s.device, s.created_at, s.last_used_at, s.token_hash = p_token_hash
    from vicket.sessions s
    where s.user_id = person and (within is null or s.org_ids <@ within)
      and s.last_used_at > now() - interval '14 days' and s.created_at > now() - interval '90 days'
    order by s.last_used_at desc, s.id
    limit 200;
end $$;
alter function auth.my_sessions(bytea) owner to vicket_definer;
comment on function auth.my_sessions(bytea) is
  'Where whoever has this session is logged in. Definer: no request may read users.';
grant execute on function auth.my_sessions(bytea) to vicket_gate_agent;

create function auth.end_session(p_token_hash bytea, p_id uuid) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  delete from vicket.sessions s
    where s.id = p_id and s.user_id = person and (within is null or s.org_ids <@ within);
  return found;
end $$;
alter function auth.end_session(bytea,uuid) owner to vicket_definer;
comment on function auth.end_session(bytea,uuid) is
  'Ends one of one''s own sessions; says whether it did. Definer: no request may read users.';
grant execute on function auth.end_session(bytea,uuid) to vicket_gate_agent;

create function auth.rename_person(p_token_hash bytea, p_name text) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person constant uuid := ctx.session_user_id(p_token_hash);
  within constant uuid[] := (select s.org_ids from vicket.sessions s where s.token_hash = p_token_hash);
begin
  update vicket.users u set name = p_name where u.id = person and within is null;
  return found;
end $$;
alter function auth.rename_person(bytea,text) owner to vicket_definer;
comment on function auth.rename_person(bytea,text) is
  'Changes one''s own name, of a proven account; says whether it did. Definer: no request may read users.';
grant execute on function auth.rename_person(bytea,text) to vicket_gate_agent;

create function auth.identity_keys(p_key_hash bytea, out site_id uuid, out keys text,
  out secrets bytea[]) returns record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform auth.enter(p_key_hash, '', '');
  identity_keys.site_id := ctx.site_id();
  identity_keys.keys := (
    select i.keys from vicket.site_identities i where i.org_id = ctx.org_by_key() and i.site_id = ctx.site_by_key()
  );
  identity_keys.secrets := array(
    select s.sealed_secret from vicket.identity_secrets s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.state in ('active', 'staged')
  );
end $$;
alter function auth.identity_keys(bytea) owner to vicket_definer;
comment on function auth.identity_keys(bytea) is
  'By what a token of a site may be signed. Definer: customers may not read there.';
grant execute on function auth.identity_keys(bytea) to vicket_gate_widget;

create function auth.open_customer_session(p_key_hash bytea, p_openers bytea[], p_subject text, p_email text,
  p_name text, p_jti_hash bytea, p_token_hash bytea, out verdict text,
  out expires_at timestamp with time zone) returns record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person uuid;
begin
  perform auth.enter(p_key_hash, '', '');
  open_customer_session.verdict := 'sealed';
  if not exists (
    select from (
      select i.opener_hash from vicket.site_identities i
        where i.org_id = ctx.org_by_key() and i.site_id = ctx.site_by_key()
      union all
      select s.opener_hash from vicket.identity_secrets s
        where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.state in ('active', 'staged')
    ) known
    where known.opener_hash = any (array(select sha256(o.opener) from unnest((select p_openers)) as o (opener)))
  ) then
    return;
  end if;
  open_customer_session.verdict := 'replayed';
  if exists (
    select from vicket.customer_sessions s
    where s.org_id = ctx.org_by_key() and s.site_id = ctx.site_by_key() and s.jti_hash = p_jti_hash
  ) then
    return;
  end if;
  insert into vicket.customers as c (subject, email, name)
    values (p_subject, p_email, p_name)
    on conflict (org_id, site_id, subject) do update set email = excluded.email, name = excluded.name, seen_at = now()
    returning c.id into person;
  insert into vicket.customer_sessions as s (token_hash, customer_id, jti_hash)
    values (p_token_hash, person, p_jti_hash)
    on conflict on constraint customer_sessions_jti_unique do nothing
    returning s.created_at + interval '12 hours' into open_customer_session.expires_at;
  if open_customer_session.expires_at is not null then
    open_customer_session.verdict := 'opened';
  end if;
end $$;
alter function auth.open_customer_session(bytea,bytea[],text,text,text,bytea,bytea) owner to vicket_definer;
comment on function auth.open_customer_session(bytea,bytea[],text,text,text,bytea,bytea) is
  'Opens a session for whom a signed token named, once, with the opener of the site. Definer: no request may write '
  'there.';
grant execute on function auth.open_customer_session(bytea,bytea[],text,text,text,bytea,bytea) to vicket_gate_widget;

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions of worker
create function worker.touch_sessions(p_token_hashes bytea[], p_times timestamp with time zone[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.sessions s
    where s.token_hash = any (p_token_hashes)
    order by s.id
    for no key update;
  update vicket.sessions s
    set last_used_at = used.at
    from unnest(p_token_hashes, p_times) as used (token_hash, at)
    where s.token_hash = used.token_hash and s.last_used_at < used.at - interval '1 minute';
end $$;
alter function worker.touch_sessions(bytea[],timestamptz[]) owner to vicket_definer;
comment on function worker.touch_sessions(bytea[],timestamptz[]) is
  'When sessions were last used, once a minute each. Definer: the worker reads no table.';
grant execute on function worker.touch_sessions(bytea[],timestamptz[]) to vicket_worker;

create function worker.touch_machine_keys(p_key_ids uuid[], p_times timestamp with time zone[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.machine_keys k
    where k.id = any (p_key_ids)
    order by k.org_id, k.id
    for no key update;
  update vicket.machine_keys k
    set last_used_at = greatest(k.last_used_at, used.at)
    from unnest(p_key_ids, p_times) as used (key_id, at)
    where k.id = used.key_id;
end $$;
alter function worker.touch_machine_keys(uuid[],timestamptz[]) owner to vicket_definer;
comment on function worker.touch_machine_keys(uuid[],timestamptz[]) is
  'When machine keys were last used. Definer: the worker reads no table.';
grant execute on function worker.touch_machine_keys(uuid[],timestamptz[]) to vicket_worker;

create function worker.add_refused_origins(p_org_ids uuid[], p_site_ids uuid[], p_origins text[], p_times bigint[],
  p_first timestamp with time zone[], p_last timestamp with time zone[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.sites s
    where (s.org_id, s.id) in (select u.org_id, u.site_id from unnest(p_org_ids, p_site_ids) as u (org_id, site_id))
    order by s.org_id, s.id
    for key share;
  insert into vicket.refused_origins as r (org_id, site_id, origin, times, first_seen, last_seen)
    select seen.org_id, seen.site_id, left(seen.origin, 255), seen.times, seen.first_seen, seen.last_seen
    from unnest(p_org_ids, p_site_ids, p_origins, p_times, p_first, p_last)
      as seen (org_id, site_id, origin, times, first_seen, last_seen)
    where exists (select from vicket.sites s where s.org_id = seen.org_id and s.id = seen.site_id)
    order by seen.org_id, seen.site_id, seen.origin
    on conflict (org_id, site_id, origin) do update
      set times = r.times + excluded.times, last_seen = greatest(r.last_seen, excluded.last_seen);
  delete from vicket.refused_origins r
    using (
      select o.org_id, o.site_id, o.origin,
        row_number() over (partition by o.org_id, o.site_id order by o.last_seen desc, o.origin) as place
      from vicket.refused_origins o
      where (o.org_id, o.site_id) in (select u.org_id, u.site_id from unnest(p_org_ids, p_site_ids) as u (org_id, site_id))
    ) ranked
    where ranked.place > 200
      and r.org_id = ranked.org_id and r.site_id = ranked.site_id and r.origin = ranked.origin;
end $$;
alter function worker.add_refused_origins(uuid[],uuid[],text[],bigint[],timestamptz[],timestamptz[]) owner to
  vicket_definer;
comment on function worker.add_refused_origins(uuid[],uuid[],text[],bigint[],timestamptz[],timestamptz[]) is
  'Counts origins that were refused; keeps the 200 most recent a site. Definer: the worker reads no table.';
grant execute on function worker.add_refused_origins(uuid[],uuid[],text[],bigint[],timestamptz[],timestamptz[]) to
  vicket_worker;

create function worker.touch_keys(p_org_ids uuid[], p_site_ids uuid[], p_key_ids uuid[], p_origins text[],
  p_times timestamp with time zone[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.site_keys k
    where (k.org_id, k.site_id, k.id) in (
      select u.org_id, u.site_id, u.key_id from unnest(p_org_ids, p_site_ids, p_key_ids) as u (org_id, site_id, key_id)
    )
    order by k.org_id, k.site_id, k.id
    for no key update of k;
  update vicket.site_keys k
    set last_used_at = greatest(k.last_used_at, used.at)
    from (
      select u.org_id, u.site_id, u.key_id, max(u.at) as at
      from unnest(p_org_ids, p_site_ids, p_key_ids, p_times) as u (org_id, site_id, key_id, at)
      group by u.org_id, u.site_id, u.key_id
    ) used
    where k.org_id = used.org_id and k.site_id = used.site_id and k.id = used.key_id;
  insert into vicket.site_key_origins as o (org_id, site_id, key_id, origin, last_used_at)
    select used.org_id, used.site_id, used.key_id, used.origin, used.at
    from unnest(p_org_ids, p_site_ids, p_key_ids, p_origins, p_times) as used (org_id, site_id, key_id, origin, at)
    where used.origin is not null and exists (
      select from vicket.site_keys k
      where k.org_id = used.org_id and k.site_id = used.site_id and k.id = used.key_id
    )
    order by used.org_id, used.site_id, used.key_id, used.origin
    on conflict (org_id, site_id, key_id, origin) do update
      set last_used_at = greatest(o.last_used_at, excluded.last_used_at);
end $$;
alter function worker.touch_keys(uuid[],uuid[],uuid[],text[],timestamptz[]) owner to vicket_definer;
comment on function worker.touch_keys(uuid[],uuid[],uuid[],text[],timestamptz[]) is
  'When keys were last used, and from which origins. Definer: the worker reads no table.';
grant execute on function worker.touch_keys(uuid[],uuid[],uuid[],text[],timestamptz[]) to vicket_worker;

create function worker.add_views(p_org_ids uuid[], p_article_ids uuid[], p_counts bigint[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.articles a
    join unnest(p_org_ids, p_article_ids) as seen (org_id, article_id)
      on a.org_id = seen.org_id and a.id = seen.article_id
    order by a.org_id, a.id
    for no key update of a;
  update vicket.articles a
    set view_count = a.view_count + seen.views,
      popularity = case
        when a.view_count + seen.views >= a.popularity + greatest(1, a.popularity / 10) then a.view_count + seen.views
        else a.popularity
      end
    from unnest(p_org_ids, p_article_ids, p_counts) as seen (org_id, article_id, views)
    where a.org_id = seen.org_id and a.id = seen.article_id;
  perform from vicket.sites s
    where (s.org_id, s.id) in (
      select a.org_id, o.id
      from unnest(p_org_ids, p_article_ids) as seen (org_id, article_id)
      join vicket.articles a on a.org_id = seen.org_id and a.id = seen.article_id
      join vicket.sites o on o.org_id = a.org_id and (a.site_id is null or o.id = a.site_id)
    )
    order by s.org_id, s.id
    for no key update;
  update vicket.sites s
    set views_version = s.views_version + 1
    where (s.org_id, s.id) in (
      select a.org_id, o.id
      from unnest(p_org_ids, p_article_ids) as seen (org_id, article_id)
      join vicket.articles a on a.org_id = seen.org_id and a.id = seen.article_id
      join vicket.sites o on o.org_id = a.org_id and (a.site_id is null or o.id = a.site_id)
    );
end $$;
alter function worker.add_views(uuid[],uuid[],bigint[]) owner to vicket_definer;
comment on function worker.add_views(uuid[],uuid[],bigint[]) is
  'Adds gathered views to articles. Definer: the worker reads no table.';
grant execute on function worker.add_views(uuid[],uuid[],bigint[]) to vicket_worker;

create function worker.objects_due(p_most integer) returns setof text
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.object_removals r
    using vicket.attachments a
    where r.due_at <= now()
      and a.org_id = r.org_id and a.site_id = r.site_id and a.object_key = r.object_key;
  return query
    select r.object_key from vicket.object_removals r where r.due_at <= now() order by r.due_at limit p_most;
end $$;
alter function worker.objects_due(integer) owner to vicket_definer;
comment on function worker.objects_due(integer) is
  'Keys of objects to remove from the store. Definer: the worker reads no table.';
grant execute on function worker.objects_due(integer) to vicket_worker;

create function worker.objects_removed(p_object_keys text[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.object_removals r
    using unnest(p_object_keys) as k (object_key)
    where r.org_id = split_part(k.object_key, '/', 1)::uuid and r.site_id = split_part(k.object_key, '/', 2)::uuid
      and r.object_key = k.object_key and r.due_at <= now();
end $$;
alter function worker.objects_removed(text[]) owner to vicket_definer;
comment on function worker.objects_removed(text[]) is
  'Objects that are gone from the store. Definer: the worker reads no table.';
grant execute on function worker.objects_removed(text[]) to vicket_worker;

create function worker.add_missed_searches(p_org_ids uuid[], p_site_ids uuid[], p_days date[], p_searches text[],
  p_times bigint[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform from vicket.sites s
    where (s.org_id, s.id) in (select u.org_id, u.site_id from unnest(p_org_ids, p_site_ids) as u (org_id, site_id))
    order by s.org_id, s.id
    for key share;
  insert into vicket.missed_searches as m (org_id, site_id, day, search, times)
    select missed.org_id, missed.site_id, missed.day, missed.search, missed.times
    from unnest(p_org_ids, p_site_ids, p_days, p_searches, p_times) as missed (org_id, site_id, day, search, times)
    where exists (select from vicket.sites s where s.org_id = missed.org_id and s.id = missed.site_id)
    order by missed.org_id, missed.site_id, missed.day, missed.search
    on conflict (org_id, site_id, day, search) do update
      set times = m.times + excluded.times, last_at = excluded.last_at;
  delete from vicket.missed_searches m
    using (
      select k.org_id, k.site_id, k.day, k.search,
        row_number() over (partition by k.org_id, k.site_id, k.day order by k.times desc, k.last_at desc, k.search) as place
      from vicket.missed_searches k
      where (k.org_id, k.site_id, k.day) in (
        select u.org_id, u.site_id, u.day from unnest(p_org_ids, p_site_ids, p_days) as u (org_id, site_id, day)
      )
    ) ranked
    where ranked.place > 1000
      and m.org_id = ranked.org_id and m.site_id = ranked.site_id and m.day = ranked.day and m.search = ranked.search;
end $$;
alter function worker.add_missed_searches(uuid[],uuid[],date[],text[],bigint[]) owner to vicket_definer;
comment on function worker.add_missed_searches(uuid[],uuid[],date[],text[],bigint[]) is
  'Counts searches that found nothing; keeps 1,000 a site and day. Definer: the worker reads no table.';
grant execute on function worker.add_missed_searches(uuid[],uuid[],date[],text[],bigint[]) to vicket_worker;

create function worker.purge(p_most integer) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
alter function worker.purge(integer) owner to vicket_definer;
comment on function worker.purge(integer) is
  'Deletes what has expired, and returns how many rows; sums up what sites keep. Definer: the worker reads no table.';
grant execute on function worker.purge(integer) to vicket_worker;

create function worker.shrink_site(p_org_id uuid, p_site_id uuid, p_most integer) returns bigint
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.tickets t
    where t.org_id = p_org_id and t.site_id = p_site_id and t.id in (
      select d.id from vicket.tickets d where d.org_id = p_org_id and d.site_id = p_site_id order by d.number limit p_most
    );
  get diagnostics gone = row_count;
  if gone = 0 then
    delete from vicket.articles a
      where a.org_id = p_org_id and a.site_id = p_site_id and a.id in (
        select d.id from vicket.articles d
        where d.org_id = p_org_id and d.site_id = p_site_id
        order by d.id
        limit p_most
        for update
      );
    get diagnostics gone = row_count;
  end if;
  if gone = 0 then
    delete from vicket.missed_searches m
      where m.org_id = p_org_id and m.site_id = p_site_id and (m.day, m.search) in (
        select d.day, d.search from vicket.missed_searches d
        where d.org_id = p_org_id and d.site_id = p_site_id
        order by d.day, d.search
        limit p_most
      );
    get diagnostics gone = row_count;
  end if;
  return gone;
end $$;
alter function worker.shrink_site(uuid,uuid,integer) owner to vicket_definer;
comment on function worker.shrink_site(uuid,uuid,integer) is
  'Deletes a batch of what a site has; says how many. For worker.run_job.';

create function worker.forget_org(p_org_id uuid, p_done bigint, p_total bigint, p_most integer) returns bigint
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
declare
  last constant bigint := least(p_done + p_most, p_total);
  everything constant text := int8multirange(int8range(1, p_total, '[]'))::text;
  people constant uuid[] := array(
    select l.actor_id
    from vicket.audit_log l
    where l.org_id = p_org_id and l.seq > p_done and l.seq <= last and l.actor_kind = 'user'
    union
    select l.object_id::uuid
    from vicket.audit_log l
    where l.org_id = p_org_id and l.seq > p_done and l.seq <= last and l.object_kind = 'member'
  );
  entry vicket.audit_log;
begin
  if p_done = 0 then
    entry.org_id := p_org_id;
    entry.actor_kind := 'cli';
    entry.actor := 'cli';
    entry.action := 'erased';
    entry.object_kind := 'org';
    entry.object_id := p_org_id;
    entry.after := jsonb_build_object('actor', everything, 'object', everything);
    perform vicket.append_audit(entry);
  end if;
  update vicket.audit_log l
    set actor_id = null, actor = null, actor_salt = null, object_id = null, before = null, after = null, object_salt = null
    where l.org_id = p_org_id and l.seq > p_done and l.seq <= last;
  delete from vicket.users u
    where u.id = any (people) and not exists (select from vicket.members m where m.user_id = u.id);
  return last - p_done;
end $$;
alter function worker.forget_org(uuid,bigint,bigint,integer) owner to vicket_definer;
comment on function worker.forget_org(uuid,bigint,bigint,integer) is
  'Erases a batch of a deleted org''s audit log; says how many entries. For worker.run_job.';

create function worker.run_job(p_most integer, out org_id uuid, out kind text, out subject_id uuid, out total bigint,
  out done bigint, out ended boolean) returns setof record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query select b.org_id, b.kind, b.subject_id, b.total, b.done, b.ended from worker.run_job_batch(p_most) b;
end $$;
alter function worker.run_job(integer) owner to vicket_definer;
comment on function worker.run_job(integer) is 'One batch of one job. Definer: the worker reads no table.';
grant execute on function worker.run_job(integer) to vicket_worker;

create function worker.draw_limits(p_buckets bytea[], p_left_ms bigint[], p_limits bigint[], p_untold bigint[],
  p_wanted bigint[]) returns table(used bigint, lent bigint, left_ms bigint)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  ask record;
  answer vicket.limit_windows;
  answers vicket.limit_windows[] := array_fill(null::vicket.limit_windows, array[cardinality(p_buckets)]);
begin
  for ask in
    select a.* from unnest(p_buckets, p_left_ms, p_limits, p_untold, p_wanted)
      with ordinality as a (bucket, left_ms, most, untold, wanted, place)
    order by a.bucket
  loop
    insert into vicket.limit_windows as w (bucket, ends_at, used, lent)
      values (
        ask.bucket, clock + ask.left_ms * interval '1 millisecond',
        ask.untold + least(ask.wanted, greatest(ask.most - ask.untold, 0)),
        least(ask.wanted, greatest(ask.most - ask.untold, 0))
      )
      on conflict (bucket) do update
        set ends_at = case when w.ends_at <= clock then excluded.ends_at else w.ends_at end,
          used = case
            when w.ends_at <= clock then excluded.used
            else w.used + ask.untold + least(ask.wanted, greatest(ask.most - w.used - ask.untold, 0))
          end,
          lent = case
            when w.ends_at <= clock then excluded.lent
            else least(ask.wanted, greatest(ask.most - w.used - ask.untold, 0))
          end
      returning w.* into answer;
    answers[ask.place] := answer;
  end loop;
  delete from vicket.limit_windows w
    where w.bucket in (
      select e.bucket from vicket.limit_windows e
      where e.ends_at <= clock
      order by e.ends_at
      limit 2 * cardinality(p_buckets)
      for update skip locked
    );
  return query
    select a.used, a.lent, greatest(extract(epoch from a.ends_at - clock) * 1000, 0)::bigint
    from unnest(answers) with ordinality as a (bucket, ends_at, used, lent, place)
    order by a.place;
end $$;
alter function worker.draw_limits(bytea[],bigint[],bigint[],bigint[],bigint[]) owner to vicket_definer;
comment on function worker.draw_limits(bytea[],bigint[],bigint[],bigint[],bigint[]) is
  'Lends a process parts of rate limits; says what all have used. Definer: the worker reads no table.';
grant execute on function worker.draw_limits(bytea[],bigint[],bigint[],bigint[],bigint[]) to vicket_worker;

create function worker.retain(p_most integer, out org_id uuid, out site_id uuid, out what text, out removed bigint,
  out ended boolean) returns setof record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query select b.org_id, b.site_id, b.what, b.removed, b.ended from worker.run_retention_batch(p_most) b;
end $$;
alter function worker.retain(integer) owner to vicket_definer;
comment on function worker.retain(integer) is
  'Deletes a batch of what a site or org does not keep any longer. Definer: the worker reads no table.';
grant execute on function worker.retain(integer) to vicket_worker;

create function worker.claim(p_kind text, p_most integer, p_lease interval) returns table(org_id uuid, id uuid,
  subject_id uuid, attempts integer, created_at timestamp with time zone)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  anywhere constant uuid := gen_random_uuid();
  orgs uuid[];
  share integer;
begin
  orgs := array(
    with recursive
      upward (org_id, due) as (
        select null::uuid, false
        union all
        select next.org_id, next.run_at <= clock
        from upward a
        cross join lateral (
          select t.org_id, t.run_at
          from vicket.tasks t
          where t.kind = p_kind and t.dead_at is null and t.org_id > coalesce(a.org_id, anywhere)
          order by t.org_id, t.run_at
          limit 1
        ) next
      ),
      rest (org_id, due) as (
        select null::uuid, false
        union all
        select next.org_id, next.run_at <= clock
        from rest b
        cross join lateral (
          select t.org_id, t.run_at
          from vicket.tasks t
          where t.kind = p_kind and t.dead_at is null and t.org_id <= anywhere
            and t.org_id > coalesce(b.org_id, '00000000-0000-0000-0000-000000000000')
          order by t.org_id, t.run_at
          limit 1
        ) next
      )
    select w.org_id
    from (
      (select a.org_id, a.due from upward a limit 1000) union all (select b.org_id, b.due from rest b limit 1000)
    ) w
    where w.due
    limit p_most
  );
  share := ceil(p_most::numeric / greatest(cardinality(orgs), 1));
  return query
    with due as materialized (
      select o.org_id, d.id
      from unnest((select orgs)) o (org_id)
      cross join lateral (
        select t.id
        from vicket.tasks t
        where t.org_id = o.org_id and t.kind = p_kind and t.dead_at is null and t.run_at <= clock
        order by t.run_at
        limit share
        for update skip locked
      ) d
      limit p_most
    )
    update vicket.tasks t
      set run_at = clock + p_lease, attempts = t.attempts + 1
      from due
      where t.org_id = due.org_id and t.id = due.id
      returning t.org_id, t.id, t.subject_id, t.attempts, t.created_at;
end $$;
alter function worker.claim(text,integer,interval) owner to vicket_definer;
comment on function worker.claim(text,integer,interval) is
  'Claims tasks of a kind for a time, a fair share of each org. Definer: the worker reads no table.';
grant execute on function worker.claim(text,integer,interval) to vicket_worker;

create function worker.renew(p_org_ids uuid[], p_ids uuid[], p_lease interval) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.tasks t
    set run_at = clock_timestamp() + p_lease
    from unnest((select p_org_ids), (select p_ids)) as mine (org_id, id)
    where t.org_id = mine.org_id and t.id = mine.id and t.dead_at is null;
end $$;
alter function worker.renew(uuid[],uuid[],interval) owner to vicket_definer;
comment on function worker.renew(uuid[],uuid[],interval) is 'Lengthens leases. Definer: the worker reads no table.';
grant execute on function worker.renew(uuid[],uuid[],interval) to vicket_worker;

create function worker.done(p_org_ids uuid[], p_ids uuid[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.tasks t
    using unnest((select p_org_ids), (select p_ids)) as done (org_id, id)
    where t.org_id = done.org_id and t.id = done.id;
end $$;
alter function worker.done(uuid[],uuid[]) owner to vicket_definer;
comment on function worker.done(uuid[],uuid[]) is 'Deletes tasks that are done. Definer: the worker reads no table.';
grant execute on function worker.done(uuid[],uuid[]) to vicket_worker;

create function worker.retry(p_org_ids uuid[], p_ids uuid[], p_seconds double precision[], p_errors text[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.tasks t
    set run_at = clock_timestamp() + coalesce(failed.seconds, 0) * interval '1 second',
      last_error = left(failed.error, 1000),
      dead_at = case when failed.seconds is null then now() end
    from unnest((select p_org_ids), (select p_ids), (select p_seconds), (select p_errors)) as failed (org_id, id, seconds, error)
    where t.org_id = failed.org_id and t.id = failed.id;
end $$;
alter function worker.retry(uuid[],uuid[],double precision[],text[]) owner to vicket_definer;
comment on function worker.retry(uuid[],uuid[],double precision[],text[]) is
  'Puts tasks off, or gives them up. Definer: the worker reads no table.';
grant execute on function worker.retry(uuid[],uuid[],double precision[],text[]) to vicket_worker;

create function worker.serve_mail(p_domain text) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.mail_service as s (domain, on_until)
    values (p_domain, now() + interval '3 days')
    on conflict (id) do update set domain = excluded.domain, on_until = excluded.on_until;
end $$;
alter function worker.serve_mail(text) owner to vicket_definer;
comment on function worker.serve_mail(text) is
  'Says that mail is sent, for three days. Definer: the worker reads no table.';
grant execute on function worker.serve_mail(text) to vicket_worker;

create function worker.open_mails(p_org_ids uuid[], p_mail_ids uuid[], p_ticket_hashes bytea[],
  p_invitation_hashes bytea[]) returns table(place bigint, kind text, recipient text, message_ref text, earlier text[],
  language text, org_slug text, org_name text, site_name text, from_name text, from_address text, support_url text,
  reference text, ticket_id uuid, subject text, customer text, author text, body text, invited_by text)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update vicket.mails m
    set state = 'suppressed', detail = s.reason, at = clock_timestamp()
    from unnest((select p_org_ids), (select p_mail_ids)) as asked (org_id, id), vicket.suppressions s
    where m.org_id = asked.org_id and m.id = asked.id and m.state = 'queued' and m.user_id is null
      and s.org_id = m.org_id and s.site_id = m.site_id and s.address = lower(m.recipient collate "C");
  insert into vicket.ticket_tokens (org_id, site_id, ticket_id, token_hash)
    select m.org_id, m.site_id, m.ticket_id, asked.token_hash
    from unnest((select p_org_ids), (select p_mail_ids), (select p_ticket_hashes)) as asked (org_id, id, token_hash)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    where m.state = 'queued' and m.ticket_id is not null and m.user_id is null;
  update vicket.invitations i
    set mailed_token_hash = asked.token_hash
    from unnest((select p_org_ids), (select p_mail_ids), (select p_invitation_hashes)) as asked (org_id, id, token_hash)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    where m.state = 'queued' and i.org_id = m.org_id and i.id = m.invitation_id;
  return query
    select asked.place, m.kind, m.recipient, m.message_ref,
      array(
        select e.message_ref from vicket.mails e
        where e.org_id = m.org_id and e.ticket_id = m.ticket_id and e.recipient = m.recipient and e.created_at < m.created_at
        order by e.created_at
      ),
      coalesce(s.language, 'en'), o.slug, o.name, s.name, s.mail_from_name, s.mail_from_address, s.support_url,
      s.prefix || '-' || t.number, t.id, t.subject, coalesce(t.name, t.email), a.author_name, a.body, i.invited_by
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    join vicket.orgs o on o.id = m.org_id and o.deleted_at is null
    left join vicket.sites s on s.org_id = m.org_id and s.id = m.site_id
    left join vicket.tickets t on t.org_id = m.org_id and t.site_id = m.site_id and t.id = m.ticket_id
    left join vicket.ticket_messages a on a.org_id = m.org_id and a.site_id = m.site_id and a.id = m.message_id
    left join vicket.invitations i on i.org_id = m.org_id and i.id = m.invitation_id
    where m.state = 'queued' and s.deleted_at is null and (i.id is null or i.expires_at > now())
    order by asked.place;
end $$;
alter function worker.open_mails(uuid[],uuid[],bytea[],bytea[]) owner to vicket_definer;
comment on function worker.open_mails(uuid[],uuid[],bytea[],bytea[]) is
  'What claimed mails say, and a token for the link of each. Definer: the worker reads no table.';
grant execute on function worker.open_mails(uuid[],uuid[],bytea[],bytea[]) to vicket_worker;

create function worker.settle_mails(p_org_ids uuid[], p_task_ids uuid[], p_mail_ids uuid[], p_states text[],
  p_details text[], p_seconds double precision[], p_suppress boolean[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  waits constant boolean[] := array(select s in ('queued', 'failed') from unnest(p_states) with ordinality u (s, n) order by n);
begin
  with settled as (
    update vicket.mails m
      set state = told.state, detail = left(told.detail, 1000), at = clock_timestamp()
      from unnest((select p_org_ids), (select p_mail_ids), (select p_states), (select p_details), (select p_suppress))
        as told (org_id, id, state, detail, suppress)
      where m.org_id = told.org_id and m.id = told.id
      returning m.org_id, m.site_id, m.ticket_id, m.user_id, m.recipient, m.state, m.detail, told.suppress
  ), refused as (
    insert into vicket.suppressions as s (org_id, site_id, address, reason)
      select distinct on (t.org_id, t.site_id, lower(t.recipient collate "C"))
        t.org_id, t.site_id, lower(t.recipient collate "C"), t.detail
      from settled t
      where t.suppress and t.site_id is not null and t.user_id is null
      on conflict (org_id, site_id, address) do update set reason = excluded.reason, at = now()
  )
  -- Who looks at the inbox sees that something happened.
  update vicket.tickets t
    set updated_at = now()
    from settled s
    where t.org_id = s.org_id and t.site_id = s.site_id and t.id = s.ticket_id and s.state in ('bounced', 'failed');
  perform worker.done(
    array(select u.o from unnest(p_org_ids, waits) with ordinality u (o, w, n) where not u.w order by n),
    array(select u.t from unnest(p_task_ids, waits) with ordinality u (t, w, n) where not u.w order by n));
  perform worker.retry(
    array(select u.o from unnest(p_org_ids, waits) with ordinality u (o, w, n) where u.w order by n),
    array(select u.t from unnest(p_task_ids, waits) with ordinality u (t, w, n) where u.w order by n),
    array(select case p_states[n] when 'queued' then u.s end
      from unnest(p_seconds, waits) with ordinality u (s, w, n) where u.w order by n),
    array(select u.d from unnest(p_details, waits) with ordinality u (d, w, n) where u.w order by n));
end $$;
alter function worker.settle_mails(uuid[],uuid[],uuid[],text[],text[],double precision[],boolean[]) owner to
  vicket_definer;
comment on function worker.settle_mails(uuid[],uuid[],uuid[],text[],text[],double precision[],boolean[]) is
  'What became of mails. Definer: the worker reads no table.';
grant execute on function worker.settle_mails(uuid[],uuid[],uuid[],text[],text[],double precision[],boolean[]) to
  vicket_worker;

create function worker.mail_participants(p_org_ids uuid[], p_mail_ids uuid[]) returns table(place bigint, site_id uuid,
  ticket_id uuid, user_id uuid)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select asked.place, m.site_id, m.ticket_id, m.user_id
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    where m.ticket_id is not null;
end $$;
alter function worker.mail_participants(uuid[],uuid[]) owner to vicket_definer;
comment on function worker.mail_participants(uuid[],uuid[]) is
  'Whose mail it is that goes out. Definer: the worker reads no table.';
grant execute on function worker.mail_participants(uuid[],uuid[]) to vicket_worker;

create function worker.address_mails(p_org_ids uuid[], p_mail_ids uuid[], p_refs text[], p_reply_digests bytea[],
  p_bounce_digests bytea[]) returns table(place bigint, message_ref text)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update vicket.mails m
    set message_ref = asked.ref
    from unnest((select p_org_ids), (select p_mail_ids), (select p_refs)) as asked (org_id, id, ref)
    where m.org_id = asked.org_id and m.id = asked.id and asked.ref is not null
      -- A random one is shorter.
      and char_length(m.message_ref) < char_length(asked.ref)
      and m.message_ref ~ '^<m[.][0-9a-f]{32}@';
  insert into vicket.mail_addresses (org_id, site_id, kind, digest, ticket_id, user_id, mail_id)
    select m.org_id, m.site_id, a.kind, a.digest, m.ticket_id, a.user_id, a.mail_id
    from unnest((select p_org_ids), (select p_mail_ids), (select p_reply_digests), (select p_bounce_digests))
      as asked (org_id, id, reply, bounce)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id and m.ticket_id is not null
    cross join lateral (
      values ('reply', asked.reply, m.user_id, null::uuid), ('bounce', asked.bounce, null, m.id)
    ) a (kind, digest, user_id, mail_id)
    where a.digest is not null
    on conflict (digest) do nothing;
  return query
    select asked.place, m.message_ref
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id;
end $$;
alter function worker.address_mails(uuid[],uuid[],text[],bytea[],bytea[]) owner to vicket_definer;
comment on function worker.address_mails(uuid[],uuid[],text[],bytea[],bytea[]) is
  'What mail that goes out is answered to. Definer: the worker reads no table.';
grant execute on function worker.address_mails(uuid[],uuid[],text[],bytea[],bytea[]) to vicket_worker;

create function worker.open_inbound(p_org_id uuid, p_id uuid) returns table(site_id uuid, state text, accepted boolean,
  recipient text, mail_from text, client text, helo text, raw bytea, kind text, ticket_id uuid, user_id uuid,
  mail_id uuid, busy boolean)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select i.site_id, i.state, i.accepted, i.recipient, i.mail_from, i.client, i.helo, i.raw, coalesce(a.kind, 'own'),
      a.ticket_id, a.user_id, a.mail_id,
      -- A site that gets more than so much in an hour answers nobody by itself.
      (
        select count(*) > 500
        from (
          select from vicket.inbound_mails l
          where l.org_id = i.org_id and l.site_id = i.site_id and l.received_at > now() - interval '1 hour'
          order by l.received_at desc
          limit 501
        ) lately
      )
    from vicket.inbound_mails i
    left join vicket.mail_addresses a on a.org_id = i.org_id and a.site_id = i.site_id and a.id = i.address_id
    where i.org_id = p_org_id and i.id = p_id and i.raw is not null;
end $$;
alter function worker.open_inbound(uuid,uuid) owner to vicket_definer;
comment on function worker.open_inbound(uuid,uuid) is 'A mail that came in. Definer: the worker reads no table.';
grant execute on function worker.open_inbound(uuid,uuid) to vicket_worker;

create function worker.mail_thread(p_org_id uuid, p_site_id uuid, p_ticket_id uuid, p_user_id uuid,
  p_mail_half bytea) returns table(status text, reference text, email text, user_id uuid, user_email text, mail_id uuid,
  mailed_to text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select t.status, s.prefix || '-' || t.number, t.email, u.id,
      -- Only who may answer: whoever left, or may not any more, is a stranger.
      case when 'ticket:write' = any (ctx.permissions_of(p.role)) then u.email end, m.id, m.recipient
    from vicket.tickets t
    join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
    left join vicket.mails m
      on m.org_id = t.org_id and m.ticket_id = t.id and substring(uuid_send(m.id) from 1 for 8) = p_mail_half
    left join vicket.members p on p.org_id = t.org_id and p.user_id = coalesce(p_user_id, m.user_id)
    left join vicket.users u on u.id = coalesce(p_user_id, m.user_id)
    where t.org_id = p_org_id and t.site_id = p_site_id and t.id = p_ticket_id;
end $$;
alter function worker.mail_thread(uuid,uuid,uuid,uuid,bytea) owner to vicket_definer;
comment on function worker.mail_thread(uuid,uuid,uuid,uuid,bytea) is
  'Who takes part in the ticket of a mail. Definer: the worker reads no table.';
grant execute on function worker.mail_thread(uuid,uuid,uuid,uuid,bytea) to vicket_worker;

create function worker.reserve_objects(p_org_id uuid, p_site_id uuid, p_keys text[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into vicket.object_removals (org_id, site_id, object_key)
    select p_org_id, p_site_id, k from unnest(p_keys) k;
end $$;
alter function worker.reserve_objects(uuid,uuid,text[]) owner to vicket_definer;
comment on function worker.reserve_objects(uuid,uuid,text[]) is
  'Keys for files of a mail. Definer: the worker reads no table.';
grant execute on function worker.reserve_objects(uuid,uuid,text[]) to vicket_worker;

create function worker.file_mail(p_org_id uuid, p_site_id uuid, p_id uuid, p_ticket_id uuid, p_user_id uuid,
  p_author text, p_author_name text, p_subject text, p_body text, p_quiet boolean, p_acknowledge boolean,
  p_names text[], p_types text[], p_contents bytea[], p_object_keys text[], p_sizes bigint[]) returns text
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  ticket uuid := p_ticket_id;
  message constant uuid := gen_random_uuid();
  mail vicket.mails;
  left_out text[] := array_fill(null::text, array[cardinality(p_names)]);
  was text;
  quiet boolean := p_quiet;
  refused text;
  at integer;
begin
  perform set_config('app.org_id', p_org_id::text, true), set_config('app.site_id', p_site_id::text, true),
    set_config('app.actor', case when p_user_id is null then 'customer' else '' end, true);
  -- Whoever else has the same mail waits here, and then finds it filed.
  perform from vicket.inbound_mails i
    where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id and i.state in ('received', 'held') and i.message_id is null
    for update;
  if not found then
    return 'done';
  end if;
  if ticket is not null then
    select t.status into was
      from vicket.tickets t
      where t.org_id = p_org_id and t.site_id = p_site_id and t.id = ticket
      for no key update;
    if was = 'resolved' and not quiet then
      quiet := (
        select count(*) >= 5
        from vicket.inbound_mails i
        where i.org_id = p_org_id and i.ticket_id = ticket and i.reopened and i.received_at > now() - interval '1 hour'
      );
    end if;
  end if;
  perform set_config('app.quiet', case when quiet then 'on' else '' end, true);
  loop
    at := 0;
    begin
      if p_ticket_id is null then
        ticket := gen_random_uuid();
        insert into vicket.tickets (org_id, site_id, id, email, name, subject)
          values (p_org_id, p_site_id, ticket, p_author, p_author_name, p_subject);
      end if;
      insert into vicket.ticket_messages (org_id, site_id, id, ticket_id, author, author_id, author_name, body)
        select p_org_id, p_site_id, message, ticket, case when p_user_id is null then 'customer' else 'agent' end, p_user_id,
          coalesce((select u.name from vicket.users u where u.id = p_user_id), p_author_name),
          left(p_body || coalesce(E'\n' || string_agg(
            E'\n[Not attached: ' || p_names[n] || ', ' || left_out[n] || ']', '' order by n), ''), 20000)
        from generate_subscripts(left_out, 1) n
        where left_out[n] is not null;
      for n in 1 .. cardinality(p_names) loop
        at := n;
        continue when left_out[n] is not null;
        insert into vicket.attachments
            (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content, object_key)
          values (p_org_id, p_site_id, ticket, message, p_id, p_names[n], p_types[n], p_sizes[n], p_contents[n],
            p_object_keys[n]);
      end loop;
      exit;
    exception when check_violation then
      get stacked diagnostics refused = constraint_name;
      if at = 0 then
        return refused;
      end if;
      left_out[at] := case refused
        when 'attachments_of_message' then 'a message has 10 files at the most'
        when 'attachments_of_ticket' then 'a ticket has 100 MiB of files at the most'
        when 'attachments_of_site' then 'this site keeps as many files as it may'
        when 'attachments_of_org' then 'this org keeps as many files as it may'
        else 'it was refused' end;
    end;
  end loop;
  update vicket.inbound_mails i
    set state = 'filed', ticket_id = ticket, message_id = message, reopened = coalesce(was = 'resolved' and not quiet, false)
    where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id;
  if not p_quiet and vicket.mail_domain() is not null then
    mail.org_id := p_org_id;
    mail.site_id := p_site_id;
    mail.ticket_id := ticket;
    if p_ticket_id is null then
      mail.kind := 'ticket_received';
      mail.recipient := p_author;
      if p_acknowledge and vicket.count_mail('site ' || p_site_id, p_author, 1) and vicket.count_mail('received', p_author, 3)
      then
        perform vicket.write_mail(mail);
      end if;
    elsif p_user_id is null then
      mail.kind := 'agent_customer_answered';
      mail.message_id := message;
      mail.user_id := (
        select t.assignee_id from vicket.tickets t where t.org_id = p_org_id and t.site_id = p_site_id and t.id = ticket
      );
      perform vicket.member_mail(mail);
    else
      mail.kind := 'ticket_answered';
      mail.message_id := message;
      mail.recipient := (
        select t.email from vicket.tickets t where t.org_id = p_org_id and t.site_id = p_site_id and t.id = ticket
      );
      perform vicket.write_mail(mail);
    end if;
  end if;
  return 'filed';
end $$;
alter function
  worker.file_mail(uuid,uuid,uuid,uuid,uuid,text,text,text,text,boolean,boolean,text[],text[],bytea[],text[],bigint[])
  owner to vicket_definer;
comment on function worker.file_mail(uuid,uuid,uuid,uuid,uuid,text,text,text,text,boolean,boolean,text[],text[],bytea[],text[],bigint[]) is
  'Writes a mail as a message of a ticket. Definer: the worker reads no table.';
grant execute on function
  worker.file_mail(uuid,uuid,uuid,uuid,uuid,text,text,text,text,boolean,boolean,text[],text[],bytea[],text[],bigint[])
  to vicket_worker;

create function worker.note_mail(p_org_id uuid, p_site_id uuid, p_id uuid, p_state text, p_reason text,
  p_ticket_id uuid, p_author text, p_author_name text, p_subject text, p_verified boolean, p_automatic boolean,
  p_quoted_from integer) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.inbound_mails i
    set state = case when i.state in ('filed', 'rejected') then i.state else p_state end, reason = left(p_reason, 1000),
      ticket_id = coalesce(i.ticket_id, p_ticket_id), author = p_author, author_name = p_author_name, subject = p_subject,
      verified = p_verified, automatic = p_automatic, quoted_from = p_quoted_from
    where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id;
  -- Who looks at the inbox sees that something happened.
  update vicket.tickets t
    set updated_at = now()
    where p_state = 'held' and t.org_id = p_org_id and t.site_id = p_site_id and t.id = p_ticket_id;
end $$;
alter function worker.note_mail(uuid,uuid,uuid,text,text,uuid,text,text,text,boolean,boolean,integer) owner to
  vicket_definer;
comment on function worker.note_mail(uuid,uuid,uuid,text,text,uuid,text,text,text,boolean,boolean,integer) is
  'What became of a mail. Definer: the worker reads no table.';
grant execute on function worker.note_mail(uuid,uuid,uuid,text,text,uuid,text,text,text,boolean,boolean,integer) to
  vicket_worker;

create function worker.fail_inbound(p_org_id uuid, p_id uuid, p_reason text) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.inbound_mails i
    set state = 'failed', reason = left(p_reason, 1000)
    where i.org_id = p_org_id and i.id = p_id and i.state = 'received';
end $$;
alter function worker.fail_inbound(uuid,uuid,text) owner to vicket_definer;
comment on function worker.fail_inbound(uuid,uuid,text) is 'Gives a mail up. Definer: the worker reads no table.';
grant execute on function worker.fail_inbound(uuid,uuid,text) to vicket_worker;

create function worker.bounce_mail(p_org_id uuid, p_site_id uuid, p_mail_id uuid, p_for_good boolean,
  p_said text) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  mail vicket.mails;
begin
  update vicket.mails m
    set state = case when p_for_good then 'bounced' else m.state end, detail = left(p_said, 1000), at = clock_timestamp()
    where m.org_id = p_org_id and m.site_id = p_site_id and m.id = p_mail_id and m.state in ('sent', 'bounced')
      and (p_for_good or m.state = 'sent')
    returning * into mail;
  if mail.id is null or not p_for_good then
    return;
  end if;
  insert into vicket.suppressions as s (org_id, site_id, address, reason)
    select mail.org_id, mail.site_id, lower(mail.recipient collate "C"), mail.detail
    where mail.user_id is null
    on conflict (org_id, site_id, address) do update set reason = excluded.reason, at = now();
  update vicket.tickets t
    set updated_at = now()
    where t.org_id = mail.org_id and t.site_id = mail.site_id and t.id = mail.ticket_id;
end $$;
alter function worker.bounce_mail(uuid,uuid,uuid,boolean,text) owner to vicket_definer;
comment on function worker.bounce_mail(uuid,uuid,uuid,boolean,text) is
  'What became of a mail that was sent. Definer: the worker reads no table.';
grant execute on function worker.bounce_mail(uuid,uuid,uuid,boolean,text) to vicket_worker;

create function worker.forget_mail(p_most integer) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  update vicket.inbound_mails i
    set raw = null
    from (
      select o.org_id, o.site_id, o.id
      from vicket.retention r
      join vicket.inbound_mails o on o.org_id = r.org_id and o.site_id = r.site_id
      where r.files_days is not null and o.received_at < now() - make_interval(days => r.files_days)
        and o.raw is not null and o.state <> 'received'
      limit p_most
    ) old
    where i.org_id = old.org_id and i.site_id = old.site_id and i.id = old.id;
  get diagnostics gone = row_count;
  delete from vicket.inbound_mails i
    using (
      select o.org_id, o.site_id, o.id
      from vicket.inbound_mails o
      where o.state in ('ignored', 'rejected') and o.received_at < now() - interval '30 days'
      limit p_most
    ) old
    where i.org_id = old.org_id and i.site_id = old.site_id and i.id = old.id;
  return gone;
end $$;
alter function worker.forget_mail(integer) owner to vicket_definer;
comment on function worker.forget_mail(integer) is 'Forgets mail as it came. Definer: the worker reads no table.';
grant execute on function worker.forget_mail(integer) to vicket_worker;

create function worker.open_account_mails(p_most integer, p_lease interval,
  p_token_hashes bytea[]) returns table(place bigint, id uuid, kind text, recipient text, name text, about text,
  language text, message_ref text, attempts integer)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
alter function worker.open_account_mails(integer,interval,bytea[]) owner to vicket_definer;
comment on function worker.open_account_mails(integer,interval,bytea[]) is
  'Mail of accounts that is due, and a token for the link of each. Definer: the worker reads no table.';
grant execute on function worker.open_account_mails(integer,interval,bytea[]) to vicket_worker;

create function worker.settle_account_mails(p_ids uuid[], p_seconds double precision[]) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  delete from vicket.account_mails m
    using unnest((select p_ids), (select p_seconds)) as told (id, seconds)
    where m.id = told.id and told.seconds is null;
  update vicket.account_mails m
    set run_at = clock_timestamp() + told.seconds * interval '1 second'
    from unnest((select p_ids), (select p_seconds)) as told (id, seconds)
    where m.id = told.id and told.seconds is not null;
end $$;
alter function worker.settle_account_mails(uuid[],double precision[]) owner to vicket_definer;
comment on function worker.settle_account_mails(uuid[],double precision[]) is
  'What became of mail of accounts. Definer: the worker reads no table.';
grant execute on function worker.settle_account_mails(uuid[],double precision[]) to vicket_worker;

create function worker.languages_of_orgs(p_org_ids uuid[]) returns table(org_id uuid, language text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select distinct on (s.org_id) s.org_id, s.language
    from vicket.sites s
    where s.org_id = any ((select p_org_ids)::uuid[]) and s.deleted_at is null
    order by s.org_id, s.created_at, s.id;
end $$;
alter function worker.languages_of_orgs(uuid[]) owner to vicket_definer;
comment on function worker.languages_of_orgs(uuid[]) is
  'In which language an org writes to people whom it invites. Definer: the worker reads no table.';
grant execute on function worker.languages_of_orgs(uuid[]) to vicket_worker;

create function worker.sender_keys(p_org_ids uuid[], p_mail_ids uuid[]) returns table(place bigint, site_id uuid,
  selector text, domain text, public_key text, sealed_key bytea)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select asked.place, k.site_id, k.selector, k.domain, k.public_key, k.sealed_key
    from unnest((select p_org_ids), (select p_mail_ids)) with ordinality as asked (org_id, id, place)
    join vicket.mails m on m.org_id = asked.org_id and m.id = asked.id
    join vicket.sites s on s.org_id = m.org_id and s.id = m.site_id
    join vicket.dkim_keys k on k.org_id = s.org_id and k.site_id = s.id
      and k.domain = lower(split_part(s.mail_from_address, '@', 2) collate "C")
    order by asked.place, k.created_at desc;
end $$;
alter function worker.sender_keys(uuid[],uuid[]) owner to vicket_definer;
comment on function worker.sender_keys(uuid[],uuid[]) is
  'By which keys mails may be signed. Definer: the worker reads no table.';
grant execute on function worker.sender_keys(uuid[],uuid[]) to vicket_worker;

create function worker.mail_waiting(out mails bigint, out oldest_seconds double precision,
  out given_up bigint) returns record
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  oldest timestamptz;
begin
  select count(*) filter (where t.dead_at is null), min(t.created_at) filter (where t.dead_at is null),
      count(*) filter (where t.dead_at is not null)
    into mail_waiting.mails, oldest, mail_waiting.given_up
    from vicket.tasks t
    where t.kind = 'mail';
  mail_waiting.oldest_seconds := coalesce(extract(epoch from clock_timestamp() - oldest), 0);
end $$;
alter function worker.mail_waiting() owner to vicket_definer;
comment on function worker.mail_waiting() is
  'How much mail waits, and for how long, and how much was given up. Definer: the worker reads no table.';
grant execute on function worker.mail_waiting() to vicket_worker;

create function worker.hold_mailbox(p_digest bytea, p_holder uuid, p_lease interval) returns table(uid_validity bigint,
  last_uid bigint)
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
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
alter function worker.hold_mailbox(bytea,uuid,interval) owner to vicket_definer;
comment on function worker.hold_mailbox(bytea,uuid,interval) is
  'Holds a mailbox, if nobody else does. Definer: the worker reads no table.';
grant execute on function worker.hold_mailbox(bytea,uuid,interval) to vicket_worker;

create function worker.move_mailbox(p_digest bytea, p_holder uuid, p_uid_validity bigint, p_last_uid bigint,
  p_lease interval) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.mailboxes m
    set uid_validity = p_uid_validity, last_uid = p_last_uid, held_until = clock_timestamp() + p_lease
    where m.digest = p_digest and m.holder = p_holder;
  return found;
end $$;
alter function worker.move_mailbox(bytea,uuid,bigint,bigint,interval) owner to vicket_definer;
comment on function worker.move_mailbox(bytea,uuid,bigint,bigint,interval) is
  'Says how far a mailbox was read. Definer: the worker reads no table.';
grant execute on function worker.move_mailbox(bytea,uuid,bigint,bigint,interval) to vicket_worker;

create function worker.news_of_orgs(p_org_ids uuid[]) returns table(org_id uuid, marks bigint[])
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  since constant timestamptz := clock_timestamp() - interval '10 seconds';
begin
  return query
    select o.org_id, array(
      (select hashtextextended(t.id::text || t.updated_at, 0)
        from vicket.tickets t
        where t.org_id = o.org_id and t.updated_at > since
        order by t.updated_at desc
        limit 200)
      union all
      (select hashtextextended(s.ticket_id::text || s.user_id || s.changed_at, 0)
        from vicket.ticket_seen s
        where s.org_id = o.org_id and s.changed_at > since
        order by s.changed_at desc
        limit 200)
      union all
      (select hashtextextended(t.id::text || t.snoozed_until, 1)
        from vicket.tickets t
        where t.org_id = o.org_id and t.snoozed_until > since and t.snoozed_until <= clock_timestamp()
        order by t.snoozed_until desc
        limit 200)
    )
    from unnest((select p_org_ids)) o (org_id);
end $$;
alter function worker.news_of_orgs(uuid[]) owner to vicket_definer;
comment on function worker.news_of_orgs(uuid[]) is
  'What changed lately, as marks, in each org. Definer: the worker reads no table.';
grant execute on function worker.news_of_orgs(uuid[]) to vicket_worker;

create function worker.keep_mail_html(p_org_id uuid, p_site_id uuid, p_id uuid, p_html text) returns void
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  update vicket.inbound_mails i set html = p_html where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id;
end
$$;
alter function worker.keep_mail_html(uuid,uuid,uuid,text) owner to vicket_definer;
comment on function worker.keep_mail_html(uuid,uuid,uuid,text) is
  'How a mail looked. Definer: the worker reads no table.';
grant execute on function worker.keep_mail_html(uuid,uuid,uuid,text) to vicket_worker;

create function worker.run_job_batch(p_most integer, out org_id uuid, out kind text, out subject_id uuid,
  out total bigint, out done bigint, out ended boolean, out error text) returns setof record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  job vicket.jobs;
  moved bigint := 0;
  place uuid;
begin
  select j.* into job
    from vicket.jobs j
    where j.run_at <= clock
    order by j.worked_at nulls first, j.created_at
    limit 1
    for update skip locked;
  if not found then
    return;
  end if;
  perform set_config('app.org_id', job.org_id::text, true), set_config('app.actor', job.actor, true);
  run_job_batch.ended := false;
  begin
    case job.kind
      when 'remove_status' then
        update vicket.tickets t
          set status_id = (select s.id from vicket.statuses s where s.org_id = job.org_id and s.is_default)
          where t.org_id = job.org_id and t.id in (
            select d.id from vicket.tickets d where d.org_id = job.org_id and d.status_id = job.subject_id limit p_most
          );
        get diagnostics moved = row_count;
        if moved = 0 then
          delete from vicket.statuses s where s.org_id = job.org_id and s.id = job.subject_id;
          run_job_batch.ended := true;
        end if;
      when 'remove_priority' then
        update vicket.tickets t
          set priority_id = (select p.id from vicket.priorities p where p.org_id = job.org_id and p.is_default)
          where t.org_id = job.org_id and t.id in (
            select d.id from vicket.tickets d where d.org_id = job.org_id and d.priority_id = job.subject_id limit p_most
          );
        get diagnostics moved = row_count;
        if moved = 0 then
          delete from vicket.priorities p where p.org_id = job.org_id and p.id = job.subject_id;
          run_job_batch.ended := true;
        end if;
      when 'move_status' then
        update vicket.tickets t
          set status = s.category
          from vicket.statuses s
          where s.org_id = job.org_id and s.id = job.subject_id
            and t.org_id = job.org_id and t.id in (
              select d.id from vicket.tickets d
              where d.org_id = job.org_id and d.status_id = job.subject_id and d.status <> s.category
              limit p_most
            );
        get diagnostics moved = row_count;
        run_job_batch.ended := moved = 0;
      when 'remove_site' then
        moved := worker.shrink_site(job.org_id, job.subject_id, p_most);
        if moved = 0 then
          delete from vicket.sites s where s.org_id = job.org_id and s.id = job.subject_id;
          run_job_batch.ended := true;
        end if;
      when 'remove_org' then
        place := (select s.id from vicket.sites s where s.org_id = job.org_id order by s.id limit 1);
        if place is not null then
          moved := worker.shrink_site(job.org_id, place, p_most);
          if moved = 0 then
            delete from vicket.sites s where s.org_id = job.org_id and s.id = place;
            moved := 1;
          end if;
        else
          delete from vicket.articles a
            where a.org_id = job.org_id and a.id in (
              select d.id from vicket.articles d where d.org_id = job.org_id order by d.id limit p_most for update
            );
          get diagnostics moved = row_count;
          if moved = 0 then
            delete from vicket.orgs o where o.id = job.org_id;
            run_job_batch.ended := true;
          end if;
        end if;
      when 'forget_org' then
        moved := worker.forget_org(job.org_id, job.done, job.total, p_most);
        run_job_batch.ended := job.done + moved >= job.total;
    end case;
  exception when others or query_canceled then
    -- As if this batch had not been begun.
    run_job_batch.error := left(sqlerrm, 1000);
    run_job_batch.ended := false;
    moved := 0;
  end;
  run_job_batch.org_id := job.org_id;
  run_job_batch.kind := job.kind;
  run_job_batch.subject_id := job.subject_id;
  run_job_batch.done := job.done + moved;
  run_job_batch.total := greatest(job.total, run_job_batch.done);
  if run_job_batch.ended then
    delete from vicket.jobs j where j.org_id = job.org_id and j.id = job.id;
  elsif run_job_batch.error is null then
    update vicket.jobs j
      set done = run_job_batch.done, total = run_job_batch.total, worked_at = clock_timestamp(), attempts = 0, last_error = null
      where j.org_id = job.org_id and j.id = job.id;
  else
    update vicket.jobs j
      set run_at = clock_timestamp() + least(2 ^ least(job.attempts, 20), 3600) * interval '1 second', worked_at = clock_timestamp(),
        attempts = job.attempts + 1, last_error = run_job_batch.error
      where j.org_id = job.org_id and j.id = job.id;
  end if;
  return next;
end $$;
alter function worker.run_job_batch(integer) owner to vicket_definer;
comment on function worker.run_job_batch(integer) is
  'One batch of one job; one that fails is put off. Definer: the worker reads no table.';
grant execute on function worker.run_job_batch(integer) to vicket_worker;

create function worker.run_retention_batch(p_most integer, out org_id uuid, out site_id uuid, out what text,
  out removed bigint, out ended boolean, out error text) returns setof record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  rule vicket.retention;
  entry vicket.audit_log;
  entries int8multirange;
begin
  select r.* into rule
    from vicket.retention r
    where r.run_at <= clock and (r.ended_at is null or r.ended_at <= now() - interval '1 day')
    order by r.worked_at nulls first
    limit 1
    for update skip locked;
  if not found then
    return;
  end if;
  perform set_config('app.org_id', rule.org_id::text, true), set_config('app.actor', 'retention', true);
  run_retention_batch.org_id := rule.org_id;
  run_retention_batch.site_id := rule.site_id;
  run_retention_batch.removed := 0;
  begin
    if rule.site_id is null then
      run_retention_batch.what := 'audit_log';
      entries := (
        select range_agg(int8range(old.seq, old.seq, '[]'))
        from (
          select l.seq
          from vicket.audit_log l
          where l.org_id = rule.org_id and l.at < now() - make_interval(days => rule.audit_log_days)
            and (l.actor_salt is not null or l.object_salt is not null)
            -- What says of others that they forgot must not forget that; it names nobody.
            and l.action <> 'erased'
          order by l.seq
          limit p_most
        ) old
      );
      if entries is not null then
        entry.org_id := rule.org_id;
        entry.actor_kind := 'cli';
        entry.actor := 'retention';
        entry.action := 'erased';
        entry.object_kind := 'org';
        entry.object_id := rule.org_id;
        entry.after := jsonb_build_object('actor', entries::text, 'object', entries::text);
        perform vicket.append_audit(entry);
        update vicket.audit_log l
          set actor_id = null, actor = null, actor_salt = null, object_id = null, before = null, after = null, object_salt = null
          where l.org_id = rule.org_id and l.seq <@ entries;
        get diagnostics removed = row_count;
      end if;
    else
      run_retention_batch.what := 'tickets';
      delete from vicket.tickets t
        where t.org_id = rule.org_id and t.site_id = rule.site_id and t.id in (
          select d.id
          from vicket.tickets d
          where d.org_id = rule.org_id and d.site_id = rule.site_id
            and d.updated_at < now() - make_interval(days => case d.status
              when 'resolved' then rule.resolved_days when 'closed' then rule.closed_days else rule.open_days end)
          order by d.updated_at
          limit p_most
        );
      get diagnostics removed = row_count;
      if run_retention_batch.removed = 0 then
        run_retention_batch.what := 'files';
        delete from vicket.attachments a
          where a.org_id = rule.org_id and a.site_id = rule.site_id and a.id in (
            select d.id
            from vicket.attachments d
            where d.org_id = rule.org_id and d.site_id = rule.site_id
              and d.created_at < now() - make_interval(days => rule.files_days)
            limit p_most
          );
        get diagnostics removed = row_count;
      end if;
      if run_retention_batch.removed = 0 then
        run_retention_batch.what := 'events';
        delete from vicket.ticket_events e
          where e.org_id = rule.org_id and e.site_id = rule.site_id and e.id in (
            select d.id
            from vicket.ticket_events d
            where d.org_id = rule.org_id and d.site_id = rule.site_id
              and d.at < now() - make_interval(days => rule.events_days)
            order by d.at
            limit p_most
          );
        get diagnostics removed = row_count;
      end if;
    end if;
  exception when others or query_canceled then
    run_retention_batch.error := left(sqlerrm, 1000);
    run_retention_batch.removed := 0;
  end;
  run_retention_batch.ended := run_retention_batch.removed = 0 and run_retention_batch.error is null;
  update vicket.retention r
    set worked_at = clock_timestamp(),
      ended_at = case when run_retention_batch.ended then now() when run_retention_batch.error is not null then rule.ended_at end,
      attempts = case when run_retention_batch.error is null then 0 else rule.attempts + 1 end,
      run_at = case
        when run_retention_batch.error is null then rule.run_at
        else clock_timestamp() + least(2 ^ least(rule.attempts, 20), 3600) * interval '1 second'
      end,
      last_error = run_retention_batch.error
    where r.org_id = rule.org_id and r.id = rule.id;
  return next;
end $$;
alter function worker.run_retention_batch(integer) owner to vicket_definer;
comment on function worker.run_retention_batch(integer) is
  'Deletes a batch of what a site or org does not keep any longer; one that fails is put off. Definer: the worker '
  'reads no table.';
grant execute on function worker.run_retention_batch(integer) to vicket_worker;

create function worker.purge_customer_sessions(p_most integer) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.customer_sessions s
    using (
      select e.org_id, e.site_id, e.token_hash
      from vicket.customer_sessions e
      where e.created_at <= now() - interval '12 hours'
      order by e.created_at
      limit p_most
    ) over
    where s.org_id = over.org_id and s.site_id = over.site_id and s.token_hash = over.token_hash;
  get diagnostics gone = row_count;
  return gone;
end $$;
alter function worker.purge_customer_sessions(integer) owner to vicket_definer;
comment on function worker.purge_customer_sessions(integer) is
  'Deletes sessions that are over; says how many. Definer: the worker reads no table.';
grant execute on function worker.purge_customer_sessions(integer) to vicket_worker;

-- ---------------------------------------------------------------------------------------------------------------------
-- Functions of admin
create function admin.enter_org(p_org text, p_gone boolean default false) returns uuid
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org constant uuid := coalesce((select o.id from vicket.orgs o where o.slug = p_org and o.deleted_at is null),
    (select h.org_id from vicket.audit_heads h where p_gone and h.org_id::text = lower(p_org)));
begin
  perform set_config('app.org_id', coalesce(org::text, ''), true);
  return org;
end $$;
alter function admin.enter_org(text,boolean) owner to vicket_definer;
comment on function admin.enter_org(text,boolean) is
  'Sets the org of a command. Definer: commands are bound to one org.';
grant execute on function admin.enter_org(text,boolean) to vicket_operator;

create function admin.create_org(p_slug text, p_name text) returns uuid
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  new_id constant uuid := gen_random_uuid();
begin
  insert into vicket.orgs (id, slug, name) values (new_id, p_slug, p_name);
  return new_id;
end $$;
alter function admin.create_org(text,text) owner to vicket_definer;
comment on function admin.create_org(text,text) is 'Creates an org. Definer: commands are bound to one org.';
grant execute on function admin.create_org(text,text) to vicket_operator;

create function admin.orgs() returns table(id uuid, slug text, name text, created_at timestamp with time zone)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select coalesce(h.org_id, o.id), o.slug, o.name, o.created_at
    from vicket.audit_heads h
    full join (select l.id, l.slug, l.name, l.created_at from vicket.orgs l where l.deleted_at is null) o on o.id = h.org_id
    order by o.slug, 1;
end $$;
alter function admin.orgs() owner to vicket_definer;
comment on function admin.orgs() is
  'All orgs, the ids of those that are gone too. Definer: commands are bound to one org.';
grant execute on function admin.orgs() to vicket_operator;

create function admin.create_user(p_email text, p_name text, p_password_hash text) returns uuid
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  new_id constant uuid := gen_random_uuid();
begin
  insert into vicket.users (id, email, name, password_hash) values (new_id, lower(p_email collate "C"), p_name, p_password_hash);
  return new_id;
end $$;
alter function admin.create_user(text,text,text) owner to vicket_definer;
comment on function admin.create_user(text,text,text) is 'Creates a user. Definer: commands are bound to one org.';
grant execute on function admin.create_user(text,text,text) to vicket_operator;

create function admin.users() returns table(email text, name text, created_at timestamp with time zone, orgs text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select u.email, u.name, u.created_at,
      coalesce(
        (select string_agg(o.slug || ' (' || m.role || ')', ', ' order by o.slug)
          from vicket.members m
          join vicket.orgs o on o.id = m.org_id
          where m.user_id = u.id),
        '')
    from vicket.users u
    order by u.email;
end $$;
alter function admin.users() owner to vicket_definer;
comment on function admin.users() is 'All users, with their orgs. Definer: commands are bound to one org.';
grant execute on function admin.users() to vicket_operator;

create function admin.set_password(p_email text, p_password_hash text) returns boolean
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  person constant uuid := (select u.id from vicket.users u where u.email = lower(p_email collate "C"));
begin
  if person is null then
    return false;
  end if;
  perform vicket.take_over(person, p_password_hash);
  return true;
end $$;
alter function admin.set_password(text,text) owner to vicket_definer;
comment on function admin.set_password(text,text) is
  'Sets a password, says whether there is such a person. Definer: commands are bound to one org.';
grant execute on function admin.set_password(text,text) to vicket_operator;

create function admin.jobs() returns table(org text, kind text, subject_id uuid, actor text, total bigint, done bigint,
  created_at timestamp with time zone)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select coalesce(o.slug, j.org_id::text), j.kind, j.subject_id, j.actor, j.total, j.done, j.created_at
    from vicket.jobs j
    left join vicket.orgs o on o.id = j.org_id
    order by j.created_at;
end $$;
alter function admin.jobs() owner to vicket_definer;
comment on function admin.jobs() is 'All jobs under way. Definer: commands are bound to one org.';
grant execute on function admin.jobs() to vicket_operator;

create function admin.erase_person(p_email text, out person uuid, out entries bigint,
  out account boolean) returns record
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  org constant uuid := ctx.org_id();
  address constant text := lower(p_email collate "C");
  acted int8multirange;
  concerned int8multirange;
  entry vicket.audit_log;
begin
  person := (select u.id from vicket.users u where u.email = address);
  if exists (select from vicket.members m where m.org_id = org and m.user_id = erase_person.person) then
    raise exception 'they are a member' using errcode = 'check_violation', constraint = 'erase_no_member';
  end if;
  -- In the order of those who append: the head before its rows.
  perform from vicket.audit_heads h where h.org_id = org for update;
  acted := (
    select range_agg(int8range(l.seq, l.seq, '[]'))
    from vicket.audit_log l
    where l.org_id = org and (l.actor_id = erase_person.person or l.actor = address)
  );
  concerned := (
    select range_agg(int8range(l.seq, l.seq, '[]'))
    from vicket.audit_log l
    where l.org_id = org and exists (
      select from jsonb_each_text(coalesce(l.before, '{}') || jsonb_build_object('.', l.object_id)) f
        where f.value in (erase_person.person::text, address)
      union all
      select from jsonb_each_text(l.after) f where f.value in (erase_person.person::text, address)
    )
  );
  entries := (
    select count(*) from vicket.audit_log l where l.org_id = org and (l.seq <@ acted or l.seq <@ concerned)
  );
  if entries > 0 then
    entry.org_id := org;
    entry.actor_kind := 'cli';
    entry.actor := 'cli';
    entry.action := 'erased';
    entry.object_kind := 'person';
    entry.object_id := 'person';
    entry.after := jsonb_build_object('actor', coalesce(acted::text, '{}'), 'object', coalesce(concerned::text, '{}'));
    perform vicket.append_audit(entry);
    update vicket.audit_log l
      set actor_id = null, actor = null, actor_salt = null
      where l.org_id = org and l.seq <@ acted;
    update vicket.audit_log l
      set object_id = null, before = null, after = null, object_salt = null
      where l.org_id = org and l.seq <@ concerned;
  end if;
  delete from vicket.users u
    where u.id = erase_person.person and not exists (select from vicket.members m where m.user_id = u.id);
  account := found;
end $$;
alter function admin.erase_person(text) owner to vicket_definer;
comment on function admin.erase_person(text) is
  'Takes a person out of the audit log of the org, and their account when they are in no org; says how many entries '
  'there were. Definer: commands may change no entry.';
grant execute on function admin.erase_person(text) to vicket_operator;

create function admin.reparse_mail(p_id uuid default null::uuid) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  again bigint;
begin
  insert into vicket.tasks as t (org_id, site_id, kind, subject_id)
    select i.org_id, i.site_id, 'inbound', i.id
    from vicket.inbound_mails i
    where i.org_id = ctx.org_id() and i.raw is not null
      and case when p_id is null then i.state in ('received', 'ignored', 'failed') else i.id = p_id end
    on conflict (org_id, kind, subject_id) do update set dead_at = null, run_at = now(), attempts = 0
      where t.dead_at is not null;
  get diagnostics again = row_count;
  return again;
end $$;
alter function admin.reparse_mail(uuid) owner to vicket_definer;
comment on function admin.reparse_mail(uuid) is
  'Reads mail again; says how many. Definer: commands may not write there.';
grant execute on function admin.reparse_mail(uuid) to vicket_operator;

create function admin.forget_mail(p_address text) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.inbound_mails i
    where i.org_id = ctx.org_id() and p_address in (lower(i.author collate "C"), lower(i.mail_from collate "C"));
  get diagnostics gone = row_count;
  return gone;
end $$;
alter function admin.forget_mail(text) owner to vicket_definer;
comment on function admin.forget_mail(text) is
  'Deletes mail of a person; says how many. Definer: commands may not write there.';
grant execute on function admin.forget_mail(text) to vicket_operator;

create function admin.list_jobs() returns table(org text, kind text, subject_id uuid, actor text, total bigint,
  done bigint, created_at timestamp with time zone, attempts integer, run_at timestamp with time zone, last_error text)
  language plpgsql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select coalesce(o.slug, w.org_id::text), w.kind, w.subject_id, w.actor, w.total, w.done, w.created_at, w.attempts, w.run_at,
      w.last_error
    from (
      select j.org_id, j.kind, j.subject_id, j.actor, j.total, j.done, j.created_at, j.attempts, j.run_at, j.last_error
      from vicket.jobs j
      union all
      select r.org_id, 'retention', coalesce(r.site_id, r.org_id), 'retention', 0, 0, r.updated_at, r.attempts, r.run_at, r.last_error
      from vicket.retention r
      where r.attempts > 0
    ) w
    left join vicket.orgs o on o.id = w.org_id
    order by w.created_at;
end $$;
alter function admin.list_jobs() owner to vicket_definer;
comment on function admin.list_jobs() is
  'All jobs under way, and retention that fails. Definer: commands are bound to one org.';
grant execute on function admin.list_jobs() to vicket_operator;

create function admin.forget_customer(p_address text) returns bigint
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  gone bigint;
begin
  delete from vicket.customers c where c.org_id = ctx.org_id() and lower(c.email collate "C") = p_address;
  get diagnostics gone = row_count;
  return gone;
end $$;
alter function admin.forget_customer(text) owner to vicket_definer;
comment on function admin.forget_customer(text) is
  'Deletes whom a site vouched for; says how many. Definer: commands may not write there.';
grant execute on function admin.forget_customer(text) to vicket_operator;
