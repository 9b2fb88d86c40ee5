-- The words by which articles and FAQs are found: as they are written, and as the dictionary of the site's language has them.
-- Kept by triggers, as a generated column cannot ask a site for its language.
set local role vicket_owner;

alter table vicket.articles add column words tsvector;
alter table vicket.faqs add column words tsvector;
comment on column vicket.articles.words is
  'Words of title, excerpt and text (A, B, C) in the languages of its readers, and as they are written (D). No personal data.';
comment on column vicket.faqs.words is
  'Words of question and answer (A, C) in the languages of its readers, and as they are written (D). No personal data.';

create function ctx.dictionary(p_language text) returns regconfig
  language sql immutable strict parallel safe as $$
  select case p_language
    when 'de' then 'pg_catalog.german'
    when 'fr' then 'pg_catalog.french'
    when 'es' then 'pg_catalog.spanish'
    else 'pg_catalog.english'
  end::regconfig
$$;

-- What has too many different words for one document is found by those of its beginning.
create function ctx.words_of_help(p_languages text[], p_title text, p_excerpt text, p_text text) returns tsvector
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  words tsvector := '';
  dictionary regconfig;
begin
  foreach dictionary in array array(select distinct ctx.dictionary(l.code) from unnest(p_languages) as l (code)) loop
    words := words || setweight(to_tsvector(dictionary, p_title), 'A') || setweight(to_tsvector(dictionary, p_excerpt), 'B')
      || setweight(to_tsvector(dictionary, p_text), 'C');
  end loop;
  return words || to_tsvector('pg_catalog.simple', concat_ws(' ', p_title, p_excerpt, p_text));
exception when program_limit_exceeded then
  return ctx.words_of_help(p_languages, p_title, p_excerpt, left(p_text, char_length(p_text) / 2));
end $$;

-- What somebody who searches a help center means, in the syntax of web search engines. The last word may not be whole yet,
-- unless it is within quotes or is one that must not be there.
create function ctx.sought_in_help(p_language text, p_words text) returns tsquery
  language plpgsql stable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  dictionary constant regconfig := ctx.dictionary(p_language);
  sought constant tsquery := websearch_to_tsquery(dictionary, p_words);
  last_word constant text := lower(substring(p_words from '(?:^|\s)([[:alpha:]][[:alnum:]]+)$'));
  stem tsquery;
begin
  if last_word is null or p_words ~ '"' then
    return sought;
  end if;
  stem := plainto_tsquery(dictionary, last_word);
  if numnode(stem) <> 1 then
    return sought;
  end if;
  return replace(sought::text, stem::text, format('(%s | %L:*)', stem, last_word))::tsquery;
end $$;
comment on function ctx.dictionary is 'The dictionary of a language of vicket.sites.';
comment on function ctx.words_of_help is 'The words of an article or FAQ, in these languages and as they are written.';
comment on function ctx.sought_in_help is 'The query that somebody typed; its last word stands for all that begin so.';

grant select (words) on vicket.articles, vicket.faqs to vicket_widget;
grant select (language) on vicket.sites to vicket_widget;
grant execute on function ctx.dictionary, ctx.sought_in_help to vicket_widget;
grant execute on function ctx.dictionary, ctx.words_of_help to vicket_definer;

create policy definer_update_words on vicket.articles for update to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))))
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))));
create policy definer_update_words on vicket.faqs for update to vicket_definer
  using (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))))
  with check (org_id = (select ctx.org_id()) and ((select ctx.may('site:edit')) or (select ctx.may('site:create'))));
comment on policy definer_update_words on vicket.articles is 'vicket.site_language_changed, of whoever may change the site.';
comment on policy definer_update_words on vicket.faqs is 'vicket.site_language_changed, of whoever may change the site.';
grant update (words) on vicket.articles to vicket_definer;
grant select (org_id, site_id, id), update (words) on vicket.faqs to vicket_definer;

grant create on schema vicket to vicket_definer;
set local role vicket_definer;
create function vicket.help_written() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  languages constant text[] := array(
    select distinct s.language
    from vicket.sites s
    where s.org_id = new.org_id and (new.site_id is null or s.id = new.site_id) and s.deleted_at is null
  );
begin
  if tg_table_name = 'articles' then
    new.words := ctx.words_of_help(languages, new.title, new.excerpt, new.body_markdown);
  else
    new.words := ctx.words_of_help(languages, new.question, '', new.answer_markdown);
  end if;
  return new;
end $$;

-- The words are written anew by the trigger before each update of them.
create function vicket.site_language_changed() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'UPDATE' and new.language = old.language then
    return null;
  end if;
  -- What is for all sites has the words of this language already, and a new site has nothing of its own.
  if tg_op = 'INSERT' and exists (
    select from vicket.sites s
    where s.org_id = new.org_id and s.id <> new.id and s.language = new.language and s.deleted_at is null
  ) then
    return null;
  end if;
  update vicket.articles a set words = null where a.org_id = new.org_id and (a.site_id is null or a.site_id = new.id);
  update vicket.faqs f set words = null where f.org_id = new.org_id and (f.site_id is null or f.site_id = new.id);
  perform from vicket.sites s where s.org_id = new.org_id order by s.id for no key update;
  update vicket.sites s set content_version = s.content_version + 1 where s.org_id = new.org_id;
  return null;
end $$;
comment on function vicket.help_written is
  'Trigger: the words of an article or FAQ. Definer: no request may write there.';
comment on function vicket.site_language_changed is
  'Trigger: what the readers of a site search has words of its language. Definer: no request may write there.';
grant execute on function vicket.help_written, vicket.site_language_changed to vicket_owner;

set local role vicket_owner;
revoke create on schema vicket from vicket_definer;
create trigger help_written before insert or update of title, excerpt, body_markdown, words on vicket.articles
  for each row execute function vicket.help_written();
create trigger help_written before insert or update of question, answer_markdown, words on vicket.faqs
  for each row execute function vicket.help_written();
create trigger language_changed after insert or update of language on vicket.sites
  for each row execute function vicket.site_language_changed();
reset role;
