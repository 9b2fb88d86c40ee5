//! Settings: flags and environment. No secret has a default, and `--help` shows no value of the environment.

pub mod secret_files;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use ipnet::IpNet;

use crate::{
    audit::{format::Format, lints::Severity, why::Question},
    objects::Place,
    store::audit_log::Month,
};

/// A customer-support backend for many companies on one PostgreSQL, isolated by row-level security.
#[derive(Parser)]
#[command(name = "vicket", version, about, disable_help_subcommand = true, after_long_help = SECRETS)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What the help of the program says of secrets.
const SECRETS: &str = "Every variable VICKET_..._URL and VICKET_..._PASSWORD may be a file instead: VICKET_..._URL_FILE=PATH, or a \
credential of systemd of the variable's name ($CREDENTIALS_DIRECTORY/VICKET_..._URL). First comes the flag, then the variable or \
its _FILE, then the credential.";

#[derive(Subcommand)]
pub enum Command {
    /// Run all of it on this machine: a private PostgreSQL, demo data, the server
    Dev(DevArgs),
    /// Run the server against a database that `vicket migrate` prepared
    Serve(Box<ServeArgs>),
    /// Create or update roles, schema and policies
    Migrate(MigrateArgs),
    /// Ask a server on this machine how it is: exit code 0 when it can serve, 1 when not. For images without a shell
    Health(HealthArgs),
    /// Print the OpenAPI document of a surface
    Openapi {
        /// Which surface
        surface: Surface,
    },
    /// Write a support page and a typed client for it, which are yours to change
    Scaffold(ScaffoldArgs),
    /// Print the tag that puts the launcher into a page: as it is now, and pinned to this version by its hash
    Widget {
        /// Where the server is, e.g. https://support.example.com
        url: String,
        /// The site's publishable key
        key: String,
    },
    /// Administer orgs
    Org {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(subcommand)]
        command: OrgCommand,
    },
    /// Administer sites: names, limits, origins
    Site {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(subcommand)]
        command: SiteCommand,
    },
    /// Administer a site's publishable key
    Key {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Administer people: invitations, members, passwords
    User {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Export or erase what an org knows of a person
    Person {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(subcommand)]
        command: PersonCommand,
    },
    /// Administer machine keys
    MachineKey {
        #[command(flatten)]
        admin: AdminArgs,
        #[command(subcommand)]
        command: MachineKeyCommand,
    },
    /// Audit isolation: what the catalog says, what it must not; or look at what happened
    Audit {
        #[command(flatten)]
        args: AuditArgs,
        #[command(subcommand)]
        command: Option<AuditCommand>,
    },
    /// Look at mail as the server does
    Mail {
        #[command(subcommand)]
        command: MailCommand,
    },
    /// Print what completes these commands in a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, vicket.1
    Man {
        /// Write it, and one for each command, to this directory instead; made if absent
        dir: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub enum MailCommand {
    /// Read a message and print, as JSON, its thread, its author and whether that is proven, its text and where what it quotes
    /// begins, its attachments, whether a machine sent it, and why. Asks no database, and ends with 0 whatever the message holds
    Parse(MailParseArgs),
    /// Read mail that came in again: what is no message yet, or one by its id; a message that is there stays as it is
    Reparse {
        #[command(flatten)]
        admin: AdminArgs,
        /// The org's slug
        org: String,
        /// One mail; all that is no message and waits for nobody when absent
        id: Option<uuid::Uuid>,
    },
    /// Look at the DNS of mail: SPF, DKIM, DMARC, MX and reverse name, what is wrong, and the record to paste. Ends with 1 when
    /// something is wrong or missing
    Doctor(MailDoctorArgs),
}

#[derive(Args)]
pub struct MailDoctorArgs {
    /// A site, as ORG/SITE: its own domain and keys too, which needs VICKET_ADMIN_URL
    pub site: Option<SitePath>,
    /// The deploying login, as for `vicket migrate`
    #[arg(long, env = "VICKET_ADMIN_URL", hide_env_values = true, value_name = "VICKET_ADMIN_URL")]
    pub admin_url: Option<String>,
    /// Where mail goes, as for `vicket serve`
    #[arg(long, env = "VICKET_SMTP_URL", hide_env_values = true, value_name = "VICKET_SMTP_URL")]
    pub smtp_url: Option<String>,
    /// Whom mail is from, as for `vicket serve`
    #[arg(long, env = "VICKET_MAIL_FROM", hide_env_values = true, value_name = "MAILBOX")]
    pub mail_from: Option<String>,
    /// The domain at which mail is answered, as for `vicket serve`
    #[arg(long, env = "VICKET_REPLY_DOMAIN", hide_env_values = true, value_name = "DOMAIN")]
    pub reply_domain: Option<String>,
    /// Under which URL people reach the server
    #[arg(long, env = "VICKET_PUBLIC_URL", hide_env_values = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// Answer DNS from this file, lines of NAME TYPE VALUE, and ask nobody else
    #[arg(long, value_name = "FILE")]
    pub dns_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct MailParseArgs {
    /// The message as it was received; `Return-Path` and `Delivered-To` above it are its envelope
    pub file: PathBuf,
    /// Answer DNS from this file, lines of NAME TYPE VALUE (TXT, MX, A, AAAA, PTR, CNAME), to verify the author. Without it
    /// DNS is not asked and nobody is verified by it
    #[arg(long, value_name = "FILE")]
    pub dns_file: Option<PathBuf>,
    /// Believe what a server of this name says in the topmost Authentication-Results; may be repeated
    #[arg(long = "authserv-id", value_name = "NAME")]
    pub authserv_ids: Vec<String>,
    /// Prove the tokens of reply addresses and Message-IDs by the secrets in this file, a line each of 32 characters or more;
    /// what does not hold is no thread
    #[arg(long, value_name = "FILE")]
    pub reply_key_file: Option<PathBuf>,
    /// The client that the message came from, for SPF
    #[arg(long, value_name = "ADDRESS", requires = "dns_file")]
    pub client_ip: Option<IpAddr>,
    /// What that client called itself
    #[arg(long, value_name = "NAME", requires = "client_ip")]
    pub helo: Option<String>,
}

#[derive(Subcommand)]
pub enum PersonCommand {
    /// Erase a person from an org: their tickets, their name on what they did, their account when they are in no other org; and
    /// print what there was and what is left
    Erase {
        /// The org's slug
        org: String,
        /// Their e-mail address
        email: String,
        /// Also write what there was and what is left to this file, as JSON
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
    /// Write what an org knows of a person to a new directory: person.json, and their files; and print what that is
    Export {
        /// The org's slug
        org: String,
        /// Their e-mail address
        email: String,
        /// The directory, which must not be there yet
        dir: PathBuf,
        /// Where attachments are kept, as for `vicket serve`
        #[arg(
            long,
            env = "VICKET_ATTACHMENTS",
            hide_env_values = true,
            default_value = "database",
            value_name = "PLACE"
        )]
        attachments: Place,
    },
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Invite somebody to an org and print the link, once
    Invite {
        /// The org's slug
        org: String,
        /// Their e-mail address
        email: String,
        /// What they may do
        #[arg(long, value_enum, default_value_t = RoleName::Agent)]
        role: RoleName,
        /// Where people reach the server; http://localhost:8080 when absent
        #[arg(long, env = "VICKET_PUBLIC_URL", hide_env_values = true, value_name = "URL", value_parser = public_url)]
        public_url: Option<String>,
    },
    /// List all users with their orgs and roles
    List,
    /// Change a member's role; acts on their next request
    SetRole {
        /// The org's slug
        org: String,
        email: String,
        #[arg(value_enum)]
        role: RoleName,
    },
    /// Take a member out of an org, with their machine keys
    Remove {
        /// The org's slug
        org: String,
        email: String,
    },
    /// Set a new password, print it, once, and log the person out everywhere
    ResetPassword { email: String },
}

/// A role, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RoleName {
    Owner,
    Admin,
    Agent,
    Viewer,
}

#[derive(Subcommand)]
pub enum MachineKeyCommand {
    /// Create a machine key and print it, once
    Create {
        /// The org's slug
        org: String,
        /// What it is for
        name: String,
        /// The member whose permissions bound it
        #[arg(long = "as", value_name = "EMAIL")]
        creator: String,
        /// What it may do, e.g. ticket:read; may be repeated
        #[arg(long = "permission", value_name = "PERMISSION", required = true)]
        permissions: Vec<String>,
        /// Days until it stops working; never when absent
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in: Option<u32>,
    },
    /// List an org's machine keys: names, hints, last use; never a key
    List {
        /// The org's slug
        org: String,
    },
    /// Kill a machine key; acts on its next request
    Revoke {
        /// The org's slug
        org: String,
        /// Its id, as `list` prints it
        id: uuid::Uuid,
    },
}

#[derive(Args)]
pub struct AuditArgs {
    /// A login that may read the catalogs, as any may; for `log`, the deploying login
    #[arg(long, env = "VICKET_ADMIN_URL", hide_env_values = true, value_name = "VICKET_ADMIN_URL", global = true)]
    pub admin_url: Option<String>,
    /// What to write the report as
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Fail, with exit code 1, on findings as bad as this
    #[arg(long, value_enum, default_value_t = Severity::Error, value_name = "SEVERITY")]
    pub fail_on: Severity,
    /// Also plant rows of two orgs and try every statement of every role at them, in a transaction that is rolled back
    #[arg(long)]
    pub probe: bool,
    /// For --probe: the widget's gate, tried as itself
    #[arg(long, env = "VICKET_WIDGET_URL", hide_env_values = true, value_name = "VICKET_WIDGET_URL")]
    pub widget_url: Option<String>,
    /// For --probe: the agents' gate, tried as itself
    #[arg(long, env = "VICKET_AGENT_URL", hide_env_values = true, value_name = "VICKET_AGENT_URL")]
    pub agent_url: Option<String>,
    /// For --probe: the gate of mail that comes in, tried as itself; left out when absent
    #[arg(long, env = "VICKET_MAIL_URL", hide_env_values = true, value_name = "VICKET_MAIL_URL")]
    pub mail_url: Option<String>,
}

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Print an org's audit log, the last entry first, or verify its chain
    Log {
        /// The org's slug; its id when it is gone
        org: String,
        /// Recompute the chain, and fail where it breaks
        #[arg(long)]
        verify: bool,
        /// What the checkpoints of detached months must be signed with: an Ed25519 key in PEM
        #[arg(long, value_name = "FILE", requires = "verify")]
        public_key: Option<PathBuf>,
        /// Entries to print
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100), conflicts_with = "verify")]
        limit: u32,
    },
    /// Take the oldest month out of all audit logs: verify every chain, sign where each stood, and leave the rows as a table of
    /// the schema archive
    Detach {
        /// The month, as YYYY-MM
        month: Month,
        /// An Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` makes it
        #[arg(long, value_name = "FILE")]
        signing_key: PathBuf,
    },
    /// Explain which policy admits or refuses one row, and by which of its conditions; shows nothing of the row. The URL is
    /// that of a superuser, or of a login with BYPASSRLS
    Why(Question),
    /// Print all of a table or function as SQL: columns, constraints, indexes, policies, grants, triggers, bodies
    Show {
        /// E.g. tickets, vicket.tickets, ctx.may, may; several of one name are all printed
        #[arg(value_name = "TABLE|FUNCTION")]
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Surface {
    /// What support pages call: /support/v1
    Support,
    /// What agents and programs call: /v1
    Agent,
}

#[derive(Args)]
pub struct DevArgs {
    /// The port to serve on, on loopback
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Where the database and dev.json live
    #[arg(long, default_value = ".vicket")]
    pub data_dir: PathBuf,
    /// Throw the data away and start over
    #[arg(long)]
    pub fresh: bool,
    /// Without the demo: as a new server is, whose dashboard asks for the first org
    #[arg(long)]
    pub empty: bool,
    /// Rate limits; `off` is for load tests and exists here only
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub rate_limits: Switch,
    /// Where the demo's support page is served: from an origin that the site lists, and from one that it does not; or `off`
    #[arg(long, default_value = "8081,8082", value_name = "ALLOWED,REFUSED", value_parser = demo_ports)]
    pub demo_ports: DemoPorts,
    /// Where mail goes, as for `vicket serve`; the folder mail/ of the data dir when absent, shown at /dev/mail
    #[arg(long, env = "VICKET_SMTP_URL", hide_env_values = true, value_name = "VICKET_SMTP_URL")]
    pub smtp_url: Option<String>,
    /// Seconds between the first two tries of a mail, in place of a minute
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub mail_retry: u64,
    /// Answer DNS from this file, lines of NAME TYPE VALUE, and ask nobody else; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub dns_file: Option<PathBuf>,
    #[command(flatten)]
    pub tuning: Tuning,
}

/// The ports of the demo's pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DemoPorts {
    Off,
    At { allowed: u16, refused: u16 },
}

