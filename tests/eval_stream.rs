//! Measuring a spotter on streams: the demo's ten commands, whose places are known, and what is made of other truths.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

const AUDIO: &str = "assets/demo/commands.wav";
const COMMANDS: [&str; 10] = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"];

/// The demo's words with these names: number i begins at 1.5 s + i · 2.6 s and is over within 0.6 s.
fn truth(names: [&str; 10]) -> String {
    let start = |number: usize| 1.5 + 2.6 * number as f64;
    let rows = names.iter().enumerate();
    rows.map(|(number, name)| format!("{},{},{name}\n", start(number), start(number) + 0.6)).collect()
}

/// A folder in which truths are written.
struct Truths(TempDir);

impl Truths {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("room"))
    }

    fn eval(&self, truths: &[&str]) -> Command {
        let mut command = Command::cargo_bin("lookhear").expect("built");
        command.args(["eval", "stream"]);
        for (number, text) in truths.iter().enumerate() {
            let path = self.0.path().join(format!("{number}.csv"));
            fs::write(&path, text).expect("room");
            command.args(["--audio", AUDIO, "--truth"]).arg(path);
        }
        command
    }

    fn measured(&self, truths: &[&str]) -> Value {
        json(&mut self.eval(truths))
    }
}

fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().expect("a count")
}

/// The shipped bundle with one threshold for all words.
fn bundle(folder: &Path, threshold: f64) {
    for file in ["model.tflite", "dict.txt"] {
        fs::copy(Path::new("models/keywords").join(file), folder.join(file)).expect("room");
    }
    let text = fs::read("models/keywords/tflite_metadata.json").expect("metadata");
    let mut metadata: Value = serde_json::from_slice(&text).expect("JSON");
    let decision = &mut metadata["lookhear"]["decision"];
    decision["threshold"] = threshold.into();
    decision.as_object_mut().expect("an object").remove("thresholds");
    fs::write(folder.join("tflite_metadata.json"), metadata.to_string()).expect("room");
}

#[test]
fn the_demo_s_commands_are_heard_where_they_are_spoken() {
    let report = Truths::new().measured(&[&truth(COMMANDS)]);
    assert_eq!((count(&report, "spoken"), count(&report, "hits") + count(&report, "misses")), (10, 10));
    assert!(count(&report, "hits") >= 7, "{report}");
    assert_eq!([count(&report, "wrong_words"), count(&report, "false_accepts")], [0, 0]);
    // 28 s, less ten windows of 1.6 s.
    let hours = report["hours_without_commands"].as_f64().expect("hours");
    assert!((hours * 3600.0 - 12.0).abs() < 1e-6, "{hours}");
    // None in 12 s: fewer than 3 in 12 s.
    let limit = report["false_accepts_an_hour_95"][1].as_f64().expect("a limit");
    assert!((limit - 2.9957 * 300.0).abs() < 0.1, "{limit}");
    let delay = report["delay_s"]["p50"].as_f64().expect("delays");
    assert!((-0.6..1.0).contains(&delay), "{delay}");
}

#[test]
fn the_same_reports_are_wrong_words_or_false_accepts_by_another_truth() {
    let truths = Truths::new();
    let heard = count(&truths.measured(&[&truth(COMMANDS)]), "hits");
    let mut shifted = COMMANDS;
    shifted.rotate_left(1);
    let report = truths.measured(&[&truth(shifted)]);
    assert_eq!((count(&report, "wrong_words"), count(&report, "misses")), (heard, 10));
    let report = truths.measured(&["# nothing is said\nstart_s,end_s,label\n"]);
    assert_eq!((count(&report, "false_accepts"), count(&report, "spoken")), (heard, 0));
    assert!(report["miss_rate"].is_null() && report["mistakes"][0]["spoken"].is_null());
    let report = truths.measured(&[&truth(["marvin"; 10])]);
    assert_eq!((count(&report, "false_accepts"), &report["no_commands"]["marvin"]), (heard, &10.into()));
    assert!(report["mistakes"].as_array().expect("a list").iter().all(|one| one["spoken"] == "marvin"));
}

