//! What a schema is called, and whether a server can work on it.

/// What a database of an earlier commit is told.
pub const UNRELEASED: &str = "this database was made by an unreleased version of Vicket, whose migrations are not those of \
                          0.1.0: make a new, empty database and migrate that (`vicket dev --fresh` does)";

/// A schema by its newest file and the baseline under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub version: i64,
    pub baseline: String,
}

impl Schema {
    /// As the ledger's comment has it.
    pub fn comment(&self) -> String {
        format!("Schema {} on baseline {}. The numbered files that `vicket migrate` ran.", self.version, self.baseline)
    }

    /// What a comment says.
    pub fn read(comment: &str) -> Option<Self> {
        let rest = comment.strip_prefix("Schema ")?;
        let (version, rest) = rest.split_once(" on baseline ")?;
        let (baseline, _) = rest.split_once('.')?;
        Some(Self { version: version.parse().ok()?, baseline: baseline.to_owned() })
    }

    /// Why a server that needs this schema cannot work on the one whose comment this is. A newer one is fine: the server
    /// of a release works on the schema of the next.
    pub fn refuses(&self, comment: Option<&str>) -> Option<String> {
        match comment.and_then(Self::read) {
            None => Some(format!("the database has no schema that this server knows: run `vicket migrate` ({self})")),
            Some(found) if found.baseline != self.baseline => Some(UNRELEASED.to_owned()),
            Some(found) if found.version < self.version => Some(format!(
                "the database's schema is {}, older than this server needs: run `vicket migrate` ({self})",
                found.version
            )),
            Some(_) => None,
        }
    }
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "needed: {}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_read_from_its_comment() {
        let schema = Schema { version: 1003, baseline: "0123456789abcdef".to_owned() };
        assert_eq!(Schema::read(&schema.comment()), Some(schema));
        assert_eq!(Schema::read("Tables."), None);
    }

    #[test]
    fn a_server_refuses_what_is_older_or_another_and_takes_what_is_newer() {
        let schema = |version: i64| Schema { version, baseline: "00".to_owned() };
        let said = |found: &Schema| schema(1003).refuses(Some(&found.comment()));
        assert_eq!((said(&schema(1003)), said(&schema(1004))), (None, None));
        assert!(said(&schema(1002)).is_some_and(|why| why.contains("is 1002, older than")));
        let other = Schema { baseline: "11".to_owned(), ..schema(1003) };
        assert!(said(&other).is_some_and(|why| why.contains("unreleased")));
        assert!(schema(1).refuses(None).is_some_and(|why| why.contains("no schema")));
    }
}
