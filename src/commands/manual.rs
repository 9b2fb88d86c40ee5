//! `vicket completions` and `vicket man`: what shells and manuals know of the commands, made of the commands themselves.

use std::{fs, io::Write as _, path::Path};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;

/// # Errors
/// When standard output takes nothing.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    // Not at once to standard output: a reader that went away would be a panic.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vicket", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

/// The page of the program; or, in `dir`, one for each command.
///
/// # Errors
/// When they cannot be written.
pub fn pages(dir: Option<&Path>) -> anyhow::Result<()> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return Ok(std::io::stdout().write_all(&page)?);
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .with_context(|| format!("cannot write to {}", dir.display()))
}
