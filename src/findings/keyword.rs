//! Words heard.

use serde::Serialize;

use super::Label;
use crate::media::{Levels, MediaTime};

/// A command that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyword {
    /// The word.
    pub label: Label,
    /// How sure the model is, 0…1, smoothed as it was for the decision.
    pub score: f32,
    /// When the word was spoken: its middle, as the spotter estimates it.
    pub time: MediaTime,
    /// When it was decided; `decided − time` is the spotter's delay.
    pub decided: MediaTime,
}

/// The state of the ear, for the preview; ten times a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hearing {
    /// Up to when this is known.
    pub time: MediaTime,
    /// How loud it was since the last one.
    pub levels: Levels,
}

impl Serialize for Keyword {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            label: &'a str,
            score: f64,
            decided_s: MediaTime,
        }
        let score = (f64::from(self.score) * 1e4).round() / 1e4;
        Fields { label: &self.label, score, decided_s: self.decided }.serialize(serializer)
    }
}
