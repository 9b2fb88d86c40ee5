//! `vicket migrate --check`: what would run, which locks it takes, and what they stop. It applies nothing.
//!
//! PostgreSQL itself says which locks a change takes: each is run in a transaction that is rolled back, and then reads what
//! its own session holds. While that lasts the locks are real, so it waits for them no longer than a migration would;
//! with [`Mode::Dry`] nothing is tried. Of statements outside a transaction, which cannot be rolled back, it lists what
//! PostgreSQL's documentation gives.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Instant,
};

use serde::Serialize;
use sqlx::{
    Connection as _, PgConnection,
    migrate::{Migrate as _, Migration},
    postgres::types::Oid,
};

use super::{
    judge::{judge, moment},
    session::{Patience, ROLES, bound, connect, is_of, millis, options, take_turn},
    waits::Watch,
};
use crate::migrations::{
    files::Files,
    ledger::{self, TABLE},
    name, statements,
};

/// How it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Tries each change, and rolls back.
    Try,
    /// Reads the ledger, and takes no lock.
    Dry,
}

/// What would run.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The newest file of the database; none when it is empty.
    pub version: Option<i64>,
    /// The newest file of this program.
    pub newest: i64,
    /// How many files the baseline has, when the database is empty and would get it.
    pub baseline: Option<usize>,
    pub changes: Vec<Change>,
}

/// A file that would run.
#[derive(Debug, Serialize)]
pub struct Change {
    pub file: String,
    /// Whether it runs in one transaction.
    pub transaction: bool,
    /// How long it took when it was tried.
    pub milliseconds: Option<u64>,
    pub locks: Vec<Lock>,
    /// Of a file outside a transaction, those that are not done yet.
    pub statements: Vec<String>,
    /// Why it was not tried, or what came of it.
    pub trouble: Option<Trouble>,
}

#[derive(Debug, Serialize)]
pub struct Trouble {
    pub what: String,
    /// It would fail as it is, and not only wait.
    pub fails: bool,
}

/// The strongest lock on one table.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Lock {
    pub object: String,
    /// As `pg_locks` calls it.
    pub mode: String,
    pub stops: &'static str,
    /// An earlier file of this trial took it, so that it cannot be seen whether this one does too: its text names the table.
    pub held_before: bool,
}

impl Check {
    pub fn pending(&self) -> bool {
        self.baseline.is_some() || !self.changes.is_empty()
    }

