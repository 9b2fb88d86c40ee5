//! Websites: the list, and a site's name, origins, limits, and the test of its set-up.

use poem::{Response, handler, web::Path};

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{MEMBER, OrgContext, Shell},
        page::form_page,
        path,
    },
    db::OrgTx,
    domain::{
        keys::SECRET_LENGTH,
        origins::{self, Origin},
        permissions::Permission,
        problem::Problem,
        references::Prefix,
        text::{Checked, SiteName, SitePrefix, Slug},
    },
    store::{
        self,
        orgs::FileQuota,
        paging::PageRequest,
        site_keys::SiteKeys,
        sites::{MAX_PER_MINUTE, MAX_QUOTA_MIB, MAX_UPLOAD_MIB, RefusedOrigin, SiteChanges, SiteWithOrigins},
    },
};

/// Sites that the list shows, and origins that a site may list.
const MAX_SITES: u32 = 100;
/// Refused origins that are shown.
const MAX_REFUSED: u32 = 50;

#[derive(askama::Template)]
#[template(path = "sites/sites.html")]
struct SitesPage<'a> {
    shell: Shell,
    sites: Vec<SiteWithOrigins>,
    files: FileQuota,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "sites/site.html")]
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
    /// What can be listed, so that it would work.
    allow: Option<String>,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    list_with(&context, &Form::default()).await
}

async fn list_with(context: &OrgContext, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: MAX_SITES, cursor: None };
    let work =
        async |tx: &mut OrgTx| Ok((store::sites::page(tx, page_request).await?.0, store::orgs::file_quota(tx).await?));
    let (shell, (sites, files)) = context.read(MEMBER, work).await?;
    form_page(&SitesPage { shell, sites, files, form }, form)
}

#[handler]
pub async fn create(context: OrgContext) -> Result<Response, Problem> {
    let created = context
        .write(Permission::SiteCreate, async |tx| {
            let mut checked = Checked::default();
            let name = context.form.take::<SiteName>(&mut checked, "name");
            let prefix = context.form.filled("prefix").and_then(|_| context.form.take(&mut checked, "prefix"));
            let (Some(name), true) = (name, checked.is_empty()) else {
                return Err(checked.problem());
            };
            store::sites::create(tx, &Slug::derived(&name), &name, prefix.and_then(prefix_of).as_ref()).await
        })
        .await;
    match created {
        Ok(site) => Ok(context.redirect(&format!("sites/{}?done=created", site.slug))),
        Err(problem) => list_with(&context, &context.form.with_problem(problem)?).await,
    }
}

fn prefix_of(text: SitePrefix) -> Option<Prefix> {
    Prefix::parse(&text)
}

#[handler]
pub async fn show(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    show_with(&context, &site, &Form::default()).await
}

async fn show_with(context: &OrgContext, slug: &str, form: &Form) -> Result<Response, Problem> {
    let (shell, (site, keys, refused)) = context
        .read(MEMBER, async |tx| {
            let site = store::sites::with_origins(tx, slug).await?;
            let keys = store::site_keys::of_site(tx, site.site.id).await?;
            // Who may not edit the site reads none, as the policies have it.
            let (refused, _) =
                store::sites::refused_page(tx, site.site.id, PageRequest { limit: MAX_REFUSED, cursor: None }).await?;
            Ok((site, keys, refused))
        })
        .await?;
    let verdict = context.query.filled("test").map(|address| check_page(address, &site, &keys));
    let saved = Form::of(&[
        ("reads", site.site.reads_per_minute.to_string()),
        ("writes", site.site.writes_per_minute.to_string()),
        ("network_reads", site.site.network_reads_per_minute.to_string()),
        ("network_writes", site.site.network_writes_per_minute.to_string()),
        ("files_mib", site.site.file_quota_mib.to_string()),
        ("network_uploads_mib", site.site.network_upload_mib_per_day.to_string()),
        ("name", site.site.name.clone()),
        ("prefix", site.site.prefix.clone()),
        ("test", context.query.get("test").to_owned()),
    ]);
    let shown = form.with_defaults(saved);
    form_page(&SitePage { shell, site, keys, refused, form: &shown, verdict }, form)
}

