//! Capturing from a V4L2 device by the crate `v4l`.
//!
//! Pictures lie in memory shared with the driver and are copied once, into the pooled frame. Waiting goes by `poll` in
//! short looks, so that a frozen camera is given up after 2 s and a request to stop is heard at once; only then is a
//! buffer taken from the stream. Frames that the driver numbered but never gave are counted as lost, those it marks as
//! broken (or did not fill) as broken.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use v4l::buffer::{Flags as BufferFlags, Metadata, Type};
use v4l::capability::Flags as Abilities;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::traits::CaptureStream;
use v4l::prelude::MmapStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::outlet::Outlet;
use super::{CameraConfig, CameraError, list, rate_fraction};
use crate::flow::{StageError, Stop};
use crate::media::{Geometry, LARGEST_SIDE, PixelFormat};

/// How long a camera may pause. Webcams in the dark go down to 5 pictures a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long it may take for its first picture. A webcam that has to wake up on a slow bus needs two or three seconds.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(5);
/// How often waiting looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(50);
/// Buffers shared with the driver: one is read from, one is filled, two make up for a thread that comes late.
const BUFFERS: u32 = 4;

/// What V4L2 calls the formats that we read, the preferred first: raw formats cost no decoding, and a camera that has
/// not the bandwidth for a large raw picture says so by a low rate, which makes JPEG win.
pub(super) const KNOWN: [(&[u8; 4], PixelFormat); 7] = [
    (b"YUYV", PixelFormat::Yuyv),
    (b"NV12", PixelFormat::Nv12),
    (b"YU12", PixelFormat::I420),
    (b"MJPG", PixelFormat::Mjpeg),
    (b"JPEG", PixelFormat::Mjpeg),
    (b"RGB3", PixelFormat::Rgb24),
    (b"GREY", PixelFormat::Grey),
];

/// A camera and the pictures it offers.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CameraInfo {
    /// Its device: `/dev/video0`.
    pub path: String,
    /// What it calls itself.
    pub name: String,
    /// The formats that lookhear reads, the preferred first.
    pub formats: Vec<FormatInfo>,
}

/// A pixel format of a camera.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FormatInfo {
    /// Its four letters in V4L2: `YUYV`, `MJPG` …
    pub format: String,
    /// The sizes it comes in; empty if the camera does not tell.
    pub sizes: Vec<SizeInfo>,
}

/// A size, or a range of sizes, of a camera's pictures.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SizeInfo {
    /// Width and height of the smallest, in pixels.
    pub smallest: [u32; 2],
    /// Width and height of the largest; the same if it is one size.
    pub largest: [u32; 2],
    /// Pictures a second: those on offer, or the lowest and the highest; empty if the camera does not tell.
    pub rates_hz: Vec<f64>,
    /// Whether every rate between the lowest and the highest is possible.
    pub any_rate: bool,
    /// From one width and height of the range to the next.
    #[serde(skip)]
    steps: [u32; 2],
}

impl SizeInfo {
    /// One size, `width`×`height` pixels, with the rates on offer, the lowest first.
    pub fn one(width: u32, height: u32, rates_hz: &[f64]) -> Self {
        let size = [width, height];
        Self { smallest: size, largest: size, rates_hz: rates_hz.to_vec(), any_rate: false, steps: [1, 1] }
    }

    /// Whether it stands for more than one size.
    pub fn is_range(&self) -> bool {
        self.smallest != self.largest
    }

    /// The size nearest to `wish`.
    fn nearest_size(&self, wish: [u32; 2]) -> [u32; 2] {
        std::array::from_fn(|axis| {
            let (low, high, step) = (self.smallest[axis], self.largest[axis], self.steps[axis].max(1));
            let wish = wish[axis].clamp(low, high.max(low));
            low + (wish - low) / step * step
        })
    }

    /// The rate nearest to `wish_hz`; that itself if the camera does not tell.
    fn nearest_rate(&self, wish_hz: f64) -> f64 {
        match (self.rates_hz.as_slice(), self.any_rate) {
            ([low, .., high], true) => wish_hz.clamp(*low, *high),
            (rates, _) => rates
                .iter()
                .copied()
                .min_by(|a, b| (a - wish_hz).abs().total_cmp(&(b - wish_hz).abs()))
                .unwrap_or(wish_hz),
        }
    }
}

/// What is asked of a camera, out of what it offers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    /// V4L2's letters.
    pub(super) format: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rate_hz: f64,
    pub(super) from_range: bool,
}

