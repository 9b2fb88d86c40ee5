//! `vicket health`: asks a server on this machine, for a container's or a supervisor's check. An image without a shell has no
//! curl.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::cli::HealthArgs;

/// Sooner than whoever checks gives up by default (Docker 30 s, and it is sane to say 5).
const PATIENCE: Duration = Duration::from_secs(4);

/// An answer is a few hundred bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// # Errors
/// When the server does not answer, or answers that it cannot serve.
pub async fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let address = reachable(args.listen);
    let path = if args.live { "/healthz" } else { "/readyz" };
    let answer = timeout(PATIENCE, ask(address, path))
        .await
        .with_context(|| format!("http://{address}{path} has not answered within {} s", PATIENCE.as_secs()))?
        .with_context(|| format!("http://{address}{path} cannot be asked"))?;
    let (status, body) = read(&answer).with_context(|| format!("{address} does not speak HTTP"))?;
    anyhow::ensure!(status == 200, "http://{address}{path} answered {status}: {}", body.trim());
    println!("{}", body.trim());
    Ok(())
}

/// What listens on all addresses is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Status and body of an answer of HTTP/1.
fn read(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.1.2.3:80", "10.1.2.3:80"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(reachable(listen.parse().expect("an address")).to_string(), asked);
        }
    }

    #[test]
    fn an_answer_is_its_status_and_body() {
        assert_eq!(read("HTTP/1.1 200 OK\r\na: b\r\n\r\nok\n"), Some((200, "ok\n")));
        assert_eq!(read("HTTP/1.1 503 Service Unavailable\r\n\r\n{}"), Some((503, "{}")));
        for bad in ["", "220 smtp ready\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 OK\r\n\r\n"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
