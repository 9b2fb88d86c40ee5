//! The operations that are asked most, by the functions that the server has for them.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use sqlx::PgConnection;
use uuid::Uuid;
use vicket::{
    db::{
        Access, AgentEntryRequest, AgentGate, AgentVerdict, Credential, EntryRequest, OrgTx, Pool, Published, SiteTx,
        Start, Verdict, WidgetGate,
    },
    domain::{
        keys::{Sha256Digest, TicketToken},
        problem::Problem,
        text::{EmailAddress, MessageBody, PersonName, TicketSubject},
    },
    store::{
        articles::{
            self,
            public::{Order, Wanted},
        },
        attachments, audit_log, faqs, identity, members, news,
        paging::{self, Keyset, PageRequest},
        priorities, publishing, saved_replies, saved_views, site_keys, site_origins, sites, stats, statuses, tags,
        teams, templates,
        tickets::{
            self,
            agent::{self, Change},
            bulk, drafts,
            inbox::{self, Assignee, Filter},
            merging, opening,
            public::{NewTicket, Submission},
            seen,
            thread::{self, NEWEST},
        },
    },
};

use crate::scratch::Scratch;

/// After five plans of its own, a prepared statement may get one for all parameters, and keeps it.
pub const RUNS: usize = 7;
/// Whose rows are asked for: neither the first nor the last.
pub const SITE: &str = "site-7";
const KEY: &str = "active key of site 7";
const ORIGIN: &str = "https://1.site-7.example";
/// The second page of a list by time.
const LATER: i64 = 1_900_000_000_000_000;

/// How a request with a key comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Reads,
    /// With a ticket's token.
    Answers,
    /// With a token of its own, for the ticket that it makes.
    Submits,
}

/// Runs each operation, and calls `done` with its name, its role, and where its part of the log begins.
///
/// # Errors
/// When one fails.
pub async fn run(
    scratch: &Scratch,
    superuser: &mut PgConnection,
    done: &mut dyn FnMut(&'static str, &'static str, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // One ticket is answered and another is read, so that what is read is the same in every run.
    let tickets: Vec<(String, Uuid, Option<Uuid>)> = sqlx::query_as(
        "select o.slug, t.id, a.id
        from vicket.sites s
        join vicket.orgs o on o.id = s.org_id
        join vicket.tickets t on t.org_id = s.org_id and t.site_id = s.id
        left join vicket.attachments a on a.org_id = t.org_id and a.site_id = t.site_id and a.ticket_id = t.id
        where s.slug = $1
        order by a.id is null, t.number limit 2",
    )
    .bind(SITE)
    .fetch_all(&mut *superuser)
    .await?;
    // One that is part of another, and that.
    let (part, whole): (Uuid, Uuid) = sqlx::query_as(
        "select g.ticket_id, g.into_id from vicket.ticket_merges g
        join vicket.sites s on s.org_id = g.org_id and s.id = g.site_id
        where s.slug = $1
        limit 1",
    )
    .bind(SITE)
    .fetch_one(superuser)
    .await?;
    let [(org, answered, Some(file)), (_, ticket, _)] = tickets.as_slice() else {
        anyhow::bail!("{SITE} has fewer than two tickets, or none with a file")
    };
    let (org, answered, file, ticket) = (org.clone(), *answered, *file, *ticket);
    // One connection each, so that its statements are prepared once.
    let pool = |login: &str, start: &Start| Pool::new(&scratch.gate_url(login), 1, start);
    let log = scratch.log();
    let mut customer = Customer {
        gate: WidgetGate::new(pool("vicket_gate_widget", &Start::WIDGET)?, None),
        log: &log,
        ticket: answered,
        done,
    };
    customer.reads().await?;
    customer.writes(file).await?;
    let Customer { gate, done, .. } = customer;
    gate.pool().close();

    let mut agent =
        Agent { gate: AgentGate::new(pool("vicket_gate_agent", &Start::AGENT)?), log: &log, org, person: 1, done };
    agent.inbox(ticket, answered).await?;
    agent.merges(part, whole).await?;
    agent.pages().await?;
    // Who is in a team sees the tickets of its sites.
    agent.person = 2;
    agent.team(ticket).await?;
    agent.gate.pool().close();
    Ok(())
}

struct Customer<'a> {
    gate: WidgetGate,
    log: &'a Path,
    ticket: Uuid,
    done: &'a mut dyn FnMut(&'static str, &'static str, u64) -> anyhow::Result<()>,
}

