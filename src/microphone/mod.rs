//! Where sound comes in: the stage that hands mono samples at 16 kHz to its readers.
//!
//! - **waits for** the device, the file or the pipe; of a live pace never for a reader, of a complete one for each
//! - **skips** nothing; what a reader has no room for, and what a lost device did not give, is counted in its ring
//! - **allocates** when it opens a source, and until its buffers have grown to a block's size
//! - **ends** with the file, on request, or when nobody reads any more; a device's failures are for the supervisor to
//!   try again
//!
//! The sound system calls back on a thread of its own, which only converts and pushes into a ring (`device.rs`). This
//! stage's thread takes from there, resamples, and watches whether anything comes at all.

mod device;
mod ffmpeg;
mod flac;
#[cfg_attr(target_os = "linux", path = "hush_alsa.rs")]
#[cfg_attr(not(target_os = "linux"), path = "hush_none.rs")]
mod hush;
mod pipe;
mod recording;
mod resample;
mod source;
mod wav;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use device::{MicrophoneInfo, list};
pub use recording::{SoundFile, read_file};
pub use resample::{RateError, Resampler};
pub use source::{MicrophoneConfig, Source};

use recording::{Player, Recording, audible};

use crate::flow::{Pace, RingWriter, Stage, StageError, Stop};
use crate::media::{FfmpegError, MediaTime, SAMPLE_RATE_HZ};

