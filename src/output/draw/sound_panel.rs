//! The panel that shows what the machine hears, over the lower part of the picture.
//!
//! ```text
//!        ┌──────────────────────────────┬─────────┐
//!  4 kHz │          ▒▓▒  [yes]          │ yes ███ │
//!  1 kHz │  features ▓█▓▒               │ no  ▌   │
//! 250 Hz │          ▒██▒                │ up      │ the newest score of each word,
//!        ├──────────────────────────────┤ …       │ with a tick at its threshold
//!      1 │ - - - - - - ╭──╮- - - - - - -│         │
//!      0 │ ____________╯  ╰_____________│         │
//!        └─────┴─────────────┴──────────┴─────────┘
//!             12 s          13 s
//! ```
//! Time runs to the right, and is the same for features and curves. A command is marked twice: by its name over the
//! middle of the word, and in the curves by a line where it was decided. Where nothing was computed, nothing is drawn.

use std::fmt::Write as _;
use std::time::Duration;

use super::{BLACK, PALETTE, Painter, Sizes, WHITE, luminance};
use crate::findings::{Keyword, SoundPicture};
use crate::media::MediaTime;
use crate::output::FeatureAxis;
use crate::output::canvas::{Area, Canvas, Colour, Pixel};

/// How much of the picture's height is the panel: the least in which ten names stand below each other.
const SHARE_OF_HEIGHT: [i32; 2] = [2, 5];
/// How much of the plots is features; the rest is curves.
const SHARE_OF_FEATURES: [i32; 2] = [3, 5];
/// The time from the left edge to the right.
const SPAN: Duration = Duration::from_secs(3);
/// Smaller letters cannot be read.
const LEAST_TEXT_PX: u32 = 11;
/// Scores below it are not told from 0, nor drawn: a model that doubts gives a little to every word.
const LEAST_SCORE: f32 = 0.03;
/// Between two looks further apart nothing was heard, and no curve is drawn.
const LONGEST_GAP: Duration = Duration::from_millis(400);

const GROUND: Colour = [18, 19, 24];
const PLOT: Colour = [30, 32, 39];
const GROOVE: Colour = [52, 55, 65];
const INK: Colour = [190, 195, 205];

/// What the panel shows.
#[derive(Clone, Copy, Debug)]
pub enum SoundView<'a> {
    /// Nothing, and why.
    Nothing(&'static str),
    /// What was heard.
    Heard {
        /// Features and scores.
        picture: &'a SoundPicture,
        /// What the rows of its columns are.
        axis: &'a FeatureAxis,
        /// The time at the right edge.
        until: MediaTime,
    },
}

/// Where the parts of the panel are.
#[derive(Clone, Copy, Debug)]
struct Layout {
    text_px: u32,
    features: Area,
    curves: Area,
    words: Area,
}

/// The time axis of both plots.
#[derive(Clone, Copy, Debug)]
struct TimeAxis {
    left: i32,
    width: i32,
    start_s: f64,
    span_s: f64,
}

impl TimeAxis {
    fn x(self, time: MediaTime) -> f32 {
        self.left as f32 + ((time.as_secs() - self.start_s) / self.span_s) as f32 * self.width as f32
    }

    /// The time at the middle of pixel number `x` of the plot.
    fn seconds_at(self, x: i32) -> f64 {
        self.start_s + (f64::from(x) + 0.5) / f64::from(self.width) * self.span_s
    }

    fn holds(self, x: f32) -> bool {
        (self.left as f32..(self.left + self.width) as f32).contains(&x)
    }
}

/// The colour of a word: by its number and not by its name, so that up to sixteen differ.
fn colour_of_word(word: usize) -> Colour {
    PALETTE[word % PALETTE.len()]
}

impl Painter {
    /// Where the panel begins.
    pub(super) fn sound_panel_top<P: Pixel>(canvas: &Canvas<'_, P>) -> i32 {
        let height = canvas.height() as i32;
        height - height * SHARE_OF_HEIGHT[0] / SHARE_OF_HEIGHT[1]
    }

