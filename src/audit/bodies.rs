//! What each function is, by the text of the migrations: the judge of what `pg_proc` says it is.
//!
//! The migrations are embedded in this program, so whoever changes a function in the database, the owner included, changes
//! something that this program knows better. A function is its name and argument types, its shape (language, volatility,
//! whose rights it has, its settings), and its body: the text between dollar quotes, which is `pg_proc.prosrc`, byte for byte.
//!
//! The scanner knows the SQL that our migrations are written in: names with their schema, bodies between dollar quotes. What
//! it does not understand it does not know, and the lints then say of every database that a function is unknown or not the
//! migrations' one: no test passes, and nothing is believed.

mod scanner;

use std::{fmt::Write as _, sync::LazyLock};

use crate::domain::keys::Sha256Digest;
use scanner::{Token, tokens};

/// A function as its last definition says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    pub schema: String,
    pub name: String,
    /// Types of the arguments that a call passes, as `oidvectortypes` writes them.
    pub arguments: String,
    /// Language and attributes, those that PostgreSQL assumes left out: `plpgsql stable security definer`.
    pub shape: String,
    /// SHA-256 of the body, in hex.
    pub digest: String,
}

/// The functions of this program's migrations, and the number of the last one.
pub fn migrated() -> &'static (Vec<Function>, i64) {
    static MIGRATED: LazyLock<(Vec<Function>, i64)> = LazyLock::new(|| {
        let mut functions = Vec::new();
        let mut last = 0;
        for (version, sql) in crate::migrations::files::texts() {
            apply(&mut functions, sql);
            last = last.max(version);
        }
        (functions, last)
    });
    &MIGRATED
}

/// The functions as rows of SQL's VALUES: schema, name, arguments, shape, digest.
pub fn rows() -> String {
    let mut rows = String::new();
    for function in &migrated().0 {
        let Function { schema, name, arguments, shape, digest } = function;
        let comma = if rows.is_empty() { "" } else { ",\n" };
        let shape = shape.replace('\'', "''");
        // Writing to a String cannot fail.
        let _ = write!(rows, "{comma}    ('{schema}', '{name}', '{arguments}', '{shape}', '{digest}')");
    }
    rows
}

/// Takes over what a migration creates, replaces and drops.
fn apply(functions: &mut Vec<Function>, sql: &str) {
    let tokens = tokens(sql);
    for start in 0..tokens.len() {
        let mut reader = Reader { rest: &tokens[start..] };
        if reader.words(&["create", "function"]) || reader.words(&["create", "or", "replace", "function"]) {
            if let Some(function) = reader.function() {
                functions.retain(|known| !same(known, &function));
                functions.push(function);
            }
        } else if reader.words(&["drop", "function"]) {
            reader.words(&["if", "exists"]);
            while let Some((schema, name, arguments)) = reader.signature() {
                functions
                    .retain(|known| (&known.schema, &known.name, &known.arguments) != (&schema, &name, &arguments));
                if !reader.mark(',') {
                    break;
                }
            }
        }
    }
}

fn same(one: &Function, other: &Function) -> bool {
    (&one.schema, &one.name, &one.arguments) == (&other.schema, &other.name, &other.arguments)
}

/// Reads tokens from the left; what does not match is left where it is.
struct Reader<'a, 'b> {
    rest: &'b [Token<'a>],
}

