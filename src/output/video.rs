//! A video file being written: the picture through `ffmpeg`, the sound beside it, joined at the end.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use fast_image_resize as fr;

use super::SinkError;
use crate::flow::{RingReader, Stop};
use crate::media::{FfmpegError, FfmpegProcess, SAMPLE_RATE_HZ};

/// How long ffmpeg may take to write what it has buffered.
const FINISH: Duration = Duration::from_secs(20);
/// How long joining picture and sound may take: copying, and encoding the sound of a long recording.
const JOIN: Duration = Duration::from_secs(300);
/// Samples that are taken at once from the ring.
const BLOCK: usize = 4000;
/// The longest silence written for samples that were lost: the ring forgets no more than a lost device does.
const LONGEST_GAP: u64 = 600 * SAMPLE_RATE_HZ as u64;

/// Whether ffmpeg is installed and can encode.
///
/// # Errors
/// [`SinkError::Ffmpeg`] if not.
pub(super) fn check_encoder(target: &Path) -> Result<(), SinkError> {
    encoder(target).map(drop)
}

/// H.264 where this ffmpeg has it, else MPEG-4, which every ffmpeg has.
fn encoder(target: &Path) -> Result<&'static [&'static str], SinkError> {
    let task = task_of(target);
    let mut list = FfmpegProcess::spawn(&task, ["-encoders"], Stdio::null(), Stdio::piped())?;
    let mut text = String::new();
    if let Some(mut stdout) = list.take_stdout() {
        stdout.read_to_string(&mut text).map_err(|source| FfmpegError::System { task, source })?;
    }
    list.finish(FINISH)?;
    Ok(match text.contains(" libx264 ") {
        // Fast enough for a Pi beside the detector; the size is twice what the slowest preset gives.
        true => &["-c:v", "libx264", "-preset", "veryfast", "-crf", "23"],
        false => &["-c:v", "mpeg4", "-q:v", "4"],
    })
}

fn task_of(target: &Path) -> String {
    format!("write {}", target.display())
}

/// A video being written.
pub(super) struct Video {
    target: PathBuf,
    picture: PathBuf,
    sound: PathBuf,
    encoding: Option<(FfmpegProcess, ChildStdin)>,
    size: (u32, u32),
    resizer: fr::Resizer,
}

impl Video {
    /// A video that will be `target`; nothing is written yet.
    pub(super) fn new(target: &Path) -> Self {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let beside = |ending: &str| target.with_file_name(format!(".{name}.{ending}"));
        Self {
            target: target.to_owned(),
            // Matroska stays readable if the machine loses its power while it is written.
            picture: beside("video.mkv"),
            sound: beside("wav"),
            encoding: None,
            size: (0, 0),
            resizer: fr::Resizer::new(),
        }
    }

    /// Where the sound is to be written.
    pub(super) fn sound_path(&self) -> PathBuf {
        self.sound.clone()
    }

    /// Starts the encoder for pictures of `size`, `rate.0 / rate.1` a second.
    pub(super) fn start(&mut self, size: (u32, u32), rate: (u32, u32)) -> Result<(), SinkError> {
        let (size_text, rate_text) = (format!("{}x{}", size.0, size.1), format!("{}/{}", rate.0, rate.1));
        let mut arguments: Vec<&str> = vec!["-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", &size_text];
        // Most players want colours at half the size, which odd sizes do not have.
        arguments.extend(["-framerate", &rate_text, "-i", "-", "-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2"]);
        arguments.extend(encoder(&self.target)?);
        arguments.extend(["-pix_fmt", "yuv420p"]);
        let mut arguments: Vec<std::ffi::OsString> = arguments.into_iter().map(Into::into).collect();
        arguments.push(self.picture.clone().into());
        let mut process = FfmpegProcess::spawn(&task_of(&self.target), arguments, Stdio::piped(), Stdio::null())?;
        self.size = size;
        self.encoding = process.take_stdin().map(|stdin| (process, stdin));
        Ok(())
    }

