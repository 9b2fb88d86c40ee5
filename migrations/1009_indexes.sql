-- vicket: no transaction
-- Led by the tenant's mark, as ctx.words_of_org makes it. A write pays for its own words, and for nobody's before it.
create index concurrently if not exists tickets_words on vicket.tickets
  using gin (ctx.words_of_org(org_id, search)) with (fastupdate = off);
create index concurrently if not exists ticket_messages_words on vicket.ticket_messages
  using gin (ctx.words_of_org(org_id, search)) with (fastupdate = off);
-- Whether a site has an article of its own of this slug. As small as the other index of what is published, for which it
-- would be taken else: in a site of 8,000 articles that read all of them.
create index concurrently if not exists articles_published_slug on vicket.articles (org_id, slug, site_id)
  where status = 'published';
