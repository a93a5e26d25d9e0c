//! From sound to columns of features: framing, and the chain of transforms behind each kind of feature.

use super::mel::{MelBands, MelBank, log_in_place};
use super::mfcc::Cepstrum;
use super::stft::Stft;
use crate::media::SAMPLE_RATE_HZ;
use crate::model::{Feature, FrontEnd};

/// How many coefficients of the cepstrum are kept: the usual number for speech.
pub const CEPSTRUM_COEFFICIENTS: usize = 13;

/// The front end of the specification: 80 log-mel bands from 80 to 7600 Hz, over windows of 30 ms every 10 ms.
pub const DEFAULT_FRONT_END: FrontEnd = FrontEnd {
    feature: Feature::LogMel,
    rate_hz: SAMPLE_RATE_HZ,
    window_samples: 480,
    step_samples: 160,
    fft_size: 512,
    mel_bands: 80,
    low_hz: 80.0,
    high_hz: 7600.0,
    log_offset: 1e-6,
};

/// Why there is no front end for some settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Cannot compute these features: {reason}; correct the front end's parameters in the bundle.")]
pub struct FrontEndError {
    /// Which parameter, and what is wrong with it.
    pub reason: String,
}

/// No front end needs longer windows or steps (1 s at 48 kHz), nor more bands: bounds for hostile bundles.
const LONGEST: usize = 48_000;

fn check(front_end: &FrontEnd) -> Result<(), FrontEndError> {
    let FrontEnd { rate_hz, window_samples, step_samples, fft_size, mel_bands, low_hz, high_hz, log_offset, .. } =
        *front_end;
    let in_range = |count: usize| (1..=LONGEST).contains(&count);
    let reason = if rate_hz != SAMPLE_RATE_HZ {
        format!("they are for {rate_hz} samples a second, and lookhear hears {SAMPLE_RATE_HZ}")
    } else if !in_range(window_samples) || !in_range(step_samples) {
        format!("a window of {window_samples} samples every {step_samples} samples")
    } else if fft_size < window_samples || fft_size > 2 * LONGEST {
        format!("a transform of {fft_size} points over {window_samples} samples")
    } else if !in_range(mel_bands) {
        format!("{mel_bands} mel bands")
    } else if !(low_hz >= 0.0 && low_hz < high_hz && high_hz <= rate_hz as f32 / 2.0) {
        format!("mel bands from {low_hz} to {high_hz} Hz at {rate_hz} samples a second")
    } else if !(log_offset > 0.0 && log_offset.is_finite()) {
        format!("a logarithm with the offset {log_offset}")
    } else {
        return Ok(());
    };
    Err(FrontEndError { reason })
}

/// One window in, one column out.
///
/// Nothing is allocated after [`FeatureExtractor::new`].
#[derive(Debug)]
pub struct FeatureExtractor {
    front_end: FrontEnd,
    stft: Stft,
    bank: MelBank,
    cepstrum: Cepstrum,
    magnitudes: Vec<f32>,
    log_mel: Vec<f32>,
}

impl FeatureExtractor {
    /// An extractor of what a bundle says its model was trained on.
    ///
    /// # Errors
    /// [`FrontEndError`] if the parameters contradict each other.
    pub fn new(front_end: &FrontEnd) -> Result<Self, FrontEndError> {
        check(front_end)?;
        let FrontEnd { rate_hz, fft_size, mel_bands: count, low_hz, high_hz, .. } = *front_end;
        let stft = Stft::new(front_end.window_samples, fft_size);
        let bank = MelBank::new(&MelBands { rate_hz, fft_size, count, low_hz, high_hz });
        Ok(Self {
            front_end: front_end.clone(),
            magnitudes: vec![0.0; stft.bins()],
            log_mel: vec![0.0; bank.bands()],
            cepstrum: Cepstrum::new(bank.bands(), CEPSTRUM_COEFFICIENTS),
            stft,
            bank,
        })
    }

    /// What it was made of.
    pub fn front_end(&self) -> &FrontEnd {
        &self.front_end
    }

    /// How many values a column has.
    pub fn rows(&self) -> usize {
        match self.front_end.feature {
            Feature::Spectrogram => self.stft.bins(),
            Feature::LogMel => self.bank.bands(),
            Feature::Mfcc => self.cepstrum.coefficients(),
        }
    }

    /// The features of one window.
    ///
    /// - **in**: `window`, `window_samples` values, −1…1, mono
    /// - **out**: `column`, [`FeatureExtractor::rows`] values, lowest frequency, band or coefficient first
    ///
    /// # Panics
    /// If a length is another.
    pub fn column_into(&mut self, window: &[f32], column: &mut [f32]) {
        let Self { front_end, stft, bank, cepstrum, magnitudes, log_mel } = self;
        match front_end.feature {
            Feature::Spectrogram => stft.magnitudes_into(window, column),
            Feature::LogMel => {
                stft.magnitudes_into(window, magnitudes);
                bank.sums_into(magnitudes, column);
                log_in_place(column, front_end.log_offset);
            }
            Feature::Mfcc => {
                stft.magnitudes_into(window, magnitudes);
                bank.sums_into(magnitudes, log_mel);
                log_in_place(log_mel, front_end.log_offset);
                cepstrum.coefficients_into(log_mel, column);
            }
        }
    }

