-- What a site says of its mail. By itself: what it locks is locked for nothing else.
set local role vicket_owner;

alter table vicket.sites add column support_url text;
alter table vicket.sites add column language text not null default 'en';
alter table vicket.sites add column mail_from_name text;
alter table vicket.sites add column mail_from_address text;
alter table vicket.sites
  add constraint sites_support_url_shape
  check (support_url ~ '^https?://[^[:space:]#]+$' and char_length(support_url) <= 500) not valid;
alter table vicket.sites add constraint sites_language_known check (language in ('en', 'de', 'fr', 'es')) not valid;
alter table vicket.sites
  add constraint sites_mail_from_length
  check (char_length(mail_from_name) between 1 and 200 and char_length(mail_from_address) between 3 and 254) not valid;
grant select (support_url, language, mail_from_name, mail_from_address),
  update (support_url, language, mail_from_name, mail_from_address)
  on vicket.sites to vicket_agent;
grant update (support_url, language, mail_from_name, mail_from_address) on vicket.sites to vicket_operator;
grant select (name, support_url, language, mail_from_name, mail_from_address) on vicket.sites to vicket_definer;
comment on column vicket.sites.support_url is
  'The page on which customers read their tickets; links in mail lead there. No personal data.';
comment on column vicket.sites.language is 'Of its mail. No personal data.';
comment on column vicket.sites.mail_from_name is 'Whom its mail is from; its own name when NULL. No personal data.';
comment on column vicket.sites.mail_from_address is
  'Stands in From where the server may send for its domain, else in Reply-To. No personal data.';
create or replace trigger audited
  after insert or delete or update of slug, name, prefix, reads_per_minute, writes_per_minute, network_reads_per_minute,
    network_writes_per_minute, support_url, language, mail_from_name, mail_from_address, deleted_at
  on vicket.sites
  for each row execute function vicket.audited('site', 'slug',
    'slug name prefix reads_per_minute writes_per_minute network_reads_per_minute network_writes_per_minute '
    'support_url language mail_from_name mail_from_address');
create or replace trigger serialize_org_writes before insert or update of slug, name, prefix, reads_per_minute,
    writes_per_minute, network_reads_per_minute, network_writes_per_minute, support_url, language, mail_from_name,
    mail_from_address, updated_at or delete
  on vicket.sites
  for each statement execute function vicket.serialize_org_writes();
reset role;
