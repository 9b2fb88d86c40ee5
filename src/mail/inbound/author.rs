//! Who wrote a message, and whether that is proven.
//!
//! `From` is an identity only where DMARC says that its domain stands for the message: a signature of that domain, or its SPF
//! where the connection is known; or where a server that is trusted by name says so above everything else. A doubt is a no.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, SpfOutput, SpfResult, common::crypto::Algorithm,
    dmarc::verify::DmarcParameters, spf::verify::SpfParameters,
};

use super::{
    envelope::Envelope,
    headers::{Address, Head},
    parts::MAX_MESSAGE_BYTES,
};
use crate::mail::dns::Source;

/// The most signatures that are looked at.
const SIGNATURES: usize = 8;
/// How long all that is asked of DNS for one message may take.
const DNS_WAIT: Duration = Duration::from_secs(20);
/// The longest head that is verified, bytes: each signature goes over it.
const HEAD_BYTES: usize = 256 * 1024;

/// Whom the message says it is from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Author {
    pub address: Option<Address>,
    /// Why it cannot be an identity, whatever is signed.
    pub doubt: Option<&'static str>,
}

/// The connection a message came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub client: IpAddr,
    /// What the client called itself.
    pub helo: String,
}

/// Whom and what to ask.
#[derive(Default)]
pub struct Trust<'a> {
    pub dns: Option<&'a Source>,
    pub connection: Option<&'a Connection>,
    /// The names by which servers that are believed sign their `Authentication-Results`.
    pub authserv_ids: &'a [String],
}

/// Who wrote it, by its `From`.
pub fn author(head: &Head<'_>) -> Author {
    let from = head.addresses("from");
    let address = from.first().cloned();
    let raw: Vec<u8> = head.raw("from").next().unwrap_or_default().to_vec();
    let doubt = if head.count("from") == 0 {
        Some("it has no From")
    } else if head.count("from") > 1 {
        Some("it has several From")
    } else if !head.complete {
        Some("its head is too long to be read")
    } else if from.len() > 1 {
        Some("its From has several addresses")
    } else if !address.as_ref().is_some_and(|from| plausible(&from.address)) {
        Some("its From has no address")
    } else if raw.iter().any(|c| c.is_ascii_control() && !c.is_ascii_whitespace())
        || raw.iter().filter(|c| **c == b'<').nth(1).is_some()
    {
        Some("its From is not well-formed")
    } else if address.as_ref().is_some_and(shows_another_address) {
        Some("its From shows another address than it has")
    } else {
        None
    };
    let address = address.filter(|from| plausible(&from.address));
    Author { address, doubt }
}

fn plausible(address: &str) -> bool {
    address.len() <= 254
        && address.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !local.contains('@')
                && domain.contains('.')
                && !address.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;()[]\"".contains(c))
        })
}

/// `"ann@bank.example" <mallory@elsewhere.example>`: most programs show the name alone.
fn shows_another_address(from: &Address) -> bool {
    let name = from.name.as_deref().unwrap_or_default().replace('＠', "@").to_lowercase();
    name.split(|c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c)).any(|word| {
        let address = word
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.trim_end_matches('.').contains('.'));
        address && word.trim_end_matches('.') != from.address.to_lowercase()
    })
}

/// Whether `author` is proven to have written `message`, and why or why not.
pub async fn verified(
    message: &[u8],
    head: &Head<'_>,
    author: &Author,
    envelope: &Envelope,
    trust: &Trust<'_>,
) -> (bool, String) {
    if let Some(doubt) = author.doubt {
        return (false, doubt.to_owned());
    }
    let Some(address) = &author.address else { return (false, "it has no From".to_owned()) };
    let (_, domain) = address.address.rsplit_once('@').unwrap_or_default();
    if let Some(said) = said_by_trusted(head, domain, trust.authserv_ids) {
        return said;
    }
    match trust.dns {
        Some(dns) => {
            let asking = by_dmarc(message, domain, &address.address, envelope, dns, trust.connection);
            let answered = tokio::time::timeout(DNS_WAIT, asking).await;
            answered.unwrap_or_else(|_| (false, "DNS did not answer in time".to_owned()))
        }
        None => (false, "DNS was not asked".to_owned()),
    }
}

