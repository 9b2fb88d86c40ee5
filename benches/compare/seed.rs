//! Rows of the baseline and of Vicket, made by the same statements.

use crate::{Bench, PASSWORD};

/// How much there is: sites of one article, and of `articles` the first and each `step`th after it.
#[derive(Clone, Copy)]
pub struct Size {
    pub sites: u32,
    pub step: u32,
    pub articles: u32,
}

impl Size {
    fn statements(self, rest: &str) -> String {
        let Self { sites, step, articles } = self;
        let settings = format!("set seed.sites = {sites};\nset seed.step = {step};\nset seed.articles = {articles};\n");
        // Compiling what runs once takes longer than running it.
        format!("set jit = off;\n{settings}{}{rest}", include_str!("sql/articles.sql"))
    }
}

impl Bench {
    /// Makes the database of the baseline.
    pub async fn seed_baseline(&self, size: Size) -> anyhow::Result<()> {
        self.sql("postgres", "create database baseline").await?;
        self.sql("baseline", &size.statements(include_str!("sql/baseline.sql"))).await?;
        self.sql("baseline", &format!("alter role baseline_app password '{PASSWORD}'")).await
    }

    /// Makes a database of Vicket's, and besides, in its first ten sites, so many tickets.
    pub async fn seed_vicket(&self, database: &str, size: Size, tickets: u32) -> anyhow::Result<()> {
        self.migrated(database).await?;
        let mut rest = include_str!("sql/vicket.sql").to_owned();
        if tickets > 0 {
            rest += &format!("set seed.tickets = {tickets};\n{}", include_str!("sql/tickets.sql"));
        }
        self.sql(database, &size.statements(&rest)).await
    }
}
