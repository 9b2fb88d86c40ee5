-- Mail as it looked: its HTML, sanitised when it was read, pictures that came with it inside. Agents see it in a frame that
-- runs nothing and loads nothing; the text beside it is what is searched, quoted and answered.
set local role vicket_owner;
alter table vicket.inbound_mails add column html text;
alter table vicket.inbound_mails add constraint inbound_mails_html_size check (octet_length(html) <= 4194304) not valid;
comment on column vicket.inbound_mails.html is 'As it looked, sanitised; NULL where it was text. Personal data.';
grant select (html) on vicket.inbound_mails to vicket_agent;
grant update (html) on vicket.inbound_mails to vicket_definer;

grant create on schema worker to vicket_definer;
set local role vicket_definer;
drop function worker.note_mail(uuid, uuid, uuid, text, text, uuid, text, text, text, boolean, boolean, integer);
create function worker.note_mail(
  p_org_id uuid, p_site_id uuid, p_id uuid, p_state text, p_reason text, p_ticket_id uuid, p_author text, p_author_name text,
  p_subject text, p_verified boolean, p_automatic boolean, p_quoted_from integer,
  p_html text
) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.inbound_mails i
    set state = case when i.state in ('filed', 'rejected') then i.state else p_state end, reason = left(p_reason, 1000),
      ticket_id = coalesce(i.ticket_id, p_ticket_id), author = p_author, author_name = p_author_name, subject = p_subject,
      verified = p_verified, automatic = p_automatic, quoted_from = p_quoted_from,
      html = p_html
    where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id;
  -- Who looks at the inbox sees that something happened.
  update vicket.tickets t
    set updated_at = now()
    where p_state = 'held' and t.org_id = p_org_id and t.site_id = p_site_id and t.id = p_ticket_id;
end $$;

comment on function worker.note_mail is 'What became of a mail. Definer: the worker reads no table.';
grant execute on function worker.note_mail to vicket_worker;
set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
