//! From samples to keywords: a look at the last second ten times a second, a decision a look.
//!
//! While the activity gate is closed, a look costs nothing: the decision is told of silence. The samples of the last
//! second are kept, so that the first look after the gate opens sees the whole second, as every other look does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::activity::{ActivityGate, HOP_SAMPLES};
use super::decision::{Decider, DecisionSettings};
use super::features::{FeatureExtractor, Framing, FrontEndError};
use super::gain::{Gain, GainConfig};
use super::scorer::{Scorer, TfliteScorer};
use super::wake_word::WakeWord;
use crate::findings::{Keyword, Label, ShownWord, SoundPicture};
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
    /// Whether silence and steady noise are passed over by the activity gate, which saves nearly all of the work. Default:
    /// yes.
    pub gate: bool,
    /// What raises the sound of a quiet microphone. Default: automatically, by the speech that was heard.
    pub gain: GainConfig,
    /// A word of the model after which alone the others are told. Default: none, all words are told at all times.
    pub listen_after: Option<String>,
    /// For how long after it, and after each word that is told then, in seconds, more than 0 to 3600. Default: 5.
    pub listen_for_s: f64,
    /// Threads of one inference, 1 to 64. Default: 1, as more only wait for each other in so small a model.
    pub threads: Option<usize>,
}

