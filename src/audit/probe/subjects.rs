//! Who tries: each role with a context of its own, with none, and with one that was moved to others by injected SQL.

use super::{
    catalog::Table,
    plant::{Planted, Row},
};

/// Who must see rows of their own in which tables, or the probes could not become a tenant and proved nothing.
pub const MUST_SEE: &[(&str, &str)] = &[
    (WIDGET, "vicket.articles"),
    (WIDGET, "vicket.faqs"),
    (WIDGET, "vicket.tickets"),
    (WIDGET, "vicket.ticket_messages"),
    (CUSTOMER, "vicket.tickets"),
    (CUSTOMER, "vicket.ticket_messages"),
    (OWNER, "vicket.members"),
    (OWNER, "vicket.tickets"),
    (POWERLESS, "vicket.members"),
    (ADMIN, "vicket.members"),
    (AGENT, "vicket.tickets"),
    (OPERATOR, "vicket.tickets"),
];

pub const WIDGET: &str = "the widget of a site";
const CUSTOMER: &str = "a customer of a site";
pub const OWNER: &str = "an owner";
const ADMIN: &str = "an admin";
const AGENT: &str = "an agent in a team of one site";
const POWERLESS: &str = "a machine key without a permission for it";
pub const MAIL: &str = "mail to a site";
const OPERATOR: &str = "an administration command";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A customer with a key and a ticket's token.
    Widget,
    /// A customer with a key, their session, and one of their tickets named.
    Customer,
    /// Mail that comes in, to an address of a site.
    Mail,
    /// A member with every permission.
    Owner,
    /// A member who may invite, and not as an owner.
    Admin,
    /// A member who answers tickets, in a team of the first site only.
    Agent,
    /// A machine key whose one permission serves no table: it reads what members read, and writes nothing.
    Powerless,
    /// The administration commands.
    Operator,
    /// Nobody: no row at all is theirs.
    Nobody,
}

pub struct Subject {
    pub name: &'static str,
    pub role: &'static str,
    pub kind: Kind,
    settings: Vec<(&'static str, String)>,
}

impl Subject {
    pub fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// Whether this row is none of this subject's business. The first org, and its first site, are the subject's own.
    pub fn forbidden(&self, table: &Table, row: &Row, planted: &Planted) -> bool {
        let customers = table.name == "vicket.tickets" || table.column("ticket_id").is_some();
        match self.kind {
            Kind::Nobody => true,
            Kind::Owner | Kind::Admin | Kind::Powerless | Kind::Operator => row.org != 0,
            Kind::Mail => row.org != 0 || row.site != Some(0),
            Kind::Agent => row.org != 0 || customers && row.site == Some(1),
            Kind::Widget | Kind::Customer => {
                let of_customer = self.kind == Kind::Customer;
                let ticket = planted.value("vicket.ticket_tokens", "ticket_id", 0, Some(0), 0);
                let customer = planted.value("vicket.customer_sessions", "customer_id", 0, Some(0), 0);
                let others_ticket = match table.name.as_str() {
                    // The list has all that are theirs.
                    "vicket.tickets" if of_customer => row.value("customer_id") != customer,
                    "vicket.tickets" => row.value("id") != ticket,
                    _ => row.value("ticket_id").is_some_and(|id| Some(id) != ticket),
                };
                let unpublished = ["vicket.articles", "vicket.faqs"].contains(&table.name.as_str())
                    && row.value("status").is_some_and(|status| status != "published");
                row.org != 0
                    || row.site.is_some_and(|site| site != 0)
                    || others_ticket
                    || unpublished
                    || row.value("internal").is_some_and(|internal| internal == "true" || internal == "t")
            }
        }
    }

    /// Whether to insert a row like this one is to take what one does not have: another's ticket, a higher role.
    pub fn oversteps(&self, table: &Table, columns: &[String], row: &Row, planted: &Planted) -> bool {
        let gives = |column: &str| columns.iter().any(|given| given == column);
        match self.kind {
            Kind::Widget | Kind::Customer => gives("ticket_id") && self.forbidden(table, row, planted),
            // To another address than its own.
            Kind::Mail => gives("address_id") && self.forbidden(table, row, planted),
            Kind::Admin => {
                gives("role") && row.value("role") == Some("owner")
                    || gives("permissions") && row.value("permissions") == Some("{billing:manage}")
            }
            _ => false,
        }
    }

