-- vicket: no transaction
alter table vicket.sites validate constraint sites_support_url_shape;
alter table vicket.sites validate constraint sites_language_known;
alter table vicket.sites validate constraint sites_mail_from_length;
alter table vicket.invitations validate constraint invitations_mailed_hash_length;
