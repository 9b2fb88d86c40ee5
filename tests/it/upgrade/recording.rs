//! Requests as a server sent them: read from PostgreSQL's log, written as files, sent again.
//!
//! A file is one request: the messages of one transaction, or more. What the server draws anew for each request (ids, tokens,
//! request ids) stands as `{uuid 1}` or `{hex 64 2}`, by its form and which of them it is. What the database draws is in the
//! answer of a message: the last UUIDs of its row, which the line `-- answers` names.

use std::{collections::HashMap, error::Error, fmt::Write as _, path::Path};

use anyhow::{Context as _, ensure};
use bytes::BytesMut;
use futures_util::TryStreamExt as _;
use tokio_postgres::{
    NoTls, Row, SimpleQueryMessage, Statement,
    types::{Format, IsNull, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

/// One message to PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub sql: String,
    /// As SQL literals, when the message is a prepared statement's.
    pub parameters: Option<Vec<String>>,
    /// The places of later messages that the last UUIDs of its row are for.
    pub answers: Vec<String>,
}

/// What a server sends for one request.
#[derive(Clone, Debug)]
pub struct Request {
    pub name: String,
    pub login: String,
    pub messages: Vec<Message>,
}

const SEPARATOR: &str = "\n-- next message\n";
const PARAMETERS: &str = "-- parameters: ";
const ANSWERS: &str = "-- answers: ";
/// The call whose answer later messages need.
const ANSWERED: &str = "ctx.claim_submission(";
const LOGIN: &str = "-- login: ";
/// The question that ends a transaction: whether anything is left on its session.
const CLEAN: &str = "auth.session_is_clean()";

impl Request {
    pub fn text(&self) -> String {
        let mut text = format!("-- {}, as the server of the release sends it.\n{LOGIN}{}\n", self.name, self.login);
        for message in &self.messages {
            text += SEPARATOR;
            if let Some(parameters) = &message.parameters {
                let _ = writeln!(text, "{PARAMETERS}{}", parameters.join(", "));
            }
            if !message.answers.is_empty() {
                let _ = writeln!(text, "{ANSWERS}{}", message.answers.join(", "));
            }
            text += &message.sql;
            text.push('\n');
        }
        text
    }

    fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split(SEPARATOR);
        let head = parts.next().unwrap_or_default();
        let login = head.lines().find_map(|line| line.strip_prefix(LOGIN)).context("no login")?;
        let messages: Vec<Message> = parts
            .map(|part| {
                let bound = part.strip_prefix(PARAMETERS).and_then(|part| part.split_once('\n'));
                let (parameters, sql) = match bound {
                    Some((parameters, sql)) => (Some(literals(parameters)), sql),
                    None => (None, part),
                };
                let answered = sql.strip_prefix(ANSWERS).and_then(|sql| sql.split_once('\n'));
                let (answers, sql) = answered.unwrap_or(("", sql));
                let answers = answers.split(", ").filter(|place| !place.is_empty()).map(str::to_owned).collect();
                Message { sql: sql.trim_end().to_owned(), parameters, answers }
            })
            .collect();
        ensure!(!messages.is_empty(), "no message");
        Ok(Self { name: name.to_owned(), login: login.to_owned(), messages })
    }
}

/// The requests of a directory, in the order of their names.
pub fn read(directory: &Path) -> anyhow::Result<Vec<Request>> {
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    let request = |file: &std::path::PathBuf| {
        let name = file.file_stem().and_then(|name| name.to_str()).context("a name")?;
        Request::parse(name, &std::fs::read_to_string(file)?).with_context(|| name.to_owned())
    };
    files.iter().map(request).collect()
}

/// Splits `'a, ''b''', NULL, '3'` at the commas between literals.
fn literals(text: &str) -> Vec<String> {
    let (mut literals, mut quoted, mut begin) = (Vec::new(), false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ',' if !quoted => {
                literals.push(text[begin..at].trim().to_owned());
                begin = at + 1;
            }
            _ => {}
        }
    }
    literals.push(text[begin..].trim().to_owned());
    literals.retain(|literal| !literal.is_empty());
    literals
}

