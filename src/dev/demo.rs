//! The demo: two orgs, three sites, people, articles, FAQs, tickets. Made in one transaction by the same functions that
//! the administration commands use.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    db::{Operator, OrgTx},
    dev::{
        content::{self, NewArticle, NewFaq, NewTicket},
        passwords::random,
    },
    domain::{
        origins::Origin,
        problem::Problem,
        text::{FormDescription, FormName, OptionLabel, OrgName, PriorityName, QuestionLabel, SiteName, Slug},
    },
    passwords,
    store::{
        self,
        templates::{Change, NewQuestion, Type},
    },
};

#[derive(Debug, Serialize, Deserialize)]
pub struct DemoUser {
    pub email: String,
    pub password: String,
    pub org: String,
    pub role: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct DemoSite {
    pub org: String,
    pub slug: String,
    pub id: Uuid,
    pub key: String,
    pub origins: Vec<String>,
}

/// What was made, with its secrets.
pub struct Demo {
    pub users: Vec<DemoUser>,
    pub sites: Vec<DemoSite>,
}

struct SitePlan {
    slug: &'static str,
    name: &'static str,
    origins: &'static [&'static str],
    articles: &'static [(&'static str, &'static str, &'static str, bool)],
    faqs: &'static [(&'static str, &'static str, bool)],
    /// Name and description of a ticket form.
    form: Option<(&'static str, &'static str)>,
    tickets: &'static [TicketPlan],
}

struct TicketPlan {
    email: &'static str,
    name: &'static str,
    subject: &'static str,
    message: &'static str,
    answer: Option<&'static str>,
    note: Option<&'static str>,
    status: &'static str,
}

