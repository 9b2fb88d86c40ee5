//! Mail that began as another did, and names no ticket of ours: a ticket of its own, beside which an agent is told of the other.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, Desk, PROVEN};

/// A mail of somebody's, of this Message-ID, with these fields besides.
fn mail(from: &str, id: &str, fields: &str, body: &str) -> String {
    format!(
        "{PROVEN}{fields}From: {from}\nTo: x@example.org\nSubject: Invoice\nMessage-ID: <{id}@example.com>\n\n{body}\n"
    )
}

impl Desk {
    /// The id of the ticket whose customer wrote this first.
    async fn ticket_with(&self, body: &str) -> String {
        let sql = format!("select ticket_id::text from vicket.ticket_messages where body like '{body}%'");
        self.world.look(&sql).await
    }

    /// References of what an agent is told beside a ticket, and whether it began as that did.
    async fn related(&self, id: &str) -> Vec<(String, bool)> {
        let told = self.call(Method::GET, &format!("/tickets/{id}/related"), None).await.ok(200).json();
        let text = |one: &Value| one["reference"].as_str().expect("a reference").to_owned();
        let rows = told["tickets"].as_array().expect("tickets").iter();
        rows.map(|one| (text(one), one["same_thread"] == json!(true))).collect()
    }
}

#[tokio::test]
async fn mail_that_began_as_another_did_is_a_ticket_of_its_own_that_names_the_other() {
    let desk = Desk::open().await;
    let mut client = desk.client().await;
    for mail in [
        mail(ADA, "first", "", "Where is my invoice?"),
        // Hers again, without a trace of ours; somebody else's in the same conversation; and one that began elsewhere.
        mail(ADA, "second", "References: <first@example.com>\nIn-Reply-To: <first@example.com>\n", "It is of March."),
        mail("eve@example.com", "third", "In-Reply-To: <first@example.com>\n", "Mine is missing, too."),
        mail(ADA, "fourth", "References: <other@example.com>\n", "Another thing."),
    ] {
        client.hand(ADA, &desk.address, &mail).await;
    }
    desk.read().await;
    let (first, second) = (desk.ticket_with("Where").await, desk.ticket_with("It is").await);
    let (third, fourth) = (desk.ticket_with("Mine").await, desk.ticket_with("Another").await);
    assert!([&second, &third, &fourth].into_iter().all(|id| *id != first), "nothing is filed by a near match");
    let mut name = std::collections::BTreeMap::new();
    for id in [&first, &second, &third, &fourth] {
        name.insert(id, desk.ticket(id).await["reference"].as_str().expect("a reference").to_owned());
    }
    // First what began alike; what somebody else wrote is not told, whatever it refers to.
    assert_eq!(desk.related(&second).await, [(name[&first].clone(), true), (name[&fourth].clone(), false)]);
    assert_eq!(desk.related(&first).await[0], (name[&second].clone(), true));
    assert_eq!(desk.related(&third).await, []);
    assert!(desk.related(&fourth).await.iter().all(|(_, near)| !near));

    // One click; then what she writes to the ticket of her second mail opens the first, and is told to whoever takes care of that.
    desk.answer(&second, "We look into it.").await;
    desk.sent_to(ADA, 2).await;
    let answer = desk.smtp.taken().into_iter().find(|mail| mail.to == ADA && mail.text.contains("We look into it."));
    let to = super::reply_to(&answer.expect("the answer"));
    let me = desk.owner.id.to_string();
    let change = json!({ "assignee": me, "status": "resolved" });
    desk.call(Method::PATCH, &format!("/tickets/{first}"), Some(&change)).await.ok(200);
    let into = json!({ "into": first });
    let merged = desk.call(Method::POST, &format!("/tickets/{second}/merge"), Some(&into)).await.ok(200).json();
    assert_eq!(merged["status"]["category"], json!("resolved"), "nobody waits");
    let kinds = async || {
        let sql = format!("select string_agg(kind, ', ' order by kind) from vicket.mails where ticket_id = '{second}'");
        desk.world.look::<String>(&sql).await
    };
    let told = kinds().await;
    assert!(
        told.contains("ticket_answered") && !told.contains("ticket_resolved"),
        "who is merged is not told so: {told}"
    );
    client.hand(ADA, &to, &mail(ADA, "fifth", "", "Any news?")).await;
    desk.read().await;
    let whole = desk.ticket(&first).await;
    assert_eq!((&whole["status"]["category"], &whole["waiting"]), (&json!("open"), &json!(true)));
    let last = whole["messages"].as_array().expect("messages").last().expect("one").clone();
    assert_eq!((&last["body"], &last["merged_from"]["id"]), (&json!("Any news?"), &json!(second)));
    assert_eq!(kinds().await, format!("agent_customer_answered, {told}"));
}
