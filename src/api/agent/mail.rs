//! The mail of a site: whom it is from, what waits, what was refused and what was given up; and what a member is told by mail.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{sites::of_site, tags::Tag};
use crate::{
    auth::caller::Org,
    db::OrgTx,
    domain::{
        permissions::{AnyMember, MailEdit, MailRead},
        problem::Problem,
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Nullable,
    },
    intake::Intake,
    mail::{
        dkim,
        doctor::{self, Finding, SiteFacts},
        outbound::signing,
    },
    state::App,
    store::{self, dkim_keys::DkimKey, inbound_mails, mails},
};

pub struct MailApi;

/// What is known of a site's mail, before DNS is asked.
struct Known {
    site: store::sites::Site,
    sent: mails::OfSite,
    incoming: inbound_mails::OfSite,
    keys: Vec<DkimKey>,
}

async fn site_mail(tx: &mut OrgTx, slug: &str) -> Result<Known, Problem> {
    let site = store::sites::by_slug(tx, slug).await?;
    let sent = mails::of_site(tx, site.id).await?;
    let incoming = inbound_mails::of_site(tx, site.id).await?;
    let keys = store::dkim_keys::of_site(tx, site.id).await?;
    Ok(Known { site, sent, incoming, keys })
}

impl Known {
    /// Outside of a transaction, which would wait for DNS.
    async fn shown(self, app: &App) -> SiteMail {
        let Self { site, sent, incoming, keys } = self;
        let own = site.mail_from_address;
        let from = match &app.mail {
            Some(outgoing) => Some(outgoing.address_for(own.as_deref(), &keys).await),
            None => None,
        };
        let address = app.intake.as_ref().and_then(|intake| incoming.address(intake.reply_domain()));
        SiteMail {
            sends: from.is_some(),
            from_name: site.mail_from_name.unwrap_or(site.name),
            reply_to: Nullable(own.filter(|own| from.as_ref() != Some(own))),
            from_address: Nullable(from),
            address: Nullable(address),
            last_received_at: Nullable(incoming.last_received_at),
            held: incoming.held,
            last_sent_at: Nullable(sent.last_sent_at),
            waiting: sent.waiting,
            dead_letters: sent.dead,
            suppressions: sent.suppressed,
        }
    }
}

/// What the address of a site becomes.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct SiteMailChange {
    /// Mail to this address makes tickets; `null` for the one below the server's reply domain alone.
    address: Nullable<String>,
}

impl Example for SiteMailChange {
    fn example() -> Self {
        Self { address: Nullable(Some("help@acme.com".to_owned())) }
    }
}

/// A mail that came in and waits for a person.
#[derive(Object)]
#[oai(example)]
struct HeldMail {
    /// Its id.
    id: Uuid,
    /// The ticket that it names.
    ticket_id: Nullable<Uuid>,
    /// The address that it says it is from.
    from: Nullable<String>,
    /// Its subject.
    subject: Nullable<String>,
    /// Why it is held.
    reason: Nullable<String>,
    /// When it came.
    at: OffsetDateTime,
}

impl From<inbound_mails::Unfiled> for HeldMail {
    fn from(row: inbound_mails::Unfiled) -> Self {
        let inbound_mails::Unfiled { id, ticket_id, author, subject, reason, at } = row;
        Self {
            id,
            ticket_id: Nullable(ticket_id),
            from: Nullable(author),
            subject: Nullable(subject),
            reason: Nullable(reason),
            at,
        }
    }
}

impl Example for HeldMail {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x4be1_77d0_2f9c_4c35_9a60_e28b_51d7_0ac4),
            ticket_id: Nullable(Some(Uuid::from_u128(0x9b2d_4f0e_1c57_4e0a_b7a5_60d1_4c3e_8f21))),
            from: Nullable(Some("ada@example.net".to_owned())),
            subject: Nullable(Some("Re: Invoice".to_owned())),
            reason: Nullable(Some("it is not from whom this address was given to".to_owned())),
            at: datetime!(2026-02-01 16:12 UTC),
        }
    }
}

