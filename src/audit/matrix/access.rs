//! What each role may do with a table: grants and policies of the catalog, a few lines a table.

use std::{collections::BTreeMap, fmt::Write as _};

use sqlx::{AssertSqlSafe, PgConnection};

use super::notes::{Notes, role, table};
use crate::audit::{
    conditions,
    names::{self, Said},
    roles::rank,
    sql,
};

/// Where a line goes on.
const INDENT: usize = 2;
/// A condition that is longer stands below the matrix.
const LONG: usize = 48;
/// What the deploying login becomes for a command: it may become the owner too, so it is kept from rows, and by the grants in
/// SCHEMA.sql from mistakes.
const OPERATOR: &str = "vicket_operator";
/// What its functions read and write is in their bodies, of which this program has the digests; `*` shows where it may more.
const DEFINER: &str = "vicket_definer";
/// What is not worth a line of every table: the rows of the command's org, of which none is deleted.
fn as_it_should(said: &str) -> bool {
    said.split_once(" org").is_some_and(|(letters, columns)| {
        letters.chars().all(|letter| "SIUsiud*".contains(letter))
            && (columns.is_empty() || columns.starts_with(" [") && !columns.contains(';'))
    })
}

/// Where no permissive policy lets a row pass.
const NONE: &str = "none";
const COMMANDS: [(char, &str, char); 4] =
    [('S', "SELECT", 'r'), ('I', "INSERT", 'a'), ('U', "UPDATE", 'w'), ('D', "DELETE", 'd')];

pub struct Relation {
    name: String,
    kind: char,
    owner: String,
    rls: bool,
    forced: bool,
    partition: bool,
    invoker: bool,
    /// Number and name.
    columns: BTreeMap<i32, String>,
    grants: Vec<Grant>,
    policies: Vec<Policy>,
}

struct Grant {
    grantee: String,
    privilege: String,
    /// 0 for the whole relation.
    column: i32,
    grantable: bool,
}

struct Policy {
    permissive: bool,
    command: char,
    roles: Vec<String>,
    using: Option<String>,
    check: Option<String>,
}

fn asked(select: &str) -> AssertSqlSafe<String> {
    // The lints' own view of the catalog: what they look at, this prints.
    let prelude = include_str!("../lints/prelude.sql").trim_end().trim_end_matches(',');
    AssertSqlSafe(format!("{prelude}\n{select}"))
}

type PolicyRow = (String, bool, String, Vec<String>, Option<String>, Option<String>);

/// All relations that are not PostgreSQL's or an extension's, by name.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn read(connection: &mut PgConnection) -> anyhow::Result<Vec<Relation>> {
    type Row = (String, String, String, bool, bool, bool, bool);
    let rows: Vec<Row> = sqlx::query_as(asked(
        "select name, kind::text, pg_get_userbyid(owner)::text, rls, forced, is_partition,
          coalesce('security_invoker=true' = any (options), false) from relation",
    ))
    .fetch_all(&mut *connection)
    .await?;
    let mut relations: BTreeMap<String, Relation> = BTreeMap::new();
    for (name, kind, owner, rls, forced, partition, invoker) in rows {
        let kind = kind.chars().next().unwrap_or_default();
        let (columns, grants, policies) = (BTreeMap::new(), Vec::new(), Vec::new());
        let relation =
            Relation { name: name.clone(), kind, owner, rls, forced, partition, invoker, columns, grants, policies };
        relations.insert(name, relation);
    }
    let columns: Vec<(String, i32, String)> =
        sqlx::query_as(asked("select of, number::integer, name from attribute")).fetch_all(&mut *connection).await?;
    for (of, number, name) in columns {
        relations.entry(of).and_modify(|relation| _ = relation.columns.insert(number, name));
    }
    let grants: Vec<(String, String, String, i32, bool)> =
        sqlx::query_as(asked("select of, grantee, privilege, number::integer, grantable from granted"))
            .fetch_all(&mut *connection)
            .await?;
    for (of, grantee, privilege, column, grantable) in grants {
        relations.entry(of).and_modify(|relation| {
            relation.grants.push(Grant { grantee, privilege, column, grantable });
        });
    }
    let policies: Vec<PolicyRow> = sqlx::query_as(asked(
        "select of, permissive, command::text, role_names, using_text, check_text from policy order by of, name",
    ))
    .fetch_all(connection)
    .await?;
    for (of, permissive, command, roles, using, check) in policies {
        let command = command.chars().next().unwrap_or_default();
        relations
            .entry(of)
            .and_modify(|relation| relation.policies.push(Policy { permissive, command, roles, using, check }));
    }
    Ok(relations.into_values().collect())
}