impl Default for KeywordsConfig {
    fn default() -> Self {
        Self {
            bundle: PathBuf::from("models/keywords"),
            threshold: None,
            thresholds: BTreeMap::new(),
            gate: true,
            gain: GainConfig::default(),
            listen_after: None,
            listen_for_s: 5.0,
            threads: None,
        }
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
    /// The configuration names a wake word that the model does not know.
    #[error("Cannot listen after {word:?}: the model does not know that word; it knows {known}.")]
    WakeWord {
        /// The word.
        word: String,
        /// The nearest known one first.
        known: String,
    },
    /// The time after a wake word is none.
    #[error(
        "Cannot listen for {seconds} s after a word: it must be more than 0 s and at most 3600 s; correct listen_for_s."
    )]
    ListenFor {
        /// What was written.
        seconds: f64,
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
    /// Whether the activity gate was open. If not, the model did not run: the scores are those of silence.
    pub is_active: bool,
    /// The features of that second, column after column, the oldest first, in two pieces that follow each other; empty
    /// while the gate is closed.
    pub window: [&'a [f32]; 2],
}

/// Samples in, keywords out. No thread, clock or channel; nothing is allocated after it is made.
pub struct Spotter {
    /// Samples of the stream so far, heard and lost.
    position: u64,
    hop: Framing,
    gate: ActivityGate,
    /// Whether looks are passed over while the gate is closed; the gain needs the gate all the same.
    is_gated: bool,
    gain: Gain,
    /// Cuts the stream into the windows of the looks.
    sound: Framing,
    sight: Sight,
    decider: Decider,
    wake_word: Option<WakeWord>,
    labels: Vec<Label>,
    lag: Duration,
}

/// What is seen of a window of sound: its columns, and their scores.
struct Sight {
    extractor: FeatureExtractor,
    scorer: Box<dyn Scorer>,
    /// The columns of the window, in a ring; the oldest begins at `oldest`.
    columns: Vec<f32>,
    oldest: usize,
    /// How many columns of the ring's end are those of the last window; others have been passed over.
    known: usize,
    columns_a_look: usize,
    scores: Vec<f32>,
    /// The label that stands for silence.
    silence: Option<usize>,
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
        let wake_word = wake_word(config, labels)?;
        let step_samples = u64::from(decision.step_ms) * u64::from(SAMPLE_RATE_HZ) / 1000;
        let columns_a_look = (step_samples / front_end.step_samples as u64).max(1) as usize;
        let look_samples = columns_a_look * front_end.step_samples;
        let window_samples = (len / rows - 1) * front_end.step_samples + front_end.window_samples;
        let smoothing = decision.smoothing.clamp(1, MOST_SMOOTHING);
        let duration = |samples: usize| MediaTime::of_count(samples as u64, SAMPLE_RATE_HZ, 1).since_start();
        // The newest look then sees nothing from before the event, and without it no average reaches its threshold again. One
        // look more, as a low threshold triggers before the word is quite at its end.
        let renewed_after = duration(window_samples + look_samples);
        Ok(Self {
            position: 0,
            hop: Framing::new(HOP_SAMPLES, HOP_SAMPLES),
            gate: ActivityGate::new(window_samples),
            is_gated: config.gate,
            gain: Gain::new(config.gain),
            sound: Framing::new(window_samples, look_samples),
            sight: Sight {
                extractor,
                scorer,
                columns: vec![0.0; len],
                oldest: 0,
                known: 0,
                columns_a_look,
                scores: vec![0.0; labels.len()],
                silence: labels.iter().position(|label| is_silence(label)),
            },
            decider: Decider::new(DecisionSettings { smoothing, thresholds, renewed_after }),
            wake_word,
            labels: labels.to_vec(),
            lag: WORD_BEFORE_LOOK + duration(look_samples * (smoothing - 1)) / 2,
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

    /// A picture of what it hears, empty as yet: it gets each look's window, and of the smoothed scores those of the
    /// labels that have a threshold.
    pub fn sound_picture(&self) -> SoundPicture {
        let step_samples = self.sight.extractor.front_end().step_samples as u64;
        let step = MediaTime::of_count(step_samples, SAMPLE_RATE_HZ, 1).since_start();
        let words = self.labels.iter().zip(&self.settings().thresholds);
        let words = words
            .filter_map(|(label, threshold)| threshold.map(|threshold| ShownWord { label: label.clone(), threshold }));
        SoundPicture::new(self.sight.extractor.rows(), step, words)
    }

    /// What it decides by.
    pub fn settings(&self) -> &DecisionSettings {
        self.decider.settings()
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
        let mut rest = samples;
        while !rest.is_empty() {
            // Hops and windows end where they end, whatever the size of the blocks.
            let count = rest.len().min(self.hop.missing()).min(self.sound.missing());
            let (mut now, later) = rest.split_at(count);
            rest = later;
            self.position += count as u64;
            let mut raised = [0.0; HOP_SAMPLES];
            let raised = &mut raised[..count];
            self.gain.raise_into(now, raised);
            if let Some(hop) = self.hop.next_window(&mut now) {
                self.gate.hear(hop);
                self.gain.follow(&self.gate);
            }
            let time = self.time();
            if let Some(window) = self.sound.next_window(&mut &*raised) {
                let is_active = !self.is_gated || self.gate.is_open();
                self.sight.look(window, is_active)?;
                tell(self.decide(time, is_active));
            }
        }
        Ok(())
    }

    fn decide(&mut self, time: MediaTime, is_active: bool) -> Look<'_> {
        let decided = self.decider.decide(time, &self.sight.scores);
        let told = decided.filter(|decided| match &mut self.wake_word {
            Some(wake_word) => wake_word.admits(decided.label, time),
            None => true,
        });
        let keyword = told.map(|decided| Keyword {
            label: self.labels[decided.label].clone(),
            score: decided.score,
            time: (time - self.lag).max(MediaTime::ZERO),
            decided: time,
        });
        let Sight { columns, oldest, scores, .. } = &self.sight;
        let (newer, older) = columns.split_at(*oldest);
        let window = if is_active { [older, newer] } else { [&[][..]; 2] };
        Look { time, scores, smoothed: self.decider.smoothed(), keyword, is_active, window }
    }

    /// Passes over `count` samples that were lost, and forgets what came before: across a gap there is no word.
    pub fn lose(&mut self, count: u64) {
        self.position += count;
        self.hop.reset();
        self.gate.reset();
        self.gain.reset();
        self.sound.reset();
        self.sight.known = 0;
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

impl Sight {
    /// Scores `window`, of which all but the samples of one look are known from the look before; or passes over it.
    fn look(&mut self, window: &[f32], is_active: bool) -> Result<(), EngineError> {
        // What was seen of the window before, less what has left it since.
        self.known = self.known.saturating_sub(self.columns_a_look);
        if !is_active {
            self.scores.fill(0.0);
            if let Some(silence) = self.silence {
                self.scores[silence] = 1.0;
            }
            return Ok(());
        }
        let front_end = self.extractor.front_end();
        let (window_samples, step_samples, rows) =
            (front_end.window_samples, front_end.step_samples, self.extractor.rows());
        for column in self.known..self.columns.len() / rows {
            let start = column * step_samples;
            let place = self.oldest..self.oldest + rows;
            self.extractor.column_into(&window[start..start + window_samples], &mut self.columns[place]);
            self.oldest = (self.oldest + rows) % self.columns.len();
        }
        self.known = self.columns.len() / rows;
        let (newer, older) = self.columns.split_at(self.oldest);
        self.scorer.score_into([older, newer], &mut self.scores)
    }
}

impl fmt::Debug for Spotter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spotter").field("labels", &self.labels).field("time", &self.time()).finish_non_exhaustive()
    }
}

/// From the middle of a word to the first look that sees it. Of 692 commands in a stream of recordings at 20 dB over noise,
/// the middle lay 0.44 s before the decision in the median, 0.2 s of which is the smoothing's.
const WORD_BEFORE_LOOK: Duration = Duration::from_millis(240);
/// A word that ends with the recording lies in the middle of the window half a second later, and the smoothing adds 0.5.
const SILENCE_AFTER_END: Duration = Duration::from_secs(1);
/// Averages over more looks (10 s) would hear nothing: a bound for hostile bundles.
const MOST_SMOOTHING: usize = 100;

/// The time after a wake word is no longer than an hour: who wants longer wants none.
const LONGEST_LISTEN_FOR_S: f64 = 3600.0;

/// Labels that stand for silence: that of Google's data set, and what other makers call the same.
const SILENCE: [&str; 4] = ["silence", "background", "background noise", "noise"];
/// The label for every other word.
const UNKNOWN: &str = "unknown";

fn is_silence(label: &str) -> bool {
    SILENCE.contains(&label.trim_matches('_').to_lowercase().as_str())
}

/// Whether a label is a word to be told of.
fn is_command(label: &str) -> bool {
    !is_silence(label) && label.trim_matches('_').to_lowercase() != UNKNOWN
}

/// The commands among `labels`, that nearest to `word` first.
fn nearest_commands(word: &str, labels: &[Label]) -> String {
    let mut known: Vec<&str> = labels.iter().map(|label| &**label).filter(|label| is_command(label)).collect();
    known.sort_by_cached_key(|label| strsim::damerau_levenshtein(label, word));
    known.join(", ")
}

/// The wake word that the configuration asks for.
fn wake_word(config: &KeywordsConfig, labels: &[Label]) -> Result<Option<WakeWord>, ListenerError> {
    let (Some(word), seconds) = (&config.listen_after, config.listen_for_s) else { return Ok(None) };
    let Some(label) = labels.iter().position(|label| **label == **word && is_command(label)) else {
        return Err(ListenerError::WakeWord { word: word.clone(), known: nearest_commands(word, labels) });
    };
    if !(seconds > 0.0 && seconds <= LONGEST_LISTEN_FOR_S) {
        return Err(ListenerError::ListenFor { seconds });
    }
    Ok(Some(WakeWord::new(label, Duration::from_secs_f64(seconds))))
}

/// For each label its threshold: the user's for the word, else the user's for all, else the bundle's in the same order.
fn thresholds(
    config: &KeywordsConfig,
    decision: &Decision,
    labels: &[Label],
) -> Result<Vec<Option<f32>>, ListenerError> {
    let is_known = |word: &str| labels.iter().any(|label| **label == *word && is_command(label));
    if let Some(word) = config.thresholds.keys().find(|word| !is_known(word)) {
        return Err(ListenerError::Word { word: word.clone(), known: nearest_commands(word, labels) });
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
