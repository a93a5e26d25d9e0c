//! `lookhear record-word`: records clips of a word, to train a spotter of one's own.
//!
//! ```text
//! $ lookhear record-word lamp --takes 20 --speaker ada
//! Say "lamp" once after each countdown; an interrupt (Ctrl-C) ends it, and keeps what is done.
//! take 1 of 20  3 … 2 … 1 … now
//!   kept words/lamp/3c6e0b8a_nohash_0.wav (peak -9 dBFS, room -61 dBFS)
//! take 2 of 20  3 … 2 … 1 … now
//!   It was too quiet (peak -41 dBFS): come nearer, or turn the microphone up.
//! ```
//! A clip is one second at 16 kHz with the word in its middle, in the layout and under the names of Speech Commands: the
//! eight digits stand for the speaker, and the training recipe decides by them which clips it learns from and which it
//! measures with. They are a hash of the speaker's name, which itself is written nowhere.
//!
//! A sound file or pipe in place of a microphone is taken as it is: each two seconds of it are a take, without a countdown.

use std::fs::{self, File};
use std::io::{Cursor, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::run::stop_on_signals;
use crate::flow::{Ledger, Pace, RingReader, Stage, StageError, Stop, ring};
use crate::media::{Levels, SAMPLE_RATE_HZ};
use crate::microphone::{Microphone, MicrophoneConfig};
use crate::speech::{CLIP_SAMPLES, SpokenWord, clip_around, find_word};

/// How long a take is: a word of up to a second, and the time to begin it.
const TAKE_SAMPLES: usize = 2 * SAMPLE_RATE_HZ as usize;
/// Of the last number of the countdown this much belongs to the take: some begin a little too early.
const LEAD_IN_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 4;
/// From one number of the countdown to the next.
const COUNT_SAMPLES: usize = SAMPLE_RATE_HZ as usize * 7 / 10;
/// After a take there is time to read what became of it.
const PAUSE_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 2;
/// How much is heard between two looks at the level.
const METER_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 20;
/// After so many takes without a word somebody has to do something about it.
const MOST_FAULTS: u32 = 10;
/// A second more than any take, for a terminal that blocks.
const RING_SAMPLES: usize = 4 * SAMPLE_RATE_HZ as usize;
/// Longer words are refused: they would not fit into a folder's name.
const LONGEST_WORD: usize = 64;

/// The arguments of `lookhear record-word`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The word: letters, digits, - and _
    #[arg(value_name = "WORD", value_parser = word)]
    word: String,
    /// The folder that gets a folder for each word
    #[arg(long, value_name = "DIR", default_value = "words")]
    into: PathBuf,
    /// How many clips
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    takes: u32,
    /// Who speaks; the same name for all words of one person [default: the name of the user]
    #[arg(long, value_name = "NAME")]
    speaker: Option<String>,
    /// auto, a device, a WAV or video file, or - (raw PCM on standard input)
    #[arg(long, value_name = "SRC", default_value = "auto")]
    microphone: String,
}

