//! Pages of a conversation: the newest messages, and what leads to the older ones.
//!
//! A page is bounded twice: in messages, and in what they take in an answer, since a hundred of the longest ones would be
//! many megabytes. The statement reads no more text than a page has [`ROOM`] for, and one message that shows that there is
//! more; what escaping adds is counted here.

use uuid::Uuid;

use super::{
    super::{
        attachments::{self, Attachment},
        paging::{self, Keyset, PageRequest},
    },
    public,
};
use crate::{db::SiteTx, domain::problem::Problem};

/// Messages of a page, when nothing else is said.
pub const LIMIT: u32 = 50;
/// The newest messages of a conversation.
pub const NEWEST: PageRequest<'static> = PageRequest { limit: LIMIT, cursor: None };

/// Bytes that the messages of a page and their files take at the most in an answer. It leaves the rest of 1 MiB to what
/// stands around them.
pub(super) const ROOM: usize = 640 * 1024;

/// What a message, or a file, takes besides its texts: names of fields, ids, times, tags.
const MESSAGE: usize = 512;
const FILE: usize = 512;

/// A page of a conversation.
#[derive(Debug)]
pub struct Thread<M> {
    /// Oldest first.
    pub messages: Vec<M>,
    /// The files of these messages, oldest first.
    pub files: Vec<Attachment>,
    /// Leads to older messages.
    pub next: Option<String>,
}

/// A message as either side sees it.
pub trait Said {
    fn place(&self) -> Keyset;

    /// What an answer says of it that somebody wrote.
    fn texts(&self) -> [&str; 3];
}

/// The place that a page begins before; all messages are before the one of no cursor.
///
/// # Errors
/// `400 invalid_cursor`.
pub(super) fn before(page_request: PageRequest<'_>) -> Result<(Option<i64>, Uuid), Problem> {
    let place = page_request.after(b't')?;
    Ok((place.map(|place| place.figure), place.map_or(Uuid::max(), |place| place.id)))
}

/// Reads messages, the newest first: $1 and $2 are what [`before`] says, $3 how many, and $4 the bytes of text after which
/// one more is read and no other. Those of a context, or those of each of the tickets that an array names.
macro_rules! newest {
    ($columns:literal) => {
        newest!(@page $columns, newest!(@read $columns, ""))
    };
    ($columns:literal, of $tickets:literal) => {
        newest!(
            @page $columns,
            concat!(
                "select m.* from unnest(",
                $tickets,
                ") as of (ticket_id) cross join lateral (",
                newest!(@read $columns, "m.ticket_id = of.ticket_id and "),
                ") m order by m.created_at desc, m.id desc limit $3"
            )
        )
    };
    (@read $columns:literal, $condition:literal) => {
        concat!(
            "select ",
            $columns,
            " from vicket.ticket_messages m
            where ",
            $condition,
            "(m.created_at, m.id) < (coalesce(timestamptz 'epoch' + $1 * interval '1 microsecond', 'infinity'), $2)
            order by m.created_at desc, m.id desc
            limit $3"
        )
    };
    (@page $columns:literal, $read:expr) => {
        concat!(
            "select ",
            $columns,
            " from (
              select m.*, sum(octet_length(m.body)) over (order by m.created_at desc, m.id desc) - octet_length(m.body) as newer
              from (",
            $read,
            ") m
            ) m
            where m.newer <= $4
            order by m.created_at desc, m.id desc"
        )
    };
}
pub(super) use newest;

impl<M: Said> Thread<M> {
    /// The page of `rows`, which were read with [`newest`], and of their `files`: as many messages as there is `room` for,
    /// and one at least.
    pub(super) fn of(page_request: PageRequest<'_>, mut rows: Vec<M>, mut files: Vec<Attachment>, room: usize) -> Self {
        let mut taken = 0;
        let fit = rows
            .iter()
            .take(page_request.limit as usize)
            .take_while(|row| {
                taken += MESSAGE + row.texts().into_iter().map(escaped).sum::<usize>();
                let own = files.iter().filter(|file| file.message_id == row.place().id);
                taken += own.map(|file| FILE + escaped(&file.name)).sum::<usize>();
                taken <= room
            })
            .count()
            .max(1);
        let more = rows.len() > fit;
        rows.truncate(fit);
        let next = rows.last().filter(|_| more).map(|row| paging::write(b't', row.place()));
        rows.reverse();
        files.retain(|file| rows.iter().any(|row| row.place().id == file.message_id));
        Self { messages: rows, files, next }
    }
}

impl Said for public::Rendered {
    fn place(&self) -> Keyset {
        Keyset { figure: paging::micros(self.message.created_at), id: self.message.id }
    }

    fn texts(&self) -> [&str; 3] {
        [self.message.author_name.as_deref().unwrap_or_default(), &self.message.body, &self.html]
    }
}

/// A page of the public messages of the ticket that the token in the context opens.
///
/// # Errors
/// `400 invalid_cursor`.
pub async fn mine(tx: &mut SiteTx, page_request: PageRequest<'_>) -> Result<Thread<public::Rendered>, Problem> {
    let (figure, id) = before(page_request)?;
    let rows: Vec<public::Message> = sqlx::query_as(newest!("m.id, m.author, m.author_name, m.body, m.created_at"))
        .bind(figure)
        .bind(id)
        .bind(page_request.fetch())
        .bind(i64::try_from(ROOM).map_err(Problem::internal)?)
        .fetch_all(tx.connection())
        .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let files = attachments::of_my_messages(tx, &ids).await?;
    let rows = rows.into_iter().map(public::Rendered::from).collect();
    Ok(Thread::of(page_request, rows, files, ROOM))
}

/// Bytes of a text once it is escaped, in JSON or in HTML, whichever takes more.
pub(super) fn escaped(text: &str) -> usize {
    let of = |byte| match byte {
        b'\n' | b'\r' | b'\t' | b'\\' => 2,
        b'"' | b'&' | b'\'' | b'<' | b'>' => "&#38;".len(),
        0..0x20 => "\\u0001".len(),
        _ => 1,
    };
    text.bytes().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_escaping_adds_is_counted() {
        for text in ["", "plain", "ü😀", "\u{1}\u{1f}\u{7f}", "a\tb\r\nc\u{8}\u{c}", "\"quoted\" \\ & <'>"] {
            let json = serde_json::to_string(text).expect("text").len() - "\"\"".len();
            assert!(json <= escaped(text), "{text:?}: {json}");
        }
        assert_eq!(escaped("<ü\u{1}"), 5 + 2 + 6);
    }
}
