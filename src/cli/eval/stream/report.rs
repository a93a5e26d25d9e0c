//! What is printed of a measured stream, for programs and for people.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::{Heard, Measured, Truth, hours};
use crate::cli::eval::judge::Verdict;
use crate::cli::eval::sweep::{AtRate, Performance, Point, at_rate};
use crate::cli::intervals::{Interval, percentile};
use crate::findings::Label;

/// The rates of false accepts an hour at which misses are told.
const RATES: [f64; 3] = [1.0, 0.5, 0.1];

/// What is printed. Shares are 0…1, and `null` where there is nothing to measure.
#[derive(Serialize)]
pub(super) struct Report {
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
    /// Counts what each word's reports are, and lists what went wrong.
    pub fn new(model: &Path, labels: &[Label], truths: &[Truth], heard: &[Heard], measured: Measured) -> Self {
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

/// Prints a report for people.
pub(super) fn as_text(to: &mut impl Write, report: &Report) -> io::Result<()> {
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
    writeln!(to, "\nWith all thresholds raised or lowered together, the best of {} ways:", report.sweep.len())?;
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
                    "missed {missed}; thresholds about {threshold:.2}, {count} false accepts: {low:.2} to {high:.2} an hour"
                )?;
            }
            None if *needs_hours > report.hours_without_commands => {
                let length = length(report.hours_without_commands);
                writeln!(to, "not claimed: needs {needs_hours:.0} h without commands, this is {length}")?;
            }
            None => writeln!(to, "no thresholds keep it")?,
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
