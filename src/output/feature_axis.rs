//! Where frequencies lie in a picture of features.

use crate::media::SAMPLE_RATE_HZ;
use crate::model::{Feature, FrontEnd};

/// The axis of a picture whose columns are features: what stands where, from the lowest row to the highest.
#[derive(Clone, Debug)]
pub struct FeatureAxis {
    feature: Feature,
    low_hz: f32,
    high_hz: f32,
}

impl FeatureAxis {
    /// The axis of columns that `front_end` makes.
    pub fn of(front_end: &FrontEnd) -> Self {
        let FrontEnd { feature, low_hz, high_hz, .. } = *front_end;
        Self { feature, low_hz, high_hz }
    }

    /// How far up a frequency in hertz (or of a cepstrum, a coefficient's number) lies in columns of `rows` values, 0…1.
    pub fn place_of(&self, mark: f32, rows: usize) -> f32 {
        let mel = |hz: f32| (hz / 700.0).ln_1p();
        match self.feature {
            Feature::Spectrogram => mark / (SAMPLE_RATE_HZ / 2) as f32,
            Feature::LogMel => (mel(mark) - mel(self.low_hz)) / (mel(self.high_hz) - mel(self.low_hz)),
            Feature::Mfcc => (mark + 0.5) / rows as f32,
        }
    }

    /// Round numbers for [`FeatureAxis::place_of`], with their names, the lowest first.
    pub fn marks(&self) -> &'static [(f32, &'static str)] {
        match self.feature {
            Feature::Spectrogram => &[(0.0, "0 Hz"), (2e3, "2 kHz"), (4e3, "4 kHz"), (6e3, "6 kHz"), (8e3, "8 kHz")],
            Feature::LogMel => &[(250.0, "250 Hz"), (500.0, "500 Hz"), (1e3, "1 kHz"), (2e3, "2 kHz"), (4e3, "4 kHz")],
            Feature::Mfcc => &[(0.0, "0"), (4.0, "4"), (8.0, "8"), (12.0, "12")],
        }
    }

    /// How bright a value is to be drawn, 0…1, on a scale that is the same for all sounds: quiet sound is to look quiet.
    ///
    /// Of the demo's speech (peaks of −3 dBFS) the log-mel energies in 40 bands reach 4, its noise lies about −3; 80 bands
    /// are half as wide and have 0.7 less. A digital silence is below the scale, a muted room at its lower end.
    pub fn brightness(&self, value: f32) -> f32 {
        let (value, low, high) = match self.feature {
            // A single frequency has less than a band that sums several.
            Feature::Spectrogram => (value.max(1e-9).ln(), -8.0, 4.0),
            Feature::LogMel => (value, -7.0, 4.5),
            Feature::Mfcc => (value, -15.0, 15.0),
        };
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    }
}