    /// Whether an UPDATE, DELETE or INSERT of this subject may succeed at all.
    pub fn writes(&self) -> bool {
        !matches!(self.kind, Kind::Nobody | Kind::Powerless)
    }
}

fn digest(planted: &Planted, table: &str, column: &str, org: usize, site: Option<usize>, variant: usize) -> String {
    let value = planted.value(table, column, org, site, variant).unwrap_or_default();
    value.trim_start_matches("\\x").to_owned()
}

pub fn subjects(planted: &Planted) -> Vec<Subject> {
    let org = |org: usize| ("org_id", planted.orgs[org].clone());
    let site = |org: usize, site: usize| ("site_id", planted.sites[org].get(site).cloned().unwrap_or_default());
    let key = ("key_hash", digest(planted, "vicket.site_keys", "key_hash", 0, Some(0), 0));
    let token = |org, site| ("ticket_hash", digest(planted, "vicket.ticket_tokens", "token_hash", org, Some(site), 0));
    let customer = ("customer_hash", digest(planted, "vicket.customer_sessions", "token_hash", 0, Some(0), 0));
    let named = |org, site| {
        let ticket = planted.value("vicket.tickets", "id", org, Some(site), 0).unwrap_or_default();
        ("customer_ticket", ticket.to_owned())
    };
    let mail = ("mail_hash", digest(planted, "vicket.mail_addresses", "digest", 0, Some(0), 0));
    let session = ("session_hash", digest(planted, "vicket.sessions", "token_hash", 0, None, 0));
    let admin = ("session_hash", digest(planted, "vicket.sessions", "token_hash", 0, None, 1));
    let agent = ("session_hash", digest(planted, "vicket.sessions", "token_hash", 0, None, 2));
    let machine = ("machine_key_hash", digest(planted, "vicket.machine_keys", "key_hash", 0, None, 1));
    let subject = |name, role, kind, settings| Subject { name, role, kind, settings };
    vec![
        subject("the widget without a context", "vicket_widget", Kind::Nobody, vec![]),
        subject(WIDGET, "vicket_widget", Kind::Widget, vec![org(0), site(0, 0), key.clone(), token(0, 0)]),
        subject(
            "the widget, its context moved to another org",
            "vicket_widget",
            Kind::Nobody,
            vec![org(1), site(1, 0), key.clone(), token(1, 0)],
        ),
        subject(
            "the widget, its context moved to another site",
            "vicket_widget",
            // What is its key's it may see: the org, and what serves all sites.
            Kind::Widget,
            vec![org(0), site(0, 1), key.clone(), token(0, 1)],
        ),
        subject(
            CUSTOMER,
            "vicket_widget",
            Kind::Customer,
            vec![org(0), site(0, 0), key.clone(), customer.clone(), named(0, 0)],
        ),
        subject(
            "a customer of a site, the context moved to another org",
            "vicket_widget",
            Kind::Nobody,
            vec![org(1), site(1, 0), key.clone(), customer.clone(), named(1, 0)],
        ),
        subject(
            "a customer of a site, the context moved to another site",
            "vicket_widget",
            Kind::Customer,
            vec![org(0), site(0, 1), key, customer, named(0, 1)],
        ),
        subject("mail without a context", "vicket_mail", Kind::Nobody, vec![]),
        subject(MAIL, "vicket_mail", Kind::Mail, vec![org(0), site(0, 0), mail.clone()]),
        subject(
            "mail, its context moved to another org",
            "vicket_mail",
            Kind::Nobody,
            vec![org(1), site(1, 0), mail.clone()],
        ),
        subject("mail, its context moved to another site", "vicket_mail", Kind::Nobody, vec![org(0), site(0, 1), mail]),
        subject("an agent without a context", "vicket_agent", Kind::Nobody, vec![]),
        subject("an agent without a credential", "vicket_agent", Kind::Nobody, vec![org(0)]),
        subject(OWNER, "vicket_agent", Kind::Owner, vec![org(0), session.clone()]),
        subject(ADMIN, "vicket_agent", Kind::Admin, vec![org(0), admin]),
        subject(AGENT, "vicket_agent", Kind::Agent, vec![org(0), agent]),
        subject("an owner, the context moved to another org", "vicket_agent", Kind::Nobody, vec![org(1), session]),
        subject(POWERLESS, "vicket_agent", Kind::Powerless, vec![org(0), machine]),
        subject("an administration command without an org", "vicket_operator", Kind::Nobody, vec![]),
        subject(OPERATOR, "vicket_operator", Kind::Operator, vec![org(0)]),
        subject("the auditor", "vicket_auditor", Kind::Nobody, vec![org(0)]),
    ]
}
