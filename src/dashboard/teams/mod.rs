//! Teams: who takes care of which websites.

use std::collections::HashMap;

use poem::{Response, handler, web::Path};
use uuid::Uuid;

use crate::{
    dashboard::frame::{
        form::{self, Form},
        org_context::{MEMBER, OrgContext, Shell},
        page::form_page,
        path::Row,
    },
    db::OrgTx,
    domain::{permissions::Permission, problem::Problem},
    store::{
        self,
        members::Member,
        paging::PageRequest,
        sites::Site,
        teams::{Change, Team},
    },
};

/// Teams of a page, and members that one statement reads.
const PAGE: u32 = 100;

#[derive(askama::Template)]
#[template(path = "teams/teams.html")]
struct TeamsPage<'a> {
    shell: Shell,
    teams: Vec<Team>,
    next: Option<String>,
    names: HashMap<Uuid, String>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "teams/team.html")]
struct TeamPage<'a> {
    shell: Shell,
    team: Team,
    members: Vec<Member>,
    sites: Vec<Site>,
    form: &'a Form,
}

#[handler]
pub async fn list(context: OrgContext) -> Result<Response, Problem> {
    list_with(&context, &Form::default()).await
}

async fn list_with(context: &OrgContext, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.filled("cursor") };
    let (shell, ((teams, next), members)) = context
        .read(MEMBER, async |tx| Ok((store::teams::page(tx, page_request).await?, all_members(tx).await?)))
        .await?;
    let next = next.map(|next| context.query.next_page(&[], &next));
    let names = members.into_iter().map(|member| (member.id, member.name)).collect();
    form_page(&TeamsPage { shell, teams, next, names, form }, form)
}

/// All members: a team's form that left some out would remove them.
async fn all_members(tx: &mut OrgTx) -> Result<Vec<Member>, Problem> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let (mut page, next) = store::members::page(tx, PageRequest { limit: PAGE, cursor: cursor.as_deref() }).await?;
        all.append(&mut page);
        if next.is_none() {
            return Ok(all);
        }
        cursor = next;
    }
}

#[handler]
pub async fn create(context: OrgContext) -> Result<Response, Problem> {
    let created = context
        .write(Permission::TeamEdit, async |tx| {
            let name = context.form.take_one("name")?;
            store::teams::create(tx, &Change { name: Some(&name), ..Change::default() }).await
        })
        .await;
    match created {
        Ok(team) => Ok(context.redirect(&format!("teams/{}?done=created", team.id))),
        Err(problem) => list_with(&context, &context.form.with_problem(problem)?).await,
    }
}

#[handler]
pub async fn show(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    show_with(&context, id, &Form::default()).await
}

async fn show_with(context: &OrgContext, id: Uuid, form: &Form) -> Result<Response, Problem> {
    let (shell, (team, members, sites)) = context
        .read(MEMBER, async |tx| {
            Ok((store::teams::by_id(tx, id).await?, all_members(tx).await?, store::sites::list(tx).await?))
        })
        .await?;
    // What was sent is whole: a box that was unticked stays so.
    let shown = if form.get("action") == "save" { form.clone() } else { form.with_defaults(saved(&team)) };
    form_page(&TeamPage { shell, team, members, sites, form: &shown }, form)
}

/// What the form shows before somebody changes it.
fn saved(team: &Team) -> Form {
    let mut fields = vec![("name", team.name.clone())];
    fields.extend(team.members.iter().map(|id| ("member", id.to_string())));
    fields.extend(team.sites.iter().map(|slug| ("site", slug.clone())));
    Form::of(&fields)
}

#[handler]
pub async fn update(context: OrgContext, Path(Row { id }): Path<Row>) -> Result<Response, Problem> {
    match context.write(Permission::TeamEdit, async |tx| apply(tx, id, &context.form).await).await {
        Ok("deleted") => Ok(context.redirect("teams?done=deleted")),
        Ok(done) => Ok(context.redirect(&format!("teams/{id}?done={done}"))),
        Err(problem) => show_with(&context, id, &context.form.with_problem(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<&'static str, Problem> {
    match form.get("action") {
        "save" => {
            let name = form.take_one("name")?;
            let members: Vec<Uuid> = form.all("member").into_iter().map(form::id).collect::<Result<_, _>>()?;
            let sites: Vec<String> = form.all("site").into_iter().map(str::to_owned).collect();
            let change = Change { name: Some(&name), members: Some(&members), sites: Some(&sites) };
            store::teams::change(tx, id, &change).await?;
            Ok("saved")
        }
        "delete" => {
            form.confirmed()?;
            store::teams::delete(tx, id).await.map(|()| "deleted")
        }
        _ => Err(Form::unknown_action()),
    }
}
