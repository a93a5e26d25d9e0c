//! What a spotter has reported beside what was spoken: hits, misses, wrong words, false accepts.
//!
//! ```text
//! spoken            [ yes ]
//! window            [───────── 1 s ─]
//! reported      go     yes  yes no      no
//!                │      │    │   │       └ false accept
//!                │      │    │   └ wrong word
//!                │      │    └ repeat
//!                │      └ hit
//!                └ false accept
//! ```
//! A command's window begins with the word and ends a second after it. The time of a report is that of its decision: only
//! then does anybody learn of it. A word that is reported in its window is hit once; whatever else is reported there is a
//! repeat of it or a wrong word; whatever is reported outside of all windows is a false accept. So each report counts as
//! one of the four, and hits and misses together are all that was spoken.

/// A word counts as heard until so long after its end.
const GRACE_S: f64 = 1.0;

/// A command that was spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spoken {
    /// Where it begins, in seconds of the stream.
    pub start_s: f64,
    /// Where it ends.
    pub end_s: f64,
    /// Which label.
    pub label: usize,
}

/// A command that was reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reported {
    /// When it was decided, in seconds of the stream.
    pub decided_s: f64,
    /// Which label.
    pub label: usize,
    /// Its smoothed score, 0…1.
    pub score: f32,
}

/// What a report is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The word of this number, so long after its end; before it, if negative.
    Hit { spoken: usize, delay_s: f64 },
    /// The word of this number once more.
    Repeat { spoken: usize },
    /// Another word than the one of this number.
    Wrong { spoken: usize },
    /// Nothing was spoken.
    FalseAccept,
}

/// What is spoken in one stream, in the order of its times.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Script {
    spoken: Vec<Spoken>,
    /// The length of the longest window.
    longest_s: f64,
}

impl Script {
    /// A script of these commands, in any order.
    pub fn new(mut spoken: Vec<Spoken>) -> Self {
        spoken.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        let longest_s = spoken.iter().map(|one| one.end_s + GRACE_S - one.start_s).fold(0.0, f64::max);
        Self { spoken, longest_s }
    }

    /// The commands, in the order of their beginnings.
    pub fn spoken(&self) -> &[Spoken] {
        &self.spoken
    }

    /// How much of a stream of `length_s` seconds lies in the windows of commands, in seconds.
    pub fn windows_s(&self, length_s: f64) -> f64 {
        let (mut total, mut covered_to) = (0.0, 0f64);
        for Spoken { start_s, end_s, .. } in &self.spoken {
            let end_s = (end_s + GRACE_S).min(length_s);
            total += (end_s - start_s.max(covered_to)).max(0.0);
            covered_to = covered_to.max(end_s);
        }
        total
    }

    /// Judges each of `reports`, which are in the order of their times.
    ///
    /// Where the windows of one word said twice overlap, a report goes to the one that closes first, so that no other
    /// order gives more hits.
    pub fn judge(&self, reports: &[Reported]) -> Vec<Verdict> {
        let mut is_hit = vec![false; self.spoken.len()];
        let mut verdict = |report: &Reported| {
            let time = report.decided_s;
            let first = self.spoken.partition_point(|one| one.start_s < time - self.longest_s);
            let began = self.spoken.partition_point(|one| one.start_s <= time);
            let open = || (first..began).filter(|number| time <= self.spoken[*number].end_s + GRACE_S);
            let is_same = |number: &usize| self.spoken[*number].label == report.label;
            let closes_first = |a: &usize, b: &usize| self.spoken[*a].end_s.total_cmp(&self.spoken[*b].end_s);
            if let Some(spoken) = open().filter(is_same).filter(|number| !is_hit[*number]).min_by(closes_first) {
                is_hit[spoken] = true;
                return Verdict::Hit { spoken, delay_s: time - self.spoken[spoken].end_s };
            }
            match (open().filter(is_same).min_by(closes_first), open().min_by(closes_first)) {
                (Some(spoken), _) => Verdict::Repeat { spoken },
                (None, Some(spoken)) => Verdict::Wrong { spoken },
                (None, None) => Verdict::FalseAccept,
            }
        };
        reports.iter().map(&mut verdict).collect()
    }
}

