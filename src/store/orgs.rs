//! Orgs, users and members, for the administration commands.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::OrgTx,
    domain::{
        problem::{Code, Problem},
        text::{OrgName, Slug},
    },
    store::sites::MAX_QUOTA_MIB,
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
    Ok(sqlx::query_as("select slug, name, created_at from admin.orgs() where slug is not null")
        .fetch_all(tx.connection())
        .await?)
}

/// Creates an org. Its slug never changes.
///
/// # Errors
/// `409 slug_taken`; `400 invalid_request` for a slug that is the address of a page.
pub async fn create(tx: &mut OrgTx, slug: &Slug, name: &OrgName) -> Result<(), Problem> {
    check_new_slug(slug)?;
    sqlx::query("select admin.create_org($1, $2)")
        .bind(slug.as_str())
        .bind(name.as_str())
        .execute(tx.connection())
        .await
        .map_err(|error| {
            Problem::on_constraint(error, "orgs_slug_unique", || {
                Problem::new(Code::SlugTaken, format!("There is an org `{}` already.", slug.as_str()))
            })
        })?;
    Ok(())
}

/// What an org keeps of files, and may.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct FileQuota {
    /// Bytes of all its files.
    pub bytes: i64,
    /// How much that may be, MiB.
    pub quota_mib: i32,
}

/// What the org of this transaction keeps.
///
/// # Errors
/// `404 not_found` when it went away meanwhile.
pub async fn file_quota(tx: &mut OrgTx) -> Result<FileQuota, Problem> {
    let sql = "select coalesce((select sum(b.bytes) from vicket.stored_bytes b), 0)::bigint as bytes, o.file_quota_mib as quota_mib
        from vicket.orgs o";
    sqlx::query_as(sql).fetch_optional(tx.connection()).await?.ok_or_else(Problem::not_found)
}

/// Sets how much the org of this transaction may keep of files, MiB.
///
/// # Errors
/// `404 not_found`; `400 invalid_request` beyond [`MAX_QUOTA_MIB`].
pub async fn set_file_quota(tx: &mut OrgTx, mib: u32) -> Result<(), Problem> {
    if mib > MAX_QUOTA_MIB {
        return Err(Problem::invalid_field("files_mib", format!("at most {MAX_QUOTA_MIB} MiB")));
    }
    let set = sqlx::query("update vicket.orgs set file_quota_mib = $1").bind(mib.cast_signed());
    super::one_row(set.execute(tx.connection()).await?.rows_affected())
}

/// What follows an answer in an org.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct AnswerSettings {
    /// An open ticket becomes pending.
    pub sets_pending: bool,
    /// A ticket of nobody becomes that of the member who answers.
    pub assigns: bool,
}

/// What follows an answer in the org of this transaction.
///
/// # Errors
/// `404 not_found` when it went away meanwhile.
pub async fn answer_settings(tx: &mut OrgTx) -> Result<AnswerSettings, Problem> {
    let sql = "select o.answer_sets_pending as sets_pending, o.answer_assigns as assigns from vicket.orgs o";
    sqlx::query_as(sql).fetch_optional(tx.connection()).await?.ok_or_else(Problem::not_found)
}

/// Says what follows an answer; what is `None` stays.
///
/// # Errors
/// `404 not_found`.
pub async fn set_answer_settings(
    tx: &mut OrgTx,
    sets_pending: Option<bool>,
    assigns: Option<bool>,
) -> Result<(), Problem> {
    let set = sqlx::query(
        "update vicket.orgs
        set answer_sets_pending = coalesce($1, answer_sets_pending), answer_assigns = coalesce($2, answer_assigns)",
    )
    .bind(sets_pending)
    .bind(assigns);
    super::one_row(set.execute(tx.connection()).await?.rows_affected())
}

/// Gives the org of this transaction another name.
///
/// # Errors
/// `404 not_found`.
pub async fn rename(tx: &mut OrgTx, name: &OrgName) -> Result<(), Problem> {
    let renamed = sqlx::query("update vicket.orgs set name = $1").bind(name.as_str()).execute(tx.connection()).await?;
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

/// Slugs that no org may have: pages of the dashboard are there.
const RESERVED: [&str; 3] = ["login", "logout", "setup"];

/// Refuses the slug of a new org that is the address of a page.
///
/// # Errors
/// `400 invalid_request`.
pub(super) fn check_new_slug(slug: &Slug) -> Result<(), Problem> {
    if RESERVED.contains(&slug.as_str()) {
        Err(Problem::invalid_field("slug", format!("`{}` is the address of a page", slug.as_str())))
    } else {
        Ok(())
    }
}
