//! The activity gate: whether the last second of sound can hold speech at all, told from its level alone.
//!
//! ```text
//! level  ┤            ╭╮ ╭─╮
//!        │            ││╭╯ │
//! margin ┼ ─ ─ ─ ─ ─ ─│╰╯─ ╰╮─ ─ ─ ─ ─ ─ ─ ─ ─
//! floor  ┼──╮╭───╮╭──╯      ╰───╮╭──╮╭────╮╭──
//!        └──┴┴───┴┴─────────────┴┴──┴┴────┴┴──▶ time
//! gate    closed       open ◀─ 1 window ─▶ closed
//! ```
//! It is closed while all levels of the last window lie within a few decibels of the lowest level of the last three
//! seconds (the floor, by minimum statistics), and open otherwise. That one rule covers what a gate has to be careful
//! about: it opens with the first rise, stays open until the whole window has been quiet, is open at the start, and
//! opens when noise comes or goes, for then floor and levels differ. Noise that is steady is quiet, however loud.
//!
//! The level is taken in three bands, and a rise in one suffices: in steady noise as loud as the word, a vowel stands out
//! of the low band and a hiss out of the high band, even where the sum rises little.

use crate::media::SAMPLE_RATE_HZ;

/// The gate hears hops of so many samples, 10 ms: short enough for a plosive, long enough for a level.
pub const HOP_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 100;

/// A level is the mean power of so many hops. Fewer, and steady noise flickers by more than the margins; more, and a
/// short word rises less.
const HOPS_A_LEVEL: usize = 3;
/// Levels are kept as the highest and lowest of blocks of so many hops, 100 ms.
const HOPS_A_BLOCK: usize = 10;
/// The floor reaches back so many blocks, 3.2 s. Longer than any word or string of words without a dip, so that speech
/// does not become its own floor; the gate stays open for as long when noise becomes louder.
const FLOOR_BLOCKS: usize = 32;

/// Neighbours of so many samples are averaged for the low band: a box of 0.5 ms, which passes what lies below 1 kHz.
const LOW_BAND_BOX: usize = 8;

/// By how much the levels of a band may rise over the floor without being heard, as ratio of powers: 6, 7 and 4 dB.
/// In an hour of white noise the highest level of a window lies 1.5, 5.2 and 1.8 dB over the floor in the median, 1.9,
/// 6.9 and 2.4 dB in one case of a hundred (a level flickers the more the fewer independent values its band has). Less
/// costs looks at steady noise, more costs words in it.
const MARGINS: [f32; 3] = [4.0, 5.0, 2.5];

/// Lower powers count as this, −90 dBFS: the last bit of a muted microphone's converter is not listened to.
const LOWEST_POWER: f32 = 1e-9;

/// The gate. No clock, no thread, no allocation; the same samples give the same answers.
#[derive(Clone, Debug)]
pub struct ActivityGate {
    bands: [Band; 3],
    /// The last sample, and the last average of the low band, before the hop to come.
    before: (f32, f32),
    /// Hops heard since the start or the last gap.
    hops: usize,
    /// How many of the last blocks cover one window.
    window_blocks: usize,
}

/// The levels of one band, as powers.
#[derive(Clone, Debug)]
struct Band {
    recent: [f32; HOPS_A_LEVEL],
    level: f32,
    lowest: [f32; FLOOR_BLOCKS],
    highest: [f32; FLOOR_BLOCKS],
}

impl ActivityGate {
    /// A gate for windows of `window_samples`, at most three seconds: of a longer window, the last three seconds count.
    pub fn new(window_samples: usize) -> Self {
        let band = Band {
            recent: [0.0; HOPS_A_LEVEL],
            level: 0.0,
            lowest: [f32::INFINITY; FLOOR_BLOCKS],
            highest: [0.0; FLOOR_BLOCKS],
        };
        // A window does not begin with a block, and the first level after it reaches back into it.
        let window_hops = window_samples.div_ceil(HOP_SAMPLES) + HOPS_A_LEVEL - 1;
        let window_blocks = (window_hops.div_ceil(HOPS_A_BLOCK) + 1).min(FLOOR_BLOCKS);
        Self { bands: [band.clone(), band.clone(), band], before: (0.0, 0.0), hops: 0, window_blocks }
    }

