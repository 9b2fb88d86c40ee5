-- That a ticket came back is news, which no row tells by changing.
set local role vicket_owner;
grant create on schema worker to vicket_definer;
set local role vicket_definer;
-- As it was, and: of tickets that came back.
create or replace function worker.news_of_orgs(p_org_ids uuid[]) returns table (org_id uuid, marks bigint[])
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
      union all
      (select hashtextextended(t.id::text || t.snoozed_until, 1)
        from vicket.tickets t
        where t.org_id = o.org_id and t.snoozed_until > since and t.snoozed_until <= clock_timestamp()
        order by t.snoozed_until desc
        limit 200)
    )
    from unnest((select p_org_ids)) o (org_id);
end $$;
set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
