//! A mail as it leaves: text and HTML, and the headers that say what it is. Nothing that somebody wrote reaches a header
//! unencoded, and a line break none at all.

use askama::Template as _;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{sender::Sender, words};
use crate::{
    domain::{keys::ResetToken, markdown},
    mail::reply::Addresses,
    store::{
        account_mails::{AccountKind, AccountMail},
        mails::{Kind, Open, Tokens},
    },
};

/// Message-IDs that `References` names: the first and the last ones.
const REFERENCES: usize = 20;
/// Characters of a subject.
const SUBJECT: usize = 200;

/// A letter with its envelope.
#[derive(Debug)]
pub struct Letter {
    /// Where it goes back to.
    pub from: Address,
    pub to: Address,
    pub message: Vec<u8>,
}

#[derive(askama::Template)]
#[template(path = "outbound/letter.html")]
struct Html<'a> {
    language: &'a str,
    subject: &'a str,
    intro: &'a str,
    body: Option<&'a str>,
    /// What an agent wrote, rendered and sanitised, in place of `body`.
    rendered: Option<&'a str>,
    url: Option<&'a str>,
    link: &'a str,
    reason: &'a str,
}

#[derive(askama::Template)]
#[template(path = "outbound/letter.txt", escape = "none")]
struct Plain<'a> {
    intro: &'a str,
    body: Option<&'a str>,
    url: Option<&'a str>,
    link: &'a str,
    reason: &'a str,
}

/// One line: whatever is a control character, or breaks lines for some program, is a space.
fn line(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    let words: String = plain.take(most).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fills in a phrase, in one go: what is filled in is not looked at again.
fn filled(phrase: &str, mail: &Open) -> String {
    let mut out = String::new();
    let mut rest = phrase;
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        let Some((name, behind)) = after.split_once('}') else { break };
        let value = match name {
            "reference" => mail.reference.as_deref(),
            "site" => Some(site_name(mail)),
            "org" => Some(mail.org_name.as_str()),
            "subject" => mail.subject.as_deref(),
            "customer" => mail.customer.as_deref(),
            "author" => Some(mail.author.as_deref().unwrap_or(site_name(mail))),
            "inviter" => mail.invited_by.as_deref(),
            _ => None,
        };
        out += &line(value.unwrap_or_default(), SUBJECT);
        rest = behind;
    }
    out + rest
}

fn site_name(mail: &Open) -> &str {
    mail.site_name.as_deref().unwrap_or(&mail.org_name)
}

/// Where its link leads; none to a customer of a site that does not say where its support page is.
fn url(mail: &Open, tokens: &Tokens, public_url: &str) -> Option<String> {
    match mail.kind {
        Kind::TicketReceived | Kind::TicketOpened | Kind::TicketAnswered | Kind::TicketResolved => {
            mail.support_url.as_ref().map(|page| format!("{page}#vicket-ticket={}", tokens.ticket.reveal()))
        }
        Kind::AgentAssigned | Kind::AgentCustomerAnswered => {
            mail.ticket_id.map(|id| format!("{public_url}/dashboard/{}/inbox/{id}", mail.org_slug))
        }
        Kind::Invitation => Some(format!("{public_url}/invitation#{}", tokens.invitation.reveal())),
    }
}

/// Text and HTML of a mail.
#[expect(clippy::too_many_arguments, reason = "the parts of a mail, each once")]
fn bodies(
    language: &str,
    subject: &str,
    intro: &str,
    body: Option<&str>,
    rendered: Option<&str>,
    url: Option<&str>,
    link: &str,
    reason: &str,
) -> Result<(String, String), String> {
    let html = Html { language, subject, intro, body, rendered, url, link, reason };
    let plain = Plain { intro, body, url, link, reason };
    Ok((plain.render().map_err(|error| error.to_string())?, html.render().map_err(|error| error.to_string())?))
}

