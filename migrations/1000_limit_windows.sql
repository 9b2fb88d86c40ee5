-- limit_windows: what the server's processes have counted of the rate limits together. Each is lent a part of a limit at a time, so
-- the table is written far less often than limits are asked. Unlogged: a crash of PostgreSQL forgets a minute's counts.
set local role vicket_owner;

create unlogged table vicket.limit_windows (
  bucket bytea not null,
  ends_at timestamptz not null,
  used bigint not null,
  lent bigint not null,
  constraint limit_windows_pkey primary key (bucket),
  constraint limit_windows_bucket_length check (octet_length(bucket) = 32)
);
-- What ended is deleted by who comes next.
create index limit_windows_ended on vicket.limit_windows (ends_at);

alter table vicket.limit_windows enable row level security, force row level security;

create policy definer_select on vicket.limit_windows for select to vicket_definer using (true);
create policy definer_insert on vicket.limit_windows for insert to vicket_definer with check (true);
create policy definer_update on vicket.limit_windows for update to vicket_definer
  using (session_user = 'vicket_worker') with check (session_user = 'vicket_worker');
create policy definer_delete on vicket.limit_windows for delete to vicket_definer
  using (session_user = 'vicket_worker');

grant select, insert, update (ends_at, used, lent), delete on vicket.limit_windows to vicket_definer;
-- Not granted: anything to a request, which can neither see nor change what it has left.

comment on table vicket.limit_windows is
  'What all processes together used of the rate limits in the window that runs; a digest says of which bucket.';
comment on column vicket.limit_windows.used is 'With what was lent and may not be used yet.';
comment on column vicket.limit_windows.lent is 'What the last one who asked got.';
comment on policy definer_select on vicket.limit_windows is 'worker.draw_limits. Not narrowed: its rows are no tenant''s.';
comment on policy definer_insert on vicket.limit_windows is 'worker.draw_limits. Not narrowed: its rows are no tenant''s.';
comment on policy definer_update on vicket.limit_windows is 'worker.draw_limits.';
comment on policy definer_delete on vicket.limit_windows is 'worker.draw_limits, of windows that have ended.';

grant create on schema worker to vicket_definer;
set local role vicket_definer;
-- Of each bucket: adds what the process used before it asked, and lends what it wants or what is left. Buckets in order,
-- since two processes lock several at once. One answer each, in the order of the questions.
create function worker.draw_limits(
  p_buckets bytea[], p_left_ms bigint[], p_limits bigint[], p_untold bigint[], p_wanted bigint[]
) returns table (used bigint, lent bigint, left_ms bigint)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  clock constant timestamptz := clock_timestamp();
  ask record;
  answer vicket.limit_windows;
  answers vicket.limit_windows[] := array_fill(null::vicket.limit_windows, array[cardinality(p_buckets)]);
begin
  for ask in
    select a.* from unnest(p_buckets, p_left_ms, p_limits, p_untold, p_wanted)
      with ordinality as a (bucket, left_ms, most, untold, wanted, place)
    order by a.bucket
  loop
    insert into vicket.limit_windows as w (bucket, ends_at, used, lent)
      values (
        ask.bucket, clock + ask.left_ms * interval '1 millisecond',
        ask.untold + least(ask.wanted, greatest(ask.most - ask.untold, 0)),
        least(ask.wanted, greatest(ask.most - ask.untold, 0))
      )
      on conflict (bucket) do update
        set ends_at = case when w.ends_at <= clock then excluded.ends_at else w.ends_at end,
          used = case
            when w.ends_at <= clock then excluded.used
            else w.used + ask.untold + least(ask.wanted, greatest(ask.most - w.used - ask.untold, 0))
          end,
          lent = case
            when w.ends_at <= clock then excluded.lent
            else least(ask.wanted, greatest(ask.most - w.used - ask.untold, 0))
          end
      returning w.* into answer;
    answers[ask.place] := answer;
  end loop;
  delete from vicket.limit_windows w
    where w.bucket in (
      select e.bucket from vicket.limit_windows e
      where e.ends_at <= clock
      order by e.ends_at
      limit 2 * cardinality(p_buckets)
      for update skip locked
    );
  return query
    select a.used, a.lent, greatest(extract(epoch from a.ends_at - clock) * 1000, 0)::bigint
    from unnest(answers) with ordinality as a (bucket, ends_at, used, lent, place)
    order by a.place;
end $$;
comment on function worker.draw_limits is
  'Lends a process parts of rate limits; says what all have used. Definer: the worker reads no table.';
grant execute on function worker.draw_limits to vicket_worker;

set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