    /// Hears the next 10 ms.
    ///
    /// - **in**: `hop`, −1…1, mono at 16 kHz, as it was captured: before any gain
    pub fn hear(&mut self, hop: &[f32]) {
        let block = self.hops / HOPS_A_BLOCK % FLOOR_BLOCKS;
        let begins_block = self.hops.is_multiple_of(HOPS_A_BLOCK);
        for (band, power) in self.bands.iter_mut().zip(powers(hop, &mut self.before)) {
            // A sample that is no number makes the hop loud, and is forgotten with it.
            let power = if power.is_finite() { power.max(LOWEST_POWER) } else { 1.0 };
            band.recent[self.hops % HOPS_A_LEVEL] = power;
            let known = HOPS_A_LEVEL.min(self.hops + 1);
            band.level = band.recent[..known].iter().sum::<f32>() / known as f32;
            if begins_block {
                (band.lowest[block], band.highest[block]) = (band.level, band.level);
            } else {
                band.lowest[block] = band.lowest[block].min(band.level);
                band.highest[block] = band.highest[block].max(band.level);
            }
        }
        self.hops += 1;
    }

    /// Whether the window that ends with the last hop can hold speech.
    pub fn is_open(&self) -> bool {
        // Too little was heard to know the floor.
        if self.hops < self.window_blocks * HOPS_A_BLOCK {
            return true;
        }
        let block = (self.hops - 1) / HOPS_A_BLOCK;
        self.bands.iter().zip(MARGINS).any(|(band, margin)| {
            let highest = (0..self.window_blocks).map(|back| band.highest[(block - back) % FLOOR_BLOCKS]);
            highest.fold(0.0, f32::max) > band.floor() * margin
        })
    }

    /// The level of the last 30 ms over all frequencies, in decibels below full scale; −90 at the least.
    pub fn level_dbfs(&self) -> f32 {
        10.0 * self.bands[0].level.max(LOWEST_POWER).log10()
    }

    /// The lowest level of the last three seconds, in decibels below full scale; −90 at the least.
    pub fn floor_dbfs(&self) -> f32 {
        10.0 * self.bands[0].floor().clamp(LOWEST_POWER, 1.0).log10()
    }

    /// Forgets what it has heard, after a gap in the sound.
    pub fn reset(&mut self) {
        self.hops = 0;
        self.before = (0.0, 0.0);
        self.bands.iter_mut().for_each(|band| band.lowest.fill(f32::INFINITY));
    }
}

impl Band {
    fn floor(&self) -> f32 {
        self.lowest.iter().copied().fold(f32::INFINITY, f32::min)
    }
}

