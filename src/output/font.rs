//! Letters as coverage masks, rasterised once for each size.
//!
//! Allocates when a letter is first asked for in a size; after that it only looks up.

use std::collections::HashMap;

use ab_glyph::{Font as _, FontRef, InvalidFont, ScaleFont};

const DEJAVU_SANS: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans.ttf");

/// So many letters are kept before the cache is emptied: all of Latin in each of the overlay's five sizes. Labels come
/// from a file, so their variety has no bound of its own.
const MOST_GLYPHS: usize = 1024;

/// A font whose letters are rasterised once.
#[derive(Debug)]
pub struct Font {
    face: FontRef<'static>,
    glyphs: HashMap<(char, u32), Glyph>,
}

/// How much of each pixel a letter covers.
#[derive(Debug, Default)]
pub(super) struct Glyph {
    /// Row by row, 0 nothing, 255 all.
    pub coverage: Vec<u8>,
    /// Width of the mask in pixels.
    pub width: usize,
    /// From the pen to the mask's left edge, in pixels.
    pub left: i32,
    /// From the base line to the mask's top edge, in pixels; negative is above.
    pub top: i32,
    /// From this letter's pen to the next one's, in pixels.
    pub advance: f32,
}

impl Font {
    /// DejaVu Sans, which is built into the program: Latin, Greek, Cyrillic and more.
    ///
    /// # Errors
    /// [`InvalidFont`] if the program was built with a damaged font file.
    pub fn new() -> Result<Self, InvalidFont> {
        Ok(Self { face: FontRef::try_from_slice(DEJAVU_SANS)?, glyphs: HashMap::with_capacity(MOST_GLYPHS) })
    }

    /// Height of the letters above the base line, and below it, in pixels, for a line that is `size_px` high.
    pub(super) fn ascent_descent(&self, size_px: u32) -> (i32, i32) {
        let scaled = self.face.as_scaled(size_px as f32);
        (scaled.ascent().round() as i32, (-scaled.descent()).round() as i32)
    }

    /// Width of `text` in pixels.
    pub(super) fn width(&mut self, text: &str, size_px: u32) -> i32 {
        text.chars().map(|letter| self.glyph(letter, size_px).advance).sum::<f32>().ceil() as i32
    }

    /// The longest start of `text` that is at most `most` pixels wide.
    pub(super) fn fitting<'t>(&mut self, text: &'t str, size_px: u32, most: i32) -> &'t str {
        let mut width = 0.0;
        for (index, letter) in text.char_indices() {
            width += self.glyph(letter, size_px).advance;
            if width > most as f32 {
                return &text[..index];
            }
        }
        text
    }

    pub(super) fn glyph(&mut self, letter: char, size_px: u32) -> &Glyph {
        if self.glyphs.len() >= MOST_GLYPHS && !self.glyphs.contains_key(&(letter, size_px)) {
            self.glyphs.clear();
        }
        let face = &self.face;
        self.glyphs.entry((letter, size_px)).or_insert_with(|| rasterised(face, letter, size_px))
    }
}

fn rasterised(face: &FontRef<'_>, letter: char, size_px: u32) -> Glyph {
    let scaled = face.as_scaled(size_px as f32);
    let glyph = scaled.scaled_glyph(letter);
    let advance = scaled.h_advance(glyph.id);
    let Some(outline) = scaled.outline_glyph(glyph) else {
        return Glyph { advance, ..Glyph::default() };
    };
    let bounds = outline.px_bounds();
    let (width, height) = (bounds.width().ceil() as usize, bounds.height().ceil() as usize);
    let mut coverage = vec![0; width * height];
    outline.draw(|x, y, covered| {
        if let Some(pixel) = coverage.get_mut(y as usize * width + x as usize) {
            *pixel = (covered.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    });
    Glyph { coverage, width, left: bounds.min.x as i32, top: bounds.min.y as i32, advance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_measured_and_cut() {
        let mut font = Font::new().expect("the built-in font is whole");
        let (short, long) = (font.width("person", 16), font.width("person person", 16));
        assert!(short > 30 && long > 2 * short, "{short} and {long}");
        assert_eq!(font.fitting("person", 16, short), "person");
        assert_eq!(font.fitting("größer", 16, font.face.as_scaled(16.0).height() as i32), "gr");
        assert_eq!(font.fitting("person", 16, 0), "");
    }

    #[test]
    fn a_letter_is_rasterised_once_and_the_cache_is_bounded() {
        let mut font = Font::new().expect("the built-in font is whole");
        let address = font.glyph('g', 16).coverage.as_ptr();
        assert_eq!(font.glyph('g', 16).coverage.as_ptr(), address);
        let covered: u32 = font.glyph('g', 16).coverage.iter().map(|&pixel| u32::from(pixel)).sum();
        assert!(covered > 255 * 20, "the letter has ink");
        for letter in '\u{20}'..'\u{2000}' {
            font.glyph(letter, 16);
        }
        assert!(font.glyphs.len() <= MOST_GLYPHS);
    }
}
