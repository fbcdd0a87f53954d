//! The `switchboard` command: reads the command line, runs one command, and ends with its exit code.

use std::process::ExitCode;

use clap::Parser;
use switchboard::app::output;

mod cli;

fn main() -> ExitCode {
    let _farewell = output::Farewell;
    let arguments = cli::Arguments::parse();
    let code = cli::execute(arguments).unwrap_or_else(|failure| {
        output::stderr().say(&failure);
        failure.code
    });
    code.into()
}
