//! What goes in: frames, samples, and their times.

#[cfg_attr(target_arch = "x86_64", path = "resize_avx2.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "resize_none.rs")]
mod avx2;
mod ffmpeg;
mod frame;
mod jpeg;
mod patient;
mod photo;
mod pixel_format;
mod pool;
mod resize;
mod samples;
mod time;
mod turbojpeg;

pub use ffmpeg::{FfmpegError, FfmpegProcess, without_password};
pub use frame::{Frame, FrameBuffer, FrameError, FramePool, Geometry, LARGEST_SIDE, RgbView};
pub use jpeg::{Reduction, jpeg_size, rgb_from_jpeg};
pub use patient::PatientReader;
pub use photo::{PhotoError, read_photo};
pub use pixel_format::{PixelFormat, PixelFormatError, rgb_from};
pub use pool::{Pool, Pooled};
pub use resize::{ResizeError, Resizer};
pub use samples::{Levels, SAMPLE_RATE_HZ, mono_from};
pub use time::{MediaTime, WallTime};
