//! The cameras of this machine, found by the crate `nokhwa`; and capturing through it, where it is asked to.
//!
//! nokhwa waits for a picture without time-out, so it does that on a thread of its own, from which the stage takes
//! pictures as long as they come:
//! ```text
//!  nokhwa's thread: frame_raw ─▶ copy ──filled──▶ stage ─▶ pooled frame ─▶ readers
//!                               ◀──emptied──
//! ```
//! If none comes for 2 s the stage gives up and the thread stays behind, blocked in the driver; it ends with the
//! camera's next picture or its unplugging, and keeps the camera busy until then. How many stayed behind is counted.
//!
//! Before nokhwa opens the device it is told size, format and rate through `v4l`: nokhwa cannot open a camera that
//! stands at a format or rate that it does not know. What nokhwa would get wrong is refused here with a reason: rates
//! that are not whole, sizes given as a range (it lists every one, a gigabyte of them), formats it has no name for.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::outlet::Outlet;
use super::v4l2::{self, CameraInfo, Opened, PATIENCE, START_PATIENCE};
use super::{CameraConfig, CameraError};
use crate::flow::{StageError, Stop};

/// How long the thread has to end after the last picture: a little more than one picture takes.
const LEAVE: Duration = Duration::from_millis(200);

/// The cameras of this machine, the first of which `auto` takes: by number, those without a format that lookhear reads
/// last. Nodes that give no pictures (outputs, metadata, codecs) are left out, and so are those that may not be opened.
pub fn list() -> Vec<CameraInfo> {
    let found = ::nokhwa::query(ApiBackend::Video4Linux).unwrap_or_else(|error| {
        tracing::warn!(%error, "the cameras cannot be listed");
        Vec::new()
    });
    let mut nodes: Vec<(u32, String)> =
        found.iter().filter_map(|info| Some((info.index().as_index().ok()?, info.human_name()))).collect();
    nodes.sort();
    let mut cameras: Vec<CameraInfo> =
        nodes.into_iter().filter_map(|(index, name)| v4l2::describe(&node(index), name)).collect();
    cameras.sort_by_key(|camera| camera.formats.is_empty());
    cameras
}

fn node(index: u32) -> PathBuf {
    PathBuf::from(format!("/dev/video{index}"))
}

/// Captures until `stop`; every trouble may pass, so the supervisor tries again.
pub(super) fn run(path: &Path, config: &CameraConfig, outlet: &mut Outlet, stop: &Stop) -> Result<(), StageError> {
    capture(path, config, outlet, stop).map_err(StageError::retry)
}

fn capture(path: &Path, config: &CameraConfig, outlet: &mut Outlet, stop: &Stop) -> Result<(), CameraError> {
    let opened = Opened::new(path, config)?;
    let (index, request) = request(path, &opened)?;
    let Opened { device, camera, geometry, .. } = opened;
    // Some drivers give pictures only to whoever asked for the format; the format itself stays.
    drop(device);
    let refused = |reason: String| CameraError::Nokhwa { camera: camera.clone(), reason };

    let (fill, filled) = bounded(1);
    let (empty, emptied) = bounded(2);
    let thread = std::thread::Builder::new()
        .name("nokhwa".to_owned())
        .spawn(move || read_on(index, request, &fill, &emptied))
        .map_err(|error| refused(error.to_string()))?;

    let (mut last_good, mut patience) = (Instant::now(), START_PATIENCE);
    let needed = geometry.format.picture_bytes(geometry.stride_bytes, geometry.height).max(1);
    let result = loop {
        stop.beat();
        select! {
            recv(filled) -> picture => match picture {
                Ok(Ok(picture)) if picture.len() >= needed => {
                    (last_good, patience) = (Instant::now(), PATIENCE);
                    let time = outlet.now();
                    if !outlet.give(geometry, time, &picture, stop) {
                        break Ok(());
                    }
                    stop.works();
                    // The thread may have gone, and then needs no buffer.
                    let _ = empty.try_send(picture);
                }
                Ok(Ok(_)) => outlet.broken(),
                Ok(Err(reason)) => break Err(refused(reason)),
                Err(_) => break Err(refused("its thread ended".to_owned())),
            },
            recv(stop.requested()) -> _ => break Ok(()),
            default(patience.saturating_sub(last_good.elapsed())) => {
                break Err(CameraError::Silent { camera: camera.clone(), after: patience });
            }
        }
    };
    drop(filled);
    leave(&thread, outlet);
    result
}

/// What nokhwa is asked for: exactly what the device was told already.
fn request(path: &Path, opened: &Opened) -> Result<(u32, CameraFormat), CameraError> {
    let refused = |reason: &str| CameraError::Nokhwa { camera: opened.camera.clone(), reason: reason.to_owned() };
    // /dev/v4l/by-id/… leads to /dev/video….
    let node = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let number = node.to_str().and_then(|node| node.strip_prefix("/dev/video")).and_then(|number| number.parse().ok());
    let index = number.ok_or_else(|| refused("it knows cameras by the number in /dev/video… only"))?;
    let choice = &opened.choice;
    let format = match choice.format.as_str() {
        "YUYV" => FrameFormat::YUYV,
        "NV12" => FrameFormat::NV12,
        "MJPG" => FrameFormat::MJPEG,
        "RGB3" => FrameFormat::RAWRGB,
        other => return Err(refused(&format!("it does not read the format {other}"))),
    };
    if choice.from_range {
        return Err(refused("it does not cope with a camera that offers a range of sizes"));
    }
    if choice.rate_hz.fract() != 0.0 {
        return Err(refused(&format!(
            "it knows whole rates only, and this is {:.2} pictures a second",
            choice.rate_hz
        )));
    }
    let size = Resolution::new(opened.geometry.width, opened.geometry.height);
    Ok((index, CameraFormat::new(size, format, choice.rate_hz as u32)))
}

/// Reads pictures until nobody takes them, or until it fails.
fn read_on(index: u32, request: CameraFormat, fill: &Sender<Result<Vec<u8>, String>>, emptied: &Receiver<Vec<u8>>) {
    let formats = [request.format()];
    let exactly = RequestedFormat::with_formats(RequestedFormatType::Exact(request), &formats);
    let camera = ::nokhwa::Camera::new(CameraIndex::Index(index), exactly)
        .and_then(|mut camera| camera.open_stream().map(|()| camera));
    let mut camera = match camera {
        Ok(camera) => camera,
        Err(error) => {
            // If nobody listens any more, nobody wants to know.
            let _ = fill.send(Err(error.to_string()));
            return;
        }
    };
    loop {
        let picture = camera.frame_raw().map(|bytes| {
            let mut buffer = emptied.try_recv().unwrap_or_default();
            buffer.clear();
            buffer.extend_from_slice(&bytes);
            buffer
        });
        let failed = picture.is_err();
        if fill.send(picture.map_err(|error| error.to_string())).is_err() || failed {
            return;
        }
    }
}

/// Waits a moment for the thread to end, and counts it if it does not.
fn leave(thread: &JoinHandle<()>, outlet: &Outlet) {
    let deadline = Instant::now() + LEAVE;
    while !thread.is_finished() {
        if Instant::now() > deadline {
            outlet.counters().abandoned();
            tracing::warn!("nokhwa still waits for the camera; its thread is left behind");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
