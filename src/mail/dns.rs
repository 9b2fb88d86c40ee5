//! DNS: of the network, or from a file, lines of `NAME TYPE VALUE`, for trials without the internet. What is not in the file does
//! not exist, and nobody else is asked.

pub mod network;

use std::{
    borrow::Borrow,
    collections::HashMap,
    fs,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use anyhow::Context as _;
use mail_auth::{
    DnsError, DnssecStatus, Error, MX, MessageAuthenticator, Parameters, RecordSet, ResolverCache, Txt,
    common::{parse::TxtRecordParser, verify::DomainKey},
    dmarc::Dmarc,
    hickory_resolver::{
        config::{ResolverConfig, ResolverOpts},
        proto::op::ResponseCode,
    },
    spf::Spf,
};
use network::{NetworkDns, Unanswered};

/// How many names may lead to one another.
const CNAMES: usize = 8;
/// The longest file, bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Whom the server asks.
pub enum Dns {
    File(FileDns),
    Network(NetworkDns),
}

impl Dns {
    /// The file's names, where there is one, and else the servers that the system names.
    ///
    /// # Errors
    /// When the file cannot be read, or the system names no server.
    pub fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        match file {
            Some(path) => FileDns::open(path).map(Self::File),
            None => NetworkDns::of_system().context("which DNS servers to ask").map(Self::Network),
        }
    }

    /// What answers one question, and those that follow from it.
    pub fn source(&self) -> Source {
        match self {
            Self::File(file) => Source::Zone(file.zone()),
            Self::Network(network) => Source::Network(network.clone()),
        }
    }
}

/// What answers: what a file said when it was looked at, or the network.
#[derive(Clone)]
pub enum Source {
    Zone(Arc<Zone>),
    Network(NetworkDns),
}

impl Source {
    /// What verifies signatures by it; `None` when it cannot be made.
    pub fn authenticator(&self) -> Option<MessageAuthenticator> {
        match self {
            // It knows nobody to ask: all that is asked has its answer in the zone.
            Self::Zone(_) => MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default()).ok(),
            Self::Network(network) => Some(network.authenticator().clone()),
        }
    }

    /// What is asked, to be answered from here.
    pub fn answers<P>(&self, asked: P) -> Asked<'_, P> {
        match self {
            Self::Zone(zone) => zone.answers(asked),
            // The servers' answers are kept where they are asked.
            Self::Network(_) => Parameters {
                params: asked,
                cache_txt: None,
                cache_mx: None,
                cache_ptr: None,
                cache_ipv4: None,
                cache_ipv6: None,
            },
        }
    }

    /// The texts of a name.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        let name = fully_qualified(name);
        match self {
            Self::Zone(zone) => Ok(answer(&zone.lines, &name, Type::Txt)),
            Self::Network(network) => network.texts(&name).await,
        }
    }

    /// Who takes mail of a domain, the preferred first.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn exchanges(&self, name: &str) -> Result<Vec<(u16, String)>, Unanswered> {
        let name = fully_qualified(name);
        let mut exchanges: Vec<(u16, String)> = match self {
            Self::Zone(zone) => answer(&zone.lines, &name, Type::Mx)
                .iter()
                .filter_map(|value| {
                    let (preference, host) = value.split_once(char::is_whitespace)?;
                    Some((preference.parse().ok()?, host.trim().to_owned()))
                })
                .collect(),
            Self::Network(network) => network.exchanges(&name).await?,
        };
        for (_, host) in &mut exchanges {
            plain(host);
        }
        exchanges.sort();
        Ok(exchanges)
    }

    /// The addresses of a host.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unanswered> {
        let name = fully_qualified(name);
        match self {
            Self::Zone(zone) => {
                let of = |kind| answer(&zone.lines, &name, kind).into_iter().filter_map(|value| value.parse().ok());
                Ok(of(Type::A).chain(of(Type::Aaaa)).collect())
            }
            Self::Network(network) => network.addresses(&name).await,
        }
    }

    /// What an address is called.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub async fn names(&self, address: IpAddr) -> Result<Vec<String>, Unanswered> {
        let mut names: Vec<String> = match self {
            Self::Zone(zone) => zone
                .ptr
                .0
                .get(&address)
                .map_or_else(Vec::new, |names| names.rrset.iter().map(ToString::to_string).collect()),
            Self::Network(network) => network.names(address).await?,
        };
        names.iter_mut().for_each(plain);
        Ok(names)
    }
}

