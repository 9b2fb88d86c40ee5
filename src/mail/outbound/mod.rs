//! Mail that goes out. Triggers write it, in the transaction of what it tells of; here it is claimed, written as a letter and
//! handed to the next server. That server's 250 is final: only one write follows, which says so. Whoever is killed between the
//! two sends it again, with the same Message-ID; nothing else is sent twice, and nothing is lost.

pub mod accounts;
pub mod letter;
pub mod sender;
pub mod signing;
pub mod transport;
mod words;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use crate::{
    db::Worker,
    domain::problem::Problem,
    mail::reply::{Addresses, Replies},
    store::{
        self,
        dkim_keys::{DkimKey, SenderKey},
        mails::{Kind, Open, Outcome, Tokens},
        tasks::{MAIL, Task},
    },
    telemetry::meters::{MailTry, Meters},
};
use sender::Sender;
use signing::Signing;
use transport::{Answer, Transport};

/// Between the first two tries of a mail, where nothing else is said.
pub const FIRST_WAIT: Duration = Duration::from_mins(1);
/// How often an idle process looks for mail; what this process caused it is told of at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long mail is a process's: after a kill another one takes it when that has passed. Renewed while it is under way.
const LEASE: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(4);
/// How often the database is told that mail goes out.
const SAY_EVERY: Duration = Duration::from_hours(1);
/// Mails under way at once.
const LANES: usize = 8;
/// Outcomes written together, at the most.
const BATCH: usize = 100;
/// At the end: how long mail that is under way may take.
const DRAIN: Duration = Duration::from_secs(10);
/// The waits between two tries double from the first one up to 240 of it; with a minute that is 4 hours, and 26 tries are
/// three days.
const LONGEST_WAIT: f64 = 240.0;
const TRIES: i32 = 26;

/// How mail goes out.
#[derive(Debug)]
pub struct Outgoing {
    pub transport: Transport,
    pub sender: Sender,
    /// Between the first two tries.
    pub first_wait: Duration,
    /// Where mail is answered to; nowhere of ours without.
    pub replies: Option<Arc<Replies>>,
    /// Mail of sites is signed for their own domains, where their DNS says so.
    pub signing: Option<Signing>,
}

impl Outgoing {
    /// What Message-IDs end with.
    pub fn domain(&self) -> &str {
        self.sender.from.email.domain()
    }

    /// The address that mail of a site is from, whose own one and whose keys these are.
    pub async fn address_for(&self, own: Option<&str>, keys: &[DkimKey]) -> String {
        match (own, &self.signing) {
            (Some(own), Some(signing)) if signing.proves(own, keys).await => own.to_owned(),
            _ => self.sender.address_for(own),
        }
    }

    /// What is done after a try that was not the last word.
    fn after(&self, task: Task, why: String) -> Outcome {
        if task.attempts >= TRIES {
            return Outcome::Failed(why);
        }
        let factor = 2f64.powi(task.attempts.clamp(1, 20) - 1).min(LONGEST_WAIT);
        // So that what failed together does not come again together.
        let spread = 0.9 + 0.2 * rand::random::<f64>();
        Outcome::Later { why, seconds: self.first_wait.as_secs_f64() * factor * spread }
    }

    /// Sends one mail.
    async fn send(
        &self,
        task: Task,
        mut mail: Open,
        tokens: &Tokens,
        (addresses, keys): (&Addresses, &[SenderKey]),
    ) -> Outcome {
        let own = |address: &str| address.eq_ignore_ascii_case(&mail.recipient);
        if own(self.sender.from.email.as_ref())
            || mail.from_address.as_deref().is_some_and(own)
            || self.replies.as_ref().is_some_and(|replies| replies.owns(&mail.recipient))
        {
            return Outcome::Suppressed("it is an address that mail comes from".to_owned());
        }
        let signer = match &self.signing {
            Some(signing) if !keys.is_empty() => signing.signer(keys).await,
            _ => None,
        };
        mail.from_proven = signer.is_some();
        let mut letter = match letter::write(&mail, tokens, addresses, &self.sender) {
            Ok(letter) => letter,
            Err(why) => return Outcome::Failed(why),
        };
        if let Some(signer) = signer {
            letter.message = match signer.sign(&letter.message) {
                Ok(signed) => signed,
                Err(why) => return self.after(task, format!("it could not be signed: {why}")),
            };
        }
        match self.transport.deliver(&letter).await {
            Answer::Taken(said) => Outcome::Sent(said),
            Answer::Refused(said) => Outcome::Bounced(said),
            Answer::Later(why) => self.after(task, why),
        }
    }
}

/// Tasks that this process has.
#[derive(Default)]
struct UnderWay {
    tasks: Mutex<HashSet<Task>>,
    /// One ended.
    room: Notify,
}

