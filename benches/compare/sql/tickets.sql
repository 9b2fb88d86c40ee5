-- An org of ten sites with `seed.tickets` tickets in all, of two messages each, one every five minutes; and its owner, who
-- is logged in ten times. Of a thousand tickets one asks about an invoice, and each of the
-- oldest twentieth about a gramophone; all say hello.
set session_replication_role = replica;

insert into vicket.users (email, name) values ('owner@example.com', 'Owner');
insert into vicket.members (org_id, user_id, role) select o.id, u.id, 'owner' from vicket.orgs o, vicket.users u;
insert into vicket.sessions (user_id, token_hash) select id, sha256(('vs_bench_' || k)::bytea) from vicket.users, generate_series(0, 9) as k;

create temporary table workflow as
  select o.id as org_id,
    array(select s.id from vicket.statuses s where s.org_id = o.id order by s.position) as statuses,
    array(select s.category from vicket.statuses s where s.org_id = o.id order by s.position) as categories,
    array(select p.id from vicket.priorities p where p.org_id = o.id order by p.position) as priorities
  from vicket.orgs o;
insert into vicket.tickets
  (org_id, site_id, number, email, name, subject, status, created_at, updated_at, status_id, priority_id)
  select w.org_id, s.id, k, 'customer-' || k % 5000 || '@example.com', 'Customer ' || k % 5000, 'Subject ' || k,
    w.categories[k % 4 + 1], at, at, w.statuses[k % 4 + 1], w.priorities[k % 4 + 1]
  from workflow w, generate_series(1, current_setting('seed.tickets')::int) as k
  join site s on s.n = k % 10 + 1,
    lateral (select now() - k * interval '5 minutes' as at) at;
insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, author_name, body, internal, created_at)
  select t.org_id, t.site_id, t.id, case when k = 1 then 'customer' else 'agent' end, 'Somebody',
    'Hello. ' || case when t.number % 1000 = 0 then 'This is about an invoice. ' else '' end
      || case when t.number > current_setting('seed.tickets')::int * 0.95 then 'The gramophone. ' else '' end || p.words, false,
    t.created_at + k * interval '1 minute'
  from vicket.tickets t, generate_series(1, 2) as k, paragraph p
  where p.p = (t.number * 2 + k) % 503;
insert into vicket.ticket_tokens (org_id, site_id, ticket_id, token_hash)
  select org_id, site_id, id, sha256(('token of ' || id)::bytea) from vicket.tickets;
insert into vicket.ticket_events (org_id, site_id, ticket_id, at, actor, kind, before, after)
  select org_id, site_id, id, created_at + interval '3 minutes', 'somebody', 'status', 'Open', 'Resolved'
  from vicket.tickets where number % 2 = 0;

reset session_replication_role;
vacuum (analyze);
