//! The pixels that are drawn on, and the shapes everything is made of.
//!
//! All positions are in pixels from the top left corner; what lies outside the canvas is not drawn.

use super::font::Font;

/// A colour: red, green, blue.
pub type Colour = [u8; 3];

/// A pixel of a canvas.
pub trait Pixel: Copy {
    /// The pixel of a colour.
    fn from_colour(colour: Colour) -> Self;
    /// Its colour.
    fn colour(self) -> Colour;
}

/// Packed RGB, as in frames and files.
impl Pixel for [u8; 3] {
    fn from_colour(colour: Colour) -> Self {
        colour
    }
    fn colour(self) -> Colour {
        self
    }
}

/// 0x00RRGGBB, as in windows.
impl Pixel for u32 {
    fn from_colour([red, green, blue]: Colour) -> Self {
        Self::from_be_bytes([0, red, green, blue])
    }
    fn colour(self) -> Colour {
        let [_, red, green, blue] = self.to_be_bytes();
        [red, green, blue]
    }
}

/// A picture to draw on; the caller owns its pixels.
#[derive(Debug)]
pub struct Canvas<'a, P> {
    pixels: &'a mut [P],
    width: usize,
    height: usize,
}

/// A rectangle in whole pixels; it may reach out of the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub left: i32,
    pub top: i32,
    pub width: i32,
    pub height: i32,
}

impl Area {
    pub fn right(self) -> i32 {
        self.left.saturating_add(self.width)
    }
    pub fn bottom(self) -> i32 {
        self.top.saturating_add(self.height)
    }
    pub fn overlaps(self, other: Self) -> bool {
        let across = self.left < other.right() && other.left < self.right();
        across && self.top < other.bottom() && other.top < self.bottom()
    }
    /// Larger by `by` on each side.
    pub fn grown(self, by: i32) -> Self {
        Self { left: self.left - by, top: self.top - by, width: self.width + 2 * by, height: self.height + 2 * by }
    }
}

impl<'a, P: Pixel> Canvas<'a, P> {
    /// A canvas of `width · height` pixels, top row first; `None` if `pixels` are fewer.
    pub fn new(pixels: &'a mut [P], width: u32, height: u32) -> Option<Self> {
        let (width, height) = (width as usize, height as usize);
        let pixels = pixels.get_mut(..width.checked_mul(height)?)?;
        Some(Self { pixels, width, height })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width as u32
    }
    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// Paints `area` with `colour`, through which what was there shines as far as `opacity` (0 unseen, 255 opaque)
    /// lets it.
    pub(super) fn fill(&mut self, area: Area, colour: Colour, opacity: u8) {
        let paint = P::from_colour(colour);
        let Some((columns, rows)) = self.visible(area) else { return };
        for row in rows {
            let pixels = &mut self.pixels[row * self.width..][columns.clone()];
            match opacity {
                255 => pixels.fill(paint),
                _ => pixels.iter_mut().for_each(|pixel| *pixel = blended(*pixel, colour, opacity)),
            }
        }
    }

    /// Paints the border of `area`, `thickness` pixels wide, inside it.
    pub(super) fn outline(&mut self, area: Area, thickness: i32, colour: Colour, opacity: u8) {
        let thickness = thickness.min(area.width / 2).min(area.height / 2).max(1);
        let Area { left, top, width, height } = area;
        let sides = height - 2 * thickness;
        self.fill(Area { height: thickness, ..area }, colour, opacity);
        self.fill(Area { top: area.bottom() - thickness, height: thickness, ..area }, colour, opacity);
        self.fill(Area { left, top: top + thickness, width: thickness, height: sides }, colour, opacity);
        let right = left + width - thickness;
        self.fill(Area { left: right, top: top + thickness, width: thickness, height: sides }, colour, opacity);
    }

    /// Paints every row of `area` alike: pixel after pixel, from the left, in these colours.
    pub(super) fn stripe(&mut self, area: Area, colours: impl Iterator<Item = Colour>) {
        let Some((columns, mut rows)) = self.visible(area) else { return };
        let Some(first) = rows.next() else { return };
        let first = first * self.width;
        let hidden = usize::try_from(-area.left).unwrap_or(0);
        for (pixel, colour) in self.pixels[first..][columns.clone()].iter_mut().zip(colours.skip(hidden)) {
            *pixel = P::from_colour(colour);
        }
        for row in rows {
            self.pixels.copy_within(first + columns.start..first + columns.end, row * self.width + columns.start);
        }
    }

