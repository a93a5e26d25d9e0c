//! Judging a recording of one word, and cutting the word out of it.
//!
//! ```text
//! dBFS ┤            ╭──╮ ╭╮                  the peak
//!      │           ╱    ╲╱╰╮
//!      ├ ─ ─ ─ ─ ─╱─ ─ ─ ─ ╰ ─ ─ ─ ─ ─ ─     EDGE_BELOW_PEAK_DB below it, or EDGE_ABOVE_BACKGROUND_DB above the background
//!      │~~~~~~~~~╯          ╰~~~~~~~~~~~     the background: the level of the quieter half of the take
//!      └──────────├─ word ─┤────────────▶ time
//! ```
//! Pure: the same samples give the same verdict.

use std::ops::Range;

use crate::media::{Levels, SAMPLE_RATE_HZ};

/// The length of a clip, as in Speech Commands: one second.
pub const CLIP_SAMPLES: usize = SAMPLE_RATE_HZ as usize;

/// The level is looked at in pieces of this length: shorter than any sound of speech, longer than a period of a deep voice.
const PIECE: usize = SAMPLE_RATE_HZ as usize / 50;
/// A word is not shorter (0.1 s): what is, is a click or a bump.
const SHORTEST_PIECES: usize = 5;
/// A word has silences of its own, before the burst of a "t" or "p"; longer ones (0.2 s) end it.
const LONGEST_PAUSE_PIECES: usize = 10;
/// A word that begins or ends so near (40 ms) the take's edges may go on beyond them.
const EDGE_PIECES: usize = 2;
/// The share of a take that is no word: it lasts at most a second of two.
const BACKGROUND_SHARE: f32 = 0.3;
/// The end of "yes" is so far below its vowel; what is below that is breath.
const EDGE_BELOW_PEAK_DB: f32 = 32.0;
/// Pieces of steady noise rarely differ from their level by more.
const EDGE_ABOVE_BACKGROUND_DB: f32 = 8.0;
/// A peak that stands out less is none. Below [`LEAST_ABOVE_BACKGROUND_DB`] it is a word in too much noise.
const PEAK_ABOVE_BACKGROUND_DB: f32 = 12.0;
/// At less the noise becomes part of what is learnt: the recipe adds noise itself, and needs clips without.
const LEAST_ABOVE_BACKGROUND_DB: f32 = 18.0;
/// The quietest peak that a spotter is trained for is about −30 dBFS; a word that is quieter loses its consonants in the
/// steps of 16 bits and in the noise of the microphone.
const LEAST_PEAK_DBFS: f32 = -36.0;
/// A microphone that is switched on has more noise of its own.
const MUTED_DBFS: f32 = -90.0;
/// Samples in a row at this magnitude are cut off: a voice does not rest at its peak.
const CLIPPED: f32 = 0.985;
const CLIPPED_RUN: usize = 3;

/// A word in a take.
#[derive(Clone, Debug, PartialEq)]
pub struct SpokenWord {
    /// The samples of the take that it fills.
    pub samples: Range<usize>,
    /// How loud it is.
    pub levels: Levels,
    /// How loud the take is where it is not, as a root mean square.
    pub background_dbfs: f32,
}

/// Why a take is not used; each says what to do.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum TakeFault {
    /// Digital silence.
    #[error("Nothing at all came in: the microphone seems to be muted; switch it on.")]
    Muted,
    /// Nothing stands out of the background.
    #[error("No word was heard: say it right after the countdown, nearer to the microphone.")]
    Nothing,
    /// A word that is too quiet.
    #[error("It was too quiet (peak {peak_dbfs:.0} dBFS): come nearer, or turn the microphone up.")]
    TooQuiet {
        /// Its peak.
        peak_dbfs: f32,
    },
    /// Its peaks are cut off.
    #[error("It was too loud and is distorted: speak more softly, or turn the microphone down.")]
    Clipped,
    /// It had begun before the take.
    #[error("Its beginning is missing: wait for the end of the countdown.")]
    BeginsTooEarly,
    /// It goes on after the take.
    #[error("Its end is missing: say it sooner after the countdown.")]
    EndsTooLate,
    /// It does not fit into a clip.
    #[error("It lasted {seconds:.1} s, and a clip holds one second: say the word once, without a pause.")]
    TooLong {
        /// How long it lasted.
        seconds: f32,
    },
    /// The background is too loud.
    #[error("The room is too loud (only {above_db:.0} dB below the word): find a quieter place, or come nearer.")]
    NoisyRoom {
        /// By how much the word is louder.
        above_db: f32,
    },
}

