//! Any bytes are a picture or an error; its size is the header's, and nothing of what was decoded before shows.
//!
//! Good seeds: JPEG files of a few kilobytes, sequential and progressive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lookhear::media::{Reduction, jpeg_size, rgb_from_jpeg};

fuzz_target!(|bytes: &[u8]| {
    // A large picture is no other case, only a slow one.
    if jpeg_size(bytes).is_some_and(|(width, height)| width * height > 1 << 20) {
        return;
    }
    for reduction in [Reduction::Whole, Reduction::Half, Reduction::Eighth] {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let found = rgb_from_jpeg(bytes, reduction, &mut first);
        second.resize(first.len(), 77);
        assert_eq!(found, rgb_from_jpeg(bytes, reduction, &mut second));
        if let Ok((width, height)) = found {
            assert_eq!(first.len(), width as usize * height as usize * 3);
            assert!(first == second);
        }
    }
});
