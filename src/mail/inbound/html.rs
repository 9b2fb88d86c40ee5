//! HTML of mail: as text to read, with what was quoted marked, and as HTML that is harmless to show.
//!
//! Both go over it a bounded number of times, whatever it is: no unclosed comment, tag, quote or element makes the rest be read
//! again.

mod pictures;
mod render;
mod sanitise;
mod tokens;

pub use pictures::with_pictures;
pub use render::{Mark, MarkKind, rendered};
pub use sanitise::{plain_as_html, sanitised};
