//! Rules have one home: what one way in refuses, the others refuse with the same code. Each is tried through `/v1`, the
//! dashboard and the command line.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    dashboard::{ask, token},
    harness::{Answer, DEPLOY, Person, Running, World},
    processes::{text, vicket},
};

/// The three ways in, and who tries them: an owner.
struct Ways {
    world: World,
    running: Running,
    owner: Person,
}

/// What each way answered: the status and code of `/v1`, the status of the page, the code that the command ends with.
#[derive(Debug, PartialEq)]
struct Answers {
    api: (u16, String),
    page: u16,
    command: String,
}

impl Answers {
    fn all(status: u16, code: &str) -> Self {
        Self { api: (status, code.to_owned()), page: status, command: code.to_owned() }
    }
}

impl Ways {
    async fn new() -> Self {
        let world = World::new().await;
        let running = world.serve().await;
        let owner = world.person("acme", "owner").await;
        Self { world, running, owner }
    }

    async fn api(&self, method: Method, path: &str, body: &Value) -> (u16, String) {
        let request = self.running.request(method, path).header("cookie", &self.owner.cookie);
        let answer = Answer::of(request.header("origin", &self.running.base).json(body)).await;
        (answer.status, if answer.status < 400 { String::new() } else { answer.code() })
    }

    async fn page(&self, path: &str, fields: &[(&str, &str)]) -> u16 {
        let page = Answer::of(ask(&self.running, Method::GET, path).header("cookie", &self.owner.cookie)).await;
        let token = token(&page.text);
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("form_token", &token)
            .finish();
        let request = ask(&self.running, Method::POST, path).header("cookie", &self.owner.cookie);
        let request = request.header("origin", &self.running.base);
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await.status
    }

    /// The code in brackets at the end of what a command says; empty when it did what it was told.
    fn command(&self, args: &[&str]) -> String {
        let output = vicket().env("VICKET_ADMIN_URL", self.world.url(DEPLOY)).args(args).output().expect("it runs");
        let said = text(&output.stderr);
        if output.status.success() {
            return String::new();
        }
        let code = said.trim_end().rsplit_once('[').map(|(_, code)| code.trim_end_matches(']').to_owned());
        code.unwrap_or(said)
    }
}

#[tokio::test]
async fn names_prefixes_and_limits_of_a_site() {
    let ways = Ways::new().await;
    let (sites, site) = ("/v1/orgs/acme/sites", "/v1/orgs/acme/sites/site-a");
    let (list, page) = ("/dashboard/acme/sites", "/dashboard/acme/sites/site-a");
    let long = "x".repeat(201);
    let tried = Answers {
        api: ways.api(Method::POST, sites, &json!({ "name": long, "slug": "long" })).await,
        page: ways.page(list, &[("name", &long)]).await,
        command: ways.command(&["site", "create", "acme/long", "--name", &long]),
    };
    assert_eq!(tried, Answers::all(400, "invalid_request"));

    let tried = Answers {
        api: ways.api(Method::PATCH, site, &json!({ "prefix": "A1" })).await,
        page: ways.page(page, &[("action", "prefix"), ("prefix", "A1")]).await,
        command: ways.command(&["site", "update", "acme/site-a", "--prefix", "A1"]),
    };
    assert_eq!(tried, Answers::all(400, "invalid_request"));

    let taken: String = ways.world.look("select prefix from vicket.sites where slug = 'site-b'").await;
    let tried = Answers {
        api: ways.api(Method::PATCH, site, &json!({ "prefix": taken })).await,
        page: ways.page(page, &[("action", "prefix"), ("prefix", &taken)]).await,
        command: ways.command(&["site", "update", "acme/site-a", "--prefix", &taken]),
    };
    assert_eq!(tried, Answers::all(409, "name_taken"));

    let limits = [("writes", "60"), ("network_reads", "300"), ("network_writes", "10")];
    let fields = [&[("action", "limits"), ("reads", "10000001")][..], &limits].concat();
    let tried = Answers {
        api: ways.api(Method::PATCH, site, &json!({ "limits": { "reads_per_minute": 10_000_001 } })).await,
        page: ways.page(page, &fields).await,
        command: ways.command(&["site", "update", "acme/site-a", "--reads", "10000001"]),
    };
    assert_eq!(tried, Answers::all(400, "invalid_request"));
    assert_eq!(ways.command(&["site", "update", "acme/site-a", "--reads", "10000000"]), "", "the most is taken");
}

