//! Pictures in another size.
//!
//! Bilinear with pixel centres at ½, and where a picture shrinks, each pixel is the weighted mean of all it covers. That is
//! Pillow's `BILINEAR`, with which the accuracy of our bundles was measured: the results differ from Pillow's by one level
//! at most. As there, rows are stretched first and columns then, in whole numbers, with 8 bits between. Where the processor has
//! AVX2, `resize_avx2.rs` does the work in half the time.

use wide::{i16x8, i32x4, i32x8, u8x16};

use super::avx2::Avx2;
use super::{LARGEST_SIDE, RgbView};

/// Rows that are stretched together, so that each weight is fetched once for all of them.
const GROUP: usize = 4;

/// Binary digits behind the point of a weight, at most: the sum of 255 times the weights must fit 32 bits.
const MOST_DIGITS: u32 = 22;

/// Not a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{width}×{height} pixels in {bytes} bytes are no RGB picture of at most {LARGEST_SIDE}×{LARGEST_SIDE}")]
pub struct ResizeError {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes that came with it.
    pub bytes: usize,
}

/// Stretches RGB pictures; allocates when sizes are others than those of the picture before, and not otherwise.
#[derive(Debug, Default)]
pub struct Resizer {
    columns: Weights,
    rows: Weights,
    /// A row of the source with room behind it.
    padded: Vec<u8>,
    /// A group of rows of the source, as [`pair`] writes them.
    paired: [Vec<i16>; GROUP],
    /// The stretched rows that are still needed, row `r` in slot `r % slots`.
    stretched: Vec<u8>,
    /// Where in `stretched` the rows begin that make up the row at work.
    covered: Vec<usize>,
    avx2: Avx2,
}

impl Resizer {
    /// Stretches `from` to `width` × `height` pixels.
    ///
    /// - **out**: `into`, `width · height · 3` bytes
    ///
    /// # Errors
    /// [`ResizeError`] if either has no pixels, too many, or other bytes than its size says.
    pub fn resize(
        &mut self,
        from: RgbView<'_>,
        (width, height): (u32, u32),
        into: &mut [u8],
    ) -> Result<(), ResizeError> {
        check(from.width, from.height, from.pixels.len())?;
        check(width, height, into.len())?;
        if (from.width, from.height) == (width, height) {
            into.copy_from_slice(from.pixels);
            return Ok(());
        }
        self.columns.prepare(from.width as usize, width as usize);
        self.rows.prepare(from.height as usize, height as usize);
        if !self.avx2.resize(from, &self.columns, &self.rows, into) {
            self.resize_portably(from, into);
        }
        Ok(())
    }

    /// Stretches `from` as `columns` and `rows` say.
    fn resize_portably(&mut self, from: RgbView<'_>, into: &mut [u8]) {
        let width = self.columns.to;
        // Whole blocks, and a byte behind the last pixel.
        let stride = (width * 3 + 1).next_multiple_of(BLOCK);
        let slots = (self.rows.taps + GROUP - 1).next_multiple_of(GROUP);
        self.stretched.resize(slots * stride, 0);

        let (source, last) = (from.pixels.chunks_exact(from.width as usize * 3), from.height as usize - 1);
        let mut done = 0;
        for (y, out) in into.chunks_exact_mut(width * 3).enumerate() {
            let (first, weights) = self.rows.of(y);
            let needed = (first + self.rows.taps).min(last + 1);
            while done < needed {
                for (row, paired) in self.paired.iter_mut().enumerate() {
                    let pixels = source.clone().nth((done + row).min(last)).unwrap_or_default();
                    pair(pixels, &mut self.padded, self.columns.taps, paired);
                }
                let group = &mut self.stretched[done % slots * stride..][..GROUP * stride];
                stretch_rows(&self.columns, &self.paired, group, stride);
                done += GROUP;
            }
            self.covered.clear();
            // Behind the last row the weights are 0.
            self.covered.extend((first..first + self.rows.taps).map(|row| row.min(last) % slots * stride));
            mix_rows(&self.stretched, &self.covered, weights, self.rows.digits, out);
        }
    }
}

