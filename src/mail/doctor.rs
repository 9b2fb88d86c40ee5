//! Whether what DNS says of mail's domains is as it should be: what was found, what is wrong with it, and the record to paste.

use std::{net::IpAddr, sync::Arc, time::Duration};

use mail_auth::{SpfResult, spf::verify::SpfParameters};

use super::{
    dkim,
    dns::{Dns, Source, network::Unanswered},
};
use crate::store::dkim_keys::DkimKey;

/// How long one look at everything may take.
const WHOLE: Duration = Duration::from_secs(20);
/// Addresses of a host, or exchanges of a domain, that are looked at.
const LOOKED_AT: usize = 8;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Who may send mail of the domain that bounces come back to.
    Spf,
    /// The key that a site's mail is signed by.
    Dkim,
    /// What others do with mail that claims a domain and does not prove it.
    Dmarc,
    /// Who takes the answers.
    Mx,
    /// What the address is called that mail is handed to.
    ReverseName,
}

impl Check {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spf => "SPF",
            Self::Dkim => "DKIM",
            Self::Dmarc => "DMARC",
            Self::Mx => "MX",
            Self::ReverseName => "reverse name",
        }
    }
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Good,
    /// There is none.
    Missing,
    /// There is one, and it does not serve.
    Wrong,
    /// DNS did not answer.
    Unknown,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Missing => "missing",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

/// A record to paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    pub kind: &'static str,
    pub value: String,
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub check: Check,
    /// The name that was looked up.
    pub name: String,
    pub state: State,
    /// What DNS says there.
    pub found: Vec<String>,
    /// What is wrong, or to be known, for people.
    pub about: Option<String>,
    pub record: Option<Record>,
}

/// A key of a site.
#[derive(Clone, Debug)]
pub struct Key {
    pub selector: String,
    pub domain: String,
    pub public_key: String,
}

impl From<DkimKey> for Key {
    fn from(key: DkimKey) -> Self {
        Self { selector: key.selector, domain: key.domain, public_key: key.public_key }
    }
}

/// Of a site: its own address, and its keys.
#[derive(Clone, Debug, Default)]
pub struct SiteFacts {
    pub address: Option<String>,
    pub keys: Vec<Key>,
}

/// Looks at the DNS of a server's mail.
pub struct Doctor {
    pub dns: Arc<Dns>,
    /// The domain of the server's own sender.
    pub sender_domain: Option<String>,
    /// The host that mail is handed to; none for a folder, the log, or this machine.
    pub smtp_host: Option<String>,
    /// The domain at which mail is answered.
    pub reply_domain: Option<String>,
    /// The host under which people reach the server.
    pub public_host: Option<String>,
}

impl Doctor {
    /// Looks at everything of the server, and of a site.
    pub async fn examine(&self, site: &SiteFacts) -> Vec<Finding> {
        let source = self.dns.source();
        let mut findings = Vec::new();
        let looking = async {
            if let Some(domain) = &self.sender_domain {
                findings.push(spf(&source, domain, self.smtp_host.as_deref()).await);
                findings.push(dmarc(&source, domain).await);
            }
            for key in &site.keys {
                findings.push(dkim(&source, key).await);
            }
            let own = site.address.as_deref().and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
            if let Some(own) =
                own.filter(|own| !self.sender_domain.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(own)))
            {
                findings.push(dmarc(&source, own).await);
            }
            if let Some(domain) = &self.reply_domain {
                findings.push(mx(&source, domain, self.public_host.as_deref()).await);
            }
            if let Some(host) = &self.smtp_host {
                findings.push(reverse_name(&source, host).await);
            }
        };
        let _ = tokio::time::timeout(WHOLE, looking).await;
        findings
    }
}

fn unknown(check: Check, name: String) -> Finding {
    let about = Some("DNS did not answer. Look again later.".to_owned());
    Finding { check, name, state: State::Unknown, found: Vec::new(), about, record: None }
}

fn text(name: &str, value: String) -> Record {
    Record { name: name.to_owned(), kind: "TXT", value }
}