#[derive(Args)]
pub struct ScaffoldArgs {
    /// Where to write; made if absent
    pub dir: PathBuf,
    /// What builds the page; that of the package.json around DIR when absent, else vite
    #[arg(long, value_enum)]
    pub framework: Option<Framework>,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// What builds a support page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Framework {
    Vite,
    Next,
    /// No build: modules that browsers run as they are
    Plain,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Args)]
pub struct ServeArgs {
    /// The address to listen on; put a TLS proxy before it
    #[arg(long, env = "VICKET_LISTEN", hide_env_values = true, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The support surface's login (vicket_gate_widget)
    #[arg(long, env = "VICKET_WIDGET_URL", hide_env_values = true, value_name = "VICKET_WIDGET_URL")]
    pub widget_url: String,
    /// The support surface's login on a standby, from which published content is read where it is as new as on the primary
    #[arg(long, env = "VICKET_WIDGET_READ_URL", hide_env_values = true, value_name = "VICKET_WIDGET_READ_URL")]
    pub widget_read_url: Option<String>,
    /// The agent surface's login (vicket_gate_agent)
    #[arg(long, env = "VICKET_AGENT_URL", hide_env_values = true, value_name = "VICKET_AGENT_URL")]
    pub agent_url: String,
    /// The login of background work (vicket_worker)
    #[arg(long, env = "VICKET_WORKER_URL", hide_env_values = true, value_name = "VICKET_WORKER_URL")]
    pub worker_url: String,
    /// Proxies whose X-Forwarded-For counts, as addresses or networks, separated by commas
    #[arg(long, env = "VICKET_TRUSTED_PROXIES", hide_env_values = true, value_delimiter = ',', value_name = "NETWORKS", value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Where people reach the server, e.g. https://support.example.com; calls with a session cookie must come from
    /// there. Scheme http and the request's Host when absent
    #[arg(long, env = "VICKET_PUBLIC_URL", hide_env_values = true, value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,
    /// Where attachments are kept: `database`, a directory as file:///PATH, or a bucket as s3://BUCKET/PREFIX, whose
    /// region, endpoint and credentials come from AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on
    #[arg(long, env = "VICKET_ATTACHMENTS", hide_env_values = true, default_value = "database", value_name = "PLACE")]
    pub attachments: Place,
    /// The secret of the server, from which its keys are made: lines of 32 characters or more, the newest first. The first makes
    /// what is made, all prove it, so that a new line above the others rotates it
    #[arg(long, env = "VICKET_SECRET_KEY_FILE", hide_env_values = true, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub mail: Box<MailArgs>,
    #[command(flatten)]
    pub tuning: Tuning,
}

