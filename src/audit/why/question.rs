//! What `vicket audit why` is asked.

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

/// Who asks for the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RoleName {
    /// A request with a publishable key
    Widget,
    /// A request of a person who is logged in, or with a machine key
    Agent,
    /// An administration command
    Operator,
}

impl RoleName {
    pub fn name(self) -> &'static str {
        match self {
            Self::Widget => "vicket_widget",
            Self::Agent => "vicket_agent",
            Self::Operator => "vicket_operator",
        }
    }
}

/// What is done with the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Command {
    Select,
    Update,
    Delete,
}

impl Command {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    /// The commands whose policies are asked: who names the row that it changes, reads it.
    pub fn asks(self) -> &'static [Self] {
        match self {
            Self::Select => &[Self::Select],
            Self::Update => &[Self::Update, Self::Select],
            Self::Delete => &[Self::Delete, Self::Select],
        }
    }
}

/// What the explanation is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shape {
    /// For a terminal
    Text,
    /// For a program
    Json,
}

#[derive(Args, Debug)]
pub struct Question {
    /// The table, e.g. tickets
    #[arg(long)]
    pub table: String,
    /// The row: its id, or COLUMN=VALUE, repeated, for tables that have none
    #[arg(long, required = true, value_name = "ID")]
    pub id: Vec<String>,
    /// Who asks; `agent` when --user or --machine-key is given, else `widget`
    #[arg(long, value_enum)]
    pub role: Option<RoleName>,
    /// What they do. An UPDATE or DELETE is tried without reaching its end, and rolled back
    #[arg(long, value_enum, default_value_t = Command::Select)]
    pub command: Command,
    /// For the widget: the site of the request, as ORG/SITE, slug or id, with its active key. No context when absent
    #[arg(long, conflicts_with_all = ["user", "machine_key"])]
    pub site: Option<String>,
    /// For the widget: the site whose key is in the context instead, as when a statement is injected; `none` for no key
    #[arg(long, requires = "site", value_name = "SITE")]
    pub key_of: Option<String>,
    /// For the widget: the ticket whose token the customer sends
    #[arg(long, requires = "site", value_name = "ID")]
    pub ticket: Option<Uuid>,
    /// For agents and commands: the org, as slug or id
    #[arg(long)]
    pub org: Option<String>,
    /// For agents: the person who is logged in, as e-mail address or id
    #[arg(long, requires = "org", conflicts_with = "machine_key")]
    pub user: Option<String>,
    /// For agents: the id of a machine key
    #[arg(long, requires = "org", value_name = "ID")]
    pub machine_key: Option<Uuid>,
    /// What to write the explanation as
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    pub format: Shape,
}

impl Question {
    /// Who asks.
    ///
    /// # Errors
    /// When what was given is another role's.
    pub fn role(&self) -> anyhow::Result<RoleName> {
        let person = self.user.is_some() || self.machine_key.is_some();
        let role = self.role.unwrap_or(if person { RoleName::Agent } else { RoleName::Widget });
        if person && role != RoleName::Agent {
            bail!("--user and --machine-key are of agents: leave --role out, or say --role agent");
        }
        if self.site.is_some() && role != RoleName::Widget {
            bail!("--site is the context of the widget: agents and commands have --org");
        }
        if self.org.is_some() && role == RoleName::Widget && self.site.is_none() {
            bail!("the context of the widget is a site: give --site, or --user with --org, or --role operator");
        }
        Ok(role)
    }
}
