//! `lookhear eval keywords`: how often a spotter recognises single words, on recorded clips.
//!
//! ```text
//! $ lookhear eval keywords --model models/keywords --data validation
//! 1658 clips
//! taken for unknown, since the model does not know them: backward, bed, bird, …
//!
//! accuracy           0.966   0.956 to 0.974 with 95 % confidence
//! balanced accuracy  0.965   each label with equal weight
//!
//! label    clips  right  recall  precision
//! unknown    228    216   0.947      0.871
//! yes        200    198   0.990      1.000
//! …
//! answers   silence  unknown  yes  no  up  down  left  right  on  off  stop  go
//! unknown         0      216    0   4   1     1     0      1   1    1     1   2
//! …
//! ```
//! The folder holds a folder for each word, as Google's Speech Commands does: its name is the truth. Names of no label of
//! the bundle count as `unknown`; `_background_noise_` is left out. An answer is the label with the highest score of the
//! model alone, over the clip's first second, with nothing smoothed: how commands are found in a stream is measured by
//! `lookhear eval stream`. A shorter clip is filled up with silence at its end, as the recipe does it in training.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use super::clips::Clips;
use super::confusion::Confusion;
use super::on_threads::{on_threads, thread_count};
use crate::cli::intervals::{Interval, share_95};
use crate::cli::progress;
use crate::config::find_data;
use crate::findings::Label;
use crate::microphone::SoundFile;
use crate::model::{Bundle, trial};
use crate::speech::ClipScorer;

/// The arguments of `lookhear eval keywords`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle of the spotter: a folder, or a model file
    #[arg(long, value_name = "BUNDLE", default_value = "models/keywords")]
    model: PathBuf,
    /// The clips: a folder for each word, with WAV or FLAC files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Writes what the model made of each clip, a JSON object a line
    #[arg(long, value_name = "FILE")]
    clips: Option<PathBuf>,
    /// How many clips are looked at at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: Option<u8>,
    /// Prints one JSON object, with everything
    #[arg(long)]
    json: bool,
}

/// Runs the command. Clips that cannot be read are named, and the numbers are of the others.
///
/// # Errors
/// Why bundle or clips cannot be used; or, after everything is printed, that some clips could not be read.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bundle = Bundle::open(&find_data(&args.model))?;
    trial::ensure(&bundle)?;
    let clips = Clips::find(&args.data, &bundle.labels)?;
    let answers = answers(&bundle, &clips.files, args.threads)?;
    if let Some(path) = &args.clips {
        write_clips(path, &bundle.labels, &clips.files, &answers).with_context(|| {
            format!("Cannot write {}: check that its folder is there and has room.", path.display())
        })?;
    }
    let report = Report::new(&args, &bundle.labels, clips, answers);
    super::print(&report, args.json, as_text)?;
    match (report.unreadable.len(), report.clips) {
        (0, _) => Ok(()),
        (_, 0) => bail!("No clip could be read."),
        (unreadable, clips) => {
            bail!("{unreadable} of {} clips could not be read; the numbers are of the others.", clips + unreadable)
        }
    }
}

/// What the model made of a clip.
struct Answer {
    scores: Vec<f32>,
    /// The label with the highest score.
    label: usize,
    is_cut: bool,
}

/// What came of a clip: an answer, or why there is none.
type Outcome = Result<Answer, String>;

fn answers(bundle: &Bundle, files: &[(PathBuf, usize)], threads: Option<u8>) -> anyhow::Result<Vec<Outcome>> {
    let progress = progress::bar(files.len(), "clips");
    let equip = || Ok((ClipScorer::new(bundle)?, Vec::new()));
    let threads = thread_count(threads.map(usize::from), files.len());
    let answers = on_threads(threads, files, equip, |(scorer, samples), (path, _)| {
        progress.inc(1);
        match first_samples_into(samples, path, scorer.window_samples() + 1) {
            Err(error) => Ok(Err(error.to_string())),
            Ok(()) => {
                let is_cut = samples.len() > scorer.window_samples();
                let scores = scorer.score(samples)?.to_vec();
                Ok(Ok(Answer { label: best(&scores), scores, is_cut }))
            }
        }
    });
    progress.finish_and_clear();
    answers
}

/// Reads the first `most` samples of a file, or all if it has fewer: of a film mistaken for a clip, no more is decoded.
fn first_samples_into(samples: &mut Vec<f32>, path: &Path, most: usize) -> anyhow::Result<()> {
    samples.clear();
    let mut file = SoundFile::open(path)?;
    while samples.len() < most && file.read_into(samples)? {}
    samples.truncate(most);
    if samples.is_empty() {
        bail!("Cannot read {}: it has no samples; record it anew.", path.display());
    }
    Ok(())
}

/// The first of the highest scores, as NumPy's `argmax` has it; what is no number is none.
fn best(scores: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (label, score) in scores.iter().enumerate() {
        if *score > best.1 {
            best = (label, *score);
        }
    }
    best.0
}

fn write_clips(path: &Path, labels: &[Label], files: &[(PathBuf, usize)], answers: &[Outcome]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        file: String,
        truth: &'a str,
        answer: &'a str,
        scores: &'a [f32],
    }
    let mut to = BufWriter::new(File::create(path)?);
    for ((file, truth), answer) in files.iter().zip(answers) {
        let Ok(Answer { label, scores, .. }) = answer else { continue };
        let file = file.display().to_string();
        serde_json::to_writer(&mut to, &Line { file, truth: &labels[*truth], answer: &labels[*label], scores })?;
        writeln!(to)?;
    }
    to.flush()
}

