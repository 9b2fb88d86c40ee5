//! Reads a mailbox by IMAP (RFC 3501), one process at a time, and leaves it as it is: nothing is marked as seen, moved or deleted.
//!
//! How far it was read stands in the database, and moves only after a message is committed: whatever ends in between, it comes
//! again, and is known by then. What cannot be taken in stays where it is, and is passed over.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_imap::error::Error;
use futures_util::TryStreamExt as _;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::{
    keep::{Keeper, Kept, Message, Origin, Recipient, is_plain},
    mailbox::{Connection, Mailbox, said},
};
use crate::{
    db::Worker,
    domain::{keys::Sha256Digest, problem::Problem},
    limits::Network,
    mail::inbound::{Envelope, MAX_MESSAGE_BYTES},
    store::mailboxes,
};

/// How long a mailbox is a process's. Longer than reading one message may take.
const LEASE: Duration = Duration::from_mins(3);
/// How long a command may take, and reading a message.
const COMMAND: Duration = Duration::from_mins(1);
const READING: Duration = Duration::from_mins(2);
/// The longest time between tries when it cannot be read.
const LONGEST: Duration = Duration::from_mins(10);
/// Bytes of an answer beside a message; the UIDs of a million messages have room.
const ANSWER: u64 = 16 * 1024 * 1024;
/// Messages whose sizes are asked for at once.
const SIZES: usize = 100;
/// How often one message may be what ends a connection before it is passed over.
const TRIES: u32 = 5;
/// Addresses of one message that are looked for.
const CANDIDATES: usize = 10;

/// What reads a mailbox.
pub struct Reader {
    mailbox: Mailbox,
    digest: Sha256Digest,
    keeper: Keeper,
    worker: Arc<Worker>,
    holder: Uuid,
    connection: Option<Connection>,
    /// The message that could not be read, and how often.
    stuck: Option<(u32, u32)>,
}

/// Why it is not read on.
enum Trouble {
    /// It was said where it happened.
    Database,
    Mailbox(String),
    /// It may be the message.
    Message(u32, String),
}

impl From<Problem> for Trouble {
    fn from(_: Problem) -> Self {
        Self::Database
    }
}

impl Reader {
    pub fn new(mailbox: Mailbox, keeper: Keeper, worker: Arc<Worker>) -> Self {
        let digest = mailbox.digest();
        Self { mailbox, digest, keeper, worker, holder: Uuid::new_v4(), connection: None, stuck: None }
    }

    /// Reads until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let name = self.mailbox.name();
        let mut failures = 0;
        loop {
            let read = tokio::select! {
                () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
                read = self.read() => read,
            };
            let pause = if let Err(trouble) = read {
                self.connection = None;
                failures += 1;
                let pause = self.mailbox.every.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST);
                let why = self.why(trouble);
                tracing::warn!(mailbox = name, why, again_in = pause.as_secs(), "a mailbox could not be read");
                pause.max(self.mailbox.every)
            } else {
                failures = 0;
                self.mailbox.every
            };
            tokio::select! {
                () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        // The next process need not wait for the lease to end.
        if let Err(problem) = mailboxes::hold(&self.worker, self.digest, self.holder, Duration::ZERO).await {
            tracing::warn!(
                cause = problem.cause.as_deref(),
                "a mailbox could not be let go of; its lease ends by itself"
            );
        }
        if let Some(mut connection) = self.connection.take() {
            let _ = timeout(Duration::from_secs(1), connection.session.logout()).await;
        }
    }

