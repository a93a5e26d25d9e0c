//! One clip, one answer: what a model makes of a single window, without smoothing or decision.

use std::fmt;
use std::sync::Arc;

use super::features::FeatureExtractor;
use super::scorer::{Scorer, TfliteScorer};
use super::spotter::ListenerError;
use crate::model::{Bundle, Task};

/// Scores clips of one window each, by the front end and the model that [`Spotter`](super::Spotter) listens with.
pub struct ClipScorer {
    extractor: FeatureExtractor,
    scorer: TfliteScorer,
    window_samples: usize,
    /// The window's sound, filled up with silence.
    samples: Vec<f32>,
    scores: Vec<f32>,
}

impl ClipScorer {
    /// A scorer with the model of a bundle.
    ///
    /// # Errors
    /// [`ListenerError`]: the bundle is for something else or contradicts itself.
    pub fn new(bundle: &Bundle) -> Result<Self, ListenerError> {
        let Task::Keywords { front_end, .. } = &bundle.task else {
            return Err(ListenerError::Task { bundle: bundle.path.clone() });
        };
        let extractor = FeatureExtractor::new(front_end)?;
        let (rows, labels) = (extractor.rows(), bundle.labels.len());
        let scorer = TfliteScorer::new(Arc::clone(&bundle.model), 1, rows, labels)?;
        let columns = scorer.window_len() / rows;
        let window_samples = columns.saturating_sub(1) * front_end.step_samples + front_end.window_samples;
        Ok(Self { extractor, scorer, window_samples, samples: Vec::new(), scores: vec![0.0; labels] })
    }

    /// How many samples the model looks at: a second, of most models.
    pub fn window_samples(&self) -> usize {
        self.window_samples
    }

    /// The model's scores of one clip, one a label.
    ///
    /// - **in**: `clip`, mono at 16 kHz, −1…1; a shorter one is filled up with silence at its end, as the training does it,
    ///   and of a longer one the first window counts
    ///
    /// # Errors
    /// [`ListenerError::Engine`] if the model fails.
    pub fn score(&mut self, clip: &[f32]) -> Result<&[f32], ListenerError> {
        self.samples.clear();
        self.samples.extend_from_slice(&clip[..clip.len().min(self.window_samples)]);
        self.samples.resize(self.window_samples, 0.0);
        let columns = self.extractor.columns(&self.samples);
        self.scorer.score_into([&columns, &[]], &mut self.scores)?;
        Ok(&self.scores)
    }
}

impl fmt::Debug for ClipScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipScorer").field("window_samples", &self.window_samples).finish_non_exhaustive()
    }
}
