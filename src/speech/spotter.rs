//! From samples to keywords: the columns of the last second, a look at them ten times a second, a decision a look.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::{Decider, DecisionSettings};
use super::features::{FeatureExtractor, Framing, FrontEndError};
use super::scorer::{Scorer, TfliteScorer};
use crate::findings::{Keyword, Label};
use crate::media::{MediaTime, SAMPLE_RATE_HZ};
use crate::model::{Bundle, Decision, EngineError, FrontEnd, Task};

/// The spotter's part of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeywordsConfig {
    /// The folder with the model, or `none`. Default: the bundle that comes with lookhear, `models/keywords`.
    pub bundle: PathBuf,
    /// The least smoothed score that makes a command, 0 to 1, of all words. Default: what the bundle's maker measured.
    pub threshold: Option<f32>,
    /// The same for single words, which it overrides; 1 silences a word. Default: none.
    pub thresholds: BTreeMap<String, f32>,
    /// Threads of one inference, 1 to 64. Default: 1, as more only wait for each other in so small a model.
    pub threads: Option<usize>,
}

impl Default for KeywordsConfig {
    fn default() -> Self {
        Self { bundle: PathBuf::from("models/keywords"), threshold: None, thresholds: BTreeMap::new(), threads: None }
    }
}

/// Why no words are spotted.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The bundle's front end makes no sense.
    #[error(transparent)]
    FrontEnd(#[from] FrontEndError),
    /// The engine cannot load or run the model.
    #[error("Cannot listen for words: {0}.")]
    Engine(#[from] EngineError),
    /// The model does not fit what the bundle says of it.
    #[error("Cannot listen for words: the model does not fit its description, as {reason}; export both again.")]
    Model {
        /// What does not fit.
        reason: String,
    },
    /// The bundle is for something else.
    #[error("Cannot listen for words with {}: it is not a bundle for keywords; choose another.", bundle.display())]
    Task {
        /// The bundle's folder.
        bundle: PathBuf,
    },
    /// The configuration names a word that the model does not know.
    #[error("Cannot set a threshold for {word:?}: the model does not know that word; it knows {known}.")]
    Word {
        /// The word.
        word: String,
        /// The nearest known one first.
        known: String,
    },
    /// A threshold is no share.
    #[error("Cannot use the threshold {threshold} of {word}: it must lie between 0 and 1; correct it.")]
    Threshold {
        /// Whose it is.
        word: String,
        /// What was written.
        threshold: f32,
    },
}

/// What was seen in one look at the last second.
#[derive(Debug)]
pub struct Look<'a> {
    /// The end of that second.
    pub time: MediaTime,
    /// The model's scores, one a label.
    pub scores: &'a [f32],
    /// The same, smoothed: what decides.
    pub smoothed: &'a [f32],
    /// The command that was decided.
    pub keyword: Option<Keyword>,
}

/// Samples in, keywords out. No thread, clock or channel; nothing is allocated after it is made.
pub struct Spotter {
    extractor: FeatureExtractor,
    framing: Framing,
    scorer: Box<dyn Scorer>,
    decider: Decider,
    labels: Vec<Label>,
    /// The last columns; the oldest begins at `oldest`.
    window: Vec<f32>,
    oldest: usize,
    scores: Vec<f32>,
    /// Samples of the stream so far, heard and lost.
    position: u64,
    /// Columns since the last gap.
    columns: u64,
    columns_a_look: u64,
    lag: Duration,
}

impl Spotter {
    /// A spotter with the model of a bundle.
    ///
    /// # Errors
    /// [`ListenerError`]: the bundle is for something else, contradicts itself, or does not fit the configuration.
    pub fn new(config: &KeywordsConfig, bundle: &Bundle) -> Result<Self, ListenerError> {
        let Task::Keywords { front_end, decision } = &bundle.task else {
            return Err(ListenerError::Task { bundle: bundle.path.clone() });
        };
        let rows = FeatureExtractor::new(front_end)?.rows();
        let threads = config.threads.unwrap_or(1);
        let scorer = TfliteScorer::new(Arc::clone(&bundle.model), threads, rows, bundle.labels.len())?;
        Self::with_scorer(config, front_end, decision, &bundle.labels, Box::new(scorer))
    }

    /// A spotter whose scores come from elsewhere.
    ///
    /// # Errors
    /// As [`Spotter::new`].
    pub fn with_scorer(
        config: &KeywordsConfig,
        front_end: &FrontEnd,
        decision: &Decision,
        labels: &[Label],
        scorer: Box<dyn Scorer>,
    ) -> Result<Self, ListenerError> {
        let extractor = FeatureExtractor::new(front_end)?;
        let (rows, len) = (extractor.rows(), scorer.window_len());
        if len == 0 || len % rows != 0 || scorer.labels() != labels.len() {
            let reason = format!("a window has {len} values, a column {rows}");
            return Err(ListenerError::Model { reason });
        }
        let thresholds = thresholds(config, decision, labels)?;
        let step_samples = u64::from(decision.step_ms) * u64::from(SAMPLE_RATE_HZ) / 1000;
        let columns_a_look = (step_samples / front_end.step_samples as u64).max(1);
        let look_samples = columns_a_look * front_end.step_samples as u64;
        let window_samples = ((len / rows - 1) * front_end.step_samples + front_end.window_samples) as u64;
        let smoothing = decision.smoothing.clamp(1, MOST_SMOOTHING);
        let duration = |samples: u64| MediaTime::of_count(samples, SAMPLE_RATE_HZ, 1).since_start();
        // One look more than the average reaches back: a low threshold triggers before the word is quite at its end.
        let renewed_after = duration(window_samples + look_samples * smoothing as u64);
        Ok(Self {
            framing: Framing::new(front_end.window_samples, front_end.step_samples),
            extractor,
            scorer,
            decider: Decider::new(DecisionSettings { smoothing, thresholds, renewed_after }),
            labels: labels.to_vec(),
            window: vec![0.0; len],
            oldest: 0,
            scores: vec![0.0; labels.len()],
            position: 0,
            columns: 0,
            columns_a_look,
            lag: WORD_BEFORE_LOOK + duration(look_samples * (smoothing as u64 - 1)) / 2,
        })
    }

