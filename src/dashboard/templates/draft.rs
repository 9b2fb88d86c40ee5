//! A ticket form while somebody edits it: what they typed, right or wrong.

mod rows;

use std::collections::HashSet;

use uuid::Uuid;

use crate::{
    dashboard::form::Form,
    domain::{
        problem::Problem,
        text::{Checked, PriorityName},
    },
    store::templates::{Change, Forms, NewQuestion, Type},
};

/// The most that one answer is worth, either way, and the highest threshold.
const POINTS: i32 = 1000;
const SCORE: i32 = 1_000_000;
/// The most questions, options of one, and thresholds.
const MAX_ROWS: usize = 100;

/// The ways to answer, as forms have them and as people call them.
const KINDS: [(Type, &str, &str); 5] = [
    (Type::Text, "text", "A line"),
    (Type::Textarea, "textarea", "Several lines"),
    (Type::Select, "select", "A choice"),
    (Type::Checkbox, "checkbox", "A checkbox"),
    (Type::Date, "date", "A day"),
];

#[derive(Default)]
pub struct Draft {
    pub name: String,
    pub description: String,
    pub sites: Vec<String>,
    pub questions: Vec<Question>,
    pub thresholds: Vec<Threshold>,
    /// The element that gets the focus.
    focus: String,
    /// What was just done, for whoever hears the page.
    pub said: String,
}

#[derive(Default)]
pub struct Question {
    /// Empty for a new one.
    pub id: String,
    pub label: String,
    pub kind: String,
    pub required: bool,
    pub points: String,
    pub options: Vec<Choice>,
    /// What is tried as an answer.
    pub answer: String,
}

pub struct Choice {
    pub id: Uuid,
    pub label: String,
    pub points: String,
}

impl Default for Choice {
    fn default() -> Self {
        Self { id: Uuid::new_v4(), label: String::new(), points: String::new() }
    }
}

#[derive(Default)]
pub struct Threshold {
    pub points: String,
    pub priority: String,
}

impl Question {
    /// Options show, and count, when it becomes a choice.
    fn new() -> Self {
        Self { kind: "text".to_owned(), options: vec![Choice::default(), Choice::default()], ..Self::default() }
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    pub fn kind_name(&self) -> &'static str {
        KINDS.iter().find(|(_, word, _)| *word == self.kind).map_or("", |(.., name)| name)
    }

    pub fn full(&self) -> bool {
        self.options.len() >= MAX_ROWS
    }

    /// What a customer's page would send; an empty field is no answer.
    pub fn given(&self) -> Option<&str> {
        match self.kind.as_str() {
            "checkbox" if self.answer == "true" => Some("true"),
            "checkbox" => Some("false"),
            _ => Some(self.answer.as_str()).filter(|answer| !answer.is_empty()),
        }
    }
}

/// The words of the kinds, and their names.
pub fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().map(|(_, word, name)| (*word, *name))
}

fn kind(word: &str) -> Option<Type> {
    KINDS.iter().find(|(_, known, _)| *known == word).map(|(kind, ..)| *kind)
}

/// The entry of a list, or the next one, which is made. A page leaves out none.
fn at<T: Default>(list: &mut Vec<T>, place: usize) -> Option<&mut T> {
    if list.len() == place {
        list.push(T::default());
    }
    list.get_mut(place)
}

/// `(3, "label")` of `questions[3].label`.
fn indexed<'a>(name: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (place, rest) = name.strip_prefix(list)?.strip_prefix('[')?.split_once("].")?;
    Some((place.parse().ok().filter(|place| *place < MAX_ROWS)?, rest))
}

impl Draft {
    /// A form that is made from nothing: it asks one thing.
    pub fn new() -> Self {
        Self { questions: vec![Question::new()], ..Self::default() }
    }

    /// A form as it is kept.
    pub fn of(forms: &Forms) -> Self {
        let Some(template) = forms.templates.first() else { return Self::new() };
        let question = |row: &crate::store::templates::Question| Question {
            id: row.id.to_string(),
            label: row.label.clone(),
            kind: KINDS.iter().find(|(kind, ..)| *kind == row.kind).map_or("", |(_, word, _)| word).to_owned(),
            required: row.required,
            points: row.points.to_string(),
            options: forms
                .choices
                .iter()
                .filter(|choice| choice.question_id == row.id)
                .map(|choice| Choice { id: choice.id, label: choice.label.clone(), points: choice.points.to_string() })
                .collect(),
            answer: String::new(),
        };
        let threshold = |row: &crate::store::templates::Threshold| Threshold {
            points: row.points.to_string(),
            priority: row.priority.clone(),
        };
        Self {
            name: template.name.clone(),
            description: template.description.clone(),
            sites: forms.sites.iter().map(|(_, slug)| slug.clone()).collect(),
            questions: forms.questions.iter().map(question).collect(),
            thresholds: forms.thresholds.iter().map(threshold).collect(),
            ..Self::default()
        }
    }