/// What is printed. Shares are 0…1, and `null` where there is nothing to measure.
#[derive(Serialize)]
struct Report {
    model: String,
    data: String,
    /// Clips that were looked at.
    clips: usize,
    /// Of these, those longer than the model's window: only their beginning counts.
    clips_cut: usize,
    /// Why clips could not be read: sentences that name them.
    unreadable: Vec<String>,
    folders_taken_for_unknown: Vec<String>,
    folders_left_out: Vec<String>,
    right: usize,
    accuracy: Option<f64>,
    accuracy_95: Option<Interval>,
    balanced_accuracy: Option<f64>,
    labels: Vec<LabelLine>,
}

#[derive(Serialize)]
struct LabelLine {
    label: Label,
    clips: usize,
    right: usize,
    recall: Option<f64>,
    recall_95: Option<Interval>,
    precision: Option<f64>,
    /// How often each label was answered, in the order of the labels: a row of the confusion matrix.
    answers: Vec<usize>,
}

impl Report {
    fn new(args: &Args, labels: &[Label], clips: Clips, answers: Vec<Outcome>) -> Self {
        let mut confusion = Confusion::new(labels.len());
        let (mut unreadable, mut clips_cut) = (Vec::new(), 0);
        for ((_, truth), answer) in clips.files.iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    confusion.add(*truth, answer.label);
                    clips_cut += usize::from(answer.is_cut);
                }
                Err(reason) => unreadable.push(reason),
            }
        }
        let line = |(label, (name, row)): (usize, (&Label, &[usize]))| LabelLine {
            label: name.clone(),
            clips: confusion.clips_of(label),
            right: confusion.right_of(label),
            recall: confusion.recall(label),
            recall_95: share_95(confusion.right_of(label), confusion.clips_of(label)),
            precision: confusion.precision(label),
            answers: row.to_vec(),
        };
        Self {
            model: args.model.display().to_string(),
            data: args.data.display().to_string(),
            clips: confusion.clips(),
            clips_cut,
            unreadable,
            folders_taken_for_unknown: clips.taken_for_unknown,
            folders_left_out: clips.left_out,
            right: confusion.right(),
            accuracy: confusion.accuracy(),
            accuracy_95: share_95(confusion.right(), confusion.clips()),
            balanced_accuracy: confusion.balanced_accuracy(),
            labels: labels.iter().zip(confusion.rows()).enumerate().map(line).collect(),
        }
    }
}

/// Unreadable clips that are named for people; all are in the JSON.
const NAMED: usize = 10;

fn as_text(to: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(to, "{} clips", report.clips)?;
    if !report.folders_taken_for_unknown.is_empty() {
        let folders = report.folders_taken_for_unknown.join(", ");
        writeln!(to, "taken for unknown, since the model does not know them: {folders}")?;
    }
    if !report.folders_left_out.is_empty() {
        writeln!(to, "left out, since they are of no label: {}", report.folders_left_out.join(", "))?;
    }
    if report.clips_cut > 0 {
        writeln!(to, "{} of them are longer than the model's window: only their beginning counts", report.clips_cut)?;
    }
    for reason in report.unreadable.iter().take(NAMED) {
        writeln!(to, "{reason}")?;
    }
    if report.unreadable.len() > NAMED {
        writeln!(to, "… and {} more that cannot be read (--json names them)", report.unreadable.len() - NAMED)?;
    }
    let (Some(accuracy), Some(Interval { low, high })) = (report.accuracy, report.accuracy_95) else { return Ok(()) };
    writeln!(to, "\naccuracy           {accuracy:.3}   {low:.3} to {high:.3} with 95 % confidence")?;
    writeln!(to, "balanced accuracy  {}   each label with equal weight", shown(report.balanced_accuracy))?;
    tables(to, &report.labels)
}

/// The numbers of each label, and what was answered for what.
fn tables(to: &mut impl Write, labels: &[LabelLine]) -> io::Result<()> {
    let length = |line: &LabelLine| line.label.chars().count();
    let widest = labels.iter().map(length).max().unwrap_or(0).max("answers".len());
    writeln!(to, "\n{:widest$}  clips  right  recall  precision", "label")?;
    let with_clips = || labels.iter().filter(|line| line.clips > 0);
    for line in with_clips() {
        let LabelLine { label, clips, right, recall, precision, .. } = line;
        writeln!(to, "{label:widest$}  {clips:5}  {right:5}   {}      {}", shown(*recall), shown(*precision))?;
    }
    let digits = |column: usize| with_clips().map(|line| line.answers[column].to_string().len()).max().unwrap_or(1);
    let widths: Vec<usize> = labels.iter().enumerate().map(|(column, line)| length(line).max(digits(column))).collect();
    write!(to, "\n{:widest$}", "answers")?;
    for (line, width) in labels.iter().zip(&widths) {
        write!(to, "  {:>width$}", line.label)?;
    }
    writeln!(to)?;
    for line in with_clips() {
        write!(to, "{:widest$}", line.label)?;
        for (count, width) in line.answers.iter().zip(&widths) {
            write!(to, "  {count:width$}")?;
        }
        writeln!(to)?;
    }
    Ok(())
}

fn shown(share: Option<f64>) -> String {
    share.map_or("    –".to_owned(), |share| format!("{share:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_scores_is_the_answer_and_what_is_no_number_is_none() {
        assert_eq!(best(&[0.1, 0.4, 0.4]), 1);
        assert_eq!(best(&[f32::NAN, 0.0, 0.2]), 2);
        assert_eq!(best(&[f32::NAN]), 0);
    }
}
