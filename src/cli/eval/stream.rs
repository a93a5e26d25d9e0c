//! `lookhear eval stream`: how well a spotter finds commands in hours of sound, and how often it hears what nobody said.
//!
//! ```text
//! $ lookhear eval stream --model models/keywords --audio words.wav --truth words.csv --audio talk.wav --truth talk.csv
//! words.wav  1.32 h  1430 commands
//! talk.wav   6.02 h  0 commands
//! 6.53 h without commands
//!
//! heard              1398   97.8 %   96.9 to 98.4 % with 95 % confidence
//! missed               32    2.2 %   1.6 to 3.1 %
//! wrong words           7
//! repeats               2
//! false accepts         4   0.61 an hour   0.17 to 1.57
//! delay from the end of a word to its report: 0.08 s, 0.21 s, 0.39 s (10 %, median, 90 %)
//! …
//! ```
//! The sound is heard by the same spotter and the same decisions as `run`. The truth is a CSV file of rows
//! `start_s,end_s,label`, one for each word, with `#` before comments. A command is heard if it is reported between its
//! start and one second after its end; another command reported there is a wrong word, the same one again a repeat. All
//! that is reported elsewhere is a false accept, also during words that are no commands of the model. Times of reports are
//! those of the decision: `decided_s` in the event log.
//!
//! Several pairs of sound and truth are judged together, such as a stream of words and hours of talk, whose table is empty.
//! Rates are given for the hours outside of the words' windows, with the exact limits of a Poisson distribution. None in T
//! hours only means fewer than 3/T an hour, so that a rate is not claimed below that: 0.1 an hour takes 30 hours.
//!
//! The model runs once; then other thresholds are tried on the scores that were kept (`--plot`): all words' are raised and
//! lowered together, by the same log odds.

mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indicatif::ProgressBar;

use super::clips::label_called;
use super::curve;
use super::judge::{Reported, Script, Spoken, Tally, Verdict};
use super::on_threads::{on_threads, thread_count};
use super::spoken::{Row, read_rows};
use super::sweep::{Looks, Performance, Point, sweep};
use crate::cli::progress;
use crate::config::find_data;
use crate::findings::Label;
use crate::microphone::SoundFile;
use crate::model::{Bundle, trial};
use crate::speech::{DecisionSettings, KeywordsConfig, Spotter};
use report::{Report, as_text};

/// The arguments of `lookhear eval stream`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle of the spotter: a folder, or a model file
    #[arg(long, value_name = "BUNDLE", default_value = "models/keywords")]
    model: PathBuf,
    /// The sound; may be given several times, each time with its --truth
    #[arg(long, value_name = "WAV", required = true)]
    audio: Vec<PathBuf>,
    /// What is spoken in it: CSV rows `start_s,end_s,label`
    #[arg(long, value_name = "CSV", required = true)]
    truth: Vec<PathBuf>,
    /// Draws misses against false accepts for all thresholds
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Prints one JSON object, with everything
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Why bundle, sound or truth cannot be used: a number without one of them would be another.
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.audio.len() != args.truth.len() {
        let (audio, truth) = (args.audio.len(), args.truth.len());
        bail!(
            "There are {audio} --audio and {truth} --truth; give each sound its truth (an empty file if nothing is said)."
        );
    }
    if let Some(path) = args.plot.as_deref().filter(|path| path.extension().is_none_or(|end| end != "svg")) {
        bail!("Cannot draw {}: the picture is an SVG; give it a name that ends in .svg.", path.display());
    }
    let bundle = Bundle::open(&find_data(&args.model))?;
    trial::ensure(&bundle)?;
    let settings = Spotter::new(&KeywordsConfig::default(), &bundle)?.settings().clone();
    let pairs = args.audio.iter().zip(&args.truth);
    let truths = pairs.map(|(audio, truth)| Truth::read(audio, truth, &bundle.labels, &settings));
    let truths: Vec<Truth> = truths.collect::<anyhow::Result<_>>()?;
    let heard = hear_all(&bundle, &truths)?;
    let measured = Measured::new(&truths, &heard, &settings)?;
    if let Some(path) = &args.plot {
        let picture = curve::svg(&bundle.name, &measured.points, &measured.shipped, measured.hours);
        let picture = picture.ok_or_else(|| {
            anyhow!("Cannot draw a curve: it takes spoken commands and time without; add a sound that has them.")
        })?;
        fs::write(path, picture).with_context(|| {
            format!("Cannot write {}: check that its folder is there and has room.", path.display())
        })?;
    }
    let report = Report::new(&args.model, &bundle.labels, &truths, &heard, measured);
    super::print(&report, args.json, as_text)
}

/// What is spoken in a sound file.
struct Truth {
    audio: PathBuf,
    script: Script,
    /// What is no command of the model: whatever is reported there is a false accept.
    others: Vec<Row>,
    /// The last beginning of a row, in seconds.
    last_s: f64,
}

