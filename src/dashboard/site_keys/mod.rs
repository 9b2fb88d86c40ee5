//! A site's publishable key. Its text is in the answer to the form that made it, and in no other page: the form names the
//! key that it replaces, so that sending it again (a reload, the way back) changes and shows nothing.

use poem::{Response, handler, web::Path};

use crate::{
    dashboard::frame::{
        form::Form,
        org_context::{MEMBER, OrgContext, Shell},
        page::{form_page, html},
        path,
    },
    db::OrgTx,
    domain::{
        keys::PublishableKey,
        permissions::Permission,
        problem::{Code, Problem},
    },
    store::{
        self,
        site_keys::{SiteKeys, UsedFrom},
        sites::SiteWithOrigins,
    },
};

#[derive(askama::Template)]
#[template(path = "site_keys/site_key.html")]
struct SiteKeyPage<'a> {
    shell: Shell,
    site: SiteWithOrigins,
    keys: SiteKeys,
    /// From where the active key was used.
    used: Vec<UsedFrom>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "site_keys/reveal.html")]
struct RevealPage {
    shell: Shell,
    site: SiteWithOrigins,
    staged: bool,
    key: String,
    public_url: String,
}

#[handler]
pub async fn show(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    show_with(&context, &site, &Form::default()).await
}

async fn show_with(context: &OrgContext, slug: &str, form: &Form) -> Result<Response, Problem> {
    let (shell, (site, keys, used)) = context
        .read(MEMBER, async |tx| {
            let site = store::sites::with_origins(tx, slug).await?;
            let keys = store::site_keys::of_site(tx, site.site.id).await?;
            let used = match &keys.active {
                Some(key) => store::site_keys::used_from(tx, site.site.id, key.id).await?,
                None => Vec::new(),
            };
            Ok((site, keys, used))
        })
        .await?;
    form_page(&SiteKeyPage { shell, site, keys, used, form }, form)
}

/// What a form did.
enum Outcome {
    Revealed(PublishableKey),
    /// As the page's notice calls it.
    Done(&'static str),
}

#[handler]
pub async fn update(context: OrgContext, Path(path::Site { site }): Path<path::Site>) -> Result<Response, Problem> {
    match context.write(Permission::ApikeyRotate, async |tx| apply(tx, &site, &context.form).await).await {
        Ok(Outcome::Done(done)) => Ok(context.redirect(&format!("sites/{}/key?done={done}", site.as_str()))),
        Ok(Outcome::Revealed(key)) => {
            let (shell, site) = context.read(MEMBER, async |tx| store::sites::with_origins(tx, &site).await).await?;
            let (staged, public_url) = (context.form.get("action") == "stage", context.public_url.clone());
            html(&RevealPage { shell, site, staged, key: key.reveal().to_owned(), public_url })
        }
        Err(problem) => show_with(&context, &site, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, slug: &str, form: &Form) -> Result<Outcome, Problem> {
    let site = store::sites::by_slug(tx, slug).await?;
    let keys = store::site_keys::of_site(tx, site.id).await?;
    let action = form.get("action");
    let present = keys.active.as_ref().map_or_else(String::new, |key| key.id.to_string());
    if action != "create" && form.get("replaces") != present {
        let detail = "The key has changed since this page was shown. Nothing was done: check the key as it is now.";
        return Err(Problem::new(Code::RotationConflict, detail));
    }
    if matches!(action, "rotate" | "revoke") {
        form.confirmed()?;
    }
    match action {
        "create" => store::site_keys::create(tx, site.id).await.map(Outcome::Revealed),
        "stage" => store::site_keys::stage(tx, site.id).await.map(Outcome::Revealed),
        "rotate" => {
            let key = store::site_keys::rotate(tx, site.id).await?;
            Ok(key.map_or(Outcome::Done("promoted"), Outcome::Revealed))
        }
        "revoke" => store::site_keys::revoke(tx, site.id).await.map(|()| Outcome::Done("revoked")),
        "unstage" => store::site_keys::unstage(tx, site.id).await.map(|()| Outcome::Done("revoked")),
        _ => Err(Form::unknown_action()),
    }
}
