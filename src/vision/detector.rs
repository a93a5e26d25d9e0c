//! The stage that looks at frames.
//!
//! - **waits for**: a frame
//! - **skips**: frames that were replaced while it looked at another (a live hand-over counts them); frames that cannot be
//!   decoded give an empty event, so that each frame taken gives exactly one
//! - **allocates**: what [`ObjectFinder`] does; detections come out of a pool
//! - **ends**: when the writer of frames is gone, or on request; with an error if the model fails

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{DetectorError, ObjectFinder};
use crate::findings::{Detections, Event, EventKind, Label, SharedDetections};
use crate::flow::{Publisher, Reader, Stage, StageError, Stop, Way};
use crate::media::{Frame, MediaTime, Pool, Pooled, WallTime};
use crate::model::Bundle;

/// What is looked for in pictures.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectsConfig {
    /// The bundle of the detector, or `none`; default `models/objects`, looked for here and where lookhear keeps its data.
    pub bundle: PathBuf,
    /// The least score, 0…1; default the bundle's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Only these labels; default all.
    pub labels: Vec<String>,
    /// Never these labels; default none.
    pub ignore: Vec<String>,
    /// The smallest object, as a share of the frame's area, 0…1; default 0.
    pub smallest: f32,
    /// Threads of one inference, 1…64; default one less than there are cores, and at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Whether XNNPACK's kernels run the model, where the library has them; default true.
    pub accelerate: bool,
    /// The least score of single labels, 0…1; default none.
    pub thresholds: BTreeMap<String, f32>,
}

impl Default for ObjectsConfig {
    fn default() -> Self {
        Self {
            bundle: PathBuf::from("models/objects"),
            threshold: None,
            labels: Vec::new(),
            ignore: Vec::new(),
            smallest: 0.0,
            threads: None,
            accelerate: true,
            thresholds: BTreeMap::new(),
        }
    }
}

impl ObjectsConfig {
    /// For each class of `bundle` the least score to report; infinite for those that are not wanted.
    ///
    /// # Errors
    /// [`DetectorError::Label`] or [`DetectorError::Setting`].
    pub(super) fn thresholds_of(&self, bundle: &Bundle, default: f32) -> Result<Vec<f32>, DetectorError> {
        let named = self.labels.iter().chain(&self.ignore).chain(self.thresholds.keys());
        for label in named {
            if !bundle.labels.iter().any(|known| **known == **label) {
                let (bundle, nearest) = (bundle.name.clone(), nearest(label, &bundle.labels));
                return Err(DetectorError::Label { bundle, label: label.clone(), nearest });
            }
        }
        let own = self.thresholds.iter().map(|(label, value)| (format!("thresholds.{label}"), *value));
        let all = self.threshold.map(|value| ("threshold".to_owned(), value));
        for (key, value) in own.chain(all).chain([("smallest".to_owned(), self.smallest)]) {
            if !(0.0..=1.0).contains(&value) {
                return Err(DetectorError::Setting { key, value });
            }
        }
        let wanted = |label: &str| {
            let among = |list: &[String]| list.iter().any(|other| other == label);
            (self.labels.is_empty() || among(&self.labels)) && !among(&self.ignore)
        };
        let least = |label: &Label| match self.thresholds.get(&**label) {
            _ if !wanted(label) => f32::INFINITY,
            Some(own) => *own,
            None => self.threshold.unwrap_or(default),
        };
        Ok(bundle.labels.iter().map(least).collect())
    }
}

/// The label of `labels` that `word` most likely means.
fn nearest(word: &str, labels: &[Label]) -> Label {
    let likeness = |label: &Label| strsim::jaro_winkler(&word.to_lowercase(), &label.to_lowercase());
    let best = labels.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.cloned().unwrap_or_default()
}

/// Detections that sinks may hold at a time; a live run has a handful under way. Above it they are allocated one by one.
const POOLED: usize = 64;
/// Between two lines about frames that cannot be decoded.
const LOG_PERIOD: Duration = Duration::from_secs(1);

/// Who looks at the frames that a detector gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Nobody else: a JPEG is decoded no larger than the model's input needs.
    Alone,
    /// Also somebody who shows or records them: the whole picture is made once, for all.
    Shared,
}

