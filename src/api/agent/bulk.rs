//! Many tickets at once: how they are to be changed, what became of it, and what takes it back.

use poem_openapi::{
    Object,
    types::{Example, MaybeUndefined},
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::{
    domain::text::{TagName, Text},
    http::text::{Input, Nullable},
    store::tickets::bulk,
};

const EXAMPLE_ID: Uuid = Uuid::from_u128(0x9b2d_41f7_0c68_4e35_a1d9_56be_72f0_83c4);

/// How tickets are changed, all alike; what is absent stays.
#[derive(Object)]
#[oai(rename = "BulkChange", deny_unknown_fields, skip_serializing_if_is_none, example)]
pub(super) struct BulkBody {
    /// The ids of the tickets.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub(super) tickets: Vec<Uuid>,
    /// Where they stand: the name of a status, its id, or a category.
    pub(super) status: Option<Input<Text<60>>>,
    /// How urgent they are: the name of a priority, or its id.
    pub(super) priority: Option<Input<Text<60>>>,
    /// The user id of who takes care of them; `null` for nobody. Needs `ticket:assign`.
    pub(super) assignee: MaybeUndefined<Uuid>,
    /// Names or ids of tags that are put on them.
    #[oai(validator(max_items = 30))]
    pub(super) add_tags: Option<Input<Vec<TagName>>>,
    /// Names or ids of tags that are taken off them.
    #[oai(validator(max_items = 30))]
    pub(super) remove_tags: Option<Input<Vec<TagName>>>,
    /// Until when they are snoozed, within a year; `null` wakes them.
    pub(super) snoozed_until: MaybeUndefined<OffsetDateTime>,
}

impl Example for BulkBody {
    fn example() -> Self {
        Self {
            tickets: vec![EXAMPLE_ID],
            status: Some(Input::of(Text::known("resolved"))),
            priority: None,
            assignee: MaybeUndefined::Undefined,
            add_tags: Some(Input::of(vec![Text::known("billing")])),
            remove_tags: None,
            snoozed_until: MaybeUndefined::Undefined,
        }
    }
}

/// A ticket as it was before it was changed with others.
#[derive(Object)]
#[oai(rename = "TicketBefore", deny_unknown_fields, example)]
pub(super) struct Before {
    /// Its id.
    id: Uuid,
    /// When it was changed: since then nothing else happened to it.
    updated_at: OffsetDateTime,
    /// The id of the status that it had.
    status: Uuid,
    /// The id of the priority that it had.
    priority: Uuid,
    /// The user id of who took care of it.
    assignee: Nullable<Uuid>,
    /// Until when it was snoozed.
    snoozed_until: Nullable<OffsetDateTime>,
    /// The ids of tags that were put on it.
    #[oai(validator(max_items = 30))]
    added_tags: Vec<Uuid>,
    /// The ids of tags that were taken off it.
    #[oai(validator(max_items = 30))]
    removed_tags: Vec<Uuid>,
}

impl From<bulk::Before> for Before {
    fn from(row: bulk::Before) -> Self {
        Self {
            id: row.id,
            updated_at: row.updated_at,
            status: row.status_id,
            priority: row.priority_id,
            assignee: Nullable(row.assignee_id),
            snoozed_until: Nullable(row.snoozed_until),
            added_tags: row.added_tags,
            removed_tags: row.removed_tags,
        }
    }
}

impl From<Before> for bulk::Before {
    fn from(said: Before) -> Self {
        Self {
            id: said.id,
            updated_at: said.updated_at,
            status_id: said.status,
            priority_id: said.priority,
            assignee_id: said.assignee.0,
            snoozed_until: said.snoozed_until.0,
            added_tags: said.added_tags,
            removed_tags: said.removed_tags,
        }
    }
}

impl Example for Before {
    fn example() -> Self {
        Self {
            id: EXAMPLE_ID,
            updated_at: datetime!(2026-02-01 16:05 UTC),
            status: Uuid::from_u128(EXAMPLE_ID.as_u128() + 1),
            priority: Uuid::from_u128(EXAMPLE_ID.as_u128() + 2),
            assignee: Nullable(Some(Uuid::from_u128(EXAMPLE_ID.as_u128() + 3))),
            snoozed_until: Nullable(Some(datetime!(2026-02-03 08:00 UTC))),
            added_tags: vec![Uuid::from_u128(0x2c90_7ae4_53d1_4b6f_9e08_d174_6a3b_f592)],
            removed_tags: Vec::new(),
        }
    }
}

/// What became of the tickets that were to be changed.
#[derive(Object)]
#[oai(rename = "BulkDone", example)]
pub(super) struct Done {
    /// Those that were changed, as they were before: send them to `undoTickets` to take it back.
    changed: Vec<Before>,
    /// The ids of those that the caller does not see, or that there are not. The others were changed all the same.
    not_found: Vec<Uuid>,
}

impl From<bulk::Done> for Done {
    fn from(done: bulk::Done) -> Self {
        Self { changed: done.changed.into_iter().map(Into::into).collect(), not_found: done.missing }
    }
}

impl Example for Done {
    fn example() -> Self {
        Self { changed: vec![Before::example()], not_found: Vec::new() }
    }
}

/// What is to be taken back.
#[derive(Object)]
#[oai(rename = "BulkUndo", deny_unknown_fields, example)]
pub(super) struct UndoBody {
    /// `changed` of the answer to the change, all of it or a part.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub(super) tickets: Vec<Before>,
}

impl Example for UndoBody {
    fn example() -> Self {
        Self { tickets: vec![Before::example()] }
    }
}

/// What became of the tickets whose change was to be taken back.
#[derive(Object)]
#[oai(rename = "BulkUndone", example)]
pub(super) struct Undone {
    /// The ids of those that are as they were.
    restored: Vec<Uuid>,
    /// The ids of those to which something else happened since: they stay as they are.
    changed_since: Vec<Uuid>,
    /// The ids of those that the caller does not see, or that there are not.
    not_found: Vec<Uuid>,
}

impl From<bulk::Undone> for Undone {
    fn from(done: bulk::Undone) -> Self {
        Self { restored: done.restored, changed_since: done.changed_since, not_found: done.missing }
    }
}

impl Example for Undone {
    fn example() -> Self {
        Self { restored: vec![EXAMPLE_ID], changed_since: Vec::new(), not_found: Vec::new() }
    }
}
