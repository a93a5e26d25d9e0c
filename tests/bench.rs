//! A user measures the machine, keeps the fastest way, and runs with it. No test says how fast a machine must be.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

struct User {
    folder: tempfile::TempDir,
}

impl User {
    /// Somebody with a configuration file of his own that says nothing, and nothing measured yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("lookhear.toml"), "").expect("room");
        Self { folder }
    }

    fn measured(&self) -> PathBuf {
        self.folder.path().join("measured.toml")
    }

    fn lookhear(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lookhear"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command.env("LOOKHEAR_MEASURED", self.measured()).env_remove("LOOKHEAR_LOG");
        command
    }

    fn bench(&self, arguments: &[&str]) -> Value {
        let arguments = [&["bench", "--seconds", "0.5", "--json"], arguments].concat();
        serde_json::from_str(&text(&self.lookhear(&arguments).output().expect("it starts"))).expect("JSON")
    }

    /// The lines of `config show` that have to do with speed, and what was logged.
    fn shown(&self, environment: &[(&str, &str)]) -> (Vec<String>, String) {
        let file = self.folder.path().join("lookhear.toml");
        let mut command = self.lookhear(&["config", "show", "--verbose", "--config"]);
        let output = command.arg(file).envs(environment.iter().copied()).output().expect("it starts");
        let objects = text(&output);
        let objects = objects.split("\n\n").find(|section| section.starts_with("[objects]")).expect("a section");
        let speed = |line: &&str| line.starts_with("threads") || line.starts_with("accelerate");
        let lines = objects.lines().filter(speed).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        (lines.collect(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, usize::from) as u64
}

/// Half a second is shared by all ways and parts, so most have the fewest runs, which are still some.
fn check_times(times: &Value) {
    let (median, p95) = (number(&times["median_ms"]), number(&times["p95_ms"]));
    assert!(0.0 < median && median <= p95 && number(&times["runs"]) >= 3.0, "{times}");
}

#[test]
fn the_numbers_of_a_report_follow_from_each_other() {
    let report = User::new().bench(&[]);
    let ways = report["ways"].as_array().expect("a list");
    ways.iter().for_each(check_times);
    let asked = |threads: u64, accelerate: bool| {
        ways.iter().any(|way| way["threads"] == threads && way["accelerate"] == accelerate)
    };
    let has_xnnpack = ways.iter().any(|way| way["delegate"] == "xnnpack");
    for threads in [1, cores()] {
        assert!(asked(threads, false) && asked(threads, true) == has_xnnpack, "{threads}: {ways:?}");
    }
    let fastest = &report["fastest"];
    let of = |way: &Value| way["threads"] == fastest["threads"] && way["accelerate"] == fastest["accelerate"];
    let fastest = number(&ways.iter().find(|way| of(way)).expect("one of the ways")["median_ms"]);
    assert!(ways.iter().all(|way| number(&way["median_ms"]) * 1.04 > fastest), "{report}");

    let parts = &report["parts"];
    let names = ["decode_mjpeg", "convert_yuyv", "resize", "inference", "post_process", "draw", "spotter_second"];
    assert!(parts.as_object().expect("an object").keys().eq(&names));
    names.iter().for_each(|name| check_times(&parts[name]));
    for (format, to_rgb) in [("mjpeg", "decode_mjpeg"), ("yuyv", "convert_yuyv")] {
        let median = |part: &str| number(&parts[part]["median_ms"]);
        let sum = |parts: &[&str]| median(to_rgb) + parts.iter().map(|part| median(part)).sum::<f64>();
        let detector = sum(&["resize", "inference", "post_process"]);
        let preview = sum(&["draw"]);
        let around = sum(&["resize", "post_process", "draw"]);
        let expected = [
            ("detector_ms", detector, 1e-3),
            ("detector_hz", 1e3 / detector, 1e-2),
            ("preview_ms", preview, 1e-3),
            ("preview_hz", 1e3 / preview, 1e-2),
            ("around_ms", around, 1e-3),
            ("around_share", around / median("inference"), 1e-4),
        ];
        for (name, expected, step) in expected {
            let found = number(&report["follows"][format][name]);
            assert!((found - expected).abs() <= step, "{format} {name}: {found}, not {expected}");
        }
    }
    assert_eq!((&report["picture"]["width"], &report["picture"]["height"]), (&640.into(), &480.into()));
    assert!(report["machine"]["processor"].as_str().is_some_and(|processor| processor.contains(", ")), "{report}");
    assert_eq!(report["saved"], Value::Null);
}

#[test]
fn as_many_threads_work_as_are_asked_for() {
    let report = User::new().bench(&["--threads", "2"]);
    for way in report["ways"].as_array().expect("a list") {
        assert_eq!(way["threads"], 2, "{way}");
        match (&way["threads_at_work"], way["delegate"].as_str()) {
            (Value::Null, _) => println!("skipped: this system does not tell how long each thread worked"),
            // XNNPACK's two, and one more for what is not XNNPACK's: the operator that suppresses overlapping boxes.
            (at_work, Some("xnnpack")) => assert!((2..=3).contains(&at_work.as_u64().expect("a count")), "{way}"),
            // Two libraries in these kernels have threads of their own.
            (at_work, _) => assert!((1..=4).contains(&at_work.as_u64().expect("a count")), "{way}"),
        }
    }
}

#[test]
fn what_is_saved_is_what_run_takes_on_this_processor_with_this_model() {
    let user = User::new();
    assert_eq!(user.shown(&[]).0, ["accelerate = true # default"]);
    std::fs::write(user.measured(), "threads = \"many\"\n").expect("room");
    let damaged = user.lookhear(&["config", "show"]).output().expect("it starts");
    let reason = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert_eq!(damaged.status.code(), Some(2), "{reason}");
    assert!(reason.contains("measured.toml") && reason.contains("run `lookhear bench --save` again, or delete it."));

    // It cannot be read, and is no obstacle to what replaces it.
    let report = user.bench(&["--threads", "2", "--save"]);
    let measured = user.measured().display().to_string();
    assert_eq!(report["saved"], measured);
    let accelerate = &report["fastest"]["accelerate"];
    let saved = [format!("threads = 2 # from {measured}"), format!("accelerate = {accelerate} # from {measured}")];
    let sorted = |mut lines: Vec<String>| {
        lines.sort_by_key(|line| !line.starts_with("threads"));
        lines
    };
    assert_eq!(sorted(user.shown(&[]).0), saved);
    let with_variable = user.shown(&[("LOOKHEAR_OBJECTS_THREADS", "1")]).0;
    assert!(with_variable.contains(&"threads = 1 # from LOOKHEAR_OBJECTS_THREADS".to_owned()), "{with_variable:?}");

    let picture = "tests/data/objects/street_48s.png";
    let run = ["run", "--no-pace", "--preview", "none", "--events", "-", "--camera", picture, "--config"];
    let output = user.lookhear(&run).arg(user.folder.path().join("lookhear.toml")).output().expect("it starts");
    assert!(text(&output).contains("\"type\":\"detections\""));
    let log = String::from_utf8_lossy(&output.stderr);
    let kernels = if *accelerate == true { "XNNPACK" } else { "the plain kernels" };
    assert!(log.contains("threads=2") && log.contains(kernels), "{log}");

    let of_here = std::fs::read_to_string(user.measured()).expect("it is there");
    let changed = |key: &str| {
        let line = of_here.lines().find(|line| line.starts_with(key)).expect("the key");
        std::fs::write(user.measured(), of_here.replace(line, &format!("{key} = \"another\""))).expect("room");
        user.shown(&[])
    };
    let (lines, log) = changed("processor");
    assert_eq!(lines, ["accelerate = true # default"]);
    assert!(log.contains("another processor was measured"), "{log}");
    let (lines, log) = changed("model_sha256");
    assert_eq!(lines, ["accelerate = true # default"]);
    assert!(log.contains("another model was measured"), "{log}");
}

#[test]
fn what_cannot_be_measured_is_told_in_a_sentence() {
    let user = User::new();
    let refused = |arguments: &[&str], code: i32, reason: &str| {
        let output = user.lookhear(arguments).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(reason), "{error}");
    };
    refused(&["bench", "--model", "models/keywords"], 1, "finds no objects");
    refused(&["bench", "--model", "no/such/bundle"], 1, "Cannot read no/such/bundle");
    refused(&["bench", "--threads", "0"], 2, "0 is not in 1..=64");
    refused(&["bench", "--seconds", "nan"], 2, "it is not between 0.1 and 600");
    assert!(!Path::new(&user.measured()).exists());
}
