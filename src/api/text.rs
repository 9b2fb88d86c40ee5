//! Text from clients, and `null` in answers.
//!
//! poem-openapi's `String` takes numbers and booleans for text, and its objects name the first field at fault at the
//! most. [`Text`] takes strings only and refuses exactly what its schema says; fields that are [`Input`]s are checked
//! together, so that one answer names every fault.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use crate::{
    auth::password,
    problem::{FieldError, Problem},
    references::Prefix,
};

/// Text of 1 to `MAX` characters, not blank, without U+0000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(pub String);

/// A name in URLs: 1 to 63 of a-z, 0-9 and hyphens in between, as in a host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(pub String);

/// What the references of a site's tickets begin with, `APP` of `APP-21`: 2 to 8 letters; small ones are taken for capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SitePrefix(pub String);

/// An article's name in URLs: 1 to 120 of a-z, 0-9 and hyphens in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSlug(pub String);

/// Text of at most `MAX` characters, blank or not, without U+0000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prose<const MAX: usize>(pub String);

/// A password to be set: 8 to 200 characters, without U+0000.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(pub String);

/// An e-mail address of at most 254 characters, as browsers check one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(pub String);

/// What makes text not blank: a character that is neither white space nor a control character. The class lists what
/// `char::is_whitespace` and `char::is_control` mean, since `\s` means something else in every dialect.
const NOT_BLANK: &str =
    r"^[^\u0000]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000]*$";
/// The longest e-mail address, characters.
pub const EMAIL_LENGTH: usize = 254;
/// The longest name of a customer, characters.
pub const NAME_LENGTH: usize = 200;
/// The longest subject of a ticket, characters.
pub const SUBJECT_LENGTH: usize = 200;
/// The longest message or reply, characters.
pub const MESSAGE_LENGTH: usize = 20_000;

impl<const MAX: usize> Text<MAX> {
    fn fault(&self) -> Option<String> {
        if self.0.contains('\0') {
            return Some("must not contain U+0000".to_owned());
        }
        if self.0.chars().all(|c| c.is_whitespace() || c.is_control()) {
            return Some("must not be blank".to_owned());
        }
        (self.0.chars().count() > MAX).then(|| format!("must have at most {MAX} characters"))
    }
}

impl Slug {
    fn fault(&self) -> Option<String> {
        crate::store::orgs::check_slug(&self.0)
            .err()
            .map(|_| "must be 1 to 63 of a-z, 0-9 and hyphens in between".to_owned())
    }
}

impl SitePrefix {
    fn fault(&self) -> Option<String> {
        Prefix::parse(&self.0).is_none().then(|| Prefix::SHAPE.to_owned())
    }
}

impl PageSlug {
    fn fault(&self) -> Option<String> {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let fits = (1..=120).contains(&self.0.len()) && self.0.bytes().all(inner);
        let fits = fits && !self.0.starts_with('-') && !self.0.ends_with('-');
        (!fits).then(|| "must be 1 to 120 of a-z, 0-9 and hyphens in between".to_owned())
    }
}

impl<const MAX: usize> Prose<MAX> {
    fn fault(&self) -> Option<String> {
        if self.0.contains('\0') {
            return Some("must not contain U+0000".to_owned());
        }
        (self.0.chars().count() > MAX).then(|| format!("must have at most {MAX} characters"))
    }
}

impl NewPassword {
    fn fault(&self) -> Option<String> {
        if self.0.contains('\0') {
            return Some("must not contain U+0000".to_owned());
        }
        let fits = (password::SHORTEST..=password::LONGEST).contains(&self.0.chars().count());
        (!fits).then(|| format!("must have {} to {} characters", password::SHORTEST, password::LONGEST))
    }
}

