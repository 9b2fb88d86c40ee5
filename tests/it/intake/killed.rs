//! What was answered with 250 is there, whatever happens to the server; and who says nothing keeps nobody from it.

use std::{
    collections::HashSet,
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vicket::intake::listener::CONNECTIONS;

use super::{Client, Desk};
use crate::{
    harness::World,
    processes::{ALONE, free_port, serve_with},
};

fn mail(number: usize) -> String {
    format!(
        "From: Ann <ann-{number}@example.com>\r\nSubject: Number {number}\r\nMessage-ID: <{number}@example.com>\r\n\r\nHello {number}.\r\n"
    )
}

/// Hands mail over until the connection breaks; what was answered with 250.
async fn hand_over(port: u16, address: String, from: usize) -> Vec<usize> {
    let mut taken = Vec::new();
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return taken };
    let mut buffer = Vec::new();
    let mut say = async |text: String, code: &str| -> bool {
        if stream.write_all(text.as_bytes()).await.is_err() {
            return false;
        }
        let mut chunk = [0; 1024];
        loop {
            let end = buffer.windows(2).position(|two| two == b"\r\n");
            if let Some(end) = end {
                let line: Vec<u8> = buffer.drain(..end + 2).collect();
                if line[3] == b'-' {
                    continue;
                }
                return line.starts_with(code.as_bytes());
            }
            match stream.read(&mut chunk).await {
                Ok(count) if count > 0 => buffer.extend_from_slice(&chunk[..count]),
                _ => return false,
            }
        }
    };
    if !(say(String::new(), "220").await && say("LHLO mx.test\r\n".to_owned(), "250").await) {
        return taken;
    }
    for number in from.. {
        let told = say(format!("MAIL FROM:<ann-{number}@example.com>\r\n"), "250").await
            && say(format!("RCPT TO:<{address}>\r\n"), "250").await
            && say("DATA\r\n".to_owned(), "354").await
            && say(format!("{}.\r\n", mail(number)), "250").await;
        if !told {
            return taken;
        }
        taken.push(number);
    }
    taken
}

#[tokio::test]
async fn a_server_that_is_killed_while_mail_comes_in_has_all_that_it_took() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new().await;
    let local: String =
        world.look(&format!("select address from vicket.mail_addresses where site_id = '{}'", world.site_a.id)).await;
    let key = std::env::temp_dir().join(format!("vicket-intake-{}.key", std::process::id()));
    std::fs::write(&key, super::SECRET).expect("written");
    let mut answered: HashSet<usize> = HashSet::new();
    for round in 0..4_usize {
        let lmtp = free_port();
        let variables = [
            ("VICKET_WIDGET_URL", world.url("vicket_gate_widget")),
            ("VICKET_AGENT_URL", world.url("vicket_gate_agent")),
            ("VICKET_WORKER_URL", world.url("vicket_worker")),
            ("VICKET_MAIL_URL", world.url("vicket_gate_mail")),
            ("VICKET_SECRET_KEY_FILE", key.to_str().expect("UTF-8").to_owned()),
            ("VICKET_REPLY_DOMAIN", "reply.example".to_owned()),
            ("VICKET_LMTP_LISTEN", format!("127.0.0.1:{lmtp}")),
        ];
        if round == 3 {
            // The leases of those that were killed would end within 90 seconds.
            world.arrange("update vicket.tasks set run_at = now() where kind = 'inbound'").await;
        }
        let http = free_port();
        let mut server = serve_with(&variables, http, "warn", Stdio::null());
        server.is_ready(http).await;
        let handing: Vec<_> = (0..3)
            .map(|lane| {
                tokio::spawn(hand_over(lmtp, format!("{local}@reply.example"), round * 1_000_000 + lane * 100_000))
            })
            .collect();
        if round < 3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            server.end("KILL").await;
        } else {
            tokio::time::sleep(Duration::from_millis(300)).await;
            for handing in &handing {
                handing.abort();
            }
            let since = Instant::now();
            while world.look::<bool>("select exists (select from vicket.tasks where kind = 'inbound')").await {
                assert!(since.elapsed() < Duration::from_mins(2), "mail waits");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            server.end("TERM").await;
        }
        for handing in handing {
            answered.extend(handing.await.unwrap_or_default());
        }
    }
    let kept: Vec<String> =
        world.look("select array_agg(t.subject) from vicket.tickets t where t.subject like 'Number %'").await;
    let kept_once: HashSet<&String> = kept.iter().collect();
    assert_eq!(kept.len(), kept_once.len(), "none is a ticket twice");
    for number in &answered {
        assert!(kept_once.contains(&format!("Number {number}")), "{number} was answered with 250 and is lost");
    }
    println!("3 kills: {} mails answered with 250, {} kept, none lost, none twice", answered.len(), kept.len());
    assert!(answered.len() > 30, "{}", answered.len());
    let _ = std::fs::remove_file(key);
}

