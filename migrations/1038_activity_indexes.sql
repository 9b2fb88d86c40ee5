-- vicket: no transaction
-- The inbox, of all sites and of one, in the order of what was said last.
create index concurrently if not exists tickets_activity on vicket.tickets (org_id, last_activity_at desc, id desc);
create index concurrently if not exists tickets_activity_of_site on vicket.tickets
  (org_id, site_id, last_activity_at desc, id desc);
-- Nobody asks in this order any more.
drop index concurrently if exists vicket.tickets_newest;
