//! Sound: mono samples at 16 kHz, −1…1.

/// The rate of everything after capture, in samples a second.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// The mean of the channels of each of `interleaved`'s frames; what is left of an incomplete frame is dropped.
pub fn mono_from(interleaved: &[f32], channels: usize) -> impl Iterator<Item = f32> + '_ {
    let channels = channels.max(1);
    let scale = 1.0 / channels as f32;
    interleaved.chunks_exact(channels).map(move |frame| frame.iter().sum::<f32>() * scale)
}

/// How loud a stretch of sound was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// The largest magnitude, in decibels below full scale; −120 for silence.
    pub peak_dbfs: f32,
    /// The root mean square, in decibels below full scale; −120 for silence.
    pub rms_dbfs: f32,
}

impl Levels {
    /// The lowest level that is told apart from silence.
    pub const FLOOR_DBFS: f32 = -120.0;

    /// The levels of `samples`.
    pub fn of(samples: &[f32]) -> Self {
        let peak = samples.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
        let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
        let dbfs = |amplitude: f32| (20.0 * amplitude.log10()).max(Self::FLOOR_DBFS);
        Self { peak_dbfs: dbfs(peak), rms_dbfs: dbfs(power.sqrt() as f32) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_known_signals() {
        let sine: Vec<f32> = (0..16_000).map(|n| 0.5 * (n as f32 * 0.1).sin()).collect();
        let levels = Levels::of(&sine);
        assert!((levels.peak_dbfs + 6.02).abs() < 0.01, "{levels:?}");
        assert!((levels.rms_dbfs + 9.03).abs() < 0.02, "{levels:?}");
        assert_eq!(Levels::of(&[]), Levels { peak_dbfs: -120.0, rms_dbfs: -120.0 });
    }

    #[test]
    fn stereo_becomes_the_mean_of_its_channels() {
        assert_eq!(mono_from(&[1.0, 0.0, -1.0, -0.5, 0.3], 2).collect::<Vec<_>>(), [0.5, -0.75]);
    }
}
