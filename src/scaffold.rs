//! `vicket scaffold DIR`: the front-end kit, as files that their developer owns. What is generated of it (the API's types,
//! the modules in JavaScript) comes from `just client`.

use std::{
    borrow::Cow,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::{
    cli::{Framework, ScaffoldArgs},
    pages::widget,
};

const CLIENT_JS: &str = include_str!("scaffold/kit/js/support-client.js");
const ELEMENT_JS: &str = include_str!("scaffold/kit/js/vicket-support.js");
const PLAIN_PAGE: &str = include_str!("scaffold/kit/plain/index.html");
const STYLE: &str = include_str!("scaffold/kit/support.css");
const LAUNCHER_PAGE: &str = include_str!("scaffold/kit/plain/launcher.html");

/// A file of the kit: its name and its text.
type File = (&'static str, &'static str);

const COMMON: &[File] = &[
    ("support-client.ts", include_str!("scaffold/kit/support-client.ts")),
    ("support-api.ts", include_str!("scaffold/kit/support-api.ts")),
    ("vicket-support.ts", include_str!("scaffold/kit/vicket-support.ts")),
    ("support.css", STYLE),
    (".env.example", include_str!("scaffold/kit/env.example")),
];

const VITE: &[File] = &[("index.html", include_str!("scaffold/kit/vite/index.html"))];
const NEXT: &[File] = &[("page.tsx", include_str!("scaffold/kit/next/page.tsx"))];
/// What the templates of a framework know of the element, by the package of the framework.
const TYPES: [(&str, File); 2] = [
    ("react", ("vicket-support-react.d.ts", include_str!("scaffold/kit/types/vicket-support-react.d.ts"))),
    ("vue", ("vicket-support-vue.d.ts", include_str!("scaffold/kit/types/vicket-support-vue.d.ts"))),
];
/// Browsers run JavaScript: the same modules, without their types.
const PLAIN: &[File] =
    &[("index.html", PLAIN_PAGE), ("support-client.js", CLIENT_JS), ("vicket-support.js", ELEMENT_JS)];
/// What makes a directory a project of its own, where there is none around it.
const VITE_PROJECT: &[File] = &[
    ("package.json", include_str!("scaffold/kit/vite/package.json")),
    ("tsconfig.json", include_str!("scaffold/kit/vite/tsconfig.json")),
    (".gitignore", include_str!("scaffold/kit/vite/gitignore")),
];

/// A file that a server of pages without a build has: name, media type, text.
pub type Page = (&'static str, &'static str, String);

/// The page without a build, for the server at `server` with this publishable key.
#[must_use]
pub fn page(server: &str, key: &str) -> Vec<Page> {
    let html = PLAIN_PAGE.replacen("server=\"http://localhost:8080\"", &format!("server=\"{server}\""), 1).replacen(
        "publishable-key=\"\"",
        &format!("publishable-key=\"{key}\""),
        1,
    );
    let shop = LAUNCHER_PAGE.replacen("<!-- launcher -->", &widget::tag(server, key, true), 1);
    let script = "text/javascript; charset=utf-8";
    vec![
        ("/launcher", "text/html; charset=utf-8", shop),
        ("/", "text/html; charset=utf-8", html),
        ("/support.css", "text/css; charset=utf-8", STYLE.to_owned()),
        ("/support-client.js", script, CLIENT_JS.to_owned()),
        ("/vicket-support.js", script, ELEMENT_JS.to_owned()),
    ]
}

/// # Errors
/// When a file is there already and differs, or when one cannot be written. Nothing is written then, or what was is named.
pub fn run(args: &ScaffoldArgs) -> anyhow::Result<()> {
    let around = project_around(&args.dir)?;
    let framework = match (args.framework, &around) {
        (Some(framework), _) => framework,
        (None, Some(package)) => framework_of(package)?,
        (None, None) => Framework::Vite,
    };
    let mut files = COMMON.to_vec();
    files.extend_from_slice(match framework {
        Framework::Vite => VITE,
        Framework::Next => NEXT,
        Framework::Plain => PLAIN,
    });
    let own_project = framework == Framework::Vite && around.is_none();
    if own_project {
        // A repository may well have a .gitignore already, which stays as it is.
        files.extend(VITE_PROJECT.iter().filter(|(name, _)| !args.dir.join(name).exists()));
    }

    if let Some(package) = around.as_deref().and_then(|package| parsed(package).ok()) {
        let known = |name: &str| depends(&package, name) || name == "react" && framework == Framework::Next;
        files.extend(TYPES.iter().filter(|(name, _)| known(name)).map(|(_, file)| *file));
    }
    let files: Vec<_> = files.into_iter().map(|(name, text)| (name, imports(text, framework))).collect();
    let written = write(&args.dir, &files, args.force)?;
    for (name, change) in &written {
        println!("  {change:<9} {}", args.dir.join(name).display());
    }
    println!("\n{}", next_steps(framework, own_project, &args.dir));
    Ok(())
}

/// The kit's modules name each other as Node and TypeScript's `nodenext` ask, with the extension that they have when they are
/// built. Next's bundlers find no TypeScript by that.
fn imports(text: &'static str, framework: Framework) -> Cow<'static, str> {
    if framework != Framework::Next {
        return Cow::Borrowed(text);
    }
    let modules = ["support-api", "support-client", "vicket-support"];
    modules.iter().fold(Cow::Borrowed(text), |text, module| {
        Cow::Owned(text.replace(&format!("\"./{module}.js\""), &format!("\"./{module}\"")))
    })
}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Wrote,
    Replaced,
    /// It is there with this very text.
    Kept,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Wrote => "wrote",
            Self::Replaced => "replaced",
            Self::Kept => "unchanged",
        })
    }
}

