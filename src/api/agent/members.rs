//! Members of an org, and who is invited.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{orgs::Role, tags::Tag, tickets::Delivery};
use crate::{
    auth::caller::Org,
    domain::{
        permissions::{AnyMember, MemberInvite, MemberRoleSet},
        text::{Checked, EmailAddress},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::{Input, Nullable},
    },
    store::{self},
};

pub struct MembersApi;

const EXAMPLE_ID: Uuid = Uuid::from_u128(0x3f1b_5c7e_8d2a_4f60_9b1e_2c3d_4e5f_6a7b);

/// Somebody who works for the org.
#[derive(Object)]
#[oai(example)]
struct Member {
    /// Their user's id.
    id: Uuid,
    /// Their e-mail address.
    email: String,
    /// Their name.
    name: String,
    /// Their role.
    role: Role,
    /// `false` while they have not shown that they read mail of the address: they joined by a link that was not mailed to them.
    address_proven: bool,
    /// When they joined.
    created_at: OffsetDateTime,
}

impl From<store::members::Member> for Member {
    fn from(row: store::members::Member) -> Self {
        let store::members::Member { id, email, name, role, address_proven, created_at } = row;
        Self { id, email, name, role: role.into(), address_proven, created_at }
    }
}

impl Example for Member {
    fn example() -> Self {
        Self {
            id: EXAMPLE_ID,
            email: "agnes@acme.com".to_owned(),
            name: "Agnes Agent".to_owned(),
            role: Role::Agent,
            address_proven: true,
            created_at: datetime!(2026-01-05 08:00 UTC),
        }
    }
}

/// Whom to invite.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct NewInvitation {
    /// Their e-mail address.
    email: Input<EmailAddress>,
    /// The role that they get.
    role: Input<Role>,
}

impl Example for NewInvitation {
    fn example() -> Self {
        Self { email: Input::of(EmailAddress::known("agnes@acme.com")), role: Input::of(Role::Agent) }
    }
}

/// An invitation that waits.
#[derive(Object)]
#[oai(example)]
struct Invitation {
    /// Its id.
    id: Uuid,
    /// Who is invited.
    email: String,
    /// The role that they get.
    role: Role,
    /// Who invited them.
    invited_by: String,
    /// When.
    created_at: OffsetDateTime,
    /// Until when it can be accepted.
    expires_at: OffsetDateTime,
    /// What became of its mail; `null` where it was not mailed, and for who may not read mail.
    delivery: Nullable<Delivery>,
}

impl From<store::members::Invitation> for Invitation {
    fn from(row: store::members::Invitation) -> Self {
        Self {
            id: row.id,
            email: row.email,
            role: row.role.into(),
            invited_by: row.invited_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            delivery: Nullable(row.delivery.map(Into::into)),
        }
    }
}

impl Example for Invitation {
    fn example() -> Self {
        Self {
            id: EXAMPLE_ID,
            email: "agnes@acme.com".to_owned(),
            role: Role::Agent,
            invited_by: "olivia@acme.com".to_owned(),
            created_at: datetime!(2026-01-05 08:00 UTC),
            expires_at: datetime!(2026-01-12 08:00 UTC),
            delivery: Nullable(Some(Delivery::example())),
        }
    }
}

/// An invitation that was made, with its link.
#[derive(Object)]
#[oai(example)]
struct MadeInvitation {
    #[oai(flatten)]
    invitation: Invitation,
    /// The token for `POST /v1/auth/invitations/accept`: `vi_` and 43 characters. Shown once.
    token: String,
    /// The link to send them; it holds the token. Shown once.
    link: String,
}

impl Example for MadeInvitation {
    fn example() -> Self {
        Self {
            invitation: Invitation::example(),
            token: "vi_SHOWN_ONCE".to_owned(),
            link: "https://support.acme.com/invitation#vi_SHOWN_ONCE".to_owned(),
        }
    }
}

/// What changes of a member.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct MemberChange {
    /// Their new role.
    role: Input<Role>,
}

impl Example for MemberChange {
    fn example() -> Self {
        Self { role: Input::of(Role::Admin) }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Orgs")]
impl MembersApi {
    /// List members
    ///
    /// Who works for the org, by e-mail address.
    #[oai(path = "/members", method = "get", operation_id = "listMembers")]
    async fn members(&self, org: Org<AnyMember>, paging: Paging) -> Result<answers::Ok<Page<Member>>, Failure> {
        let page = org.run(async |tx| store::members::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, Member::from)))
    }

    /// Invite somebody
    ///
    /// Makes an invitation whose link is shown once; send it to them. Only an owner invites an owner. `email_taken` when
    /// they are a member or are invited already.
    #[oai(path = "/members", method = "post", operation_id = "inviteMember")]
    async fn invite(
        &self,
        org: Org<MemberInvite>,
        body: Json<NewInvitation>,
    ) -> Result<answers::Created<MadeInvitation>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let email = checked.take("email", body.0.email);
        let role = checked.take("role", body.0.role);
        let (Some(email), Some(role)) = (email, role) else {
            return Err(checked.problem().into());
        };
        let (row, token) = org.run(async |tx| store::members::invite(tx, &email, role.into()).await).await?;
        let link = store::members::link(&org.info().public_url, &token);
        let token = token.reveal().to_owned();
        Ok(answers::Created(MadeInvitation { invitation: row.into(), token, link }))
    }

    /// List invitations
    ///
    /// Who is invited and has not joined, by e-mail address.
    #[oai(path = "/invitations", method = "get", operation_id = "listInvitations")]
    async fn invitations(
        &self,
        org: Org<MemberInvite>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<Invitation>>, Failure> {
        let page = org.run(async |tx| store::members::invitations(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, Invitation::from)))
    }

    /// Revoke all invitations
    ///
    /// No invitation that waits can be accepted any more. Those of owners stay unless an owner asks.
    #[oai(path = "/invitations", method = "delete", operation_id = "revokeInvitations")]
    async fn revoke_all(&self, org: Org<MemberInvite>) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::members::revoke_invitations(tx, None).await).await?;
        Ok(answers::NoContent)
    }

    /// Revoke an invitation
    ///
    /// It can no longer be accepted.
    #[oai(path = "/invitations/:id", method = "delete", operation_id = "revokeInvitation")]
    async fn revoke(
        &self,
        org: Org<MemberInvite>,
        /// The invitation's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::members::revoke_invitations(tx, Some(id.0)).await).await?;
        Ok(answers::NoContent)
    }

    /// Change a member's role
    ///
    /// Acts on their next request. `last_owner` when the org would be without an owner. Nobody changes their own role, and
    /// only an owner makes or changes an owner: `permission_required`.
    #[oai(path = "/members/:id", method = "patch", operation_id = "updateMember")]
    async fn update(
        &self,
        org: Org<MemberRoleSet>,
        /// The member's user id.
        id: Path<Uuid>,
        body: Json<MemberChange>,
    ) -> Result<answers::Ok<Member>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let role = checked.take("role", body.0.role);
        let Some(role) = role else { return Err(checked.problem().into()) };
        let member = org
            .run(async |tx| {
                store::members::set_role(tx, id.0, role.into()).await?;
                store::members::by_id(tx, id.0).await
            })
            .await?;
        Ok(answers::Ok(member.into()))
    }

    /// Remove a member
    ///
    /// Acts on their next request; their machine keys of this org die with their membership. `last_owner` when the org would
    /// be without an owner. Only an owner removes an owner.
    #[oai(path = "/members/:id", method = "delete", operation_id = "removeMember")]
    async fn remove(
        &self,
        org: Org<MemberRoleSet>,
        /// The member's user id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::members::remove(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
