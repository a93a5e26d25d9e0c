//! Where there is no AVX2: the resizer's portable way does all.

use super::RgbView;
use super::resize::Weights;

/// Stretches nothing.
#[derive(Debug, Default)]
pub(super) struct Avx2;

impl Avx2 {
    /// `false`, and nothing done.
    pub fn resize(&mut self, _: RgbView<'_>, _: &Weights, _: &Weights, _: &mut [u8]) -> bool {
        false
    }
}
