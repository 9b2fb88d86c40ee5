//! Many tickets changed alike, at once, and what takes that back.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::tags,
    agent::{self, Change},
};
use crate::{
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem},
};

/// Tickets that are changed at once, at the most.
pub const MOST: usize = 100;

/// What a ticket was before it was changed with others, and when that was: what takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    pub id: Uuid,
    /// Since when nothing else happened to it.
    pub updated_at: OffsetDateTime,
    pub status_id: Uuid,
    pub priority_id: Uuid,
    pub assignee_id: Option<Uuid>,
    pub snoozed_until: Option<OffsetDateTime>,
    /// Tags that were put on it, and such that were taken off.
    pub added_tags: Vec<Uuid>,
    pub removed_tags: Vec<Uuid>,
}

/// What became of the tickets that were to be changed.
#[derive(Debug, Default)]
pub struct Done {
    /// As they were before.
    pub changed: Vec<Before>,
    /// Those that whoever asks does not see.
    pub missing: Vec<Uuid>,
}

/// What became of the tickets whose change was to be taken back.
#[derive(Debug, Default)]
pub struct Undone {
    pub restored: Vec<Uuid>,
    /// Something else happened to these since: they stay as they are.
    pub changed_since: Vec<Uuid>,
    /// Those that whoever asks does not see.
    pub missing: Vec<Uuid>,
}

#[derive(Debug, FromRow)]
struct Row {
    id: Uuid,
    updated_at: OffsetDateTime,
    status_id: Uuid,
    priority_id: Uuid,
    assignee_id: Option<Uuid>,
    snoozed_until: Option<OffsetDateTime>,
    tags: Vec<Uuid>,
}

/// These tickets as they are, in the order of their ids; nobody else changes them meanwhile.
async fn held(tx: &mut OrgTx, ids: &[Uuid]) -> Result<Vec<Row>, Problem> {
    Ok(sqlx::query_as(
        "select t.id, t.updated_at, t.status_id, t.priority_id, t.assignee_id,
          case when t.snoozed_until > now() then t.snoozed_until end as snoozed_until,
          array(
            select g.tag_id from vicket.ticket_tags g
            where g.org_id = t.org_id and g.site_id = t.site_id and g.ticket_id = t.id
          ) as tags
        from vicket.tickets t
        where t.id = any ($1)
        order by t.id
        for no key update of t",
    )
    .bind(ids)
    .fetch_all(tx.connection())
    .await?)
}

/// Those of `ids` that none of `rows` is of, each once.
fn missing(ids: &[Uuid], rows: &[Row]) -> Vec<Uuid> {
    let found: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
    let asked: BTreeSet<Uuid> = ids.iter().copied().collect();
    asked.difference(&found).copied().collect()
}

/// Changes those of these tickets that whoever asks sees, all of them or, when one cannot be changed so, none.
///
/// # Errors
/// Those of [`agent::apply`], but for tickets that are not there.
pub async fn change(tx: &mut OrgTx, ids: &[Uuid], change: &Change<'_>) -> Result<Done, Problem> {
    let before = held(tx, ids).await?;
    let missing = missing(ids, &before);
    if before.is_empty() {
        return Ok(Done { missing, ..Done::default() });
    }
    let found: Vec<Uuid> = before.iter().map(|row| row.id).collect();
    agent::apply(tx, &found, change).await.map_err(|mut problem| {
        // Of many tickets it has another name.
        for error in problem.errors.iter_mut().filter(|error| error.field == "until") {
            "snoozed_until".clone_into(&mut error.field);
        }
        problem
    })?;
    let after = held(tx, &found).await?;
    let without = |tags: &[Uuid], others: &[Uuid]| tags.iter().filter(|tag| !others.contains(tag)).copied().collect();
    let changed = before.into_iter().zip(after).map(|(before, after)| Before {
        id: before.id,
        updated_at: after.updated_at,
        status_id: before.status_id,
        priority_id: before.priority_id,
        assignee_id: before.assignee_id,
        snoozed_until: before.snoozed_until,
        added_tags: without(&after.tags, &before.tags),
        removed_tags: without(&before.tags, &after.tags),
    });
    Ok(Done { changed: changed.collect(), missing })
}

/// Takes back what [`change`] did, of the tickets to which nothing else happened since. A status, a priority or a tag that is gone
/// meanwhile does not come back.
///
/// # Errors
/// `403 permission_required` when one would change hands and they may not assign; `422 unprocessable` when one would go to a member
/// who may not be given it any more.
pub async fn undo(tx: &mut OrgTx, before: &[Before]) -> Result<Undone, Problem> {
    let by_id: BTreeMap<Uuid, &Before> = before.iter().map(|one| (one.id, one)).collect();
    let ids: Vec<Uuid> = by_id.keys().copied().collect();
    let rows = held(tx, &ids).await?;
    let missing = missing(&ids, &rows);
    let (same, other): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| by_id.get(&row.id).is_some_and(|one| one.updated_at == row.updated_at));
    let changed_since = other.iter().map(|row| row.id).collect();
    let restored: Vec<&Before> = same.iter().filter_map(|row| by_id.get(&row.id).copied()).collect();
    let moves = same.iter().zip(&restored).any(|(row, one)| row.assignee_id != one.assignee_id);
    if moves && !tx.actor().is_some_and(|actor| actor.may(Permission::TicketAssign)) {
        return Err(Problem::permission_required(Permission::TicketAssign));
    }
    let of = |value: fn(&Before) -> Uuid| restored.iter().map(|one| value(one)).collect::<Vec<_>>();
    let ids = of(|one| one.id);
    sqlx::query(
        "update vicket.tickets t set
          status_id = coalesce((select s.id from vicket.statuses s where s.id = w.status_id and s.deleted_at is null), t.status_id),
          priority_id =
            coalesce((select p.id from vicket.priorities p where p.id = w.priority_id and p.deleted_at is null), t.priority_id),
          assignee_id = w.assignee_id,
          snoozed_until = w.snoozed_until
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[])
          w (id, status_id, priority_id, assignee_id, snoozed_until)
        where t.id = w.id",
    )
    .bind(&ids)
    .bind(of(|one| one.status_id))
    .bind(of(|one| one.priority_id))
    .bind(restored.iter().map(|one| one.assignee_id).collect::<Vec<_>>())
    .bind(restored.iter().map(|one| one.snoozed_until).collect::<Vec<_>>())
    .execute(tx.connection())
    .await
    .map_err(agent::unassignable)?;
    // Those of which the same is to be taken back together.
    let mut alike: BTreeMap<(&[Uuid], &[Uuid]), Vec<Uuid>> = BTreeMap::new();
    for one in &restored {
        alike.entry((&one.added_tags, &one.removed_tags)).or_default().push(one.id);
    }
    for ((added, removed), tickets) in alike {
        let there = tags::that_are(tx, removed).await?;
        tags::tag(tx, &tickets, &there, added).await?;
    }
    Ok(Undone { restored: ids, changed_since, missing })
}
