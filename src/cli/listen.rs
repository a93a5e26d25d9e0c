//! `lookhear listen`: finds spoken commands in sound files.
//!
//! ```text
//! $ lookhear listen --model models/keywords assets/demo/commands.wav
//! assets/demo/commands.wav  28.0 s
//!      1.920 s  yes       0.91
//!   …
//! $ lookhear listen --model models/keywords --json assets/demo/commands.wav
//! {"file":"assets/demo/commands.wav","time_s":1.92,"label":"yes","score":0.9141,"decided_s":2.2}
//! ```
//! Each file is heard as a stream, by the same spotter and the same decisions as `run`. WAV and FLAC files are read
//! directly, all other sound and film by ffmpeg. A time is that of the middle of the word, by estimate. `--verbose` tells
//! how many looks at the last second there were, and in how many of them the activity gate was open.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use crate::config::find_data;
use crate::findings::Keyword;
use crate::media::{MediaTime, SAMPLE_RATE_HZ};
use crate::microphone::read_file;
use crate::model::{Bundle, trial};
use crate::speech::{GainConfig, KeywordsConfig, Look, Spotter};

/// Samples that are heard at once: what a sound card gives in 20 ms.
const BLOCK: usize = 320;

/// The arguments of `lookhear listen`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle of the spotter: a folder, or a model file
    #[arg(long, value_name = "BUNDLE", default_value = "models/keywords")]
    model: PathBuf,
    /// The sound files
    #[arg(value_name = "WAV", required = true)]
    files: Vec<PathBuf>,
    /// Prints one JSON object a command
    #[arg(long)]
    json: bool,
    /// The least score of a command, 0…1 [default: the bundle's]
    #[arg(long, value_name = "X")]
    threshold: Option<f32>,
    /// Raises the sound of a quiet microphone: auto, off, or decibels, -40 to 40
    #[arg(long, value_name = "GAIN", default_value = "auto", allow_hyphen_values = true)]
    gain: GainConfig,
    /// A wake word: other words are told only within five seconds of it
    #[arg(long, value_name = "WORD")]
    listen_after: Option<String>,
    /// Looks at silence too, instead of passing over it
    #[arg(long)]
    no_gate: bool,
}

/// Runs the command. A file that cannot be read is reported at once, and the others are heard all the same.
///
/// # Errors
/// Why the bundle cannot be used; or that some files could not be read.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&find_data(&args.model))?;
    trial::ensure(&bundle)?;
    let config = KeywordsConfig {
        threshold: args.threshold,
        gate: !args.no_gate,
        gain: args.gain,
        listen_after: args.listen_after,
        ..KeywordsConfig::default()
    };
    let mut failed = 0;
    for path in &args.files {
        // A spotter of its own for each: a file knows nothing of the one before.
        let mut spotter = Spotter::new(&config, &bundle)?;
        let heard = read_file(path).map_err(anyhow::Error::from).and_then(|samples| {
            let found = listen(&mut spotter, &samples)?;
            Ok((samples.len(), found))
        });
        match heard {
            Ok((samples, found)) => print(&mut io::stdout().lock(), path, samples, &found, args.json)?,
            Err(error) => {
                // Only the number of these is returned, so this is the one place that tells which and why.
                eprintln!("lookhear: {error}");
                failed += 1;
            }
        }
    }
    if failed == args.files.len() {
        bail!("No file could be heard.");
    }
    if failed > 0 {
        bail!("{failed} of {} files could not be heard; the others were.", args.files.len());
    }
    Ok(())
}

fn listen(spotter: &mut Spotter, samples: &[f32]) -> anyhow::Result<Vec<Keyword>> {
    let (mut found, mut looks, mut active) = (Vec::new(), 0u64, 0u64);
    let mut tell = |look: Look<'_>| {
        looks += 1;
        active += u64::from(look.is_active);
        found.extend(look.keyword);
    };
    for block in samples.chunks(BLOCK) {
        spotter.hear(block, &mut tell)?;
    }
    spotter.finish(&mut tell)?;
    tracing::info!(looks, active, "heard a file");
    Ok(found)
}

fn print(to: &mut impl Write, path: &Path, samples: usize, found: &[Keyword], json: bool) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        file: String,
        time_s: MediaTime,
        #[serde(flatten)]
        keyword: &'a Keyword,
    }
    let file = path.display().to_string();
    if json {
        for keyword in found {
            serde_json::to_writer(&mut *to, &Line { file: file.clone(), time_s: keyword.time, keyword })?;
            writeln!(to)?;
        }
        return Ok(());
    }
    writeln!(to, "{file}  {:.1} s", samples as f64 / f64::from(SAMPLE_RATE_HZ))?;
    for Keyword { label, score, time, .. } in found {
        writeln!(to, "  {:8.3} s  {label:8}  {score:.2}", time.as_secs())?;
    }
    if found.is_empty() {
        writeln!(to, "  nothing")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_printed_for_people_and_for_programs() {
        let found = [Keyword {
            label: "yes".into(),
            score: 0.970_06,
            time: MediaTime::from_nanos(1_800_000_000),
            decided: MediaTime::from_nanos(2_400_000_000),
        }];
        let printed = |found: &[Keyword], json| {
            let mut out = Vec::new();
            print(&mut out, Path::new("a.wav"), 40_000, found, json).expect("memory");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(printed(&found, false), "a.wav  2.5 s\n     1.800 s  yes       0.97\n");
        assert_eq!(printed(&[], false), "a.wav  2.5 s\n  nothing\n");
        let json = "{\"file\":\"a.wav\",\"time_s\":1.8,\"label\":\"yes\",\"score\":0.9701,\"decided_s\":2.4}\n";
        assert_eq!(printed(&found, true), json);
        assert_eq!(printed(&[], true), "");
    }
}
