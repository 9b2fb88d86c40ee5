//! A status or a priority, as the workflow's pages show it.

use uuid::Uuid;

use crate::store::statuses::Category;

/// What each category means, as its choice says.
pub const CATEGORIES: [(Category, &str, &str); 5] = [
    (Category::Open, "open", "waiting for an agent"),
    (Category::Pending, "pending", "waiting for the customer"),
    (Category::Resolved, "resolved", "solved; a reply reopens it"),
    (Category::Closed, "closed", "finished; takes no replies"),
    (Category::Custom, "custom", "your own; customers see it as open"),
];

pub struct Entry {
    pub id: Uuid,
    pub name: String,
    /// Of a status.
    pub category: Option<Category>,
    pub is_default: bool,
}

impl Entry {
    pub fn category(&self) -> &'static str {
        CATEGORIES.iter().find(|(category, ..)| Some(*category) == self.category).map_or("", |(_, word, _)| word)
    }

    pub fn means(&self) -> &'static str {
        CATEGORIES.iter().find(|(category, ..)| Some(*category) == self.category).map_or("", |(.., means)| means)
    }
}
