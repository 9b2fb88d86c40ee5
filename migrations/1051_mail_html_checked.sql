-- vicket: no transaction
alter table vicket.inbound_mails validate constraint inbound_mails_html_size;
