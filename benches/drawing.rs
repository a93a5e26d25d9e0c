//! The overlay on a picture: ours beside what a user would take instead.
//!
//! `cargo bench --bench drawing`. One iteration draws three boxes with labels, a command, a status line and a level meter
//! on a picture that is there already; `ours_with_what_is_heard` draws the panel of the key `m` as well.

use std::time::Duration;

use ab_glyph::{Font, FontRef, ScaleFont};
use divan::{Bencher, black_box};
use lookhear::findings::{BoxInFrame, Detection, Detections, Keyword, Scene, ShownWord, SoundPicture};
use lookhear::media::{Levels, MediaTime, Pool};
use lookhear::output::draw::{Overlay, Painter, SoundView, Status};
use lookhear::output::{Canvas, FeatureAxis};
use lookhear::speech::DEFAULT_FRONT_END;

/// Of a camera, and the largest of a preview.
const SIZES: [(u32, u32); 2] = [(640, 480), (1280, 720)];
const LABELS: [&str; 3] = ["person", "car", "bicycle"];

fn main() {
    divan::main();
}

fn seconds(seconds: f64) -> MediaTime {
    MediaTime::from(Duration::from_secs_f64(seconds))
}

fn scene() -> Scene {
    let mut pool = Pool::<Detections>::new(1);
    let seen = pool.fill(|detections| {
        let place = |index: f32| BoxInFrame { x: 0.1 + 0.25 * index, y: 0.2, w: 0.3, h: 0.4 };
        let detection =
            |(index, label): (usize, &str)| Detection { label: label.into(), score: 0.87, bounds: place(index as f32) };
        detections.items = LABELS.into_iter().enumerate().map(detection).collect();
        Ok::<_, ()>(())
    });
    let mut scene = Scene { detections: seen.and_then(Result::ok), ..Scene::default() };
    scene.keywords.push_back(Keyword { label: "stop".into(), score: 0.9, time: seconds(1.0), decided: seconds(1.2) });
    scene.levels = Some(Levels { peak_dbfs: -6.0, rms_dbfs: -20.0 });
    scene
}

fn status() -> Status {
    Status { camera_hz: Some(30.0), detector_hz: Some(24.8), result_age: Some(Duration::from_millis(37)) }
}

#[divan::bench(args = SIZES)]
fn ours(bencher: Bencher, (width, height): (u32, u32)) {
    let (scene, mut painter) = (scene(), Painter::new().expect("the built-in font is whole"));
    let mut pixels = vec![0u32; width as usize * height as usize];
    bencher.bench_local(|| {
        let mut canvas = Canvas::new(&mut pixels, width, height).expect("enough pixels");
        painter.overlay(
            &mut canvas,
            black_box(&Overlay { scene: &scene, now: seconds(1.5), status: status(), sound: None }),
        );
    });
}

/// Three seconds of noise in 40 bands, with ten words that come and go.
fn sound() -> SoundPicture {
    let words = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"];
    let words = words.map(|label| ShownWord { label: label.into(), threshold: 0.75 });
    let mut picture = SoundPicture::new(40, Duration::from_millis(10), words);
    let mut window = [0.0f32; 100 * 40];
    let mut noise = 1u32;
    for look in 0..32u32 {
        for value in &mut window {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = (noise >> 16) as f32 / 6_000.0 - 7.0;
        }
        let score = |word: u32| if look / 3 == word { 0.9 } else { 0.02 };
        picture.look(seconds(f64::from(look) / 10.0), [&window, &[]], (0..10).map(score));
    }
    picture
}

#[divan::bench(args = SIZES)]
fn ours_with_what_is_heard(bencher: Bencher, (width, height): (u32, u32)) {
    let (scene, mut painter) = (scene(), Painter::new().expect("the built-in font is whole"));
    let (picture, axis) = (sound(), FeatureAxis::of(&DEFAULT_FRONT_END));
    let mut pixels = vec![0u32; width as usize * height as usize];
    bencher.bench_local(|| {
        let mut canvas = Canvas::new(&mut pixels, width, height).expect("enough pixels");
        let sound = Some(SoundView::Heard { picture: &picture, axis: &axis, until: picture.time() });
        painter.overlay(&mut canvas, black_box(&Overlay { scene: &scene, now: seconds(1.5), status: status(), sound }));
    });
}

/// Without a cache of letters.
#[divan::bench(args = SIZES)]
fn painter_made_anew_for_each_picture(bencher: Bencher, (width, height): (u32, u32)) {
    let scene = scene();
    let mut pixels = vec![0u32; width as usize * height as usize];
    bencher.bench_local(|| {
        let mut painter = Painter::new().expect("the built-in font is whole");
        let mut canvas = Canvas::new(&mut pixels, width, height).expect("enough pixels");
        painter.overlay(
            &mut canvas,
            black_box(&Overlay { scene: &scene, now: seconds(1.5), status: status(), sound: None }),
        );
    });
}

/// The same words alone, each letter's outline filled where it stands, as `imageproc::drawing::draw_text_mut` does it; no
/// boxes, no bars.
#[divan::bench(args = SIZES)]
fn text_alone_by_ab_glyph(bencher: Bencher, (width, height): (u32, u32)) {
    let font = FontRef::try_from_slice(include_bytes!("../assets/fonts/DejaVuSans.ttf")).expect("the font is whole");
    let font = font.as_scaled(height as f32 / 26.0);
    let words = LABELS.map(|label| format!("{label} 87 %"));
    let lines = words.iter().map(String::as_str).chain(["stop", "camera 30.0/s  detector 24.8/s  37 ms"]);
    let lines: Vec<&str> = lines.collect();
    let mut pixels = vec![0u32; width as usize * height as usize];
    bencher.bench_local(|| {
        for (row, line) in black_box(&lines).iter().enumerate() {
            let (mut x, y) = (10.0, (row as f32 + 2.0) * font.height());
            for letter in line.chars() {
                let glyph = font.scaled_glyph(letter);
                let (id, place) = (glyph.id, ab_glyph::point(x, y));
                x += font.h_advance(id);
                let Some(outline) = font.outline_glyph(ab_glyph::Glyph { position: place, ..glyph }) else { continue };
                let corner = outline.px_bounds().min;
                outline.draw(|column, row, cover| {
                    let (column, row) = (corner.x as usize + column as usize, corner.y as usize + row as usize);
                    let pixel = &mut pixels[(row * width as usize + column).min(width as usize * height as usize - 1)];
                    let blended = |shift: u32| {
                        let under = (*pixel >> shift & 255) as f32;
                        ((under + (255.0 - under) * cover.min(1.0)) as u32) << shift
                    };
                    *pixel = blended(0) | blended(8) | blended(16);
                });
            }
        }
    });
}
