//! The list of tickets: the page of the inbox, and the pane beside a ticket that is open.

use poem::{Response, handler};
use uuid::Uuid;

use crate::{
    dashboard::{
        frame::{
            form::Form,
            org_context::{OrgContext, Shell},
            page::form_page,
        },
        tickets::{
            bulk::{self, Done},
            snooze,
            words::{colour, initials, presence},
        },
    },
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem, text::ViewName},
    store::{
        self,
        members::Member,
        paging::PageRequest,
        priorities::Priority,
        saved_views::{self, ViewFilter},
        sites::Site,
        statuses::{Category, Status},
        tags::{self, Tag},
        tickets::inbox::{Assignee, Filter, Ticket},
    },
};

/// Tickets of a page.
const PAGE: u32 = 40;
/// Members, statuses and priorities to choose from.
pub const CHOICES: PageRequest<'static> = PageRequest { limit: 100, cursor: None };
/// What an address says of which tickets are listed. A ticket's own has it, too: the list beside it stays as it was.
const FILTERS: [&str; 10] =
    ["q", "status", "priority", "assignee", "site", "tag", "waiting", "unread", "unresolved", "snoozed"];

/// What tickets have, and who can have them.
pub struct Choices {
    pub statuses: Vec<Status>,
    pub priorities: Vec<Priority>,
    pub members: Vec<Member>,
    pub tags: Vec<Tag>,
}