    /// By how much a keyword's time, the middle of the word, lies before its decision: an estimate that is the same for
    /// all words, so that keywords are found in the order in which they were spoken.
    ///
    /// A word is seen once its end is in the window, and decided when the average has followed, some half of the
    /// smoothing later.
    pub fn lag(&self) -> Duration {
        self.lag
    }

    /// The words, in the order of the scores.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// How far it has heard.
    pub fn time(&self) -> MediaTime {
        MediaTime::of_count(self.position, SAMPLE_RATE_HZ, 1)
    }

    /// Hears the next samples of the stream, mono at 16 kHz, in a block of any size; tells of every look.
    ///
    /// The first look is one window (a second) after the start or after a gap: what is not heard is not guessed.
    ///
    /// # Errors
    /// [`ListenerError::Engine`] if the model fails.
    pub fn hear(&mut self, samples: &[f32], mut tell: impl FnMut(Look<'_>)) -> Result<(), ListenerError> {
        let (start, mut rest) = (self.position, samples);
        let rows = self.extractor.rows();
        while let Some(window) = self.framing.next_window(&mut rest) {
            self.extractor.column_into(window, &mut self.window[self.oldest..self.oldest + rows]);
            self.oldest = (self.oldest + rows) % self.window.len();
            self.columns += 1;
            self.position = start + (samples.len() - rest.len()) as u64;
            let full = (self.window.len() / rows) as u64;
            if self.columns >= full && (self.columns - full).is_multiple_of(self.columns_a_look) {
                tell(self.look()?);
            }
        }
        self.position = start + samples.len() as u64;
        Ok(())
    }

    fn look(&mut self) -> Result<Look<'_>, ListenerError> {
        let (newer, older) = self.window.split_at(self.oldest);
        self.scorer.score_into([older, newer], &mut self.scores)?;
        let time = self.time();
        let keyword = self.decider.decide(time, &self.scores).map(|decided| Keyword {
            label: self.labels[decided.label].clone(),
            score: decided.score,
            time: (time - self.lag).max(MediaTime::ZERO),
            decided: time,
        });
        Ok(Look { time, scores: &self.scores, smoothed: self.decider.smoothed(), keyword })
    }

    /// Passes over `count` samples that were lost, and forgets what came before: across a gap there is no word.
    pub fn lose(&mut self, count: u64) {
        self.position += count;
        self.columns = 0;
        self.framing.reset();
        self.decider.reset();
    }

    /// Hears silence after the end of a recording, so that a word at its very end is decided as any other.
    ///
    /// # Errors
    /// As [`Spotter::hear`].
    pub fn finish(&mut self, mut tell: impl FnMut(Look<'_>)) -> Result<(), ListenerError> {
        let silence = [0.0; SAMPLE_RATE_HZ as usize / 100];
        for _ in 0..SILENCE_AFTER_END.as_millis() / 10 {
            self.hear(&silence, &mut tell)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Spotter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spotter").field("labels", &self.labels).field("time", &self.time()).finish_non_exhaustive()
    }
}

/// From the middle of a word to the first look that sees it. Of the ten words of `assets/demo/commands.wav`, 0.2 to 0.45 s
/// long, the middle lay 0.16 to 0.33 s before the decision, 0.28 s in the median, 0.1 s of which is the smoothing's.
const WORD_BEFORE_LOOK: Duration = Duration::from_millis(180);
/// A word that ends with the recording lies in the middle of the window half a second later, and the smoothing adds 0.3.
const SILENCE_AFTER_END: Duration = Duration::from_millis(800);
/// Averages over more looks (10 s) would hear nothing: a bound for hostile bundles.
const MOST_SMOOTHING: usize = 100;

/// Labels that stand for no word: those of Google's data set, and what other makers call the same.
const NO_COMMANDS: [&str; 5] = ["silence", "unknown", "background", "background noise", "noise"];

/// Whether a label is a word to be told of.
fn is_command(label: &str) -> bool {
    let label = label.trim_matches('_').to_lowercase();
    !NO_COMMANDS.contains(&label.as_str())
}

/// For each label its threshold: the user's for the word, else the user's for all, else the bundle's in the same order.
fn thresholds(
    config: &KeywordsConfig,
    decision: &Decision,
    labels: &[Label],
) -> Result<Vec<Option<f32>>, ListenerError> {
    let commands = || labels.iter().filter(|label| is_command(label));
    if let Some(word) = config.thresholds.keys().find(|word| commands().all(|label| **label != ***word)) {
        let mut known: Vec<&str> = commands().map(|label| &**label).collect();
        known.sort_by_cached_key(|label| strsim::damerau_levenshtein(label, word));
        return Err(ListenerError::Word { word: word.clone(), known: known.join(", ") });
    }
    let of_label = |label: &Label| {
        let threshold = config.thresholds.get(&**label).copied().or(config.threshold);
        let threshold = threshold.unwrap_or(*decision.thresholds.get(&**label).unwrap_or(&decision.threshold));
        match (0.0..=1.0).contains(&threshold) {
            true => Ok(is_command(label).then_some(threshold)),
            false => Err(ListenerError::Threshold { word: label.to_string(), threshold }),
        }
    };
    labels.iter().map(of_label).collect()
}
