//! The functions: which run with the rights of vicket_definer, who may, and why; which run as their caller.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::notes::role;
use crate::{audit::sql, domain::keys::Sha256Digest};

/// Where the functions that the same roles may execute go on.
const INDENT: usize = 2;

const READING: &str = "Functions with vicket_definer's rights, by schema, `|` by who may execute them: why (`not`: no request may), and after
    `=` how the SHA-256 of all their bodies begins. search_path: pg_catalog, pg_temp, PUBLIC executes none, unless said. Bodies: SCHEMA.sql.";

/// What a function is, as far as isolation asks.
#[derive(sqlx::FromRow)]
struct Function {
    schema: String,
    name: String,
    arguments: Vec<String>,
    trigger: bool,
    owner: String,
    definer: bool,
    /// It reads the context, and would be computed once for all: as the lint `context-immutable` asks.
    frozen: bool,
    leakproof: bool,
    language: String,
    settings: Vec<String>,
    digest: String,
    comment: Option<String>,
    grantees: Vec<String>,
}

/// Names of functions with the digests of their bodies, by the reason that they have.
type Reasons<'a> = BTreeMap<String, Vec<(String, &'a str)>>;

/// All that are not PostgreSQL's or an extension's. The body of one in standard SQL is kept parsed, and prosrc is empty.
const FUNCTIONS: &str = "select n.nspname::text as schema, p.proname::text as name,
    array(select replace(format_type(a.type, null), 'timestamp with time zone', 'timestamptz') from unnest(p.proargtypes::oid[]) with ordinality as a (type, place) order by place)
      as arguments,
    p.prorettype = 'trigger'::regtype as trigger, pg_get_userbyid(p.proowner)::text as owner, p.prosecdef as definer,
    p.proleakproof as leakproof, l.lanname::text as language, coalesce(p.proconfig, '{}') as settings,
    p.provolatile = 'i' and coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)
      ~* 'current_setting|ctx\\.|auth\\.|vicket\\.|current_user|session_user|\\mexecute\\M' as frozen,
    encode(sha256(convert_to(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), 'UTF8')), 'hex') as digest,
    obj_description(p.oid, 'pg_proc') as comment,
    array(select coalesce(r.rolname::text, 'PUBLIC') from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
      left join pg_roles r on r.oid = a.grantee where a.grantee <> p.proowner) as grantees
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  join pg_language l on l.oid = p.prolang
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')";

/// # Errors
/// When the catalog cannot be read.
pub async fn write(connection: &mut PgConnection) -> anyhow::Result<String> {
    let mut functions: Vec<Function> = sqlx::query_as(FUNCTIONS).fetch_all(connection).await?;
    functions
        .sort_by_cached_key(|function| (function.schema.clone(), function.name.clone(), function.arguments.clone()));
    let (definers, invokers): (Vec<_>, Vec<_>) = functions.iter().partition(|function| function.definer);
    let mut out = format!("{}\n", sql::paragraph(READING));
    let overloaded = |of: &Function| {
        functions.iter().filter(|other| (&other.schema, &other.name) == (&of.schema, &of.name)).count() > 1
    };
    // Those of a schema that the same roles may execute stand together, and of them those with the same reason.
    let mut schemas: BTreeMap<String, BTreeMap<String, Reasons<'_>>> = BTreeMap::new();
    for function in definers {
        let arguments = if overloaded(function) { function.arguments() } else { String::new() };
        let said = format!("{}{arguments}", function.name);
        let reason = function.reason().trim_end_matches('.').to_owned();
        let of_schema = schemas.entry(function.schema.clone()).or_default();
        of_schema
            .entry(function.executors())
            .or_default()
            .entry(reason)
            .or_default()
            .push((said, function.digest.as_str()));
    }
    let mut texts = Vec::new();
    for (schema, groups) in schemas {
        let said = |(who, reasons): (String, Reasons<'_>)| {
            let said = |reason: &str| match reason.strip_prefix("no request may ") {
                Some(what) => format!("not {what}"),
                None => reason.to_owned(),
            };
            let reasons: Vec<String> =
                reasons.iter().map(|(reason, members)| format!("{}: {}", said(reason), named(members))).collect();
            format!("{who}: {}", reasons.join("; "))
        };
        texts.push(format!("{schema}, {}", groups.into_iter().map(said).collect::<Vec<_>>().join(" | ")));
    }
    let text = texts.join(". ");
    out += &format!("{}\n", sql::flow(&text.split(' ').collect::<Vec<_>>(), INDENT).replace('\u{a0}', " "));
    for function in invokers {
        let faults = function.faults();
        if !faults.is_empty() {
            let Function { schema, name, .. } = function;
            out += &format!("{schema}.{name}{} {}\n", function.arguments(), faults.join(" "));
        }
    }
    Ok(out)
}