/// What the topmost `Authentication-Results` says, when a trusted server wrote it. One below could be anybody's.
fn said_by_trusted(head: &Head<'_>, domain: &str, authserv_ids: &[String]) -> Option<(bool, String)> {
    let value = head.raw("authentication-results").next().filter(|_| !authserv_ids.is_empty())?;
    let value = without_comments(&String::from_utf8_lossy(value));
    let mut parts = value.split(';').map(str::trim);
    let id = parts.next().unwrap_or_default().split_whitespace().next().unwrap_or_default();
    if !authserv_ids.iter().any(|known| known.eq_ignore_ascii_case(id)) {
        return None;
    }
    for part in parts {
        let mut words = part.split_whitespace();
        if !words.next().is_some_and(|method| method.eq_ignore_ascii_case("dmarc=pass")) {
            continue;
        }
        let of = words.find_map(|word| {
            let (name, value) = word.split_once('=')?;
            name.eq_ignore_ascii_case("header.from").then(|| value.trim_matches('"').to_ascii_lowercase())
        });
        return Some(if of.as_deref() == Some(domain) {
            (true, format!("{id} says dmarc=pass for {domain}"))
        } else {
            (false, format!("{id} says dmarc=pass for another domain"))
        });
    }
    Some((false, format!("{id} does not say dmarc=pass")))
}

/// Without comments, in which anybody may write what they like, and with quoted texts as one word.
fn without_comments(value: &str) -> String {
    let (mut out, mut depth, mut quoted, mut escaped) = (String::with_capacity(value.len()), 0_u32, false, false);
    for c in value.chars() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' if depth > 0 || quoted => escaped = true,
            '"' if depth == 0 => {
                quoted = !quoted;
                out.push('_');
            }
            // What is quoted can be no method and no end of one.
            _ if quoted && depth == 0 => out.push('_'),
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(if c.is_control() { ' ' } else { c }),
            _ => {}
        }
    }
    out
}

async fn by_dmarc(
    message: &[u8],
    domain: &str,
    address: &str,
    envelope: &Envelope,
    dns: &Source,
    connection: Option<&Connection>,
) -> (bool, String) {
    let no = |why: &str| (false, why.to_owned());
    if message.len() > MAX_MESSAGE_BYTES {
        return no("it is too long to be verified");
    }
    if head_length(message) > HEAD_BYTES {
        return no("its head is too long to be verified");
    }
    // On its way each line ended with CR and LF, and so it was signed; files are kept with LF alone.
    let on_its_way = with_line_ends_of_mail(message);
    let message = on_its_way.as_ref();
    let Some(authenticator) = dns.authenticator() else {
        return no("DNS could not be asked");
    };
    // With `l=` a signature says nothing of what follows: such ones are not read.
    let Some(mut signed) = AuthenticatedMessage::parse_with_opts(message, None, true) else {
        return no("it has no head");
    };
    // Two readers of one From that read different things: somebody made it so.
    if signed.from.len() != 1 || !signed.from[0].eq_ignore_ascii_case(address) {
        return no("its From is not well-formed");
    }
    signed.dkim_headers.truncate(SIGNATURES);
    let dkim: Vec<DkimOutput<'_>> = authenticator.verify_dkim(dns.answers(&signed)).await;
    let counted: Vec<DkimOutput<'_>> = dkim.into_iter().filter(counts).collect();
    let return_path = envelope.mail_from.as_deref().unwrap_or_default();
    let (spf, spf_domain) = match connection {
        Some(connection) => {
            let asked = SpfParameters::verify_mail_from(connection.client, &connection.helo, "localhost", return_path);
            let spf_domain = return_path.rsplit_once('@').map_or(connection.helo.as_str(), |(_, domain)| domain);
            (authenticator.verify_spf(dns.answers(asked)).await, spf_domain)
        }
        None => (SpfOutput::default(), ""),
    };
    let asked = DmarcParameters {
        message: &signed,
        dkim_output: &counted,
        dkim2_output: None,
        rfc5321_mail_from_domain: spf_domain,
        spf_output: &spf,
    };
    let dmarc = authenticator.verify_dmarc(dns.answers(asked)).await;
    if dmarc.dkim_result() == &DmarcResult::Pass {
        return (true, format!("DMARC: a signature of {domain} holds"));
    }
    if dmarc.spf_result() == &DmarcResult::Pass && spf.result() == SpfResult::Pass {
        return (true, format!("DMARC: SPF of {spf_domain} allows the client"));
    }
    if dmarc.dmarc_record().is_none() {
        return (false, format!("{domain} has no DMARC record"));
    }
    let passed = counted.iter().any(|output| output.result() == &DkimResult::Pass);
    if passed {
        no("DMARC: what signed it is not the domain of its From")
    } else if counted.is_empty() && signed.dkim_headers.is_empty() {
        no("DMARC: it is not signed")
    } else {
        no("DMARC: no signature holds")
    }
}

