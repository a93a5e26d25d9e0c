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
    #[default]
    Auto,
    /// Samples stay as they are.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::activity::tests::{Noise, at_dbfs};
    use super::super::spotter::KeywordsConfig;
    use super::*;

    /// What becomes of `samples` in blocks of these sizes, over and over; and the gain after each hop.
    fn raised(config: GainConfig, samples: &[f32], sizes: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let (mut gain, mut gate) = (Gain::new(config), ActivityGate::new(16_000));
        let (mut out, mut gains, mut sizes) = (vec![0.0; samples.len()], Vec::new(), sizes.iter().cycle());
        for (hop, out) in samples.chunks_exact(HOP_SAMPLES).zip(out.chunks_exact_mut(HOP_SAMPLES)) {
            let mut from = 0;
            while from < HOP_SAMPLES {
                let to = (from + sizes.next().expect("a size")).min(HOP_SAMPLES);
                gain.raise_into(&hop[from..to], &mut out[from..to]);
                from = to;
            }
            gate.hear(hop);
            gain.follow(&gate);
            gains.push(gain.gain_db());
        }
        (out, gains)
    }

    /// Noise at `speech_dbfs` for 0.4 s of each second, over noise at `floor_dbfs`.
    fn speech(seconds: usize, speech_dbfs: f32, floor_dbfs: f32) -> Vec<f32> {
        let mut noise = Noise::new();
        let level = |place: usize| if place % 16_000 < 6_400 { speech_dbfs } else { floor_dbfs };
        (0..seconds * 16_000).map(|place| noise.next() * at_dbfs(level(place))).collect()
    }

    fn gain_after(samples: &[f32]) -> f32 {
        *raised(GainConfig::Auto, samples, &[HOP_SAMPLES]).1.last().expect("a hop")
    }

    #[test]
    fn quiet_speech_is_raised_towards_the_loudness_of_training_by_thirty_decibels_at_most() {
        for (speech_dbfs, expected) in [(-12.0, 0.0), (-20.0, 0.0), (-30.0, 10.0), (-40.0, 20.0), (-60.0, 30.0)] {
            let gain = gain_after(&speech(20, speech_dbfs, -88.0));
            assert!((gain - expected).abs() < 1.5, "speech at {speech_dbfs} dBFS is raised by {gain} dB");
        }
    }

    #[test]
    fn the_noise_floor_stays_below_fifty_decibels_under_full_scale() {
        for (floor_dbfs, most) in [(-70.0, 20.0), (-60.0, 10.0), (-50.0, 0.0), (-45.0, 0.0)] {
            let gain = gain_after(&speech(20, -43.0, floor_dbfs));
            assert!(gain <= most + 1.0, "a floor at {floor_dbfs} dBFS is raised by {gain} dB");
        }
        // And when noise comes up later.
        let quiet = speech(10, -45.0, -80.0);
        let gain = gain_after(&[quiet, speech(10, -45.0, -55.0)].concat());
        assert!(gain < 6.0, "{gain}");
    }

    #[test]
    fn nothing_is_cut_and_loud_or_silent_sound_passes_bit_for_bit() {
        for sound in [speech(5, -6.0, -60.0), speech(5, -15.0, -40.0), vec![0.0; 16_000], speech(5, -65.0, -65.0)] {
            assert_eq!(raised(GainConfig::Auto, &sound, &[160]).0, sound);
            assert_eq!(raised(GainConfig::Off, &sound, &[160]).0, sound);
        }
        let (out, _) = raised(GainConfig::Fixed(20.0), &[0.05; 320], &[160]);
        assert!(out.iter().all(|sample| (sample - 0.5).abs() < 1e-6));
    }

    #[test]
    fn it_rises_slowly_while_somebody_speaks_and_falls_fast_when_somebody_comes_near() {
        let sound = [speech(10, -50.0, -88.0), speech(3, -10.0, -88.0)].concat();
        let (_, gains) = raised(GainConfig::Auto, &sound, &[160]);
        let changes = gains.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(changes.clone().all(|change| (-FALL_DB - 1e-4..=RISE_DB + 1e-4).contains(&change)));
        assert!(gains[999] > 28.0 && gains[1_100] < 1.0, "{} then {}", gains[999], gains[1_100]);
        // In the pauses it stays.
        assert!(gains[350..395].windows(2).all(|pair| pair[0] == pair[1]), "{:?}", &gains[350..395]);
    }

    #[test]
    fn it_is_written_as_a_word_or_as_decibels() {
        let read = |written: &str| {
            toml::from_str::<KeywordsConfig>(&format!("gain = {written}"))
                .map(|config| config.gain)
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(read("\"auto\""), Ok(GainConfig::Auto));
        assert_eq!(read("\"off\""), Ok(GainConfig::Off));
        assert_eq!(read("12"), Ok(GainConfig::Fixed(12.0)));
        assert_eq!(read("-6.5"), Ok(GainConfig::Fixed(-6.5)));
        // As the environment gives it.
        assert_eq!(read("\"20\""), Ok(GainConfig::Fixed(20.0)));
        let refused = "\"loud\" is no gain; write auto, off, or decibels from -40 to 40";
        assert_eq!(read("\"loud\""), Err(refused.to_owned()));
        assert!(read("41").is_err() && read("nan").is_err() && read("true").is_err());
        for gain in [GainConfig::Auto, GainConfig::Off, GainConfig::Fixed(-6.5)] {
            let written =
                toml::to_string(&KeywordsConfig { gain, ..KeywordsConfig::default() }).expect("it is written");
            assert_eq!(toml::from_str::<KeywordsConfig>(&written).expect("it is read").gain, gain);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn blocks_of_any_size_are_raised_alike(sizes in prop::collection::vec(1usize..=HOP_SAMPLES, 1..20)) {
            let sound = speech(3, -40.0, -80.0);
            let whole = raised(GainConfig::Auto, &sound, &[HOP_SAMPLES]);
            prop_assert!(whole.1.last() > Some(&5.0));
            prop_assert_eq!(raised(GainConfig::Auto, &sound, &sizes), whole);
        }
    }
}
