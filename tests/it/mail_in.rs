//! Mail that comes in: `tests/mail` holds messages as clients, servers and attackers write them, and beside each group of them,
//! in a file of its name, what each says. That is written from what its sender wrote, never from what the parser made of it.

mod robustness;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use vicket::mail::{
    dns::Dns,
    inbound::{self, Connection, Parsed, Trust},
    token::TokenKeys,
};

use crate::processes::{text, vicket};

/// How a message has to be read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    thread: Option<String>,
    author: Option<String>,
    verified: bool,
    automatic: bool,
    /// What its sender wrote, up to the fold.
    kept: String,
    /// What is folded; the text is both, one after the other.
    folded: Option<String>,
    /// Name, type, and why it was skipped.
    attachments: Vec<Vec<Option<String>>>,
    /// With what it is read.
    #[serde(default)]
    with: With,
    // Only where it says something.
    #[serde(default, deserialize_with = "said")]
    subject: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    author_name: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    ticket: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    bounce: Option<Value>,
    #[serde(default)]
    html_has: Vec<String>,
    #[serde(default)]
    html_lacks: Vec<String>,
    #[serde(default)]
    why_has: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct With {
    #[serde(default)]
    dns: bool,
    #[serde(default)]
    keys: bool,
    #[serde(default)]
    authserv_ids: Vec<String>,
    client_ip: Option<String>,
    helo: Option<String>,
}

/// A null that stands there is something else than nothing.
fn said<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail")
}

/// Every message, by its group and name.
fn messages() -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for group in fs::read_dir(corpus()).expect("the corpus").map(|entry| entry.expect("an entry").path()) {
        if group.is_dir() {
            for file in fs::read_dir(&group).expect("a group").map(|entry| entry.expect("an entry").path()) {
                let name = file.strip_prefix(corpus()).expect("in it").with_extension("");
                messages.push((name.to_str().expect("UTF-8").to_owned(), fs::read(&file).expect("a message")));
            }
        }
    }
    messages.sort();
    messages
}

/// In what it is not read as it should be.
fn faults(expected: &Expected, read: &Parsed) -> Vec<String> {
    let mut faults = Vec::new();
    let mut same = |what: &str, expected: &Value, read: &Value| {
        if expected != read {
            faults.push(format!("{what}: expected {expected}, read {read}"));
        }
    };
    let json = serde_json::to_value(read).expect("JSON");
    let whole = format!("{}{}", expected.kept, expected.folded.as_deref().unwrap_or_default());
    let fold = expected.folded.as_ref().map(|_| expected.kept.chars().count());
    same("text", &whole.into(), &json["text"]);
    same("quoted_from", &fold.into(), &json["quoted_from"]);
    same("thread", &expected.thread.clone().into(), &json["thread"]);
    same("author", &expected.author.clone().into(), &json["author"]);
    same("verified", &expected.verified.into(), &json["verified"]);
    same("automatic", &expected.automatic.into(), &json["automatic"]);
    let attachments: Vec<Vec<Option<String>>> = read
        .attachments
        .iter()
        .map(|file| vec![Some(file.name.clone()), Some(file.media_type.clone()), file.skipped.clone()])
        .collect();
    let mut listed = expected.attachments.clone();
    for file in &mut listed {
        file.resize(3, None);
    }
    same("attachments", &serde_json::json!(listed), &serde_json::json!(attachments));
    for (what, value) in [
        ("subject", &expected.subject),
        ("author_name", &expected.author_name),
        ("ticket", &expected.ticket),
        ("bounce", &expected.bounce),
    ] {
        if let Some(value) = value {
            same(what, value, &json[what]);
        }
    }
    let html = read.html.as_deref().unwrap_or_default();
    faults.extend(
        expected.html_has.iter().filter(|part| !html.contains(*part)).map(|part| format!("html lacks {part}: {html}")),
    );
    faults.extend(
        expected.html_lacks.iter().filter(|part| html.contains(*part)).map(|part| format!("html has {part}: {html}")),
    );
    let why = read.why.join("\n");
    faults.extend(
        expected.why_has.iter().filter(|part| !why.contains(*part)).map(|part| format!("why lacks {part}: {why}")),
    );
    faults
}

