-- Policies, triggers and constraints, against those that the migrations of this program make, by the digests of their
-- definitions; functions' bodies are in functions.sql. As there, what a newer program migrated is that program's to judge.
-- Some have two: PostgreSQL writes what a dump was restored from with other parentheses than what the migrations wrote.
select 'object-missing' as id, r.oid as relation, format('%s %s on %s', s.kind, s.name, s.of) as object,
  'is in the migrations and not in the database' as what,
  'vicket migrate -- or, where somebody dropped it, its text in migrations/SCHEMA.sql' as mend
from (select distinct kind, of, name from shipped) s
left join relation r on r.name = s.of
where s.kind <> 'function' and not exists (select from newer)
  and not exists (select from object o where (o.kind, o.of, o.name) = (s.kind, s.of, s.name))
union all
-- PostgreSQL passes on to partitions what a trigger does for each row, and not what it does for a statement.
select 'object-missing', r.oid, format('trigger %s on %s', t.tgname, r.name),
  'is on the partitioned table, and not or not so on its partition',
  replace(pg_get_triggerdef(t.oid), ' ON ' || t.tgrelid::regclass, ' ON ' || r.name) || ';'
from pg_trigger t
join pg_inherits i on i.inhparent = t.tgrelid
join relation r on r.oid = i.inhrelid
where not t.tgisinternal and t.tgtype & 1 = 0 and not exists (select from pg_trigger o
  where (o.tgrelid, o.tgname, o.tgtype, o.tgfoid) = (r.oid, t.tgname, t.tgtype, t.tgfoid))
union all
select case s.kind when 'function' then 'function-body' else 'object-changed' end, o.relation,
  case s.kind when 'function' then format('%s.%s', s.of, s.name) else format('%s %s on %s', s.kind, s.name, s.of) end,
  case s.kind when 'function' then 'its arguments or its result are not those of the migrations'
    else 'is not the one of the migrations' end || ': ' || o.definition,
  'as migrations/SCHEMA.sql has it'
from (select kind, of, name, array_agg(digest) as digests from shipped group by kind, of, name) s
join object o on (o.kind, o.of, o.name) = (s.kind, s.of, s.name)
where left(encode(sha256(convert_to(o.definition, 'UTF8')), 'hex'), 32) <> all (s.digests) and not exists (select from newer)
union all
select 'object-unknown', o.relation, format('%s %s on %s', o.kind, o.name, o.of), 'is in no migration',
  format('drop %s %I on %s;', o.kind, o.name, o.of)
from object o
join relation r on r.oid = o.relation and r.schema = 'vicket' and not r.is_partition
where o.kind in ('policy', 'trigger') and not exists (select from newer)
  and not exists (select from shipped s where (s.kind, s.of, s.name) = (o.kind, o.of, o.name))
