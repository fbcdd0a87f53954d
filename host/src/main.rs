//! The `switchboard` command: reads the command line, runs one command, and ends with its exit code.

use std::process::ExitCode;

use clap::Parser;

mod cli;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::execute(arguments) {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.code.into()
        }
    }
}
