//! The camera: frames from a device, a film, a stream, pictures or a pipe, handed to every reader.
//!
//! One file a kind of source. Each opens what it reads, then is a short loop: wait for a picture, hand it over.
//!
//! | source | file | waits at most | after that, and after other trouble |
//! |---|---|---|---|
//! | device | `v4l2` or `nokhwa` | 5 s for the first picture, 2 s for each other | tried again |
//! | network stream | `ffmpeg` | 10 s for the first picture, 5 s for each other | tried again |
//! | film | `ffmpeg` | 30 s for a picture | final |
//! | pictures | `images` | | the unreadable are named, the others go on |
//! | standard input | `pipe` | for ever: a pipe may be silent | its end is the end |
//!
//! Nothing here waits for a reader when the pace is live, and nothing is allocated per frame once the pool has filled
//! (pictures in files excepted, which come once a second).
//!
//! # nokhwa and v4l
//! Both stand on the same kernel interface. `nokhwa` finds and names the cameras here and captures where it is asked to
//! (`camera.backend = "nokhwa"`), but the default for capturing is `v4l`, for what a program that runs for months needs
//! and nokhwa 0.10 does not give: its `frame_raw()` waits without time-out and cannot be interrupted, so that a frozen
//! camera could neither be noticed on its thread nor closed and opened again; it hides sequence number, error flag and
//! the number of bytes used, so that lost frames cannot be counted and every JPEG comes with half a megabyte of old
//! data; and it refuses rates such as 29.97 and sizes given as a range. `tests/devices.rs` shows all of this.

mod ffmpeg;
mod images;
mod mjpeg;
mod nokhwa;
mod outlet;
mod pipe;
mod source;
mod v4l2;

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use nokhwa::list;
pub use outlet::{CameraCounters, CameraCounts};
pub use source::Source;
pub use v4l2::{CameraInfo, FormatInfo, SizeInfo};

use crate::flow::{Pace, Stage, StageError, Stop, Writer};
use crate::media::{FfmpegError, Frame, LARGEST_SIDE, PhotoError, PixelFormat};
use outlet::Outlet;

/// Where pictures come from, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CameraConfig {
    /// `auto` (the first camera found), `none`, a device (`/dev/video0` or its number), a video file or a URL, a
    /// picture, a list of pictures with commas, a folder of pictures, or `-` (standard input); default `auto`.
    pub source: String,
    /// Width asked of a camera, and width of raw pictures on standard input, in pixels, 1…8192; default 640.
    pub width: u32,
    /// The same for the height; default 480.
    pub height: u32,
    /// Pictures a second, 0.01…1000: asked of a camera (default 30), shown of a folder (default 1), and taken for raw
    /// pictures on standard input that are not live (default 30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_hz: Option<f64>,
    /// What comes on standard input; default `mjpeg`.
    pub pipe_format: PipeFormat,
    /// The library that captures from a device; default `v4l2`.
    pub backend: Backend,
}

impl Default for CameraConfig {
    fn default() -> Self {
        let (source, pipe_format, backend) = ("auto".to_owned(), PipeFormat::default(), Backend::default());
        Self { source, width: 640, height: 480, rate_hz: None, pipe_format, backend }
    }
}

/// The form of the pictures on standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PipeFormat {
    /// JPEG pictures one after the other.
    #[default]
    Mjpeg,
    /// Raw: red, green, blue.
    Rgb24,
    /// Raw: 4:2:2, packed.
    Yuyv,
    /// Raw: 4:2:0, Y and UV.
    Nv12,
    /// Raw: 4:2:0, Y, U and V.
    I420,
    /// Raw: brightness.
    Grey,
}

impl From<PipeFormat> for PixelFormat {
    fn from(format: PipeFormat) -> Self {
        match format {
            PipeFormat::Mjpeg => Self::Mjpeg,
            PipeFormat::Rgb24 => Self::Rgb24,
            PipeFormat::Yuyv => Self::Yuyv,
            PipeFormat::Nv12 => Self::Nv12,
            PipeFormat::I420 => Self::I420,
            PipeFormat::Grey => Self::Grey,
        }
    }
}

/// The library that captures from a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The crate `v4l`: every rate and size, time-outs, counts of lost frames.
    #[default]
    V4l2,
    /// The crate `nokhwa`: whole rates and listed sizes only.
    Nokhwa,
}

impl CameraConfig {
    /// Whether there shall be no camera.
    pub fn is_none(&self) -> bool {
        self.source == "none"
    }