    /// What is said of it; and what is the message's own fault is counted as that.
    fn why(&mut self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Database => "the database is away".to_owned(),
            Trouble::Mailbox(why) => why,
            Trouble::Message(uid, why) => {
                let times = self.stuck.filter(|(stuck, _)| *stuck == uid).map_or(0, |(_, times)| times);
                self.stuck = Some((uid, times + 1));
                format!("{why}, at the message with UID {uid}")
            }
        }
    }

    /// All that is new in it.
    async fn read(&mut self) -> Result<(), Trouble> {
        let held = mailboxes::hold(&self.worker, self.digest, self.holder, LEASE).await;
        let Some(cursor) = held.inspect_err(away)? else {
            // Another process reads it.
            self.connection = None;
            return Ok(());
        };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.mailbox.connect().await.map_err(|error| Trouble::Mailbox(format!("{error:#}")))?,
        };
        connection.allow(ANSWER);
        let examined = command(connection.session.examine(&self.mailbox.folder)).await?;
        let validity =
            examined.uid_validity.ok_or_else(|| Trouble::Mailbox("its UIDs may change at any time".to_owned()))?;
        let known = cursor.uid_validity == Some(i64::from(validity));
        if !known && cursor.uid_validity.is_some() {
            tracing::info!(
                mailbox = self.mailbox.name(),
                "a mailbox has other UIDs than before: all of it is read again"
            );
        }
        let last = if known { u32::try_from(cursor.last_uid).unwrap_or(u32::MAX) } else { 0 };
        let Some(first) = last.checked_add(1) else {
            self.connection = Some(connection);
            return Ok(());
        };
        connection.allow(ANSWER);
        let found = command(connection.session.uid_search(format!("UID {first}:*"))).await?;
        // `*` is the last one, even where it is older.
        let mut uids: Vec<u32> = found.into_iter().filter(|uid| *uid >= first).collect();
        uids.sort_unstable();
        for uids in uids.chunks(SIZES) {
            let sizes = sizes(&mut connection, uids).await?;
            for &uid in uids {
                // One that is gone meanwhile has no size.
                if let Some(&size) = sizes.get(&uid) {
                    self.take(&mut connection, uid, size).await?;
                }
                let at = (validity, uid);
                let moved = mailboxes::advance(&self.worker, self.digest, self.holder, at, LEASE).await;
                if !moved.inspect_err(away)? {
                    return Ok(());
                }
                self.stuck = None;
            }
        }
        while connection.session.unsolicited_responses.try_recv().is_ok() {}
        self.connection = Some(connection);
        Ok(())
    }

    /// Takes one message in, or passes it over.
    async fn take(&self, connection: &mut Connection, uid: u32, size: u32) -> Result<(), Trouble> {
        if size as usize > MAX_MESSAGE_BYTES {
            self.pass_over(uid, "it is larger than 25 MiB");
            return Ok(());
        }
        if self.stuck.is_some_and(|(stuck, times)| stuck == uid && times >= TRIES) {
            self.pass_over(uid, "it cannot be read");
            return Ok(());
        }
        // What it takes while it is received: up to twice its size.
        let memory = self.keeper.memory.wait(Network::of([0, 0, 0, 0].into()), u64::from(size) * 2).await;
        let _memory = memory.map_err(|_| Trouble::Mailbox("too much mail comes in at once".to_owned()))?;
        connection.allow(u64::from(size) * 2 + ANSWER);
        let fetched = timeout(READING, async {
            let fetched = connection.session.uid_fetch(uid.to_string(), "(UID BODY.PEEK[])").await?;
            fetched.try_filter(|fetch| std::future::ready(fetch.uid == Some(uid))).try_collect::<Vec<_>>().await
        });
        let fetched = fetched.await.map_err(|_| Trouble::Message(uid, "it takes too long".to_owned()))?;
        let fetched = fetched.map_err(|error| match error {
            Error::ConnectionLost => Trouble::Mailbox(said(&error)),
            error => Trouble::Message(uid, said(&error)),
        })?;
        let raw = fetched.iter().find_map(async_imap::types::Fetch::body).unwrap_or_default();
        if raw.is_empty() {
            self.pass_over(uid, "there is nothing in it");
            return Ok(());
        }
        if raw.len() > MAX_MESSAGE_BYTES {
            self.pass_over(uid, "it is larger than 25 MiB");
            return Ok(());
        }
        let envelope = Envelope::of_mailbox(raw);
        let Some(recipient) = self.recipient(&envelope).await? else {
            self.pass_over(uid, "it was sent to nobody here");
            return Ok(());
        };
        let mail_from = envelope.mail_from.filter(|address| is_plain(address)).unwrap_or_default();
        let origin = Origin { mail_from: &mail_from, ..Origin::default() };
        if self.keeper.keep(&recipient, origin, &Message::of(raw)).await? == Kept::Unknown {
            tracing::warn!(mailbox = self.mailbox.name(), uid, "a message was passed over: it was sent to nobody here");
        }
        Ok(())
    }

    /// Whom a message is for: the mailbox's own recipient, or the topmost of those that servers wrote who is somebody here.
    async fn recipient(&self, envelope: &Envelope) -> Result<Option<Recipient>, Problem> {
        if let Some(recipient) = &self.mailbox.recipient {
            return Ok(self.keeper.recipient(recipient));
        }
        for address in envelope.recipients.iter().take(CANDIDATES) {
            if let Some(recipient) = self.keeper.recipient(address)
                && self.keeper.knows(&recipient).await?
            {
                return Ok(Some(recipient));
            }
        }
        Ok(None)
    }

    fn pass_over(&self, uid: u32, why: &'static str) {
        self.keeper.count("refused");
        tracing::warn!(mailbox = self.mailbox.name(), uid, "a message was passed over: {why}");
    }
}

fn away(problem: &Problem) {
    tracing::warn!(cause = problem.cause.as_deref(), "how far a mailbox was read could not be asked or said");
}

/// A command that takes its time, and no more.
async fn command<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
    let answered = timeout(COMMAND, asked).await.map_err(|_| Trouble::Mailbox("it takes too long".to_owned()))?;
    answered.map_err(|error| Trouble::Mailbox(said(&error)))
}

async fn sizes(connection: &mut Connection, uids: &[u32]) -> Result<HashMap<u32, u32>, Trouble> {
    let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    connection.allow(ANSWER);
    let asked = async {
        let fetched = connection.session.uid_fetch(set, "(UID RFC822.SIZE)").await?;
        fetched.try_collect::<Vec<_>>().await
    };
    Ok(command(asked).await?.iter().filter_map(|fetch| Some((fetch.uid?, fetch.size?))).collect())
}