/// How mail goes out.
#[derive(Args)]
pub struct MailArgs {
    /// Where mail goes: smtps://USER:PASSWORD@HOST, smtp://HOST:PORT, a folder as file:///DIR (one .eml a message), or `log:`.
    /// No mail is written without
    #[arg(long, env = "VICKET_SMTP_URL", hide_env_values = true, value_name = "VICKET_SMTP_URL")]
    pub smtp_url: Option<String>,
    /// Whom mail is from, e.g. "Acme Support <support@acme.com>"; its domain is that of Message-IDs
    #[arg(long, env = "VICKET_MAIL_FROM", hide_env_values = true, value_name = "MAILBOX")]
    pub mail_from: Option<String>,
    /// Domains at which sites may have their own sender, separated by commas; of others their address is the one to reply to
    #[arg(
        long,
        env = "VICKET_MAIL_SENDER_DOMAINS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "DOMAINS"
    )]
    pub mail_sender_domains: Vec<String>,
    /// Whether mail of sites is signed for their own domains (DKIM); `off` where the server that takes it signs by itself
    #[arg(long, env = "VICKET_MAIL_SIGNING", hide_env_values = true, value_enum, default_value_t = Switch::On)]
    pub mail_signing: Switch,
    /// The domain at which mail is answered, e.g. reply.example.com: each ticket has an address there for each who takes part.
    /// All mail to it comes to this server; it needs --secret-key-file
    #[arg(
        long,
        env = "VICKET_REPLY_DOMAIN",
        hide_env_values = true,
        value_name = "DOMAIN",
        value_parser = reply_domain,
        requires = "secret_key_file"
    )]
    pub reply_domain: Option<String>,
    /// The login of mail that comes in (vicket_gate_mail)
    #[arg(long, env = "VICKET_MAIL_URL", hide_env_values = true, value_name = "VICKET_MAIL_URL")]
    pub mail_url: Option<String>,
    /// Where to take mail in by LMTP from a mail server on the same network, which does TLS and keeps spam away: an address that
    /// only that server reaches. Nowhere when absent
    #[arg(long, env = "VICKET_LMTP_LISTEN", hide_env_values = true, value_name = "ADDRESS", requires = "mail_url")]
    pub lmtp_listen: Option<SocketAddr>,
    /// The same by SMTP
    #[arg(long, env = "VICKET_SMTP_LISTEN", hide_env_values = true, value_name = "ADDRESS", requires = "mail_url")]
    pub smtp_listen: Option<SocketAddr>,
    /// Take mail in by HTTP, at /mail/v1/inbound/PROVIDER, from those who have a secret in this file: lines of PROVIDER SECRET,
    /// where PROVIDER is raw, mailgun or postmark; several of one while a secret is changed. From nobody when absent
    #[arg(
        long,
        env = "VICKET_INBOUND_SECRETS_FILE",
        hide_env_values = true,
        value_name = "FILE",
        requires = "mail_url"
    )]
    pub inbound_secrets_file: Option<PathBuf>,
    /// Read mail from this mailbox: imaps://USER:PASSWORD@HOST/FOLDER, with ?recipient=ADDRESS where all of it is for one address,
    /// and else by what servers wrote above each message. Nothing is changed there. No mailbox is read when absent
    #[arg(
        long,
        env = "VICKET_IMAP_URL",
        hide_env_values = true,
        value_name = "VICKET_IMAP_URL",
        requires = "mail_url"
    )]
    pub imap_url: Option<String>,
    /// Believe what a server of this name says in the topmost Authentication-Results of mail that comes in; names, with commas
    #[arg(
        long = "authserv-id",
        env = "VICKET_AUTHSERV_IDS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub authserv_ids: Vec<String>,
    /// Answer DNS from this file, lines of NAME TYPE VALUE, and ask nobody else; only where the server listens on loopback. The
    /// file is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub dns_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct HealthArgs {
    /// Where the server listens; an address that stands for all of them is asked on loopback
    #[arg(long, env = "VICKET_LISTEN", hide_env_values = true, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Ask only whether the process answers (/healthz), not whether it can serve (/readyz)
    #[arg(long)]
    pub live: bool,
}

