//! Until when a ticket is snoozed, as a page offers it: by the clock of whoever looks.

use time::{Date, Duration, OffsetDateTime, Time, UtcOffset, macros::format_description};

use crate::{dashboard::frame::form::Form, domain::problem::Problem};

/// What is offered, with its words.
pub const CHOICES: [(&str, &str); 4] = [
    ("later", "Later today, in 3 hours"),
    ("tomorrow", "Tomorrow morning"),
    ("week", "Next week, Monday morning"),
    ("month", "In 30 days"),
];

/// When the morning begins.
const MORNING: Time = match Time::from_hms(9, 0, 0) {
    Ok(time) => time,
    Err(_) => Time::MIDNIGHT,
};

/// The time that a form chooses: `until`, of a `day` its morning. `offset` is how many minutes the clock of whoever chose is before
/// UTC, which a script says; without one it is UTC.
///
/// # Errors
/// `400 invalid_request`.
pub fn until(form: &Form, now: OffsetDateTime) -> Result<OffsetDateTime, Problem> {
    let minutes: i32 = form.filled("offset").and_then(|minutes| minutes.parse().ok()).unwrap_or_default();
    let offset = UtcOffset::from_whole_seconds(minutes.saturating_mul(60)).unwrap_or(UtcOffset::UTC);
    let here = now.to_offset(offset);
    let morning = |day: Option<Date>| day.map(|day| day.with_time(MORNING).assume_offset(offset));
    let days = |days: i64| here.date().checked_add(Duration::days(days));
    let chosen = match form.get("until") {
        "later" => now.checked_add(Duration::hours(3)),
        "tomorrow" => morning(days(1)),
        "week" => morning(days(7 - i64::from(here.weekday().number_days_from_monday()))),
        "month" => morning(days(30)),
        "day" => {
            let day = Date::parse(form.get("day"), &format_description!("[year]-[month]-[day]"));
            morning(day.ok())
        }
        _ => None,
    };
    chosen.ok_or_else(|| Problem::invalid_field("day", "must be a day such as 2026-02-03"))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_morning_is_that_of_who_chooses() {
        // A Tuesday evening in Berlin, and Wednesday morning in Tokyo.
        let now = datetime!(2026-02-03 22:30 UTC);
        let chosen = |until: &str, offset: &str, day: &str| {
            let fields =
                [("until", until), ("offset", offset), ("day", day)].map(|(name, text)| (name, text.to_owned()));
            super::until(&Form::of(&fields), now).ok()
        };
        for (until, offset, expected) in [
            ("later", "60", datetime!(2026-02-04 01:30 UTC)),
            ("tomorrow", "60", datetime!(2026-02-04 08:00 UTC)),
            ("tomorrow", "540", datetime!(2026-02-05 00:00 UTC)),
            ("tomorrow", "", datetime!(2026-02-04 09:00 UTC)),
            ("week", "60", datetime!(2026-02-09 08:00 UTC)),
            ("month", "-480", datetime!(2026-03-05 17:00 UTC)),
        ] {
            assert_eq!(chosen(until, offset, ""), Some(expected), "{until} {offset}");
        }
        assert_eq!(chosen("day", "60", "2026-02-20"), Some(datetime!(2026-02-20 08:00 UTC)));
        for (until, offset, day) in
            [("day", "", "tomorrow"), ("", "", ""), ("day", "60", "9999-99-99"), ("day", "x", "")]
        {
            assert_eq!(chosen(until, offset, day), None, "{until} {day}");
        }
        assert_eq!(chosen("later", "99999999999", ""), Some(datetime!(2026-02-04 01:30 UTC)));
    }
}