    /// Whether the source follows the clock of the world; see [`Source::is_live`].
    pub fn is_live(&self) -> bool {
        Source::parse(&self.source).is_ok_and(|source| source.is_live())
    }

    /// The rate that is asked of a device, in pictures a second.
    fn device_rate_hz(&self) -> f64 {
        self.rate_hz.unwrap_or(30.0)
    }

    fn check(&self) -> Result<(), CameraError> {
        let side = 1..=LARGEST_SIDE;
        let wrong = |key, range: String| Err(CameraError::Wish { key, range });
        match self {
            _ if !side.contains(&self.width) => wrong("width", format!("1…{LARGEST_SIDE} pixels")),
            _ if !side.contains(&self.height) => wrong("height", format!("1…{LARGEST_SIDE} pixels")),
            _ if !self.rate_hz.is_none_or(|rate| (0.01..=1000.0).contains(&rate)) => {
                wrong("rate_hz", "0.01…1000 pictures a second".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The configuration asks for what cannot be.
    #[error("camera.{key} is out of range; it must be {range}.")]
    Wish {
        /// The key.
        key: &'static str,
        /// What is allowed.
        range: String,
    },
    /// The source is no device and no file.
    #[error(
        "Cannot open camera {0}: there is no such file or folder; give a device (/dev/video0), a video, a picture, \
         a folder of pictures, a URL, or - for standard input."
    )]
    NoSuchSource(String),
    /// The source is a URL of an unknown kind.
    #[error("Cannot open camera {url}: {scheme}:// is no known kind of stream; lookhear knows {known}.")]
    Scheme {
        /// The URL, without password.
        url: String,
        /// Its scheme.
        scheme: String,
        /// The known schemes.
        known: String,
    },
    /// A folder has no picture.
    #[error("Cannot show the folder {}: there is no JPEG or PNG file in it; put some there, or name another folder.", .0.display())]
    NoImages(PathBuf),
    /// A folder cannot be listed.
    #[error("Cannot show the folder {}: {source}; check its permissions.", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A picture cannot be read.
    #[error(transparent)]
    Image(PhotoError),
    /// Some pictures could not be read; the others have been shown.
    #[error("{failed} of {total} pictures could not be read; the first: {first}")]
    Images {
        /// How many were not read.
        failed: usize,
        /// Of how many.
        total: usize,
        /// Why the first was not.
        first: Box<CameraError>,
    },
    /// There is no camera at all.
    #[error("No camera found; plug one in, or give a video or a picture with --camera FILE.")]
    NoCamera,
    /// A device cannot be opened.
    #[error("Cannot open camera {camera}: {}; {remedy}.", reason(error))]
    Open {
        /// Its path, and its name where known.
        camera: String,
        /// The system's reason.
        error: io::Error,
        /// What to do, or what there is instead.
        remedy: String,
    },
    /// A device has no format that lookhear reads.
    #[error(
        "Cannot use camera {camera}: it offers {offered}, and lookhear reads {known}; choose another camera with \
         --camera (`lookhear devices` lists them)."
    )]
    Format {
        /// Its path and name.
        camera: String,
        /// The formats it offers.
        offered: String,
        /// The formats that are known.
        known: String,
    },
    /// A device that was open failed.
    #[error("Camera {camera} failed: {}; check its cable.", reason(error))]
    Device {
        /// Its path and name.
        camera: String,
        /// The system's reason.
        error: io::Error,
    },
    /// A device is open and gives nothing.
    #[error(
        "The camera delivers no pictures: nothing came from {camera} for {} s; check its cable, or plug it in again.",
        after.as_secs()
    )]
    Silent {
        /// Its path and name, or the stream.
        camera: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// nokhwa cannot use the device.
    #[error("Cannot use camera {camera} through nokhwa: {reason}; set camera.backend to \"v4l2\".")]
    Nokhwa {
        /// Its path and name.
        camera: String,
        /// nokhwa's reason.
        reason: String,
    },
    /// ffmpeg cannot read the film or stream.
    #[error(transparent)]
    Ffmpeg(#[from] FfmpegError),
    /// A network stream ended.
    #[error("The stream {0} ended; check the camera or server that sends it.")]
    Ended(String),
    /// What came was not what was asked for.
    #[error("Cannot read {from}: {reason}.")]
    Content {
        /// The film, the stream, or standard input.
        from: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl CameraError {
    fn ffmpeg(error: FfmpegError) -> StageError {
        match error {
            FfmpegError::NotInstalled { .. } => StageError::last(Self::Ffmpeg(error)),
            _ => StageError::retry(Self::Ffmpeg(error)),
        }
    }
}

/// What a user calls the system's reason.
fn reason(error: &io::Error) -> String {
    match (error.kind(), error.raw_os_error()) {
        // ENODEV and ENXIO: the node is left, the device is gone.
        (ErrorKind::NotFound, _) | (_, Some(6 | 19)) => "no such device".to_owned(),
        (ErrorKind::PermissionDenied, _) => "permission denied".to_owned(),
        (ErrorKind::ResourceBusy, _) => "another program uses it".to_owned(),
        _ => error.to_string(),
    }
}

/// A rate as a fraction, pictures in so many seconds, to the thousandth. Whole rates are over 1: some drivers keep the
/// fraction as it is given, and nokhwa takes 30000/1000 for a broken rate.
fn rate_fraction(rate_hz: f64) -> (u32, u32) {
    let thousandths = (rate_hz * 1000.0).round() as u32;
    if thousandths.is_multiple_of(1000) { (thousandths / 1000, 1) } else { (thousandths, 1000) }
}

/// The stage that captures.
///
/// It waits for its source alone, skips nothing itself (a reader that is slow skips), and ends at the end of a file, on
/// request, or when nobody reads any more.
#[derive(Debug)]
pub struct Camera {
    source: Source,
    config: CameraConfig,
    stdin: Option<File>,
    outlet: Outlet,
}

impl Camera {
    /// Checks the configuration and, of a file, that it is there; opens nothing.
    ///
    /// Media time counts from `epoch`, which is why a film whose sound track plays beside it shares it. Each frame goes
    /// to `readers` in their order.
    ///
    /// # Errors
    /// [`CameraError::Wish`], [`CameraError::NoSuchSource`], [`CameraError::Scheme`], [`CameraError::NoImages`] and
    /// [`CameraError::Folder`].
    pub fn new(
        config: &CameraConfig,
        pace: Pace,
        epoch: Instant,
        readers: Vec<Writer<Frame>>,
    ) -> Result<Self, CameraError> {
        config.check()?;
        let source = Source::parse(&config.source)?;
        Ok(Self { source, config: config.clone(), stdin: None, outlet: Outlet::new(pace, epoch, readers) })
    }

    /// Reads `input` where it would read standard input.
    pub fn with_stdin(mut self, input: impl Into<OwnedFd>) -> Self {
        self.stdin = Some(File::from(input.into()));
        self
    }

    /// The counts of frames that never reached a reader; they go on while the stage runs.
    pub fn counters(&self) -> CameraCounters {
        self.outlet.counters()
    }

    fn run_device(&mut self, path: &Path, stop: &Stop) -> Result<(), StageError> {
        match self.config.backend {
            Backend::V4l2 => v4l2::run(path, &self.config, &mut self.outlet, stop),
            Backend::Nokhwa => nokhwa::run(path, &self.config, &mut self.outlet, stop),
        }
    }

    fn run_stdin(&mut self, stop: &Stop) -> Result<(), StageError> {
        let unusable = |reason| {
            let from = "standard input".to_owned();
            StageError::last(CameraError::Content { from, reason })
        };
        let input = match self.stdin.take() {
            Some(input) => input,
            None if io::stdin().is_terminal() => {
                return Err(unusable("it is a terminal; pipe pictures into lookhear".to_owned()));
            }
            None => io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .map(File::from)
                .map_err(|error| unusable(format!("{error}; pipe pictures into lookhear")))?,
        };
        pipe::run(input, &self.config, &mut self.outlet, stop)
    }
}

impl Stage for Camera {
    fn name(&self) -> &'static str {
        "camera"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        match self.source.clone() {
            Source::None => Ok(()),
            Source::Auto => {
                let first = list().into_iter().next().ok_or_else(|| StageError::retry(CameraError::NoCamera))?;
                self.run_device(Path::new(&first.path), stop)
            }
            Source::Device(path) => self.run_device(&path, stop),
            Source::Film(location) => ffmpeg::run_film(&location, &mut self.outlet, stop),
            Source::Stream(url) => ffmpeg::run_stream(&url, &mut self.outlet, stop),
            Source::Images(paths) => images::run(&paths, self.config.rate_hz, &mut self.outlet, stop),
            Source::Stdin => self.run_stdin(stop),
        }
    }
}