#[derive(Args, Clone, Copy)]
pub struct Tuning {
    /// Connections to PostgreSQL for the support surface
    #[arg(long, env = "VICKET_WIDGET_CONNECTIONS", hide_env_values = true, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub widget_connections: u16,
    /// Connections to PostgreSQL for the agent surface
    #[arg(long, env = "VICKET_AGENT_CONNECTIONS", hide_env_values = true, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub agent_connections: u16,
    /// Client connections at once; more wait to be accepted
    #[arg(long, env = "VICKET_MAX_CLIENTS", hide_env_values = true, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_clients: u32,
    /// Client connections of one network (an IPv4 /24, an IPv6 /56) at once; more are closed, but of trusted proxies. An
    /// eighth of --max-clients when absent
    #[arg(long, env = "VICKET_MAX_CLIENTS_PER_NETWORK", hide_env_values = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_clients_per_network: Option<u32>,
    /// How long to go on serving, seconds, once told to stop, while /readyz already says `draining`
    #[arg(long, env = "VICKET_DRAIN_DELAY", hide_env_values = true, default_value_t = 0, value_name = "SECONDS")]
    pub drain_delay: u16,
    /// Memory for kept answers and their encodings, MiB; 0 answers every read from the tables
    #[arg(long, env = "VICKET_ANSWER_CACHE_MIB", hide_env_values = true, default_value_t = 64, value_name = "MIB")]
    pub answer_cache_mib: u64,
    /// Where to serve metrics, GET /metrics for Prometheus: an address that only what scrapes them reaches. Nowhere when absent
    #[arg(long, env = "VICKET_METRICS_LISTEN", hide_env_values = true, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// The form of log lines on standard error; VICKET_LOG filters them, e.g. `warn` or `vicket=debug`
    #[arg(long, env = "VICKET_LOG_FORMAT", hide_env_values = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Args)]
pub struct AdminArgs {
    /// The deploying login: CREATEROLE and owner of the database, as for `vicket migrate`
    #[arg(long, env = "VICKET_ADMIN_URL", hide_env_values = true, value_name = "VICKET_ADMIN_URL")]
    pub admin_url: String,
}

#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Set the password of vicket_gate_widget
    #[arg(long, env = "VICKET_WIDGET_PASSWORD", hide_env_values = true, value_name = "PASSWORD", value_parser = NonEmptyStringValueParser::new())]
    pub widget_password: Option<String>,
    /// Set the password of vicket_gate_agent
    #[arg(long, env = "VICKET_AGENT_PASSWORD", hide_env_values = true, value_name = "PASSWORD", value_parser = NonEmptyStringValueParser::new())]
    pub agent_password: Option<String>,
    /// Set the password of vicket_gate_mail
    #[arg(long, env = "VICKET_MAIL_PASSWORD", hide_env_values = true, value_name = "PASSWORD", value_parser = NonEmptyStringValueParser::new())]
    pub mail_password: Option<String>,
    /// Set the password of vicket_worker
    #[arg(long, env = "VICKET_WORKER_PASSWORD", hide_env_values = true, value_name = "PASSWORD", value_parser = NonEmptyStringValueParser::new())]
    pub worker_password: Option<String>,
    /// Apply nothing: print what would run and which locks it takes, each change tried and rolled back. Exit code 0 when
    /// nothing is pending, 3 when something is, 1 when it would fail
    #[arg(long)]
    pub check: bool,
    /// For --check: try nothing, and take no lock
    #[arg(long, requires = "check")]
    pub dry: bool,
    /// For --check: what to write it as
    #[arg(long, value_enum, default_value_t = CheckFormat::Text, requires = "check")]
    pub format: CheckFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
pub enum OrgCommand {
    /// Create an org; its slug never changes
    Create {
        /// 1 to 63 of a-z, 0-9 and hyphens
        slug: String,
        /// For people; the slug when absent
        #[arg(long)]
        name: Option<String>,
    },
    /// List orgs
    List,
    /// Show what an org keeps of files and how much it may, or set that
    Quota {
        /// The org's slug
        org: String,
        /// How much all its files may be, MiB
        #[arg(long, value_name = "MIB")]
        files_mib: Option<u32>,
    },
    /// List what is deleted or moved in the background, and how far it is
    Jobs,
}

#[derive(Subcommand)]
pub enum SiteCommand {
    /// Create a site
    Create {
        /// The site, as ORG/SITE
        site: SitePath,
        /// For people; the slug when absent
        #[arg(long)]
        name: Option<String>,
        /// What the references of its tickets begin with, e.g. APP: 2 to 8 letters; made of the slug when absent
        #[arg(long)]
        prefix: Option<String>,
        /// An origin whose pages may use the key, e.g. https://app.example.com; may be repeated
        #[arg(long = "origin", value_name = "ORIGIN")]
        origins: Vec<String>,
    },
    /// List the sites of an org
    List {
        /// The org's slug
        org: String,
    },
    /// Show a site: prefix, limits, origins, refused origins, key
    Show {
        /// The site, as ORG/SITE
        site: SitePath,
    },
    /// Change a site's name, prefix or limits; they act on the next request
    Update {
        /// The site, as ORG/SITE
        site: SitePath,
        #[arg(long)]
        name: Option<String>,
        /// 2 to 8 letters; its tickets, old ones too, have the new references, and the old ones find nothing
        #[arg(long)]
        prefix: Option<String>,
        /// Reads a minute of the whole site
        #[arg(long, value_name = "N")]
        reads: Option<u32>,
        /// Ticket writes a minute of the whole site
        #[arg(long, value_name = "N")]
        writes: Option<u32>,
        /// Reads a minute of one client network
        #[arg(long, value_name = "N")]
        network_reads: Option<u32>,
        /// Ticket writes a minute of one client network
        #[arg(long, value_name = "N")]
        network_writes: Option<u32>,
        /// How much all its files may be, MiB
        #[arg(long, value_name = "MIB")]
        files_mib: Option<u32>,
        /// Files that customers of one client network may add in a day, MiB
        #[arg(long, value_name = "MIB")]
        network_uploads_mib: Option<u32>,
        /// The page on which customers read their tickets: links in mail lead there
        #[arg(long, value_name = "URL")]
        support_url: Option<String>,
    },
    /// Let pages of an origin use the site's key; acts on the next request
    AddOrigin {
        /// The site, as ORG/SITE
        site: SitePath,
        /// Scheme, host and port, e.g. https://app.example.com
        origin: String,
    },
    /// Take an origin off the list; acts on the next request
    RemoveOrigin {
        /// The site, as ORG/SITE
        site: SitePath,
        origin: String,
    },
    /// Delete a site with its key, articles, FAQs and tickets
    Delete {
        /// The site, as ORG/SITE
        site: SitePath,
        /// Really
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Show the site's key: state, hint, when it was made and last used; never the key
    Show {
        /// The site, as ORG/SITE
        site: SitePath,
    },
    /// Create the site's key and print it, once
    Create {
        /// The site, as ORG/SITE
        site: SitePath,
    },
    /// Create the next key, which works at once beside the active one, and print it, once
    Stage {
        /// The site, as ORG/SITE
        site: SitePath,
    },
    /// Kill the active key and promote the staged one; without one, print a new key, once
    Rotate {
        /// The site, as ORG/SITE
        site: SitePath,
    },
    /// Kill the active key, and a staged one with it
    Revoke {
        /// The site, as ORG/SITE
        site: SitePath,
    },
    /// Kill the staged key only
    Unstage {
        /// The site, as ORG/SITE
        site: SitePath,
    },
}

/// A site as `ORG/SITE`.
#[derive(Clone, Debug)]
pub struct SitePath {
    pub org: String,
    pub site: String,
}

impl std::str::FromStr for SitePath {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        match path.split_once('/') {
            Some((org, site)) if !org.is_empty() && !site.is_empty() && !site.contains('/') => {
                Ok(Self { org: org.to_owned(), site: site.to_owned() })
            }
            _ => Err("write it as ORG/SITE, e.g. acme/acme-app".to_owned()),
        }
    }
}

/// An address counts as the network of it alone.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "not an address or network, e.g. 10.0.0.0/8".to_owned())
}

