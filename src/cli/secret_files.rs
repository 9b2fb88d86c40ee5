//! Settings that are secrets, from files: `VICKET_..._FILE`, and credentials of systemd.
//!
//! Whoever may look at a process sees its environment, so that secrets are better handed over as files. The arguments say
//! which command is meant; for each of its settings that may be a file and was not given as a flag, the content becomes the
//! setting's default, of which the help says nothing. The environment of the process is not changed.

use std::{
    ffi::{OsStr, OsString},
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _, error::ErrorKind, parser::ValueSource};

use super::Cli;

/// What a setting's name ends with that may be a file.
const SUFFIXES: [&str; 2] = ["_URL", "_PASSWORD"];

/// Longer is no URL and no password: somebody named the wrong file.
const MOST_BYTES: u64 = 64 * 1024;

/// The command line, the environment and the files it names. Ends the process when they are wrong, or ask for help.
pub fn parse() -> Cli {
    parse_from(std::env::args_os().collect(), &|name| std::env::var_os(name)).unwrap_or_else(|error| error.exit())
}

/// # Errors
/// What clap says of the arguments, and a file that is named and is no setting.
fn parse_from(arguments: Vec<OsString>, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    // Which command it is, whatever its arguments lack. Where even that fails it is help that is asked for.
    if let Ok(meant) = Cli::command().ignore_errors(true).try_get_matches_from(&arguments) {
        command = filled(command, &meant, environment)?;
    }
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// With the content of files as defaults, along the commands that were named.
fn filled(
    mut command: Command,
    meant: &ArgMatches,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, clap::Error> {
    let mut contents = Vec::new();
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env().and_then(OsStr::to_str).filter(|name| may_be_a_file(name)) else {
            continue;
        };
        if meant.value_source(argument.get_id().as_str()) != Some(ValueSource::CommandLine)
            && let Some(content) = content_of(variable, environment)
                .map_err(|wrong| Cli::command().error(ErrorKind::ValueValidation, wrong))?
        {
            contents.push((argument.get_id().clone(), content));
        }
    }
    for (id, content) in contents {
        command =
            command.mut_arg(id, |argument| argument.required(false).default_value(content).hide_default_value(true));
    }
    if let Some((name, meant)) = meant.subcommand()
        && let Some(subcommand) = command.find_subcommand(name).cloned()
    {
        let subcommand = filled(subcommand, meant, environment)?;
        command = command.mut_subcommand(name, |_| subcommand);
    }
    Ok(command)
}

fn may_be_a_file(variable: &str) -> bool {
    variable.starts_with("VICKET_") && SUFFIXES.iter().any(|suffix| variable.ends_with(suffix))
}

/// What a file says that the variable is; `None` when none is named, or the variable itself is set.
fn content_of(variable: &str, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<String>, String> {
    let file = format!("{variable}_FILE");
    let set = environment(variable).is_some();
    if let Some(path) = environment(&file) {
        if set {
            return Err(format!(
                "{variable} and {file} are both set: unset one, so that nobody has to guess which counts"
            ));
        }
        return read(&file, Path::new(&path)).map(Some);
    }
    let credential = environment("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(variable));
    match credential.filter(|path| !set && path.exists()) {
        Some(path) => read(&format!("the credential {variable}"), &path).map(Some),
        None => Ok(None),
    }
}

/// Says never what is in the file.
fn read(what: &str, path: &Path) -> Result<String, String> {
    let wrong = |why: &str| format!("{what} is {}, which {why}", path.display());
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut text))
        .map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong("is longer than a secret"));
    }
    let text = String::from_utf8(text).map_err(|_| wrong("is not UTF-8"))?;
    // The newline that editors and `echo` put at the end.
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.is_empty() {
        return Err(wrong("is empty"));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::{AuditArgs, Command as Asked, MigrateArgs, ServeArgs};

    /// A directory for one test, removed with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("vicket-secret-files-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a directory");
            Self(path)
        }

        fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
            let path = self.0.join(name);
            fs::write(&path, content).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn parsed(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Asked, String> {
        let environment =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        let arguments = ["vicket"].iter().chain(arguments).map(OsString::from).collect();
        parse_from(arguments, &environment).map(|cli| cli.command).map_err(|error| error.to_string())
    }

    fn served(arguments: &[&str], environment: &[(&str, &str)]) -> Result<ServeArgs, String> {
        let arguments: Vec<&str> =
            ["serve", "--agent-url=a", "--worker-url=w"].iter().chain(arguments).copied().collect();
        parsed(&arguments, environment).map(|command| match command {
            Asked::Serve(args) => *args,
            _ => panic!("serve was asked for"),
        })
    }

    #[test]
    fn a_setting_is_the_content_of_its_file_without_one_newline() {
        let dir = Dir::new("content");
        for (content, is) in [("x://y", "x://y"), ("x://y\n", "x://y"), ("x://y\r\n", "x://y"), ("x\n\n", "x\n")] {
            let file = dir.write("url", content);
            assert_eq!(served(&[], &[("VICKET_WIDGET_URL_FILE", &file)]).expect("parsed").widget_url, is);
        }
        let (admin, password) = (dir.write("admin", "x://admin\n"), dir.write("password", "choose-one\n"));
        let environment = [("VICKET_ADMIN_URL_FILE", &*admin), ("VICKET_AGENT_PASSWORD_FILE", &*password)];
        let Ok(Asked::Migrate(MigrateArgs { admin, agent_password, widget_password, .. })) =
            parsed(&["migrate"], &environment)
        else {
            panic!("migrate was asked for");
        };
        assert_eq!((admin.admin_url.as_str(), agent_password.as_deref()), ("x://admin", Some("choose-one")));
        assert_eq!(widget_password, None);
    }

    #[test]
    fn a_flag_that_commands_share_takes_it_too_and_stands_above_it() {
        let dir = Dir::new("shared");
        let file = dir.write("admin", "x://file\n");
        let environment = [("VICKET_ADMIN_URL_FILE", &*file)];
        for (arguments, is) in [
            (&["audit"][..], "x://file"),
            (&["audit", "log", "acme"], "x://file"),
            (&["audit", "--admin-url", "x://flag", "log", "acme"], "x://flag"),
            (&["audit", "log", "acme", "--admin-url", "x://flag"], "x://flag"),
        ] {
            let Ok(Asked::Audit { args: AuditArgs { admin_url, .. }, .. }) = parsed(arguments, &environment) else {
                panic!("{arguments:?}");
            };
            assert_eq!(admin_url.as_deref(), Some(is), "{arguments:?}");
        }
    }

    #[test]
    fn first_the_flag_then_the_variable_or_its_file_then_the_credential() {
        let dir = Dir::new("order");
        dir.write("VICKET_WIDGET_URL", "x://credential\n");
        let file = dir.write("file", "x://file\n");
        let credentials = dir.0.to_str().expect("UTF-8").to_owned();
        let all = [("CREDENTIALS_DIRECTORY", &*credentials), ("VICKET_WIDGET_URL_FILE", &*file)];
        let url = |arguments: &[&str], environment: &[(&str, &str)]| {
            served(arguments, environment).expect("parsed").widget_url
        };
        assert_eq!(url(&["--widget-url=x://flag"], &all), "x://flag");
        assert_eq!(url(&[], &all), "x://file");
        assert_eq!(url(&[], &all[..1]), "x://credential");
        // A credential of another name is none of ours, and the variable stands above the credential: clap has its value.
        let set = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(OsString::from(&credentials)),
            "VICKET_WIDGET_URL" => Some("x://variable".into()),
            _ => None,
        };
        assert_eq!(content_of("VICKET_WIDGET_URL", &set), Ok(None));
        assert_eq!(content_of("VICKET_AGENT_URL", &set), Ok(None));
    }

    #[test]
    fn what_is_wrong_names_variable_and_path_and_never_the_content() {
        let dir = Dir::new("wrong");
        let missing = dir.0.join("missing").to_str().expect("UTF-8").to_owned();
        for (path, why) in [
            (missing.as_str(), "cannot be read"),
            (dir.0.to_str().expect("UTF-8"), "cannot be read"),
            (&dir.write("nothing", ""), "is empty"),
            (&dir.write("newline", "\n"), "is empty"),
            (&dir.write("bytes", b"hunter2 \xff"), "is not UTF-8"),
            (&dir.write("long", "hunter2".repeat(10_000)), "is longer than a secret"),
        ] {
            let said = served(&[], &[("VICKET_WIDGET_URL_FILE", path)]).err().expect("refused");
            assert!(said.contains("VICKET_WIDGET_URL_FILE") && said.contains(path) && said.contains(why), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        let file = dir.write("good", "x://hunter2");
        let both = [("VICKET_WIDGET_URL", "x://hunter2"), ("VICKET_WIDGET_URL_FILE", &*file)];
        let said = served(&[], &both).err().expect("refused");
        assert!(said.contains("both set") && !said.contains("hunter2"), "{said}");
        dir.write("VICKET_WIDGET_URL", "");
        let said = served(&[], &[("CREDENTIALS_DIRECTORY", dir.0.to_str().expect("UTF-8"))]).err().expect("refused");
        assert!(said.contains("the credential VICKET_WIDGET_URL") && said.contains("is empty"), "{said}");
    }

    #[test]
    fn files_of_other_commands_are_not_looked_at_and_help_shows_no_content() {
        let missing = [("VICKET_ADMIN_URL_FILE", "/nowhere"), ("VICKET_PUBLIC_URL_FILE", "/nowhere")];
        assert!(served(&["--widget-url=x", "--public-url=https://a.example"], &missing).is_ok());
        assert!(parsed(&["openapi", "support"], &missing).is_ok());
        let admin = ["user", "--admin-url=x", "list"];
        assert!(parsed(&admin, &missing).is_ok(), "only `invite` takes a public URL");
        let dir = Dir::new("help");
        let file = dir.write("url", "x://hunter2");
        let help = served(&["--help"], &[("VICKET_WIDGET_URL_FILE", &file)]).err().expect("help");
        assert!(help.contains("--widget-url") && !help.contains("hunter2"), "{help}");
        // A mistake beside it says what it always did.
        let said = served(&["--no-such"], &[("VICKET_WIDGET_URL_FILE", &file)]).err().expect("refused");
        assert!(said.contains("--no-such") && !said.contains("hunter2"), "{said}");
    }

    /// Which settings may be files is said by their names; a new secret must have such a name.
    #[test]
    fn every_setting_that_holds_a_url_or_a_password_may_be_a_file() {
        fn variables(command: &Command, found: &mut Vec<String>) {
            let named = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
            found.extend(named);
            command.get_subcommands().for_each(|command| variables(command, found));
        }
        let mut all = Vec::new();
        variables(&Cli::command(), &mut all);
        assert!(all.iter().filter(|name| may_be_a_file(name)).count() >= 8, "{all:?}");
        for word in ["URL", "PASSWORD", "SECRET", "TOKEN"] {
            for name in all.iter().filter(|name| name.contains(word) && !name.ends_with("_FILE")) {
                assert!(may_be_a_file(name), "{name}");
            }
        }
    }
}
