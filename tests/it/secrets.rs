//! No key, token or password is in any log or dump.

mod seen;

use std::{path::PathBuf, process::Stdio};

use vicket::{
    dev::postgres::{Cluster, Programs},
    domain::keys::Sha256Digest,
};

use crate::{
    harness::{Answer, connect, ticket},
    processes::{ALONE, Dev, dev_file, free_port, serve, text, vicket},
};

#[tokio::test]
async fn after_a_whole_journey_no_secret_is_in_a_log_or_in_a_dump() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cluster-{}", std::process::id())).join("secrets");
    let dev_port = free_port();
    let mut dev = Dev::start(&dir, dev_port, &[]);
    dev.is_ready(dev_port).await;
    let admin = dev_file(&dir)["databases"]["admin"].as_str().expect("a URL").to_owned();
    let mut superuser = connect(&admin).await;
    for statement in ["alter system set log_statement = 'all'", "select pg_reload_conf()"] {
        sqlx::raw_sql(statement).execute(&mut superuser).await.expect(statement);
    }
    drop(superuser);
    dev.end("TERM").await;
    // Again, so that the passwords that a start sets are set while everything is logged.
    let mut dev = Dev::start(&dir, dev_port, &[]);
    dev.is_ready(dev_port).await;
    let made = dev_file(&dir);
    let admin = made["databases"]["admin"].as_str().expect("a URL");
    let log = dir.join("serve.log");
    // A port that was free long ago may be somebody's.
    let port = free_port();
    let mut server = serve(&made, port, "trace", std::fs::File::create(&log).expect("a log").into());
    server.is_ready(port).await;

    let run = |args: &[&str]| {
        let output = vicket().env("VICKET_ADMIN_URL", admin).args(args).output().expect("it runs");
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    run(&["site", "create", "acme/journey"]);
    let keys = [
        run(&["key", "create", "acme/journey"]),
        run(&["key", "stage", "acme/journey"]),
        format!("pk_{}", "badkey-".repeat(7)),
    ];
    let client = reqwest::Client::new();
    let base = format!("http://127.0.0.1:{port}/support/v1");
    let with =
        |method, path: &str, key: &str| client.request(method, format!("{base}{path}")).header("X-Vicket-Key", key);
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    let made_ticket = Answer::of(with(post.clone(), "/tickets", &keys[0]).json(&ticket())).await;
    let token = made_ticket.ok(201).json()["token"].as_str().expect("a token").to_owned();
    run(&["key", "rotate", "acme/journey"]);
    let thread = with(get.clone(), "/tickets/thread", &keys[1]).header("X-Vicket-Ticket", &token);
    Answer::of(thread).await.ok(200);
    let reply = with(post, "/tickets/thread/messages", &keys[1]).header("X-Vicket-Ticket", &token);
    Answer::of(reply.json(&serde_json::json!({"body": "Thanks."}))).await.ok(201);
    for dead in [&keys[0], &keys[2]] {
        Answer::of(with(get.clone(), "/site", dead)).await.refused(401, "key_invalid");
    }
    assert!(server.end("TERM").await.status.success());

    let programs = Programs::find().await.expect("programs");
    let dump = vicket_dump(&programs, admin);
    let said = dev.end("TERM").await;
    let read = |path: PathBuf| text(&std::fs::read(&path).expect("a log"));
    let places = [
        ("the server's log", read(log)),
        ("dev's log", text(&said.stderr)),
        ("PostgreSQL's log", read(dir.join("postgres.log"))),
        ("the dump", dump),
    ];
    let mut secrets = keys.to_vec();
    secrets.push(token);
    secrets.push(read(dir.join("secret.key")).trim().to_owned());
    for login in ["admin", "widget", "agent", "mail", "worker"] {
        let url = url::Url::parse(made["databases"][login].as_str().expect("a URL")).expect("a URL");
        secrets.push(url.password().expect("a password").to_owned());
    }
    for user in made["users"].as_array().expect("users") {
        secrets.push(user["password"].as_str().expect("a password").to_owned());
    }
    for site in made["sites"].as_array().expect("sites") {
        secrets.push(site["key"].as_str().expect("a key").to_owned());
    }
    for (place, content) in &places {
        for secret in &secrets {
            assert!(!content.contains(secret.as_str()), "a secret is in {place}: {}...", &secret[..6]);
        }
    }
    // What the search can find is there: the key's hash in the dump and in the statements, requests in the log.
    let hash = Sha256Digest::of(keys[1].as_bytes()).to_hex();
    assert!(places[3].1.contains(&hash) && places[2].1.contains(&hash));
    assert!(places[0].1.contains("/support/v1/tickets/thread"));
    assert!(!places[0].1.contains("on its session"), "our own statements left something on a session");
    Cluster::remove(&dir).await.expect("removed");
}

fn vicket_dump(programs: &Programs, url: &str) -> String {
    let mut dump = std::process::Command::new(programs.bin.join("pg_dump"));
    let output = dump.arg(url).stdin(Stdio::null()).output().expect("pg_dump runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}
