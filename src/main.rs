//! The program `lookhear`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    lookhear::cli::main(std::env::args_os())
}
