-- Erasure: what an org knows of one person is taken away (`vicket person erase`). The command changes the tables of the
-- nouns itself, as the operator; what it may not do is here: their entries in the audit log, and their account.
set local role vicket_definer;

-- Says how many entries named them. Of an entry that they made the actor goes, of one that is about them the rest; the
-- log says of which, before it forgets. A member is refused: what would the next thing that they do be signed with?
create function admin.erase_person(p_email text, out person uuid, out entries bigint, out account boolean)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  org constant uuid := ctx.org_id();
  address constant text := lower(p_email collate "C");
  acted int8multirange;
  concerned int8multirange;
  entry vicket.audit_log;
begin
  person := (select u.id from vicket.users u where u.email = address);
  if exists (select from vicket.members m where m.org_id = org and m.user_id = erase_person.person) then
    raise exception 'they are a member' using errcode = 'check_violation', constraint = 'erase_no_member';
  end if;
  -- In the order of those who append: the head before its rows.
  perform from vicket.audit_heads h where h.org_id = org for update;
  acted := (
    select range_agg(int8range(l.seq, l.seq, '[]'))
    from vicket.audit_log l
    where l.org_id = org and (l.actor_id = erase_person.person or l.actor = address)
  );
  concerned := (
    select range_agg(int8range(l.seq, l.seq, '[]'))
    from vicket.audit_log l
    where l.org_id = org and exists (
      select from jsonb_each_text(coalesce(l.before, '{}') || jsonb_build_object('.', l.object_id)) f
        where f.value in (erase_person.person::text, address)
      union all
      select from jsonb_each_text(l.after) f where f.value in (erase_person.person::text, address)
    )
  );
  entries := (
    select count(*) from vicket.audit_log l where l.org_id = org and (l.seq <@ acted or l.seq <@ concerned)
  );
  if entries > 0 then
    entry.org_id := org;
    entry.actor_kind := 'cli';
    entry.actor := 'cli';
    entry.action := 'erased';
    entry.object_kind := 'person';
    entry.object_id := 'person';
    entry.after := jsonb_build_object('actor', coalesce(acted::text, '{}'), 'object', coalesce(concerned::text, '{}'));
    perform vicket.append_audit(entry);
    update vicket.audit_log l
      set actor_id = null, actor = null, actor_salt = null
      where l.org_id = org and l.seq <@ acted;
    update vicket.audit_log l
      set object_id = null, before = null, after = null, object_salt = null
      where l.org_id = org and l.seq <@ concerned;
  end if;
  delete from vicket.users u
    where u.id = erase_person.person and not exists (select from vicket.members m where m.user_id = u.id);
  account := found;
end $$;
comment on function admin.erase_person is
  'Takes a person out of the audit log of the org, and their account when they are in no org; says how many entries there were. Definer: commands may change no entry.';
grant execute on function admin.erase_person to vicket_operator;
reset role;
