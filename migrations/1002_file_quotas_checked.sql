-- vicket: no transaction
alter table vicket.orgs validate constraint orgs_file_quota_range;
alter table vicket.sites validate constraint sites_file_quota_range;
