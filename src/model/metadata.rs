//! What `tflite_metadata.json` says of a model: AutoML's keys as hints, and our own `lookhear` object as the description.
//!
//! The model decides where both speak of the same thing; [`super::Bundle`] puts them together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::relaxed_json::strict_from;

/// Larger metadata is none: real files have about 1 KiB.
pub const LARGEST_METADATA_BYTES: u64 = 1 << 20;

/// The content of `tflite_metadata.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Our own description, if the file has one.
    pub lookhear: Option<Description>,
    /// `inputShape`: what the exporter says of the input's shape.
    pub input_shape: Option<Vec<usize>>,
    /// `outputTensors`: names of the outputs.
    pub output_tensors: Vec<String>,
    /// `outputTensorRepresentation`: what each of [`Metadata::output_tensors`] holds.
    pub output_roles: Vec<String>,
    /// Every key as it is written, known or not.
    pub all: Map<String, Value>,
}

/// Why metadata cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text; save it as UTF-8")]
    Text(#[source] std::str::Utf8Error),
    /// It is not JSON.
    #[error("it is not JSON ({0}); correct it there, or remove the file")]
    Json(#[source] serde_json::Error),
    /// It is JSON, but no object.
    #[error("it is not a JSON object; put its keys between {{ and }}")]
    NoObject,
    /// The `lookhear` object lacks something or has a wrong value.
    #[error("its `lookhear` object does not describe a model ({0}); correct or remove that object")]
    Description(#[source] serde_json::Error),
}

/// The `lookhear` object: all that is needed to feed the model and to read what it gives.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Description {
    /// Objects in pictures.
    Detection(DetectionDescription),
    /// Words in sound.
    Keywords(KeywordsDescription),
}

/// How a detector is used.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct DetectionDescription {
    /// From pixels to a float input.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// From the picture's size to the input's.
    #[serde(default)]
    pub resize: Resize,
    /// What the outputs mean.
    pub head: Head,
    /// The least score worth showing, 0…1.
    #[serde(default = "default_threshold")]
    pub threshold: f32,
    /// Other names of its labels: public data sets' name to the dictionary's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub also_called: BTreeMap<String, String>,
}

/// For detectors that come without a measured threshold, 0…1: what the detectors at hand were useful with (0.35–0.45).
pub(super) const DEFAULT_THRESHOLD: f32 = 0.4;

fn default_threshold() -> f32 {
    DEFAULT_THRESHOLD
}

/// `(pixel − mean) / scale`, with pixels of 0…255.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Normalisation {
    /// The pixel value that becomes 0.
    pub mean: f32,
    /// The pixel values that make 1.
    pub scale: f32,
}

impl Default for Normalisation {
    /// To −1…1, as TensorFlow's detectors want it.
    fn default() -> Self {
        Self { mean: 127.5, scale: 127.5 }
    }
}

/// How a picture is brought to the size of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Width and height each by their own factor.
    #[default]
    Stretch,
}

/// What the outputs of a detector mean.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Head {
    /// A single-shot detector before its decoding.
    RawSsd(Box<RawSsd>),
    /// The four outputs of the operator `TFLite_Detection_PostProcess`.
    PostProcess,
}

/// The raw outputs of a single-shot detector (Liu et al. 2016): for each anchor a box code and a score a class.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct RawSsd {
    /// Name of the output with the box codes, `[1, anchors, 4]`.
    pub boxes: String,
    /// Name of the output with the scores, `[1, anchors, classes]`.
    pub scores: String,
    /// What makes a score of 0…1 out of an output value.
    pub activation: Activation,
    /// The class that stands for nothing; `None` if there is none.
    #[serde(default)]
    pub background_class: Option<usize>,
    /// The order of a box code's four numbers.
    pub box_order: BoxOrder,
    /// What each of a code's numbers was multiplied by in training, in the order of `box_order`.
    pub box_scales: [f32; 4],
    /// Boxes of one class that overlap a better one by more than this are dropped; intersection over union, 0…1.
    pub nms_iou: f32,
    /// Detections a picture at most.
    pub max_detections: usize,
    /// The boxes that the codes refer to.
    pub anchors: Anchors,
}

