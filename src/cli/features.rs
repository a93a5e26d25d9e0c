//! `lookhear features`: computes what a spotter hears, as numbers and as a picture.
//!
//! ```text
//! $ lookhear features --kind log-mel --png yes.png tests/data/keywords/yes.wav
//! tests/data/keywords/yes.wav  log-mel  98 columns × 80 rows  -7.54 … 2.59
//! ```
//! - `spectrogram`: magnitudes of 257 frequencies from 0 to 8 kHz (in the picture, in decibels)
//! - `log-mel`: natural logarithm of the energies in 80 mel bands from 80 to 7600 Hz
//! - `mfcc`: 13 coefficients of the mel cepstrum
//!
//! A column is made of 30 ms of sound, every 10 ms. `--npy` writes them as NumPy reads them: float32, time first. In the
//! picture time runs to the right, low frequencies lie at the bottom, and a bar shows which colour is which value.

mod heat_map;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::microphone::read_file;
use crate::model::{Feature, FrontEnd};
use crate::speech::{DEFAULT_FRONT_END, FeatureExtractor};
use heat_map::HeatMap;

/// The arguments of `lookhear features`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to compute
    #[arg(long, value_enum)]
    kind: Kind,
    /// The sound file
    #[arg(value_name = "WAV")]
    file: PathBuf,
    /// Writes the numbers as a NumPy array
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
    /// Draws them as a heat map
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// Magnitudes of all frequencies
    Spectrogram,
    /// Logarithms of mel bands
    LogMel,
    /// Mel cepstrum
    Mfcc,
}

impl Kind {
    fn feature(self) -> Feature {
        match self {
            Self::Spectrogram => Feature::Spectrogram,
            Self::LogMel => Feature::LogMel,
            Self::Mfcc => Feature::Mfcc,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Spectrogram => "spectrogram",
            Self::LogMel => "log-mel",
            Self::Mfcc => "mfcc",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Why the sound cannot be read or a file not be written.
pub fn run(args: Args) -> anyhow::Result<()> {
    let samples = read_file(&args.file)?;
    let front_end = FrontEnd { feature: args.kind.feature(), ..DEFAULT_FRONT_END };
    let mut extractor = FeatureExtractor::new(&front_end)?;
    let (columns, rows) = (extractor.columns(&samples), extractor.rows());
    if columns.is_empty() {
        bail!(
            "Cannot compute features of {}: it is shorter than one window (30 ms); record more.",
            args.file.display()
        );
    }
    let (low, high) =
        columns.iter().fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    let (file, kind, count) = (args.file.display(), args.kind.name(), columns.len() / rows);
    println!("{file}  {kind}  {count} columns × {rows} rows  {low:.2} … {high:.2}");
    if let Some(path) = &args.npy {
        let write = || npy_into(BufWriter::new(File::create(path)?), &columns, rows);
        write().with_context(|| not_written(path))?;
    }
    if let Some(path) = &args.png {
        let picture = HeatMap::of(args.kind.feature(), columns, rows, &front_end).draw()?;
        picture.save_with_format(path, image::ImageFormat::Png).with_context(|| not_written(path))?;
    }
    Ok(())
}

fn not_written(path: &Path) -> String {
    format!("Cannot write {}: check that its folder is there and has room.", path.display())
}

/// Writes a two-dimensional array in NumPy's format 1.0
/// (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
fn npy_into(mut to: impl Write, values: &[f32], columns: usize) -> io::Result<()> {
    let rows = values.len() / columns;
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic, version, the header's length and the header fill a multiple of 64 bytes; the last is a line's end.
    let filled = (10 + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', filled - 11 - header.len()));
    header.push('\n');
    to.write_all(b"\x93NUMPY\x01\x00")?;
    to.write_all(&(header.len() as u16).to_le_bytes())?;
    to.write_all(header.as_bytes())?;
    for value in values {
        to.write_all(&value.to_le_bytes())?;
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_written_as_numpy_writes_it() {
        let golden = std::fs::read("tests/data/speech/sounds_logmel40.npy").expect("made by numpy");
        let start = 10 + usize::from(u16::from_le_bytes([golden[8], golden[9]]));
        let values: Vec<f32> =
            golden[start..].as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        let mut ours = Vec::new();
        npy_into(&mut ours, &values, 40).expect("memory");
        assert!(ours == golden, "{:?}", String::from_utf8_lossy(&ours[..start]));
    }
}
