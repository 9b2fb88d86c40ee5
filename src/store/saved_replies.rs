//! Saved replies: texts that agents put into an answer.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::paging::{self, PageRequest};
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::{MessageBody, SavedReplyName},
    },
};

/// A saved reply.
#[derive(Debug, FromRow)]
pub struct Reply {
    pub id: Uuid,
    pub name: String,
    pub body: String,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub updated_by: String,
}

/// What changes of a saved reply; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub name: Option<&'a SavedReplyName>,
    pub body: Option<&'a MessageBody>,
}

/// The saved replies of the org, by name.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, page_request: PageRequest<'_>) -> Result<(Vec<Reply>, Option<String>), Problem> {
    let rows: Vec<Reply> = sqlx::query_as(
        "select r.id, r.name, r.body, r.created_at, r.updated_at, r.updated_by
        from vicket.saved_replies r
        where $1::text is null or r.name > $1
        order by r.name
        limit $2",
    )
    .bind(page_request.after_text(b'r')?)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |reply| paging::write_text(b'r', &reply.name)))
}

/// Ids and names of the saved replies that an answer may begin with, by name.
///
/// # Errors
/// `5xx` only.
pub async fn choices(tx: &mut OrgTx) -> Result<Vec<(Uuid, String)>, Problem> {
    let sql = "select r.id, r.name from vicket.saved_replies r order by r.name limit 500";
    Ok(sqlx::query_as(sql).fetch_all(tx.connection()).await?)
}

/// The saved reply of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Reply, Problem> {
    choice(tx, id).await?.ok_or_else(Problem::not_found)
}

/// The saved reply that somebody chose, when it is still there.
///
/// # Errors
/// `5xx` only.
pub async fn choice(tx: &mut OrgTx, id: Uuid) -> Result<Option<Reply>, Problem> {
    let row = sqlx::query_as(
        "select r.id, r.name, r.body, r.created_at, r.updated_at, r.updated_by from vicket.saved_replies r where r.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Saves a reply.
///
/// # Errors
/// `409 name_taken`.
pub async fn create(tx: &mut OrgTx, name: &SavedReplyName, body: &MessageBody) -> Result<Reply, Problem> {
    sqlx::query_as(
        "insert into vicket.saved_replies (name, body) values ($1, $2)
        returning id, name, body, created_at, updated_at, updated_by",
    )
    .bind(name.as_str())
    .bind(body.as_str())
    .fetch_one(tx.connection())
    .await
    .map_err(name_taken)
}

/// Changes a saved reply.
///
/// # Errors
/// `404 not_found`; `409 name_taken`.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Reply, Problem> {
    sqlx::query_as(
        "update vicket.saved_replies set name = coalesce($2, name), body = coalesce($3, body) where id = $1
        returning id, name, body, created_at, updated_at, updated_by",
    )
    .bind(id)
    .bind(change.name.map(SavedReplyName::as_str))
    .bind(change.body.map(MessageBody::as_str))
    .fetch_optional(tx.connection())
    .await
    .map_err(name_taken)?
    .ok_or_else(Problem::not_found)
}

/// Deletes a saved reply. What was sent stays.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    super::one_row(super::remove(tx, "saved_replies", &[id]).await?)
}

fn name_taken(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "saved_replies_name_unique", || {
        Problem::new(Code::NameTaken, "There is a saved reply of this name already.")
    })
}
