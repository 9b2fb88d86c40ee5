//! Why a login cannot be used, and what to do about it, for whoever runs the server: a line for each.

use std::{borrow::Cow, io::ErrorKind};

use sqlx::Connection as _;

use super::{CONNECT, Pool};

impl Pool {
    /// What keeps this login from its database now: what was said, its SQLSTATE where PostgreSQL said it, what to do. `None`
    /// when nothing does.
    pub async fn diagnosis(&self) -> Option<String> {
        let servers = &self.pool.manager().servers;
        let connecting = async { servers.connect(CONNECT).await?.close().await };
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(told(&error)),
            Err(_) => Some(format!(
                "no connection could be made in {} s: see whether host and port of the URL are right, and what the network \
                 drops",
                CONNECT.as_secs()
            )),
        }
    }
}

fn told(error: &sqlx::Error) -> String {
    if let Some(said) = error.as_database_error() {
        let state = said.code().unwrap_or(Cow::Borrowed("unknown"));
        return format!("{} (SQLSTATE {state}): {}", said.message(), advice(&state));
    }
    match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "nobody listens there: start PostgreSQL, or mend host and port of the URL".to_owned()
        }
        sqlx::Error::Tls(error) => {
            format!("no TLS ({error}): mend sslmode and sslrootcert of the URL, or the server's certificate")
        }
        error => format!("{error}: mend the URL, or the network to PostgreSQL"),
    }
}

fn advice(state: &str) -> &'static str {
    match state {
        "28P01" => "put its password into the URL; `vicket migrate` sets it",
        "28000" => "run `vicket migrate`, which makes the login, and let it in by pg_hba.conf",
        "3D000" => "name the database in the URL that `vicket migrate` prepared",
        "42501" => "run `vicket migrate`, which lets the login connect",
        "53300" => "raise max_connections, or lower VICKET_WIDGET_CONNECTIONS and VICKET_AGENT_CONNECTIONS",
        "57P03" => "PostgreSQL starts, stops or recovers: wait, and start again",
        "08P01" => "a pooler refuses what a session starts with: see the README, \"In production\"",
        _ => "PostgreSQL's log says more",
    }
}
