//! Short names for the conditions that policies are made of.
//!
//! A name stands for its SQL and for nothing else, so that a condition that changes is printed as SQL until somebody names it
//! anew. To name one, copy the SQL that `just isolation` printed. The column of a noun, `@site_id`, is `id` in the table of the
//! noun itself, `sites`.

use std::collections::BTreeSet;

/// What a name stands for: conditions that are joined with AND.
const NAMES: &[(&str, &[&str])] = &[
    ("org", &["@org_id = (select ctx.org_id())"]),
    ("site", &["@site_id = (select ctx.site_id())"]),
    ("site?", &["@site_id is null or @site_id = (select ctx.site_id())"]),
    ("key", &["@org_id = (select ctx.org_by_key())", "@site_id = (select ctx.site_by_key())"]),
    ("key?", &["@org_id = (select ctx.org_by_key())", "@site_id is null or @site_id = (select ctx.site_by_key())"]),
    (
        "heard",
        &[
            "@org_id = (select ctx.org_id())",
            "(select ctx.may('ticket:read')) or (select ctx.may('ticket:write'))",
            "(select ctx.sees_all_sites()) or @site_id = any (array(select ctx.team_site_ids()))",
        ],
    ),
    (
        "worked",
        &[
            "@org_id = (select ctx.org_id())",
            "(select ctx.may('ticket:write'))",
            "(select ctx.sees_all_sites()) or @site_id = any (array(select ctx.team_site_ids()))",
        ],
    ),
    ("ours", &["@org_id = (select ctx.org_id())", "(select ctx.is_member())"]),
    ("mine", &["customer_id = (select ctx.customer_id())"]),
    ("address", &["@org_id = (select ctx.org_by_mail())", "@site_id = (select ctx.site_by_mail())"]),
    ("key-org", &["@org_id = (select ctx.org_by_key())"]),
    ("ticket", &["@ticket_id = (select ctx.ticket_id())"]),
    ("offered", &["@template_id = any (array(select ctx.template_ids()))"]),
    ("published", &["status = 'published'"]),
    ("member", &["(select ctx.is_member())"]),
    ("worker", &["session_user = 'vicket_worker'::name"]),
    ("operates", &["(select ctx.operates())"]),
    ("marked", &["deleted_at is not null"]),
    ("unmarked", &["deleted_at is null"]),
    ("share?", &["not shared or (select ctx.may('view:share'))"]),
    ("own?", &["shared or user_id = (select ctx.actor_user_id())"]),
    ("own", &["user_id = (select ctx.actor_user_id())"]),
    ("team", &["(select ctx.sees_all_sites()) or @site_id = any (array(select ctx.team_site_ids()))"]),
];

/// What permissions are asked with; the name of one is itself, `ticket:read`.
const MAY: (&str, &str) = ("(select ctx.may('", "'))");

/// A condition, or several, as the matrix prints them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Of the dictionary.
    Name(String),
    /// One of several, each of which has names: those that it joins with AND.
    Any(Vec<Vec<String>>),
    /// What has no name.
    Sql(String),
}

/// The conditions of an expression on `table`, named; in their order.
pub fn said(table: &str, conditions: &[String]) -> Vec<Said> {
    let mut entries: Vec<(&str, Vec<String>)> = NAMES
        .iter()
        .map(|(name, sql)| (*name, sql.iter().map(|condition| of_table(condition, table)).collect()))
        .collect();
    // What stands for most is looked for first.
    entries.sort_by_key(|(_, sql)| std::cmp::Reverse(sql.len()));
    let mut found: Vec<Option<Said>> = vec![None; conditions.len()];
    let mut left: BTreeSet<usize> = (0..conditions.len()).collect();
    for (name, sql) in entries {
        let places: Option<Vec<usize>> =
            sql.iter().map(|wanted| left.iter().copied().find(|place| conditions[*place] == *wanted)).collect();
        if let Some(places) = places {
            found[places[0]] = Some(Said::Name(name.to_owned()));
            left.retain(|place| !places.contains(place));
        }
    }
    for place in left {
        let condition = &conditions[place];
        let said = permissions(condition).map(Said::Name).or_else(|| alternatives(table, condition).map(Said::Any));
        found[place] = Some(said.unwrap_or_else(|| Said::Sql(condition.clone())));
    }
    found.into_iter().flatten().collect()
}

