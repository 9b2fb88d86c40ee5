//! Isolation, tried statement by statement as the logins that the server uses.
//!
//! What is tried is read from the catalog, so that a table that somebody adds joins by itself: [`matrix`] runs every
//! statement as every role on every table, [`catalog`] keeps the lists that a review reads (the rules that every
//! table keeps are lints: `audit.rs`). The rest plays an attacker:
//! [`hostile`] and [`sealed`] write their own SQL inside a tenant, [`session`] looks for what a request leaves behind,
//! [`logins`] tries to become somebody else, [`tickets`] wants other customers' tickets and [`attachments`] their files,
//! [`operator`] forgets its WHERE.
//!
//! The superuser arranges and looks; it never is the one whose refusal is asserted, because nothing is refused to it.

mod attachments;
mod catalog;
mod hostile;
mod logins;
mod matrix;
mod operator;
mod sealed;
mod session;
mod tickets;

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;
use vicket::{
    db::{Access, EntryRequest, Pool, SiteTx, Start, Verdict, WidgetGate},
    domain::keys::{Sha256Digest, TicketToken},
};

use crate::harness::{Site, World};

/// The widget's gate of this database, with one connection, so that each transaction follows the last on it.
fn gate(world: &World) -> WidgetGate {
    WidgetGate::new(Pool::new(&world.url("vicket_gate_widget"), 1, &Start::WIDGET).expect("a URL"), None)
}

/// A transaction that is the site of `key`, as a request has it.
async fn enter(gate: &WidgetGate, key: &str, token: Option<&TicketToken>) -> SiteTx {
    let entry_request = EntryRequest {
        access: Access::Write,
        key: Sha256Digest::of(key.as_bytes()),
        origin: None,
        ticket: token.map(TicketToken::digest),
    };
    match gate.enter(&entry_request).await {
        Ok(Verdict::Entered(tx)) => tx,
        Ok(Verdict::Unknown { .. }) => panic!("the key is unknown"),
        Err(problem) => panic!("{problem:?}"),
    }
}

/// Begins what a request begins, on a connection of one's own, so that a test can go on after the transaction.
async fn begin_as(gate: &mut PgConnection, key: &str, token: Option<&TicketToken>) {
    let (key, token) =
        (Sha256Digest::of(key.as_bytes()).to_hex(), token.map(|token| token.digest().to_hex()).unwrap_or_default());
    let token = if token.is_empty() { token } else { format!("\\x{token}") };
    raw(gate, &format!("begin; select auth.enter('\\x{key}', '', '{token}'); set local role vicket_widget")).await;
}

/// Runs one statement; the SQLSTATE when it is refused, else the rows that it returned or touched.
async fn run(connection: &mut PgConnection, sql: &str) -> Result<u64, String> {
    match sqlx::query(AssertSqlSafe(sql)).execute(connection).await {
        Ok(done) => Ok(done.rows_affected()),
        Err(error) => Err(sqlstate(&error)),
    }
}

/// Like [`run`] inside a transaction, and undone, whatever came of it.
async fn attempt(connection: &mut PgConnection, sql: &str) -> Result<u64, String> {
    raw(connection, "savepoint attempt").await;
    let outcome = run(connection, sql).await;
    raw(connection, "rollback to savepoint attempt").await;
    outcome
}

/// One value, or the SQLSTATE.
async fn value<T>(connection: &mut PgConnection, sql: &str) -> Result<T, String>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.map_err(|error| sqlstate(&error))
}

/// Statements that must succeed.
async fn raw(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        panic!("{sql}: {error}");
    }
}

fn sqlstate(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.unwrap_or_else(|| panic!("not PostgreSQL's error: {error}")).into_owned()
}

fn refused(code: &str) -> Result<u64, String> {
    Err(code.to_owned())
}

/// A table, and which of its columns say whose a row is.
struct Table {
    /// Qualified and quoted.
    name: String,
    columns: Vec<String>,
}

impl Table {
    /// The column that holds the org: `id` of the orgs themselves.
    fn org_column(&self) -> Option<&str> {
        if self.name == "vicket.orgs" { Some("id") } else { self.column("org_id") }
    }

    /// The column that holds the site: `id` of the sites themselves.
    fn site_column(&self) -> Option<&str> {
        if self.name == "vicket.sites" { Some("id") } else { self.column("site_id") }
    }

