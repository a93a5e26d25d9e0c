//! Mel bands: the frequencies of a window summed as coarsely as the ear hears them.

/// Which bands: their number, their range, and the spectrum they are laid over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MelBands {
    /// Sampling rate of the sound, in hertz.
    pub rate_hz: u32,
    /// Points of the Fourier transform below; it gives half as many frequencies, and one.
    pub fft_size: usize,
    /// How many bands.
    pub count: usize,
    /// Lower edge of the lowest band, in hertz.
    pub low_hz: f32,
    /// Upper edge of the highest band, in hertz.
    pub high_hz: f32,
}

/// Sums magnitudes into mel bands.
///
/// The triangles are straight in mel, reach 1 at most, are not normalised by area, and leave out frequency 0: HTK's
/// scale as in TensorFlow. Librosa's bands (Slaney's scale, straight in hertz, equal areas) are something else, and a
/// model trained on the one hears nothing by the other.
#[derive(Clone, Debug)]
pub struct MelBank {
    bins: usize,
    /// For each band, the first frequency that it touches and where its weights lie.
    bands: Vec<Band>,
    weights: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Band {
    first_bin: usize,
    first_weight: usize,
    width: usize,
}

impl MelBank {
    /// The bank of these bands. A band narrower than the distance of two frequencies may touch none; it is then 0.
    pub fn new(bands: &MelBands) -> Self {
        let bins = bands.fft_size / 2 + 1;
        let (low, high) = (mel_from_hz(bands.low_hz.into()), mel_from_hz(bands.high_hz.into()));
        let edge = |index: usize| low + (high - low) * index as f64 / (bands.count + 1) as f64;
        let bin_hz = f64::from(bands.rate_hz) / bands.fft_size as f64;
        let mut bank = Self { bins, bands: Vec::with_capacity(bands.count), weights: Vec::new() };
        for index in 0..bands.count {
            let (low, middle, high) = (edge(index), edge(index + 1), edge(index + 2));
            let triangle = |bin: usize| {
                let mel = mel_from_hz(bin as f64 * bin_hz);
                ((mel - low) / (middle - low)).min((high - mel) / (high - middle)).max(0.0)
            };
            let first_bin = (1..bins).find(|&bin| triangle(bin) > 0.0).unwrap_or(bins);
            let first_weight = bank.weights.len();
            bank.weights.extend((first_bin..bins).map(triangle).take_while(|weight| *weight > 0.0).map(|w| w as f32));
            bank.bands.push(Band { first_bin, first_weight, width: bank.weights.len() - first_weight });
        }
        bank
    }

    /// How many bands.
    pub fn bands(&self) -> usize {
        self.bands.len()
    }

    /// The weight of frequency number `bin` in band number `band`; the full matrix, for comparisons.
    pub fn weight(&self, bin: usize, band: usize) -> f32 {
        let Band { first_bin, first_weight, width } = self.bands[band];
        match bin.checked_sub(first_bin) {
            Some(offset) if offset < width => self.weights[first_weight + offset],
            _ => 0.0,
        }
    }

    /// The weighted sum of magnitudes in each band.
    ///
    /// - **in**: `magnitudes`, `fft_size / 2 + 1` values of [`super::Stft`]
    /// - **out**: `mel`, one value a band, lowest first
    /// - **source**: `tf.signal.linear_to_mel_weight_matrix` of TensorFlow 2.21; the matrix agrees within 2e-5
    ///
    /// # Panics
    /// If a length is another.
    pub fn sums_into(&self, magnitudes: &[f32], mel: &mut [f32]) {
        assert_eq!(magnitudes.len(), self.bins, "one value a frequency");
        assert_eq!(mel.len(), self.bands.len(), "one value a band");
        for (sum, band) in mel.iter_mut().zip(&self.bands) {
            let weights = &self.weights[band.first_weight..band.first_weight + band.width];
            let touched = &magnitudes[band.first_bin.min(self.bins)..];
            *sum = weights.iter().zip(touched).map(|(weight, magnitude)| weight * magnitude).sum();
        }
    }
}

/// Replaces each of `values` by the natural logarithm of itself and `offset`, which stands for silence.
pub fn log_in_place(values: &mut [f32], offset: f32) {
    values.iter_mut().for_each(|value| *value = (*value + offset).ln());
}

/// HTK's mel scale (Young et al., "The HTK Book", §5.4).
fn mel_from_hz(hz: f64) -> f64 {
    1127.0 * (hz / 700.0).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: MelBands = MelBands { rate_hz: 16_000, fft_size: 512, count: 80, low_hz: 80.0, high_hz: 7600.0 };

    #[test]
    fn no_band_of_the_specification_is_empty_and_frequency_0_is_in_none() {
        let bank = MelBank::new(&SPEC);
        for band in 0..80 {
            let column: Vec<f32> = (0..257).map(|bin| bank.weight(bin, band)).collect();
            let peak = column.iter().copied().fold(0.0, f32::max);
            assert!(column[0] == 0.0 && peak > 0.0 && peak <= 1.0, "band {band}: {peak}");
        }
    }

    #[test]
    fn sums_are_the_product_with_the_matrix() {
        let bank = MelBank::new(&SPEC);
        let magnitudes: Vec<f32> = (0..257).map(|bin| ((bin * 37) % 101) as f32 / 10.0).collect();
        let mut mel = vec![0.0; bank.bands()];
        bank.sums_into(&magnitudes, &mut mel);
        for (band, sum) in mel.iter().enumerate() {
            let naive: f32 = (0..257).map(|bin| magnitudes[bin] * bank.weight(bin, band)).sum();
            assert!((sum - naive).abs() < 1e-4, "band {band}: {sum} against {naive}");
        }
    }

    #[test]
    fn a_band_between_two_frequencies_stays_zero_and_silence_is_the_offset() {
        let bank = MelBank::new(&MelBands { count: 400, ..SPEC });
        let mut mel = vec![1.0; 400];
        bank.sums_into(&[1.0; 257], &mut mel);
        assert!(mel.contains(&0.0));
        let mut silence = [0.0];
        log_in_place(&mut silence, 1e-6);
        assert!((silence[0] + 13.815_511).abs() < 1e-5);
    }
}