    /// A form as somebody sent it.
    pub fn read(form: &Form) -> Self {
        let mut draft = Self::default();
        for (name, value) in form.pairs() {
            let value = value.to_owned();
            if let Some((place, rest)) = indexed(name, "questions") {
                if let Some(question) = at(&mut draft.questions, place) {
                    question.read(rest, value);
                }
            } else if let Some((place, rest)) = indexed(name, "thresholds") {
                match (rest, at(&mut draft.thresholds, place)) {
                    ("points", Some(threshold)) => threshold.points = value,
                    ("priority", Some(threshold)) => threshold.priority = value,
                    _ => {}
                }
            } else {
                match name {
                    "name" => draft.name = value,
                    "description" => draft.description = value,
                    "site" => draft.sites.push(value),
                    _ => {}
                }
            }
        }
        draft
    }

    /// Tries the answers of another draft of this form.
    pub fn answered(mut self, typed: Self) -> Self {
        for (question, typed) in self.questions.iter_mut().zip(typed.questions) {
            question.answer = typed.answer;
        }
        self
    }

    /// Lets questions that another took out of the form meanwhile be new ones.
    pub fn renew(&mut self, forms: &Forms) {
        for question in &mut self.questions {
            if !forms.questions.iter().any(|kept| kept.id.to_string() == question.id) {
                question.id.clear();
            }
        }
    }

    /// Takes out the rows that nobody filled in.
    pub fn prune(&mut self) {
        for question in self.questions.iter_mut().filter(|question| question.is("select")) {
            question.options.retain(|choice| !choice.label.trim().is_empty() || !choice.points.trim().is_empty());
        }
        self.thresholds.retain(|threshold| !threshold.points.trim().is_empty());
    }

    /// The attribute of the element that gets the focus.
    pub fn focused(&self, id: impl AsRef<str>) -> &'static str {
        if !self.focus.is_empty() && self.focus == id.as_ref() { " autofocus" } else { "" }
    }

    pub fn full(&self) -> bool {
        self.questions.len() >= MAX_ROWS
    }

    pub fn offered_by(&self, slug: impl AsRef<str>) -> bool {
        self.sites.iter().any(|site| site == slug.as_ref())
    }

    /// What the store is to make of it.
    ///
    /// # Errors
    /// `400 invalid_request` with what is wrong, by field.
    pub fn check(&self) -> Result<Change, Problem> {
        let mut checked = Checked::default();
        let name = checked.text("name", &self.name);
        let description = checked.text("description", &self.description);
        let (questions, thresholds) = self.asked(&mut checked);
        checked.done()?;
        Ok(Change {
            name,
            description,
            sites: Some(self.sites.clone()),
            questions: Some(questions),
            thresholds: Some(thresholds),
            seen: None,
        })
    }

    /// What scores answers, alone.
    ///
    /// # Errors
    /// `400 invalid_request` with what is wrong, by field.
    pub fn check_scoring(&self) -> Result<Change, Problem> {
        let mut checked = Checked::default();
        let (questions, thresholds) = self.asked(&mut checked);
        checked.done()?;
        Ok(Change { questions: Some(questions), thresholds: Some(thresholds), ..Change::default() })
    }

    fn asked(&self, checked: &mut Checked) -> (Vec<NewQuestion>, Vec<(i32, PriorityName)>) {
        let questions =
            self.questions.iter().enumerate().filter_map(|(place, question)| question.check(checked, place)).collect();
        let mut seen = HashSet::new();
        let mut thresholds = Vec::new();
        for (place, threshold) in self.thresholds.iter().enumerate() {
            let field = format!("thresholds[{place}].points");
            let points = figure(checked, &field, &threshold.points, SCORE);
            if !seen.insert(points) {
                checked.fault(&field, "another threshold has these points".to_owned());
            }
            let field = format!("thresholds[{place}].priority");
            thresholds.extend(checked.text(&field, &threshold.priority).map(|priority| (points, priority)));
        }
        (questions, thresholds)
    }
}