/// Without the dot at its end.
fn plain(host: &mut String) {
    host.truncate(host.trim_end_matches('.').len());
}

/// A file of names, read again when it changes.
pub struct FileDns {
    path: PathBuf,
    read: Mutex<Read>,
}

struct Read {
    /// When it changed last, and how long it is.
    state: (Option<SystemTime>, u64),
    zone: Arc<Zone>,
}

impl FileDns {
    /// # Errors
    /// When it cannot be read, or a line of it is none.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let state = state(path).with_context(|| format!("cannot read {}", path.display()))?;
        let zone = Zone::read(path)?;
        Ok(Self { path: path.to_owned(), read: Mutex::new(Read { state, zone: Arc::new(zone) }) })
    }

    /// What it says now. While a changed file cannot be read it says what it said before.
    pub fn zone(&self) -> Arc<Zone> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = state(&self.path)
            && now != read.state
        {
            match Zone::read(&self.path) {
                Ok(zone) => *read = Read { state: now, zone: Arc::new(zone) },
                Err(error) => tracing::warn!("the DNS file is as it was: {error:#}"),
            }
        }
        Arc::clone(&read.zone)
    }
}

fn state(path: &Path) -> std::io::Result<(Option<SystemTime>, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

/// All names of a file, as who verifies asks for them: in lower case, with a dot at the end.
#[derive(Default)]
pub struct Zone {
    txt: Answers<Box<str>, Txt>,
    mx: Answers<Box<str>, RecordSet<MX>>,
    a: Answers<Box<str>, RecordSet<Ipv4Addr>>,
    aaaa: Answers<Box<str>, RecordSet<Ipv6Addr>>,
    ptr: Answers<IpAddr, RecordSet<Box<str>>>,
    /// As they are written.
    lines: Lines,
}

/// A question whose answers are in a zone.
pub type Asked<'x, P> = Parameters<
    'x,
    P,
    Answers<Box<str>, Txt>,
    Answers<Box<str>, RecordSet<MX>>,
    Answers<Box<str>, RecordSet<Ipv4Addr>>,
    Answers<Box<str>, RecordSet<Ipv6Addr>>,
    Answers<IpAddr, RecordSet<Box<str>>>,
>;

/// The answers of one type. What has none is answered too: by that it does not exist.
pub struct Answers<K, V>(HashMap<K, V>);

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

/// What a name without records is answered.
pub trait Missing {
    fn missing() -> Self;
}

impl Missing for Txt {
    fn missing() -> Self {
        Self::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)))
    }
}

impl<T> Missing for RecordSet<T> {
    fn missing() -> Self {
        records(Vec::new())
    }
}

impl<K: Hash + Eq, V: Clone + Missing> ResolverCache<K, V> for Answers<K, V> {
    fn get<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(self.0.get(name).cloned().unwrap_or_else(V::missing))
    }

    fn remove<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}

