//! Mail of a mailbox that is read by IMAP, from Dovecot: each message once, none lost, and nothing changed there.

mod dovecot;

use std::time::{Duration, Instant};

use vicket::intake::mailbox::Mailbox;

use crate::{
    harness::{Options, Running, World, connect, url},
    mail_http::{address, intake, kept},
};
use dovecot::Dovecot;

const OURS: &str = "help@a.example";
const OTHERS: &str = "help@c.example";

struct Desk {
    world: World,
    dovecot: Dovecot,
}

fn message(number: u32, traces: &str) -> Vec<u8> {
    format!(
        "Return-Path: <bounces@example.com>\r\n{traces}From: Ada <ada@example.com>\r\nTo: help@elsewhere.example\r\n\
         Subject: {number}\r\nMessage-ID: <{number}@example.com>\r\n\r\nIt broke.\r\n"
    )
    .into_bytes()
}

impl Desk {
    async fn open() -> Self {
        let world = World::new().await;
        address(&world, &world.site_a, OURS).await;
        address(&world, &world.site_c, OTHERS).await;
        Self { world, dovecot: Dovecot::start().await }
    }

    async fn serve(&self, more: &str) -> Running {
        let url = self.dovecot.url(false, Dovecot::password(), more);
        let mailbox = Some(Mailbox::parse(&url).expect("a mailbox"));
        self.world.serve_with(Options { intake: Some(intake()), mailbox, metrics: true, ..Options::default() }).await
    }

