//! What becomes of mail that came in: read by a task of the queue, as often as it takes, and filed once.
//!
//! Which ticket is said by a token of ours alone: that of the address it was sent to, then that of a Message-ID of ours. Who wrote
//! is believed where DMARC proves it, and where it is whom the token was given to; else it is held for a person. What a machine
//! sent is kept, shown, and triggers nothing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use uuid::Uuid;

use super::Intake;
use crate::{
    db::Worker,
    domain::{
        files::{self, File},
        problem::Problem,
        text::{CheckedText as _, EmailAddress},
    },
    mail::{
        inbound::{self, Bounce, Connection, Envelope, Parsed, Trust},
        token::Kind,
    },
    objects::Objects,
    store::{
        inbound_mails::{self, Filing, Inbound, MailFile, Note, Thread},
        tasks::{self, INBOUND, Task},
    },
    telemetry::meters::{MailIn, Meters},
};

/// How often an idle process looks for mail; of what this process took in it is told at once.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Mails that are read at once: each is up to 25 MiB, twice while it is read.
const LANES: usize = 3;
/// How long a mail is a process's. Longer than it may take.
const LEASE: Duration = Duration::from_secs(90);
/// How long reading one may take.
const READING: Duration = Duration::from_secs(30);
/// How long filing one may take, with all that it asks of the database and the object store.
const ALL: Duration = Duration::from_secs(75);
/// Tries of a mail that cannot be filed, half an hour in all.
const TRIES: i32 = 10;
/// How often what is not kept any longer is looked for.
const FORGET_EVERY: Duration = Duration::from_mins(10);
const FORGOTTEN_AT_ONCE: i32 = 500;
/// At the end: how long mail under way may take.
const DRAIN: Duration = Duration::from_secs(5);

/// Characters of a message, of a name and of a subject.
const BODY: usize = 20_000;
const NAME: usize = 200;
const SUBJECT: usize = 200;
/// Characters that are left for the list of what is not attached, and for the word that there is more.
const NOTES: usize = 2_000;

/// What files mail.
pub struct Clerk {
    pub intake: Arc<Intake>,
    pub worker: Arc<Worker>,
    pub objects: Option<Objects>,
    pub meters: Arc<Meters>,
}

/// Files mail until `stop` turns true.
pub async fn run(clerk: Arc<Clerk>, mut stop: watch::Receiver<bool>) {
    let lanes = Arc::new(Semaphore::new(LANES));
    let mine: Arc<Mutex<Vec<Uuid>>> = Arc::default();
    let mut under_way = JoinSet::new();
    let mut forgetting = tokio::time::interval(FORGET_EVERY);
    loop {
        while under_way.try_join_next().is_some() {}
        let free = i32::try_from(lanes.available_permits()).unwrap_or_default();
        let claimed = if free == 0 { Ok(Vec::new()) } else { tasks::claim(&clerk.worker, INBOUND, free, LEASE).await };
        match claimed {
            Ok(claimed) => {
                for task in claimed {
                    let new = {
                        let mut mine = mine.lock().unwrap_or_else(PoisonError::into_inner);
                        let new = !mine.contains(&task.id);
                        if new {
                            mine.push(task.id);
                        }
                        new
                    };
                    let Ok(lane) = Arc::clone(&lanes).try_acquire_owned() else { break };
                    if !new {
                        continue;
                    }
                    let (clerk, mine) = (Arc::clone(&clerk), Arc::clone(&mine));
                    under_way.spawn(async move {
                        clerk.work(&task).await;
                        mine.lock().unwrap_or_else(PoisonError::into_inner).retain(|id| *id != task.id);
                        drop(lane);
                    });
                }
            }
            Err(problem) => {
                tracing::warn!(cause = problem.cause.as_deref(), "mail that came in could not be looked for");
            }
        }
        tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            () = clerk.intake.received.notified(), if lanes.available_permits() > 0 => {}
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = forgetting.tick() => clerk.forget().await,
        }
    }
    let ended = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, ended).await.is_err() {
        tracing::warn!("mail that came in was still being read; it is read again");
    }
}

/// What becomes of a mail.
enum Fate {
    /// A message: of a new ticket, of a ticket's customer, or of a member.
    Message { ticket: Option<Uuid>, member: Option<Uuid> },
    /// Waits for a person.
    Held { ticket: Uuid, reason: String },
    /// Changes nothing.
    Ignored(String),
    /// A mail that was sent came back.
    Back { mail: Uuid, for_good: bool, said: String },
}

