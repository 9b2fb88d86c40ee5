//! Statuses of tickets, as an org calls them. One is the default, which stays; deleting another moves its tickets to the
//! default (triggers in `0012_statuses.sql`).

use sqlx::FromRow;
use uuid::Uuid;

use super::paging::{self, Keyset, PageRequest};
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::StatusName,
    },
};

/// What a status means for what happens to a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Category {
    Open,
    Pending,
    Resolved,
    Closed,
    Custom,
}

/// Changes of a status; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub name: Option<&'a StatusName>,
    pub category: Option<Category>,
    pub position: Option<i32>,
    /// Makes it the default in place of the one that is.
    pub make_default: bool,
}

#[derive(Debug, FromRow)]
pub struct Status {
    pub id: Uuid,
    pub name: String,
    pub category: Category,
    pub position: i32,
    pub is_default: bool,
}

/// The statuses of the org, in their order.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, page_request: PageRequest<'_>) -> Result<(Vec<Status>, Option<String>), Problem> {
    let after = page_request.after(b't')?;
    let rows: Vec<Status> = sqlx::query_as(
        "select id, name, category, position, is_default
        from vicket.statuses
        where deleted_at is null and ($1::bigint is null or (position::bigint, id) > ($1, $2))
        order by position, id
        limit $3",
    )
    .bind(after.map(|place| place.figure))
    .bind(after.map(|place| place.id))
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |row| paging::write(b't', Keyset { figure: i64::from(row.position), id: row.id })))
}

/// The status of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Status, Problem> {
    sqlx::query_as(
        "select id, name, category, position, is_default from vicket.statuses where id = $1 and deleted_at is null",
    )
    .bind(id)
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)
}

/// Adds a status, after the last one unless its position is given.
///
/// # Errors
/// `409 name_taken` when there is one of this name.
pub async fn create(
    tx: &mut OrgTx,
    name: &StatusName,
    category: Category,
    position: Option<i32>,
) -> Result<Status, Problem> {
    sqlx::query_as(
        "insert into vicket.statuses (name, category, position)
        values ($1, $2, coalesce($3, (
          select least(max(s.position)::bigint + 1, 2147483647)::integer from vicket.statuses s
        ), 1))
        returning id, name, category, position, is_default",
    )
    .bind(name.as_str())
    .bind(category)
    .bind(position)
    .fetch_one(tx.connection())
    .await
    .map_err(refused)
}

/// Changes a status; its tickets go with its category.
///
/// # Errors
/// `404 not_found`; `409 name_taken`; `422 unprocessable` when the default would not be of the category open.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Status, Problem> {
    if change.make_default {
        sqlx::query("update vicket.statuses set is_default = false where is_default and id <> $1")
            .bind(id)
            .execute(tx.connection())
            .await?;
    }
    let changed = sqlx::query(
        "update vicket.statuses set
          name = coalesce($2, name),
          category = coalesce($3, category),
          position = coalesce($4, position),
          is_default = is_default or $5
        where id = $1",
    )
    .bind(id)
    .bind(change.name.map(StatusName::as_str))
    .bind(change.category)
    .bind(change.position)
    .bind(change.make_default)
    .execute(tx.connection())
    .await
    .map_err(refused)?;
    super::one_row(changed.rows_affected())?;
    by_id(tx, id).await
}

/// Deletes a status; its tickets move to the default, in the background when they are thousands.
///
/// # Errors
/// `404 not_found`; `422 unprocessable` for the default.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    let gone = super::remove_large(tx, "statuses", id).await.map_err(refused)?;
    super::one_row(gone.into())
}

fn refused(error: sqlx::Error) -> Problem {
    match super::constraint(&error) {
        "statuses_name_unique" => Problem::new(Code::NameTaken, "There is a status of this name already."),
        "statuses_default_open" => {
            Problem::unprocessable("category", "the default status is of the category `open`: new tickets get it")
        }
        "statuses_default_stays" => {
            Problem::unprocessable("id", "the default stays; make another one the default first")
        }
        _ => error.into(),
    }
}
