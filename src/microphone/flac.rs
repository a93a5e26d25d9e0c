//! FLAC files: the lossless form in which collections of speech are kept.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use symphonia_bundle_flac::{FlacDecoder, FlacReader};
use symphonia_core::codecs::CodecParameters;
use symphonia_core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia_core::errors::Error;
use symphonia_core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia_core::io::MediaSourceStream;

use super::resample::RATES_HZ;
use super::{MicrophoneError, Recording};

/// A FLAC file that is read from front to back.
pub(super) struct Flac {
    path: PathBuf,
    reader: FlacReader<'static>,
    decoder: FlacDecoder,
    rate_hz: u32,
    channels: u16,
    frames: Option<u64>,
    /// The samples of one packet.
    packet: Vec<f32>,
}

impl Flac {
    /// Opens a file and believes its header if it can be true.
    ///
    /// # Errors
    /// [`MicrophoneError::File`] if it is missing or is no FLAC file.
    pub(super) fn open(path: &Path) -> Result<Self, MicrophoneError> {
        let refuse = |reason: String| MicrophoneError::File { path: path.to_owned(), reason };
        let from = |error: Error| refuse(reason_of(&error));
        let file = File::open(path).map_err(|error| from(error.into()))?;
        let source = MediaSourceStream::new(Box::new(file), Default::default());
        let reader = FlacReader::try_new(source, FormatOptions::default()).map_err(from)?;
        let track = reader.first_track(TrackType::Audio);
        let Some((track, CodecParameters::Audio(parameters))) =
            track.and_then(|track| Some((track, track.codec_params.as_ref()?)))
        else {
            return Err(refuse(format!("it holds no sound; {REMEDY}")));
        };
        let decoder = FlacDecoder::try_new(parameters, &AudioDecoderOptions::default()).map_err(from)?;
        let rate_hz = parameters.sample_rate.unwrap_or(0);
        let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
        if channels == 0 || !RATES_HZ.contains(&rate_hz) {
            return Err(refuse(format!(
                "its header claims {channels} channels at {rate_hz} samples a second, which cannot be; record it anew"
            )));
        }
        let (frames, channels) = (track.num_frames, channels as u16);
        Ok(Self { path: path.to_owned(), decoder, rate_hz, channels, frames, packet: Vec::new(), reader })
    }

    /// Decodes the next packet into `self.packet`; returns whether there was one.
    fn decode_next(&mut self) -> Result<bool, Error> {
        self.packet.clear();
        let Some(packet) = self.reader.next_packet()? else { return Ok(false) };
        let decoded = self.decoder.decode(&packet)?;
        if decoded.num_planes() != usize::from(self.channels) {
            return Err(Error::DecodeError("the number of channels changes"));
        }
        decoded.copy_to_vec_interleaved(&mut self.packet);
        Ok(true)
    }
}

impl Recording for Flac {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn frames(&self) -> Option<u64> {
        self.frames
    }

    fn read_into(&mut self, interleaved: &mut Vec<f32>, _: &dyn Fn() -> bool) -> Result<bool, MicrophoneError> {
        match self.decode_next() {
            Ok(more) => {
                interleaved.extend_from_slice(&self.packet);
                Ok(more)
            }
            Err(error) => Err(MicrophoneError::File { path: self.path.clone(), reason: reason_of(&error) }),
        }
    }
}

const REMEDY: &str = "convert it anew with `ffmpeg -i IN OUT.flac`";

/// The end of a sentence that begins with "Cannot read x.flac: ".
fn reason_of(error: &Error) -> String {
    match error {
        Error::IoError(error) => match error.kind() {
            ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
            ErrorKind::PermissionDenied => "permission denied; check who may read it".to_owned(),
            ErrorKind::UnexpectedEof => format!("it ends too early to be a FLAC file; {REMEDY}"),
            _ => format!("{error}; check the path"),
        },
        error => format!("it is no sound FLAC file ({error}); {REMEDY}"),
    }
}
