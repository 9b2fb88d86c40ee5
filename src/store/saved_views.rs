//! Filters of the inbox by name, of one member or of the team, and how many tickets are behind each.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::tags;
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::ViewName,
    },
};

/// More than these are not counted.
pub const MOST: i32 = 1000;
/// Views that somebody sees, at the most.
const VIEWS: i64 = 100;

/// What a view shows, as the list of tickets is asked for it; what is absent is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewFilter {
    /// A site's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// A category, or the name of a status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The name of a priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// `me`, `none` or a user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Names or ids of tags, all of which a ticket has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What is searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unresolved: bool,
    /// Only those that are snoozed, or only those that are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snoozed: Option<bool>,
}

/// A view.
#[derive(Debug, FromRow)]
pub struct View {
    pub id: Uuid,
    /// The team's, and not one member's.
    pub shared: bool,
    pub name: String,
    pub filter: Json<ViewFilter>,
    pub position: i32,
}

/// How many unresolved tickets there are, [`MOST`] for more than 999.
#[derive(Debug)]
pub struct Counts {
    /// Of whoever asks.
    pub mine: i32,
    /// Of nobody.
    pub unassigned: i32,
    /// Whose customer waits for an answer.
    pub waiting: i32,
    /// That whoever asks has not read.
    pub unread: i32,
    /// That are out of sight; the others are not counted above.
    pub snoozed: i32,
    /// Of each view, in its place; `None` of one that is searched for words.
    pub views: Vec<Option<i32>>,
}

/// The team's views and those of whoever asks, in their order.
///
/// # Errors
/// `5xx` only.
pub async fn list(tx: &mut OrgTx) -> Result<Vec<View>, Problem> {
    let sql = "select v.id, v.shared, v.name, v.filter, v.position
        from vicket.saved_views v
        order by not v.shared, v.position, v.name, v.id
        limit $1";
    Ok(sqlx::query_as(sql).bind(VIEWS).fetch_all(tx.connection()).await?)
}

/// How many tickets are behind each view, and behind those that there always are: in one statement, of the 2,000 unresolved
/// tickets of which something was said last, which are read once.
///
/// # Errors
/// `5xx` only.
pub async fn counts(tx: &mut OrgTx, views: &[View]) -> Result<Counts, Problem> {
    let tags = tags_of(tx, views).await?;
    let tagged = tags.iter().any(Option::is_some);
    let (mine, unassigned, waiting, unread, snoozed, counted): (i32, i32, i32, i32, i32, Vec<i32>) = sqlx::query_as(
        "with active as materialized (
          select i.site_id, i.status, i.status_id, i.priority_id, i.assignee_id, i.unanswered and i.status = 'open' and not i.snoozed as waiting,
            i.snoozed,
            i.last_activity_at > coalesce(s.read_to, '-infinity') as unread,
            case when $8 then array(
              select g.tag_id from vicket.ticket_tags g
              where g.org_id = i.org_id and g.site_id = i.site_id and g.ticket_id = i.id
            ) end as tags
          from (
            select t.org_id, t.site_id, t.id, t.status, t.status_id, t.priority_id, t.assignee_id, t.unanswered, t.last_activity_at,
              coalesce(t.snoozed_until > now(), false) as snoozed
            from vicket.tickets t
            where t.status <> all (array['resolved', 'closed'])
            order by t.last_activity_at desc, t.id desc
            limit 2000
          ) i
          left join vicket.ticket_seen s on s.org_id = i.org_id and s.site_id = i.site_id and s.ticket_id = i.id
            and s.user_id = (select ctx.actor_user_id())
        )
        select
          least(count(*) filter (where a.assignee_id = (select ctx.actor_user_id()) and not a.snoozed), $6)::integer,
          least(count(*) filter (where a.assignee_id is null and not a.snoozed), $6)::integer,
          least(count(*) filter (where a.waiting), $6)::integer,
          least(count(*) filter (where a.unread and not a.snoozed), $6)::integer,
          least(count(*) filter (where a.snoozed), $6)::integer,
          array(
            select least((
              select count(*) from active a
              where (v.site is null or a.site_id = x.site_id)
                and (v.status is null or a.status = v.status or a.status_id = any (x.status_ids))
                and (v.priority is null or a.priority_id = any (x.priority_ids))
                and (v.assignee is null or a.assignee_id = x.assignee_id or v.assignee = 'none' and a.assignee_id is null)
                and (not (v.flags & 1 = 1) or a.waiting)
                and (not (v.flags & 2 = 2) or a.unread)
                and (not (v.flags & 4 = 4) or a.snoozed)
                and (not (v.flags & 8 = 8) or not a.snoozed)
                and (v.tags is null or a.tags @> v.tags::uuid[])
            ), $6)::integer
            from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $7::text[]) with ordinality
              v (site, status, priority, assignee, flags, tags, place)
            cross join lateral (
              select (select f.id from vicket.sites f where f.slug = v.site),
                array(select f.id from vicket.statuses f where lower(f.name) = lower(v.status)),
                array(select f.id from vicket.priorities f where lower(f.name) = lower(v.priority)),
                case when v.assignee = 'me' then (select ctx.actor_user_id()) when v.assignee <> 'none' then v.assignee::uuid end
            ) x (site_id, status_ids, priority_ids, assignee_id)
            order by v.place
          )
        from active a",
    )
    .bind(views.iter().map(|view| view.filter.site.clone()).collect::<Vec<_>>())
    .bind(views.iter().map(|view| view.filter.status.clone()).collect::<Vec<_>>())
    .bind(views.iter().map(|view| view.filter.priority.clone()).collect::<Vec<_>>())
    .bind(views.iter().map(|view| view.filter.assignee.clone()).collect::<Vec<_>>())
    .bind(views.iter().map(|view| flags(&view.filter)).collect::<Vec<_>>())
    .bind(MOST)
    .bind(tags)
    .bind(tagged)
    .fetch_one(tx.connection())
    .await?;
    let searched = |view: &View| view.filter.q.is_some();
    let views = views.iter().zip(counted).map(|(view, count)| (!searched(view)).then_some(count)).collect();
    Ok(Counts { mine, unassigned, waiting, unread, snoozed, views })
}

