//! Text from clients, and `null` in answers.
//!
//! poem-openapi's `String` takes numbers and booleans for text, and its objects name the first field at fault at the
//! most. [`Text`] takes strings only and refuses exactly what its schema says; fields that are [`Input`]s are checked
//! together, so that one answer names every fault.

use std::{
    borrow::Cow,
    fmt::{self, Display, Formatter},
};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use crate::domain::text::{
    AssigneeName, CheckedText, EMAIL_LENGTH, EmailAddress, MAX_PASSWORD_LENGTH, MESSAGE_LENGTH, MIN_PASSWORD_LENGTH,
    NOT_BLANK, NewPassword, PAGE_URL_LENGTH, PageSlug, PageUrl, Prose, SitePrefix, Slug, Text,
};

/// One field of a body. Parsing it never fails: what is wrong with it waits until [`Checked`] has seen all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input<T>(Result<T, String>);

impl<T> Input<T> {
    /// A field that is as it should be, for examples.
    pub fn of(value: T) -> Self {
        Self(Ok(value))
    }
}

impl<T> From<Input<T>> for Result<T, String> {
    fn from(input: Input<T>) -> Self {
        input.0
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

/// What any reader takes for the address of a page. A host in other letters, or one in brackets, is taken, too, if it is one.
const PAGE: &str = r"^https?://(((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])|([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?)(:[0-9]{1,4})?([/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$";

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
                Self::parse(text).map_err(ParseError::custom)
            }
        }

        impl<$($generics)*> ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                Some(self.to_string().into())
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
    min_length: Some(MIN_PASSWORD_LENGTH),
    max_length: Some(MAX_PASSWORD_LENGTH),
    pattern: Some(r"^[^\u0000]*$".to_owned()),
    ..MetaSchema::new_with_format("string", "password")
});

string_type!([] EmailAddress, "string (e-mail)", MetaSchema {
    max_length: Some(EMAIL_LENGTH),
    ..MetaSchema::new_with_format("string", "email")
});

impl<const MAX: usize> ParseFromParameter for Text<MAX> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse(value.to_owned()).map_err(ParseError::custom)
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

/// What is absent is not `null`.
impl<T: ParseFromJSON> ParseFromJSON for Nullable<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.ok_or_else(ParseError::expected_input)?;
        Option::parse_from_json(Some(value)).map(Self).map_err(ParseError::propagate)
    }
}

/// The address of a page as it was sent. Whether it is one the store says, whose answer names the field.
#[derive(Debug, Clone)]
pub struct PageAddress(Text<PAGE_URL_LENGTH>);

impl PageAddress {
    fn parse(text: String) -> Result<Self, String> {
        Text::parse(text).map(Self)
    }

    pub fn of(page: &PageUrl) -> Self {
        Self(Text::known(page))
    }

    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl Display for PageAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

string_type!([] PageAddress, "string (address of a page)", MetaSchema {
    pattern: Some(PAGE.to_owned()),
    ..MetaSchema::new("string")
});

string_type!([] AssigneeName, "string (assignee)", MetaSchema {
    pattern: Some("^(me|none|[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})$".to_owned()),
    ..MetaSchema::new("string")
});

impl ParseFromParameter for AssigneeName {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse(value.to_owned()).map_err(ParseError::custom)
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
            Value::String(text) => {
                Prose::<MESSAGE_LENGTH>::parse(text).map(|text| Self(text.into_string())).map_err(ParseError::custom)
            }
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
    use crate::domain::text::Checked;

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
        assert_eq!(checked.take("name", text("ok".into())), Some(Text::known("ok")));
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
}