fn records<T>(records: Vec<T>) -> RecordSet<T> {
    RecordSet { rrset: records.into(), dnssec_status: DnssecStatus::Indeterminate }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Type {
    Txt,
    Mx,
    A,
    Aaaa,
    Ptr,
    Cname,
}

type Lines = HashMap<(String, Type), Vec<String>>;

impl Zone {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let about = || format!("cannot read {}", path.display());
        anyhow::ensure!(fs::metadata(path).with_context(about)?.len() <= MAX_BYTES, "{} is too long", path.display());
        Self::parse(&fs::read_to_string(path).with_context(about)?).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines: Lines = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let (name, kind, value) =
                record(line).with_context(|| format!("line {}: write NAME TYPE VALUE", number + 1))?;
            lines.entry((name, kind)).or_default().push(value);
        }
        let mut zone = Self::default();
        let names: Vec<String> = lines.keys().map(|(name, _)| name.clone()).collect();
        for name in names {
            zone.fill(&lines, &name).with_context(|| name.clone())?;
        }
        zone.lines = lines;
        Ok(zone)
    }

    fn fill(&mut self, lines: &Lines, name: &str) -> anyhow::Result<()> {
        let key = || name.to_owned().into_boxed_str();
        let texts = answer(lines, name, Type::Txt);
        if !texts.is_empty() {
            self.txt.0.insert(key(), txt(name, &texts));
        }
        let mut exchanges = Vec::new();
        for value in answer(lines, name, Type::Mx) {
            let (preference, host) = value.split_once(char::is_whitespace).context("an MX is a number and a name")?;
            exchanges.push((preference.parse::<u16>().context("an MX is a number and a name")?, fully_qualified(host)));
        }
        if !exchanges.is_empty() {
            exchanges.sort();
            let exchanges = exchanges.into_iter();
            let exchanges = exchanges.map(|(preference, host)| MX { preference, exchanges: [host.into()].into() });
            self.mx.0.insert(key(), records(exchanges.collect()));
        }
        let a: Result<Vec<Ipv4Addr>, _> = answer(lines, name, Type::A).iter().map(|value| value.parse()).collect();
        let aaaa: Result<Vec<Ipv6Addr>, _> =
            answer(lines, name, Type::Aaaa).iter().map(|value| value.parse()).collect();
        let (a, aaaa) = (a.context("no IPv4 address")?, aaaa.context("no IPv6 address")?);
        if !a.is_empty() {
            self.a.0.insert(key(), records(a));
        }
        if !aaaa.is_empty() {
            self.aaaa.0.insert(key(), records(aaaa));
        }
        let names: Vec<Box<str>> =
            answer(lines, name, Type::Ptr).iter().map(|host| fully_qualified(host).into_boxed_str()).collect();
        if let Some(address) = reversed(name).filter(|_| !names.is_empty()) {
            self.ptr.0.insert(address, records(names));
        }
        Ok(())
    }

    /// What is asked, to be answered from here.
    pub fn answers<P>(&self, asked: P) -> Asked<'_, P> {
        Parameters {
            params: asked,
            cache_txt: Some(&self.txt),
            cache_mx: Some(&self.mx),
            cache_ptr: Some(&self.ptr),
            cache_ipv4: Some(&self.a),
            cache_ipv6: Some(&self.aaaa),
        }
    }
}

/// The records of a name, by way of those that stand for it.
fn answer(lines: &Lines, name: &str, kind: Type) -> Vec<String> {
    let mut name = name.to_owned();
    for _ in 0..=CNAMES {
        if let Some(values) = lines.get(&(name.clone(), kind)) {
            return values.clone();
        }
        match lines.get(&(name, Type::Cname)).and_then(|values| values.first()) {
            Some(other) => name = fully_qualified(other),
            None => break,
        }
    }
    Vec::new()
}

/// What a text record means is said by its name.
fn txt(name: &str, texts: &[String]) -> Txt {
    fn first<T: TxtRecordParser>(texts: &[String]) -> Result<Arc<T>, Error> {
        let mut outcome = Err(Error::Dns(DnsError::InvalidRecordType));
        for text in texts {
            outcome = T::parse(text.as_bytes());
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map(Arc::new)
    }
    let outcome = if name.contains("._domainkey.") {
        first::<DomainKey>(texts).map(Txt::DomainKey)
    } else if name.starts_with("_dmarc.") {
        first::<Dmarc>(texts).map(Txt::Dmarc)
    } else {
        first::<Spf>(texts).map(Txt::Spf)
    };
    outcome.unwrap_or_else(Txt::Error)
}

fn record(line: &str) -> Option<(String, Type, String)> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (kind, value) = rest.trim_start().split_once(char::is_whitespace)?;
    let kind = match kind.to_ascii_uppercase().as_str() {
        "TXT" => Type::Txt,
        "MX" => Type::Mx,
        "A" => Type::A,
        "AAAA" => Type::Aaaa,
        "PTR" => Type::Ptr,
        "CNAME" => Type::Cname,
        _ => return None,
    };
    let value = value.trim();
    let value = if kind == Type::Txt { unquoted(value) } else { value.to_owned() };
    // A PTR may stand under the address itself.
    let name = match name.parse::<IpAddr>() {
        Ok(address) if kind == Type::Ptr => address.to_string(),
        _ => fully_qualified(name),
    };
    Some((name, kind, value))
}

