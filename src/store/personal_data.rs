//! What an org knows of one person, by their e-mail address: to be handed out. What of it can be erased, `erasure` has.

use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::attachments::Held;
use crate::{db::OrgTx, domain::problem::Problem};

/// The tickets of a customer, oldest first.
///
/// # Errors
/// `5xx` only.
pub async fn tickets(tx: &mut OrgTx, address: &str) -> Result<Vec<Uuid>, Problem> {
    let sql = "select t.id from vicket.tickets t where lower(t.email collate \"C\") = $1 order by t.created_at, t.id";
    Ok(sqlx::query_scalar(sql).bind(address).fetch_all(tx.connection()).await?)
}

/// One ticket with what was said and answered in it, notes of agents among it: `reference, site, email, name, subject, status,
/// created_at, updated_at, answers[{label, value}], messages[{id, author, author_name, internal, body, created_at}]`.
///
/// # Errors
/// `5xx` only.
pub async fn ticket(tx: &mut OrgTx, id: Uuid) -> Result<Value, Problem> {
    let sql = "select jsonb_build_object(
          'reference', s.prefix || '-' || t.number, 'site', s.slug, 'email', t.email, 'name', t.name, 'subject', t.subject,
          'status', t.status, 'created_at', t.created_at, 'updated_at', t.updated_at,
          'answers', (
            select coalesce(jsonb_agg(jsonb_build_object('label', a.label, 'value', a.value) order by a.position), '[]')
            from vicket.ticket_answers a
            where a.org_id = t.org_id and a.site_id = t.site_id and a.ticket_id = t.id),
          'messages', (
            select coalesce(jsonb_agg(jsonb_build_object(
              'id', m.id, 'author', m.author, 'author_name', m.author_name, 'internal', m.internal, 'body', m.body,
              'created_at', m.created_at) order by m.created_at, m.id), '[]')
            from vicket.ticket_messages m
            where m.org_id = t.org_id and m.site_id = t.site_id and m.ticket_id = t.id))
        from vicket.tickets t
        join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
        where t.id = $1";
    Ok(sqlx::query_scalar(sql).bind(id).fetch_one(tx.connection()).await?)
}

/// A file on a message of a ticket.
#[derive(Debug, FromRow)]
pub struct File {
    pub id: Uuid,
    pub message_id: Uuid,
    pub name: String,
    pub content_type: String,
    pub size: i64,
    content: Option<Vec<u8>>,
    object_key: Option<String>,
}

impl File {
    /// Where its bytes are.
    ///
    /// # Errors
    /// When they are nowhere, which a constraint forbids.
    pub fn held(&mut self) -> Result<Held, Problem> {
        match (self.content.take(), self.object_key.take()) {
            (Some(content), _) => Ok(Held::Here(content.into())),
            (None, Some(key)) => Ok(Held::Elsewhere(key)),
            (None, None) => Err(Problem::internal("an attachment is held nowhere")),
        }
    }
}

/// The ids of a ticket's files, oldest first.
///
/// # Errors
/// `5xx` only.
pub async fn files(tx: &mut OrgTx, ticket_id: Uuid) -> Result<Vec<Uuid>, Problem> {
    let sql = "select a.id from vicket.attachments a where a.ticket_id = $1 order by a.created_at, a.id";
    Ok(sqlx::query_scalar(sql).bind(ticket_id).fetch_all(tx.connection()).await?)
}

/// One file, with its bytes or their place.
///
/// # Errors
/// `404 not_found`.
pub async fn file(tx: &mut OrgTx, id: Uuid) -> Result<File, Problem> {
    let sql = "select a.id, a.message_id, a.name, a.content_type, a.size, a.content, a.object_key
        from vicket.attachments a where a.id = $1";
    sqlx::query_as(sql).bind(id).fetch_optional(tx.connection()).await?.ok_or_else(Problem::not_found)
}