/// A word that can be a folder's name, and no other place.
fn word(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    match text {
        "" => Err("a word has letters".to_owned()),
        _ if text.len() > LONGEST_WORD => Err(format!("at most {LONGEST_WORD} bytes make a word")),
        // These are the data set's own folders: for noise, and in evaluations for what is no command.
        _ if text.starts_with(['_', '-']) => Err("a word begins with a letter or a digit".to_owned()),
        _ if !text.chars().all(fits) => Err("only letters, digits, - and _ make a word".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// Why nothing can be recorded or written; what was written before stays.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { word, into, takes, speaker, microphone } = args;
    let name = speaker.or_else(|| std::env::var("USER").ok()).unwrap_or_default();
    let speaker = Speaker::of(&name);
    let stop = Stop::new();
    stop_on_signals(&stop).context("Cannot listen to signals")?;
    let mut ear = Ear::open(&MicrophoneConfig { source: microphone, ..MicrophoneConfig::default() }, &stop)?;
    let folder = into.join(&word);
    fs::create_dir_all(&folder).with_context(|| not_written(&folder))?;
    if ear.is_live {
        println!("Say {word:?} once after each countdown; an interrupt (Ctrl-C) ends it, and keeps what is done.");
    }
    let mut shelf = Shelf::new(folder, &speaker)?;
    let (mut kept, mut faults) = (0, 0);
    while kept < takes {
        let Some(take) = ear.take(&format!("take {} of {takes}", kept + 1))? else { break };
        match find_word(&take) {
            Ok(spoken) => {
                let file = shelf.keep(&clip_around(&take, &spoken.samples))?;
                let SpokenWord { levels, background_dbfs, .. } = spoken;
                println!(
                    "  kept {} (peak {:.0} dBFS, room {background_dbfs:.0} dBFS)",
                    file.display(),
                    levels.peak_dbfs
                );
                (kept, faults) = (kept + 1, 0);
            }
            Err(fault) => {
                println!("  {fault}");
                faults += 1;
                if faults == MOST_FAULTS && ear.is_live {
                    bail!(
                        "{MOST_FAULTS} takes in a row gave no clip: listen to the microphone with another program first."
                    );
                }
            }
        }
    }
    let split = speaker.split.name();
    let folder = shelf.folder.display();
    match kept {
        0 if stop.is_requested() => println!("Stopped; nothing was recorded."),
        0 => bail!("No clip of {word:?} came of it; see what was said of each take."),
        _ => println!("{kept} of {takes} takes are in {folder}; the recipe uses this speaker's clips for {split}."),
    }
    Ok(())
}

fn not_written(path: &Path) -> String {
    format!("Cannot write into {}: check that it is a folder of yours and has room.", path.display())
}

/// What the training recipe does with the clips of a speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Training,
    Validation,
    Testing,
}

impl Split {
    /// By the rule of Speech Commands (Warden 2018, `which_set` in its README), as the recipe applies it: the SHA-1 of the
    /// eight digits, modulo 2²⁷, in percent; below 10 is validation, below 20 testing.
    fn of(digits: &str) -> Self {
        let hash = Sha1::digest(digits.as_bytes());
        let [.., a, b, c, d] = hash[..] else { return Self::Training };
        let percent = f64::from(u32::from_be_bytes([a, b, c, d]) % (1 << 27)) * 100.0 / f64::from((1 << 27) - 1);
        match percent {
            ..10.0 => Self::Validation,
            ..20.0 => Self::Testing,
            _ => Self::Training,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Testing => "testing",
        }
    }
}

/// Who speaks, as the names of files tell it.
#[derive(Debug)]
struct Speaker {
    digits: String,
    split: Split,
}

impl Speaker {
    /// The first eight hexadecimal digits of the SHA-256 of `name`. Where those are of a speaker for testing, whose clips the
    /// recipe drops, that hash is hashed once more.
    fn of(name: &str) -> Self {
        let mut hash = Sha256::digest(name.as_bytes());
        loop {
            let digits: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            let split = Split::of(&digits);
            if split != Split::Testing {
                return Self { digits, split };
            }
            hash = Sha256::digest(hash);
        }
    }
}

/// The folder of a word, and the number of the next clip.
#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    start_of_name: String,
    next: u32,
}

impl Shelf {
    /// Goes on counting where an earlier recording of this speaker ended.
    fn new(folder: PathBuf, speaker: &Speaker) -> anyhow::Result<Self> {
        let start_of_name = format!("{}_nohash_", speaker.digits);
        let mut next = 0;
        for entry in fs::read_dir(&folder).with_context(|| not_written(&folder))? {
            let name = entry.with_context(|| not_written(&folder))?.file_name();
            let number =
                name.to_str().and_then(|name| name.strip_prefix(&start_of_name)?.split('.').next()?.parse().ok());
            next = next.max(number.map_or(0, |number: u32| number.saturating_add(1)));
        }
        Ok(Self { folder, start_of_name, next })
    }

    /// Writes a clip under a name of its own; never over another.
    fn keep(&mut self, clip: &[f32]) -> anyhow::Result<PathBuf> {
        let bytes = wav(clip).context("Cannot write a WAV file: memory is short.")?;
        loop {
            let path = self.folder.join(format!("{}{}.wav", self.start_of_name, self.next));
            let next = self.next.checked_add(1).with_context(|| format!("{} is full.", self.folder.display()))?;
            self.next = next;
            match File::create_new(&path) {
                Ok(mut file) => {
                    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
                    if written.is_err() {
                        // Half a clip is worse than none; the error that is told is the first.
                        let _ = fs::remove_file(&path);
                    }
                    written.with_context(|| not_written(&self.folder))?;
                    return Ok(path);
                }
                // Somebody else records as well.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| not_written(&self.folder)),
            }
        }
    }
}

