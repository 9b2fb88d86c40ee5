//! Views: filters of the inbox by name, with how many tickets are behind each.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    db::OrgTx,
    domain::{
        permissions::{Permission, TicketRead},
        problem::Problem,
        text::{AssigneeName, Checked, TagName, Text, ViewName},
    },
    http::{
        answers,
        failure::Failure,
        text::{Input, Nullable},
    },
    store::saved_views::{self, Change, Counts, View, ViewFilter},
};

pub struct SavedViewsApi;

/// What a view shows: parameters of `GET /v1/orgs/{org}/tickets`. What is absent is any.
#[derive(Object, Default)]
#[oai(rename = "ViewFilter", deny_unknown_fields, skip_serializing_if_is_none)]
struct FilterBody {
    /// A site's slug.
    site: Option<Input<Text<63>>>,
    /// The name of a status, or a category.
    status: Option<Input<Text<60>>>,
    /// The name of a priority.
    priority: Option<Input<Text<60>>>,
    /// A user id, `me`, or `none`.
    assignee: Option<Input<AssigneeName>>,
    /// Names or ids of tags, all of which a ticket has. Ids stay when a tag is renamed.
    #[oai(validator(max_items = 10))]
    tags: Option<Input<Vec<TagName>>>,
    /// Words that are searched for.
    q: Option<Input<Text<200>>>,
    /// Only tickets whose customer waits for an answer.
    waiting: Option<Input<bool>>,
    /// Only tickets that whoever looks has not read.
    unread: Option<Input<bool>>,
    /// Only tickets that are neither resolved nor closed.
    unresolved: Option<Input<bool>>,
    /// Only tickets that are snoozed, or, when `false`, only those that are not.
    snoozed: Option<Input<bool>>,
}

impl FilterBody {
    fn check(self, checked: &mut Checked) -> ViewFilter {
        let text = |text: Option<Text<60>>| text.map(|text| text.as_str().to_owned());
        ViewFilter {
            site: checked.take_optional("filter.site", self.site).map(|site| site.as_str().to_owned()),
            status: text(checked.take_optional("filter.status", self.status)),
            priority: text(checked.take_optional("filter.priority", self.priority)),
            assignee: checked.take_optional("filter.assignee", self.assignee).map(|one| one.as_str().to_owned()),
            tags: checked
                .take_optional("filter.tags", self.tags)
                .unwrap_or_default()
                .into_iter()
                .map(TagName::into_string)
                .collect(),
            q: checked.take_optional("filter.q", self.q).map(|words| words.as_str().to_owned()),
            waiting: checked.take_optional("filter.waiting", self.waiting).unwrap_or_default(),
            unread: checked.take_optional("filter.unread", self.unread).unwrap_or_default(),
            unresolved: checked.take_optional("filter.unresolved", self.unresolved).unwrap_or_default(),
            snoozed: checked.take_optional("filter.snoozed", self.snoozed),
        }
    }
}

/// What a view shows, as it was saved.
#[derive(Object)]
#[oai(rename = "SavedViewFilter", skip_serializing_if_is_none)]
struct Shown {
    /// A site's slug.
    site: Option<String>,
    /// The name of a status, or a category.
    status: Option<String>,
    /// The name of a priority.
    priority: Option<String>,
    /// A user id, `me`, or `none`.
    assignee: Option<String>,
    /// Names or ids of tags, all of which a ticket has.
    tags: Vec<String>,
    /// Words that are searched for.
    q: Option<String>,
    /// Only tickets whose customer waits for an answer.
    waiting: bool,
    /// Only tickets that whoever looks has not read.
    unread: bool,
    /// Only tickets that are neither resolved nor closed.
    unresolved: bool,
    /// Only tickets that are snoozed, or, when `false`, only those that are not.
    snoozed: Option<bool>,
}

/// A view of the inbox.
#[derive(Object)]
#[oai(example)]
struct SavedView {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// The team's; else the caller's own.
    shared: bool,
    /// What it shows.
    filter: Shown,
    /// Its place in the list; views of the same place are by name.
    position: i32,
}

impl From<View> for SavedView {
    fn from(row: View) -> Self {
        let ViewFilter { site, status, priority, assignee, tags, q, waiting, unread, unresolved, snoozed } =
            row.filter.0;
        let filter = Shown { site, status, priority, assignee, tags, q, waiting, unread, unresolved, snoozed };
        Self { id: row.id, name: row.name, shared: row.shared, filter, position: row.position }
    }
}

impl Example for SavedView {
    fn example() -> Self {
        let filter = ViewFilter { priority: Some("Urgent".to_owned()), waiting: true, ..ViewFilter::default() };
        View {
            id: Uuid::from_u128(0x41c7_9d02_5be8_4f13_8a60_e27b_94d5_c018),
            shared: true,
            name: "On fire".to_owned(),
            filter: sqlx::types::Json(filter),
            position: 1,
        }
        .into()
    }
}

/// A view with its count.
#[derive(Object)]
struct CountedView {
    #[oai(flatten)]
    view: SavedView,
    /// How many unresolved tickets it shows, 1,000 for more than 999; `null` for one that is searched for words.
    count: Nullable<i32>,
}

/// The views of the inbox, and those that there always are. Counts are of tickets that are neither resolved nor closed, 1,000 for
/// more than 999; of more than 2,000 such tickets those of which something was said last are counted.
#[derive(Object)]
#[oai(example)]
struct Views {
    /// Tickets of the caller.
    mine: i32,
    /// Tickets of nobody.
    unassigned: i32,
    /// Tickets whose customer waits for an answer.
    waiting: i32,
    /// Tickets that the caller has not read.
    unread: i32,
    /// Tickets that are snoozed; they are in none of the counts above.
    snoozed: i32,
    /// The team's views, then the caller's; each in its order, a hundred at the most.
    data: Vec<CountedView>,
}

