//! The mail of a website: whom it is from, what waits, addresses that it does not reach, and what was given up.

use poem::{Response, handler, web::Path};
use uuid::Uuid;

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{OrgContext, Shell},
        page::form_page,
        path,
    },
    db::OrgTx,
    domain::{
        permissions::Permission,
        problem::Problem,
        text::{Checked, EmailAddress, SiteName},
    },
    intake::Intake,
    mail::{
        dkim,
        doctor::{Finding, SiteFacts},
        outbound::signing,
    },
    store::{
        self,
        dkim_keys::DkimKey,
        inbound_mails::{self, Unfiled},
        mails::{self, DeadLetter, Kind, OfSite, Suppression},
        paging::PageRequest,
        sites::{Language, Site, SiteChanges},
    },
};

/// Suppressions and dead letters that are shown, of each.
const SHOWN: PageRequest<'static> = PageRequest { limit: 100, cursor: None };
const LANGUAGES: [(Language, &str, &str); 4] = [
    (Language::En, "en", "English"),
    (Language::De, "de", "German"),
    (Language::Fr, "fr", "French"),
    (Language::Es, "es", "Spanish"),
];

#[derive(askama::Template)]
#[template(path = "mail/mail.html")]
struct MailPage<'a> {
    shell: Shell,
    site: Site,
    of_site: OfSite,
    /// The address that its mail is from; `None` when this server sends none.
    from: Option<String>,
    incoming: inbound_mails::OfSite,
    /// Mail to it makes tickets; `None` where this server takes no mail in.
    address: Option<String>,
    held: Vec<Unfiled>,
    /// Of thirty days.
    ignored: Vec<Unfiled>,
    suppressions: Vec<Suppression>,
    dead: Vec<DeadLetter>,
    keys: Vec<DkimKey>,
    /// What DNS says; `None` when this server cannot ask.
    dns: Option<Vec<Finding>>,
    form: &'a Form,
}

#[handler]
pub async fn show(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    show_with(&context, &site, &Form::default()).await
}

async fn show_with(context: &OrgContext, slug: &str, form: &Form) -> Result<Response, Problem> {
    let work = async |tx: &mut OrgTx| {
        let site = store::sites::by_slug(tx, slug).await?;
        let of_site = mails::of_site(tx, site.id).await?;
        let (suppressions, _) = mails::suppressions(tx, site.id, SHOWN).await?;
        let (dead, _) = mails::dead_letters(tx, Some(site.id), SHOWN).await?;
        let incoming = inbound_mails::of_site(tx, site.id).await?;
        let (held, _) = inbound_mails::held(tx, site.id, SHOWN).await?;
        let (ignored, _) = inbound_mails::ignored(tx, site.id, SHOWN).await?;
        let keys = store::dkim_keys::of_site(tx, site.id).await?;
        Ok((site, of_site, (incoming, held, ignored), suppressions, dead, keys))
    };
    let (shell, (site, of_site, (incoming, held, ignored), suppressions, dead, keys)) =
        context.read(Permission::MailRead, work).await?;
    let address = context.app.intake.as_ref().and_then(|intake| incoming.address(intake.reply_domain()));
    let from = match &context.app.mail {
        Some(outgoing) => Some(outgoing.address_for(site.mail_from_address.as_deref(), &keys).await),
        None => None,
    };
    let facts =
        SiteFacts { address: site.mail_from_address.clone(), keys: keys.iter().cloned().map(Into::into).collect() };
    let dns = match &context.app.doctor {
        // Asked for: it may take a while.
        Some(doctor) if context.query.get("look") == "dns" => Some(doctor.examine(&facts).await),
        _ => None,
    };
    let language =
        LANGUAGES.into_iter().find(|(language, ..)| *language == site.language).map_or("en", |(_, code, _)| code);
    let saved = Form::of(&[
        ("support_url", site.support_url.clone().unwrap_or_default()),
        ("from_name", site.mail_from_name.clone().unwrap_or_default()),
        ("from_address", site.mail_from_address.clone().unwrap_or_default()),
        ("language", language.to_owned()),
        ("address", incoming.own.clone().unwrap_or_default()),
    ]);
    let shown = form.with_defaults(saved);
    let page = MailPage {
        shell,
        site,
        of_site,
        from,
        incoming,
        address,
        held,
        ignored,
        suppressions,
        dead,
        keys,
        dns,
        form: &shown,
    };
    form_page(&page, form)
}