impl Question {
    fn read(&mut self, rest: &str, value: String) {
        if let Some((place, rest)) = indexed(rest, "options") {
            match (rest, at(&mut self.options, place)) {
                ("id", Some(choice)) => choice.id = value.parse().unwrap_or(choice.id),
                ("label", Some(choice)) => choice.label = value,
                ("points", Some(choice)) => choice.points = value,
                _ => {}
            }
            return;
        }
        match rest {
            "id" => self.id = value,
            "label" => self.label = value,
            "kind" => self.kind = value,
            "required" => self.required = value == "yes",
            "points" => self.points = value,
            "answer" => self.answer = value,
            _ => {}
        }
    }

    /// What its kind has no use for was hidden from whoever filled it in, and is left out.
    fn check(&self, checked: &mut Checked, place: usize) -> Option<NewQuestion> {
        let row = format!("questions[{place}]");
        let kind = kind(&self.kind).unwrap_or_else(|| {
            checked.fault(&format!("{row}.kind"), "is none that there is".to_owned());
            Type::Text
        });
        let points = match kind {
            Type::Checkbox => figure(checked, &format!("{row}.points"), &self.points, POINTS),
            _ => 0,
        };
        let mut choices = Vec::new();
        if kind == Type::Select {
            for (number, choice) in self.options.iter().enumerate() {
                let label = checked.text(&format!("{row}.options[{number}].label"), &choice.label);
                let points = figure(checked, &format!("{row}.options[{number}].points"), &choice.points, POINTS);
                choices.extend(label.map(|label| (Some(choice.id), label, points)));
            }
            if self.options.is_empty() {
                checked.fault(&format!("{row}.kind"), "needs options to choose from".to_owned());
            }
        }
        let label = checked.text(&format!("{row}.label"), &self.label)?;
        Some(NewQuestion { id: self.id.parse().ok(), label, kind, required: self.required, points, choices })
    }
}

/// Points; none are 0.
fn figure(checked: &mut Checked, field: &str, typed: &str, most: i32) -> i32 {
    let typed = typed.trim();
    if typed.is_empty() {
        return 0;
    }
    typed.parse().ok().filter(|points| (-most..=most).contains(points)).unwrap_or_else(|| {
        checked.fault(field, format!("must be a whole number from -{most} to {most}"));
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form::of(&pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn what_was_typed_is_kept_through_every_button_and_checked_at_last() {
        let typed = form(&[
            ("name", "Broken"),
            ("questions[0].label", "How bad?"),
            ("questions[0].kind", "select"),
            ("questions[0].options[0].label", "Very"),
            ("questions[0].options[0].points", "eight"),
            ("questions[0].options[1].label", " "),
            ("questions[1].label", "Others?"),
            ("questions[1].kind", "checkbox"),
            ("questions[1].points", "5"),
            ("questions[1].options[0].label", "left over"),
            ("questions[7777].label", "beyond"),
            ("thresholds[0].points", "5"),
            ("thresholds[0].priority", "High"),
            ("thresholds[1].points", "5"),
            ("thresholds[1].priority", "Urgent"),
            ("thresholds[2].priority", "Low"),
        ]);
        let mut draft = Draft::read(&typed);
        assert_eq!(draft.questions.len(), 2);
        for (action, done) in [
            ("down:0", true),
            ("up:1", true),
            ("add-option:0", true),
            ("option-up:0:2", true),
            ("option-down:0:1", true),
            ("remove-option:0:2", true),
            ("add-question", true),
            ("remove:2", true),
            ("add-threshold", true),
            ("remove-threshold:3", true),
            ("up:9", false),
            ("remove:9", false),
            ("option-up:0:9", false),
            ("add-option:9", false),
            ("remove:x", false),
            ("burn", false),
        ] {
            assert_eq!(draft.edit(action), done, "{action}");
        }
        draft.prune();
        let problem = draft.check().expect_err("faults");
        let faults: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(faults, ["questions[0].options[0].points", "thresholds[1].points"]);
        "8".clone_into(&mut draft.questions[0].options[0].points);
        assert!(draft.edit("remove-threshold:1"));
        let change = draft.check().expect("right");
        let questions = change.questions.expect("questions");
        assert_eq!(
            (questions[0].label.as_str(), questions[0].choices.len(), questions[0].choices[0].2),
            ("How bad?", 1, 8)
        );
        assert_eq!((questions[1].points, questions[1].choices.len()), (5, 0));
        assert_eq!(change.thresholds, Some(vec![(5, "High".to_owned())]));
    }
}