/// Chooses what comes nearest to the wish: by size, then by rate, then by what is cheaper to decode.
pub(super) fn choose(formats: &[FormatInfo], config: &CameraConfig) -> Option<Choice> {
    let (wish, wish_hz) = ([config.width, config.height], config.device_rate_hz());
    let untold = SizeInfo::one(config.width, config.height, &[]);
    let choices = formats.iter().flat_map(|format| {
        let sizes = if format.sizes.is_empty() { std::slice::from_ref(&untold) } else { &format.sizes };
        sizes.iter().map(|size| {
            let [width, height] = size.nearest_size(wish);
            let rate_hz = size.nearest_rate(wish_hz);
            let far = width.abs_diff(config.width) + height.abs_diff(config.height);
            // In twentieths, so that 29.97 is as good as 30.
            let slow = ((1.0 - rate_hz / wish_hz) * 20.0).max(0.0) as u32;
            let choice = Choice { format: format.format.clone(), width, height, rate_hz, from_range: size.is_range() };
            ((far, slow), choice)
        })
    });
    // The first of equals wins, and formats stand in the order of preference.
    choices.min_by_key(|(cost, _)| *cost).map(|(_, choice)| choice)
}

/// The camera at `path` as [`list`] shows it; `None` if it is none, or cannot be asked.
pub(super) fn describe(path: &Path, name: String) -> Option<CameraInfo> {
    let device = Device::with_path(path).ok()?;
    captures(&device).ok().filter(|captures| *captures)?;
    Some(CameraInfo { path: path.display().to_string(), name, formats: formats(&device) })
}

fn captures(device: &Device) -> io::Result<bool> {
    let about = device.query_caps()?;
    // The Raspberry Pi's image processor calls itself a camera, and gives nothing unless it is fed.
    Ok(about.capabilities.contains(Abilities::VIDEO_CAPTURE | Abilities::STREAMING) && about.driver != "bcm2835-isp")
}

/// The formats of a camera that we read, the preferred first.
fn formats(device: &Device) -> Vec<FormatInfo> {
    let offered = device.enum_formats().unwrap_or_default();
    let known = KNOWN.iter().map(|(letters, _)| FourCC::new(letters));
    known
        .filter(|known| offered.iter().any(|format| format.fourcc == *known))
        .map(|fourcc| FormatInfo {
            format: fourcc.to_string(),
            // A camera that does not list sizes fails the first question for one.
            sizes: device
                .enum_framesizes(fourcc)
                .unwrap_or_default()
                .iter()
                .map(|size| size_info(device, size))
                .collect(),
        })
        .collect()
}

fn size_info(device: &Device, size: &v4l::FrameSize) -> SizeInfo {
    let (smallest, largest, steps) = match &size.size {
        FrameSizeEnum::Discrete(size) => ([size.width, size.height], [size.width, size.height], [1, 1]),
        FrameSizeEnum::Stepwise(range) => (
            [range.min_width, range.min_height],
            [range.max_width.min(LARGEST_SIDE), range.max_height.min(LARGEST_SIDE)],
            [range.step_width, range.step_height],
        ),
    };
    let rate = |interval: Fraction| f64::from(interval.denominator) / f64::from(interval.numerator.max(1));
    let (mut rates_hz, mut any_rate) = (Vec::new(), false);
    for interval in device.enum_frameintervals(size.fourcc, largest[0], largest[1]).unwrap_or_default() {
        match interval.interval {
            FrameIntervalEnum::Discrete(interval) => rates_hz.push(rate(interval)),
            FrameIntervalEnum::Stepwise(range) => {
                any_rate = true;
                rates_hz.extend([rate(range.max), rate(range.min)]);
            }
        }
    }
    rates_hz.sort_by(f64::total_cmp);
    SizeInfo { smallest, largest, rates_hz, any_rate, steps }
}

/// An open camera that has been told what to give.
pub(super) struct Opened {
    pub(super) device: Device,
    /// Path and name, for messages.
    pub(super) camera: String,
    pub(super) geometry: Geometry,
    pub(super) choice: Choice,
}

