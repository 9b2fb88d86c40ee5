//! The plan guard of `vicket-proofs` trips on what it is there for, and on nothing else. The schema as it is is guarded by CI,
//! which runs the command.

use std::collections::BTreeSet;

use vicket_proofs::plans::{self, Plans, Size};

/// Of each operation that has faults: its role, its name, and what they are about.
fn faults(plans: &Plans) -> Vec<String> {
    let mut faults = Vec::new();
    for operation in &plans.operations {
        let about: BTreeSet<&str> =
            operation.statements.iter().flat_map(|statement| statement.faults.keys().map(String::as_str)).collect();
        if !about.is_empty() {
            let about: Vec<&str> = about.into_iter().collect();
            faults.push(format!("{} {}: {}", operation.role, operation.name, about.join(", ")));
        }
    }
    faults
}

#[tokio::test]
async fn a_lost_index_and_a_context_that_is_read_for_each_row_are_faults_of_what_they_slow_down_and_of_nothing_else() {
    let change = "
        -- No index of articles is left; that of a ticket's messages is gone.
        alter table vicket.articles drop constraint articles_slug_unique, drop constraint articles_pkey;
        drop index vicket.articles_newest, vicket.articles_popular, vicket.articles_made, vicket.articles_made_in_site,
          vicket.articles_published_slug;
        alter table vicket.attachments drop constraint attachments_message_fkey;
        alter table vicket.ticket_messages drop constraint ticket_messages_of_ticket;
        drop index vicket.ticket_messages_in_order;
        -- Without (select ..) around it.
        alter policy widget_select on vicket.tickets
          using (org_id = ctx.org_id() and site_id = (select ctx.site_id()) and id = (select ctx.ticket_id()));
        alter policy agent_select on vicket.teams using (org_id = (select ctx.org_id()) and ctx.is_member())";
    let plans = plans::run(Size { sites: 100, rows: 50_000, large: 0 }, change).await.expect("plans");
    assert!(plans.rows >= 50_000 && plans.operations.len() >= 30, "{} rows", plans.rows);
    let seen = faults(&plans);
    let expected = [
        "vicket_widget the site: filter articles, pages, scan articles",
        "vicket_widget articles, newest: filter articles, pages, scan articles",
        "vicket_widget articles, newest, next page: filter articles, pages, scan articles",
        "vicket_widget articles, popular: filter articles, pages, scan articles",
        "vicket_widget articles, searched: filter articles, scan articles",
        "vicket_widget one article: filter articles, scan articles",
        "vicket_widget thread: context tickets, filter ticket_messages",
        "vicket_widget my tickets: context tickets, filter ticket_messages",
        "vicket_widget thread, older messages: filter ticket_messages",
        "vicket_widget one file: filter ticket_messages",
        "vicket_widget reply: context tickets",
        "vicket_agent inbox: pages",
        "vicket_agent inbox, next page: pages",
        "vicket_agent inbox of a site: pages",
        "vicket_agent inbox, open: pages",
        "vicket_agent inbox, by number: pages",
        "vicket_agent inbox, snoozed: pages",
        "vicket_agent inbox, waiting: pages",
        "vicket_agent articles: scan articles",
        "vicket_agent teams: context teams",
        "vicket_agent inbox of a team: pages",
    ];
    assert_eq!(seen, expected, "{}", plans.text());
    let judged = plans.judge().expect_err("faults");
    assert!(judged.to_string().contains(" faults in the plans of "), "{judged}");
    assert!(plans.text().contains("Seq Scan of articles") && plans.text().contains("the context is not read once"));
}
