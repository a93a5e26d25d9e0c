//! The picture under the overlay: RGB, in the size that is wanted.

use crate::media::{Resizer, RgbView};

/// Scales pictures; allocates when a picture is larger than any before.
#[derive(Debug, Default)]
pub(super) struct Scaler {
    resizer: Resizer,
    /// What the last picture became, where it had to be scaled.
    scaled: Vec<u8>,
}

impl Scaler {
    /// `view` itself if it has `size` (width, height) already, else scaled to it. `None` if either has no pixels.
    pub fn scaled<'s>(&'s mut self, view: RgbView<'s>, size: (u32, u32)) -> Option<RgbView<'s>> {
        let (width, height) = size;
        if [view.width, view.height, width, height].contains(&0) {
            return None;
        }
        if (view.width, view.height) == size {
            return Some(view);
        }
        self.scaled.resize(width as usize * height as usize * 3, 0);
        self.resizer.resize(view, size, &mut self.scaled).ok()?;
        Some(self.again(view, size))
    }

    /// What [`Scaler::scaled`] gave for `view` and `size`, if that was the last it scaled.
    pub fn again<'s>(&'s self, view: RgbView<'s>, size: (u32, u32)) -> RgbView<'s> {
        let (width, height) = size;
        if (view.width, view.height) == size { view } else { RgbView { pixels: &self.scaled, width, height } }
    }
}

/// Writes a picture as window pixels (0xFFRRGGBB, opaque).
///
/// - **out**: `into`, of `width · height` pixels or more; what is behind them stays, and so does all of it if the view lies
///   about its size or there is no room
pub fn window_pixels(view: RgbView<'_>, into: &mut [u32]) {
    let RgbView { pixels, width, height } = view;
    // Blue first: the least byte of a little-endian number, which is what every processor of ours writes.
    let bytes = bytemuck::cast_slice_mut(into);
    if let Err(error) = yuv::rgb_to_bgra(pixels, 3 * width, bytes, 4 * width, width, height) {
        tracing::debug!(%error, width, height, "a picture is not shown");
    }
}

/// The largest size with the shape of `size` that fits into `largest`; never larger than `size`, never empty.
pub(super) fn fitted((width, height): (u32, u32), largest: (u32, u32)) -> (u32, u32) {
    let share = |side: u32, most: u32| f64::from(most.max(1)) / f64::from(side.max(1));
    let scale = share(width, largest.0).min(share(height, largest.1)).min(1.0);
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_made_smaller_and_keep_their_shape() {
        assert_eq!(fitted((640, 480), (1280, 720)), (640, 480));
        assert_eq!(fitted((1920, 1080), (1280, 720)), (1280, 720));
        assert_eq!(fitted((1600, 1200), (1280, 720)), (960, 720));
        assert_eq!(fitted((8000, 1), (100, 100)), (100, 1));
        let mut scaler = Scaler::default();
        let pixels: Vec<u8> = [[200u8, 100, 50]; 64].concat();
        let view = RgbView { pixels: &pixels, width: 8, height: 8 };
        assert_eq!(scaler.scaled(view, (8, 8)).expect("a picture").pixels.as_ptr(), pixels.as_ptr());
        let small = scaler.scaled(view, (3, 2)).expect("a picture");
        assert_eq!((small.pixels, small.width, small.height), ([[200u8, 100, 50]; 6].as_flattened(), 3, 2));
        assert_eq!(scaler.again(view, (3, 2)).pixels, [[200u8, 100, 50]; 6].as_flattened());
        assert!(scaler.scaled(RgbView { pixels: &[], width: 0, height: 0 }, (3, 2)).is_none());
    }

    #[test]
    fn window_pixels_have_red_above_green_above_blue() {
        let pixels: Vec<u8> = (0..37 * 3 * 3).map(|value| value as u8).collect();
        let mut window = vec![7; 37 * 3 + 1];
        window_pixels(RgbView { pixels: &pixels, width: 37, height: 3 }, &mut window);
        let opaque = pixels.as_chunks::<3>().0.iter().map(|[r, g, b]| u32::from_be_bytes([0xff, *r, *g, *b]));
        assert_eq!(window, opaque.chain([7]).collect::<Vec<_>>());
        let lie = RgbView { pixels: &pixels, width: 38, height: 3 };
        window_pixels(lie, &mut window);
        assert_eq!(window[37 * 3], 7);
    }
}
