//! A site's publishable key. Its text is in the answer to the form that made it, and in no other page: the form names the
//! key that it replaces, so that sending it again (a reload, the way back) changes and shows nothing.

use poem::Response;

use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, html, to},
};
use crate::{
    db::OrgTx,
    domain::{
        keys::PublishableKey,
        problem::{Code, Problem},
    },
    store::{
        self,
        site_keys::{SiteKeys, UsedFrom},
        sites::SiteWithOrigins,
    },
};

#[derive(askama::Template)]
#[template(path = "site_key.html")]
struct KeyPage<'a> {
    shell: Shell,
    site: SiteWithOrigins,
    keys: SiteKeys,
    /// From where the active key was used.
    used: Vec<UsedFrom>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "site_key_reveal.html")]
struct RevealPage {
    shell: Shell,
    site: SiteWithOrigins,
    staged: bool,
    key: String,
    public_url: String,
}

pub async fn show(context: &PageContext, org: &str, site: &str) -> Result<Response, Problem> {
    show_with(context, org, site, &Form::default()).await
}

async fn show_with(context: &PageContext, org: &str, slug: &str, form: &Form) -> Result<Response, Problem> {
    let (shell, (site, keys, used)) = context
        .see(org, "member", async |tx| {
            let site = store::sites::with_origins(tx, slug).await?;
            let keys = store::site_keys::of_site(tx, site.site.id).await?;
            let used = match &keys.active {
                Some(key) => store::site_keys::used_from(tx, site.site.id, key.id).await?,
                None => Vec::new(),
            };
            Ok((site, keys, used))
        })
        .await?;
    form_page(&KeyPage { shell, site, keys, used, form }, form)
}

/// What a form did.
enum Done {
    Revealed(PublishableKey),
    Said(&'static str),
}

pub async fn change(context: &PageContext, org: &str, slug: &str) -> Result<Response, Problem> {
    match context.act(org, "apikey:rotate", async |tx| apply(tx, slug, &context.form).await).await {
        Ok(Done::Said(done)) => Ok(to(&format!("/dashboard/{org}/sites/{slug}/key?done={done}"))),
        Ok(Done::Revealed(key)) => {
            let (shell, site) =
                context.see(org, "member", async |tx| store::sites::with_origins(tx, slug).await).await?;
            let (staged, public_url) = (context.form.get("action") == "stage", context.public_url.clone());
            html(&RevealPage { shell, site, staged, key: key.reveal().to_owned(), public_url })
        }
        Err(problem) => show_with(context, org, slug, &context.form.again(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, slug: &str, form: &Form) -> Result<Done, Problem> {
    let site = store::sites::by_slug(tx, slug).await?;
    let keys = store::site_keys::of_site(tx, site.id).await?;
    let action = form.get("action");
    let present = keys.active.as_ref().map_or_else(String::new, |key| key.id.to_string());
    if action != "create" && form.get("replaces") != present {
        let detail = "The key has changed since this page was shown. Nothing was done: look at the key as it is now.";
        return Err(Problem::new(Code::RotationConflict, detail));
    }
    if matches!(action, "rotate" | "revoke") && form.get("sure") != "yes" {
        return Err(Problem::invalid_field("sure", "Tick the box to say that you mean it"));
    }
    match action {
        "create" => Ok(Done::Revealed(store::site_keys::create(tx, site.id).await?)),
        "stage" => Ok(Done::Revealed(store::site_keys::stage(tx, site.id).await?)),
        "rotate" => Ok(store::site_keys::rotate(tx, site.id).await?.map_or(Done::Said("promoted"), Done::Revealed)),
        "revoke" => store::site_keys::revoke(tx, site.id).await.map(|()| Done::Said("revoked")),
        "unstage" => store::site_keys::unstage(tx, site.id).await.map(|()| Done::Said("revoked")),
        _ => Err(Problem::invalid_field("action", "is none that this page has")),
    }
}
