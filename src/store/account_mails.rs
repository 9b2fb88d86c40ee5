//! Mail of accounts, which are of no org: what the process that sends it asks of the database. Functions of the schema `auth`
//! write it (`migrations/1025_account_mail.sql`).

use std::{collections::HashMap, time::Duration};

use sqlx::{FromRow, postgres::types::PgInterval};
use uuid::Uuid;

use crate::{
    db::Worker,
    domain::{keys::ResetToken, problem::Problem},
};

/// What mail of an account tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AccountKind {
    /// A link to choose a password.
    PasswordReset,
    /// The same, to whoever works already by an address that is not proven.
    AddressProof,
    /// The password is another one now.
    PasswordChanged,
    /// It was used from where it was not before.
    NewDevice,
}

/// Mail of an account that is to be sent.
#[derive(Debug, FromRow)]
pub struct AccountMail {
    /// Which of the tokens opens its link, from 1.
    pub place: i64,
    pub id: Uuid,
    pub kind: AccountKind,
    pub recipient: String,
    /// Of a new device: network and browser.
    pub about: Option<String>,
    /// `en`, `de`, `fr` or `es`.
    pub language: String,
    /// Its Message-ID, with its brackets.
    pub message_ref: String,
    /// How often it was claimed, this time included.
    pub attempts: i32,
}

/// Claims mail that is due, at most as many as there are tokens, for the time of the lease. The token at a mail's place opens its
/// link from now on.
///
/// # Errors
/// `5xx` only.
pub async fn open(worker: &Worker, tokens: &[ResetToken], lease: Duration) -> Result<Vec<AccountMail>, Problem> {
    let hashes: Vec<Vec<u8>> = tokens.iter().map(|token| token.digest().as_bytes().to_vec()).collect();
    let most = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
    let lease = PgInterval::try_from(lease).map_err(Problem::internal)?;
    let sql = "select m.place, m.id, m.kind, m.recipient, m.about, m.language, m.message_ref, m.attempts
        from worker.open_account_mails($1, $2, $3) m";
    worker.rows(sqlx::query_as(sql).bind(most).bind(lease).bind(hashes)).await
}

/// Says what became of mail: each is tried again after so many seconds; `None` ends it.
///
/// # Errors
/// `5xx` only.
pub async fn settle(worker: &Worker, outcomes: &[(Uuid, Option<f64>)]) -> Result<(), Problem> {
    let (ids, seconds): (Vec<Uuid>, Vec<Option<f64>>) = outcomes.iter().copied().unzip();
    worker.execute(sqlx::query("select worker.settle_account_mails($1, $2)").bind(ids).bind(seconds)).await
}

/// In which language each of these orgs invites: that of its first site.
///
/// # Errors
/// `5xx` only.
pub async fn languages(worker: &Worker, orgs: &[Uuid]) -> Result<HashMap<Uuid, String>, Problem> {
    let query = sqlx::query_as("select org_id, language from worker.languages_of_orgs($1)").bind(orgs);
    let rows: Vec<(Uuid, String)> = worker.rows(query).await?;
    Ok(rows.into_iter().collect())
}
