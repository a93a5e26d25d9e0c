//! A heat map of features: time to the right, low frequencies at the bottom, a bar that explains the colours.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use anyhow::Context;
use image::{Rgb, RgbImage};

use crate::media::SAMPLE_RATE_HZ;
use crate::model::{Feature, FrontEnd};
use crate::output::{FeatureAxis, mixed, viridis};

/// The map's height is at least this, so that thirteen coefficients are as easy to see as 257 frequencies.
const LEAST_HEIGHT: u32 = 390;
/// Width of a column, in pixels, as long as the picture stays below [`MOST_WIDTH`].
const COLUMN_WIDTH: u32 = 6;
/// Longer sound is shrunk to this width, each pixel the loudest of its columns.
const MOST_WIDTH: u32 = 6000;
/// Room for the numbers left of, right of, and below the map.
const MARGIN: [u32; 3] = [64, 130, 40];
const TOP: u32 = 12;
const TEXT: f32 = 15.0;
const BACKGROUND: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([40, 40, 40]);
/// Magnitudes are shown in decibels; below this they are drawn as silence.
const FLOOR_DB: f32 = -60.0;

/// Features, ready to be drawn.
pub(super) struct HeatMap<'a> {
    values: Vec<f32>,
    rows: usize,
    feature: Feature,
    front_end: &'a FrontEnd,
}

impl<'a> HeatMap<'a> {
    /// A map of columns of `rows` values.
    pub(super) fn of(feature: Feature, mut values: Vec<f32>, rows: usize, front_end: &'a FrontEnd) -> Self {
        if feature == Feature::Spectrogram {
            values.iter_mut().for_each(|value| *value = (20.0 * value.max(1e-9).log10()).max(FLOOR_DB));
        }
        Self { values, rows, feature, front_end }
    }

    /// The picture.
    pub(super) fn draw(&self) -> anyhow::Result<RgbImage> {
        let font = FontRef::try_from_slice(include_bytes!("../../../assets/fonts/DejaVuSans.ttf"))
            .context("Cannot draw numbers: the font in this program is damaged; build it anew.")?;
        let columns = (self.values.len() / self.rows) as u32;
        let row_height = LEAST_HEIGHT.div_ceil(self.rows as u32);
        let (width, height) = ((columns * COLUMN_WIDTH).min(MOST_WIDTH), row_height * self.rows as u32);
        let mut canvas = RgbImage::from_pixel(MARGIN[0] + width + MARGIN[1], TOP + height + MARGIN[2], BACKGROUND);
        let (low, high) = self.range();
        for x in 0..width {
            let from = (u64::from(x) * u64::from(columns) / u64::from(width)) as usize;
            let to = ((u64::from(x) + 1) * u64::from(columns)).div_ceil(u64::from(width)) as usize;
            for row in 0..self.rows {
                let loudest = (from..to).map(|column| self.values[column * self.rows + row]).fold(f32::MIN, f32::max);
                let colour = Rgb(viridis((loudest - low) / (high - low)));
                let bottom = TOP + height - row as u32 * row_height;
                (bottom - row_height..bottom).for_each(|y| canvas.put_pixel(MARGIN[0] + x, y, colour));
            }
        }
        let mut axes = Axes { canvas: &mut canvas, font, width, height };
        axes.time(columns as usize * self.front_end.step_samples);
        axes.rows(&FeatureAxis::of(self.front_end), self.rows);
        axes.bar(low, high, self.unit());
        Ok(canvas)
    }

    fn range(&self) -> (f32, f32) {
        let (low, high) =
            self.values.iter().fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        // A sound of nothing but silence has one value, and still a scale.
        (low, high.max(low + 1e-3))
    }

    fn unit(&self) -> &'static str {
        match self.feature {
            Feature::Spectrogram => "dB",
            Feature::LogMel => "ln",
            Feature::Mfcc => "",
        }
    }
}

/// What stands around the map.
struct Axes<'a> {
    canvas: &'a mut RgbImage,
    font: FontRef<'a>,
    width: u32,
    height: u32,
}

