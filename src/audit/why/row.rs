//! The table, and the one row: found by who sees all, asked about as the role that may not.

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, postgres::PgArguments, query::QueryScalar};

use super::question::Command;

/// Where the copy of the row is kept until the rollback.
const COPY: &str = "why.row";

/// What a condition says of the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    True,
    False,
    /// As good as false.
    Null,
    /// PostgreSQL's SQLSTATE.
    Error(String),
}

impl Truth {
    pub fn as_str(&self) -> &str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Null => "null",
            Self::Error(code) => code,
        }
    }
}

/// What became of the statement itself, as the role and in the context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tried {
    Reached,
    NotReached,
    /// PostgreSQL's SQLSTATE.
    Refused(String),
}

/// A table as one role finds it.
#[derive(Debug, sqlx::FromRow)]
pub struct Table {
    /// Qualified and quoted.
    pub name: String,
    /// Quoted, as expressions of policies refer to it.
    alias: String,
    oid: String,
    enabled: bool,
    forced: bool,
    /// The role is a superuser, or has BYPASSRLS.
    role_passes: bool,
    role_owns: bool,
    /// Quoted columns that make a row the only one.
    key: Vec<String>,
    selectable: Vec<String>,
    updatable: Vec<String>,
    deletable: bool,
    usable: bool,
}

/// A row, by columns that name it.
pub struct Row {
    columns: Vec<String>,
    values: Vec<String>,
    /// That it is this row.
    condition: String,
}

impl Row {
    fn bound<'q, T>(&'q self, sql: &'q str) -> QueryScalar<'q, Postgres, T, PgArguments>
    where
        T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
        (T,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(&self.values)
    }
}

const TABLE: &str =
    "select format('%I.%I', n.nspname, c.relname) as name, quote_ident(c.relname) as alias, c.oid::text as oid,
    c.relrowsecurity as enabled, c.relforcerowsecurity as forced, r.rolsuper or r.rolbypassrls as role_passes,
    pg_has_role(r.oid, c.relowner, 'usage') as role_owns,
    array(
      select quote_ident(a.attname) from pg_index i, unnest(i.indkey) with ordinality as k (attnum, place)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
      where i.indrelid = c.oid and i.indisprimary order by k.place
    ) as key,
    array(
      select quote_ident(a.attname) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and has_column_privilege(r.oid, c.oid, a.attnum, 'select') order by a.attnum
    ) as selectable,
    array(
      select quote_ident(a.attname) from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        and has_column_privilege(r.oid, c.oid, a.attnum, 'update') order by a.attnum
    ) as updatable,
    has_table_privilege(r.oid, c.oid, 'delete') as deletable,
    has_schema_privilege(r.oid, n.oid, 'usage') as usable
  from pg_class c join pg_namespace n on n.oid = c.relnamespace, pg_roles r
  where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and r.rolname = $2
    and (n.nspname || '.' || c.relname = $1 or n.nspname = 'vicket' and c.relname = $1)";

impl Table {
    /// # Errors
    /// When there is none of this name.
    pub async fn named(tx: &mut PgConnection, name: &str, role: &str) -> anyhow::Result<Self> {
        let found: Option<Self> = sqlx::query_as(TABLE).bind(name).bind(role).fetch_optional(&mut *tx).await?;
        let Some(table) = found else {
            let there: Vec<String> = sqlx::query_scalar(
                "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'vicket' and c.relkind in ('r', 'p') order by 1",
            )
            .fetch_all(tx)
            .await?;
            ensure!(!there.is_empty(), "there is no table of Vicket in this database");
            bail!("there is no table `{name}`; there are {}", there.join(", "));
        };
        Ok(table)
    }

    /// Copies the row into a setting of this transaction, so that who may not see it can be asked about it.
    ///
    /// # Errors
    /// When it is not there, or when what was given names several.
    pub async fn row(&self, tx: &mut PgConnection, given: &[String]) -> anyhow::Result<Row> {
        let mut row = Row { columns: Vec::new(), values: Vec::new(), condition: String::new() };
        let mut conditions = Vec::new();
        for part in given {
            let (column, value) = part.split_once('=').unwrap_or(("id", part));
            let found: Option<(String, String)> = sqlx::query_as(
                "select quote_ident(attname), format_type(atttypid, null) from pg_attribute
                where attrelid = $1::oid and attname = $2 and attnum > 0 and not attisdropped",
            )
            .bind(&self.oid)
            .bind(column)
            .fetch_optional(&mut *tx)
            .await?;
            let key = || self.key.iter().map(|column| format!("--id {column}=..")).collect::<Vec<_>>().join(" ");
            let (column, kind) = found
                .with_context(|| format!("{} has no column `{column}`: its rows are named by {}", self.name, key()))?;
            row.values.push(value.to_owned());
            conditions.push(format!("{column} = ($1::text[])[{}]::{kind}", row.values.len()));
            row.columns.push(column);
        }
        row.condition = conditions.join(" and ");
        let sql = format!(
            "select set_config('{COPY}', \"the row\"::text, true) is not null from {} as \"the row\" where {} limit 2",
            self.name, row.condition
        );
        let there: Vec<bool> = row.bound(&sql).fetch_all(tx).await.with_context(|| format!("reading {}", self.name))?;
        ensure!(!there.is_empty(), "there is no such row in {}, for nobody", self.name);
        ensure!(there.len() == 1, "this names several rows of {}: give {}", self.name, self.key.join(", "));
        Ok(row)
    }