/// A mail that came in and triggered nothing.
#[derive(Object)]
#[oai(example)]
struct IgnoredMail {
    /// Its id.
    id: Uuid,
    /// The address that it says it is from.
    from: Nullable<String>,
    /// Its subject.
    subject: Nullable<String>,
    /// Why it is ignored.
    reason: Nullable<String>,
    /// When it came; it is kept for thirty days.
    at: OffsetDateTime,
}

impl From<inbound_mails::Unfiled> for IgnoredMail {
    fn from(row: inbound_mails::Unfiled) -> Self {
        let inbound_mails::Unfiled { id, ticket_id: _, author, subject, reason, at } = row;
        Self { id, from: Nullable(author), subject: Nullable(subject), reason: Nullable(reason), at }
    }
}

impl Example for IgnoredMail {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x7c1e_09a4_55d2_4b7f_8e13_9a40_c2d6_317b),
            from: Nullable(Some("ada@example.net".to_owned())),
            subject: Nullable(Some("Out of office: Invoice".to_owned())),
            reason: Nullable(Some("it is automatic".to_owned())),
            at: datetime!(2026-02-01 16:12 UTC),
        }
    }
}

/// The mail of a site.
#[derive(Object)]
#[oai(example)]
struct SiteMail {
    /// Whether this server sends mail.
    sends: bool,
    /// The name that its mail is from.
    from_name: String,
    /// The address that its mail is from; `null` when this server sends none.
    from_address: Nullable<String>,
    /// The address that answers go to, where it is another.
    reply_to: Nullable<String>,
    /// Mail to this address makes tickets: its own, or the one that it has below the server's reply domain; `null` where this
    /// server takes no mail in.
    address: Nullable<String>,
    /// When the last mail came in.
    last_received_at: Nullable<OffsetDateTime>,
    /// Mails that came in and wait for a person: `GET .../mail/held`.
    held: i64,
    /// When the last mail went out.
    last_sent_at: Nullable<OffsetDateTime>,
    /// Mails that wait, those among them that are tried again later.
    waiting: i64,
    /// Mails that were given up: `GET .../mail/dead-letters`.
    dead_letters: i64,
    /// Addresses that mail does not reach: `GET .../mail/suppressions`.
    suppressions: i64,
}

impl Example for SiteMail {
    fn example() -> Self {
        Self {
            sends: true,
            from_name: "Acme Support".to_owned(),
            from_address: Nullable(Some("support@acme.com".to_owned())),
            reply_to: Nullable(None),
            address: Nullable(Some("help@acme.com".to_owned())),
            last_received_at: Nullable(Some(datetime!(2026-02-01 16:12 UTC))),
            held: 0,
            last_sent_at: Nullable(Some(datetime!(2026-02-01 16:05 UTC))),
            waiting: 0,
            dead_letters: 1,
            suppressions: 2,
        }
    }
}

/// What is looked at.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum DnsCheck {
    /// Who may send mail of the server's domain.
    Spf,
    /// The key that the site's mail is signed by.
    Dkim,
    /// What others do with mail that claims a domain and does not prove it.
    Dmarc,
    /// Who takes the answers.
    Mx,
    /// What the address is called that mail is handed to.
    ReverseName,
}

/// How it is.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum DnsState {
    /// As it should be.
    Good,
    /// There is none.
    Missing,
    /// There is one, and it does not serve.
    Wrong,
    /// DNS did not answer.
    Unknown,
}

/// A DNS record to set.
#[derive(Object)]
struct DnsRecord {
    /// Its name.
    name: String,
    /// Its type: `TXT`, `MX` or `PTR`.
    #[oai(rename = "type")]
    kind: String,
    /// Its value.
    value: String,
}

