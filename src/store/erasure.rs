//! Erasing a person: everything that an org knows of them by their e-mail address.

use crate::{
    db::OrgTx,
    domain::problem::{Code, Problem},
};

/// One kind of thing that names a person.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    pub what: &'static str,
    /// Before.
    pub found: i64,
    /// After. Nothing, where it could be erased.
    pub left: i64,
}

/// What an account is called in the traces. It is left for the other orgs that its person is in.
pub const ACCOUNTS: &str = "accounts";

/// What the operator counts and changes by itself. `$1` is the address; a row that is found once is not found again.
const BY_ADDRESS: [(&str, &str, &str); 11] = [
    (
        "invitations",
        "select count(*) from vicket.invitations i where i.email = $1",
        "select ctx.remove('invitations', array(select i.id from vicket.invitations i where i.email = $1))",
    ),
    (
        "suppressions of their address",
        "select count(*) from vicket.suppressions s where s.address = $1",
        "select ctx.remove('suppressions', array(select s.id from vicket.suppressions s where s.address = $1))",
    ),
    (
        "mail that came from their address",
        "select count(*) from vicket.inbound_mails i
        where $1 in (lower(i.author collate \"C\"), lower(i.mail_from collate \"C\"))",
        "select admin.forget_mail($1)",
    ),
    (
        "customers whom a site vouched for",
        "select count(*) from vicket.customers c where lower(c.email collate \"C\") = $1",
        "select admin.forget_customer($1)",
    ),
    (
        "identity secrets by them",
        "select count(*) from vicket.identity_secrets s where s.created_by = $1",
        "update vicket.identity_secrets s set created_by = 'erased' where s.created_by = $1",
    ),
    (
        "invitations by them",
        "select count(*) from vicket.invitations i where i.invited_by = $1",
        "update vicket.invitations i set invited_by = 'erased' where i.invited_by = $1",
    ),
    (
        "site keys by them",
        "select count(*) from vicket.site_keys k where k.created_by = $1",
        "update vicket.site_keys k set created_by = 'erased' where k.created_by = $1",
    ),
    (
        "articles by them",
        "select count(*) from vicket.articles a where $1 in (a.created_by, a.updated_by)",
        "update vicket.articles a
        set created_by = case a.created_by when $1 then 'erased' else a.created_by end,
          updated_by = case a.updated_by when $1 then 'erased' else a.updated_by end
        where $1 in (a.created_by, a.updated_by)",
    ),
    (
        "FAQs by them",
        "select count(*) from vicket.faqs f where $1 in (f.created_by, f.updated_by)",
        "update vicket.faqs f
        set created_by = case f.created_by when $1 then 'erased' else f.created_by end,
          updated_by = case f.updated_by when $1 then 'erased' else f.updated_by end
        where $1 in (f.created_by, f.updated_by)",
    ),
    (
        "saved replies by them",
        "select count(*) from vicket.saved_replies r where r.updated_by = $1",
        "update vicket.saved_replies r set updated_by = 'erased' where r.updated_by = $1",
    ),
    (
        "changes of tickets by them or to them",
        "select count(*) from vicket.ticket_events e
        where e.actor = $1 or e.kind = 'assignee' and $1 in (e.before, e.after)",
        "update vicket.ticket_events e
        set actor = case e.actor when $1 then 'erased' else e.actor end,
          before = case when e.kind = 'assignee' and e.before = $1 then 'erased' else e.before end,
          after = case when e.kind = 'assignee' and e.after = $1 then 'erased' else e.after end
        where e.actor = $1 or e.kind = 'assignee' and $1 in (e.before, e.after)",
    ),
];

/// As a customer, their tickets with all that was said and sent in them go; as somebody who worked here, their name goes
/// from what they wrote and from the audit log, and their account when they are in no org. Says what there was, and what
/// is left.
///
/// # Errors
/// `400 invalid_request` when they are a member.
pub async fn erase(tx: &mut OrgTx, email: &str) -> Result<Vec<Trace>, Problem> {
    let address = email.trim().to_ascii_lowercase();
    let (account, person, entries): (bool, Option<uuid::Uuid>, i64) =
        sqlx::query_as("select e.account, e.person, e.entries from admin.erase_person($1) e")
            .bind(&address)
            .fetch_one(tx.connection())
            .await
            .map_err(|error| {
                Problem::on_constraint(error, "erase_no_member", || {
                    Problem::new(Code::InvalidRequest, format!("{address} is a member. Remove them first."))
                })
            })?;
    let mut traces = Vec::new();
    for (what, count, erasure) in BY_ADDRESS {
        let found = sqlx::query_scalar(count).bind(&address).fetch_one(tx.connection()).await?;
        sqlx::query(erasure).bind(&address).execute(tx.connection()).await?;
        let left = sqlx::query_scalar(count).bind(&address).fetch_one(tx.connection()).await?;
        traces.push(Trace { what, found, left });
    }
    traces.push(answers(tx, person).await?);
    traces.extend(tickets(tx, &address).await?);
    let left = sqlx::query_scalar(
        "select count(*) from vicket.audit_log l
        where l.actor_id = $1 or $2 in (l.actor, l.object_id)
          or $2 in (select f.value from jsonb_each_text(l.before) f) or $2 in (select f.value from jsonb_each_text(l.after) f)",
    )
    .bind(person)
    .bind(&address)
    .fetch_one(tx.connection())
    .await?;
    traces.push(Trace { what: "entries of the audit log", found: entries, left });
    traces.push(Trace {
        what: ACCOUNTS,
        found: i64::from(person.is_some()),
        left: i64::from(person.is_some() && !account),
    });
    Ok(traces)
}

/// What they answered stays, without their name.
async fn answers(tx: &mut OrgTx, person: Option<uuid::Uuid>) -> Result<Trace, Problem> {
    const COUNT: &str = "select count(*) from vicket.ticket_messages m where m.author_id = $1";
    let found = sqlx::query_scalar(COUNT).bind(person).fetch_one(tx.connection()).await?;
    sqlx::query("update vicket.ticket_messages m set author_id = null, author_name = null where m.author_id = $1")
        .bind(person)
        .execute(tx.connection())
        .await?;
    let left = sqlx::query_scalar(COUNT).bind(person).fetch_one(tx.connection()).await?;
    Ok(Trace { what: "answers by them", found, left })
}

/// Messages, answers to forms and files go with their ticket, files in an object store within the hour.
async fn tickets(tx: &mut OrgTx, address: &str) -> Result<[Trace; 2], Problem> {
    const TICKETS: &str = "select count(*) from vicket.tickets t where lower(t.email collate \"C\") = $1";
    const MESSAGES: &str = "select count(*) from vicket.ticket_messages m
        join vicket.tickets t on t.org_id = m.org_id and t.site_id = m.site_id and t.id = m.ticket_id
        where lower(t.email collate \"C\") = $1";
    let (tickets, messages) = (
        sqlx::query_scalar(TICKETS).bind(address).fetch_one(tx.connection()).await?,
        sqlx::query_scalar(MESSAGES).bind(address).fetch_one(tx.connection()).await?,
    );
    sqlx::query("select ctx.remove('tickets', array(select t.id from vicket.tickets t where lower(t.email collate \"C\") = $1))")
        .bind(address)
        .execute(tx.connection())
        .await?;
    let left = sqlx::query_scalar(TICKETS).bind(address).fetch_one(tx.connection()).await?;
    let unsaid = sqlx::query_scalar(MESSAGES).bind(address).fetch_one(tx.connection()).await?;
    Ok([
        Trace { what: "tickets", found: tickets, left },
        Trace { what: "messages in them", found: messages, left: unsaid },
    ])
}
