//! Picture files as frames: one after the other, `rate_hz` a second.
//!
//! A picture that cannot be read is named in the log and left out; at the end that is an error, so that a script sees
//! it. Decoding allocates, once a picture.

use std::io;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use super::outlet::Outlet;
use super::{CameraError, rate_fraction};
use crate::flow::{StageError, Stop};
use crate::media::{Geometry, LARGEST_SIDE, MediaTime, PixelFormat};

/// Pictures a second where nothing else is asked for: time to look at each.
const DEFAULT_RATE_HZ: f64 = 1.0;
/// Bytes that decoding one picture may take: the largest picture, and as much again for the decoder.
const LARGEST_DECODING: u64 = 2 * 4 * (LARGEST_SIDE as u64) * (LARGEST_SIDE as u64);

/// Shows `paths` in their order.
pub(super) fn run(paths: &[PathBuf], rate_hz: Option<f64>, outlet: &mut Outlet, stop: &Stop) -> Result<(), StageError> {
    let (rate, per) = rate_fraction(rate_hz.unwrap_or(DEFAULT_RATE_HZ));
    let (mut shown, mut failures) = (0, Vec::new());
    for path in paths {
        match read(path) {
            Ok(picture) => {
                let geometry = Geometry::packed(PixelFormat::Rgb24, picture.width(), picture.height());
                let time = MediaTime::of_count(shown, rate, per);
                shown += 1;
                if !outlet.wait_for(time, stop) || !outlet.give(geometry, time, picture.as_bytes(), stop) {
                    return Ok(());
                }
            }
            Err(source) => {
                let error = CameraError::Image { path: path.clone(), source };
                tracing::warn!("{error}");
                outlet.broken();
                failures.push(error);
            }
        }
    }
    // The last picture is shown as long as the others.
    outlet.wait_for(MediaTime::of_count(shown, rate, per), stop);
    let failed = failures.len();
    match failures.into_iter().next() {
        None => Ok(()),
        Some(only) if paths.len() == 1 => Err(StageError::last(only)),
        Some(first) => {
            Err(StageError::last(CameraError::Images { failed, total: paths.len(), first: Box::new(first) }))
        }
    }
}

/// Decodes one picture to RGB, upright.
fn read(path: &Path) -> Result<DynamicImage, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(LARGEST_DECODING);
    // By content, not by name: many a .jpg is a PNG.
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    if picture.width() == 0 || picture.height() == 0 {
        return Err(ImageError::IoError(io::Error::other("it is empty")));
    }
    Ok(DynamicImage::ImageRgb8(picture.into_rgb8()))
}
