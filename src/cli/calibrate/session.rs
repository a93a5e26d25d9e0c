//! What is asked of the speaker and when, and what is kept of what is heard. Pure: its clock is the sound itself.
//!
//! ```text
//! 0 s            room             60 s   63 s   66 s
//! ├─ nothing is said, as usual else ─┼─ yes ─┼─ no ──┼─ … ─┤   every word once, then every word again
//!                                    │▒▒▒▒  │▒▒▒▒  │         each in the first two of its three seconds
//! ```

use crate::media::{Levels, SAMPLE_RATE_HZ};

/// From one word to the next: long enough to read the word, say it, and for the spotter to have heard it out.
pub(super) const SLOT_S: f64 = 3.0;
/// Of that, how long a word may be waited for. The spotter knows it at most a second after its end.
pub(super) const SPEAK_WITHIN_S: f64 = 2.0;
/// Looks nearer to each other than this have some of the same sound under their average: a window and its smoothing.
const STRETCH_S: f64 = 1.5;
/// Levels are of a tenth of a second: a vowel.
const LEVEL_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 10;
/// By how much a word must rise above what the room itself now and then reaches, to count as said.
const AUDIBLE_DB: f32 = 3.0;
/// Magnitudes from here on are those of a converter at its end.
const FULL_SCALE: f32 = 0.999;

/// What comes when.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// How long the room is heard, in seconds.
    pub room_s: f64,
    /// The labels to be said, as places in the spotter's list.
    pub words: Vec<usize>,
    /// How often each.
    pub takes: usize,
}

/// What is asked for at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// Nothing: the room is heard.
    Room,
    /// The word of this number, counted from 0 through all rounds.
    Take(usize),
    /// Everything has been asked.
    Over,
}

impl Script {
    /// How many takes there are of all words.
    pub fn slots(&self) -> usize {
        self.words.len() * self.takes
    }

    /// How long it takes, in seconds.
    pub fn seconds(&self) -> f64 {
        self.room_s + self.slots() as f64 * SLOT_S
    }

    /// What is asked for at a time, and how many seconds of it are left.
    pub fn at(&self, time_s: f64) -> (Part, f64) {
        if time_s < self.room_s {
            return (Part::Room, self.room_s - time_s);
        }
        let slot = ((time_s - self.room_s) / SLOT_S) as usize;
        match slot < self.slots() {
            true => (Part::Take(slot), self.room_s + (slot + 1) as f64 * SLOT_S - time_s),
            false => (Part::Over, 0.0),
        }
    }

    /// The label of a take.
    pub fn word(&self, take: usize) -> usize {
        self.words[take % self.words.len()]
    }
}

/// One take of a word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Take {
    /// The word's highest score among those looks in which no other command scored higher, 0…1.
    pub peak: f32,
    /// The highest score of another command that was the best, and its label.
    pub other: Option<(f32, usize)>,
    /// The loudest tenth of a second, in dB below full scale.
    pub loudest_dbfs: f32,
    /// Samples at the converter's end.
    pub clipped: usize,
}

/// Everything that is kept of a session.
#[derive(Debug)]
pub(super) struct Session {
    script: Script,
    /// Which labels are commands.
    commands: Vec<bool>,
    /// For each stretch of the room and each label the highest score as the best command.
    stretches: Vec<Vec<f32>>,
    /// The levels of the room's tenths of seconds, in dB below full scale.
    room_dbfs: Vec<f32>,
    takes: Vec<Take>,
    position: u64,
    block: Vec<f32>,
}

impl Session {
    /// A session of which nothing has been heard; `commands` tells which labels are words.
    pub fn new(script: Script, commands: Vec<bool>) -> Self {
        let take = Take { peak: 0.0, other: None, loudest_dbfs: Levels::FLOOR_DBFS, clipped: 0 };
        Self {
            stretches: vec![vec![0.0; commands.len()]; (script.room_s / STRETCH_S).ceil() as usize],
            room_dbfs: Vec::new(),
            takes: vec![take; script.slots()],
            script,
            commands,
            position: 0,
            block: Vec::with_capacity(LEVEL_SAMPLES),
        }
    }

    /// What is asked for.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// How far it has heard, in seconds.
    pub fn time_s(&self) -> f64 {
        self.position as f64 / f64::from(SAMPLE_RATE_HZ)
    }

    /// Takes the smoothed scores of a look that ends at `time_s`.
    pub fn look(&mut self, time_s: f64, smoothed: &[f32]) {
        let commands = smoothed.iter().copied().enumerate().filter(|(label, _)| self.commands[*label]);
        let Some((best, score)) = commands.max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
        match self.script.at(time_s).0 {
            Part::Room => {
                let highest = &mut self.stretches[(time_s / STRETCH_S) as usize][best];
                *highest = highest.max(score);
            }
            Part::Take(number) if self.script.word(number) == best => {
                let take = &mut self.takes[number];
                take.peak = take.peak.max(score);
            }
            Part::Take(number) => {
                let take = &mut self.takes[number];
                if take.other.is_none_or(|(highest, _)| score > highest) {
                    take.other = Some((score, best));
                }
            }
            Part::Over => {}
        }
    }