/// What a login sent, by the part of a log that `log_statement = 'all'` wrote. PostgreSQL writes a tab before each further line of
/// an entry.
pub fn logged(log: &str, login: &str, database: &str) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let whom = format!("] {login}@{database} ");
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, entry)) = line.split_once(&whom) else { continue };
        let mut entry = entry.to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
            entry.push('\n');
            entry += &more[1..];
        }
        if let Some(sql) = entry.strip_prefix("LOG:  statement: ") {
            messages.push(Message { sql: sql.to_owned(), ..Message::default() });
        } else if let Some((_, sql)) = entry.strip_prefix("LOG:  execute ").and_then(|it| it.split_once(": ")) {
            messages.push(Message { sql: sql.to_owned(), parameters: Some(Vec::new()), ..Message::default() });
        } else if let (Some(bound), Some(last)) = (entry.strip_prefix("DETAIL:  parameters: "), messages.last_mut()) {
            let value =
                |literal: &String| literal.split_once(" = ").map_or(String::new(), |(_, value)| value.to_owned());
            last.parameters = Some(literals(bound).iter().map(value).collect());
        }
    }
    messages
}

/// One request out of two recordings of it: what differs between them is drawn anew each time.
///
/// # Errors
/// When they differ in more than ids and hex digits.
pub fn generalised(one: &[Message], other: &[Message]) -> anyhow::Result<Vec<Message>> {
    ensure!(one.len() == other.len(), "{} messages, then {}", one.len(), other.len());
    let mut drawn: HashMap<(String, String), usize> = HashMap::new();
    let mut general = |one: &str, other: &str| -> anyhow::Result<String> {
        let (parts, others) = (words(one), words(other));
        ensure!(parts.len() == others.len(), "{one}\nand then\n{other}");
        let mut text = String::new();
        for (part, other) in parts.into_iter().zip(others) {
            if part == other {
                text += part;
                continue;
            }
            let next = drawn.len() + 1;
            let which = *drawn.entry((part.to_owned(), other.to_owned())).or_insert(next);
            let form = if Uuid::parse_str(part).is_ok() && part.len() == 36 {
                "uuid".to_owned()
            } else {
                let hex = part.strip_prefix('x').unwrap_or(part);
                ensure!(hex.len() >= 16 && hex.bytes().all(|c| c.is_ascii_hexdigit()), "{part}, then {other}: {one}");
                text += &part[..part.len() - hex.len()];
                format!("hex {}", hex.len())
            };
            let _ = write!(text, "{{{form} {which}}}");
        }
        Ok(text)
    };
    let mut messages: Vec<Message> = Vec::new();
    for (one, other) in one.iter().zip(other) {
        let sql = general(&one.sql, &other.sql)?;
        let parameters = match (&one.parameters, &other.parameters) {
            (Some(one), Some(other)) if one.len() == other.len() => Some(
                one.iter().zip(other).map(|(one, other)| general(one, other)).collect::<anyhow::Result<Vec<_>>>()?,
            ),
            (None, None) => None,
            _ => anyhow::bail!("other parameters: {one:?} {other:?}"),
        };
        messages.push(Message { sql, parameters, answers: Vec::new() });
    }
    if let Some(at) = messages.iter().position(|message| message.sql.contains(ANSWERED)) {
        let (before, after) = messages.split_at(at + 1);
        let known: Vec<String> = before.iter().flat_map(Message::places).collect();
        let mut answers: Vec<String> = Vec::new();
        for place in after.iter().flat_map(Message::places) {
            if place.starts_with("uuid ") && !known.contains(&place) && !answers.contains(&place) {
                answers.push(place);
            }
        }
        messages[at].answers = answers;
    }
    Ok(messages)
}

