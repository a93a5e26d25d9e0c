//! Any bytes are marks of photos or an error; no picture that they name lies outside of its folder, and no box is of a class
//! that does not exist.
//!
//! Good seed: `tests/data/average_precision/truth.json`.
#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;
use lookhear::vision::{CocoTruth, yolo_boxes, yolo_classes};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(truth) = CocoTruth::parse(bytes) {
        for picture in &truth.pictures {
            assert!(picture.file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)));
            assert!(picture.boxes.iter().all(|one| one.class < truth.classes.len() && one.area >= 0.0));
        }
    }
    let classes = yolo_classes(bytes).map_or(80, |classes| classes.len());
    if let Ok(boxes) = yolo_boxes(bytes, classes) {
        assert!(boxes.iter().all(|one| one.class < classes && one.in_pixels(640, 480).area.is_finite()));
    }
});
