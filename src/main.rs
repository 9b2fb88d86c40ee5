//! The command line, thin.

use std::process::ExitCode;

use vicket::{
    cli::{self, Command, Surface},
    commands, dev,
    pages::widget,
    scaffold,
};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match cli::secret_files::parse().command {
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => commands::serve::run(*args).await,
        Command::Migrate(args) => match commands::migrate::run(args).await {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Health(args) => commands::health::run(&args).await,
        Command::Openapi { surface } => {
            let document = match surface {
                Surface::Support => vicket::api::support::document(),
                Surface::Agent => vicket::api::agent::document(),
            };
            document.map(|document| print!("{document}"))
        }
        Command::Scaffold(args) => scaffold::run(&args),
        Command::Widget { url, key } => {
            println!("{}\n{}", widget::tag(&url, &key, false), widget::tag(&url, &key, true));
            Ok(())
        }
        Command::Org { admin, command } => commands::org::run(&admin, command).await,
        Command::Site { admin, command } => commands::site::run(&admin, command).await,
        Command::Key { admin, command } => commands::key::run(&admin, command).await,
        Command::User { admin, command } => commands::user::run(&admin, command).await,
        Command::Person { admin, command } => commands::person::run(&admin, command).await,
        Command::MachineKey { admin, command } => commands::machine_key::run(&admin, command).await,
        Command::Audit { args, command } => commands::audit::run(args, command).await,
        Command::Mail { command } => commands::mail::run(command).await,
        Command::Completions { shell } => commands::manual::completions(shell),
        Command::Man { dir } => commands::manual::pages(dir.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vicket: {error:#}");
            ExitCode::FAILURE
        }
    }
}
