-- vicket: no transaction
alter table vicket.mails validate constraint mails_kind_known;