async fn spf(source: &Source, domain: &str, host: Option<&str>) -> Finding {
    let Ok(texts) = source.texts(domain).await else { return unknown(Check::Spf, domain.to_owned()) };
    let is_spf = |text: &String| text.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("v=spf1"));
    let found: Vec<String> = texts.into_iter().filter(is_spf).collect();
    let sends = host.map_or("mx".to_owned(), |host| format!("a:{host}"));
    let finding = |state, about: Option<String>, record| Finding {
        check: Check::Spf,
        name: domain.to_owned(),
        state,
        found: found.clone(),
        about,
        record,
    };
    match found.as_slice() {
        [] => {
            let about = format!(
                "Nothing says which servers may send mail of {domain}, to which mail that cannot be delivered comes back."
            );
            finding(State::Missing, Some(about), Some(text(domain, format!("v=spf1 {sends} ~all"))))
        }
        [one] => {
            let words: Vec<&str> = one.split_whitespace().collect();
            if words.iter().any(|word| ["all", "+all"].iter().any(|all| word.eq_ignore_ascii_case(all))) {
                let rest: Vec<&str> =
                    words.iter().filter(|word| !word.to_ascii_lowercase().ends_with("all")).copied().collect();
                let about = "It lets anybody send mail of this domain: it ends with +all.".to_owned();
                return finding(State::Wrong, Some(about), Some(text(domain, format!("{} ~all", rest.join(" ")))));
            }
            match not_allowed(source, domain, host).await {
                Some((host, address)) => {
                    let about = format!(
                        "It does not allow {host} ({address}), to which this server hands its mail. Where mail leaves from there, add a:{host}."
                    );
                    finding(State::Good, Some(about), None)
                }
                None => finding(State::Good, None, None),
            }
        }
        _ => {
            let about = "There are several, and so none counts: make one of them.".to_owned();
            finding(State::Wrong, Some(about), None)
        }
    }
}

/// The first address of the host from which the domain's mail may not be sent.
async fn not_allowed<'a>(source: &Source, domain: &str, host: Option<&'a str>) -> Option<(&'a str, IpAddr)> {
    let host = host?;
    let authenticator = source.authenticator()?;
    let sender = format!("postmaster@{domain}");
    for address in source.addresses(host).await.ok()?.into_iter().take(LOOKED_AT) {
        let asked = SpfParameters::verify_mail_from(address, host, "localhost", &sender);
        if authenticator.verify_spf(source.answers(asked)).await.result() != SpfResult::Pass {
            return Some((host, address));
        }
    }
    None
}

async fn dkim(source: &Source, key: &Key) -> Finding {
    let name = format!("{}._domainkey.{}", key.selector, key.domain);
    let Ok(found) = source.texts(&name).await else { return unknown(Check::Dkim, name) };
    let (state, about) = if found.iter().any(|text| dkim::holds(text, &key.public_key)) {
        (State::Good, None)
    } else if found.is_empty() {
        let about =
            format!("Until this record is there, mail is not signed for {}, nor from an address at it.", key.domain);
        (State::Missing, Some(about))
    } else {
        (State::Wrong, Some("It holds another key than this site's.".to_owned()))
    };
    let record = if state == State::Good { None } else { Some(text(&name, dkim::record(&key.public_key))) };
    Finding { check: Check::Dkim, name, state, found, about, record }
}

async fn dmarc(source: &Source, domain: &str) -> Finding {
    let name = format!("_dmarc.{domain}");
    let is_dmarc =
        |text: &String| text.split(';').next().is_some_and(|tag| tag.replace(' ', "").eq_ignore_ascii_case("v=dmarc1"));
    // That of a domain above counts for those below: as far up as there are two parts.
    let mut asked = domain;
    loop {
        let here = format!("_dmarc.{asked}");
        let Ok(texts) = source.texts(&here).await else { return unknown(Check::Dmarc, name) };
        let found: Vec<String> = texts.into_iter().filter(is_dmarc).collect();
        let finding = |state, about: Option<&str>| Finding {
            check: Check::Dmarc,
            name: here.clone(),
            state,
            found: found.clone(),
            about: about.map(str::to_owned),
            record: None,
        };
        match found.len() {
            0 => {}
            1 => return finding(State::Good, None),
            _ => return finding(State::Wrong, Some("There are several, and so none counts: make one of them.")),
        }
        match asked.split_once('.') {
            Some((_, above)) if above.contains('.') => asked = above,
            _ => break,
        }
    }
    let about = "Nothing says what others shall do with mail that claims this domain. Large providers refuse mail without it. Begin with p=none.";
    let record = Some(text(&name, "v=DMARC1; p=none".to_owned()));
    Finding {
        check: Check::Dmarc,
        name,
        state: State::Missing,
        found: Vec::new(),
        about: Some(about.to_owned()),
        record,
    }
}

