//! A customer session for the word of the site's own server.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::site_key::SiteKey,
    db::SiteTx,
    domain::{
        keys::{CustomerToken, Sha256Digest},
        problem::{Code, Problem},
        text::{Checked, EmailAddress, NAME_LENGTH, Text},
    },
    http::{
        answers,
        failure::Failure,
        headers::CustomerHeader,
        text::{Input, Nullable},
    },
    identity::{self, MAX_TOKEN, Verifiers},
    limits::Network,
    state::App,
    store::{self, identity::SealedVerifiers},
};

pub struct IdentityApi;

/// Who somebody is.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct Proof {
    /// A JWT that the site's server signed: EdDSA, ES256 or RS256 by a key of the site's JWKS, or HS256 by its identity secret.
    /// Its claims: `sub`, `email`, `name` (may be left out), `iat` and `exp` at most five minutes apart, `aud`: the id of the
    /// site, and `jti`, taken once.
    token: Input<Text<MAX_TOKEN>>,
}

/// A customer session.
#[derive(Object)]
#[oai(example)]
struct CustomerSession {
    /// The session: `cs_` and 43 characters, for `X-Vicket-Customer` beside the key. Shown once.
    session: String,
    /// When it ends.
    expires_at: OffsetDateTime,
    /// The address that tickets are submitted under.
    email: EmailAddress,
    /// Their name, if the token said one.
    name: Nullable<Text<NAME_LENGTH>>,
}

impl Example for Proof {
    fn example() -> Self {
        // Shorter than a real one.
        Self { token: Input::of(Text::known("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyLTEifQ.c2ln")) }
    }
}

impl Example for CustomerSession {
    fn example() -> Self {
        Self {
            session: "cs_example".to_owned(),
            expires_at: datetime!(2026-03-02 22:15 UTC),
            email: EmailAddress::known("ada@example.com"),
            name: Nullable(Some(Text::known("Ada Lovelace"))),
        }
    }
}

/// Who opens a ticket: whoever holds its token, or a customer who names one of theirs.
#[derive(Clone, Copy)]
pub(super) struct Opener<'a> {
    key: &'a SiteKey,
    customer: Option<(Sha256Digest, Option<Uuid>)>,
}

impl<'a> Opener<'a> {
    pub(super) fn by_token(key: &'a SiteKey) -> Self {
        Self { key, customer: None }
    }

    pub(super) fn by_session(key: &'a SiteKey, session: CustomerHeader, ticket: Option<Uuid>) -> Self {
        Self { key, customer: Some((session.0, ticket)) }
    }

    /// The client's network.
    pub(super) fn network(&self) -> Network {
        self.key.network()
    }

    /// A transaction that opens it.
    ///
    /// # Errors
    /// `401 customer_session_invalid`, and those of the key.
    pub(super) async fn enter(&self) -> Result<SiteTx, Problem> {
        let mut tx = self.key.enter().await?;
        let Some((session, ticket)) = self.customer else { return Ok(tx) };
        match store::identity::enter(&mut tx, session, ticket).await {
            Ok(_) => Ok(tx),
            Err(refused) => tx.finish(Err(refused)).await,
        }
    }
}

fn invalid() -> Problem {
    let detail = "This site does not take this token: it is unsigned, of another site, expired, used, or signed by no key of \
                  the site. The server's log says which.";
    Problem::new(Code::IdentityInvalid, detail)
}

#[OpenApi(prefix_path = "/support/v1", tag = "Tag::Identity")]
impl IdentityApi {
    /// Open a customer session
    ///
    /// Trades a token that the site's own server signed for a session of 12 hours, in which that person submits tickets under
    /// their proven address, lists them, reads them and answers them. Whatever is wrong with the token, the answer is the same
    /// `identity_invalid`; clocks may be a minute apart. Counts as a read of the site's limits.
    #[oai(path = "/identity", method = "post", operation_id = "openCustomerSession")]
    async fn open(
        &self,
        key: SiteKey,
        app: Data<&Arc<App>>,
        body: Json<Proof>,
    ) -> Result<answers::Created<CustomerSession>, Failure> {
        let mut checked = Checked::default();
        let Some(token) = checked.take("token", body.0.token) else {
            return Err(checked.problem().into());
        };
        let gate = key.gate();
        let SealedVerifiers { site_id, keys, secrets } = store::identity::verifiers(&gate).await?;
        let (Some(site), Some(secret)) = (site_id, app.secret.as_deref()) else {
            return Err(invalid().into());
        };
        let secrets = secrets.iter().filter_map(|sealed| identity::open(secret, site, sealed)).collect();
        let verifiers = Verifiers { keys: keys.map(|keys| keys.0.keys).unwrap_or_default(), secrets };
        let who = identity::verify(&token, site, &verifiers, OffsetDateTime::now_utc()).map_err(|why| {
            tracing::info!(site_id = %site, "an identity token was refused: {why}");
            invalid()
        })?;
        let session = CustomerToken::mint();
        let opened = store::identity::open(&gate, identity::openers(secret, site), &who, &session).await?;
        let expires_at = opened.ok_or_else(|| {
            tracing::info!(site_id = %site, "an identity token was refused: it was used before");
            invalid()
        })?;
        Ok(answers::Created(CustomerSession {
            session: session.reveal().to_owned(),
            expires_at,
            email: who.email,
            name: Nullable(who.name),
        }))
    }

    /// End a customer session
    ///
    /// When they log out of the site. Nothing is opened by it any more.
    #[oai(path = "/identity/end", method = "post", operation_id = "endCustomerSession")]
    async fn end(
        &self,
        key: SiteKey,
        /// The customer session.
        #[oai(name = "X-Vicket-Customer")]
        customer: CustomerHeader,
    ) -> Result<answers::NoContent, Failure> {
        let mut tx = Opener::by_session(&key, customer, None).enter().await?;
        let ended = store::identity::end(&mut tx).await;
        tx.finish(ended).await?;
        Ok(answers::NoContent)
    }
}
