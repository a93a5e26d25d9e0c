//! Films and network streams, read by the program `ffmpeg`.
//!
//! ffmpeg sends YUV4MPEG2: a line that tells size and rate, then for each frame a line and its I420 planes. So what
//! comes describes itself, upright (ffmpeg applies the rotation that phones note down) and with a constant rate (ffmpeg
//! repeats or drops pictures of a film whose rate varies), and no second program has to look into the file beforehand.
//! Colours are converted to BT.601 in limited range where the film has others.
//!
//! A **film** has the time of its frame numbers; it is played in real time, or as fast as its readers take it. A
//! **stream** is live: its frames have the time at which they come.

use std::io::{self, ErrorKind};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use super::CameraError;
use super::outlet::Outlet;
use crate::flow::{StageError, Stop};
use crate::media::{
    FfmpegError, FfmpegProcess, Geometry, LARGEST_SIDE, MediaTime, PatientReader, PixelFormat, without_password,
};

/// How long a film may take for a picture: a large file on a slow network drive, whose index lies at its end.
const FILM_PATIENCE: Duration = Duration::from_secs(30);
/// How long a stream may take for its first picture: connecting, then waiting for the next key picture.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may pause after that. Cameras in the dark go down to one picture a second.
const STREAM_PATIENCE: Duration = Duration::from_secs(5);
/// How long ffmpeg may take to end once its output has ended.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// The line that starts the stream; ffmpeg's has about 80 bytes.
const LONGEST_HEADER: usize = 1024;
const FRAME: &[u8] = b"FRAME\n";

/// Plays a film (`file:` and a path, or a URL) to its end.
pub(super) fn run_film(location: &str, outlet: &mut Outlet, stop: &Stop) -> Result<(), StageError> {
    let name = without_password(location.strip_prefix("file:").unwrap_or(location));
    let last = |error| StageError::last(error);
    let mut film = match Film::open(&name, &["-i", location], FILM_PATIENCE, stop) {
        Err(_) if stop.is_requested() => return Ok(()),
        film => film.map_err(last)?,
    };
    let mut count = 0;
    loop {
        match film.next(FILM_PATIENCE, stop).map_err(last)? {
            Next::Picture => {}
            Next::End => return film.finish().map_err(last),
            Next::Stopped => return Ok(()),
        }
        let time = MediaTime::of_count(count, film.rate.0, film.rate.1);
        count += 1;
        if !outlet.wait_for(time, stop) || !outlet.give(film.geometry, time, film.picture(), stop) {
            return Ok(());
        }
    }
}

/// Shows a network stream, which has no end.
pub(super) fn run_stream(url: &str, outlet: &mut Outlet, stop: &Stop) -> Result<(), StageError> {
    let name = without_password(url);
    // Over UDP, which is ffmpeg's first choice, a lost packet spoils the picture until the next key picture.
    let transport: &[&str] = if url.starts_with("rtsp") { &["-rtsp_transport", "tcp"] } else { &[] };
    // As they come: a constant rate would repeat pictures when the stream pauses.
    let arguments = [&["-fflags", "nobuffer"], transport, &["-i", url, "-fps_mode", "vfr"]].concat();
    let failed = |error| match error {
        CameraError::Ffmpeg(error) => CameraError::ffmpeg(error),
        other => StageError::retry(other),
    };
    let mut film = match Film::open(&name, &arguments, CONNECT_PATIENCE, stop) {
        Err(_) if stop.is_requested() => return Ok(()),
        film => film.map_err(failed)?,
    };
    loop {
        match film.next(STREAM_PATIENCE, stop).map_err(failed)? {
            Next::Picture => {}
            Next::End => {
                film.finish().map_err(failed)?;
                return Err(StageError::retry(CameraError::Ended(name)));
            }
            Next::Stopped => return Ok(()),
        }
        let time = outlet.now();
        if !outlet.give(film.geometry, time, film.picture(), stop) {
            return Ok(());
        }
        stop.works();
    }
}

/// A running ffmpeg and what it has sent.
struct Film {
    name: String,
    process: FfmpegProcess,
    output: PatientReader<ChildStdout>,
    geometry: Geometry,
    /// Frames in so many seconds.
    rate: (u32, u32),
    /// One frame with its line.
    buffer: Vec<u8>,
}

enum Next {
    Picture,
    End,
    Stopped,
}