fn check(width: u32, height: u32, bytes: usize) -> Result<(), ResizeError> {
    let side = 1..=LARGEST_SIDE;
    let is_picture = side.contains(&width) && side.contains(&height) && bytes == width as usize * height as usize * 3;
    is_picture.then_some(()).ok_or(ResizeError { width, height, bytes })
}

/// By how much each of `from` places counts in each of `to`, along one axis.
#[derive(Debug, Default)]
pub(super) struct Weights {
    pub from: usize,
    pub to: usize,
    /// Places that count in one, the same number for each and an even one; where fewer count, the weights behind them are 0.
    pub taps: usize,
    /// Digits behind the binary point of a weight; 14 or more.
    pub digits: u32,
    /// The first place that counts, for each of `to`.
    first: Vec<usize>,
    /// The weights of places `first`, `first + 1`, … two by two, `taps / 2` pairs for each of `to`.
    pairs: Vec<[i16; 2]>,
}

impl Weights {
    fn prepare(&mut self, from: usize, to: usize) {
        if (self.from, self.to) == (from, to) {
            return;
        }
        let exact = |place: usize| exact_weights(from, to, place);
        let largest = (0..to).flat_map(|place| exact(place).1).fold(0.0, f64::max);
        let taps = (0..to).map(|place| exact(place).1.count()).max().unwrap_or_default().next_multiple_of(2);
        // The more digits the better, as long as the largest weight is a number of 16 bits.
        let fits = |digits: &u32| (largest * f64::from(1u32 << digits)).round() <= f64::from(i16::MAX);
        let digits = (0..=MOST_DIGITS).rev().find(fits).unwrap_or_default();
        (self.from, self.to, self.taps, self.digits) = (from, to, taps, digits);
        self.first.clear();
        self.pairs.clear();
        for place in 0..to {
            let (first, weights) = exact(place);
            self.first.push(first);
            let one = f64::from(1u32 << digits);
            let mut weights = weights.map(|weight| (weight * one).round() as i16).chain(std::iter::repeat(0));
            let mut next = || weights.next().unwrap_or_default();
            self.pairs.extend((0..taps / 2).map(|_| [next(), next()]));
        }
    }

    /// The first place that counts in `place`, and the weights from there on.
    pub fn of(&self, place: usize) -> (usize, &[[i16; 2]]) {
        let pairs = self.taps / 2;
        (self.first[place], &self.pairs[place * pairs..][..pairs])
    }
}

/// The first of `from` places that counts in `place` of `to`, and by how much it and those behind it do: the height there of
/// a triangle around the centre of `place`, as wide at half its height as the distance of two places of `to`.
fn exact_weights(from: usize, to: usize, place: usize) -> (usize, impl Iterator<Item = f64> + Clone) {
    let scale = from as f64 / to as f64;
    let (centre, reach) = ((place as f64 + 0.5) * scale, scale.max(1.0));
    // As in Pillow, down to which places are cut off.
    let first = (centre - reach + 0.5).max(0.0) as usize;
    let end = ((centre + reach + 0.5) as usize).min(from);
    let height = move |from: usize| (1.0 - ((from as f64 + 0.5 - centre) / reach).abs()).max(0.0);
    let sum: f64 = (first..end).map(height).sum();
    (first, (first..end).map(move |from| height(from) / sum))
}

/// Bytes that are worked on together where neighbours do not matter.
const BLOCK: usize = 16;