    /// The features of a whole clip, column after column: `1 + (samples − window) / step` of them, none if the clip is
    /// shorter than a window. What a stream gives in pieces ([`Framing`]) is the same bit for bit.
    pub fn columns(&mut self, samples: &[f32]) -> Vec<f32> {
        let (window, step, rows) = (self.front_end.window_samples, self.front_end.step_samples, self.rows());
        let count = samples.len().checked_sub(window).map_or(0, |rest| 1 + rest / step);
        let mut columns = vec![0.0; count * rows];
        for (index, column) in columns.chunks_exact_mut(rows).enumerate() {
            self.column_into(&samples[index * step..index * step + window], column);
        }
        columns
    }
}

/// Cuts a stream that comes in blocks of any size into overlapping windows.
#[derive(Clone, Debug)]
pub struct Framing {
    window: Vec<f32>,
    step: usize,
    filled: usize,
    /// Samples to pass over before the next window; only when the step is longer than a window.
    to_skip: usize,
}

impl Framing {
    /// Windows of `window_samples` every `step_samples`.
    ///
    /// # Panics
    /// If either is 0.
    pub fn new(window_samples: usize, step_samples: usize) -> Self {
        assert!(window_samples > 0 && step_samples > 0, "a window and a step have a length");
        Self { window: vec![0.0; window_samples], step: step_samples, filled: 0, to_skip: 0 }
    }

    /// Takes from the front of `samples` what the next window lacks; gives that window once it is complete.
    ///
    /// Call it until `samples` is empty. Nothing is allocated.
    pub fn next_window(&mut self, samples: &mut &[f32]) -> Option<&[f32]> {
        let length = self.window.len();
        if self.filled == length {
            // The last window has been seen: its end is the next one's beginning.
            let kept = length.saturating_sub(self.step);
            self.window.copy_within(length - kept.., 0);
            self.filled = kept;
            self.to_skip = self.step.saturating_sub(length);
        }
        let skipped = self.to_skip.min(samples.len());
        self.to_skip -= skipped;
        *samples = &samples[skipped..];
        let (now, later) = samples.split_at((length - self.filled).min(samples.len()));
        self.window[self.filled..self.filled + now.len()].copy_from_slice(now);
        self.filled += now.len();
        *samples = later;
        (self.filled == length).then_some(&self.window)
    }

    /// How many samples complete the next window; never 0.
    pub fn missing(&self) -> usize {
        match self.window.len() - self.filled {
            0 => self.step,
            missing => self.to_skip + missing,
        }
    }

    /// Forgets what it has heard: what comes next does not join on to what came before.
    pub fn reset(&mut self) {
        (self.filled, self.to_skip) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn streamed(extractor: &mut FeatureExtractor, samples: &[f32], blocks: impl Iterator<Item = usize>) -> Vec<f32> {
        let mut framing = Framing::new(extractor.front_end.window_samples, extractor.front_end.step_samples);
        let (mut rest, mut columns, mut column) = (samples, Vec::new(), vec![0.0; extractor.rows()]);
        for size in blocks {
            let (mut block, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            while let Some(window) = framing.next_window(&mut block) {
                extractor.column_into(window, &mut column);
                columns.extend_from_slice(&column);
            }
            assert!(block.is_empty());
        }
        assert!(rest.is_empty());
        columns
    }

    #[test]
    fn the_number_of_columns_is_that_of_the_specification() {
        for (samples, columns) in [(0, 0), (479, 0), (480, 1), (639, 1), (640, 2), (16_000, 98)] {
            for feature in [Feature::Spectrogram, Feature::LogMel, Feature::Mfcc] {
                let mut extractor = FeatureExtractor::new(&FrontEnd { feature, ..DEFAULT_FRONT_END }).expect("valid");
                let rows = extractor.rows();
                assert_eq!(rows, [257, 80, 13][feature as usize]);
                assert_eq!(extractor.columns(&vec![0.0; samples]).len(), columns * rows);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_stream_in_blocks_of_any_size_equals_the_whole_clip_bit_for_bit(
            blocks in prop::collection::vec(1usize..5000, 1..12), step in 1usize..700, clip in 0usize..9000
        ) {
            let front_end = FrontEnd { step_samples: step.max(40), ..DEFAULT_FRONT_END };
            let mut extractor = FeatureExtractor::new(&front_end).expect("valid");
            let samples = noise(clip);
            let whole = extractor.columns(&samples);
            let pieces = streamed(&mut extractor, &samples, blocks.into_iter().chain([9000]));
            prop_assert_eq!(whole.len(), pieces.len());
            prop_assert!(whole.iter().zip(&pieces).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn one_sample_at_a_time_is_a_block_size_too() {
        let mut extractor = FeatureExtractor::new(&DEFAULT_FRONT_END).expect("valid");
        let samples = noise(1300);
        let whole = extractor.columns(&samples);
        assert_eq!(streamed(&mut extractor, &samples, std::iter::repeat_n(1, 1300)), whole);
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused_with_a_reason() {
        let spec = || DEFAULT_FRONT_END;
        let bad = [
            FrontEnd { rate_hz: 44_100, ..spec() },
            FrontEnd { window_samples: 0, ..spec() },
            FrontEnd { step_samples: usize::MAX, ..spec() },
            FrontEnd { window_samples: 513, ..spec() },
            FrontEnd { mel_bands: 0, ..spec() },
            FrontEnd { high_hz: 8001.0, ..spec() },
            FrontEnd { low_hz: f32::NAN, ..spec() },
            FrontEnd { log_offset: 0.0, ..spec() },
        ];
        for front_end in bad {
            let error = FeatureExtractor::new(&front_end).expect_err("refused");
            assert!(error.to_string().starts_with("Cannot compute these features: "), "{error}");
        }
    }
}
