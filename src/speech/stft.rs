//! The short-time Fourier transform: one window of sound in, the magnitudes of its frequencies out.

use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

/// The magnitudes of the frequencies in one window of sound.
///
/// Nothing is allocated after [`Stft::new`].
pub struct Stft {
    hann: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    /// The windowed samples, followed by zeros up to the length of the transform.
    padded: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Stft {
    /// A transform of `fft_size` points over windows of `window_samples`; a shorter transform than window is widened.
    pub fn new(window_samples: usize, fft_size: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(fft_size.max(window_samples).max(1));
        Self {
            hann: hann(window_samples),
            padded: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// How many frequencies there are, from 0 to half the sampling rate: half of the transform's points and one.
    pub fn bins(&self) -> usize {
        self.spectrum.len()
    }

    /// Magnitudes (not powers) of the frequencies in one window.
    ///
    /// - **in**: `window`, `window_samples` values, −1…1, mono
    /// - **out**: `magnitudes`, [`Stft::bins`] values, lowest frequency first, without scaling
    /// - **source**: `tf.signal.stft` of TensorFlow 2.21 with a periodic Hann window; agrees with
    ///   `tests/data/speech/*_spectrogram.npy` within 1e-3
    ///
    /// # Panics
    /// If a length is another.
    pub fn magnitudes_into(&mut self, window: &[f32], magnitudes: &mut [f32]) {
        assert_eq!(window.len(), self.hann.len(), "one window of sound");
        assert_eq!(magnitudes.len(), self.spectrum.len(), "one value a frequency");
        // The transform uses its input as scratch, so the zeros have to be written each time.
        let (head, tail) = self.padded.split_at_mut(window.len());
        for ((padded, sample), weight) in head.iter_mut().zip(window).zip(&self.hann) {
            *padded = sample * weight;
        }
        tail.fill(0.0);
        self.fft
            .process_with_scratch(&mut self.padded, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers were made by the plan");
        for (magnitude, bin) in magnitudes.iter_mut().zip(&self.spectrum) {
            *magnitude = (bin.re * bin.re + bin.im * bin.im).sqrt();
        }
    }
}

impl fmt::Debug for Stft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stft").field("window", &self.hann.len()).field("points", &self.padded.len()).finish()
    }
}

/// The Hann window as TensorFlow makes it: periodic for even lengths, symmetric for odd ones.
///
/// The second is an accident of TensorFlow's `periodic` flag, kept because models were trained with it.
///
/// - **source**: `tf.signal.hann_window(length, periodic=True)`; agrees within 1e-6
pub fn hann(length: usize) -> Vec<f32> {
    let period = if length.is_multiple_of(2) { length } else { length - 1 }.max(1) as f64;
    (0..length).map(|k| (0.5 - 0.5 * (2.0 * PI * k as f64 / period).cos()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impulse_has_the_same_magnitude_at_every_frequency() {
        let mut stft = Stft::new(480, 512);
        let (mut window, mut magnitudes) = (vec![0.0; 480], vec![0.0; stft.bins()]);
        window[240] = 0.5;
        // Twice, since the first call leaves its traces in the buffers.
        for _ in 0..2 {
            stft.magnitudes_into(&window, &mut magnitudes);
            assert_eq!(magnitudes.len(), 257);
            assert!(magnitudes.iter().all(|magnitude| (magnitude - 0.5).abs() < 1e-6));
        }
    }

    #[test]
    fn a_cosine_on_a_bin_shows_as_half_the_sum_of_the_window() {
        let mut stft = Stft::new(512, 512);
        let window: Vec<f32> = (0..512).map(|n| (2.0 * PI * 64.0 * f64::from(n) / 512.0).cos() as f32).collect();
        let mut magnitudes = vec![0.0; stft.bins()];
        stft.magnitudes_into(&window, &mut magnitudes);
        assert!((magnitudes[64] - 128.0).abs() < 1e-3 && (magnitudes[63] - 64.0).abs() < 1e-3);
        assert!(magnitudes[80..].iter().all(|magnitude| *magnitude < 1e-3));
    }

    #[test]
    fn odd_windows_are_symmetric_as_in_tensorflow() {
        let (even, odd) = (hann(4), hann(5));
        assert_eq!((even[0], even[2], even[3]), (0.0, 1.0, 0.5));
        assert!(odd[4].abs() < 1e-7 && odd[2] == 1.0);
        assert_eq!(hann(1), [0.0]);
    }
}
