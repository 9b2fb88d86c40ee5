//! The lane outside a transaction: what its files may hold, so that a run that was killed anywhere can be repeated.
//!
//! Each statement takes a lock that stops neither reads nor writes, and does nothing when it is already done.

use anyhow::{Context as _, bail, ensure};
use sqlx::migrate::Migration;

use super::name;

/// A statement that may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// As it stands in the file.
    pub sql: String,
    pub kind: Kind,
    /// What it locks, as PostgreSQL's documentation has it: the table, or for an index to be dropped that.
    pub object: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `create [unique] index concurrently if not exists NAME on SCHEMA.TABLE ..`, and the index with its schema.
    CreateIndex { index: String },
    /// `drop index concurrently if exists SCHEMA.NAME`
    DropIndex,
    /// `alter table SCHEMA.TABLE validate constraint NAME`
    Validate,
    /// `analyze SCHEMA.TABLE`
    Analyze,
    /// `comment on index SCHEMA.NAME is ..`
    Comment,
}

impl Kind {
    /// The lock that PostgreSQL's documentation gives, and what it waits for.
    pub fn lock(&self) -> &'static str {
        match self {
            Self::CreateIndex { .. } => "ShareUpdateExclusiveLock; waits for transactions that began before it",
            Self::DropIndex => "ShareUpdateExclusiveLock; waits for transactions that use the index",
            Self::Validate => "ShareUpdateExclusiveLock; RowShareLock on what a foreign key references",
            Self::Analyze | Self::Comment => "ShareUpdateExclusiveLock",
        }
    }
}

/// The statements of a file outside a transaction.
///
/// # Errors
/// When one is of no kind that may be repeated.
pub fn of(file: &Migration) -> anyhow::Result<Vec<Statement>> {
    let statements = split(file.sql.as_str())
        .into_iter()
        .map(read)
        .collect::<anyhow::Result<Vec<_>>>()
        .with_context(|| name(file))?;
    ensure!(!statements.is_empty(), "{}: no statement", name(file));
    Ok(statements)
}

/// The statements of a text, without the comments before them.
fn split(sql: &str) -> Vec<&str> {
    let (mut statements, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < sql.len() {
        let length = token(&sql[at..]);
        if &sql[at..at + length] == ";" {
            statements.push(uncommented(&sql[begin..at]));
            begin = at + length;
        }
        at += length;
    }
    statements.push(uncommented(&sql[begin..]));
    statements.retain(|statement| !statement.is_empty());
    statements
}

/// Without blanks and comments at the beginning, and blanks at the end.
fn uncommented(mut text: &str) -> &str {
    loop {
        text = text.trim();
        if !text.starts_with("--") && !text.starts_with("/*") {
            return text;
        }
        text = &text[token(text)..];
    }
}

/// The length of what a text begins with and a semicolon does not end: a comment, a string, a quoted name, a character.
fn token(text: &str) -> usize {
    let to = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |found| from + found + end.len());
    match text.as_bytes() {
        [b'-', b'-', ..] => to(2, "\n"),
        [b'/', b'*', ..] => comment(text),
        [b'e' | b'E', b'\'', ..] => escaped(text),
        // A doubled quote is the end of one and the beginning of the next.
        [b'\'', ..] => to(1, "'"),
        [b'"', ..] => to(1, "\""),
        [b'$', ..] => {
            let tag = text[1..].find('$').map(|end| &text[..end + 2]);
            let is_tag = |tag: &&str| tag[1..tag.len() - 1].bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
            tag.filter(is_tag).map_or(1, |tag| to(tag.len(), tag))
        }
        [first, ..] if first.is_ascii_alphanumeric() || *first == b'_' => {
            text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
        }
        _ => text.chars().next().map_or(0, char::len_utf8),
    }
}