impl Message {
    /// What is drawn anew for it, in the order in which it stands there.
    fn places(&self) -> Vec<String> {
        let texts = std::iter::once(&self.sql).chain(self.parameters.iter().flatten());
        let inside = texts.flat_map(|text| text.split('{').skip(1).filter_map(|part| part.split_once('}')));
        inside.map(|(place, _)| place.to_owned()).filter(|place| draw(place).is_some()).collect()
    }
}

/// Runs of letters, digits and hyphens, and what stands between them.
fn words(text: &str) -> Vec<&str> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let (mut words, mut begin) = (Vec::new(), 0);
    for (at, c) in text.char_indices().skip(1) {
        let before = text[..at].chars().next_back().is_some_and(of_word);
        if before != of_word(c) {
            words.push(&text[begin..at]);
            begin = at;
        }
    }
    words.push(&text[begin..]);
    words
}

/// Sends requests as the server's logins, in the protocol that the server speaks: prepared once a connection.
///
/// SQL's own PREPARE and EXECUTE are no substitute: EXECUTE looks its statement up again after it ran, as whoever the statement
/// became, which a login's `auth.enter_org` makes another.
pub struct Client<'a> {
    url: Box<dyn Fn(&str) -> String + Send + 'a>,
    connections: HashMap<String, (tokio_postgres::Client, HashMap<String, Statement>)>,
}

impl<'a> Client<'a> {
    pub fn new(url: impl Fn(&str) -> String + Send + 'a) -> Self {
        Self { url: Box::new(url), connections: HashMap::new() }
    }

    /// # Errors
    /// Of the first message that fails; its connection is not used again.
    pub async fn send(&mut self, request: &Request) -> anyhow::Result<()> {
        let (connection, mut prepared) = if let Some(connection) = self.connections.remove(&request.login) {
            connection
        } else {
            let (client, connection) = tokio_postgres::connect(&(self.url)(&request.login), NoTls).await?;
            tokio::spawn(connection);
            (client, HashMap::new())
        };
        let mut drawn = HashMap::new();
        for message in &request.messages {
            let sql = filled(&message.sql, &mut drawn);
            let said = || sql.clone();
            let ids = match &message.parameters {
                Some(parameters) if !parameters.is_empty() => {
                    if !prepared.contains_key(&sql) {
                        prepared.insert(sql.clone(), connection.prepare(&sql).await.with_context(said)?);
                    }
                    let values: Vec<Text> =
                        parameters.iter().map(|literal| Text::of(&filled(literal, &mut drawn))).collect();
                    let rows = connection.query_raw(&prepared[&sql], &values).await.with_context(said)?;
                    let rows: Vec<Row> = rows.try_collect().await.with_context(said)?;
                    rows.first().map(uuids).unwrap_or_default()
                }
                _ => {
                    let answers = connection.simple_query(&sql).await.with_context(said)?;
                    // What a message that ends a transaction says of its session.
                    let unclean = |answer: &SimpleQueryMessage| matches!(answer, SimpleQueryMessage::Row(row) if row.get(0) == Some("f"));
                    ensure!(
                        !sql.contains(CLEAN) || !answers.iter().any(unclean),
                        "the session is not clean after {sql}"
                    );
                    Vec::new()
                }
            };
            if !message.answers.is_empty() {
                ensure!(ids.len() >= message.answers.len(), "the answer lacks ids: {sql}");
                drawn.extend(message.answers.iter().cloned().rev().zip(ids.into_iter().rev()));
            }
        }
        self.connections.insert(request.login.clone(), (connection, prepared));
        Ok(())
    }
}

/// A parameter that is sent as its text, whatever its type; `None` for NULL.
#[derive(Debug)]
struct Text(Option<String>);

impl Text {
    /// Of an SQL literal.
    fn of(literal: &str) -> Self {
        let inside = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        Self(inside.map(|text| text.replace("\'\'", "\'")))
    }
}

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The UUIDs of a row, column by column.
fn uuids(row: &Row) -> Vec<String> {
    let of = |at| row.try_get::<_, Uuid>(at).ok().map(|id| id.to_string());
    (0..row.len()).filter_map(of).collect()
}

