//! Who asks on the agent surface, and for what, as types: what a handler's first argument says stands in the document, and
//! holds before the other arguments are read.
//!
//! The permission is asked for to give the good answer: what a request may really do, policies decide in the database.

use std::{
    marker::PhantomData,
    ops::Deref,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use poem::{
    Request, RequestBody,
    http::{HeaderMap, Method},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchemaRef, MetaSecurityScheme, Registry},
    types::Type as _,
};

use super::{
    Slot,
    agent::{AgentCaller, COOKIE, note_use, presented},
    csrf::{self, RequestOrigin},
    visitor::Visitor,
};
use crate::{
    db::{Access, Actor, Credential, OrgTx},
    domain::{
        keys::Sha256Digest,
        permissions::{Needed, Permission},
        problem::{Code, Problem},
    },
    http::{request::client_network, router::ANYONE},
    limits::{Network, Standing},
    state::App,
};

const SESSION: &str = "Session";
const MACHINE_KEY: &str = "MachineKey";

/// Where a request comes from, and the transaction that it entered.
pub struct RequestInfo {
    pub network: Network,
    /// What the request says of whoever sends it.
    pub visitor: Visitor,
    /// Scheme, host and port under which people reach this server.
    pub public_url: String,
    /// Limits that the handler asked; the answer says where they stand.
    pub standings: Mutex<Vec<Standing>>,
    entry_request: OnceLock<EntryRequest>,
    tx: Slot<OrgTx>,
}

/// How a request enters.
#[derive(Clone, Copy)]
struct EntryRequest {
    caller: AgentCaller,
    access: Access,
    permission: Option<Permission>,
}

impl EntryRequest {
    async fn enter(&self, app: &App) -> Result<OrgTx, Problem> {
        self.permitted(self.caller.enter(app, self.access, &mut Vec::new()).await?).await
    }

    async fn permitted(&self, tx: OrgTx) -> Result<OrgTx, Problem> {
        match self.permission {
            Some(permission) if !tx.actor().is_some_and(|actor| actor.may(permission)) => {
                tx.finish(Err(Problem::permission_required(permission))).await
            }
            _ => Ok(tx),
        }
    }
}

impl RequestInfo {
    pub fn of(request: &Request, app: &App) -> Self {
        let public_url = csrf::public_url(app.public_url.as_deref(), request.uri(), request.headers());
        Self {
            network: client_network(request, app),
            visitor: Visitor::of(request.headers()),
            public_url,
            standings: Mutex::default(),
            entry_request: OnceLock::new(),
            tx: Slot::empty(),
        }
    }

    fn origin(&self, headers: &HeaderMap) -> RequestOrigin {
        RequestOrigin::of(headers, &self.public_url)
    }

    /// Ends the transaction that the handler did not take, because its input was refused: nothing was done, the connection
    /// is clean.
    pub async fn leave(&self) {
        if let Some(tx) = self.tx.take() {
            let _: Result<(), Problem> = tx.finish(Err(Problem::not_found())).await;
        }
    }

    /// Enters once more to see whether the caller still may, and passes on what was refused.
    ///
    /// # Errors
    /// That of `refused`; `401`, `403` or `404` when the session ended or the permission was lost meanwhile.
    pub async fn ask_again<T>(&self, app: &App, refused: Result<T, Problem>) -> Result<T, Problem> {
        match self.entry_request.get() {
            Some(entry_request) => entry_request.enter(app).await?.finish(refused).await,
            None => refused,
        }
    }
}

/// A caller who was let in.
pub struct Caller {
    app: Arc<App>,
    info: Arc<RequestInfo>,
    entry_request: EntryRequest,
}

impl Caller {
    /// Reads the credential, enters what the request names, and asks for the permission, in this order.
    async fn let_in(request: &Request, permission: Option<Permission>, by_session: bool) -> Result<Self, Problem> {
        let (app, info) = context(request)?;
        let credential = presented(&app, request.headers())?;
        if by_session && matches!(credential, Credential::MachineKey(_)) {
            let detail = "This is about a person's own log-in: send a session.";
            return Err(Problem::new(Code::SessionRequired, detail));
        }
        let unsafe_call = !matches!(*request.method(), Method::GET | Method::HEAD);
        // What is about a log-in is written by the gate itself, in a transaction of its own.
        let access = if unsafe_call && !by_session { Access::Write } else { Access::Read };
        let org = request.raw_path_param("org").map(|slug| Sha256Digest::of(slug.as_bytes()));
        let caller = AgentCaller { network: info.network, credential, org };
        let entry_request = EntryRequest { caller, access, permission };
        let mut standings = Vec::new();
        let entered = caller.enter(&app, access, &mut standings).await;
        info.standings.lock().unwrap_or_else(PoisonError::into_inner).extend(standings);
        let tx = entered?;
        let own = info.origin(request.headers()) == RequestOrigin::Own;
        if unsafe_call && matches!(credential, Credential::Session(_)) && !own {
            return tx.finish(Err(csrf::refusal(&info.public_url))).await;
        }
        let tx = entry_request.permitted(tx).await?;
        note_use(&app, tx.actor());
        info.tx.put(tx);
        let entry_request = *info.entry_request.get_or_init(|| entry_request);
        Ok(Self { app, info, entry_request })
    }

