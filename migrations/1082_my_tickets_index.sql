-- vicket: no transaction
-- Those of a customer, the newest first.
create index concurrently if not exists tickets_of_customer on vicket.tickets (org_id, site_id, customer_id, created_at desc, id desc)
  where customer_id is not null;
