//! Logging in and out, one's own password, accepting an invitation, and who is asking.

use std::sync::{Arc, PoisonError};

use poem::web::Data;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Example};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{orgs::OrgBody, tags::Tag};
use crate::{
    auth::{
        agent::AgentCaller,
        caller::{Anyone, Caller, Person, RequestInfo},
        login::{self, reset_of},
    },
    db::{Access, Actor, Credential, OrgTx},
    domain::{
        keys::{SessionToken, Sha256Digest},
        problem::Problem,
        request_id,
        text::{Checked, EMAIL_LENGTH, EmailAddress, MAX_PASSWORD_LENGTH, NAME_LENGTH, NewPassword, Prose, Text},
    },
    http::{
        answers::{self, WithCookie},
        failure::Failure,
        text::{Input, Nullable},
    },
    limits::Network,
    passwords::Salt,
    state::App,
    store::{self, paging::PageRequest},
};

pub struct AuthApi;

/// Orgs that `me` lists.
const MAX_ORGS: u32 = 100;

/// What is changed of oneself.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct MeChange {
    /// The name that others see.
    name: Input<Text<NAME_LENGTH>>,
}

impl Example for MeChange {
    fn example() -> Self {
        Self { name: Input::of(Text::known("Agnes Agent")) }
    }
}

/// Where the person is logged in.
#[derive(Object)]
#[oai(example)]
struct Session {
    /// Its id.
    id: Uuid,
    /// Browser, system and network at the log-in, as the request said them; `null` where the person joined by an invitation.
    device: Nullable<String>,
    /// When they logged in.
    created_at: OffsetDateTime,
    /// When it was used last, to a minute.
    last_used_at: OffsetDateTime,
    /// Whether it is the one that asks.
    current: bool,
}

impl From<store::users::Session> for Session {
    fn from(row: store::users::Session) -> Self {
        let store::users::Session { id, device, created_at, last_used_at, is_this } = row;
        Self { id, device: Nullable(device), created_at, last_used_at, current: is_this }
    }
}

impl Example for Session {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x52e1_6b0c_9d34_4a7f_8c05_13f6_e2b8_9d71),
            device: Nullable(Some("Firefox on Linux, 192.0.2.0/24".to_owned())),
            created_at: datetime!(2026-02-01 08:30 UTC),
            last_used_at: datetime!(2026-02-01 16:05 UTC),
            current: true,
        }
    }
}

/// Where the person is logged in.
#[derive(Object)]
#[oai(example)]
struct Sessions {
    /// The one that was used last first; 200 at the most.
    data: Vec<Session>,
}

impl Example for Sessions {
    fn example() -> Self {
        Self { data: vec![Session::example()] }
    }
}

/// Who logs in.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct Login {
    /// The e-mail address.
    email: Input<Text<EMAIL_LENGTH>>,
    /// The password.
    password: Input<Prose<MAX_PASSWORD_LENGTH>>,
}

/// A new password.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct PasswordChange {
    /// The present password.
    current_password: Input<Prose<MAX_PASSWORD_LENGTH>>,
    /// The new one: 10 characters or more, none of those that are guessed first, not the e-mail address.
    new_password: Input<NewPassword>,
}

/// Who joins an org.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct Acceptance {
    /// The invitation's token: `vi_` and 43 characters.
    token: Input<Text<128>>,
    /// The name that others see.
    name: Input<Text<NAME_LENGTH>>,
    /// A password of 10 characters or more, none of those that are guessed first, not the e-mail address; that of the account, to join with one that there is.
    password: Input<NewPassword>,
}

/// Who forgot their password.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct PasswordResetRequest {
    /// The e-mail address.
    email: Input<EmailAddress>,
}

/// A password that is chosen by a link.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
struct PasswordReset {
    /// The token of the link: `vr_` and 43 characters.
    token: Input<Text<128>>,
    /// The new password: 10 characters or more, none of those that are guessed first, not the e-mail address.
    password: Input<NewPassword>,
}

impl Example for PasswordResetRequest {
    fn example() -> Self {
        Self { email: Input::of(EmailAddress::known("agnes@acme.com")) }
    }
}

