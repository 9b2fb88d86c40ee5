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
create function worker.keep_mail_html(p_org_id uuid, p_site_id uuid, p_id uuid, p_html text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update vicket.inbound_mails i set html = p_html where i.org_id = p_org_id and i.site_id = p_site_id and i.id = p_id;
end
$$;
comment on function worker.keep_mail_html is 'How a mail looked. Definer: the worker reads no table.';
grant execute on function worker.keep_mail_html to vicket_worker;
set local role vicket_owner;
revoke create on schema worker from vicket_definer;
reset role;