/// Writes each byte of a row, and beside it that of the next pixel, so that one multiplication of pairs serves two taps of
/// the three colours. What is behind the row is 0, for `taps` pixels.
fn pair(row: &[u8], padded: &mut Vec<u8>, taps: usize, paired: &mut Vec<i16>) {
    let blocks = (row.len() + taps * 3).div_ceil(BLOCK) + 1;
    padded.resize((blocks + 1) * BLOCK, 0);
    padded[..row.len()].copy_from_slice(row);
    padded[row.len()..].fill(0);
    paired.resize(blocks * BLOCK * 2, 0);
    for (block, out) in paired.as_chunks_mut::<{ BLOCK * 2 }>().0.iter_mut().enumerate() {
        let bytes = &padded[block * BLOCK..][..BLOCK + 3];
        let (here, next) = (block_at(bytes, 0), block_at(bytes, 3));
        let (low, high) = (u8x16::unpack_low(here, next), u8x16::unpack_high(here, next));
        let widened = [
            i16x8::from_u8x16_low(low),
            i16x8::from_u8x16_high(low),
            i16x8::from_u8x16_low(high),
            i16x8::from_u8x16_high(high),
        ];
        *out.as_chunks_mut::<8>().0.first_chunk_mut().unwrap_or(&mut [[0; 8]; 4]) = widened.map(i16x8::to_array);
    }
}

fn block_at(bytes: &[u8], at: usize) -> u8x16 {
    let mut block = [0; BLOCK];
    block.copy_from_slice(&bytes[at..at + BLOCK]);
    u8x16::new(block)
}

/// Stretches a group of rows; `out` holds as many, `stride` apart, with a byte behind the last pixel that is written too.
fn stretch_rows(columns: &Weights, paired: &[Vec<i16>; GROUP], out: &mut [u8], stride: usize) {
    // Two pixels in turn, from the first and from the second on: so every place starts with a whole one of either.
    let even = paired.each_ref().map(|row| row.as_chunks::<STEP>().0);
    let odd = paired.each_ref().map(|row| row[STEP / 2..].as_chunks::<STEP>().0);
    let half = i32x4::splat(1 << columns.digits >> 1);
    for place in 0..columns.to {
        let (first, weights) = columns.of(place);
        let rows = if first % 2 == 0 { &even } else { &odd };
        let taps = |row: usize| &rows[row][first / 2..][..weights.len()];
        let (upper, lower) = (taps(0).iter().zip(taps(1)), taps(2).iter().zip(taps(3)));
        let mut sums = [half; GROUP];
        for ((&[a, b], (r0, r1)), (r2, r3)) in weights.iter().zip(upper).zip(lower) {
            let weight = i16x8::new([a, b, a, b, a, b, a, b]);
            sums[0] += colours(r0).dot(weight);
            sums[1] += colours(r1).dot(weight);
            sums[2] += colours(r2).dot(weight);
            sums[3] += colours(r3).dot(weight);
        }
        let bytes = bytes_of(sums, columns.digits);
        for (row, pixel) in bytes.as_chunks::<4>().0.iter().enumerate() {
            out[row * stride + place * 3..][..4].copy_from_slice(pixel);
        }
    }
}

/// Values from one pair of taps to the next: two pixels of three colours, each beside its neighbour's.
const STEP: usize = 12;

/// The pairs of the first pixel; the last of the four belongs to the next pixel, and what becomes of it is written over.
fn colours(&[r, r2, g, g2, b, b2, x, x2, ..]: &[i16; STEP]) -> i16x8 {
    i16x8::new([r, r2, g, g2, b, b2, x, x2])
}

/// Sums of weighted values, less the `digits` behind their point. None is above 255.
fn bytes_of(sums: [i32x4; 4], digits: u32) -> [u8; BLOCK] {
    let [a, b, c, d] = sums.map(|sum| (sum >> digits).to_array());
    let narrow = |[a, b, c, d]: [i32; 4], [e, f, g, h]: [i32; 4]| {
        i16x8::from_i32x8_saturate(i32x8::new([a, b, c, d, e, f, g, h]))
    };
    u8x16::narrow_i16x8(narrow(a, b), narrow(c, d)).to_array()
}