#[tokio::test]
async fn a_site_lists_a_hundred_origins() {
    let ways = Ways::new().await;
    ways.world.arrange("delete from vicket.site_origins").await;
    let origins: Vec<String> = (0..=100).map(|n| format!("https://{n}.example")).collect();
    let site = "/v1/orgs/acme/sites/site-a";
    let (status, code) = ways.api(Method::PATCH, site, &json!({ "origins": origins[..100] })).await;
    assert_eq!((status, code.as_str()), (200, ""));
    let tried = Answers {
        api: ways.api(Method::PATCH, site, &json!({ "origins": origins })).await,
        page: ways.page("/dashboard/acme/sites/site-a", &[("action", "add"), ("origin", &origins[100])]).await,
        command: ways.command(&["site", "add-origin", "acme/site-a", &origins[100]]),
    };
    assert_eq!(tried, Answers::all(400, "invalid_request"));
    assert_eq!(ways.world.look::<i64>("select count(*) from vicket.site_origins").await, 100, "nothing was added");
}

#[tokio::test]
async fn a_machine_key_may_what_there_is_and_what_its_creator_may() {
    let ways = Ways::new().await;
    let email: String = ways
        .world
        .look("select u.email from vicket.users u join vicket.members m on m.user_id = u.id where m.role = 'owner' limit 1")
        .await;
    let (keys, page) = ("/v1/orgs/acme/machine-keys", "/dashboard/acme/machine-keys");
    let create = ["machine-key", "create", "acme", "robot", "--as", email.as_str(), "--permission"];
    let form = |permission: &'static str| [("action", "create"), ("name", "robot"), ("permission", permission)];
    let tried = Answers {
        api: ways.api(Method::POST, keys, &json!({ "name": "robot", "permissions": ["org:fly"] })).await,
        page: ways.page(page, &[&form("org:fly")[..], &[("newest", "")]].concat()).await,
        command: ways.command(&[&create[..], &["org:fly"]].concat()),
    };
    assert_eq!(tried, Answers::all(422, "unprocessable"));

    // The same by somebody who may make keys, and may not delete the org.
    let admin = ways.world.person("acme", "admin").await;
    let email: String = ways
        .world
        .look("select u.email from vicket.users u join vicket.members m on m.user_id = u.id where m.role = 'admin' limit 1")
        .await;
    let ways = Ways { owner: admin, ..ways };
    let create = ["machine-key", "create", "acme", "robot", "--as", email.as_str(), "--permission"];
    let tried = Answers {
        api: ways.api(Method::POST, keys, &json!({ "name": "robot", "permissions": ["org:delete"] })).await,
        page: ways.page(page, &[&form("org:delete")[..], &[("newest", "")]].concat()).await,
        command: ways.command(&[&create[..], &["org:delete"]].concat()),
    };
    assert_eq!(tried, Answers::all(403, "permission_required"));
    assert_eq!(ways.world.look::<i64>("select count(*) from vicket.machine_keys").await, 0);

    let (status, _) = ways
        .api(
            Method::POST,
            keys,
            &json!({ "name": "r", "permissions": ["org:edit"], "expires_at": "2001-01-01T00:00:00Z" }),
        )
        .await;
    let over = [&form("org:edit")[..], &[("newest", ""), ("last_day", "2001-01-01")]].concat();
    assert_eq!((status, ways.page(page, &over).await), (400, 400), "an end that is over");
    assert_eq!(ways.command(&[&create[..], &["org:edit"]].concat()), "", "and what they may is made");
}

#[tokio::test]
async fn who_is_invited_has_an_address_and_no_org_has_a_page_s_name() {
    let ways = Ways::new().await;
    let invite = |email: &'static str| json!({ "email": email, "role": "agent" });
    let tried = Answers {
        api: ways.api(Method::POST, "/v1/orgs/acme/members", &invite("ada@localhost")).await,
        page: ways
            .page("/dashboard/acme/members", &[("action", "invite"), ("email", "ada@localhost"), ("role", "agent")])
            .await,
        command: ways.command(&["user", "invite", "acme", "ada@localhost"]),
    };
    assert_eq!(tried, Answers::all(400, "invalid_request"));
    for slug in ["login", "Not-a-slug", ""] {
        assert_eq!(ways.command(&["org", "create", slug, "--name", "Org"]), "invalid_request", "{slug}");
    }
}