impl Views {
    fn of(views: Vec<View>, counts: Counts) -> Self {
        let Counts { mine, unassigned, waiting, unread, snoozed, views: counted } = counts;
        let data = views.into_iter().zip(counted);
        let data = data.map(|(view, count)| CountedView { view: view.into(), count: Nullable(count) }).collect();
        Self { mine, unassigned, waiting, unread, snoozed, data }
    }
}

impl Example for Views {
    fn example() -> Self {
        let view = CountedView { view: SavedView::example(), count: Nullable(Some(3)) };
        Self { mine: 4, unassigned: 12, waiting: 9, unread: 17, snoozed: 2, data: vec![view] }
    }
}

/// A view to save.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewSavedView {
    /// Its name.
    name: Input<ViewName>,
    /// What it shows; every ticket when absent.
    filter: Option<FilterBody>,
    /// For the team, which needs `view:share`; else for the caller alone.
    shared: Option<Input<bool>>,
    /// Its place in the list; 0 when absent.
    position: Option<Input<i32>>,
}

impl Example for NewSavedView {
    fn example() -> Self {
        let filter = FilterBody {
            priority: Some(Input::of(Text::known("Urgent"))),
            waiting: Some(Input::of(true)),
            ..FilterBody::default()
        };
        Self {
            name: Input::of(Text::known("On fire")),
            filter: Some(filter),
            shared: Some(Input::of(false)),
            position: None,
        }
    }
}

/// What changes of a view; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct SavedViewChange {
    /// Its new name.
    name: Option<Input<ViewName>>,
    /// All of what it shows from now on.
    filter: Option<FilterBody>,
    /// Its new place.
    position: Option<Input<i32>>,
}

impl Example for SavedViewChange {
    fn example() -> Self {
        Self { name: Some(Input::of(Text::known("Burning"))), filter: None, position: Some(Input::of(2)) }
    }
}

/// Refuses who may not change the team's views.
fn shares(tx: &OrgTx) -> Result<(), Problem> {
    if tx.actor().is_some_and(|actor| actor.may(Permission::ViewShare)) {
        Ok(())
    } else {
        Err(Problem::permission_required(Permission::ViewShare))
    }
}

/// Whoever sees a view of the team, and may not change it, is told why.
async fn owned(tx: &mut OrgTx, id: Uuid) -> Result<(), Problem> {
    if saved_views::by_id(tx, id).await?.shared { shares(tx) } else { Ok(()) }
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl SavedViewsApi {
    /// List views
    ///
    /// The team's and the caller's own, each with its count, and the counts of those that there always are: `mine` is
    /// `?assignee=me&unresolved=true&snoozed=false` of the list of tickets, `unassigned`
    /// `?assignee=none&unresolved=true&snoozed=false`, `waiting` `?waiting=true`, `unread`
    /// `?unread=true&unresolved=true&snoozed=false`, `snoozed` `?snoozed=true`.
    #[oai(path = "/views", method = "get", operation_id = "listViews")]
    async fn list(&self, org: Org<TicketRead>) -> Result<answers::Ok<Views>, Failure> {
        let work = async |tx: &mut OrgTx| {
            let views = saved_views::list(tx).await?;
            let counts = saved_views::counts(tx, &views).await?;
            Ok(Views::of(views, counts))
        };
        Ok(answers::Ok(org.run(work).await?))
    }

    /// Save a view
    ///
    /// `name_taken` when the caller, or the team, has one of this name.
    #[oai(path = "/views", method = "post", operation_id = "createView")]
    async fn create(
        &self,
        org: Org<TicketRead>,
        body: Json<NewSavedView>,
    ) -> Result<answers::Created<SavedView>, Failure<409>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let filter = body.0.filter.unwrap_or_default().check(&mut checked);
        let shared = checked.take_optional("shared", body.0.shared).unwrap_or_default();
        let position = checked.take_optional("position", body.0.position).unwrap_or_default();
        let (Some(name), true) = (name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let work = async |tx: &mut OrgTx| {
            if shared {
                shares(tx)?;
            }
            saved_views::create(tx, &name, &filter, shared, position).await
        };
        Ok(answers::Created(org.run(work).await?.into()))
    }

    /// Change a view
    ///
    /// One's own; the team's need `view:share`.
    #[oai(path = "/views/:id", method = "patch", operation_id = "updateView")]
    async fn update(
        &self,
        org: Org<TicketRead>,
        /// The view's id.
        id: Path<Uuid>,
        body: Json<SavedViewChange>,
    ) -> Result<answers::Ok<SavedView>, Failure<409>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let filter = body.0.filter.map(|filter| filter.check(&mut checked));
        let position = checked.take_optional("position", body.0.position);
        checked.done()?;
        let change = Change { name: name.as_ref(), filter: filter.as_ref(), position };
        let work = async |tx: &mut OrgTx| {
            owned(tx, id.0).await?;
            saved_views::change(tx, id.0, &change).await
        };
        Ok(answers::Ok(org.run(work).await?.into()))
    }

    /// Delete a view
    ///
    /// One's own; the team's need `view:share`.
    #[oai(path = "/views/:id", method = "delete", operation_id = "deleteView")]
    async fn delete(
        &self,
        org: Org<TicketRead>,
        /// The view's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure> {
        let work = async |tx: &mut OrgTx| {
            owned(tx, id.0).await?;
            saved_views::delete(tx, id.0).await
        };
        org.run(work).await?;
        Ok(answers::NoContent)
    }
}
