//! Pictures on standard input: Motion JPEG, or raw pictures of a size known beforehand.
//!
//! It waits for ever for bytes (a pipe may be silent), and ends with the pipe. Damaged JPEG pictures and a raw picture
//! cut short by the end are dropped and counted.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::time::Duration;

use super::mjpeg::MjpegSplitter;
use super::outlet::Outlet;
use super::{CameraConfig, CameraError, rate_fraction};
use crate::flow::{StageError, Stop};
use crate::media::{Geometry, LARGEST_SIDE, MediaTime, PatientReader, PixelFormat, jpeg_size};

/// Bytes of one read: what a pipe holds.
const PIECE: usize = 64 << 10;

/// Reads `input` to its end.
pub(super) fn run(input: File, config: &CameraConfig, outlet: &mut Outlet, stop: &Stop) -> Result<(), StageError> {
    let mut input = PatientReader::new(input, Duration::MAX);
    let (rate, per) = rate_fraction(config.device_rate_hz());
    let mut count = 0;
    // What is not live has the time of its number, so that the same input gives the same times.
    let mut time = |outlet: &Outlet| {
        count += 1;
        if outlet.is_live() { outlet.now() } else { MediaTime::of_count(count - 1, rate, per) }
    };
    let ended = match PixelFormat::from(config.pipe_format) {
        PixelFormat::Mjpeg => motion_jpeg(&mut input, outlet, stop, &mut time),
        format => {
            let geometry = Geometry::packed(format, config.width, config.height);
            raw(&mut input, geometry, outlet, stop, &mut time)
        }
    };
    match ended {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
        other => other.map_err(|error| {
            let reason = format!("{error}; check the program that writes into lookhear");
            StageError::last(CameraError::Content { from: "standard input".to_owned(), reason })
        }),
    }
}

fn motion_jpeg(
    input: &mut PatientReader<File>,
    outlet: &mut Outlet,
    stop: &Stop,
    time: &mut dyn FnMut(&Outlet) -> MediaTime,
) -> io::Result<()> {
    let (mut splitter, mut piece) = (MjpegSplitter::default(), vec![0; PIECE]);
    loop {
        let read = input.read(&mut piece, &|| is_stopped(stop))?;
        splitter.push(&piece[..read]);
        while let Some(picture) = splitter.next_picture() {
            let side = 1..=LARGEST_SIDE;
            match jpeg_size(picture) {
                Some((width, height)) if side.contains(&width) && side.contains(&height) => {
                    let geometry = Geometry::packed(PixelFormat::Mjpeg, width, height);
                    let time = time(outlet);
                    if !outlet.give(geometry, time, picture, stop) {
                        return Ok(());
                    }
                }
                _ => outlet.broken(),
            }
        }
        (0..splitter.take_broken(read == 0)).for_each(|_| outlet.broken());
        if read == 0 {
            return Ok(());
        }
    }
}

fn raw(
    input: &mut PatientReader<File>,
    geometry: Geometry,
    outlet: &mut Outlet,
    stop: &Stop,
    time: &mut dyn FnMut(&Outlet) -> MediaTime,
) -> io::Result<()> {
    let mut picture = vec![0; geometry.format.picture_bytes(geometry.stride_bytes, geometry.height)];
    loop {
        let read = input.fill(&mut picture, &|| is_stopped(stop))?;
        if read < picture.len() {
            if read > 0 {
                outlet.broken();
            }
            return Ok(());
        }
        let time = time(outlet);
        if !outlet.give(geometry, time, &picture, stop) {
            return Ok(());
        }
    }
}

/// Whether reading shall be given up. A silent pipe is no stall, so each look is a sign of life.
fn is_stopped(stop: &Stop) -> bool {
    stop.beat();
    stop.is_requested()
}
