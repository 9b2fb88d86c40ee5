//! What a form sent, what is wrong with it, and the form shown once more with both.

use crate::{
    domain::{
        problem::{Code, FieldError, Problem},
        text::{Checked, CheckedText},
    },
    store::order::Move,
};

/// Fields of a form or of a query, in order; and, after a refusal, why.
#[derive(Debug, Default, Clone)]
pub struct Form {
    fields: Vec<(String, String)>,
    errors: Vec<FieldError>,
    /// What is wrong besides single fields.
    pub refused: Option<String>,
    /// Of what was wrong.
    pub code: Option<Code>,
}

impl Form {
    /// Reads `a=b&c=d`.
    ///
    /// # Errors
    /// `400 invalid_request` for U+0000, which PostgreSQL has no text with.
    pub fn parse(text: &[u8]) -> Result<Self, Problem> {
        // Browsers send line ends of a textarea as CR LF.
        let plain = |text: &str| text.replace("\r\n", "\n");
        let fields: Vec<(String, String)> =
            url::form_urlencoded::parse(text).map(|(name, value)| (plain(&name), plain(&value))).collect();
        if fields.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Problem::new(Code::InvalidRequest, "A field contains U+0000."));
        }
        Ok(Self { fields, ..Self::default() })
    }

    /// A form that shows these values first.
    pub fn of(fields: &[(&str, String)]) -> Self {
        Self {
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            ..Self::default()
        }
    }

    /// This form, with the values of another where it has none.
    pub fn over(&self, mut below: Self) -> Self {
        below.fields.retain(|(name, _)| !self.has(name));
        let mut whole = self.clone();
        whole.fields.append(&mut below.fields);
        whole
    }

    /// The first value of this name; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Every value of this name, each once: those of the boxes that were ticked.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let mut values: Vec<&str> =
            self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Whether a box of this name and value was ticked.
    pub fn holds(&self, name: &str, value: impl AsRef<str>) -> bool {
        self.fields.iter().any(|(known, held)| known == name && held == value.as_ref())
    }

    /// What `get` tells, `None` when it is blank.
    pub fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|value| !value.is_empty())
    }

    /// The query of the page of a list after this one, which keeps these filters.
    pub fn more(&self, filters: &[&str], cursor: &str) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        for name in filters {
            pairs.extend_pairs(self.some(name).map(|value| (name, value)));
        }
        pairs.append_pair("cursor", cursor).finish()
    }

    /// Names and values, as they were sent.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What is wrong, field by field.
    pub fn faults(&self) -> &[FieldError] {
        &self.errors
    }

    /// What is wrong with a field; empty when nothing is.
    pub fn fault(&self, name: &str) -> &str {
        self.errors.iter().find(|error| error.field == name).map_or("", |error| &error.message)
    }

    /// A field's value, checked as the API checks it.
    pub fn take<T: CheckedText>(&self, checked: &mut Checked, name: &str) -> Option<T> {
        let value = self.get(name);
        checked.take(name, if value.is_empty() { Err("is required".to_owned()) } else { T::parse(value.to_owned()) })
    }

    /// Where a row of a list goes: as its buttons say, or to the place of the one that it was dropped on.
    ///
    /// # Errors
    /// `404 not_found` when that is none.
    pub fn step(&self) -> Result<Move, Problem> {
        match self.get("action") {
            "up" => Ok(Move::Up),
            "down" => Ok(Move::Down),
            _ => self.get("over").parse().map(Move::Over).map_err(|_| Problem::not_found()),
        }
    }

    /// This form once more, with what was wrong.
    ///
    /// # Errors
    /// The problem itself, when it is none that another try of the form could mend.
    pub fn again(&self, problem: Problem) -> Result<Self, Problem> {
        match problem.code.status() {
            400 | 409 | 422 | 429 => {}
            401 if problem.code == Code::LoginFailed => {}
            403 if problem.code == Code::PermissionRequired && !problem.denied => {}
            _ => return Err(problem),
        }
        let unplaced = problem.errors.is_empty() || problem.errors.iter().any(|error| !self.has(&error.field));
        let detail = match problem.errors.as_slice() {
            [] => problem.detail.to_string(),
            errors => {
                errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect::<Vec<_>>().join("; ")
            }
        };
        Ok(Self {
            fields: self.fields.clone(),
            errors: problem.errors,
            refused: unplaced.then_some(detail),
            code: Some(problem.code),
        })
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::Text;

    #[test]
    fn a_form_keeps_what_was_typed_and_says_what_is_wrong_beside_it() {
        let form = Form::parse(b"name=+&note=a%0D%0Ab%26").expect("a form");
        assert_eq!(form.get("note"), "a\nb&");
        assert_eq!(form.some("name"), None);
        let mut checked = Checked::default();
        assert_eq!(form.take::<Text<9>>(&mut checked, "name"), None);
        let again = form.again(checked.problem()).expect("to be mended");
        assert_eq!(
            (again.fault("name"), again.get("note"), again.code),
            ("must not be blank", "a\nb&", Some(Code::InvalidRequest))
        );
        assert!(Form::parse(b"name=%00").is_err());
        assert!(form.again(Problem::not_found()).is_err());
    }
}
