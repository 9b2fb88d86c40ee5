-- vicket: no transaction
-- Led by the tenant's mark, as ctx.words_of_org makes it. A write pays for its own words, and for nobody's before it.
create index concurrently if not exists tickets_words on vicket.tickets
  using gin (ctx.words_of_org(org_id, search)) with (fastupdate = off);
create index concurrently if not exists ticket_messages_words on vicket.ticket_messages
  using gin (ctx.words_of_org(org_id, search)) with (fastupdate = off);
