//! Whatever a client sends, and wherever it sends it, nothing of it is in the log, in the metrics or in the spans: keys and
//! tokens, passwords, addresses, names, what people write. Ids are.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use vicket::domain::keys::{InvitationToken, MachineKey, PublishableKey, SessionToken, TicketToken};

use crate::{
    harness::{Answer, World},
    seen::{Watched, attribute},
    support::attachments::multipart,
};

static NETWORKS: AtomicUsize = AtomicUsize::new(0);

/// Text that stands nowhere else, of what a client might send as `kind`.
fn marked(kind: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{kind}-{}", &random[..16])
}

/// Everything that must not be seen, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn add(&mut self, kind: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 6, "{kind} is too short to be searched for");
        assert!(self.0.insert(kind.to_owned(), secret.clone()).is_none(), "{kind} twice");
        secret
    }

    fn mark(&mut self, kind: &str) -> String {
        self.add(kind, marked(kind))
    }
}

/// Sends a secret in each place that a request has.
async fn everywhere(client: &Client, base: &str, secret: &str) {
    let written: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let request = |method: Method, path: &str| client.request(method, format!("{base}{path}"));
    let plain = |path: String| request(Method::GET, &path);
    let mut asked: Vec<RequestBuilder> = vec![
        plain(format!("/{written}")),
        plain(format!("/support/v1/{written}?q={written}&{written}=1")),
        plain(format!("/support/v1/help/articles/{written}")),
        plain(format!("/v1/orgs/{written}/tickets/{written}?cursor={written}")),
        plain(format!("/dashboard/{written}/inbox/{written}?done={written}")),
        plain(format!("/invitation?token={written}")),
        request(Method::POST, "/support/v1/tickets").json(&json!({ "email": secret, secret: 1, "message": [secret] })),
        request(Method::POST, "/v1/auth/login").json(&json!({ "email": secret, "password": secret })),
        request(Method::POST, "/v1/auth/invitations/accept")
            .json(&json!({ "token": secret, "name": secret, "password": "x" })),
        request(Method::POST, "/v1/auth/login")
            .body(format!("{{\"{secret}"))
            .header("Content-Type", "application/json"),
        form(request(Method::POST, "/dashboard/login"), &[("email", secret), ("password", secret)]),
    ];
    let headers = [
        "X-Vicket-Key",
        "X-Vicket-Ticket",
        "User-Agent",
        "Referer",
        "Origin",
        "Host",
        "traceparent",
        "tracestate",
        "baggage",
        "If-None-Match",
        "Idempotency-Key",
        "X-Forwarded-For",
        "X-Forwarded-Host",
    ];
    for path in ["/support/v1/help/articles", "/v1/orgs/acme/teams"] {
        asked.extend(headers.map(|name| plain(path.to_owned()).header(name, secret)));
        asked.push(plain(path.to_owned()).header("Cookie", format!("vicket_session={secret}; other={secret}")));
        asked.push(plain(path.to_owned()).bearer_auth(secret));
        asked.push(plain(path.to_owned()).basic_auth(secret, Some(secret)));
    }
    // Whoever names a request names it for the log; what is a key or a token all the same is no name.
    if ["pk_", "tk_", "sk_", "vs_", "vi_"].iter().any(|prefix| secret.starts_with(prefix)) {
        asked.push(plain("/healthz".to_owned()).header("X-Request-Id", secret));
    }
    if let Ok(method) = Method::from_bytes(secret.as_bytes()) {
        asked.push(request(method, "/healthz"));
    }
    for request in asked {
        // Each from a network of its own, behind the proxy: none is refused for having asked too often.
        let n = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let request = request.header("X-Forwarded-For", format!("10.{}.{}.9", n / 256 % 256, n % 256));
        // Some are no request at all, which is fine: the next one is.
        let _ = request.send().await;
    }
}

fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

async fn made(request: RequestBuilder, status: u16) -> Value {
    Answer::of(request).await.ok(status).json()
}