/// The matrix: an entry for each relation, or for those with the same one.
pub fn write(relations: &[Relation], notes: &mut Notes) -> String {
    let mut entries: Vec<(String, Vec<String>)> = Vec::new();
    let mut unreached = Vec::new();
    for relation in relations.iter().filter(|relation| relation.listed()) {
        let items = relation.items(notes);
        if let [only] = &items[..]
            && let Some(said) = only.strip_prefix("d: ")
        {
            unreached.push(format!("{}: {said}", table(&relation.name)));
            continue;
        }
        match entries.last_mut() {
            Some((names, known)) if *known == items => *names += &format!(", {}", table(&relation.name)),
            _ => entries.push((table(&relation.name).to_owned(), items)),
        }
    }
    // What only vicket_definer's functions reach is an entry of its own, the last.
    if !unreached.is_empty() {
        entries.push(("definer alone".to_owned(), unreached));
    }
    let mut rows: Vec<String> = entries.iter().map(|(names, items)| entry(names, items)).collect();
    let mut out = String::new();
    while !rows.is_empty() {
        // Beside the end of one the next that has room there, whole.
        let row = rows.remove(0);
        let used = row.lines().last().map_or(0, |line| line.chars().count()) + BESIDE.len();
        let fits = |other: &String| other.lines().count() == 1 && used + other.trim_end().chars().count() <= sql::WIDTH;
        let other = rows.iter().position(fits).map(|place| rows.remove(place));
        out += &match other {
            Some(other) => format!("{}{BESIDE}{other}", row.trim_end()),
            None => row,
        };
    }
    out
}

/// Between two tables in one line.
const BESIDE: &str = "   / ";

/// The roles of tables by their first letters, which differ; the auditor, who has views alone, by its name.
fn called(name: &str) -> String {
    let short = role(name);
    if name == "vicket_auditor" { short } else { short.chars().take(1).collect() }
}

/// A role begins where another ends, when its name and its first commands fit there; else it begins a line.
fn entry(names: &str, items: &[String]) -> String {
    let (mut out, mut line, mut gap) = (String::new(), names.to_owned(), "  ");
    for (place, item) in items.iter().enumerate() {
        let first: usize = item.split(' ').take(2).map(|word| word.chars().count() + 1).sum();
        if place > 0 && line.chars().count() + gap.len() + first > sql::WIDTH {
            _ = writeln!(out, "{line}");
            (line, gap) = (" ".repeat(INDENT), "");
        }
        let text = format!("{line}{gap}{}", item.replace(' ', "\u{1}"));
        let text = sql::flow(&text.split('\u{1}').collect::<Vec<_>>(), INDENT);
        let (before, last) = text.rsplit_once('\n').map_or(("", text.as_str()), |(before, last)| (before, last));
        out += &if before.is_empty() { String::new() } else { format!("{before}\n") };
        (line, gap) = (last.to_owned(), "   ");
    }
    _ = writeln!(out, "{line}");
    out
}

impl Relation {
    /// A partition is reached through its parent: it stands here when it is something else.
    fn listed(&self) -> bool {
        !self.partition || !self.grants.is_empty() || !self.policies.is_empty() || !self.faults().is_empty()
    }

    fn is_table(&self) -> bool {
        matches!(self.kind, 'r' | 'p')
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.kind {
            'r' | 'p' if !self.rls => faults.push("**row-level security is off**".to_owned()),
            'r' | 'p' if !self.forced => faults.push("**row-level security is not forced**".to_owned()),
            'v' if !self.invoker => faults.push("**a view without security_invoker**".to_owned()),
            'v' => faults.push("a view with security_invoker".to_owned()),
            'm' => faults.push("**a materialized view**".to_owned()),
            'f' => faults.push("**a foreign table**".to_owned()),
            'S' => faults.push("**a sequence**".to_owned()),
            _ => {}
        }
        if self.owner != "vicket_owner" {
            faults.push(format!("**owned by {}**", self.owner));
        }
        if self.partition && !faults.is_empty() {
            faults.push("a partition".to_owned());
        }
        faults
    }

