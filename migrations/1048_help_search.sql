-- Searching what is published, as 1035_reads.sql reads it: each a statement in one round trip, with the rights of its caller.
set local role vicket_owner;

-- A page of the articles that a search finds, in one of the orders of auth.read_articles. What is found is each document's to
-- say, so no index gives an order; p_key and p_id are the place that a cursor names.
create function auth.search_articles(
  p_key_hash bytea, p_origin_hash bytea, p_order text, p_key bigint, p_id uuid, p_most bigint, p_search text
) returns setof auth.read_article language plpgsql volatile as $$
declare
  answer auth.read_article;
  sought tsquery;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  sought := (select ctx.sought_in_help(s.language, p_search) from vicket.sites s where s.id = (select ctx.site_id()));
  return query
    select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.key,
      null::text, null::text
    from (
      select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
        -- A rank is a float4; scaled to a bigint it sorts the same way and survives a cursor.
        case p_order
          when 'newest' then (extract(epoch from a.published_at) * 1000000)::bigint
          when 'popular' then a.popularity
          else (ts_rank(a.words, sought) * 1000000000)::bigint
        end as key
      from (
        select own.id, own.slug, own.title, own.excerpt, own.view_count, own.popularity, own.published_at, own.updated_at,
            own.words
          from vicket.articles own where own.site_id = (select ctx.site_id())
        union all
        select shared.id, shared.slug, shared.title, shared.excerpt, shared.view_count, shared.popularity,
            shared.published_at, shared.updated_at, shared.words
          from vicket.articles shared
          where shared.site_id is null and not exists (
            select from vicket.articles own where own.slug = shared.slug and own.site_id = (select ctx.site_id())
          )
      ) a
      where a.words @@ sought
    ) p
    where p_key is null or (p.key, p.id) < (p_key, p_id)
    order by p.key desc, p.id desc
    limit p_most;
end $$;

-- The FAQs that a search finds, the best match first.
create function auth.search_faqs(p_key_hash bytea, p_origin_hash bytea, p_most bigint, p_search text)
  returns setof auth.read_faq language plpgsql volatile as $$
declare
  answer auth.read_faq;
  sought tsquery;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  sought := (select ctx.sought_in_help(s.language, p_search) from vicket.sites s where s.id = (select ctx.site_id()));
  return query
    select answer.entry, f.id, f.question, f.answer_markdown, f.answer_html, f.position
    from vicket.faqs f
    where f.words @@ sought
    order by ts_rank(f.words, sought) desc, f.position, f.id
    limit p_most;
end $$;

-- The words that published articles and FAQs have, as they are written, the most frequent first; of so many of each at the
-- most, the newest. What is misspelt is looked for among them.
create type auth.read_word as (entry auth.site_entry, word text);
create function auth.read_words(p_key_hash bytea, p_origin_hash bytea, p_documents bigint, p_most bigint)
  returns setof auth.read_word language plpgsql volatile as $$
declare
  answer auth.read_word;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, w.word
    from (
      (select a.words from vicket.articles a where a.site_id = (select ctx.site_id())
        order by a.published_at desc, a.id desc limit p_documents)
      union all
      (select a.words from vicket.articles a where a.site_id is null
        order by a.published_at desc, a.id desc limit p_documents)
      union all
      (select f.words from vicket.faqs f order by f.position, f.id limit p_documents)
    ) d
    cross join lateral unnest(tsvector_to_array(ts_filter(d.words, '{d}'))) as w (word)
    where w.word ~ '^[[:alpha:]]{4,40}$'
    group by w.word
    order by count(*) desc, w.word
    limit p_most;
end $$;
grant execute on function auth.search_articles, auth.search_faqs, auth.read_words to vicket_gate_widget;
reset role;
