//! The inbox: tickets as agents list and look for them. Which are whose to see, policies say.

use sqlx::{FromRow, Postgres, postgres::PgArguments, query::QueryAs, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::{
        paging::{self, Keyset, PageRequest},
        sites,
        statuses::Category,
        tags::{self, Tag},
    },
    seen::{self, Viewer},
};
use crate::{
    db::OrgTx,
    domain::{
        problem::Problem,
        references::{Prefix, Sought},
    },
};

/// A ticket in the inbox.
#[derive(Debug, FromRow)]
pub struct Ticket {
    pub id: Uuid,
    pub site: String,
    pub number: i64,
    pub reference: String,
    pub subject: String,
    pub email: String,
    pub name: Option<String>,
    pub status_id: Uuid,
    pub status: String,
    pub category: Category,
    pub priority_id: Uuid,
    pub priority: String,
    pub assignee_id: Option<Uuid>,
    pub assignee: Option<String>,
    pub template: Option<String>,
    pub score: Option<i32>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// When something was said last, notes included.
    pub last_activity_at: OffsetDateTime,
    /// The beginning of what was said last, on one line: 140 characters at the most. `None` without a message.
    pub snippet: Option<String>,
    /// It is open, and what the customer said last has no answer.
    pub waiting: bool,
    /// Something was said that whoever asks has not read.
    pub unread: bool,
    /// Until when it is out of sight; `None` when it is not, or no more.
    pub snoozed_until: Option<OffsetDateTime>,
    /// It was snoozed, and nothing was said since it came back.
    pub back: bool,
    /// The ticket that it is part of, and its reference.
    pub merged_into_id: Option<Uuid>,
    pub merged_into: Option<String>,
    /// What is on it, by name.
    pub tags: Json<Vec<Tag>>,
    /// Whoever asks has typed something for it and not sent it.
    pub draft: bool,
    /// The other members who have it open now.
    #[sqlx(skip)]
    pub viewers: Vec<Viewer>,
}

/// Whose tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignee {
    Nobody,
    /// Whoever asks.
    Me,
    User(Uuid),
}

/// Which tickets are wanted; what is `None` is any.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// The site's slug.
    pub site: Option<&'a str>,
    /// A category, or the name of a status.
    pub status: Option<&'a str>,
    /// The name of a priority.
    pub priority: Option<&'a str>,
    pub assignee: Option<Assignee>,
    /// Only those that have all of these tags, by name or id.
    pub tags: &'a [&'a str],
    /// Only those whose customer waits for an answer.
    pub waiting: bool,
    /// Only those that whoever asks has not read.
    pub unread: bool,
    /// Only those that are neither resolved nor closed.
    pub unresolved: bool,
    /// Only those that are snoozed, or only those that are not.
    pub snoozed: Option<bool>,
    /// Words of subject, address, name or conversation, the last of which may lack its end; or a reference or a number, as
    /// [`Sought`] reads it.
    pub search: Option<&'a str>,
}

macro_rules! tickets {
    ($from:expr, $rest:literal) => {
        concat!(
            "select t.id, s.slug as site, t.number, s.prefix || '-' || t.number as reference, t.subject, t.email, t.name,
              t.status_id, st.name as status, t.status as category, t.priority_id, p.name as priority, t.assignee_id, a.email as assignee,
              t.template_name as template, t.score, t.created_at, t.updated_at, t.last_activity_at, said.snippet,
              t.unanswered and t.status = 'open' and coalesce(t.snoozed_until <= now(), true) as waiting,
              case when t.snoozed_until > now() then t.snoozed_until end as snoozed_until,
              coalesce(t.snoozed_until <= now() and t.snoozed_until >= t.last_activity_at, false) as back,
              t.last_activity_at > coalesce(seen.read_to, '-infinity') as unread,
              w.id as merged_into_id, s.prefix || '-' || w.number as merged_into,
              (
                select coalesce(jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name, 'colour', g.colour) order by lower(g.name)), '[]')
                from vicket.ticket_tags x
                join vicket.tags g on g.org_id = x.org_id and g.id = x.tag_id
                where x.org_id = t.org_id and x.site_id = t.site_id and x.ticket_id = t.id
              ) as tags,
              exists (
                select from vicket.ticket_drafts d
                where d.org_id = t.org_id and d.site_id = t.site_id and d.ticket_id = t.id
                  and d.user_id = (select ctx.actor_user_id())
              ) as draft
            from ",
            $from,
            " t
            join vicket.sites s on s.org_id = t.org_id and s.id = t.site_id
            join vicket.statuses st on st.org_id = t.org_id and st.id = t.status_id
            join vicket.priorities p on p.org_id = t.org_id and p.id = t.priority_id
            left join ctx.people() a on a.user_id = t.assignee_id
            left join vicket.ticket_seen seen on seen.org_id = t.org_id and seen.site_id = t.site_id and seen.ticket_id = t.id
              and seen.user_id = (select ctx.actor_user_id())
            left join lateral (
              select w.id, w.number
              from vicket.ticket_merges g
              join vicket.tickets w on w.org_id = g.org_id and w.site_id = g.site_id and w.id = g.into_id
              where g.org_id = t.org_id and g.site_id = t.site_id and g.ticket_id = t.id
              limit 1
            ) w on true
            left join lateral (
              select left(btrim(regexp_replace(left(m.body, 400), '\\s+', ' ', 'g')), 140) as snippet
              from vicket.ticket_messages m
              where m.org_id = t.org_id and m.ticket_id = t.id
              order by m.created_at desc, m.id desc
              limit 1
            ) said on true ",
            $rest
        )
    };
}