struct OrgPlan {
    slug: &'static str,
    name: &'static str,
    people: &'static [(&'static str, &'static str, &'static str)],
    article: (&'static str, &'static str, &'static str),
    draft: (&'static str, &'static str, &'static str),
    sites: &'static [SitePlan],
}

const ORGS: &[OrgPlan] = &[
    OrgPlan {
        slug: "acme",
        name: "Acme",
        people: &[
            ("owner@acme.com", "Olivia Owner", "owner"),
            ("admin@acme.com", "Adam Admin", "admin"),
            ("agent@acme.com", "Agnes Agent", "agent"),
            ("viewer@acme.com", "Victor Viewer", "viewer"),
        ],
        article: (
            "contact-us",
            "How to reach us",
            "Write to us from the **support page** of any of our products. We answer within one working day.\n\n\
             | when | answer within |\n|---|---|\n| weekdays | 4 hours |\n| weekends | 1 day |\n",
        ),
        draft: ("holiday-hours", "Holiday hours", "We are closed on public holidays. *To be confirmed.*"),
        sites: &[
            SitePlan {
                slug: "acme-app",
                name: "Acme App",
                origins: &["https://app.acme.com", "http://localhost:8081"],
                articles: &[
                    (
                        "getting-started",
                        "Getting started",
                        "Create an account, invite your team, and open your first project.\n\n## Invite your team\n\n\
                         Open *Settings*, then *Members*, and enter their e-mail addresses.\n",
                        true,
                    ),
                    (
                        "export-your-data",
                        "Export your data",
                        "Open *Settings*, then *Export*. You get a ZIP file by e-mail:\n\n1. projects as JSON\n2. files as \
                         they are\n3. members as CSV\n",
                        true,
                    ),
                    ("keyboard-shortcuts", "Keyboard shortcuts", "Press `?` on any page to see them all.", true),
                    (
                        "api-tokens",
                        "API tokens",
                        "How to make and revoke tokens. *Draft: waiting for the new page.*",
                        false,
                    ),
                ],
                faqs: &[
                    ("Can I change my plan later?", "Yes, at **any** time. The change acts at once.", true),
                    ("Where is my data stored?", "In the region that you chose when you signed up.", true),
                    ("Is there an offline mode?", "Not yet.", false),
                ],
                form: Some(("Something is broken", "Tell us what does not work, and how much it hurts.")),
                tickets: &[
                    TicketPlan {
                        email: "ada@example.com",
                        name: "Ada Lovelace",
                        subject: "The export never arrives",
                        message: "I asked for an export twice and got no e-mail.",
                        answer: Some("Thank you for telling us. Could you look into the spam folder?"),
                        note: Some("Mail to example.com was delayed last night."),
                        status: "pending",
                    },
                    TicketPlan {
                        email: "grace@example.com",
                        name: "Grace Hopper",
                        subject: "Dark mode",
                        message: "Please add a dark mode.",
                        answer: Some("It is there since today: Settings, then Appearance."),
                        note: None,
                        status: "resolved",
                    },
                    TicketPlan {
                        email: "alan@example.com",
                        name: "Alan Turing",
                        subject: "Cannot log in",
                        message: "The page says that my session has expired, every time.",
                        answer: None,
                        note: None,
                        status: "open",
                    },
                ],
            },
            SitePlan {
                slug: "acme-marketing",
                name: "Acme",
                origins: &["https://www.acme.com"],
                articles: &[
                    ("pricing-explained", "Pricing explained", "You pay for members, not for guests.", true),
                    (
                        "security-overview",
                        "Security overview",
                        "Encrypted in transit and at rest, audited yearly.",
                        true,
                    ),
                    ("partner-program", "Partner program", "To be announced.", false),
                ],
                faqs: &[
                    ("Do you offer discounts for schools?", "Yes: write to us from your school's address.", true),
                    ("Which currencies do you take?", "EUR and USD.", false),
                ],
                form: None,
                tickets: &[TicketPlan {
                    email: "linus@example.com",
                    name: "Linus",
                    subject: "A quote for 200 people",
                    message: "We are 200 people and would like a quote.",
                    answer: None,
                    note: Some("Forwarded to sales."),
                    status: "open",
                }],
            },
        ],
    },
    OrgPlan {
        slug: "globex",
        name: "Globex",
        people: &[("owner@globex.com", "Gloria Globex", "owner")],
        article: ("returns", "Returns", "Send it back within 30 days, in any condition."),
        draft: ("warranty", "Warranty", "Two years. *To be checked by legal.*"),
        sites: &[SitePlan {
            slug: "globex-shop",
            name: "Globex Shop",
            origins: &["https://shop.globex.com"],
            articles: &[
                ("shipping", "Shipping", "We ship on weekdays. Delivery takes two to four days.", true),
                ("gift-cards", "Gift cards", "Valid for three years.", true),
                ("bulk-orders", "Bulk orders", "For ten pieces or more. *Draft.*", false),
            ],
            faqs: &[
                ("Can I change my order?", "Until it is packed: write to us.", true),
                ("Do you ship abroad?", "Soon.", false),
            ],
            form: None,
            tickets: &[
                TicketPlan {
                    email: "homer@example.com",
                    name: "Homer",
                    subject: "Where is my parcel?",
                    message: "It should have arrived on Monday.",
                    answer: Some("It is with your neighbour."),
                    note: None,
                    status: "resolved",
                },
                TicketPlan {
                    email: "marge@example.com",
                    name: "Marge",
                    subject: "Wrong colour",
                    message: "I ordered blue.",
                    answer: None,
                    note: None,
                    status: "open",
                },
            ],
        }],
    },
];

/// Whether the demo is in the database.
///
/// # Errors
/// When the database cannot be asked.
pub async fn exists(operator: &Operator) -> anyhow::Result<bool> {
    let mut tx = operator.begin().await.map_err(failed)?;
    let orgs = store::orgs::list(&mut tx).await.map_err(failed)?;
    Ok(orgs.iter().any(|org| org.slug == ORGS[0].slug))
}

/// Makes the demo, whose first site lists `page`, too. It is there when the transaction that is returned is committed.
///
/// # Errors
/// When the database refuses something.
pub async fn seed(operator: &Operator, page: Option<&str>) -> anyhow::Result<(Demo, OrgTx)> {
    let mut demo = Demo { users: Vec::new(), sites: Vec::new() };
    let mut tx = operator.begin().await.map_err(failed)?;
    for plan in ORGS {
        store::orgs::create(&mut tx, &Slug::known(plan.slug), &OrgName::known(plan.name)).await.map_err(failed)?;
        tx.enter(plan.slug).await.map_err(failed)?;
        people(&mut tx, plan, &mut demo).await?;
        let (slug, title, body) = plan.article;
        article(&mut tx, None, (slug, title, body, true)).await.map_err(failed)?;
        let (slug, title, body) = plan.draft;
        article(&mut tx, None, (slug, title, body, false)).await.map_err(failed)?;
        for site in plan.sites {
            let page = page.filter(|_| demo.sites.is_empty());
            demo.sites.push(seed_site(&mut tx, plan, site, page).await?);
        }
    }
    Ok((demo, tx))
}

async fn people(tx: &mut OrgTx, plan: &OrgPlan, demo: &mut Demo) -> anyhow::Result<()> {
    for (email, name, role) in plan.people {
        let password = random()?;
        let hash = passwords::hash(&password);
        let user = store::orgs::create_user(tx, email, name, &hash).await.map_err(failed)?;
        store::orgs::add_member(tx, user, role).await.map_err(failed)?;
        let user =
            DemoUser { email: (*email).to_owned(), password, org: plan.slug.to_owned(), role: (*role).to_owned() };
        demo.users.push(user);
    }
    Ok(())
}

async fn seed_site(tx: &mut OrgTx, org: &OrgPlan, plan: &SitePlan, page: Option<&str>) -> anyhow::Result<DemoSite> {
    let mut origins: Vec<String> = plan.origins.iter().map(|origin| (*origin).to_owned()).collect();
    origins.extend(page.filter(|page| !plan.origins.contains(page)).map(str::to_owned));
    let site =
        store::sites::create(tx, &Slug::known(plan.slug), &SiteName::known(plan.name), None).await.map_err(failed)?;
    for origin in &origins {
        store::sites::add_origin(tx, site.id, &Origin::parse(origin)?).await.map_err(failed)?;
    }
    // So that mail has links: to the page that is served, and else to where one would be.
    let support_url = page.map(str::to_owned).or_else(|| origins.first().cloned());
    let changes = store::sites::SiteChanges { support_url: Some(support_url), ..Default::default() };
    store::sites::update(tx, plan.slug, &changes).await.map_err(failed)?;
    for planned in plan.articles {
        article(tx, Some(site.id), *planned).await.map_err(failed)?;
    }
    for (position, (question, answer_markdown, published)) in (1..).zip(plan.faqs) {
        let faq = NewFaq { site_id: Some(site.id), question, answer_markdown, position, published: *published };
        content::insert_faq(tx, &faq).await.map_err(failed)?;
    }
    if let Some(form) = plan.form {
        store::templates::create(tx, &form_of(form, plan.slug)).await.map_err(failed)?;
    }
    for planned in plan.tickets {
        ticket(tx, site.id, planned).await.map_err(failed)?;
    }
    let key = store::site_keys::create(tx, site.id).await.map_err(failed)?;
    Ok(DemoSite {
        org: org.slug.to_owned(),
        slug: plan.slug.to_owned(),
        id: site.id,
        key: key.reveal().to_owned(),
        origins,
    })
}

async fn article(
    tx: &mut OrgTx,
    site_id: Option<Uuid>,
    (slug, title, body_markdown, published): (&str, &str, &str, bool),
) -> Result<(), Problem> {
    content::insert_article(tx, &NewArticle { site_id, slug, title, body_markdown, published }).await
}

/// A form of one question that tells how urgent a ticket is, and two that help.
fn form_of((name, description): (&str, &str), site: &str) -> Change {
    let question = |label: &str, kind, required, points, choices: &[(&str, i32)]| NewQuestion {
        id: None,
        label: QuestionLabel::known(label),
        kind,
        required,
        points,
        choices: choices.iter().map(|(label, points)| (None, OptionLabel::known(label), *points)).collect(),
    };
    let bad = [("I cannot work", 8), ("It is in my way", 3), ("It is only ugly", 1)];
    Change {
        name: Some(FormName::known(name)),
        description: Some(FormDescription::known(description)),
        sites: Some(vec![site.to_owned()]),
        questions: Some(vec![
            question("How bad is it?", Type::Select, true, 0, &bad),
            question("Are others affected too?", Type::Checkbox, false, 4, &[]),
            question("Since when?", Type::Date, false, 0, &[]),
            question("What did you do before?", Type::Textarea, false, 0, &[]),
        ]),
        thresholds: Some(vec![(5, PriorityName::known("High")), (10, PriorityName::known("Urgent"))]),
        seen: None,
    }
}

async fn ticket(tx: &mut OrgTx, site_id: Uuid, plan: &TicketPlan) -> Result<(), Problem> {
    let new = NewTicket { site_id, email: plan.email, name: plan.name, subject: plan.subject, message: plan.message };
    let id = content::insert_ticket(tx, &new).await?;
    if let Some(note) = plan.note {
        content::insert_agent_message(tx, site_id, id, "Agnes Agent", note, true).await?;
    }
    if let Some(answer) = plan.answer {
        content::insert_agent_message(tx, site_id, id, "Agnes Agent", answer, false).await?;
    }
    content::set_ticket_status(tx, site_id, id, plan.status).await
}

fn failed(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{problem} {}", problem.cause.as_deref().unwrap_or_default())
}