    /// Paints the column `x` from `top` to `bottom`, softly where they lie within a pixel.
    pub(super) fn column(&mut self, x: i32, [top, bottom]: [f32; 2], colour: Colour) {
        let rows =
            Area { left: x, top: top.floor() as i32, width: 1, height: bottom.ceil() as i32 - top.floor() as i32 };
        let Some((columns, rows)) = self.visible(rows) else { return };
        for row in rows {
            let pixel = &mut self.pixels[row * self.width + columns.start];
            let covered = bottom.min(row as f32 + 1.0) - top.max(row as f32);
            *pixel = blended(*pixel, colour, (covered * 255.0) as u8);
        }
    }

    /// Writes one line of text whose pen starts at `left` on the base line `baseline`.
    pub(super) fn text(
        &mut self,
        font: &mut Font,
        text: &str,
        size_px: u32,
        (left, baseline): (i32, i32),
        (colour, opacity): (Colour, u8),
    ) {
        let mut pen = left as f32;
        for letter in text.chars() {
            let glyph = font.glyph(letter, size_px);
            let (glyph_left, glyph_top) = (pen.round() as i32 + glyph.left, baseline + glyph.top);
            pen += glyph.advance;
            if glyph.width == 0 {
                continue;
            }
            for (row, coverage) in (glyph_top..).zip(glyph.coverage.chunks_exact(glyph.width)) {
                if row < 0 || row as usize >= self.height {
                    continue;
                }
                let pixels = &mut self.pixels[row as usize * self.width..][..self.width];
                let skipped = usize::try_from(-glyph_left).unwrap_or(0);
                let pixels = pixels.iter_mut().skip(usize::try_from(glyph_left).unwrap_or(0));
                for (pixel, &covered) in pixels.zip(coverage.iter().skip(skipped)) {
                    if covered > 0 {
                        *pixel = blended(*pixel, colour, (u16::from(covered) * u16::from(opacity) / 255) as u8);
                    }
                }
            }
        }
    }

    /// The columns and rows of `area` that lie in the canvas; `None` if there are none.
    fn visible(&self, area: Area) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
        let inside = |from: i32, to: i32, most: usize| {
            let (from, to) = (from.clamp(0, most as i32) as usize, to.clamp(0, most as i32) as usize);
            (from < to).then_some(from..to)
        };
        let columns = inside(area.left, area.right(), self.width)?;
        let rows = inside(area.top, area.bottom(), self.height)?;
        Some((columns, rows))
    }
}

fn blended<P: Pixel>(under: P, colour: Colour, opacity: u8) -> P {
    let (over, through) = (u16::from(opacity), 255 - u16::from(opacity));
    let under = under.colour();
    let channel = |index: usize| ((u16::from(colour[index]) * over + u16::from(under[index]) * through) / 255) as u8;
    P::from_colour([channel(0), channel(1), channel(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_out_of_the_canvas_is_cut() {
        let mut pixels = [[0u8; 3]; 12];
        let mut canvas = Canvas::new(&mut pixels, 4, 3).expect("enough pixels");
        let mut font = Font::new().expect("the built-in font is whole");
        canvas.fill(Area { left: -5, top: 1, width: 7, height: 100 }, [9, 9, 9], 255);
        canvas.fill(Area { left: 40, top: 1, width: 7, height: 100 }, [7, 7, 7], 255);
        for place in [(-1000, 2), (3, -50), (2, 500), (-4, 4)] {
            canvas.text(&mut font, "Wgy", 20, place, ([0, 0, 0], 255));
        }
        canvas.outline(Area { left: 2000, top: 0, width: 9, height: 9 }, 2, [7, 7, 7], 255);
        assert!(pixels.iter().all(|pixel| pixel[0] != 7));
        assert_eq!(pixels[3], [0; 3]);
        assert!(Canvas::new(&mut pixels, 4, 4).is_none());
    }

    #[test]
    fn both_kinds_of_pixel_carry_the_same_colour() {
        assert_eq!(u32::from_colour([1, 2, 3]), 0x0001_0203);
        assert_eq!(0x0001_0203.colour(), [1, 2, 3]);
        let half =
            |under: Colour| (blended(under, [200, 100, 0], 128), blended(u32::from_colour(under), [200, 100, 0], 128));
        let (rgb, window) = half([100, 100, 100]);
        assert_eq!((rgb, window.colour()), ([150, 100, 49], [150, 100, 49]));
    }
}