/// What somebody did who works here: the name of the list, and its statement; `$1` is the address.
const DONE: [(&str, &str); 12] = [
    (
        "audit_log",
        "select coalesce(jsonb_agg(jsonb_build_object(
            'at', l.at, 'action', l.action, 'object_kind', l.object_kind, 'object_id', l.object_id, 'before', l.before,
            'after', l.after) order by l.seq), '[]')
        from vicket.audit_log l
        where l.actor = $1 or l.object_id = $1 or $1 in (select f.value from jsonb_each_text(l.after) f)",
    ),
    (
        "answers",
        "select coalesce(jsonb_agg(jsonb_build_object('ticket', s.prefix || '-' || t.number, 'internal', m.internal, 'body', m.body,
            'created_at', m.created_at) order by m.created_at, m.id), '[]')
        from vicket.ticket_messages m
        join vicket.tickets t on t.org_id = m.org_id and t.site_id = m.site_id and t.id = m.ticket_id
        join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
        where m.author_id = (select p.user_id from ctx.people() p where p.email = $1)",
    ),
    (
        "drafts",
        "select coalesce(jsonb_agg(jsonb_build_object('ticket', s.prefix || '-' || t.number, 'kind', d.kind, 'body', d.body,
            'updated_at', d.updated_at) order by d.updated_at, d.ticket_id, d.kind), '[]')
        from vicket.ticket_drafts d
        join vicket.tickets t on t.org_id = d.org_id and t.site_id = d.site_id and t.id = d.ticket_id
        join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
        where d.user_id = (select p.user_id from ctx.people() p where p.email = $1)",
    ),
    (
        "changes_of_tickets",
        "select coalesce(jsonb_agg(jsonb_build_object(
            'at', e.at, 'kind', e.kind, 'before', e.before, 'after', e.after) order by e.at, e.id), '[]')
        from vicket.ticket_events e
        where e.actor = $1 or e.kind = 'assignee' and $1 in (e.before, e.after)",
    ),
    (
        "articles",
        "select coalesce(jsonb_agg(jsonb_build_object('slug', a.slug, 'created_by', a.created_by, 'updated_by', a.updated_by)), '[]')
        from vicket.articles a where $1 in (a.created_by, a.updated_by)",
    ),
    (
        "faqs",
        "select coalesce(jsonb_agg(jsonb_build_object(
            'question', f.question, 'created_by', f.created_by, 'updated_by', f.updated_by)), '[]')
        from vicket.faqs f where $1 in (f.created_by, f.updated_by)",
    ),
    (
        "saved_replies",
        "select coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'updated_at', r.updated_at)), '[]')
        from vicket.saved_replies r where r.updated_by = $1",
    ),
    (
        "mails",
        "select coalesce(jsonb_agg(jsonb_build_object('kind', m.kind, 'state', m.state, 'detail', m.detail, 'at', m.at,
            'created_at', m.created_at) order by m.created_at), '[]')
        from vicket.mails m where lower(m.recipient collate \"C\") = $1",
    ),
    (
        "inbound_mails",
        "select coalesce(jsonb_agg(jsonb_build_object('from', i.author, 'name', i.author_name, 'subject', i.subject, 'to', i.recipient,
            'state', i.state, 'received_at', i.received_at) order by i.received_at), '[]')
        from vicket.inbound_mails i
        where $1 in (lower(i.author collate \"C\"), lower(i.mail_from collate \"C\"))",
    ),
    (
        "customers",
        "select coalesce(jsonb_agg(jsonb_build_object('site', s.slug, 'subject', c.subject, 'email', c.email, 'name', c.name,
            'created_at', c.created_at, 'seen_at', c.seen_at)), '[]')
        from vicket.customers c join vicket.sites s on s.org_id = c.org_id and s.id = c.site_id
        where lower(c.email collate \"C\") = $1",
    ),
    (
        "suppressions",
        "select coalesce(jsonb_agg(jsonb_build_object('address', s.address, 'reason', s.reason, 'at', s.at)), '[]')
        from vicket.suppressions s where s.address = $1",
    ),
    (
        "invitations",
        "select coalesce(jsonb_agg(jsonb_build_object('email', i.email, 'role', i.role, 'invited_by', i.invited_by)), '[]')
        from vicket.invitations i where $1 in (i.email, i.invited_by)",
    ),
];

/// Lists of what they did here, by name; each a list of objects.
///
/// # Errors
/// `5xx` only.
pub async fn done(tx: &mut OrgTx, address: &str) -> Result<Vec<(&'static str, Value)>, Problem> {
    let mut lists = Vec::new();
    for (name, sql) in DONE {
        lists.push((name, sqlx::query_scalar(sql).bind(address).fetch_one(tx.connection()).await?));
    }
    Ok(lists)
}

/// Their membership: `email, name, role, since`; `None` when they are no member.
///
/// # Errors
/// `5xx` only.
pub async fn membership(tx: &mut OrgTx, address: &str) -> Result<Option<Value>, Problem> {
    let sql = "select jsonb_build_object('email', p.email, 'name', p.name, 'role', m.role, 'since', m.created_at)
        from vicket.members m join ctx.people() p on p.user_id = m.user_id where p.email = $1";
    Ok(sqlx::query_scalar(sql).bind(address).fetch_optional(tx.connection()).await?)
}
