//! A frame to RGB: ours beside what a user would write or take instead.
//!
//! `cargo bench --bench pixel_formats`. One iteration converts one 640×480 picture into memory that is there already
//! (the `image` crate and zune-jpeg make their own, as they do for everybody). nokhwa's decoder of Motion JPEG is not built in:
//! it is mozjpeg, a second libjpeg in the same program.

use std::hint::black_box;

use divan::Bencher;
use lookhear::media::{PixelFormat, Reduction, rgb_from, rgb_from_jpeg};
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

const SIZE: (u32, u32) = (640, 480);

fn main() {
    divan::main();
}

/// A smooth picture with some noise, as a camera gives it.
fn pixels() -> Vec<u8> {
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 28) as u8;
    (0..SIZE.0 * SIZE.1 * 3).map(|n| ((n / 3 % SIZE.0) / 3) as u8 + noise(n)).collect()
}

fn jpeg() -> Vec<u8> {
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 80)
        .encode(&pixels(), SIZE.0, SIZE.1, image::ExtendedColorType::Rgb8)
        .expect("pixels become a picture");
    jpeg
}

#[divan::bench(args = [
    PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Grey, PixelFormat::Rgb24, PixelFormat::Mjpeg,
])]
fn ours(bencher: Bencher, format: PixelFormat) {
    let stride = format.row_bytes(SIZE.0);
    let data = match format {
        PixelFormat::Mjpeg => jpeg(),
        _ => pixels().into_iter().cycle().take(format.picture_bytes(stride, SIZE.1)).collect(),
    };
    let mut rgb = Vec::new();
    bencher.bench_local(|| rgb_from(format, black_box(&data), SIZE, stride, &mut rgb).expect("a picture"));
}

/// BT.601 in whole numbers, pixel by pixel: what one finds in most programs.
#[divan::bench]
fn yuyv_by_a_plain_loop(bencher: Bencher) {
    let data: Vec<u8> = pixels().into_iter().take(SIZE.0 as usize * SIZE.1 as usize * 2).collect();
    let mut rgb = vec![0; SIZE.0 as usize * SIZE.1 as usize * 3];
    bencher.bench_local(|| {
        for (pair, out) in black_box(&data).chunks_exact(4).zip(rgb.chunks_exact_mut(6)) {
            let (u, v) = (i32::from(pair[1]) - 128, i32::from(pair[3]) - 128);
            for (luma, out) in [pair[0], pair[2]].into_iter().zip(out.chunks_exact_mut(3)) {
                let y = 298 * (i32::from(luma) - 16) + 128;
                let values = [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u];
                out.copy_from_slice(&values.map(|value| (value >> 8).clamp(0, 255) as u8));
            }
        }
    });
}

#[divan::bench]
fn jpeg_at_half_scale(bencher: Bencher) {
    let (data, mut rgb) = (jpeg(), Vec::new());
    bencher.bench_local(|| rgb_from_jpeg(black_box(&data), Reduction::Half, &mut rgb).expect("a picture"));
}

#[divan::bench]
fn jpeg_by_zune_jpeg(bencher: Bencher) {
    let data = jpeg();
    bencher.bench_local(|| JpegDecoder::new(ZCursor::new(black_box(&data))).decode().expect("a picture"));
}

#[divan::bench]
fn jpeg_by_the_image_crate(bencher: Bencher) {
    let data = jpeg();
    bencher.bench_local(|| image::load_from_memory(black_box(&data)).expect("a picture").into_rgb8());
}