impl Customer<'_> {
    async fn run<T>(
        &mut self,
        name: &'static str,
        visit: Visit,
        work: impl AsyncFn(&mut SiteTx) -> Result<T, Problem>,
    ) -> anyhow::Result<()> {
        let from = ends(self.log)?;
        for _ in 0..RUNS {
            let issued = (visit == Visit::Submits).then(TicketToken::mint);
            let held = Sha256Digest::of(format!("token of {}", self.ticket).as_bytes());
            let entry_request = EntryRequest {
                access: if visit == Visit::Reads { Access::Read } else { Access::Write },
                key: Sha256Digest::of(KEY.as_bytes()),
                origin: Some(Sha256Digest::of(ORIGIN.as_bytes())),
                ticket: Some(issued.as_ref().map_or(held, TicketToken::digest)),
            };
            let Verdict::Entered(tx) = self.gate.enter(&entry_request).await.map_err(said)? else {
                anyhow::bail!("the key of {SITE} opened nothing")
            };
            let mut tx = tx.issuing(issued);
            let outcome = work(&mut tx).await.map(drop);
            tx.finish(outcome).await.map_err(said).context(name)?;
            // Nobody waits for the end of a read, and it is of this run.
            while self.gate.pool().status().used > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        (self.done)(name, "vicket_widget", from)
    }

    /// As [`run`](Self::run), by statements that enter for themselves.
    async fn read<T>(
        &mut self,
        name: &'static str,
        work: impl AsyncFn(&mut Published<'_>) -> Result<T, Problem>,
    ) -> anyhow::Result<()> {
        let entry_request = EntryRequest {
            access: Access::Read,
            key: Sha256Digest::of(KEY.as_bytes()),
            origin: Some(Sha256Digest::of(ORIGIN.as_bytes())),
            ticket: None,
        };
        let Verdict::Entered(proved) = self.gate.prove(&entry_request).await.map_err(said)? else {
            anyhow::bail!("the key of {SITE} opened nothing")
        };
        let from = ends(self.log)?;
        for _ in 0..RUNS {
            let mut published = Published::new(&self.gate, &entry_request, proved.clone(), Problem::not_found);
            work(&mut published).await.map_err(said).context(name)?;
        }
        (self.done)(name, "vicket_widget", from)
    }

    async fn reads(&mut self) -> anyhow::Result<()> {
        self.read("the site", async |published| sites::own(published).await).await?;
        let later = paging::write(b'n', Keyset { figure: LATER, id: self.ticket });
        for (name, order, cursor, search) in [
            ("articles, newest", Order::Newest, None, None),
            ("articles, newest, next page", Order::Newest, Some(later.as_str()), None),
            ("articles, popular", Order::Popular, None, None),
            ("articles, searched", Order::Relevant, None, Some("words help")),
        ] {
            let wanted = Wanted { page_request: PageRequest { limit: 20, cursor }, order, search };
            self.read(name, async |published| articles::public::page(published, &wanted).await).await?;
        }
        self.read("one article", async |published| articles::public::by_slug(published, "article-1").await).await?;
        self.read("FAQs", async |published| faqs::public::all(published).await).await?;
        self.read("ticket forms", async |published| templates::all_offered(published).await).await?;
        self.run("key/check", Visit::Reads, async |tx| site_origins::listed(tx).await).await?;
        self.run("thread", Visit::Reads, async |tx| {
            tickets::public::mine(tx).await?;
            thread::mine(tx, NEWEST).await
        })
        .await?;
        let session = Sha256Digest::of(b"session of 7 user-3");
        self.run("my tickets", Visit::Reads, async |tx| {
            identity::enter(tx, session, None).await?;
            tickets::mine::page(tx, PageRequest { limit: 20, cursor: None }).await
        })
        .await?;
        let later = paging::write(b't', Keyset { figure: LATER, id: self.ticket });
        self.run("thread, older messages", Visit::Reads, async |tx| {
            thread::mine(tx, PageRequest { limit: 50, cursor: Some(later.as_str()) }).await
        })
        .await
    }

    async fn writes(&mut self, file: Uuid) -> anyhow::Result<()> {
        self.run("one file", Visit::Reads, async |tx| {
            let file = attachments::my_own(tx, file).await?;
            attachments::my_content(tx, &file).await
        })
        .await?;
        let new = NewTicket {
            email: EmailAddress::known("ada@example.com"),
            name: Some(PersonName::known("Ada")),
            subject: TicketSubject::known("Help"),
            message: MessageBody::known("Please help."),
            form: None,
        };
        let submission = || {
            let key = Sha256Digest::of(Uuid::new_v4().as_bytes());
            Some(Submission { key, request: key })
        };
        self.run("submit a ticket", Visit::Submits, async |tx| {
            let token = tx.take_issued_token().ok_or_else(Problem::not_found)?;
            tickets::public::create(tx, &new, submission(), &token).await
        })
        .await?;
        self.run("reply", Visit::Answers, async |tx| {
            tickets::public::reply(tx, &MessageBody::known("Thanks."), submission()).await
        })
        .await
    }
}

struct Agent<'a> {
    gate: AgentGate,
    log: &'a Path,
    org: String,
    /// Which of the org's people.
    person: u32,
    done: &'a mut dyn FnMut(&'static str, &'static str, u64) -> anyhow::Result<()>,
}

