//! The administration commands for people: a first org without a browser.

use reqwest::Method;
use serde_json::json;

use crate::{
    harness::{Answer, DEPLOY, World},
    processes::{text, vicket},
};

#[tokio::test]
async fn an_org_gets_its_first_owner_machine_key_and_audit_log_from_the_command_line() {
    let world = World::new().await;
    let server = world.serve().await;
    let run = |args: &[&str]| vicket().env("VICKET_ADMIN_URL", world.url(DEPLOY)).args(args).output().expect("it runs");
    let fine = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    let refused = |args: &[&str], why: &str| {
        let output = run(args);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{args:?}: {said}");
    };
    fine(&["org", "create", "initech"]);
    let invite =
        ["user", "invite", "initech", "Bill@initech.com", "--role", "owner", "--public-url", "https://x.example"];
    let link = fine(&invite);
    let token = link.strip_prefix("https://x.example/invitation#").expect("a link");
    refused(&invite, "email_taken");
    refused(&["user", "invite", "nowhere", "a@b.c"], "There is no org");
    let accept = json!({ "token": token, "name": "Bill", "password": "yeah, that'd be great" });
    let accepted = Answer::of(server.request(Method::POST, "/v1/auth/invitations/accept").json(&accept)).await;
    assert_eq!(accepted.ok(200).json()["orgs"][0]["role"], "owner");
    refused(&invite, "email_taken");
    assert!(fine(&["user", "list"]).contains("bill@initech.com\tBill\t"));

    let create = ["machine-key", "create", "initech", "robot", "--as", "bill@initech.com", "--permission"];
    let key = fine(&[&create[..], &["org:edit", "--expires-in", "7"]].concat());
    assert!(vicket::domain::keys::MachineKey::is_well_formed(&key), "{key}");
    refused(&[&create[..], &["org:fly"]].concat(), "unprocessable");
    server.call_with(&key, Method::GET, "/v1/orgs/initech").await.ok(200);
    let listed = fine(&["machine-key", "list", "initech"]);
    assert!(listed.contains("robot") && !listed.contains(&key), "{listed}");
    let id = listed.split('\t').next().expect("an id");
    fine(&["machine-key", "revoke", "initech", id]);
    server.call_with(&key, Method::GET, "/v1/orgs/initech").await.refused(401, "machine_key_invalid");

    refused(&["user", "set-role", "initech", "bill@initech.com", "viewer"], "last_owner");
    refused(&["user", "remove", "initech", "bill@initech.com"], "last_owner");
    let password = fine(&["user", "reset-password", "bill@initech.com"]);
    let cookie = accepted.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
    let me = server.request(Method::GET, "/v1/auth/me").header("Cookie", cookie);
    Answer::of(me).await.refused(401, "session_invalid");
    let login = json!({ "email": "bill@initech.com", "password": password });
    Answer::of(server.request(Method::POST, "/v1/auth/login").json(&login)).await.ok(200);

    let log = fine(&["audit", "log", "initech"]);
    assert!(log.contains("bill@initech.com\tcreated member") && log.contains("cli\tcreated machine_key"), "{log}");
    for secret in [key.as_str(), token, password.as_str()] {
        assert!(!log.contains(secret));
    }
    assert!(fine(&["audit", "log", "initech", "--verify"]).contains("the chain is whole"));
    world
        .arrange("alter table vicket.audit_log disable trigger user; delete from vicket.audit_log where seq = 2")
        .await;
    refused(&["audit", "log", "initech", "--verify"], "breaks at entry 3");
}
