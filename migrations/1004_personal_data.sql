-- Of every column of text: whether it holds what says something of a person. What an org writes of itself (its articles, names
-- of its teams, settings) is none; whom an entry names is one, in a copy as in the first place. The lint
-- personal-data-unsaid keeps it so; docs/retention.md says how long each is kept.
set local role vicket_owner;

-- `vicket person export` reads what customers answered and sent.
create policy operator_select on vicket.attachments for select to vicket_operator
  using (org_id = (select ctx.org_id()));
create policy operator_select on vicket.ticket_answers for select to vicket_operator
  using (org_id = (select ctx.org_id()));
grant select (org_id, site_id, id, ticket_id, message_id, name, content_type, size, content, object_key, created_at)
  on vicket.attachments to vicket_operator;
grant select (org_id, site_id, ticket_id, position, label, value) on vicket.ticket_answers to vicket_operator;
grant select (name, updated_at) on vicket.saved_replies to vicket_operator;
comment on policy operator_select on vicket.attachments is 'vicket person export, after admin.enter_org.';
comment on policy operator_select on vicket.ticket_answers is 'vicket person export, after admin.enter_org.';

comment on column vicket.role_permissions.role is 'No personal data.';
comment on column vicket.role_permissions.permission is 'No personal data.';
comment on column vicket.audit_log.actor_kind is 'No personal data.';
comment on column vicket.audit_log.actor is
  'As people call them; NULL once they are erased, as are actor_id and actor_salt. Personal data.';
comment on column vicket.audit_log.action is 'No personal data.';
comment on column vicket.audit_log.object_kind is 'No personal data.';
comment on column vicket.audit_log.object_id is
  'NULL once it is erased, as are before, after and object_salt. Personal data.';
comment on column vicket.audit_log.before is 'Personal data.';
comment on column vicket.audit_log.after is 'Personal data.';
comment on column vicket.audit_log.request_id is 'No personal data.';
comment on column vicket.orgs.slug is 'In URLs and on the command line; never changes. No personal data.';
comment on column vicket.orgs.name is 'No personal data.';
comment on column vicket.users.email is 'Lower case, unique across orgs. Personal data.';
comment on column vicket.users.name is 'Personal data.';
comment on column vicket.users.password_hash is
  'argon2id in PHC form; compared by functions of the schema auth, returned by none. Personal data.';
comment on column vicket.members.role is 'No personal data.';
comment on column vicket.invitations.email is 'Personal data.';
comment on column vicket.invitations.role is 'No personal data.';
comment on column vicket.invitations.invited_by is 'Personal data.';
comment on column vicket.machine_keys.name is 'No personal data.';
comment on column vicket.machine_keys.hint is 'No personal data.';
comment on column vicket.machine_keys.permissions is
  'What the key was given; ctx.actor takes away what its creator may not do now. No personal data.';
comment on column vicket.sites.slug is 'No personal data.';
comment on column vicket.sites.name is 'No personal data.';
comment on column vicket.sites.prefix is
  'Begins the references of its tickets, APP-21; unique in the org. No personal data.';
comment on column vicket.site_origins.origin is
  'In the form browsers send: lower case, punycode, no default port. No personal data.';
comment on column vicket.refused_origins.origin is 'No personal data.';
comment on column vicket.site_keys.hint is 'The last four characters of the key, to recognise it by. No personal data.';
comment on column vicket.site_keys.state is
  'active, staged (works beside the active one until a rotation promotes it) or revoked. No personal data.';
comment on column vicket.site_keys.created_by is 'Personal data.';
comment on column vicket.site_key_origins.origin is
  'Empty for requests without one: servers and tools. No personal data.';
comment on column vicket.articles.slug is 'No personal data.';
comment on column vicket.articles.title is 'No personal data.';
comment on column vicket.articles.excerpt is 'No personal data.';
comment on column vicket.articles.body_markdown is 'No personal data.';
comment on column vicket.articles.body_html is
  'body_markdown, rendered and sanitised when it was written. No personal data.';