/// Finds the one word of a take.
///
/// - **in**: `take`, mono at 16 kHz, −1…1, some two seconds
/// - **out**: where the word is; it lies in the take, and is at most a second long
///
/// # Errors
/// Why the take is better spoken again.
pub fn find_word(take: &[f32]) -> Result<SpokenWord, TakeFault> {
    // Cheap microphones add a constant, which is no sound.
    let mean = take.iter().sum::<f32>() / take.len().max(1) as f32;
    let levels: Vec<f32> = take.chunks_exact(PIECE).map(|piece| level_dbfs(piece, mean)).collect();
    if Levels::of(take).peak_dbfs < MUTED_DBFS {
        return Err(TakeFault::Muted);
    }
    let background_dbfs = quantile(&levels, BACKGROUND_SHARE);
    let peak = levels.iter().copied().fold(Levels::FLOOR_DBFS, f32::max);
    if peak < background_dbfs + PEAK_ABOVE_BACKGROUND_DB {
        return Err(TakeFault::Nothing);
    }
    let edge = (peak - EDGE_BELOW_PEAK_DB).max(background_dbfs + EDGE_ABOVE_BACKGROUND_DB);
    let word = loudest_stretch(&levels, edge).ok_or(TakeFault::Nothing)?;
    let samples = word.start * PIECE..word.end * PIECE;
    let spoken = &take[samples.clone()];
    let word_levels = Levels::of(spoken);
    if is_clipped(spoken) {
        return Err(TakeFault::Clipped);
    }
    if word.start < EDGE_PIECES {
        return Err(TakeFault::BeginsTooEarly);
    }
    if word.end + EDGE_PIECES > levels.len() {
        return Err(TakeFault::EndsTooLate);
    }
    if samples.len() > CLIP_SAMPLES {
        return Err(TakeFault::TooLong { seconds: samples.len() as f32 / SAMPLE_RATE_HZ as f32 });
    }
    if word_levels.peak_dbfs < LEAST_PEAK_DBFS {
        return Err(TakeFault::TooQuiet { peak_dbfs: word_levels.peak_dbfs });
    }
    if peak < background_dbfs + LEAST_ABOVE_BACKGROUND_DB {
        return Err(TakeFault::NoisyRoom { above_db: peak - background_dbfs });
    }
    Ok(SpokenWord { samples, levels: word_levels, background_dbfs })
}

/// The second of `take` in whose middle the word is, or as near to it as the take reaches.
///
/// A take shorter than a second is filled up with silence on both sides.
pub fn clip_around(take: &[f32], word: &Range<usize>) -> Vec<f32> {
    let middle = word.start + word.len() / 2;
    let start = middle.saturating_sub(CLIP_SAMPLES / 2).min(take.len().saturating_sub(CLIP_SAMPLES));
    let taken = &take[start..take.len().min(start + CLIP_SAMPLES)];
    let mut clip = vec![0.0; (CLIP_SAMPLES - taken.len()) / 2];
    clip.extend_from_slice(taken);
    clip.resize(CLIP_SAMPLES, 0.0);
    clip
}

/// The root mean square of the samples' distance from `mean`.
fn level_dbfs(piece: &[f32], mean: f32) -> f32 {
    let power = piece.iter().map(|sample| (sample - mean).powi(2)).sum::<f32>() / piece.len() as f32;
    (10.0 * power.log10()).max(Levels::FLOOR_DBFS)
}

/// The value below which this share of `values` lies.
fn quantile(values: &[f32], share: f32) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get((sorted.len() as f32 * share) as usize).copied().unwrap_or(Levels::FLOOR_DBFS)
}

/// The stretch of `levels` above `edge`, over short pauses, that has the loudest piece of all that are long enough.
fn loudest_stretch(levels: &[f32], edge: f32) -> Option<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (piece, _) in levels.iter().enumerate().filter(|(_, level)| **level >= edge) {
        match stretches.last_mut() {
            Some(last) if piece - last.end <= LONGEST_PAUSE_PIECES => last.end = piece + 1,
            _ => stretches.push(piece..piece + 1),
        }
    }
    let loudest = |stretch: &Range<usize>| levels[stretch.clone()].iter().copied().fold(Levels::FLOOR_DBFS, f32::max);
    let long_enough = stretches.into_iter().filter(|stretch| stretch.len() >= SHORTEST_PIECES);
    long_enough.max_by(|one, other| loudest(one).total_cmp(&loudest(other)))
}

