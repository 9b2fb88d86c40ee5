//! Answers to a form: whether they fit it, and what they come to.

use std::collections::{BTreeMap, HashMap};

use time::macros::format_description;
use uuid::Uuid;

use super::{Choice, Forms, Type, offered};
use crate::{
    db::{OrgTx, SiteTx},
    domain::problem::{FieldError, Problem},
    store::tickets::agent::Answer,
};

/// A form that a customer filled in: answers by question, as they were sent.
#[derive(Debug, Clone)]
pub struct Filled {
    pub template_id: Uuid,
    /// Text, an option's id, `true` or `false`, or a day.
    pub answers: BTreeMap<String, String>,
}

/// The answers that fit the form, by question.
///
/// # Errors
/// `422 unprocessable`: the site does not offer the form, or `errors` names each answer that does not fit it.
pub async fn check(tx: &mut SiteTx, filled: &Filled) -> Result<HashMap<Uuid, String>, Problem> {
    let forms = offered(tx, filled.template_id).await?;
    if forms.templates.is_empty() {
        return Err(no_form());
    }
    fitting(&forms, &filled.answers)
}

/// The answers that fit this form, by question.
///
/// # Errors
/// `422 unprocessable`: `errors` names each answer that does not fit.
pub fn fitting(forms: &Forms, answers: &BTreeMap<String, String>) -> Result<HashMap<Uuid, String>, Problem> {
    let mut errors = Vec::new();
    let mut fault = |question: &str, message: &str| {
        errors.push(FieldError { field: format!("answers.{question}"), message: message.to_owned() });
    };
    let mut fitting = HashMap::new();
    for (question, value) in answers {
        let known = forms.questions.iter().find(|known| known.id.to_string() == *question);
        let Some(known) = known else {
            fault(question, "is no question of this form");
            continue;
        };
        let choices: Vec<&Choice> = forms.choices.iter().filter(|choice| choice.question_id == known.id).collect();
        match unfit(known.kind, value, &choices) {
            Some(message) => fault(question, message),
            None => drop(fitting.insert(known.id, value.clone())),
        }
    }
    for question in forms.questions.iter().filter(|question| question.required) {
        let answered = fitting.get(&question.id).is_some_and(|value| match question.kind {
            Type::Checkbox => value == "true",
            _ => !value.trim().is_empty(),
        });
        let id = question.id.to_string();
        if !answered && !errors.iter().any(|error| error.field == format!("answers.{id}")) {
            errors.push(FieldError { field: format!("answers.{id}"), message: "must be answered".to_owned() });
        }
    }
    if errors.is_empty() { Ok(fitting) } else { Err(Problem::unprocessable_fields(errors)) }
}

/// What is wrong with an answer to a question of this kind.
fn unfit(kind: Type, value: &str, choices: &[&Choice]) -> Option<&'static str> {
    match kind {
        Type::Text if value.contains('\n') => Some("must be one line"),
        Type::Text | Type::Textarea => None,
        Type::Select => {
            let chosen = choices.iter().any(|choice| choice.id.to_string() == value);
            (!chosen).then_some("must be the id of one of the options")
        }
        Type::Checkbox => (value != "true" && value != "false").then_some("must be true or false"),
        Type::Date => {
            let day = format_description!("[year]-[month]-[day]");
            (value.len() != 10 || time::Date::parse(value, &day).is_err()).then_some("must be a day, YYYY-MM-DD")
        }
    }
}

/// Stores the answers of the ticket that this transaction submitted, with their points.
///
/// # Errors
/// `422 unprocessable` when the form went away meanwhile.
pub async fn score(
    tx: &mut SiteTx,
    ticket_id: Uuid,
    template_id: Uuid,
    answers: &HashMap<Uuid, String>,
) -> Result<(), Problem> {
    let verdict: String = sqlx::query_scalar("select ctx.score_ticket($1, $2, $3)")
        .bind(ticket_id)
        .bind(template_id)
        .bind(by_id_text(answers))
        .fetch_one(tx.connection())
        .await?;
    if verdict == "scored" { Ok(()) } else { Err(no_form()) }
}

fn by_id_text(answers: &HashMap<Uuid, String>) -> serde_json::Value {
    answers.iter().map(|(question, value)| (question.to_string(), value.as_str())).collect()
}

/// What answers come to.
#[derive(Debug)]
pub struct Score {
    /// Line by line, in the form's order.
    pub lines: Vec<Answer>,
    pub total: i32,
    pub priority: String,
    /// The threshold that gave the priority; `None` for the default.
    pub reached: Option<i32>,
}

/// What answers to a form would come to, computed as for a ticket, of which there is none.
///
/// # Errors
/// `5xx` only.
pub async fn try_out(tx: &mut OrgTx, id: Uuid, answers: &HashMap<Uuid, String>) -> Result<Score, Problem> {
    let lines: Vec<Answer> =
        sqlx::query_as("select label, value, points from ctx.scored_answers(ctx.org_id(), $1, $2) order by line")
            .bind(id)
            .bind(by_id_text(answers))
            .fetch_all(tx.connection())
            .await?;
    let total = lines.iter().map(|line| line.points).sum();
    let (priority, reached) = sqlx::query_as(
        "select p.name, max(h.points)
        from vicket.priorities p
        left join vicket.template_thresholds h
          on h.org_id = p.org_id and h.priority_id = p.id and h.template_id = $1 and h.points <= $2
        where p.id = coalesce(
          ctx.priority_reached(ctx.org_id(), $1, $2),
          (select d.id from vicket.priorities d where d.is_default)
        )
        group by p.name",
    )
    .bind(id)
    .bind(total)
    .fetch_one(tx.connection())
    .await?;
    Ok(Score { lines, total, priority, reached })
}

/// `422` for a form that the site does not offer.
pub fn no_form() -> Problem {
    Problem::unprocessable("template_id", "the site has no such form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_fits_its_kind_of_question_or_is_told_how_to() {
        let choice = Choice { question_id: Uuid::nil(), id: Uuid::from_u128(7), label: "Yes".to_owned(), points: 0 };
        let chosen = choice.id.to_string();
        for (kind, good, bad) in [
            (Type::Text, "a line", "two\nlines"),
            (Type::Select, chosen.as_str(), "Yes"),
            (Type::Checkbox, "true", "yes"),
            (Type::Date, "2026-02-28", "2026-02-30"),
            (Type::Date, "2024-02-29", "24-02-2029"),
        ] {
            assert_eq!(unfit(kind, good, &[&choice]), None, "{kind:?} {good}");
            assert!(unfit(kind, bad, &[&choice]).is_some(), "{kind:?} {bad}");
        }
    }
}