impl EmailAddress {
    fn fault(&self) -> Option<String> {
        let dot_atom = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if self.0.len() > EMAIL_LENGTH {
            return Some(format!("must have at most {EMAIL_LENGTH} characters"));
        }
        match self.0.split_once('@') {
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

/// One field of a body. Parsing it never fails: what is wrong with it waits until [`Checked`] has seen all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input<T>(Result<T, String>);

impl<T> Input<T> {
    /// A field that is as it should be, for examples.
    pub fn of(value: T) -> Self {
        Self(Ok(value))
    }
}

/// Gathers the faults of a body's fields, so that one answer names them all.
#[derive(Default)]
pub struct Checked {
    errors: Vec<FieldError>,
}

impl Checked {
    /// The field's value, or `None` and a fault to report.
    pub fn take<T>(&mut self, field: &str, input: Input<T>) -> Option<T> {
        input.0.map_err(|message| self.errors.push(FieldError { field: field.to_owned(), message })).ok()
    }

    /// A fault that shows only when values are looked at together.
    pub fn fault(&mut self, field: &str, message: String) {
        self.errors.push(FieldError { field: field.to_owned(), message });
    }

    /// The value of a field that may be left out.
    pub fn take_optional<T>(&mut self, field: &str, input: Option<Input<T>>) -> Option<T> {
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

impl<T: Type> Type for Input<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;
    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_ref().ok().and_then(Type::as_raw_value)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        match &self.0 {
            Ok(value) => value.raw_element_iter(),
            Err(_) => Box::new(std::iter::empty()),
        }
    }
}

impl<T: ParseFromJSON> ParseFromJSON for Input<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        if value.as_ref().is_none_or(Value::is_null) {
            return Ok(Self(Err("is required".to_owned())));
        }
        Ok(Self(T::parse_from_json(value).map_err(|error| plain(&error.into_message()))))
    }
}

impl<T: ToJSON> ToJSON for Input<T> {
    fn to_json(&self) -> Option<Value> {
        self.0.as_ref().ok().and_then(ToJSON::to_json)
    }
}

/// poem-openapi's sentence without its internal type names and quotation.
pub fn plain(reason: &str) -> String {
    let reason = reason.rsplit("failed to parse \"").next().unwrap_or(reason);
    let reason = reason.split_once("\": ").map_or(reason, |(_, rest)| rest);
    let reason = reason.split(" (occurred while parsing").next().unwrap_or(reason);
    // What follows is the input, however long.
    let reason = reason.split(", found ").next().unwrap_or(reason);
    reason.trim_start_matches([':', ' ']).replace('\0', "\\0")
}

macro_rules! string_type {
    ([$($generics:tt)*] $type:ty, $name:expr, $schema:expr) => {
        impl<$($generics)*> Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(self.as_raw_value().into_iter())
            }
        }

        impl<$($generics)*> ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                let Value::String(text) = value.unwrap_or_default() else {
                    return Err(ParseError::custom("must be a string"));
                };
                let text = Self(text);
                match text.fault() {
                    Some(fault) => Err(ParseError::custom(fault)),
                    None => Ok(text),
                }
            }
        }

        impl<$($generics)*> ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                Some(self.0.clone().into())
            }
        }
    };
}

string_type!([const MAX: usize] Text<MAX>, format!("string (1 to {MAX} characters)"), MetaSchema {
    min_length: Some(1),
    max_length: Some(MAX),
    pattern: Some(NOT_BLANK.to_owned()),
    ..MetaSchema::new("string")
});

string_type!([] Slug, "string (slug)", MetaSchema {
    min_length: Some(1),
    max_length: Some(63),
    pattern: Some("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$".to_owned()),
    ..MetaSchema::new("string")
});

string_type!([] SitePrefix, "string (prefix)", MetaSchema {
    min_length: Some(2),
    max_length: Some(8),
    pattern: Some("^[A-Za-z]+$".to_owned()),
    ..MetaSchema::new("string")
});

string_type!([] PageSlug, "string (article slug)", MetaSchema {
    min_length: Some(1),
    max_length: Some(120),
    pattern: Some("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$".to_owned()),
    ..MetaSchema::new("string")
});

string_type!([const MAX: usize] Prose<MAX>, format!("string (at most {MAX} characters)"), MetaSchema {
    max_length: Some(MAX),
    pattern: Some(r"^[^\u0000]*$".to_owned()),
    ..MetaSchema::new("string")
});

string_type!([] NewPassword, "string (new password)", MetaSchema {
    min_length: Some(password::SHORTEST),
    max_length: Some(password::LONGEST),
    pattern: Some(r"^[^\u0000]*$".to_owned()),
    ..MetaSchema::new_with_format("string", "password")
});

string_type!([] EmailAddress, "string (e-mail)", MetaSchema {
    max_length: Some(EMAIL_LENGTH),
    ..MetaSchema::new_with_format("string", "email")
});

impl<const MAX: usize> ParseFromParameter for Text<MAX> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let text = Self(value.to_owned());
        match text.fault() {
            Some(fault) => Err(ParseError::custom(fault)),
            None => Ok(text),
        }
    }

    /// A parameter given twice is refused: which of the two was meant is a guess that proxies make differently.
    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(values: I) -> ParseResult<Self> {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse_from_parameter(value.as_ref()),
            (Some(_), Some(_)) => Err(ParseError::custom("must be given once")),
            (None, _) => Err(ParseError::expected_input()),
        }
    }
}