/// Takes frames, gives detections.
#[derive(Debug)]
pub struct Detector {
    finder: ObjectFinder,
    pool: Pool<Detections>,
    frames: Reader<Frame>,
    findings: Publisher<Event>,
    live: bool,
    audience: Audience,
    to_result: Way,
}

impl Detector {
    /// Checks the bundle against its description and `config`, loads the model and sizes every buffer. `live`: events carry the
    /// time of the world.
    ///
    /// # Errors
    /// [`DetectorError`]: what does not fit.
    pub fn new(
        config: &ObjectsConfig,
        bundle: &Bundle,
        frames: Reader<Frame>,
        findings: Publisher<Event>,
        live: bool,
        audience: Audience,
    ) -> Result<Self, DetectorError> {
        let finder = ObjectFinder::new(config, bundle)?;
        tracing::info!(bundle = bundle.name, kernels = %finder.delegate(), threads = finder.threads(), "the detector is ready");
        Ok(Self { finder, pool: Pool::new(POOLED), frames, findings, live, audience, to_result: Way::default() })
    }

    /// The same detector, which tells `way` how long it is from a frame's capture until its detections are published.
    #[must_use]
    pub fn timed(mut self, way: Way) -> Self {
        self.to_result = way;
        self
    }

    /// Looks at one frame. No thread, clock or channel takes part.
    ///
    /// # Errors
    /// [`DetectorError::Frame`] if the frame has no picture, [`DetectorError::Engine`] if the model fails.
    pub fn detect(&mut self, frame: &Frame) -> Result<SharedDetections, DetectorError> {
        let Self { finder, pool, audience, .. } = self;
        fill(pool, frame, |detections| {
            let rgb = match audience {
                Audience::Alone => frame.rgb_at_least(finder.input_size()),
                Audience::Shared => frame.rgb(),
            };
            let rgb =
                rgb.map_err(|error| DetectorError::Frame { sequence: frame.sequence(), source: error.clone() })?;
            finder.find(rgb, &mut detections.items)
        })
    }

    fn publish(&self, detections: SharedDetections) {
        let (time, captured): (MediaTime, Instant) = (detections.time, detections.captured);
        let at = self.live.then(WallTime::now);
        self.findings.publish(Event { time, at, kind: EventKind::Detections(detections) });
        self.to_result.took(captured.elapsed());
        self.findings.reached(time);
    }
}

impl Stage for Detector {
    fn name(&self) -> &'static str {
        "detector"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        let mut undecodable = Undecodable::default();
        while let Some(frame) = self.frames.next(stop) {
            let detections = match self.detect(&frame) {
                Err(error @ (DetectorError::Frame { .. } | DetectorError::Picture { .. })) => {
                    undecodable.count(&error);
                    // Whoever waits for what this frame shows is told: nothing.
                    fill(&mut self.pool, &frame, |_| Ok(()))
                }
                detections => detections,
            };
            self.publish(detections.map_err(StageError::last)?);
            stop.works();
        }
        Ok(())
    }
}

/// Fills detections of `frame` out of the pool, or beside it when sinks hold all of it.
fn fill(
    pool: &mut Pool<Detections>,
    frame: &Frame,
    mut find: impl FnMut(&mut Detections) -> Result<(), DetectorError>,
) -> Result<SharedDetections, DetectorError> {
    let mut write = |detections: &mut Detections| {
        (detections.frame, detections.time, detections.captured) = (frame.sequence(), frame.time(), frame.captured());
        detections.items.clear();
        find(detections)
    };
    if let Some(filled) = pool.fill(&mut write) {
        return filled;
    }
    let mut alone = Detections::default();
    write(&mut alone).map(|()| Pooled::alone(alone))
}

/// Counts frames without a picture, and says so at most once a second.
#[derive(Debug, Default)]
struct Undecodable {
    unsaid: u64,
    said: Option<Instant>,
}

impl Undecodable {
    fn count(&mut self, error: &DetectorError) {
        self.unsaid += 1;
        if self.said.is_none_or(|said| said.elapsed() >= LOG_PERIOD) {
            tracing::warn!(frames = self.unsaid, %error, "frames cannot be looked at");
            (self.unsaid, self.said) = (0, Some(Instant::now()));
        }
    }
}
