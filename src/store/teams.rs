//! Teams: groups of members that take care of some sites. What their members then see, policies say.

use sqlx::FromRow;
use uuid::Uuid;

use super::paging::{self, PageRequest};
use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::TeamName,
    },
};

/// A team, with its people and its sites.
#[derive(Debug, FromRow)]
pub struct Team {
    pub id: Uuid,
    pub name: String,
    /// User ids.
    pub members: Vec<Uuid>,
    /// Slugs.
    pub sites: Vec<String>,
}

/// What a team is to be; what is `None` stays.
#[derive(Debug, Default)]
pub struct Change<'a> {
    pub name: Option<&'a TeamName>,
    pub members: Option<&'a [Uuid]>,
    pub sites: Option<&'a [String]>,
}

macro_rules! teams {
    ($rest:literal) => {
        concat!(
            "select t.id, t.name,
              array(select m.user_id from vicket.team_members m where m.team_id = t.id order by m.user_id) as members,
              array(
                select s.slug from vicket.team_sites ts join vicket.sites s on s.org_id = ts.org_id and s.id = ts.site_id
                where ts.team_id = t.id order by s.slug
              ) as sites
            from vicket.teams t ",
            $rest
        )
    };
}

/// The teams of the org, by name.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, page_request: PageRequest<'_>) -> Result<(Vec<Team>, Option<String>), Problem> {
    let rows: Vec<Team> = sqlx::query_as(teams!("where $1::text is null or t.name > $1 order by t.name limit $2"))
        .bind(page_request.after_text(b'g')?)
        .bind(page_request.fetch())
        .fetch_all(tx.connection())
        .await?;
    Ok(page_request.into_page(rows, |team| paging::write_text(b'g', &team.name)))
}

/// The team of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, id: Uuid) -> Result<Team, Problem> {
    let row = sqlx::query_as(teams!("where t.id = $1")).bind(id).fetch_optional(tx.connection()).await?;
    row.ok_or_else(Problem::not_found)
}

/// Makes a team.
///
/// # Errors
/// `409 name_taken`; `422 unprocessable` for people or sites that are not there.
pub async fn create(tx: &mut OrgTx, change: &Change<'_>) -> Result<Team, Problem> {
    let id: Uuid = sqlx::query_scalar("insert into vicket.teams (name) values ($1) returning id")
        .bind(change.name.map(TeamName::as_str))
        .fetch_one(tx.connection())
        .await
        .map_err(name_taken)?;
    fill(tx, id, change).await?;
    by_id(tx, id).await
}

/// Changes a team; acts on the next request of its members.
///
/// # Errors
/// `404 not_found`; `409 name_taken`; `422 unprocessable` for people or sites that are not there.
pub async fn change(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<Team, Problem> {
    let named = sqlx::query("update vicket.teams set name = coalesce($2, name) where id = $1")
        .bind(id)
        .bind(change.name.map(TeamName::as_str))
        .execute(tx.connection())
        .await
        .map_err(name_taken)?;
    super::one_row(named.rows_affected())?;
    fill(tx, id, change).await?;
    by_id(tx, id).await
}

async fn fill(tx: &mut OrgTx, id: Uuid, change: &Change<'_>) -> Result<(), Problem> {
    if let Some(members) = change.members {
        let leave: Vec<Uuid> =
            sqlx::query_scalar("select user_id from vicket.team_members where team_id = $1 and user_id <> all ($2)")
                .bind(id)
                .bind(members)
                .fetch_all(tx.connection())
                .await?;
        super::remove_of(tx, "team_members", &leave, Some(id), None).await?;
        sqlx::query(
            "insert into vicket.team_members (team_id, user_id)
            select $1, m.user_id from vicket.members m where m.user_id = any ($2)
            on conflict do nothing",
        )
        .bind(id)
        .bind(members)
        .execute(tx.connection())
        .await?;
        let there: i64 = sqlx::query_scalar("select count(*) from vicket.team_members where team_id = $1")
            .bind(id)
            .fetch_one(tx.connection())
            .await?;
        if there != distinct(members) {
            return Err(Problem::unprocessable("members", "names somebody who is no member of the org"));
        }
    }
    if let Some(sites) = change.sites {
        let leave: Vec<Uuid> = sqlx::query_scalar(
            "select ts.site_id from vicket.team_sites ts
            where ts.team_id = $1
              and not exists (select from vicket.sites s where s.id = ts.site_id and s.slug = any ($2))",
        )
        .bind(id)
        .bind(sites)
        .fetch_all(tx.connection())
        .await?;
        super::remove_of(tx, "team_sites", &leave, Some(id), None).await?;
        sqlx::query(
            "insert into vicket.team_sites (team_id, site_id)
            select $1, s.id from vicket.sites s where s.slug = any ($2)
            on conflict do nothing",
        )
        .bind(id)
        .bind(sites)
        .execute(tx.connection())
        .await?;
        let there: i64 = sqlx::query_scalar("select count(*) from vicket.team_sites where team_id = $1")
            .bind(id)
            .fetch_one(tx.connection())
            .await?;
        if there != distinct(sites) {
            return Err(Problem::unprocessable("sites", "names a site that the org has not"));
        }
    }
    Ok(())
}

fn distinct<T: Eq + std::hash::Hash>(items: &[T]) -> i64 {
    let distinct = items.iter().collect::<std::collections::HashSet<_>>().len();
    distinct.try_into().unwrap_or(i64::MAX)
}

/// Deletes a team.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    super::one_row(super::remove(tx, "teams", &[id]).await?)
}

fn name_taken(error: sqlx::Error) -> Problem {
    Problem::on_constraint(error, "teams_name_unique", || {
        Problem::new(Code::NameTaken, "There is a team of this name already.")
    })
}
