//! Picture files as frames: one after the other, `rate_hz` a second.
//!
//! A picture that cannot be read is named in the log and left out; at the end that is an error, so that a script sees
//! it. Decoding allocates, once a picture.

use std::path::PathBuf;

use super::outlet::Outlet;
use super::{CameraError, rate_fraction};
use crate::flow::{StageError, Stop};
use crate::media::{Geometry, MediaTime, PixelFormat, read_photo};

/// Pictures a second where nothing else is asked for: time to look at each.
const DEFAULT_RATE_HZ: f64 = 1.0;

/// Shows `paths` in their order.
pub(super) fn run(paths: &[PathBuf], rate_hz: Option<f64>, outlet: &mut Outlet, stop: &Stop) -> Result<(), StageError> {
    let (rate, per) = rate_fraction(rate_hz.unwrap_or(DEFAULT_RATE_HZ));
    let (mut shown, mut failures) = (0, Vec::new());
    for path in paths {
        match read_photo(path) {
            Ok(picture) => {
                let geometry = Geometry::packed(PixelFormat::Rgb24, picture.width(), picture.height());
                let time = MediaTime::of_count(shown, rate, per);
                shown += 1;
                if !outlet.wait_for(time, stop) || !outlet.give(geometry, time, picture.as_raw(), stop) {
                    return Ok(());
                }
            }
            Err(error) => {
                let error = CameraError::Image(error);
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
