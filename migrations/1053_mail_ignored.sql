-- vicket: no transaction
-- What came in by itself and triggered nothing is listed, a site's newest first.
create index concurrently if not exists inbound_mails_ignored on vicket.inbound_mails (org_id, site_id, received_at desc, id desc)
  where state = 'ignored';
