//! Tags: what an org calls its tickets, and which ticket is called what.

use std::collections::BTreeSet;

use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::paging::{self, PageRequest};
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::TagName,
    },
};

/// What a tag is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Colour {
    #[default]
    Grey,
    Red,
    Orange,
    Yellow,
    Green,
    Teal,
    Blue,
    Purple,
}

impl Colour {
    /// All that there are, with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Grey, "grey"),
        (Self::Red, "red"),
        (Self::Orange, "orange"),
        (Self::Yellow, "yellow"),
        (Self::Green, "green"),
        (Self::Teal, "teal"),
        (Self::Blue, "blue"),
        (Self::Purple, "purple"),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(colour, _)| *colour == self).map_or("grey", |(_, name)| name)
    }

    /// The colour of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(colour, _)| *colour)
    }
}

/// A tag.
#[derive(Debug, Clone, FromRow, Deserialize)]
pub struct Tag {
    pub id: Uuid,
    pub name: String,
    pub colour: Colour,
}

/// What changes of a tag; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub name: Option<&'a TagName>,
    pub colour: Option<Colour>,
}

/// The tags of the org, by name.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, page_request: PageRequest<'_>) -> Result<(Vec<Tag>, Option<String>), Problem> {
    let rows: Vec<Tag> = sqlx::query_as(
        "select g.id, g.name, g.colour
        from vicket.tags g
        where $1::text is null or lower(g.name) > lower($1)
        order by lower(g.name)
        limit $2",
    )
    .bind(page_request.after_text(b'g')?)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |tag| paging::write_text(b'g', &tag.name)))
}

/// The tags to choose from, by name.
///
/// # Errors
/// `5xx` only.
pub async fn choices(tx: &mut OrgTx) -> Result<Vec<Tag>, Problem> {
    let sql = "select g.id, g.name, g.colour from vicket.tags g order by lower(g.name) limit 500";
    Ok(sqlx::query_as(sql).fetch_all(tx.connection()).await?)
}

/// The tag of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Tag, Problem> {
    sqlx::query_as("select g.id, g.name, g.colour from vicket.tags g where g.id = $1")
        .bind(id)
        .fetch_optional(tx.connection())
        .await?
        .ok_or_else(Problem::not_found)
}

/// Makes a tag.
///
/// # Errors
/// `409 name_taken`.
pub async fn create(tx: &mut OrgTx, name: &TagName, colour: Colour) -> Result<Tag, Problem> {
    sqlx::query_as("insert into vicket.tags (name, colour) values ($1, $2) returning id, name, colour")
        .bind(name.as_str())
        .bind(colour)
        .fetch_one(tx.connection())
        .await
        .map_err(name_taken)
}

/// Changes a tag, on all its tickets.
///
/// # Errors
/// `404 not_found`; `409 name_taken`.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Tag, Problem> {
    sqlx::query_as(
        "update vicket.tags set name = coalesce($2, name), colour = coalesce($3, colour) where id = $1
        returning id, name, colour",
    )
    .bind(id)
    .bind(change.name.map(TagName::as_str))
    .bind(change.colour)
    .fetch_optional(tx.connection())
    .await
    .map_err(name_taken)?
    .ok_or_else(Problem::not_found)
}

/// Deletes a tag, which comes off its tickets.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    let gone: bool = sqlx::query_scalar("select ctx.remove_tag($1)").bind(id).fetch_one(tx.connection()).await?;
    if gone { Ok(()) } else { Err(Problem::not_found()) }
}

/// The tags that somebody names, by name or id, each in its place; `None` where the org has none.
///
/// # Errors
/// `5xx` only.
pub async fn looked_up(tx: &mut OrgTx, names: &[&str]) -> Result<Vec<Option<Uuid>>, Problem> {
    let ids: Vec<Option<Uuid>> = names.iter().map(|name| name.parse().ok()).collect();
    Ok(sqlx::query_scalar(
        "select coalesce(
          (select g.id from vicket.tags g where g.id = w.id),
          (select g.id from vicket.tags g where lower(g.name) = lower(w.name)))
        from unnest($1::text[], $2::uuid[]) with ordinality w (name, id, place)
        order by w.place",
    )
    .bind(names)
    .bind(ids)
    .fetch_all(tx.connection())
    .await?)
}

