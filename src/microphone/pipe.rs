//! Raw samples on standard input: 16-bit integers, little-endian, interleaved.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::Duration;

use super::{MicrophoneError, Recording};
use crate::media::PatientReader;

/// 32 ms of mono at 16 kHz.
const BLOCK_BYTES: usize = 1024;

/// Standard input, as raw samples.
pub(super) struct Pipe {
    /// Waits for as long as it takes: whoever writes may rest, and the request to stop ends the wait.
    reader: PatientReader<File>,
    rate_hz: u32,
    channels: u16,
    bytes: Vec<u8>,
    /// The first byte of a sample whose second has not come.
    half: Option<u8>,
}

impl Pipe {
    /// Standard input, of which the rate and the channels must be known.
    ///
    /// # Errors
    /// [`MicrophoneError::Pipe`] if there is none.
    pub(super) fn open(rate_hz: u32, channels: u16) -> Result<Self, MicrophoneError> {
        // The library's own handle keeps a buffer, whose content no poll of the system can see.
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(broken)?;
        let reader = PatientReader::new(File::from(input), Duration::MAX);
        Ok(Self { reader, rate_hz, channels, bytes: vec![0; BLOCK_BYTES], half: None })
    }
}

impl Recording for Pipe {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn read_into(&mut self, interleaved: &mut Vec<f32>, stopped: &dyn Fn() -> bool) -> Result<bool, MicrophoneError> {
        let count = match self.reader.read(&mut self.bytes, stopped) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            Err(source) => return Err(broken(source)),
        };
        samples_into(&self.bytes[..count], &mut self.half, interleaved);
        Ok(count > 0)
    }
}

fn broken(source: io::Error) -> MicrophoneError {
    MicrophoneError::Pipe { name: "standard input".to_owned(), source }
}

/// Appends 16-bit samples, which a pipe may cut anywhere.
fn samples_into(mut bytes: &[u8], half: &mut Option<u8>, samples: &mut Vec<f32>) {
    let sample = |bytes: [u8; 2]| f32::from(i16::from_le_bytes(bytes)) / 32_768.0;
    if let (Some(first), Some((second, rest))) = (*half, bytes.split_first()) {
        samples.push(sample([first, *second]));
        (*half, bytes) = (None, rest);
    }
    let (whole, rest) = bytes.as_chunks::<2>();
    samples.extend(whole.iter().map(|bytes| sample(*bytes)));
    *half = rest.first().copied().or(*half);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_may_be_cut_anywhere() {
        let bytes = [0x00, 0x80, 0x00, 0x40, 0xff, 0xff];
        for cut in 0..=bytes.len() {
            let (mut half, mut samples) = (None, Vec::new());
            let (front, back) = bytes.split_at(cut);
            for part in [front, &[], back] {
                samples_into(part, &mut half, &mut samples);
            }
            assert_eq!((samples.as_slice(), half), ([-1.0, 0.5, -1.0 / 32_768.0].as_slice(), None), "cut at {cut}");
        }
    }
}
