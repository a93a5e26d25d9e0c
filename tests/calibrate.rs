//! Whoever calibrates gets thresholds for the room and the voice at hand, and may have them written.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use lookhear::media::SAMPLE_RATE_HZ;
use lookhear::microphone::read_file;
use predicates::prelude::*;
use serde_json::Value;

const RATE: usize = SAMPLE_RATE_HZ as usize;
const ROOM_S: usize = 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `lookhear`, with no configuration but its defaults.
fn lookhear(home: &Path) -> Command {
    let mut command = Command::cargo_bin("lookhear").expect("it is built");
    command.env("HOME", home).env("XDG_CONFIG_HOME", home).current_dir(root());
    command
}

/// A recording of ten seconds of a room, then of these words of `tests/data/keywords`, each 0.3 s into its three seconds
/// and this much softer.
fn recording(folder: &Path, words: &[&str], gain: f32) -> PathBuf {
    // Noise as of a quiet room, 60 dB below full scale, from a linear congruential generator.
    let mut state = 1u32;
    let mut samples: Vec<f32> = (0..(ROOM_S + 3 * words.len()) * RATE)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 * 0.0034 - 0.0017
        })
        .collect();
    for (place, word) in words.iter().enumerate() {
        let start = (ROOM_S + 3 * place) * RATE + RATE * 3 / 10;
        let clip = read_file(&root().join(format!("tests/data/keywords/{word}.wav"))).expect("a clip");
        for (sample, spoken) in samples[start..].iter_mut().zip(clip) {
            *sample += spoken * gain;
        }
    }
    let path = folder.join("recording.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).expect("room");
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).expect("room");
    }
    writer.finalize().expect("room");
    path
}

fn calibrated(folder: &Path, recording: &Path, more: &[&str]) -> Value {
    let arguments = ["calibrate", "--room-seconds", "10", "--words", "yes,stop", "--json", "--microphone"];
    let output = lookhear(folder).args(arguments).arg(recording).args(more).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn words_that_are_heard_well_in_a_quiet_room_keep_thresholds_and_these_are_written_on_request() {
    let folder = tempfile::tempdir().expect("room");
    let recording = recording(folder.path(), &["yes", "stop", "yes", "stop"], 1.0);
    let file = folder.path().join("mine.toml");
    fs::write(&file, "# mine\n[keywords.thresholds]\ngo = 0.9 # kept\n").expect("room");
    let report = calibrated(folder.path(), &recording, &["--write", file.to_str().expect("UTF-8")]);
    let words = report["words"].as_array().expect("a list");
    assert_eq!(words.len(), 2);
    for (word, label) in words.iter().zip(["yes", "stop"]) {
        assert_eq!((&word["label"], &word["said"], &word["heard"]), (&label.into(), &2.into(), &2.into()), "{word}");
        let peak = |take: usize| word["peaks"][take].as_f64().expect("a score");
        assert!((peak(0) - peak(1)).abs() < 0.02, "the same clip twice, over other noise: {word}");
        assert!(word["misses"]["expected"].as_f64() < word["misses"]["high"].as_f64(), "{word}");
    }
    // Ten seconds without a false accept leave −ln 0.05 in them possible, 1078 an hour.
    assert_eq!(report["false_accepts_in_room"], 0);
    let at_most = report["false_accepts_an_hour_at_most"].as_f64().expect("a number");
    assert!((at_most + 0.05f64.ln() * 360.0).abs() < 1e-6, "{at_most}");
    assert_eq!(report["warnings"], Value::Array(vec![]));

    let written = fs::read_to_string(&file).expect("it is there");
    assert!(written.starts_with("# mine\n[keywords.thresholds]\ngo = 0.9 # kept\nstop = "), "{written}");
    let shown = lookhear(folder.path()).args(["config", "show", "--config"]).arg(&file).output().expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let threshold = &words[0]["threshold"];
    assert!(shown.contains(&format!("yes = {threshold}")), "{shown}");
}

#[test]
fn takes_in_which_nothing_was_said_do_not_count_and_soft_ones_are_complained_of() {
    let folder = tempfile::tempdir().expect("room");
    let recording = recording(folder.path(), &["yes", "silence", "yes", "silence"], 0.02);
    let report = calibrated(folder.path(), &recording, &[]);
    assert_eq!((&report["words"][1]["label"], &report["words"][1]["said"]), (&"stop".into(), &0.into()));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("stop (2 of 2): nothing was louder than the room in these takes"), "{warnings}");
    assert!(warnings.contains("dBFS only: turn the microphone up"), "{warnings}");
}

#[test]
fn the_report_is_a_table_that_says_what_the_minute_cannot() {
    let folder = tempfile::tempdir().expect("room");
    let recording = recording(folder.path(), &["yes", "stop"], 1.0);
    lookhear(folder.path())
        .args(["calibrate", "--room-seconds", "10", "--words", "yes,stop", "--takes", "1", "--microphone"])
        .arg(recording)
        .assert()
        .success()
        .stdout(predicate::str::contains("word      threshold  before    heard  will be missed"))
        .stdout(predicate::str::contains("10 s with no false accept leave\nup to 1078 an hour possible"));
}

#[test]
fn what_cannot_be_calibrated_is_refused_with_the_reason_and_the_remedy() {
    let folder = tempfile::tempdir().expect("room");
    let recording = self::recording(folder.path(), &["yes"], 1.0);
    let refused = |arguments: &[&str], reason: &str| {
        let room = ["calibrate", "--room-seconds", "10", "--microphone"];
        let mut command = lookhear(folder.path());
        command.args(room).arg(&recording).args(arguments);
        command.assert().failure().stderr(predicate::str::contains(reason));
    };
    refused(&["--words", "yes,stop"], "The sound ended after 13.0 s, and 22 s are needed");
    refused(&["--words", "hello"], "does not know that word; it knows yes, no");
    refused(&["--words", "yes,yes"], "twice in one go");
    let silent = self::recording(folder.path(), &["silence", "silence"], 0.02);
    let mut command = lookhear(folder.path());
    command
        .args(["calibrate", "--room-seconds", "10", "--takes", "1", "--words", "yes,stop", "--microphone"])
        .arg(silent);
    command.assert().failure().stderr(predicate::str::contains("no word was louder than the room"));
    let nothing = lookhear(folder.path()).args(["calibrate", "--microphone", "none"]).assert().failure();
    nothing.stderr(predicate::str::contains("There is no microphone to calibrate"));
}