#[test]
fn several_streams_are_judged_together() {
    let truths = Truths::new();
    let alone = truths.measured(&[&truth(COMMANDS)]);
    let report = truths.measured(&[&truth(COMMANDS), "", &truth(COMMANDS)]);
    let heard = count(&alone, "hits");
    assert_eq!((count(&report, "spoken"), count(&report, "hits")), (20, 2 * heard));
    assert_eq!(count(&report, "false_accepts"), heard);
    let seconds = report["hours_without_commands"].as_f64().expect("hours") * 3600.0;
    assert!((seconds - (28.0 + 2.0 * 12.0)).abs() < 1e-6, "{seconds}");
}

#[test]
fn a_threshold_of_the_sweep_does_what_the_spotter_does_with_it() {
    let truths = Truths::new();
    for threshold in [0.35, 0.75, 0.95] {
        let folder = tempfile::tempdir().expect("room");
        bundle(folder.path(), threshold);
        let report = json(truths.eval(&[&truth(COMMANDS), ""]).arg("--model").arg(folder.path()));
        let sweep = report["sweep"].as_array().expect("a list");
        assert_eq!(sweep.len(), 156);
        let near = |point: &&Value| (point["threshold"].as_f64().expect("a number") - threshold).abs() < 1e-3;
        let point = sweep.iter().find(near).expect("it was tried");
        for name in ["hits", "misses", "wrong_words", "repeats", "false_accepts", "false_accepts_an_hour"] {
            assert_eq!(point[name], report[name], "{name} at {threshold}");
        }
    }
}

#[test]
fn rates_are_not_claimed_without_the_hours_for_them() {
    let truths = Truths::new();
    truths
        .eval(&[&truth(COMMANDS)])
        .assert()
        .success()
        .stdout(predicate::str::contains("assets/demo/commands.wav   0.5 min  10 commands\n0.2 min without commands\n"))
        .stdout(predicate::str::contains("an hour: not claimed: needs 3 h without commands, this is 0.2 min"))
        .stdout(predicate::str::contains("an hour: not claimed: needs 30 h without commands"))
        .stdout(predicate::str::contains("false accepts       0   0.00 an hour   0.00 to 898.72"));
    let report = truths.measured(&[&truth(COMMANDS)]);
    assert!(report["at_rates"].as_array().expect("a list").iter().all(|rate| rate["best"].is_null()));
}

#[test]
fn the_curve_is_drawn() {
    let truths = Truths::new();
    let picture = truths.0.path().join("curve.svg");
    truths.eval(&[&truth(COMMANDS), ""]).arg("--plot").arg(&picture).assert().success();
    let svg = fs::read_to_string(&picture).expect("written");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("false accepts an hour"), "{svg}");
    let nothing_said = truths.eval(&[""]).arg("--plot").arg(&picture).assert().code(1);
    nothing_said.stderr(predicate::str::starts_with("lookhear: Cannot draw a curve: it takes spoken commands"));
}

#[test]
fn what_cannot_be_judged_is_said_in_one_sentence_before_hours_are_heard() {
    let truths = Truths::new();
    let refused = |command: &mut Command, reason: &str| {
        let text = String::from_utf8(command.assert().code(1).get_output().stderr.clone()).expect("text");
        assert!(text.starts_with("lookhear: ") && text.contains(reason) && text.lines().count() == 1, "{text}");
    };
    refused(&mut truths.eval(&["30,31,yes\n"]), "has a word at 30.0 s, and the sound ends at 28.0 s");
    refused(&mut truths.eval(&["1,2,yes\n3,2,no\n"]), "line 2 has times that are not in order");
    refused(truths.eval(&[""]).args(["--audio", AUDIO]), "There are 2 --audio and 1 --truth");
    refused(truths.eval(&[""]).args(["--plot", "curve.png"]), "give it a name that ends in .svg");
    refused(truths.eval(&[""]).args(["--audio", AUDIO, "--truth", "gone.csv"]), "Cannot read gone.csv: ");
    let nothing_said = truths.0.path().join("0.csv");
    let missing_sound = "Cannot read gone.wav: there is no such file; check the path.";
    refused(truths.eval(&[""]).args(["--audio", "gone.wav", "--truth"]).arg(nothing_said), missing_sound);
}
