//! Two orgs with two sites each, and rows of each in every table, made from the catalog: columns are filled by their type
//! and by what their CHECKs and foreign keys ask for. Nothing of it is ever committed.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, PgConnection, types::Json};
use uuid::Uuid;

use super::catalog::{Column, Table, granted};
use crate::domain::keys::Sha256Digest;

/// Who plants, when the login is no superuser: whoever of these may insert into the table.
const PLANTERS: [&str; 5] = ["vicket_operator", "vicket_definer", "vicket_agent", "vicket_widget", "vicket_mail"];
/// Rows of each kind: values that a CHECK lists and booleans differ between them.
const VARIANTS: usize = 3;
/// How often a row is tried with other values.
const TRIES: usize = 60;

/// Of each column that may be read, its value as text.
type Known = BTreeMap<String, Option<String>>;

/// One row that was planted.
#[derive(Clone, Debug)]
pub struct Row {
    pub org: usize,
    pub site: Option<usize>,
    pub variant: usize,
    /// Of each column that is known, its value as text.
    pub values: BTreeMap<String, String>,
}

impl Row {
    pub fn value(&self, column: &str) -> Option<&str> {
        self.values.get(column).map(String::as_str)
    }
}

/// What there is to keep apart.
#[derive(Default, Debug)]
pub struct Planted {
    pub orgs: Vec<String>,
    /// Of each org, its sites.
    pub sites: Vec<Vec<String>>,
    pub rows: BTreeMap<String, Vec<Row>>,
    /// Tables that could not be planted, and why.
    pub barren: BTreeMap<String, String>,
}

impl Planted {
    pub fn of(&self, table: &str) -> &[Row] {
        self.rows.get(table).map_or(&[], Vec::as_slice)
    }

    /// The value of a column in the first row of an org, and of a site when one is named.
    pub fn value(&self, table: &str, column: &str, org: usize, site: Option<usize>, variant: usize) -> Option<&str> {
        self.of(table)
            .iter()
            .find(|row| row.org == org && (site.is_none() || row.site == site) && row.variant == variant)
            .and_then(|row| row.value(column))
    }
}

/// The settings that are the context of a request.
pub const CONTEXT: [&str; 12] = [
    "org_id",
    "site_id",
    "key_hash",
    "ticket_hash",
    "submission_hash",
    "session_hash",
    "machine_key_hash",
    "invitation_hash",
    "request_id",
    // Of the gate of mail alone, whose connections no other gate has.
    "mail_hash",
    // Of the gate of the widget alone, likewise.
    "customer_hash",
    "customer_ticket",
];

/// Sets the context of this transaction; what is not named is empty.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn context(connection: &mut PgConnection, settings: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut statements = String::new();
    for name in CONTEXT {
        let value = settings.iter().find(|(set, _)| *set == name).map_or("", |(_, value)| value);
        let safe = value.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
        anyhow::ensure!(safe, "only digests and ids are ever put into a context");
        statements += &format!("set local app.{name} = '{value}';");
    }
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await?;
    Ok(())
}

/// Plants everything, in the transaction that `connection` is in.
///
/// # Errors
/// When the two orgs cannot be made.
pub async fn plant(connection: &mut PgConnection, tables: &[Table]) -> anyhow::Result<Planted> {
    let superuser: bool = sqlx::query_scalar("select rolsuper from pg_roles where rolname = current_user")
        .fetch_one(&mut *connection)
        .await?;
    let mut planted = Planted::default();
    let mut counter = 0;
    for org in 0..2 {
        let slug = format!("probe-{}", &Uuid::new_v4().simple().to_string()[..12]);
        become_role(connection, Some("vicket_operator")).await?;
        let id: Uuid = sqlx::query_scalar("select admin.create_org($1, 'Probe')")
            .bind(&slug)
            .fetch_one(&mut *connection)
            .await
            .context("an org to probe with could not be made")?;
        become_role(connection, None).await?;
        planted.orgs.push(id.to_string());
        planted.sites.push(Vec::new());
        let values = BTreeMap::from([("id".to_owned(), id.to_string()), ("slug".to_owned(), slug)]);
        planted.rows.entry("vicket.orgs".to_owned()).or_default().push(Row { org, site: None, variant: 0, values });
    }
    let planters: Vec<Option<&str>> = if superuser { vec![None] } else { PLANTERS.into_iter().map(Some).collect() };
    let mut waiting: Vec<(&Table, usize, Option<usize>, usize)> = Vec::new();
    for table in tables.iter().filter(|table| table.name != "vicket.orgs") {
        for org in 0..2 {
            waiting.extend(slots(table).into_iter().map(|(site, variant)| (table, org, site, variant)));
        }
    }
    // A row may need what comes later, a session of whoever plants it: as long as something grows, the rest is tried again.
    let mut failures: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let before = waiting.len();
        let mut left = Vec::new();
        for (table, org, site, variant) in waiting {
            if let Err(error) =
                one(connection, table, &planters, (org, site, variant), &mut planted, &mut counter).await
            {
                failures.insert(table.name.clone(), format!("{error:#}"));
                left.push((table, org, site, variant));
            }
        }
        if left.is_empty() || left.len() == before {
            break;
        }
        waiting = left;
    }
    for table in tables {
        if (0..2).any(|org| !planted.of(&table.name).iter().any(|row| row.org == org)) {
            let why = failures.remove(&table.name).unwrap_or_else(|| "nobody may insert into it".to_owned());
            planted.barren.insert(table.name.clone(), why);
        }
    }
    become_role(connection, None).await?;
    context(connection, &[]).await?;
    Ok(planted)
}

