//! Keys that are asked about together. While one question is under way, whoever comes gathers, and the next question is about all
//! of them: under load one round trip proves the keys of many requests. Each is proved after it came, as if it had asked alone, so
//! that what a rotation commits acts on the next request. Nobody waits while nothing is under way.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::postgres::PgRow;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{
    ENTER, NOBODY, Pool, WAIT,
    site::{Entry, Verdict, verdict},
};
use crate::{
    domain::{
        keys::Sha256Digest,
        problem::{Code, Problem},
    },
    telemetry::request,
};

const QUESTION: &str = "select * from auth.enter_many($1, $2)";
/// An answer that is later is not waited for by whoever comes meanwhile: its connection may be dead.
const LATE: Duration = Duration::from_millis(20);
/// Late ones at once, besides the one that is not late.
const MOST_LATE: usize = 3;
/// Keys in one question.
const MOST_TOGETHER: usize = 256;

/// What is asked: a key and the origin of its request, as digests. Without a key, only whether some site lists the origin.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    pub key: Option<Sha256Digest>,
    pub origin: Option<Sha256Digest>,
}

type Answer = Result<Verdict<Entry>, Problem>;

/// Asks for all.
#[derive(Clone)]
pub struct Proofs {
    pool: Pool,
    state: Arc<Mutex<State>>,
    counts: Arc<Counts>,
}

/// Since the start.
#[derive(Default)]
struct Counts {
    keys: AtomicU64,
    questions: AtomicU64,
}

#[derive(Default)]
struct State {
    gathered: Vec<Asker>,
    /// A question is under way, and not late.
    under_way: bool,
    late: usize,
}

/// A request that waits.
struct Asker {
    question: Question,
    answer: oneshot::Sender<(Answer, Duration)>,
}

impl Proofs {
    pub fn new(pool: Pool) -> Self {
        Self { pool, state: Arc::default(), counts: Arc::default() }
    }

    /// What the gate says now. Whoever stops waiting harms no other.
    ///
    /// # Errors
    /// `503` when no connection is to be had, or no answer.
    pub async fn of(&self, question: Question) -> Answer {
        let (began, span) = (Instant::now(), request::span().statement(QUESTION));
        let (sender, answer) = oneshot::channel();
        let departs = {
            let mut state = self.state();
            state.gathered.push(Asker { question, answer: sender });
            state.departs()
        };
        self.ask(departs);
        let (answered, trip) = match timeout(WAIT + ENTER, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => (Err(Problem::internal("a question about keys ended without an answer")), Duration::ZERO),
            Err(_) => (Err(Problem::overloaded("the gate did not answer in time")), Duration::ZERO),
        };
        request::note(|known| {
            known.in_pool += began.elapsed().saturating_sub(trip);
            known.in_database += trip;
        });
        if let Err(problem) = &answered {
            span.fail(problem.code.as_str());
        }
        span.end();
        answered
    }

    /// How many keys were asked about since the start, and in how many questions.
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.keys.load(Ordering::Relaxed), self.counts.questions.load(Ordering::Relaxed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task of its own, because it is nobody's alone.
    fn ask(&self, departs: bool) {
        // Without a runtime the server is ending.
        if let (true, Ok(runtime)) = (departs, Handle::try_current()) {
            let proofs = self.clone();
            runtime.spawn(async move { proofs.answer().await });
        }
    }

    async fn answer(self) {
        let mut under_way = UnderWay { proofs: &self, late: false };
        // Requests that have arrived and were not looked at yet come along; when there are none, this is no wait.
        tokio::task::yield_now().await;
        let askers = self.state().board();
        if askers.is_empty() {
            return;
        }
        let mut questions = Vec::with_capacity(askers.len());
        let mut places = HashMap::with_capacity(askers.len());
        for Asker { question, .. } in &askers {
            places.entry(*question).or_insert_with(|| {
                questions.push(*question);
                questions.len() - 1
            });
        }
        self.counts.keys.fetch_add(askers.len() as u64, Ordering::Relaxed);
        self.counts.questions.fetch_add(1, Ordering::Relaxed);
        let asked = self.each(&questions);
        tokio::pin!(asked);
        let (answers, trip) = if let Ok(answered) = timeout(LATE, &mut asked).await {
            answered
        } else {
            under_way.be_late();
            asked.await
        };
        for Asker { question, answer } in askers {
            // Whoever stopped waiting gets none.
            let _ = answer.send((answers[places[&question]].clone(), trip));
        }
    }

    /// An answer each, and how long the question was under way. When all of it fails for what is no state of the database, each
    /// is asked alone, so that what is wrong with one is not the others'.
    async fn each(&self, questions: &[Question]) -> (Vec<Answer>, Duration) {
        let alone = match self.together(questions).await {
            Ok((answers, trip)) => return (answers.into_iter().map(Ok).collect(), trip),
            Err(problem) if problem.code != Code::Internal || questions.len() == 1 => {
                return (vec![Err(problem); questions.len()], Duration::ZERO);
            }
            Err(_) => questions.chunks(1),
        };
        let began = Instant::now();
        let mut answers = Vec::with_capacity(questions.len());
        for question in alone {
            answers.push(self.together(question).await.map(|(mut answers, _)| answers.remove(0)));
        }
        (answers, began.elapsed())
    }

    async fn together(&self, questions: &[Question]) -> Result<(Vec<Verdict<Entry>>, Duration), Problem> {
        let digests = |of: fn(&Question) -> Option<&Sha256Digest>| -> Vec<&[u8]> {
            questions.iter().map(|question| of(question).map_or(&[][..], |digest| digest.as_bytes())).collect()
        };
        let (keys, origins) = (digests(|question| question.key.as_ref()), digests(|question| question.origin.as_ref()));
        let (rows, trip) =
            self.pool.ask(NOBODY, || sqlx::query(QUESTION).bind(keys.as_slice()).bind(origins.as_slice())).await?;
        let answers: Result<Vec<_>, _> = rows.iter().map(|row: &PgRow| verdict(row)).collect();
        let answers = answers?;
        if answers.len() != questions.len() {
            return Err(Problem::internal("auth.enter_many gave another number of answers than it was asked for"));
        }
        Ok((answers, trip))
    }
}

impl State {
    /// Whether a question goes now.
    fn departs(&mut self) -> bool {
        let departs = !self.under_way && self.late < MOST_LATE && !self.gathered.is_empty();
        self.under_way |= departs;
        departs
    }

    /// Who goes with it: all who still wait.
    fn board(&mut self) -> Vec<Asker> {
        self.gathered.retain(|asker| !asker.answer.is_closed());
        let rest = self.gathered.split_off(self.gathered.len().min(MOST_TOGETHER));
        std::mem::replace(&mut self.gathered, rest)
    }
}

/// A question that is under way, until it is dropped: then the next one goes.
struct UnderWay<'a> {
    proofs: &'a Proofs,
    late: bool,
}

impl UnderWay<'_> {
    fn be_late(&mut self) {
        let departs = {
            let mut state = self.proofs.state();
            self.late = true;
            state.late += 1;
            state.under_way = false;
            state.departs()
        };
        self.proofs.ask(departs);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let departs = {
            let mut state = self.proofs.state();
            if self.late {
                state.late -= 1;
            } else {
                state.under_way = false;
            }
            state.departs()
        };
        self.proofs.ask(departs);
    }
}
