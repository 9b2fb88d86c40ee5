//! A function, as the statement that makes it.

use sqlx::PgConnection;

use super::statements::{Granted, commented, grants};
use crate::audit::sql;

#[derive(sqlx::FromRow)]
struct Function {
    signature: String,
    name: String,
    arguments: String,
    result: Option<String>,
    kind: String,
    language: String,
    volatility: String,
    parallel: String,
    strict: bool,
    leakproof: bool,
    definer: bool,
    cost: f32,
    rows: f32,
    settings: Vec<String>,
    /// Of a body in standard SQL, which is kept parsed.
    parsed: Option<String>,
    source: String,
    owner: String,
    comment: Option<String>,
}

const FUNCTION: &str = "select replace(p.oid::regprocedure::text, 'timestamp with time zone', 'timestamptz') as signature, format('%I.%I', n.nspname, p.proname) as name,
    pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result, p.prokind::text as kind,
    l.lanname::text as language, p.provolatile::text as volatility, p.proparallel::text as parallel, p.proisstrict as strict,
    p.proleakproof as leakproof, p.prosecdef as definer, p.procost as cost, p.prorows as rows,
    coalesce(p.proconfig, '{}') as settings, pg_get_function_sqlbody(p.oid) as parsed, p.prosrc as source,
    pg_get_userbyid(p.proowner)::text as owner, obj_description(p.oid, 'pg_proc') as comment
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where p.oid = $1::oid";

const GRANTED: &str = "select coalesce(r.rolname::text, '') as grantee, a.privilege_type as privilege, null as column,
    a.is_grantable as grantable
  from pg_proc p
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  left join pg_roles r on r.oid = a.grantee
  where p.oid = $1::oid and a.grantee <> p.proowner";

/// The function, its owner, what is said of it, and who may execute it.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn function(connection: &mut PgConnection, oid: i64) -> anyhow::Result<String> {
    let function: Function = sqlx::query_as(FUNCTION).bind(oid).fetch_one(&mut *connection).await?;
    let granted: Vec<Granted> = sqlx::query_as(GRANTED).bind(oid).fetch_all(connection).await?;
    let (routine, signature) = (function.routine(), &function.signature);
    let mut out = function.created();
    let owner = format!("alter {routine} {signature} owner to {};", function.owner);
    out += &format!("{}\n", sql::folded(&owner, 2));
    out += &commented(routine, signature, function.comment.clone());
    out += &grants(&granted, &format!("{routine} {signature}"));
    Ok(out)
}

impl Function {
    fn routine(&self) -> &'static str {
        if self.kind == "p" { "procedure" } else { "function" }
    }

    fn created(&self) -> String {
        let returns = self.result.as_deref().map(|result| format!(" returns {}", sql::lowered(result)));
        let head = format!(
            "create {} {}({}){}",
            self.routine(),
            self.name,
            sql::lowered(&self.arguments),
            returns.unwrap_or_default()
        );
        let mut out = format!("{}\n  language {}", sql::listed(&head, 2), self.language);
        let mut said = |holds: bool, attribute: &str| {
            if holds {
                out.push(' ');
                out.push_str(attribute);
            }
        };
        said(self.volatility == "i", "immutable");
        said(self.volatility == "s", "stable");
        said(self.parallel == "s", "parallel safe");
        said(self.parallel == "r", "parallel restricted");
        said(self.strict, "strict");
        said(self.leakproof, "leakproof");
        said(self.definer, "security definer");
        // What PostgreSQL estimates for a language, and for a set, when nobody says otherwise.
        let usual = if ["c", "internal"].contains(&self.language.as_str()) { 1.0 } else { 100.0 };
        said((self.cost - usual).abs() > f32::EPSILON, &format!("cost {}", self.cost));
        said(self.rows > 0.0 && (self.rows - 1000.0).abs() > f32::EPSILON, &format!("rows {}", self.rows));
        for setting in &self.settings {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            // A list of identifiers; anything else is one value.
            let value = if name == "search_path" { value.to_owned() } else { sql::quoted(value) };
            out += &format!("\n  set {name} = {value}");
        }
        match &self.parsed {
            Some(parsed) if parsed.starts_with("RETURN") => {
                out += &format!("\n  {};\n", sql::folded(&sql::readable(parsed), 4));
            }
            Some(parsed) => out += &format!("\n{parsed};\n"),
            None => {
                let quote = if self.source.contains("$$") { "$body$" } else { "$$" };
                out += &format!("\nas {quote}{}{quote};\n", self.source);
            }
        }
        out
    }
}
