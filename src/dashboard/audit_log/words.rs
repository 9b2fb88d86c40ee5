//! Entries of the audit log as people read them: names in place of ids, and what changed in place of JSON.

use std::collections::HashMap;

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{dashboard::frame::page::when, store::audit_log::Entry};

/// What there are entries of, and what people call it.
pub const KINDS: [(&str, &str); 29] = [
    ("article", "article"),
    ("faq", "FAQ"),
    ("ticket", "ticket"),
    ("template", "ticket form"),
    ("template_question", "question of a form"),
    ("template_site", "website of a form"),
    ("template_threshold", "threshold of a form"),
    ("saved_reply", "saved reply"),
    ("saved_view", "view of the team"),
    ("tag", "tag"),
    ("status", "status"),
    ("priority", "priority"),
    ("member", "member"),
    ("invitation", "invitation"),
    ("team", "team"),
    ("team_member", "member of a team"),
    ("team_site", "website of a team"),
    ("machine_key", "machine key"),
    ("org", "organization"),
    ("site", "website"),
    ("origin", "origin"),
    ("site_key", "key of a website"),
    ("retention", "retention"),
    ("mail_address", "mail address"),
    ("suppression", "address without mail"),
    ("dkim_key", "signing key"),
    ("held_mail", "mail that was held"),
    ("dead_letter", "mail that was given up"),
    ("person", "person"),
];
/// By which of its fields a thing is known, the best first.
const LABELS: [&str; 10] =
    ["name", "title", "question", "slug", "email", "origin", "address", "domain", "hint", "number"];

/// What is called how.
pub type Names = HashMap<String, String>;

/// One field that is other than before.
pub struct Change {
    pub field: String,
    /// `None` where it was not.
    pub before: Option<String>,
    /// `None` where it is no more.
    pub after: Option<String>,
}

/// An entry, in words.
pub struct Line {
    pub entry: Entry,
    /// The name of who did it, where they are a member, and else what the entry has.
    pub actor: String,
    /// `added`
    pub verb: String,
    /// `ticket form`
    pub kind: String,
    /// What it is called; empty where nothing says.
    pub label: String,
    pub changes: Vec<Change>,
}

fn kind(of: &str) -> String {
    KINDS.iter().find(|(kind, _)| *kind == of).map_or_else(|| of.replace('_', " "), |(_, word)| (*word).to_owned())
}

fn verb(action: &str) -> &str {
    match action {
        "created" => "added",
        "updated" => "changed",
        other => other,
    }
}

fn field(name: &str) -> String {
    match name {
        "site_id" => "website".to_owned(),
        "user_id" => "person".to_owned(),
        "is_default" => "default".to_owned(),
        "updated_at" => "text".to_owned(),
        other => other.trim_end_matches("_id").replace('_', " "),
    }
}

