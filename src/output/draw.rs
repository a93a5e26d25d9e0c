//! What is found, drawn over the picture: boxes with their labels, the last commands, a status line, a level meter, and
//! on request what is heard.
//!
//! Everything scales with the picture: a line of text is a twenty-sixth of its height (18 px of 480, 27 px of 720).
//! Nothing here knows a clock: the same picture, scene and time give the same pixels. Allocates only when a letter
//! appears in a size for the first time.

mod sound_panel;

use std::fmt::Write as _;
use std::time::Duration;

use ab_glyph::InvalidFont;

use super::canvas::{Area, Canvas, Colour, Pixel};
use super::colour_map::viridis;
use super::font::Font;
use crate::findings::{BoxInFrame, Detection, Keyword, Scene};
use crate::media::{Levels, MediaTime};

pub use sound_panel::SoundView;

/// For how long a command stays on the picture: long enough to look up from whatever one was doing.
pub const CAPTION_LASTS: Duration = Duration::from_secs(4);
/// The last part of [`CAPTION_LASTS`], in which it fades.
const CAPTION_FADES: Duration = Duration::from_millis(1500);
/// The level at the left end of the meter. A quiet room is near it, speech at a table about −30.
const METER_FLOOR_DBFS: f32 = -60.0;
/// From here on the meter is yellow, and red: the usual marks of recording desks.
const METER_LOUD_DBFS: [f32; 2] = [-12.0, -3.0];

const WHITE: Colour = [255, 255, 255];
const BLACK: Colour = [0, 0, 0];
const ALARM: Colour = [190, 30, 30];
const METER: [Colour; 3] = [[70, 210, 90], [245, 205, 60], [240, 70, 60]];
/// How much of the picture shines through the bars behind text.
const BAR_OPACITY: u8 = 150;

/// Colours that differ from each other and from most pictures, in an order that puts unlike ones side by side
/// (after S. Trubetskoy, "List of 20 simple, distinct colors", 2017, without the dark ones, which vanish at night).
const PALETTE: [Colour; 16] = [
    [60, 220, 90],
    [255, 90, 90],
    [255, 225, 25],
    [80, 150, 255],
    [245, 130, 48],
    [190, 100, 255],
    [70, 240, 240],
    [240, 50, 230],
    [210, 245, 60],
    [250, 190, 212],
    [0, 190, 170],
    [220, 190, 255],
    [255, 170, 40],
    [170, 255, 195],
    [255, 215, 180],
    [150, 200, 255],
];

/// How fast things go, for the status line; what is `None` is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Status {
    /// Frames a second that the camera gives.
    pub camera_hz: Option<f32>,
    /// Frames a second that the detector looks at.
    pub detector_hz: Option<f32>,
    /// How old the boxes are: the time since their frame was taken.
    pub result_age: Option<Duration>,
}

/// What lies over a picture.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// What was found.
    pub scene: &'a Scene,
    /// The time of the picture; captions fade by it.
    pub now: MediaTime,
    /// The status line.
    pub status: Status,
    /// The panel that shows what is heard, if it is wanted.
    pub sound: Option<SoundView<'a>>,
}

/// Draws what is found.
#[derive(Debug)]
pub struct Painter {
    font: Font,
    /// Where numbers become text, used again.
    line: String,
    /// Where the tags of the picture are, the surest first; used again.
    tags: Vec<Area>,
    /// The colours of features, from the least to the most.
    shades: [Colour; 256],
    /// For each pixel of the sound panel's width its column of the sound picture, used again.
    column_at: Vec<Option<usize>>,
}

/// The sizes that follow from a picture's.
#[derive(Clone, Copy)]
struct Sizes {
    text_px: u32,
    stroke_px: i32,
    margin_px: i32,
}

impl Sizes {
    fn of<P: Pixel>(canvas: &Canvas<'_, P>) -> Self {
        // A portrait picture has no more room for letters than a landscape one of its width.
        let height = canvas.height().min(canvas.width());
        let text_px = (height / 26).clamp(12, 96);
        Self { text_px, stroke_px: (height as i32 / 220).max(2), margin_px: text_px as i32 / 3 }
    }
}

impl Painter {
    /// A painter with the built-in font.
    ///
    /// # Errors
    /// [`InvalidFont`] if the program was built with a damaged font file.
    pub fn new() -> Result<Self, InvalidFont> {
        Ok(Self {
            font: Font::new()?,
            line: String::with_capacity(128),
            tags: Vec::new(),
            shades: std::array::from_fn(|shade| viridis(shade as f32 / 255.0)),
            column_at: Vec::new(),
        })
    }