    /// Draws the panel; of `keywords` those that lie in it are marked.
    pub(super) fn sound_panel<'k, P: Pixel>(
        &mut self,
        canvas: &mut Canvas<'_, P>,
        view: SoundView<'_>,
        keywords: impl Iterator<Item = &'k Keyword>,
    ) {
        let (width, top) = (canvas.width() as i32, Self::sound_panel_top(canvas));
        canvas.fill(Area { left: 0, top, width, height: canvas.height() as i32 - top }, GROUND, 255);
        let (picture, axis, until) = match view {
            SoundView::Nothing(why) => {
                let Sizes { text_px, .. } = Sizes::of(canvas);
                let left = (width - self.font.width(why, text_px)) / 2;
                let baseline = (top + canvas.height() as i32) / 2;
                return canvas.text(&mut self.font, why, text_px, (left, baseline), (INK, 255));
            }
            SoundView::Heard { picture, axis, until } => (picture, axis, until),
        };
        let layout = self.layout(canvas, picture);
        if layout.features.width < 16 || layout.curves.height < 4 {
            return;
        }
        let span = picture.step().saturating_mul(picture.columns() as u32).min(SPAN);
        let time = TimeAxis {
            left: layout.features.left,
            width: layout.features.width,
            start_s: (until - span).as_secs(),
            span_s: span.as_secs_f64(),
        };
        self.features(canvas, layout.features, picture, axis, time);
        self.frequencies(canvas, layout, axis, picture.rows());
        canvas.fill(layout.curves, PLOT, 255);
        self.seconds(canvas, layout, time);
        thresholds(canvas, layout.curves, picture);
        for word in 0..picture.words().len() {
            curve(canvas, layout.curves, picture, word, time);
        }
        for keyword in keywords {
            self.mark(canvas, layout, picture, keyword, time);
        }
        self.words(canvas, layout, picture);
    }

    fn layout<P: Pixel>(&mut self, canvas: &Canvas<'_, P>, picture: &SoundPicture) -> Layout {
        let Sizes { text_px, margin_px, .. } = Sizes::of(canvas);
        let text_px = (text_px * 3 / 4).max(LEAST_TEXT_PX);
        let (width, bottom) = (canvas.width() as i32, canvas.height() as i32);
        let top = Self::sound_panel_top(canvas) + margin_px;
        let left = self.font.width("250 Hz", text_px) + 2 * margin_px;
        let longest = picture.words().iter().map(|word| self.font.width(&word.label, text_px)).max().unwrap_or(0);
        // A name of any length leaves room for the plots.
        let words_width = (longest + 4 * text_px as i32 + margin_px).min(width / 3);
        let plots_width = width - left - words_width - 2 * margin_px;
        let plots_height = bottom - margin_px / 2 - text_px as i32 - 2 - top;
        let features =
            Area { left, top, width: plots_width, height: plots_height * SHARE_OF_FEATURES[0] / SHARE_OF_FEATURES[1] };
        let curves_top = features.bottom() + margin_px / 2 + 1;
        let curves = Area { top: curves_top, height: top + plots_height - curves_top, ..features };
        let words_left = features.right() + margin_px;
        let words = Area { left: words_left, top, width: words_width, height: bottom - margin_px - top };
        Layout { text_px, features, curves, words }
    }

    /// The columns of the picture, each value in its colour.
    fn features<P: Pixel>(
        &mut self,
        canvas: &mut Canvas<'_, P>,
        area: Area,
        picture: &SoundPicture,
        axis: &FeatureAxis,
        time: TimeAxis,
    ) {
        let (start_s, step_s) = (picture.start().as_secs(), picture.step().as_secs_f64());
        let column_at = |x: i32| {
            let column = ((time.seconds_at(x) - start_s) / step_s).floor();
            (column >= 0.0 && (column as usize) < picture.columns()).then_some(column as usize)
        };
        self.column_at.clear();
        self.column_at.extend((0..area.width).map(column_at));
        let rows_at = |y: i32| {
            let row = |y: i32| (y as usize * picture.rows()) / area.height as usize;
            row(y)..row(y + 1).max(row(y) + 1)
        };
        let mut y = 0;
        while y < area.height {
            let rows = rows_at(y);
            let height = (y..area.height).take_while(|next| rows_at(*next) == rows).count() as i32;
            let shades = &self.shades;
            // A column is wider than a pixel.
            let mut last = (None, PLOT);
            let colours = self.column_at.iter().map(|column| {
                if *column != last.0 {
                    let values = column.map_or(&[][..], |column| &picture.column(column)[rows.clone()]);
                    // A maximum that passes over NaN.
                    let value = values.iter().copied().fold(f32::NAN, f32::max);
                    let shade = (axis.brightness(value) * 255.0) as usize;
                    last = (*column, if value.is_nan() { PLOT } else { shades[shade] });
                }
                last.1
            });
            let top = area.bottom() - y - height;
            canvas.stripe(Area { top, height, ..area }, colours);
            y += height;
        }
    }

    /// Frequencies at the left edge, as many as have room.
    fn frequencies<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, layout: Layout, axis: &FeatureAxis, rows: usize) {
        let Layout { text_px, features, curves, .. } = layout;
        let mut free_below = features.bottom() + text_px as i32 / 3;
        let half = text_px as i32 * 2 / 5;
        for (mark, name) in axis.marks() {
            let y = features.bottom() - (axis.place_of(*mark, rows) * features.height as f32).round() as i32;
            if y + half > free_below || y < features.top {
                continue;
            }
            self.left_of(canvas, layout, name, y + half);
            canvas.fill(Area { left: features.left - 4, top: y, width: 4, height: 1 }, INK, 255);
            free_below = y - half - 2;
        }
        for (score, y) in [("1", curves.top + 2 * half), ("0", curves.bottom())] {
            self.left_of(canvas, layout, score, y);
        }
    }

    fn left_of<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, layout: Layout, text: &str, baseline: i32) {
        let left = layout.features.left - 6 - self.font.width(text, layout.text_px);
        canvas.text(&mut self.font, text, layout.text_px, (left, baseline), (INK, 255));
    }

    /// A line at each whole second, with its number.
    fn seconds<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, layout: Layout, time: TimeAxis) {
        let Layout { text_px, features, curves, .. } = layout;
        let first = time.start_s.ceil().max(0.0);
        let last = (time.start_s + time.span_s).floor();
        // A picture of hours would have no room for them; a hostile bundle's is no longer than a few columns.
        for second in (0..8).map(|n| first + f64::from(n)).take_while(|second| *second <= last) {
            let x = time.x(MediaTime::from_nanos((second * 1e9) as i64)) as i32;
            for plot in [features, curves] {
                canvas.fill(Area { left: x, width: 1, ..plot }, WHITE, 60);
            }
            self.line.clear();
            // Writing to a string does not fail, here and below.
            let _ = write!(self.line, "{second} s");
            let width = self.font.width(&self.line, text_px);
            let left = (x - width / 2).clamp(features.left, (features.right() - width).max(features.left));
            let baseline = curves.bottom() + text_px as i32;
            canvas.text(&mut self.font, &self.line, text_px, (left, baseline), (INK, 255));
        }
    }

    /// A command's name over the middle of its word, and a line in the curves where it was decided.
    fn mark<P: Pixel>(
        &mut self,
        canvas: &mut Canvas<'_, P>,
        layout: Layout,
        picture: &SoundPicture,
        keyword: &Keyword,
        time: TimeAxis,
    ) {
        let Layout { text_px, features, curves, .. } = layout;
        let word = picture.words().iter().position(|word| word.label == keyword.label);
        let colour = word.map_or(WHITE, colour_of_word);
        let (spoken, decided) = (time.x(keyword.time), time.x(keyword.decided));
        if time.holds(decided) {
            canvas.fill(Area { left: decided as i32 - 1, width: 2, ..curves }, colour, 220);
        }
        if !time.holds(spoken) || decided >= features.right() as f32 {
            return;
        }
        canvas.fill(Area { left: spoken as i32, width: 1, ..features }, colour, 200);
        let (ascent, descent) = self.font.ascent_descent(text_px);
        let width = self.font.width(&keyword.label, text_px) + text_px as i32 / 2;
        let left = (spoken as i32 - width / 2).clamp(features.left, (features.right() - width).max(features.left));
        let tag = Area { left, top: features.top, width, height: ascent + descent };
        canvas.fill(tag, colour, 255);
        let ink = if luminance(colour) > 120 { BLACK } else { WHITE };
        let pen = (left + text_px as i32 / 4, tag.top + ascent);
        canvas.text(&mut self.font, &keyword.label, text_px, pen, (ink, 255));
    }

    /// Each word with a bar of its newest score.
    fn words<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, layout: Layout, picture: &SoundPicture) {
        let Layout { text_px, words: area, .. } = layout;
        let most = (area.height / LEAST_TEXT_PX as i32).max(1) as usize;
        let shown = picture.words().len().min(most);
        let line_height = area.height / shown.max(1) as i32;
        let text_px = text_px.min(line_height as u32);
        let names_width = area.width - 4 * text_px as i32;
        let newest = picture.looks().len().saturating_sub(1);
        for (index, word) in picture.words()[..shown].iter().enumerate() {
            let (top, colour) = (area.top + index as i32 * line_height, colour_of_word(index));
            let score = picture.score(newest, index).clamp(0.0, 1.0);
            let is_over = score >= word.threshold;
            let name = self.font.fitting(&word.label, text_px, names_width - 2);
            let baseline = top + (line_height + text_px as i32 * 7 / 10) / 2;
            canvas.text(&mut self.font, name, text_px, (area.left, baseline), (colour, 255));
            let height = (line_height * 3 / 5).min(text_px as i32).max(2);
            let bar = Area {
                left: area.left + names_width,
                top: top + (line_height - height) / 2,
                width: area.width - names_width,
                height,
            };
            canvas.fill(bar, GROOVE, 255);
            let along = |share: f32| (share.clamp(0.0, 1.0) * bar.width as f32).round() as i32;
            canvas.fill(Area { width: along(score), ..bar }, colour, if is_over { 255 } else { 190 });
            canvas.fill(
                Area { left: bar.left + along(word.threshold).min(bar.width - 1), width: 1, ..bar },
                WHITE,
                200,
            );
        }
    }
}

