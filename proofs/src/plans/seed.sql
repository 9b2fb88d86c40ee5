-- Many tenants' rows, by the settings `seed.orgs`, `seed.sites`, `seed.rows` (of one site) and `seed.large` (tickets more of
-- one of the sites, `seed.large_site`). Digests are those of texts that the guard knows too. Triggers and foreign keys make
-- the orgs and sleep for the rest.
insert into vicket.orgs (slug, name)
  select 'org-' || n, 'Org ' || n from generate_series(1, current_setting('seed.orgs')::int) as n;

set session_replication_role = replica;

create temporary table org as
  select o.id, substr(o.slug, 5)::int as n,
    array(select s.id from vicket.statuses s where s.org_id = o.id order by s.position) as statuses,
    array(select s.category from vicket.statuses s where s.org_id = o.id order by s.position) as categories,
    array(select p.id from vicket.priorities p where p.org_id = o.id order by p.position) as priorities
  from vicket.orgs o;

insert into vicket.sites (org_id, slug, name, prefix)
  select o.id, 'site-' || s.k, 'Site ' || s.k, 'S' || translate(to_char(s.k, 'FM000000'), '0123456789', 'ABCDEFGHIJ')
  from generate_series(1, current_setting('seed.sites')::int) as s (k)
  join org o on o.n = (s.k - 1) % current_setting('seed.orgs')::int + 1;
create temporary table site as
  select o.id as org_id, s.id, substr(s.slug, 6)::int as n, o.statuses, o.categories, o.priorities
  from vicket.sites s join org o on o.id = s.org_id;

insert into vicket.site_keys (org_id, site_id, key_hash, hint, state, activated_at, revoked_at)
  select s.org_id, s.id, sha256((k.kind || ' key of site ' || s.n)::bytea), 'abcd', k.state, now(), k.revoked_at
  from site s, (values ('active', 'active', null), ('old', 'revoked', now())) as k (kind, state, revoked_at);
insert into vicket.site_origins (org_id, site_id, origin)
  select s.org_id, s.id, 'https://' || k || '.site-' || s.n || '.example' from site s, generate_series(1, 2) as k
  union all select s.org_id, s.id, 'http://localhost:5173' from site s;
insert into vicket.refused_origins (org_id, site_id, origin, times, first_seen, last_seen)
  select s.org_id, s.id, 'https://' || k || '.refused-' || s.n || '.example', k, now(), now()
  from site s, generate_series(1, 5) as k;

-- Twenty people an org, each logged in; the second is in a team of two sites.
insert into vicket.users (email, name)
  select 'person-' || k || '@org-' || o.n || '.example', 'Person ' || k from org o, generate_series(1, 20) as k;
create temporary table person as
  select u.id, u.email, o.id as org_id, substring(u.email from 'person-(\d+)')::int as k
  from vicket.users u join org o on o.n = substring(u.email from 'org-(\d+)')::int;
-- And people of orgs that are not here.
insert into vicket.users (email, name) select 'stranger-' || k || '@example.com', 'Stranger' from generate_series(1, 20000) as k;
insert into vicket.members (org_id, user_id, role)
  select org_id, id, case when k = 1 then 'owner' else 'agent' end from person;
insert into vicket.sessions (user_id, token_hash) select id, sha256(('session of ' || email)::bytea) from person;
insert into vicket.machine_keys (org_id, name, key_hash, hint, permissions, created_by)
  select org_id, 'Key ' || k, sha256(('machine key of ' || email)::bytea), 'abcd', '{ticket:read}', id from person;
insert into vicket.teams (org_id, name) select id, 'Team ' || k from org, generate_series(1, 3) as k;
insert into vicket.team_members (org_id, team_id, user_id)
  select t.org_id, t.id, p.id from vicket.teams t join person p on p.org_id = t.org_id and p.k in (2, 3, 4, 5);
insert into vicket.team_sites (org_id, team_id, site_id)
  select t.org_id, t.id, s.id
  from vicket.teams t
  join (select *, row_number() over (partition by org_id order by n) as place from site) s
    on s.org_id = t.org_id and s.place < 3;

insert into vicket.templates (org_id, name) select id, 'Form ' || k from org, generate_series(1, 3) as k;
insert into vicket.template_sites (org_id, template_id, site_id)
  select t.org_id, t.id, s.id from vicket.templates t join site s on s.org_id = t.org_id;