comment on column vicket.articles.status is 'No personal data.';
comment on column vicket.articles.created_by is 'Who wrote it first, as ctx.actor_name calls them. Personal data.';
comment on column vicket.articles.updated_by is 'Who changed it last; set by trigger, with updated_at. Personal data.';
comment on column vicket.articles.search is
  'Full-text document: title, excerpt, body, in that order of weight. No personal data.';
comment on column vicket.faqs.question is 'No personal data.';
comment on column vicket.faqs.answer_markdown is 'No personal data.';
comment on column vicket.faqs.answer_html is 'No personal data.';
comment on column vicket.faqs.status is 'No personal data.';
comment on column vicket.faqs.created_by is 'Personal data.';
comment on column vicket.faqs.updated_by is 'Personal data.';
comment on column vicket.statuses.name is 'No personal data.';
comment on column vicket.statuses.category is 'No personal data.';
comment on column vicket.priorities.name is 'No personal data.';
comment on column vicket.teams.name is 'No personal data.';
comment on column vicket.tickets.email is 'Personal data.';
comment on column vicket.tickets.name is 'Personal data.';
comment on column vicket.tickets.subject is 'Personal data.';
comment on column vicket.tickets.status is
  'The category of status_id; kept by trigger, and all that customers are told. No personal data.';
comment on column vicket.tickets.template_name is
  'The form that was filled in, as it was called then. No personal data.';
comment on column vicket.tickets.search is
  'Full-text document: subject, e-mail and name, as they are written. Personal data.';
comment on column vicket.submissions.kind is 'No personal data.';
comment on column vicket.ticket_events.actor is 'An e-mail, `machine key NAME`, `cli`, or `customer`. Personal data.';
comment on column vicket.ticket_events.kind is 'No personal data.';
comment on column vicket.ticket_events.before is 'Personal data.';
comment on column vicket.ticket_events.after is 'Personal data.';
comment on column vicket.ticket_messages.author is 'No personal data.';
comment on column vicket.ticket_messages.author_name is 'Personal data.';
comment on column vicket.ticket_messages.body is 'Personal data.';
comment on column vicket.ticket_messages.search is 'Full-text document of the body, as it is written. Personal data.';
comment on column vicket.templates.name is 'No personal data.';
comment on column vicket.templates.description is 'No personal data.';
comment on column vicket.template_questions.label is 'No personal data.';
comment on column vicket.template_questions.type is 'No personal data.';
comment on column vicket.template_options.label is 'No personal data.';
comment on column vicket.ticket_answers.label is 'No personal data.';
comment on column vicket.ticket_answers.value is 'Personal data.';
comment on column vicket.attachments.name is
  'As its writer called it, without folders and control characters; never a path of ours. Personal data.';
comment on column vicket.attachments.content_type is
  'By content, never by name; what is not in the list is application/octet-stream. No personal data.';
comment on column vicket.attachments.content is 'Its bytes; NULL when an object store holds them. Personal data.';
comment on column vicket.attachments.object_key is
  'ORG/SITE/random in the object store; reserved in object_removals before it is written. No personal data.';
comment on column vicket.object_removals.object_key is 'No personal data.';
comment on column vicket.saved_replies.name is 'No personal data.';
comment on column vicket.saved_replies.body is
  'Plain text; {customer}, {ticket} and {agent} are filled in on use. No personal data.';
comment on column vicket.saved_replies.updated_by is
  'Who changed it last (ctx.actor_name); by trigger, as updated_at. Personal data.';
comment on column vicket.missed_searches.search is
  'In lower case, white space made one; its first 100 characters. Personal data.';
comment on column vicket.jobs.kind is 'No personal data.';
comment on column vicket.jobs.actor is 'Who began it, as ctx.actor_name calls them. Personal data.';

reset role;
