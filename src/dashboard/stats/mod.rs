//! The start page: how the last fourteen days went.

use poem::{Response, handler};

use crate::{
    dashboard::frame::{
        org_context::{MEMBER, OrgContext, Shell},
        page::html,
    },
    domain::{permissions::Permission, problem::Problem},
    store::{
        self,
        stats::{Busy, Day, Missed},
    },
};

/// Height of the chart's bars, and the width of a day, in its own units.
const HEIGHT: i64 = 120;
const WIDTH: usize = 43;

#[derive(askama::Template)]
#[template(path = "stats/stats.html")]
struct StatsPage {
    shell: Shell,
    days: Vec<Day>,
    bars: Vec<Bar>,
    opened: i64,
    solved: i64,
    most: i64,
    first_reply: Option<String>,
    busiest: Vec<Busy>,
    missed: Vec<Missed>,
}

/// A bar of the chart.
struct Bar {
    class: &'static str,
    x: usize,
    y: i64,
    height: i64,
    title: String,
}

#[handler]
pub async fn show(context: OrgContext) -> Result<Response, Problem> {
    let (shell, (days, first_reply, busiest, missed)) = context
        .read(MEMBER, async |tx| {
            let days = store::stats::days(tx).await?;
            let first_reply = store::stats::first_reply(tx).await?;
            let busiest = store::stats::busiest(tx).await?;
            Ok((days, first_reply, busiest, store::stats::missed(tx).await?))
        })
        .await?;
    if !shell.may(Permission::TicketRead) {
        return Ok(context.redirect("sites"));
    }
    let most = days.iter().map(|day| day.opened.max(day.solved)).max().unwrap_or_default();
    let bars = days.iter().enumerate().flat_map(|(place, day)| {
        let bar = |class, count: i64, x| {
            let height = count * HEIGHT / most.max(1);
            Bar { class, x, y: HEIGHT - height, height, title: format!("{}: {count} {class}", day.day) }
        };
        [bar("opened", day.opened, place * WIDTH), bar("solved", day.solved, place * WIDTH + WIDTH / 2 - 1)]
    });
    html(&StatsPage {
        bars: bars.filter(|bar| bar.height > 0).collect(),
        opened: days.iter().map(|day| day.opened).sum(),
        solved: days.iter().map(|day| day.solved).sum(),
        shell,
        days,
        most,
        first_reply: first_reply.map(duration),
        busiest,
        missed,
    })
}

/// A length of time as people say it.
fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{seconds:.0} s"),
        seconds if seconds < 5_400.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        seconds => format!("{:.1} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_is_said_in_the_unit_that_fits() {
        assert_eq!([60.0, 600.0, 9_000.0, 259_200.0].map(super::duration), ["60 s", "10 min", "2.5 h", "3.0 days"]);
    }
}
