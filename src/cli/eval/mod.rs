//! `lookhear eval`: how good a model is, on material whose truth is known. One file a kind of measurement.

mod clips;
mod confusion;
mod curve;
mod detector;
mod judge;
mod keywords;
mod on_threads;
mod photos;
mod shared_classes;
mod spoken;
mod stream;
mod sweep;
mod truth;

use std::io::{self, StdoutLock, Write};

use clap::Subcommand;
use serde::Serialize;

/// The arguments of `lookhear eval`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures a detector on photos with marked boxes: COCO's average precision
    Detector(detector::Args),
    /// Measures a spotter on recorded clips of single words: accuracy, and what is taken for what
    Keywords(keywords::Args),
    /// Measures a spotter on a stream with known words: misses, false accepts an hour, delay
    Stream(stream::Args),
}

/// Runs the command.
///
/// # Errors
/// Those of the kind of model.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Detector(args) => detector::run(args),
        Command::Keywords(args) => keywords::run(args),
        Command::Stream(args) => stream::run(args),
    }
}

/// Prints a report: for programs as one JSON object, for people as text.
fn print<R: Serialize>(
    report: &R,
    json: bool,
    as_text: impl FnOnce(&mut StdoutLock<'static>, &R) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
    } else {
        as_text(&mut stdout, report)?;
    }
    Ok(())
}
