//! DNS of the network: by the servers that the system names. What is answered is kept as long as it says, within bounds; whoever
//! does not answer in time has not answered.

use std::{net::IpAddr, sync::Arc, time::Duration};

use mail_auth::{
    MessageAuthenticator,
    hickory_resolver::{
        TokioResolver,
        config::{ResolverConfig, ResolverOpts},
        net::runtime::TokioRuntimeProvider,
        proto::rr::{RData, RecordType},
        system_conf::read_system_conf,
    },
};

/// How long one server may take, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
/// How long a whole question may take, with all that it leads to.
const WHOLE: Duration = Duration::from_secs(8);
/// Answers that are kept, and for how long at the most: who mends a record does not wait for a day.
const KEPT: u64 = 4096;
const LONGEST: Duration = Duration::from_mins(5);
const LONGEST_NEGATIVE: Duration = Duration::from_mins(1);

/// Nobody answered, or said that they cannot: which is no answer, and above all no "there is none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

/// The servers that are asked.
#[derive(Clone)]
pub struct NetworkDns(Arc<MessageAuthenticator>);

impl NetworkDns {
    /// Those that the system names.
    ///
    /// # Errors
    /// When it names none.
    pub fn of_system() -> anyhow::Result<Self> {
        let (config, options) = read_system_conf()?;
        Self::new(config, options)
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts) -> anyhow::Result<Self> {
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = KEPT;
        options.positive_max_ttl = Some(LONGEST);
        options.negative_max_ttl = Some(LONGEST_NEGATIVE);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Ok(Self(Arc::new(MessageAuthenticator(resolver.with_options(options).build()?))))
    }

    /// What verifies signatures by these servers.
    pub fn authenticator(&self) -> &MessageAuthenticator {
        &self.0
    }

    async fn ask(&self, name: String, kind: RecordType) -> Result<Vec<RData>, Unanswered> {
        match tokio::time::timeout(WHOLE, self.0.0.lookup(name, kind)).await {
            Ok(Ok(answer)) => Ok(answer.answers().iter().map(|record| record.data.clone()).collect()),
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(_)) | Err(_) => Err(Unanswered),
        }
    }

    /// # Errors
    /// [`Unanswered`].
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        let records = self.ask(name.to_owned(), RecordType::TXT).await?.into_iter();
        Ok(records
            .filter_map(|record| match record {
                RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
                _ => None,
            })
            .collect())
    }

    /// # Errors
    /// [`Unanswered`].
    pub async fn exchanges(&self, name: &str) -> Result<Vec<(u16, String)>, Unanswered> {
        let records = self.ask(name.to_owned(), RecordType::MX).await?.into_iter();
        Ok(records
            .filter_map(|record| match record {
                RData::MX(mx) => Some((mx.preference, mx.exchange.to_utf8())),
                _ => None,
            })
            .collect())
    }

    /// # Errors
    /// [`Unanswered`].
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unanswered> {
        let (four, six) =
            tokio::join!(self.ask(name.to_owned(), RecordType::A), self.ask(name.to_owned(), RecordType::AAAA));
        Ok(four?
            .into_iter()
            .chain(six?)
            .filter_map(|record| match record {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            })
            .collect())
    }

    /// # Errors
    /// [`Unanswered`].
    pub async fn names(&self, address: IpAddr) -> Result<Vec<String>, Unanswered> {
        match tokio::time::timeout(WHOLE, self.0.0.reverse_lookup(address)).await {
            Ok(Ok(answer)) => Ok(answer
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::PTR(name) => Some(name.0.to_utf8()),
                    _ => None,
                })
                .collect()),
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(_)) | Err(_) => Err(Unanswered),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig};
    use tokio::net::UdpSocket;

    use super::*;

    /// A server on this machine that knows one text, says of `silent.example` nothing, and of all else that it is not there.
    async fn server(asked: Arc<AtomicUsize>) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                asked.fetch_add(1, Ordering::Relaxed);
                let name_end = 12 + question[12..length].iter().position(|byte| *byte == 0).expect("a name") + 1;
                let name = String::from_utf8_lossy(&question[12..name_end]).to_lowercase();
                if name.contains("silent") {
                    continue;
                }
                let known = name.contains("\u{5}known") && question[name_end..name_end + 2] == [0, 16];
                let mut answer = question[..2].to_vec();
                let (code, count) = if known { (0, 1) } else { (3, 0) };
                answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
                answer.extend(&question[12..name_end + 4]);
                if known {
                    answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 7, 3, b'o', b'n', b'e', 2, b' ', b'2']);
                }
                let _ = socket.send_to(&answer, from).await;
            }
        });
        address
    }

    fn at(address: SocketAddr) -> NetworkDns {
        let mut connection = ConnectionConfig::new(ProtocolConfig::Udp);
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        NetworkDns::new(ResolverConfig::from_parts(None, vec![], vec![server]), ResolverOpts::default())
            .expect("a resolver")
    }

    #[tokio::test]
    async fn what_is_answered_is_kept_and_what_is_not_there_is_no_error() {
        let asked = Arc::new(AtomicUsize::new(0));
        let dns = at(server(Arc::clone(&asked)).await);
        for _ in 0..3 {
            assert_eq!(dns.texts("known.example.").await, Ok(vec!["one 2".to_owned()]));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(dns.texts("other.example.").await, Ok(Vec::new()));
        assert_eq!(dns.exchanges("known.example.").await, Ok(Vec::new()));
        assert_eq!(dns.addresses("known.example.").await, Ok(Vec::new()));
        assert_eq!(dns.names(Ipv4Addr::new(192, 0, 2, 1).into()).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn silence_is_no_answer_and_is_waited_for_within_bounds() {
        let dns = at(server(Arc::default()).await);
        let since = std::time::Instant::now();
        assert_eq!(dns.texts("silent.example.").await, Err(Unanswered));
        assert!(since.elapsed() < WHOLE + Duration::from_secs(1), "{:?}", since.elapsed());
    }
}
