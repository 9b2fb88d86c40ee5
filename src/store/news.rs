//! What is new in an org: marks of the tickets, and of who is at them, that changed in the last ten seconds. What is a mark that was
//! not there before is news; a mark says no more.

use uuid::Uuid;

use crate::{
    db::{OrgTx, Worker},
    domain::problem::Problem,
};

/// Of each of these orgs, whoever sees it there.
///
/// # Errors
/// `5xx` only.
pub async fn of_orgs(worker: &Worker, orgs: &[Uuid]) -> Result<Vec<(Uuid, Vec<i64>)>, Problem> {
    worker.rows(sqlx::query_as("select org_id, marks from worker.news_of_orgs($1)").bind(orgs)).await
}

/// The org of this transaction, and what whoever asks may see of its news.
///
/// # Errors
/// `5xx` only.
pub async fn mine(tx: &mut OrgTx) -> Result<(Uuid, Vec<i64>), Problem> {
    Ok(sqlx::query_as(
        "select (select ctx.org_id()), array(
          (select hashtextextended(t.id::text || t.updated_at, 0)
            from vicket.tickets t
            where t.updated_at > now() - interval '10 seconds'
            order by t.updated_at desc
            limit 200)
          union all
          (select hashtextextended(s.ticket_id::text || s.user_id || s.changed_at, 0)
            from vicket.ticket_seen s
            where s.changed_at > now() - interval '10 seconds'
            order by s.changed_at desc
            limit 200)
          union all
          (select hashtextextended(t.id::text || t.snoozed_until, 1)
            from vicket.tickets t
            where t.snoozed_until > now() - interval '10 seconds' and t.snoozed_until <= now()
            order by t.snoozed_until desc
            limit 200)
        )",
    )
    .fetch_one(tx.connection())
    .await?)
}
