//! `lookhear config show`: the configuration that holds, and whence each value comes.
//!
//! ```text
//! $ LOOKHEAR_OBJECTS_THRESHOLD=0.5 lookhear config show
//! [camera]
//! source = "auto"               # default
//! …
//! [objects]
//! threshold = 0.5               # from LOOKHEAR_OBJECTS_THRESHOLD
//! ```

use std::io::Write;
use std::path::PathBuf;

use crate::config::{Layers, Loaded};

/// The arguments of `lookhear config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Prints every value with its origin: flag, environment, file, `bench --save` or default
    Show {
        /// The configuration file [default: lookhear.toml here, in ~/.config/lookhear or in /etc/lookhear]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the configuration.
pub fn run(args: Args) -> anyhow::Result<()> {
    let ConfigCommand::Show { config } = args.command;
    let loaded: Loaded = Layers::new(config.as_deref())?.decide()?;
    std::io::stdout().write_all(loaded.show()?.as_bytes())?;
    Ok(())
}
