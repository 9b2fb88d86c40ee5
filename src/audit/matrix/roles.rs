//! The roles, and who may use which schema.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};

use super::notes::role;
use crate::audit::sql;

/// Of what goes on from the line above.
const INDENT: usize = 2;

const READING: &str = "Roles: nobody is a superuser or has BYPASSRLS; the logins are NOINHERIT, and have by themselves what is granted them.";

#[derive(sqlx::FromRow)]
struct Role {
    name: String,
    login: bool,
    inherit: bool,
    /// Attributes that nobody has.
    more: Vec<String>,
    member_of: Vec<String>,
    settings: Vec<String>,
}

/// From 16 on, whoever creates a role is a member that may not become it.
const ROLES: &str = "select r.rolname::text as name, r.rolcanlogin as login, r.rolinherit as inherit,
    array(select attribute from (values (r.rolsuper, 'superuser'), (r.rolbypassrls, 'bypassrls'), (r.rolcreaterole, 'createrole'),
        (r.rolcreatedb, 'createdb'), (r.rolreplication, 'replication')) as a (has, attribute) where has) as more,
    array(select pg_get_userbyid(m.roleid)::text from pg_auth_members m
      where m.member = r.oid and coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)) as member_of,
    array(select unnest(s.setconfig) from pg_db_role_setting s where s.setrole = r.oid and s.setdatabase = 0) as settings
  from role join pg_roles r on r.oid = role.oid";

/// PostgreSQL lets everybody use `public`.
const SCHEMAS: &str =
    "select s.name, pg_get_userbyid(s.nspowner)::text, coalesce(r.rolname::text, 'PUBLIC'), a.privilege_type
  from schema s
  cross join lateral aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) a
  left join pg_roles r on r.oid = a.grantee
  where a.grantee <> s.nspowner and not (s.name = 'public' and a.grantee = 0 and a.privilege_type = 'USAGE')";

/// What objects of our roles would be granted by themselves.
const DEFAULTS: &str = "select format('**%s on what %s makes%s: %s**', a.privilege_type, pg_get_userbyid(d.defaclrole),
    (select ' in ' || n.nspname from pg_namespace n where n.oid = d.defaclnamespace), coalesce(r.rolname::text, 'PUBLIC'))
  from pg_default_acl d
  join role on role.oid = d.defaclrole
  cross join lateral aclexplode(d.defaclacl) a
  left join pg_roles r on r.oid = a.grantee
  where a.grantee <> d.defaclrole";

/// # Errors
/// When the catalog cannot be read.
pub async fn write(connection: &mut PgConnection) -> anyhow::Result<String> {
    let prelude = include_str!("../lints/prelude.sql").trim_end().trim_end_matches(',');
    let mut roles: Vec<Role> =
        sqlx::query_as(AssertSqlSafe(format!("{prelude}\n{ROLES}"))).fetch_all(&mut *connection).await?;
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    let mut out = format!("{}\n", sql::paragraph(READING));
    // Those that are alike share a line.
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for one in &roles {
        let line = one.line();
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, names)) => names.push(role(&one.name)),
            None => lines.push((line, vec![role(&one.name)])),
        }
    }
    let said: Vec<String> = lines.iter().map(|(line, names)| format!("{}: {line}", names.join(", "))).collect();
    out += &format!("{}\n", sql::flow(&said.join(" | ").split(' ').collect::<Vec<_>>(), INDENT));
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as(AssertSqlSafe(format!("{prelude}\n{SCHEMAS}"))).fetch_all(&mut *connection).await?;
    let mut schemas: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (schema, owner, grantee, privilege) in rows {
        let said = if privilege == "USAGE" { role(&grantee) } else { format!("**{}: {privilege}**", role(&grantee)) };
        let owned = if owner == "vicket_owner" || schema == "public" {
            String::new()
        } else {
            format!(" **owned by {owner}**")
        };
        schemas.entry(format!("{schema}{owned}")).or_default().push(said);
    }
    // By who may use them.
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (schema, mut who) in schemas {
        who.sort_unstable();
        said.entry(who.join(", ")).or_default().push(schema);
    }
    let list: Vec<String> = said.into_iter().map(|(who, schemas)| format!("{} ({who})", schemas.join(", "))).collect();
    let text = format!("Each schema is vicket_owner's. USAGE: {}.", list.join(", "));
    out += &format!("{}\n", sql::paragraph(&text));
    let mut defaults: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(format!("{prelude}\n{DEFAULTS}"))).fetch_all(connection).await?;
    defaults.sort_unstable();
    for one in defaults {
        out += &format!("{one}\n");
    }
    Ok(out)
}

impl Role {
    /// What it is, besides its name.
    fn line(&self) -> String {
        let (mut settings, mut member_of) = (self.settings.clone(), self.member_of.clone());
        settings.sort_unstable();
        member_of.sort_unstable();
        let faults = self.more.iter().map(|attribute| format!("**{attribute}** ")).collect::<String>();
        let kind = match (self.login, self.inherit) {
            (true, true) => "a login that **inherits**",
            (true, false) => "a login",
            (false, true) => "no login",
            (false, false) => "no login, NOINHERIT",
        };
        let roles = member_of.iter().map(|of| role(of)).collect::<Vec<_>>().join(", ");
        let becomes = if roles.is_empty() { roles } else { format!(", may become {roles}") };
        // Its timeouts are called by their first words.
        let short = |setting: &String| match setting.split_once("_timeout=") {
            Some((name, value)) => format!("{}={value}", name.trim_end_matches("_in_transaction_session")),
            None => setting.clone(),
        };
        let (timeouts, others): (Vec<String>, Vec<String>) =
            settings.into_iter().partition(|setting| setting.contains("_timeout="));
        let mut said: Vec<String> = others;
        if !timeouts.is_empty() {
            said.push(format!("timeouts {}", timeouts.iter().map(short).collect::<Vec<_>>().join(" ")));
        }
        let settings = if said.is_empty() { String::new() } else { format!("; {}", said.join(" ")) };
        format!("{faults}{kind}{becomes}{settings}")
    }
}