impl Axes<'_> {
    /// Seconds below the map, some 100 pixels from each other.
    fn time(&mut self, samples: usize) {
        const STEPS_S: [f32; 9] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0];
        let seconds = samples as f32 / SAMPLE_RATE_HZ as f32;
        let pixels_a_second = self.width as f32 / seconds;
        let step = STEPS_S.into_iter().find(|step| step * pixels_a_second >= 70.0).unwrap_or(3600.0);
        let bottom = TOP + self.height;
        for tick in 0..=(seconds / step) as u32 {
            let (time, x) = (tick as f32 * step, MARGIN[0] as f32 + tick as f32 * step * pixels_a_second);
            (bottom..bottom + 5).for_each(|y| self.dot(x as u32, y));
            let text = if step < 1.0 { format!("{time:.1} s") } else { format!("{time:.0} s") };
            self.text(&text, x - 12.0, bottom as f32 + 8.0);
        }
    }

    /// Frequencies, or numbers of coefficients, left of the map.
    fn rows(&mut self, axis: &FeatureAxis, rows: usize) {
        for (mark, text) in axis.marks() {
            let y = TOP as f32 + self.height as f32 * (1.0 - axis.place_of(*mark, rows));
            (MARGIN[0] - 5..MARGIN[0]).for_each(|x| self.dot(x, y as u32));
            self.text(text, 4.0, (y - TEXT / 2.0).max(0.0));
        }
    }

    /// A bar of all colours with the values that they stand for.
    fn bar(&mut self, low: f32, high: f32, unit: &str) {
        let left = MARGIN[0] + self.width + 20;
        for y in 0..self.height {
            let colour = Rgb(viridis(1.0 - y as f32 / self.height as f32));
            (left..left + 18).for_each(|x| self.canvas.put_pixel(x, TOP + y, colour));
        }
        for quarter in 0..=4 {
            let value = low + (high - low) * quarter as f32 / 4.0;
            let y = TOP as f32 + self.height as f32 * (1.0 - quarter as f32 / 4.0);
            self.text(&format!("{value:.1} {unit}"), left as f32 + 24.0, (y - TEXT / 2.0).max(0.0));
        }
    }

    fn dot(&mut self, x: u32, y: u32) {
        if let Some(pixel) = self.canvas.get_pixel_mut_checked(x, y) {
            *pixel = INK;
        }
    }

    /// Writes with the upper left corner at `x`, `y`.
    fn text(&mut self, text: &str, mut x: f32, y: f32) {
        let font = self.font.as_scaled(PxScale::from(TEXT));
        let baseline = y + font.ascent();
        let mut glyphs: Vec<Glyph> = Vec::new();
        for letter in text.chars() {
            let id = font.glyph_id(letter);
            glyphs.push(id.with_scale_and_position(TEXT, point(x, baseline)));
            x += font.h_advance(id);
        }
        for outline in glyphs.into_iter().filter_map(|glyph| self.font.outline_glyph(glyph)) {
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| {
                let (x, y) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                let place = u32::try_from(x).ok().zip(u32::try_from(y).ok());
                if let Some(pixel) = place.and_then(|(x, y)| self.canvas.get_pixel_mut_checked(x, y)) {
                    *pixel = Rgb(mixed(pixel.0, INK.0, coverage));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::DEFAULT_FRONT_END;

    #[test]
    fn low_frequencies_lie_at_the_bottom_and_the_loudest_is_the_brightest() {
        let mut values = vec![-10.0; 20 * 80];
        // The lowest band of the last column.
        values[19 * 80] = 2.0;
        let picture = HeatMap::of(Feature::LogMel, values, 80, &DEFAULT_FRONT_END).draw().expect("a font");
        let (width, height) = (20 * COLUMN_WIDTH, 5 * 80);
        assert_eq!(picture.dimensions(), (MARGIN[0] + width + MARGIN[1], TOP + height + MARGIN[2]));
        let at = |x: u32, y: u32| picture.get_pixel(MARGIN[0] + x, TOP + y).0;
        assert_eq!(at(width - 1, height - 1), viridis(1.0));
        assert_eq!((at(0, height - 1), at(width - 1, 0)), (viridis(0.0), viridis(0.0)));
    }

    #[test]
    fn silence_and_hours_of_sound_are_drawn_too() {
        for columns in [1, 360_000] {
            let map = HeatMap::of(Feature::Mfcc, vec![0.0; columns * 13], 13, &DEFAULT_FRONT_END);
            assert!(map.draw().expect("a font").width() <= MARGIN[0] + MOST_WIDTH + MARGIN[1]);
        }
    }
}
