//! Any bytes are metadata or an error; and what was read and written again is read the same.
//!
//! Good seed: `models/objects-float/tflite_metadata.json`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lookhear::model::Metadata;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(metadata) = Metadata::parse(bytes) {
        let written = serde_json::Value::Object(metadata.all.clone()).to_string();
        let again = Metadata::parse(written.as_bytes()).expect("what was written is JSON");
        assert_eq!(again.all, metadata.all);
    }
});
