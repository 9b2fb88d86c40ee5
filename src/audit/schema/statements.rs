//! The statements that tables, functions and schemas have alike: their titles, comments and grants.

use crate::audit::{roles, sql};

/// A privilege of an ACL.
#[derive(sqlx::FromRow)]
pub struct Granted {
    /// Empty for PUBLIC.
    pub grantee: String,
    pub privilege: String,
    /// Where it is not of the whole.
    pub column: Option<String>,
    pub grantable: bool,
}

/// A line of its own, and what comes after it.
pub fn title(text: &str) -> String {
    format!("\n-- {}\n-- {text}\n", "-".repeat(sql::WIDTH - 3))
}

/// COMMENT ON, where there is one.
pub fn commented(kind: &str, name: &str, comment: Option<String>) -> String {
    let Some(comment) = comment else { return String::new() };
    let statement = format!("comment on {kind} {name} is {};", sql::quoted(&comment));
    if statement.chars().count() <= sql::WIDTH {
        return format!("{statement}\n");
    }
    format!("comment on {kind} {name} is\n  {};\n", sql::literal(&comment, 2))
}

/// One statement a grantee, requests' roles first.
pub fn grants(granted: &[Granted], on: &str) -> String {
    const ORDER: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let rank = |privilege: &str| ORDER.iter().position(|known| *known == privilege).unwrap_or(ORDER.len());
    let mut to: Vec<(&str, bool)> = granted.iter().map(|one| (one.grantee.as_str(), one.grantable)).collect();
    to.sort_by_key(|(grantee, grantable)| (roles::rank(grantee), *grantable));
    to.dedup();
    let mut statements: Vec<(String, Vec<String>, bool)> = Vec::new();
    for (grantee, grantable) in to {
        let mine: Vec<&Granted> =
            granted.iter().filter(|one| one.grantee == grantee && one.grantable == grantable).collect();
        let mut privileges: Vec<&str> = mine.iter().map(|one| one.privilege.as_str()).collect();
        privileges.sort_by_key(|privilege| (rank(privilege), *privilege));
        privileges.dedup();
        let mut said = Vec::new();
        for privilege in privileges {
            let of: Vec<&&Granted> = mine.iter().filter(|one| one.privilege == privilege).collect();
            let columns: Vec<&str> = of.iter().filter_map(|one| one.column.as_deref()).collect();
            if of.len() > columns.len() {
                said.push(privilege.to_lowercase());
            }
            if !columns.is_empty() {
                said.push(format!("{} ({})", privilege.to_lowercase(), columns.join(", ")));
            }
        }
        let (said, grantee) = (said.join(", "), if grantee.is_empty() { "public" } else { grantee });
        // Those who get the same share a statement.
        match statements.iter_mut().find(|(known, _, option)| *known == said && *option == grantable) {
            Some((_, grantees, _)) => grantees.push(grantee.to_owned()),
            None => statements.push((said, vec![grantee.to_owned()], grantable)),
        }
    }
    statements
        .into_iter()
        .map(|(said, grantees, grantable)| {
            let option = if grantable { " with grant option" } else { "" };
            let statement = format!("grant {said} on {on} to {}{option};", grantees.join(", "));
            sql::listed(&statement, 2) + "\n"
        })
        .collect()
}