/// Makes one row out of those that begin at `covered` in `stretched`.
fn mix_rows(stretched: &[u8], covered: &[usize], weights: &[[i16; 2]], digits: u32, out: &mut [u8]) {
    let half = i32x4::splat(1 << digits >> 1);
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let mut sums = [half; 4];
        for (rows, &[a, b]) in covered.as_chunks::<2>().0.iter().zip(weights) {
            let weight = i16x8::new([a, b, a, b, a, b, a, b]);
            let [here, next] = rows.map(|row| block_at(stretched, row + block * BLOCK));
            let (low, high) = (u8x16::unpack_low(here, next), u8x16::unpack_high(here, next));
            sums[0] += i16x8::from_u8x16_low(low).dot(weight);
            sums[1] += i16x8::from_u8x16_high(low).dot(weight);
            sums[2] += i16x8::from_u8x16_low(high).dot(weight);
            sums[3] += i16x8::from_u8x16_high(high).dot(weight);
        }
        let bytes = bytes_of(sums, digits);
        match <&mut [u8; BLOCK]>::try_from(&mut *out) {
            Ok(out) => *out = bytes,
            Err(_) => out.copy_from_slice(&bytes[..out.len()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resized(pixels: &[u8], (width, height): (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let mut into = vec![99; to.0 as usize * to.1 as usize * 3];
        Resizer::default().resize(RgbView { pixels, width, height }, to, &mut into).expect("a picture");
        into
    }

    /// The same, whatever the processor has.
    fn portably_resized(pixels: &[u8], (width, height): (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let (mut resizer, mut into) = (Resizer::default(), vec![99; to.0 as usize * to.1 as usize * 3]);
        resizer.columns.prepare(width as usize, to.0 as usize);
        resizer.rows.prepare(height as usize, to.1 as usize);
        resizer.resize_portably(RgbView { pixels, width, height }, &mut into);
        into
    }

    fn furthest_apart(these: &[u8], those: &[u8]) -> u8 {
        assert_eq!(these.len(), those.len());
        these.iter().zip(those).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or_default()
    }

    /// The same without SIMD, groups, blocks or slots.
    fn plainly_resized(pixels: &[u8], (width, height): (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let (mut columns, mut rows) = (Weights::default(), Weights::default());
        columns.prepare(width as usize, to.0 as usize);
        rows.prepare(height as usize, to.1 as usize);
        let mixed = |weights: &Weights, place: usize, value: &dyn Fn(usize) -> u8| {
            let (first, pairs) = weights.of(place);
            let taps = pairs.as_flattened().iter().enumerate().filter(|(_, weight)| **weight != 0);
            let sum: i64 = taps.map(|(tap, weight)| i64::from(*weight) * i64::from(value(first + tap))).sum();
            u8::try_from((sum + (1 << weights.digits >> 1)) >> weights.digits).expect("at most 255")
        };
        let (wide, high) = (to.0 as usize, to.1 as usize);
        let mut between = Vec::new();
        for (y, x, channel) in every(height as usize, wide) {
            let value = |column: usize| pixels[(y * width as usize + column) * 3 + channel];
            between.push(mixed(&columns, x, &value));
        }
        let at = |y: usize, x: usize, channel: usize| between[(y * wide + x) * 3 + channel];
        every(high, wide).map(|(y, x, channel)| mixed(&rows, y, &|row| at(row, x, channel))).collect()
    }

    fn every(height: usize, width: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..height * width * 3).map(move |n| (n / 3 / width, n / 3 % width, n % 3))
    }

    fn noise(bytes: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn pictures_are_pillow_s_within_one_level() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/resize");
        let read = |name: &str| image::open(folder.join(name)).expect("a picture").to_rgb8();
        let source = read("source.png");
        for to in [(30, 30), (97, 20), (13, 80), (150, 101), (1, 1), (61, 12)] {
            let expected = read(&format!("{}x{}.png", to.0, to.1));
            for way in [resized, portably_resized] {
                let off = furthest_apart(&way(source.as_raw(), source.dimensions(), to), expected.as_raw());
                assert!(off <= 1, "{to:?}: {off:?}");
            }
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_copied() {
        let pixels: Vec<u8> = (0..48).collect();
        assert_eq!(resized(&pixels, (4, 4), (4, 4)), pixels);
    }

    #[test]
    fn pixel_centres_lie_at_one_half() {
        // Two pixels become four. The first and last centres lie outside those of the two, so they keep their colours; those
        // between lie a quarter and three quarters of the way.
        let wider = resized(&[0, 0, 0, 200, 200, 200], (2, 1), (4, 1));
        assert_eq!(wider.iter().step_by(3).copied().collect::<Vec<_>>(), [0, 50, 150, 200]);
    }

    #[test]
    fn the_largest_sides_become_one_pixel_and_come_from_one() {
        for (from, to) in [((8192, 1), (1, 1)), ((1, 8192), (1, 1)), ((1, 1), (8192, 2)), ((8192, 2), (8191, 3))] {
            let pixels = [[255, 128, 1]; 2 * 8192].as_flattened()[..from.0 as usize * from.1 as usize * 3].to_vec();
            assert!(resized(&pixels, from, to).chunks_exact(3).all(|pixel| pixel == [255, 128, 1]), "{from:?} {to:?}");
        }
        // Half black, half white: were the many small weights rough, the mean would be off.
        let halves: Vec<u8> = (0..8192 * 3).map(|n| if n < 4096 * 3 { 0 } else { 255 }).collect();
        assert!(resized(&halves, (8192, 1), (1, 1)).iter().all(|value| value.abs_diff(128) <= 1));
    }

    #[test]
    fn memory_is_used_again_from_size_to_size() {
        let (mut resizer, mut into) = (Resizer::default(), [0; 20 * 10 * 3]);
        let mut check = |width: u32, height: u32, seed| {
            let pixels = noise(width as usize * height as usize * 3, seed);
            resizer.resize(RgbView { pixels: &pixels, width, height }, (20, 10), &mut into).expect("a picture");
            let plain = plainly_resized(&pixels, (width, height), (20, 10));
            assert!(furthest_apart(&into, &plain) <= 1);
            resizer.resize_portably(RgbView { pixels: &pixels, width, height }, &mut into);
            assert_eq!(into[..], plain);
            (resizer.stretched.as_ptr(), resizer.padded.as_ptr(), resizer.columns.pairs.as_ptr())
        };
        check(7, 31, 0);
        let first = check(64, 48, 1);
        assert_eq!(check(64, 48, 2), first);
        check(21, 9, 3);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let check = |bytes: usize, width, height, to, into: usize| {
            let view = RgbView { pixels: &vec![0; bytes], width, height };
            Resizer::default().resize(view, to, &mut vec![0; into]).expect_err("no picture")
        };
        assert_eq!(check(0, 0, 0, (1, 1), 3), ResizeError { width: 0, height: 0, bytes: 0 });
        assert_eq!(check(12, 2, 2, (1, 1), 4), ResizeError { width: 1, height: 1, bytes: 4 });
        let error = check(11, 2, 2, (1, 1), 3);
        assert_eq!(error.to_string(), "2×2 pixels in 11 bytes are no RGB picture of at most 8192×8192");
        check(3, 1, 1, (8193, 1), 8193 * 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn simd_gives_what_the_plain_sum_does(
            width in 1u32..70, height in 1u32..40, to_width in 1u32..70, to_height in 1u32..40, seed: u64,
        ) {
            let pixels = noise((width * height * 3) as usize, seed);
            let (from, to) = ((width, height), (to_width, to_height));
            let plain = plainly_resized(&pixels, from, to);
            prop_assert!(portably_resized(&pixels, from, to) == plain, "{from:?} to {to:?}");
            prop_assert!(furthest_apart(&resized(&pixels, from, to), &plain) <= 1, "{from:?} to {to:?}");
        }

        #[test]
        fn one_colour_stays_one_colour(
            width in 1u32..300, height in 1u32..40, to_width in 1u32..300, to_height in 1u32..40, colour: [u8; 3],
        ) {
            let pixels = vec![colour; (width * height) as usize];
            for way in [resized, portably_resized] {
                let found = way(pixels.as_flattened(), (width, height), (to_width, to_height));
                prop_assert!(found.chunks_exact(3).all(|pixel| pixel == colour));
            }
        }
    }
}
