//! The front end against numbers made elsewhere: `tests/data/speech` (its `make.py` says how), and, where they lie
//! beside this repository, the larger golden files made with TensorFlow.

use std::fs;
use std::path::{Path, PathBuf};

use lookhear::model::{Feature, FrontEnd};
use lookhear::speech::{DEFAULT_FRONT_END, FeatureExtractor, MelBands, MelBank, Stft, hann};

/// A two-dimensional array of a `.npy` file of format 1.0, and its number of columns.
fn npy(path: &Path) -> (Vec<f32>, usize) {
    let bytes = fs::read(path).expect("the golden file is there");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..start]).into_owned();
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{header}");
    let shape = header.split_once('(').and_then(|(_, rest)| rest.split_once(')')).expect("a shape").0;
    let columns = shape.split(',').filter_map(|size| size.trim().parse().ok()).next_back().expect("a size");
    let (values, rest) = bytes[start..].as_chunks::<4>();
    assert!(rest.is_empty());
    (values.iter().map(|value| f32::from_le_bytes(*value)).collect(), columns)
}

fn wav(path: &Path) -> Vec<f32> {
    let reader = hound::WavReader::open(path).expect("the golden sound is there");
    reader.into_samples::<i16>().map(|sample| f32::from(sample.expect("whole")) / 32_768.0).collect()
}

fn features(feature: Feature, bands: usize, samples: &[f32]) -> Vec<f32> {
    let front_end = FrontEnd { feature, mel_bands: bands, ..DEFAULT_FRONT_END };
    FeatureExtractor::new(&front_end).expect("valid parameters").columns(samples)
}

/// Panics unless each value is within its tolerance; returns the largest difference.
fn assert_near(what: &str, ours: &[f32], golden: &[f32], tolerance: impl Fn(f32) -> f32) -> f32 {
    assert_eq!(ours.len(), golden.len(), "{what}");
    let mut largest = 0f32;
    for (index, (our, golden)) in ours.iter().zip(golden).enumerate() {
        let difference = (our - golden).abs();
        assert!(difference <= tolerance(*golden), "{what}[{index}]: {our} against {golden}");
        largest = largest.max(difference);
    }
    println!("{what}: {} values, largest difference {largest:.1e}", ours.len());
    largest
}

/// The specification's tolerance of log-mel: near silence the float32 reference itself is coarse.
fn log_mel_tolerance(golden: f32) -> f32 {
    if golden > -6.0 { 1e-3 } else { 2e-2 }
}

#[test]
fn features_equal_the_formulae_in_double_precision() {
    let folder = Path::new("tests/data/speech");
    let samples = wav(&folder.join("sounds.wav"));
    let golden = |name: &str| npy(&folder.join(format!("sounds_{name}.npy"))).0;
    assert_near("spectrogram", &features(Feature::Spectrogram, 80, &samples), &golden("spectrogram"), |_| 1e-4);
    assert_near("log-mel, 80", &features(Feature::LogMel, 80, &samples), &golden("logmel"), |_| 1e-3);
    assert_near("log-mel, 40", &features(Feature::LogMel, 40, &samples), &golden("logmel40"), |_| 1e-3);
    assert_near("mfcc", &features(Feature::Mfcc, 80, &samples), &golden("mfcc"), |_| 1e-3);
}

/// The folder of TensorFlow's golden files, which a clone of this repository alone does not have.
fn tensorflow_golden() -> Option<PathBuf> {
    let folder = PathBuf::from("../shared/golden/kws");
    let found = folder.is_dir().then_some(folder);
    if found.is_none() {
        println!("skipped: ../shared/golden/kws is not there; tests/data/speech was compared instead");
    }
    found
}

#[test]
fn window_and_mel_matrix_equal_tensorflow() {
    let Some(folder) = tensorflow_golden() else { return };
    assert_near("hann480", &hann(480), &npy(&folder.join("hann480.npy")).0, |_| 1e-6);
    let (matrix, bands) = npy(&folder.join("mel_matrix.npy"));
    let bank = MelBank::new(&MelBands { rate_hz: 16_000, fft_size: 512, count: 80, low_hz: 80.0, high_hz: 7600.0 });
    let ours: Vec<f32> = (0..257)
        .flat_map(|bin| (0..bands).map(move |band| (bin, band)))
        .map(|(bin, band)| bank.weight(bin, band))
        .collect();
    assert_near("mel_matrix", &ours, &matrix, |_| 2e-5);
}

#[test]
fn features_equal_tensorflow() {
    let Some(folder) = tensorflow_golden() else { return };
    for name in ["chirp", "impulse", "twotone", "short9000"] {
        let mut samples = wav(&folder.join(format!("{name}.wav")));
        samples.resize(16_000, 0.0);
        let golden = |kind: &str| npy(&folder.join(format!("{name}_{kind}.npy"))).0;
        let ours = |feature| features(feature, 80, &samples);
        assert_near(&format!("{name} spectrogram"), &ours(Feature::Spectrogram), &golden("spec"), |_| 1e-3);
        assert_near(&format!("{name} log-mel"), &ours(Feature::LogMel), &golden("logmel"), log_mel_tolerance);
        let tolerance = if name == "twotone" { 1e-2 } else { 1e-3 };
        assert_near(&format!("{name} mfcc"), &ours(Feature::Mfcc), &golden("mfcc"), |_| tolerance);
    }
}

#[test]
fn an_odd_window_equals_tensorflow() {
    let Some(folder) = tensorflow_golden() else { return };
    let samples = wav(&folder.join("chirp.wav"));
    let mut stft = Stft::new(255, 256);
    let mut ours = Vec::new();
    let mut column = vec![0.0; stft.bins()];
    for start in (0..=samples.len() - 255).step_by(128) {
        stft.magnitudes_into(&samples[start..start + 255], &mut column);
        ours.extend_from_slice(&column);
    }
    assert_near("255 every 128", &ours, &npy(&folder.join("chirp_spec_255_128.npy")).0, |_| 1e-3);
}
