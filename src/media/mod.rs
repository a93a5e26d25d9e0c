//! What goes in: frames, samples, and their times.

mod ffmpeg;
mod frame;
mod patient;
mod photo;
mod pixel_format;
mod pool;
mod samples;
mod time;

pub use ffmpeg::{FfmpegError, FfmpegProcess, without_password};
pub use frame::{Frame, FrameBuffer, FrameError, FramePool, Geometry, LARGEST_SIDE, RgbView};
pub use patient::PatientReader;
pub use photo::{PhotoError, read_photo};
pub use pixel_format::{PixelFormat, PixelFormatError, jpeg_size, rgb_from};
pub use pool::{Pool, Pooled};
pub use samples::{Levels, SAMPLE_RATE_HZ, mono_from};
pub use time::{MediaTime, WallTime};
