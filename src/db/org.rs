//! Transactions within an org: of agents and machine keys, who come through their gate, and of the administration
//! commands, which come as the deploying login. Both are an [`OrgTx`], so that `store/` has one way to do a thing.

use sqlx::{
    Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

use super::{Access, ConnectionLease, OF_A_COMMAND, Pool, Servers, Session, turns::Tenant};
use crate::{
    domain::{
        keys::Sha256Digest,
        permissions::Permission,
        problem::{Code, Problem},
    },
    telemetry::request::note,
};

/// Connections of an administration command.
const OPERATOR_CONNECTIONS: usize = 2;

/// What opens the agents' gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Digest of a session's token.
    Session(Sha256Digest),
    /// Digest of a machine key.
    MachineKey(Sha256Digest),
}

/// What a request brings to the agents' gate: digests only.
pub struct AgentEntryRequest<'a> {
    pub access: Access,
    pub credential: Credential,
    /// Digest of the slug of the org that the request names.
    pub org: Option<Sha256Digest>,
    /// For the audit log.
    pub request_id: &'a str,
}

/// Who acts, as the gate said.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Of the user, or of the machine key.
    pub id: Uuid,
    /// `None` for a machine key.
    pub email: Option<String>,
    pub name: String,
    pub credential: Credential,
    /// In the org that was entered; empty without one.
    pub permissions: Vec<Permission>,
}

impl Actor {
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// The answer of the agents' gate.
#[allow(clippy::large_enum_variant)] // handed on once, and nearly all are the large one
pub enum AgentVerdict {
    /// In the org that was asked for; above any when none was.
    Entered(OrgTx),
    /// The credential is good, and there is no such org, or it is none of theirs.
    NoOrg,
    /// No such session or machine key, or no longer.
    Unknown,
}

/// The gate of the agent surface: the login `vicket_gate_agent`, which may do nothing but log people in and become an
/// agent of an org.
pub struct AgentGate {
    pool: Pool,
}

impl AgentGate {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Begins a transaction and enters the org, in two round trips. Reads see one moment of the database, so that a
    /// session that ends meanwhile does not turn a good answer into an empty one.
    ///
    /// # Errors
    /// `503` when no connection is to be had; a refused credential is a verdict and no error.
    pub async fn enter(&self, entry_request: &AgentEntryRequest<'_>) -> Result<AgentVerdict, Problem> {
        let begin = match entry_request.access {
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Access::Write => "BEGIN READ WRITE",
        };
        let entered = self.pool.start(entry_request.tenant(), |mut lease| async {
            let _entering = self.pool.entering();
            sqlx::raw_sql(begin).execute(lease.connection()).await?;
            let query = entry_request.bound("select * from auth.enter_org($1, $2, $3, $4)");
            let row = query.fetch_one(lease.connection()).await?;
            Ok((lease, row))
        });
        let (lease, row) = entered.await?;
        let refusal = match row.try_get::<&str, _>("verdict")? {
            "entered" => {
                let actor = actor(&row, entry_request.credential)?;
                let org_id = row.try_get("org_id")?;
                note(|known| {
                    known.org_id = org_id;
                    match actor.credential {
                        Credential::Session(_) => known.user_id = Some(actor.id),
                        Credential::MachineKey(_) => known.key_id = Some(actor.id),
                    }
                });
                return Ok(AgentVerdict::Entered(OrgTx { lease, actor: Some(actor) }));
            }
            "no_org" => AgentVerdict::NoOrg,
            _ => AgentVerdict::Unknown,
        };
        lease.roll_back().await?;
        Ok(refusal)
    }

    /// Executes one function of the schema `auth`, outside any org: how people log in and out.
    ///
    /// # Errors
    /// Those of the statement, and `503` when no connection is to be had.
    pub async fn ask(&self, query: Query<'_, Postgres, PgArguments>) -> Result<PgRow, Problem> {
        // BEGIN is the test of the connection, after which the function itself is tried once.
        let mut lease = self.pool.begin("BEGIN").await?;
        let row = query.fetch_one(lease.connection()).await.map_err(Problem::from);
        lease.end(row).await
    }