    /// What stands beside its name: what is wrong with it, and its roles.
    fn items(&self, notes: &mut Notes) -> Vec<String> {
        let mut roles: Vec<&str> = self.grants.iter().map(|grant| grant.grantee.as_str()).collect();
        roles.extend(self.policies.iter().flat_map(|policy| policy.roles.iter().map(String::as_str)));
        roles.sort_by_key(|role| rank(role));
        roles.dedup();
        let mut items = self.faults();
        let alone = roles.iter().all(|role| *role == OPERATOR);
        for name in roles {
            let said = self.of_role(name, notes);
            if name == OPERATOR && !alone && as_it_should(&said) {
                continue;
            }
            // Tables are for four roles, and the views of the lints for the auditor.
            let known = rank(name).0 < 5 || self.kind == 'v' && name == "vicket_auditor";
            let called = if known { called(name) } else { format!("**{name}**") };
            items.push(format!("{called}: {said}"));
        }
        if items.is_empty() {
            items.push("nobody".to_owned());
        }
        items
    }

    /// What a role may do: commands of the same conditions together.
    fn of_role(&self, role: &str, notes: &mut Notes) -> String {
        let mut groups: Vec<Group> = Vec::new();
        let (mut shown, mut restricted) = (Vec::new(), Vec::new());
        for (letter, privilege, command) in if self.is_table() { &COMMANDS[..] } else { &[] } {
            let (allowed, restricting) =
                (self.asked(role, *command, true, notes), self.asked(role, *command, false, notes));
            let columns = self.granted(role, privilege);
            let small = letter.to_ascii_lowercase();
            let allows = if allowed.is_empty() { NONE.to_owned() } else { allowed.join(" | ") };
            let conditions = [vec![allows], restricting.clone()].concat().join(" ");
            let Some((whole, mut columns)) = columns else {
                if allowed.is_empty() {
                    restricted.push((small, conditions, restricting));
                } else {
                    shown.push(restricting);
                    Group::join(&mut groups, small.to_string(), conditions, (small, String::new()));
                }
                continue;
            };
            shown.push(restricting);
            if role == DEFINER || role == OPERATOR && *privilege != "SELECT" {
                columns.clear();
            }
            let letter = if allowed.is_empty() { small } else { *letter };
            let mark = if whole && *privilege != "DELETE" { format!("{letter}*") } else { letter.to_string() };
            Group::join(&mut groups, mark, conditions, (letter, columns));
        }
        // What restricts where nothing is allowed is said where it is not what restricts elsewhere.
        for (letter, conditions, restricting) in restricted {
            if !restricting.is_empty() && !shown.contains(&restricting) {
                Group::join(&mut groups, letter.to_string(), conditions, (letter, String::new()));
            }
        }
        let mut said: Vec<String> = groups.iter().map(Group::said).collect();
        let known = |privilege: &str| COMMANDS.iter().any(|(_, known, _)| *known == privilege);
        let mut others: Vec<String> = Vec::new();
        for grant in self.grants.iter().filter(|grant| grant.grantee == role) {
            if self.kind == 'v' && grant.privilege == "SELECT" {
                others.push(grant.privilege.clone());
            } else if !known(&grant.privilege) || !self.is_table() {
                others.push(format!("**{}**", grant.privilege));
            }
            if grant.grantable {
                others.push("**with grant option**".to_owned());
            }
        }
        others.sort_unstable();
        others.dedup();
        said.extend(others);
        said.join("; ")
    }

    /// Whether the grant is of the whole table, and the columns where they are not all; `None` when nothing is granted.
    fn granted(&self, role: &str, privilege: &str) -> Option<(bool, String)> {
        let of = |grant: &&Grant| grant.grantee == role && grant.privilege == privilege;
        let numbers: Vec<i32> = self.grants.iter().filter(of).map(|grant| grant.column).collect();
        if numbers.is_empty() || numbers.contains(&0) {
            return numbers.first().map(|_| (true, String::new()));
        }
        let (granted, left): (Vec<_>, Vec<_>) = self.columns.iter().partition(|(number, _)| numbers.contains(number));
        let list =
            |columns: &[(&i32, &String)]| columns.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(" ");
        Some((
            false,
            match (list(&granted), list(&left)) {
                (_, none) if none.is_empty() => none,
                (granted, left) if granted.len() <= left.len() + "- ".len() => granted,
                (_, left) => format!("- {left}"),
            },
        ))
    }

