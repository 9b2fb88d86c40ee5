//! Orgs, users and members, for the administration commands.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::OrgTx,
    domain::problem::{Code, Problem},
};

#[derive(Debug, FromRow)]
pub struct Org {
    pub slug: String,
    pub name: String,
    pub created_at: OffsetDateTime,
}

/// All orgs, by slug.
///
/// # Errors
/// `5xx` only.
pub async fn list(tx: &mut OrgTx) -> Result<Vec<Org>, Problem> {
    Ok(sqlx::query_as("select slug, name, created_at from admin.orgs()").fetch_all(tx.connection()).await?)
}

/// Creates an org. Its slug never changes.
///
/// # Errors
/// `409 slug_taken`; `400 invalid_request` when the slug or the name is not acceptable.
pub async fn create(tx: &mut OrgTx, slug: &str, name: &str) -> Result<(), Problem> {
    check_new_slug(slug)?;
    check_name(name)?;
    sqlx::query("select admin.create_org($1, $2)").bind(slug).bind(name).execute(tx.connection()).await.map_err(
        |error| {
            Problem::on_constraint(error, "orgs_slug_unique", || {
                Problem::new(Code::SlugTaken, format!("There is an org `{slug}` already."))
            })
        },
    )?;
    Ok(())
}

/// Gives the org of this transaction another name.
///
/// # Errors
/// `404 not_found`; `400 invalid_request` when the name is not acceptable.
pub async fn rename(tx: &mut OrgTx, name: &str) -> Result<(), Problem> {
    check_name(name)?;
    let renamed = sqlx::query("update vicket.orgs set name = $1").bind(name).execute(tx.connection()).await?;
    super::one_row(renamed.rows_affected())
}

/// Deletes the org of this transaction with everything that belongs to it, but for its audit log.
///
/// # Errors
/// `404 not_found`.
pub async fn delete(tx: &mut OrgTx) -> Result<(), Problem> {
    let id: Option<Uuid> = sqlx::query_scalar("select ctx.org_id()").fetch_one(tx.connection()).await?;
    match id {
        Some(id) if super::remove_large(tx, "orgs", id).await? => Ok(()),
        _ => Err(Problem::not_found()),
    }
}

/// Creates a user; `password_hash` is argon2id in PHC form.
///
/// # Errors
/// `409 email_taken`.
pub async fn create_user(tx: &mut OrgTx, email: &str, name: &str, password_hash: &str) -> Result<Uuid, Problem> {
    sqlx::query_scalar("select admin.create_user($1, $2, $3)")
        .bind(email)
        .bind(name)
        .bind(password_hash)
        .fetch_one(tx.connection())
        .await
        .map_err(|error| {
            Problem::on_constraint(error, "users_email_unique", || {
                Problem::new(Code::EmailTaken, format!("There is a user `{email}` already."))
            })
        })
}

/// A user, as administration lists them.
#[derive(Debug, FromRow)]
pub struct User {
    pub email: String,
    pub name: String,
    pub created_at: OffsetDateTime,
    /// Their orgs and roles, in words.
    pub orgs: String,
}

/// All users, by e-mail.
///
/// # Errors
/// `5xx` only.
pub async fn users(tx: &mut OrgTx) -> Result<Vec<User>, Problem> {
    Ok(sqlx::query_as("select email, name, created_at, orgs from admin.users()").fetch_all(tx.connection()).await?)
}

/// Sets a user's password and ends their sessions; `false` when there is no such user.
///
/// # Errors
/// `5xx` only.
pub async fn set_password(tx: &mut OrgTx, email: &str, password_hash: &str) -> Result<bool, Problem> {
    let query = sqlx::query_scalar("select admin.set_password($1, $2)").bind(email).bind(password_hash);
    Ok(query.fetch_one(tx.connection()).await?)
}

/// Makes a user a member of the org of this transaction.
///
/// # Errors
/// `5xx` only.
pub async fn add_member(tx: &mut OrgTx, user_id: Uuid, role: &str) -> Result<(), Problem> {
    sqlx::query("insert into vicket.members (user_id, role) values ($1, $2)")
        .bind(user_id)
        .bind(role)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Slugs of orgs and sites: 1 to 63 of a-z, 0-9 and inner hyphens, as in a host name.
///
/// # Errors
/// `400 invalid_request`.
pub fn check_slug(slug: &str) -> Result<(), Problem> {
    let allowed = slug.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    if allowed && (1..=63).contains(&slug.len()) && !slug.starts_with('-') && !slug.ends_with('-') {
        return Ok(());
    }
    Err(Problem::invalid_field("slug", format!("`{slug}` is not 1 to 63 of a-z, 0-9 and hyphens in between")))
}

/// Slugs that no org may have: pages of the dashboard are there.
const RESERVED: [&str; 3] = ["login", "logout", "setup"];

/// The slug of a new org.
///
/// # Errors
/// `400 invalid_request`.
pub fn check_new_slug(slug: &str) -> Result<(), Problem> {
    check_slug(slug)?;
    match RESERVED.contains(&slug) {
        true => Err(Problem::invalid_field("slug", format!("`{slug}` is the address of a page"))),
        false => Ok(()),
    }
}

/// Names of orgs and sites: 1 to 200 characters, not blank.
///
/// # Errors
/// `400 invalid_request`.
pub fn check_name(name: &str) -> Result<(), Problem> {
    if !name.trim().is_empty() && name.chars().count() <= 200 && !name.contains('\0') {
        return Ok(());
    }
    Err(Problem::invalid_field("name", "must be 1 to 200 characters and not blank"))
}
