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
//! The model runs once; then other thresholds, one for all words, are tried on the scores that were kept (`--plot`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indicatif::ProgressBar;
use serde::Serialize;

use super::clips::label_called;
use super::curve;
use super::intervals::{Interval, percentile};
use super::judge::{Reported, Script, Spoken, Tally, Verdict};
use super::on_threads::{on_threads, thread_count};
use super::spoken::{Row, read_rows};
use super::sweep::{AtRate, Looks, Performance, Point, at_rate, sweep};
use crate::cli::progress;
use crate::config::find_data;
use crate::findings::Label;
use crate::microphone::SoundFile;
use crate::model::{Bundle, trial};
use crate::speech::{DecisionSettings, KeywordsConfig, Spotter};

/// The rates of false accepts an hour at which misses are told.
const RATES: [f64; 3] = [1.0, 0.5, 0.1];

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
    if let Some(path) = args.plot.as_deref().filter(|path| !path.extension().is_some_and(|end| end == "svg")) {
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
    let mut stdout = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &report)?;
        writeln!(stdout)?;
    } else {
        as_text(&mut stdout, &report)?;
    }
    Ok(())
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

/// What is printed. Shares are 0…1, and `null` where there is nothing to measure.
#[derive(Serialize)]
struct Report {
    model: String,
    streams: Vec<StreamLine>,
    /// Time outside of the windows of commands, which rates are given for.
    hours_without_commands: f64,
    spoken: usize,
    #[serde(flatten)]
    shipped: Performance,
    /// From the end of a word to its report.
    delay_s: Delays,
    words: Vec<WordLine>,
    /// Rows of the truth that are no commands of the model, by label.
    no_commands: BTreeMap<String, usize>,
    at_rates: Vec<AtRate>,
    sweep: Vec<Point>,
    mistakes: Vec<Mistake>,
}

#[derive(Serialize)]
struct StreamLine {
    audio: String,
    hours: f64,
    spoken: usize,
}

#[derive(Default, Serialize)]
struct Delays {
    p10: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
}

/// What happened to one command.
#[derive(Serialize)]
struct WordLine {
    label: Label,
    spoken: usize,
    hits: usize,
    /// Reports of it in the window of another.
    wrong_words: usize,
    /// Reports of it where no command was spoken.
    false_accepts: usize,
}

#[derive(Serialize)]
struct Mistake {
    audio: String,
    /// When it was reported, or, of a missed word, when it begins.
    time_s: f64,
    kind: &'static str,
    /// What was reported; `null` if nothing was.
    reported: Option<Label>,
    /// What was spoken; `null` if the truth has nothing there.
    spoken: Option<String>,
    /// The smoothed score of what was reported.
    score: Option<f32>,
}

impl Report {
    fn new(model: &Path, labels: &[Label], truths: &[Truth], heard: &[Heard], measured: Measured) -> Self {
        let Measured { hours: hours_without_commands, verdicts, shipped, points } = measured;
        let streams = truths.iter().zip(heard).map(|(truth, heard)| StreamLine {
            audio: truth.audio.display().to_string(),
            hours: hours(heard.length_s),
            spoken: truth.script.spoken().len(),
        });
        let judged = || truths.iter().zip(heard).zip(&verdicts);
        let mut delays: Vec<f64> = verdicts.iter().flatten().filter_map(delay_of).collect();
        delays.sort_by(f64::total_cmp);
        let mut words: Vec<WordLine> = labels.iter().cloned().map(WordLine::new).collect();
        for ((truth, heard), verdicts) in judged() {
            truth.script.spoken().iter().for_each(|spoken| words[spoken.label].spoken += 1);
            for (reported, verdict) in heard.reported.iter().zip(verdicts) {
                words[reported.label].add(verdict);
            }
        }
        words.retain(|line| line.spoken + line.false_accepts + line.wrong_words > 0);
        let mut no_commands = BTreeMap::new();
        for row in truths.iter().flat_map(|truth| &truth.others) {
            *no_commands.entry(row.label.clone()).or_default() += 1;
        }
        Self {
            model: model.display().to_string(),
            streams: streams.collect(),
            hours_without_commands,
            spoken: truths.iter().map(|truth| truth.script.spoken().len()).sum(),
            shipped,
            delay_s: Delays {
                p10: percentile(&delays, 0.1),
                p50: percentile(&delays, 0.5),
                p90: percentile(&delays, 0.9),
            },
            words,
            no_commands,
            at_rates: RATES.map(|rate| at_rate(rate, &points, hours_without_commands)).to_vec(),
            sweep: points,
            mistakes: judged()
                .flat_map(|((truth, heard), verdicts)| mistakes(truth, heard, verdicts, labels))
                .collect(),
        }
    }
}

fn delay_of(verdict: &Verdict) -> Option<f64> {
    match verdict {
        Verdict::Hit { delay_s, .. } => Some(*delay_s),
        _ => None,
    }
}

impl WordLine {
    fn new(label: Label) -> Self {
        Self { label, spoken: 0, hits: 0, wrong_words: 0, false_accepts: 0 }
    }

    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Hit { .. } => self.hits += 1,
            Verdict::Repeat { .. } => {}
            Verdict::Wrong { .. } => self.wrong_words += 1,
            Verdict::FalseAccept => self.false_accepts += 1,
        }
    }
}