/// Writes mail of an account: to whoever reads its address, from the server.
///
/// # Errors
/// What is wrong with an address of it, for people.
pub fn write_account(mail: &AccountMail, token: &ResetToken, sender: &Sender) -> Result<Letter, String> {
    let words = words::account_words(mail.kind, &mail.language);
    let about = line(mail.about.as_deref().unwrap_or_default(), SUBJECT);
    let intro = words.intro.replace("{about}", &about);
    let url = match mail.kind {
        AccountKind::PasswordReset | AccountKind::AddressProof => {
            format!("{}/dashboard/login/password?token={}", sender.public_url, token.reveal())
        }
        AccountKind::PasswordChanged | AccountKind::NewDevice => {
            format!("{}/dashboard/login/forgot", sender.public_url)
        }
    };
    let (plain, html) =
        bodies(&mail.language, words.subject, &intro, None, None, Some(&url), words.link, words.reason)?;
    let to: Address = mail.recipient.parse().map_err(|error| format!("the address of the recipient: {error}"))?;
    let header = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    let message = Message::builder()
        .from(sender.from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(words.subject)
        .date_now()
        .message_id(Some(mail.message_ref.clone()))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .multipart(MultiPart::alternative_plain_html(plain, html))
        .map_err(|error| error.to_string())?;
    Ok(Letter { from: sender.from.email.clone(), to, message: message.formatted() })
}

/// Writes a mail.
///
/// # Errors
/// What is wrong with an address of it, for people.
pub fn write(mail: &Open, tokens: &Tokens, addresses: &Addresses, sender: &Sender) -> Result<Letter, String> {
    let words = words::words(mail.kind, &mail.language);
    let subject = line(&filled(words.subject, mail), SUBJECT);
    let (intro, reason) = (filled(words.intro, mail), filled(words.reason, mail));
    let url = url(mail, tokens, &sender.public_url);
    let (url, link, body) = (url.as_deref(), words.link, mail.body.as_deref());
    // Agents write Markdown; what customers wrote is shown as it is.
    let rendered =
        body.filter(|_| matches!(mail.kind, Kind::TicketOpened | Kind::TicketAnswered)).map(markdown::message);
    let rendered = rendered.as_deref();
    let (plain, html) = bodies(&mail.language, &subject, &intro, body, rendered, url, link, &reason)?;

    let to: Address = mail.recipient.parse().map_err(|error| format!("the address of the recipient: {error}"))?;
    let name = line(mail.from_name.as_deref().unwrap_or(site_name(mail)), SUBJECT);
    let own: Option<Address> = mail.from_address.as_deref().and_then(|address| address.parse().ok());
    let from = own
        .clone()
        .filter(|address| mail.from_proven || sender.may_send_for(address))
        .unwrap_or_else(|| sender.from.email.clone());
    let mut builder = Message::builder()
        .from(Mailbox::new(Some(name.clone()), from.clone()))
        .to(Mailbox::new(None, to.clone()))
        .subject(subject)
        .date_now()
        .message_id(Some(addresses.message_ref.as_ref().unwrap_or(&mail.message_ref).clone()));
    if let Some(reply_to) = &addresses.reply_to {
        builder = builder.reply_to(Mailbox::new(Some(name), reply_to.clone()));
    } else if let Some(own) = own.filter(|own| *own != from) {
        builder = builder.reply_to(Mailbox::new(Some(name), own));
    }
    if let Some(last) = mail.earlier.last() {
        let skipped = mail.earlier.len().saturating_sub(REFERENCES);
        let named = mail.earlier.iter().enumerate().filter(|(place, _)| *place == 0 || *place >= skipped);
        let references: Vec<&str> = named.map(|(_, id)| id.as_str()).collect();
        builder = builder.in_reply_to(last.clone()).references(references.join(" "));
    }
    let automatic = match mail.kind {
        // A person wrote it.
        Kind::TicketOpened | Kind::TicketAnswered => None,
        Kind::TicketReceived => Some("auto-replied"),
        _ => Some("auto-generated"),
    };
    let header = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    if let Some(automatic) = automatic {
        builder = builder.raw_header(header("Auto-Submitted", automatic));
    }
    let message = builder
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .multipart(MultiPart::alternative_plain_html(plain, html))
        .map_err(|error| error.to_string())?;
    // A site of ours may be answered by itself, and again by itself.
    let return_path = addresses.return_path.clone().unwrap_or_else(|| sender.from.email.clone());
    Ok(Letter { from: return_path, to, message: message.formatted() })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn sender() -> Sender {
        Sender {
            from: "Vicket <vicket@mail.example>".parse().expect("a mailbox"),
            domains: vec!["acme.example".to_owned()],
            public_url: "https://desk.example".to_owned(),
        }
    }

    fn mail(kind: Kind) -> Open {
        Open {
            place: 1,
            kind,
            recipient: "ada@example.com".to_owned(),
            message_ref: "<m.3@mail.example>".to_owned(),
            earlier: vec!["<m.1@mail.example>".to_owned(), "<m.2@mail.example>".to_owned()],
            language: "en".to_owned(),
            org_slug: "acme".to_owned(),
            org_name: "Acme".to_owned(),
            site_name: Some("Acme App".to_owned()),
            from_name: None,
            from_address: None,
            support_url: Some("https://acme.example/support".to_owned()),
            reference: Some("APP-1".to_owned()),
            ticket_id: Some(Uuid::nil()),
            subject: Some("Help".to_owned()),
            customer: Some("Ada".to_owned()),
            author: Some("Agnes".to_owned()),
            body: Some("It works <now> & then.".to_owned()),
            invited_by: None,
            from_proven: false,
        }
    }

    fn written(mail: &Open) -> (String, String) {
        let text = String::from_utf8(
            write(mail, &Tokens::mint(), &Addresses::default(), &sender()).expect("a letter").message,
        )
        .expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head.replace("\r\n ", " "), body.to_owned())
    }

    #[test]
    fn no_line_break_of_anybody_reaches_a_header() {
        for evil in [
            "Help\r\nBcc: victim@example.com",
            "Help\nBcc: victim@example.com",
            "Help\rBcc: v@e.com",
            "a\u{2028}Bcc: b@c.de\u{85}Bcc: x",
        ] {
            let (head, _) = written(&Open {
                subject: Some(evil.to_owned()),
                customer: Some(evil.to_owned()),
                site_name: Some(evil.to_owned()),
                author: Some(evil.to_owned()),
                ..mail(Kind::AgentAssigned)
            });
            let lines: Vec<&str> = head.split("\r\n").collect();
            assert!(lines.iter().all(|line| !line.to_ascii_lowercase().starts_with("bcc")), "{head}");
            assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head}");
        }
    }

    #[test]
    fn an_acknowledgement_holds_nothing_that_the_submitter_wrote() {
        let mail = Open {
            subject: Some("SUBJECT-OF-THEIRS".to_owned()),
            customer: Some("NAME-OF-THEIRS".to_owned()),
            author: None,
            body: None,
            ..mail(Kind::TicketReceived)
        };
        let (head, body) = written(&mail);
        assert!(!format!("{head}{body}").contains("OF-THEIRS"), "{head}{body}");
        assert!(
            head.contains("Auto-Submitted: auto-replied") && head.contains("X-Auto-Response-Suppress: All"),
            "{head}"
        );
    }

    #[test]
    fn a_thread_is_named_and_what_a_person_wrote_is_not_called_automatic() {
        let (head, body) = written(&mail(Kind::TicketAnswered));
        assert!(head.contains("In-Reply-To: <m.2@mail.example>"), "{head}");
        assert!(head.contains("References: <m.1@mail.example> <m.2@mail.example>"), "{head}");
        assert!(head.contains("Message-ID: <m.3@mail.example>") && !head.contains("Auto-Submitted"), "{head}");
        assert!(
            body.contains("<p>It works &lt;now&gt; &amp; then.</p>") && body.contains("It works <now> & then."),
            "{body}"
        );
    }

    #[test]
    fn the_address_of_a_site_is_from_where_its_domain_may_be_and_else_the_one_to_reply_to() {
        let (head, _) =
            written(&Open { from_address: Some("help@acme.example".to_owned()), ..mail(Kind::TicketAnswered) });
        assert!(head.contains("From: \"Acme App\" <help@acme.example>") && !head.contains("\r\nReply-To"), "{head}");
        let (head, _) =
            written(&Open { from_address: Some("help@other.example".to_owned()), ..mail(Kind::TicketAnswered) });
        assert!(head.contains("From: \"Acme App\" <vicket@mail.example>"), "{head}");
        assert!(head.contains("Reply-To: \"Acme App\" <help@other.example>"), "{head}");
        let proven = Open { from_proven: true, ..mail(Kind::TicketAnswered) };
        let (head, _) = written(&Open { from_address: Some("help@other.example".to_owned()), ..proven });
        assert!(head.contains("From: \"Acme App\" <help@other.example>") && !head.contains("\r\nReply-To"), "{head}");
    }

    #[test]
    fn subjects_are_in_the_language_of_the_site() {
        for (language, word) in
            [("en", "received"), ("de", "angekommen"), ("fr", "re=C3=A7u"), ("es", "recibido"), ("xx", "received")]
        {
            let (head, body) = written(&Open { language: language.to_owned(), ..mail(Kind::TicketReceived) });
            assert!(format!("{head}{body}").contains(word), "{language}: {head}{body}");
        }
    }
}