insert into vicket.template_questions (org_id, template_id, label, type, position)
  select org_id, id, 'Question ' || k, 'select', k from vicket.templates, generate_series(1, 4) as k;
insert into vicket.template_options (org_id, template_id, question_id, label, position)
  select org_id, template_id, id, 'Option ' || k, k from vicket.template_questions, generate_series(1, 3) as k;

insert into vicket.saved_replies (org_id, name, body, updated_by)
  select id, 'Reply ' || k, 'Words of help', 'cli' from org, generate_series(1, 20) as k;
insert into vicket.tags (org_id, name) select id, 'tag ' || k from org, generate_series(1, 20) as k;
insert into vicket.missed_searches (org_id, site_id, day, search, times)
  select s.org_id, s.id, current_date - d, 'search ' || k, k from site s, generate_series(0, 20) as d, generate_series(1, 5) as k;
insert into vicket.site_key_origins (org_id, site_id, key_id, origin, last_used_at)
  select k.org_id, k.site_id, k.id, 'https://' || n || '.example', now() from vicket.site_keys k, generate_series(1, 5) as n;

-- What there is most of. Of a hundred rows of a site: 5 articles, 2 FAQs, 20 tickets with a token each, 40 messages,
-- 9 events, 2 answers, 1 attachment, 1 submission.
create temporary table many as
  select s.*, k, now() - k * interval '3 hours' - s.n * interval '1 second' as at
  from site s, generate_series(1, greatest(20, current_setting('seed.rows')::int / 5)) as k;
-- Their words are written by this trigger alone.
alter table vicket.articles enable always trigger help_written;
alter table vicket.faqs enable always trigger help_written;
insert into vicket.articles (org_id, site_id, slug, title, excerpt, body_markdown, body_html, status, published_at, view_count)
  select org_id, id, 'article-' || k, 'How to ' || k, 'About ' || k, 'Words ' || k || ' of help ' || k % 17, '<p>Words</p>',
    case when k % 5 = 0 then 'draft' else 'published' end, at, k
  from many where k % 4 = 1;
insert into vicket.articles (org_id, slug, title, body_markdown, status, published_at)
  select id, 'everywhere-' || k, 'Everywhere ' || k, 'Words of help', 'published', now() from org, generate_series(1, 5) as k;
insert into vicket.faqs (org_id, site_id, question, answer_markdown, answer_html, position, status)
  select org_id, id, 'Question ' || k, 'Yes.', '<p>Yes.</p>', k, case when k % 5 = 0 then 'draft' else 'published' end from many where k % 10 = 1;
insert into vicket.faqs (org_id, question, answer_markdown, answer_html, position, status)
  select id, 'Everywhere ' || k, 'Yes.', '<p>Yes.</p>', k, 'published' from org, generate_series(1, 3) as k;
insert into vicket.tickets
  (org_id, site_id, number, email, name, subject, status, created_at, updated_at, status_id, priority_id, assignee_id)
  select m.org_id, m.id, k, 'customer-' || (k - (k % 10 = 5)::int) || '@example.com', 'Customer ' || k, 'Subject ' || k, m.categories[k % 4 + 1],
    at, at, m.statuses[k % 4 + 1], m.priorities[k % 4 + 1],
    case when k % 3 = 0 then (select p.id from person p where p.org_id = m.org_id and p.k = 2) end
  from many m;
-- A tenant that is many times the others: what the planner knows of the average is wrong of it. A ticket each five minutes, an
-- article to ten of them.
insert into vicket.tickets
  (org_id, site_id, number, email, name, subject, status, created_at, updated_at, status_id, priority_id)
  select s.org_id, s.id, 1000000 + k, 'customer-' || (k - (k % 10 = 5)::int) || '@example.com', 'Customer ' || k, 'Subject ' || k, s.categories[k % 4 + 1],
    at, at, s.statuses[k % 4 + 1], s.priorities[k % 4 + 1]
  from site s, generate_series(1, current_setting('seed.large')::int) as k, lateral (select now() - k * interval '5 minutes' as at) at
  where 'site-' || s.n = current_setting('seed.large_site');
insert into vicket.articles (org_id, site_id, slug, title, excerpt, body_markdown, body_html, status, published_at, view_count, created_at)
  select s.org_id, s.id, 'more-' || k, 'How to ' || k, 'About ' || k, 'Words ' || k || ' of help ' || k % 17, '<p>Words</p>',
    case when k % 5 = 0 then 'draft' else 'published' end, at, k, at
  from site s, generate_series(1, current_setting('seed.large')::int / 10) as k,
    lateral (select now() - k * interval '1 hour' as at) at
  where 'site-' || s.n = current_setting('seed.large_site');
insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, author_name, body, internal, created_at)
  select t.org_id, t.site_id, t.id, case when k = 1 then 'customer' else 'agent' end, 'Somebody',
    'Words ' || t.number || ' about ' || t.number % 23, k = 2 and t.number % 4 = 0, t.created_at + k * interval '1 hour'
  from vicket.tickets t, generate_series(1, 2) as k;
insert into vicket.ticket_tokens (org_id, site_id, ticket_id, token_hash)
  select org_id, site_id, id, sha256(('token of ' || id)::bytea) from vicket.tickets;
insert into vicket.ticket_events (org_id, site_id, ticket_id, at, actor, kind, before, after)
  select org_id, site_id, id, created_at + interval '1 day', 'somebody', 'status', 'Open', 'Resolved'
  from vicket.tickets where number % 9 > 4;
-- One tag that is common, one that is not, and twenty a ticket has one of.
insert into vicket.ticket_tags (org_id, site_id, ticket_id, tag_id)
  select t.org_id, t.site_id, t.id, g.id
  from vicket.tickets t
  join vicket.tags g on g.org_id = t.org_id and g.name in ('tag ' || t.number % 20, case when t.number % 3 = 0 then 'tag 20' end);
-- Some are part of the one before, some hundreds came by mail in conversations of four.
insert into vicket.ticket_merges (org_id, site_id, ticket_id, into_id)
  select t.org_id, t.site_id, t.id, w.id
  from vicket.tickets t join vicket.tickets w on w.org_id = t.org_id and w.site_id = t.site_id and w.number = t.number - 1
  where t.number % 10 = 5;
insert into vicket.inbound_mails
  (org_id, site_id, recipient, mail_from, message_digest, content_digest, thread_digest, state, ticket_id)
  select t.org_id, t.site_id, 'in@example.com', t.email, sha256(t.id::text::bytea), sha256(t.id::text::bytea),
    sha256((t.site_id::text || t.number / 4)::bytea), 'filed', t.id
  from vicket.tickets t where t.number % 3 < 2;
update vicket.tickets set snoozed_until = now() + interval '1 day' where number % 50 = 0;
insert into vicket.ticket_answers (org_id, site_id, ticket_id, position, label, value, points)
  select org_id, site_id, id, 1, 'Question', 'Answer', 0 from vicket.tickets where number % 10 = 0;
insert into vicket.attachments (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content)
  select m.org_id, m.site_id, m.ticket_id, m.id, m.id, 'note.txt', 'text/plain', 1, 'x'
  from vicket.ticket_messages m
  join vicket.tickets t on t.org_id = m.org_id and t.site_id = m.site_id and t.id = m.ticket_id
  where m.author = 'customer' and t.number % 20 = 4;
insert into vicket.submissions (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
  select org_id, site_id, sha256(id::text::bytea), sha256('x'), 'ticket', id, id from vicket.tickets where number % 20 = 0;
insert into vicket.customers (org_id, site_id, subject, email)
  select s.org_id, s.id, 'user-' || k, 'customer-' || k || '@example.com' from site s, generate_series(1, 19) k;
insert into vicket.customer_sessions (org_id, site_id, token_hash, customer_id, jti_hash)
  select c.org_id, c.site_id, sha256(('session of ' || s.n || ' ' || c.subject)::bytea), c.id, sha256(c.id::text::bytea)
  from vicket.customers c join site s on s.id = c.site_id;
update vicket.tickets t set customer_id = c.id
  from vicket.customers c where c.org_id = t.org_id and c.site_id = t.site_id and c.subject = 'user-' || t.number % 40;
insert into vicket.audit_log (org_id, seq, at, actor_kind, actor, actor_salt, actor_digest, action, object_kind, object_id,
    object_salt, object_digest, prev_hash, hash)
  select id, 100 + k, now(), 'cli', 'cli', 'x', sha256('x'), 'updated', 'site', k::text, 'x', sha256('x'), sha256('x'), sha256('y')
  from org, generate_series(1, 100) as k;

drop table org, site, person, many;
alter table vicket.articles enable trigger help_written;
alter table vicket.faqs enable trigger help_written;
reset session_replication_role;
vacuum (analyze);