impl Example for PasswordReset {
    fn example() -> Self {
        Self {
            token: Input::of(Text::known("vr_example")),
            password: Input::of(NewPassword::known("a better horse and battery")),
        }
    }
}

/// What kind of caller it is.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "snake_case")]
enum Kind {
    /// A person.
    User,
    /// A program.
    MachineKey,
}

/// Who is asking.
#[derive(Object)]
#[oai(example)]
pub(super) struct Me {
    /// A person or a program.
    kind: Kind,
    /// The id of the user or of the machine key.
    id: Uuid,
    /// The person's e-mail address; `null` for a machine key.
    email: Nullable<String>,
    /// The name of the person or of the machine key.
    name: String,
    /// The orgs that they belong to, by slug, with what they may do there; 100 at the most.
    orgs: Vec<OrgBody>,
}

impl Me {
    async fn of(tx: &mut OrgTx) -> Result<Self, Problem> {
        let actor = tx.actor().cloned().ok_or_else(|| Problem::internal("nobody acts"))?;
        let (orgs, _) = store::members::memberships(tx, PageRequest { limit: MAX_ORGS, cursor: None }).await?;
        Ok(Self::new(actor, orgs.into_iter().map(OrgBody::from).collect()))
    }

    fn new(actor: Actor, orgs: Vec<OrgBody>) -> Self {
        let kind = if actor.email.is_some() { Kind::User } else { Kind::MachineKey };
        Self { kind, id: actor.id, email: Nullable(actor.email), name: actor.name, orgs }
    }
}

impl Example for Me {
    fn example() -> Self {
        Self {
            kind: Kind::User,
            id: Uuid::from_u128(0x3f1b_5c7e_8d2a_4f60_9b1e_2c3d_4e5f_6a7b),
            email: Nullable(Some("agnes@acme.com".to_owned())),
            name: "Agnes Agent".to_owned(),
            orgs: vec![OrgBody::example()],
        }
    }
}

impl Example for Login {
    fn example() -> Self {
        Self {
            email: Input::of(Text::known("agnes@acme.com")),
            password: Input::of(Prose::known("correct horse battery staple")),
        }
    }
}

impl Example for PasswordChange {
    fn example() -> Self {
        Self {
            current_password: Input::of(Prose::known("correct horse battery staple")),
            new_password: Input::of(NewPassword::known("a better horse and battery")),
        }
    }
}

impl Example for Acceptance {
    fn example() -> Self {
        Self {
            token: Input::of(Text::known("vi_example")),
            name: Input::of(Text::known("Agnes Agent")),
            password: Input::of(NewPassword::known("correct horse battery staple")),
        }
    }
}

/// Asks the limits of logging in, and has the answer say where they stand.
async fn limited(app: &App, info: &RequestInfo, account: &str) -> Result<(), Problem> {
    let (standings, verdict) = login::limited(app, info.network, account).await;
    *info.standings.lock().unwrap_or_else(PoisonError::into_inner) = standings;
    verdict
}

/// Who has this session, in a transaction of its own.
async fn me(app: &App, network: Network, token: Sha256Digest) -> Result<Me, Problem> {
    let caller = AgentCaller { network, credential: Credential::Session(token), org: None };
    let mut tx = caller.enter(app, Access::Read, &mut Vec::new()).await?;
    let me = Me::of(&mut tx).await;
    tx.finish(me).await
}

