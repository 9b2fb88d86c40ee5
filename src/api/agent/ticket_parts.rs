//! Tickets as others name them: what one is part of, and what is part of it.

use poem_openapi::Object;
use uuid::Uuid;

use crate::store::tickets::parts;

/// The ticket of examples.
pub(super) const EXAMPLE_ID: Uuid = Uuid::from_u128(0x9b2d_41f7_0c68_4e35_a1d9_56be_72f0_83c4);

/// Further ids for examples, in which no two things share one.
pub(super) fn other(number: u128) -> Uuid {
    Uuid::from_u128(EXAMPLE_ID.as_u128() + number)
}

/// Another ticket.
#[derive(Object)]
pub(super) struct TicketReference {
    /// Its id.
    pub(super) id: Uuid,
    /// Its reference.
    pub(super) reference: String,
}

/// A ticket that is part of another.
#[derive(Object)]
#[oai(rename = "TicketPart")]
pub(super) struct Part {
    /// Its id.
    id: Uuid,
    /// Its reference.
    reference: String,
    /// Its subject.
    subject: String,
}

impl From<parts::Part> for Part {
    fn from(parts::Part { id, reference, subject }: parts::Part) -> Self {
        Self { id, reference, subject }
    }
}

/// A part for examples.
pub(super) fn example() -> parts::Part {
    parts::Part { id: other(6), reference: "APP-43".to_owned(), subject: "Re: The export never arrives".to_owned() }
}
