-- What is new in an org, for the pages that are open: one question of the worker for all orgs that anybody listens to.
set local role vicket_owner;
create policy definer_select_news on vicket.ticket_seen for select to vicket_definer using (session_user = 'vicket_worker');
comment on policy definer_select_news on vicket.ticket_seen is 'worker.news_of_orgs.';
grant select (changed_at) on vicket.ticket_seen to vicket_definer;

grant create on schema worker to vicket_definer;
set local role vicket_definer;
-- Marks of what changed in the last ten seconds, tickets and who is at them: a mark that was not there before is news. Not the
-- last time of a change: a transaction that began earlier may end later.
create function worker.news_of_orgs(p_org_ids uuid[]) returns table (org_id uuid, marks bigint[])
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  since constant timestamptz := clock_timestamp() - interval '10 seconds';
begin
  return query
    select o.org_id, array(
      (select hashtextextended(t.id::text || t.updated_at, 0)
        from vicket.tickets t
        where t.org_id = o.org_id and t.updated_at > since
        order by t.updated_at desc
        limit 200)
      union all
      (select hashtextextended(s.ticket_id::text || s.user_id || s.changed_at, 0)
        from vicket.ticket_seen s
        where s.org_id = o.org_id and s.changed_at > since
        order by s.changed_at desc
        limit 200)
    )
    from unnest((select p_org_ids)) o (org_id);
end $$;
comment on function worker.news_of_orgs is 'What changed lately, as marks, in each org. Definer: the worker reads no table.';
grant execute on function worker.news_of_orgs to vicket_worker;

set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