#[handler]
pub async fn update(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    let form = &context.form;
    if form.get("action") == "make_key" {
        return match make_key(&context, &site).await {
            Ok(()) => Ok(context.redirect(&format!("sites/{}/mail?done=created", site.as_str()))),
            Err(problem) => show_with(&context, &site, &form.with_problem(problem)?).await,
        };
    }
    let address = form.filled("address").map(|address| address.trim().to_owned());
    if form.get("action") == "address"
        && let Some(address) = &address
        && let Err(problem) = check_address(&context, &site, address).await
    {
        return show_with(&context, &site, &form.with_problem(problem)?).await;
    }
    let needed = if form.get("action") == "settings" { Permission::SiteEdit } else { Permission::MailEdit };
    let done = context
        .write(needed, async |tx| {
            let id = async |tx: &mut OrgTx| Ok::<_, Problem>(store::sites::by_slug(tx, &site).await?.id);
            match form.get("action") {
                "settings" => {
                    let changes = settings(form)?;
                    store::sites::update(tx, &site, &changes).await.map(|_| "saved")
                }
                "clear" => {
                    let site = id(tx).await?;
                    mails::clear_suppression(tx, site, row(form)).await.map(|()| "cleared")
                }
                "retry" => {
                    let site = id(tx).await?;
                    mails::run_again(tx, Some(site), row(form)).await.map(|()| "retried")
                }
                "remove_key" => {
                    let site = id(tx).await?;
                    form.confirmed()?;
                    store::dkim_keys::remove(tx, site, form.get("selector")).await.map(|()| "deleted")
                }
                "accept" | "reject" => {
                    let (site, accept) = (id(tx).await?, form.get("action") == "accept");
                    let done = if accept { "accepted" } else { "rejected" };
                    inbound_mails::decide(tx, site, row(form), accept).await.map(|()| done)
                }
                "address" => {
                    let site = id(tx).await?;
                    inbound_mails::set_address(tx, site, address.as_deref()).await.map(|()| "saved")
                }
                _ => Err(Form::unknown_action()),
            }
        })
        .await;
    if let (Ok("accepted"), Some(intake)) = (&done, &context.app.intake) {
        intake.received.notify_one();
    }
    match done {
        Ok(done) => Ok(context.redirect(&format!("sites/{}/mail?done={done}", site.as_str()))),
        Err(problem) => show_with(&context, &site, &form.with_problem(problem)?).await,
    }
}

/// Outside of a transaction, which would wait for DNS.
async fn check_address(context: &OrgContext, slug: &str, address: &str) -> Result<(), Problem> {
    let work = async |tx: &mut OrgTx| {
        let site = store::sites::by_slug(tx, slug).await?;
        store::dkim_keys::of_site(tx, site.id).await
    };
    let (_, keys) = context.read(Permission::MailEdit, work).await?;
    Intake::check_own(context.app.intake.as_deref(), address, &keys).await
}

/// Outside of a transaction, which would wait for it.
async fn make_key(context: &OrgContext, slug: &str) -> Result<(), Problem> {
    let work = async |tx: &mut OrgTx| store::sites::by_slug(tx, slug).await;
    let (_, site) = context.read(Permission::MailEdit, work).await?;
    let (secret, address) = (context.app.secret.as_deref(), site.mail_from_address.as_deref());
    let (key, sealed) = signing::make(secret, site.id, address).await?;
    context.write(Permission::MailEdit, async |tx| store::dkim_keys::add(tx, site.id, &key, &sealed).await).await
}

fn row(form: &Form) -> Uuid {
    form.get("id").parse().unwrap_or_default()
}

/// An empty field takes away what it says.
fn settings(form: &Form) -> Result<SiteChanges, Problem> {
    let mut checked = Checked::default();
    let from_name = form.filled("from_name").map(|_| form.take::<SiteName>(&mut checked, "from_name"));
    let from_address = form.filled("from_address").map(|_| form.take::<EmailAddress>(&mut checked, "from_address"));
    checked.done()?;
    Ok(SiteChanges {
        support_url: Some(form.filled("support_url").map(str::to_owned)),
        language: LANGUAGES
            .into_iter()
            .find(|(_, code, _)| *code == form.get("language"))
            .map(|(language, ..)| language),
        mail_from_name: Some(from_name.flatten()),
        mail_from_address: Some(from_address.flatten()),
        ..SiteChanges::default()
    })
}

/// What a mail was to tell, in words.
fn told(kind: Kind) -> &'static str {
    match kind {
        Kind::TicketReceived => "that a ticket is here",
        Kind::TicketOpened => "what an agent wrote first",
        Kind::TicketAnswered => "what an agent answered",
        Kind::TicketResolved => "that a ticket is resolved",
        Kind::AgentAssigned => "that a ticket was assigned",
        Kind::AgentCustomerAnswered => "that a customer answered",
        Kind::Invitation => "that somebody is invited",
    }
}
