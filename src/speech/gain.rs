//! Gain for quiet microphones: fixed, or slowly following the level of speech.
//!
//! ```text
//! loudness ──▶ wanted = TARGET − loudness, 0…30 dB, and no more than keeps the noise floor below −50 dBFS
//! gain     ──▶ follows what is wanted, +10 dB a second while somebody speaks, −50 dB a second at any time
//! ```
//! The automatic gain raises and never lowers: speech that is loud enough, and everything before the first speech,
//! passes bit for bit. It goes by the past alone, so the first words of a quiet voice are heard as they came.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::activity::{ActivityGate, HOP_SAMPLES};

/// The loudest 30 ms of speech are raised to this, in decibels below full scale: the loudness of most recordings that
/// the shipped model was trained on.
const TARGET_DBFS: f32 = -20.0;
/// No more is added: what lies further down is lost in a microphone's own noise.
const MOST_DB: f32 = 30.0;
/// The noise floor is not raised above this, in decibels below full scale: it is silence to the model still.
const FLOOR_DBFS: f32 = -50.0;
/// Speech rises over the floor at least so far, in decibels; what rises less may be noise.
const SPEECH_OVER_FLOOR_DB: f32 = 12.0;
/// A hop's change of the gain, upwards: 10 dB a second, a tenth of a decibel from one column of features to the next.
const RISE_DB: f32 = 0.1;
/// The same downwards, 50 dB a second: somebody who comes near is too loud for a part of one word only.
const FALL_DB: f32 = 0.5;
/// How fast the estimate of the loudness follows louder and quieter speech, in decibels a hop. Down it takes two
/// seconds of speech for 3 dB, so that it stays with the vowels.
const LOUDER_DB: f32 = 2.0;
const QUIETER_DB: f32 = 0.015;

/// What fixed gain may be asked for, in decibels either way.
const LARGEST_FIXED_DB: f32 = 40.0;

/// How samples are raised before they are looked at: `auto`, `off`, or by a fixed number of decibels, −40 to 40.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum GainConfig {
    /// Follows the speaker.
    Auto,
    /// Samples stay as they are.
    #[default]
    Off,
    /// So many decibels.
    Fixed(f32),
}

/// Raises samples. The same samples are raised alike whatever the blocks in which they come; nothing is allocated.
#[derive(Clone, Debug)]
pub struct Gain {
    is_automatic: bool,
    gain_db: f32,
    /// The factors at the begin and at the end of the hop under way.
    factors: (f32, f32),
    /// Samples of that hop so far.
    done: usize,
    /// The loudness of the speech so far, in decibels below full scale.
    loudness_dbfs: Option<f32>,
}

impl Gain {
    /// A gain that has heard nothing.
    pub fn new(config: GainConfig) -> Self {
        let gain_db = match config {
            GainConfig::Auto | GainConfig::Off => 0.0,
            GainConfig::Fixed(gain_db) => gain_db,
        };
        let factor = factor(gain_db);
        let is_automatic = config == GainConfig::Auto;
        Self { is_automatic, gain_db, factors: (factor, factor), done: 0, loudness_dbfs: None }
    }

    /// Raises `samples`, which do not reach beyond the hop under way, into `raised`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn raise_into(&mut self, samples: &[f32], raised: &mut [f32]) {
        let (begin, end) = self.factors;
        if begin == end {
            raised.copy_from_slice(samples);
            if begin != 1.0 {
                raised.iter_mut().for_each(|sample| *sample *= begin);
            }
        } else {
            assert_eq!(samples.len(), raised.len(), "a place for each sample");
            let step = (end - begin) / HOP_SAMPLES as f32;
            for (place, (raised, sample)) in (self.done..).zip(raised.iter_mut().zip(samples)) {
                *raised = sample * (begin + step * place as f32);
            }
        }
        self.done += samples.len();
    }

    /// Begins the next hop, after `gate` has heard the one that is done.
    pub fn follow(&mut self, gate: &ActivityGate) {
        (self.done, self.factors.0) = (0, self.factors.1);
        if !self.is_automatic {
            return;
        }
        let (level, floor) = (gate.level_dbfs(), gate.floor_dbfs());
        let is_speech = level > floor + SPEECH_OVER_FLOOR_DB && gate.is_open();
        if is_speech {
            let loudness = self.loudness_dbfs.unwrap_or(level);
            self.loudness_dbfs = Some(level.clamp(loudness - QUIETER_DB, loudness + LOUDER_DB));
        }
        let Some(loudness) = self.loudness_dbfs else { return };
        let wanted = (TARGET_DBFS - loudness).min(FLOOR_DBFS - floor).clamp(0.0, MOST_DB);
        let rise = if is_speech { RISE_DB } else { 0.0 };
        let next = wanted.clamp(self.gain_db - FALL_DB, self.gain_db + rise);
        if next != self.gain_db {
            self.gain_db = next;
            self.factors.1 = factor(next);
        }
    }

    /// By how much the last sample was raised, in decibels.
    pub fn gain_db(&self) -> f32 {
        self.gain_db
    }

    /// Begins a hop anew, after a gap in the sound. The speaker is still the same: gain and loudness stay.
    pub fn reset(&mut self) {
        (self.done, self.factors.0) = (0, self.factors.1);
    }
}

fn factor(gain_db: f32) -> f32 {
    if gain_db == 0.0 { 1.0 } else { 10f32.powf(gain_db / 20.0) }
}

/// What was written is no gain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{written:?} is no gain; write auto, off, or decibels from -40 to 40")]
pub struct GainError {
    /// What was written.
    pub written: String,
}

impl GainConfig {
    fn fixed(gain_db: f32) -> Result<Self, GainError> {
        match gain_db.abs() <= LARGEST_FIXED_DB {
            true => Ok(Self::Fixed(gain_db)),
            false => Err(GainError { written: gain_db.to_string() }),
        }
    }
}

impl FromStr for GainConfig {
    type Err = GainError;

    fn from_str(written: &str) -> Result<Self, GainError> {
        match written {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => {
                let gain_db = written.parse().map_err(|_| GainError { written: written.to_owned() })?;
                Self::fixed(gain_db)
            }
        }
    }
}

impl Serialize for GainConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Off => serializer.serialize_str("off"),
            Self::Fixed(gain_db) => serializer.serialize_f32(*gain_db),
        }
    }
}

impl<'de> Deserialize<'de> for GainConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = GainConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\", \"off\", or decibels from -40 to 40")
            }
            fn visit_str<E: de::Error>(self, written: &str) -> Result<GainConfig, E> {
                written.parse().map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, gain_db: f64) -> Result<GainConfig, E> {
                GainConfig::fixed(gain_db as f32).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, gain_db: i64) -> Result<GainConfig, E> {
                self.visit_f64(gain_db as f64)
            }
        }
        deserializer.deserialize_any(Written)
    }
}