/// A text as zone files write it: in quotes, and in several where it is long.
fn unquoted(value: &str) -> String {
    if !value.starts_with('"') {
        return value.to_owned();
    }
    let (mut text, mut inside, mut escaped) = (String::new(), false, false);
    for c in value.chars() {
        match c {
            '\\' if inside && !escaped => escaped = true,
            '"' if !escaped => inside = !inside,
            c => {
                if inside {
                    text.push(c);
                }
                escaped = false;
            }
        }
    }
    text
}

fn fully_qualified(name: &str) -> String {
    format!("{}.", name.trim().trim_end_matches('.').to_lowercase())
}

/// The address of a name such as `1.2.0.192.in-addr.arpa`.
fn reversed(name: &str) -> Option<IpAddr> {
    if let Ok(address) = name.parse() {
        return Some(address);
    }
    let name = name.trim_end_matches('.');
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<&str> = octets.rsplit('.').collect();
        return octets.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let digits: Vec<&str> = name.strip_suffix(".ip6.arpa")?.rsplit('.').collect();
    let groups: Vec<String> = digits.chunks(4).map(<[&str]>::concat).collect();
    groups.join(":").parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<V: Clone + Missing>(answers: &Answers<Box<str>, V>, name: &str) -> V {
        answers.get::<str>(name).expect("everything is answered")
    }

    #[test]
    fn names_are_answered_from_the_file_and_others_do_not_exist() {
        let zone = Zone::parse(
            "# a comment\n\nExample.COM. txt \"v=spf1 ip4:192.0.2.1 \" \"-all\"\n_dmarc.example.com TXT v=DMARC1; p=reject\n\
             example.com MX 20 b.example.com\nexample.com MX 10 a.example.com.\na.example.com A 192.0.2.1\n\
             a.example.com AAAA 2001:db8::1\nwww.example.com CNAME a.example.com\n1.2.0.192.in-addr.arpa PTR a.example.com\n\
             2001:db8::1 PTR a.example.com\nloop.example.com CNAME loop.example.com\n",
        )
        .expect("a zone");
        assert!(matches!(asked(&zone.txt, "example.com."), Txt::Spf(_)));
        assert!(matches!(asked(&zone.txt, "_dmarc.example.com."), Txt::Dmarc(_)));
        assert!(matches!(asked(&zone.txt, "other.example."), Txt::Error(Error::Dns(DnsError::RecordNotFound(_)))));
        let exchanges = asked(&zone.mx, "example.com.");
        assert_eq!(exchanges.rrset.iter().map(|mx| mx.preference).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(asked(&zone.a, "www.example.com.").rrset.len(), 1);
        assert_eq!(asked(&zone.aaaa, "a.example.com.").rrset.len(), 1);
        assert!(asked(&zone.a, "loop.example.com.").rrset.is_empty());
        for address in ["192.0.2.1", "2001:db8::1"] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(zone.ptr.get(&address).expect("answered").rrset.len(), 1);
        }
    }

    #[test]
    fn a_line_that_is_none_is_an_error_with_its_number() {
        for bad in ["a", "a TXT", "a SRV 1", "a A 1.2.3", "a MX x", "a MX y b"] {
            assert!(Zone::parse(&format!("# one\n{bad}\n")).is_err(), "{bad}");
        }
        assert!(format!("{:#}", Zone::parse("\na SRV 1 2\n").err().expect("an error")).contains("line 2"));
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let path = std::env::temp_dir().join(format!("vicket-dns-{}", std::process::id()));
        fs::write(&path, "a.example A 192.0.2.1\n").expect("written");
        let dns = FileDns::open(&path).expect("a file");
        assert_eq!(asked(&dns.zone().a, "b.example.").rrset.len(), 0);
        fs::write(&path, "a.example A 192.0.2.1\nb.example A 192.0.2.2\n").expect("written");
        assert_eq!(asked(&dns.zone().a, "b.example.").rrset.len(), 1);
        // A broken one changes nothing.
        fs::write(&path, "nonsense\n").expect("written");
        assert_eq!(asked(&dns.zone().a, "b.example.").rrset.len(), 1);
        fs::remove_file(&path).expect("removed");
        assert!(FileDns::open(&path).is_err());
    }
}
