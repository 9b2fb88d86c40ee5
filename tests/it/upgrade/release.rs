//! What is kept of a release: `VICKET_RELEASE_DUMP=VERSION cargo test --test it what_a_release_is_kept_as`, which is
//! `just release-dump VERSION`.
//!
//! The rows are those of the plan guard, of a few sites; the statements are what its operations send, read from PostgreSQL's
//! log. Ids and times are the same in every run, so that who makes it again sees what changed.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use flate2::{Compression, GzBuilder, read::GzDecoder};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vicket::migrate::{self, Passwords};
use vicket_proofs::{
    plans::{self, Size, operations},
    scratch::Scratch,
};

use super::{
    TO_NOW, dump,
    recording::{Client, Message, Request, generalised, logged},
};
use crate::harness::{DEPLOY, connect};

const DATABASE: &str = "scratch";
/// The plan guard asks for the seventh site, and wants it among its org's first; most of the others go again.
const SIZE: Size = Size { sites: 20, rows: 2000, large: 0 };

/// The same ids and the same moment in every run. Only a superuser may, and only of a cluster that is thrown away.
const STAND_STILL: &str = "
    create sequence public.seed_ids;
    grant usage on sequence public.seed_ids to public;
    create or replace function pg_catalog.gen_random_uuid() returns uuid
      language sql volatile parallel safe as $$
        select overlay(overlay(md5('seed ' || nextval('public.seed_ids')) placing '4' from 13) placing '8' from 17)::uuid
      $$;
    create or replace function pg_catalog.now() returns timestamptz
      language sql stable strict parallel safe as $$ select timestamptz '2026-01-15 12:00:00+00' $$;
    create or replace function pg_catalog.clock_timestamp() returns timestamptz
      language sql volatile strict parallel safe as $$ select timestamptz '2026-01-15 12:00:00+00' $$";
const GO_ON: &str = "
    create or replace function pg_catalog.gen_random_uuid() returns uuid
      language internal volatile strict parallel safe as 'gen_random_uuid';
    create or replace function pg_catalog.now() returns timestamptz
      language internal stable strict parallel safe as 'now';
    create or replace function pg_catalog.clock_timestamp() returns timestamptz
      language internal volatile strict parallel safe as 'clock_timestamp';
    drop sequence public.seed_ids";
/// Days count from the same day, the ledger's times are nobody's, and of what there is thousands a few do.
const TRIM: &str = "
    set session_replication_role = replica;
    delete from vicket.users where email like 'stranger-%';
    delete from vicket.missed_searches where day < current_date - 2;
    do $$
    declare
      sited record;
      dated record;
    begin
      for sited in
        select a.attrelid::regclass as tab
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'vicket'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and a.attname = 'site_id'
      loop
        execute format(
          'delete from %s where site_id in (select id from vicket.sites where substr(slug, 6)::integer > 8)', sited.tab);
      end loop;
      delete from vicket.sites where substr(slug, 6)::integer > 8;
      for dated in
        select a.attrelid::regclass as tab, a.attname as col
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'vicket'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
          and a.atttypid = 'date'::regtype and not a.attisdropped
      loop
        execute format('update %s set %I = %I + (date ''2026-01-15'' - current_date)', dated.tab, dated.col, dated.col);
      end loop;
    end $$;
    update public._sqlx_migrations set installed_on = timestamptz '2026-01-15 12:00:00+00', execution_time = 0;
    reset session_replication_role";

/// A release as it is kept.
struct Kept {
    dump: String,
    requests: Vec<Request>,
}

async fn run(connection: &mut PgConnection, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.with_context(|| sql.to_owned())?;
    Ok(())
}

/// Makes it of this commit's schema.
async fn make() -> anyhow::Result<Kept> {
    let scratch = Scratch::start().await?;
    let made = made_in(&scratch).await;
    scratch.end().await?;
    made
}

