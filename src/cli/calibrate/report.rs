//! What a session came to: thresholds, what to expect of them, and what is wrong; as text and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::estimate::{Because, Estimate, Goal, Speaker, Tail, counted, share, threshold};
use super::session::{Session, Take};
use crate::findings::Label;

/// Nearer to full scale a loud word is cut off; measured in samples, as one may be a knock.
const CLIPPED_SAMPLES: usize = 3;
/// Words whose loudest tenth of a second is below this are lost in the steps of 16 bits and in a cheap microphone's hiss.
const QUIET_DBFS: f32 = -45.0;
/// A word of which a larger share will be missed is no command to rely on.
const HARDLY_KNOWN: f64 = 0.5;
/// Words that rise less above the room than this are measured by what is around them.
const NEAR_ROOM_DB: f32 = 10.0;

/// What is expected of one word, and why.
#[derive(Debug, Serialize)]
pub(super) struct Word {
    pub label: Label,
    /// The least smoothed score that makes a command, in hundredths.
    pub threshold: f32,
    /// The one before.
    pub before: f32,
    because: Because,
    /// How often it was said, and how often that would have been enough.
    said: usize,
    heard: usize,
    /// The highest score of each time it was said.
    peaks: Vec<f32>,
    /// The share that will be missed; the interval is that of the takes alone.
    misses: Estimate,
    /// What will be taken for the word in an hour of this room.
    false_accepts_an_hour: Estimate,
}

/// Everything about a session.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    room_seconds: f64,
    room_dbfs: f32,
    room_loud_dbfs: f32,
    pub words: Vec<Word>,
    /// The same of all words together.
    pub said: usize,
    heard: usize,
    misses: Estimate,
    false_accepts_an_hour: Estimate,
    /// False accepts in the room, and the most an hour that so short a time leaves possible.
    false_accepts_in_room: usize,
    false_accepts_an_hour_at_most: f64,
    warnings: Vec<String>,
}

impl Report {
    /// Chooses the thresholds. `before` has one for each label that is a command.
    pub fn of(session: &Session, labels: &[Label], before: &[Option<f32>], goal: Goal) -> Self {
        let script = session.script();
        let said =
            |label: usize| -> Vec<&Take> { session.takes(label).filter(|take| session.is_audible(take)).collect() };
        let peaks: Vec<Vec<f32>> =
            script.words.iter().map(|label| said(*label).iter().map(|take| take.peak).collect()).collect();
        let speaker = Speaker::of(peaks.iter().map(Vec::as_slice));
        let share_of_goal =
            Goal { false_accepts_an_hour: goal.false_accepts_an_hour / script.words.len() as f64, ..goal };
        let mut in_room = 0;
        let words: Vec<Word> = script
            .words
            .iter()
            .zip(peaks)
            .filter_map(|(label, peaks)| {
                let before = before[*label]?;
                let room = Tail::of(&session.room_peaks(*label), script.room_s);
                let (threshold, because) = threshold(before, &room, &speaker, &peaks, share_of_goal);
                in_room += room.count(threshold);
                let heard = peaks.iter().filter(|peak| **peak >= threshold).count();
                Some(Word {
                    label: labels[*label].clone(),
                    threshold,
                    before,
                    because,
                    said: peaks.len(),
                    heard,
                    misses: missed(speaker.misses(&peaks, threshold), peaks.len() - heard, peaks.len()),
                    false_accepts_an_hour: room.an_hour(threshold),
                    peaks,
                })
            })
            .collect();
        let (said_in_all, heard): (usize, usize) =
            words.iter().fold((0, 0), |(said, heard), word| (said + word.said, heard + word.heard));
        let expected = words.iter().map(|word| word.misses.expected).sum::<f64>() / words.len().max(1) as f64;
        let (room_dbfs, room_loud_dbfs) = session.room_dbfs();
        Self {
            room_seconds: script.room_s,
            room_dbfs,
            room_loud_dbfs,
            said: said_in_all,
            heard,
            misses: missed(expected, said_in_all - heard, said_in_all),
            false_accepts_an_hour: Estimate::sum(words.iter().map(|word| word.false_accepts_an_hour)),
            false_accepts_in_room: in_room,
            false_accepts_an_hour_at_most: counted(in_room).high / (script.room_s / 3600.0),
            warnings: warnings(session, labels, &words),
            words,
        }
    }

