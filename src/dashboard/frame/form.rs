//! What a form sent, what is wrong with it, and the form shown once more with both.

use uuid::Uuid;

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
    pub fn with_defaults(&self, mut defaults: Self) -> Self {
        defaults.fields.retain(|(name, _)| !self.has(name));
        let mut whole = self.clone();
        whole.fields.append(&mut defaults.fields);
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

    /// The first value of this name, `None` when it is blank.
    pub fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name).trim()).filter(|value| !value.is_empty())
    }

    /// The query of the page of a list after this one, which keeps these filters.
    pub fn next_page(&self, filters: &[&str], cursor: &str) -> String {
        let kept = url::form_urlencoded::Serializer::new(self.kept(filters));
        { kept }.append_pair("cursor", cursor).finish()
    }

    /// A query of the fields of these names that are filled; of one that is given several times, each value once.
    pub fn kept(&self, names: &[&str]) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        for name in names {
            let values = self.all(name).into_iter().map(str::trim).filter(|value| !value.is_empty());
            pairs.extend_pairs(values.map(|value| (name, value)));
        }
        pairs.finish()
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

    /// As [`Form::fault`], in a sentence about what people call the field.
    pub fn fault_of(&self, name: &str, label: &str) -> String {
        sentence(label, self.fault(name))
    }

    /// A field's value, checked as the API checks it.
    pub fn take<T: CheckedText>(&self, checked: &mut Checked, name: &str) -> Option<T> {
        let value = self.get(name);
        checked.take(name, if value.is_empty() { Err("is required".to_owned()) } else { T::parse(value.to_owned()) })
    }

    /// As [`Form::take`], when nothing else is asked for.
    ///
    /// # Errors
    /// `400 invalid_request`.
    pub fn take_one<T: CheckedText>(&self, name: &str) -> Result<T, Problem> {
        let mut checked = Checked::default();
        self.take(&mut checked, name).ok_or_else(|| checked.problem())
    }

    /// The id that a field carries.
    ///
    /// # Errors
    /// `404 not_found` when it is none.
    pub fn id(&self, name: &str) -> Result<Uuid, Problem> {
        id(self.get(name))
    }

    /// Goes on when the box was ticked that asks whether they are sure.
    ///
    /// # Errors
    /// `400 invalid_request`.
    pub fn confirmed(&self) -> Result<(), Problem> {
        match self.get("sure") {
            "yes" => Ok(()),
            _ => Err(Problem::new(Code::InvalidRequest, "Nothing was done. Tick the box to confirm.")),
        }
    }

    /// `400`: it asks for what no button of the page does.
    pub fn unknown_action() -> Problem {
        Problem::new(Code::InvalidRequest, "This page has no such action.")
    }

    /// Where a row of a list goes: as its buttons say, or to the place of the one that it was dropped on.
    ///
    /// # Errors
    /// `404 not_found` when that is none.
    pub fn reorder(&self) -> Result<Move, Problem> {
        match self.get("action") {
            "up" => Ok(Move::Up),
            "down" => Ok(Move::Down),
            _ => self.id("over").map(Move::Over),
        }
    }

    /// This form once more, with what was wrong.
    ///
    /// # Errors
    /// The problem itself, when it is none that another try of the form could mend.
    pub fn with_problem(&self, problem: Problem) -> Result<Self, Problem> {
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
                let sentences = errors.iter().map(|error| sentence(&error.field.replace('_', " "), &error.message));
                sentences.collect::<Vec<_>>().join(" ")
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

/// An id that a form or a path carries.
///
/// # Errors
/// `404 not_found` when it is none.
pub fn id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// What is wrong, in a sentence. A message goes on after the name of its field ("must not be blank") or stands alone ("the
/// org has no such site").
pub fn sentence(subject: &str, message: &str) -> String {
    let goes_on = ["must ", "is ", "needs ", "names "].iter().any(|verb| message.starts_with(verb));
    let text = if goes_on && !subject.is_empty() { format!("{subject} {message}") } else { message.to_owned() };
    let mut rest = text.chars();
    let first = rest.next().map_or_else(String::new, |first| first.to_uppercase().to_string());
    format!("{first}{}.", rest.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::Text;

    #[test]
    fn a_form_keeps_what_was_typed_and_says_what_is_wrong_beside_it() {
        let form = Form::parse(b"name=+&note=a%0D%0Ab%26").expect("a form");
        assert_eq!(form.get("note"), "a\nb&");
        assert_eq!(form.filled("name"), None);
        let mut checked = Checked::default();
        assert_eq!(form.take::<Text<9>>(&mut checked, "name"), None);
        let again = form.with_problem(checked.problem()).expect("to be mended");
        assert_eq!(
            (again.fault("name"), again.get("note"), again.code),
            ("must not be blank", "a\nb&", Some(Code::InvalidRequest))
        );
        assert_eq!(again.fault_of("name", "Your name"), "Your name must not be blank.");
        let elsewhere = form.with_problem(Problem::unprocessable("id", "the default stays; make another the default"));
        assert_eq!(
            elsewhere.expect("to be mended").refused.as_deref(),
            Some("The default stays; make another the default.")
        );
        assert!(Form::parse(b"name=%00").is_err());
        assert!(form.with_problem(Problem::not_found()).is_err());
    }
}