/// What one look at DNS found.
#[derive(Object)]
struct DnsFinding {
    /// What was looked at.
    check: DnsCheck,
    /// The name that was looked up.
    name: String,
    /// How it is.
    state: DnsState,
    /// What DNS says there.
    found: Vec<String>,
    /// What is wrong, or to be known, for people.
    about: Nullable<String>,
    /// What to set; `null` where there is nothing to set.
    record: Nullable<DnsRecord>,
}

impl From<Finding> for DnsFinding {
    fn from(finding: Finding) -> Self {
        Self {
            check: match finding.check {
                doctor::Check::Spf => DnsCheck::Spf,
                doctor::Check::Dkim => DnsCheck::Dkim,
                doctor::Check::Dmarc => DnsCheck::Dmarc,
                doctor::Check::Mx => DnsCheck::Mx,
                doctor::Check::ReverseName => DnsCheck::ReverseName,
            },
            name: finding.name,
            state: match finding.state {
                doctor::State::Good => DnsState::Good,
                doctor::State::Missing => DnsState::Missing,
                doctor::State::Wrong => DnsState::Wrong,
                doctor::State::Unknown => DnsState::Unknown,
            },
            found: finding.found,
            about: Nullable(finding.about),
            record: Nullable(finding.record.map(Into::into)),
        }
    }
}

impl From<doctor::Record> for DnsRecord {
    fn from(record: doctor::Record) -> Self {
        Self { name: record.name, kind: record.kind.to_owned(), value: record.value }
    }
}

/// What DNS says of a site's mail.
#[derive(Object)]
#[oai(example)]
struct MailDns {
    /// Whether this server can ask DNS.
    asked: bool,
    /// What was found.
    findings: Vec<DnsFinding>,
}

impl Example for MailDns {
    fn example() -> Self {
        let record = DnsRecord {
            name: "_dmarc.acme.com".to_owned(),
            kind: "TXT".to_owned(),
            value: "v=DMARC1; p=none".to_owned(),
        };
        let finding = DnsFinding {
            check: DnsCheck::Dmarc,
            name: record.name.clone(),
            state: DnsState::Missing,
            found: Vec::new(),
            about: Nullable(Some("Nothing says what others shall do with mail that claims this domain.".to_owned())),
            record: Nullable(Some(record)),
        };
        Self { asked: true, findings: vec![finding] }
    }
}

/// A key by which mail of a site is signed (DKIM).
#[derive(Object)]
#[oai(example)]
struct SigningKey {
    /// Begins the name of its record.
    selector: String,
    /// The domain that it signs for.
    domain: String,
    /// When it was made.
    created_at: OffsetDateTime,
    /// The record that proves the domain: mail is signed, and from the site's own address, while DNS holds it.
    record: DnsRecord,
}

impl From<DkimKey> for SigningKey {
    fn from(key: DkimKey) -> Self {
        let record = DnsRecord {
            name: format!("{}._domainkey.{}", key.selector, key.domain),
            kind: "TXT".to_owned(),
            value: dkim::record(&key.public_key),
        };
        Self { selector: key.selector, domain: key.domain, created_at: key.created_at, record }
    }
}

impl Example for SigningKey {
    fn example() -> Self {
        DkimKey {
            selector: "vicket-3f1b5c7e8d2a".to_owned(),
            domain: "acme.com".to_owned(),
            public_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A".to_owned(),
            created_at: datetime!(2026-02-01 16:05 UTC),
        }
        .into()
    }
}

/// The keys of a site.
#[derive(Object)]
#[oai(example)]
struct SigningKeys {
    /// The newest first: mail is signed by the first whose record DNS holds.
    data: Vec<SigningKey>,
}

impl Example for SigningKeys {
    fn example() -> Self {
        Self { data: vec![SigningKey::example()] }
    }
}

