//! Shell completions and manual pages, made from the definition of the command line.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::FAILED;
use crate::args::Cli;

/// The program, complete down to the names of its commands.
fn program() -> clap::Command {
    let mut program = Cli::command();
    program.build();
    program
}

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell) -> ExitCode {
    let mut program = program();
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut text);
    print(&text)
}

/// Prints the manual page, in roff, of the program or of one of its commands. `Err`: there is no
/// such command.
pub(crate) fn page(command: Option<&str>) -> Result<ExitCode, String> {
    let program = program();
    let of = match command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| format!("no command {name:?}, see producer help"))?,
    };
    let mut text = Vec::new();
    Man::new(of).render(&mut text).map_err(|error| format!("no page: {error}"))?;
    Ok(print(&text))
}

/// Whoever reads may have seen enough and gone, which is no reason for a message.
fn print(text: &[u8]) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => FAILED.into(),
        Err(error) => {
            eprintln!("producer: {error}");
            FAILED.into()
        }
    }
}