/// With something new in each place for it; the same of a number within one request.
fn filled(text: &str, drawn: &mut HashMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        let place = after.split_once('}').and_then(|(place, rest)| Some((place, draw(place)?, rest)));
        if let Some((place, value, after)) = place {
            out += drawn.entry(place.to_owned()).or_insert(value);
            rest = after;
        } else {
            // An array's literal has braces of its own.
            out.push('{');
            rest = after;
        }
    }
    out + rest
}

fn draw(place: &str) -> Option<String> {
    let words: Vec<&str> = place.split(' ').collect();
    match words.as_slice() {
        ["uuid", _] => Some(Uuid::new_v4().to_string()),
        ["hex", digits, _] => {
            let mut hex = String::new();
            while hex.len() < digits.parse().ok()? {
                hex += &Uuid::new_v4().simple().to_string();
            }
            hex.truncate(digits.parse().ok()?);
            Some(hex)
        }
        _ => None,
    }
}

#[test]
fn what_differs_between_two_recordings_is_drawn_anew_and_the_same_in_one_request() {
    let message = |id: Uuid, hex: &str| Message {
        sql: format!("select f('\\x{hex}', '{{a,b}}')"),
        parameters: Some(vec![format!("'{id}'"), "NULL".to_owned(), format!("'x {id}'")]),
        answers: Vec::new(),
    };
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    let hexes = ["00ff".repeat(8), "11ee".repeat(8)];
    let made = generalised(&[message(one, &hexes[0])], &[message(other, &hexes[1])]).expect("alike");
    assert_eq!(made[0].sql, "select f('\\x{hex 32 1}', '{a,b}')");
    assert_eq!(made[0].parameters.as_deref().expect("bound"), ["'{uuid 2}'", "NULL", "'x {uuid 2}'"]);
    let request = Request { name: "x".to_owned(), login: "y".to_owned(), messages: made };
    assert_eq!(Request::parse("x", &request.text()).expect("read").messages, request.messages);
    let mut drawn = HashMap::new();
    let (a, b) = (filled("{uuid 2}", &mut drawn), filled("{uuid 2} {a,b}", &mut drawn));
    assert_eq!(format!("{a} {{a,b}}"), b);
    assert!(generalised(&[message(one, "12")], &[message(one, "13")]).is_err());
}

#[test]
fn what_the_database_draws_is_read_from_its_answer() {
    let claimed = |hex: &str| Message { sql: format!("select * from {ANSWERED}'{hex}')"), ..Message::default() };
    let used = |id: Uuid| Message { sql: format!("select '{id}'"), ..Message::default() };
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    let hexes = ["00ff".repeat(8), "11ee".repeat(8)];
    let messages = generalised(&[claimed(&hexes[0]), used(one)], &[claimed(&hexes[1]), used(other)]).expect("alike");
    assert_eq!(messages[0].answers, ["uuid 2"]);
    let request = Request { name: "x".to_owned(), login: "y".to_owned(), messages };
    assert_eq!(Request::parse("x", &request.text()).expect("read").messages, request.messages);
}

#[test]
fn a_log_is_read_by_login() {
    let log = "2026 [1] gate@db LOG:  statement: BEGIN; SELECT 1\n\
               2026 [2] other@db LOG:  statement: SELECT 2\n\
               2026 [1] gate@db LOG:  execute sqlx_s_1: select $1,\n\t  $2\n\
               2026 [1] gate@db DETAIL:  parameters: $1 = 'a, ''b''', $2 = NULL\n\
               2026 [1] gate@db LOG:  execute sqlx_s_2: COMMIT\n";
    let bound = vec!["'a, ''b'''".to_owned(), "NULL".to_owned()];
    let messages = logged(log, "gate", "db");
    assert_eq!(messages.len(), 3);
    assert_eq!(
        messages[1],
        Message { sql: "select $1,\n  $2".to_owned(), parameters: Some(bound), ..Message::default() }
    );
    assert_eq!(messages[2].parameters, Some(Vec::new()));
}
