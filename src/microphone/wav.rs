//! WAV files: integers of 8 to 32 bits and 32-bit floats, any number of channels, any rate.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};

use super::resample::RATES_HZ;
use super::{MicrophoneError, Recording};

/// More channels than any recorder has: a header that claims more is broken.
const MOST_CHANNELS: u16 = 64;
/// Frames that are read at once.
const BLOCK: usize = 1024;

/// A WAV file that is read from front to back.
pub(super) struct Wav {
    path: PathBuf,
    reader: WavReader<BufReader<File>>,
    /// A file cut short has been complained of.
    ended: bool,
}

impl Wav {
    /// Opens a file and believes its header if it can be true.
    ///
    /// # Errors
    /// [`MicrophoneError::File`] if it is missing, is no WAV file of plain samples, or has no samples.
    pub(super) fn open(path: &Path) -> Result<Self, MicrophoneError> {
        let refuse = |reason: String| MicrophoneError::File { path: path.to_owned(), reason };
        let reader = WavReader::open(path).map_err(|error| refuse(reason_of(&error)))?;
        let spec = reader.spec();
        if !(1..=MOST_CHANNELS).contains(&spec.channels) || !RATES_HZ.contains(&spec.sample_rate) {
            let (channels, rate_hz) = (spec.channels, spec.sample_rate);
            return Err(refuse(format!(
                "its header claims {channels} channels at {rate_hz} samples a second, which cannot be; record it anew"
            )));
        }
        if reader.duration() == 0 {
            return Err(refuse("it has no samples; record it anew".to_owned()));
        }
        Ok(Self { path: path.to_owned(), reader, ended: false })
    }

    /// Reads the next samples, scaled to −1…1, into `interleaved`; returns whether there may be more.
    fn block_into(&mut self, interleaved: &mut Vec<f32>) -> Result<bool, hound::Error> {
        let spec = self.reader.spec();
        let most = BLOCK * usize::from(spec.channels);
        match spec.sample_format {
            SampleFormat::Float => {
                for sample in self.reader.samples::<f32>().take(most) {
                    interleaved.push(sample?);
                }
            }
            SampleFormat::Int => {
                let scale = 1.0 / (1u64 << (spec.bits_per_sample.max(1) - 1)) as f32;
                for sample in self.reader.samples::<i32>().take(most) {
                    interleaved.push(sample? as f32 * scale);
                }
            }
        }
        Ok(interleaved.len() == most)
    }
}

impl Recording for Wav {
    fn rate_hz(&self) -> u32 {
        self.reader.spec().sample_rate
    }

    fn channels(&self) -> u16 {
        self.reader.spec().channels
    }

    fn frames(&self) -> Option<u64> {
        Some(u64::from(self.reader.duration()))
    }

    fn read_into(&mut self, interleaved: &mut Vec<f32>, _: &dyn Fn() -> bool) -> Result<bool, MicrophoneError> {
        if self.ended {
            return Ok(false);
        }
        match self.block_into(interleaved) {
            Ok(more) => Ok(more),
            // A recorder that was killed leaves such a file; what it has recorded is there all the same.
            Err(hound::Error::IoError(error)) if is_cut_short(&error) => {
                tracing::warn!(path = %self.path.display(), "the WAV file ends before its header says; heard what there is");
                self.ended = true;
                Ok(false)
            }
            Err(error) => Err(MicrophoneError::File { path: self.path.clone(), reason: reason_of(&error) }),
        }
    }
}

fn is_cut_short(error: &io::Error) -> bool {
    // hound makes its own error when the last sample is incomplete.
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::Other)
}

/// The end of a sentence that begins with "Cannot read x.wav: ".
fn reason_of(error: &hound::Error) -> String {
    const REMEDY: &str = "convert it with `ffmpeg -i IN -c:a pcm_s16le OUT.wav`";
    match error {
        hound::Error::IoError(error) if is_cut_short(error) => "it ends within its header; record it anew".to_owned(),
        hound::Error::IoError(error) => match error.kind() {
            ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
            ErrorKind::PermissionDenied => "permission denied; check who may read it".to_owned(),
            _ => format!("{error}; check the path"),
        },
        hound::Error::FormatError(what) => format!("it is no WAV file of plain PCM samples ({what}); {REMEDY}"),
        hound::Error::Unsupported | hound::Error::InvalidSampleFormat | hound::Error::TooWide => {
            format!("it is no WAV file of plain PCM samples (their form is unknown); {REMEDY}")
        }
        hound::Error::UnfinishedSample => "its last sample is incomplete; record it anew".to_owned(),
    }
}