impl<'a> Reader<'a, '_> {
    fn words(&mut self, words: &[&str]) -> bool {
        let found = self.rest.len() >= words.len() && self.rest.iter().zip(words).all(|(token, word)| token.is(word));
        if found {
            self.rest = &self.rest[words.len()..];
        }
        found
    }

    fn mark(&mut self, mark: char) -> bool {
        let found = self.rest.first() == Some(&Token::Mark(mark));
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn word(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.rest.first() else { return None };
        self.rest = &self.rest[1..];
        Some(word.to_lowercase())
    }

    /// `schema.name(arguments)`
    fn signature(&mut self) -> Option<(String, String, String)> {
        let schema = self.word()?;
        let name = if self.mark('.') { self.word()? } else { return None };
        let mut arguments: Vec<Vec<&Token<'a>>> = vec![Vec::new()];
        let mut depth = 0;
        loop {
            let (token, rest) = self.rest.split_first()?;
            self.rest = rest;
            match token {
                Token::Mark('(') if depth == 0 => depth = 1,
                Token::Mark(')') if depth == 1 => break,
                Token::Mark(',') if depth == 1 => arguments.push(Vec::new()),
                _ if depth == 0 => return None,
                token => {
                    depth = depth + i32::from(*token == Token::Mark('(')) - i32::from(*token == Token::Mark(')'));
                    arguments.last_mut()?.push(token);
                }
            }
        }
        let types: Vec<String> = arguments.iter().filter_map(|argument| type_of(argument)).collect();
        Some((schema, name, types.join(", ")))
    }

    /// A definition, from its name to its body. Without a body between dollar quotes it is none that we know.
    fn function(&mut self) -> Option<Function> {
        let (schema, name, arguments) = self.signature()?;
        let (mut language, mut volatility, mut parallel) = (String::new(), "volatile", String::new());
        let (mut strict, mut leakproof, mut definer) = (false, false, false);
        let mut settings = Vec::new();
        let mut depth = 0;
        let body = loop {
            if depth == 0 && self.words(&["language"]) {
                language = self.word()?;
            } else if depth == 0 && self.words(&["parallel"]) {
                parallel = self.word()?;
            } else if depth == 0 && self.words(&["security", "definer"]) {
                definer = true;
            } else if depth == 0 && self.words(&["set"]) {
                settings.push(self.setting()?);
            } else if depth == 0 && self.words(&["as"]) {
                match self.rest.first() {
                    Some(Token::Body(body)) => break body,
                    _ => return None,
                }
            } else {
                let (token, rest) = self.rest.split_first()?;
                self.rest = rest;
                match token {
                    Token::Mark('(') => depth += 1,
                    Token::Mark(')') => depth -= 1,
                    Token::Mark(';') => return None,
                    _ if depth > 0 => {}
                    token if token.is("immutable") => volatility = "immutable",
                    token if token.is("stable") => volatility = "stable",
                    token if token.is("strict") => strict = true,
                    token if token.is("leakproof") => leakproof = true,
                    _ => {}
                }
            }
        };
        settings.sort_unstable();
        let mut shape = format!("{language} {volatility}");
        if !matches!(parallel.as_str(), "" | "unsafe") {
            shape += &format!(" parallel {parallel}");
        }
        for (holds, attribute) in [(strict, " strict"), (leakproof, " leakproof"), (definer, " security definer")] {
            shape += if holds { attribute } else { "" };
        }
        for setting in settings {
            shape += &format!(" set {setting}");
        }
        let digest = Sha256Digest::of(body.as_bytes()).to_hex();
        Some(Function { schema, name, arguments, shape, digest })
    }

    /// `search_path = pg_catalog, pg_temp`, as `proconfig` keeps it.
    fn setting(&mut self) -> Option<String> {
        let name = self.word()?;
        if !self.mark('=') && !self.words(&["to"]) {
            return None;
        }
        let mut values = Vec::new();
        loop {
            values.push(self.word()?);
            if !self.mark(',') {
                return Some(format!("{name}={}", values.join(", ")));
            }
        }
    }
}