/// The names of what `condition` joins with OR, when all of it has names.
fn alternatives(table: &str, condition: &str) -> Option<Vec<Vec<String>>> {
    let parts = split(condition, " or ");
    let named = |part: &&str| {
        let inner = part.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let inner = inner.filter(|inner| !inner.starts_with("select ") && balanced(inner)).unwrap_or(part);
        let conditions: Vec<String> = split(inner, " and ").into_iter().map(str::to_owned).collect();
        let names = said(table, &conditions).into_iter().map(|said| match said {
            Said::Name(name) => Some(name),
            Said::Any(_) | Said::Sql(_) => None,
        });
        names.collect::<Option<Vec<String>>>()
    };
    if parts.len() < 2 { None } else { parts.iter().map(named).collect() }
}

/// `text` at each `word` that stands in no parentheses and no literal.
fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (place, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ' ' if !quoted && depth == 0 && text[place..].starts_with(word) => {
                parts.push(&text[start..place]);
                start = place + word.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Whether each parenthesis of `text` is closed in it.
fn balanced(text: &str) -> bool {
    let (mut depth, mut quoted) = (0_i32, false);
    text.chars().all(|letter| {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        depth >= 0
    })
}

/// `condition` with the columns that it has in `table`.
fn of_table(condition: &str, table: &str) -> String {
    let mut parts = condition.split('@');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("_id") {
            Some((noun, rest)) if table == format!("vicket.{noun}s") => out += &format!("id{rest}"),
            _ => out += part,
        }
    }
    out
}

/// `ticket:read/write` of what asks for one of them.
fn permissions(condition: &str) -> Option<String> {
    let mut out = String::new();
    let mut last = "";
    for asked in condition.split(" or ") {
        let permission = asked.strip_prefix(MAY.0)?.strip_suffix(MAY.1)?;
        let (noun, verb) = permission.split_once(':')?;
        if !permission.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_' || letter == ':') {
            return None;
        }
        if !out.is_empty() {
            out.push('/');
        }
        out += if noun == last { verb } else { permission };
        last = noun;
    }
    Some(out)
}

