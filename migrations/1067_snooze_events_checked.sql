-- vicket: no transaction
alter table vicket.ticket_events validate constraint ticket_events_kind_known;
