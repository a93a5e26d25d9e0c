//! Mel cepstrum: the shape of a log-mel column in a few numbers.

use std::f64::consts::PI;

/// The first coefficients of the cosine transform of a log-mel column.
///
/// All coefficients are scaled alike, by √(2 / bands); number 0 lacks the further 1/√2 of the orthonormal transform,
/// as in TensorFlow.
#[derive(Clone, Debug)]
pub struct Cepstrum {
    bands: usize,
    /// One row a coefficient.
    cosines: Vec<f32>,
}

impl Cepstrum {
    /// The first `count` coefficients of columns of `bands` values.
    pub fn new(bands: usize, count: usize) -> Self {
        let (bands, count) = (bands.max(1), count.max(1));
        let scale = (2.0 / bands as f64).sqrt();
        let cosine = |k: usize, n: usize| scale * (PI * (k * (2 * n + 1)) as f64 / (2 * bands) as f64).cos();
        let cosines = (0..count).flat_map(|k| (0..bands).map(move |n| cosine(k, n) as f32)).collect();
        Self { bands, cosines }
    }

    /// How many coefficients.
    pub fn coefficients(&self) -> usize {
        self.cosines.len() / self.bands
    }

    /// The cepstrum of one column.
    ///
    /// - **in**: `log_mel`, natural logarithms, lowest band first
    /// - **out**: `cepstrum`, [`Cepstrum::coefficients`] values
    /// - **source**: `tf.signal.mfccs_from_log_mel_spectrograms` of TensorFlow 2.21; agrees with
    ///   `tests/data/speech/*_mfcc.npy` within 1e-3
    ///
    /// # Panics
    /// If a length is another.
    pub fn coefficients_into(&self, log_mel: &[f32], cepstrum: &mut [f32]) {
        assert_eq!(log_mel.len(), self.bands, "one value a band");
        assert_eq!(cepstrum.len(), self.coefficients(), "one value a coefficient");
        for (value, row) in cepstrum.iter_mut().zip(self.cosines.chunks_exact(self.bands)) {
            *value = row.iter().zip(log_mel).map(|(cosine, mel)| cosine * mel).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_column_has_only_coefficient_0() {
        let cepstrum = Cepstrum::new(80, 13);
        let mut values = [0.0; 13];
        cepstrum.coefficients_into(&[1.5; 80], &mut values);
        assert!((values[0] - 1.5 * 160f32.sqrt()).abs() < 1e-4);
        assert!(values[1..].iter().all(|value| value.abs() < 1e-4), "{values:?}");
    }
}