/// What makes a score of 0…1 out of an output value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `1 / (1 + exp(−x))`: the outputs are logits.
    Sigmoid,
    /// Nothing: the outputs are scores already.
    None,
}

/// The order of a box code's four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum BoxOrder {
    /// Centre down, centre right, height, width.
    #[serde(rename = "ty,tx,th,tw")]
    CentreYx,
}

/// How anchors are laid out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Anchors {
    /// As TensorFlow's `ssd_anchor_generator` does it.
    Ssd(SsdAnchors),
}

/// Square feature maps with the same shapes around each cell; lengths are shares of the input's side.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SsdAnchors {
    /// Cells a side of each map, the finest first.
    pub feature_maps: Vec<usize>,
    /// Scale of the first map; those between grow evenly.
    pub min_scale: f64,
    /// Scale of the last map.
    pub max_scale: f64,
    /// Width by height of each shape.
    pub aspect_ratios: Vec<f64>,
    /// The shapes of the first map instead, as (aspect ratio, scale); empty if it is like the others.
    #[serde(default)]
    pub reduced_lowest: Vec<(f64, f64)>,
    /// Aspect ratio of one more shape, whose scale is between its map's and the next one's; `None` for no such shape.
    #[serde(default)]
    pub interpolated_ratio: Option<f64>,
    /// Where in its cell an anchor's centre lies, as a share of the cell.
    pub offset: f64,
}

/// How a keyword spotter is used.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct KeywordsDescription {
    /// From samples to the input.
    pub front_end: FrontEnd,
    /// From scores to a decision.
    pub decision: Decision,
}

/// From samples to what a spotter's input holds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct FrontEnd {
    /// What is computed.
    pub feature: Feature,
    /// Samples a second.
    pub rate_hz: u32,
    /// Length of one window of sound, in samples.
    pub window_samples: usize,
    /// From the start of one window to the next, in samples.
    pub step_samples: usize,
    /// Length of the Fourier transform, in samples; at least the window's.
    pub fft_size: usize,
    /// Number of mel bands.
    pub mel_bands: usize,
    /// Lower edge of the lowest band, in Hz.
    pub low_hz: f32,
    /// Upper edge of the highest band, in Hz.
    pub high_hz: f32,
    /// Added to an energy before its logarithm.
    pub log_offset: f32,
}

/// What a front end computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Magnitudes of the short-time Fourier transform.
    Spectrogram,
    /// Natural logarithm of mel-weighted energies.
    LogMel,
    /// Mel-frequency cepstral coefficients.
    Mfcc,
}

/// From a spotter's scores to the decision that a word was said.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Decision {
    /// From one look at the sound to the next, in milliseconds.
    pub step_ms: u32,
    /// Over how many looks scores are averaged; at least 1.
    pub smoothing: usize,
    /// The least smoothed score of a word, 0…1.
    pub threshold: f32,
    /// The same for single words.
    #[serde(default)]
    pub thresholds: BTreeMap<String, f32>,
}

impl Metadata {
    /// Reads JSON in which comments and trailing commas are allowed.
    ///
    /// AutoML's own keys are hints: one with an unexpected value counts as absent. The `lookhear` object is taken at its
    /// word, so it must be right.
    ///
    /// # Errors
    /// [`MetadataError`], with the place where there is one.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetadataError> {
        let text = std::str::from_utf8(bytes).map_err(MetadataError::Text)?;
        let text = strict_from(text.strip_prefix('\u{feff}').unwrap_or(text));
        let Value::Object(all) = serde_json::from_str(&text).map_err(MetadataError::Json)? else {
            return Err(MetadataError::NoObject);
        };
        let described = all.get("lookhear").cloned().map(serde_json::from_value);
        Ok(Self {
            lookhear: described.transpose().map_err(MetadataError::Description)?,
            input_shape: hint(&all, "inputShape"),
            output_tensors: hint(&all, "outputTensors").unwrap_or_default(),
            output_roles: hint(&all, "outputTensorRepresentation").unwrap_or_default(),
            all,
        })
    }
}

