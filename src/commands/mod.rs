//! The commands, one file each. Secrets go to standard output, once, and everything else that is not the answer to
//! standard error, so that `KEY=$(vicket key create acme/acme-app)` works.

pub mod audit;
pub mod health;
pub mod key;
pub mod machine_key;
pub mod mail;
pub mod manual;
pub mod migrate;
pub mod org;
pub mod person;
pub mod serve;
pub mod site;
pub mod user;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    cli::{AdminArgs, SitePath},
    db::{Operator, OrgTx},
    domain::{problem::Problem, text::CheckedText},
    store::{self, sites::Site},
};

async fn operator(admin: &AdminArgs) -> anyhow::Result<Operator> {
    Operator::connect(&admin.admin_url).await.map_err(|error| error.context("VICKET_ADMIN_URL"))
}

/// A transaction within the site's org, and the site.
async fn enter(admin: &AdminArgs, path: &SitePath) -> anyhow::Result<(OrgTx, Site)> {
    let mut tx = operator(admin).await?.enter(&path.org).await.map_err(said)?;
    let site = store::sites::by_slug(&mut tx, &path.site).await.map_err(said)?;
    Ok((tx, site))
}

/// Text of a command, checked as the API checks it.
fn checked<T: CheckedText>(field: &str, text: &str) -> anyhow::Result<T> {
    T::parse(text.to_owned()).map_err(|fault| said(Problem::invalid_field(field, fault)))
}

/// A problem as a person at a terminal reads it.
fn said(problem: Problem) -> anyhow::Error {
    let mut text = match problem.errors.as_slice() {
        [] => problem.detail.to_string(),
        errors => {
            errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("; ")
        }
    };
    if let Some(cause) = &problem.cause {
        text = format!("{text} ({cause})");
    }
    anyhow::anyhow!("{} [{}]", text, problem.code.as_str())
}

fn when(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}
