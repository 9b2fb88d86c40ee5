//! The groups of the document.

use poem_openapi::Tags;

#[derive(Tags)]
pub(super) enum Tag {
    /// The site that the key speaks for, and whether the key works from here.
    Site,
    /// Published articles and FAQs.
    Help,
    /// What customers submit, and the conversation that follows.
    Tickets,
    /// Customers whom the site's own server vouches for, and their tickets.
    Identity,
}
