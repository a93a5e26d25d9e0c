//! The sound track of anything that the program `ffmpeg` can read: films, network streams, compressed sound.

use std::io::ErrorKind;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use super::{MicrophoneError, Recording};
use crate::media::{FfmpegProcess, PatientReader, SAMPLE_RATE_HZ};

/// How long a file or stream may give nothing. A network camera that is switched on needs some 5 s to its first sound.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long ffmpeg may take to end after its last sample.
const FAREWELL: Duration = Duration::from_secs(5);
/// 64 ms of samples.
const BLOCK_BYTES: usize = 4096;

/// A sound track, brought to mono and 16 kHz by ffmpeg.
pub(super) struct Track {
    source: String,
    /// Taken at the end, when its exit code tells whether that was the end.
    process: Option<FfmpegProcess>,
    reader: PatientReader<ChildStdout>,
    bytes: Vec<u8>,
}

impl Track {
    /// Starts ffmpeg on a file or an address.
    ///
    /// # Errors
    /// [`MicrophoneError::Ffmpeg`] if it is not installed. What it finds wrong with the source is told by the first
    /// read.
    pub(super) fn open(source: &str) -> Result<Self, MicrophoneError> {
        let rate = SAMPLE_RATE_HZ.to_string();
        // A path may begin with a dash or hold a colon; so marked it is neither option nor protocol.
        let input = if source.contains("://") { source.to_owned() } else { format!("file:{source}") };
        let arguments = ["-i", &input, "-vn", "-sn", "-dn", "-ac", "1", "-ar", &rate, "-f", "f32le", "-"];
        let task = format!("hear {}", without_password(source));
        let mut process = FfmpegProcess::spawn(&task, arguments, Stdio::null(), Stdio::piped())?;
        let stdout = process.take_stdout().expect("the output was made a pipe");
        let reader = PatientReader::new(stdout, PATIENCE);
        Ok(Self { source: without_password(source), process: Some(process), reader, bytes: vec![0; BLOCK_BYTES] })
    }
}

impl Recording for Track {
    fn rate_hz(&self) -> u32 {
        SAMPLE_RATE_HZ
    }

    fn channels(&self) -> u16 {
        1
    }

    fn read_into(&mut self, interleaved: &mut Vec<f32>, stopped: &dyn Fn() -> bool) -> Result<bool, MicrophoneError> {
        let count = match self.reader.fill(&mut self.bytes, stopped) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            Err(source) => return Err(MicrophoneError::Pipe { name: self.source.clone(), source }),
        };
        let (samples, _) = self.bytes[..count].as_chunks::<4>();
        interleaved.extend(samples.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        if count == self.bytes.len() {
            return Ok(true);
        }
        if let Some(process) = self.process.take() {
            process.finish(FAREWELL)?;
        }
        Ok(false)
    }
}

/// An address without the user's name and password, for messages.
fn without_password(source: &str) -> String {
    let Some((scheme, rest)) = source.split_once("://") else { return source.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_reaches_no_message() {
        assert_eq!(without_password("rtsp://me:p@ss@10.0.0.7:554/live?a=b"), "rtsp://10.0.0.7:554/live?a=b");
        assert_eq!(without_password("a@b.mp4"), "a@b.mp4");
    }
}