    /// Draws a box with label and score for each of `items`, the first (the surest) on top.
    pub fn detections<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, items: &[Detection]) {
        self.boxes(canvas, items, [0, canvas.height() as i32]);
    }

    /// Draws all of `overlay`.
    pub fn overlay<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, overlay: &Overlay<'_>) {
        let Overlay { scene, now, status, sound } = *overlay;
        let bar_height = self.bar_height(canvas);
        let has_status = status != Status::default() || scene.levels.is_some();
        let mut top = if has_status { bar_height } else { 0 };
        let bottom = if sound.is_some() { Self::sound_panel_top(canvas) } else { canvas.height() as i32 };
        if let Some(detections) = &scene.detections {
            self.boxes(canvas, &detections.items, [top + bar_height * scene.lost.len() as i32, bottom]);
        }
        if let Some(sound) = sound {
            self.sound_panel(canvas, sound, scene.keywords.iter());
        }
        if has_status {
            self.status_bar(canvas, status, scene.levels, bar_height);
        }
        for (part, reason) in &scene.lost {
            self.line.clear();
            // Writing to a string does not fail, here and below.
            let _ = write!(self.line, "{part} lost: {reason}");
            self.alarm(canvas, top);
            top += bar_height;
        }
        self.captions(canvas, scene.keywords.iter().rev(), now, bottom);
    }

    /// Writes `text` into the upper half of an otherwise empty picture, where nothing covers it.
    pub fn notice<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, text: &str) {
        let size = Sizes::of(canvas).text_px * 3 / 2;
        let left = (canvas.width() as i32 - self.font.width(text, size)) / 2;
        canvas.text(&mut self.font, text, size, (left, canvas.height() as i32 / 3), ([150, 155, 165], 255));
    }

    fn bar_height<P: Pixel>(&self, canvas: &Canvas<'_, P>) -> i32 {
        let sizes = Sizes::of(canvas);
        sizes.text_px as i32 + sizes.margin_px
    }

    fn boxes<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, items: &[Detection], limits: [i32; 2]) {
        let sizes = Sizes::of(canvas);
        for detection in items.iter().rev() {
            let area = area_of(detection.bounds, canvas.width(), canvas.height());
            let colour = colour_of(&detection.label);
            // A dark line on either side keeps the colour visible on a picture of the same colour.
            canvas.outline(area.grown(1), sizes.stroke_px + 2, BLACK, 110);
            canvas.outline(area, sizes.stroke_px, colour, 255);
        }
        // After all boxes: no line may cross a label.
        self.tags.clear();
        for detection in items {
            let area = self.place_for_tag(canvas, detection, limits);
            self.tags.push(area);
        }
        for (index, detection) in items.iter().enumerate().rev() {
            self.tag(canvas, detection, self.tags[index]);
        }
    }

    /// Where label and score of a detection go: on its box's upper edge if there is room between the limits, else in the
    /// next place that is free of the tags of surer ones.
    fn place_for_tag<P: Pixel>(
        &mut self,
        canvas: &Canvas<'_, P>,
        detection: &Detection,
        [top_limit, bottom_limit]: [i32; 2],
    ) -> Area {
        let Sizes { text_px, stroke_px, margin_px } = Sizes::of(canvas);
        self.write_tag(detection);
        let (ascent, descent) = self.font.ascent_descent(text_px);
        let (width, height) = (self.font.width(&self.line, text_px) + 2 * margin_px, ascent + descent + 2);
        let bounds = area_of(detection.bounds, canvas.width(), canvas.height());
        let (above, below) = (bounds.top + stroke_px - height, bounds.bottom() - stroke_px);
        let left = bounds.left.min(canvas.width() as i32 - width).max(0);
        let lowest = bottom_limit - height;
        let at = |top: i32| Area { left, top: top.min(lowest).max(0), width, height };
        let tags = &self.tags;
        let is_free = |area: &Area| !tags.iter().any(|other| other.overlaps(*area));
        let inside = bounds.top.max(top_limit);
        // Inside is where the head is; but a box at the picture's upper edge has no better place.
        let (second, fourth) = if above >= top_limit { (below, inside) } else { (inside, below) };
        let places = [above, second, above - height, fourth, below + height];
        let mut fitting = places.into_iter().filter(|top| (top_limit..=lowest).contains(top)).map(at);
        // In a crowd some tag has to cover another.
        fitting.clone().find(is_free).or_else(|| fitting.next()).unwrap_or_else(|| at(inside))
    }

    fn tag<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, detection: &Detection, area: Area) {
        let Sizes { text_px, margin_px, .. } = Sizes::of(canvas);
        self.write_tag(detection);
        let (ascent, _) = self.font.ascent_descent(text_px);
        let colour = colour_of(&detection.label);
        canvas.fill(area, colour, 255);
        let ink = if luminance(colour) > 120 { BLACK } else { WHITE };
        let pen = (area.left + margin_px, area.top + 1 + ascent);
        canvas.text(&mut self.font, &self.line, text_px, pen, (ink, 255));
    }

    fn write_tag(&mut self, detection: &Detection) {
        self.line.clear();
        let _ = write!(self.line, "{} {:.2}", detection.label, detection.score);
    }

    fn status_bar<P: Pixel>(
        &mut self,
        canvas: &mut Canvas<'_, P>,
        status: Status,
        levels: Option<Levels>,
        bar_height: i32,
    ) {
        let Sizes { text_px, margin_px, .. } = Sizes::of(canvas);
        let width = canvas.width() as i32;
        canvas.fill(Area { left: 0, top: 0, width, height: bar_height }, BLACK, BAR_OPACITY);
        let (ascent, descent) = self.font.ascent_descent(text_px);
        let baseline = (bar_height - ascent - descent) / 2 + ascent;
        let mut right = width - margin_px;
        if let Some(levels) = levels {
            let meter_width = width / 5;
            let height = text_px as i32 / 2;
            let area = Area { left: right - meter_width, top: (bar_height - height) / 2, width: meter_width, height };
            meter(canvas, area, levels);
            right = area.left - margin_px - self.font.width("sound", text_px);
            canvas.text(&mut self.font, "sound", text_px, (right, baseline), (WHITE, 255));
            right -= 2 * margin_px;
        }
        let (room, mut pen) = (right - margin_px, margin_px);
        for part in 0..3 {
            self.line.clear();
            let gap = if pen > margin_px { "  ·  " } else { "" };
            let _ = match (part, status) {
                (0, Status { camera_hz: Some(rate), .. }) => write!(self.line, "{gap}camera {rate:.1}/s"),
                (1, Status { detector_hz: Some(rate), .. }) => write!(self.line, "{gap}detector {rate:.1}/s"),
                (2, Status { result_age: Some(age), .. }) => {
                    write!(self.line, "{gap}result {} ms old", age.as_millis())
                }
                _ => continue,
            };
            let end = pen + self.font.width(&self.line, text_px);
            // Half a word says nothing.
            if end > room {
                break;
            }
            canvas.text(&mut self.font, &self.line, text_px, (pen, baseline), (WHITE, 255));
            pen = end;
        }
    }

    /// What `line` holds, on a red bar whose upper edge is at `top`; what does not fit is cut.
    fn alarm<P: Pixel>(&mut self, canvas: &mut Canvas<'_, P>, top: i32) {
        let Sizes { text_px, margin_px, .. } = Sizes::of(canvas);
        let (width, height) = (canvas.width() as i32, self.bar_height(canvas));
        canvas.fill(Area { left: 0, top, width, height }, ALARM, 210);
        let (ascent, descent) = self.font.ascent_descent(text_px);
        let baseline = top + (height - ascent - descent) / 2 + ascent;
        let room = width - 2 * margin_px;
        let mut shown = self.font.fitting(&self.line, text_px, room);
        if shown.len() < self.line.len() {
            let room = room - self.font.width("…", text_px);
            shown = self.font.fitting(&self.line, text_px, room);
            let end = margin_px + self.font.width(shown, text_px);
            canvas.text(&mut self.font, "…", text_px, (end, baseline), (WHITE, 255));
        }
        canvas.text(&mut self.font, shown, text_px, (margin_px, baseline), (WHITE, 255));
    }

    /// The last commands above `bottom`, the newest lowest and largest; they fade with their age.
    fn captions<'k, P: Pixel>(
        &mut self,
        canvas: &mut Canvas<'_, P>,
        newest_first: impl Iterator<Item = &'k Keyword>,
        now: MediaTime,
        bottom: i32,
    ) {
        let Sizes { text_px, margin_px, .. } = Sizes::of(canvas);
        let mut bottom = bottom - 2 * margin_px;
        let mut size = text_px * 3;
        for keyword in newest_first {
            let opacity = caption_opacity(keyword, now);
            if opacity == 0 {
                continue;
            }
            let (ascent, descent) = self.font.ascent_descent(size);
            let padding = size as i32 / 3;
            let text = self.font.fitting(&keyword.label, size, canvas.width() as i32 - 2 * padding);
            let width = self.font.width(text, size) + 2 * padding;
            let (left, height) = ((canvas.width() as i32 - width) / 2, ascent + descent);
            let behind = Area { left, top: bottom - height, width, height };
            canvas.fill(behind, BLACK, (u16::from(opacity) * 3 / 5) as u8);
            canvas.text(&mut self.font, text, size, (left + padding, bottom - descent), (WHITE, opacity));
            bottom -= height + margin_px;
            size = text_px * 7 / 4;
        }
    }
}

