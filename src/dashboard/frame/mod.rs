//! What every page stands on, whatever its noun: the request and its forms, the org that it is about, the layout, the answer.

pub mod form;
pub mod org_context;
pub mod page;
pub mod page_context;
pub mod path;
