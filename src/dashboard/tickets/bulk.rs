//! Tickets of a selection, changed at once, and what takes that back: the answer to a form holds it, and no table.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    dashboard::{frame::form::Form, tickets::snooze},
    db::OrgTx,
    domain::{
        permissions::Permission,
        problem::{Code, Problem},
    },
    store::tickets::{
        agent::Change,
        bulk::{self, Before, MOST},
    },
};

/// What was done to a selection, in words, and what takes it back.
pub struct Done {
    pub text: String,
    /// A field of a form each.
    pub undo: Vec<String>,
}

/// So many tickets, in words.
fn tickets(count: usize) -> String {
    if count == 1 { "1 ticket".to_owned() } else { format!("{count} tickets") }
}

/// What is wrong with the form as a whole: its fields are not shown once more.
fn refused(why: &'static str) -> Problem {
    Problem::new(Code::InvalidRequest, why)
}

/// The ids of what was selected.
fn selected(form: &Form) -> Result<Vec<Uuid>, Problem> {
    let ids: Option<Vec<Uuid>> = form.all("ticket").into_iter().map(|id| id.parse().ok()).collect();
    match ids {
        Some(ids) if ids.is_empty() => Err(refused("Nothing was done. Tick a ticket.")),
        Some(ids) if ids.len() <= MOST => Ok(ids),
        _ => Err(refused("Nothing was done. Tick at most a hundred tickets.")),
    }
}

/// Changes what was selected as the form says; what it leaves blank stays.
pub async fn change(tx: &mut OrgTx, form: &Form) -> Result<Done, Problem> {
    let ids = selected(form)?;
    let assignee = match form.filled("set_assignee") {
        None => None,
        Some("none") => Some(None),
        Some("me") => Some(tx.actor().map(|actor| actor.id)),
        Some(id) => Some(Some(id.parse().map_err(|_| refused("Nothing was done. The assignee must be a member."))?)),
    };
    if assignee.is_some() && !tx.actor().is_some_and(|actor| actor.may(Permission::TicketAssign)) {
        return Err(Problem::permission_required(Permission::TicketAssign));
    }
    let snooze = match form.filled("until") {
        None => None,
        Some("wake") => Some(None),
        Some(_) => Some(Some(snooze::until(form, OffsetDateTime::now_utc())?)),
    };
    let (add, remove) = (form.filled("add_tag"), form.filled("remove_tag"));
    let change = Change {
        status: form.filled("set_status"),
        priority: form.filled("set_priority"),
        assignee,
        snooze,
        add_tags: add.as_slice(),
        remove_tags: remove.as_slice(),
    };
    if [change.status, change.priority, add, remove].iter().all(Option::is_none)
        && assignee.is_none()
        && snooze.is_none()
    {
        return Err(refused("Nothing was done. Choose what becomes of the selected tickets."));
    }
    let done = bulk::change(tx, &ids, &change).await?;
    let mut text = format!("{} changed.", tickets(done.changed.len()));
    if !done.missing.is_empty() {
        text += &format!(" {} not there any more, or not yours to see.", tickets(done.missing.len()));
    }
    Ok(Done { text, undo: done.changed.iter().map(written).collect() })
}

/// Takes back what a form holds.
pub async fn undo(tx: &mut OrgTx, form: &Form) -> Result<Done, Problem> {
    let before: Option<Vec<Before>> = form.all("before").into_iter().map(read).collect();
    let before = before.filter(|before| before.len() <= MOST);
    let before = before.ok_or_else(|| refused("Nothing was done. Only what the page holds is taken back."))?;
    let done = bulk::undo(tx, &before).await?;
    let mut text = format!("{} as before.", tickets(done.restored.len()));
    let others = done.changed_since.len() + done.missing.len();
    if others > 0 {
        text += &format!(" {} changed by somebody else since: left alone.", tickets(others));
    }
    Ok(Done { text, undo: Vec::new() })
}

/// What a ticket was, in one field.
fn written(before: &Before) -> String {
    let micros = |time: OffsetDateTime| (time.unix_timestamp_nanos() / 1000).to_string();
    let list = |ids: &[Uuid]| ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join("+");
    [
        before.id.to_string(),
        micros(before.updated_at),
        before.status_id.to_string(),
        before.priority_id.to_string(),
        before.assignee_id.map_or_else(String::new, |id| id.to_string()),
        before.snoozed_until.map_or_else(String::new, micros),
        list(&before.added_tags),
        list(&before.removed_tags),
    ]
    .join(",")
}

fn read(text: &str) -> Option<Before> {
    let parts: Vec<&str> = text.split(',').collect();
    let [id, updated_at, status, priority, assignee, snoozed, added, removed] = parts[..] else { return None };
    let time = |text: &str| {
        let micros: i128 = text.parse().ok()?;
        OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1000)?).ok()
    };
    let list =
        |text: &str| text.split('+').filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect::<Option<_>>();
    Some(Before {
        id: id.parse().ok()?,
        updated_at: time(updated_at)?,
        status_id: status.parse().ok()?,
        priority_id: priority.parse().ok()?,
        assignee_id: if assignee.is_empty() { None } else { Some(assignee.parse().ok()?) },
        snoozed_until: if snoozed.is_empty() { None } else { Some(time(snoozed)?) },
        added_tags: list(added)?,
        removed_tags: list(removed)?,
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_a_ticket_was_comes_back_as_it_was_written() {
        let before = Before {
            id: Uuid::from_u128(1),
            updated_at: datetime!(2026-02-03 22:30:01.123456 UTC),
            status_id: Uuid::from_u128(2),
            priority_id: Uuid::from_u128(3),
            assignee_id: None,
            snoozed_until: Some(datetime!(2026-02-04 09:00 UTC)),
            added_tags: vec![Uuid::from_u128(4), Uuid::from_u128(5)],
            removed_tags: Vec::new(),
        };
        assert_eq!(read(&written(&before)), Some(before.clone()));
        let given = Before { assignee_id: Some(Uuid::from_u128(6)), snoozed_until: None, ..before };
        assert_eq!(read(&written(&given)), Some(given));
        for broken in ["", "a,b", ",,,,,,,", "1,2,3,4,5,6,7,8"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
