//! An address of a site's own, at a domain that proves it is the site's.

use poem::http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use vicket::{intake::Intake, mail::dns::Dns};

use super::{ADA, Desk, REPLY_DOMAIN, SECRET, intake, message};
use crate::harness::{Options, Person};

#[tokio::test]
async fn an_address_of_its_own_is_at_a_domain_whose_dns_holds_a_key_of_the_very_site() {
    let file = std::env::temp_dir().join(format!("vicket-domains-{}.zone", uuid::Uuid::new_v4()));
    let zone = |lines: &str| std::fs::write(&file, lines).expect("written");
    zone("");
    let dns = Arc::new(Dns::open(Some(&file)).expect("a zone"));
    let with = |options: Options| Options {
        // Whoever runs the server may list the domain of reply addresses, too: it is no site's all the same.
        intake: Some(Intake {
            dns: Some(dns),
            domains: vec![REPLY_DOMAIN.to_owned(), "listed.example".to_owned()],
            ..intake()
        }),
        secret: Some(SECRET),
        ..options
    };
    let desk = Desk::open_with(with).await;
    let rival = desk.world.person("globex", "owner").await;
    let of_site = |person: &Person| {
        let (org, site) = if person.id == rival.id { ("globex", "site-c") } else { ("acme", "site-a") };
        format!("/v1/orgs/{org}/sites/{site}")
    };
    let set = async |person: &Person, address: &str| {
        let path = format!("{}/mail", of_site(person));
        desk.server.call_as(person, Method::PATCH, &path, Some(&json!({"address": address}))).await
    };
    let key = async |person: &Person| -> Value {
        let path = of_site(person);
        let sender = json!({"mail": {"from_address": "shop@shop.example"}});
        desk.server.call_as(person, Method::PATCH, &path, Some(&sender)).await.ok(200);
        desk.server.call_as(person, Method::POST, &format!("{path}/mail/dkim"), None).await.ok(201).json()
    };
    let line = |key: &Value| {
        let record = &key["record"];
        format!("{} TXT \"{}\"\n", record["name"].as_str().expect("text"), record["value"].as_str().expect("text"))
    };

    // A key alone proves nothing; that of another site in the DNS neither.
    let (ours, theirs) = (key(&desk.owner).await, key(&rival).await);
    set(&desk.owner, "help@shop.example").await.refused(422, "unprocessable");
    zone(&line(&ours));
    set(&rival, "help@shop.example").await.refused(422, "unprocessable");
    set(&desk.owner, "help@sub.shop.example").await.refused(422, "unprocessable");
    set(&desk.owner, "help@reply.example").await.refused(422, "unprocessable");
    set(&desk.owner, "help@listed.example").await.ok(200);
    assert_eq!(set(&desk.owner, "Help@Shop.example").await.ok(200).json()["address"], "Help@Shop.example");

    let mut client = desk.client().await;
    client.hand(ADA, "help@shop.example", &message("", "To the address of its own.")).await;
    desk.read().await;
    assert_eq!(desk.states().await, ["filed"]);
    let sites = "select array_agg(s.slug::text) from vicket.tickets t join vicket.sites s on s.id = t.site_id";
    assert_eq!(desk.world.look::<Vec<String>>(sites).await, ["site-a"]);

    // Whose key it holds decides, on the page, too; and one address is one site's.
    zone(&format!("{}{}", line(&ours), line(&theirs)));
    set(&rival, "help@shop.example").await.refused(422, "unprocessable");
    let form = "/dashboard/globex/sites/site-c/mail";
    let fields = |address| [("action", "address"), ("address", address)];
    assert_eq!(desk.server.send(&rival, form, &fields("sales@shop.example")).await.status, 303);
    let refused = desk.server.send(&rival, form, &fields("sales@other.example")).await;
    assert!(refused.status == 422 && refused.text.contains("DNS holds a key of this website"), "{}", refused.text);
    let _ = std::fs::remove_file(file);
}
