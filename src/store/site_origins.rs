//! For `key/check`: the origins of the key's own site, which are compared here and never shown.

use crate::{
    db::SiteTx,
    domain::{origins::Origin, problem::Problem},
};

/// The origins that the site of the key lists.
///
/// # Errors
/// `5xx` only.
pub async fn listed(tx: &mut SiteTx) -> Result<Vec<Origin>, Problem> {
    let rows: Vec<String> =
        sqlx::query_scalar("select origin from vicket.site_origins").fetch_all(tx.connection()).await?;
    Ok(rows.iter().filter_map(|origin| Origin::from_header(origin)).collect())
}
