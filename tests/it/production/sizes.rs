//! What the page says that a server holds, asked of one as the page asks.

use std::process::Command;

use super::{Dir, block, free_ports, logins, put, serve};
use crate::{
    harness::{World, url},
    processes::text,
};

#[tokio::test]
async fn a_server_holds_no_more_than_the_page_says() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new().await;
    let dir = Dir::new();
    let [port] = free_ports();
    let urls = logins(&world);
    let server = serve(urls.each_ref().map(String::as_str), port, &dir.0.join("server")).await;
    // As many reads and writes at once as there could be connections, and more.
    let client = reqwest::Client::new();
    let asked = (0..60).map(|n| {
        let path = if n % 3 == 0 { "/readyz" } else { "/support/v1/help/faqs" };
        client.get(format!("http://127.0.0.1:{port}{path}")).header("X-Vicket-Key", &world.site_a.key).send()
    });
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.expect("an answer").status(), 200);
    }
    let pid = server.0.as_ref().expect("running").id().to_string();
    let script = put(
        block("sh", "pgrep"),
        &[
            ("$(pgrep -o -x vicket)", &pid),
            // Other tests have servers of their own, in databases of theirs.
            ("where usename", "where datname = current_database() and usename"),
        ],
    );
    let programs = vicket::dev::postgres::Programs::find().await.expect("PostgreSQL's programs");
    let path = format!("{}:{}", programs.bin.display(), std::env::var("PATH").unwrap_or_default());
    let superuser = url(None, &world.database);
    let shell = Command::new("bash")
        .env("PATH", path)
        .env("SUPERUSER_URL", superuser)
        .args(["-euc", &script])
        .output()
        .expect("bash runs");
    let said = text(&shell.stdout);
    assert!(shell.status.success(), "{}", text(&shell.stderr));
    println!("{said}");
    assert!(said.contains("VmRSS:") && said.contains("Max open files"), "{said}");
    let held: u32 = said
        .lines()
        .filter_map(|line| line.split_once('|'))
        .filter_map(|(_, count)| count.trim().parse::<u32>().ok())
        .sum();
    assert!((3..=14).contains(&held), "{held} connections to PostgreSQL: {said}");
    let descriptors: u32 = said.lines().find_map(|line| line.trim().parse().ok()).expect("a number of descriptors");
    assert!(descriptors <= 14 + 60 + 100, "{said}");
}