/// As [`looked_up`], each once; `None` when there is one that the org has not.
///
/// # Errors
/// `5xx` only.
pub async fn named(tx: &mut OrgTx, names: &[&str]) -> Result<Option<Vec<Uuid>>, Problem> {
    let found: Option<BTreeSet<Uuid>> = looked_up(tx, names).await?.into_iter().collect();
    Ok(found.map(|ids| ids.into_iter().collect()))
}

/// As [`named`], of what a field names.
///
/// # Errors
/// `422 unprocessable` when there is one that the org has not.
pub async fn known(tx: &mut OrgTx, field: &str, names: &[&str]) -> Result<Vec<Uuid>, Problem> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    named(tx, names).await?.ok_or_else(|| Problem::unprocessable(field, "the org has no such tag"))
}

/// Those of these tags that there still are.
///
/// # Errors
/// `5xx` only.
pub async fn that_are(tx: &mut OrgTx, tags: &[Uuid]) -> Result<Vec<Uuid>, Problem> {
    if tags.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "select g.id from vicket.tags g where g.id = any ($1)";
    Ok(sqlx::query_scalar(sql).bind(tags).fetch_all(tx.connection()).await?)
}

/// Puts tags on tickets and takes others off them, as far as whoever asks may; what is on a ticket already, or is not, stays so.
///
/// # Errors
/// `422 unprocessable` when a ticket would have more than 30.
pub async fn tag(tx: &mut OrgTx, tickets: &[Uuid], add: &[Uuid], remove: &[Uuid]) -> Result<(), Problem> {
    if !remove.is_empty() {
        sqlx::query("select ctx.untag($1, $2)").bind(tickets).bind(remove).execute(tx.connection()).await?;
    }
    if add.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into vicket.ticket_tags (site_id, ticket_id, tag_id)
        select t.site_id, t.id, g.id
        from vicket.tickets t
        cross join unnest($2::uuid[]) g (id)
        where t.id = any ($1)
        order by t.id, g.id
        on conflict do nothing",
    )
    .bind(tickets)
    .bind(add)
    .execute(tx.connection())
    .await
    .map_err(|error| match super::constraint(&error) {
        "ticket_tags_most" => Problem::unprocessable("add_tags", "a ticket has at most 30 tags"),
        "ticket_tags_tag_fkey" => Problem::unprocessable("add_tags", "the org has no such tag"),
        _ => error.into(),
    })?;
    Ok(())
}

/// Tickets of a tag, up to which they are asked for by their ids; of what is more common, a page is soon found among the newest.
const FEW: i64 = 2_000;

/// The tickets that have all of these tags, unless each of the tags is on more than a few thousand.
///
/// # Errors
/// `5xx` only.
pub async fn tickets_with(tx: &mut OrgTx, tags: &[Uuid]) -> Result<Option<Vec<Uuid>>, Problem> {
    Ok(sqlx::query_scalar(
        "select case when rarest.tickets <= $2 then array(
          select one.ticket_id
          from vicket.ticket_tags one
          where one.tag_id = rarest.id
            and not exists (
              select from unnest($1::uuid[]) w (id)
              where not exists (
                select from vicket.ticket_tags g
                where g.org_id = one.org_id and g.site_id = one.site_id and g.ticket_id = one.ticket_id and g.tag_id = w.id
              )
            )
        ) end
        from (
          select w.id, (
            select count(*) from (select from vicket.ticket_tags g where g.tag_id = w.id limit $2 + 1) few
          ) as tickets
          from unnest($1::uuid[]) w (id)
          order by 2, 1
          limit 1
        ) rarest",
    )
    .bind(tags)
    .bind(FEW)
    .fetch_one(tx.connection())
    .await?)
}

fn name_taken(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "tags_name_unique", || {
        Problem::new(Code::NameTaken, "There is a tag of this name already.")
    })
}
