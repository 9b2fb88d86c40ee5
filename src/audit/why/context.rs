//! The context of the request that is asked about, as its gate would set it. Digests are read where they lie or made up, so
//! no secret is given or shown.

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::question::{Question, RoleName};

/// Who acts, by what the caller named.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Acting {
    pub org: Option<String>,
    pub site: Option<String>,
    /// The site whose key is in the context.
    pub key_of: Option<String>,
    /// Whether a ticket's token is in the context.
    pub ticket: bool,
    pub user: Option<String>,
    pub machine_key: Option<Uuid>,
    #[serde(skip)]
    settings: Vec<(&'static str, String)>,
}

impl Acting {
    /// Sets the context of this transaction. These are digests of credentials that work: parameters, never text.
    pub(super) async fn enter(&self, tx: &mut PgConnection) -> anyhow::Result<()> {
        let (names, values): (Vec<&str>, Vec<&str>) =
            self.settings.iter().map(|(name, value)| (*name, value.as_str())).unzip();
        sqlx::query(
            "select set_config('app.' || s.name, s.value, true) from unnest($1::text[], $2::text[]) as s (name, value)",
        )
        .bind(&names)
        .bind(&values)
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) fn said(&self) -> String {
        let mut parts = Vec::new();
        if let Some(site) = &self.site {
            parts.push(format!("site {site}"));
            parts.push(self.key_of.as_ref().map_or_else(|| "no key".to_owned(), |site| format!("key of {site}")));
            parts.push(if self.ticket { "token of a ticket" } else { "no ticket's token" }.to_owned());
        } else if let Some(org) = &self.org {
            parts.push(format!("org {org}"));
        }
        parts.extend(self.user.as_ref().map(|user| format!("session of {user}")));
        parts.extend(self.machine_key.as_ref().map(|id| format!("machine key {id}")));
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    }
}

struct Site {
    path: String,
    org_id: Uuid,
    id: Uuid,
    key_hash: Option<String>,
}

async fn site(tx: &mut PgConnection, named: &str, org: Option<&str>) -> anyhow::Result<Site> {
    let rows: Vec<(String, Uuid, Uuid, Option<String>)> = sqlx::query_as(
        "select o.slug || '/' || s.slug, s.org_id, s.id,
          (select encode(k.key_hash, 'hex') from vicket.site_keys k
            where k.org_id = s.org_id and k.site_id = s.id and k.state = 'active')
        from vicket.sites s
        join vicket.orgs o on o.id = s.org_id
        where $1 in (s.id::text, o.slug || '/' || s.slug) or s.slug = $1 and ($2::text is null or $2 in (o.slug, o.id::text))
        order by 1",
    )
    .bind(named)
    .bind(org)
    .fetch_all(tx)
    .await?;
    ensure!(rows.len() < 2, "{} sites are called `{named}`: write it as ORG/SITE", rows.len());
    let (path, org_id, id, key_hash) =
        rows.into_iter().next().with_context(|| format!("there is no site `{named}`"))?;
    Ok(Site { path, org_id, id, key_hash })
}

/// What the gate of this role would set, for whom the question names.
pub(super) async fn find(tx: &mut PgConnection, question: &Question, role: RoleName) -> anyhow::Result<Acting> {
    match role {
        RoleName::Widget => widget(tx, question).await,
        RoleName::Agent | RoleName::Operator => within(tx, question).await,
    }
}

async fn widget(tx: &mut PgConnection, question: &Question) -> anyhow::Result<Acting> {
    let Some(named) = &question.site else { return Ok(Acting::default()) };
    let org = question.org.as_deref();
    let asked = site(tx, named, org).await?;
    let mut acting = Acting { site: Some(asked.path.clone()), ..Acting::default() };
    acting.settings.extend([("org_id", asked.org_id.to_string()), ("site_id", asked.id.to_string())]);
    let keyed = match question.key_of.as_deref() {
        None => Some(asked),
        Some("none") => None,
        Some(other) => Some(site(tx, other, org).await?),
    };
    if let Some(Site { path, key_hash: Some(hash), .. }) = keyed {
        acting.key_of = Some(path);
        acting.settings.push(("key_hash", hash));
    }
    if let Some(ticket) = question.ticket {
        let hash: Option<String> = sqlx::query_scalar(
            "select encode(token_hash, 'hex') from vicket.ticket_tokens where ticket_id = $1 limit 1",
        )
        .bind(ticket)
        .fetch_optional(tx)
        .await?;
        acting.settings.push(("ticket_hash", hash.context("no token opens the ticket of --ticket")?));
        acting.ticket = true;
    }
    Ok(acting)
}

async fn within(tx: &mut PgConnection, question: &Question) -> anyhow::Result<Acting> {
    let Some(named) = &question.org else { return Ok(Acting::default()) };
    let found: Option<(Uuid, String)> =
        sqlx::query_as("select id, slug from vicket.orgs where slug = $1 or id::text = $1")
            .bind(named)
            .fetch_optional(&mut *tx)
            .await?;
    let (org_id, slug) = found.with_context(|| format!("there is no org `{named}`"))?;
    let mut acting = Acting { org: Some(slug), ..Acting::default() };
    acting.settings.push(("org_id", org_id.to_string()));
    if let Some(named) = &question.user {
        // A session that nobody holds, and that nobody will: it is rolled back.
        let made: Option<(String, String)> = sqlx::query_as(
            "insert into vicket.sessions (user_id, token_hash)
            select u.id, sha256(gen_random_uuid()::text::bytea)
            from vicket.users u
            where u.email = lower($1) or u.id::text = $1
            returning encode(token_hash, 'hex'), (select email from vicket.users u where u.id = user_id)",
        )
        .bind(named)
        .fetch_optional(&mut *tx)
        .await
        .context("asking for a person opens a session, which is rolled back: this needs a server that can write")?;
        let Some((hash, email)) = made else { bail!("there is no user `{named}`") };
        acting.settings.push(("session_hash", hash));
        acting.user = Some(email);
    }
    if let Some(id) = question.machine_key {
        let hash: Option<String> =
            sqlx::query_scalar("select encode(key_hash, 'hex') from vicket.machine_keys where id = $1")
                .bind(id)
                .fetch_optional(tx)
                .await?;
        acting.settings.push(("machine_key_hash", hash.context("there is no such machine key")?));
        acting.machine_key = Some(id);
    }
    Ok(acting)
}
