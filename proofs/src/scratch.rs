//! A private PostgreSQL with the migrated schema, in a directory that goes with it.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};
use vicket::{
    dev::postgres::{Cluster, Durability, Programs},
    migrate::{self, Passwords},
};

const DATABASE: &str = "scratch";
static MADE: AtomicU32 = AtomicU32::new(0);

pub struct Scratch {
    cluster: Cluster,
    dir: PathBuf,
    /// Of the gates.
    password: String,
}

impl Scratch {
    /// # Errors
    /// When PostgreSQL's programs are not found, or do not start.
    pub async fn start() -> anyhow::Result<Self> {
        let programs = Programs::find().await?;
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("vicket-proofs-{}-{made}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let cluster = Cluster::start(&programs, &dir, Durability::Throwaway).await?;
        let mut superuser = PgConnection::connect(&cluster.superuser_url("postgres")).await?;
        for statement in ["create database scratch", "revoke all on database scratch from public"] {
            sqlx::raw_sql(statement).execute(&mut superuser).await?;
        }
        superuser.close().await?;
        let password = format!("{:032x}", rand::random::<u128>());
        let gate = || Some(password.clone());
        let passwords = Passwords { widget: gate(), agent: gate(), mail: gate(), worker: None };
        migrate::run(&cluster.superuser_url(DATABASE), &passwords).await?;
        Ok(Self { cluster, dir, password })
    }

    pub fn superuser_url(&self) -> String {
        self.cluster.superuser_url(DATABASE)
    }

    /// The URL of a gate's login.
    pub fn gate_url(&self, login: &str) -> String {
        format!("postgres://{login}:{}@127.0.0.1:{}/{DATABASE}", self.password, self.cluster.port())
    }

    /// What the server logs.
    pub fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// # Errors
    /// When it does not stop.
    pub async fn end(self) -> anyhow::Result<()> {
        self.cluster.stop().await?;
        Cluster::remove(&self.dir).await?;
        std::fs::remove_dir_all(&self.dir).context("the scratch directory could not be removed")
    }
}