    /// Appends one picture.
    pub(super) fn picture(&mut self, pixels: &[[u8; 3]], life: &Stop) -> Result<(), SinkError> {
        life.beat();
        let Some((_, stdin)) = &mut self.encoding else { return Ok(()) };
        let Err(source) = stdin.write_all(pixels.as_flattened()) else { return Ok(()) };
        // The pipe is broken because ffmpeg ended, and ffmpeg knows why.
        match self.encoding.take() {
            Some((process, stdin)) => {
                drop(stdin);
                process.finish(FINISH)?;
                Err(SinkError::Write { target: self.target.clone(), source })
            }
            None => Ok(()),
        }
    }

    /// Scales a picture of another size to the video's: a camera may come back with another format.
    pub(super) fn fit(
        &mut self,
        pixels: &[[u8; 3]],
        (width, height): (u32, u32),
        out: &mut Vec<[u8; 3]>,
    ) -> Result<(), SinkError> {
        out.resize(self.size.0 as usize * self.size.1 as usize, [0; 3]);
        let failed = |error: String| SinkError::Write { target: self.target.clone(), source: io::Error::other(error) };
        let source = fr::images::ImageRef::new(width, height, pixels.as_flattened(), fr::PixelType::U8x3)
            .map_err(|error| failed(error.to_string()))?;
        let mut scaled =
            fr::images::Image::from_slice_u8(self.size.0, self.size.1, out.as_flattened_mut(), fr::PixelType::U8x3)
                .map_err(|error| failed(error.to_string()))?;
        self.resizer.resize(&source, &mut scaled, None).map_err(|error| failed(error.to_string()))
    }

    /// Ends the picture, joins it with the sound if there is one, and puts the result in its place.
    pub(super) fn finish(mut self, has_sound: bool) -> Result<(), SinkError> {
        let Some((process, stdin)) = self.encoding.take() else {
            // Not one picture came: nothing is better than an empty file that no player opens.
            self.remove(&[&self.target, &self.sound]);
            return Ok(());
        };
        drop(stdin);
        process.finish(FINISH)?;
        let mut arguments: Vec<std::ffi::OsString> = vec!["-y".into(), "-i".into(), self.picture.clone().into()];
        if has_sound {
            arguments.extend(["-i".into(), self.sound.clone().into()]);
            arguments.extend(["-c:a", "aac", "-b:a", "96k"].map(Into::into));
        }
        arguments.extend(["-c:v", "copy", "-movflags", "+faststart"].map(Into::into));
        arguments.push(self.target.clone().into());
        FfmpegProcess::spawn(&task_of(&self.target), arguments, Stdio::null(), Stdio::null())?.finish(JOIN)?;
        self.remove(&[&self.picture, &self.sound]);
        Ok(())
    }

    fn remove(&self, files: &[&PathBuf]) {
        for file in files {
            // One may never have been written.
            let _ = fs::remove_file(file);
        }
    }
}

/// Writes what comes through `samples` to a WAV file, silence for what was lost, until the writer is gone or `stop`.
pub(super) fn write_sound(path: &Path, samples: &mut RingReader<f32>, stop: &Stop) -> Result<(), SinkError> {
    let failed = |error: hound::Error| SinkError::Write {
        target: path.to_owned(),
        source: match error {
            hound::Error::IoError(source) => source,
            other => io::Error::other(other),
        },
    };
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    // A heartbeat of its own: the stage's tells whether the picture is still at work.
    let stop = stop.for_stage();
    let mut wav = hound::WavWriter::create(path, spec).map_err(failed)?;
    let mut block = Vec::with_capacity(BLOCK);
    while samples.take_into(&mut block, BLOCK, &stop) > 0 {
        for _ in 0..samples.newly_lost().min(LONGEST_GAP) {
            wav.write_sample(0i16).map_err(failed)?;
        }
        for sample in block.drain(..) {
            wav.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16).map_err(failed)?;
        }
    }
    wav.finalize().map_err(failed)
}