/// A WAV file of 16-bit samples, mono at 16 kHz.
fn wav(samples: &[f32]) -> Result<Vec<u8>, hound::Error> {
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels: 1, sample_rate: SAMPLE_RATE_HZ, bits_per_sample: 16, sample_format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec)?;
    for sample in samples {
        // A number too large becomes the largest.
        writer.write_sample((sample * 32_768.0).round() as i16)?;
    }
    writer.finalize()?;
    Ok(bytes.into_inner())
}

/// A microphone that is open all the time, so that no take waits for it.
struct Ear {
    samples: RingReader<f32>,
    /// Until it has ended and was asked why.
    microphone: Option<JoinHandle<Result<(), StageError>>>,
    is_live: bool,
    stop: Stop,
    meter: ProgressBar,
}

impl Ear {
    fn open(config: &MicrophoneConfig, stop: &Stop) -> anyhow::Result<Self> {
        if config.is_none() {
            bail!("Cannot record from no microphone: name one, as `lookhear devices` prints it.");
        }
        let is_live = config.is_live();
        let pace = if is_live { Pace::Live } else { Pace::Complete };
        let (writer, samples) = ring(RING_SAMPLES, pace, Ledger::new().edge("microphone → take"));
        let mut microphone = Microphone::new(config, pace, Instant::now(), vec![writer])?;
        let life = stop.for_stage();
        let thread = std::thread::Builder::new().name("microphone".to_owned());
        let microphone = thread.spawn(move || microphone.run(&life))?;
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let meter = if is_live { ProgressBar::new_spinner().with_style(style) } else { ProgressBar::hidden() };
        Ok(Self { samples, microphone: Some(microphone), is_live, stop: stop.clone(), meter })
    }

    /// The next take; `None` at the end of a file, and when the user stops.
    fn take(&mut self, title: &str) -> anyhow::Result<Option<Vec<f32>>> {
        let mut take = Vec::with_capacity(RING_SAMPLES);
        if !self.is_live {
            println!("{title}");
            let is_whole = self.hear_into(&mut take, TAKE_SAMPLES, "")?;
            // What is left at the end is heard as well, if a word could be in it.
            return Ok((is_whole || take.len() > CLIP_SAMPLES / 2).then_some(take));
        }
        loop {
            let is_whole = self.counted_down_into(&mut take, title)?;
            self.meter.finish_and_clear();
            if !is_whole {
                return Ok(None);
            }
            println!("{title}");
            if self.samples.newly_lost() == 0 {
                return Ok(Some(take));
            }
            // A word with a hole is none.
            println!("  Some of the sound was lost, as this machine is too busy: once more.");
        }
    }

    /// Counts down and hears a take; returns whether it came.
    fn counted_down_into(&mut self, take: &mut Vec<f32>, title: &str) -> anyhow::Result<bool> {
        self.meter.reset();
        // What came in while nobody heard is no part of it.
        self.samples.try_take_into(take, usize::MAX);
        self.samples.newly_lost();
        for (count, samples) in [("", PAUSE_SAMPLES), ("3", COUNT_SAMPLES), ("2", COUNT_SAMPLES), ("1", COUNT_SAMPLES)]
        {
            take.clear();
            if !self.hear_into(take, samples, &format!("{title}  {count}"))? {
                return Ok(false);
            }
        }
        take.drain(..COUNT_SAMPLES - LEAD_IN_SAMPLES);
        self.hear_into(take, LEAD_IN_SAMPLES + TAKE_SAMPLES, &format!("{title}  now!"))
    }

    /// Hears until `take` has so many samples, and shows how loud it is meanwhile; returns whether they came.
    fn hear_into(&mut self, take: &mut Vec<f32>, samples: usize, title: &str) -> anyhow::Result<bool> {
        let mut shown = take.len();
        while take.len() < samples {
            let most = (samples - take.len()).min(METER_SAMPLES);
            if self.samples.take_into(take, most, &self.stop) == 0 {
                self.ended()?;
                return Ok(false);
            }
            if take.len() - shown >= METER_SAMPLES {
                self.meter.set_message(format!("{title:28} {}", meter(Levels::of(&take[shown..]))));
                self.meter.tick();
                shown = take.len();
            }
        }
        Ok(true)
    }

