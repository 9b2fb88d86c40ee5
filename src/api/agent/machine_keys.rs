//! Machine keys: made once, listed, revoked.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::{
        permissions::MachinekeyEdit,
        text::{Checked, NAME_LENGTH, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::{Input, Nullable},
    },
    store::{self, machine_keys::MachineKeyRow},
};

pub struct MachineKeysApi;

/// What may be shown of a machine key.
#[derive(Object)]
#[oai(rename = "MachineKey", example)]
struct MachineKeyBody {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// Its last four characters.
    hint: String,
    /// What it was given. It may do less now: never more than its creator may.
    permissions: Vec<String>,
    /// Whose permissions bound it.
    created_by: String,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it stops working; `null` for never.
    expires_at: Nullable<OffsetDateTime>,
    /// When it was revoked; `null` while it works.
    revoked_at: Nullable<OffsetDateTime>,
    /// When it was last used; a few seconds late.
    last_used_at: Nullable<OffsetDateTime>,
}

/// A machine key that was made, with its text.
#[derive(Object)]
#[oai(rename = "RevealedMachineKey", example)]
struct RevealedKey {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// Its last four characters.
    hint: String,
    /// What it was given.
    permissions: Vec<String>,
    /// Whose permissions bound it.
    created_by: String,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it stops working; `null` for never.
    expires_at: Nullable<OffsetDateTime>,
    /// The key: `sk_`, 43 characters, `_` and 6 of checksum. Shown once.
    key: String,
}

impl From<MachineKeyRow> for MachineKeyBody {
    fn from(row: MachineKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            hint: row.hint,
            permissions: row.permissions,
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: Nullable(row.expires_at),
            revoked_at: Nullable(row.revoked_at),
            last_used_at: Nullable(row.last_used_at),
        }
    }
}

impl Example for MachineKeyBody {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x2b6e_0d13_5c9f_4a21_8e70_f4d2_61ab_c305),
            name: "Nightly export".to_owned(),
            hint: "3fZk".to_owned(),
            permissions: vec!["ticket:read".to_owned()],
            created_by: "olivia@acme.com".to_owned(),
            created_at: datetime!(2026-01-05 08:00 UTC),
            expires_at: Nullable(None),
            revoked_at: Nullable(None),
            last_used_at: Nullable(Some(datetime!(2026-02-01 16:05 UTC))),
        }
    }
}

impl Example for RevealedKey {
    fn example() -> Self {
        let MachineKeyBody { id, name, hint, permissions, created_by, created_at, expires_at, .. } =
            MachineKeyBody::example();
        Self { id, name, hint, permissions, created_by, created_at, expires_at, key: "sk_SHOWN_ONCE".to_owned() }
    }
}

/// A machine key to make.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewMachineKey {
    /// Its name, to recognise it by.
    name: Input<Text<NAME_LENGTH>>,
    /// What it may do: some of what its creator may.
    #[oai(validator(min_items = 1, max_items = 100))]
    permissions: Input<Vec<Text<64>>>,
    /// When it stops working; never when absent.
    expires_at: Option<Input<OffsetDateTime>>,
}

impl Example for NewMachineKey {
    fn example() -> Self {
        Self {
            name: Input::of(Text::known("Nightly export")),
            permissions: Input::of(vec![Text::known("ticket:read")]),
            expires_at: None,
        }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Administration")]
impl MachineKeysApi {
    /// List machine keys
    ///
    /// The org's machine keys, revoked ones too, the newest first; never a key.
    #[oai(path = "/machine-keys", method = "get", operation_id = "listMachineKeys")]
    async fn keys(
        &self,
        org: Org<MachinekeyEdit>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<MachineKeyBody>>, Failure> {
        let page = org.run(async |tx| store::machine_keys::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, MachineKeyBody::from)))
    }

    /// Create a machine key
    ///
    /// Shows it once. It gets some of the permissions that its creator has: another is refused with `permission_required`.
    #[oai(path = "/machine-keys", method = "post", operation_id = "createMachineKey")]
    async fn create(
        &self,
        org: Org<MachinekeyEdit>,
        body: Json<NewMachineKey>,
    ) -> Result<answers::Created<RevealedKey>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let permissions = checked.take("permissions", body.0.permissions);
        let expires_at = checked.take_optional("expires_at", body.0.expires_at);
        let (Some(name), Some(permissions), true) = (name, permissions, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let permissions: Vec<String> = permissions.into_iter().map(Text::into_string).collect();
        let new =
            store::machine_keys::NewMachineKey { name: &name, permissions: &permissions, expires_at, creator: None };
        let (row, key) = org.run(async |tx| store::machine_keys::create(tx, &new).await).await?;
        let MachineKeyBody { id, name, hint, permissions, created_by, created_at, expires_at, .. } = row.into();
        let key = key.reveal().to_owned();
        Ok(answers::Created(RevealedKey { id, name, hint, permissions, created_by, created_at, expires_at, key }))
    }

    /// Revoke a machine key
    ///
    /// It is dead in the next request, and stays in the list.
    #[oai(path = "/machine-keys/:id", method = "delete", operation_id = "revokeMachineKey")]
    async fn revoke(
        &self,
        org: Org<MachinekeyEdit>,
        /// The machine key's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::machine_keys::revoke(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
