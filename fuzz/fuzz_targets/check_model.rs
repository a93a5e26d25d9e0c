//! Any bytes are a model or an error, and checking them takes little time and memory.
//!
//! Good seeds: `tests/data/models/*.tflite`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = lookhear::model::check(bytes);
});