/// All that went wrong in a stream, in the order of time.
fn mistakes(truth: &Truth, heard: &Heard, verdicts: &[Verdict], labels: &[Label]) -> Vec<Mistake> {
    let audio = truth.audio.display().to_string();
    let spoken = truth.script.spoken();
    let name = |number: usize| labels[spoken[number].label].to_string();
    let mut is_hit = vec![false; spoken.len()];
    let mut found = Vec::new();
    for (reported, verdict) in heard.reported.iter().zip(verdicts) {
        let (kind, spoken) = match verdict {
            Verdict::Hit { spoken, .. } => {
                is_hit[*spoken] = true;
                continue;
            }
            Verdict::Repeat { spoken } => ("repeat", Some(name(*spoken))),
            Verdict::Wrong { spoken } => ("wrong word", Some(name(*spoken))),
            Verdict::FalseAccept => ("false accept", truth.other_at(reported.decided_s)),
        };
        let (reported_as, score) = (Some(labels[reported.label].clone()), Some(reported.score));
        let (audio, time_s) = (audio.clone(), reported.decided_s);
        found.push(Mistake { audio, time_s, kind, reported: reported_as, spoken, score });
    }
    for number in (0..spoken.len()).filter(|number| !is_hit[*number]) {
        let (audio, time_s, spoken) = (audio.clone(), spoken[number].start_s, Some(name(number)));
        found.push(Mistake { audio, time_s, kind: "missed", reported: None, spoken, score: None });
    }
    found.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
    found
}

impl Truth {
    /// What was spoken at a time, or up to a second before, that is no command.
    fn other_at(&self, time_s: f64) -> Option<String> {
        let row = self.others.iter().find(|row| row.start_s <= time_s && time_s <= row.end_s + 1.0)?;
        Some(row.label.clone())
    }
}

fn as_text(to: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { streams, hours_without_commands, spoken, shipped, .. } = report;
    let widest = streams.iter().map(|line| line.audio.chars().count()).max().unwrap_or(0);
    for StreamLine { audio, hours, spoken } in streams {
        let (length, command) = (length(*hours), if *spoken == 1 { "command" } else { "commands" });
        writeln!(to, "{audio:widest$}  {length:>8}  {spoken} {command}")?;
    }
    writeln!(to, "{} without commands", length(*hours_without_commands))?;
    if !report.no_commands.is_empty() {
        let named: Vec<String> = report.no_commands.iter().map(|(label, count)| format!("{label} ({count})")).collect();
        writeln!(to, "no commands of the model: {}", named.join(", "))?;
    }
    writeln!(to)?;
    if let Some((rate, Interval { low, high })) = shipped.miss_rate.zip(shipped.miss_rate_95) {
        let heard = Percent(1.0 - rate, 1.0 - high, 1.0 - low);
        writeln!(to, "heard          {:6}   {heard} with 95 % confidence", shipped.hits)?;
        writeln!(to, "missed         {:6}   {}", shipped.misses, Percent(rate, low, high))?;
    }
    writeln!(to, "wrong words    {:6}", shipped.wrong_words)?;
    writeln!(to, "repeats        {:6}", shipped.repeats)?;
    write!(to, "false accepts  {:6}", shipped.false_accepts)?;
    match shipped.false_accepts_an_hour.zip(shipped.false_accepts_an_hour_95) {
        Some((rate, Interval { low, high })) => writeln!(to, "   {rate:.2} an hour   {low:.2} to {high:.2}")?,
        None => writeln!(to)?,
    }
    if let Delays { p10: Some(p10), p50: Some(p50), p90: Some(p90) } = report.delay_s {
        let delays = format!("{p10:.2} s, {p50:.2} s, {p90:.2} s (10 %, median, 90 %)");
        writeln!(to, "delay from the end of a word to its report: {delays}")?;
    }
    if *spoken > 0 {
        at_rates(to, report)?;
    }
    words(to, &report.words)
}

fn at_rates(to: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(to, "\nWith one threshold for all words, the best of {}:", report.sweep.len())?;
    for AtRate { false_accepts_an_hour_at_most: rate, needs_hours, best } in &report.at_rates {
        write!(to, "at most {rate:<3} false accepts an hour: ")?;
        let figures = best.as_ref().and_then(|point| {
            let Performance { miss_rate, miss_rate_95, false_accepts_an_hour_95, .. } = &point.performance;
            Some((point, (*miss_rate)?, (*miss_rate_95)?, (*false_accepts_an_hour_95)?))
        });
        match figures {
            Some((Point { threshold, performance }, missed, of_missed, of_rate)) => {
                let missed = Percent(missed, of_missed.low, of_missed.high);
                let (count, Interval { low, high }) = (performance.false_accepts, of_rate);
                writeln!(
                    to,
                    "missed {missed}; threshold {threshold:.2}, {count} false accepts: {low:.2} to {high:.2} an hour"
                )?;
            }
            None if *needs_hours > report.hours_without_commands => {
                let length = length(report.hours_without_commands);
                writeln!(to, "not claimed: needs {needs_hours:.0} h without commands, this is {length}")?;
            }
            None => writeln!(to, "no threshold keeps it")?,
        }
    }
    Ok(())
}

fn words(to: &mut impl Write, words: &[WordLine]) -> io::Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    let widest = words.iter().map(|line| line.label.chars().count()).max().unwrap_or(0).max("command".len());
    writeln!(to, "\n{:widest$}  spoken  heard  missed  as a wrong word  false accepts", "command")?;
    for WordLine { label, spoken, hits, wrong_words, false_accepts } in words {
        let missed = spoken - hits;
        writeln!(to, "{label:widest$}  {spoken:6}  {hits:5}  {missed:6}  {wrong_words:15}  {false_accepts:13}")?;
    }
    Ok(())
}

/// A length as people say it.
fn length(hours: f64) -> String {
    if hours < 1.0 { format!("{:.1} min", hours * 60.0) } else { format!("{hours:.2} h") }
}

/// A share and its limits, in percent.
struct Percent(f64, f64, f64);

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [share, low, high] = [self.0, self.1, self.2].map(|share| share * 100.0);
        write!(f, "{share:5.1} %   {low:.1} to {high:.1} %")
    }
}