/// Why nothing is heard.
#[derive(Debug, thiserror::Error)]
pub enum MicrophoneError {
    /// A file is missing or is not what it should be.
    #[error("Cannot read {}: {reason}.", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what helps.
        reason: String,
    },
    /// A pipe or stream broke, or gave nothing for too long.
    #[error("Cannot go on hearing {name}: {source}; check what writes it.")]
    Pipe {
        /// Which.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// ffmpeg is not there or did not do it.
    #[error(transparent)]
    Ffmpeg(#[from] FfmpegError),
    /// There is no such microphone now.
    #[error("Cannot find the microphone {name}: {found}.")]
    Missing {
        /// The name asked for.
        name: String,
        /// What was found instead, and what helps.
        found: String,
    },
    /// A microphone is there and cannot be used.
    #[error("Cannot open the microphone {name}: {reason}.")]
    Device {
        /// Which microphone.
        name: String,
        /// What the sound system said, and what helps.
        reason: String,
    },
    /// A microphone that worked has ceased to.
    #[error("Lost the microphone {name}: {reason}; it is opened again when it is back.")]
    Lost {
        /// Which microphone.
        name: String,
        /// What was seen.
        reason: &'static str,
    },
    /// The sound has a rate that no sound has.
    #[error("Cannot convert the sound: {0}; check the rate.")]
    Rate(#[from] RateError),
}

/// How many samples are handed over at once from a file that follows the clock: 20 ms, as a sound card does.
const PACED_BLOCK: usize = 320;
/// How long a device may give nothing before it is taken for lost. Callbacks come every 5 to 100 ms.
const SILENT_FOR: Duration = Duration::from_secs(2);
/// How often the device's ring is looked at: below the 10 ms of a feature column.
const LOOK: Duration = Duration::from_millis(8);
/// A device's clock may lag behind ours by so much before the readers are told of missing time: more than the buffers
/// of a sound system hold (up to 0.2 s), less than anybody notices between word and picture.
const LATE: Duration = Duration::from_millis(300);

/// The stage; see the module's page.
#[derive(Debug)]
pub struct Microphone {
    config: MicrophoneConfig,
    source: Source,
    pace: Pace,
    epoch: Instant,
    readers: Vec<RingWriter<f32>>,
    /// Samples handed over and skipped since `epoch`. Outlives an opening, since the readers' clock does.
    position: u64,
}

impl Microphone {
    /// Checks all that can be checked without opening a device. Sample `n` of the stream belongs to the time
    /// `epoch + n / 16 000 s`, at which a file of live pace gives it.
    ///
    /// # Errors
    /// [`MicrophoneError::File`] if a file is missing or no sound.
    pub fn new(
        config: &MicrophoneConfig,
        pace: Pace,
        epoch: Instant,
        readers: Vec<RingWriter<f32>>,
    ) -> Result<Self, MicrophoneError> {
        let source = Source::parse(&config.source);
        match &source {
            Source::Wav(path) => drop(wav::Wav::open(path)?),
            Source::Flac(path) => drop(flac::Flac::open(path)?),
            Source::Track(track) if !track.contains("://") && !Path::new(track).is_file() => {
                let reason = "there is no such file; check the path".to_owned();
                return Err(MicrophoneError::File { path: track.into(), reason });
            }
            Source::Pipe => drop(Resampler::new(config.pipe_rate_hz)?),
            _ => {}
        }
        Ok(Self { config: config.clone(), source, pace, epoch, readers, position: 0 })
    }

    /// Whether the source runs in real time by itself.
    pub fn is_live(&self) -> bool {
        self.source.is_live()
    }

    /// Hands `samples` to every reader; returns whether anybody still reads.
    fn give(&mut self, samples: &[f32], stop: &Stop) -> bool {
        self.position += samples.len() as u64;
        self.readers.retain_mut(|reader| reader.give(samples, stop) || !reader.is_abandoned());
        !self.readers.is_empty() && !stop.is_requested()
    }

    /// Tells the readers that `count` samples never came.
    fn skip(&mut self, count: u64) {
        self.position += count;
        self.readers.iter_mut().for_each(|reader| reader.skip(count));
    }

    /// Tells the readers of time that has gone by without samples, if it is more than `tolerated`.
    fn catch_up(&mut self, tolerated: Duration) {
        let now = (self.epoch.elapsed().as_nanos() * u128::from(SAMPLE_RATE_HZ) / 1_000_000_000) as u64;
        let behind = now.saturating_sub(self.position);
        if behind > (tolerated.as_millis() as u64) * u64::from(SAMPLE_RATE_HZ) / 1000 {
            self.skip(behind);
        }
    }

    /// Plays a recording to its end.
    fn play(&mut self, mut player: Player, stop: &Stop) -> Result<(), MicrophoneError> {
        let mut samples = Vec::new();
        let mut more = true;
        while more {
            samples.clear();
            more = player.play_into(&mut samples, &|| stop.is_requested())?;
            for block in samples.chunks(PACED_BLOCK) {
                if self.pace == Pace::Live {
                    let due = MediaTime::of_count(self.position + block.len() as u64, SAMPLE_RATE_HZ, 1);
                    if !stop.sleep_until(self.epoch + due.since_start()) {
                        return Ok(());
                    }
                }
                if !self.give(block, stop) {
                    return Ok(());
                }
                stop.works();
            }
        }
        Ok(())
    }

    /// Hears a device until it fails or the request to stop.
    fn hear(&mut self, name: Option<&str>, stop: &Stop) -> Result<(), MicrophoneError> {
        let mut capture = device::Capture::open(name)?;
        tracing::info!(microphone = capture.name(), rate_hz = capture.rate_hz(), "hears");
        let mut resampler = Resampler::new(capture.rate_hz())?;
        let (mut raw, mut samples) = (Vec::new(), Vec::new());
        let mut last_heard = Instant::now();
        self.catch_up(Duration::ZERO);
        loop {
            raw.clear();
            capture.take_into(&mut raw)?;
            if raw.is_empty() {
                if last_heard.elapsed() > SILENT_FOR {
                    let reason = "it gives no samples any more";
                    return Err(MicrophoneError::Lost { name: capture.name().to_owned(), reason });
                }
                if !stop.sleep(LOOK) {
                    return Ok(());
                }
                continue;
            }
            last_heard = Instant::now();
            samples.clear();
            resampler.convert_into(&raw, &mut samples);
            if !self.give(&samples, stop) {
                return Ok(());
            }
            self.catch_up(LATE);
            stop.works();
        }
    }

    fn run_once(&mut self, stop: &Stop) -> Result<(), MicrophoneError> {
        match self.source.clone() {
            Source::None => Ok(()),
            Source::Default => self.hear(None, stop),
            Source::Device(name) => self.hear(Some(&name), stop),
            source => match Player::open(&source, &self.config)? {
                Some(player) => {
                    if source.is_live() {
                        self.catch_up(Duration::ZERO);
                    }
                    self.play(player, stop)
                }
                None => Ok(()),
            },
        }
    }
}

impl Stage for Microphone {
    fn name(&self) -> &'static str {
        "microphone"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        // Nothing of a file gets better by reading it again, and its beginning would be heard twice.
        self.run_once(stop).map_err(|error| match &error {
            MicrophoneError::Rate(_) | MicrophoneError::File { .. } => StageError::last(error),
            MicrophoneError::Ffmpeg(FfmpegError::NotInstalled { .. }) => StageError::last(error),
            _ if self.source.is_live() => StageError::retry(error),
            _ => StageError::last(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Ledger, RingReader, ring};

    fn drain(reader: &mut RingReader<f32>) -> Vec<f32> {
        let mut out = Vec::new();
        while reader.take_into(&mut out, 4096, &Stop::new()) > 0 {}
        out
    }

    /// A stereo file at 8 kHz, `seconds` long: left a constant 0.5, right a constant 0.1.
    fn stereo(folder: &Path, seconds: f32) -> PathBuf {
        let path = folder.join("stereo.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).expect("room");
        for _ in 0..(8_000.0 * seconds) as usize {
            writer.write_sample(16_384i16).expect("room");
            writer.write_sample(3_277i16).expect("room");
        }
        writer.finalize().expect("room");
        path
    }

    #[test]
    fn a_file_of_complete_pace_reaches_every_reader_whole() {
        let folder = tempfile::tempdir().expect("room");
        let config = MicrophoneConfig {
            source: stereo(folder.path(), 1.0).display().to_string(),
            ..MicrophoneConfig::default()
        };
        let ledger = Ledger::new();
        let (first, mut first_reader) = ring(1000, Pace::Complete, ledger.edge("first"));
        let (second, mut second_reader) = ring(700, Pace::Complete, ledger.edge("second"));
        let mut microphone =
            Microphone::new(&config, Pace::Complete, Instant::now(), vec![first, second]).expect("a sound file");
        assert!(!microphone.is_live());
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| drain(&mut first_reader));
            let second = scope.spawn(|| drain(&mut second_reader));
            microphone.run(&Stop::new()).expect("it plays");
            drop(microphone);
            (first.join().expect("no panic"), second.join().expect("no panic"))
        });
        assert_eq!(first, second);
        assert_eq!(first.len(), 16_000);
        assert!(first[1_000..15_000].iter().all(|sample| (sample - 0.3).abs() < 1e-3));
        assert_eq!(first, read_file(Path::new(&config.source)).expect("the same file"));
    }

    #[test]
    fn a_file_of_live_pace_follows_the_clock() {
        let folder = tempfile::tempdir().expect("room");
        let source = stereo(folder.path(), 0.3).display().to_string();
        let config = MicrophoneConfig { source, ..MicrophoneConfig::default() };
        let (writer, mut reader) = ring(16_000, Pace::Live, Ledger::new().edge("test"));
        let epoch = Instant::now();
        let mut microphone = Microphone::new(&config, Pace::Live, epoch, vec![writer]).expect("a sound file");
        microphone.run(&Stop::new()).expect("it plays");
        assert!(epoch.elapsed() >= Duration::from_millis(300), "{:?}", epoch.elapsed());
        drop(microphone);
        assert_eq!(drain(&mut reader).len(), 4_800);
    }

    #[test]
    fn readers_are_told_of_time_without_samples() {
        let (writer, mut reader) = ring(16, Pace::Live, Ledger::new().edge("test"));
        let Some(epoch) = Instant::now().checked_sub(Duration::from_secs(2)) else { return };
        let mut microphone =
            Microphone::new(&MicrophoneConfig::default(), Pace::Live, epoch, vec![writer]).expect("a device");
        microphone.catch_up(LATE);
        let lost = reader.newly_lost();
        assert!((32_000..64_000).contains(&lost), "{lost}");
        microphone.catch_up(Duration::from_secs(60));
        assert_eq!(reader.newly_lost(), 0);
    }

    #[test]
    fn a_microphone_without_readers_ends() {
        let (writer, reader) = ring(16, Pace::Complete, Ledger::new().edge("test"));
        drop(reader);
        let folder = tempfile::tempdir().expect("room");
        let source = stereo(folder.path(), 0.3).display().to_string();
        let config = MicrophoneConfig { source, ..MicrophoneConfig::default() };
        let mut microphone =
            Microphone::new(&config, Pace::Complete, Instant::now(), vec![writer]).expect("a sound file");
        microphone.run(&Stop::new()).expect("it ends well");
    }
}