#[tokio::test]
async fn nothing_that_a_client_sends_is_in_the_log_the_metrics_or_the_spans() {
    let world = World::new().await;
    let mut secrets = Secrets::default();
    let collector = secrets.mark("collector");
    let header = format!("authorization=Bearer%20{collector}");
    let settings = [
        ("VICKET_LOG", "trace"),
        ("VICKET_TRUSTED_PROXIES", "127.0.0.1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", header.as_str()),
        // Its own sending is logged, too, and there is no end of it at this level.
        ("OTEL_BSP_SCHEDULE_DELAY", "2000"),
    ];
    let server = Watched::of(&world, true, &settings).await;
    let base = server.base.clone();
    let stranger = Client::builder().local_address("127.0.0.2".parse().ok()).build().expect("a client");
    let by_two =
        Client::builder().http2_prior_knowledge().local_address("127.0.0.3".parse().ok()).build().expect("a client");
    let proxied = Client::new();
    secrets.add("database password", "test-only");
    let key = secrets.add("publishable key", &world.site_a.key);

    // A customer.
    let of_site = |method: Method, path: &str| {
        stranger.request(method, format!("{base}/support/v1{path}")).header("X-Vicket-Key", &key)
    };
    let email = secrets.add("customer's address", format!("{}@example.com", marked("customer")));
    let ticket = json!({
        "email": email, "name": secrets.mark("customer's-name"), "subject": secrets.mark("subject"), "message": secrets.mark("message"),
    });
    let idempotent = secrets.mark("idempotency-key");
    let ticket = made(of_site(Method::POST, "/tickets").header("Idempotency-Key", idempotent).json(&ticket), 201).await;
    let token = secrets.add("ticket token", ticket["token"].as_str().expect("a token"));
    let reply = json!({ "body": secrets.mark("reply") });
    let thread = of_site(Method::POST, "/tickets/thread/messages").header("X-Vicket-Ticket", &token);
    let message = made(thread.json(&reply), 201).await;
    let (content_type, body) = multipart(&[(&secrets.mark("file-name"), secrets.mark("file").as_bytes())]);
    let path = format!("/tickets/thread/messages/{}/attachments", message["id"].as_str().expect("an id"));
    let upload = of_site(Method::POST, &path).header("X-Vicket-Ticket", &token).header("Content-Type", content_type);
    Answer::of(upload.body(body)).await.ok(201);
    let search = secrets.mark("search");
    Answer::of(of_site(Method::GET, &format!("/help/articles?q={search}"))).await.ok(200);

    // An owner, somebody whom they invite, and a program.
    let owner = world.person("acme", "owner").await;
    secrets.add("owner's address", &owner.email);
    secrets.add("owner's session", owner.cookie.split('=').nth(1).expect("a session"));
    let of_owner = |method: Method, path: &str| {
        stranger.request(method, format!("{base}{path}")).header("Cookie", &owner.cookie).header("Origin", &base)
    };
    let invited = secrets.add("agent's address", format!("{}@example.com", marked("agent")));
    let invitation = json!({ "email": invited, "role": "agent" });
    let invitation = made(of_owner(Method::POST, "/v1/orgs/acme/members").json(&invitation), 201).await;
    let invitation = secrets.add("invitation", invitation["token"].as_str().expect("a token"));
    let (password, next) = (secrets.mark("password"), secrets.mark("next-password"));
    let accepted = json!({ "token": invitation, "name": secrets.mark("agent's-name"), "password": password });
    let post = |path: &str| stranger.post(format!("{base}{path}"));
    Answer::of(post("/v1/auth/invitations/accept").json(&accepted)).await;
    for (given, status) in [(secrets.mark("wrong-password"), 401), (password.clone(), 200)] {
        let log_in = Answer::of(post("/v1/auth/login").json(&json!({ "email": invited, "password": given }))).await;
        assert_eq!(log_in.status, status, "{log_in:?}");
        if let Some(cookie) = log_in.header("set-cookie") {
            let session = cookie.split(['=', ';']).nth(1).expect("a session");
            secrets.add("agent's session", session);
            let change = json!({ "current_password": password, "new_password": next });
            let change = post("/v1/auth/password")
                .header("Cookie", format!("vicket_session={session}"))
                .header("Origin", &base)
                .json(&change);
            assert!(Answer::of(change).await.status < 300);
        }
    }
    let machine_key = json!({ "name": secrets.mark("machine-key's-name"), "permissions": ["ticket:read"] });
    let machine_key = made(of_owner(Method::POST, "/v1/orgs/acme/machine-keys").json(&machine_key), 201).await;
    let (machine_key_id, machine_key) =
        (machine_key["id"].clone(), machine_key["key"].as_str().expect("a key").to_owned());
    secrets.add("machine key", &machine_key);
    Answer::of(stranger.get(format!("{base}/v1/orgs/acme/tickets")).bearer_auth(&machine_key)).await.ok(200);
    let found = of_owner(Method::GET, &format!("/v1/orgs/acme/tickets?q={}", secrets.mark("agent's-search")));
    Answer::of(found).await;

    // Good ones and bad ones, in every place that a request has.
    for (kind, bad) in [
        ("no publishable key", PublishableKey::mint().reveal().to_owned()),
        ("no ticket token", TicketToken::mint().reveal().to_owned()),
        ("no session", SessionToken::mint().reveal().to_owned()),
        ("no invitation", InvitationToken::mint().reveal().to_owned()),
        ("no machine key", MachineKey::mint().reveal().to_owned()),
    ] {
        secrets.add(kind, bad);
    }
    secrets.mark("set-up-code");
    for secret in secrets.0.values() {
        everywhere(&stranger, &base, secret).await;
        everywhere(&proxied, &base, secret).await;
    }
    everywhere(&by_two, &base, &key).await;
    let address = proxied.get(format!("{base}/support/v1/site")).header("X-Vicket-Key", &key);
    Answer::of(address.header("X-Forwarded-For", "203.0.113.77").header("X-Request-Id", "the-last-one")).await.ok(200);
    secrets.add("address of a network", "203.0.113.77");

    let metrics = Answer::of(proxied.get(&server.metrics)).await;
    let seen = server.end().await;
    let spans = seen.traces.iter().map(|body| String::from_utf8_lossy(body)).collect::<String>();
    let places = [("the log", &seen.log), ("the metrics", &metrics.ok(200).text), ("the spans", &spans)];
    for (place, content) in places {
        for (kind, secret) in &secrets.0 {
            if let Some(at) = content.find(secret.as_str()) {
                let start = content[..at].rfind('\n').map_or(0, |start| start + 1);
                let line: String = content[start..].chars().take(600).collect();
                panic!("{kind} is in {place}: {line}");
            }
        }
    }

    // The same search finds what is to be found.
    let site_key: uuid::Uuid =
        world.look(&format!("select id from vicket.site_keys where site_id = '{}'", world.site_a.id)).await;
    let machine_key_id = machine_key_id.as_str().expect("an id").to_owned();
    let ids = [world.site_a.org_id, world.site_a.id, site_key, owner.id].map(|id| id.to_string());
    for id in ids.iter().map(String::as_str).chain([machine_key_id.as_str(), "the-last-one"]) {
        assert!(seen.log.contains(id), "{id} is not in the log");
        assert!(!cfg!(feature = "otlp") || spans.contains(id), "{id} is not in the spans");
        assert!(!metrics.text.contains(id), "{id} is in the metrics");
    }
    assert!(
        seen.log.contains("203.0.113.0/24") && seen.log.contains("TRACE"),
        "the log is not at the level that is searched"
    );
    assert!(metrics.text.contains("route=\"/support/v1/tickets/thread/messages\""));
    let statement =
        seen.spans().iter().filter_map(|span| attribute(span, "db.query.text")).any(|sql| sql.contains("auth.log_in"));
    assert!(statement || !cfg!(feature = "otlp"));
}

