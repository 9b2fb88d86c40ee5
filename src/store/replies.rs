//! Saved replies: texts that agents put into an answer.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::cursor::{self, Span};
use crate::{
    db::OrgTx,
    problem::{Code, Problem},
};

/// A saved reply.
#[derive(Debug, FromRow)]
pub struct Reply {
    pub id: Uuid,
    pub name: String,
    pub body: String,
    pub updated_at: OffsetDateTime,
    pub updated_by: String,
}

/// What the places in a saved reply are filled with.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// `{customer}`
    pub customer: &'a str,
    /// `{ticket}`
    pub ticket: &'a str,
    /// `{agent}`
    pub agent: &'a str,
}

impl Reply {
    /// Its text with its places filled in; once, so that no customer's name is taken for a place.
    pub fn filled(&self, places: Places) -> String {
        let mut text = String::with_capacity(self.body.len());
        let mut rest = self.body.as_str();
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            let known = [("{customer}", places.customer), ("{ticket}", places.ticket), ("{agent}", places.agent)]
                .into_iter()
                .find(|(place, _)| from.starts_with(place));
            let (written, length) = known.map_or(("{", 1), |(place, value)| (value, place.len()));
            text.push_str(written);
            rest = &from[length..];
        }
        text.push_str(rest);
        text
    }
}

/// The saved replies of the org, by name.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, span: Span<'_>) -> Result<(Vec<Reply>, Option<String>), Problem> {
    let rows: Vec<Reply> = sqlx::query_as(
        "select r.id, r.name, r.body, r.updated_at, r.updated_by
        from vicket.saved_replies r
        where $1::text is null or r.name > $1
        order by r.name
        limit $2",
    )
    .bind(span.after_text(b'r')?)
    .bind(span.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(span.cut(rows, |reply| cursor::write_text(b'r', &reply.name)))
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
        "select r.id, r.name, r.body, r.updated_at, r.updated_by from vicket.saved_replies r where r.id = $1",
    )
    .bind(id)
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Saves a reply.
///
/// # Errors
/// `409 slug_taken`.
pub async fn create(tx: &mut OrgTx, name: &str, body: &str) -> Result<(), Problem> {
    sqlx::query("insert into vicket.saved_replies (name, body) values ($1, $2)")
        .bind(name)
        .bind(body)
        .execute(tx.connection())
        .await
        .map_err(name_taken)?;
    Ok(())
}

/// Changes a saved reply.
///
/// # Errors
/// `404 not_found`; `409 slug_taken`.
pub async fn change(tx: &mut OrgTx, id: Uuid, name: &str, body: &str) -> Result<(), Problem> {
    let changed = sqlx::query("update vicket.saved_replies set name = $2, body = $3 where id = $1")
        .bind(id)
        .bind(name)
        .bind(body)
        .execute(tx.connection())
        .await
        .map_err(name_taken)?;
    super::one_row(changed.rows_affected())
}

/// Deletes a saved reply. What was sent stays.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    let gone = sqlx::query("delete from vicket.saved_replies where id = $1").bind(id).execute(tx.connection()).await?;
    super::one_row(gone.rows_affected())
}

fn name_taken(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "saved_replies_name_unique", || {
        Problem::new(Code::SlugTaken, "There is a saved reply of this name already.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_once() {
        let reply = |body: &str| Reply {
            id: Uuid::nil(),
            name: "Hello".to_owned(),
            body: body.to_owned(),
            updated_at: OffsetDateTime::UNIX_EPOCH,
            updated_by: "cli".to_owned(),
        };
        let places = Places { customer: "{agent} Ada", ticket: "#7", agent: "Bo" };
        let filled = |body: &str| reply(body).filled(places);
        assert_eq!(filled("Hi {customer},\n{ticket} is done. {agent}"), "Hi {agent} Ada,\n#7 is done. Bo");
        for plain in ["", "{", "{{", "{unknown} {", "ü{ü}"] {
            assert_eq!(filled(plain), plain);
        }
        assert_eq!(filled("{{customer}}"), "{{agent} Ada}");
    }
}
