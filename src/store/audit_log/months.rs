//! The months of the audit log. The oldest may be taken out, for all orgs at once.

use std::{fmt, str::FromStr};

use sqlx::AssertSqlSafe;
use time::{Date, OffsetDateTime};

use super::{
    chain::{self, Chain},
    checkpoint::{self, Checkpoint, SigningKey},
};
use crate::{db::OrgTx, domain::problem::Problem};

/// A month, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The month that `time` is in.
    pub fn of(time: OffsetDateTime) -> Self {
        time.to_offset(time::UtcOffset::UTC).date().into()
    }

    fn partition(self) -> String {
        format!("audit_log_{:04}_{:02}", self.0.year(), u8::from(self.0.month()))
    }
}

impl From<Date> for Month {
    fn from(date: Date) -> Self {
        Self(date.replace_day(1).unwrap_or(date))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), u8::from(self.0.month()))
    }
}

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "a month is written as YYYY-MM";
        let (year, month) = text.split_once('-').filter(|(y, m)| y.len() == 4 && m.len() == 2).ok_or(SHAPE)?;
        let digits = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
        let year: u16 = digits(year).ok_or(SHAPE)?;
        let month = digits(month).and_then(|m| u8::try_from(m).ok()).and_then(|m| time::Month::try_from(m).ok());
        Date::from_calendar_date(i32::from(year), month.ok_or(SHAPE)?, 1).map(Self).map_err(|_| SHAPE)
    }
}

/// The oldest month that is part of the log.
///
/// # Errors
/// `5xx` only.
pub async fn oldest(tx: &mut OrgTx) -> Result<Option<Month>, Problem> {
    // Named for its month, as vicket.add_audit_months does.
    let oldest: Option<Date> = sqlx::query_scalar(
        "select min(to_date(right(c.relname, 7), 'YYYY_MM'))
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'vicket.audit_log'::regclass and c.relname ~ '^audit_log_\\d{4}_\\d{2}$'",
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(oldest.map(Month))
}

/// What [`detach`] did, or why not.
#[derive(Debug, PartialEq, Eq)]
pub enum Detached {
    /// The table that holds the month's rows now, and how many entries of how many orgs they are.
    To { table: String, entries: i64, orgs: usize },
    /// Nothing was done, because this org's chain does not verify.
    Broken { org: uuid::Uuid, seq: i64, fault: String },
}

/// Takes the oldest month out of the log, in the caller's transaction: verifies every org's chain, signs where each stood at
/// the month's end, and leaves the rows as a table of the schema `archive`.
///
/// # Errors
/// `5xx`: when somebody holds the log for longer than two seconds, for one.
pub async fn detach(tx: &mut OrgTx, month: Month, key: &SigningKey) -> Result<Detached, Problem> {
    let partition = month.partition();
    // Whoever began in that month and has not committed yet is waited for; then nobody writes there.
    as_owner(tx, &format!("set local lock_timeout = '2s'; lock table vicket.{partition} in share mode")).await?;
    let orgs: Vec<uuid::Uuid> = sqlx::query_scalar("select id from admin.orgs()").fetch_all(tx.connection()).await?;
    let (mut entries, mut signed) = (0, 0);
    for org in orgs {
        sqlx::query("select admin.enter_org($1::text, true)").bind(org).execute(tx.connection()).await?;
        if let Chain::Broken { seq, fault } = chain::verify(tx, None).await? {
            return Ok(Detached::Broken { org, seq, fault });
        }
        let ended: Option<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "select min(l.seq), max(l.seq), (array_agg(l.hash order by l.seq desc))[1]
            from vicket.audit_log l
            where l.tableoid = $1::text::regclass
            having count(*) > 0",
        )
        .bind(format!("vicket.{partition}"))
        .fetch_optional(tx.connection())
        .await?;
        if let Some((first_seq, last_seq, last_hash)) = ended {
            let mut checkpoint = Checkpoint {
                org_id: org,
                month: month.0,
                first_seq,
                last_seq,
                last_hash,
                public_key: Vec::new(),
                signature: Vec::new(),
            };
            key.sign(&mut checkpoint);
            checkpoint::insert(tx, &checkpoint).await?;
            entries += last_seq - first_seq + 1;
            signed += 1;
        }
    }
    as_owner(
        tx,
        &format!(
            "alter table vicket.audit_log detach partition vicket.{partition};
            alter table vicket.{partition} set schema archive"
        ),
    )
    .await?;
    Ok(Detached::To { table: format!("archive.{partition}"), entries, orgs: signed })
}

/// Runs statements as the owner of the tables, which the deploying login may become.
async fn as_owner(tx: &mut OrgTx, statements: &str) -> Result<(), Problem> {
    let sql = format!("set local role vicket_owner; {statements}; set local role vicket_operator");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx.connection()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_as_it_is_written() {
        for text in ["2026-01", "2026-12", "0001-02"] {
            assert_eq!(text.parse::<Month>().expect("a month").to_string(), text);
        }
        assert_eq!("2026-01".parse::<Month>().expect("a month").partition(), "audit_log_2026_01");
        for bad in ["", "2026", "2026-1", "2026-13", "2026-00", "26-01", "+026-01", "2026-+1", "2026-01-01", "2026_01"]
        {
            bad.parse::<Month>().expect_err(bad);
        }
    }
}