/// A dashed line at each threshold: white where all words share it, else in the word's colour.
fn thresholds<P: Pixel>(canvas: &mut Canvas<'_, P>, area: Area, picture: &SoundPicture) {
    const DASH: i32 = 6;
    let words = picture.words();
    let is_shared = words.windows(2).all(|pair| pair[0].threshold == pair[1].threshold);
    for (index, word) in words.iter().enumerate().take(if is_shared { 1 } else { words.len() }) {
        let colour = if is_shared { WHITE } else { colour_of_word(index) };
        let top = area.bottom() - (word.threshold.clamp(0.0, 1.0) * area.height as f32) as i32;
        for dash in (0..area.width).step_by(2 * DASH as usize) {
            let width = DASH.min(area.width - dash);
            canvas.fill(Area { left: area.left + dash, top, width, height: 1 }, colour, 150);
        }
    }
}

/// The score of a word over time, with a shade below it.
fn curve<P: Pixel>(canvas: &mut Canvas<'_, P>, area: Area, picture: &SoundPicture, word: usize, time: TimeAxis) {
    let (colour, stroke) = (colour_of_word(word), Sizes::of(canvas).stroke_px as f32);
    let y = |score: f32| area.bottom() as f32 - score.clamp(0.0, 1.0) * (area.height as f32 - stroke) - stroke / 2.0;
    for (look, (from, to)) in picture.looks().zip(picture.looks().skip(1)).enumerate() {
        let scores = [picture.score(look, word), picture.score(look + 1, word)];
        if scores.iter().all(|score| *score < LEAST_SCORE) || to > from + LONGEST_GAP {
            continue;
        }
        let (left, right) = (time.x(from), time.x(to));
        let height_at = |x: f32| {
            let share = ((x - left) / (right - left).max(1e-3)).clamp(0.0, 1.0);
            y(scores[0] + (scores[1] - scores[0]) * share)
        };
        let first = (left.round() as i32).max(area.left);
        for x in first..(right.round() as i32).min(area.right()) {
            let (here, next) = (height_at(x as f32), height_at(x as f32 + 1.0));
            let (top, bottom) = (here.min(next) - stroke / 2.0, here.max(next) + stroke / 2.0);
            let below = Area { left: x, top: bottom as i32, width: 1, height: area.bottom() - bottom as i32 };
            canvas.fill(below, colour, 40);
            canvas.column(x, [top.max(area.top as f32), bottom], colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Scene, ShownWord};
    use crate::model::{Feature, FrontEnd};
    use crate::output::draw::{Overlay, Status};

    const SIZE: (u32, u32) = (640, 480);

    fn axis() -> FeatureAxis {
        FeatureAxis::of(&FrontEnd {
            feature: Feature::LogMel,
            rate_hz: 16_000,
            window_samples: 480,
            step_samples: 160,
            fft_size: 512,
            mel_bands: 40,
            low_hz: 80.0,
            high_hz: 7600.0,
            log_offset: 1e-6,
        })
    }

    fn at(seconds: f64) -> MediaTime {
        MediaTime::from_nanos((seconds * 1e9).round() as i64)
    }

    /// 40 bands, silent but for the lowest ten in the last tenth of a second; up to then "yes" had a score of 0.1, and has
    /// one of 0.9 in the end. The first half second was not heard.
    fn picture(words: &[&str]) -> SoundPicture {
        let words = words.iter().map(|label| ShownWord { label: (*label).into(), threshold: 0.75 });
        let mut picture = SoundPicture::new(40, Duration::from_millis(10), words);
        for look in 5..=30 {
            let mut window = [-14.0f32; 10 * 40];
            if look == 30 {
                window.chunks_mut(40).for_each(|column| column[..10].fill(5.0));
            }
            let score = if look < 29 { 0.1 } else { 0.9 };
            picture.look(at(f64::from(look) / 10.0), [&window, &[]], [score, 0.0]);
        }
        picture
    }

    fn drawn((width, height): (u32, u32), picture: &SoundPicture, scene: &Scene) -> Vec<[u8; 3]> {
        let mut pixels = vec![[90u8, 90, 90]; (width * height) as usize];
        let mut canvas = Canvas::new(&mut pixels, width, height).expect("enough pixels");
        let mut painter = Painter::new().expect("the built-in font is whole");
        let sound = Some(SoundView::Heard { picture, axis: &axis(), until: picture.time() });
        painter.overlay(&mut canvas, &Overlay { scene, now: picture.time(), status: Status::default(), sound });
        pixels
    }

    fn layout(picture: &SoundPicture) -> Layout {
        let mut pixels = vec![[0u8; 3]; (SIZE.0 * SIZE.1) as usize];
        let canvas = Canvas::new(&mut pixels, SIZE.0, SIZE.1).expect("enough pixels");
        Painter::new().expect("the built-in font is whole").layout(&canvas, picture)
    }

    #[test]
    fn the_newest_sound_is_at_the_right_and_low_frequencies_at_the_bottom() {
        let picture = picture(&["yes", "no"]);
        let (pixels, area) = (drawn(SIZE, &picture, &Scene::default()), layout(&picture).features);
        let at = |x: i32, y: i32| pixels[(y * 640 + x) as usize];
        let (silence, loud) = (super::super::viridis(0.0), super::super::viridis(1.0));
        assert_eq!(at(area.right() - 2, area.bottom() - 2), loud);
        assert_eq!(at(area.right() - 2, area.bottom() - area.height / 4 + 3), loud);
        assert_eq!(at(area.right() - 2, area.bottom() - area.height / 4 - 3), silence);
        assert_eq!(at(area.right() - area.width / 30 - 3, area.bottom() - 2), silence);
        assert_eq!(at(area.left + 2, area.bottom() - 2), PLOT, "what was not heard is left empty");
        assert_eq!(at(320, area.top - 40), [90; 3], "the picture above is left alone");
    }

    #[test]
    fn a_curve_is_where_its_score_is_in_the_colour_of_its_word() {
        let picture = picture(&["yes", "no"]);
        let (pixels, Layout { curves, words, .. }) = (drawn(SIZE, &picture, &Scene::default()), layout(&picture));
        let at = |x: i32, y: i32| pixels[(y * 640 + x) as usize];
        let y_of = |score: f32| curves.bottom() - 1 - (score * (curves.height - 2) as f32) as i32;
        let is_at = |x: i32, score: f32| (-1..=1).any(|off| at(x, y_of(score) + off) == colour_of_word(0));
        assert!(is_at(curves.right() - 3, 0.9) && !is_at(curves.right() - 3, 0.1));
        assert!(is_at(curves.left + curves.width / 2 + 20, 0.1));
        let column = |x: i32, colour: Colour| (curves.top..curves.bottom()).filter(|y| at(x, *y) == colour).count();
        assert_eq!(column(curves.left + curves.width / 2, colour_of_word(1)), 0, "a score of 0 is not drawn");
        let bar = |row: i32| (words.left..words.right()).filter(|x| at(*x, row) == colour_of_word(0)).count();
        let line_height = words.height / 2;
        assert!(bar(words.top + line_height / 2) > 40, "nearly the whole bar");
    }

    #[test]
    fn a_command_is_marked_and_no_label_of_a_box_lies_under_the_panel() {
        use crate::findings::{BoxInFrame, Detection, Detections};
        use crate::media::Pool;
        let seen = Pool::<Detections>::new(1).fill(|seen| {
            let bounds = BoxInFrame { x: 0.3, y: 0.9, w: 0.2, h: 0.1 };
            seen.items.push(Detection { label: "dog".into(), score: 0.9, bounds });
            Ok::<_, ()>(())
        });
        let mut scene = Scene { detections: seen.and_then(Result::ok), ..Scene::default() };
        let keyword = Keyword { label: "no".into(), score: 0.9, time: at(1.5), decided: at(1.8) };
        scene.keywords.push_back(keyword);
        let picture = picture(&["yes", "no"]);
        let (pixels, Layout { features, curves, .. }) = (drawn(SIZE, &picture, &scene), layout(&picture));
        let pixel = |x: i32, y: i32| pixels[(y * 640 + x) as usize];
        assert_eq!(pixel(features.left + features.width / 2, features.bottom() - 9), {
            let mut under = [super::super::viridis(0.0)];
            let mut canvas = Canvas::new(&mut under, 1, 1).expect("a pixel");
            canvas.fill(Area { left: 0, top: 0, width: 1, height: 1 }, colour_of_word(1), 200);
            under[0]
        });
        let tag = (features.left..features.right()).filter(|x| pixel(*x, features.top + 1) == colour_of_word(1));
        assert!(tag.count() > 10, "the word stands over its middle");
        let decided = features.left + features.width * 18 / 30;
        assert_ne!(pixel(decided, curves.top + 1), PLOT);
        let tagged = |rows: std::ops::Range<i32>| {
            rows.flat_map(|y| (0..640).map(move |x| (x, y)))
                .filter(|(x, y)| pixel(*x, *y) == super::super::colour_of("dog"))
                .count()
        };
        let top = 480 - 480 * SHARE_OF_HEIGHT[0] / SHARE_OF_HEIGHT[1];
        assert!(tagged(0..top) > 100 && tagged(top..480) == 0, "{} {}", tagged(0..top), tagged(top..480));
    }

    #[test]
    fn any_sound_fits_into_any_picture() {
        let long = "a word that is far too long for such a picture";
        let many: Vec<&str> = std::iter::repeat_n(long, 60).collect();
        let mut scene = Scene::default();
        let keyword =
            |time| Keyword { label: long.into(), score: 0.9, time, decided: time + Duration::from_millis(280) };
        scene.keywords.extend([at(-1.0), at(0.0), at(2.9), at(3.0), at(900.0)].map(keyword));
        let pictures = [
            picture(&[]),
            picture(&["yes"]),
            picture(&many),
            SoundPicture::default(),
            SoundPicture::new(1, Duration::from_secs(3600), []),
            SoundPicture::new(1 << 20, Duration::from_nanos(1), []),
        ];
        for picture in &pictures {
            for size in [(1, 1), (3, 200), (200, 3), (64, 48), (640, 480), (1280, 720)] {
                drawn(size, picture, &scene);
            }
        }
    }
}
