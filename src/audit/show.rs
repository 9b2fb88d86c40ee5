//! `vicket audit show`: all of one table, view or function, as a database has it.

use sqlx::PgConnection;

use super::schema;

/// What can be shown.
struct Object {
    kind: String,
    oid: i64,
    schema: String,
    /// With the types of its arguments, for a function.
    name: String,
}

const OBJECTS: &str = "select case when c.relkind = 'v' then 'view' else 'table' end, c.oid::bigint, n.nspname::text, c.relname::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all
  select 'function', p.oid::bigint, n.nspname::text, format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid))
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where p.prokind in ('f', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  order by 2";

/// Everything called `name`, with its schema or without, as SQL.
///
/// # Errors
/// When there is nothing of that name, and when the catalog cannot be read.
pub async fn show(connection: &mut PgConnection, name: &str) -> anyhow::Result<String> {
    let rows: Vec<(String, i64, String, String)> = sqlx::query_as(OBJECTS).fetch_all(&mut *connection).await?;
    let objects: Vec<Object> =
        rows.into_iter().map(|(kind, oid, schema, name)| Object { kind, oid, schema, name }).collect();
    let wanted = name.split('(').next().unwrap_or_default().trim().to_lowercase();
    let found: Vec<&Object> = objects.iter().filter(|object| object.is_called(&wanted)).collect();
    anyhow::ensure!(!found.is_empty(), "there is no table or function {name}{}", nearest(&objects, &wanted));
    let mut out = String::new();
    for object in found {
        let sql = match object.kind.as_str() {
            "table" => schema::table(connection, object.oid).await?,
            "view" => schema::view(connection, object.oid).await?,
            _ => schema::function(connection, object.oid).await?,
        };
        out += &schema::title(&format!("{}.{}", object.schema, object.name));
        out += &sql;
    }
    Ok(out.trim_start_matches('\n').to_owned())
}

impl Object {
    fn bare(&self) -> &str {
        self.name.split('(').next().unwrap_or_default()
    }

    fn is_called(&self, wanted: &str) -> bool {
        self.bare() == wanted || format!("{}.{}", self.schema, self.bare()) == wanted
    }
}

/// What may have been meant, the likeliest first.
fn nearest(objects: &[Object], wanted: &str) -> String {
    const MOST: usize = 5;
    let (schema, bare) = wanted.rsplit_once('.').unwrap_or(("", wanted));
    let mut near: Vec<(usize, String)> = objects
        .iter()
        .filter_map(|object| {
            let apart = distance(object.bare(), bare);
            let holds = bare.len() > 2 && object.bare().contains(bare);
            // Who names a schema that is not the object's is a step further from it.
            let strange = usize::from(!schema.is_empty() && schema != object.schema);
            (apart <= 1 + bare.len() / 4 || holds)
                .then(|| (apart + strange, format!("{}.{}", object.schema, object.bare())))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    let names: Vec<String> = near.into_iter().take(MOST).map(|(_, name)| name).collect();
    if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) }
}

/// How many letters are to be added, left out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], place + 1);
        for (column, known) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *known);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{Object, distance, nearest};

    #[test]
    fn letters_are_counted() {
        for (one, other, apart) in
            [("", "abc", 3), ("abc", "", 3), ("tickets", "tickets", 0), ("tikcet", "ticket", 2), ("may", "my", 1)]
        {
            assert_eq!(distance(one, other), apart, "{one} {other}");
        }
    }

    #[test]
    fn the_likeliest_names_come_first() {
        let object = |schema: &str, name: &str| Object {
            kind: String::new(),
            oid: 0,
            schema: schema.to_owned(),
            name: name.to_owned(),
        };
        let objects = [
            object("vicket", "tickets"),
            object("vicket", "ticket_events"),
            object("ctx", "may(text)"),
            object("a", "tickets"),
        ];
        assert_eq!(nearest(&objects, "ticket"), "; there is a.tickets, vicket.tickets, vicket.ticket_events");
        assert_eq!(nearest(&objects, "vicket.tickts"), "; there is vicket.tickets, a.tickets");
        assert_eq!(nearest(&objects, "my"), "; there is ctx.may");
        assert_eq!(nearest(&objects, "unlike"), "");
    }
}
