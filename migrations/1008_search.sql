-- Looking for tickets by their words. `@@` is not leakproof, so below row-level security no index of words is asked and each
-- document is read. So a definer's function asks it for the org of the context, and within what its caller may see.
set local role vicket_owner;

-- A document's words, each behind its tenant's mark: what one org looks for, and how long that takes, is its own. Two tenants
-- may have one mark; who asks compares the tenant too. A word of thousands of bytes is found by its first 500 characters.
create function ctx.words_of_org(p_org_id uuid, p_document tsvector) returns tsvector
  language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return array_to_tsvector(array(
    select left(p_org_id::text, 8) || left(w.word, 500) from unnest(tsvector_to_array(p_document)) as w (word)
  ));
end $$;
comment on function ctx.words_of_org is
  'Of a document its words, each with the mark of its org: what the indexes tickets_words and ticket_messages_words hold.';
grant execute on function ctx.words_of_org to vicket_widget, vicket_agent, vicket_operator, vicket_definer;

-- What somebody who searches means: all of these words, `or`, `-not`, "one after the other"; the last one, unless it is a
-- number, may not be whole yet.
create function ctx.sought(p_words text) returns tsquery
  language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  sought constant text := websearch_to_tsquery('simple', p_words)::text;
begin
  return case
    when p_words ~ '\w$' and sought ~ '(^|[^!''])''[^''0-9-]([^'']|'''')+''$' then sought || ':*'
    else sought
  end;
end $$;
comment on function ctx.sought is 'The query that somebody typed; its last word stands for all that begin so.';
grant execute on function ctx.sought to vicket_agent, vicket_definer;

grant create on schema ctx to vicket_definer;
set local role vicket_definer;
-- Phrases and what must not be there are of the documents themselves; the index narrows by the words that must.
create function ctx.tickets_with_words(p_words text, p_most integer) returns uuid[]
  language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  org constant uuid := ctx.org_id();
  sought constant tsquery := ctx.sought(p_words);
  asked text := querytree(sought);
  indexed tsquery;
  hears constant boolean := ctx.may('ticket:read') or ctx.may('ticket:write');
  sees constant boolean := hears or ctx.may('ticket:assign') or ctx.may('ticket:delete');
  everywhere constant boolean := ctx.sees_all_sites();
  sites constant uuid[] := array(select ctx.team_site_ids());
  found uuid[];
  seen bigint;
begin
  if asked in ('', 'T') then
    return null;
  end if;
  asked := regexp_replace(asked, ' <(-|[0-9]+)> ', ' & ', 'g');
  indexed := regexp_replace(asked, '''((?:[^'']|'''')+)''', '''' || left(org::text, 8) || '\1''', 'g');
  with heads as materialized (
    select t.org_id, t.site_id, t.id, t.search
    from vicket.tickets t where sees and ctx.words_of_org(t.org_id, t.search) @@ indexed
    limit p_most + 1
  ), messages as materialized (
    select m.org_id, m.site_id, m.ticket_id, m.search
    from vicket.ticket_messages m where hears and ctx.words_of_org(m.org_id, m.search) @@ indexed
    limit p_most + 1
  ), documents as (
    select * from heads union all select * from messages
  )
  select
      array_agg(distinct d.id)
        filter (where d.org_id = org and (everywhere or d.site_id = any (sites)) and d.search @@ sought),
      greatest((select count(*) from heads), (select count(*) from messages))
    into found, seen
    from documents d;
  return case when seen <= p_most then coalesce(found, '{}') end;
end $$;
comment on function ctx.tickets_with_words is
  'Tickets whose words these are, in what was said or who asked; NULL when more than p_most places have them. Definer: below policies no index of words is asked.';
grant execute on function ctx.tickets_with_words to vicket_agent;

set local role vicket_owner;
revoke create on schema ctx from vicket_definer;
grant select (search) on vicket.tickets, vicket.ticket_messages to vicket_definer;
reset role;
