//! Text from clients, and `null` in answers.
//!
//! poem-openapi's `String` takes numbers and booleans for text. [`Text`] takes strings only, and its schema says what
//! [`Checked`] then refuses: the checks run by hand, so that one answer names every field at fault.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use crate::problem::{FieldError, Problem};

/// Text of 1 to `MAX` characters, not blank, without U+0000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(pub String);

/// An e-mail address of at most 254 characters, as browsers check one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(pub String);

/// What makes text not blank: a character that is neither white space nor a control character. The class lists what
/// `char::is_whitespace` and `char::is_control` mean, since `\s` means something else in every dialect.
const NOT_BLANK: &str =
    r"^[^\u0000]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000]*$";
const EMAIL_LENGTH: usize = 254;

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

/// Gathers the faults of a request's fields.
#[derive(Default)]
pub struct Checked {
    errors: Vec<FieldError>,
}

impl Checked {
    pub fn text<const MAX: usize>(&mut self, field: &str, text: &Text<MAX>) {
        self.fault(field, text.fault());
    }

    pub fn email(&mut self, field: &str, email: &EmailAddress) {
        self.fault(field, email.fault());
    }

    fn fault(&mut self, field: &str, fault: Option<String>) {
        if let Some(message) = fault {
            self.errors.push(FieldError { field: field.to_owned(), message });
        }
    }

    /// # Errors
    /// `400 invalid_request` with every fault that was found.
    pub fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
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
                match value.unwrap_or_default() {
                    Value::String(text) => Ok(Self(text)),
                    value => Err(ParseError::expected_type(value)),
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
        checked.email("email", &EmailAddress("nobody".to_owned()));
        checked.text("subject", &Text::<3>("long".to_owned()));
        checked.text("message", &Text::<3>("\u{2003}\n".to_owned()));
        checked.text("name", &Text::<3>("ok".to_owned()));
        let fields: Vec<String> =
            checked.finish().expect_err("three faults").errors.into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["email", "subject", "message"]);
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