fn value(of: &Value, names: &Names) -> String {
    match of {
        Value::Null => "nothing".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => match (text.parse::<Uuid>(), OffsetDateTime::parse(text, &Rfc3339)) {
            (Ok(_), _) => names.get(text).cloned().unwrap_or_else(|| format!("{}…", &text[..8])),
            (_, Ok(at)) => when(&at),
            _ => text.clone(),
        },
        Value::Array(all) => all.iter().map(|one| value(one, names)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The ids that entries name.
pub fn ids(entries: &[Entry]) -> Vec<Uuid> {
    let of = |value: &Option<Value>| -> Vec<Uuid> {
        let fields = value.as_ref().and_then(Value::as_object);
        fields.into_iter().flatten().filter_map(|(_, value)| value.as_str()?.parse().ok()).collect()
    };
    let mut ids: Vec<Uuid> = entries.iter().flat_map(|entry| [of(&entry.before), of(&entry.after)].concat()).collect();
    ids.extend(entries.iter().filter_map(|entry| entry.object_id.parse::<Uuid>().ok()));
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl Line {
    pub fn new(entry: Entry, names: &Names) -> Self {
        let fields = |side: &Option<Value>| side.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        let (before, after) = (fields(&entry.before), fields(&entry.after));
        let said = |name: &&str| after.get(*name).or_else(|| before.get(*name)).filter(|value| !value.is_null());
        let label = LABELS.iter().find_map(said).map(|found| value(found, names));
        let label = label.or_else(|| names.get(&entry.object_id).cloned()).unwrap_or_default();
        let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let changes = keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            // The entry says of which website it is.
            .filter(|key| *key != "site_id" || entry.site.is_none())
            // That a text changed is all that is known of it; of what is new or gone it says nothing.
            .filter(|key| *key != "updated_at" || (!before.is_empty() && !after.is_empty()))
            // What a thing is called stands before, when it did not change.
            .filter(|key| before.contains_key(*key) && after.contains_key(*key) || after_label(key, &after, &before))
            .map(|key| {
                let shown = |side: &serde_json::Map<String, Value>| side.get(key).map(|found| value(found, names));
                match key.as_str() {
                    "updated_at" => Change { field: field(key), before: None, after: Some("changed".to_owned()) },
                    _ => Change { field: field(key), before: shown(&before), after: shown(&after) },
                }
            })
            .collect();
        Self {
            actor: match names.get(&entry.actor) {
                Some(name) => name.clone(),
                None if entry.actor == "cli" => "A command".to_owned(),
                None => entry.actor.clone(),
            },
            verb: verb(&entry.action).to_owned(),
            kind: kind(&entry.object_kind),
            label,
            changes,
            entry,
        }
    }
}

/// Whether the field of what is new or gone is more than its name.
fn after_label(key: &str, after: &serde_json::Map<String, Value>, before: &serde_json::Map<String, Value>) -> bool {
    let side = if after.is_empty() { before } else { after };
    let name = LABELS.iter().find(|label| side.get(**label).is_some_and(|value| !value.is_null()));
    name.is_none_or(|name| *name != key) && side.get(key).is_some_and(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn line(action: &str, kind: &str, before: Option<Value>, after: Option<Value>) -> Line {
        let entry = Entry {
            seq: 1,
            at: datetime!(2026-02-01 16:12 UTC),
            actor_kind: "user".to_owned(),
            actor_id: None,
            actor: "agnes@acme.com".to_owned(),
            action: action.to_owned(),
            object_kind: kind.to_owned(),
            object_id: "0b5a1d0e-1111-4222-8333-944455556666".to_owned(),
            site: None,
            before,
            after,
            request_id: None,
        };
        let names = [
            ("agnes@acme.com", "Agnes Agent"),
            ("9b2d4f0e-1c57-4e0a-b7a5-60d14c3e8f21", "acme-app"),
            ("0b5a1d0e-1111-4222-8333-944455556666", "Bob"),
        ];
        Line::new(entry, &names.into_iter().map(|(id, name)| (id.to_owned(), name.to_owned())).collect())
    }

    fn said(line: &Line) -> String {
        let changes: Vec<String> = line
            .changes
            .iter()
            .map(|change| format!("{}: {:?} {:?}", change.field, change.before.as_deref(), change.after.as_deref()))
            .collect();
        format!("{} {} {} {} [{}]", line.actor, line.verb, line.kind, line.label, changes.join("; "))
    }

    #[test]
    fn what_changed_is_said_and_nothing_else() {
        let changed = line(
            "updated",
            "status",
            Some(json!({"name": "Open", "category": "open", "is_default": false})),
            Some(json!({"name": "Waiting", "category": "open", "is_default": true})),
        );
        assert_eq!(
            said(&changed),
            "Agnes Agent changed status Waiting [default: Some(\"no\") Some(\"yes\"); name: Some(\"Open\") Some(\"Waiting\")]"
        );
        let text = json!({"title": "How", "updated_at": "2026-02-01T16:12:00Z"});
        let later = json!({"title": "How", "updated_at": "2026-02-01T17:12:00Z"});
        let changed = line("updated", "article", Some(text.clone()), Some(later));
        assert_eq!(said(&changed), "Agnes Agent changed article How [text: None Some(\"changed\")]");
        let gone = line("deleted", "article", Some(text), None);
        assert_eq!(said(&gone), "Agnes Agent deleted article How []");
    }

    #[test]
    fn ids_are_names_where_they_are_known() {
        let of_site = |id: &str| Some(json!({"site_id": id, "role": "agent", "ends": null}));
        let known = line("created", "member", None, of_site("9b2d4f0e-1c57-4e0a-b7a5-60d14c3e8f21"));
        assert_eq!(
            said(&known),
            "Agnes Agent added member Bob [role: None Some(\"agent\"); website: None Some(\"acme-app\")]"
        );
        let unknown = line("deleted", "member", of_site("aaaaaaaa-1c57-4e0a-b7a5-60d14c3e8f21"), None);
        assert_eq!(
            said(&unknown),
            "Agnes Agent deleted member Bob [role: Some(\"agent\") None; website: Some(\"aaaaaaaa…\") None]"
        );
    }
}
