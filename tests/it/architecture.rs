//! The house as it stands: imports go down, from the roof to the ground, and no files need each other in a circle.
//!
//! Read from the text of `src`: `use` and paths that begin with `crate::` or `super::`. Tests within a file may import what
//! they like.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// From the ground up. A module imports from those above it in this list, and from itself; modules of one line do not know
/// each other.
const LAYERS: &[&[&str]] = &[
    // No HTTP, no SQL.
    &["domain"],
    // What every key of the server is made of.
    &["master_secret"],
    // Who a customer is, by the word of their site.
    &["identity"],
    // What is seen of a request.
    &["telemetry"],
    // The only way to the database.
    &["db"],
    // Every statement.
    &["store"],
    // What the process has besides a request.
    &["codings", "limits", "objects", "passwords", "usage", "jobs", "news", "mail"],
    &["memory_budget", "response_cache", "single_flight"],
    // Mail that comes in.
    &["intake"],
    &["state"],
    // What poem and poem-openapi lack.
    &["http"],
    // Who asks.
    &["auth"],
    // What people and programs see.
    &["api", "dashboard", "pages"],
    // The schema, and whether it holds.
    &["migrations"],
    &["audit"],
    &["migrate", "readiness"],
    // The roof.
    &["routes"],
    &["server"],
    &["metrics"],
    &["cli"],
    &["scaffold"],
    &["commands"],
    &["dev"],
];

/// A file of `src`, as other files call it: `store::tickets` of `src/store/tickets.rs`.
type Module = Vec<String>;

fn files() -> BTreeMap<Module, (PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let relative = path.strip_prefix(&src).expect("below src").with_extension("");
                let mut module: Module = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                if module.last().is_some_and(|name| name == "mod") {
                    module.pop();
                }
                if !["lib", "main"].contains(&module[0].as_str()) {
                    let text = fs::read_to_string(&path).expect("text");
                    found.insert(module, (path, text));
                }
            }
        }
    }
    found
}

/// Its code without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths that a `use` names, braces opened: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn opened(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().expect("one at least").push(c),
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| opened(part.trim())).map(|path| format!("{}{path}", before.trim())).collect()
}

/// The files that a file names, each once and never itself.
fn imports(module: &Module, text: &str, all: &BTreeMap<Module, (PathBuf, String)>) -> BTreeSet<Module> {
    let code = code(text);
    let mut paths = Vec::new();
    for (start, _) in code.match_indices("use ") {
        // What a parent passes on of its children it does not need itself.
        if code[..start].ends_with("pub ") {
            continue;
        }
        let statement = code[start + 4..].split(';').next().unwrap_or_default();
        paths.extend(opened(statement));
    }
    for root in ["crate::", "super::"] {
        for (start, _) in code.match_indices(root) {
            let path: String = code[start..].chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            // What stands in the braces of a `use` was opened above.
            if !code[start + path.len()..].starts_with('{') {
                paths.push(path);
            }
        }
    }
    // A parent calls its children by their names alone.
    for child in all.keys().filter(|child| child.split_last().is_some_and(|(_, parent)| parent == module.as_slice())) {
        let called = format!("{}::", child[module.len()]);
        let before = |start: usize| code[..start].chars().next_back().unwrap_or(' ');
        let mut calls = code.match_indices(&called).filter(|(start, _)| {
            !before(*start).is_alphanumeric() && !"_:".contains(before(*start)) && !code[..*start].ends_with("pub use ")
        });
        if calls.next().is_some() {
            paths.push(format!("crate::{}", child.join("::")));
        }
    }
    let mut named = BTreeSet::new();
    for path in paths {
        let mut parts: Vec<&str> = path.split("::").map(str::trim).filter(|part| !part.is_empty()).collect();
        let mut base: Module = match parts.first() {
            Some(&"crate") => Vec::new(),
            Some(&("super" | "self")) => module.clone(),
            _ => continue,
        };
        while let Some(first) = parts.first().copied().filter(|first| ["crate", "self", "super"].contains(first)) {
            if first == "super" {
                base.pop();
            }
            parts.remove(0);
        }
        base.extend(parts.into_iter().map(str::to_owned));
        while !base.is_empty() && !all.contains_key(&base) {
            base.pop();
        }
        if !base.is_empty() && base != *module {
            named.insert(base);
        }
    }
    named
}

fn shown(module: &Module, all: &BTreeMap<Module, (PathBuf, String)>) -> String {
    let path = &all[module].0;
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("in the repository").display().to_string()
}

#[test]
fn imports_go_down() {
    let all = files();
    let layer = |module: &Module| LAYERS.iter().position(|names| names.contains(&module[0].as_str()));
    let mut faults = Vec::new();
    for (module, (_, text)) in &all {
        let Some(own) = layer(module) else {
            faults.push(format!("{} is in no layer of tests/it/architecture.rs", shown(module, &all)));
            continue;
        };
        for other in imports(module, text, &all) {
            if other[0] != module[0] && layer(&other).is_none_or(|layer| layer >= own) {
                faults.push(format!("{} imports {}, which is not below it", shown(module, &all), shown(&other, &all)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Files that reach themselves by way of others. A parent that calls its children, and they it, is such a circle too.
#[test]
fn no_files_need_each_other() {
    let all = files();
    let graph: BTreeMap<&Module, BTreeSet<Module>> =
        all.iter().map(|(module, (_, text))| (module, imports(module, text, &all))).collect();
    let reached = |from: &Module| {
        let (mut seen, mut left) = (BTreeSet::new(), graph[from].iter().cloned().collect::<Vec<_>>());
        while let Some(next) = left.pop() {
            if seen.insert(next.clone()) {
                left.extend(graph[&next].iter().cloned());
            }
        }
        seen
    };
    let reach: BTreeMap<&Module, BTreeSet<Module>> = graph.keys().map(|module| (*module, reached(module))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (module, to) in reach.iter().filter(|(module, to)| to.contains(**module)) {
        let circle = to.iter().filter(|other| reach[other].contains(*module));
        circles.insert(circle.map(|other| shown(other, &all)).collect());
    }
    let circles: Vec<String> = circles.iter().map(|circle| circle.join(" <-> ")).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn what_a_use_names_is_read_through_its_braces() {
    let names = opened("crate::{a::{self, B}, c::d as e, f}");
    assert_eq!(names, ["crate::a::self", "crate::a::B", "crate::c::d", "crate::f"]);
    let text =
        "use super::{x};\nfn f() { crate::db::open() } // crate::api\n#[cfg(test)]\nmod tests { use crate::dev; }";
    let all: BTreeMap<Module, (PathBuf, String)> = ["db", "api", "dev", "store::x", "store::y"]
        .map(|path| (path.split("::").map(str::to_owned).collect(), (PathBuf::new(), String::new())))
        .into();
    let named = imports(&vec!["store".to_owned(), "y".to_owned()], text, &all);
    let named: Vec<String> = named.iter().map(|module| module.join("::")).collect();
    assert_eq!(named, ["db", "store::x"]);
}
