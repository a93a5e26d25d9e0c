//! Sound that is read from front to back: whatever its form, mono at 16 kHz comes out.

use std::path::Path;
use std::time::Duration;

use super::ffmpeg::Track;
use super::flac::Flac;
use super::pipe::Pipe;
use super::resample::Resampler;
use super::wav::Wav;
use super::{MicrophoneConfig, MicrophoneError, Source};
use crate::media::mono_from;

/// A form that sound is stored or sent in.
pub(super) trait Recording {
    /// Frames a second.
    fn rate_hz(&self) -> u32;
    /// Samples a frame.
    fn channels(&self) -> u16;
    /// How many frames there are, by the header; `None` where nobody knows.
    fn frames(&self) -> Option<u64> {
        None
    }
    /// Appends the next samples, −1…1, to `interleaved`, and returns whether there may be more. `stopped` ends a wait.
    fn read_into(&mut self, interleaved: &mut Vec<f32>, stopped: &dyn Fn() -> bool) -> Result<bool, MicrophoneError>;
}

/// Reads a [`Recording`] and converts it.
pub(super) struct Player {
    recording: Box<dyn Recording>,
    resampler: Resampler,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
}

impl Player {
    /// Opens what `source` names; `None` if that is no recording.
    pub(super) fn open(source: &Source, config: &MicrophoneConfig) -> Result<Option<Self>, MicrophoneError> {
        let recording: Box<dyn Recording> = match source {
            Source::Wav(path) => Box::new(Wav::open(path)?),
            Source::Flac(path) => Box::new(Flac::open(path)?),
            Source::Track(track) => Box::new(Track::open(track)?),
            Source::Pipe => Box::new(Pipe::open(config.pipe_rate_hz, config.pipe_channels)?),
            Source::None | Source::Default | Source::Device(_) => return Ok(None),
        };
        let resampler = Resampler::new(recording.rate_hz())?;
        Ok(Some(Self { recording, resampler, interleaved: Vec::new(), mono: Vec::new() }))
    }

    /// Appends the next samples, mono at 16 kHz, to `out`; returns whether there may be more.
    pub(super) fn play_into(
        &mut self,
        out: &mut Vec<f32>,
        stopped: &dyn Fn() -> bool,
    ) -> Result<bool, MicrophoneError> {
        let more = self.recording.read_into(&mut self.interleaved, stopped)?;
        let channels = usize::from(self.recording.channels().max(1));
        let whole = self.interleaved.len() / channels * channels;
        self.mono.clear();
        self.mono.extend(mono_from(&self.interleaved[..whole], channels).map(audible));
        self.interleaved.drain(..whole);
        self.resampler.convert_into(&self.mono, out);
        if !more {
            self.resampler.finish_into(out);
        }
        Ok(more)
    }
}

/// The sample if it is a number, else silence: one infinity in a file of floats would deafen every filter after it.
pub(super) fn audible(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 }
}

/// Files of floats may pass full scale by some decibels, and are left as they are; beyond this they are broken.
const LOUDEST: f32 = 16.0;

/// A sound file that is read piece by piece, mono at 16 kHz, −1…1.
///
/// WAV and FLAC files are read by lookhear itself, all others by ffmpeg.
pub struct SoundFile {
    player: Player,
}

impl SoundFile {
    /// Opens a file.
    ///
    /// # Errors
    /// [`MicrophoneError`] of the kinds `File` and `Ffmpeg`.
    pub fn open(path: &Path) -> Result<Self, MicrophoneError> {
        let refuse = |reason: &str| MicrophoneError::File { path: path.to_owned(), reason: reason.to_owned() };
        if path.is_dir() {
            return Err(refuse("it is a folder; name the files in it"));
        }
        let source = match Source::parse(&path.to_string_lossy()) {
            source @ (Source::Wav(_) | Source::Flac(_)) => source,
            _ if !path.exists() => return Err(refuse("there is no such file; check the path")),
            _ => Source::Track(path.to_string_lossy().into_owned()),
        };
        match Player::open(&source, &MicrophoneConfig::default())? {
            Some(player) => Ok(Self { player }),
            None => Err(refuse("it is no recording; name a sound file")),
        }
    }

    /// How long it is by its header; `None` where that does not say, or is ffmpeg's to know.
    pub fn length(&self) -> Option<Duration> {
        let recording = &self.player.recording;
        recording.frames().map(|frames| Duration::from_secs_f64(frames as f64 / f64::from(recording.rate_hz())))
    }

    /// Appends the next samples, some thousand at most, to `out`; returns whether there may be more.
    ///
    /// # Errors
    /// [`MicrophoneError`] of the kinds `File`, `Ffmpeg` and `Pipe`.
    pub fn read_into(&mut self, out: &mut Vec<f32>) -> Result<bool, MicrophoneError> {
        self.player.play_into(out, &|| false)
    }
}

/// The whole of a [`SoundFile`].
///
/// # Errors
/// [`MicrophoneError`] of the kinds `File`, `Ffmpeg` and `Pipe`; one of no samples is an error too.
pub fn read_file(path: &Path) -> Result<Vec<f32>, MicrophoneError> {
    let mut file = SoundFile::open(path)?;
    let mut samples = Vec::new();
    while file.read_into(&mut samples)? {}
    match samples.is_empty() {
        true => {
            let reason = "it has no samples; record it anew".to_owned();
            Err(MicrophoneError::File { path: path.to_owned(), reason })
        }
        false => Ok(samples),
    }
}