async fn made_in(scratch: &Scratch) -> anyhow::Result<Kept> {
    let superuser_url = scratch.superuser_url();
    migrate_as_deployed(&superuser_url).await?;
    let mut superuser = connect(&superuser_url).await;
    run(&mut superuser, STAND_STILL).await?;
    plans::seed(&mut superuser, SIZE).await?;
    run(&mut superuser, GO_ON).await?;
    run(&mut superuser, TRIM).await?;
    let dump = dump(&superuser_url, &[]).await?;
    run(&mut superuser, TO_NOW).await?;
    run(&mut superuser, "alter database scratch set log_statement = 'all'").await?;

    let mut requests = Vec::new();
    operations::run(scratch, &mut superuser, &mut |name, role, from| {
        let login = role.replace("vicket_", "vicket_gate_");
        let mut log = Vec::new();
        let mut file = std::fs::File::open(scratch.log())?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))?;
        file.read_to_end(&mut log)?;
        let messages = logged(&String::from_utf8_lossy(&log), &login, DATABASE);
        // The first runs ask the catalog for types, once; the last two send what every later one would.
        let begins = |message: &Message| message.sql.to_lowercase().starts_with("begin");
        // Those that begin need not send as much the first time.
        let each = match messages.iter().rposition(begins) {
            Some(at) => messages.len() - at,
            None => messages.len() / operations::RUNS,
        };
        let (earlier, last) = messages.split_at(messages.len() - each);
        let whole = match last {
            // A read enters for itself.
            [only] => ["from auth.read_", "from auth.search_"].iter().any(|from| only.sql.contains(from)),
            [first, rest @ ..] => begins(first) && !rest.iter().any(begins),
            [] => false,
        };
        ensure!(whole, "{name}: {} messages of {} runs: {last:?}", messages.len(), operations::RUNS);
        let messages = generalised(&earlier[earlier.len() - each..], last).context(name)?;
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let name = format!("{:02}_{}", requests.len() + 1, words.join("_").to_lowercase());
        requests.push(Request { name, login, messages });
        Ok(())
    })
    .await?;
    superuser.close().await?;
    // As they will be sent, over and over.
    let mut client = Client::new(|login| scratch.gate_url(login));
    for request in requests.iter().chain(&requests) {
        client.send(request).await.with_context(|| request.name.clone())?;
    }
    Ok(Kept { dump, requests })
}

/// The scratch database anew, owned and migrated by a login that is no superuser, whose name the tests' cluster knows.
async fn migrate_as_deployed(superuser_url: &str) -> anyhow::Result<()> {
    let mut url = url::Url::parse(superuser_url)?;
    url.set_path("postgres");
    let mut superuser = connect(url.as_str()).await;
    for statement in [
        format!("drop database {DATABASE}"),
        format!("create role {DEPLOY} login createrole password 'of-a-scratch-database'"),
        format!("grant vicket_owner, vicket_definer, vicket_operator to {DEPLOY} with admin option"),
        format!("create database {DATABASE} owner {DEPLOY}"),
        format!("revoke all on database {DATABASE} from public"),
    ] {
        run(&mut superuser, &statement).await?;
    }
    superuser.close().await?;
    let set = url.set_username(DEPLOY).and_then(|()| url.set_password(Some("of-a-scratch-database")));
    ensure!(set.is_ok(), "no URL of a login");
    url.set_path(DATABASE);
    migrate::run(url.as_str(), &Passwords::default()).await?;
    Ok(())
}

/// The text of a compressed file.
pub fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(file)?).read_to_string(&mut text).with_context(|| file.display().to_string())?;
    Ok(text)
}

impl Kept {
    fn write(&self, directory: &Path) -> anyhow::Result<()> {
        let statements = directory.join("statements");
        if statements.exists() {
            std::fs::remove_dir_all(&statements)?;
        }
        std::fs::create_dir_all(&statements)?;
        // No name and no time, which differ from run to run.
        let mut file =
            GzBuilder::new().write(std::fs::File::create(directory.join("dump.sql.gz"))?, Compression::best());
        file.write_all(self.dump.as_bytes())?;
        file.finish()?;
        for request in &self.requests {
            std::fs::write(statements.join(format!("{}.sql", request.name)), request.text())?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn what_a_release_is_kept_as_can_be_made_of_this_commit() {
    let kept = make().await.expect("made");
    let directory = match std::env::var("VICKET_RELEASE_DUMP") {
        Ok(version) => {
            assert!(version.split('.').count() == 3, "a version like 0.1.0, and not {version}");
            let again = make().await.expect("made again");
            let differs = kept.dump.lines().zip(again.dump.lines()).find(|(one, other)| one != other);
            assert!(kept.dump == again.dump, "two runs differ: {differs:?}");
            for (one, other) in kept.requests.iter().zip(&again.requests) {
                assert_eq!(one.text(), other.text(), "two runs differ");
            }
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade").join(version)
        }
        Err(_) => PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("release-{}", std::process::id())),
    };
    kept.write(&directory).expect("written");
    let read = super::recording::read(&directory.join("statements")).expect("read");
    assert!(read.len() >= 30 && read.len() == kept.requests.len(), "{}", read.len());
    assert!(super::release::read(&directory.join("dump.sql.gz")).expect("read") == kept.dump);
    let size = std::fs::metadata(directory.join("dump.sql.gz")).expect("there").len();
    assert!(size < 300_000, "{size} bytes are too many to keep of each release");
    if std::env::var_os("VICKET_RELEASE_DUMP").is_none() {
        std::fs::remove_dir_all(directory).expect("removed");
    }
}