    /// Why the microphone gives no more, if that is an error.
    fn ended(&mut self) -> anyhow::Result<()> {
        self.meter.finish_and_clear();
        let Some(microphone) = self.microphone.take() else { return Ok(()) };
        match microphone.join() {
            Ok(result) => Ok(result?),
            Err(_) => bail!("The microphone's thread has failed; please report what it said."),
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.meter.finish_and_clear();
    }
}

/// A bar for −60…0 dBFS, with the peak as a number.
fn meter(levels: Levels) -> String {
    const CELLS: usize = 30;
    let filled = ((levels.peak_dbfs + 60.0) / 60.0 * CELLS as f32).clamp(0.0, CELLS as f32) as usize;
    format!("{}{} {:4.0} dBFS", "█".repeat(filled), "░".repeat(CELLS - filled), levels.peak_dbfs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_folders_are_words() {
        for good in ["yes", "lamp-2", "night_light", "größe", "7"] {
            assert_eq!(word(good), Ok(good.to_owned()));
        }
        for bad in ["", "..", "a/b", "../a", "a b", "_silence_", "-a", "a\0", "a.wav", &"a".repeat(65)] {
            assert!(word(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_speaker_s_split_is_that_of_the_recipe() {
        // By `split_of` of models/keywords/train/prepare.py.
        let expected = [
            ("0c540988", Split::Testing),
            ("9baf3a40", Split::Testing),
            ("00000000", Split::Validation),
            ("00000007", Split::Validation),
            ("ffffffff", Split::Training),
            ("fdee430d", Split::Training),
        ];
        for (digits, split) in expected {
            assert_eq!(Split::of(digits), split, "{digits}");
        }
        for name in ["", "ada", "grace", "alan", "eve", "bob", "kim", "lee", "max", "pat", "sam", "tom", "zoe"] {
            let speaker = Speaker::of(name);
            assert!(speaker.digits.len() == 8 && speaker.split != Split::Testing, "{name}: {speaker:?}");
            assert_eq!(Split::of(&speaker.digits), speaker.split);
        }
    }

    #[test]
    fn a_clip_is_written_as_it_is_and_never_over_another() {
        let folder = tempfile::tempdir().expect("room");
        let speaker = Speaker { digits: "0c540988".to_owned(), split: Split::Training };
        let shelf = || Shelf::new(folder.path().to_owned(), &speaker).expect("a folder");
        fs::write(folder.path().join("0c540988_nohash_6.wav"), "kept").expect("room");
        fs::write(folder.path().join("ffffffff_nohash_9.wav"), "another speaker").expect("room");
        let (mut one, mut other) = (shelf(), shelf());
        let first = one.keep(&[0.0, 0.5, -1.0, 7.0, -7.0]).expect("room");
        let second = other.keep(&[0.25]).expect("room");
        let number = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        assert_eq!(number(&first).as_deref(), Some("0c540988_nohash_7.wav"));
        assert_eq!(number(&second).as_deref(), Some("0c540988_nohash_8.wav"));
        let samples: Vec<i16> =
            hound::WavReader::open(&first).expect("a WAV").samples().map(|sample| sample.expect("whole")).collect();
        assert_eq!(samples, [0, 16_384, -32_768, 32_767, -32_768]);
        assert_eq!(fs::read(folder.path().join("0c540988_nohash_6.wav")).expect("a file"), b"kept");
    }

    #[test]
    fn the_meter_shows_the_peak() {
        let shown = |peak_dbfs| meter(Levels { peak_dbfs, rms_dbfs: -90.0 });
        assert_eq!(shown(-120.0), format!("{} -120 dBFS", "░".repeat(30)));
        assert_eq!(shown(-30.0), format!("{}{}  -30 dBFS", "█".repeat(15), "░".repeat(15)));
        assert_eq!(shown(3.0), format!("{}    3 dBFS", "█".repeat(30)));
    }
}