    fn column(&self, name: &str) -> Option<&str> {
        self.columns.iter().map(String::as_str).find(|column| *column == name)
    }
}

/// Every table of every schema that is not PostgreSQL's own.
async fn tables(world: &World) -> Vec<Table> {
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname),
          array(
            select a.attname::text from pg_attribute a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            order by a.attnum
          )
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
          and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
          -- Views over pg_catalog, which hold nobody's rows.
          and n.nspname <> 'audit'
        order by 1",
    )
    .fetch_all(&world.superuser)
    .await
    .expect("the catalog");
    rows.into_iter().map(|(name, columns)| Table { name, columns }).collect()
}

/// Columns of `table` that `role` may use with `privilege`.
async fn granted(world: &World, role: &str, table: &Table, privilege: &str) -> Vec<String> {
    sqlx::query_scalar(
        "select a.attname::text from pg_attribute a
        where a.attrelid = $2::regclass and a.attnum > 0 and not a.attisdropped
          and has_column_privilege($1, a.attrelid, a.attnum, $3)
        order by a.attnum",
    )
    .bind(role)
    .bind(&table.name)
    .bind(privilege)
    .fetch_all(&world.superuser)
    .await
    .expect("the catalog")
}

/// Fills every table for every site, so that there is something to be kept apart; each site gets two tickets, the first
/// with a public and an internal message, and a token for each.
struct Populated {
    world: World,
    /// Of sites a, b, c in this order.
    tickets: [Tickets; 3],
}

struct Tickets {
    mine: Uuid,
    my_token: TicketToken,
    /// Of another customer of the same site.
    other: Uuid,
    other_token: TicketToken,
}

async fn populated() -> Populated {
    let world = World::new().await;
    for org in ["acme", "globex"] {
        world
            .arrange(&format!(
                "with person as (
                   insert into vicket.users (email, name) values ('owner@{org}.example', 'Owner') returning id
                 )
                 insert into vicket.members (org_id, user_id, role)
                 select o.id, person.id, 'owner' from vicket.orgs o, person where o.slug = '{org}';
                 insert into vicket.sessions (user_id, token_hash)
                 select m.user_id, sha256('session of {org}')
                 from vicket.members m join vicket.orgs o on o.id = m.org_id where o.slug = '{org}';
                 insert into vicket.invitations (org_id, email, role, token_hash, invited_by)
                 select id, 'guest@{org}.example', 'agent', sha256('invitation of {org}'), 'cli'
                 from vicket.orgs where slug = '{org}';
                 insert into vicket.machine_keys (org_id, name, key_hash, hint, permissions, created_by)
                 select m.org_id, 'robot', sha256('machine key of {org}'), 'hint', array['ticket:read'], m.user_id
                 from vicket.members m join vicket.orgs o on o.id = m.org_id where o.slug = '{org}'"
            ))
            .await;
    }
    world
        .arrange(
            "insert into vicket.teams (org_id, name) select id, 'Team' from vicket.orgs;
            insert into vicket.saved_replies (org_id, name, body, updated_by) select id, 'Hello', 'Hi', 'cli' from vicket.orgs;
            insert into vicket.saved_views (org_id, user_id, shared, name, filter) select org_id, user_id, true, 'All', '{}' from vicket.members;
            insert into vicket.saved_views (org_id, user_id, name, filter) select org_id, user_id, 'Mine', '{}' from vicket.members;
            insert into vicket.tags (org_id, name) select id, 'billing' from vicket.orgs;
            insert into vicket.team_members (org_id, team_id, user_id)
              select t.org_id, t.id, m.user_id from vicket.teams t join vicket.members m on m.org_id = t.org_id;
            insert into vicket.team_sites (org_id, team_id, site_id)
              select t.org_id, t.id, s.id from vicket.teams t join vicket.sites s on s.org_id = t.org_id;
            insert into vicket.templates (org_id, name) select org_id, 'Form of ' || slug from vicket.sites;
            insert into vicket.template_sites (org_id, template_id, site_id)
              select f.org_id, f.id, s.id
              from vicket.templates f join vicket.sites s on s.org_id = f.org_id and f.name = 'Form of ' || s.slug;
            insert into vicket.template_questions (org_id, template_id, label, type, position)
              select org_id, id, 'How bad is it?', 'select', 1 from vicket.templates;
            insert into vicket.template_options (org_id, template_id, question_id, label, position, points)
              select org_id, template_id, id, 'Very', 1, 5 from vicket.template_questions;
            insert into vicket.template_thresholds (org_id, template_id, points, priority_id)
              select f.org_id, f.id, 5, p.id
              from vicket.templates f join vicket.priorities p on p.org_id = f.org_id and p.name = 'Urgent'",
        )
        .await;
    let tickets = [
        two_tickets(&world, &world.site_a).await,
        two_tickets(&world, &world.site_b).await,
        two_tickets(&world, &world.site_c).await,
    ];
    Populated { world, tickets }
}

