//! What becomes known of a request while it is answered.

use std::time::Duration;

use uuid::Uuid;

use super::meters::Template;

/// Ids and figures of one request.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The route that it took, where it took one.
    pub template: Option<Template>,
    pub org_id: Option<Uuid>,
    pub site_id: Option<Uuid>,
    /// Of a publishable key or of a machine key.
    pub key_id: Option<Uuid>,
    pub user_id: Option<Uuid>,
    /// The policy of the limit that was used up.
    pub limit: Option<&'static str>,
    /// Bytes of its body that were read.
    pub received: u64,
    /// How long it waited for connections.
    pub in_pool: Duration,
    /// How long its statements took.
    pub in_database: Duration,
}