    /// Takes the next samples, for their level.
    pub fn hear(&mut self, samples: &[f32]) {
        for sample in samples {
            self.block.push(*sample);
            self.position += 1;
            if self.block.len() == LEVEL_SAMPLES {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        let level = Levels::of(&self.block).rms_dbfs;
        let start_s = self.time_s() - self.block.len() as f64 / f64::from(SAMPLE_RATE_HZ);
        match self.script.at(start_s.max(0.0)).0 {
            Part::Room => self.room_dbfs.push(level),
            Part::Take(number) => {
                let take = &mut self.takes[number];
                take.loudest_dbfs = take.loudest_dbfs.max(level);
                take.clipped += self.block.iter().filter(|sample| sample.abs() >= FULL_SCALE).count();
            }
            Part::Over => {}
        }
        self.block.clear();
    }

    /// Passes over samples that were lost.
    pub fn lose(&mut self, count: u64) {
        self.position += count;
        self.block.clear();
    }

    /// One label's highest scores in the room, one for each stretch.
    pub fn room_peaks(&self, label: usize) -> Vec<f32> {
        self.stretches.iter().map(|stretch| stretch[label]).collect()
    }

    /// The room's level in the middle, and what it exceeds for a twentieth of the time, in dB below full scale.
    pub fn room_dbfs(&self) -> (f32, f32) {
        let mut levels = self.room_dbfs.clone();
        levels.sort_by(f32::total_cmp);
        let at = |share: f64| levels.get((share * levels.len() as f64) as usize).copied().unwrap_or(Levels::FLOOR_DBFS);
        (at(0.5), at(0.95))
    }

    /// The takes of one label, in their order.
    pub fn takes(&self, label: usize) -> impl Iterator<Item = &Take> {
        self.takes
            .iter()
            .enumerate()
            .filter(move |(number, _)| self.script.word(*number) == label)
            .map(|(_, take)| take)
    }

    /// Whether something was said in a take.
    pub fn is_audible(&self, take: &Take) -> bool {
        take.loudest_dbfs > self.room_dbfs().1 + AUDIBLE_DB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels: silence, yes, no. Three seconds of room, then yes, no, yes, no.
    fn session() -> Session {
        Session::new(Script { room_s: 3.0, words: vec![1, 2], takes: 2 }, vec![false, true, true])
    }

    #[test]
    fn every_word_is_asked_for_once_before_any_is_asked_for_again() {
        let script = session().script;
        assert_eq!(script.seconds(), 15.0);
        let asked = [0.0, 2.99, 3.0, 5.99, 6.0, 9.0, 14.9, 15.0].map(|time| script.at(time).0);
        let take = Part::Take;
        assert_eq!(asked, [Part::Room, Part::Room, take(0), take(0), take(1), take(2), take(3), Part::Over]);
        assert_eq!([0, 1, 2, 3].map(|take| script.word(take)), [1, 2, 1, 2]);
        assert!((script.at(4.0).1 - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_score_counts_for_the_part_in_which_it_was_the_best_command() {
        let mut session = session();
        session.look(1.0, &[0.2, 0.3, 0.5]);
        session.look(1.4, &[0.9, 0.1, 0.0]);
        session.look(2.0, &[0.9, 0.06, 0.04]);
        session.look(4.0, &[0.0, 0.8, 0.1]);
        session.look(4.1, &[0.0, 0.2, 0.7]);
        session.look(7.0, &[0.0, 0.6, 0.4]);
        session.look(15.0, &[0.0, 1.0, 0.0]);
        assert_eq!((session.room_peaks(1), session.room_peaks(2)), (vec![0.1, 0.06], vec![0.5, 0.0]));
        let peaks = |label| session.takes(label).map(|take| (take.peak, take.other)).collect::<Vec<_>>();
        assert_eq!(peaks(1), [(0.8, Some((0.7, 2))), (0.0, None)]);
        assert_eq!(peaks(2), [(0.0, Some((0.6, 1))), (0.0, None)]);
    }

    #[test]
    fn a_take_is_audible_if_it_is_louder_than_the_room() {
        let mut session = session();
        let seconds = |seconds: usize, amplitude: f32| vec![amplitude; seconds * SAMPLE_RATE_HZ as usize];
        session.hear(&seconds(3, 0.01));
        session.hear(&seconds(1, 0.012));
        session.hear(&seconds(2, 0.001));
        session.hear(&seconds(3, 1.0));
        session.lose(48_000);
        session.hear(&seconds(3, 0.1));
        let takes: Vec<_> = [1, 2].iter().flat_map(|label| session.takes(*label)).collect();
        assert_eq!(takes.iter().map(|take| session.is_audible(take)).collect::<Vec<_>>(), [false, false, true, true]);
        assert_eq!(takes.iter().map(|take| take.clipped).collect::<Vec<_>>(), [0, 0, 48_000, 0]);
        assert!((session.room_dbfs().0 + 40.0).abs() < 0.01, "{:?}", session.room_dbfs());
    }
}