/// Comments of this kind may hold others.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn escaped(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().skip(2);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn read(sql: &str) -> anyhow::Result<Statement> {
    let spaced = sql.replace('(', " ( ").to_lowercase();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (kind, object) = match words.as_slice() {
        ["create", rest @ ..] => {
            let rest = rest.strip_prefix(&["unique"]).unwrap_or(rest);
            let ["index", "concurrently", "if", "not", "exists", index, "on", rest @ ..] = rest else {
                bail!("{SHAPES}, and not: {sql}")
            };
            let [table, ..] = rest.strip_prefix(&["only"]).unwrap_or(rest) else { bail!("{SHAPES}, and not: {sql}") };
            let (schema, _) = qualified(table)?;
            ensure!(is_name(index), "an index is named without quotes and without its schema, and not {index}");
            (Kind::CreateIndex { index: format!("{schema}.{index}") }, *table)
        }
        ["drop", "index", "concurrently", "if", "exists", index] => (Kind::DropIndex, *index),
        ["alter", "table", table, "validate", "constraint", constraint] if is_name(constraint) => {
            (Kind::Validate, *table)
        }
        ["analyze", table, ..] => (Kind::Analyze, *table),
        ["comment", "on", "index", index, "is", ..] => (Kind::Comment, *index),
        _ => bail!("{SHAPES}, and not: {sql}"),
    };
    qualified(object)?;
    Ok(Statement { sql: sql.to_owned(), kind, object: object.to_owned() })
}

const SHAPES: &str = "outside a transaction a statement is `create [unique] index concurrently if not exists`, `drop index \
                      concurrently if exists`, `alter table .. validate constraint`, `analyze TABLE` or `comment on index`";

fn qualified(name: &str) -> anyhow::Result<(&str, &str)> {
    name.split_once('.')
        .filter(|(schema, name)| is_name(schema) && is_name(name))
        .with_context(|| format!("{name}: tables and indexes are named with their schema, without quotes"))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_where_statements_end_and_nowhere_else() {
        let sql = "-- one; two\n  select ';' as \"a;b\", e'\\';', $x$ ; $$ ; $x$ /* ; /* ; */ ; */ ;;\n\
                   /* c */ -- d\nselect $1;   select 'é;'";
        let first = "select ';' as \"a;b\", e'\\';', $x$ ; $$ ; $x$ /* ; /* ; */ ; */";
        assert_eq!(split(sql), [first, "select $1", "select 'é;'"]);
        assert_eq!(split("-- nothing\n /* at all */ ;"), [""; 0]);
        for unfinished in ["'", "\"", "e'\\", "$$ ", "/* /* */", "--", "$"] {
            assert_eq!(split(unfinished).len(), usize::from(!unfinished.starts_with(['/', '-'])), "{unfinished}");
        }
    }

    #[test]
    fn what_may_be_repeated_is_read() {
        let index = |sql: &str| match read(sql).expect(sql) {
            Statement { kind: Kind::CreateIndex { index }, object, .. } => (index, object),
            other => panic!("{other:?}"),
        };
        let made = ("vicket.tickets_x".to_owned(), "vicket.tickets".to_owned());
        assert_eq!(index("create index concurrently if not exists tickets_x on vicket.tickets(org_id)"), made);
        assert_eq!(
            index("CREATE unique INDEX\nconcurrently if not exists tickets_x on only vicket.tickets using gin (y)"),
            made
        );
        for (sql, kind) in [
            ("drop index concurrently if exists vicket.tickets_x", Kind::DropIndex),
            ("alter table vicket.tickets validate constraint tickets_x", Kind::Validate),
            ("analyze vicket.tickets (x, y)", Kind::Analyze),
            ("comment on index vicket.tickets_x is 'Why.'", Kind::Comment),
        ] {
            assert_eq!(read(sql).expect(sql).kind, kind);
        }
    }

    #[test]
    fn what_may_not_be_repeated_or_would_stop_traffic_is_refused() {
        for sql in [
            "create index tickets_x on vicket.tickets (org_id)",
            "create index if not exists tickets_x on vicket.tickets (org_id)",
            "create index concurrently tickets_x on vicket.tickets (org_id)",
            "create index concurrently if not exists on vicket.tickets (org_id)",
            "create index concurrently if not exists tickets_x on tickets (org_id)",
            "create index concurrently if not exists \"X\" on vicket.tickets (org_id)",
            "drop index if exists vicket.tickets_x",
            "drop index concurrently vicket.tickets_x",
            "drop index concurrently if exists vicket.a, vicket.b",
            "reindex index concurrently vicket.tickets_x",
            "alter table vicket.tickets add column x int",
            "alter table vicket.tickets validate constraint x, drop column y",
            "analyze",
            "vacuum full vicket.tickets",
            "update vicket.tickets set subject = subject",
            "set role vicket_owner",
        ] {
            assert!(read(sql).is_err(), "{sql}");
        }
    }
}
