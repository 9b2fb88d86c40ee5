//! The list of tickets: the page of the inbox, and the pane beside a ticket that is open.

use poem::{Response, handler};
use uuid::Uuid;

use crate::{
    dashboard::{
        frame::{
            form::Form,
            org_context::{OrgContext, Shell},
            page::html,
        },
        tickets::words::{colour, initials, presence},
    },
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem},
    store::{
        self,
        members::Member,
        paging::PageRequest,
        priorities::Priority,
        sites::Site,
        statuses::{Category, Status},
        tickets::inbox::{Assignee, Filter, Ticket},
    },
};

/// Tickets of a page.
const PAGE: u32 = 40;
/// Members, statuses and priorities to choose from.
pub const CHOICES: PageRequest<'static> = PageRequest { limit: 100, cursor: None };
/// What an address says of which tickets are listed. A ticket's own has it, too: the list beside it stays as it was.
const FILTERS: [&str; 5] = ["q", "status", "priority", "assignee", "site"];

/// What tickets have, and who can have them.
pub struct Choices {
    pub statuses: Vec<Status>,
    pub priorities: Vec<Priority>,
    pub members: Vec<Member>,
}

impl Choices {
    pub async fn read(tx: &mut OrgTx) -> Result<Self, Problem> {
        let (statuses, _) = store::statuses::page(tx, CHOICES).await?;
        let (priorities, _) = store::priorities::page(tx, CHOICES).await?;
        let (members, _) = store::members::page(tx, CHOICES).await?;
        Ok(Self { statuses, priorities, members })
    }

    /// Whether a status is the one that tickets begin with, of which nothing needs to be said.
    pub fn is_usual(&self, status: &Uuid) -> bool {
        self.statuses.iter().any(|one| one.id == *status && one.is_default && one.category == Category::Open)
    }

    /// How much a ticket's priority asks for attention: `p2` of the most urgent one, `p1` of the next, where they are more than
    /// the default.
    pub fn urgency(&self, priority: &Uuid) -> &'static str {
        let usual = self.priorities.iter().position(|one| one.is_default);
        let at = self.priorities.iter().position(|one| one.id == *priority);
        match (usual, at) {
            (Some(usual), Some(at)) if at > usual && at + 1 == self.priorities.len() => "p2",
            (Some(usual), Some(at)) if at > usual => "p1",
            _ => "p0",
        }
    }
}

/// Tickets to choose from.
pub struct List {
    pub tickets: Vec<Ticket>,
    /// The query of the next page.
    pub next: Option<String>,
    pub sites: Vec<Site>,
    pub query: Form,
    /// The one that is open.
    open: Option<Uuid>,
}

impl List {
    /// The page that a query asks for; its `cursor` is the list's only where no ticket is open.
    pub async fn read(tx: &mut OrgTx, query: &Form, open: Option<Uuid>) -> Result<Self, Problem> {
        let filter = Filter {
            site: query.filled("site"),
            status: Some(status(query)).filter(|status| *status != "any"),
            priority: query.filled("priority"),
            assignee: query.filled("assignee").map(|of| match of {
                "me" => Assignee::Me,
                id => id.parse().map_or(Assignee::Nobody, Assignee::User),
            }),
            search: query.filled("q"),
        };
        let page_request = PageRequest { limit: PAGE, cursor: query.filled("cursor").filter(|_| open.is_none()) };
        let (tickets, next) = store::tickets::inbox::page(tx, page_request, &filter).await?;
        let next = next.map(|next| query.next_page(&FILTERS, &next));
        Ok(Self { tickets, next, sites: store::sites::list(tx).await?, query: query.clone(), open })
    }

    pub fn is_open(&self, ticket: &Uuid) -> bool {
        self.open.as_ref() == Some(ticket)
    }

    pub fn is_status(&self, name: &str) -> bool {
        status(&self.query) == name
    }

    /// What follows a ticket's path, that its page has this list beside it.
    pub fn suffix(&self) -> String {
        suffix(&self.query)
    }

    /// The ticket after the open one, or the first where that is not listed.
    pub fn after(&self) -> Option<&Ticket> {
        match self.tickets.iter().position(|one| self.is_open(&one.id)) {
            Some(at) => self.tickets.get(at + 1),
            None => self.tickets.first(),
        }
    }

    /// The one before it.
    pub fn before(&self) -> Option<&Ticket> {
        let at = self.tickets.iter().position(|one| self.is_open(&one.id))?;
        self.tickets.get(at.checked_sub(1)?)
    }
}

fn status(query: &Form) -> &str {
    query.filled("status").unwrap_or("open")
}

/// The filters of a query, as what follows a path; empty without any.
pub fn suffix(query: &Form) -> String {
    let kept = query.kept(&FILTERS);
    if kept.is_empty() { kept } else { format!("?{kept}") }
}

/// The query of a page of a conversation, with the filters of the list beside it.
pub fn page_of_thread(query: &Form, cursor: &str) -> String {
    query.next_page(&FILTERS, cursor)
}

/// Whether a status is called as its category, which the list of choices has already.
fn is_category(name: &str) -> bool {
    ["open", "pending", "resolved", "closed"].contains(&name.to_lowercase().as_str())
}

#[derive(askama::Template)]
#[template(path = "tickets/inbox.html")]
struct InboxPage {
    shell: Shell,
    list: List,
    choices: Choices,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    let (shell, (list, choices)) = context
        .read(Permission::TicketRead, async |tx| {
            Ok((List::read(tx, &context.query, None).await?, Choices::read(tx).await?))
        })
        .await?;
    html(&InboxPage { shell, list, choices })
}
