//! The page's PgBouncer before PostgreSQL, as it stands.
//!
//! `.ci/pgbouncer/build` makes one that can be served through; with an older one of the system it is left out.

use std::process::{Command, Stdio};

use super::{Dir, Running, block, free_ports, logins, put, serve};
use crate::{
    harness::World,
    pooler::{keeps_names, program},
};

#[tokio::test]
async fn a_server_works_through_the_pooler_of_the_page() {
    if !keeps_names() {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new().await;
    let dir = Dir::new();
    let [port, listen] = free_ports();
    let direct = logins(&world).map(|url| url::Url::parse(&url).expect("a URL"));
    let users = direct.each_ref().map(|url| format!("\"{}\" \"{}\"\n", url.username(), url.password().expect("one")));
    dir.write("users", &users.concat());
    let ini = put(
        block("ini", "[pgbouncer]"),
        &[
            (
                "vicket = host=127.0.0.1 port=5432",
                &format!("{} = host=127.0.0.1 port={}", world.database, direct[0].port().expect("a port")),
            ),
            ("listen_port = 6432", &format!("listen_port = {port}\nunix_socket_dir =\nlogfile = {}", dir.path("log"))),
            ("/etc/pgbouncer/users", &dir.path("users")),
        ],
    );
    let mut command = Command::new(program());
    command.arg(dir.write("ini", &ini)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        // It does not run as root.
        use std::os::unix::process::CommandExt as _;
        command.uid(65534).gid(65534);
    }
    let _pooler = Running(command.spawn().expect("pgbouncer starts"));
    let through = direct.map(|mut url| {
        url.set_port(Some(port)).expect("a port");
        String::from(url)
    });
    let _server = serve(through.each_ref().map(String::as_str), listen, &dir.0.join("server")).await;
    let list = format!("http://127.0.0.1:{listen}/support/v1/help/articles");
    let request = reqwest::Client::new().get(list).header("X-Vicket-Key", &world.site_a.key);
    assert_eq!(request.send().await.expect("an answer").status(), 200, "{}", dir.read("log"));
    assert!(dir.read("log").contains("vicket_gate_widget"), "nobody went through it: {}", dir.read("log"));
}