fn meter<P: Pixel>(canvas: &mut Canvas<'_, P>, area: Area, levels: Levels) {
    let share = |dbfs: f32| ((dbfs / METER_FLOOR_DBFS).clamp(0.0, 1.0) - 1.0).abs();
    let across = |dbfs: f32| (share(dbfs) * area.width as f32).round() as i32;
    canvas.fill(area, [70, 70, 75], 255);
    let loudness = METER_LOUD_DBFS.iter().filter(|mark| levels.peak_dbfs >= **mark).count();
    canvas.fill(Area { width: across(levels.rms_dbfs), ..area }, METER[loudness], 255);
    let tick = (area.width / 60).max(2);
    let peak = across(levels.peak_dbfs);
    if peak > tick {
        canvas.fill(Area { left: area.left + peak - tick, width: tick, ..area }, WHITE, 255);
    }
}

/// How visible a command is at `now`: not yet before its decision, then fully, then less and less.
fn caption_opacity(keyword: &Keyword, now: MediaTime) -> u8 {
    let age_s = now.as_secs() - keyword.decided.as_secs();
    if age_s < 0.0 {
        return 0;
    }
    let left = (CAPTION_LASTS.as_secs_f64() - age_s) / CAPTION_FADES.as_secs_f64();
    (left.clamp(0.0, 1.0) * 255.0) as u8
}

