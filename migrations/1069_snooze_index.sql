-- vicket: no transaction
-- What is snoozed, and what just came back.
create index concurrently if not exists tickets_snoozed on vicket.tickets (org_id, snoozed_until)
  where snoozed_until is not null;