    pub fn fails(&self) -> bool {
        self.changes.iter().any(|change| change.trouble.as_ref().is_some_and(|trouble| trouble.fails))
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = match (self.version, self.baseline) {
            (_, Some(files)) => {
                format!("The database is empty: the baseline would be made, {files} files in one transaction.\n")
            }
            (version, None) => format!("The database is at {}.\n", version.unwrap_or_default()),
        };
        if self.changes.is_empty() {
            if self.baseline.is_none() {
                out += "Nothing is pending.\n";
            }
            return out;
        }
        let _ = writeln!(out, "Changes that would run: {}.\n", self.changes.len());
        let rows: Vec<[String; 5]> = self.changes.iter().flat_map(Change::rows).collect();
        let heads = ["FILE", "TIME", "TABLE OR INDEX", "LOCK", "STOPS"].map(str::to_owned);
        let width = |column: usize| {
            rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; 4] = std::array::from_fn(width);
        for row in [&heads].into_iter().chain(&rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            line += &row[4];
            out += line.trim_end();
            out.push('\n');
        }
        for change in self.changes.iter().filter(|change| !change.statements.is_empty()) {
            let _ = writeln!(
                out,
                "\n{}, outside a transaction; its locks as PostgreSQL's documentation has them:",
                change.file
            );
            for statement in &change.statements {
                let _ = writeln!(out, "  {}", statement.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        for (change, trouble) in self.changes.iter().filter_map(|change| Some((change, change.trouble.as_ref()?))) {
            let _ = writeln!(out, "\n{}: {}", change.file, trouble.what);
        }
        if self.changes.iter().any(|change| change.milliseconds.is_some()) {
            out += "\nNothing was applied. To see the locks they were taken, for the time shown, and given back; --dry takes none.\n";
        }
        out
    }
}

impl Change {
    fn rows(&self) -> Vec<[String; 5]> {
        let time = self.milliseconds.map_or_else(|| "-".to_owned(), |time| format!("{time} ms"));
        let first = [self.file.clone(), time];
        let locks = self.locks.iter().map(|lock| {
            let note = if lock.held_before { " (held since an earlier file)" } else { "" };
            [lock.object.clone(), lock.mode.clone(), format!("{}{note}", lock.stops)]
        });
        let none = || ["-".to_owned(), "-".to_owned(), "-".to_owned()];
        let locks: Vec<[String; 3]> = if self.locks.is_empty() { vec![none()] } else { locks.collect() };
        let firsts = std::iter::once(first).chain(std::iter::repeat_with(|| [String::new(), String::new()]));
        locks.into_iter().zip(firsts).map(|([a, b, c], [file, time])| [file, time, a, b, c]).collect()
    }
}

/// What the database that `url` names lacks of these files.
///
/// # Errors
/// When the database was made by another program, is ahead of this one, or cannot be reached.
pub async fn check(url: &str, files: &Files, patience: &Patience, mode: Mode) -> anyhow::Result<Check> {
    files.check()?;
    let options = options(url).await?;
    let mut connection = connect(&options).await?;
    if mode == Mode::Try {
        take_turn(&mut connection).await?;
    }
    let rows = ledger::read(&mut connection).await?;
    let pending = ledger::pending(files, &rows)?;
    let mut check = Check {
        version: rows.iter().filter(|row| row.success).map(|row| row.version).max(),
        newest: files.schema().version,
        baseline: pending.baseline.then_some(files.baseline().len()),
        changes: Vec::new(),
    };
    // What an empty database would get locks nobody out.
    if pending.baseline || mode == Mode::Dry {
        for file in &pending.changes {
            check.changes.push(listed(file, &rows)?);
        }
    } else if !pending.changes.is_empty() {
        let mut watch = Watch::of(&mut connection, &options).await?;
        check.changes = tried(&mut connection, &mut watch, files, &pending.changes, &rows, patience).await?;
        watch.close().await?;
    }
    connection.close().await?;
    Ok(check)
}

/// What is known without trying.
fn listed(file: &Migration, rows: &[ledger::Row]) -> anyhow::Result<Change> {
    let mut change = Change {
        file: name(file),
        transaction: !file.no_tx,
        milliseconds: None,
        locks: Vec::new(),
        statements: Vec::new(),
        trouble: None,
    };
    if file.no_tx {
        let begun = rows.iter().find(|row| row.version == file.version && row.checksum == *file.checksum);
        let done = begun.and_then(|row| row.statements_done).map_or(0, |done| usize::try_from(done).unwrap_or(0));
        for statement in statements::of(file)?.into_iter().skip(done) {
            change.locks.push(Lock {
                mode: statement.kind.lock().to_owned(),
                object: statement.object,
                stops: stops("ShareUpdateExclusiveLock"),
                held_before: false,
            });
            change.statements.push(statement.sql);
        }
    }
    Ok(change)
}

/// Runs the changes one after the other in a transaction that is rolled back.
async fn tried(
    connection: &mut PgConnection,
    watch: &mut Watch,
    all: &Files,
    files: &[&Migration],
    rows: &[ledger::Row],
    patience: &Patience,
) -> anyhow::Result<Vec<Change>> {
    let mut tx = connection.begin().await?;
    bound(&mut tx, patience.lock, patience.statement).await?;
    sqlx::raw_sql(ROLES).execute(&mut *tx).await?;
    let (mut changes, mut held, mut skipped, mut ended) = (Vec::new(), Held::new(), None, None);
    for file in files {
        let mut change = listed(file, rows)?;
        if file.no_tx {
            skipped = Some(change.file.clone());
        } else if let Some(earlier) = &ended {
            change.trouble = Some(Trouble { what: format!("not tried, it comes after {earlier}"), fails: false });
        } else {
            let began = Instant::now();
            let (outcome, waited) = watch.during(&change.file, tx.apply(TABLE, file)).await;
            change.milliseconds = Some(millis(began.elapsed()));
            let outcome = match outcome {
                Ok(_) => {
                    let now = locks(&mut tx).await?;
                    change.locks = taken(watch.connection(), &held, &now, file.sql.as_str()).await?;
                    let judged = judge(&mut tx, moment(file, all, false)).await;
                    // The lints look at tables, too, and are not of the file.
                    held = if judged.is_ok() { locks(&mut tx).await? } else { now };
                    judged
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = outcome {
                ended = Some(change.file.clone());
                change.trouble = Some(trouble(&error, waited, skipped.as_deref()));
            }
        }
        changes.push(change);
    }
    tx.rollback().await?;
    Ok(changes)
}

fn trouble(error: &anyhow::Error, waited: Option<String>, skipped: Option<&str>) -> Trouble {
    if is_of(error, &["55P03", "40P01"]) {
        let waited = waited.unwrap_or_else(|| "a lock".to_owned());
        return Trouble { what: format!("others were in its way: {waited}"), fails: false };
    }
    match skipped {
        Some(earlier) => {
            let what = format!("could not be tried before {earlier}, which runs outside a transaction: {error:#}");
            Trouble { what, fails: false }
        }
        None => Trouble { what: format!("would fail: {error:#}"), fails: true },
    }
}

/// The modes that a session holds, by table.
type Held = BTreeMap<u32, BTreeSet<String>>;

async fn locks(connection: &mut PgConnection) -> anyhow::Result<Held> {
    let rows: Vec<(Oid, String)> = sqlx::query_as(
        "select relation, mode from pg_locks
        where pid = pg_backend_pid() and granted and locktype = 'relation'
          and database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_all(connection)
    .await?;
    let mut held = Held::new();
    for (table, mode) in rows {
        held.entry(table.0).or_default().insert(mode);
    }
    Ok(held)
}

/// What a file locked of what others can see: not the tables that it made itself, nor the catalogs.
async fn taken(outside: &mut PgConnection, before: &Held, now: &Held, text: &str) -> anyhow::Result<Vec<Lock>> {
    let tables: Vec<(Oid, String, String)> = sqlx::query_as(
        "select c.oid, format('%I.%I', n.nspname, c.relname), c.relname::text
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = any($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
          and (n.nspname, c.relname) <> ('public', '_sqlx_migrations')
        order by 2",
    )
    .bind(now.keys().copied().map(Oid).collect::<Vec<_>>())
    .fetch_all(outside)
    .await?;
    let names = |table: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == table);
    let mut locks = Vec::new();
    for (oid, object, bare) in tables {
        let (now, before) = (&now[&oid.0], before.get(&oid.0));
        let new = now.iter().filter(|mode| before.is_none_or(|before| !before.contains(*mode)));
        let strongest = new.max_by_key(|mode| strength(mode));
        let earlier = || now.iter().max_by_key(|mode| strength(mode)).filter(|_| names(&bare));
        let held_before = strongest.is_none();
        if let Some(mode) = strongest.or_else(earlier) {
            locks.push(Lock { object, mode: mode.clone(), stops: stops(mode), held_before });
        }
    }
    Ok(locks)
}

/// The order in which PostgreSQL's documentation has them.
const MODES: [(&str, &str); 8] = [
    ("AccessShareLock", "nothing"),
    ("RowShareLock", "nothing"),
    ("RowExclusiveLock", "nothing"),
    ("ShareUpdateExclusiveLock", "nothing but vacuum and other changes"),
    ("ShareLock", "writes"),
    ("ShareRowExclusiveLock", "writes"),
    ("ExclusiveLock", "writes"),
    ("AccessExclusiveLock", "reads and writes"),
];

fn strength(mode: &str) -> usize {
    MODES.iter().position(|(known, _)| *known == mode).unwrap_or(MODES.len())
}

fn stops(mode: &str) -> &'static str {
    MODES.get(strength(mode)).map_or("unknown", |(_, stops)| stops)
}
