//! Opaque cursors: the sort key of the last row of a page, and its id, as base64url.
//!
//! A cursor of another site is harmless: it is only a place in an order, and row-level security decides what stands
//! there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::problem::{Code, Problem};

/// Microseconds from 1970, either way, that a cursor may say: some 3,000 years. Timestamps begin in 4713 BC.
const FURTHEST: u64 = 100_000_000_000_000_000;

/// A place in a list ordered by a 64-bit figure and an id, both descending.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Keyset {
    pub figure: i64,
    pub id: Uuid,
}

/// Writes a cursor of the order that `tag` names.
pub fn write(tag: u8, place: Keyset) -> String {
    let mut bytes = [0_u8; 25];
    bytes[0] = tag;
    bytes[1..9].copy_from_slice(&place.figure.to_be_bytes());
    bytes[9..].copy_from_slice(place.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `400 invalid_cursor`.
pub fn refusal() -> Problem {
    Problem::new(Code::InvalidCursor, "Pass `next_cursor` of the page before, with the same parameters.")
}

/// Reads a cursor of the order that `tag` names.
///
/// # Errors
/// `400 invalid_cursor` when it is none, or one of another order.
pub fn read(tag: u8, cursor: &str) -> Result<Keyset, Problem> {
    let bytes: [u8; 25] =
        URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(refusal)?;
    if bytes[0] != tag {
        return Err(refusal());
    }
    let (figure, id) = bytes[1..].split_at(8);
    let figure = i64::from_be_bytes(figure.try_into().expect("split at eight"));
    let id = Uuid::from_slice(id).expect("sixteen bytes are left");
    Ok(Keyset { figure, id })
}

/// A time as the figure of a cursor: microseconds since 1970, which is as fine as PostgreSQL keeps it.
pub fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<'a> {
    /// Rows of a page, 1 to 100.
    pub limit: u32,
    pub cursor: Option<&'a str>,
}

impl<'a> PageRequest<'a> {
    /// Of the parameters `limit` and `cursor`; 20 rows when nothing else is said.
    pub fn of(limit: Option<u32>, cursor: Option<&'a impl AsRef<str>>) -> Self {
        Self { limit: limit.unwrap_or(20), cursor: cursor.map(AsRef::as_ref) }
    }

    /// What to ask the table for: one row more than wanted tells whether there is a next page.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The page of what was fetched, and the cursor of the next one.
    pub fn into_page<R>(&self, mut rows: Vec<R>, cursor_of: impl FnOnce(&R) -> String) -> (Vec<R>, Option<String>) {
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let next = rows.last().filter(|_| more).map(cursor_of);
        (rows, next)
    }

    /// The text after which the page begins, in a list that [`write_text`] made cursors of.
    ///
    /// # Errors
    /// `400 invalid_cursor`.
    pub fn after_text(&self, tag: u8) -> Result<Option<String>, Problem> {
        self.cursor.map(|cursor| read_text(tag, cursor)).transpose()
    }

    /// The place after which the page begins, in a list that [`write`] made cursors of.
    ///
    /// # Errors
    /// `400 invalid_cursor`.
    pub fn after(&self, tag: u8) -> Result<Option<Keyset>, Problem> {
        let place = self.cursor.map(|cursor| read(tag, cursor)).transpose()?;
        // No row is there, and PostgreSQL has no such timestamp to compare with.
        if place.is_some_and(|place| place.figure.unsigned_abs() > FURTHEST) {
            return Err(refusal());
        }
        Ok(place)
    }
}

/// Writes a cursor of a list in the order of a unique text.
pub fn write_text(tag: u8, text: &str) -> String {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(text.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read_text(tag: u8, cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refusal())?;
    match bytes.split_first() {
        Some((of, text)) if *of == tag && !text.contains(&0) => String::from_utf8(text.to_vec()).map_err(|_| refusal()),
        _ => Err(refusal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_written() {
        let place = Keyset { figure: -42, id: Uuid::new_v4() };
        assert_eq!(read(b'n', &write(b'n', place)).ok(), Some(place));
    }

    #[test]
    fn a_bad_cursor_is_refused_by_its_code() {
        let of_another_order = write(b'p', Keyset { figure: 1, id: Uuid::nil() });
        for cursor in ["", "x", "not base64!", "AAAA", of_another_order.as_str()] {
            let code = read(b'n', cursor).err().map(|problem| problem.code);
            assert_eq!(code, Some(Code::InvalidCursor), "{cursor}");
        }
    }
}