    /// As [`Self::ask`], of a function that returns any number of rows.
    ///
    /// # Errors
    /// `5xx` only.
    pub async fn ask_all(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, Problem> {
        let mut lease = self.pool.begin("BEGIN").await?;
        let rows = query.fetch_all(lease.connection()).await.map_err(Problem::from);
        lease.end(rows).await
    }

    /// The pool, for the start-up checks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl AgentEntryRequest<'_> {
    /// The org, or whoever asks above any.
    fn tenant(&self) -> Tenant {
        let (Credential::Session(who) | Credential::MachineKey(who)) = self.credential;
        self.org.or(Some(who))
    }

    /// A call of one of the resolvers, with the digests as its parameters.
    fn bound(&self, sql: &'static str) -> Query<'_, Postgres, PgArguments> {
        let (session, machine_key): (&[u8], &[u8]) = match &self.credential {
            Credential::Session(digest) => (digest.as_bytes(), &[]),
            Credential::MachineKey(digest) => (&[], digest.as_bytes()),
        };
        let org: &[u8] = self.org.as_ref().map_or(&[], |digest| digest.as_bytes());
        sqlx::query(sql).bind(session).bind(machine_key).bind(org).bind(self.request_id)
    }
}

fn actor(row: &PgRow, credential: Credential) -> Result<Actor, sqlx::Error> {
    let permissions: Option<Vec<String>> = row.try_get("permissions")?;
    Ok(Actor {
        id: row.try_get("actor_id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        credential,
        // A newer schema may have some that this program knows nothing of, and so asks for nowhere.
        permissions: permissions.unwrap_or_default().iter().filter_map(|name| Permission::parse(name)).collect(),
    })
}

/// A transaction within an org: row-level security filters every statement by it, and for an agent by what they may do
/// there. Dropped without [`OrgTx::finish`] or [`OrgTx::commit`], it closes its connection, which rolls back.
pub struct OrgTx {
    lease: ConnectionLease,
    actor: Option<Actor>,
}

impl OrgTx {
    /// Binds a transaction of the administration commands to the org of this slug.
    ///
    /// # Errors
    /// `404 not_found` when there is no such org.
    pub async fn enter(&mut self, org_slug: &str) -> Result<(), Problem> {
        let entered: Option<Uuid> =
            sqlx::query_scalar("select admin.enter_org($1)").bind(org_slug).fetch_one(self.connection()).await?;
        match entered {
            Some(_) => Ok(()),
            None => Err(Problem::new(Code::NotFound, format!("There is no org `{org_slug}`."))),
        }
    }

    /// Binds a transaction of the administration commands to an org of which there is an audit log: by its slug, or by its id
    /// when it is gone.
    ///
    /// # Errors
    /// `404 not_found` when there is none.
    pub async fn enter_audit_log(&mut self, org: &str) -> Result<(), Problem> {
        let entered: Option<Uuid> =
            sqlx::query_scalar("select admin.enter_org($1, true)").bind(org).fetch_one(self.connection()).await?;
        match entered {
            Some(_) => Ok(()),
            None => Err(Problem::new(Code::NotFound, format!("There is no org `{org}`, and none had that id."))),
        }
    }

    /// Who acts; `None` for the administration commands.
    pub fn actor(&self) -> Option<&Actor> {
        self.actor.as_ref()
    }

    /// For `store/` only: every statement goes through here.
    pub fn connection(&mut self) -> &mut Session {
        self.lease.connection()
    }

    /// Commits.
    ///
    /// # Errors
    /// When PostgreSQL does not commit.
    pub async fn commit(self) -> Result<(), Problem> {
        self.lease.end(Ok(())).await
    }

    /// Commits when `result` is good, rolls back when it is not, and passes it on.
    ///
    /// # Errors
    /// Those of `result`; `5xx` when the commit itself fails.
    pub async fn finish<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        self.lease.end(result).await
    }

    /// Rolls back, however good `result` is, and passes it on: what was tried out is not kept.
    ///
    /// # Errors
    /// Those of `result`; `5xx` when PostgreSQL does not answer.
    pub async fn undo<T>(self, result: Result<T, Problem>) -> Result<T, Problem> {
        self.lease.roll_back().await?;
        result
    }
}

/// The deploying login, for the commands that administer without a browser.
pub struct Operator {
    pool: Pool,
}

impl Operator {
    /// Connects as the deploying login.
    ///
    /// # Errors
    /// When the URL is none or nobody answers.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let pool = Pool::of(Servers::of(url)?, OPERATOR_CONNECTIONS, &OF_A_COMMAND)?;
        pool.probe().await?;
        Ok(Self { pool })
    }

    /// A transaction above any org: only the functions of the schema `admin`.
    ///
    /// # Errors
    /// `503` when the database cannot be reached.
    pub async fn begin(&self) -> Result<OrgTx, Problem> {
        let lease = self.pool.begin("BEGIN; SET LOCAL ROLE vicket_operator").await?;
        Ok(OrgTx { lease, actor: None })
    }

    /// A transaction within the org of this slug.
    ///
    /// # Errors
    /// `404 not_found` when there is no such org.
    pub async fn enter(&self, org_slug: &str) -> Result<OrgTx, Problem> {
        let mut tx = self.begin().await?;
        tx.enter(org_slug).await?;
        Ok(tx)
    }
}