fn demo_ports(text: &str) -> Result<DemoPorts, String> {
    if text == "off" {
        return Ok(DemoPorts::Off);
    }
    let ports =
        text.split_once(',').and_then(|(allowed, refused)| Some((allowed.parse().ok()?, refused.parse().ok()?)));
    match ports {
        Some((allowed, refused)) if allowed != refused || allowed == 0 => Ok(DemoPorts::At { allowed, refused }),
        _ => Err("two ports, e.g. 8081,8082, or off".to_owned()),
    }
}

/// The origin of a URL without path, as browsers write it.
fn public_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text.trim()).map_err(|_| "not a URL, e.g. https://support.example.com".to_owned())?;
    let bare = matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
    if !bare || url.fragment().is_some() || !url.username().is_empty() {
        return Err("scheme, host and port only, e.g. https://support.example.com".to_owned());
    }
    Ok(url.origin().ascii_serialization())
}

/// A domain that reply addresses fit before: 254 characters with 58 and an `@`.
fn reply_domain(text: &str) -> Result<String, String> {
    let domain = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    if domain.len() > 190 || !domain.split('.').all(label) {
        return Err("not a domain, e.g. reply.example.com".to_owned());
    }
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_login_gets_no_empty_password() {
        let parsed =
            |password| Cli::try_parse_from(["vicket", "migrate", "--admin-url", "x", "--worker-password", password]);
        assert!(parsed("").is_err());
        assert!(parsed("a password").is_ok());
    }

    #[test]
    fn demo_ports_are_two_or_off() {
        assert_eq!(demo_ports("off"), Ok(DemoPorts::Off));
        assert_eq!(demo_ports("9001,9002"), Ok(DemoPorts::At { allowed: 9001, refused: 9002 }));
        for bad in ["", "8081", "8081,8081", "8081,x", "8081,99999", "1,2,3"] {
            assert!(demo_ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_site_is_named_by_org_and_site() {
        let path: SitePath = "acme/acme-app".parse().expect("a good path");
        assert_eq!((path.org.as_str(), path.site.as_str()), ("acme", "acme-app"));
        for bad in ["acme", "/x", "x/", "a/b/c", ""] {
            assert!(bad.parse::<SitePath>().is_err(), "{bad}");
        }
    }
}