impl Choices {
    pub async fn read(tx: &mut OrgTx) -> Result<Self, Problem> {
        let (statuses, _) = store::statuses::page(tx, CHOICES).await?;
        let (priorities, _) = store::priorities::page(tx, CHOICES).await?;
        let (members, _) = store::members::page(tx, CHOICES).await?;
        Ok(Self { statuses, priorities, members, tags: tags::choices(tx).await? })
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

/// The view of what customers wait for.
const WAITING: &str = "Waiting for us";

/// A count, where more are not counted.
fn shown(count: i32) -> String {
    if count < saved_views::MOST { count.to_string() } else { format!("{}+", saved_views::MOST - 1) }
}

/// A filter of the list by name, with how many tickets are behind it.
pub struct View {
    /// Of one that was saved.
    pub id: Option<Uuid>,
    /// The team's.
    pub shared: bool,
    pub name: String,
    pub query: String,
    /// `None` of one that is searched for words.
    pub count: Option<i32>,
    pub is_current: bool,
}

impl View {
    /// How many tickets it has, as the menu says it; empty of one that is searched for words.
    pub fn counted(&self) -> String {
        self.count.map_or_else(String::new, shown)
    }

    /// Those that there always are, then those of the team and of whoever looks.
    async fn all(tx: &mut OrgTx, query: &Form) -> Result<Vec<Self>, Problem> {
        let saved = saved_views::list(tx).await?;
        let counts = saved_views::counts(tx, &saved).await?;
        let now = query.kept(&FILTERS);
        let of = |id, shared, name: &str, pairs: &[(&str, &str)], count| {
            let given: Vec<(&str, String)> = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let query = Form::of(&given).kept(&FILTERS);
            Self { id, shared, name: name.to_owned(), is_current: query == now, query, count }
        };
        let always = [
            ("Mine", &[("status", "any"), ("assignee", "me"), ("unresolved", "yes")][..], counts.mine),
            ("Unassigned", &[("status", "any"), ("assignee", "none"), ("unresolved", "yes")], counts.unassigned),
            (WAITING, &[("status", "any"), ("waiting", "yes")], counts.waiting),
            ("Unread", &[("status", "any"), ("unread", "yes"), ("unresolved", "yes")], counts.unread),
            ("Snoozed", &[("status", "any"), ("snoozed", "yes")], counts.snoozed),
        ];
        let mut views: Vec<Self> =
            always.into_iter().map(|(name, pairs, count)| of(None, false, name, pairs, Some(count))).collect();
        for (view, count) in saved.iter().zip(counts.views) {
            let filter = &view.filter;
            let flag = |is: bool| if is { "yes" } else { "" };
            let text = |of: &Option<String>| of.clone().unwrap_or_default();
            let (q, priority, assignee, site) =
                (text(&filter.q), text(&filter.priority), text(&filter.assignee), text(&filter.site));
            let pairs = [
                ("q", q.as_str()),
                ("status", filter.status.as_deref().unwrap_or("any")),
                ("priority", &priority),
                ("assignee", &assignee),
                ("site", &site),
                ("waiting", flag(filter.waiting)),
                ("unread", flag(filter.unread)),
                ("unresolved", flag(filter.unresolved)),
                ("snoozed", said(filter.snoozed, filter.q.is_some())),
            ];
            let pairs: Vec<(&str, &str)> =
                pairs.into_iter().chain(filter.tags.iter().map(|tag| ("tag", tag.as_str()))).collect();
            views.push(of(Some(view.id), view.shared, &view.name, &pairs, count));
        }
        Ok(views)
    }
}

/// Tickets to choose from.
pub struct List {
    pub tickets: Vec<Ticket>,
    /// The query of the next page.
    pub next: Option<String>,
    pub views: Vec<View>,
    pub sites: Vec<Site>,
    pub query: Form,
    /// The one that is open.
    open: Option<Uuid>,
}

impl List {
    /// The page that a query asks for; its `cursor` is the list's only where no ticket is open.
    pub async fn read(tx: &mut OrgTx, query: &Form, open: Option<Uuid>) -> Result<Self, Problem> {
        let tags = tags_of(query);
        let filter = Filter {
            tags: &tags,
            site: query.filled("site"),
            status: Some(status(query)).filter(|status| *status != "any"),
            priority: query.filled("priority"),
            assignee: query.filled("assignee").map(|of| match of {
                "me" => Assignee::Me,
                id => id.parse().map_or(Assignee::Nobody, Assignee::User),
            }),
            waiting: query.holds("waiting", "yes"),
            unread: query.holds("unread", "yes"),
            unresolved: query.holds("unresolved", "yes"),
            snoozed: snoozed(query),
            search: query.filled("q"),
        };
        let page_request = PageRequest { limit: PAGE, cursor: query.filled("cursor").filter(|_| open.is_none()) };
        let (tickets, next) = store::tickets::inbox::page(tx, page_request, &filter).await?;
        let next = next.map(|next| query.next_page(&FILTERS, &next));
        let views = View::all(tx, query).await?;
        Ok(Self { tickets, next, views, sites: store::sites::list(tx).await?, query: query.clone(), open })
    }

    /// How many tickets wait for an answer, for the title: `(3) `; empty for none.
    pub fn waiting(&self) -> String {
        match self.views.iter().find(|view| view.name == WAITING).and_then(|view| view.count) {
            Some(count) if count > 0 => format!("({}) ", shown(count)),
            _ => String::new(),
        }
    }

    /// The saved view that is shown.
    pub fn current(&self) -> Option<&View> {
        self.views.iter().find(|view| view.is_current && view.id.is_some())
    }

    /// Whether it is the page of the inbox, and no ticket is open beside it.
    pub fn is_inbox(&self) -> bool {
        self.open.is_none()
    }

    pub fn is_open(&self, ticket: &Uuid) -> bool {
        self.open.as_ref() == Some(ticket)
    }

    /// The tags that are chosen, each in a choice of its own, and one more to choose.
    pub fn tag_choices(&self) -> Vec<&str> {
        let mut chosen = tags_of(&self.query);
        if chosen.len() < TAGS {
            chosen.push("");
        }
        chosen
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

/// Whether a list has what is snoozed: without a word not, unless it is searched, as who searches wants to find.
fn snoozed(query: &Form) -> Option<bool> {
    match query.get("snoozed") {
        "yes" => Some(true),
        "no" => Some(false),
        "any" => None,
        _ if query.filled("q").is_some() => None,
        _ => Some(false),
    }
}

/// How an address says it, beside what is searched for.
fn said(snoozed: Option<bool>, searched: bool) -> &'static str {
    match snoozed {
        Some(true) => "yes",
        None if searched => "",
        None => "any",
        Some(false) if searched => "no",
        Some(false) => "",
    }
}

/// Tags that a list is filtered by, at the most.
const TAGS: usize = 10;

/// The names or ids of the tags of a query.
fn tags_of(query: &Form) -> Vec<&str> {
    let mut tags = query.all("tag");
    tags.retain(|tag| !tag.trim().is_empty());
    tags.truncate(TAGS);
    tags
}

/// Whether a tag is the one that a query names.
fn is_tag(tag: &Tag, named: &str) -> bool {
    tag.id.to_string() == named || tag.name.to_lowercase() == named.to_lowercase()
}

/// Whether a status is called as its category, which the list of choices has already.
fn is_category(name: &str) -> bool {
    ["open", "pending", "resolved", "closed"].contains(&name.to_lowercase().as_str())
}

#[derive(askama::Template)]
#[template(path = "tickets/inbox.html")]
struct InboxPage<'a> {
    shell: Shell,
    list: List,
    choices: Choices,
    form: &'a Form,
    /// What was just done to a selection.
    done: Option<Done>,
}

#[handler]
pub async fn inbox(context: OrgContext) -> Result<Response, Problem> {
    list_with(&context, &Form::default(), None).await
}

async fn list_with(context: &OrgContext, form: &Form, done: Option<Done>) -> Result<Response, Problem> {
    let (shell, (list, choices)) = context
        .read(Permission::TicketRead, async |tx| {
            Ok((List::read(tx, &context.query, None).await?, Choices::read(tx).await?))
        })
        .await?;
    form_page(&InboxPage { shell, list, choices, form, done }, form)
}

/// Saves the filters of the page as a view, or deletes one; changes what was selected, or takes that back.
#[handler]
pub async fn update(context: OrgContext) -> Result<Response, Problem> {
    let form = &context.form;
    let many = match form.get("action") {
        "bulk" => Some(context.write(Permission::TicketWrite, async |tx| bulk::change(tx, form).await).await),
        "undo" => Some(context.write(Permission::TicketWrite, async |tx| bulk::undo(tx, form).await).await),
        _ => None,
    };
    match many {
        Some(Ok(done)) => return list_with(&context, &Form::default(), Some(done)).await,
        Some(Err(problem)) => return list_with(&context, &form.with_problem(problem)?, None).await,
        None => {}
    }
    let done = context
        .write(Permission::TicketRead, async |tx| match form.get("action") {
            "save_view" => {
                let name = form.take_one::<ViewName>("view_name")?;
                let shared = form.holds("shared", "yes");
                if shared && !tx.actor().is_some_and(|actor| actor.may(Permission::ViewShare)) {
                    return Err(Problem::permission_required(Permission::ViewShare));
                }
                let filter = filter_of(tx, &context.query).await?;
                saved_views::create(tx, &name, &filter, shared, 0).await.map(|_| "saved")
            }
            "delete_view" => saved_views::delete(tx, form.id("view")?).await.map(|()| "deleted"),
            _ => Err(Form::unknown_action()),
        })
        .await;
    match done {
        Ok("deleted") => Ok(context.redirect("inbox?done=deleted")),
        Ok(done) => {
            let kept = suffix(&context.query);
            let and = if kept.is_empty() { "?" } else { "&" };
            Ok(context.redirect(&format!("inbox{kept}{and}done={done}")))
        }
        Err(problem) => list_with(&context, &form.with_problem(problem)?, None).await,
    }
}

/// The filters of a query, as a view keeps them: tags by their ids, which stay when they are called otherwise.
async fn filter_of(tx: &mut OrgTx, query: &Form) -> Result<ViewFilter, Problem> {
    let tags = tags_of(query);
    let tags = if tags.is_empty() { Vec::new() } else { tags::known(tx, "tag", &tags).await? };
    let text = |name| query.filled(name).map(str::to_owned);
    let flag = |name| query.holds(name, "yes");
    Ok(ViewFilter {
        tags: tags.iter().map(Uuid::to_string).collect(),
        site: text("site"),
        status: Some(status(query)).filter(|status| *status != "any").map(str::to_owned),
        priority: text("priority"),
        assignee: text("assignee"),
        q: text("q"),
        waiting: flag("waiting"),
        unread: flag("unread"),
        unresolved: flag("unresolved"),
        snoozed: snoozed(query),
    })
}