fn is_clipped(samples: &[f32]) -> bool {
    samples.windows(CLIPPED_RUN).any(|run| run.iter().all(|sample| sample.abs() >= CLIPPED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(count: usize, amplitude: f32, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next() * amplitude).collect()
    }

    /// A real clip of a word, at this gain, from this sample on in a take of two seconds with noise.
    fn take(clip: &str, gain: f32, from: isize, noise_amplitude: f32) -> Vec<f32> {
        let path = format!("tests/data/keywords/{clip}.wav");
        let mut reader = hound::WavReader::open(path).expect("a clip");
        let mut take = noise(32_000, noise_amplitude, 7);
        for (index, sample) in reader.samples::<i16>().enumerate() {
            if let Some(place) = usize::try_from(from + index as isize).ok().and_then(|place| take.get_mut(place)) {
                *place = (*place + f32::from(sample.expect("whole")) / 32_768.0 * gain).clamp(-1.0, 1.0);
            }
        }
        take
    }

    fn fault(take: &[f32]) -> TakeFault {
        find_word(take).expect_err("it is no good take")
    }

    #[test]
    fn words_are_found_and_stand_in_the_middle_of_their_clip() {
        for clip in ["yes", "left", "stop", "camera"] {
            for from in [3_000, 8_000, 13_000] {
                let take = take(clip, 0.5, from, 0.0005);
                let word = find_word(&take).unwrap_or_else(|fault| panic!("{clip} at {from}: {fault}"));
                let length = word.samples.len();
                assert!((3_200..13_000).contains(&length), "{clip} at {from}: {length}");
                assert!(word.samples.start as isize >= from - 640, "{clip} at {from}: {:?}", word.samples);
                let cut = clip_around(&take, &word.samples);
                assert_eq!(cut.len(), CLIP_SAMPLES);
                let again = find_word(&cut).map(|word| word.samples).expect("the clip holds the word");
                let middle = again.start + again.len() / 2;
                assert!(middle.abs_diff(CLIP_SAMPLES / 2) <= 2 * PIECE, "{clip} at {from}: {again:?}");
            }
        }
    }

    #[test]
    fn the_same_word_is_found_wherever_and_however_loud_it_is() {
        let length = |gain, from| find_word(&take("yes", gain, from, 0.0)).expect("a word").samples.len();
        let expected = length(0.5, 8_000);
        for (gain, from) in [(0.5, 8_320), (0.25, 8_000), (0.125, 12_800), (0.9, 4_160)] {
            assert!(length(gain, from).abs_diff(expected) <= 2 * PIECE, "{gain} at {from}");
        }
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(fault(&vec![0.0; 32_000]), TakeFault::Muted);
        assert_eq!(fault(&[]), TakeFault::Muted);
        assert_eq!(fault(&vec![0.4; 32_000]), TakeFault::Nothing, "a constant is no sound");
        assert_eq!(fault(&noise(32_000, 0.01, 3)), TakeFault::Nothing);
        assert_eq!(fault(&noise(32_000, 0.5, 3)), TakeFault::Nothing);
        let mut click = noise(32_000, 0.001, 3);
        click[16_000..16_060].fill(0.8);
        assert_eq!(fault(&click), TakeFault::Nothing);
        assert!(
            matches!(fault(&take("yes", 0.02, 8_000, 0.0)), TakeFault::TooQuiet { peak_dbfs } if peak_dbfs < -36.0)
        );
        assert_eq!(fault(&take("yes", 4.0, 8_000, 0.0005)), TakeFault::Clipped);
        assert!(matches!(fault(&take("stop", 0.8, 8_000, 0.05)), TakeFault::NoisyRoom { above_db } if above_db > 12.0));
        let word = find_word(&take("yes", 0.5, 8_000, 0.0005)).expect("a word").samples;
        let (start, end) = (word.start as isize - 8_000, word.end as isize - 8_000);
        assert_eq!(fault(&take("yes", 0.5, -start - 1_600, 0.0005)), TakeFault::BeginsTooEarly);
        assert_eq!(fault(&take("yes", 0.5, 32_000 - end + 1_600, 0.0005)), TakeFault::EndsTooLate);
        let mut long = noise(32_000, 0.0005, 3);
        for (index, sample) in long[6_000..24_000].iter_mut().enumerate() {
            *sample = 0.3 * (index as f32 * 0.08).sin();
        }
        assert!(matches!(fault(&long), TakeFault::TooLong { seconds } if (1.0..1.3).contains(&seconds)));
    }

    #[test]
    fn each_fault_says_in_one_sentence_what_to_do() {
        let faults = [
            TakeFault::Muted,
            TakeFault::Nothing,
            TakeFault::TooQuiet { peak_dbfs: -41.2 },
            TakeFault::Clipped,
            TakeFault::BeginsTooEarly,
            TakeFault::EndsTooLate,
            TakeFault::TooLong { seconds: 1.234 },
            TakeFault::NoisyRoom { above_db: 14.8 },
        ];
        insta::assert_snapshot!(faults.map(|fault| fault.to_string()).join("\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_recorded_a_word_lies_in_its_take_and_a_clip_is_a_second(
            pieces in prop::collection::vec((0usize..6_000, 0f32..1.5, any::<u32>()), 0..9), broken in 0usize..40_000
        ) {
            let mut take: Vec<f32> =
                pieces.into_iter().flat_map(|(count, amplitude, seed)| noise(count, amplitude, seed)).collect();
            if let Some(sample) = take.get_mut(broken) {
                *sample = f32::NAN;
            }
            if let Ok(word) = find_word(&take) {
                prop_assert!(word.samples.start < word.samples.end && word.samples.end <= take.len());
                prop_assert!(word.samples.len() <= CLIP_SAMPLES);
                let clip = clip_around(&take, &word.samples);
                prop_assert_eq!(clip.len(), CLIP_SAMPLES);
            }
        }
    }
}