/// How many of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Commands that were spoken.
    pub spoken: usize,
    /// Commands that were reported.
    pub hits: usize,
    /// Commands that were reported again.
    pub repeats: usize,
    /// Reports of another command than the spoken one.
    pub wrong_words: usize,
    /// Reports where none was spoken.
    pub false_accepts: usize,
}

impl Tally {
    /// Adds what came of one stream.
    pub fn add(&mut self, script: &Script, verdicts: &[Verdict]) {
        self.spoken += script.spoken.len();
        for verdict in verdicts {
            *match verdict {
                Verdict::Hit { .. } => &mut self.hits,
                Verdict::Repeat { .. } => &mut self.repeats,
                Verdict::Wrong { .. } => &mut self.wrong_words,
                Verdict::FalseAccept => &mut self.false_accepts,
            } += 1;
        }
    }

    /// Commands that were spoken and not reported.
    pub fn misses(&self) -> usize {
        self.spoken - self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const YES: usize = 0;
    const NO: usize = 1;

    fn script(spoken: &[(f64, f64, usize)]) -> Script {
        Script::new(spoken.iter().map(|&(start_s, end_s, label)| Spoken { start_s, end_s, label }).collect())
    }

    /// The verdicts on reports of (time, label), as letters: h(it), r(epeat), w(rong word), f(alse accept).
    fn check(spoken: &[(f64, f64, usize)], reports: &[(f64, usize)], expected: &str) {
        let reports: Vec<Reported> =
            reports.iter().map(|&(decided_s, label)| Reported { decided_s, label, score: 1.0 }).collect();
        let letter = |verdict: &Verdict| match verdict {
            Verdict::Hit { .. } => 'h',
            Verdict::Repeat { .. } => 'r',
            Verdict::Wrong { .. } => 'w',
            Verdict::FalseAccept => 'f',
        };
        let found: String = script(spoken).judge(&reports).iter().map(letter).collect();
        assert_eq!(found, expected, "{spoken:?} {reports:?}");
    }

    #[test]
    fn the_picture_above_is_what_is_judged() {
        let reports = [(0.5, NO), (1.7, YES), (2.0, YES), (2.3, NO), (3.0, NO)];
        check(&[(1.0, 1.5, YES)], &reports, "fhrwf");
        check(&[], &[(1.0, YES)], "f");
        check(&[(1.0, 1.5, YES)], &[], "");
    }

    #[test]
    fn a_window_holds_its_ends() {
        let word = [(1.0, 1.5, YES)];
        check(&word, &[(1.0, YES)], "h");
        check(&word, &[(2.5, YES)], "h");
        check(&word, &[(0.99, YES)], "f");
        check(&word, &[(2.51, YES)], "f");
    }

    #[test]
    fn windows_that_overlap_give_each_word_its_report() {
        // Said twice without a pause: the first report is the first word's, though both windows are open.
        check(&[(1.0, 1.5, YES), (1.6, 2.1, YES)], &[(1.7, YES), (2.3, YES), (2.8, YES)], "hhr");
        check(&[(1.0, 1.5, YES), (1.6, 2.1, NO)], &[(1.9, YES), (2.3, NO)], "hh");
        check(&[(1.0, 1.5, YES), (1.6, 2.1, NO)], &[(1.9, NO), (2.3, YES)], "hh");
        // A long word around a short one closes last.
        check(&[(1.0, 5.0, YES), (2.0, 2.5, YES)], &[(2.6, YES), (4.0, YES)], "hh");
    }

    #[test]
    fn a_delay_counts_from_the_end_of_the_word() {
        let reports = [Reported { decided_s: 1.75, label: YES, score: 1.0 }];
        let verdicts = script(&[(1.0, 1.5, YES)]).judge(&reports);
        assert_eq!(verdicts, [Verdict::Hit { spoken: 0, delay_s: 0.25 }]);
    }

    #[test]
    fn time_in_windows_is_counted_once_and_within_the_stream() {
        let words = script(&[(1.0, 1.5, YES), (2.0, 2.5, NO), (9.0, 9.5, YES)]);
        assert_eq!(words.windows_s(100.0), (3.5 - 1.0) + (10.5 - 9.0));
        assert_eq!(words.windows_s(10.0), (3.5 - 1.0) + (10.0 - 9.0));
        assert_eq!(script(&[(1.0, 5.0, YES), (2.0, 2.5, NO)]).windows_s(100.0), 5.0);
        assert_eq!(script(&[]).windows_s(100.0), 0.0);
    }

    fn words() -> impl Strategy<Value = Vec<(f64, f64, usize)>> {
        let word = (0u32..600, 1u32..30, 0usize..3);
        let word =
            word.prop_map(|(start, length, label)| (f64::from(start) / 10.0, f64::from(start + length) / 10.0, label));
        prop::collection::vec(word, 0..40)
    }

    proptest! {
        #[test]
        fn every_report_counts_once_and_hits_and_misses_are_all_that_was_spoken(
            spoken in words(), mut times in prop::collection::vec((0u32..650, 0usize..3), 0..60)
        ) {
            times.sort_unstable();
            let reports: Vec<Reported> = times
                .iter()
                .map(|&(tenths, label)| Reported { decided_s: f64::from(tenths) / 10.0, label, score: 1.0 })
                .collect();
            let script = script(&spoken);
            let verdicts = script.judge(&reports);
            let mut tally = Tally::default();
            tally.add(&script, &verdicts);
            prop_assert_eq!(tally.hits + tally.repeats + tally.wrong_words + tally.false_accepts, reports.len());
            prop_assert_eq!(tally.hits + tally.misses(), spoken.len());
            let mut hit: Vec<usize> = Vec::new();
            for (verdict, report) in verdicts.iter().zip(&reports) {
                if let Verdict::Hit { spoken, delay_s } = verdict {
                    let word = &script.spoken()[*spoken];
                    prop_assert!(word.label == report.label && *delay_s <= GRACE_S + 1e-9 && report.decided_s >= word.start_s);
                    hit.push(*spoken);
                }
            }
            hit.sort_unstable();
            prop_assert!(hit.windows(2).all(|pair| pair[0] != pair[1]), "a word is hit twice: {:?}", hit);
        }

        #[test]
        fn no_other_assignment_gives_more_hits(
            spoken in prop::collection::vec((0u32..40, 1u32..15), 0..7),
            mut times in prop::collection::vec(0u32..70, 0..7)
        ) {
            times.sort_unstable();
            let spoken: Vec<(f64, f64, usize)> = spoken
                .iter()
                .map(|&(start, length)| (f64::from(start) / 10.0, f64::from(start + length) / 10.0, YES))
                .collect();
            let reports: Vec<Reported> =
                times.iter().map(|&tenths| Reported { decided_s: f64::from(tenths) / 10.0, label: YES, score: 1.0 }).collect();
            let script = script(&spoken);
            let mut tally = Tally::default();
            tally.add(&script, &script.judge(&reports));
            prop_assert_eq!(tally.hits, most_hits(&script, &reports));
        }
    }

    /// The largest number of words that can have a report of their own, by trying everything.
    fn most_hits(script: &Script, reports: &[Reported]) -> usize {
        fn best(script: &Script, reports: &[Reported], taken: u32) -> usize {
            let Some((report, later)) = reports.split_first() else { return 0 };
            let fits = |word: &Spoken| word.start_s <= report.decided_s && report.decided_s <= word.end_s + GRACE_S;
            let free = (0..script.spoken.len()).filter(|word| taken & (1 << word) == 0 && fits(&script.spoken[*word]));
            let with = free.map(|word| 1 + best(script, later, taken | 1 << word)).max().unwrap_or(0);
            with.max(best(script, later, taken))
        }
        best(script, reports, 0)
    }
}
