//! Every block of docs/audit.md runs as it stands: those of a shell in one shell, in their order, those of psql in psql.

use std::{fs, path::Path, process::Command};

use vicket::dev::postgres::Programs;

use crate::{
    agent::erasure::a_month_ends,
    docs::blocks,
    harness::{DEPLOY, World, url},
    processes::text,
};

#[tokio::test]
async fn every_block_of_the_guide_runs() {
    let world = World::new().await;
    let id = "00000000-0000-4000-8000-000000000000";
    // What the guide's commands name.
    world
        .arrange(&format!(
            "update vicket.sites set slug = 'acme-app' where slug = 'site-a';
            update vicket.articles set id = '{id}' where slug = 'site-a-published';
            insert into vicket.tickets (org_id, site_id, id, email, subject)
              select org_id, id, '{id}', 'ada@example.com', 'Help' from vicket.sites where slug = 'acme-app';
            insert into vicket.users (id, email, name) values ('{id}', 'owner@acme.com', 'Owner');
            insert into vicket.members (org_id, user_id, role)
              select org_id, '{id}', 'owner' from vicket.sites where slug = 'acme-app'"
        ))
        .await;
    a_month_ends(&world, "2026-01").await;
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guide-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let _ =
        std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations"), dir.join("migrations"));

    let ci = include_str!("../../../.ci/run");
    let mut script = String::from("set -euo pipefail\n");
    let (mut ran, mut left_to_ci) = (0, 0);
    for (language, block) in blocks(include_str!("../../../docs/audit.md")) {
        match language {
            "sh" => {
                for line in block.lines() {
                    if let Some(proof) = line.strip_prefix("cargo run ") {
                        assert!(ci.contains(proof), "CI does not run {line}, in this size or a smaller one");
                        left_to_ci += 1;
                    } else {
                        script += &format!("{line}\n");
                        ran += 1;
                    }
                }
            }
            // As who the guide says may read the views.
            "sql" => {
                script += &format!(
                    "psql \"$DATABASE\" -v ON_ERROR_STOP=1 -q -o psql.out <<'END'\nset role vicket_auditor;\n{block}END\n\
                    [ \"$(wc -l <psql.out)\" -gt 40 ]\n"
                );
                ran += 1;
            }
            other => panic!("a block of `{other}`, which nobody runs"),
        }
    }
    assert!(ran >= 15 && left_to_ci == 3, "{ran} ran, {left_to_ci} are CI's");
    for (login, ours) in [
        ("postgres://vicket_deploy:choose-one", world.url(DEPLOY)),
        ("postgres://vicket_gate_widget:choose-two", world.url("vicket_gate_widget")),
        ("postgres://vicket_gate_agent:choose-three", world.url("vicket_gate_agent")),
        ("postgres://postgres:choose-four", url(None, &world.database)),
    ] {
        let written = format!("{login}@127.0.0.1:5432/vicket");
        assert!(script.contains(&written), "the guide lacks {written}");
        script = script.replace(&written, &ours);
    }
    assert!(!script.contains(":5432/vicket"), "a URL that is nobody's: {script}");

    let programs = Programs::find().await.expect("PostgreSQL's programs");
    let vicket = Path::new(env!("CARGO_BIN_EXE_vicket")).parent().expect("a directory");
    let path = format!("{}:{}:{}", vicket.display(), programs.bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    for name in ["VICKET_ADMIN_URL", "VICKET_WIDGET_URL", "VICKET_AGENT_URL", "VICKET_WORKER_URL"] {
        shell.env_remove(name);
    }
    let shell = shell
        .current_dir(&dir)
        .env("PATH", path)
        .env("DATABASE", url(None, &world.database))
        .arg("-xc")
        .arg(&script)
        .output()
        .expect("bash runs");
    let said = format!("{}{}", text(&shell.stdout), text(&shell.stderr));
    assert!(shell.status.success(), "{said}");
    assert_eq!(said.matches("\nADMITTED\n").count(), 2, "{said}");
    assert_eq!(said.matches("\nREFUSED\n").count(), 1, "without a key: {said}");
    for shown in ["create table vicket.tickets (", "create function ctx.may("] {
        assert!(said.contains(shown), "{shown}");
    }
    for (file, part) in [
        ("html", "<!doctype html>"),
        ("markdown", "# Isolation of"),
        ("json", "\"findings\": []"),
        ("sarif", "\"2.1.0\""),
    ] {
        let name = if file == "markdown" { "isolation.md".to_owned() } else { format!("isolation.{file}") };
        let written = fs::read_to_string(dir.join(&name)).expect(&name);
        assert!(
            written.to_lowercase().contains(&part.to_lowercase()),
            "{name}: {}",
            &written[..written.len().min(300)]
        );
    }
    fs::remove_dir_all(&dir).expect("removed");
}