impl Opened {
    /// Opens the device and asks for what comes nearest to the configuration.
    pub(super) fn new(path: &Path, config: &CameraConfig) -> Result<Self, CameraError> {
        let shown = path.display().to_string();
        let device = Device::with_path(path).map_err(|error| not_opened(shown.clone(), error))?;
        let abilities = device.query_caps().map_err(|error| not_opened(shown.clone(), error))?;
        let camera = format!("{shown} ({})", abilities.card);
        if !abilities.capabilities.contains(Abilities::VIDEO_CAPTURE | Abilities::STREAMING) {
            let error = io::Error::other("it gives no pictures (it may be an output, or nothing feeds it)");
            return Err(CameraError::Open { camera, error, remedy: others() });
        }
        let formats = formats(&device);
        let letters = |formats: &[&str]| formats.join(", ");
        let Some(choice) = choose(&formats, config) else {
            let offered = device.enum_formats().unwrap_or_default();
            let offered: Vec<&str> = offered.iter().filter_map(|format| format.fourcc.str().ok()).collect();
            let known: Vec<&str> = KNOWN.iter().filter_map(|(letters, _)| std::str::from_utf8(*letters).ok()).collect();
            let offered = if offered.is_empty() { "no format".to_owned() } else { letters(&offered) };
            return Err(CameraError::Format { camera, offered, known: letters(&known) });
        };
        let failed = |error| not_opened(camera.clone(), error);
        // A new format and not the device's own, whose line length may belong to a wider picture: drivers keep it.
        let fourcc = choice.format.as_bytes().first_chunk().map(FourCC::new).unwrap_or_default();
        let set = device.set_format(&Format::new(choice.width, choice.height, fourcc)).map_err(failed)?;
        let (numerator, denominator) = rate_fraction(choice.rate_hz);
        let interval = Parameters::new(Fraction::new(denominator, numerator));
        if let Err(error) = device.set_params(&interval) {
            // Some cameras have one rate and no way to ask for it.
            tracing::debug!(%error, "{camera} does not let its rate be set");
        }
        let geometry = geometry(&set).ok_or_else(|| {
            let offered = format!("{}×{} {}", set.width, set.height, set.fourcc);
            CameraError::Format { camera: camera.clone(), offered, known: choice.format.clone() }
        })?;
        let (width, height, rate_hz) = (geometry.width, geometry.height, choice.rate_hz);
        tracing::info!(format = choice.format, width, height, rate_hz, "camera {camera}");
        Ok(Self { device, camera, geometry, choice })
    }
}

/// What the driver says it will give, which may differ from what it was asked for.
fn geometry(set: &Format) -> Option<Geometry> {
    let (_, format) = KNOWN.iter().find(|(letters, _)| FourCC::new(letters) == set.fourcc)?;
    let side = 1..=LARGEST_SIDE;
    let fits = side.contains(&set.width) && side.contains(&set.height);
    let packed = Geometry::packed(*format, set.width, set.height);
    let stride_bytes = if *format == PixelFormat::Mjpeg { 0 } else { packed.stride_bytes.max(set.stride as usize) };
    fits.then_some(Geometry { stride_bytes, ..packed })
}

fn not_opened(camera: String, error: io::Error) -> CameraError {
    let remedy = match (error.kind(), error.raw_os_error()) {
        (ErrorKind::PermissionDenied, _) => "add yourself to the group `video` and log in again".to_owned(),
        (ErrorKind::ResourceBusy, _) => "close that program".to_owned(),
        _ => others(),
    };
    CameraError::Open { camera, error, remedy }
}

/// The cameras that there are instead.
fn others() -> String {
    let cameras: Vec<String> = list().iter().map(|camera| format!("{} ({})", camera.path, camera.name)).collect();
    if cameras.is_empty() { "no camera was found at all".to_owned() } else { format!("found {}", cameras.join(", ")) }
}

/// Captures until `stop`; every trouble may pass, so the supervisor tries again.
pub(super) fn run(path: &Path, config: &CameraConfig, outlet: &mut Outlet, stop: &Stop) -> Result<(), StageError> {
    Opened::new(path, config).and_then(|opened| capture(&opened, outlet, stop)).map_err(StageError::retry)
}

fn capture(opened: &Opened, outlet: &mut Outlet, stop: &Stop) -> Result<(), CameraError> {
    let Opened { device, camera, geometry, .. } = opened;
    let failed = |error| CameraError::Device { camera: camera.clone(), error };
    let needed = geometry.format.picture_bytes(geometry.stride_bytes, geometry.height).max(1);
    let stream = MmapStream::with_buffers(device, Type::VideoCapture, BUFFERS);
    let mut buffers =
        Buffers::start(device, stream.map_err(|error| not_opened(camera.clone(), error))?).map_err(failed)?;
    let mut last_sequence = None;
    let (mut last_good, mut patience) = (Instant::now(), START_PATIENCE);
    loop {
        if last_good.elapsed() > patience {
            return Err(CameraError::Silent { camera: camera.clone(), after: patience });
        }
        let (buffer, meta) = match buffers.next(stop).map_err(failed)? {
            Next::Filled(buffer, meta) => (buffer, meta),
            Next::NothingYet => continue,
            Next::Stopped => return Ok(()),
        };
        outlet.lost(last_sequence.replace(meta.sequence).map_or(0, |last| gap(last, meta.sequence)));
        let picture = buffer.get(..meta.bytesused as usize).unwrap_or_default();
        if meta.flags.contains(BufferFlags::ERROR) || picture.len() < needed {
            outlet.broken();
            continue;
        }
        (last_good, patience) = (Instant::now(), PATIENCE);
        let time = outlet.now();
        if !outlet.give(*geometry, time, picture, stop) {
            return Ok(());
        }
        stop.works();
    }
}

