//! A connection as `store/` has it: each statement is timed for the request that it is of, and is a span below it, with its text
//! and without its values. Texts are ours: values are bound.

use std::{
    borrow::Cow,
    fmt,
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use futures_util::{Stream, stream};
use sqlx::{
    Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::{BoxDynError, DatabaseError},
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

use crate::telemetry::{request, traces::Span};

/// A connection of a login.
pub struct Session(PgConnection);

impl Session {
    pub fn new(connection: PgConnection) -> Self {
        Self(connection)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

/// For what is asked of the connection itself.
impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

/// A statement under way, until it is dropped.
struct Timed {
    span: Span,
    began: Instant,
}

impl Timed {
    fn begin(sql: &SqlStr) -> Self {
        Self { span: request::span().statement(sql.as_str()), began: Instant::now() }
    }

    /// What PostgreSQL says besides the SQLSTATE may hold values.
    fn fail(&self, error: &Error) {
        let state = error.as_database_error().and_then(DatabaseError::code);
        self.span.fail(&state.unwrap_or(Cow::Borrowed("connection")));
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        request::note(|known| known.in_database += took);
        self.span.end();
    }
}

/// The answer to a statement.
struct Answer<'e> {
    rows: Rows<'e>,
    /// Until all of it is there.
    timed: Option<Timed>,
}

type Row = Result<Either<PgQueryResult, PgRow>, Error>;
type Rows<'e> = Pin<Box<dyn Stream<Item = Row> + Send + 'e>>;

impl Stream for Answer<'_> {
    type Item = Row;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Row>> {
        let next = ready!(self.rows.as_mut().poll_next(cx));
        if let (Some(Err(error)), Some(timed)) = (&next, &self.timed) {
            timed.fail(error);
        }
        if !matches!(next, Some(Ok(_))) {
            self.timed = None;
        }
        Poll::Ready(next)
    }
}

/// A query, taken apart and handed on: its text can be read only by taking it.
struct Statement {
    sql: SqlStr,
    arguments: Option<PgArguments>,
    persistent: bool,
}

impl Statement {
    fn of<'q>(mut query: impl Execute<'q, Postgres>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        Ok(Self { arguments, persistent: query.persistent(), sql: query.sql() })
    }
}

impl Execute<'_, Postgres> for Statement {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Rows<'e>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match Statement::of(query) {
            Ok(statement) => {
                let timed = Some(Timed::begin(&statement.sql));
                Box::pin(Answer { rows: self.0.fetch_many(statement), timed })
            }
            Err(error) => Box::pin(stream::once(std::future::ready(Err(error)))),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> Pin<Box<dyn Future<Output = Result<Option<PgRow>, Error>> + Send + 'e>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let statement = Statement::of(query);
        Box::pin(async move {
            let statement = statement?;
            let timed = Timed::begin(&statement.sql);
            let answer = self.0.fetch_optional(statement).await;
            answer.inspect_err(|error| timed.fail(error))
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> Pin<Box<dyn Future<Output = Result<PgStatement, Error>> + Send + 'e>>
    where
        'c: 'e,
    {
        self.0.prepare_with(sql, parameters)
    }

    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> Pin<Box<dyn Future<Output = Result<sqlx::Describe<Postgres>, Error>> + Send + 'e>>
    where
        'c: 'e,
    {
        self.0.describe(sql)
    }
}
