-- vicket: no transaction
alter table vicket.ticket_events validate constraint ticket_events_kind_known;
alter table vicket.inbound_mails validate constraint inbound_mails_thread_digest_length;
-- Mails of one conversation that are part of tickets.
create index concurrently if not exists inbound_mails_of_thread on vicket.inbound_mails (org_id, site_id, thread_digest)
  where ticket_id is not null;
