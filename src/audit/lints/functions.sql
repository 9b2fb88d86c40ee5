-- Functions.
select 'definer-search-path' as id, null::oid as relation, f.name as object,
  'runs as its owner, with ' || coalesce(nullif(array_to_string(f.settings, ', '), ''), 'the caller''s search_path') as what,
  format('alter function %s set search_path = pg_catalog, pg_temp;', f.name) as mend
from func f where f.definer and not ('search_path=pg_catalog, pg_temp' = any (coalesce(f.settings, '{}')))
union all
select 'definer-owner', null, f.name, 'runs as ' || pg_get_userbyid(f.owner) || ', not as vicket_definer',
  format('alter function %s owner to vicket_definer;', f.name)
from func f where f.definer and pg_get_userbyid(f.owner) <> 'vicket_definer'
union all
select 'definer-language', null, f.name, 'is written in ' || f.language || ', which is planned at each call or runs outside the database''s rules',
  format('create or replace function %s ... language plpgsql', f.name)
from func f where f.definer and f.language <> 'plpgsql'
union all
select 'definer-dynamic', null, f.name, 'runs as its owner, and builds statements from text',
  format('create or replace function %s ... -- without EXECUTE', f.name)
from func f where f.definer and f.source ~* '(^|[;[:space:]])execute[[:space:]]'
union all
select 'function-public', null, f.name, 'PUBLIC may execute it',
  format('revoke execute on function %s from public;', f.name)
from func f
where exists (select from aclexplode(f.acl) a where a.grantee = 0)
union all
select 'function-grant', null, f.name, role.name || ' may execute it, and has no business in the schema ' || f.schema,
  format('revoke execute on function %s from %s;', f.name, role.name)
from func f
cross join lateral aclexplode(f.acl) a
join role on role.oid = a.grantee and role.kind <> 'owner'
where a.grantee <> f.owner
  and not case f.schema
    when 'auth' then role.name in ('vicket_gate_widget', 'vicket_gate_agent', 'vicket_gate_mail', 'vicket_definer')
    when 'worker' then role.name in ('vicket_worker', 'vicket_definer')
    when 'admin' then role.name in ('vicket_operator', 'vicket_definer')
    when 'ctx' then role.kind in ('request', 'operator', 'definer')
    when 'audit' then role.kind = 'auditor'
    when 'vicket' then role.kind = 'definer'
    else false
  end
union all
select 'context-immutable', null, f.name, 'reads the context and is marked IMMUTABLE',
  format('alter function %s stable;', f.name)
from func f
where f.volatility = 'i'
  and coalesce(pg_get_function_sqlbody(f.oid), f.source)
    ~* 'current_setting|ctx\.|auth\.|vicket\.|current_user|session_user|\mexecute\M'
union all
select 'function-leakproof', null, f.name, 'is marked LEAKPROOF: it is run on rows before the policies are asked',
  format('alter function %s not leakproof;', f.name)
from func f where f.leakproof
union all
select 'function-untrusted', null, f.name, 'is written in ' || f.language || ', which no privilege of the database bounds',
  format('drop function %s;', f.name)
from func f where not f.trusted and f.language not in ('sql', 'internal') or f.language = 'internal'
union all
-- What a function is, against the text of the migrations that this program has. A database that a newer program migrated
-- is that program's to judge: servers of before go on while it is rolled out.
select 'function-body', null, f.name,
  case when f.shape <> m.shape then 'is ' || f.shape || ', and the migrations say ' || m.shape
    else 'its body is not the one of the migrations' end,
  format('create or replace function %s ... -- as its file in migrations/ has it', f.name)
from migrated m
join func f on (f.schema, f.bare, f.arguments) = (m.schema, m.name, m.arguments)
where (f.shape <> m.shape or encode(sha256(convert_to(f.source, 'UTF8')), 'hex') <> m.digest)
  and not exists (select from newer)
union all
select 'function-unknown', null, f.name, 'is in no migration', format('drop function %s;', f.name)
from func f
where f.schema in ('vicket', 'ctx', 'auth', 'worker', 'admin', 'audit')
  and not exists (select from migrated m where (m.schema, m.name, m.arguments) = (f.schema, f.bare, f.arguments))
  and not exists (select from newer)
union all
select 'function-missing', null, format('%I.%I(%s)', m.schema, m.name, m.arguments), 'is in the migrations and not in the database',
  'vicket migrate -- or, where somebody dropped it, its text in migrations/'
from migrated m
where not exists (select from func f where (f.schema, f.bare, f.arguments) = (m.schema, m.name, m.arguments))
  and not exists (select from newer)
union all
select 'function-newer', null, 'database ' || current_database(),
  'migration ' || n.last || ' was the last, and this program knows ' || r.last || ': it judges neither functions nor objects nor bounds',
  'vicket audit -- of the release that migrated it'
from newer n cross join release r
