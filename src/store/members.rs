//! Who works for an org: its members, and those who are invited. The owner rules are the database's (trigger
//! `member_guarded`); here its refusals get their codes.

use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    mails::{self, Delivery},
    paging::{self, PageRequest},
    users,
};
use crate::{
    db::OrgTx,
    domain::{
        keys::InvitationToken,
        problem::{Code, Problem},
        text::EmailAddress,
    },
};

/// What a member may do, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Agent,
    Viewer,
}

/// A member of the org.
#[derive(Debug, FromRow)]
pub struct Member {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub role: Role,
    /// They showed that they read mail of the address, or are not known not to: `false` for who joined by a link that was not
    /// mailed.
    pub address_proven: bool,
    pub created_at: OffsetDateTime,
}

/// An org of whoever asks.
#[derive(Debug, FromRow)]
pub struct Membership {
    pub slug: String,
    pub name: String,
    pub created_at: OffsetDateTime,
    pub role: Role,
    pub permissions: Vec<String>,
}

/// The orgs of whoever acts, by slug.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn memberships(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
) -> Result<(Vec<Membership>, Option<String>), Problem> {
    let rows: Vec<Membership> = sqlx::query_as(
        "select slug, name, created_at, role, permissions
        from ctx.memberships()
        where $1::text is null or slug > $1
        order by slug
        limit $2",
    )
    .bind(page_request.after_text(b'o')?)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |org| paging::write_text(b'o', &org.slug)))
}

/// The org that the transaction entered, as its member sees it.
///
/// # Errors
/// `404 not_found` when it went away meanwhile.
pub async fn own_org(tx: &mut OrgTx) -> Result<Membership, Problem> {
    sqlx::query_as(
        "select slug, name, created_at, role, permissions from ctx.memberships() where org_id = (select ctx.org_id())",
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)
}

/// The members of the org, by e-mail.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn page(tx: &mut OrgTx, page_request: PageRequest<'_>) -> Result<(Vec<Member>, Option<String>), Problem> {
    let rows: Vec<Member> = sqlx::query_as(
        "select m.user_id as id, p.email, p.name, m.role, m.created_at,
          m.user_id not in (select ctx.unproven_people()) as address_proven
        from vicket.members m
        join ctx.people() p on p.user_id = m.user_id
        where $1::text is null or p.email > $1
        order by p.email
        limit $2",
    )
    .bind(page_request.after_text(b'm')?)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    Ok(page_request.into_page(rows, |member| paging::write_text(b'm', &member.email)))
}

/// Changes a member's role.
///
/// # Errors
/// `404 not_found`; `409 last_owner`; `403 permission_required` for one's own role, and for an owner's by another.
pub async fn set_role(tx: &mut OrgTx, user_id: Uuid, role: Role) -> Result<(), Problem> {
    let changed = sqlx::query("update vicket.members set role = $2 where user_id = $1")
        .bind(user_id)
        .bind(role)
        .execute(tx.connection())
        .await
        .map_err(owner_rules)?;
    super::one_row(changed.rows_affected())
}

/// The member of this id.
///
/// # Errors
/// `404 not_found`.
pub async fn by_id(tx: &mut OrgTx, user_id: Uuid) -> Result<Member, Problem> {
    sqlx::query_as(
        "select m.user_id as id, p.email, p.name, m.role, m.created_at,
          m.user_id not in (select ctx.unproven_people()) as address_proven
        from vicket.members m
        join ctx.people() p on p.user_id = m.user_id
        where m.user_id = $1",
    )
    .bind(user_id)
    .fetch_optional(tx.connection())
    .await?
    .ok_or_else(Problem::not_found)
}

