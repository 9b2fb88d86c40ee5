-- vicket: no transaction
-- What there is to do: the views are counted among these, and not among all that ever was.
create index concurrently if not exists tickets_unresolved on vicket.tickets (org_id, last_activity_at desc, id desc)
  where status <> all (array['resolved', 'closed']);