fn with_line_ends_of_mail(message: &[u8]) -> Cow<'_, [u8]> {
    if message.contains(&b'\r') {
        return Cow::Borrowed(message);
    }
    let mut whole = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message.split_inclusive(|c| *c == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                whole.extend(line);
                whole.extend(b"\r\n");
            }
            None => whole.extend(line),
        }
    }
    Cow::Owned(whole)
}

/// Whether a signature may count: not one by SHA-1, and not one that leaves out From.
fn counts(output: &DkimOutput<'_>) -> bool {
    output.signature().is_some_and(|signature| {
        signature.a != Algorithm::RsaSha1 && signature.h.iter().any(|name| name.eq_ignore_ascii_case("from"))
    })
}

fn head_length(message: &[u8]) -> usize {
    let message = &message[..message.len().min(HEAD_BYTES + 4)];
    let mut at = 0;
    while at < message.len() {
        let end = super::headers::line_end(message, at);
        if matches!(&message[at..end], b"\n" | b"\r\n") {
            return at;
        }
        at = end;
    }
    message.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubt(from: &str) -> Option<&'static str> {
        author(&Head::read(format!("{from}\n\n").as_bytes()).0).doubt
    }

    #[test]
    fn a_from_that_could_mean_two_things_is_no_identity() {
        assert_eq!(doubt("From: Ann <ann@example.com>"), None);
        assert_eq!(doubt("From: \"ann@example.com\" <Ann@Example.com>"), None);
        for from in [
            "X-From: a",
            "From: Ann",
            "From: ann@localhost",
            "From: ann@example.com\nFrom: ann@example.com",
            "From: ann@example.com\nfrom : mallory@example.org",
            "From: ann@example.com, bob@example.com",
            "From: \"ann@example.com\" <mallory@example.org>",
            "From: Ann (ann@example.com) <mallory@example.org>",
            "From: =?utf-8?q?ann=40example=2Ecom?= <mallory@example.org>",
            "From: <ann@example.com> <mallory@example.org>",
            "From: Ann <ann@example.com\u{1}>",
            "From: ann@example.com@example.org",
        ] {
            assert!(doubt(from).is_some(), "{from}");
        }
    }

    #[test]
    fn only_the_topmost_word_of_a_trusted_server_counts() {
        let said = |fields: &str| {
            let text = format!("{fields}From: ann@example.com\n\n");
            let (head, _) = Head::read(text.as_bytes());
            said_by_trusted(&head, "example.com", &["mx.ours.example".to_owned()]).map(|(verified, _)| verified)
        };
        let pass = "Authentication-Results: mx.ours.example; spf=pass; dmarc=pass (p=REJECT) header.from=example.com\n";
        let fail = "Authentication-Results: mx.ours.example; dmarc=fail header.from=example.com\n";
        let other = "Authentication-Results: mx.theirs.example; dmarc=pass header.from=example.com\n";
        assert_eq!(said(pass), Some(true));
        assert_eq!(said(fail), Some(false));
        assert_eq!(said(&format!("{fail}{pass}")), Some(false));
        assert_eq!(said(&format!("{other}{pass}")), None);
        assert_eq!(said(""), None);
        for spoof in [
            "Authentication-Results: mx.ours.example; dmarc=fail (dmarc=pass header.from=example.com)\n",
            "Authentication-Results: mx.ours.example; dmarc=fail (; dmarc=pass header.from=example.com) header.from=x\n",
            "Authentication-Results: mx.ours.example; x=\"; dmarc=pass header.from=example.com\"\n",
            "Authentication-Results: mx.ours.example; dmarc=pass header.from=example.org\n",
            "Authentication-Results: mx.ours.example; dmarc=pass\n",
            "Authentication-Results: mx.ours.example; none\n",
        ] {
            assert_eq!(said(spoof), Some(false), "{spoof}");
        }
        assert_eq!(said(&pass.replace("mx.ours.example;", "mx.ours.example 1;")), Some(true));
    }
}
