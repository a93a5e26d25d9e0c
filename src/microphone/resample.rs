//! From any rate to 16 kHz, exactly and as a stream.

use std::fmt;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _};

use crate::media::SAMPLE_RATE_HZ;

/// The share of a second that is transformed at once. Longer blocks cut off more steeply below half the lower rate
/// but delay more; 20 ms delay by 10 ms, and keep what the front end looks at (up to 7.6 kHz).
const BLOCKS_A_SECOND: u32 = 50;

/// The rates that are believed: from a telephone's to twice the highest that sound cards offer.
pub(super) const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=768_000;

/// Brings a stream of mono samples to 16 kHz, in exact proportion and without delay: what the filter delays is cut off
/// at the start and made up for at the end.
pub struct Resampler {
    way: Option<Way>,
}

/// What is needed when the rates differ.
struct Way {
    fft: Fft<f32>,
    rate_hz: u32,
    /// Samples that do not fill a block yet.
    waiting: Vec<f32>,
    block_out: Vec<f32>,
    /// How much of the filter's delay is still to be cut off.
    to_cut: usize,
    taken: u64,
    given: u64,
}

/// Why a rate cannot be brought to 16 kHz.
#[derive(Debug, thiserror::Error)]
#[error("{rate_hz} samples a second are outside of what can be converted ({} to {})", RATES_HZ.start(), RATES_HZ.end())]
pub struct RateError {
    /// The rate in question.
    pub rate_hz: u32,
}

impl Resampler {
    /// A resampler from `rate_hz`; sound at 16 kHz passes through untouched.
    ///
    /// # Errors
    /// [`RateError`] if no sound has such a rate.
    pub fn new(rate_hz: u32) -> Result<Self, RateError> {
        if !RATES_HZ.contains(&rate_hz) {
            return Err(RateError { rate_hz });
        }
        if rate_hz == SAMPLE_RATE_HZ {
            return Ok(Self { way: None });
        }
        let (from, to) = (rate_hz as usize, SAMPLE_RATE_HZ as usize);
        // An even number on both sides: the filter's delay, half a block, is then a whole number of samples, and a tone
        // keeps its place exactly.
        let smallest = 2 * from / greatest_common_divisor(from, to);
        let block = (from / BLOCKS_A_SECOND as usize).next_multiple_of(smallest);
        let fft = Fft::new(from, to, block, 1, FixedSync::Both).map_err(|_| RateError { rate_hz })?;
        let (waiting, block_out) = (Vec::with_capacity(fft.input_frames_max()), vec![0.0; fft.output_frames_max()]);
        let to_cut = fft.output_delay();
        Ok(Self { way: Some(Way { fft, rate_hz, waiting, block_out, to_cut, taken: 0, given: 0 }) })
    }

    /// Converts `samples` and appends what comes out to `out`; the last ones may have to wait for the next call.
    pub fn convert_into(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        match &mut self.way {
            None => out.extend_from_slice(samples),
            Some(way) => way.convert_into(samples, out),
        }
    }

    /// Appends what still waits, after which there are as many samples as the ratio of the rates demands.
    pub fn finish_into(&mut self, out: &mut Vec<f32>) {
        if let Some(way) = &mut self.way {
            way.finish_into(out);
        }
    }
}

impl Way {
    fn convert_into(&mut self, mut samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        while !samples.is_empty() {
            let lacks = self.fft.input_frames_next() - self.waiting.len();
            let (now, later) = samples.split_at(lacks.min(samples.len()));
            self.waiting.extend_from_slice(now);
            samples = later;
            if now.len() == lacks {
                self.block_into(out, u64::MAX);
            }
        }
    }

    fn finish_into(&mut self, out: &mut Vec<f32>) {
        let (from, to) = (u64::from(self.rate_hz), u64::from(SAMPLE_RATE_HZ));
        let due = (self.taken * to + from / 2) / from;
        while self.given < due {
            self.block_into(out, due);
        }
    }

    /// Converts what waits, filled up with silence, and gives no more than `due` samples in all.
    fn block_into(&mut self, out: &mut Vec<f32>, due: u64) {
        let partial = Indexing { partial_len: Some(self.waiting.len()), ..Indexing::default() };
        let needed = self.fft.input_frames_next();
        self.waiting.resize(needed, 0.0);
        let room = self.block_out.len();
        let made = InterleavedSlice::new(&self.waiting, 1, needed).ok().and_then(|block_in| {
            let mut block_out = InterleavedSlice::new_mut(&mut self.block_out, 1, room).ok()?;
            self.fft.process_into_buffer(&block_in, &mut block_out, Some(&partial)).ok()
        });
        let (_, made) = made.expect("the buffers have the sizes that the resampler asked for");
        self.waiting.clear();
        let cut = self.to_cut.min(made);
        self.to_cut -= cut;
        let left = usize::try_from(due - self.given).unwrap_or(usize::MAX);
        let given = &self.block_out[cut..made.min(cut.saturating_add(left))];
        self.given += given.len() as u64;
        out.extend_from_slice(given);
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler").field("from_hz", &self.way.as_ref().map(|way| way.rate_hz)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    fn sine(hz: f32, rate_hz: u32, count: usize) -> Vec<f32> {
        (0..count).map(|n| 0.5 * (TAU * hz * (n as f32 / rate_hz as f32)).sin()).collect()
    }

    fn converted(rate_hz: u32, samples: &[f32], block: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(rate_hz).expect("a believable rate");
        let mut out = Vec::new();
        samples.chunks(block).for_each(|block| resampler.convert_into(block, &mut out));
        resampler.finish_into(&mut out);
        out
    }

    #[test]
    fn a_tone_keeps_its_place_its_height_and_its_length_from_every_rate() {
        for rate_hz in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000] {
            let ours = converted(rate_hz, &sine(1_000.0, rate_hz, rate_hz as usize), 701);
            let exact = sine(1_000.0, 16_000, 16_000);
            assert_eq!(ours.len(), 16_000, "{rate_hz} Hz");
            // The first and last 20 ms touch the silence outside of the clip.
            let worst = (320..15_680).map(|n| (ours[n] - exact[n]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{rate_hz} Hz: {worst}");
        }
    }

    #[test]
    fn what_lies_above_half_the_new_rate_does_not_fold_down_and_what_the_front_end_needs_stays() {
        let rms = |samples: &[f32]| (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt();
        let folded = converted(48_000, &sine(9_000.0, 48_000, 48_000), 480);
        assert!(rms(&folded[320..15_680]) < 1e-3, "{}", rms(&folded[320..15_680]));
        let kept = converted(48_000, &sine(7_000.0, 48_000, 48_000), 480);
        assert!((rms(&kept[320..15_680]) - 0.3536).abs() < 0.01, "{}", rms(&kept[320..15_680]));
    }

    #[test]
    fn block_sizes_do_not_matter() {
        let samples = sine(440.0, 44_100, 10_000);
        let whole = converted(44_100, &samples, 10_000);
        assert_eq!(whole.len(), (10_000 * 16_000 + 22_050) / 44_100);
        assert_eq!(converted(44_100, &samples, 1), whole);
        assert!(converted(44_100, &[], 1).is_empty());
    }

    #[test]
    fn rates_that_no_sound_has_are_refused() {
        for rate_hz in [0, 1, 3_999, 768_001, u32::MAX] {
            assert!(Resampler::new(rate_hz).is_err());
        }
        assert_eq!(converted(44_101, &sine(440.0, 44_101, 44_101), 4_410).len(), 16_000);
    }
}
