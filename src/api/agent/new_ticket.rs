//! A ticket that an agent makes, as it is sent.

use poem_openapi::{Object, types::Example};
use uuid::Uuid;

use crate::{
    domain::{
        keys::Sha256Digest,
        problem::Problem,
        text::{Checked, EmailAddress, MESSAGE_LENGTH, NAME_LENGTH, SUBJECT_LENGTH, TagName, Text},
    },
    http::{headers::IdempotencyKey, text::Input},
    store::tickets::{agent::Change, opening::NewTicket},
};

/// A ticket to make.
#[derive(Object)]
#[oai(rename = "NewAgentTicket", deny_unknown_fields, skip_serializing_if_is_none, example)]
pub(super) struct NewTicketBody {
    /// The slug of the site whose ticket it is: one of the caller's teams.
    site: Input<Text<63>>,
    /// The customer's address.
    email: Input<EmailAddress>,
    /// The customer's name.
    name: Option<Input<Text<NAME_LENGTH>>>,
    /// The subject. Where the customer is told by mail, that of the mail.
    subject: Input<Text<SUBJECT_LENGTH>>,
    /// What the ticket begins with: an agent's message, in Markdown.
    message: Input<Text<MESSAGE_LENGTH>>,
    /// As a note that the customer never sees: what somebody said who called. Not when absent.
    internal: Option<Input<bool>>,
    /// Whether the customer gets the message by mail, which they can answer; a note is never mailed. They do when absent.
    notify: Option<Input<bool>>,
    /// Where it stands: the name of a status, its id, or a category. Without it as after an answer, or a note.
    status: Option<Input<Text<60>>>,
    /// How urgent it is: the name of a priority, or its id; the default when absent.
    priority: Option<Input<Text<60>>>,
    /// The user id of who takes care of it. Needs `ticket:assign`. Without it as after an answer, or a note.
    assignee: Option<Uuid>,
    /// Names or ids of tags.
    #[oai(validator(max_items = 30))]
    tags: Option<Input<Vec<TagName>>>,
}

impl Example for NewTicketBody {
    fn example() -> Self {
        Self {
            site: Input::of(Text::known("acme-app")),
            email: Input::of(EmailAddress::known("ada@example.com")),
            name: Some(Input::of(Text::known("Ada Lovelace"))),
            subject: Input::of(Text::known("Your export of Monday")),
            message: Input::of(Text::known("Hello Ada, your export of Monday failed. We have started it again.")),
            internal: None,
            notify: Some(Input::of(true)),
            status: None,
            priority: Some(Input::of(Text::known("High"))),
            assignee: None,
            tags: Some(Input::of(vec![Text::known("billing")])),
        }
    }
}

/// What was checked of it.
pub(super) struct NewTicketSaid {
    site: Text<63>,
    email: EmailAddress,
    name: Option<Text<NAME_LENGTH>>,
    subject: Text<SUBJECT_LENGTH>,
    message: Text<MESSAGE_LENGTH>,
    internal: bool,
    notify: bool,
    status: Option<Text<60>>,
    priority: Option<Text<60>>,
    pub(super) assignee: Option<Uuid>,
    tags: Vec<TagName>,
}

impl NewTicketBody {
    /// # Errors
    /// `400 invalid_request`.
    pub(super) fn check(self) -> Result<NewTicketSaid, Problem> {
        let mut checked = Checked::default();
        let site = checked.take("site", self.site);
        let email = checked.take("email", self.email);
        let name = checked.take_optional("name", self.name);
        let subject = checked.take("subject", self.subject);
        let message = checked.take("message", self.message);
        let internal = checked.take_optional("internal", self.internal).unwrap_or_default();
        let notify = checked.take_optional("notify", self.notify).unwrap_or(true);
        let status = checked.take_optional("status", self.status);
        let priority = checked.take_optional("priority", self.priority);
        let tags = checked.take_optional("tags", self.tags).unwrap_or_default();
        match (site, email, subject, message, checked.is_empty()) {
            (Some(site), Some(email), Some(subject), Some(message), true) => Ok(NewTicketSaid {
                site,
                email,
                name,
                subject,
                message,
                internal,
                notify,
                status,
                priority,
                assignee: self.assignee,
                tags,
            }),
            _ => Err(checked.problem()),
        }
    }
}

impl NewTicketSaid {
    /// The texts of its tags.
    pub(super) fn tags(&self) -> Vec<&str> {
        self.tags.iter().map(Text::as_str).collect()
    }

    /// What the store makes of it.
    pub(super) fn ticket<'a>(&'a self, tags: &'a [&'a str], key: IdempotencyKey) -> NewTicket<'a> {
        let texts = [
            self.site.as_str(),
            self.email.as_str(),
            self.name.as_deref().unwrap_or_default(),
            self.subject.as_str(),
            self.message.as_str(),
            if self.internal { "note" } else { "" },
            if self.notify { "notify" } else { "" },
            self.status.as_deref().unwrap_or_default(),
            self.priority.as_deref().unwrap_or_default(),
        ];
        let assignee = self.assignee.map_or_else(String::new, |id| id.to_string());
        let parts: Vec<&[u8]> =
            texts.iter().chain([&assignee.as_str()]).chain(tags).map(|text| text.as_bytes()).collect();
        NewTicket {
            site: &self.site,
            email: &self.email,
            name: self.name.as_ref(),
            subject: &self.subject,
            message: &self.message,
            internal: self.internal,
            notify: self.notify,
            change: Change {
                status: self.status.as_deref(),
                priority: self.priority.as_deref(),
                assignee: self.assignee.map(Some),
                add_tags: tags,
                ..Change::default()
            },
            key: key.of(Sha256Digest::of_parts(&parts)),
        }
    }
}