/// The powers of all frequencies (but for a constant offset), of the low and of the high ones.
///
/// The low band is the difference between averages of neighbours, which leaves out the rumble below 100 Hz; the high
/// band is the difference between neighbours.
fn powers(hop: &[f32], before: &mut (f32, f32)) -> [f32; 3] {
    let (mut sum, mut all, mut low, mut high) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
    let (last_sample, last_average) = before;
    for few in hop.as_chunks::<LOW_BAND_BOX>().0 {
        let average = few.iter().sum::<f32>() / LOW_BAND_BOX as f32;
        low += (average - *last_average).powi(2);
        high += (few[0] - *last_sample).powi(2);
        high += few.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum::<f32>();
        all += few.iter().map(|sample| sample * sample).sum::<f32>();
        sum += average;
        (*last_sample, *last_average) = (few[LOW_BAND_BOX - 1], average);
    }
    if !(last_sample.is_finite() && last_average.is_finite()) {
        *before = (0.0, 0.0);
    }
    let (count, averages) = (HOP_SAMPLES as f32, (HOP_SAMPLES / LOW_BAND_BOX) as f32);
    [all / count - (sum / averages).powi(2), low / averages, high / count]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// White noise of level 0 dBFS: even between its extremes.
    pub(in super::super) struct Noise(u32);

    impl Noise {
        pub fn new() -> Self {
            Self(1)
        }
        pub fn next(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            3f32.sqrt() * ((self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0)
        }
    }

    pub(in super::super) fn at_dbfs(level_dbfs: f32) -> f32 {
        10f32.powf(level_dbfs / 20.0)
    }

    fn noise(seconds: f32, level_dbfs: f32) -> Vec<f32> {
        let mut noise = Noise::new();
        (0..(seconds * 16_000.0) as usize).map(|_| noise.next() * at_dbfs(level_dbfs)).collect()
    }

    fn tone(seconds: f32, hz: f32, level_dbfs: f32) -> Vec<f32> {
        let amplitude = 2f32.sqrt() * at_dbfs(level_dbfs);
        let angle = |place: usize| std::f32::consts::TAU * hz * place as f32 / 16_000.0;
        (0..(seconds * 16_000.0) as usize).map(|place| amplitude * angle(place).sin()).collect()
    }

    fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
        a.iter().zip(b).map(|(a, b)| a + b).collect()
    }

    /// When a gate for windows of a second is open, in seconds from begin to end, as far as `sound` goes.
    fn open_times(sound: &[f32]) -> Vec<(f32, f32)> {
        let mut gate = ActivityGate::new(16_000);
        let (mut times, mut was_open): (Vec<(f32, f32)>, bool) = (Vec::new(), false);
        for (hop, time) in sound.chunks_exact(HOP_SAMPLES).zip((1..).map(|hop| hop as f32 / 100.0)) {
            gate.hear(hop);
            if gate.is_open() {
                if !was_open {
                    times.push((time, time));
                }
                times.last_mut().expect("it has opened").1 = time;
            }
            was_open = gate.is_open();
        }
        times
    }

    #[test]
    fn silence_and_steady_noise_close_it_after_the_start_and_for_good() {
        let offset = vec![0.25; 320_000];
        let last_bit: Vec<f32> =
            noise(20.0, -6.0).into_iter().map(|x| if x > 0.0 { 1.0 / 32768.0 } else { 0.0 }).collect();
        let steady =
            [vec![0.0; 320_000], offset, last_bit, noise(20.0, -80.0), noise(20.0, -10.0), tone(20.0, 50.0, -30.0)];
        for sound in steady {
            let times = open_times(&sound);
            assert!(matches!(times[..], [(0.01, end)] if end < 1.25), "{times:?}");
        }
    }

    #[test]
    fn a_short_rise_opens_it_at_once_until_it_has_left_the_window() {
        let floor = noise(12.0, -50.0);
        for (burst, name) in [(noise(0.1, -45.0), "noise"), (tone(0.1, 300.0, -50.0), "a vowel as loud as the noise")] {
            let mut sound = floor.clone();
            sound[96_000..97_600].copy_from_slice(&sum(&floor[96_000..97_600], &burst));
            let times = open_times(&sound);
            let [_, (begin, end)] = times[..] else { panic!("{name}: {times:?}") };
            assert!((6.0..=6.06).contains(&begin) && (7.1..7.35).contains(&end), "{name}: {begin} to {end}");
        }
    }

    #[test]
    fn noise_that_comes_or_goes_opens_it_until_it_is_known() {
        let times = open_times(&[noise(6.0, -60.0), noise(8.0, -40.0), noise(6.0, -70.0)].concat());
        let [_, (louder, known), (quieter, known_again)] = times[..] else { panic!("{times:?}") };
        assert!((6.0..6.05).contains(&louder) && (9.0..10.6).contains(&known), "{times:?}");
        assert!((14.0..14.05).contains(&quieter) && (15.0..15.3).contains(&known_again), "{times:?}");
    }

    #[test]
    fn samples_that_are_no_numbers_open_it_and_are_forgotten() {
        let mut sound = noise(14.0, -50.0);
        sound[64_000] = f32::NAN;
        sound[64_500] = f32::INFINITY;
        let times = open_times(&sound);
        assert!(matches!(times[..], [_, (begin, end)] if begin < 4.05 && end < 5.4), "{times:?}");
    }

    #[test]
    fn after_a_gap_it_is_open_until_it_knows_the_floor() {
        let mut gate = ActivityGate::new(16_000);
        let hear = |gate: &mut ActivityGate, hops: usize| {
            noise(hops as f32 / 100.0, -50.0).chunks_exact(HOP_SAMPLES).for_each(|hop| gate.hear(hop));
            gate.is_open()
        };
        assert!(!hear(&mut gate, 200));
        gate.reset();
        assert!(hear(&mut gate, 100));
        assert!(!hear(&mut gate, 100));
    }

    #[test]
    fn level_and_floor_are_in_decibels_below_full_scale() {
        let mut gate = ActivityGate::new(16_000);
        [noise(2.0, -40.0), noise(0.1, -20.0)].concat().chunks_exact(HOP_SAMPLES).for_each(|hop| gate.hear(hop));
        assert!((gate.level_dbfs() + 20.0).abs() < 0.5 && (gate.floor_dbfs() + 40.5).abs() < 1.0, "{gate:?}");
    }
}