    /// How far the mailbox was read, once that is so far.
    async fn read_up_to(&self, uid: i64) {
        let since = Instant::now();
        loop {
            let last: i64 = self.world.look("select coalesce(max(last_uid), 0) from vicket.mailboxes").await;
            if last >= uid {
                assert_eq!(last, uid);
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "it was read up to {last}, not {uid}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn counted(server: &Running, outcome: &str) -> u64 {
    let line = format!("vicket_mail_in_total{{outcome=\"{outcome}\"}} ");
    server.scrape().await.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn each_message_of_a_mailbox_is_taken_once_and_left_as_it_is() {
    if !dovecot::is_installed() {
        return;
    }
    let desk = Desk::open().await;
    let first = message(1, "Delivered-To: box@imap.example\r\nX-Original-To: Help@A.example\r\n");
    desk.dovecot.deliver(1, &first);
    desk.dovecot.deliver(2, &message(2, "Delivered-To: help@c.example\r\nX-Original-To: help@a.example\r\n"));
    // To nobody here, whatever is said further down; too large; nothing at all.
    desk.dovecot.deliver(
        3,
        &[&message(3, "Delivered-To: box@imap.example\r\n")[..], b"Delivered-To: help@a.example\r\n"].concat(),
    );
    let mut large = message(4, "X-Original-To: help@a.example\r\n");
    large.resize(25 * 1024 * 1024 + 1, b'x');
    desk.dovecot.deliver(4, &large);
    desk.dovecot.deliver(5, b"");
    desk.dovecot.deliver(6, &message(6, "X-Gm-Original-To: help@a.example\r\n"));
    let files = desk.dovecot.files();

    let server = desk.serve("?every=1").await;
    desk.read_up_to(6).await;
    let of_a = kept(&desk.world, &desk.world.site_a).await;
    assert_eq!(of_a.len(), 2, "{:?}", of_a.iter().map(|(to, _, _)| to).collect::<Vec<_>>());
    // The domain is in lower case, as in all envelopes.
    assert_eq!(of_a[0], ("Help@a.example".to_owned(), "bounces@example.com".to_owned(), first.clone()));
    assert_eq!(kept(&desk.world, &desk.world.site_c).await.len(), 1, "the topmost counts");
    assert_eq!((counted(&server, "received").await, counted(&server, "refused").await), (3, 3));

    // What comes later is found, too.
    desk.dovecot.deliver(7, &message(7, "Envelope-To: help@c.example\r\n"));
    desk.read_up_to(7).await;
    assert_eq!(counted(&server, "received").await, 4);
    server.stop().await;

    // Who comes after goes on there.
    let server = desk.serve("?every=1").await;
    desk.dovecot.deliver(8, &message(8, "Delivered-To: help@a.example\r\n"));
    desk.read_up_to(8).await;
    assert_eq!((counted(&server, "received").await, counted(&server, "duplicate").await), (1, 0));
    server.stop().await;

    // Other UIDs than before: all of it is read again, and nothing is there twice.
    let before: i64 = desk.world.look("select count(*) from vicket.inbound_mails").await;
    desk.world.arrange("update vicket.mailboxes set uid_validity = uid_validity - 1, last_uid = 4000000000").await;
    let server = desk.serve("?every=1").await;
    desk.world.arrange("update vicket.mailboxes set last_uid = 0 where last_uid = 4000000000").await;
    desk.read_up_to(8).await;
    assert_eq!((counted(&server, "received").await, counted(&server, "duplicate").await), (0, 5));
    assert_eq!(desk.world.look::<i64>("select count(*) from vicket.inbound_mails").await, before);
    server.stop().await;

    // Nothing is gone, and nothing is marked as seen.
    let after = desk.dovecot.files();
    assert_eq!(after.len(), files.len() + 2);
    for file in &after {
        assert!(file.rsplit_once(":2,").is_none_or(|(_, flags)| flags.is_empty()), "{file}");
    }
}

#[tokio::test]
async fn one_process_reads_a_mailbox_and_when_it_ends_another_goes_on() {
    if !dovecot::is_installed() {
        return;
    }
    let desk = Desk::open().await;
    // All of it is for one address, whatever is said in it.
    let more = "?every=1&recipient=help%40a.example";
    let servers = [desk.serve(more).await, desk.serve(more).await];
    for number in 1..=20 {
        desk.dovecot.deliver(number, &message(number, "Delivered-To: help@c.example\r\n"));
    }
    desk.read_up_to(20).await;
    assert_eq!(kept(&desk.world, &desk.world.site_a).await.len(), 20);
    assert!(kept(&desk.world, &desk.world.site_c).await.is_empty());
    let mut read = Vec::new();
    for server in &servers {
        assert_eq!(counted(server, "duplicate").await, 0);
        read.push(counted(server, "received").await);
    }
    let [first, second] = servers;
    let (holder, other) = match read[..] {
        [20, 0] => (first, second),
        [0, 20] => (second, first),
        _ => panic!("{read:?}"),
    };
    holder.stop().await;
    desk.dovecot.deliver(21, &message(21, ""));
    // Long before the lease would have ended.
    desk.read_up_to(21).await;
    assert_eq!(counted(&other, "received").await, 1);

    // One that another holds, and does not let go of, is left alone until its lease ends.
    desk.world
        .arrange("update vicket.mailboxes set holder = gen_random_uuid(), held_until = now() + interval '8 s'")
        .await;
    desk.dovecot.deliver(22, &message(22, ""));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(kept(&desk.world, &desk.world.site_a).await.len(), 21);
    desk.read_up_to(22).await;
    assert_eq!(kept(&desk.world, &desk.world.site_a).await.len(), 22);
}

#[tokio::test]
async fn how_far_it_was_read_moves_when_a_message_is_committed_and_not_before() {
    if !dovecot::is_installed() {
        return;
    }
    let desk = Desk::open().await;
    let server = desk.serve("?every=1").await;
    desk.dovecot.deliver(1, &message(1, "Delivered-To: help@a.example\r\n"));
    desk.read_up_to(1).await;
    let mut superuser = connect(&url(None, "postgres")).await;
    let allow = async |connection: &mut sqlx::PgConnection, may: bool| {
        let sql = format!("alter database {} allow_connections {may}", desk.world.database);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await.expect("arranged");
    };
    allow(&mut superuser, false).await;
    let gone = "select pg_terminate_backend(pid) from pg_stat_activity
        where usename = 'vicket_gate_mail' and datname = current_database()";
    desk.world.arrange(gone).await;
    desk.dovecot.deliver(2, &message(2, "Delivered-To: help@a.example\r\n"));
    let since = Instant::now();
    while counted(&server, "deferred").await == 0 {
        assert!(since.elapsed() < Duration::from_secs(20), "the mail was not tried");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let last: i64 = desk.world.look("select last_uid from vicket.mailboxes").await;
    assert_eq!((last, kept(&desk.world, &desk.world.site_a).await.len()), (1, 1));
    allow(&mut superuser, true).await;
    desk.read_up_to(2).await;
    assert_eq!(kept(&desk.world, &desk.world.site_a).await.len(), 2);
    assert_eq!(counted(&server, "refused").await, 0);
}

#[tokio::test]
async fn a_server_is_believed_that_its_certificate_proves_and_no_password_is_told() {
    if !dovecot::is_installed() {
        return;
    }
    let dovecot = Dovecot::start().await;
    let ca = format!("?ca={}", dovecot.certificate());
    let open = async |tls: bool, password: &str, more: &str| {
        let mailbox = Mailbox::parse(&dovecot.url(tls, password, more)).expect("a mailbox");
        mailbox.connect().await.map(|_| ()).map_err(|error| format!("{error:#}"))
    };
    open(true, Dovecot::password(), &ca).await.expect("by its own certificate");
    open(false, Dovecot::password(), "").await.expect("on this machine");
    let stranger = open(true, Dovecot::password(), "").await.expect_err("nobody vouches for it");
    assert!(stranger.contains("no TLS") && stranger.contains("UnknownIssuer"), "{stranger}");
    let wrong = open(true, "hunter2", &ca).await.expect_err("another password");
    assert!(wrong.contains("no log-in") && !wrong.contains("hunter2"), "{wrong}");
}
