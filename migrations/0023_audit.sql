-- audit: isolation as a DBA reads it in psql. The schema holds three views over pg_catalog, no table and no tenant's
-- row:
--
--   audit.findings   what the catalog says that it must not; empty is good
--   audit.access     who may do what with each table, and by which policies
--   audit.lints      every lint, and why
--
-- `vicket migrate` installs the views after the numbered files, from the very text that `vicket audit` and the server's
-- start-up checks run (src/audit/lints/): a view cannot differ from what the server asks.
create schema audit authorization vicket_owner;
set local role vicket_owner;
comment on schema audit is
  'Isolation, for a DBA: views over pg_catalog that run as whoever reads them. No tenant''s row.';
grant usage on schema audit to vicket_auditor;
-- Not granted: anything to a request role, a gate or the worker. The gates run the same text by themselves.

-- What 0001_context.sql lent: nobody makes a function in these schemas by accident.
revoke create on schema vicket, ctx, auth, worker, admin from vicket_definer;
reset role;