/// How many numbers lie between two frames. A number that goes back (v4l2loopback does so after its filler frames) is
/// a new start and not four billion lost frames.
fn gap(last: u32, next: u32) -> u64 {
    let step = next.wrapping_sub(last);
    if step > u32::MAX / 2 { 0 } else { u64::from(step).saturating_sub(1) }
}

/// The buffers shared with the driver.
///
/// `MmapStream::next` gives the last buffer back and takes the next; when it runs into its time-out it has given back
/// and not taken, and giving back a second time is an error. So waiting is done here, beforehand.
struct Buffers<'a> {
    device: &'a Device,
    stream: MmapStream<'a>,
    /// Whether a buffer is with us.
    holds: bool,
}

enum Next<'a> {
    Filled(&'a [u8], &'a Metadata),
    NothingYet,
    Stopped,
}

impl<'a> Buffers<'a> {
    /// Starts the camera. Its first picture may be dropped: the crate has no start that does not wait for it.
    fn start(device: &'a Device, mut stream: MmapStream<'a>) -> io::Result<Self> {
        stream.set_timeout(LOOK);
        let holds = match stream.next() {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::TimedOut => false,
            Err(error) => return Err(error),
        };
        Ok(Self { device, stream, holds })
    }

    /// Waits one look for the next picture.
    fn next(&mut self, stop: &Stop) -> io::Result<Next<'_>> {
        stop.beat();
        if stop.is_requested() {
            return Ok(Next::Stopped);
        }
        match self.device.handle().poll(PollFlags::IN.bits() as i16, LOOK.as_millis() as i32) {
            Ok(0) => return Ok(Next::NothingYet),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Next::NothingYet),
            Err(error) => return Err(error),
        }
        if !self.holds {
            self.stream.dequeue()?;
            self.holds = true;
            return Ok(Next::NothingYet);
        }
        let (buffer, meta) = self.stream.next()?;
        Ok(Next::Filled(buffer, meta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(format: &str, sizes: Vec<SizeInfo>) -> FormatInfo {
        FormatInfo { format: format.to_owned(), sizes }
    }

    fn check(formats: &[FormatInfo], wish: (u32, u32, f64), expected: (&str, u32, u32, f64)) {
        let config = CameraConfig { width: wish.0, height: wish.1, rate_hz: Some(wish.2), ..CameraConfig::default() };
        let choice = choose(formats, &config).expect("a choice");
        let found = (choice.format.as_str(), choice.width, choice.height, choice.rate_hz);
        assert_eq!(found, expected, "wish {wish:?}");
    }

    #[test]
    fn a_webcam_gives_raw_pictures_where_it_is_fast_enough_and_jpeg_where_not() {
        let webcam = [
            format("YUYV", vec![SizeInfo::one(640, 480, &[15.0, 30.0]), SizeInfo::one(1280, 720, &[5.0, 10.0])]),
            format(
                "MJPG",
                vec![
                    SizeInfo::one(640, 480, &[30.0]),
                    SizeInfo::one(1280, 720, &[30.0]),
                    SizeInfo::one(1920, 1080, &[30.0]),
                ],
            ),
        ];
        check(&webcam, (640, 480, 30.0), ("YUYV", 640, 480, 30.0));
        check(&webcam, (1280, 720, 30.0), ("MJPG", 1280, 720, 30.0));
        check(&webcam, (1280, 720, 10.0), ("YUYV", 1280, 720, 10.0));
        check(&webcam, (4000, 3000, 30.0), ("MJPG", 1920, 1080, 30.0));
        check(&webcam, (600, 480, 15.5), ("YUYV", 640, 480, 15.0));
    }

    #[test]
    fn odd_rates_ranges_and_silence_about_sizes_are_no_obstacle() {
        check(&[format("NV12", vec![SizeInfo::one(640, 480, &[29.97])])], (640, 480, 30.0), ("NV12", 640, 480, 29.97));
        let range = SizeInfo {
            smallest: [32, 32],
            largest: [2592, 1944],
            rates_hz: vec![1.0, 90.0],
            any_rate: true,
            steps: [32, 2],
        };
        check(&[format("YU12", vec![range.clone()])], (641, 481, 12.5), ("YU12", 640, 480, 12.5));
        check(&[format("YU12", vec![range])], (9000, 1, 200.0), ("YU12", 2592, 32, 90.0));
        check(&[format("GREY", vec![])], (320, 240, 9.0), ("GREY", 320, 240, 9.0));
        assert_eq!(choose(&[], &CameraConfig::default()), None);
    }

    #[test]
    fn gaps_in_the_numbers_are_lost_frames_and_going_back_is_not() {
        assert_eq!([gap(4, 5), gap(4, 8), gap(u32::MAX, 1), gap(9, 3), gap(5, 5)], [0, 3, 1, 0, 0]);
    }
}
