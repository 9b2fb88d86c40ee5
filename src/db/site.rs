//! A publishable key enters its site: what is asked, what is answered, the transaction that is the site, and the statement that
//! enters for itself.

use sqlx::{
    Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

use super::{Access, ConnectionLease, Pool, Session};
use crate::{
    domain::{
        keys::{Sha256Digest, TicketToken},
        problem::Problem,
    },
    telemetry::request::note,
};

/// What a request brings to the gate: digests only.
#[derive(Clone, Copy)]
pub struct EntryRequest {
    pub access: Access,
    pub key: Sha256Digest,
    /// Digest of the `Origin` header as it was sent.
    pub origin: Option<Sha256Digest>,
    /// Digest of the ticket token: sent by a customer, or of the one that this request issues.
    pub ticket: Option<Sha256Digest>,
}

/// What `auth.enter` answered about a known key.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key_id: Uuid,
    pub key_staged: bool,
    pub org_id: Uuid,
    pub site_id: Uuid,
    /// Grows with every change of what a reader of this site could see, but for view counts.
    pub content_version: i64,
    /// Grows with every batch of view counts that a reader of this site could see.
    pub views_version: i64,
    pub limits: SiteLimits,
    /// The request's origin is in the site's list.
    pub origin_listed: bool,
}

/// Requests a minute: of the whole site, and of one client network within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteLimits {
    pub reads: u32,
    pub writes: u32,
    pub network_reads: u32,
    pub network_writes: u32,
}

/// A call of one of the functions `auth.read_*`, with the digests of key and origin as its first parameters.
pub type Call = Query<'static, Postgres, PgArguments>;

/// The answer of the gate.
#[derive(Clone)]
pub enum Verdict<T = SiteTx> {
    Entered(T),
    /// No such key is active or staged. Says whether some site lists the origin.
    Unknown {
        origin_known: bool,
    },
}

impl<T> Verdict<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Verdict<U> {
        match self {
            Self::Entered(entered) => Verdict::Entered(change(entered)),
            Self::Unknown { origin_known } => Verdict::Unknown { origin_known },
        }
    }
}

/// Begins a transaction on a connection of `pool`, and enters the site of the key.
pub(super) async fn enter(pool: &Pool, entry_request: &EntryRequest) -> Result<Verdict, Problem> {
    let begin = match entry_request.access {
        Access::Read => "BEGIN READ ONLY",
        Access::Write => "BEGIN READ WRITE",
    };
    let entered = pool.start(Some(entry_request.key), |mut lease| async {
        let _entering = pool.entering();
        sqlx::raw_sql(begin).execute(lease.connection()).await?;
        let query = entry_request.bound("select * from auth.enter_site($1, $2, $3)");
        let row = query.fetch_one(lease.connection()).await?;
        Ok((lease, row))
    });
    let (lease, row) = entered.await?;
    match verdict(&row)? {
        Verdict::Entered(entry) => {
            entry.note();
            Ok(Verdict::Entered(SiteTx { lease, access: entry_request.access, entry, issued_token: None }))
        }
        Verdict::Unknown { origin_known } => {
            lease.roll_back().await?;
            Ok(Verdict::Unknown { origin_known })
        }
    }
}

/// What a call says of the key, in its first row, and what it read.
pub(super) async fn read(
    pool: &Pool,
    entry_request: &EntryRequest,
    call: &'static str,
    bind: impl Fn(Call) -> Call,
) -> Result<Verdict<(Entry, Vec<PgRow>)>, Problem> {
    let bytes = |digest: Sha256Digest| digest.as_bytes().to_vec();
    let question = || {
        let query = sqlx::query(call).bind(bytes(entry_request.key));
        bind(query.bind(entry_request.origin.map(bytes).unwrap_or_default()))
    };
    let (rows, _) = pool.ask(Some(entry_request.key), question).await?;
    let mut rows = rows.into_iter();
    let Some(first) = rows.next() else { return Err(Problem::internal("a read did not say how it entered")) };
    Ok(verdict(&first)?.map(|entry| (entry, rows.collect())))
}

impl EntryRequest {
    /// A call of one of the resolvers, with the digests as its parameters.
    pub(super) fn bound(&self, sql: &'static str) -> Query<'_, Postgres, PgArguments> {
        let [origin, ticket]: [&[u8]; 2] =
            [&self.origin, &self.ticket].map(|digest| digest.as_ref().map_or(&[][..], |digest| digest.as_bytes()));
        sqlx::query(sql).bind(self.key.as_bytes()).bind(origin).bind(ticket)
    }
}

impl Entry {
    /// For the request's access line.
    pub(super) fn note(&self) {
        note(|known| {
            known.org_id = Some(self.org_id);
            known.site_id = Some(self.site_id);
            known.key_id = Some(self.key_id);
        });
    }
}

/// Reads an `auth.site_entry`, by the places of its columns: to look for their names costs more than all the rest of it.
pub(super) fn verdict(row: &PgRow) -> Result<Verdict<Entry>, sqlx::Error> {
    if row.try_get::<&str, _>(0)? != "entered" {
        return Ok(Verdict::Unknown { origin_known: row.try_get(12)? });
    }
    let figure = |column: usize| row.try_get::<i32, _>(column).map(i32::cast_unsigned);
    Ok(Verdict::Entered(Entry {
        key_id: row.try_get(1)?,
        key_staged: row.try_get::<&str, _>(2)? == "staged",
        org_id: row.try_get(3)?,
        site_id: row.try_get(4)?,
        content_version: row.try_get(5)?,
        views_version: row.try_get(6)?,
        limits: SiteLimits {
            reads: figure(7)?,
            writes: figure(8)?,
            network_reads: figure(9)?,
            network_writes: figure(10)?,
        },
        origin_listed: row.try_get(11)?,
    }))
}

/// A transaction that already is a site: row-level security filters every statement by it. Dropped without
/// [`SiteTx::finish`], it closes its connection, which rolls back.
pub struct SiteTx {
    lease: ConnectionLease,
    access: Access,
    entry: Entry,
    issued_token: Option<TicketToken>,
}

impl SiteTx {
    /// What the gate said of this key.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// For `store/` only: every statement goes through here.
    pub fn connection(&mut self) -> &mut Session {
        self.lease.connection()
    }

    /// Keeps the token whose digest this transaction entered with, for the ticket that it may insert.
    #[must_use]
    pub fn issuing(mut self, token: Option<TicketToken>) -> Self {
        self.issued_token = token;
        self
    }

    /// The token that this transaction may issue; once.
    pub fn take_issued_token(&mut self) -> Option<TicketToken> {
        self.issued_token.take()
    }

    /// Commits when `result` is good, rolls back when it is not, and passes it on; of what only read, without waiting for the
    /// answer to that. The connection is reused only when PostgreSQL has answered.
    ///
    /// # Errors
    /// Those of `result`; `5xx` when the commit itself fails.
    pub async fn finish<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        match self.access {
            Access::Read => self.lease.end_later(result),
            Access::Write => self.lease.end(result).await,
        }
    }
}
