//! Where mail that goes out is answered to, and comes back to: addresses below one domain of the server, with a token each.

use std::sync::Arc;

use lettre::Address;
use uuid::Uuid;

use super::token::{Kind, Meaning, TokenKeys, subject};
use crate::{
    db::Worker,
    domain::{keys::Sha256Digest, problem::Problem},
    master_secret::{MasterSecret, Purpose},
    store::{
        mails::{self, Addressing},
        tasks::Task,
    },
};

/// What tokens are made by, and where addresses with them are.
#[derive(Debug)]
pub struct Replies {
    secret: Arc<MasterSecret>,
    /// Without one mail has Message-IDs of ours, and no such addresses.
    domain: Option<String>,
}

/// What a mail has of it.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    pub message_ref: Option<String>,
    /// What its recipient answers to.
    pub reply_to: Option<Address>,
    /// What it comes back to when it cannot be delivered.
    pub return_path: Option<Address>,
}

impl Replies {
    pub fn new(secret: Arc<MasterSecret>, domain: Option<String>) -> Self {
        Self { secret, domain }
    }

    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The keys of a site's tokens.
    pub fn keys(&self, site: Uuid) -> TokenKeys {
        TokenKeys::derived(&self.secret.keys(&Purpose::of_site("mail token", site)))
    }

    /// Whether an address is below the domain: none of them is ever written to.
    pub fn owns(&self, address: &str) -> bool {
        self.domain
            .as_deref()
            .is_some_and(|domain| address.rsplit_once('@').is_some_and(|(_, at)| at.eq_ignore_ascii_case(domain)))
    }

    fn address(&self, kind: Kind, token: &str) -> Option<(String, Address)> {
        let local = format!("{}.{token}", kind.letter());
        let address = Address::new(&local, self.domain.as_deref()?).ok()?;
        Some((local, address))
    }

    /// What mails that were claimed are answered to. A mail that was addressed before keeps its Message-ID. `message_domain` is what
    /// Message-IDs end with.
    ///
    /// # Errors
    /// `5xx` only.
    pub async fn address_mails(
        &self,
        worker: &Worker,
        tasks: &[Task],
        message_domain: &str,
    ) -> Result<Vec<Addresses>, Problem> {
        let mut addresses = vec![Addresses::default(); tasks.len()];
        let mut addressing: Vec<Addressing> = Vec::new();
        let mut places = Vec::new();
        for participant in mails::participants(worker, tasks).await? {
            let place = usize::try_from(participant.place - 1).map_err(Problem::internal)?;
            let Some(task) = tasks.get(place) else { continue };
            let keys = self.keys(participant.site_id);
            let ticket = participant.ticket_id;
            let token = |kind, whose| keys.mint(kind, &Meaning { ticket, subject: subject(whose) });
            let message = token(Kind::Message, task.subject_id);
            let reply = self.address(Kind::Reply, &token(Kind::Reply, participant.user_id.unwrap_or(ticket)));
            let bounce = self.address(Kind::Bounce, &token(Kind::Bounce, task.subject_id));
            let digest =
                |local: &Option<(String, Address)>| local.as_ref().map(|(local, _)| Sha256Digest::of(local.as_bytes()));
            addressing.push(Addressing {
                task: *task,
                message_ref: format!("<{}.{message}@{message_domain}>", Kind::Message.letter()),
                reply: digest(&reply),
                bounce: digest(&bounce),
            });
            addresses[place].reply_to = reply.map(|(_, address)| address);
            addresses[place].return_path = bounce.map(|(_, address)| address);
            places.push(place);
        }
        for (place, message_ref) in mails::address(worker, &addressing).await? {
            let place = usize::try_from(place - 1).ok().and_then(|place| places.get(place));
            if let Some(place) = place {
                addresses[*place].message_ref = Some(message_ref);
            }
        }
        Ok(addresses)
    }
}