async fn mx(source: &Source, domain: &str, host: Option<&str>) -> Finding {
    let Ok(exchanges) = source.exchanges(domain).await else { return unknown(Check::Mx, domain.to_owned()) };
    let found: Vec<String> = exchanges.iter().map(|(preference, host)| format!("{preference} {host}")).collect();
    let finding = |state, about: Option<String>, record| Finding {
        check: Check::Mx,
        name: domain.to_owned(),
        state,
        found: found.clone(),
        about,
        record,
    };
    let record = host.map(|host| Record { name: domain.to_owned(), kind: "MX", value: format!("10 {host}.") });
    if exchanges.is_empty() {
        let about =
            "Nobody takes mail to this domain: no answer arrives. Name the mail server that hands it on to this one.";
        return finding(State::Missing, Some(about.to_owned()), record);
    }
    for (_, exchange) in exchanges.iter().take(LOOKED_AT) {
        match source.addresses(exchange).await {
            Err(Unanswered) => return unknown(Check::Mx, domain.to_owned()),
            Ok(addresses) if addresses.is_empty() => {
                return finding(State::Wrong, Some(format!("{exchange} has no address.")), record);
            }
            Ok(_) => {}
        }
    }
    finding(State::Good, None, None)
}

async fn reverse_name(source: &Source, host: &str) -> Finding {
    let check = Check::ReverseName;
    let Ok(addresses) = source.addresses(host).await else { return unknown(check, host.to_owned()) };
    let finding = |state, found: Vec<String>, about: Option<String>, record| Finding {
        check,
        name: host.to_owned(),
        state,
        found,
        about,
        record,
    };
    if addresses.is_empty() {
        return finding(State::Wrong, Vec::new(), Some(format!("{host} has no address.")), None);
    }
    let mut found = Vec::new();
    for address in addresses.into_iter().take(LOOKED_AT) {
        let Ok(names) = source.names(address).await else { return unknown(check, host.to_owned()) };
        if names.is_empty() {
            let about = format!(
                "{address} has no name. Many servers refuse mail from there; whoever leases the address can set it."
            );
            let record = Record { name: address.to_string(), kind: "PTR", value: format!("{host}.") };
            return finding(State::Missing, found, Some(about), Some(record));
        }
        let mut back = false;
        for name in names.iter().take(LOOKED_AT) {
            match source.addresses(name).await {
                Ok(addresses) => back |= addresses.contains(&address),
                Err(Unanswered) => return unknown(check, host.to_owned()),
            }
        }
        found.extend(names.iter().map(|name| format!("{address} {name}")));
        if !back {
            let about = format!("{address} is called {}, which has another address.", names.join(", "));
            return finding(State::Wrong, found, Some(about), None);
        }
    }
    finding(State::Good, found, None, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Check::{Dkim, Dmarc, Mx, ReverseName, Spf};

    async fn examined(zone: &str, site: &SiteFacts) -> Vec<Finding> {
        let path = std::env::temp_dir().join(format!("vicket-doctor-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, zone).expect("written");
        let doctor = Doctor {
            dns: Arc::new(Dns::open(Some(&path)).expect("a zone")),
            sender_domain: Some("mail.example".to_owned()),
            smtp_host: Some("out.mail.example".to_owned()),
            reply_domain: Some("reply.mail.example".to_owned()),
            public_host: Some("desk.example".to_owned()),
        };
        let findings = doctor.examine(site).await;
        std::fs::remove_file(&path).expect("removed");
        findings
    }

    fn acme() -> SiteFacts {
        let key = Key { selector: "v1".to_owned(), domain: "acme.example".to_owned(), public_key: "AAAA".to_owned() };
        SiteFacts { address: Some("help@acme.example".to_owned()), keys: vec![key] }
    }

    const GOOD: &str = "mail.example TXT v=spf1 a:out.mail.example -all\n_dmarc.mail.example TXT v=DMARC1; p=none\n\
                        v1._domainkey.acme.example TXT v=DKIM1; k=rsa; p=AAAA\n_dmarc.acme.example TXT v=DMARC1; p=reject\n\
                        reply.mail.example MX 10 in.mail.example\nin.mail.example A 192.0.2.2\n\
                        out.mail.example A 192.0.2.1\n192.0.2.1 PTR out.mail.example\n";

    #[tokio::test]
    async fn what_is_as_it_should_be_is_good() {
        let findings = examined(GOOD, &acme()).await;
        let states: Vec<_> =
            findings.iter().map(|finding| (finding.check, finding.state, finding.about.clone())).collect();
        let good = |check| (check, State::Good, None);
        assert_eq!(states, [Spf, Dmarc, Dkim, Dmarc, Mx, ReverseName].map(good), "{findings:#?}");
    }

    #[tokio::test]
    async fn what_is_missing_comes_with_the_record_to_paste() {
        let records: Vec<_> = examined("out.mail.example A 192.0.2.1\n", &acme())
            .await
            .into_iter()
            .map(|finding| {
                assert_eq!(finding.state, State::Missing, "{finding:?}");
                let record = finding.record.expect("a record");
                format!("{} {} {}", record.name, record.kind, record.value)
            })
            .collect();
        assert_eq!(
            records,
            [
                "mail.example TXT v=spf1 a:out.mail.example ~all",
                "_dmarc.mail.example TXT v=DMARC1; p=none",
                "v1._domainkey.acme.example TXT v=DKIM1; k=rsa; p=AAAA",
                "_dmarc.acme.example TXT v=DMARC1; p=none",
                "reply.mail.example MX 10 desk.example.",
                "192.0.2.1 PTR out.mail.example.",
            ]
        );
    }

    #[tokio::test]
    async fn what_is_wrong_is_said() {
        for (from, to, check, what) in [
            ("a:out.mail.example -all", "+all", Spf, "anybody"),
            ("mail.example TXT v=spf1", "mail.example TXT v=spf1 -all\nmail.example TXT v=spf1", Spf, "several"),
            ("p=AAAA", "p=BBBB", Dkim, "another key"),
            ("in.mail.example A 192.0.2.2\n", "", Mx, "no address"),
            ("192.0.2.1 PTR out.mail.example", "192.0.2.1 PTR in.mail.example", ReverseName, "another address"),
        ] {
            let findings = examined(&GOOD.replace(from, to), &acme()).await;
            let wrong: Vec<_> = findings.iter().filter(|finding| finding.state != State::Good).collect();
            assert_eq!(wrong.len(), 1, "{from}: {findings:#?}");
            assert_eq!((wrong[0].check, wrong[0].state), (check, State::Wrong), "{from}");
            assert!(wrong[0].about.as_deref().is_some_and(|about| about.contains(what)), "{:?}", wrong[0]);
        }
        // A host that is not named may still be the wrong one to name.
        let findings = examined(&GOOD.replace("a:out.mail.example -all", "ip4:192.0.2.99 -all"), &acme()).await;
        assert!(
            findings[0].state == State::Good
                && findings[0].about.as_deref().is_some_and(|it| it.contains("does not allow"))
        );
        // A subdomain has that of the domain above.
        let findings = examined(
            &format!("{GOOD}_dmarc.team.example TXT v=DMARC1; p=none\n"),
            &SiteFacts { address: Some("help@eu.team.example".to_owned()), keys: Vec::new() },
        )
        .await;
        assert!(findings.iter().any(|finding| finding.name == "_dmarc.team.example" && finding.state == State::Good));
    }
}
