//! A user runs the whole program on files: the same log every time, the frames all accounted for, the bundles found.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn lookhear() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookhear"));
    command.current_dir(root()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").stdin(Stdio::null());
    command
}

/// A few seconds of the demo's street, at its ten frames a second.
fn street(folder: &Path, seconds: u32) -> PathBuf {
    let target = folder.join("street.avi");
    let frames = (seconds * 10).to_string();
    let status = Command::new("ffmpeg")
        // Encoded anew: a copied stream ends with the frames that its last one depends on.
        .args(["-v", "error", "-i", "assets/demo/street.mp4", "-frames:v", &frames, "-c:v", "mjpeg", "-q:v", "2"])
        .arg(&target)
        .current_dir(root())
        .status()
        .expect("ffmpeg is installed by scripts/setup.sh");
    assert!(status.success());
    target
}

fn events(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).expect("the log is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a JSON object")).collect()
}

fn of_type<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == name).collect()
}

#[test]
fn the_log_of_the_same_input_is_the_same_byte_for_byte_whatever_the_load() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let street = street(folder.path(), 6);
    let run = || {
        let output = lookhear()
            .args(["run", "--no-pace", "--preview", "none", "--events", "-", "--camera"])
            .arg(&street)
            .args(["--microphone", "assets/demo/commands.wav"])
            .output()
            .expect("the program starts");
        events(&output);
        output.stdout
    };
    let quiet = run();
    let busy = AtomicBool::new(true);
    let loaded = std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let loaded = run();
        busy.store(false, Ordering::Relaxed);
        loaded
    });
    assert!(quiet.len() > 1000, "{} bytes", quiet.len());
    assert!(quiet == loaded, "two runs over the same input gave different logs");
}

#[test]
fn every_frame_of_a_complete_run_is_looked_at_and_times_never_go_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = lookhear()
        .args(["run", "--no-pace", "--preview", "none", "--events", "-", "--camera"])
        .arg(street(folder.path(), 3))
        .args(["--microphone", "assets/demo/commands.wav"])
        .output()
        .expect("the program starts");
    let events = events(&output);
    let frames = of_type(&events, "detections");
    assert_eq!(frames.len(), 30, "three seconds at ten frames a second");
    for (expected, frame) in frames.iter().enumerate() {
        assert_eq!(frame["frame"], expected, "frames come in order, none is left out");
    }
    let persons = frames.iter().filter(|frame| frame.to_string().contains("person")).count();
    assert!(persons > 15, "persons walk through the whole scene, and {persons} of 30 frames show one");
    let times: Vec<f64> = events.iter().filter_map(|event| event["time_s"].as_f64()).collect();
    let last = times.len() - 1;
    assert!(times[..last].windows(2).all(|pair| pair[0] <= pair[1]), "only the ledger stands outside the order");
    let ledger = events.last().expect("a log has a last line");
    assert_eq!(ledger["type"], "ledger");
    for edge in ledger["edges"].as_array().expect("the ledger has edges") {
        let count = |key: &str| edge[key].as_u64().expect("a count");
        assert_eq!(count("delivered"), count("used") + count("skipped") + count("lost"), "{edge}");
        assert_eq!(count("skipped") + count("lost"), 0, "{edge}");
    }
    assert_eq!(ledger["edges"].as_array().map(Vec::len), Some(2), "{ledger}");
}

#[test]
fn the_statistics_tell_how_long_each_result_took() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = lookhear()
        .args(["run", "--no-pace", "--preview", "none", "--events", "-", "--stats", "--camera"])
        .arg(street(folder.path(), 2))
        .output()
        .expect("the program starts");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let row = text.lines().rfind(|line| line.starts_with("capture → result")).expect("a row");
    let numbers: Vec<f64> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [p50, p95, p99, longest, count] = numbers[..] else { panic!("{row}") };
    assert_eq!(count, 20.0, "every frame has a result: {row}");
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99 && p99 <= longest, "{row}");
    assert!(!text.contains("in the window"), "there is none: {text}");
}

#[test]
fn in_real_time_what_the_detector_misses_is_counted_as_skipped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Four hundred frames a second are more than the float model follows in one thread on any machine that runs this.
    let fast = folder.path().join("fast.mp4");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=640x480:rate=400:duration=1", "-pix_fmt", "yuv420p"])
        .arg(&fast)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    let output = lookhear()
        .args(["run", "--preview", "none", "--events", "-", "--camera"])
        .arg(&fast)
        .env("LOOKHEAR_OBJECTS_THREADS", "1")
        .output()
        .expect("the program starts");
    let events = events(&output);
    let ledger = events.last().expect("a log has a last line");
    let edge = &ledger["edges"][0];
    assert_eq!(edge["edge"], "camera → detector");
    let count = |key: &str| edge[key].as_u64().expect("a count");
    assert_eq!(count("delivered"), 400, "the camera waited for nobody: {edge}");
    assert_eq!(count("used") + count("skipped") + count("lost"), 400, "{edge}");
    assert_eq!(count("used"), of_type(&events, "detections").len() as u64);
    assert!(count("skipped") > 0, "{edge}");
}

#[test]
fn an_interrupt_stops_a_live_run_in_good_order() {
    let mut child = lookhear()
        .args(["run", "--preview", "none", "--events", "-", "--camera", "assets/demo/street.mp4"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_secs(2));
    let asked = Instant::now();
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(signalled.success());
    let status = loop {
        match child.try_wait().expect("the child is ours") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
        // Ten times what the design promises.
        assert!(asked.elapsed() < Duration::from_secs(10), "it does not stop");
    };
    assert!(status.success(), "{status}");
    let output = child.wait_with_output().expect("its output was kept");
    let events = events(&output);
    assert_eq!(events.last().expect("a log has a last line")["type"], "ledger");
}

#[test]
fn it_finds_its_bundles_from_another_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = lookhear()
        .current_dir(folder.path())
        .args(["run", "--no-pace", "--preview", "none", "--events", "-", "--camera"])
        .arg(street(folder.path(), 1))
        .output()
        .expect("the program starts");
    assert_eq!(of_type(&events(&output), "detections").len(), 10);
}

#[test]
fn a_wrong_configuration_is_wrong_usage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("lookhear.toml");
    std::fs::write(&file, "[objects]\ntreshold = 0.4\n").expect("room");
    let output = lookhear().args(["run", "--config"]).arg(&file).output().expect("the program starts");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("line 2: unknown key `treshold`; the nearest is `threshold`"), "{message}");
    let output = lookhear().args(["run", "--no-such-flag"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_configuration_is_written_and_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let mut command = lookhear();
        command.current_dir(folder.path()).args(arguments).env("LOOKHEAR_OBJECTS_LABELS", "person,car");
        command.output().expect("the program starts")
    };
    assert!(run(&["init"]).status.success());
    assert_eq!(run(&["init"]).status.code(), Some(1), "nothing is overwritten");
    let shown = run(&["config", "show"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success());
    assert!(
        text.contains("labels = [\"person\", \"car\"]") && text.contains("# from LOOKHEAR_OBJECTS_LABELS"),
        "{text}"
    );
}
