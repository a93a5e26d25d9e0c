//! The resizer's work on x86-64 processors that have AVX2: twice as many values go through at a time, and bytes are put in
//! order on their way.
//!
//! Rows are mixed first and stretched then, because mixing leaves fewer of them. Between the two, values keep seven binary
//! digits behind the point, so that results are within one level of the portable way's, and of Pillow's.

#![allow(unsafe_code)] // Functions for AVX2, and its loads and stores; each use says why it is sound.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_packs_epi32, _mm_packus_epi16,
    _mm_sra_epi32, _mm_storeu_si128, _mm256_add_epi32, _mm256_castsi128_si256, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_packs_epi32,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_sra_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

use super::RgbView;
use super::resize::Weights;

/// Rows that are stretched together, so that each weight is fetched once for all of them.
const GROUP: usize = 4;
/// Bytes of the source that go through at a time.
const BLOCK: usize = 32;
/// Taps that go through at a time, and their values: pixels of three colours.
const QUAD: usize = 4;
const QUAD_VALUES: usize = QUAD * 3;
/// Binary digits behind the point between the two directions: what is left of 15 beside 255.
const DIGITS_BETWEEN: u32 = 7;
/// With more digits the sums of a row would not fit 32 bits. So many there are where a picture shrinks to a quarter or more.
const MOST_DIGITS: u32 = 16;
/// More rows than that are never covered then.
const MOST_TAPS: usize = 16;

/// Stretches RGB pictures with AVX2; allocates as the portable way does.
#[derive(Debug, Default)]
pub(super) struct Avx2 {
    /// The sizes along a row that `quads` were made for.
    sizes: (usize, usize),
    /// For each column of the result its weights four by four, each pair beside each colour.
    quads: Vec<[i16; 16]>,
    /// A group of rows of the result, still as wide as the source, and room behind them.
    mixed: [Vec<i16>; GROUP],
}

impl Avx2 {
    /// Stretches as `columns` and `rows` say; `false`, and nothing done, where the processor or the sizes are not for this.
    pub fn resize(&mut self, from: RgbView<'_>, columns: &Weights, rows: &Weights, into: &mut [u8]) -> bool {
        let row_bytes = from.width as usize * 3;
        if !is_x86_feature_detected!("avx2")
            || columns.digits > MOST_DIGITS
            || rows.taps > MOST_TAPS
            || row_bytes < BLOCK
        {
            return false;
        }
        if self.sizes != (columns.from, columns.to) {
            self.prepare(columns);
        }
        let room = (columns.from + 2 * QUAD + columns.taps) * 3;
        self.mixed.iter_mut().for_each(|row| row.resize(room.max(row.len()), 0));
        for (group, out) in into.chunks_mut(GROUP * columns.to * 3).enumerate() {
            for (row, mixed) in self.mixed.iter_mut().take(out.len() / (columns.to * 3)).enumerate() {
                let (first, weights) = rows.of(group * GROUP + row);
                // Behind the last row the weights are 0.
                let row_of = |tap: usize| &from.pixels[(first + tap).min(rows.from - 1) * row_bytes..][..row_bytes];
                let covered = std::array::from_fn(row_of);
                // SAFETY: the processor has AVX2, as was asked above.
                unsafe { mix_rows(&covered, weights, rows.digits - DIGITS_BETWEEN, &mut mixed[..row_bytes]) };
                // What a picture before left behind the row would count, if little.
                mixed[row_bytes..room].fill(0);
            }
            // SAFETY: the same.
            unsafe { stretch_rows(columns, &self.quads, &self.mixed, out) };
        }
        true
    }

    fn prepare(&mut self, columns: &Weights) {
        self.sizes = (columns.from, columns.to);
        self.quads.clear();
        for place in 0..columns.to {
            for pairs in columns.of(place).1.chunks(QUAD / 2) {
                let [a, b] = pairs[0];
                let [c, d] = pairs.get(1).copied().unwrap_or_default();
                self.quads.push([a, b, a, b, a, b, a, b, c, d, c, d, c, d, c, d]);
            }
        }
    }
}