fn write(
    dir: &Path,
    files: &[(&'static str, Cow<'static, str>)],
    force: bool,
) -> anyhow::Result<Vec<(&'static str, Change)>> {
    ensure!(!dir.exists() || dir.is_dir(), "{} is no directory", dir.display());
    let mut planned = Vec::new();
    for (name, text) in files {
        let change = plan(&dir.join(name), text)?;
        planned.push((*name, text, change));
    }
    let in_the_way: Vec<_> = planned.iter().filter(|plan| plan.2 == Change::Replaced).map(|plan| plan.0).collect();
    ensure!(
        force || in_the_way.is_empty(),
        "{} has {} with other text; nothing was written. choose another directory, or --force to \
         replace what is there",
        dir.display(),
        in_the_way.join(", ")
    );
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for (name, text, change) in &planned {
        let path = dir.join(name);
        let written = match change {
            Change::Kept => Ok(()),
            // Not over a file that came into being meanwhile.
            Change::Wrote => {
                fs::File::create_new(&path).and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
            }
            Change::Replaced => fs::write(&path, text.as_bytes()),
        };
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(planned.into_iter().map(|(name, _, change)| (name, change)).collect())
}

fn plan(path: &Path, text: &str) -> anyhow::Result<Change> {
    match fs::symlink_metadata(path) {
        // What it leads to may be anything, and anywhere.
        Ok(found) => ensure!(found.is_file(), "{} is no plain file; nothing was written", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Change::Wrote),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
    let found = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(if found == text.as_bytes() { Change::Kept } else { Change::Replaced })
}

/// The text of the nearest `package.json`, in `dir` or above it.
fn project_around(dir: &Path) -> anyhow::Result<Option<String>> {
    let here: PathBuf = std::path::absolute(dir).with_context(|| format!("{} is no path", dir.display()))?;
    Ok(here.ancestors().find_map(|dir| fs::read_to_string(dir.join("package.json")).ok()))
}

fn parsed(package: &str) -> anyhow::Result<serde_json::Value> {
    serde_json::from_str(package.trim_start_matches('\u{feff}'))
        .context("the package.json around the directory is no JSON; --framework says what builds the page")
}

fn depends(package: &serde_json::Value, name: &str) -> bool {
    ["dependencies", "devDependencies"].iter().any(|kind| !package[*kind][name].is_null())
}

fn framework_of(package: &str) -> anyhow::Result<Framework> {
    Ok(if depends(&parsed(package)?, "next") { Framework::Next } else { Framework::Vite })
}

fn next_steps(framework: Framework, own_project: bool, dir: &Path) -> String {
    // As a shell takes it.
    let shown = match dir.display().to_string() {
        plain if plain.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) => plain,
        other => format!("'{}'", other.replace('\'', r"'\''")),
    };
    let port = if framework == Framework::Next { 3000 } else { 5173 };
    let setting = match framework {
        Framework::Vite if own_project => format!(
            "1. cd {shown} && cp .env.example .env.local, and put the site's publishable key into VITE_VICKET_KEY\n\
             2. npm install && npm run dev"
        ),
        Framework::Vite => {
            "1. Copy the Vite lines of .env.example to .env.local at the project's root, with the site's publishable key\n\
             2. Import ./vicket-support in your code, and put <vicket-support> into a page: index.html is a sample"
                .to_owned()
        }
        Framework::Next => format!(
            "1. Copy the Next lines of .env.example to .env.local at the project's root, with the site's publishable key\n\
             2. page.tsx is the route of its directory: {shown} belongs below app/, e.g. app/support"
        ),
        Framework::Plain => format!(
            "1. Put the server's URL and the site's publishable key into index.html\n\
             2. Serve {shown} over HTTP: python3 -m http.server 5173 --directory {shown}"
        ),
    };
    format!(
        "Next:\n{setting}\n\
         3. Let the page's origin use the key: vicket site add-origin ORG/SITE http://localhost:{port}\n\
         The key is shown once, by `vicket key create ORG/SITE`; `vicket dev` has demo sites with keys in dev.json.\n\
         When the page shows nothing, its console says why."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(dir: &Path, framework: Option<Framework>, force: bool) -> ScaffoldArgs {
        ScaffoldArgs { dir: dir.to_owned(), framework, force }
    }

    /// A directory that is gone afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("vicket-scaffold-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            Self(dir)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).expect("a directory");
            let mut names: Vec<_> =
                entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn each_framework_gets_the_client_and_a_page() {
        for (framework, page) in
            [(Framework::Vite, "index.html"), (Framework::Next, "page.tsx"), (Framework::Plain, "index.html")]
        {
            let dir = Scratch::new(&format!("{framework:?}"));
            run(&args(&dir.0, Some(framework), false)).expect("written");
            for name in ["support-client.ts", "support-api.ts", "vicket-support.ts", ".env.example", page] {
                assert!(dir.names().iter().any(|found| found == name), "{framework:?} lacks {name}");
            }
        }
    }

    #[test]
    fn a_changed_file_stays_until_forced_and_nothing_is_written_beside_it() {
        let dir = Scratch::new("keeps");
        fs::create_dir_all(&dir.0).expect("made");
        fs::write(dir.0.join("support-client.ts"), "mine").expect("written");
        let refused = run(&args(&dir.0, Some(Framework::Plain), false)).expect_err("refused").to_string();
        assert!(refused.contains("support-client.ts") && refused.contains("--force"), "{refused}");
        assert_eq!(dir.names(), ["support-client.ts"]);
        assert_eq!(fs::read_to_string(dir.0.join("support-client.ts")).expect("there"), "mine");

        run(&args(&dir.0, Some(Framework::Plain), true)).expect("forced");
        assert_ne!(fs::read_to_string(dir.0.join("support-client.ts")).expect("there"), "mine");
    }

    #[test]
    fn a_repositorys_own_files_stay_and_the_rest_is_written() {
        let dir = Scratch::new("repository");
        fs::create_dir_all(&dir.0).expect("made");
        fs::write(dir.0.join(".gitignore"), "target\n").expect("written");
        run(&args(&dir.0, Some(Framework::Vite), true)).expect("written");
        assert_eq!(fs::read_to_string(dir.0.join(".gitignore")).expect("there"), "target\n");
        assert!(dir.names().contains(&"package.json".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_even_by_force() {
        let dir = Scratch::new("link");
        let target = Scratch::new("target");
        fs::create_dir_all(&dir.0).expect("made");
        fs::write(&target.0, "another's").expect("written");
        std::os::unix::fs::symlink(&target.0, dir.0.join("support-client.ts")).expect("linked");
        let refused = run(&args(&dir.0, Some(Framework::Plain), true)).expect_err("refused").to_string();
        assert!(refused.contains("support-client.ts is no plain file"), "{refused}");
        assert_eq!(fs::read_to_string(&target.0).expect("there"), "another's");
        fs::remove_file(&target.0).expect("removed");
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = Scratch::new("file");
        fs::write(&file.0, "").expect("written");
        let refused = run(&args(&file.0, Some(Framework::Plain), false)).expect_err("refused").to_string();
        assert!(refused.contains("is no directory"), "{refused}");
        fs::remove_file(&file.0).expect("removed");
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let dir = Scratch::new("again");
        let files: Vec<_> = COMMON.iter().map(|(name, text)| (*name, Cow::Borrowed(*text))).collect();
        let written = write(&dir.0, &files, false).expect("written");
        assert!(written.iter().all(|(_, change)| *change == Change::Wrote));
        let written = write(&dir.0, &files, false).expect("nothing in the way");
        assert!(written.iter().all(|(_, change)| *change == Change::Kept));
    }

    #[test]
    fn the_framework_is_that_of_the_project_around() {
        let dir = Scratch::new("around");
        fs::create_dir_all(dir.0.join("app/support")).expect("made");
        fs::write(dir.0.join("package.json"), r#"{"dependencies": {"next": "16", "react": "19"}}"#).expect("written");
        let package = project_around(&dir.0.join("app/support")).expect("a path").expect("found");
        assert_eq!(framework_of(&package).expect("JSON"), Framework::Next);
        assert_eq!(framework_of(r#"{"devDependencies": {"vite": "8"}}"#).expect("JSON"), Framework::Vite);
        assert!(framework_of("{").is_err());
    }

    #[test]
    fn the_page_carries_server_and_key() {
        let pages = page("http://localhost:9", "pk_example");
        let support = pages.iter().find(|(path, ..)| *path == "/").expect("the page");
        assert!(support.2.contains(r#"server="http://localhost:9" publishable-key="pk_example""#));
    }
}