async fn two_tickets(world: &World, site: &Site) -> Tickets {
    let made = Tickets {
        mine: Uuid::new_v4(),
        my_token: TicketToken::mint(),
        other: Uuid::new_v4(),
        other_token: TicketToken::mint(),
    };
    let (org, id) = (site.org_id, site.id);
    for (ticket, token) in [(made.mine, &made.my_token), (made.other, &made.other_token)] {
        let hash = token.digest().to_hex();
        world
            .arrange(&format!(
                "begin;
                insert into vicket.tickets (org_id, site_id, id, email, subject)
                  values ('{org}', '{id}', '{ticket}', 'ada@example.com', 'Help');
                insert into vicket.ticket_tokens (org_id, site_id, ticket_id, token_hash)
                  values ('{org}', '{id}', '{ticket}', '\\x{hash}');
                insert into vicket.ticket_messages (org_id, site_id, ticket_id, author, body, internal)
                  values ('{org}', '{id}', '{ticket}', 'agent', 'We look into it.', false),
                    ('{org}', '{id}', '{ticket}', 'agent', 'A note among us.', true);
                insert into vicket.submissions (org_id, site_id, key_hash, request_hash, kind, ticket_id, message_id)
                  values ('{org}', '{id}', sha256('{ticket}'), sha256('request'), 'ticket', '{ticket}', gen_random_uuid());
                insert into vicket.attachments
                  (org_id, site_id, ticket_id, message_id, upload_id, name, content_type, size, content)
                  select m.org_id, m.site_id, m.ticket_id, m.id, gen_random_uuid(), 'a.txt', 'text/plain', 4, 'text'
                  from vicket.ticket_messages m where m.ticket_id = '{ticket}';
                insert into vicket.object_removals (org_id, site_id, object_key, due_at)
                  values ('{org}', '{id}', '{org}/{id}/{ticket}', now());
                insert into vicket.ticket_answers (org_id, site_id, ticket_id, position, label, value, points)
                  values ('{org}', '{id}', '{ticket}', 1, 'How bad is it?', 'Very', 5);
                insert into vicket.ticket_events (org_id, site_id, ticket_id, actor, kind, before, after)
                  values ('{org}', '{id}', '{ticket}', 'cli', 'priority', 'Normal', 'Urgent');
                insert into vicket.ticket_tags (org_id, site_id, ticket_id, tag_id)
                  select '{org}', '{id}', '{ticket}', g.id from vicket.tags g where g.org_id = '{org}';
                insert into vicket.ticket_seen (org_id, site_id, ticket_id, user_id, read_to, seen_at)
                  select '{org}', '{id}', '{ticket}', m.user_id, now(), now() from vicket.members m where m.org_id = '{org}';
                insert into vicket.ticket_drafts (org_id, site_id, ticket_id, user_id, kind, body)
                  select '{org}', '{id}', '{ticket}', m.user_id, 'reply', 'We are' from vicket.members m where m.org_id = '{org}';
                commit"
            ))
            .await;
    }
    // Whatever else follows from it is not for these tests.
    world
        .arrange(&format!(
            "begin;
            set local session_replication_role = replica;
            insert into vicket.ticket_merges (org_id, site_id, ticket_id, into_id) values ('{org}', '{id}', '{}', '{}');
            commit",
            made.other, made.mine
        ))
        .await;
    world
        .arrange(&format!(
            "insert into vicket.site_identities (org_id, site_id, keys, opener_hash) values ('{org}', '{id}', '{{}}', sha256('{id}'));
             insert into vicket.identity_secrets (org_id, site_id, sealed_secret, opener_hash, hint, state, created_by)
             values ('{org}', '{id}', 'sealed', sha256('{id}'), 'hint', 'active', 'cli');
             with person as (
               insert into vicket.customers (org_id, site_id, subject, email) values ('{org}', '{id}', 'user-1', 'ada@example.com')
               returning org_id, site_id, id
             )
             insert into vicket.customer_sessions (org_id, site_id, token_hash, customer_id, jti_hash)
             select p.org_id, p.site_id, sha256('customer of {id}'), p.id, sha256('jti') from person p;
             update vicket.tickets t set customer_id = c.id from vicket.customers c
             where c.site_id = '{id}' and t.id = '{}';
             insert into vicket.refused_origins (org_id, site_id, origin, times, first_seen, last_seen)
             values ('{org}', '{id}', 'https://elsewhere.example', 1, now(), now());
             insert into vicket.missed_searches (org_id, site_id, day, search, times)
             values ('{org}', '{id}', current_date, 'reset password', 1);
             insert into vicket.site_key_origins (org_id, site_id, key_id, origin, last_used_at)
             select org_id, site_id, id, 'https://used.example', now() from vicket.site_keys where site_id = '{id}';
             insert into vicket.audit_checkpoints
               (org_id, month, first_seq, last_seq, last_hash, public_key, signature)
             values ('{org}', '2020-01-01', 1, 1, sha256('x'), sha256('x'), sha256('x') || sha256('x'))
             on conflict do nothing;
             insert into vicket.jobs (org_id, kind, subject_id, actor, total)
             values ('{org}', 'move_status', gen_random_uuid(), 'cli', 1);
             insert into vicket.retention (org_id, site_id, closed_days) values ('{org}', '{id}', 365);
             insert into vicket.limit_windows (bucket, ends_at, used, lent)
             values (sha256('{id}'), now() + interval '1 minute', 1, 1);
             insert into vicket.mails (org_id, site_id, kind, ticket_id, recipient, message_ref)
             select org_id, site_id, 'ticket_received', id, email, '<m.1@example.com>'
             from vicket.tickets where site_id = '{id}';
             insert into vicket.tasks (org_id, site_id, kind, subject_id)
             select org_id, site_id, 'mail', id from vicket.mails where site_id = '{id}';
             select set_config('app.org_id', '{org}', true);
             insert into vicket.inbound_mails (org_id, site_id, address_id, recipient, mail_from, message_digest, content_digest, raw)
             select org_id, site_id, id, 'a@b.example', '', sha256('1'), sha256('1'), 'x'
             from vicket.mail_addresses where site_id = '{id}' and kind = 'site';
             insert into vicket.suppressions (org_id, site_id, address, reason)
             values ('{org}', '{id}', 'gone@example.com', '550 no such mailbox');
             insert into vicket.notifications (org_id, user_id)
             select org_id, user_id from vicket.members where org_id = '{org}' on conflict do nothing;
             insert into vicket.mail_service (domain, on_until) values ('example.com', now())
             on conflict do nothing;
             insert into vicket.mailboxes (digest, holder, held_until) values (sha256('{id}'), gen_random_uuid(), now());
             insert into vicket.mail_counts (digest, day, mails) values (sha256('{id}'), current_date, 1);
             insert into vicket.dkim_keys (org_id, site_id, selector, domain, public_key, sealed_key, created_by)
             values ('{org}', '{id}', 'v1', 'own.example', 'AAAA', 'sealed', 'cli');
             insert into vicket.account_mails (kind, email, message_ref) values ('new_device', 'a@b.c', '<m.2@example.com>');
             insert into vicket.password_resets (token_hash, user_id)
             select sha256(convert_to('{id}' || user_id::text, 'UTF8')), user_id from vicket.members where org_id = '{org}';
             insert into vicket.known_devices (user_id, digest)
             select user_id, sha256('{id}') from vicket.members where org_id = '{org}';
             insert into vicket.unproven_accounts (org_id, user_id, name, password_hash)
             select org_id, user_id, 'Owner', '$argon2id$v=19$x' from vicket.members where org_id = '{org}'
             on conflict do nothing",
            made.mine
        ))
        .await;
    made
}