/// What a view asks for besides names, a bit each.
fn flags(filter: &ViewFilter) -> i32 {
    let snoozed = match filter.snoozed {
        None => 0,
        Some(true) => 4,
        Some(false) => 8,
    };
    i32::from(filter.waiting) + 2 * i32::from(filter.unread) + snoozed
}

/// The ids of the tags of each view, as an array; of a tag that is gone, of which no ticket is, the id of none.
async fn tags_of(tx: &mut OrgTx, views: &[View]) -> Result<Vec<Option<String>>, Problem> {
    let names: Vec<&str> = views.iter().flat_map(|view| view.filter.tags.iter().map(String::as_str)).collect();
    if names.is_empty() {
        return Ok(vec![None; views.len()]);
    }
    let mut found = tags::looked_up(tx, &names).await?.into_iter();
    let ids = views.iter().map(|view| {
        let ids: Vec<String> =
            found.by_ref().take(view.filter.tags.len()).map(|id| id.unwrap_or_default().to_string()).collect();
        (!ids.is_empty()).then(|| format!("{{{}}}", ids.join(",")))
    });
    Ok(ids.collect())
}

/// Saves a view: of whoever asks, or the team's.
///
/// # Errors
/// `409 name_taken`.
pub async fn create(
    tx: &mut OrgTx,
    name: &ViewName,
    filter: &ViewFilter,
    shared: bool,
    position: i32,
) -> Result<View, Problem> {
    sqlx::query_as(
        "insert into vicket.saved_views (name, filter, shared, position) values ($1, $2, $3, $4)
        returning id, shared, name, filter, position",
    )
    .bind(name.as_str())
    .bind(Json(filter))
    .bind(shared)
    .bind(position)
    .fetch_one(tx.connection())
    .await
    .map_err(name_taken)
}

/// What changes of a view; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub name: Option<&'a ViewName>,
    pub filter: Option<&'a ViewFilter>,
    pub position: Option<i32>,
}

/// The view of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<View, Problem> {
    sqlx::query_as("select v.id, v.shared, v.name, v.filter, v.position from vicket.saved_views v where v.id = $1")
        .bind(id)
        .fetch_optional(tx.connection())
        .await?
        .ok_or_else(Problem::not_found)
}

/// Changes a view.
///
/// # Errors
/// `404 not_found`; `409 name_taken`.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<View, Problem> {
    sqlx::query_as(
        "update vicket.saved_views
        set name = coalesce($2, name), filter = coalesce($3, filter), position = coalesce($4, position)
        where id = $1
        returning id, shared, name, filter, position",
    )
    .bind(id)
    .bind(change.name.map(ViewName::as_str))
    .bind(change.filter.map(Json))
    .bind(change.position)
    .fetch_optional(tx.connection())
    .await
    .map_err(name_taken)?
    .ok_or_else(Problem::not_found)
}

/// Deletes a view.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    let gone: bool = sqlx::query_scalar("select ctx.remove_view($1)").bind(id).fetch_one(tx.connection()).await?;
    if gone { Ok(()) } else { Err(Problem::not_found()) }
}

fn name_taken(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "saved_views_name_unique", || {
        Problem::new(Code::NameTaken, "There is a view of this name already.")
    })
}
