//! Where PostgreSQL is: one server, or several of which one is wanted, as libpq's URLs say it:
//! `postgres://login@one:5432,two:5432/vicket?target_session_attrs=read-write`.

use std::{
    io,
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

const ATTRIBUTES: &str = "target_session_attrs=";

/// Which of the servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    /// The first that answers.
    Any,
    /// One that takes writes.
    ReadWrite,
    /// One that takes none: a standby.
    ReadOnly,
}

impl Wanted {
    fn parse(text: &str) -> anyhow::Result<Self> {
        match text {
            "any" => Ok(Self::Any),
            "read-write" | "primary" => Ok(Self::ReadWrite),
            "read-only" | "standby" => Ok(Self::ReadOnly),
            _ => bail!("target_session_attrs is any, read-write, primary, read-only or standby"),
        }
    }

    /// Whether a session on this server is wanted; asked of whom nothing else is known.
    async fn is(self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let Some(writes) = (match self {
            Self::Any => None,
            Self::ReadWrite => Some(true),
            Self::ReadOnly => Some(false),
        }) else {
            return Ok(true);
        };
        let sql = "select not pg_catalog.pg_is_in_recovery()";
        let takes_writes: bool = sqlx::query_scalar(sql).persistent(false).fetch_one(connection).await?;
        Ok(takes_writes == writes)
    }
}

/// The servers of one URL, as one login.
#[derive(Clone, Debug)]
pub struct Servers {
    each: Vec<PgConnectOptions>,
    wanted: Wanted,
    /// The one that was wanted last.
    last: Arc<AtomicUsize>,
}

impl Servers {
    /// # Errors
    /// When `url` is not a PostgreSQL URL. The message does not repeat the URL, which may hold a password.
    pub fn of(url: &str) -> anyhow::Result<Self> {
        let (url, wanted) = attributes(url)?;
        let each = hosts(&url).iter().map(|url| options(url)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { each, wanted, last: Arc::default() })
    }

    /// The same with other options for each.
    #[must_use]
    pub fn with(mut self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        self.each = self.each.into_iter().map(change).collect();
        self
    }

    /// Connects to the first that is wanted, beginning with the one that was it last.
    ///
    /// # Errors
    /// What the last one said, when none is.
    pub async fn connect(&self, time: Duration) -> Result<PgConnection, sqlx::Error> {
        Ok(self.found(time).await?.0)
    }

    /// How the one that is wanted now is reached; without a question, when there is only one.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn options(&self, time: Duration) -> Result<PgConnectOptions, sqlx::Error> {
        if let ([only], Wanted::Any) = (self.each.as_slice(), self.wanted) {
            return Ok(only.clone());
        }
        let (connection, options) = self.found(time).await?;
        connection.close().await?;
        Ok(options.clone())
    }

    async fn found(&self, time: Duration) -> Result<(PgConnection, &PgConnectOptions), sqlx::Error> {
        let (count, first) = (self.each.len(), self.last.load(Ordering::Relaxed));
        // One that does not answer leaves time for the others.
        let share = time / u32::try_from(count).unwrap_or(u32::MAX);
        let mut failed = none_wanted();
        for place in (0..count).map(|n| (first + n) % count) {
            let options = &self.each[place];
            let connecting = async {
                let mut connection = PgConnection::connect_with(options).await?;
                if self.wanted.is(&mut connection).await? { Ok(connection) } else { Err(none_wanted()) }
            };
            let connected = tokio::time::timeout(share, connecting).await;
            match connected.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))) {
                Ok(connection) => {
                    self.last.store(place, Ordering::Relaxed);
                    return Ok((connection, options));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

fn none_wanted() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(
        io::ErrorKind::NotConnected,
        "no server of the URL is what target_session_attrs asks for",
    ))
}

/// The URL without `target_session_attrs`, which the driver does not know, and what that says.
fn attributes(url: &str) -> anyhow::Result<(String, Wanted)> {
    let Some((before, query)) = url.split_once('?') else { return Ok((url.to_owned(), Wanted::Any)) };
    let (ours, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| pair.starts_with(ATTRIBUTES));
    ensure!(ours.len() <= 1, "target_session_attrs stands twice in the URL");
    let wanted = ours.first().map_or(Ok(Wanted::Any), |pair| Wanted::parse(&pair[ATTRIBUTES.len()..]))?;
    let url = if others.is_empty() { before.to_owned() } else { format!("{before}?{}", others.join("&")) };
    Ok((url, wanted))
}

/// A URL for each host: `one:5432,two` of `postgres://login@one:5432,two/vicket`.
fn hosts(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
    let at = if login.is_empty() { "" } else { "@" };
    hosts.split(',').map(|host| format!("{scheme}://{login}{at}{host}{path}")).collect()
}

/// Options of a login on one server: no prepared statement is shared between logins, and nothing is logged at each statement.
fn options(url: &str) -> anyhow::Result<PgConnectOptions> {
    let ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    let options = PgConnectOptions::from_str(url)
        .ok()
        .filter(|_| ours)
        .context("not a PostgreSQL URL (postgres://login:password@host:port/database)")?;
    let local = matches!(options.get_host(), "localhost" | "127.0.0.1" | "::1") || options.get_host().starts_with('/');
    let plain = local && !url.contains("sslmode");
    let options = if plain { options.ssl_mode(PgSslMode::Disable) } else { options };
    // A pooler refuses what it does not know at the start of a session; PostgreSQL's own default is as exact.
    let options = options.extra_float_digits(None);
    Ok(options.application_name("vicket").disable_statement_logging())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_one_server_or_several_and_which_of_them_is_wanted() {
        let read = |url: &str| {
            let servers = Servers::of(url).expect("a URL");
            let hosts: Vec<String> =
                servers.each.iter().map(|one| format!("{}:{}", one.get_host(), one.get_port())).collect();
            (hosts.join(" "), servers.wanted)
        };
        let one = |hosts: &str, wanted| (hosts.to_owned(), wanted);
        assert_eq!(read("postgres://a:p@one/vicket"), one("one:5432", Wanted::Any));
        let two = "postgres://a:p%40x@one:5433,two/vicket?target_session_attrs=read-write&sslmode=require";
        assert_eq!(read(two), one("one:5433 two:5432", Wanted::ReadWrite));
        assert_eq!(
            read("postgres://a@[::1]:1,[::2]:2/x?target_session_attrs=standby"),
            one("[::1]:1 [::2]:2", Wanted::ReadOnly)
        );
        for bad in ["postgres://a@one/x?target_session_attrs=best", "mysql://a:hunter2@one/x", "hunter2"] {
            let error = Servers::of(bad).expect_err(bad).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