    pub fn info(&self) -> &RequestInfo {
        &self.info
    }

    /// Does the work of a request in one transaction: the one that its credential entered before the handler, and else one
    /// that enters now. Commits when the work is good.
    ///
    /// # Errors
    /// Those of `work`; when it enters now, `401`, `403` or `404` as the session, permission or org was lost meanwhile; `5xx`
    /// when the commit fails.
    pub async fn run<T>(&self, work: impl AsyncFnOnce(&mut OrgTx) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut tx = match self.info.tx.take() {
            Some(tx) => tx,
            None => self.entry_request.enter(&self.app).await?,
        };
        let worked = work(&mut tx).await;
        tx.finish(worked).await
    }

    /// As [`Caller::run`], for what is about the caller and not about an org: the transaction ends here.
    ///
    /// # Errors
    /// `5xx` when the transaction cannot be ended.
    pub async fn actor(&self) -> Result<Actor, Problem> {
        self.run(async |tx| {
            tx.actor().cloned().ok_or_else(|| Problem::internal("a transaction of the agent surface has no actor"))
        })
        .await
    }
}

fn context(request: &Request) -> Result<(Arc<App>, Arc<RequestInfo>), Problem> {
    let context = request.data::<Arc<App>>().zip(request.data::<Arc<RequestInfo>>());
    let (app, info) = context.ok_or_else(|| Problem::internal("a handler ran outside the agent surface"))?;
    Ok((Arc::clone(app), Arc::clone(info)))
}

/// The org that the path names, entered by a session or a machine key that may do `P` there. The argument is called `org`, as
/// the parameter of the path.
pub struct Org<P> {
    caller: Caller,
    may: PhantomData<fn() -> P>,
}

impl<P> Deref for Org<P> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// A session, of whatever org: what a person does about their own log-in.
pub struct Person(Caller);

impl Deref for Person {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl Person {
    /// The digest of the session's token; the transaction ends here.
    ///
    /// # Errors
    /// `5xx` when the transaction cannot be ended.
    pub async fn token(&self) -> Result<Sha256Digest, Problem> {
        match self.actor().await?.credential {
            Credential::Session(token) => Ok(token),
            Credential::MachineKey(_) => Err(Problem::internal("a machine key passed for a session")),
        }
    }
}

/// Nobody yet: who logs in. Somebody else's page must not log a person in as somebody else.
pub struct Anyone {
    info: Arc<RequestInfo>,
}

impl Anyone {
    fn of(request: &Request) -> Result<Self, Problem> {
        let (_, info) = context(request)?;
        match info.origin(request.headers()) {
            RequestOrigin::Foreign => Err(csrf::refusal(&info.public_url)),
            RequestOrigin::Own | RequestOrigin::Unsaid => Ok(Self { info }),
        }
    }

    pub fn info(&self) -> &RequestInfo {
        &self.info
    }
}

impl<'a, P: Needed> ApiExtractor<'a> for Org<P> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme, ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = String;
    type ParamRawType = String;

    fn register(registry: &mut Registry) {
        register_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SESSION, MACHINE_KEY, P::NAME]
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Path)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(String::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        Ok(Self { caller: Caller::let_in(request, P::PERMISSION, false).await?, may: PhantomData })
    }
}

/// `$scheme`s that are not declared are what the operation needs, in the document; see `http/openapi.rs`.
macro_rules! without_org {
    ($type:ident, [$($scheme:expr),*], |$request:ident| $let_in:expr) => {
        impl<'a> ApiExtractor<'a> for $type {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                register_schemes(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![$($scheme),*]
            }

            async fn from_request(
                $request: &'a Request,
                _body: &mut RequestBody,
                _options: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                Ok($let_in?)
            }
        }
    };
}

without_org!(Caller, [SESSION, MACHINE_KEY, "credential"], |request| Caller::let_in(request, None, false).await);
without_org!(Person, [SESSION, "session"], |request| Caller::let_in(request, None, true).await.map(Person));
without_org!(Anyone, [ANYONE], |request| Anyone::of(request));

fn register_schemes(registry: &mut Registry) {
    let scheme = |ty, description| MetaSecurityScheme {
        ty,
        description: Some(description),
        name: None,
        key_in: None,
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    let session = "A person's session, from `POST /v1/auth/login`: 14 days from the last use, 90 at most. Unsafe calls with it \
                   need a same-origin `Origin` or `Sec-Fetch-Site`. Under HTTPS the cookie is `__Host-vicket_session`.";
    let session = MetaSecurityScheme { name: Some(COOKIE), key_in: Some("cookie"), ..scheme("apiKey", session) };
    registry.create_security_scheme(SESSION, session);
    let machine_key = "A machine key: `sk_`, 43 characters, `_` and 6 of checksum. It may do what it was given and what its \
                       creator may do now, in its org. Never from a browser.";
    let machine_key = MetaSecurityScheme { scheme: Some("bearer"), ..scheme("http", machine_key) };
    registry.create_security_scheme(MACHINE_KEY, machine_key);
}