/// The `$most` tickets of which something was said last, after `$1`, `$2`, as the filter `$3` to `$7` and `$10` to `$14` has them, and as `$found`
/// says.
macro_rules! newest {
    ($found:literal, $most:literal) => {
        concat!(
            "(
              select i.org_id, i.site_id, i.id, i.number, i.subject, i.email, i.name, i.status, i.status_id, i.priority_id,
                i.assignee_id, i.template_name, i.score, i.created_at, i.updated_at, i.last_activity_at, i.unanswered, i.search,
                i.snoozed_until
              from vicket.tickets i
              where ($1::bigint is null
                  or (i.last_activity_at, i.id) < (timestamptz 'epoch' + $1 * interval '1 microsecond', $2))
                and ($3::uuid is null or i.site_id = $3)
                and ($4::text is null or i.status = $4
                  or i.status_id in (select f.id from vicket.statuses f where lower(f.name) = lower($4)))
                and ($5::text is null
                  or i.priority_id in (select f.id from vicket.priorities f where lower(f.name) = lower($5)))
                and ($6::uuid is null or i.assignee_id = $6)
                and (not $7 or i.assignee_id is null)
                and (not $10 or i.unanswered and i.status = 'open' and coalesce(i.snoozed_until <= now(), true))
                and (not $11 or i.last_activity_at > coalesce((
                  select s.read_to from vicket.ticket_seen s
                  where s.org_id = i.org_id and s.site_id = i.site_id and s.ticket_id = i.id
                    and s.user_id = (select ctx.actor_user_id())
                ), '-infinity'))
                and (not $12 or i.status <> all (array['resolved', 'closed']))
                and ($13::uuid[] is null or not exists (
                  select from unnest($13) w (id)
                  where not exists (
                    select from vicket.ticket_tags g
                    where g.org_id = i.org_id and g.site_id = i.site_id and g.ticket_id = i.id and g.tag_id = w.id
                  )
                ))
                and ($14::boolean is null or coalesce(i.snoozed_until > now(), false) = $14)
                and (",
            $found,
            ")
              order by i.last_activity_at desc, i.id desc
              limit ",
            $most,
            ")"
        )
    };
}

/// A page, cut before names are looked up, so that only its own tickets are joined.
macro_rules! page {
    ($from:expr) => {
        tickets!($from, "order by t.last_activity_at desc, t.id desc")
    };
}

/// All tickets, or those of the number `$9`.
const ALL: &str = page!(newest!("$9::bigint is null or i.number = $9", "$8"));

/// As [`ALL`], of those that are neither resolved nor closed, which have an index of their own.
const UNRESOLVED: &str =
    page!(newest!("($9::bigint is null or i.number = $9) and i.status <> all (array['resolved', 'closed'])", "$8"));

/// Those that are snoozed, which have an index of their own.
const SNOOZED: &str = page!(newest!("($9::bigint is null or i.number = $9) and i.snoozed_until > now()", "$8"));

/// Those of `$15`, or those of them of the number `$9`.
const TAGGED: &str = page!(newest!("i.id = any ($15) and ($9::bigint is null or i.number = $9)", "$8"));

/// Those of `$16`, or of the number `$9`, of the site that `$15` names if it names one.
const FOUND: &str = page!(newest!(
    "i.id = any ($16 || array(
      select n.id from vicket.tickets n
      where n.number = $9 and ($15::text is null or n.site_id = (select f.id from vicket.sites f where f.prefix = $15))
    ))",
    "$8"
));

/// Of the newest 2,000, as many as are read in the time of a page, those that have the words `$16`, or the number.
const AMONG_NEWEST: &str = page!(concat!(
    "(
      select i.* from ",
    newest!("true", "2000"),
    " i
      left join lateral (
        select true as so from vicket.ticket_messages m
        where m.org_id = i.org_id and m.ticket_id = i.id and m.search @@ (select ctx.sought($16))
        limit 1
      ) said on true
      where said.so
        or i.search @@ (select ctx.sought($16))
        or i.number = $9 and ($15::text is null or i.site_id = (select f.id from vicket.sites f where f.prefix = $15))
      order by i.last_activity_at desc, i.id desc
      limit $8)"
));

/// As [`AMONG_NEWEST`], of all. All messages are read once, not those of each ticket.
const AMONG_ALL: &str = page!(newest!(
    "i.search @@ (select ctx.sought($16))
    or i.id in (select m.ticket_id from vicket.ticket_messages m where m.search @@ (select ctx.sought($16)))
    or i.number = $9 and ($15::text is null or i.site_id = (select f.id from vicket.sites f where f.prefix = $15))",
    "$8"
));

