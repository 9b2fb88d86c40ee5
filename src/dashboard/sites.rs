//! Websites: the list, and a site's name, origins, limits, and the test of its set-up.

use poem::Response;

use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, to},
};
use crate::{
    db::OrgTx,
    domain::{
        keys::SECRET_LENGTH,
        origins::{self, Origin},
        problem::Problem,
        references::Prefix,
        text::{Checked, SiteName, SitePrefix, Slug},
    },
    store::{
        self,
        paging::PageRequest,
        site_keys::SiteKeys,
        sites::{MAX_PER_MINUTE, RefusedOrigin, SiteChanges, SiteWithOrigins},
    },
};

/// Sites that the list shows.
const MAX_SITES: u32 = 100;
/// Refused origins that are shown.
const MAX_REFUSED: u32 = 50;

#[derive(askama::Template)]
#[template(path = "sites.html")]
struct SitesPage<'a> {
    shell: Shell,
    sites: Vec<SiteWithOrigins>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "site.html")]
struct SitePage<'a> {
    shell: Shell,
    site: SiteWithOrigins,
    keys: SiteKeys,
    refused: Vec<RefusedOrigin>,
    form: &'a Form,
    verdict: Option<Verdict>,
}

/// What `key/check` would say.
struct Verdict {
    works: bool,
    detail: String,
}

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    list_with(context, org, &Form::default()).await
}

async fn list_with(context: &PageContext, org: &str, form: &Form) -> Result<Response, Problem> {
    let (shell, (sites, _)) = context
        .see(org, "member", async |tx| store::sites::page(tx, PageRequest { limit: MAX_SITES, cursor: None }).await)
        .await?;
    form_page(&SitesPage { shell, sites, form }, form)
}

pub async fn create(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let mut checked = Checked::default();
    let name = context.form.take::<SiteName>(&mut checked, "name");
    let prefix = context.form.some("prefix").and_then(|_| prefix(&context.form, &mut checked));
    let made = match (name, checked.is_empty()) {
        (Some(name), true) => {
            let slug = Slug::derived(&name);
            context
                .act(org, "site:create", async |tx| store::sites::create(tx, &slug, &name, prefix.as_ref()).await)
                .await
        }
        _ => Err(checked.problem()),
    };
    match made {
        Ok(site) => Ok(to(&format!("/dashboard/{org}/sites/{}?done=created", site.slug))),
        Err(problem) => list_with(context, org, &context.form.again(problem)?).await,
    }
}

/// The prefix of a form.
fn prefix(form: &Form, checked: &mut Checked) -> Option<Prefix> {
    form.take::<SitePrefix>(checked, "prefix").and_then(|prefix| Prefix::parse(&prefix))
}

pub async fn show(context: &PageContext, org: &str, site: &str) -> Result<Response, Problem> {
    show_with(context, org, site, &Form::default()).await
}

async fn show_with(context: &PageContext, org: &str, slug: &str, form: &Form) -> Result<Response, Problem> {
    let (shell, (site, keys, refused)) = context
        .see(org, "member", async |tx| {
            let site = store::sites::with_origins(tx, slug).await?;
            let keys = store::site_keys::of_site(tx, site.site.id).await?;
            // Who may not edit the site reads none, as the policies have it.
            let (refused, _) =
                store::sites::refused_page(tx, site.site.id, PageRequest { limit: MAX_REFUSED, cursor: None }).await?;
            Ok((site, keys, refused))
        })
        .await?;
    let verdict = context.query.some("test").map(|origin| judge(origin, &site, &keys));
    let limits = Form::of(&[
        ("reads", site.site.reads_per_minute.to_string()),
        ("writes", site.site.writes_per_minute.to_string()),
        ("network_reads", site.site.network_reads_per_minute.to_string()),
        ("network_writes", site.site.network_writes_per_minute.to_string()),
        ("name", site.site.name.clone()),
        ("prefix", site.site.prefix.clone()),
        ("test", context.query.get("test").to_owned()),
    ]);
    let shown = form.over(limits);
    form_page(&SitePage { shell, site, keys, refused, form: &shown, verdict }, form)
}

/// The verdict of `key/check`, were the site's key sent from `origin`.
fn judge(origin: &str, site: &SiteWithOrigins, keys: &SiteKeys) -> Verdict {
    if origin.starts_with("pk_") && origin.len() == SECRET_LENGTH {
        let detail = "That is a key. Enter the address of your page here; keys belong into your page's settings only.";
        return Verdict { works: false, detail: detail.to_owned() };
    }
    if keys.active.is_none() {
        let detail = "The site has no active key, so nothing works yet. Create one.";
        return Verdict { works: false, detail: detail.to_owned() };
    }
    let listed: Vec<Origin> = site.origins.iter().filter_map(|origin| Origin::from_header(origin)).collect();
    let known = site.origins.iter().any(|listed| listed == origin);
    let differs = if known { Vec::new() } else { origins::differences(origin, &listed) };
    Verdict { works: known, detail: origins::verdict(Some(known), &differs) }
}

pub async fn change(context: &PageContext, org: &str, site: &str) -> Result<Response, Problem> {
    let done = context.act(org, "site:edit", async |tx| apply(tx, site, &context.form).await).await;
    match done {
        Ok(done) => Ok(to(&format!("/dashboard/{org}/sites/{site}?done={done}"))),
        Err(problem) => show_with(context, org, site, &context.form.again(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, slug: &str, form: &Form) -> Result<&'static str, Problem> {
    let site = store::sites::with_origins(tx, slug).await?;
    let origin =
        || Origin::parse(form.get("origin")).map_err(|reason| Problem::invalid_field("origin", reason.to_string()));
    match form.get("action") {
        "add" | "allow" => {
            let origin = origin()?;
            store::sites::add_origin(tx, site.site.id, &origin).await?;
            Ok("allowed")
        }
        "remove" => {
            store::sites::remove_origin(tx, site.site.id, &origin()?).await?;
            Ok("saved")
        }
        "forget" => {
            store::sites::clear_refused(tx, site.site.id).await?;
            Ok("saved")
        }
        "name" => {
            let mut checked = Checked::default();
            let Some(name) = form.take::<SiteName>(&mut checked, "name") else {
                return Err(checked.problem());
            };
            store::sites::update(tx, slug, &SiteChanges { name: Some(name), ..SiteChanges::default() }).await?;
            Ok("saved")
        }
        "prefix" => {
            let mut checked = Checked::default();
            let Some(prefix) = prefix(form, &mut checked) else {
                return Err(checked.problem());
            };
            store::sites::update(tx, slug, &SiteChanges { prefix: Some(prefix), ..SiteChanges::default() }).await?;
            Ok("saved")
        }
        "limits" => {
            let mut checked = Checked::default();
            let mut figure = |name: &str| {
                let figure = form.get(name).trim().parse().ok().filter(|figure: &u32| *figure <= MAX_PER_MINUTE);
                if figure.is_none() {
                    checked.fault(name, format!("must be a whole number from 0 to {MAX_PER_MINUTE}"));
                }
                figure
            };
            let (reads, writes) = (figure("reads"), figure("writes"));
            let (network_reads, network_writes) = (figure("network_reads"), figure("network_writes"));
            checked.done()?;
            let changes = SiteChanges { reads, writes, network_reads, network_writes, ..SiteChanges::default() };
            store::sites::update(tx, slug, &changes).await?;
            Ok("saved")
        }
        _ => Err(Problem::invalid_field("action", "is none that this page has")),
    }
}