/// The verdict of `key/check`, were the site's key sent from the page at this address.
fn check_page(address: &str, site: &SiteWithOrigins, keys: &SiteKeys) -> Verdict {
    let fails = |detail: String| Verdict { works: false, detail, allow: None };
    if address.starts_with("pk_") && address.len() == SECRET_LENGTH {
        let detail = "That is a key. Enter the address of your page; a key belongs only in your page's settings.";
        return fails(detail.to_owned());
    }
    if keys.active.is_none() {
        return fails("The site has no active key, so nothing works yet. Create one.".to_owned());
    }
    let origin = match origins::of_page(address) {
        Ok(origin) => origin,
        Err(reason) => return fails(format!("That is no address of a page: {reason}.")),
    };
    let listed: Vec<Origin> = site.origins.iter().filter_map(|origin| Origin::from_header(origin)).collect();
    let known = site.origins.contains(&origin);
    let differs = if known { Vec::new() } else { origins::differences(&origin, &listed) };
    let verdict = origins::verdict(Some(&origin), known, &differs);
    let allow = Origin::parse(&origin).ok().filter(|_| !known).map(|origin| origin.to_string());
    Verdict { works: known, detail: format!("A browser sends {origin} from there. {verdict}"), allow }
}

#[handler]
pub async fn update(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    match context.write(Permission::SiteEdit, async |tx| apply(tx, &site, &context.form).await).await {
        Ok(done) => Ok(context.redirect(&format!("sites/{}?done={done}", site.as_str()))),
        Err(problem) => show_with(&context, &site, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, slug: &str, form: &Form) -> Result<&'static str, Problem> {
    let site = store::sites::with_origins(tx, slug).await?;
    let changes = match form.get("action") {
        "add" | "allow" => {
            let origin = origin(form)?;
            store::sites::add_origin(tx, site.site.id, &origin).await?;
            return Ok("allowed");
        }
        "remove" => {
            store::sites::remove_origin(tx, site.site.id, &origin(form)?).await?;
            return Ok("saved");
        }
        "forget" => {
            store::sites::clear_refused(tx, site.site.id).await?;
            return Ok("saved");
        }
        "name" => {
            let name = form.take_one("name")?;
            SiteChanges { name: Some(name), ..SiteChanges::default() }
        }
        "prefix" => SiteChanges { prefix: prefix_of(form.take_one("prefix")?), ..SiteChanges::default() },
        "limits" => limits(form)?,
        "quota" => quota(form)?,
        _ => return Err(Form::unknown_action()),
    };
    store::sites::update(tx, slug, &changes).await.map(|_| "saved")
}

fn origin(form: &Form) -> Result<Origin, Problem> {
    Origin::parse(form.get("origin")).map_err(|reason| Problem::invalid_field("origin", reason.to_string()))
}

fn limits(form: &Form) -> Result<SiteChanges, Problem> {
    let mut checked = Checked::default();
    let mut limit = |name: &str| figure(&mut checked, form, name, MAX_PER_MINUTE);
    let (reads, writes) = (limit("reads"), limit("writes"));
    let (network_reads, network_writes) = (limit("network_reads"), limit("network_writes"));
    checked.done()?;
    Ok(SiteChanges { reads, writes, network_reads, network_writes, ..SiteChanges::default() })
}

fn quota(form: &Form) -> Result<SiteChanges, Problem> {
    let mut checked = Checked::default();
    let file_quota_mib = figure(&mut checked, form, "files_mib", MAX_QUOTA_MIB);
    let network_upload_mib = figure(&mut checked, form, "network_uploads_mib", MAX_UPLOAD_MIB);
    checked.done()?;
    Ok(SiteChanges { file_quota_mib, network_upload_mib, ..SiteChanges::default() })
}

fn figure(checked: &mut Checked, form: &Form, name: &str, most: u32) -> Option<u32> {
    let figure = form.get(name).trim().parse().ok();
    checked.take(name, figure.ok_or_else(|| format!("must be a whole number from 0 to {most}")))
}
