//! Text that was checked once, where it came in: by the API, a form or a command. What has one of these types may be trusted.
//!
//! Lengths are in characters. No text has U+0000, which PostgreSQL has no text with.

use std::ops::Deref;

use super::{
    problem::{FieldError, Problem},
    references::Prefix,
    slugs,
};

/// Text of 1 to `MAX` characters, not blank, without U+0000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

/// A name in URLs: 1 to 63 of a-z, 0-9 and hyphens in between, as in a host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(String);

/// What the references of a site's tickets begin with, `APP` of `APP-21`: 2 to 8 letters; small ones are taken for capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePrefix(String);

/// An article's name in URLs: 1 to 120 of a-z, 0-9 and hyphens in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSlug(String);

/// Text of at most `MAX` characters, blank or not, without U+0000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prose<const MAX: usize>(String);

/// A password to be set: 10 to 200 characters, without U+0000, and none that is guessed first.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

/// An e-mail address of at most 254 characters, as browsers check one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

/// What makes text not blank: a character that is neither white space nor a control character. The class lists what
/// `char::is_whitespace` and `char::is_control` mean, since `\s` means something else in every dialect.
pub const NOT_BLANK: &str =
    r"^[^\u0000]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000]*$";
/// The shortest and the longest password.
pub const MIN_PASSWORD_LENGTH: usize = 10;
pub const MAX_PASSWORD_LENGTH: usize = 200;
/// The longest e-mail address, characters.
pub const EMAIL_LENGTH: usize = 254;
/// The longest name of a customer, characters.
pub const NAME_LENGTH: usize = 200;
/// The longest subject of a ticket, characters.
pub const SUBJECT_LENGTH: usize = 200;
/// The longest message or reply, characters.
pub const MESSAGE_LENGTH: usize = 20_000;

/// What people name and write, each with its length.
pub type OrgName = Text<NAME_LENGTH>;
pub type SiteName = Text<NAME_LENGTH>;
pub type PersonName = Text<NAME_LENGTH>;
pub type MachineKeyName = Text<NAME_LENGTH>;
pub type TeamName = Text<100>;
pub type StatusName = Text<60>;
pub type PriorityName = Text<60>;
pub type ArticleTitle = Text<200>;
pub type ArticleBody = Prose<200_000>;
pub type FaqQuestion = Text<500>;
pub type FaqAnswer = Prose<20_000>;
pub type SavedReplyName = Text<100>;
pub type ViewName = Text<100>;
pub type TagName = Text<60>;
pub type FormName = Text<200>;
pub type FormDescription = Prose<2000>;
pub type QuestionLabel = Text<500>;
pub type OptionLabel = Text<200>;
pub type TicketSubject = Text<SUBJECT_LENGTH>;
/// Of a ticket, an answer, a note, a saved reply.
pub type MessageBody = Text<MESSAGE_LENGTH>;

impl<const MAX: usize> Text<MAX> {
    fn fault(text: &str) -> Option<String> {
        if text.contains('\0') {
            return Some("must not contain U+0000".to_owned());
        }
        if text.chars().all(|c| c.is_whitespace() || c.is_control()) {
            return Some("must not be blank".to_owned());
        }
        (text.chars().count() > MAX).then(|| format!("must have at most {MAX} characters"))
    }
}

impl Slug {
    fn fault(text: &str) -> Option<String> {
        (!is_slug(text, 63)).then(|| "must be 1 to 63 of a-z, 0-9 and hyphens in between".to_owned())
    }
}

impl SitePrefix {
    fn fault(text: &str) -> Option<String> {
        Prefix::parse(text).is_none().then(|| Prefix::SHAPE.to_owned())
    }
}

impl Slug {
    /// Made of a name.
    pub fn derived(name: &str) -> Self {
        Self(slugs::of(name, 63))
    }
}

impl PageSlug {
    fn fault(text: &str) -> Option<String> {
        (!is_slug(text, 120)).then(|| "must be 1 to 120 of a-z, 0-9 and hyphens in between".to_owned())
    }
}

fn is_slug(text: &str, most: usize) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=most).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

impl<const MAX: usize> Prose<MAX> {
    fn fault(text: &str) -> Option<String> {
        if text.contains('\0') {
            return Some("must not contain U+0000".to_owned());
        }
        (text.chars().count() > MAX).then(|| format!("must have at most {MAX} characters"))
    }
}

/// Passwords of ten characters or more that many people have, in small letters, sorted: those of zxcvbn's list
/// (@zxcvbn-ts/language-common 3.0.4, MIT), which come from leaks.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

fn is_common(password: &str) -> bool {
    let small = password.to_ascii_lowercase();
    COMMON_PASSWORDS.lines().any(|common| common == small)
}

impl NewPassword {
    fn fault(text: &str) -> Option<String> {
        if text.contains('\0') {
            return Some("must not contain U+0000".to_owned());
        }
        if !(MIN_PASSWORD_LENGTH..=MAX_PASSWORD_LENGTH).contains(&text.chars().count()) {
            return Some(format!("must have {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"));
        }
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        let common = letters.len() < 4 || is_common(text);
        common.then(|| "is one of those that are guessed first: take one that nobody else has".to_owned())
    }

