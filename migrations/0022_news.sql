-- The dashboard asks every few seconds whether any ticket of an org changed: the last one must be found without reading
-- the others.

set local role vicket_owner;
create index tickets_changed on vicket.tickets (org_id, updated_at desc);
-- Its start page shows what was solved day by day.
create index ticket_events_recent on vicket.ticket_events (org_id, at desc);
reset role;
