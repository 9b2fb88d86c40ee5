//! Mail of accounts goes out beside that of orgs: a link that is good for minutes must not wait behind a thousand answers, and is
//! not tried for days.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{Outgoing, letter, transport::Answer};
use crate::{
    db::Worker,
    domain::{keys::ResetToken, problem::Problem},
    store::account_mails::{self, AccountMail},
    telemetry::meters::{MailTry, Meters},
};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Longer than one mail may take: after a kill another process takes it when that has passed.
const LEASE: Duration = Duration::from_mins(2);
/// Mails under way at once.
const LANES: usize = 4;
/// Tries, each after twice the wait: with a minute at first, half an hour in all. Whoever waited longer asks again.
const TRIES: i32 = 6;

/// Sends mail of accounts until `stop` turns true; what is under way then is waited for.
pub async fn run(outgoing: Arc<Outgoing>, worker: Arc<Worker>, meters: Arc<Meters>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(problem) = round(&outgoing, &worker, &meters).await {
            tracing::warn!(cause = problem.cause.as_deref(), "mail of accounts could not be sent");
        }
        tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Sends what is due, a few at once.
async fn round(outgoing: &Arc<Outgoing>, worker: &Worker, meters: &Meters) -> Result<(), Problem> {
    let tokens: Vec<ResetToken> = (0..LANES).map(|_| ResetToken::mint()).collect();
    let opened = account_mails::open(worker, &tokens, LEASE).await?;
    if opened.is_empty() {
        return Ok(());
    }
    let (outcomes, mut ended) = mpsc::channel(LANES);
    let mut opened: Vec<Option<AccountMail>> = opened.into_iter().map(Some).collect();
    for (token, place) in tokens.into_iter().zip(1..) {
        let mail = opened.iter_mut().find(|mail| mail.as_ref().is_some_and(|mail| mail.place == place));
        let Some(mail) = mail.and_then(Option::take) else { continue };
        let (outgoing, outcomes) = (Arc::clone(outgoing), outcomes.clone());
        tokio::spawn(async move {
            let _ = outcomes.send((mail.id, outgoing.send_account(&mail, &token).await)).await;
        });
    }
    drop(outcomes);
    let mut told: Vec<(Uuid, Option<f64>)> = Vec::new();
    while let Some((id, (outcome, again))) = ended.recv().await {
        meters.mails.get_or_create(&MailTry { outcome }).inc();
        told.push((id, again));
    }
    account_mails::settle(worker, &told).await
}

impl Outgoing {
    /// Sends one mail: how that ended, and the seconds until it is tried again, if it is.
    async fn send_account(&self, mail: &AccountMail, token: &ResetToken) -> (&'static str, Option<f64>) {
        let letter = match letter::write_account(mail, token, &self.sender) {
            Ok(letter) => letter,
            Err(why) => {
                tracing::warn!(mail = %mail.id, why, "mail of an account cannot be written");
                return ("failed", None);
            }
        };
        match self.transport.deliver(&letter).await {
            Answer::Taken(_) => ("sent", None),
            Answer::Refused(said) => {
                tracing::info!(mail = %mail.id, answer = said.split(' ').next(), "mail of an account was not taken");
                ("bounced", None)
            }
            Answer::Later(_) if mail.attempts >= TRIES => {
                tracing::warn!(mail = %mail.id, "mail of an account was given up");
                ("failed", None)
            }
            Answer::Later(_) => {
                let wait = self.first_wait.as_secs_f64() * 2f64.powi(mail.attempts.clamp(1, TRIES) - 1);
                ("later", Some(wait))
            }
        }
    }
}
