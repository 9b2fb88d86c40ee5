-- The articles that the baseline and Vicket both have, some 2 KB each and the same in every run: `seed.articles` of the first
-- of `seed.sites` sites and of each `seed.step`th after it, one of the others. Every fourth is a draft, and a later one is
-- newer.

-- 503 paragraphs of some 440 bytes, of made-up words: two in three are of 40 words, the rest of 2,000, so that they compress
-- about as prose does.
create temporary table paragraph as
  select p, string_agg(left(word, 3 + ascii(word) % 7), ' ' order by i) as words
  from generate_series(0, 502) as p, generate_series(1, 62) as i,
    lateral (select (p * 7919 + i * 104729 + p * i * 31) % case when i % 3 = 0 then 2000 else 40 end as number) as n,
    lateral (select translate(md5(number::text), '0123456789', 'ghijklmnop') as word) as w
  group by p;
create unique index on paragraph (p);
analyze paragraph;

create temporary view article as
  select site, number,
    'article-' || number as slug,
    'How do I ' || left(p1.words, 40) as title,
    left(p2.words, 160) as excerpt,
    format(E'# How do I %s\n\n%s\n\n## Steps\n\n1. %s\n2. %s\n\n```sh\nrun --site %s --article %s\n```\n\n%s\n\n%s',
      left(p1.words, 40), p1.words, p2.words, p3.words, site, number, p4.words, p5.words) as markdown,
    format('<h1>How do I %s</h1><p>%s</p><h2>Steps</h2><ol><li>%s</li><li>%s</li></ol><pre><code>run --site %s --article %s</code></pre><p>%s</p><p>%s</p>',
      left(p1.words, 40), p1.words, p2.words, p3.words, site, number, p4.words, p5.words) as html,
    number % 4 <> 0 as published,
    timestamptz '2026-01-01 00:00Z' + number * interval '1 hour' as at
  from generate_series(1, current_setting('seed.sites')::int) as site
  cross join generate_series(1,
    case when site % current_setting('seed.step')::int = 1 % current_setting('seed.step')::int
      then current_setting('seed.articles')::int else 1 end) as number
  join paragraph p1 on p1.p = (site * 31 + number * 17) % 503
  join paragraph p2 on p2.p = (site * 37 + number * 19 + 1) % 503
  join paragraph p3 on p3.p = (site * 41 + number * 23 + 2) % 503
  join paragraph p4 on p4.p = (site * 43 + number * 29 + 3) % 503
  join paragraph p5 on p5.p = (site * 47 + number * 31 + 4) % 503;