/// Who the session that was just opened belongs to.
async fn opened(app: &App, network: Network, token: &SessionToken) -> Result<WithCookie<answers::Ok<Me>>, Problem> {
    let me = me(app, network, token.digest()).await?;
    Ok(WithCookie { answer: answers::Ok(me), cookie: login::cookie(app, token) })
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Login")]
impl AuthApi {
    /// Log in
    ///
    /// Opens a session and sets its cookie. A wrong password and an unknown e-mail address are one answer, after the same
    /// time. Ten tries a minute for an account, thirty for a network.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        anyone: Anyone,
        app: Data<&Arc<App>>,
        body: Json<Login>,
    ) -> Result<WithCookie<answers::Ok<Me>>, Failure<429>> {
        let mut checked = Checked::default();
        let email = checked.take("email", body.0.email);
        let password = checked.take("password", body.0.password);
        let (Some(email), Some(password)) = (email, password) else {
            return Err(checked.problem().into());
        };
        limited(&app, anyone.info(), &email).await?;
        let token =
            login::open(&app, anyone.info().network, &anyone.info().visitor, &email, password.into_string()).await?;
        Ok(opened(&app, anyone.info().network, &token).await?)
    }

    /// Log out
    ///
    /// Ends this session and clears its cookie.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, person: Person, app: Data<&Arc<App>>) -> Result<WithCookie<answers::NoContent>, Failure> {
        store::users::close_session(&app.agents, person.token().await?).await?;
        Ok(WithCookie { answer: answers::NoContent, cookie: login::no_cookie(&app) })
    }

    /// Log out everywhere
    ///
    /// Ends every session of the person, this one included.
    #[oai(path = "/logout-all", method = "post", operation_id = "logoutEverywhere")]
    async fn logout_all(
        &self,
        person: Person,
        app: Data<&Arc<App>>,
    ) -> Result<WithCookie<answers::NoContent>, Failure> {
        store::users::close_sessions(&app.agents, person.token().await?).await?;
        Ok(WithCookie { answer: answers::NoContent, cookie: login::no_cookie(&app) })
    }

    /// Change one's password
    ///
    /// Needs the present one. Ends the person's other sessions; this one goes on.
    #[oai(path = "/password", method = "post", operation_id = "changePassword")]
    async fn password(
        &self,
        person: Person,
        app: Data<&Arc<App>>,
        body: Json<PasswordChange>,
    ) -> Result<answers::NoContent, Failure<429>> {
        let mut checked = Checked::default();
        let current = checked.take("current_password", body.0.current_password);
        let new = checked.take("new_password", body.0.new_password);
        let (Some(current), Some(new)) = (current, new) else {
            return Err(checked.problem().into());
        };
        let actor = person.actor().await?;
        let (Some(email), Credential::Session(token)) = (actor.email, actor.credential) else {
            return Err(Problem::internal("a session without a person").into());
        };
        limited(&app, person.info(), &email).await?;
        Ok(login::change_password(&app, (token, &email), current.into_string(), new)
            .await
            .map(|()| answers::NoContent)?)
    }

    /// Accept an invitation
    ///
    /// Joins the org that the invitation names, and logs in. By the link that was mailed, the address is proven. By the one
    /// that whoever invited was shown, a password is good in that org alone, until the address is proven; that of the
    /// account, where there is one, is good as ever. Answers are alike whether the address has an account or not. An
    /// invitation is good once, for seven days.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "acceptInvitation")]
    async fn accept(
        &self,
        anyone: Anyone,
        app: Data<&Arc<App>>,
        body: Json<Acceptance>,
    ) -> Result<WithCookie<answers::Ok<Me>>, Failure<404, 429>> {
        let mut checked = Checked::default();
        let token = checked.take("token", body.0.token);
        let name = checked.take("name", body.0.name);
        let password = checked.take("password", body.0.password);
        let (Some(token), Some(name), Some(password)) = (token, name, password) else {
            return Err(checked.problem().into());
        };
        let token = store::users::token_digest(&token);
        limited(&app, anyone.info(), &token.to_hex()).await?;
        let email = store::users::invited(&app.agents, token).await?;
        // Whether there is such an account makes no difference that could be seen.
        limited(&app, anyone.info(), &email).await?;
        let password = password.of(&email)?;
        let salt = Salt::stored(store::users::password_salt(&app.agents, &email).await?);
        let hash = app.hasher.hash(salt, password).await?;
        let request_id = request_id::current();
        let session = store::users::accept_invitation(&app.agents, token, &name, &hash, &request_id).await?;
        Ok(opened(&app, anyone.info().network, &session).await?)
    }

    /// Ask for a link to choose a password
    ///
    /// Mails it to the address, if it has an account: 15 minutes, once. The answer, and the time it takes, say nothing of that.
    /// Five mails a day to an address; ten tries a minute for an address, thirty for a network. A server that sends no mail
    /// answers the same, and sends none.
    #[oai(path = "/password-reset", method = "post", operation_id = "askPasswordReset")]
    async fn ask_password_reset(
        &self,
        anyone: Anyone,
        app: Data<&Arc<App>>,
        body: Json<PasswordResetRequest>,
    ) -> Result<answers::Accepted, Failure<429>> {
        let mut checked = Checked::default();
        let email = checked.take("email", body.0.email).ok_or_else(|| checked.problem())?;
        limited(&app, anyone.info(), &reset_of(&email)).await?;
        store::users::ask_password_reset(&app.agents, &email, anyone.info().visitor.language).await?;
        Ok(answers::Accepted)
    }

    /// Choose a password by a link
    ///
    /// With the token of the link that was mailed. Proves the address, ends every session of the person and whatever others
    /// chose in their place, and mails that the password was changed.
    #[oai(path = "/password-reset/confirm", method = "post", operation_id = "confirmPasswordReset")]
    async fn confirm_password_reset(
        &self,
        anyone: Anyone,
        app: Data<&Arc<App>>,
        body: Json<PasswordReset>,
    ) -> Result<answers::NoContent, Failure<404, 429>> {
        let mut checked = Checked::default();
        let token = checked.take("token", body.0.token);
        let password = checked.take("password", body.0.password);
        let (Some(token), Some(password)) = (token, password) else {
            return Err(checked.problem().into());
        };
        limited(&app, anyone.info(), &store::users::token_digest(&token).to_hex()).await?;
        login::reset_password(&app, &anyone.info().visitor, &token, password).await?;
        Ok(answers::NoContent)
    }

    /// Ask for a link that proves one's address
    ///
    /// Mails it to the address of the session: 15 minutes, once. Whoever opens it chooses a password, as at
    /// `confirmPasswordReset`.
    #[oai(path = "/address-proof", method = "post", operation_id = "askAddressProof")]
    async fn ask_address_proof(&self, person: Person, app: Data<&Arc<App>>) -> Result<answers::Accepted, Failure<429>> {
        let actor = person.actor().await?;
        let (Some(email), Credential::Session(token)) = (actor.email, actor.credential) else {
            return Err(Problem::internal("a session without a person").into());
        };
        limited(&app, person.info(), &email).await?;
        store::users::ask_address_proof(&app.agents, token, person.info().visitor.language).await?;
        Ok(answers::Accepted)
    }

    /// List one's sessions
    ///
    /// Where the person is logged in. Whoever has not proven their address sees those of the orgs that the session is good in.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn sessions(&self, person: Person, app: Data<&Arc<App>>) -> Result<answers::Ok<Sessions>, Failure> {
        let sessions = store::users::sessions(&app.agents, person.token().await?).await?;
        Ok(answers::Ok(Sessions { data: sessions.into_iter().map(Session::from).collect() }))
    }

    /// End a session
    ///
    /// One of one's own, this one too; it is good for nothing from now on.
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "endSession")]
    async fn end_session(
        &self,
        person: Person,
        app: Data<&Arc<App>>,
        /// The session's id.
        id: Path<Uuid>,
    ) -> Result<answers::NoContent, Failure<404>> {
        store::users::end_session(&app.agents, person.token().await?, *id).await?;
        Ok(answers::NoContent)
    }

    /// Change one's name
    ///
    /// In all one's orgs. It needs a proven address.
    #[oai(path = "/me", method = "patch", operation_id = "updateMe")]
    async fn rename(
        &self,
        person: Person,
        app: Data<&Arc<App>>,
        body: Json<MeChange>,
    ) -> Result<answers::Ok<Me>, Failure<422>> {
        let mut checked = Checked::default();
        let name = checked.take("name", body.0.name).ok_or_else(|| checked.problem())?;
        let token = person.token().await?;
        store::users::rename(&app.agents, token, &name).await?;
        Ok(answers::Ok(me(&app, person.info().network, token).await?))
    }

    /// Who is asking
    ///
    /// The person of the session, or the machine key, with their orgs, roles and permissions as they are now.
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn me(&self, caller: Caller) -> Result<answers::Ok<Me>, Failure> {
        Ok(answers::Ok(caller.run(Me::of).await?))
    }
}