    /// What the policies of one kind ask of a row.
    fn asked(&self, role: &str, command: char, permissive: bool, notes: &mut Notes) -> Vec<String> {
        let of = |policy: &&Policy| {
            policy.permissive == permissive
                && [command, '*'].contains(&policy.command)
                && policy.roles.iter().any(|named| named == role)
        };
        let mark = if permissive { "" } else { "!" };
        let mut asked: Vec<String> =
            self.policies.iter().filter(of).map(|policy| self.policy(policy, command, mark, notes)).collect();
        asked.sort_unstable();
        asked.dedup();
        asked
    }

    /// One policy, for one command.
    fn policy(&self, policy: &Policy, command: char, mark: &str, notes: &mut Notes) -> String {
        let using = policy.using.as_deref();
        let check = policy.check.as_deref().or(using);
        match command {
            'a' => self.expression(check, mark, notes).join(" "),
            'w' if using != check => {
                let (mut before, mut after) =
                    (self.expression(using, mark, notes), self.expression(check, mark, notes));
                // What is met both times is said once.
                let (both, only): (Vec<_>, Vec<_>) = before.into_iter().partition(|word| after.contains(word));
                after.retain(|word| !both.contains(word));
                before = only;
                let [before, after] =
                    [before, after].map(|words| if words.is_empty() { "any".to_owned() } else { words.join(" ") });
                [both, vec![format!("({before} -> {after})")]].concat().join(" ")
            }
            _ => self.expression(using, mark, notes).join(" "),
        }
    }

    /// Its conditions.
    fn expression(&self, expression: Option<&str>, mark: &str, notes: &mut Notes) -> Vec<String> {
        let conditions: Vec<String> =
            expression.map(conditions::top_level).unwrap_or_default().into_iter().map(sql::readable).collect();
        let mut words = Vec::new();
        for said in names::said(&self.name, &conditions) {
            let word = match said {
                Said::Name(name) => {
                    notes.names.insert(name.clone());
                    name
                }
                Said::Any(alternatives) => {
                    notes.names.extend(alternatives.iter().flatten().cloned());
                    let all: Vec<String> = alternatives.iter().map(|names| names.join(" ")).collect();
                    if alternatives.iter().all(|names| names.len() == 1) {
                        all.join("/")
                    } else {
                        format!("({})", all.join(" or "))
                    }
                }
                Said::Sql(sql) if sql.chars().count() > LONG => {
                    let known = notes.long.iter().position(|long| *long == sql);
                    let place = known.unwrap_or(notes.long.len());
                    if known.is_none() {
                        notes.long.push(sql);
                    }
                    format!("#{}", place + 1)
                }
                // A call shows that it is SQL; the rest could be taken for a name.
                Said::Sql(sql) if sql == "true" || sql.ends_with(')') && !sql.contains(' ') => sql,
                Said::Sql(sql) => format!("({sql})"),
            };
            words.push(format!("{mark}{word}"));
        }
        // Without an expression a permissive policy lets nothing pass, and a restrictive one everything.
        match (words.is_empty(), mark) {
            (false, _) => words,
            (true, "") => vec!["(false)".to_owned()],
            (true, _) => vec![format!("{mark}true")],
        }
    }
}

/// Commands that ask the same of a row.
struct Group {
    letters: String,
    conditions: String,
    /// Of each command, where they are not all.
    columns: Vec<(char, String)>,
}

impl Group {
    fn join(groups: &mut Vec<Self>, letters: String, conditions: String, columns: (char, String)) {
        match groups.iter_mut().find(|group| group.conditions == conditions) {
            Some(group) => {
                group.letters += &letters;
                group.columns.push(columns);
            }
            None => groups.push(Self { letters, conditions, columns: vec![columns] }),
        }
    }

    fn said(&self) -> String {
        let mut lists: Vec<(String, &str)> = Vec::new();
        for (letter, list) in self.columns.iter().filter(|(_, list)| !list.is_empty()) {
            match lists.iter_mut().find(|(_, known)| known == list) {
                Some((letters, _)) => letters.push(*letter),
                None => lists.push((letter.to_string(), list)),
            }
        }
        let alone = self.columns.len() == 1;
        let lists: Vec<String> = lists
            .iter()
            .map(|(letters, list)| if alone { (*list).to_owned() } else { format!("{letters} {list}") })
            .collect();
        let columns = if lists.is_empty() { String::new() } else { format!(" [{}]", lists.join("; ")) };
        format!("{} {}{columns}", self.letters, self.conditions)
    }
}
