//! Opaque cursors: the sort key of the last row of a page, and its id, as base64url.
//!
//! A cursor of another site is harmless: it is only a place in an order, and row-level security decides what stands
//! there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// A place in a list ordered by a 64-bit figure and an id, both descending.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    pub figure: i64,
    pub id: Uuid,
}

/// Writes a cursor of the order that `tag` names.
pub fn write(tag: u8, place: Place) -> String {
    let mut bytes = [0_u8; 25];
    bytes[0] = tag;
    bytes[1..9].copy_from_slice(&place.figure.to_be_bytes());
    bytes[9..].copy_from_slice(place.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `400 invalid_cursor`.
pub fn refusal() -> Problem {
    Problem::new(Code::InvalidCursor, "Pass `next_cursor` of the page before, with the same `sort` and `q`.")
}

/// Reads a cursor of the order that `tag` names.
///
/// # Errors
/// `400 invalid_cursor` when it is none, or one of another order.
pub fn read(tag: u8, cursor: &str) -> Result<Place, Problem> {
    let bytes: [u8; 25] =
        URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(refusal)?;
    if bytes[0] != tag {
        return Err(refusal());
    }
    let (figure, id) = bytes[1..].split_at(8);
    let figure = i64::from_be_bytes(figure.try_into().expect("split at eight"));
    let id = Uuid::from_slice(id).expect("sixteen bytes are left");
    Ok(Place { figure, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_written() {
        let place = Place { figure: -42, id: Uuid::new_v4() };
        assert_eq!(read(b'n', &write(b'n', place)).ok(), Some(place));
    }

    #[test]
    fn a_bad_cursor_is_refused_by_its_code() {
        let of_another_order = write(b'p', Place { figure: 1, id: Uuid::nil() });
        for cursor in ["", "x", "not base64!", "AAAA", of_another_order.as_str()] {
            let code = read(b'n', cursor).err().map(|problem| problem.code);
            assert_eq!(code, Some(Code::InvalidCursor), "{cursor}");
        }
    }
}