/// The whole pixels that a box covers; at least one.
fn area_of(bounds: BoxInFrame, width: u32, height: u32) -> Area {
    let pixel = |share: f32, side: u32| (share.clamp(0.0, 1.0) * side as f32).round() as i32;
    let (left, top) = (pixel(bounds.x, width), pixel(bounds.y, height));
    let (right, bottom) = (pixel(bounds.x + bounds.w, width), pixel(bounds.y + bounds.h, height));
    Area { left, top, width: (right - left).max(1), height: (bottom - top).max(1) }
}

/// The colour of a label: the same in every run and in every program.
///
/// From a hash (FNV-1a, Fowler, Noll and Vo 1991) and not from the order of appearance, which changes from run to
/// run; two labels may share one of the sixteen colours.
pub fn colour_of(label: &str) -> Colour {
    let hash = label.bytes().fold(COLOUR_SEED, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    PALETTE[(hash >> 16) as usize % PALETTE.len()]
}

/// FNV's offset, changed so that the things most often seen (persons, pets, vehicles, what lies on a desk) differ.
const COLOUR_SEED: u32 = 0x811c_a0a1;

/// How bright a colour looks, 0…255 (ITU-R BT.601).
fn luminance([red, green, blue]: Colour) -> u32 {
    (299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue)) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Detections;
    use crate::media::Pool;

    fn keyword(label: &str, decided_s: f64) -> Keyword {
        let decided = MediaTime::from_nanos((decided_s * 1e9) as i64);
        Keyword { label: label.into(), score: 0.9, time: decided, decided }
    }

    fn detection(label: &str, bounds: [f32; 4]) -> Detection {
        let [x, y, w, h] = bounds;
        Detection { label: label.into(), score: 0.874, bounds: BoxInFrame { x, y, w, h } }
    }

    fn scene(items: Vec<Detection>) -> Scene {
        let mut pool = Pool::<Detections>::new(1);
        let detections = pool.fill(|detections| {
            detections.items = items;
            Ok::<_, ()>(())
        });
        let mut scene = Scene { detections: detections.and_then(Result::ok), ..Scene::default() };
        scene.keywords.extend([keyword("left", 0.5), keyword("stop", 1.0)]);
        scene.levels = Some(Levels { peak_dbfs: -9.0, rms_dbfs: -20.0 });
        scene.lost.push(("camera", "Cannot open /dev/video0: no such device; plug it in again.".repeat(3)));
        scene
    }

    fn drawn(width: u32, height: u32, scene: &Scene, now_s: f64) -> Vec<[u8; 3]> {
        let mut pixels = vec![[90u8, 90, 90]; (width * height) as usize];
        let mut canvas = Canvas::new(&mut pixels, width, height).expect("enough pixels");
        let status =
            Status { camera_hz: Some(29.97), detector_hz: Some(14.2), result_age: Some(Duration::from_millis(68)) };
        let now = MediaTime::from_nanos((now_s * 1e9) as i64);
        let mut painter = Painter::new().expect("the built-in font is whole");
        painter.overlay(&mut canvas, &Overlay { scene, now, status, sound: None });
        pixels
    }

    #[test]
    fn any_scene_fits_into_any_picture() {
        let extremes =
            [[0.0, 0.0, 1.0, 1.0], [0.99, 0.99, 0.01, 0.01], [0.0, 0.0, 1e-6, 1e-6], [f32::NAN, 2.0, -1.0, 9.0]];
        let items = extremes.iter().map(|bounds| detection("a label that is far too long for such a picture", *bounds));
        let scene = scene(items.collect());
        for (width, height) in [(1, 1), (3, 200), (200, 3), (64, 48), (640, 480), (1280, 720)] {
            drawn(width, height, &scene, 1.2);
        }
    }

    #[test]
    fn a_box_has_the_colour_of_its_label_where_it_should_be() {
        let scene = Scene {
            detections: scene(vec![detection("person", [0.25, 0.5, 0.5, 0.25])]).detections,
            ..Scene::default()
        };
        let pixels = drawn(640, 480, &scene, 9.0);
        let at = |x: usize, y: usize| pixels[y * 640 + x];
        assert_eq!(at(160, 300), colour_of("person"));
        assert_eq!(at(479, 300), colour_of("person"));
        assert_eq!(at(400, 359), colour_of("person"));
        assert_eq!(at(320, 300), [90, 90, 90], "the inside is left alone");
        assert_eq!(colour_of("person"), PALETTE[0], "a label keeps its colour for good");
    }

    #[test]
    fn the_tags_of_neighbours_do_not_cover_each_other() {
        let mut pixels = vec![[0u8; 3]; 640 * 480];
        let canvas = Canvas::new(&mut pixels, 640, 480).expect("enough pixels");
        let mut painter = Painter::new().expect("the built-in font is whole");
        let three = [0.3, 0.36, 0.42].map(|x| detection("person", [x, 0.4, 0.05, 0.3]));
        for neighbour in &three {
            let area = painter.place_for_tag(&canvas, neighbour, [20, 480]);
            assert!(!painter.tags.iter().any(|other| other.overlaps(area)), "{area:?} in {:?}", painter.tags);
            painter.tags.push(area);
        }
    }

    #[test]
    fn a_command_appears_when_it_is_decided_and_fades_away() {
        let stop = keyword("stop", 1.0);
        let opacity = |now_s: f64| caption_opacity(&stop, MediaTime::from_nanos((now_s * 1e9) as i64));
        assert_eq!((opacity(0.9), opacity(1.0), opacity(3.4)), (0, 255, 255));
        assert!((100..156).contains(&opacity(4.25)), "half way");
        assert_eq!(opacity(5.0), 0);
    }

    #[test]
    fn the_same_scene_gives_the_same_pixels() {
        let scene = scene(vec![detection("cat", [0.1, 0.1, 0.3, 0.4]), detection("dog", [0.2, 0.1, 0.3, 0.4])]);
        assert!(drawn(320, 240, &scene, 1.5) == drawn(320, 240, &scene, 1.5));
    }

    #[test]
    fn the_meter_shows_the_level() {
        let shown = |rms_dbfs: f32, peak_dbfs: f32| {
            let mut pixels = [[0u8; 3]; 100];
            let mut canvas = Canvas::new(&mut pixels, 100, 1).expect("enough pixels");
            let area = Area { left: 0, top: 0, width: 100, height: 1 };
            meter(&mut canvas, area, Levels { peak_dbfs, rms_dbfs });
            METER.map(|colour| pixels.iter().filter(|pixel| **pixel == colour).count())
        };
        assert_eq!(shown(-30.0, -20.0), [50, 0, 0]);
        assert_eq!(shown(-15.0, -12.0), [0, 75, 0]);
        assert_eq!(shown(0.0, 0.0), [0, 0, 98], "all but the tick of the peak");
        assert_eq!(shown(-120.0, -120.0), [0, 0, 0]);
    }
}
