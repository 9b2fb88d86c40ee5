-- orgs, users, members: who the tenants are and who works for them.

-- ---------------------------------------------------------------------------------------------------------------------
-- orgs
-- Why: the tenant. Every other row belongs to one.
set local role vicket_owner;

create table vicket.orgs (
  id uuid not null default gen_random_uuid(),
  slug text not null,
  name text not null,
  created_at timestamptz not null default now(),
  constraint orgs_pkey primary key (id),
  constraint orgs_slug_unique unique (slug),
  constraint orgs_slug_shape check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint orgs_name_length check (char_length(name) between 1 and 200 and name ~ '\S')
);

-- Indexes: the two constraints'. A slug is global by nature: it stands in URLs before any tenant is known.

alter table vicket.orgs enable row level security;
alter table vicket.orgs force row level security;

create policy widget_reads_own on vicket.orgs
  for select to vicket_widget
  using (id = (select ctx.org_id()));
create policy widget_sealed on vicket.orgs
  as restrictive for all to vicket_widget
  using (id = (select ctx.org_by_key()))
  with check (id = (select ctx.org_by_key()));
create policy operator_all on vicket.orgs
  for all to vicket_operator
  using (id = (select ctx.org_id()))
  with check (id = (select ctx.org_id()));
create policy definer_reads on vicket.orgs
  for select to vicket_definer
  using (true);
create policy definer_creates on vicket.orgs
  for insert to vicket_definer
  with check (true);

grant select (id, name) on vicket.orgs to vicket_widget;
grant select, update (name), delete on vicket.orgs to vicket_operator;
grant select (id, slug, name, created_at), insert (id, slug, name) on vicket.orgs to vicket_definer;
-- Not granted: INSERT to vicket_operator (a new org has no context yet: admin.create_org), UPDATE of slug to anyone
-- (an org's slug never changes).

comment on table vicket.orgs is 'Tenants. The tenant column of this one table is id.';
comment on column vicket.orgs.slug is 'In URLs and on the command line; never changes.';
comment on policy widget_reads_own on vicket.orgs is 'The support page shows its org''s name.';
comment on policy widget_sealed on vicket.orgs is 'Even injected SQL stays with the key in the context.';
comment on policy operator_all on vicket.orgs is 'Administration commands, after admin.enter_org.';
comment on policy definer_reads on vicket.orgs is 'admin.enter_org and admin.orgs find orgs by slug.';
comment on policy definer_creates on vicket.orgs is 'admin.create_org.';

-- ---------------------------------------------------------------------------------------------------------------------
-- users
-- Why: people who log in. A person may work for several orgs, so this table has no tenant and no request role
-- touches it; definer functions do.
create table vicket.users (
  id uuid not null default gen_random_uuid(),
  email text not null,
  name text not null,
  password_hash text,
  created_at timestamptz not null default now(),
  constraint users_pkey primary key (id),
  constraint users_email_lower check (email = lower(email)),
  constraint users_email_length check (char_length(email) between 3 and 254),
  constraint users_name_length check (char_length(name) between 1 and 200),
  constraint users_password_hash_shape check (password_hash like '$argon2id$%')
);

create unique index users_email_unique on vicket.users (email);

alter table vicket.users enable row level security;
alter table vicket.users force row level security;

create policy definer_reads on vicket.users
  for select to vicket_definer
  using (true);
create policy definer_creates on vicket.users
  for insert to vicket_definer
  with check (true);

grant select (id, email, name, created_at), insert (id, email, name, password_hash) on vicket.users to vicket_definer;
-- Not granted: anything to a request role; SELECT of password_hash to anyone.

comment on table vicket.users is 'People who log in. Not tenant rows: reached through definer functions only.';
comment on column vicket.users.email is 'Lower case, unique across orgs.';
comment on column vicket.users.password_hash is 'argon2id in PHC form; no role may read it.';
comment on policy definer_reads on vicket.users is 'admin.user_by_email.';
comment on policy definer_creates on vicket.users is 'admin.create_user.';

-- ---------------------------------------------------------------------------------------------------------------------
-- members
-- Why: who works for which org, as what.
create table vicket.members (
  org_id uuid not null default ctx.org_id(),
  user_id uuid not null,
  role text not null,
  created_at timestamptz not null default now(),
  constraint members_pkey primary key (org_id, user_id),
  constraint members_org_fkey foreign key (org_id) references vicket.orgs (id) on delete cascade,
  constraint members_user_fkey foreign key (user_id) references vicket.users (id) on delete cascade,
  constraint members_role_known check (role in ('owner', 'admin', 'agent', 'viewer'))
);

-- A user's deletion finds the memberships.
create index members_user on vicket.members (user_id, org_id);

alter table vicket.members enable row level security;
alter table vicket.members force row level security;

create policy operator_all on vicket.members
  for all to vicket_operator
  using (org_id = (select ctx.org_id()))
  with check (org_id = (select ctx.org_id()));

grant select, insert (user_id, role), update (role), delete on vicket.members to vicket_operator;
-- Not granted: org_id to anyone (it comes from the context).

comment on table vicket.members is 'Who works for which org, and as what.';
comment on policy operator_all on vicket.members is 'Administration commands, after admin.enter_org.';

reset role;
