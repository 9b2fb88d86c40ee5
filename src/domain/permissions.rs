//! What somebody may do in an org: the words of the role matrix, which is a table of the database
//! (`migrations/0001_context.sql`).

use std::fmt;

/// A permission that there is, `ticket:write`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Permission(&'static str);

impl Permission {
    /// Every permission, as the matrix gives them to an owner.
    pub const ALL: &[Self] = &[
        Self("apikey:rotate"),
        Self("article:publish"),
        Self("article:read"),
        Self("article:write"),
        Self("audit:read"),
        Self("billing:manage"),
        Self("machinekey:edit"),
        Self("member:invite"),
        Self("member:role_set"),
        Self("org:delete"),
        Self("org:edit"),
        Self("priority:edit"),
        Self("priority:read"),
        Self("site:create"),
        Self("site:delete"),
        Self("site:edit"),
        Self("status:edit"),
        Self("status:read"),
        Self("team:edit"),
        Self("template:edit"),
        Self("ticket:assign"),
        Self("ticket:delete"),
        Self("ticket:read"),
        Self("ticket:write"),
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.0 == text)
    }

    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
