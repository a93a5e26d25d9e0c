//! Measuring a spotter on clips: the numbers are those of the clips' own answers, and what was not measured is said.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keywords").join(name)
}

/// A folder with the clips of `tests/data/keywords`, each in the folder of its word.
fn clips() -> TempDir {
    let folder = tempfile::tempdir().expect("room");
    for (word, file) in [
        ("Yes", "yes.wav"),
        ("Yes", "yes.flac"),
        ("left", "left.wav"),
        ("stop", "stop.wav"),
        ("go", "go-in-noise.wav"),
        ("_silence_", "silence.wav"),
        ("camera", "camera.wav"),
        ("_background_noise_", "silence.wav"),
    ] {
        fs::create_dir_all(folder.path().join(word)).expect("room");
        fs::copy(recorded(file), folder.path().join(word).join(file)).expect("room");
    }
    folder
}

fn eval(data: &Path) -> Command {
    let mut command = Command::cargo_bin("lookhear").expect("built");
    command.args(["eval", "keywords", "--model", "models/keywords", "--data"]).arg(data);
    command
}

fn json(command: &mut Command) -> Value {
    serde_json::from_slice(&command.arg("--json").output().expect("it runs").stdout).expect("one JSON object")
}

/// A WAV file of so many samples at 16 kHz, taken from the beginning of `yes.wav` again and again.
fn yes_of_length(path: &Path, samples: usize) {
    let mut reader = hound::WavReader::open(recorded("yes.wav")).expect("a clip");
    let spec = reader.spec();
    let yes: Vec<i16> = reader.samples().map(|sample| sample.expect("whole")).collect();
    let mut writer = hound::WavWriter::create(path, spec).expect("room");
    yes.iter().cycle().take(samples).for_each(|sample| writer.write_sample(*sample).expect("room"));
    writer.finalize().expect("room");
}

#[test]
fn the_scores_of_each_clip_are_those_of_the_recipe() {
    let (folder, lines) = (clips(), tempfile::NamedTempFile::new().expect("room"));
    eval(folder.path()).arg("--clips").arg(lines.path()).assert().success();
    let expected: Value = serde_json::from_slice(&fs::read(recorded("expected.json")).expect("numbers")).expect("JSON");
    let text = fs::read_to_string(lines.path()).expect("written");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 7);
    for line in &lines {
        let file = Path::new(line["file"].as_str().expect("a path"));
        let wav = file.with_extension("wav").file_name().expect("a name").to_string_lossy().into_owned();
        let known = expected["clips"].as_array().expect("clips").iter().find(|clip| clip["wav"] == *wav);
        let known = known.expect("one of the recorded clips");
        assert_eq!((&line["truth"], &line["answer"]), (&known["spoken"], &known["answer"]), "{wav}");
        let scores = line["scores"].as_array().expect("scores").iter();
        for (score, golden) in scores.zip(known["scores"].as_array().expect("scores")) {
            let difference = score.as_f64().expect("a number") - golden.as_f64().expect("a number");
            assert!(difference.abs() < 0.01, "{wav}: {score} instead of {golden}");
        }
    }
    let of = |name: &str| lines.iter().find(|line| line["file"].as_str().is_some_and(|file| file.ends_with(name)));
    assert_eq!(of("yes.flac").expect("a clip")["scores"], of("yes.wav").expect("a clip")["scores"]);
}

#[test]
fn the_report_adds_up_and_the_number_of_threads_changes_nothing() {
    let folder = clips();
    let report = json(&mut eval(folder.path()));
    assert_eq!(report, json(eval(folder.path()).args(["--threads", "1"])));
    assert_eq!(report["clips"], 7);
    let labels = report["labels"].as_array().expect("labels");
    let sum = |name: &str| labels.iter().map(|line| line[name].as_u64().expect("a count")).sum::<u64>();
    assert_eq!((sum("clips"), Some(sum("right"))), (7, report["right"].as_u64()));
    let answers = labels.iter().flat_map(|line| line["answers"].as_array().expect("a row"));
    assert_eq!(answers.map(|count| count.as_u64().expect("a count")).sum::<u64>(), 7);
    assert_eq!(report["folders_taken_for_unknown"], serde_json::json!(["camera"]));
    assert_eq!(report["folders_left_out"], serde_json::json!(["_background_noise_"]));
    let share = report["right"].as_f64().expect("a count") / 7.0;
    assert_eq!(report["accuracy"].as_f64(), Some(share));
    let [low, high] = [0, 1].map(|end| report["accuracy_95"][end].as_f64().expect("a limit"));
    assert!(low < share && share <= high, "{low} {share} {high}");
}

#[test]
fn people_read_of_accuracy_labels_and_what_was_taken_for_what() {
    let folder = clips();
    let said = |text: &'static str| predicate::str::contains(text);
    eval(folder.path())
        .assert()
        .success()
        .stdout(said("7 clips\ntaken for unknown, since the model does not know them: camera\n"))
        .stdout(said("left out, since they are of no label: _background_noise_"))
        .stdout(said("with 95 % confidence").and(said("label    clips  right  recall  precision\n")))
        .stdout(said("answers  silence  unknown  yes"));
}

#[test]
fn short_clips_are_filled_up_and_of_long_ones_the_first_second_counts() {
    let folder = tempfile::tempdir().expect("room");
    let yes = folder.path().join("yes");
    fs::create_dir(&yes).expect("room");
    for (name, samples) in [("short", 12_000), ("whole", 16_000), ("long", 48_000)] {
        yes_of_length(&yes.join(format!("{name}.wav")), samples);
    }
    let report = json(&mut eval(folder.path()));
    assert_eq!((&report["clips"], &report["clips_cut"]), (&3.into(), &1.into()));
    let lines = tempfile::NamedTempFile::new().expect("room");
    eval(folder.path()).arg("--clips").arg(lines.path()).assert().success();
    let text = fs::read_to_string(lines.path()).expect("written");
    let scores: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["scores"].take()).collect();
    // By name: long, short, whole.
    assert_eq!(scores[0], scores[2]);
}

#[test]
fn clips_that_cannot_be_read_are_named_and_the_others_measured() {
    let folder = clips();
    fs::write(folder.path().join("go/broken.wav"), "no sound").expect("room");
    fs::write(folder.path().join("go/empty.flac"), "").expect("room");
    eval(folder.path())
        .assert()
        .code(1)
        .stdout(predicate::str::contains("7 clips").and(predicate::str::contains("go/broken.wav: it is no WAV file")))
        .stdout(predicate::str::contains("go/empty.flac: it ends too early to be a FLAC file"))
        .stderr("lookhear: 2 of 9 clips could not be read; the numbers are of the others.\n");
    let nothing = tempfile::tempdir().expect("room");
    eval(nothing.path()).assert().code(1).stderr(predicate::str::contains("it must hold a folder for each word"));
    eval(&nothing.path().join("gone")).assert().code(1).stderr(predicate::str::contains("Cannot list the folder"));
}
