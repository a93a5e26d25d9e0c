//! A video file being written, through the program `ffmpeg`.
//!
//! ```text
//! pictures ─▶ ffmpeg ─▶ NAME.mp4, in pieces that play without an end ─┐
//! samples  ─▶ ffmpeg ─▶ .NAME.sound.m4a ──────────────────────────────┴─▶ ffmpeg, copying ─▶ NAME.mp4
//! ```
//! Two encoders, so that neither sense waits for the other. `NAME.mp4` can be played at any moment, whatever ends the
//! program or the machine; the sound joins it when the recording ends, which only copies and so takes no time.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::SinkError;
use crate::flow::Stop;
use crate::media::{FfmpegError, FfmpegProcess, SAMPLE_RATE_HZ};

/// How long ffmpeg may take nothing. It encodes a picture in a tenth of a second where it is slowest; longer is a disk
/// that hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same once the program is asked to stop.
const PATIENCE_STOPPING: Duration = Duration::from_secs(2);
/// How often a write that waits looks around.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// How long ffmpeg may take to write what it holds: the pictures that the encoder looks ahead, or a copy of an hour.
const FINISH: Duration = Duration::from_secs(60);
/// How long it may take to list its encoders.
const LIST: Duration = Duration::from_secs(10);

/// Kinds of video, by their ending, with what makes them playable before their end.
const KINDS: [(&str, &[&str]); 4] = [
    ("mp4", &["-movflags", "+frag_keyframe+empty_moov+default_base_moof"]),
    ("m4v", &["-movflags", "+frag_keyframe+empty_moov+default_base_moof"]),
    ("mov", &["-movflags", "+frag_keyframe+empty_moov+default_base_moof"]),
    ("mkv", &[]),
];

/// What makes a video of `target`'s kind playable before its end; `None` if its ending is no kind of video.
fn kind_of(target: &Path) -> Option<&'static [&'static str]> {
    let ending = target.extension()?.to_str()?.to_ascii_lowercase();
    KINDS.iter().find(|(kind, _)| *kind == ending).map(|(_, flags)| *flags)
}

/// Whether `target` ends like a video.
pub(super) fn is_video(target: &Path) -> bool {
    kind_of(target).is_some()
}

/// How pictures are encoded by the ffmpeg of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder(&'static [&'static str]);

impl Encoder {
    /// H.264 where this ffmpeg has it, else MPEG-4, which every ffmpeg has.
    ///
    /// # Errors
    /// [`FfmpegError`] if ffmpeg is not installed.
    pub fn find(target: &Path) -> Result<Self, FfmpegError> {
        let task = task_of(target);
        let mut list = FfmpegProcess::spawn(&task, ["-encoders"], Stdio::null(), Stdio::piped())?;
        let mut text = String::new();
        if let Some(mut stdout) = list.take_stdout() {
            stdout.read_to_string(&mut text).map_err(|source| FfmpegError::System { task, source })?;
        }
        list.finish(LIST)?;
        Ok(Self(match text.contains(" libx264 ") {
            // The fastest presets keep up with a camera on a Pi beside the detector; the files are twice as large.
            true => &["-c:v", "libx264", "-preset", "superfast", "-crf", "23"],
            false => &["-c:v", "mpeg4", "-q:v", "4"],
        }))
    }
}

fn task_of(target: &Path) -> String {
    format!("write {}", target.display())
}

/// The file `.NAME.what` beside `target`.
fn beside(target: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".");
    name.push(what);
    target.with_file_name(name)
}

/// An `ffmpeg` that is fed through its standard input.
#[derive(Debug)]
struct Feed {
    target: PathBuf,
    running: Option<(FfmpegProcess, ChildStdin)>,
}

impl Feed {
    fn start(target: &Path, arguments: &[&str], output: &Path) -> Result<Self, SinkError> {
        let mut all: Vec<OsString> = arguments.iter().map(Into::into).collect();
        // An absolute path cannot be taken for an option or a protocol.
        all.push(std::path::absolute(output).unwrap_or_else(|_| output.to_owned()).into());
        let task = task_of(target);
        let mut process = FfmpegProcess::spawn(&task, all, Stdio::piped(), Stdio::null())?;
        let system = |source: io::Error| FfmpegError::System { task: task.clone(), source };
        let stdin = process.take_stdin().ok_or_else(|| system(ErrorKind::BrokenPipe.into()))?;
        let flags = fcntl_getfl(&stdin).map_err(|error| system(error.into()))?;
        fcntl_setfl(&stdin, flags | OFlags::NONBLOCK).map_err(|error| system(error.into()))?;
        Ok(Self { target: target.to_owned(), running: Some((process, stdin)) })
    }

    /// Writes all of `bytes`. Nothing comes of it after an error.
    fn write(&mut self, bytes: &[u8], life: &Stop) -> Result<(), SinkError> {
        let Some((_, stdin)) = &mut self.running else { return Ok(()) };
        let Err(source) = write_patiently(stdin, bytes, life) else { return Ok(()) };
        let Some((process, stdin)) = self.running.take() else { return Ok(()) };
        if source.kind() == ErrorKind::BrokenPipe {
            // It ended before its time, and knows why.
            drop(stdin);
            process.finish(PATIENCE_STOPPING)?;
        }
        Err(SinkError::Write { target: self.target.clone(), source })
    }