impl Agent<'_> {
    async fn run<T>(
        &mut self,
        name: &'static str,
        access: Access,
        work: impl AsyncFn(&mut OrgTx) -> Result<T, Problem>,
    ) -> anyhow::Result<()> {
        let from = ends(self.log)?;
        let session = format!("session of person-{}@{}.example", self.person, self.org);
        for _ in 0..RUNS {
            let entry_request = AgentEntryRequest {
                access,
                credential: Credential::Session(Sha256Digest::of(session.as_bytes())),
                org: Some(Sha256Digest::of(self.org.as_bytes())),
                request_id: "plans",
            };
            let AgentVerdict::Entered(mut tx) = self.gate.enter(&entry_request).await.map_err(said)? else {
                anyhow::bail!("{session} opened nothing")
            };
            let outcome = work(&mut tx).await.map(drop);
            tx.finish(outcome).await.map_err(said).context(name)?;
        }
        (self.done)(name, "vicket_agent", from)
    }

    async fn listed(&mut self, name: &'static str, cursor: Option<&str>, filter: &Filter<'_>) -> anyhow::Result<()> {
        let page_request = PageRequest { limit: 20, cursor };
        self.run(name, Access::Read, async |tx| inbox::page(tx, page_request, filter).await).await
    }

    async fn inbox(&mut self, ticket: Uuid, answered: Uuid) -> anyhow::Result<()> {
        let later = paging::write(b'i', Keyset { figure: LATER, id: ticket });
        self.listed("inbox", None, &Filter::default()).await?;
        self.listed("inbox, next page", Some(&later), &Filter::default()).await?;
        self.listed("inbox of a site", None, &Filter { site: Some(SITE), ..Filter::default() }).await?;
        self.listed("inbox, open", None, &Filter { status: Some("open"), ..Filter::default() }).await?;
        self.listed("inbox, mine", None, &Filter { assignee: Some(Assignee::Me), ..Filter::default() }).await?;
        self.listed("inbox, by number", None, &Filter { search: Some("#7"), ..Filter::default() }).await?;
        self.listed("inbox, by reference", None, &Filter { search: Some("SAAAAAH-7"), ..Filter::default() }).await?;
        self.listed("inbox, searched", None, &Filter { search: Some("about 7"), ..Filter::default() }).await?;
        self.listed("inbox, a common word", None, &Filter { search: Some("about"), ..Filter::default() }).await?;
        let asleep = Filter { snoozed: Some(true), ..Filter::default() };
        self.listed("inbox, snoozed", None, &asleep).await?;
        let rare = ["tag 7"];
        self.listed("inbox, a tag", None, &Filter { tags: &rare, ..Filter::default() }).await?;
        let common = ["tag 20"];
        self.listed("inbox, a common tag", None, &Filter { tags: &common, ..Filter::default() }).await?;
        self.run("tags", Access::Read, async |tx| tags::page(tx, PageRequest { limit: 20, cursor: None }).await)
            .await?;
        self.run("whether news came", Access::Read, async |tx| news::mine(tx).await).await?;
        self.run("one ticket", Access::Read, async |tx| agent::whole(tx, ticket, NEWEST).await).await?;
        let waiting = Filter { waiting: true, ..Filter::default() };
        self.listed("inbox, waiting", None, &waiting).await?;
        self.run("views", Access::Read, async |tx| {
            let views = saved_views::list(tx).await?;
            saved_views::counts(tx, &views).await
        })
        .await?;
        self.run("look at a ticket", Access::Write, async |tx| {
            seen::seen(tx, ticket, true).await?;
            let newest = agent::whole(tx, ticket, NEWEST).await?.thread.messages.last().map(|message| message.id);
            seen::read_to(tx, ticket, newest.unwrap_or_default()).await?;
            seen::viewers(tx, &[ticket]).await
        })
        .await?;
        self.run("who may be given it", Access::Read, async |tx| {
            agent::assignees(tx, ticket, PageRequest { limit: 20, cursor: None }).await
        })
        .await?;
        self.run("answer", Access::Write, async |tx| {
            let body = MessageBody::known("Like this.");
            let key = Submission { key: Sha256Digest::of(Uuid::new_v4().as_bytes()), request: Sha256Digest::of(b"x") };
            let newest =
                "select id from vicket.ticket_messages where ticket_id = $1 order by created_at desc, id desc limit 1";
            let seen = sqlx::query_scalar(newest).bind(answered).fetch_optional(tx.connection()).await?;
            drafts::keep(tx, answered, drafts::Kind::Reply, &body).await?;
            let answer =
                agent::NewAnswer { body: &body, internal: false, told: true, key: Some(key), status: None, seen };
            agent::answer(tx, answered, &answer).await
        })
        .await?;
        let pending = Change { status: Some("pending"), ..Change::default() };
        self.run("change a ticket", Access::Write, async |tx| agent::change(tx, ticket, &pending).await).await?;
        let many = Change { status: Some("open"), add_tags: &common, remove_tags: &rare, ..Change::default() };
        self.run("change many tickets, and back", Access::Write, async |tx| {
            let done = bulk::change(tx, &[ticket, answered], &many).await?;
            bulk::undo(tx, &done.changed).await
        })
        .await?;
        let new = opening::NewTicket {
            site: SITE,
            email: &EmailAddress::known("ada@example.com"),
            name: None,
            subject: &TicketSubject::known("Help"),
            message: &MessageBody::known("Hello."),
            internal: false,
            notify: true,
            change: Change { add_tags: &rare, ..Change::default() },
            key: None,
        };
        self.run("make a ticket", Access::Write, async |tx| opening::open(tx, &new).await).await
    }

    async fn merges(&mut self, part: Uuid, whole: Uuid) -> anyhow::Result<()> {
        self.run("related tickets", Access::Read, async |tx| merging::related(tx, part).await).await?;
        self.run("one ticket, with another", Access::Read, async |tx| agent::whole(tx, whole, NEWEST).await).await?;
        self.run("merge a ticket", Access::Write, async |tx| {
            merging::unmerge(tx, part).await?;
            merging::merge(tx, part, whole).await
        })
        .await
    }

    async fn pages(&mut self) -> anyhow::Result<()> {
        let page_request = PageRequest { limit: 20, cursor: None };
        self.run("start page", Access::Read, async |tx| {
            stats::days(tx).await?;
            stats::busiest(tx).await?;
            stats::missed(tx).await?;
            stats::first_reply(tx).await
        })
        .await?;
        self.run("a site's key", Access::Read, async |tx| {
            let site = sites::by_slug(tx, SITE).await?;
            let active = site_keys::of_site(tx, site.id).await?.active.ok_or_else(Problem::not_found)?;
            site_keys::used_from(tx, site.id, active.id).await
        })
        .await?;
        self.run("saved replies", Access::Read, async |tx| {
            saved_replies::choices(tx).await?;
            saved_replies::page(tx, page_request).await
        })
        .await?;
        self.run("ticket forms, with points", Access::Read, async |tx| templates::page(tx, page_request, None).await)
            .await?;
        let any = publishing::Filter::default();
        self.run("articles", Access::Read, async |tx| articles::agent::page(tx, page_request, &any).await).await?;
        self.run("FAQs", Access::Read, async |tx| faqs::agent::page(tx, page_request, &any).await).await?;
        self.run("websites", Access::Read, async |tx| sites::page(tx, page_request).await).await?;
        self.run("members", Access::Read, async |tx| members::page(tx, page_request).await).await?;
        self.run("own orgs", Access::Read, async |tx| members::memberships(tx, page_request).await).await?;
        self.run("teams", Access::Read, async |tx| teams::page(tx, page_request).await).await?;
        self.run("statuses and priorities", Access::Read, async |tx| {
            statuses::page(tx, page_request).await?;
            priorities::page(tx, page_request).await
        })
        .await?;
        let all = audit_log::Filter::default();
        self.run("audit log", Access::Read, async |tx| audit_log::page(tx, page_request, &all).await).await
    }

    async fn team(&mut self, ticket: Uuid) -> anyhow::Result<()> {
        self.listed("inbox of a team", None, &Filter::default()).await?;
        self.run("whether news came, in a team", Access::Read, async |tx| news::mine(tx).await).await?;
        self.run("one ticket, in a team", Access::Read, async |tx| agent::whole(tx, ticket, NEWEST).await).await
    }
}

fn ends(log: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(log)?.len())
}

fn said(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{problem:?}")
}
