//! Why a sink cannot work.

use std::io;
use std::path::PathBuf;

use crate::media::FfmpegError;

/// Why a sink cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file or a pipe takes nothing.
    #[error("Cannot write {}: {source}; {}.", named(target), remedy(source))]
    Write {
        /// Which.
        target: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A recording's name does not tell what kind of video is wanted.
    #[error("Cannot record into {}: its ending is no kind of video that is written here; end it in .mp4 or .mkv, or name a folder for pictures.", .0.display())]
    Kind(PathBuf),
    /// There is no camera.
    #[error("Cannot record into {}: there is no picture without a camera; name one, or leave the recording out.", .0.display())]
    NoPicture(PathBuf),
    /// A picture cannot be encoded.
    #[error("Cannot write the picture {}: {source}.", target.display())]
    Picture {
        /// Which.
        target: PathBuf,
        /// The encoder's reason.
        source: image::ImageError,
    },
    /// The video encoder.
    #[error(transparent)]
    Ffmpeg(#[from] FfmpegError),
    /// The font that is built in cannot be read.
    #[error("Cannot draw text: the font in this program is damaged; build it again from a whole checkout.")]
    Font(#[from] ab_glyph::InvalidFont),
    /// A window is wanted where there is no display.
    #[error(
        "Cannot open a window: there is no display (neither WAYLAND_DISPLAY nor DISPLAY is set); start it on a desktop, or with --preview none."
    )]
    NoDisplay,
}

fn named(target: &std::path::Path) -> String {
    if target == std::path::Path::new("-") { "to standard output".to_owned() } else { target.display().to_string() }
}

/// What to do, by what went wrong.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space, or choose another place",
        io::ErrorKind::BrokenPipe => "its reader has ended",
        io::ErrorKind::NotFound => "create its folder first",
        io::ErrorKind::PermissionDenied => "choose a place that you may write to",
        _ => "choose another place",
    }
}