#[tokio::test]
async fn who_connects_and_says_nothing_keeps_nobody_from_handing_mail_over() {
    let desk = Desk::open().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS + 50 {
        let mut stream = TcpStream::connect(desk.server.mail[0]).await.expect("connected");
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await.expect("greeted");
        silent.push((stream, greeting));
    }
    let refused = silent.iter().filter(|(_, greeting)| greeting.starts_with(b"421")).count();
    assert_eq!(refused, 50, "those that are too many are told to come again");
    // The other listener has places of its own; the server answers as ever.
    desk.call(Method::GET, "/tickets", None).await.ok(200);
    let mut smtp = Client::greeted(desk.server.mail[1], "EHLO mx.test").await;
    smtp.hand("bob@example.org", &desk.address, "From: bob@example.org\nSubject: By SMTP\n\nHello.\n").await;
    // After ten seconds of silence there is room again.
    let since = Instant::now();
    loop {
        let mut stream = TcpStream::connect(desk.server.mail[0]).await.expect("connected");
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await.expect("greeted");
        if greeting.starts_with(b"220") {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "no room again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    desk.client()
        .await
        .hand("bob@example.org", &desk.address, "From: bob@example.org\nSubject: Again\n\nHello.\n")
        .await;
    desk.read().await;
    assert_eq!(desk.states().await, ["filed", "filed"]);
}

#[tokio::test]
async fn each_recipient_is_answered_for_and_limits_are_kept() {
    let desk = Desk::open().await;
    let other = desk.world.person("globex", "owner").await;
    let page = desk.server.call_as(&other, Method::GET, "/v1/orgs/globex/sites/site-c/mail", None).await.ok(200).json();
    let of_c = page["address"].as_str().expect("an address").to_owned();
    let mut client = desk.client().await;
    // No relay, no such address, no mail before a hello.
    client.say("MAIL FROM:<ann@example.com>").await;
    for nobody in ["ann@elsewhere.example", "nobody@reply.example", "postmaster", "x@acme.example"] {
        assert!(client.say(&format!("RCPT TO:<{nobody}>")).await.starts_with("550"), "{nobody}");
    }
    assert!(client.say("DATA").await.starts_with("503"), "nobody is to have it");
    client.say("RSET").await;
    let answers = client.send("ann@example.com", &[&desk.address, &of_c], &mail(1), 2).await;
    assert!(answers.iter().all(|answer| answer.starts_with("250")), "{answers:?}");
    desk.read().await;
    let by_site =
        "select array_agg(s.slug order by s.slug) from vicket.tickets t join vicket.sites s on s.id = t.site_id";
    assert_eq!(desk.world.look::<Vec<String>>(by_site).await, ["site-a", "site-c"]);
    assert!(client.say("MAIL FROM:<ann@example.com> SIZE=99999999").await.starts_with("552"));
    assert!(client.say(&"x".repeat(3000)).await.starts_with("500"));
    client.say("MAIL FROM:<ann@example.com>").await;
    for _ in 0..100 {
        assert!(client.say(&format!("RCPT TO:<{}>", desk.address)).await.starts_with("250"));
    }
    assert!(client.say(&format!("RCPT TO:<{}>", desk.address)).await.starts_with("452"));
    client.data(&mail(2)).await;
    for _ in 0..100 {
        assert!(client.answer().await.starts_with("250"));
    }
    desk.read().await;
    assert_eq!(
        desk.world.look::<i64>("select count(*) from vicket.tickets").await,
        3,
        "a hundred times the same is one"
    );
    let mut early = TcpStream::connect(desk.server.mail[0]).await.expect("connected");
    early.write_all(b"MAIL FROM:<a@b.example>\r\n").await.expect("written");
    let mut said = vec![0; 512];
    tokio::time::sleep(Duration::from_millis(200)).await;
    let count = early.read(&mut said).await.expect("read");
    assert!(
        String::from_utf8_lossy(&said[..count]).contains("\r\n503"),
        "{:?}",
        String::from_utf8_lossy(&said[..count])
    );
}

/// 50 mails a second for a few seconds; for a minute with VICKET_LOAD=full. Prints what it took.
#[tokio::test]
async fn fifty_mails_a_second_come_in() {
    let _alone = ALONE.lock().await;
    let desk = Desk::open().await;
    let seconds = if std::env::var_os("VICKET_LOAD").is_some() { 60 } else { 4 };
    let lanes: usize = 5;
    let began = Instant::now();
    let mut handing = Vec::new();
    for lane in 0..lanes {
        let (mut client, address) = (desk.client().await, desk.address.clone());
        handing.push(tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(100));
            let mut slowest = Duration::ZERO;
            for number in 0..seconds * 10 {
                every.tick().await;
                let since = Instant::now();
                client.hand("ann@example.com", &address, &mail(lane * 100_000 + number)).await;
                slowest = slowest.max(since.elapsed());
            }
            slowest
        }));
    }
    let mut slowest = Duration::ZERO;
    for handing in handing {
        slowest = slowest.max(handing.await.expect("handed over"));
    }
    let handed = began.elapsed();
    desk.read().await;
    let count = lanes * seconds * 10;
    let filed = i64::try_from(count).expect("few");
    assert_eq!(desk.world.look::<i64>("select count(*) from vicket.tickets").await, filed);
    println!(
        "{count} mails handed over in {handed:?}, the slowest in {slowest:?}; all filed after {:?}",
        began.elapsed()
    );
    let limit = Duration::from_secs(seconds as u64 * 2 + 10);
    assert!(handed < limit, "{handed:?}");
    // Beyond 500 in an hour nobody is told by itself, and all of it is there.
    assert!(desk.smtp.taken().len() <= 500);
}