/// Which sites a table's rows are of, each in its variants. A table of sites is planted with one row a site;
/// teams are of the first only, so that whoever is in one has no business with the second's tickets.
fn slots(table: &Table) -> Vec<(Option<usize>, usize)> {
    let sites: &[Option<usize>] = match &table.site {
        _ if table.name == "vicket.sites" => return vec![(Some(0), 0), (Some(1), 0)],
        _ if table.name == "vicket.team_sites" => &[Some(0)],
        Some(_) if table.site_required => &[Some(0), Some(1)],
        Some(_) => &[Some(0), Some(1), None],
        None => &[None],
    };
    sites.iter().flat_map(|site| (0..VARIANTS).map(move |variant| (*site, variant))).collect()
}

/// # Errors
/// When the login may not become it.
pub async fn become_role(connection: &mut PgConnection, role: Option<&str>) -> anyhow::Result<()> {
    let statement = role.map_or_else(|| "reset role".to_owned(), |role| format!("set local role {role}"));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

async fn one(
    connection: &mut PgConnection,
    table: &Table,
    planters: &[Option<&str>],
    (org, site, variant): (usize, Option<usize>, usize),
    planted: &mut Planted,
    counter: &mut usize,
) -> anyhow::Result<()> {
    let org_id = planted.orgs[org].clone();
    let mut settings = vec![("org_id", org_id.as_str())];
    let site_id = site.and_then(|site| planted.sites[org].get(site)).cloned();
    if let Some(site_id) = &site_id {
        settings.push(("site_id", site_id));
    }
    let hash = |table: &str, column: &str, site, variant| {
        planted.value(table, column, org, site, variant).map(|hash| hash.trim_start_matches("\\x").to_owned())
    };
    let digest = |table: &str, column: &str, site| hash(table, column, site, 0);
    let submission = hash("vicket.submissions", "key_hash", site, variant)
        .zip(hash("vicket.submissions", "request_hash", site, variant))
        .map(|(key, request)| key + &request);
    let key = digest("vicket.site_keys", "key_hash", site);
    let token = digest("vicket.ticket_tokens", "token_hash", site);
    let session = digest("vicket.sessions", "token_hash", None);
    let address = digest("vicket.mail_addresses", "digest", site);
    let customer = hash("vicket.customer_sessions", "token_hash", site, variant);
    if table.name == "vicket.tickets" {
        // Whose it is is of the context: they come first.
        customer.as_ref().context("no customer has a session to submit it by")?;
    }
    let credentials = [
        ("mail_hash", &address),
        ("key_hash", &key),
        ("customer_hash", &customer),
        ("ticket_hash", &token),
        ("session_hash", &session),
        ("submission_hash", &submission),
    ];
    for (name, value) in credentials {
        if let Some(value) = value {
            settings.push((name, value));
        }
    }
    context(connection, &settings).await?;
    let mut failure = anyhow::anyhow!("nobody may insert into it");
    for planter in planters {
        let insertable = granted(connection, *planter, table, "insert").await?;
        if insertable.is_empty() {
            continue;
        }
        let readable = granted(connection, *planter, table, "select").await?;
        match insert(connection, table, (*planter, &insertable, &readable), (org, site, variant), planted, counter)
            .await
        {
            Ok(row) => {
                if table.name == "vicket.sites" {
                    planted.sites[org].push(row.value("id").context("the site's id is not to be read")?.to_owned());
                }
                planted.rows.entry(table.name.clone()).or_default().push(row);
                return Ok(());
            }
            Err(error) => failure = error,
        }
    }
    // What triggers and migrations made is as good, and may be all that there can be.
    for planter in planters {
        if let Some(values) = existing(connection, table, *planter, &org_id, site_id.as_deref()).await? {
            planted.rows.entry(table.name.clone()).or_default().push(Row { org, site, variant, values });
            return Ok(());
        }
    }
    Err(failure)
}

/// A row of this org, and site, that is there already.
async fn existing(
    connection: &mut PgConnection,
    table: &Table,
    planter: Option<&str>,
    org_id: &str,
    site_id: Option<&str>,
) -> anyhow::Result<Option<BTreeMap<String, String>>> {
    let readable = granted(connection, planter, table, "select").await?;
    if readable.is_empty() {
        return Ok(None);
    }
    let pairs: Vec<String> = readable.iter().map(|name| format!("'{name}', {name}::text")).collect();
    let mut sql = format!("select jsonb_build_object({}) from {} where true", pairs.join(", "), table.name);
    if let Some(org) = &table.org {
        sql += &format!(" and {org} = $1::uuid");
    }
    if let (Some(site), Some(_)) = (&table.site, site_id) {
        sql += &format!(" and {site} = $2::uuid");
    }
    sql += " and ($1::uuid, $2::uuid) is not distinct from ($1::uuid, $2::uuid) limit 1";
    become_role(connection, planter).await?;
    let row: Option<(Json<Known>,)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(org_id.parse::<Uuid>()?)
        .bind(site_id.map(str::parse::<Uuid>).transpose()?)
        .fetch_optional(&mut *connection)
        .await?;
    become_role(connection, None).await?;
    Ok(row.map(|row| row.0.0.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()))
}

async fn insert(
    connection: &mut PgConnection,
    table: &Table,
    (planter, insertable, readable): (Option<&str>, &[String], &[String]),
    (org, site, variant): (usize, Option<usize>, usize),
    planted: &Planted,
    counter: &mut usize,
) -> anyhow::Result<Row> {
    let mut chosen: BTreeMap<String, usize> = BTreeMap::new();
    let mut failure = anyhow::anyhow!("no values were found");
    for _ in 0..TRIES {
        *counter += 1;
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for column in table.columns.iter().filter(|column| insertable.contains(&column.name)) {
            let choice = chosen.get(&column.name).copied().unwrap_or_default();
            if let Some(value) = fill(table, column, (org, site, variant), planted, choice, *counter) {
                values.insert(column.name.clone(), value);
            }
        }
        let columns: Vec<&str> = values.keys().map(String::as_str).collect();
        let texts: Vec<&str> = values.values().map(String::as_str).collect();
        let casts: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let kind = table.column(name).map_or("text", |column| column.kind.as_str());
                format!("($1::text[])[{}]::{kind}", place + 1)
            })
            .collect();
        let returned: Vec<String> = readable.iter().map(|name| format!("'{name}', {name}::text")).collect();
        let returning = if returned.is_empty() {
            "returning '{}'::jsonb".to_owned()
        } else {
            format!("returning jsonb_build_object({})", returned.join(", "))
        };
        // Without SELECT nothing can be returned; the values that were given are known.
        let returning = if readable.is_empty() { "" } else { returning.as_str() };
        let sql = if columns.is_empty() {
            format!("insert into {} default values {returning}", table.name)
        } else {
            format!("insert into {} ({}) select {} {returning}", table.name, columns.join(", "), casts.join(", "))
        };
        let role = planter.map_or_else(|| "reset role".to_owned(), |role| format!("set local role {role}"));
        sqlx::raw_sql(AssertSqlSafe(format!("savepoint planting; {role}"))).execute(&mut *connection).await?;
        let query = sqlx::query_as::<_, (Json<Known>,)>(AssertSqlSafe(sql.as_str())).bind(&texts);
        let outcome = query.fetch_optional(&mut *connection).await;
        let end =
            if outcome.is_ok() { "release savepoint planting; reset role" } else { "rollback to savepoint planting" };
        sqlx::raw_sql(end).execute(&mut *connection).await?;
        match outcome {
            Ok(returned) => {
                for (name, value) in returned.map(|row| row.0.0).unwrap_or_default() {
                    if let Some(value) = value {
                        values.insert(name, value);
                    }
                }
                return Ok(Row { org, site, variant, values });
            }
            Err(error) => {
                let database = error.as_database_error().with_context(|| format!("planting {}", table.name))?;
                let constraint = database.constraint().unwrap_or_default().to_owned();
                let again = match database.code().as_deref() {
                    Some("23505") => true,
                    // Other values for the columns of the CHECK, one after the other.
                    Some("23514") => table.checks.get(&constraint).is_some_and(|columns| {
                        let next = columns
                            .iter()
                            .filter(|name| insertable.contains(name))
                            // What varies on purpose changes last.
                            .min_by_key(|name| (chosen.get(*name).copied().unwrap_or_default(), varied(table, name)));
                        next.is_some_and(|name| {
                            *chosen.entry(name.clone()).or_default() += 1;
                            true
                        })
                    }),
                    _ => false,
                };
                failure = anyhow::anyhow!("{database}");
                if !again {
                    return Err(failure);
                }
            }
        }
    }
    Err(failure)
}