#[tokio::test]
async fn every_message_of_the_corpus_is_read_as_its_sender_wrote_it() {
    let dns = Dns::open(Some(&corpus().join("dns.txt"))).expect("a DNS file");
    let keys = fs::read_to_string(corpus().join("reply-keys.txt")).expect("keys");
    let keys = TokenKeys::of_lines(&keys).expect("keys");
    let mut groups: BTreeMap<String, BTreeMap<String, Expected>> = BTreeMap::new();
    let (mut score, mut wrong) = (BTreeMap::<String, (usize, usize)>::new(), Vec::new());
    for (name, message) in messages() {
        let (group, of_group) = name.split_once('/').expect("a group");
        let expected = groups.entry(group.to_owned()).or_insert_with(|| {
            let file = fs::read_to_string(corpus().join(format!("{group}.json"))).expect("what its messages say");
            serde_json::from_str(&file).unwrap_or_else(|error| panic!("{group}.json: {error}"))
        });
        let expected = expected.remove(of_group).unwrap_or_else(|| panic!("{group}.json does not say what {name} is"));
        let with = &expected.with;
        let source = with.dns.then(|| dns.source());
        let connection = with.client_ip.as_ref().map(|client| Connection {
            client: client.parse().expect("an address"),
            helo: with.helo.clone().expect("a name"),
        });
        let trust = Trust { dns: source.as_ref(), connection: connection.as_ref(), authserv_ids: &with.authserv_ids };
        let read = inbound::parse(&message, None, &trust, with.keys.then_some(&keys)).await;
        let faults = faults(&expected, &read);
        let (right, all) = score.entry(group.to_owned()).or_default();
        *right += usize::from(faults.is_empty());
        *all += 1;
        if !faults.is_empty() {
            wrong.push(format!("{name}\n    {}", faults.join("\n    ")));
        }
    }
    let all: usize = score.values().map(|(_, all)| all).sum();
    for (group, (right, all)) in &score {
        println!("{group:<12} {right:>3} of {all}");
    }
    println!("{:<12} {:>3} of {all}", "all", all - wrong.len());
    for (group, left) in &groups {
        assert!(left.is_empty(), "{group}.json says what messages are that are not there: {:?}", left.keys());
    }
    assert!(all >= 300, "{all}");
    assert!(wrong.is_empty(), "{} of {all} are read wrongly:\n{}", wrong.len(), wrong.join("\n"));
}

/// A test that no fault can fail proves nothing.
#[tokio::test]
async fn a_message_that_is_read_otherwise_is_a_fault() {
    let message = fs::read(corpus().join("gmail/en.eml")).expect("a message");
    let read = inbound::parse(&message, None, &Trust::default(), None).await;
    let file = fs::read_to_string(corpus().join("gmail.json")).expect("what its messages say");
    let known: Value = serde_json::from_str::<Value>(&file).expect("JSON")["en"].take();
    let parsed = |value: &Value| serde_json::from_value::<Expected>(value.clone()).expect("an expectation");
    assert_eq!(faults(&parsed(&known), &read), Vec::<String>::new());
    for (field, value) in [
        ("thread", Value::Null),
        ("author", "eve@evil.example".into()),
        ("verified", true.into()),
        ("automatic", true.into()),
        ("kept", "Thanks, that worked!".into()),
        ("folded", Value::Null),
        ("attachments", serde_json::json!([["a.pdf", "application/pdf"]])),
        ("subject", Value::Null),
        ("ticket", "a".into()),
        ("html_has", serde_json::json!(["<script"])),
        ("why_has", serde_json::json!(["nothing"])),
    ] {
        let mut other = known.clone();
        other[field] = value;
        assert!(!faults(&parsed(&other), &read).is_empty(), "{field}");
    }
}

#[test]
fn mail_parse_prints_json_and_ends_with_0_whatever_the_message_holds() {
    let path = corpus().join("identity/dkim-aligned.eml");
    let dns = corpus().join("dns.txt");
    let run = |arguments: &[&Path]| {
        let output = vicket().args(["mail", "parse"]).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let read = run(&[&path]);
    let fields: Vec<&str> = read.as_object().expect("an object").keys().map(String::as_str).take(8).collect();
    assert_eq!(
        fields,
        ["thread", "author", "verified", "text", "quoted_from", "attachments", "automatic", "why"],
        "in the contract's order"
    );
    assert_eq!((&read["verified"], &read["author"]), (&false.into(), &"ann@customer.example".into()));
    let read = run(&[&path, Path::new("--dns-file"), &dns]);
    assert_eq!(read["verified"], true, "{read}");
    for name in ["headers/empty-file", "headers/only-a-body", "broken/head-cut", "broken/many-parts", "charsets/nul"] {
        run(&[&corpus().join(format!("{name}.eml")), Path::new("--dns-file"), &dns]);
    }
    // Something else than mail, and no text.
    run(&[Path::new(env!("CARGO_BIN_EXE_vicket"))]);
}

#[test]
fn mail_parse_says_which_file_it_cannot_use_and_never_what_is_in_it() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mail-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let written = |name: &str, content: &[u8]| {
        fs::write(dir.join(name), content).expect("written");
        dir.join(name).to_str().expect("UTF-8").to_owned()
    };
    let message = written("message.eml", b"From: a@b.example\n\nx\n");
    let missing = dir.join("missing").to_str().expect("UTF-8").to_owned();
    for (arguments, said) in [
        (vec![&missing], "missing"),
        (vec![&message, &"--dns-file".to_owned(), &missing], "missing"),
        (vec![&message, &"--dns-file".to_owned(), &written("dns", b"a A 192.0.2.1\nb SRV hunter2\n")], "line 2"),
        (vec![&message, &"--reply-key-file".to_owned(), &missing], "missing"),
        (vec![&message, &"--reply-key-file".to_owned(), &written("short", b"hunter2")], "32 characters"),
        (vec![&message, &"--reply-key-file".to_owned(), &written("bytes", b"hunter2\xff")], "UTF-8"),
    ] {
        let output = vicket().args(["mail", "parse"]).args(&arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
        assert!(output.stdout.is_empty());
    }
    fs::remove_dir_all(&dir).expect("removed");
}