/// Places with the words of a search, up to which their index is asked at once for all the tickets. What more have is common: a
/// page's worth of it is soon found among the newest.
const FEW: i32 = 2_000;
/// Up to which that costs less than to read every message, when among the newest there is no page's worth.
const MANY: i32 = 50_000;

/// The tickets with these words, unless more than `most` places have them, or the words say only what must not be there.
pub(super) async fn listed(tx: &mut OrgTx, words: &str, most: i32) -> Result<Option<Vec<Uuid>>, Problem> {
    let query = sqlx::query_scalar("select ctx.tickets_with_words($1, $2)").bind(words).bind(most);
    Ok(query.fetch_one(tx.connection()).await?)
}

/// The inbox: first the ticket of which something was said last. Pages stay as they are while tickets arrive; one of which something
/// is said moves to the first page.
///
/// # Errors
/// `400 invalid_cursor`; `422 unprocessable` for a site that is not there.
pub async fn page(
    tx: &mut OrgTx,
    page_request: PageRequest<'_>,
    filter: &Filter<'_>,
) -> Result<(Vec<Ticket>, Option<String>), Problem> {
    let site = sites::id_of(tx, filter.site).await?;
    let after = page_request.after(b'i')?;
    let Sought { prefix, number, words } = filter.search.map(Sought::of).unwrap_or_default();
    let assignee = match filter.assignee {
        Some(Assignee::User(id)) => Some(id),
        Some(Assignee::Me) => Some(sqlx::query_scalar("select ctx.actor_user_id()").fetch_one(tx.connection()).await?),
        Some(Assignee::Nobody) | None => None,
    };
    let tags = match filter.tags {
        [] => None,
        names => match tags::named(tx, names).await? {
            Some(ids) => Some(ids),
            None => return Ok((Vec::new(), None)),
        },
    };
    let tagged = match &tags {
        Some(tags) if words.is_none() => tags::tickets_with(tx, tags).await?,
        _ => None,
    };
    let filtered = |sql: &'static str| -> QueryAs<'_, Postgres, Ticket, PgArguments> {
        sqlx::query_as(sql)
            .bind(after.map(|place| place.figure))
            .bind(after.map(|place| place.id))
            .bind(site)
            .bind(filter.status)
            .bind(filter.priority)
            .bind(assignee)
            .bind(filter.assignee == Some(Assignee::Nobody))
            .bind(page_request.fetch())
            .bind(number)
            .bind(filter.waiting)
            .bind(filter.unread)
            .bind(filter.unresolved)
            .bind(tags.as_deref())
            .bind(filter.snoozed)
    };
    let rows = if let Some(words) = words {
        let named = |sql| filtered(sql).bind(prefix.as_ref().map(Prefix::as_str));
        if let Some(ids) = listed(tx, words, FEW).await? {
            named(FOUND).bind(ids).fetch_all(tx.connection()).await?
        } else {
            let newest = named(AMONG_NEWEST).bind(words).fetch_all(tx.connection()).await?;
            if i64::try_from(newest.len()) == Ok(page_request.fetch()) {
                newest
            } else if let Some(ids) = listed(tx, words, MANY).await? {
                named(FOUND).bind(ids).fetch_all(tx.connection()).await?
            } else {
                named(AMONG_ALL).bind(words).fetch_all(tx.connection()).await?
            }
        }
    } else if let Some(ids) = tagged {
        filtered(TAGGED).bind(ids).fetch_all(tx.connection()).await?
    } else if filter.snoozed == Some(true) {
        filtered(SNOOZED).fetch_all(tx.connection()).await?
    } else if filter.unresolved || filter.waiting {
        filtered(UNRESOLVED).fetch_all(tx.connection()).await?
    } else {
        filtered(ALL).fetch_all(tx.connection()).await?
    };
    let (mut tickets, next) = page_request.into_page(rows, |row| {
        paging::write(b'i', Keyset { figure: paging::micros(row.last_activity_at), id: row.id })
    });
    view(tx, &mut tickets).await?;
    Ok((tickets, next))
}

/// The ticket of this id, where whoever asks may see it.
///
/// # Errors
/// `5xx` only.
pub async fn ticket(tx: &mut OrgTx, id: Uuid) -> Result<Option<Ticket>, Problem> {
    let mut found: Option<Ticket> =
        sqlx::query_as(tickets!("vicket.tickets", "where t.id = $1")).bind(id).fetch_optional(tx.connection()).await?;
    view(tx, found.as_mut_slice()).await?;
    Ok(found)
}

/// Says of each ticket who else has it open.
async fn view(tx: &mut OrgTx, tickets: &mut [Ticket]) -> Result<(), Problem> {
    let ids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let viewers = seen::viewers(tx, &ids).await?;
    for ticket in tickets {
        ticket.viewers = viewers.iter().filter(|viewer| viewer.ticket_id == ticket.id).cloned().collect();
    }
    Ok(())
}