    /// Prints it for people.
    pub fn print(&self, to: &mut impl Write) -> io::Result<()> {
        let Self { room_seconds, room_dbfs, room_loud_dbfs, said, heard, .. } = self;
        writeln!(to, "room, {room_seconds:.0} s: {room_dbfs:.0} dBFS, now and then {room_loud_dbfs:.0} dBFS")?;
        writeln!(to, "word      threshold  before    heard  will be missed  false accepts an hour")?;
        for word in &self.words {
            let Word { label, threshold, before, heard, said, misses, false_accepts_an_hour: accepts, .. } = word;
            let mark = match word.because {
                Because::Before => "",
                Because::Room => "raised for the room",
                Because::Takes => "lowered for the takes",
                Because::Overlap => "cannot be told from the room",
            };
            let line = format!(
                "{label:10}{threshold:9.2}{before:8.2}  {:>7}  {:>14}  {:>21}  {mark}",
                format!("{heard}/{said}"),
                percent(misses),
                an_hour(accepts),
            );
            writeln!(to, "{}", line.trim_end())?;
        }
        let (misses, accepts) = (percent(&self.misses), an_hour(&self.false_accepts_an_hour));
        writeln!(to, "{:27}  {:>7}  {misses:>14}  {accepts:>21}", "all", format!("{heard}/{said}"))?;
        let found = match self.false_accepts_in_room {
            0 => "no false accept".to_owned(),
            1 => "1 false accept".to_owned(),
            count => format!("{count} false accepts"),
        };
        writeln!(
            to,
            "In brackets: 95 %. Misses follow from the spread of the takes, their brackets from the count alone. False accepts are\n\
             extrapolated from the room's scores, if it stays as it was; by count alone, {room_seconds:.0} s with {found} leave\n\
             up to {:.0} an hour possible. Speech that the room did not have, as from a television, is in neither: for that\n\
             the thresholds before were measured.",
            self.false_accepts_an_hour_at_most,
        )?;
        self.warnings.iter().try_for_each(|warning| writeln!(to, "warning: {warning}"))
    }
}

/// The share that is missed: as the spread of the takes lets expect, and between what their count leaves possible.
fn missed(expected: f64, missed: usize, said: usize) -> Estimate {
    let Estimate { low, high, .. } = share(missed, said);
    Estimate { expected, low: low.min(expected), high: high.max(expected) }
}

fn percent(share: &Estimate) -> String {
    format!("{:.0} % ({:.0}–{:.0})", share.expected * 100.0, share.low * 100.0, share.high * 100.0)
}

/// As many digits as mean something: 0.03, 0.2, 12; and 0 for less than one in 200 hours.
fn an_hour(rate: &Estimate) -> String {
    let short = |value: f64| match value {
        _ if value < 0.005 => "0".to_owned(),
        _ if value < 0.095 => format!("{value:.2}"),
        _ if value < 9.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    format!("{} ({}–{})", short(rate.expected), short(rate.low), short(rate.high))
}

/// What is wrong, each matter once, with the words that it concerns.
fn warnings(session: &Session, labels: &[Label], words: &[Word]) -> Vec<String> {
    let script = session.script();
    let takes = || script.words.iter().flat_map(|label| session.takes(*label).map(|take| (*label, take)));
    let said: Vec<(usize, &Take)> = takes().filter(|(_, take)| session.is_audible(take)).collect();
    let mut found = Vec::new();
    let mut warn = |concerned: Vec<String>, what: &str| {
        if !concerned.is_empty() {
            found.push(format!("{}: {what}", concerned.join(", ")));
        }
    };
    let names = |chosen: &dyn Fn(&Word) -> bool| {
        words.iter().filter(|word| chosen(word)).map(|word| word.label.to_string()).collect()
    };

    let silent = |label: &usize| session.takes(*label).filter(|take| !session.is_audible(take)).count();
    let with_silent = script.words.iter().filter(|label| silent(label) > 0);
    let silent_takes = with_silent.map(|label| format!("{} ({} of {})", labels[*label], silent(label), script.takes));
    warn(silent_takes.collect(), "nothing was louder than the room in these takes, which do not count.");
    warn(
        names(&|word| word.because == Because::Overlap),
        "this room scores as high as the takes; the threshold keeps it quiet and misses much. Speak nearer to the \
         microphone, or do without.",
    );
    warn(
        names(&|word| word.because != Because::Overlap && word.said > 0 && word.misses.expected > HARDLY_KNOWN),
        "the model hardly knows it as it was said. Speak nearer and plainly, or do without.",
    );
    let triggers =
        |label: usize, score: f32| words.iter().any(|word| word.label == labels[label] && score >= word.threshold);
    let confused = said.iter().filter_map(|(label, take)| {
        let (score, other) = take.other.filter(|(score, other)| triggers(*other, *score))?;
        Some(format!("{} as {} ({score:.2})", labels[*label], labels[other]))
    });
    warn(confused.collect(), "these takes would have been heard as another word.");

    let clipped = said.iter().filter(|(_, take)| take.clipped >= CLIPPED_SAMPLES).count();
    if clipped > 0 {
        let all = said.len();
        found.push(format!("{clipped} of {all} takes reach full scale and are cut off there: turn the microphone down, then calibrate again."));
    }
    let mut loudest: Vec<f32> = said.iter().map(|(_, take)| take.loudest_dbfs).collect();
    loudest.sort_by(f32::total_cmp);
    if let Some(middle) = loudest.get(loudest.len() / 2) {
        let above = middle - session.room_dbfs().1;
        if *middle < QUIET_DBFS {
            found.push(format!("words reach {middle:.0} dBFS only: turn the microphone up, then calibrate again."));
        } else if above < NEAR_ROOM_DB {
            found.push(format!("words rise {above:.0} dB above the room only: speak nearer to the microphone."));
        }
    }
    found
}
