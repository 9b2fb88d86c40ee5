//! What the buttons of the editor do to a form's rows, and where the focus goes then.

use crate::dashboard::templates::draft::{Draft, MAX_ROWS, Question};

impl Draft {
    /// Adds, moves or removes a row, as a button says: a verb and where. `false` when it is no such button.
    pub fn edit(&mut self, action: &str) -> bool {
        let mut words = action.split(':');
        let verb = words.next().unwrap_or_default();
        let places: Option<Vec<usize>> = words.map(|word| word.parse().ok()).collect();
        let done = match (verb, places.as_deref()) {
            ("add-question", Some([])) => self.add_question(),
            ("up" | "down", Some([place])) => shift(&mut self.questions, *place, verb == "up").map(|to| {
                self.focus = format!("questions[{to}].{verb}");
                format!("This is now question {}.", to + 1)
            }),
            ("remove", Some([place])) => remove(&mut self.questions, *place).map(|next| {
                self.focus = next.map_or("add-question".to_owned(), |next| format!("questions[{next}].label"));
                format!("Question {} was removed.", place + 1)
            }),
            ("add-threshold", Some([])) => add(&mut self.thresholds).map(|place| {
                self.focus = format!("thresholds[{place}].points");
                "A threshold was added.".to_owned()
            }),
            ("remove-threshold", Some([place])) => remove(&mut self.thresholds, *place).map(|_| {
                "add-threshold".clone_into(&mut self.focus);
                "A threshold was removed.".to_owned()
            }),
            (_, Some([question, places @ ..])) => self.edit_options(verb, *question, places),
            _ => None,
        };
        done.map(|said| self.said = said).is_some()
    }

    fn add_question(&mut self) -> Option<String> {
        let place = add(&mut self.questions)?;
        self.questions[place] = Question::new();
        self.focus = format!("questions[{place}].label");
        Some(format!("Question {} was added.", place + 1))
    }

    fn edit_options(&mut self, verb: &str, question: usize, places: &[usize]) -> Option<String> {
        let options = &mut self.questions.get_mut(question)?.options;
        let row = |place: usize| format!("questions[{question}].options[{place}]");
        let (focus, said) = match (verb, places) {
            ("add-option", []) => add(options).map(|place| (row(place) + ".label", "An option was added.".to_owned())),
            ("option-up" | "option-down", [place]) => {
                let up = verb == "option-up";
                shift(options, *place, up).map(|to| {
                    let focus = row(to) + if up { ".up" } else { ".down" };
                    (focus, format!("This is now option {}.", to + 1))
                })
            }
            ("remove-option", [place]) => remove(options, *place).map(|next| {
                let focus = next.map_or(format!("questions[{question}].add"), |next| row(next) + ".label");
                (focus, format!("Option {} was removed.", place + 1))
            }),
            _ => None,
        }?;
        self.focus = focus;
        Some(said)
    }
}

/// The place of a new row, when there is room for one.
fn add<T: Default>(list: &mut Vec<T>) -> Option<usize> {
    (list.len() < MAX_ROWS).then(|| {
        list.push(T::default());
        list.len() - 1
    })
}

/// The row's new place.
fn shift<T>(list: &mut [T], place: usize, up: bool) -> Option<usize> {
    let to = if up { place.saturating_sub(1) } else { (place + 1).min(list.len().checked_sub(1)?) };
    (place < list.len()).then(|| {
        list.swap(place, to);
        to
    })
}

/// The row that is where the removed one was, or the one before: none where none is left.
fn remove<T>(list: &mut Vec<T>, place: usize) -> Option<Neighbour> {
    (place < list.len()).then(|| {
        list.remove(place);
        list.len().checked_sub(1).map(|last| place.min(last))
    })
}

type Neighbour = Option<usize>;