/// The one secret that the log is to show, for whoever runs the server.
#[tokio::test]
async fn the_code_of_the_set_up_is_in_the_log_once_and_nowhere_else() {
    let world = World::new().await;
    let gone = "alter table vicket.orgs disable trigger org_gone; delete from vicket.orgs; alter table vicket.orgs enable trigger org_gone";
    world.arrange(gone).await;
    let server = Watched::of(&world, true, &[]).await;
    let log = server.log();
    let (_, code) = log.split_once("code=\"").expect("the code");
    let code = code.split('"').next().expect("its end").to_owned();
    let client = Client::new();
    let page = format!("{}/dashboard/setup", server.base);
    let fields = [
        ("code", code.as_str()),
        ("org", "Acme"),
        ("slug", "acme"),
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("password", "short"),
    ];
    let form = form(client.post(&page).header("Origin", &server.base), &fields);
    assert_eq!(Answer::of(form).await.status, 400);
    Answer::of(client.get(format!("{page}?code={code}"))).await.ok(200);
    let metrics = Answer::of(client.get(&server.metrics)).await;
    let seen = server.end().await;
    assert_eq!(seen.log.matches(&code).count(), 1, "{}", seen.log);
    assert!(!metrics.ok(200).text.contains(&code));
    assert!(!seen.traces.iter().any(|body| String::from_utf8_lossy(body).contains(&code)));
}