/// An address that mail of a site does not reach: it was refused for good, and nothing is sent there.
#[derive(Object)]
#[oai(example)]
struct Suppression {
    /// Its id.
    id: Uuid,
    /// The address.
    address: String,
    /// What the next server said.
    reason: String,
    /// When.
    at: OffsetDateTime,
}

impl From<mails::Suppression> for Suppression {
    fn from(row: mails::Suppression) -> Self {
        Self { id: row.id, address: row.address, reason: row.reason, at: row.at }
    }
}

impl Example for Suppression {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x2c7e_51d8_06ab_4f93_8e1d_b5a0_37c4_f912),
            address: "ada@example.com".to_owned(),
            reason: "550 5.1.1 no such mailbox".to_owned(),
            at: datetime!(2026-02-01 16:05 UTC),
        }
    }
}

/// What a mail was to tell.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum MailKind {
    /// A customer: their ticket is here.
    TicketReceived,
    /// A customer: an agent wrote to them first.
    TicketOpened,
    /// A customer: an agent answered.
    TicketAnswered,
    /// A customer: their ticket is resolved.
    TicketResolved,
    /// A member: a ticket is theirs now.
    AgentAssigned,
    /// A member: the customer of a ticket of theirs answered.
    AgentCustomerAnswered,
    /// Somebody: they are invited.
    Invitation,
}

impl From<mails::Kind> for MailKind {
    fn from(kind: mails::Kind) -> Self {
        match kind {
            mails::Kind::TicketReceived => Self::TicketReceived,
            mails::Kind::TicketOpened => Self::TicketOpened,
            mails::Kind::TicketAnswered => Self::TicketAnswered,
            mails::Kind::TicketResolved => Self::TicketResolved,
            mails::Kind::AgentAssigned => Self::AgentAssigned,
            mails::Kind::AgentCustomerAnswered => Self::AgentCustomerAnswered,
            mails::Kind::Invitation => Self::Invitation,
        }
    }
}

/// A mail that was given up after three days, or cannot be written.
#[derive(Object)]
#[oai(example)]
struct DeadLetter {
    /// Its id.
    id: Uuid,
    /// What it was to tell.
    kind: MailKind,
    /// What the last try was told.
    error: Nullable<String>,
    /// How often it was tried.
    attempts: i32,
    /// When it was given up.
    at: OffsetDateTime,
    /// The ticket that it tells of.
    ticket_id: Nullable<Uuid>,
}

impl From<mails::DeadLetter> for DeadLetter {
    fn from(row: mails::DeadLetter) -> Self {
        let mails::DeadLetter { id, kind, error, attempts, at, ticket_id } = row;
        Self { id, kind: kind.into(), error: Nullable(error), attempts, at, ticket_id: Nullable(ticket_id) }
    }
}

impl Example for DeadLetter {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x9f3a_204c_7b61_4d8e_a5c2_11e7_6d90_83bf),
            kind: MailKind::TicketAnswered,
            error: Nullable(Some("451 try again later".to_owned())),
            attempts: 26,
            at: datetime!(2026-02-04 16:05 UTC),
            ticket_id: Nullable(Some(Uuid::from_u128(0x9b2d_4f0e_1c57_4e0a_b7a5_60d1_4c3e_8f21))),
        }
    }
}

/// What the caller is told by mail in this org.
#[derive(Object)]
#[oai(example)]
struct Notifications {
    /// A ticket that somebody else gave them.
    assigned: bool,
    /// A customer's answer to a ticket of theirs.
    customer_answered: bool,
}

impl From<mails::Notifications> for Notifications {
    fn from(row: mails::Notifications) -> Self {
        Self { assigned: row.assigned, customer_answered: row.customer_answered }
    }
}

impl Example for Notifications {
    fn example() -> Self {
        Self { assigned: true, customer_answered: false }
    }
}

/// What the caller wants to be told by mail; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NotificationsChange {
    /// A ticket that somebody else gave them.
    assigned: Option<bool>,
    /// A customer's answer to a ticket of theirs.
    customer_answered: Option<bool>,
}

