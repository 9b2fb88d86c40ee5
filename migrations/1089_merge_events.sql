-- What happened to a ticket may be that it became part of another, or another part of it.
set local role vicket_owner;
-- Another in its place.
-- squawk-ignore ban-drop-constraint
alter table vicket.ticket_events drop constraint ticket_events_kind_known;
alter table vicket.ticket_events
  add constraint ticket_events_kind_known
  check (kind in ('status', 'priority', 'assignee', 'tag', 'snooze', 'merge', 'merged')) not valid;
comment on table vicket.ticket_events is
  'Changes of a ticket''s status, priority, assignee and tags, by name, as they were then; until when it was snoozed; what it became part of (merged), and what became part of it (merge), by reference.';
reset role;
