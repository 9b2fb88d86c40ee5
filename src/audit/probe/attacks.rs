//! Ways in that were open once, tried again: functions that believed a setting in place of the key, an object's name that
//! was reserved without asking who asks, a context of which the next one found a rest, a session that was not clean.
//!
//! What tells others' rows is no row of a table here, but an answer that differs from what nobody's row would be answered.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{
    outcome::{Leak, Probes},
    plant::{self, Planted},
    statements::{self, Outcome, Trial, literal},
    subjects::{self, Kind, Subject},
};
use crate::domain::keys::Sha256Digest;

/// What must have come about for its own, or the refusals prove nothing: subject and verb.
const MUST_REACH: [(&str, &str); 8] = [
    (subjects::MAIL, "added"),
    (subjects::WIDGET, "claimed"),
    (subjects::WIDGET, "reserved"),
    (subjects::OWNER, "reserved"),
    (ENTERING, "entered by a key with"),
    (ENTERING, "entered by a session with"),
    (ENTERING, "entered by a machine key with"),
    (ENTERING, "entered by an address with"),
];
const ENTERING: &str = "who enters";

/// What a statement leaves on its session, and what takes it away again. The last ones outlive a savepoint, or wait for
/// COMMIT, so that only a session of its own can try them.
pub(super) const LEFTOVERS: [(&str, &str); 5] = [
    ("prepare probe_leftover as select 1", "deallocate probe_leftover"),
    ("declare probe_leftover cursor with hold for select 1", "close probe_leftover"),
    ("create temporary table probe_leftover ()", "drop table pg_temp.probe_leftover"),
    ("set role none; set role %role", "reset role"),
    ("listen probe_leftover", "unlisten *"),
];

/// It ends a session that is not clean as soon as that is idle: within one message it is not, and goes on.
const CLEAN: &str = "select auth.session_is_clean(); reset idle_session_timeout";
/// 64 hex digits: a SHA-256.
const SEEN: &str = "select exists (select from pg_stat_activity
    where usename = session_user and pid <> pg_backend_pid() and query ~ '[0-9a-fA-F]{64}')";

/// Every attack of every subject.
///
/// # Errors
/// When the transaction breaks.
pub async fn attacks(tx: &mut PgConnection, planted: &Planted, probes: &mut Probes) -> anyhow::Result<()> {
    sqlx::raw_sql("reset role; savepoint attacks").execute(&mut *tx).await?;
    for subject in subjects::subjects(planted) {
        plant::context(tx, &subject.settings()).await?;
        plant::become_role(tx, Some(subject.role)).await?;
        sqlx::raw_sql("savepoint probe").execute(&mut *tx).await?;
        for trial in of(planted, &subject) {
            attack(tx, subject.name, &trial, probes).await?;
        }
        sqlx::raw_sql("rollback to savepoint attacks").execute(&mut *tx).await?;
    }
    plant::become_role(tx, Some("vicket_definer")).await?;
    sqlx::raw_sql("savepoint probe").execute(&mut *tx).await?;
    for trial in entering(planted) {
        attack(tx, ENTERING, &trial, probes).await?;
    }
    sqlx::raw_sql("rollback to savepoint attacks").execute(&mut *tx).await?;
    // By whoever is no gate and may ask all the same: it is the gates' session that counts.
    let may: bool = sqlx::query_scalar("select has_function_privilege('auth.session_is_clean()', 'execute')")
        .fetch_one(&mut *tx)
        .await?;
    if may {
        sqlx::raw_sql("savepoint probe").execute(&mut *tx).await?;
        for (leave, undo) in LEFTOVERS.iter().take(3) {
            let sql = format!("{leave}; select auth.session_is_clean()::integer::bigint as foreign_rows");
            let trial = Trial { sql, verb: "called clean a session with", reads: false };
            attack(tx, "a session", &trial, probes).await?;
            // A savepoint does not take back what was prepared.
            statements::attempt(tx, &Trial { sql: (*undo).to_owned(), ..trial }).await?;
        }
    }
    for (subject, verb) in MUST_REACH {
        if !probes.reached.contains(&(subject, verb)) {
            probes.failures.push(format!("{subject}: nothing of its own was {verb}, so nothing was proved of others'"));
        }
    }
    Ok(())
}

async fn attack(
    tx: &mut PgConnection,
    subject: &'static str,
    trial: &Trial,
    probes: &mut Probes,
) -> anyhow::Result<()> {
    probes.attacks.tried += 1;
    match statements::attempt(tx, trial).await? {
        Outcome::Refused => probes.attacks.refused += 1,
        Outcome::Ran { foreign: 0, own } => {
            probes.attacks.contained += 1;
            probes.attacks.own_rows += own;
            if own > 0 {
                probes.reached.insert((subject, trial.verb));
            }
        }
        Outcome::Ran { foreign, .. } => {
            probes.attacks.leaked += 1;
            probes.leaks.push(Leak {
                table: "-".to_owned(),
                subject: subject.to_owned(),
                statement: trial.sql.clone(),
                what: format!("{} {foreign} that it must not", trial.verb),
            });
        }
    }
    Ok(())
}