impl Clerk {
    async fn work(&self, task: &Task) {
        let done = tokio::time::timeout(ALL, self.handle(task)).await;
        let why = match done {
            Ok(Ok(())) => return,
            Ok(Err(problem)) => problem.cause.unwrap_or_else(|| problem.detail.into_owned()),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(org_id = %task.org_id, mail = %task.subject_id, cause = why, "mail that came in could not be filed");
        let seconds = (task.attempts < TRIES).then(|| 2f64.powi(task.attempts.clamp(1, 9)));
        let why: String = why.chars().take(500).collect();
        let put_off = async {
            if seconds.is_none() {
                self.count("failed");
                inbound_mails::give_up(&self.worker, task, &why).await?;
            }
            tasks::retry(&self.worker, task, seconds, &why).await
        };
        if let Err(problem) = put_off.await {
            tracing::warn!(cause = problem.cause.as_deref(), "a task could not be put off; it is claimed again");
        }
    }

    async fn forget(&self) {
        if let Err(problem) = inbound_mails::forget(&self.worker, FORGOTTEN_AT_ONCE).await {
            tracing::warn!(cause = problem.cause.as_deref(), "mail that is not kept any longer could not be forgotten");
        }
    }

    fn count(&self, outcome: &'static str) {
        self.meters.mail_in.get_or_create(&MailIn { outcome }).inc();
    }

    async fn handle(&self, task: &Task) -> Result<(), Problem> {
        if let Some(mail) = inbound_mails::open(&self.worker, task).await?
            && mail.state != "rejected"
        {
            self.read(task, mail).await?;
        }
        tasks::done(&self.worker, &[*task]).await
    }

    async fn read(&self, task: &Task, mut mail: Inbound) -> Result<(), Problem> {
        let raw = std::mem::take(&mut mail.raw);
        let parsed = self.parse(&mail, raw).await?;
        let fate = self.fate(task, &mail, &parsed).await?;
        let text = Text::of(&parsed);
        let author = parsed.author.as_deref().or(Some(mail.mail_from.as_str()).filter(|from| !from.is_empty()));
        let cut = |text: &Option<String>, most: usize| {
            text.as_ref().map(|text| line(text, most)).filter(|text| !text.is_empty())
        };
        let (name, subject) = (cut(&parsed.author_name, NAME), cut(&parsed.subject, 1000));
        let html = parsed.html.as_ref().map(|html| inbound::with_pictures(html, &parsed.attachments));
        let mut note = Note {
            state: &mail.state,
            reason: None,
            ticket_id: None,
            author,
            author_name: name.as_deref(),
            subject: subject.as_deref(),
            verified: parsed.verified,
            automatic: parsed.automatic,
            quoted_from: text.quoted_from,
            html: html.as_deref(),
        };
        match fate {
            Fate::Held { ticket, reason } => {
                (note.state, note.ticket_id, note.reason) = ("held", Some(ticket), Some(reason.as_str()));
                inbound_mails::note(&self.worker, task, mail.site_id, &note).await?;
                if mail.state == "received" {
                    self.count("held");
                }
            }
            Fate::Ignored(reason) => {
                (note.state, note.reason) = ("ignored", Some(reason.as_str()));
                inbound_mails::note(&self.worker, task, mail.site_id, &note).await?;
                self.count("ignored");
            }
            Fate::Back { mail: sent, for_good, said } => {
                inbound_mails::bounced(&self.worker, task.org_id, mail.site_id, sent, (for_good, &said)).await?;
                (note.state, note.reason) = ("ignored", Some("it says that a mail was not delivered"));
                inbound_mails::note(&self.worker, task, mail.site_id, &note).await?;
                self.count("bounced");
            }
            Fate::Message { ticket, member } => {
                inbound_mails::note(&self.worker, task, mail.site_id, &note).await?;
                let outcome = self.file(task, &mail, &parsed, text, (ticket, member)).await?;
                match outcome.as_str() {
                    "filed" => self.count("filed"),
                    "done" => {}
                    // A member's answer to a ticket that takes none.
                    refused => {
                        let reason = match refused {
                            "ticket_not_closed" => "the ticket is closed",
                            "ticket_full" => "the ticket has all the messages that it takes",
                            _ => "the ticket does not take it",
                        };
                        (note.state, note.ticket_id, note.reason) = ("held", ticket, Some(reason));
                        inbound_mails::note(&self.worker, task, mail.site_id, &note).await?;
                        self.count("held");
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads it, beside what else the process does, for a bounded time.
    async fn parse(&self, mail: &Inbound, raw: Vec<u8>) -> Result<Parsed, Problem> {
        let envelope = Envelope { mail_from: Some(mail.mail_from.clone()), recipients: vec![mail.recipient.clone()] };
        let connection = mail
            .client
            .as_deref()
            .and_then(|client| client.parse().ok())
            .map(|client| Connection { client, helo: mail.helo.clone().unwrap_or_else(|| "unknown".to_owned()) });
        let source = self.intake.dns.as_ref().map(|dns| dns.source());
        let keys = self.intake.replies.as_ref().map(|replies| replies.keys(mail.site_id));
        let intake = Arc::clone(&self.intake);
        let handle = Handle::current();
        let reading = tokio::task::spawn_blocking(move || {
            let trust =
                Trust { dns: source.as_ref(), connection: connection.as_ref(), authserv_ids: &intake.authserv_ids };
            handle.block_on(inbound::parse(&raw, Some(envelope), &trust, keys.as_ref()))
        });
        match tokio::time::timeout(READING, reading).await {
            Ok(parsed) => parsed.map_err(|error| Problem::internal(format!("reading mail: {error}"))),
            Err(_) => Err(Problem::internal("reading it took too long")),
        }
    }

    async fn fate(&self, task: &Task, mail: &Inbound, parsed: &Parsed) -> Result<Fate, Problem> {
        let of =
            async |ticket, whose| inbound_mails::thread(&self.worker, task.org_id, mail.site_id, ticket, whose).await;
        if let Some(bounce) = &parsed.bounce {
            let mut sent = mail.mail_id;
            if let (None, Some(token), Some(replies)) = (sent, &bounce.token, &self.intake.replies) {
                let keys = replies.keys(mail.site_id);
                let meaning = [Kind::Bounce, Kind::Message].into_iter().find_map(|kind| keys.verify(kind, token));
                if let Some(meaning) = meaning {
                    sent = of(meaning.ticket, (None, Some(meaning.subject))).await?.and_then(|thread| thread.mail_id);
                }
            }
            return Ok(match (sent, outcome_of(bounce)) {
                (Some(mail), Some((for_good, said))) => Fate::Back { mail, for_good, said },
                (Some(_), None) => Fate::Ignored("it reports nothing that was not delivered".to_owned()),
                (None, _) => Fate::Ignored("it says that a mail was not delivered, and names none of ours".to_owned()),
            });
        }
        if mail.kind == "bounce" {
            return Ok(Fate::Ignored("it came to a return path, and is no report".to_owned()));
        }
        let whose = match (mail.ticket_id, parsed.proven) {
            (Some(ticket), _) => Some((ticket, (mail.user_id, None))),
            (None, Some((Kind::Message, meaning))) => Some((meaning.ticket, (None, Some(meaning.subject)))),
            (None, _) => None,
        };
        let thread = match whose {
            Some((ticket, whose)) => of(ticket, whose).await?.map(|thread| (ticket, thread)),
            None => None,
        };
        let author = parsed.author.as_deref().unwrap_or_default();
        if self.intake.is_own(author) || author.eq_ignore_ascii_case(&mail.recipient) {
            return Ok(Fate::Ignored("it is from an address that mail of this server comes from".to_owned()));
        }
        Ok(match thread {
            Some((ticket, thread)) => in_thread(mail, parsed, author, ticket, &thread),
            None if EmailAddress::parse(author.to_owned()).is_err() => {
                Fate::Ignored("it says nobody whom it is from".to_owned())
            }
            None => Fate::Message { ticket: None, member: None },
        })
    }

    async fn file(
        &self,
        task: &Task,
        mail: &Inbound,
        parsed: &Parsed,
        text: Text,
        (ticket, member): (Option<Uuid>, Option<Uuid>),
    ) -> Result<String, Problem> {
        let human = !parsed.automatic || parsed.passed_on && parsed.verified && ticket.is_some();
        let quiet = !human || mail.busy;
        let author = parsed.author.as_deref().unwrap_or_default();
        let name = parsed.author_name.as_ref().map(|name| line(name, NAME)).filter(|name| !name.is_empty());
        let subject = parsed.subject.as_ref().map(|subject| line(subject, SUBJECT)).filter(|line| !line.is_empty());
        let (names, keys) = self.keep(task, mail.site_id, &text.files).await?;
        let filing = |ticket_id: Option<Uuid>| Filing {
            org_id: task.org_id,
            site_id: mail.site_id,
            id: task.subject_id,
            ticket_id,
            user_id: member,
            author,
            author_name: name.as_deref().or_else(|| ticket_id.map(|_| author)),
            subject: subject.as_deref().unwrap_or("(no subject)"),
            body: &text.body,
            quiet,
            acknowledge: human && !mail.busy,
            files: text
                .files
                .iter()
                .zip(&names)
                .zip(&keys)
                .map(|((file, name), key)| kept(file, name, key.as_ref()))
                .collect(),
        };
        let outcome = inbound_mails::file(&self.worker, filing(ticket)).await?;
        // What a customer answers to a ticket that takes no more is a new one.
        let outcome = if ticket.is_some() && member.is_none() && outcome.starts_with("ticket_") {
            inbound_mails::file(&self.worker, filing(None)).await?
        } else {
            outcome
        };
        if let Some(objects) = &self.objects
            && outcome != "filed"
        {
            objects.discard(keys.into_iter().flatten().collect());
        }
        Ok(outcome)
    }

    /// Puts files where they are kept; their names, and the keys of their objects where there is an object store.
    async fn keep(
        &self,
        task: &Task,
        site: Uuid,
        files: &[File],
    ) -> Result<(Vec<String>, Vec<Option<String>>), Problem> {
        let names = files.iter().map(|file| file.name.clone()).collect();
        let Some(objects) = self.objects.as_ref().filter(|_| !files.is_empty()) else {
            return Ok((names, vec![None; files.len()]));
        };
        let keys: Vec<String> = files.iter().map(|_| format!("{}/{site}/{}", task.org_id, Uuid::new_v4())).collect();
        inbound_mails::reserve(&self.worker, task.org_id, site, &keys).await?;
        objects.put_all(&keys, files).await?;
        Ok((names, keys.into_iter().map(Some).collect()))
    }
}

/// What becomes of a mail that names a ticket.
fn in_thread(mail: &Inbound, parsed: &Parsed, author: &str, ticket: Uuid, thread: &Thread) -> Fate {
    let member = thread.user_id;
    let given_to = if member.is_some() { thread.user_email.as_deref() } else { Some(thread.email.as_str()) };
    let same = given_to.is_some_and(|address| address.eq_ignore_ascii_case(author));
    if mail.accepted {
        return Fate::Message { ticket: Some(ticket), member: member.filter(|_| same && !parsed.automatic) };
    }
    let reason = if !same {
        "it is not from whom this address was given to"
    } else if !parsed.verified {
        "who sent it is not verified"
    } else if member.is_some() && parsed.automatic {
        "a machine sent it in the name of a member"
    } else {
        return Fate::Message { ticket: Some(ticket), member };
    };
    Fate::Held { ticket, reason: reason.to_owned() }
}

/// Whether what came back is for good, and what was said; nothing of reports that it was delivered.
fn outcome_of(bounce: &Bounce) -> Option<(bool, String)> {
    bounce.recipients.iter().find_map(|recipient| {
        let action = recipient.action.as_deref().unwrap_or("failed");
        if !matches!(action, "failed" | "delayed") {
            return None;
        }
        let status = recipient.status.as_deref().unwrap_or_default();
        let diagnostic = recipient.diagnostic.as_deref().unwrap_or_default();
        let for_good = action == "failed"
            && (status.starts_with('5') || status.is_empty() && diagnostic.trim_start().starts_with('5'));
        let said = match (diagnostic, status) {
            ("", "") => "the mail came back".to_owned(),
            ("", status) => format!("{}50 {status}", &status[..1]),
            (diagnostic, _) => diagnostic.to_owned(),
        };
        let said = if for_good { said } else { format!("delayed: {said}") };
        Some((for_good, said.chars().take(900).collect()))
    })
}

/// One line of what somebody wrote.
fn line(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    let words: String = plain.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(most).collect::<String>().trim_end().to_owned()
}

fn kept(file: &File, name: &str, key: Option<&String>) -> MailFile {
    MailFile {
        name: name.to_owned(),
        content_type: file.content_type,
        content: key.is_none().then(|| file.content.to_vec()),
        object_key: key.cloned(),
        size: i64::try_from(file.content.len()).unwrap_or(i64::MAX),
    }
}

/// What a mail says, as a message: its text, what is attached, and a list of what is not.
struct Text {
    body: String,
    quoted_from: Option<i32>,
    files: Vec<File>,
}

impl Text {
    fn of(parsed: &Parsed) -> Self {
        let whole = parsed.text.replace('\0', "");
        let (mut files, mut left_out) = (Vec::new(), Vec::new());
        for attachment in &parsed.attachments {
            let name = files::harmless(&attachment.name);
            let reason = match &attachment.skipped {
                Some(reason) => Some(reason.clone()),
                None if attachment.content.is_empty() => Some("it is empty".to_owned()),
                None if files.len() >= files::MAX_FILES => {
                    Some(format!("a message has {} files at the most", files::MAX_FILES))
                }
                None => None,
            };
            match reason {
                Some(reason) => left_out.push(format!("[Not attached: {name}, {reason}]")),
                None => files.push(File {
                    name,
                    content_type: files::media_type(&attachment.content),
                    content: Bytes::from(attachment.content.clone()),
                }),
            }
        }
        let mut quoted_from = parsed.quoted_from.and_then(|at| i32::try_from(at).ok());
        let mut body = whole.clone();
        if whole.chars().count() > BODY - NOTES {
            body = whole.chars().take(BODY - NOTES).collect();
            quoted_from = quoted_from.filter(|at| usize::try_from(*at).is_ok_and(|at| at < BODY - NOTES));
            body += "\n\n[The message is longer: all of it is in message.txt]";
            let content = Bytes::from(whole.into_bytes());
            if content.len() > files::MAX_BYTES {
                left_out.push("[Not attached: message.txt, larger than 10 MiB]".to_owned());
            } else {
                files.insert(0, File { name: "message.txt".to_owned(), content_type: "text/plain", content });
                if files.len() > files::MAX_FILES
                    && let Some(last) = files.pop()
                {
                    left_out.push(format!("[Not attached: {}, a message has 10 files at the most]", last.name));
                }
            }
        }
        if body.trim().is_empty() {
            "(no text)".clone_into(&mut body);
            quoted_from = None;
        }
        if !left_out.is_empty() {
            let mut list = left_out.join("\n");
            if list.chars().count() > NOTES - 100 {
                list = list.chars().take(NOTES - 120).collect::<String>() + "… and more]";
            }
            body = format!("{}\n\n{list}", body.trim_end());
        }
        Self { body, quoted_from, files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::inbound::Recipient;

    fn recipient(action: &str, status: &str, diagnostic: &str) -> Bounce {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Bounce {
            token: None,
            recipients: vec![Recipient {
                address: None,
                action: some(action),
                status: some(status),
                diagnostic: some(diagnostic),
            }],
        }
    }

    #[test]
    fn a_bounce_is_for_good_only_where_it_says_so() {
        for (action, status, diagnostic, outcome) in [
            ("failed", "5.1.1", "550 5.1.1 no such user", Some((true, "550 5.1.1 no such user"))),
            ("failed", "5.1.1", "", Some((true, "550 5.1.1"))),
            ("failed", "", "550 no", Some((true, "550 no"))),
            ("failed", "4.4.7", "", Some((false, "delayed: 450 4.4.7"))),
            ("delayed", "4.4.1", "connection timed out", Some((false, "delayed: connection timed out"))),
            ("delayed", "5.0.0", "", Some((false, "delayed: 550 5.0.0"))),
            ("delivered", "2.0.0", "", None),
            ("relayed", "2.0.0", "", None),
        ] {
            let found = outcome_of(&recipient(action, status, diagnostic));
            let found = found.as_ref().map(|(for_good, said)| (*for_good, said.as_str()));
            assert_eq!(found, outcome, "{action} {status}");
        }
    }
}