/// Whether a column's values differ from variant to variant.
fn varied(table: &Table, column: &str) -> bool {
    table.column(column).is_some_and(|column| !column.listed.is_empty() || column.kind == "boolean")
}

/// The value of a column as text, or none to leave it to its default.
fn fill(
    table: &Table,
    column: &Column,
    (org, site, variant): (usize, Option<usize>, usize),
    planted: &Planted,
    choice: usize,
    counter: usize,
) -> Option<String> {
    if table.name != "vicket.orgs" && table.org.as_deref() == Some(&column.name) {
        return Some(planted.orgs[org].clone());
    }
    if table.name != "vicket.sites" && table.site.as_deref() == Some(&column.name) {
        return site.and_then(|site| planted.sites[org].get(site)).cloned();
    }
    // A parent of the same org and site, of the same variant where there is one.
    for key in &table.keys {
        let Some((_, there)) = key.pairs.iter().find(|(here, _)| *here == column.name) else { continue };
        if key.target == table.name {
            return None;
        }
        let parents: Vec<_> = planted
            .of(&key.target)
            .iter()
            .filter(|row| row.org == org && (row.site.is_none() || site.is_none() || row.site == site))
            .collect();
        let own = parents.iter().position(|row| row.variant == variant).unwrap_or_default();
        // Another than its own where a CHECK wants so: two columns may name rows of one table.
        let parent = (!parents.is_empty()).then(|| parents[(own + choice) % parents.len()]);
        return parent.and_then(|row| row.value(there)).map(str::to_owned);
    }
    if choice == 0 && !varied(table, &column.name) && (column.has_default || !column.required) {
        return None;
    }
    if !column.listed.is_empty() && column.kind == "text" {
        return column.listed.get((variant + choice) % column.listed.len()).cloned();
    }
    let unique = format!("probe-{}", Uuid::new_v4().simple());
    Some(match column.kind.as_str() {
        "boolean" => (variant + choice) % 2 == 1,
        "uuid" => return Some(Uuid::new_v4().to_string()),
        // As long as a digest, or as a signature.
        "bytea" => {
            return Some(format!("\\x{}", Sha256Digest::of(unique.as_bytes()).to_hex().repeat(1 + choice % 2)));
        }
        // A size may have to be that of the bytes beside it, which are a digest's.
        "smallint" | "integer" | "bigint" => {
            return Some(if choice % 2 == 1 { 32 } else { counter % 30_000 + 1 }.to_string());
        }
        "timestamp with time zone" | "timestamp without time zone" | "date" => return Some("now".to_owned()),
        "jsonb" | "json" => return Some("{}".to_owned()),
        // The second variant of a machine key may do nothing that the probes try.
        "text[]" => {
            let element = if variant == 1 { "billing:manage" } else { "ticket:read" };
            return Some(format!("{{{element}}}"));
        }
        "text" | "character varying" => {
            let own = site.and_then(|site| planted.sites[org].get(site)).map_or("", String::as_str);
            let candidates = [
                unique.clone(),
                format!("{unique}@probe.example"),
                format!("https://{unique}.example"),
                "ab12".to_owned(),
                "$argon2id$probe".to_owned(),
                "Probe".to_owned(),
                // A short name in capitals, of the digits of the long one.
                unique[6..14].bytes().map(|digit| char::from(b'A' + digit % 26)).collect(),
                // The name of a site's object.
                format!("{}/{own}/{unique}", planted.orgs[org]),
            ];
            return candidates.get(choice % candidates.len()).cloned();
        }
        _ => return None,
    })
    .map(|boolean| boolean.to_string())
}
