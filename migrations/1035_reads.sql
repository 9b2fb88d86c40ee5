-- What the support surface reads of published content: each a statement in one round trip, which proves the key again, becomes
-- the site's widget, reads and is over, and with its implicit transaction the context and the role. By the time they read they
-- have the role vicket_widget, and its policies say what there is. They run with the rights of whoever calls them.
set local role vicket_owner;

-- The first row says how the key entered, and no more; in the others, which are what was read, that is null.
create type auth.read_site as (
  entry auth.site_entry, name text, slug text, org_name text, article_count bigint, faq_count bigint
);
create type auth.read_article as (
  entry auth.site_entry, id uuid, slug text, title text, excerpt text, view_count bigint, published_at timestamptz,
  updated_at timestamptz, rank bigint, body_markdown text, body_html text
);
create type auth.read_faq as (
  entry auth.site_entry, id uuid, question text, answer_markdown text, answer_html text, "position" integer
);
-- A `form`, a `question` of a form, or a `choice` of a question.
create type auth.read_form as (
  entry auth.site_entry, part text, parent_id uuid, id uuid, label text, description text, type text, required boolean,
  "position" integer
);

-- As auth.enter_site, for a statement that only reads.
create function auth.enter_reading(p_key_hash bytea, p_origin_hash bytea) returns auth.site_entry
  language plpgsql volatile as $$
begin
  set local transaction_read_only = on;
  return auth.enter_site(p_key_hash, p_origin_hash, '');
end $$;

create function auth.read_site(p_key_hash bytea, p_origin_hash bytea) returns setof auth.read_site
  language plpgsql volatile as $$
declare
  answer auth.read_site;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, s.name, s.slug, o.name,
      (select count(*) from vicket.articles a where a.site_id = (select ctx.site_id()))
        + (select count(*) from vicket.articles a
          where a.site_id is null and not exists (
            select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
          )),
      (select count(*) from vicket.faqs)
    from vicket.sites s
    join vicket.orgs o on o.id = s.org_id;
end $$;

-- A page of articles in one of three orders, `newest`, `popular`, `relevant`, each by a key and the id, descending. p_key and
-- p_id are the place that a cursor names; p_search is in the syntax that web search engines use. What the site has of its own
-- and what serves all sites of the org are two branches, each in the order of an index, merged: together in one condition no
-- index could serve their order. An article for all sites is hidden where the site has its own of that slug.
create function auth.read_articles(
  p_key_hash bytea, p_origin_hash bytea, p_order text, p_key bigint, p_id uuid, p_most bigint, p_search text
) returns setof auth.read_article language plpgsql volatile as $$
declare
  answer auth.read_article;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  if p_order = 'newest' then
    return query
      select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank,
        null::text, null::text
      from (
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            0::bigint as rank, a.published_at as key
          from vicket.articles a
          where a.site_id = (select ctx.site_id())
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.published_at, a.id) < (timestamptz 'epoch' + p_key * interval '1 microsecond', p_id))
          order by a.published_at desc, a.id desc
          limit p_most)
        union all
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            0::bigint as rank, a.published_at as key
          from vicket.articles a
          where a.site_id is null and not exists (
              select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
            )
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.published_at, a.id) < (timestamptz 'epoch' + p_key * interval '1 microsecond', p_id))
          order by a.published_at desc, a.id desc
          limit p_most)
      ) p
      order by p.key desc, p.id desc
      limit p_most;
  elsif p_order = 'popular' then
    return query
      select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank,
        null::text, null::text
      from (
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            a.popularity as rank, a.popularity as key
          from vicket.articles a
          where a.site_id = (select ctx.site_id())
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.popularity, a.id) < (p_key, p_id))
          order by a.popularity desc, a.id desc
          limit p_most)
        union all
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            a.popularity as rank, a.popularity as key
          from vicket.articles a
          where a.site_id is null and not exists (
              select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
            )
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (a.popularity, a.id) < (p_key, p_id))
          order by a.popularity desc, a.id desc
          limit p_most)
      ) p
      order by p.key desc, p.id desc
      limit p_most;
  elsif p_order = 'relevant' then
    -- A rank is a float4; scaled to a bigint it sorts the same way and survives a cursor.
    return query
      select answer.entry, p.id, p.slug, p.title, p.excerpt, p.view_count, p.published_at, p.updated_at, p.rank,
        null::text, null::text
      from (
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            r.rank as rank, r.rank as key
          from vicket.articles a
          cross join lateral (
            select (ts_rank(a.search, websearch_to_tsquery('pg_catalog.english', p_search)) * 1000000000)::bigint
          ) as r (rank)
          where a.site_id = (select ctx.site_id())
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (r.rank, a.id) < (p_key, p_id))
          order by r.rank desc, a.id desc
          limit p_most)
        union all
        (select a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at,
            r.rank as rank, r.rank as key
          from vicket.articles a
          cross join lateral (
            select (ts_rank(a.search, websearch_to_tsquery('pg_catalog.english', p_search)) * 1000000000)::bigint
          ) as r (rank)
          where a.site_id is null and not exists (
              select from vicket.articles own where own.slug = a.slug and own.site_id = (select ctx.site_id())
            )
            and (p_search is null or a.search @@ websearch_to_tsquery('pg_catalog.english', p_search))
            and (p_key is null or (r.rank, a.id) < (p_key, p_id))
          order by r.rank desc, a.id desc
          limit p_most)
      ) p
      order by p.key desc, p.id desc
      limit p_most;
  else
    raise exception 'no such order' using errcode = 'invalid_parameter_value';
  end if;
end $$;

create function auth.read_article(p_key_hash bytea, p_origin_hash bytea, p_slug text) returns setof auth.read_article
  language plpgsql volatile as $$
declare
  answer auth.read_article;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, a.id, a.slug, a.title, a.excerpt, a.view_count, a.published_at, a.updated_at, 0::bigint,
      a.body_markdown, a.body_html
    from vicket.articles a
    where a.slug = p_slug
    order by a.site_id nulls last
    limit 1;
end $$;

create function auth.read_faqs(p_key_hash bytea, p_origin_hash bytea, p_most bigint) returns setof auth.read_faq
  language plpgsql volatile as $$
declare
  answer auth.read_faq;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, f.id, f.question, f.answer_markdown, f.answer_html, f.position
    from vicket.faqs f
    order by f.position, f.id
    limit p_most;
end $$;

-- The ticket forms that the site offers, without what an answer is worth; each part in its order.
create function auth.read_forms(p_key_hash bytea, p_origin_hash bytea) returns setof auth.read_form
  language plpgsql volatile as $$
declare
  answer auth.read_form;
begin
  answer.entry := auth.enter_reading(p_key_hash, p_origin_hash);
  return next answer;
  if (answer.entry).verdict <> 'entered' then return; end if;
  answer.entry := null;
  return query
    select answer.entry, 'form', null::uuid, t.id, t.name, t.description, null::text, null::boolean, null::integer
    from vicket.templates t
    order by t.name;
  return query
    select answer.entry, 'question', q.template_id, q.id, q.label, null::text, q.type, q.required, q.position
    from vicket.template_questions q
    order by q.position, q.id;
  return query
    select answer.entry, 'choice', c.question_id, c.id, c.label, null::text, null::text, null::boolean, c.position
    from vicket.template_options c
    order by c.position, c.id;
end $$;

grant execute on function auth.enter_reading, auth.read_site, auth.read_articles, auth.read_article, auth.read_faqs,
  auth.read_forms to vicket_gate_widget;
reset role;