/// A `T` or `null`, in answers. `Option<T>` is documented as a property that may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nullable<T>(pub Option<T>);

impl<T: Type> Type for Nullable<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        format!("nullable_{}", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref().merge(MetaSchema { nullable: true, ..MetaSchema::ANY })
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_ref().and_then(Type::as_raw_value)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        match &self.0 {
            Some(value) => value.raw_element_iter(),
            None => Box::new(std::iter::empty()),
        }
    }
}

impl<T: ToJSON> ToJSON for Nullable<T> {
    fn to_json(&self) -> Option<Value> {
        self.0.to_json()
    }
}

/// Derived objects ask for it, although nobody sends one.
impl<T: ParseFromJSON> ParseFromJSON for Nullable<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Option::parse_from_json(value).map(Self).map_err(ParseError::propagate)
    }
}

/// Whose tickets a list shows: `me`, `none`, or a user id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssigneeName(pub String);

impl AssigneeName {
    fn fault(&self) -> Option<String> {
        let known = matches!(self.0.as_str(), "me" | "none") || self.0.parse::<uuid::Uuid>().is_ok();
        (!known).then(|| "must be `me`, `none` or a user id".to_owned())
    }
}

string_type!([] AssigneeName, "string (assignee)", MetaSchema {
    pattern: Some("^(me|none|[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})$".to_owned()),
    ..MetaSchema::new("string")
});

impl ParseFromParameter for AssigneeName {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        let name = Self(value.to_owned());
        match name.fault() {
            Some(fault) => Err(ParseError::custom(fault)),
            None => Ok(name),
        }
    }
}

/// An answer to a question of a form: text of at most [`MESSAGE_LENGTH`] characters, or a boolean, which is kept as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerValue(pub String);

impl Type for AnswerValue {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string or boolean".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let text = Prose::<MESSAGE_LENGTH>::schema_ref();
        let boolean = MetaSchemaRef::Inline(Box::new(MetaSchema::new("boolean")));
        MetaSchemaRef::Inline(Box::new(MetaSchema { any_of: vec![text, boolean], ..MetaSchema::ANY }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromJSON for AnswerValue {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::Bool(value) => Ok(Self(value.to_string())),
            Value::String(text) => match Prose::<MESSAGE_LENGTH>(text) {
                text if text.fault().is_none() => Ok(Self(text.0)),
                text => Err(ParseError::custom(text.fault().unwrap_or_default())),
            },
            _ => Err(ParseError::custom("must be a string or a boolean")),
        }
    }
}

impl ToJSON for AnswerValue {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone().into())
    }
}

/// A JSON object of whatever fields, in answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyObject(pub Value);

impl Type for AnyObject {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "object".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("object")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for AnyObject {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

/// Derived objects ask for it, although nobody sends one.
impl ParseFromJSON for AnyObject {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self(value.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_string_and_nothing_that_looks_like_one() {
        assert!(Text::<9>::parse_from_json(Some(Value::from("yes"))).is_ok());
        for value in [Value::from(1), Value::from(true), Value::Null, Value::from(vec!["yes"])] {
            assert!(Text::<9>::parse_from_json(Some(value)).is_err());
        }
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut checked = Checked::default();
        let text = |value: Value| Input::<Text<3>>::parse_from_json(Some(value)).expect("never fails to parse");
        assert_eq!(checked.take("name", text("ok".into())), Some(Text("ok".to_owned())));
        assert_eq!(checked.take("subject", text("long".into())), None);
        assert_eq!(checked.take("message", text("\u{2003}\n".into())), None);
        assert_eq!(checked.take("number", text(5.into())), None);
        assert_eq!(checked.take("absent", text(Value::Null)), None);
        let errors: Vec<(String, String)> =
            checked.problem().errors.into_iter().map(|error| (error.field, error.message)).collect();
        let expected = [
            ("subject", "must have at most 3 characters"),
            ("message", "must not be blank"),
            ("number", "must be a string"),
            ("absent", "is required"),
        ];
        assert_eq!(errors, expected.map(|(field, message)| (field.to_owned(), message.to_owned())));
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(Text::<3>("äöü".to_owned()).fault(), None);
        assert!(Text::<3>("äöüß".to_owned()).fault().is_some());
    }

    #[test]
    fn common_addresses_are_taken_and_non_addresses_are_not() {
        for good in ["ada@example.com", "a.b+c@sub.example.co.uk", "o'neil@xn--bcher-kva.example"] {
            assert_eq!(EmailAddress(good.to_owned()).fault(), None, "{good}");
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
            assert!(EmailAddress(bad.to_owned()).fault().is_some(), "{bad}");
        }
    }
}