    /// For whom it is to be.
    ///
    /// # Errors
    /// `400 invalid_request` when it is their e-mail address, or what stands before the `@`.
    pub fn of(self, email: &str) -> Result<String, Problem> {
        let (name, _) = email.split_once('@').unwrap_or((email, ""));
        if self.0.eq_ignore_ascii_case(email) || self.0.eq_ignore_ascii_case(name) {
            return Err(Problem::invalid_field("password", "must not be the e-mail address"));
        }
        Ok(self.0)
    }
}

impl EmailAddress {
    fn fault(text: &str) -> Option<String> {
        let dot_atom = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if text.len() > EMAIL_LENGTH {
            return Some(format!("must have at most {EMAIL_LENGTH} characters"));
        }
        match text.split_once('@') {
            Some((local, domain))
                if !local.is_empty()
                    && local.chars().all(dot_atom)
                    && domain.contains('.')
                    && domain.split('.').all(label) =>
            {
                None
            }
            _ => Some("must be an e-mail address such as ada@example.com".to_owned()),
        }
    }
}

/// Whose tickets a list shows: `me`, `none`, or a user id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssigneeName(String);

impl AssigneeName {
    fn fault(text: &str) -> Option<String> {
        let known = matches!(text, "me" | "none") || text.parse::<uuid::Uuid>().is_ok();
        (!known).then(|| "must be `me`, `none` or a user id".to_owned())
    }
}

/// The longest address of a page, characters.
pub const PAGE_URL_LENGTH: usize = 500;

/// The address of a page, to which a fragment may be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageUrl(String);

impl PageUrl {
    fn fault(text: &str) -> Option<String> {
        let page = url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let fine = page && text.chars().count() <= PAGE_URL_LENGTH && !text.contains(char::is_whitespace);
        (!fine).then(|| "must be the address of a page, such as https://example.com/support, without #".to_owned())
    }
}

/// A type of checked text.
pub trait CheckedText: Sized {
    /// Text as somebody sent it, or what is wrong with it, for people: "must not be blank".
    ///
    /// # Errors
    /// A few words that follow the name of a field.
    fn parse(text: String) -> Result<Self, String>;
}

macro_rules! checked_text {
    ($([$($generics:tt)*] $type:ty;)*) => {
        $(
            impl<$($generics)*> CheckedText for $type {
                fn parse(text: String) -> Result<Self, String> {
                    match Self::fault(&text) {
                        Some(fault) => Err(fault),
                        None => Ok(Self(text)),
                    }
                }
            }

            impl<$($generics)*> $type {
                /// Of text that is known to be right: an example, a constant.
                ///
                /// # Panics
                /// When it is not.
                pub fn known(text: &str) -> Self {
                    Self::parse(text.to_owned()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
                }

                pub fn as_str(&self) -> &str {
                    &self.0
                }

                pub fn into_string(self) -> String {
                    self.0
                }
            }

            impl<$($generics)*> Deref for $type {
                type Target = str;

                fn deref(&self) -> &str {
                    &self.0
                }
            }

            impl<$($generics)*> AsRef<str> for $type {
                fn as_ref(&self) -> &str {
                    &self.0
                }
            }
        )*
    };
}

checked_text! {
    [const MAX: usize] Text<MAX>;
    [const MAX: usize] Prose<MAX>;
    [] Slug;
    [] SitePrefix;
    [] PageSlug;
    [] NewPassword;
    [] EmailAddress;
    [] AssigneeName;
    [] PageUrl;
}

/// Gathers the faults of a body's fields, so that one answer names them all.
#[derive(Default)]
pub struct Checked {
    errors: Vec<FieldError>,
}

impl Checked {
    /// The field's value, or `None` and a fault to report.
    pub fn take<T>(&mut self, field: &str, input: impl Into<Result<T, String>>) -> Option<T> {
        input.into().map_err(|message| self.errors.push(FieldError { field: field.to_owned(), message })).ok()
    }

    /// A field that is text, as a form or a command has it.
    pub fn text<T: CheckedText>(&mut self, field: &str, text: &str) -> Option<T> {
        self.take(field, T::parse(text.to_owned()))
    }

    /// A fault that shows only when values are looked at together.
    pub fn fault(&mut self, field: &str, message: String) {
        self.errors.push(FieldError { field: field.to_owned(), message });
    }

    /// The value of a field that may be left out.
    pub fn take_optional<T>(&mut self, field: &str, input: Option<impl Into<Result<T, String>>>) -> Option<T> {
        input.and_then(|input| self.take(field, input))
    }

    /// `400 invalid_request` with every fault that was found.
    pub fn problem(self) -> Problem {
        Problem::invalid(self.errors)
    }

    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Goes on when nothing is at fault.
    ///
    /// # Errors
    /// `400 invalid_request` with every fault that was found.
    pub fn done(self) -> Result<(), Problem> {
        if self.is_empty() { Ok(()) } else { Err(self.problem()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(Text::<3>::fault("äöü"), None);
        assert!(Text::<3>::fault("äöüß").is_some());
    }

    #[test]
    fn common_addresses_are_taken_and_non_addresses_are_not() {
        for good in ["ada@example.com", "a.b+c@sub.example.co.uk", "o'neil@xn--bcher-kva.example"] {
            assert_eq!(EmailAddress::fault(good), None, "{good}");
        }
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "a b@example.com",
            "a@b@example.com",
            "a\0@example.com",
        ] {
            assert!(EmailAddress::fault(bad).is_some(), "{bad}");
        }
    }
}