/// `array['..', ..]::KIND[]`
fn array(values: &[&str], kind: &str) -> String {
    let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
    format!("array[{}]::{kind}[]", values.join(", "))
}

fn of(planted: &Planted, subject: &Subject) -> Vec<Trial> {
    let mut trials = reserving(planted, subject);
    if subject.role == "vicket_mail" {
        let own = subject.kind == Kind::Mail;
        trials.push(Trial {
            sql: format!(
                "insert into vicket.inbound_mails (address_id, recipient, mail_from, message_digest, content_digest, raw)
                select ctx.address_by_mail(), 'a@probe.example', '', sha256('probe'), sha256('probe'), 'probe';
                select {}::bigint as foreign_rows, {}::bigint as own_rows",
                i32::from(!own),
                i32::from(own)
            ),
            verb: "added",
            reads: false,
        });
    }
    if subject.role != "vicket_widget" {
        return trials;
    }
    // Of the sites that are not the key's.
    let others = |table: &str, column: &'static str| -> Vec<&str> {
        let rows = planted.of(table).iter().filter(|row| (row.org, row.site) != (0, Some(0)));
        rows.filter_map(|row| row.value(column)).collect()
    };
    let tickets = array(&others("vicket.tickets", "id"), "uuid");
    trials.push(Trial {
        sql: format!(
            "select count(*) filter (where ctx.may_issue_token(t.id) is distinct from ctx.may_issue_token(gen_random_uuid()))
                as foreign_rows, count(*) as own_rows
            from unnest({tickets}) t (id)"
        ),
        verb: "told from nobody's",
        reads: false,
    });
    trials.push(Trial {
        sql: format!("select count(*) as foreign_rows from unnest({tickets}) t (id) where t.id = ctx.ticket_id()"),
        verb: "opened",
        reads: false,
    });
    // Another customer's session, ticket by ticket: what it names is theirs, or nothing.
    let sessions = array(&others("vicket.customer_sessions", "token_hash"), "bytea");
    trials.push(Trial {
        sql: format!(
            "select count(*) as foreign_rows from unnest({sessions}) s (token_hash)
            cross join lateral ctx.as_customer(s.token_hash, null) c where c.id is not null"
        ),
        verb: "became a customer by",
        reads: false,
    });
    trials.push(Trial {
        sql: "select count(*) as foreign_rows where ctx.digest('customer') is not null
            and ctx.may_submit('nobody@probe.example')"
            .to_owned(),
        verb: "might have submitted in the name of",
        reads: false,
    });
    trials.push(Trial {
        sql: format!(
            "select count(*) as foreign_rows from unnest({tickets}) t (id)
            cross join lateral ctx.activity_of_mine(t.id) a where a.last_at is not null or a.unread > 0"
        ),
        verb: "told of the activity of",
        reads: false,
    });
    trials.push(Trial {
        sql: format!(
            "select count(*) as foreign_rows from ctx.listed_origins() o (origin) where o.origin = any ({})",
            array(&others("vicket.site_origins", "origin"), "text")
        ),
        verb: "listed",
        reads: false,
    });
    trials.push(Trial {
        sql: format!(
            "select count(*) filter (where c.verdict <> 'new' or c.ticket_id = any ({tickets})) as foreign_rows,
                count(*) filter (where c.verdict = 'new') as own_rows
            from unnest({}, {}) s (key_hash, request_hash)
            cross join lateral ctx.claim_submission('ticket', s.key_hash, s.request_hash) c",
            array(&others("vicket.submissions", "key_hash"), "bytea"),
            array(&others("vicket.submissions", "request_hash"), "bytea"),
        ),
        verb: "claimed",
        reads: false,
    });
    trials
}

/// A new name of an object, in each site.
fn reserving(planted: &Planted, subject: &Subject) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (org, sites) in planted.sites.iter().enumerate() {
        for (place, site) in sites.iter().enumerate() {
            let own = match subject.kind {
                Kind::Widget | Kind::Customer | Kind::Agent => (org, place) == (0, 0),
                Kind::Owner | Kind::Admin | Kind::Operator => org == 0,
                Kind::Nobody | Kind::Powerless | Kind::Mail => false,
            };
            let key = format!("'{}/{site}/' || gen_random_uuid()", planted.orgs[org]);
            let (columns, values) = match subject.role {
                "vicket_widget" => ("object_key", key),
                _ => ("site_id, object_key", format!("'{site}', {key}")),
            };
            let sql = format!(
                "with r as (insert into vicket.object_removals ({columns}) select {values} returning 1)
                select {} as foreign_rows, {} as own_rows from r",
                if own { "0::bigint" } else { "count(*)" },
                if own { "count(*)" } else { "0::bigint" },
            );
            trials.push(Trial { sql, verb: "reserved", reads: false });
        }
    }
    trials
}