impl Example for NotificationsChange {
    fn example() -> Self {
        Self { assigned: None, customer_answered: Some(false) }
    }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Mail")]
impl MailApi {
    /// Read how a site's mail is
    ///
    /// Whom it is from, and what waits. Whom it is from and in which language is changed with the site: `updateSite`.
    #[oai(path = "/sites/:site/mail", method = "get", operation_id = "getSiteMail")]
    async fn mail(
        &self,
        org: Org<MailRead>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<SiteMail>, Failure> {
        Ok(answers::Ok(org.run(async |tx| site_mail(tx, &site).await).await?.shown(&app).await))
    }

    /// Change the address of a site
    ///
    /// Mail to it makes tickets, beside mail to the address that the site has below the server's reply domain. The DNS of its
    /// domain holds a key of this site when it is set (`createSigningKey`), or whoever runs the server lists the domain. The mail is led here by who has the domain.
    #[oai(path = "/sites/:site/mail", method = "patch", operation_id = "updateSiteMail")]
    async fn set_address(
        &self,
        org: Org<MailEdit>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
        body: Json<SiteMailChange>,
    ) -> Result<answers::Ok<SiteMail>, Failure<409, 422>> {
        let address = body.0.address.0.map(|address| address.trim().to_owned());
        if let Some(address) = &address {
            let keys = of_site(&org, &site, async |tx, site| store::dkim_keys::of_site(tx, site).await).await?;
            Intake::check_own(app.intake.as_deref(), address, &keys).await?;
        }
        let work = async |tx: &mut OrgTx| {
            let id = store::sites::by_slug(tx, &site).await?.id;
            inbound_mails::set_address(tx, id, address.as_deref()).await?;
            site_mail(tx, &site).await
        };
        Ok(answers::Ok(org.run(work).await?.shown(&app).await))
    }

    /// List mail that is held
    ///
    /// Mail that names a ticket and is not from whom its address was given to, or whose sender is not verified, the newest first.
    /// It is in no conversation until somebody accepts it.
    #[oai(path = "/sites/:site/mail/held", method = "get", operation_id = "listHeldMail")]
    async fn held(
        &self,
        org: Org<MailRead>,
        /// The site's slug.
        site: Path<String>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<HeldMail>>, Failure> {
        let work = async |tx: &mut OrgTx, site| inbound_mails::held(tx, site, paging.request()).await;
        let page = of_site(&org, &site, work).await?;
        Ok(answers::Ok(Page::of(page, HeldMail::from)))
    }

    /// List mail that triggered nothing
    ///
    /// Automatic answers, notices and mail of this server's own addresses, of thirty days, the newest first. It is in no
    /// conversation.
    #[oai(path = "/sites/:site/mail/ignored", method = "get", operation_id = "listIgnoredMail")]
    async fn ignored(
        &self,
        org: Org<MailRead>,
        /// The site's slug.
        site: Path<String>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<IgnoredMail>>, Failure> {
        let work = async |tx: &mut OrgTx, site| inbound_mails::ignored(tx, site, paging.request()).await;
        let page = of_site(&org, &site, work).await?;
        Ok(answers::Ok(Page::of(page, IgnoredMail::from)))
    }

    /// Accept a mail that is held
    ///
    /// It becomes a message of its ticket, a moment later.
    #[oai(path = "/sites/:site/mail/held/:id/accept", method = "post", operation_id = "acceptHeldMail")]
    async fn accept(
        &self,
        org: Org<MailEdit>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
        /// The mail's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| inbound_mails::decide(tx, site, id.0, true).await).await?;
        if let Some(intake) = &app.intake {
            intake.received.notify_one();
        }
        Ok(answers::NoContent)
    }

    /// Reject a mail that is held
    ///
    /// It never becomes a message, and is deleted a month after it came.
    #[oai(path = "/sites/:site/mail/held/:id/reject", method = "post", operation_id = "rejectHeldMail")]
    async fn reject(
        &self,
        org: Org<MailEdit>,
        /// The site's slug.
        site: Path<String>,
        /// The mail's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| inbound_mails::decide(tx, site, id.0, false).await).await?;
        Ok(answers::NoContent)
    }

    /// Look at the DNS of a site's mail
    ///
    /// SPF, DKIM, DMARC, MX and reverse name as they are now: what was found, what is wrong, and the record to set.
    #[oai(path = "/sites/:site/mail/dns", method = "get", operation_id = "checkMailDns")]
    async fn dns(
        &self,
        org: Org<MailRead>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<MailDns>, Failure> {
        let work = async |tx: &mut OrgTx| {
            let site = store::sites::by_slug(tx, &site).await?;
            let keys = store::dkim_keys::of_site(tx, site.id).await?;
            Ok(SiteFacts { address: site.mail_from_address, keys: keys.into_iter().map(Into::into).collect() })
        };
        let of_site = org.run(work).await?;
        let findings = match &app.doctor {
            Some(doctor) => doctor.examine(&of_site).await,
            None => Vec::new(),
        };
        let findings = findings.into_iter().map(Into::into).collect();
        Ok(answers::Ok(MailDns { asked: app.doctor.is_some(), findings }))
    }

    /// List a site's signing keys
    ///
    /// Keys by which its mail is signed (DKIM), for the domain of its own address.
    #[oai(path = "/sites/:site/mail/dkim", method = "get", operation_id = "listSigningKeys")]
    async fn keys(
        &self,
        org: Org<MailRead>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Ok<SigningKeys>, Failure> {
        let work = async |tx: &mut OrgTx, site| store::dkim_keys::of_site(tx, site).await;
        let keys = of_site(&org, &site, work).await?;
        Ok(answers::Ok(SigningKeys { data: keys.into_iter().map(Into::into).collect() }))
    }

    /// Make a signing key
    ///
    /// RSA of 2,048 bits, for the domain of the site's own address. Mail is signed by it, and from that address, as soon as DNS
    /// holds its record. To rotate, make one, set its record, and remove the old one a week later. Three at the most.
    #[oai(path = "/sites/:site/mail/dkim", method = "post", operation_id = "createSigningKey")]
    async fn make_key(
        &self,
        org: Org<MailEdit>,
        app: Data<&Arc<App>>,
        /// The site's slug.
        site: Path<String>,
    ) -> Result<answers::Created<SigningKey>, Failure<409, 422>> {
        let asked = org.run(async |tx: &mut OrgTx| store::sites::by_slug(tx, &site).await).await?;
        // A transaction would wait for it.
        let made = signing::make(app.secret.as_deref(), asked.id, asked.mail_from_address.as_deref()).await;
        let (key, sealed) = made?;
        org.run(async |tx: &mut OrgTx| store::dkim_keys::add(tx, asked.id, &key, &sealed).await).await?;
        Ok(answers::Created(key.into()))
    }

    /// Remove a signing key
    ///
    /// Mail is signed by it no more, from the next one on. Leave its DNS record for a week: mail that is on its way is verified
    /// by it.
    #[oai(path = "/sites/:site/mail/dkim/:selector", method = "delete", operation_id = "deleteSigningKey")]
    async fn remove_key(
        &self,
        org: Org<MailEdit>,
        /// The site's slug.
        site: Path<String>,
        /// The key's selector.
        selector: Path<String>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| store::dkim_keys::remove(tx, site, &selector).await).await?;
        Ok(answers::NoContent)
    }

    /// List suppressions
    ///
    /// Addresses that refused mail of the site for good, the newest first. Nothing is sent there until the suppression is
    /// cleared.
    #[oai(path = "/sites/:site/mail/suppressions", method = "get", operation_id = "listSuppressions")]
    async fn suppressions(
        &self,
        org: Org<MailRead>,
        /// The site's slug.
        site: Path<String>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<Suppression>>, Failure> {
        let work = async |tx: &mut OrgTx, site| mails::suppressions(tx, site, paging.request()).await;
        let page = of_site(&org, &site, work).await?;
        Ok(answers::Ok(Page::of(page, Suppression::from)))
    }

    /// Clear a suppression
    ///
    /// Mail is sent to that address again, from the next one on.
    #[oai(path = "/sites/:site/mail/suppressions/:id", method = "delete", operation_id = "clearSuppression")]
    async fn clear_suppression(
        &self,
        org: Org<MailEdit>,
        /// The site's slug.
        site: Path<String>,
        /// The suppression's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| mails::clear_suppression(tx, site, id.0).await).await?;
        Ok(answers::NoContent)
    }

    /// List dead letters
    ///
    /// Mails of the site that were given up, the newest first.
    #[oai(path = "/sites/:site/mail/dead-letters", method = "get", operation_id = "listDeadLetters")]
    async fn dead_letters(
        &self,
        org: Org<MailRead>,
        /// The site's slug.
        site: Path<String>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<DeadLetter>>, Failure> {
        let work = async |tx: &mut OrgTx, site| mails::dead_letters(tx, Some(site), paging.request()).await;
        let page = of_site(&org, &site, work).await?;
        Ok(answers::Ok(Page::of(page, DeadLetter::from)))
    }

    /// Send a dead letter again
    ///
    /// At once, and for another three days.
    #[oai(path = "/sites/:site/mail/dead-letters/:id/retry", method = "post", operation_id = "retryDeadLetter")]
    async fn retry(
        &self,
        org: Org<MailEdit>,
        /// The site's slug.
        site: Path<String>,
        /// The dead letter's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        of_site(&org, &site, async |tx, site| mails::run_again(tx, Some(site), id.0).await).await?;
        Ok(answers::NoContent)
    }

    /// List the org's dead letters
    ///
    /// Invitations that were given up, the newest first: they are mail of no site.
    #[oai(path = "/mail/dead-letters", method = "get", operation_id = "listOrgDeadLetters")]
    async fn org_dead_letters(
        &self,
        org: Org<MailRead>,
        paging: Paging,
    ) -> Result<answers::Ok<Page<DeadLetter>>, Failure> {
        let page = org.run(async |tx: &mut OrgTx| mails::dead_letters(tx, None, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, DeadLetter::from)))
    }

    /// Send a dead letter of the org again
    ///
    /// At once, and for another three days.
    #[oai(path = "/mail/dead-letters/:id/retry", method = "post", operation_id = "retryOrgDeadLetter")]
    async fn retry_of_org(
        &self,
        org: Org<MailEdit>,
        /// The dead letter's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx: &mut OrgTx| mails::run_again(tx, None, id.0).await).await?;
        Ok(answers::NoContent)
    }

    /// Read what one is told
    ///
    /// By mail, in this org, as the caller chose.
    #[oai(path = "/notifications", method = "get", operation_id = "getNotifications")]
    async fn notifications(&self, org: Org<AnyMember>) -> Result<answers::Ok<Notifications>, Failure> {
        Ok(answers::Ok(org.run(mails::notifications).await?.into()))
    }

    /// Choose what one is told
    ///
    /// By mail, in this org. Only as a person: a machine key has no mail.
    #[oai(path = "/notifications", method = "patch", operation_id = "updateNotifications")]
    async fn choose(
        &self,
        org: Org<AnyMember>,
        body: Json<NotificationsChange>,
    ) -> Result<answers::Ok<Notifications>, Failure<409>> {
        let NotificationsChange { assigned, customer_answered } = body.0;
        let work = async |tx: &mut OrgTx| mails::choose_notifications(tx, assigned, customer_answered).await;
        Ok(answers::Ok(org.run(work).await?.into()))
    }
}