    /// The policies that PostgreSQL asks for this role's command: `asked for, name, permissive, USING`.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn policies(
        &self,
        tx: &mut PgConnection,
        role: &str,
        command: Command,
    ) -> anyhow::Result<Vec<(Command, String, bool, Option<String>)>> {
        let mut policies = Vec::new();
        for asked_for in command.asks() {
            let letter = match asked_for {
                Command::Select => "r",
                Command::Update => "w",
                Command::Delete => "d",
            };
            let rows: Vec<(String, bool, Option<String>)> = sqlx::query_as(
                "select p.polname::text, p.polpermissive, pg_get_expr(p.polqual, p.polrelid)
                from pg_policy p
                where p.polrelid = $1::oid and p.polcmd::text in ('*', $3)
                  and exists (select from unnest(p.polroles) as r (oid) where r.oid = 0 or pg_has_role($2, r.oid, 'usage'))
                order by p.polpermissive desc, p.polname",
            )
            .bind(&self.oid)
            .bind(role)
            .bind(letter)
            .fetch_all(&mut *tx)
            .await?;
            policies.extend(rows.into_iter().map(|(name, permissive, using)| (*asked_for, name, permissive, using)));
        }
        Ok(policies)
    }

    /// What a condition says of the row, asked as the current role.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn ask(&self, tx: &mut PgConnection, condition: &str) -> anyhow::Result<Truth> {
        let sql = format!(
            "select ({condition}) from unnest(array[current_setting('{COPY}')::{}]) as {}",
            self.name, self.alias
        );
        let holds = undone(tx, sqlx::query_scalar::<_, Option<bool>>(AssertSqlSafe(sql))).await?;
        Ok(match holds {
            Ok(rows) => match rows.first().copied().flatten() {
                Some(true) => Truth::True,
                Some(false) => Truth::False,
                None => Truth::Null,
            },
            Err(code) => Truth::Error(code),
        })
    }

    /// Tries the command on the row as the current role. An UPDATE or DELETE that reaches it ends there, by a division by
    /// zero that PostgreSQL evaluates after every policy and before it changes anything.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn attempt(&self, tx: &mut PgConnection, row: &Row, command: Command) -> anyhow::Result<Tried> {
        let Row { condition, columns, .. } = row;
        let column = columns.first().context("a row is named by a column")?;
        let trap = format!(
            "{condition} and case when {condition} then 1 / least(0, length({column}::text)) = 1 else false end"
        );
        let sql = match command {
            Command::Select => format!("select 1 from {} where {condition}", self.name),
            Command::Update => {
                let set = self.updatable.first().unwrap_or(column);
                format!("update {} set {set} = {set} where {trap} returning 1", self.name)
            }
            Command::Delete => format!("delete from {} where {trap} returning 1", self.name),
        };
        Ok(match undone(tx, row.bound::<i32>(&sql)).await? {
            Ok(rows) if rows.is_empty() => Tried::NotReached,
            Ok(_) => Tried::Reached,
            Err(code) if code == "22012" && command != Command::Select => Tried::Reached,
            Err(code) => Tried::Refused(code),
        })
    }

    /// Whether the role has what the statement needs before any policy is asked, and what that is.
    pub fn grant(&self, command: Command, row: &Row) -> (bool, String) {
        if !self.usable {
            return (false, "no USAGE of its schema".to_owned());
        }
        let hidden: Vec<&str> =
            row.columns.iter().filter(|column| !self.selectable.contains(column)).map(String::as_str).collect();
        if self.selectable.is_empty() {
            return (false, "no SELECT".to_owned());
        }
        if !hidden.is_empty() {
            return (false, format!("no SELECT of {}, by which the row is named", hidden.join(", ")));
        }
        match command {
            Command::Select => (true, format!("SELECT of {}", self.selectable.join(", "))),
            Command::Update if self.updatable.is_empty() => (false, "no UPDATE".to_owned()),
            Command::Update => (true, format!("UPDATE of {}", self.updatable.join(", "))),
            Command::Delete => (self.deletable, if self.deletable { "DELETE" } else { "no DELETE" }.to_owned()),
        }
    }

    pub fn in_force(&self) -> bool {
        self.enabled && !self.role_passes && (self.forced || !self.role_owns)
    }

    pub fn security(&self) -> &'static str {
        match (self.enabled, self.role_passes, self.forced) {
            (false, ..) => "OFF: no policy is asked",
            (_, true, _) => "on, and PASSED BY THE ROLE, which is a superuser or has BYPASSRLS",
            (_, _, true) => "on, forced",
            (_, _, false) if self.role_owns => "on, not forced, and PASSED BY THE ROLE, which owns the table",
            _ => "on, not forced: not asked of the table's owner",
        }
    }
}

/// Runs a statement, and undoes it. The inner error is PostgreSQL's SQLSTATE: its message may quote the row.
async fn undone<T>(
    tx: &mut PgConnection,
    query: QueryScalar<'_, Postgres, T, PgArguments>,
) -> anyhow::Result<Result<Vec<T>, String>>
where
    T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres> + Send + Unpin,
    (T,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    sqlx::raw_sql("savepoint why").execute(&mut *tx).await?;
    let outcome = query.fetch_all(&mut *tx).await;
    sqlx::raw_sql("rollback to savepoint why; release savepoint why").execute(tx).await?;
    match outcome {
        Ok(rows) => Ok(Ok(rows)),
        Err(sqlx::Error::Database(error)) => Ok(Err(error.code().unwrap_or_default().into_owned())),
        Err(error) => Err(error.into()),
    }
}