    /// Ends the input, and waits until everything is written.
    fn finish(&mut self) -> Result<(), SinkError> {
        let Some((process, stdin)) = self.running.take() else { return Ok(()) };
        drop(stdin);
        Ok(process.finish(FINISH)?)
    }
}

/// Writes to a pipe that does not block, as long as the other end takes something now and then.
fn write_patiently(pipe: &mut ChildStdin, mut bytes: &[u8], life: &Stop) -> io::Result<()> {
    let mut took = Instant::now();
    while !bytes.is_empty() {
        life.beat();
        match pipe.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => (bytes, took) = (&bytes[count..], Instant::now()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let patience = if life.is_requested() { PATIENCE_STOPPING } else { PATIENCE };
                if took.elapsed() > patience {
                    return Err(ErrorKind::TimedOut.into());
                }
                // An interrupted wait is only a shorter one.
                let _ = poll(&mut [PollFd::new(pipe, PollFlags::OUT)], Some(&LOOK));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The picture of a video being written.
#[derive(Debug)]
pub(super) struct PictureTrack(Feed);

impl PictureTrack {
    /// Starts `target` with pictures of `size` pixels, `rate.0 / rate.1` a second.
    pub fn start(target: &Path, encoder: Encoder, size: (u32, u32), rate: (u32, u32)) -> Result<Self, SinkError> {
        let (size, rate) = (format!("{}x{}", size.0, size.1), format!("{}/{}", rate.0, rate.1));
        let mut arguments = vec!["-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", &size];
        // Most players want colours at half the size, which odd sizes do not have. Cut from the right and below, so
        // that nothing is scaled.
        arguments.extend([
            "-framerate",
            &rate,
            "-i",
            "-",
            "-vf",
            "crop=max(2\\,trunc(iw/2)*2):max(2\\,trunc(ih/2)*2):0:0",
        ]);
        arguments.extend(encoder.0);
        // A second at most is lost with the machine.
        arguments.extend(["-pix_fmt", "yuv420p", "-force_key_frames", "expr:gte(t,n_forced)"]);
        arguments.extend(kind_of(target).unwrap_or_default());
        Feed::start(target, &arguments, target).map(Self)
    }

    /// Appends one picture of the size given at the start.
    pub fn write(&mut self, pixels: &[[u8; 3]], life: &Stop) -> Result<(), SinkError> {
        self.0.write(pixels.as_flattened(), life)
    }

    /// Ends the picture; the target is a whole video then.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.0.finish()
    }
}

/// The sound of a video being written.
#[derive(Debug)]
pub(super) struct SoundTrack {
    feed: Feed,
    file: PathBuf,
    bytes: Vec<u8>,
}

impl SoundTrack {
    /// Starts the sound that will join `target`.
    pub fn start(target: &Path) -> Result<Self, SinkError> {
        let (file, rate) = (beside(target, "sound.m4a"), SAMPLE_RATE_HZ.to_string());
        let arguments =
            ["-y", "-f", "s16le", "-ar", &rate, "-ac", "1", "-i", "-", "-c:a", "aac", "-b:a", "64k", "-f", "mp4"];
        Ok(Self { feed: Feed::start(target, &arguments, &file)?, file, bytes: Vec::new() })
    }

    /// Appends samples, −1…1, mono, 16 kHz.
    pub fn write(&mut self, samples: &[f32], life: &Stop) -> Result<(), SinkError> {
        self.bytes.clear();
        let sixteen_bits = |sample: &f32| ((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16).to_le_bytes();
        self.bytes.extend(samples.iter().flat_map(sixteen_bits));
        self.feed.write(&self.bytes, life)
    }

    /// Ends the sound.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.feed.finish()
    }
}

impl Drop for SoundTrack {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.file);
    }
}

/// Puts picture and sound, both finished, into one file, which takes the place of `target`; an ordinary one, whose
/// index players find at its beginning.
pub(super) fn join(target: &Path, sound: Option<&SoundTrack>) -> Result<(), SinkError> {
    let ending = target.extension().unwrap_or_default().to_string_lossy();
    let whole = beside(target, &format!("whole.{ending}"));
    let absolute = |path: &Path| OsString::from(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let mut arguments: Vec<OsString> = vec!["-y".into(), "-i".into(), absolute(target)];
    if let Some(sound) = sound {
        arguments.extend(["-i".into(), absolute(&sound.file)]);
    }
    arguments.extend(["-c", "copy", "-movflags", "+faststart"].map(Into::into));
    arguments.push(absolute(&whole));
    let joined = FfmpegProcess::spawn(&task_of(target), arguments, Stdio::null(), Stdio::null())
        .and_then(|process| process.finish(FINISH))
        .map_err(SinkError::from)
        .and_then(|()| {
            fs::rename(&whole, target).map_err(|source| SinkError::Write { target: target.to_owned(), source })
        });
    if joined.is_err() {
        // What there was stays: the picture without its sound.
        let _ = fs::remove_file(&whole);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_is_told_by_its_ending() {
        for (name, is) in [("a.mp4", true), ("a.MKV", true), ("a.webm", false), ("folder", false), (".mp4", false)] {
            assert_eq!(is_video(Path::new(name)), is, "{name}");
        }
        assert_eq!(beside(Path::new("films/a.mp4"), "sound.m4a"), Path::new("films/.a.mp4.sound.m4a"));
    }
}