/// The type of an argument that a call passes; none of one that it only gets.
fn type_of(argument: &[&Token<'_>]) -> Option<String> {
    // The first words of types of several; else the first of several words is the argument's name.
    const LONG: [&str; 5] = ["timestamp", "time", "double", "character", "bit"];
    let end = argument.iter().position(|token| token.is("default") || **token == Token::Mark('='));
    let mut tokens = &argument[..end.unwrap_or(argument.len())];
    match tokens.first()? {
        mode if mode.is("out") => return None,
        mode if ["in", "inout", "variadic"].iter().any(|word| mode.is(word)) => tokens = &tokens[1..],
        _ => {}
    }
    if let [Token::Word(first), Token::Word(_), ..] = tokens
        && !LONG.contains(&first.to_lowercase().as_str())
    {
        tokens = &tokens[1..];
    }
    let mut of = String::new();
    for token in tokens {
        match token {
            Token::Word(word) if of.is_empty() || of.ends_with('.') => of += &word.to_lowercase(),
            Token::Word(word) => of += &format!(" {}", word.to_lowercase()),
            Token::Mark(mark) => of.push(*mark),
            Token::Body(_) | Token::Text => return None,
        }
    }
    let (base, array) = of.split_at(of.find('[').unwrap_or(of.len()));
    let base = match base {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "bool" => "boolean",
        "float8" => "double precision",
        "float4" => "real",
        "decimal" => "numeric",
        "varchar" => "character varying",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        base => base,
    };
    Some(format!("{base}{array}"))
}

#[cfg(test)]
mod tests {
    use super::{Function, Sha256Digest, apply, migrated};

    fn of(sql: &str) -> Vec<Function> {
        let mut functions = Vec::new();
        apply(&mut functions, sql);
        functions
    }

    fn said(sql: &str) -> Vec<(String, String)> {
        of(sql).into_iter().map(|f| (format!("{}.{}({})", f.schema, f.name, f.arguments), f.shape)).collect()
    }

    #[test]
    fn a_function_is_its_arguments_its_shape_and_the_bytes_of_its_body() {
        let sql = "-- create function ctx.no() returns text as $$ a comment $$;
            select 'create function ctx.no() as $$ a text $$', e'it\\'s', \"create\", $1;
            Create Or Replace Function worker.add(
              p_ids uuid[], in p_when TimestampTZ default now(), int, inout n double precision, out said text, x vicket.t = (1, 2)
            ) returns table (language text, stable boolean)
              language plpgsql stable parallel safe security definer
              set search_path = pg_catalog, pg_temp set jit to off
            as $body$ begin /* $$ */ return; end $body$;
            /* create function ctx.no() /* nested */ as $$ $$; */";
        let arguments = "uuid[], timestamp with time zone, integer, double precision, vicket.t";
        let shape = "plpgsql stable parallel safe security definer set jit=off set search_path=pg_catalog, pg_temp";
        assert_eq!(said(sql), [(format!("worker.add({arguments})"), shape.to_owned())]);
        assert_eq!(of(sql)[0].digest, Sha256Digest::of(b" begin /* $$ */ return; end ").to_hex());
    }

    #[test]
    fn the_last_definition_counts_and_a_dropped_one_does_not() {
        let first = "create function ctx.a(text) returns int language sql as $$ select 1 $$;";
        let again =
            "create or replace function ctx.a(p text) returns int language sql immutable strict as $$ select 2 $$;";
        let other = "create function ctx.a(p int) returns int language sql as $$ select 3 $$;";
        let all = [first, other, again].concat();
        let names = ["ctx.a(integer)", "ctx.a(text)"].map(str::to_owned);
        assert_eq!(said(&all).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
        assert_eq!(said(&all)[1].1, "sql immutable strict");
        assert_eq!(said(&(all + "drop function if exists ctx.b(), ctx.a(text);"))[..], said(other)[..]);
    }

    #[test]
    fn what_has_no_body_between_dollar_quotes_or_no_schema_is_not_known() {
        for sql in [
            "create function ctx.a() returns int language sql return 1; create table t (x int); comment on x is $$ y $$;",
            "create function ctx.a() returns int language sql as 'select 1';",
            "create function a() returns int language sql as $$ select 1 $$;",
            "create function ctx.a() returns int language sql set x = 'quoted' as $$ select 1 $$;",
            "do $do$ begin create function ctx.a() returns int language sql as $$ select 1 $$; end $do$;",
        ] {
            assert_eq!(of(sql), [], "{sql}");
        }
    }

    #[test]
    fn the_migrations_say_what_the_policies_ask() {
        let (functions, last) = migrated();
        assert!(functions.len() >= 50 && *last > 0, "{}", functions.len());
        let may = functions.iter().find(|function| function.schema == "ctx" && function.name == "may");
        let may = may.expect("ctx.may");
        assert_eq!(may.arguments, "text");
        assert!(may.shape.starts_with("sql stable"), "{}", may.shape);
        let by_key = functions.iter().find(|function| function.name == "org_by_key").expect("ctx.org_by_key");
        assert!(by_key.shape.contains("security definer"), "{}", by_key.shape);
    }
}
