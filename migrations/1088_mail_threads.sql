-- What a mail's conversation began with, by its own word: tickets of one customer whose mails say the same are shown to agents as
-- what may belong together. Nothing is filed by it.
set local role vicket_owner;
alter table vicket.inbound_mails add column thread_digest bytea;
alter table vicket.inbound_mails
  add constraint inbound_mails_thread_digest_length check (octet_length(thread_digest) = 32) not valid;
comment on column vicket.inbound_mails.thread_digest is
  'SHA-256 of the first Message-ID that it refers to, or of its own. NULL: it came before this was kept.';
grant insert (thread_digest) on vicket.inbound_mails to vicket_mail;
grant select (thread_digest) on vicket.inbound_mails to vicket_agent;
reset role;
