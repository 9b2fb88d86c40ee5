//! The first run: a server with neither an org nor a user gets both from one form, once.

use super::Running;
use crate::harness::{Person, World};

const SETUP: &str = "/dashboard/setup";
const FORM: [(&str, &str); 6] = [
    ("code", ""),
    ("org", "Acme & Söhne"),
    ("slug", ""),
    ("name", "Ada"),
    ("email", "Ada@Acme.example"),
    ("password", "correct horse"),
];

/// The form, with the code of this server.
fn filled(code: &str) -> [(&'static str, &str); 6] {
    let mut form = FORM;
    form[0].1 = code;
    form
}

fn browser(cookie: &str) -> Person {
    let session = vicket::domain::keys::Sha256Digest::of(b"");
    Person { id: uuid::Uuid::nil(), email: String::new(), cookie: cookie.to_owned(), session }
}

async fn empty() -> (World, Running) {
    let world = World::new().await;
    // Whoever deletes an org is within it; a superuser is in none.
    world.arrange("alter table vicket.orgs disable trigger org_gone; delete from vicket.orgs; alter table vicket.orgs enable trigger org_gone").await;
    let running = world.serve().await;
    (world, running)
}

#[tokio::test]
async fn the_first_to_come_makes_the_org_and_owns_it() {
    let (world, running) = empty().await;
    let nobody = browser("");
    let login = running.page(&nobody, "/dashboard/login").await;
    assert_eq!((login.status, login.header("location")), (303, Some(SETUP)));
    assert_eq!(running.page(&nobody, SETUP).await.status, 200);

    let code = running.app.setup_code.reveal();
    let mut bad = FORM;
    let refused = running.form(&nobody, SETUP, &bad).await;
    assert!(
        refused.status == 400 && refused.text.contains("is not the one in the server"),
        "without the code: {}",
        refused.text
    );
    bad = filled("00000-00000");
    assert_eq!(running.form(&nobody, SETUP, &bad).await.status, 400);
    bad = filled(&code);
    bad[5].1 = "short";
    let refused = running.form(&nobody, SETUP, &bad).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("Acme &#38; Söhne") && !refused.text.contains("value=\"short\""), "{}", refused.text);
    bad = filled(&code);
    bad[2].1 = "logout";
    assert_eq!(running.form(&nobody, SETUP, &bad).await.status, 400);

    let begun = running.form(&nobody, SETUP, &filled(&code)).await;
    assert_eq!((begun.status, begun.header("location")), (303, Some("/dashboard/acme-sohne/sites")), "{}", begun.text);
    let cookie = begun.header("set-cookie").expect("a session");
    let owner = browser(cookie.split(';').next().unwrap_or_default());
    let members = running.page(&owner, "/dashboard/acme-sohne/members").await;
    assert!(members.status == 200 && members.text.contains("ada@acme.example"), "{}", members.text);
    let audited = "select string_agg(distinct actor, ',') from vicket.audit_log where action = 'created'
        and org_id = (select id from vicket.orgs)";
    assert_eq!(world.look::<String>(audited).await, "ada@acme.example");

    // The page is gone, for whoever comes next.
    let later = running.page(&owner, SETUP).await;
    assert_eq!((later.status, later.header("location")), (303, Some("/dashboard")));
    assert_eq!(running.page(&nobody, "/dashboard/login").await.status, 200);
    let mut second = filled(&code);
    second[1].1 = "Mallory";
    assert_eq!(running.form(&nobody, SETUP, &second).await.status, 404);
    assert_eq!(world.look::<i64>("select count(*) from vicket.orgs").await, 1);
}

#[tokio::test]
async fn of_many_at_once_one_is_the_first() {
    let (world, running) = empty().await;
    let names = ["one", "two", "three", "four"];
    let emails = names.map(|name| format!("{name}@acme.example"));
    let code = running.app.setup_code.reveal();
    let tries = names.iter().zip(&emails).map(|(name, email)| {
        let mut form = filled(&code);
        form[1].1 = name;
        form[4].1 = email;
        let running = &running;
        async move { running.form(&browser(""), SETUP, &form).await.status }
    });
    let mut answers = futures_util::future::join_all(tries).await;
    answers.sort_unstable();
    assert_eq!(answers, [303, 404, 404, 404]);
    let left = "select (select count(*) from vicket.orgs) + (select count(*) from vicket.users)
        + (select count(*) from vicket.sessions)";
    assert_eq!(world.look::<i64>(left).await, 3);
}

#[tokio::test]
async fn where_a_command_made_an_org_no_stranger_comes_first() {
    let world = World::new().await;
    let running = world.serve().await;
    let nobody = browser("");
    assert_eq!(world.look::<i64>("select count(*) from vicket.users").await, 0);
    assert_eq!(running.page(&nobody, "/dashboard/login").await.status, 200);
    assert_eq!(running.page(&nobody, SETUP).await.status, 303);
    assert_eq!(running.form(&nobody, SETUP, &filled(&running.app.setup_code.reveal())).await.status, 404);
    // As injected SQL of the gate, too.
    let refused: bool = sqlx::query_scalar(
        "select auth.begin_first_org('x', 'X', 'x@x.example', 'X', '$argon2id$x', sha256('x'), 'r')",
    )
    .fetch_one(&mut crate::harness::connect(&world.url("vicket_gate_agent")).await)
    .await
    .expect("an answer");
    assert!(!refused);
}