impl UnderWay {
    fn with<T>(&self, work: impl FnOnce(&mut HashSet<Task>) -> T) -> T {
        work(&mut self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ended(&self, ended: &[Task]) {
        self.with(|known| known.retain(|task| !ended.contains(task)));
        self.room.notify_one();
    }
}

/// Sends mail until `stop` turns true, and then waits a while for what is under way. `written` says that there may be some.
pub async fn run(
    outgoing: Arc<Outgoing>,
    worker: Arc<Worker>,
    meters: Arc<Meters>,
    written: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    let under_way = Arc::new(UnderWay::default());
    let (outcomes, settled) = mpsc::unbounded_channel();
    let settling = tokio::spawn(settle(Arc::clone(&worker), meters, Arc::clone(&under_way), settled));
    let mut renewing = tokio::time::interval(RENEW_EVERY);
    let mut saying = tokio::time::interval(SAY_EVERY);
    loop {
        let free = LANES.saturating_sub(under_way.with(|tasks| tasks.len()));
        let mut all = true;
        if free > 0 {
            match claim(&worker, &under_way, free).await {
                Ok(claimed) => {
                    all = claimed.len() < free;
                    begin(&outgoing, &worker, &under_way, &outcomes, claimed).await;
                }
                Err(problem) => tracing::warn!(cause = problem.cause.as_deref(), "mail could not be looked for"),
            }
        }
        tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            () = written.notified() => {}
            () = under_way.room.notified(), if !all => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = renewing.tick() => {
                let mine: Vec<Task> = under_way.with(|tasks| tasks.iter().copied().collect());
                if !mine.is_empty() && let Err(problem) = store::tasks::renew(&worker, &mine, LEASE).await {
                    tracing::warn!(cause = problem.cause.as_deref(), "the lease of mail under way could not be renewed");
                }
            }
            _ = saying.tick() => {
                if let Err(problem) = store::mails::serve(&worker, outgoing.domain()).await {
                    tracing::warn!(cause = problem.cause.as_deref(), "the database could not be told that mail goes out");
                }
            }
        }
    }
    drop(outcomes);
    if tokio::time::timeout(DRAIN, settling).await.is_err() {
        tracing::warn!("mail was still under way; it is sent again");
    }
}

/// Claims as many mails as there are lanes free.
async fn claim(worker: &Worker, under_way: &UnderWay, free: usize) -> Result<Vec<Task>, Problem> {
    let most = i32::try_from(free).unwrap_or(i32::MAX);
    let mut claimed = store::tasks::claim(worker, MAIL, most, LEASE).await?;
    // One whose lease ended while this process still has it.
    under_way.with(|tasks| claimed.retain(|task| !tasks.iter().any(|mine| mine.id == task.id) && tasks.insert(*task)));
    Ok(claimed)
}

/// Opens mails and sends each in a lane of its own.
async fn begin(
    outgoing: &Arc<Outgoing>,
    worker: &Worker,
    under_way: &UnderWay,
    outcomes: &mpsc::UnboundedSender<(Task, Outcome)>,
    claimed: Vec<Task>,
) {
    if claimed.is_empty() {
        return;
    }
    let tokens: Vec<Tokens> = claimed.iter().map(|_| Tokens::mint()).collect();
    let opened = match store::mails::open(worker, &claimed, &tokens).await {
        Ok(opened) => opened,
        Err(problem) => {
            // Claimed again when the lease ends.
            tracing::warn!(cause = problem.cause.as_deref(), "mail could not be read");
            under_way.ended(&claimed);
            return;
        }
    };
    let addressed = match &outgoing.replies {
        None => Ok(vec![Addresses::default(); claimed.len()]),
        Some(replies) => replies.address_mails(worker, &claimed, outgoing.domain()).await,
    };
    let addressed = match addressed {
        Ok(addressed) => addressed,
        Err(problem) => {
            tracing::warn!(cause = problem.cause.as_deref(), "what mail is answered to could not be written");
            under_way.ended(&claimed);
            return;
        }
    };
    let mut opened: HashMap<i64, Open> = opened.into_iter().map(|mail| (mail.place, mail)).collect();
    in_languages(worker, &claimed, &mut opened).await;
    let mut gone = Vec::new();
    let mut keys = keys_of(outgoing, worker, &claimed, &opened).await;
    for (((task, tokens), addresses), place) in claimed.into_iter().zip(tokens).zip(addressed).zip(1..) {
        let Some(mail) = opened.remove(&place) else {
            gone.push(task);
            continue;
        };
        let (outgoing, outcomes) = (Arc::clone(outgoing), outcomes.clone());
        let keys = keys.remove(&place).unwrap_or_default();
        tokio::spawn(async move {
            let outcome = outgoing.send(task, mail, &tokens, (&addresses, &keys)).await;
            let _ = outcomes.send((task, outcome));
        });
    }
    // Suppressed, or what it told of is gone.
    if !gone.is_empty() {
        if let Err(problem) = store::tasks::done(worker, &gone).await {
            tracing::warn!(cause = problem.cause.as_deref(), "tasks of mail that is gone could not be ended");
        }
        under_way.ended(&gone);
    }
}

/// The keys that mails may be signed by, by their places. When they cannot be read, mail goes out as from a site that has none.
async fn keys_of(
    outgoing: &Outgoing,
    worker: &Worker,
    claimed: &[Task],
    opened: &HashMap<i64, Open>,
) -> HashMap<i64, Vec<SenderKey>> {
    let mut of_places: HashMap<i64, Vec<SenderKey>> = HashMap::new();
    if outgoing.signing.is_none() || opened.values().all(|mail| mail.from_address.is_none()) {
        return of_places;
    }
    match store::dkim_keys::of_mails(worker, claimed).await {
        Ok(keys) => {
            for key in keys {
                of_places.entry(key.place).or_default().push(key);
            }
        }
        Err(problem) => tracing::warn!(cause = problem.cause.as_deref(), "keys for signing mail could not be read"),
    }
    of_places
}

/// An invitation is of no site: it is in the language of its org's first one.
async fn in_languages(worker: &Worker, claimed: &[Task], opened: &mut HashMap<i64, Open>) {
    let mut orgs: HashMap<i64, Uuid> = (1..).zip(claimed).map(|(place, task)| (place, task.org_id)).collect();
    orgs.retain(|place, _| opened.get(place).is_some_and(|mail| mail.kind == Kind::Invitation));
    if orgs.is_empty() {
        return;
    }
    let asked: Vec<Uuid> = orgs.values().copied().collect();
    match store::account_mails::languages(worker, &asked).await {
        Ok(languages) => {
            for (place, org) in orgs {
                if let Some((mail, language)) = opened.get_mut(&place).zip(languages.get(&org)) {
                    mail.language.clone_from(language);
                }
            }
        }
        Err(problem) => tracing::warn!(cause = problem.cause.as_deref(), "an invitation goes out in English"),
    }
}

/// Writes what became of mails, as they end; what ends meanwhile goes together.
async fn settle(
    worker: Arc<Worker>,
    meters: Arc<Meters>,
    under_way: Arc<UnderWay>,
    mut ended: mpsc::UnboundedReceiver<(Task, Outcome)>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while ended.recv_many(&mut batch, BATCH).await > 0 {
        for (task, outcome) in &batch {
            meters.mails.get_or_create(&MailTry { outcome: outcome.as_str() }).inc();
            match outcome {
                Outcome::Bounced(why) | Outcome::Failed(why) => {
                    tracing::info!(org_id = %task.org_id, mail = %task.subject_id, answer = why.split(' ').next(), "mail was not taken");
                }
                Outcome::Later { seconds, .. } => {
                    tracing::debug!(org_id = %task.org_id, mail = %task.subject_id, seconds, "mail is tried again later");
                }
                Outcome::Sent(_) | Outcome::Suppressed(_) => {}
            }
        }
        while let Err(problem) = store::mails::settle(&worker, &batch).await {
            tracing::warn!(
                cause = problem.cause.as_deref(),
                "what became of mail could not be written; it is tried again"
            );
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        under_way.ended(&batch.drain(..).map(|(task, _)| task).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_begin_a_minute_apart_and_end_four_hours_apart_after_three_days() {
        let outgoing = Outgoing {
            transport: Transport::Log,
            sender: Sender {
                from: "vicket@mail.example".parse().expect("a mailbox"),
                domains: Vec::new(),
                public_url: String::new(),
            },
            first_wait: Duration::from_mins(1),
            replies: None,
            signing: None,
        };
        let task = |attempts| Task { org_id: Uuid::nil(), id: Uuid::nil(), subject_id: Uuid::nil(), attempts };
        let mut all = 0.0;
        for attempts in 1..TRIES {
            let Outcome::Later { seconds, .. } = outgoing.after(task(attempts), String::new()) else {
                panic!("{attempts}")
            };
            let exact = (60.0 * 2f64.powi(attempts - 1)).min(4.0 * 3600.0);
            assert!((exact * 0.9..=exact * 1.1).contains(&seconds), "{attempts}: {seconds}");
            all += exact;
        }
        assert!((2.9..3.1).contains(&(all / 86_400.0)), "{all}");
        assert_eq!(outgoing.after(task(TRIES), "no".to_owned()), Outcome::Failed("no".to_owned()));
    }
}