impl Truth {
    fn read(audio: &Path, truth: &Path, labels: &[Label], settings: &DecisionSettings) -> anyhow::Result<Self> {
        let rows = read_rows(truth)?;
        let last_s = rows.iter().map(|row| row.start_s).fold(0.0, f64::max);
        let (mut spoken, mut others) = (Vec::new(), Vec::new());
        for row in rows {
            match label_called(labels, &row.label).filter(|label| settings.thresholds[*label].is_some()) {
                Some(label) => spoken.push(Spoken { start_s: row.start_s, end_s: row.end_s, label }),
                None => others.push(row),
            }
        }
        let truth = Self { audio: audio.to_owned(), script: Script::new(spoken), others, last_s };
        // Hours of hearing would be in vain.
        if let Some(length) = SoundFile::open(audio)?.length() {
            truth.check(length.as_secs_f64())?;
        }
        Ok(truth)
    }

    /// What was spoken at a time, or up to a second before, that is no command.
    fn other_at(&self, time_s: f64) -> Option<String> {
        let row = self.others.iter().find(|row| row.start_s <= time_s && time_s <= row.end_s + 1.0)?;
        Some(row.label.clone())
    }

    /// # Errors
    /// That words are said to be spoken after the end of the sound.
    fn check(&self, length_s: f64) -> anyhow::Result<()> {
        if self.last_s > length_s {
            bail!(
                "The truth about {} has a word at {:.1} s, and the sound ends at {length_s:.1} s; give each sound its own truth.",
                self.audio.display(),
                self.last_s
            );
        }
        Ok(())
    }
}

/// What was heard in a sound file.
struct Heard {
    length_s: f64,
    /// With the bundle's own thresholds.
    reported: Vec<Reported>,
    looks: Looks,
}

fn hear_all(bundle: &Bundle, truths: &[Truth]) -> anyhow::Result<Vec<Heard>> {
    let mut total = Duration::ZERO;
    for truth in truths {
        total += SoundFile::open(&truth.audio)?.length().unwrap_or_default();
    }
    let progress = progress::bar(total.as_secs() as usize, "s of sound");
    let threads = thread_count(None, truths.len());
    let heard = on_threads(
        threads,
        truths,
        || Ok(()),
        |(), truth| {
            let heard = hear(bundle, &truth.audio, &progress)?;
            truth.check(heard.length_s)?;
            Ok(heard)
        },
    );
    progress.finish_and_clear();
    heard
}

/// Hears a file as a stream, and keeps every look.
fn hear(bundle: &Bundle, audio: &Path, progress: &ProgressBar) -> anyhow::Result<Heard> {
    let mut spotter = Spotter::new(&KeywordsConfig::default(), bundle)?;
    let (mut reported, mut looks) = (Vec::new(), Looks::default());
    let labels = spotter.labels().to_vec();
    let mut tell = |look: crate::speech::Look<'_>| {
        looks.push(look.time, look.scores);
        if let Some(keyword) = look.keyword {
            let label = labels.iter().position(|label| *label == keyword.label).expect("one of the spotter's labels");
            reported.push(Reported { decided_s: keyword.decided.as_secs(), label, score: keyword.score });
        }
    };
    let mut file = SoundFile::open(audio)?;
    let (mut samples, mut shown_s) = (Vec::new(), 0);
    let mut more = true;
    while more {
        samples.clear();
        more = file.read_into(&mut samples)?;
        spotter.hear(&samples, &mut tell)?;
        let now_s = spotter.time().as_secs() as u64;
        progress.inc(now_s - shown_s);
        shown_s = now_s;
    }
    let length_s = spotter.time().as_secs();
    spotter.finish(&mut tell)?;
    Ok(Heard { length_s, reported, looks })
}

/// What comes of all streams together.
struct Measured {
    /// Time outside of the windows of commands.
    hours: f64,
    /// One list a stream, one verdict a report.
    verdicts: Vec<Vec<Verdict>>,
    /// With the bundle's own thresholds.
    shipped: Performance,
    points: Vec<Point>,
}

impl Measured {
    fn new(truths: &[Truth], heard: &[Heard], settings: &DecisionSettings) -> anyhow::Result<Self> {
        let mut tally = Tally::default();
        let (mut verdicts, mut outside_s) = (Vec::new(), 0.0);
        for (truth, heard) in truths.iter().zip(heard) {
            let of_stream = truth.script.judge(&heard.reported);
            tally.add(&truth.script, &of_stream);
            verdicts.push(of_stream);
            outside_s += (heard.length_s - truth.script.windows_s(heard.length_s)).max(0.0);
        }
        let hours = hours(outside_s);
        let streams: Vec<_> = truths.iter().zip(heard).map(|(truth, heard)| (&truth.script, &heard.looks)).collect();
        let points = sweep(&streams, settings, hours)?;
        Ok(Self { hours, verdicts, shipped: Performance::new(&tally, hours), points })
    }
}

fn hours(seconds: f64) -> f64 {
    seconds / 3600.0
}
