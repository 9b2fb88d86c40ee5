//! Teams: who takes care of which sites.

use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use uuid::Uuid;

use super::tags::Tag;
use crate::{
    auth::caller::Org,
    domain::{
        permissions::{AnyMember, TeamEdit},
        text::{Checked, Text},
    },
    http::{
        answers::{self, Page},
        failure::Failure,
        paging::Paging,
        text::Input,
    },
    store::{self, teams},
};

pub struct TeamsApi;

/// The longest name, characters.
const NAME_LENGTH: usize = 100;

/// A group of members that takes care of some sites.
#[derive(Object)]
#[oai(example)]
struct Team {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// The user ids of its members.
    members: Vec<Uuid>,
    /// The slugs of its sites.
    sites: Vec<String>,
}

impl From<teams::Team> for Team {
    fn from(row: teams::Team) -> Self {
        Self { id: row.id, name: row.name, members: row.members, sites: row.sites }
    }
}

impl Example for Team {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x61d8_35f0_b2c7_49ea_8d04_92a1_7e5b_c3f6),
            name: "App support".to_owned(),
            members: vec![Uuid::from_u128(0x3f1b_5c7e_8d2a_4f60_9b1e_2c3d_4e5f_6a7b)],
            sites: vec!["acme-app".to_owned()],
        }
    }
}

/// A team to make.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct NewTeam {
    /// Its name.
    name: Input<Text<NAME_LENGTH>>,
    /// The user ids of its members.
    #[oai(validator(max_items = 1000))]
    members: Option<Input<Vec<Uuid>>>,
    /// The slugs of its sites.
    #[oai(validator(max_items = 1000))]
    sites: Option<Input<Vec<Text<63>>>>,
}

impl Example for NewTeam {
    fn example() -> Self {
        Self {
            name: Input::of(Text::known("App support")),
            members: Some(Input::of(Vec::new())),
            sites: Some(Input::of(Vec::new())),
        }
    }
}

/// What changes of a team; what is absent stays.
#[derive(Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none, example)]
struct TeamChange {
    /// Its new name.
    name: Option<Input<Text<NAME_LENGTH>>>,
    /// The user ids of all its members from now on.
    #[oai(validator(max_items = 1000))]
    members: Option<Input<Vec<Uuid>>>,
    /// The slugs of all its sites from now on.
    #[oai(validator(max_items = 1000))]
    sites: Option<Input<Vec<Text<63>>>>,
}

impl Example for TeamChange {
    fn example() -> Self {
        Self { name: Some(Input::of(Text::known("App"))), members: None, sites: None }
    }
}

fn slugs(sites: Option<Vec<Text<63>>>) -> Option<Vec<String>> {
    sites.map(|sites| sites.into_iter().map(crate::domain::text::Text::into_string).collect())
}

#[OpenApi(prefix_path = "/v1/orgs/{org}", tag = "Tag::Tickets")]
impl TeamsApi {
    /// List teams
    ///
    /// By name, with their members and sites.
    #[oai(path = "/teams", method = "get", operation_id = "listTeams")]
    async fn teams(&self, org: Org<AnyMember>, paging: Paging<600>) -> Result<answers::Ok<Page<Team>>, Failure> {
        let page = org.run(async |tx| store::teams::page(tx, paging.request()).await).await?;
        Ok(answers::Ok(Page::of(page, Team::from)))
    }

    /// Make a team
    ///
    /// Its members see the tickets of its sites, and of their other teams' sites, from their next request on.
    #[oai(path = "/teams", method = "post", operation_id = "createTeam")]
    async fn create(
        &self,
        org: Org<TeamEdit>,
        body: Json<NewTeam>,
    ) -> Result<answers::Created<Team>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name);
        let members = checked.take_optional("members", body.0.members);
        let sites = slugs(checked.take_optional("sites", body.0.sites));
        let (Some(name), true) = (name, checked.is_empty()) else {
            return Err(checked.problem().into());
        };
        let change = teams::Change { name: Some(&name), members: members.as_deref(), sites: sites.as_deref() };
        let team = org.run(async |tx| store::teams::create(tx, &change).await).await?;
        Ok(answers::Created(team.into()))
    }

    /// Read a team
    ///
    /// With its members and sites.
    #[oai(path = "/teams/:id", method = "get", operation_id = "getTeam")]
    async fn team(
        &self,
        org: Org<AnyMember>,
        /// The team's id.
        id: Path<Uuid>,
    ) -> Result<answers::Ok<Team>, Failure> {
        let team = org.run(async |tx| store::teams::by_id(tx, id.0).await).await?;
        Ok(answers::Ok(team.into()))
    }

    /// Change a team
    ///
    /// Acts on the next request of its members.
    #[oai(path = "/teams/:id", method = "patch", operation_id = "updateTeam")]
    async fn update(
        &self,
        org: Org<TeamEdit>,
        /// The team's id.
        id: Path<Uuid>,
        body: Json<TeamChange>,
    ) -> Result<answers::Ok<Team>, Failure<409, 422>> {
        let mut checked = Checked::default();
        let name = checked.take_optional("name", body.0.name);
        let members = checked.take_optional("members", body.0.members);
        let sites = slugs(checked.take_optional("sites", body.0.sites));
        checked.done()?;
        let change = teams::Change { name: name.as_ref(), members: members.as_deref(), sites: sites.as_deref() };
        let team = org.run(async |tx| store::teams::change(tx, id.0, &change).await).await?;
        Ok(answers::Ok(team.into()))
    }

    /// Delete a team
    ///
    /// Who is in no other team sees all tickets again.
    #[oai(path = "/teams/:id", method = "delete", operation_id = "deleteTeam")]
    async fn delete(
        &self,
        org: Org<TeamEdit>,
        /// The team's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<409>> {
        org.run(async |tx| store::teams::delete(tx, id.0).await).await?;
        Ok(answers::NoContent)
    }
}
