//! A picture to a model's input: ours beside what a user would take instead.
//!
//! `cargo bench --bench resize`. One iteration brings a picture to 300×300, bilinear, each pixel the mean of what it covers.
//! The `image` crate's `Triangle` and fast_image_resize's `Bilinear` are the same filter; both allocate, as they do for
//! everybody.

use std::hint::black_box;

use divan::Bencher;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};
use lookhear::media::{Resizer, RgbView};

const TO: (u32, u32) = (300, 300);
const FROM: [(u32, u32); 2] = [(640, 480), (1280, 720)];

fn main() {
    divan::main();
}

/// A smooth picture with some noise, as a camera gives it.
fn pixels((width, height): (u32, u32)) -> Vec<u8> {
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 28) as u8;
    (0..width * height * 3).map(|n| ((n / 3 % width) / 6) as u8 + noise(n)).collect()
}

fn target() -> Vec<u8> {
    vec![0; TO.0 as usize * TO.1 as usize * 3]
}

#[divan::bench(args = FROM)]
fn ours(bencher: Bencher, (width, height): (u32, u32)) {
    let (pixels, mut into, mut resizer) = (pixels((width, height)), target(), Resizer::default());
    let view = RgbView { pixels: &pixels, width, height };
    bencher.bench_local(|| resizer.resize(black_box(view), TO, &mut into).expect("a picture"));
}

#[divan::bench(args = FROM)]
fn by_fast_image_resize(bencher: Bencher, (width, height): (u32, u32)) {
    let (pixels, mut into, mut resizer) = (pixels((width, height)), target(), fast_image_resize::Resizer::new());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    bencher.bench_local(|| {
        let from = TypedImageRef::<U8x3>::from_buffer(width, height, black_box(&pixels)).expect("a picture");
        let mut to = TypedImage::<U8x3>::from_buffer(TO.0, TO.1, &mut into).expect("a picture");
        resizer.resize_typed(&from, &mut to, &options).expect("a picture");
    });
}

#[divan::bench(args = FROM)]
fn by_the_image_crate(bencher: Bencher, (width, height): (u32, u32)) {
    let picture = image::RgbImage::from_raw(width, height, pixels((width, height))).expect("a picture");
    bencher.bench_local(|| {
        image::imageops::resize(black_box(&picture), TO.0, TO.1, image::imageops::FilterType::Triangle)
    });
}