/// Makes one row of the result, as wide as the source, out of those that it `covered`s; `shift` digits of the sums fall away.
#[target_feature(enable = "avx2")]
fn mix_rows(covered: &[&[u8]; MOST_TAPS], weights: &[[i16; 2]], shift: u32, out: &mut [i16]) {
    let half = _mm256_set1_epi32(1 << shift >> 1);
    let (zero, shift) = (_mm256_setzero_si256(), _mm_cvtsi32_si128(shift.cast_signed()));
    let mut at = 0;
    loop {
        let mut sums = [half; 4];
        for (&[a, b], rows) in weights.iter().zip(covered.as_chunks::<2>().0) {
            let weight = _mm256_set1_epi32(i32::from(a) & 0xffff | i32::from(b) << 16);
            let [here, next] = rows.map(|row| load(row, at));
            let (low, high) = (_mm256_unpacklo_epi8(here, next), _mm256_unpackhi_epi8(here, next));
            let parts = [
                _mm256_unpacklo_epi8(low, zero),
                _mm256_unpackhi_epi8(low, zero),
                _mm256_unpacklo_epi8(high, zero),
                _mm256_unpackhi_epi8(high, zero),
            ];
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(part, weight));
            }
        }
        let [a, b, c, d] = sums.map(|sum| _mm256_sra_epi32(sum, shift));
        // Each half of a register holds eight values of either half of the block.
        let (low, high) = (_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        store(out, at, _mm256_permute2x128_si256::<0x20>(low, high));
        store(out, at + 16, _mm256_permute2x128_si256::<0x31>(low, high));
        if at + BLOCK >= out.len() {
            return;
        }
        // The last block overlaps the one before, rather than leave the row.
        at = (at + BLOCK).min(out.len() - BLOCK);
    }
}

/// Stretches a group of rows to the rows of `out`.
#[target_feature(enable = "avx2")]
fn stretch_rows(columns: &Weights, quads: &[[i16; 16]], rows: &[Vec<i16>; GROUP], out: &mut [u8]) {
    let digits = columns.digits + DIGITS_BETWEEN;
    let half = _mm256_set1_epi32(1 << digits >> 2);
    let shift = _mm_cvtsi32_si128(digits.cast_signed());
    // Of two pixels, each colour beside its neighbour's; the last pair is nothing.
    #[rustfmt::skip]
    let paired = _mm256_setr_epi8(
        0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1,
        0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1,
    );
    let a_place = columns.taps.div_ceil(QUAD);
    let mut out = out.chunks_exact_mut(columns.to * 3);
    // The last group may have fewer rows.
    let mut out: [&mut [u8]; GROUP] = std::array::from_fn(|_| out.next().unwrap_or_default());
    for (place, quads) in quads.chunks_exact(a_place).enumerate() {
        let first = columns.of(place).0 * 3;
        let mut sums = [half; GROUP];
        for (quad, weights) in quads.iter().enumerate() {
            let weights = load_weights(weights);
            for (sum, row) in sums.iter_mut().zip(rows) {
                let values = _mm256_shuffle_epi8(load_quad(row, first + quad * QUAD_VALUES), paired);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(values, weights));
            }
        }
        let [a, b, c, d] = sums.map(|sum| {
            let both = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
            _mm_sra_epi32(both, shift)
        });
        let pixels = store_pixels(_mm_packus_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d)));
        for (row, pixel) in out.iter_mut().zip(pixels.as_chunks::<4>().0) {
            // The fourth byte is written over by the next pixel.
            if let Some(four) = row.get_mut(place * 3..place * 3 + 4) {
                four.copy_from_slice(pixel);
            } else if let Some(three) = row.get_mut(place * 3..place * 3 + 3) {
                three.copy_from_slice(&pixel[..3]);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn load(bytes: &[u8], at: usize) -> __m256i {
    let bytes = &bytes[at..at + BLOCK];
    // SAFETY: 32 bytes are there to be read, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store(values: &mut [i16], at: usize, sixteen: __m256i) {
    let values = &mut values[at..at + 16];
    // SAFETY: 16 values of two bytes are there to be written, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), sixteen) }
}

#[target_feature(enable = "avx2")]
fn load_weights(weights: &[i16; 16]) -> __m256i {
    // SAFETY: 16 values of two bytes are there to be read, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) }
}

/// The first two pixels at `at` and two more, each pair in a half of its own.
#[target_feature(enable = "avx2")]
fn load_quad(row: &[i16], at: usize) -> __m256i {
    let values = &row[at..at + QUAD_VALUES + 2];
    let half = |pair: usize| -> __m128i {
        // SAFETY: 8 values of two bytes are there from the first on, and from the sixth on: 14 were asked for.
        unsafe { _mm_loadu_si128(values.as_ptr().add(pair * 6).cast()) }
    };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(half(0)), half(1))
}

#[target_feature(enable = "avx2")]
fn store_pixels(pixels: __m128i) -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: 16 bytes are there to be written, and the store needs no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), pixels) };
    bytes
}