/// Names, and how the digest of their bodies begins: another body of any is another digest.
fn named(members: &[(String, &str)]) -> String {
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    let parts: Vec<&[u8]> = members.iter().flat_map(|(name, body)| [name.as_bytes(), body.as_bytes()]).collect();
    format!("{}\u{a0}={}", names.join(" "), &Sha256Digest::of_parts(&parts).to_hex()[..6])
}

impl Function {
    /// `(bytea×3)`
    fn arguments(&self) -> String {
        let mut arguments: Vec<(&str, usize)> = Vec::new();
        for argument in &self.arguments {
            match arguments.last_mut() {
                Some((last, times)) if last == argument => *times += 1,
                _ => arguments.push((argument, 1)),
            }
        }
        let said: Vec<String> = arguments
            .into_iter()
            .map(|(of, times)| if times == 1 { of.to_owned() } else { format!("{of}×{times}") })
            .collect();
        format!("({})", said.join(","))
    }

    /// Who may execute it, besides its owner.
    fn executors(&self) -> String {
        let mut roles: Vec<String> = self.grantees.iter().map(|grantee| role(grantee)).collect();
        roles.sort_unstable();
        match roles.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            // Who owns a table may execute the functions of its triggers.
            [] | ["owner"] if self.trigger => "(trigger)".to_owned(),
            [] => "(definer)".to_owned(),
            _ => roles.join(" "),
        }
    }

    /// Why it must be definer, and what else must be said of it.
    fn reason(&self) -> String {
        let comment = self.comment.as_deref().unwrap_or_default();
        let reason = match comment.rsplit_once("Definer: ") {
            Some((_, reason)) if !reason.trim().is_empty() => reason.trim().to_owned(),
            _ => "**no reason given**".to_owned(),
        };
        self.faults().into_iter().chain([reason]).collect::<Vec<_>>().join(" ")
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        // Of a definer it is said who may execute it.
        if !self.definer && self.grantees.iter().any(|grantee| grantee == "PUBLIC") {
            faults.push("**executable by PUBLIC**".to_owned());
        }
        if self.frozen {
            faults.push("**immutable**".to_owned());
        }
        if self.leakproof {
            faults.push("**leakproof**".to_owned());
        }
        let owners: &[&str] = if self.definer { &["vicket_definer"] } else { &["vicket_owner", "vicket_definer"] };
        if !owners.contains(&self.owner.as_str()) {
            faults.push(format!("**owned by {}**", self.owner));
        }
        if !["plpgsql", "sql"].contains(&self.language.as_str()) {
            faults.push(format!("**in {}**", self.language));
        }
        if self.definer {
            let wanted = "search_path=pg_catalog, pg_temp";
            if !self.settings.iter().any(|setting| setting == wanted) {
                faults.push("**without that search_path**".to_owned());
            }
            faults.extend(self.settings.iter().filter(|setting| *setting != wanted).map(|other| format!("({other})")));
        }
        faults
    }
}
