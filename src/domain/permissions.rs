//! What somebody may be allowed to do in an org. Which role has what, `migrations/0001_context.sql` says.

use std::fmt;

/// What a call needs of a member of its org, as a type: so it can stand in a handler's signature.
pub trait Needed: Send + Sync + 'static {
    /// As documents say it: the permission's name, or `member`.
    const NAME: &'static str;
    /// `None` where belonging to the org is enough.
    const PERMISSION: Option<Permission>;
}

/// Belonging to the org is enough.
pub struct AnyMember;

impl Needed for AnyMember {
    const NAME: &'static str = "member";
    const PERMISSION: Option<Permission> = None;
}

macro_rules! permissions {
    ($($name:ident = $text:literal,)*) => {
        /// Every permission that there is, as `vicket.role_permissions` gives them to an owner.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $(#[doc = $text] $name,)*
        }

        impl Permission {
            /// By name.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The permission of this name.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|permission| permission.as_str() == text)
            }
        }

        impl fmt::Display for Permission {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        $(
            #[doc = $text]
            pub struct $name;

            impl Needed for $name {
                const NAME: &'static str = $text;
                const PERMISSION: Option<Permission> = Some(Permission::$name);
            }
        )*
    };
}

permissions! {
    ApikeyRotate = "apikey:rotate",
    ArticlePublish = "article:publish",
    ArticleRead = "article:read",
    ArticleWrite = "article:write",
    AuditRead = "audit:read",
    BillingManage = "billing:manage",
    MachinekeyEdit = "machinekey:edit",
    MailEdit = "mail:edit",
    MailRead = "mail:read",
    MemberInvite = "member:invite",
    MemberRoleSet = "member:role_set",
    OrgDelete = "org:delete",
    OrgEdit = "org:edit",
    PriorityEdit = "priority:edit",
    PriorityRead = "priority:read",
    ReplyEdit = "reply:edit",
    ReplyRead = "reply:read",
    SiteCreate = "site:create",
    SiteDelete = "site:delete",
    SiteEdit = "site:edit",
    StatusEdit = "status:edit",
    StatusRead = "status:read",
    TagEdit = "tag:edit",
    TeamEdit = "team:edit",
    TemplateEdit = "template:edit",
    TicketAssign = "ticket:assign",
    TicketDelete = "ticket:delete",
    TicketRead = "ticket:read",
    TicketWrite = "ticket:write",
    ViewShare = "view:share",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_read_back_from_its_name_and_they_are_in_order() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Some(*permission));
        }
        assert!(Permission::ALL.is_sorted_by_key(|permission| permission.as_str()));
        assert_eq!(Permission::parse("ticket:fly"), None);
    }
}