/// What the names that were used stand for, a line each.
pub fn legend(used: &BTreeSet<String>) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&str, String)> = NAMES
        .iter()
        .filter(|(name, _)| used.contains(*name))
        .map(|(name, sql)| {
            let joined = |condition: &&str| {
                let plain = condition.replace('@', "");
                if sql.len() > 1 && plain.contains(" or ") { format!("({plain})") } else { plain }
            };
            // What has names itself is said by them.
            let named = |condition: &&str| {
                let shorter = NAMES
                    .iter()
                    .find(|(name, one)| (sql.len() > 2 || *name == "org" && sql.len() > 1) && *one == [*condition]);
                shorter.map(|(name, _)| (*name).to_owned()).or_else(|| permissions(condition))
            };
            let parts = sql.iter().map(|condition| named(condition).unwrap_or_else(|| joined(condition)));
            let with = if sql.len() > 2 || *name == "ours" { " " } else { " and " };
            (*name, parts.collect::<Vec<_>>().join(with))
        })
        .collect();
    if used.iter().any(|name| name.contains(':')) {
        lines.push(("a:b/c", format!("{}a:b{} or {}a:c{}", MAY.0, MAY.1, MAY.0, MAY.1)));
    }
    lines.push(("x_id", "`id` in xs itself: org_id in orgs".to_owned()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(table: &str, conditions: &[&str]) -> Vec<Said> {
        said(table, &conditions.iter().map(|condition| (*condition).to_owned()).collect::<Vec<_>>())
    }

    fn name(text: &str) -> Said {
        Said::Name(text.to_owned())
    }

    #[test]
    fn conditions_have_their_names_and_what_has_none_is_sql() {
        let org = "org_id = (select ctx.org_id())";
        assert_eq!(names("vicket.faqs", &[org, "status = 'published'"]), [name("org"), name("published")]);
        assert_eq!(names("vicket.faqs", &["status <> 'x'", org]), [Said::Sql("status <> 'x'".to_owned()), name("org")]);
        assert_eq!(names("vicket.orgs", &["id = (select ctx.org_id())"]), [name("org")]);
        // `id` is the org's in orgs alone, and `org_id` would be somebody else's there.
        assert!(matches!(names("vicket.faqs", &["id = (select ctx.org_id())"])[..], [Said::Sql(_)]));
        assert!(matches!(names("vicket.orgs", &[org])[..], [Said::Sql(_)]));
    }

    #[test]
    fn the_seal_has_a_name_only_when_both_halves_stand() {
        let (org, site) = ("org_id = (select ctx.org_by_key())", "site_id = (select ctx.site_by_key())");
        assert_eq!(names("vicket.tickets", &[site, org]), [name("key")]);
        assert_eq!(names("vicket.tickets", &[org]), [name("key-org")]);
        assert!(matches!(names("vicket.tickets", &[site])[..], [Said::Sql(_)]));
    }

    #[test]
    fn one_of_several_has_names_only_when_all_of_it_has() {
        let (org, worker) = ("org_id = (select ctx.org_id())", "session_user = 'vicket_worker'::name");
        let any = |alternatives: &[&[&str]]| {
            let owned = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Said::Any(alternatives.iter().map(owned).collect())
        };
        assert_eq!(names("vicket.faqs", &[&format!("{worker} or {org}")]), [any(&[&["worker"], &["org"]])]);
        let deeper = format!("{worker} or ({org} and (select ctx.may('a:b')))");
        assert_eq!(names("vicket.faqs", &[&deeper]), [any(&[&["worker"], &["org", "a:b"]])]);
        for other in [
            format!("{worker} or ({org} and word = 'a')"),
            format!("{worker} or {org} or true"),
            format!("({worker}) or ({org} or (select ctx.is_member()))"),
            format!("({worker} or {org}) and ({org} or {worker})"),
        ] {
            assert_eq!(names("vicket.faqs", &[&other]), [Said::Sql(other.clone())]);
        }
    }

    #[test]
    fn permissions_are_their_own_names() {
        let may = |permission: &str| format!("(select ctx.may('{permission}'))");
        let one_of = |list: &[&str]| list.iter().map(|one| may(one)).collect::<Vec<_>>().join(" or ");
        assert_eq!(permissions(&one_of(&["a:b"])).as_deref(), Some("a:b"));
        assert_eq!(permissions(&one_of(&["a:b", "a:c", "d:b"])).as_deref(), Some("a:b/c/d:b"));
        for other in [format!("{} or true", may("a:b")), format!("not {}", may("a:b")), may("a:b') or ('x"), may("ab")]
        {
            assert_eq!(permissions(&other), None, "{other}");
        }
    }

    #[test]
    fn every_name_is_told_apart_and_stands_for_something_of_its_own() {
        let all: BTreeSet<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        let sql: BTreeSet<&[&str]> = NAMES.iter().map(|(_, sql)| *sql).collect();
        assert!(all.len() == NAMES.len() && sql.len() == NAMES.len());
        let word = |name: &&str| name.chars().all(|letter| letter.is_ascii_lowercase() || "-?/".contains(letter));
        assert!(all.iter().all(word), "a permission has a colon, and `!` is for what restricts");
    }
}
