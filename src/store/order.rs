//! The order of rows that people put in order. A row takes the place of another one, and those between make room.

use uuid::Uuid;

use crate::{db::OrgTx, domain::problem::Problem};

/// What has an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Faqs,
    Statuses,
    Priorities,
}

/// Where a row goes.
#[derive(Debug, Clone, Copy)]
pub enum Move {
    Up,
    Down,
    /// To where this row is.
    Over(Uuid),
}

macro_rules! statements {
    ($table:literal) => {
        (
            concat!(
                "select 1 + (select count(*) from ",
                $table,
                " o where (o.position, o.id) < (t.position, t.id)) from ",
                $table,
                " t where t.id = $1"
            ),
            concat!(
                "update ",
                $table,
                " t set position = placed.place
                from (
                  select o.id, (o.place + case when o.place < $2 then 0 else 1 end)::integer as place
                  from (select id, row_number() over (order by position, id) as place from ",
                $table,
                " where id <> $1) o
                  union all
                  select $1, least($2, (select count(*) from ",
                $table,
                "))::integer
                ) placed
                where placed.id = t.id and (t.id = $1 or t.position <> placed.place)"
            ),
        )
    };
}

/// Moves a row of the org's list.
///
/// # Errors
/// `404 not_found`, also for the row whose place it is to take.
pub async fn reorder(tx: &mut OrgTx, list: List, id: Uuid, step: Move) -> Result<(), Problem> {
    let (place, renumber) = match list {
        List::Faqs => statements!("vicket.faqs"),
        List::Statuses => statements!("vicket.statuses"),
        List::Priorities => statements!("vicket.priorities"),
    };
    let mut place_of = async |id: Uuid| {
        let place: Option<i64> = sqlx::query_scalar(place).bind(id).fetch_optional(tx.connection()).await?;
        place.ok_or_else(Problem::not_found)
    };
    let now = place_of(id).await?;
    let then = match step {
        Move::Up => (now - 1).max(1),
        Move::Down => now + 1,
        Move::Over(other) => place_of(other).await?,
    };
    let moved = sqlx::query(renumber).bind(id).bind(then).execute(tx.connection()).await?;
    super::one_row(moved.rows_affected())
}
