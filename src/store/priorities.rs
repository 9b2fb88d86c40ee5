//! Priorities of tickets, as an org calls them. One is the default, which stays; deleting another moves its tickets to the
//! default (triggers in `0013_priorities.sql`).

use sqlx::FromRow;
use uuid::Uuid;

use super::paging::{self, Keyset, PageRequest};
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::PriorityName,
    },
};

/// Changes of a priority; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub name: Option<&'a PriorityName>,
    pub position: Option<i32>,
    /// Makes it the default in place of the one that is.
    pub make_default: bool,
}

#[derive(Debug, FromRow)]
pub struct Priority {
    pub id: Uuid,
    pub name: String,
    pub position: i32,
    pub is_default: bool,
}

/// The priorities of the org, the least urgent first.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, page_request: PageRequest<'_>) -> Result<(Vec<Priority>, Option<String>), Problem> {
    let after = page_request.after(b'y')?;
    let rows: Vec<Priority> = sqlx::query_as(
        "select id, name, position, is_default
        from vicket.priorities
        where deleted_at is null and ($1::bigint is null or (position::bigint, id) > ($1, $2))
        order by position, id
        limit $3",
    )
    .bind(after.map(|place| place.figure))
    .bind(after.map(|place| place.id))
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |row| paging::write(b'y', Keyset { figure: i64::from(row.position), id: row.id })))
}

/// The priority of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Priority, Problem> {
    sqlx::query_as("select id, name, position, is_default from vicket.priorities where id = $1 and deleted_at is null")
        .bind(id)
        .fetch_optional(tx.connection())
        .await?
        .ok_or_else(Problem::not_found)
}

/// Adds a priority, as the most urgent one unless its position is given.
///
/// # Errors
/// `409 name_taken` when there is one of this name.
pub async fn create(tx: &mut OrgTx, name: &PriorityName, position: Option<i32>) -> Result<Priority, Problem> {
    sqlx::query_as(
        "insert into vicket.priorities (name, position)
        values ($1, coalesce($2, (
          select least(max(p.position)::bigint + 1, 2147483647)::integer from vicket.priorities p
        ), 1))
        returning id, name, position, is_default",
    )
    .bind(name.as_str())
    .bind(position)
    .fetch_one(tx.connection())
    .await
    .map_err(refused)
}

/// Changes a priority.
///
/// # Errors
/// `404 not_found`; `409 name_taken`.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Priority, Problem> {
    if change.make_default {
        sqlx::query("update vicket.priorities set is_default = false where is_default and id <> $1")
            .bind(id)
            .execute(tx.connection())
            .await?;
    }
    let changed = sqlx::query(
        "update vicket.priorities set
          name = coalesce($2, name),
          position = coalesce($3, position),
          is_default = is_default or $4
        where id = $1",
    )
    .bind(id)
    .bind(change.name.map(PriorityName::as_str))
    .bind(change.position)
    .bind(change.make_default)
    .execute(tx.connection())
    .await
    .map_err(refused)?;
    super::one_row(changed.rows_affected())?;
    by_id(tx, id).await
}

/// Deletes a priority; its tickets move to the default, in the background when they are thousands.
///
/// # Errors
/// `404 not_found`; `422 unprocessable` for the default.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    let gone = super::remove_large(tx, "priorities", id).await.map_err(refused)?;
    super::one_row(gone.into())
}

fn refused(error: sqlx::Error) -> Problem {
    match super::constraint(&error) {
        "priorities_name_unique" => Problem::new(Code::NameTaken, "There is a priority of this name already."),
        "priorities_default_stays" => {
            Problem::unprocessable("id", "the default stays; make another one the default first")
        }
        _ => error.into(),
    }
}
