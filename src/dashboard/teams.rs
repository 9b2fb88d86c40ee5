//! Teams: who takes care of which websites.

use std::collections::HashMap;

use poem::Response;
use uuid::Uuid;

use super::{
    form::Form,
    page_context::{PageContext, Shell, form_page, to},
};
use crate::{
    db::OrgTx,
    domain::{
        problem::Problem,
        text::{Checked, TeamName},
    },
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
#[template(path = "teams.html")]
struct TeamsPage<'a> {
    shell: Shell,
    teams: Vec<Team>,
    next: Option<String>,
    names: HashMap<Uuid, String>,
    form: &'a Form,
}

#[derive(askama::Template)]
#[template(path = "team.html")]
struct TeamPage<'a> {
    shell: Shell,
    team: Team,
    everybody: Vec<Member>,
    sites: Vec<Site>,
    form: &'a Form,
}

pub async fn list(context: &PageContext, org: &str) -> Result<Response, Problem> {
    list_with(context, org, &Form::default()).await
}

async fn list_with(context: &PageContext, org: &str, form: &Form) -> Result<Response, Problem> {
    let page_request = PageRequest { limit: PAGE, cursor: context.query.some("cursor") };
    let (shell, ((teams, next), everybody)) = context
        .see(org, "member", async |tx| Ok((store::teams::page(tx, page_request).await?, everybody(tx).await?)))
        .await?;
    let next = next.map(|next| context.query.more(&[], &next));
    let names = everybody.into_iter().map(|member| (member.id, member.name)).collect();
    form_page(&TeamsPage { shell, teams, next, names, form }, form)
}

/// All members: a team's form that left some out would remove them.
async fn everybody(tx: &mut OrgTx) -> Result<Vec<Member>, Problem> {
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

pub async fn create(context: &PageContext, org: &str) -> Result<Response, Problem> {
    let made = context
        .act(org, "team:edit", async |tx| {
            let name = name(&context.form)?;
            store::teams::create(tx, &Change { name: Some(&name), ..Change::default() }).await
        })
        .await;
    match made {
        Ok(team) => Ok(to(&format!("/dashboard/{org}/teams/{}?done=created", team.id))),
        Err(problem) => list_with(context, org, &context.form.again(problem)?).await,
    }
}

fn name(form: &Form) -> Result<TeamName, Problem> {
    let mut checked = Checked::default();
    form.take(&mut checked, "name").ok_or_else(|| checked.problem())
}

pub async fn show(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    show_with(context, org, id, &Form::default()).await
}

async fn show_with(context: &PageContext, org: &str, id: &str, form: &Form) -> Result<Response, Problem> {
    let id = read(id)?;
    let (shell, (team, everybody, sites)) = context
        .see(org, "member", async |tx| {
            Ok((store::teams::by_id(tx, id).await?, everybody(tx).await?, store::sites::list(tx).await?))
        })
        .await?;
    // What was sent is whole: a box that was unticked stays so.
    let shown = if form.get("action") == "save" { form.clone() } else { form.over(kept(&team)) };
    let page = TeamPage { shell, team, everybody, sites, form: &shown };
    form_page(&page, form)
}

/// What the form shows before somebody changes it.
fn kept(team: &Team) -> Form {
    let mut fields = vec![("name", team.name.clone())];
    fields.extend(team.members.iter().map(|id| ("member", id.to_string())));
    fields.extend(team.sites.iter().map(|slug| ("site", slug.clone())));
    Form::of(&fields)
}

fn read(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| Problem::not_found())
}

pub async fn change(context: &PageContext, org: &str, id: &str) -> Result<Response, Problem> {
    let team = read(id)?;
    match context.act(org, "team:edit", async |tx| apply(tx, team, &context.form).await).await {
        Ok("deleted") => Ok(to(&format!("/dashboard/{org}/teams?done=deleted"))),
        Ok(done) => Ok(to(&format!("/dashboard/{org}/teams/{id}?done={done}"))),
        Err(problem) => show_with(context, org, id, &context.form.again(problem)?).await,
    }
}

async fn apply(tx: &mut OrgTx, id: Uuid, form: &Form) -> Result<&'static str, Problem> {
    match form.get("action") {
        "save" => {
            let name = name(form)?;
            let members: Result<Vec<Uuid>, _> = form.all("member").into_iter().map(read).collect();
            let sites: Vec<String> = form.all("site").into_iter().map(str::to_owned).collect();
            let members = members?;
            let change = Change { name: Some(&name), members: Some(&members), sites: Some(&sites) };
            store::teams::change(tx, id, &change).await?;
            Ok("saved")
        }
        "delete" if form.get("sure") == "yes" => store::teams::delete(tx, id).await.map(|()| "deleted"),
        "delete" => Err(Problem::invalid_field("sure", "Tick the box to say that you mean it")),
        _ => Err(Problem::invalid_field("action", "is none that this page has")),
    }
}