/// Whoever enters, or is not let in, where somebody else was before: how many settings of theirs are left.
fn entering(planted: &Planted) -> Vec<Trial> {
    const BEFORE: &str = "0000000000004000a000000000000000";
    let digest = |table: &str, column: &str, site| {
        planted.value(table, column, 0, site, 0).map_or_else(|| "''".to_owned(), literal)
    };
    let key = digest("vicket.site_keys", "key_hash", Some(0));
    let address = digest("vicket.mail_addresses", "digest", Some(0));
    let session = digest("vicket.sessions", "token_hash", None);
    let machine = digest("vicket.machine_keys", "key_hash", None);
    let slug = planted.value("vicket.orgs", "slug", 0, None, 0).unwrap_or_default();
    let slug = format!("'\\x{}'", Sha256Digest::of(slug.as_bytes()).to_hex());
    let mut before = String::new();
    for name in plant::CONTEXT {
        before += &format!("set local app.{name} = '{BEFORE}'; ");
    }
    let names = |call: &str| {
        let reset = plant::CONTEXT.iter().filter(|name| match **name {
            "mail_hash" => call.starts_with("auth.enter_mail"),
            "customer_hash" | "customer_ticket" => call.starts_with("auth.enter("),
            _ => true,
        });
        reset.map(|name| literal(name)).collect::<Vec<_>>().join(", ")
    };
    let trial = |verb, call: String| Trial {
        sql: format!(
            "{before} select from {call};
            select count(*) filter (where current_setting('app.' || n, true) = '{BEFORE}') as foreign_rows,
              (nullif(current_setting('app.org_id'), '') is not null)::integer::bigint as own_rows
            from unnest(array[{}]) n",
            names(&call)
        ),
        verb,
        reads: false,
    };
    vec![
        trial("entered by a key with", format!("auth.enter({key}, '', '')")),
        trial("refused a key with", "auth.enter('\\x00', '', '')".to_owned()),
        trial("entered by a session with", format!("auth.enter_actor({session}, '', {slug}, '')")),
        trial("entered by a machine key with", format!("auth.enter_actor('', {machine}, {slug}, '')")),
        trial("entered by an address with", format!("auth.enter_mail({address})")),
        trial("refused an address with", "auth.enter_mail('\\x00')".to_owned()),
        trial("refused a session with", format!("auth.enter_actor('\\x00', '', {slug}, '')")),
    ]
}

/// A gate's own session: what a statement left on it must be seen, and no statement of another session of the login may
/// hold what is as good as a credential. Outside any transaction.
///
/// # Errors
/// When the connection is lost.
pub(super) async fn session(
    connection: &mut PgConnection,
    (name, role): (&str, &str),
    probes: &mut Probes,
) -> anyhow::Result<()> {
    let mut leak = |statement: &str, what: &str| {
        probes.leaks.push(Leak {
            table: "-".to_owned(),
            subject: name.to_owned(),
            statement: statement.to_owned(),
            what: what.to_owned(),
        });
    };
    if !answer(connection, CLEAN).await?.unwrap_or_default() {
        probes
            .failures
            .push(format!("{name}: its session is never clean, so nothing was proved of what is left on it"));
    }
    for (leave, undo) in LEFTOVERS {
        probes.gates.tried += 1;
        let leave = leave.replace("%role", role);
        if run(connection, &leave).await? {
            if answer(connection, CLEAN).await? == Some(true) {
                probes.gates.leaked += 1;
                leak(&leave, "left something for the next tenant of the connection");
            } else {
                probes.gates.contained += 1;
            }
            run(connection, undo).await?;
        } else {
            probes.gates.refused += 1;
        }
    }
    probes.gates.tried += 1;
    match answer(connection, SEEN).await? {
        None => probes.gates.refused += 1,
        Some(false) => probes.gates.contained += 1,
        Some(true) => {
            probes.gates.leaked += 1;
            leak(SEEN, "is shown a digest in the text of another session's statement");
        }
    }
    Ok(())
}

/// Whether PostgreSQL did it.
async fn run(connection: &mut PgConnection, sql: &str) -> anyhow::Result<bool> {
    match sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `None` when PostgreSQL refuses to answer.
async fn answer(connection: &mut PgConnection, sql: &'static str) -> anyhow::Result<Option<bool>> {
    match sqlx::raw_sql(sql).fetch_all(connection).await {
        Ok(rows) => Ok(rows.first().map(|row| row.try_get(0)).transpose()?),
        Err(sqlx::Error::Database(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