fn hint<T: serde::de::DeserializeOwned>(all: &Map<String, Value>, key: &str) -> Option<T> {
    T::deserialize(all.get(key)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETECTION: &str = r#"{"lookhear": {"task":"detection","normalisation":{"mean":127.5,"scale":127.5},
        "resize":"stretch","head":{"kind":"raw-ssd","boxes":"b","scores":"s","activation":"sigmoid",
        "background_class":0,"box_order":"ty,tx,th,tw","box_scales":[10,10,5,5],"nms_iou":0.6,"max_detections":40,
        "anchors":{"kind":"ssd","feature_maps":[19,10],"min_scale":0.2,"max_scale":0.95,"aspect_ratios":[1,2],
        "reduced_lowest":[[1,0.1],[2,0.2]],"interpolated_ratio":1,"offset":0.5}},"threshold":0.4,"also_called":{"cow":"cattle"},"accuracy":{"ap":0.2}}}"#;

    #[test]
    fn numbers_are_read_to_the_last_digit() {
        let metadata = Metadata::parse(br#"{"offset": 1e-60}"#).expect("JSON");
        assert_eq!(metadata.all["offset"], serde_json::json!(1e-60));
    }

    #[test]
    fn a_detector_is_described() {
        let Some(Description::Detection(detection)) = Metadata::parse(DETECTION.as_bytes()).expect("right").lookhear
        else {
            panic!("a detector")
        };
        assert_eq!(
            (detection.threshold, detection.normalisation, detection.resize),
            (0.4, Normalisation::default(), Resize::Stretch)
        );
        assert_eq!(detection.also_called, [("cow".to_owned(), "cattle".to_owned())].into());
        let Head::RawSsd(head) = detection.head else { panic!("a raw head") };
        assert_eq!((head.background_class, head.box_scales), (Some(0), [10.0, 10.0, 5.0, 5.0]));
        let Anchors::Ssd(anchors) = head.anchors;
        assert_eq!((anchors.reduced_lowest, anchors.interpolated_ratio), (vec![(1.0, 0.1), (2.0, 0.2)], Some(1.0)));
    }

    #[test]
    fn a_spotter_is_described() {
        let json = br#"{"lookhear":{"task":"keywords","front_end":{"feature":"log-mel","rate_hz":16000,
            "window_samples":480,"step_samples":160,"fft_size":512,"mel_bands":40,"low_hz":80,"high_hz":7600,
            "log_offset":1e-6},"decision":{"step_ms":100,"smoothing":3,"threshold":0.8,"thresholds":{"yes":0.7}},
            "licence":"Apache-2.0",}} // ours"#;
        let Some(Description::Keywords(keywords)) = Metadata::parse(json).expect("right").lookhear else {
            panic!("a spotter")
        };
        assert_eq!((keywords.front_end.feature, keywords.front_end.high_hz), (Feature::LogMel, 7600.0));
        assert_eq!((keywords.decision.smoothing, keywords.decision.thresholds["yes"]), (3, 0.7));
    }

    #[test]
    fn automl_keys_are_hints_and_unknown_ones_are_kept() {
        let json = br#"{ "inputShape": [1, 320, /* rows */ 320, 3], // NHWC
            "outputTensors": ["a", "b",], "maxDetections": "many", "outputTensorRepresentation": "boxes", "note": "x // y" }"#;
        let metadata = Metadata::parse(json).expect("right");
        assert_eq!(metadata.input_shape, Some(vec![1, 320, 320, 3]));
        assert_eq!(metadata.output_tensors, ["a", "b"]);
        assert!(metadata.output_roles.is_empty() && metadata.lookhear.is_none());
        assert_eq!(metadata.all["note"], "x // y");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |json: &[u8], part: &str| {
            let error = Metadata::parse(json).expect_err("wrong").to_string();
            assert!(error.contains(part), "{error}");
        };
        check(b"\xff", "not UTF-8");
        check(b"{\"a\": 1\n\"b\"}", "line 2");
        check(b"[]", "not a JSON object");
        check(br#"{"lookhear": {"task": "juggling"}}"#, "unknown variant `juggling`");
        check(DETECTION.replace("\"nms_iou\":0.6,", "").as_bytes(), "missing field `nms_iou`");
        check(DETECTION.replace("\"cattle\"", "7").as_bytes(), "invalid type: integer `7`");
        check(&[b'['; 100_000], "recursion limit");
    }
}
