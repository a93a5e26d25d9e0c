//! `lookhear init`: writes a commented `lookhear.toml`.
//!
//! ```text
//! $ lookhear init
//! Wrote lookhear.toml: every key with its default, commented out.
//! ```

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::config::SAMPLE;

/// The arguments of `lookhear init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to
    #[arg(default_value = "lookhear.toml", value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If the file exists (nothing is overwritten) or cannot be written.
pub fn run(args: Args) -> anyhow::Result<()> {
    let name = args.file.display();
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&args.file) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{name} exists already: remove it first, or name another file.")
        }
        Err(error) => {
            return Err(error).with_context(|| format!("Cannot write {name}: check the folder's permissions."));
        }
    };
    file.write_all(SAMPLE.as_bytes()).with_context(|| format!("Cannot write {name}: is the disk full?"))?;
    println!("Wrote {name}: every key with its default, commented out.");
    Ok(())
}
