//! Values as colours.

use super::canvas::Colour;

/// Nine steps of the colour map "viridis" (van der Walt and Smith, matplotlib, CC0): its lightness grows evenly, so that
/// equal steps look equal, also to the colour-blind and in grey.
const VIRIDIS: [Colour; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// The colour of a value of 0…1 in the map "viridis": dark violet is the least, yellow the most.
pub fn viridis(value: f32) -> Colour {
    let place = value.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f32;
    let below = (place as usize).min(VIRIDIS.len() - 2);
    mixed(VIRIDIS[below], VIRIDIS[below + 1], place - below as f32)
}

/// The colour at `share` (0…1) of the way between two.
pub fn mixed(from: Colour, to: Colour, share: f32) -> Colour {
    let mix = |from: u8, to: u8| (f32::from(from) + (f32::from(to) - f32::from(from)) * share.clamp(0.0, 1.0)) as u8;
    [mix(from[0], to[0]), mix(from[1], to[1]), mix(from[2], to[2])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_lighter_and_what_is_out_of_range_has_the_colour_of_its_end() {
        let lightness =
            |value: f32| viridis(value).iter().zip([0.3, 0.59, 0.11]).map(|(c, w)| f32::from(*c) * w).sum::<f32>();
        assert!((0..100).all(|n| lightness(n as f32 / 100.0) <= lightness((n + 1) as f32 / 100.0) + 1.0));
        assert_eq!([viridis(-3.0), viridis(7.0)], [VIRIDIS[0], VIRIDIS[8]]);
        assert_eq!(viridis(0.25), VIRIDIS[2]);
    }
}