/// The member of this e-mail address, for the administration commands.
///
/// # Errors
/// `5xx` only.
pub async fn by_email(tx: &mut OrgTx, email: &str) -> Result<Option<Member>, Problem> {
    let member = sqlx::query_as(
        "select m.user_id as id, p.email, p.name, m.role, m.created_at,
          m.user_id not in (select ctx.unproven_people()) as address_proven
        from vicket.members m
        join ctx.people() p on p.user_id = m.user_id
        where p.email = lower($1 collate \"C\")",
    )
    .bind(email)
    .fetch_optional(tx.connection())
    .await?;
    Ok(member)
}

/// Whether whoever acts joined this org by a link that was not mailed to them, and has not proven their address since.
///
/// # Errors
/// `5xx` only.
pub async fn is_unproven(tx: &mut OrgTx) -> Result<bool, Problem> {
    let sql = "select coalesce(ctx.actor_user_id() in (select ctx.unproven_people()), false)";
    Ok(sqlx::query_scalar(sql).fetch_one(tx.connection()).await?)
}

/// Whether a role has a permission, for the administration commands.
///
/// # Errors
/// `5xx` only.
pub async fn role_may(tx: &mut OrgTx, role: Role, permission: &str) -> Result<bool, Problem> {
    let query = sqlx::query_scalar("select $2 = any (ctx.permissions_of($1))").bind(role).bind(permission);
    Ok(query.fetch_one(tx.connection()).await?)
}

/// Takes a member out of the org, with their machine keys.
///
/// # Errors
/// `404 not_found`; `409 last_owner`; `403 permission_required` for an owner, by another.
pub async fn remove(tx: &mut OrgTx, user_id: Uuid) -> Result<(), Problem> {
    super::one_row(super::remove(tx, "members", &[user_id]).await.map_err(owner_rules)?)
}

fn owner_rules(error: sqlx::Error) -> Problem {
    let refused = |detail: &'static str| Problem::new(Code::PermissionRequired, detail);
    match super::constraint(&error) {
        "members_last_owner" => {
            Problem::new(Code::LastOwner, "The org would be without an owner. Make somebody else one first.")
        }
        "members_not_oneself" => refused("`member:role_set` does not reach oneself: another owner changes one's role."),
        "members_beyond_oneself" => refused(
            "`member:role_set` does not reach a role that may more than oneself: only an owner changes an owner.",
        ),
        _ => error.into(),
    }
}

/// Who is invited and has not joined.
#[derive(Debug, FromRow)]
pub struct Invitation {
    pub id: Uuid,
    pub email: String,
    pub role: Role,
    pub invited_by: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// What became of its mail, where it was mailed.
    #[sqlx(skip)]
    pub delivery: Option<Delivery>,
}

/// Invites somebody; the token is in no table.
///
/// # Errors
/// `409 email_taken` when they are a member or are invited already; `403 permission_required` for an owner, by another.
pub async fn invite(
    tx: &mut OrgTx,
    email: &EmailAddress,
    role: Role,
) -> Result<(Invitation, InvitationToken), Problem> {
    let taken = |detail: &'static str| Problem::new(Code::EmailTaken, detail);
    let email = email.to_lowercase();
    if tx.actor().is_some() && !may_grant(tx, role).await? {
        return Err(beyond_oneself());
    }
    let sql = "select exists (select from ctx.people() p where p.email = $1)";
    if sqlx::query_scalar::<_, bool>(sql).bind(&email).fetch_one(tx.connection()).await? {
        return Err(taken("They are a member of this org already."));
    }
    // One that has expired makes room.
    let expired: Vec<Uuid> =
        sqlx::query_scalar("select id from vicket.invitations where email = $1 and expires_at <= now()")
            .bind(&email)
            .fetch_all(tx.connection())
            .await?;
    super::remove(tx, "invitations", &expired).await?;
    let (token, digest) = users::mint_invitation();
    let invitation = sqlx::query_as(
        "insert into vicket.invitations (email, role, token_hash) values ($1, $2, $3)
        returning id, email, role, invited_by, created_at, expires_at",
    )
    .bind(&email)
    .bind(role)
    .bind(digest)
    .fetch_one(tx.connection())
    .await
    .map_err(|error| {
        Problem::on_constraint(error, "invitations_email_unique", || {
            taken("They are invited already. Revoke that invitation to make another.")
        })
    })?;
    Ok((invitation, token))
}

/// The invitations that wait, by e-mail.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn invitations(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
) -> Result<(Vec<Invitation>, Option<String>), Problem> {
    let mut rows: Vec<Invitation> = sqlx::query_as(
        "select id, email, role, invited_by, created_at, expires_at
        from vicket.invitations
        where expires_at > now() and ($1::text is null or email > $1)
        order by email
        limit $2",
    )
    .bind(page_request.after_text(b'i')?)
    .bind(page_request.fetch())
    .fetch_all(tx.connection())
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    for delivery in mails::deliveries_of_invitations(tx, &ids).await? {
        if let Some(row) = rows.iter_mut().find(|row| row.id == delivery.message_id) {
            row.delivery = Some(delivery);
        }
    }
    Ok(page_request.into_page(rows, |invitation| paging::write_text(b'i', &invitation.email)))
}

/// Revokes an invitation, or all of them.
///
/// # Errors
/// `404 not_found` when there is no such invitation; `403 permission_required` for a role beyond one's own.
pub async fn revoke_invitations(tx: &mut OrgTx, id: Option<Uuid>) -> Result<(), Problem> {
    let there: Vec<Uuid> = sqlx::query_scalar("select id from vicket.invitations where $1::uuid is null or id = $1")
        .bind(id)
        .fetch_all(tx.connection())
        .await?;
    if super::remove(tx, "invitations", &there).await? > 0 || id.is_none() {
        return Ok(());
    }
    Err(if there.is_empty() { Problem::not_found() } else { beyond_oneself() })
}

async fn may_grant(tx: &mut OrgTx, role: Role) -> Result<bool, Problem> {
    Ok(sqlx::query_scalar("select ctx.may_grant($1)").bind(role).fetch_one(tx.connection()).await?)
}

fn beyond_oneself() -> Problem {
    let detail = "`member:invite` does not reach a role that may more than oneself: only an owner invites an owner.";
    Problem::new(Code::PermissionRequired, detail)
}

/// The link that accepts an invitation. Its token is in the fragment, which browsers send to nobody.
pub fn link(public_url: &str, token: &InvitationToken) -> String {
    format!("{public_url}/invitation#{}", token.reveal())
}
