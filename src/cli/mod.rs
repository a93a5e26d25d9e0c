//! The command line: one file a command, and the only place that prints errors and picks the exit code.

mod bench;
mod calibrate;
mod config;
mod detect;
mod devices;
mod eval;
mod features;
mod init;
mod intervals;
mod listen;
mod model;
mod progress;
mod record_word;
mod run;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigError;

/// Sees and hears on the device itself: objects in a camera's picture, commands in a microphone's sound.
#[derive(Debug, Parser)]
#[command(name = "lookhear", version, about, max_term_width = 100, after_help = AFTER_HELP)]
struct CommandLine {
    /// Says more: what was decided, and the whole chain of reasons of an error
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Without a command it does `run`, with the first camera and microphone it finds.\n\
                          Exit code: 0 success, 1 failure, 2 usage, 130 after two interrupts.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Watches a camera and listens to a microphone, or to files in their place
    Run(Box<run::Args>),
    /// Finds objects in pictures
    Detect(detect::Args),
    /// Finds spoken commands in sound files
    Listen(listen::Args),
    /// Sets the thresholds of spoken commands by your room and your voice
    Calibrate(calibrate::Args),
    /// Measures how good a model is
    Eval(eval::Args),
    /// Lists the cameras and microphones of this machine
    Devices(devices::Args),
    /// Looks into model bundles
    Model(model::Args),
    /// Measures how fast this machine is, and which way is the fastest here
    Bench(bench::Args),
    /// Computes what a spotter hears: spectrogram, log-mel, MFCC
    Features(features::Args),
    /// Records clips of a word, for a spotter of your own
    RecordWord(record_word::Args),
    /// Shows the configuration that holds, and whence each value comes
    Config(config::Args),
    /// Writes a commented lookhear.toml into the current folder
    Init(init::Args),
    /// The preview's window: a process of its own, because a dying display ends it
    #[command(name = "__window", hide = true)]
    Window,
    /// Loads and runs a model never seen before: a process of its own, because a bad model may end it
    #[command(name = "__try-model", hide = true)]
    TryModel {
        /// The bundle's folder, or a model file
        path: std::path::PathBuf,
    },
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Success = 0,
    Failure = 1,
    Usage = 2,
}

/// Runs the program with `arguments`, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version are "errors" that go to standard output and end well. A closed pipe is no matter.
            let _ = error.print();
            return exit(if error.use_stderr() { Exit::Usage } else { Exit::Success });
        }
    };
    log_to_stderr(line.verbose, matches!(line.command, None | Some(Command::Run(_))));
    let result = match line.command.unwrap_or_else(|| Command::Run(Box::default())) {
        Command::Run(args) => run::run(*args),
        Command::Detect(args) => detect::run(args),
        Command::Listen(args) => listen::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Model(args) => model::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Features(args) => features::run(args),
        Command::RecordWord(args) => record_word::run(args),
        Command::Config(args) => config::run(args),
        Command::Init(args) => init::run(args),
        Command::Window => crate::output::window::run_child().map_err(anyhow::Error::from),
        Command::TryModel { path } => crate::model::trial::run_child(&path).map_err(anyhow::Error::from),
    };
    match result {
        Ok(()) => exit(Exit::Success),
        // `lookhear devices | head` has seen enough.
        Err(error) if is_broken_pipe(&error) => exit(Exit::Success),
        Err(error) => {
            report(&error, line.verbose);
            exit(if error.is::<ConfigError>() { Exit::Usage } else { Exit::Failure })
        }
    }
}

/// Whether the reader of standard output has ended.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind =
        |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}

fn exit(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

/// One sentence on standard error; the chain of reasons for those who ask.
fn report(error: &anyhow::Error, verbose: bool) {
    let mut stderr = std::io::stderr().lock();
    // Nothing is left to do if even standard error is closed.
    let _ = writeln!(stderr, "lookhear: {error}");
    if verbose {
        for cause in error.chain().skip(1) {
            let _ = writeln!(stderr, "  because: {cause}");
        }
    }
}

/// Log lines go to standard error. `LOOKHEAR_LOG` overrides what is logged, in the manner of `RUST_LOG`.
fn log_to_stderr(verbose: bool, long_running: bool) {
    let level = match (verbose, long_running) {
        (true, _) => "lookhear=debug",
        (false, true) => "lookhear=info",
        (false, false) => "lookhear=warn",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOOKHEAR_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    // Whoever set a logger before us, such as a test, keeps it.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .try_init();
}