impl Film {
    /// Starts ffmpeg and waits for its first line.
    fn open(name: &str, input: &[&str], patience: Duration, stop: &Stop) -> Result<Self, CameraError> {
        let output = ["-an", "-sn", "-dn", "-vf", "scale=out_color_matrix=bt601:out_range=tv"];
        let form = ["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"];
        let arguments = [input, &output, &form].concat();
        let mut process = FfmpegProcess::spawn(&format!("read {name}"), arguments, Stdio::null(), Stdio::piped())?;
        let output = process.take_stdout().ok_or_else(|| wrong(name, "ffmpeg has no output"))?;
        // Fewer, larger pieces: a frame has half a megabyte, a pipe by default 64 kB. The default works as well.
        let _ = rustix::pipe::fcntl_setpipe_size(&output, 1 << 20);
        let mut output = PatientReader::new(output, patience);

        let Some(header) = read_header(&mut output, stop).map_err(|error| broken(name, patience, error))? else {
            drop(output);
            process.finish(END_PATIENCE)?;
            return Err(wrong(name, "there is no picture in it"));
        };
        let (geometry, rate) = understand(&header)
            .ok_or_else(|| wrong(name, "ffmpeg gives no size of at most 8192×8192 pixels and no rate"))?;
        let bytes = geometry.format.picture_bytes(geometry.stride_bytes, geometry.height);
        tracing::info!(width = geometry.width, height = geometry.height, rate = ?rate, "reading {name}");
        Ok(Self { name: name.to_owned(), process, output, geometry, rate, buffer: vec![0; FRAME.len() + bytes] })
    }

    /// Reads the next picture, waiting at most `patience` for each piece of it.
    fn next(&mut self, patience: Duration, stop: &Stop) -> Result<Next, CameraError> {
        self.output.set_patience(patience);
        match self.output.fill(&mut self.buffer, &|| is_stopped(stop)) {
            Ok(read) if read == self.buffer.len() && self.buffer.starts_with(FRAME) => Ok(Next::Picture),
            // A frame that ffmpeg did not write to its end is none; why, `finish` will tell.
            Ok(read) if read < self.buffer.len() => Ok(Next::End),
            Ok(_) => Err(wrong(&self.name, "ffmpeg's output is not understood")),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Next::Stopped),
            Err(error) => Err(broken(&self.name, patience, error)),
        }
    }

    fn picture(&self) -> &[u8] {
        &self.buffer[FRAME.len()..]
    }

    /// How ffmpeg ended.
    fn finish(self) -> Result<(), CameraError> {
        drop(self.output);
        self.process.finish(END_PATIENCE).map_err(FfmpegError::into)
    }
}

/// The first line of ffmpeg's output; `None` if there is none.
fn read_header(output: &mut PatientReader<ChildStdout>, stop: &Stop) -> io::Result<Option<Vec<u8>>> {
    let mut header = Vec::new();
    while header.last() != Some(&b'\n') && header.len() < LONGEST_HEADER {
        let mut byte = [0];
        if output.read(&mut byte, &|| is_stopped(stop))? == 0 {
            return Ok(None);
        }
        header.push(byte[0]);
    }
    Ok(Some(header))
}

/// Size and rate in a line such as `YUV4MPEG2 W768 H576 F10:1 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2`.
fn understand(header: &[u8]) -> Option<(Geometry, (u32, u32))> {
    let header = std::str::from_utf8(header).ok()?.strip_prefix("YUV4MPEG2 ")?;
    let field = |letter: char| header.split_whitespace().find_map(|field| field.strip_prefix(letter));
    let side = |letter| field(letter)?.parse().ok().filter(|side| (1..=LARGEST_SIDE).contains(side));
    let (numerator, denominator) = field('F')?.split_once(':')?;
    let rate = (numerator.parse().ok()?, denominator.parse().ok()?);
    let is_420 = field('C').is_none_or(|layout| layout.starts_with("420"));
    (is_420 && rate.0 > 0 && rate.1 > 0).then_some((Geometry::packed(PixelFormat::I420, side('W')?, side('H')?), rate))
}

fn wrong(name: &str, reason: &str) -> CameraError {
    CameraError::Content { from: name.to_owned(), reason: format!("{reason}; try it with a player such as ffplay") }
}

fn broken(name: &str, after: Duration, error: io::Error) -> CameraError {
    match error.kind() {
        ErrorKind::TimedOut => CameraError::Silent { camera: name.to_owned(), after },
        _ => wrong(name, &error.to_string()),
    }
}

/// Whether reading shall be given up. How long to wait is decided by patience, so each look is a sign of life.
fn is_stopped(stop: &Stop) -> bool {
    stop.beat();
    stop.is_requested()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_understood_or_refused() {
        let check = |header: &str, expected| {
            let understood = understand(header.as_bytes());
            assert_eq!(
                understood.map(|(geometry, rate)| (geometry.width, geometry.height, rate)),
                expected,
                "{header}"
            );
        };
        check("YUV4MPEG2 W768 H576 F10:1 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2\n", Some((768, 576, (10, 1))));
        check("YUV4MPEG2 W33 H17 F30000:1001 Ip\n", Some((33, 17, (30000, 1001))));
        check("YUV4MPEG2 W9000 H17 F30:1 C420jpeg\n", None);
        check("YUV4MPEG2 W64 H48 F0:0 C420jpeg\n", None);
        check("YUV4MPEG2 W64 H48 F30:1 C422\n", None);
        check("RIFF", None);
    }
}
