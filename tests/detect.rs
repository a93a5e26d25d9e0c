//! Detecting objects in pictures: the numbers are those of the Python interpreter, and the command says what it should.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use lookhear::findings::{Detection, EventKind};
use lookhear::flow::{Hub, Ledger, Pace, Stage, Stop, handover};
use lookhear::media::{FramePool, Geometry, MediaTime, PixelFormat, RgbView};
use lookhear::model::{Bundle, Delegate};
use lookhear::vision::{Audience, Detector, DetectorError, ObjectFinder, ObjectsConfig};
use predicates::prelude::*;
use serde_json::Value;

const PICTURES: [&str; 2] = ["street_48s.png", "street_70s.png"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn picture(name: &str) -> image::RgbImage {
    let path = root().join("tests/data/objects").join(name);
    image::open(path).expect("a picture").into_rgb8()
}

fn view(image: &image::RgbImage) -> RgbView<'_> {
    RgbView { pixels: image.as_raw(), width: image.width(), height: image.height() }
}

fn finder(bundle: &Path, threshold: f32) -> ObjectFinder {
    let config = ObjectsConfig { threshold: Some(threshold), threads: Some(1), ..ObjectsConfig::default() };
    ObjectFinder::new(&config, &Bundle::open(bundle).expect("a bundle")).expect("a detector")
}

/// How far a detection may be from the golden one: a side of its box, and its score.
struct Tolerance {
    side: f32,
    score: f32,
}

/// Float arithmetic in another order of summation.
const FLOAT: Tolerance = Tolerance { side: 1e-5, score: 1e-5 };
/// Quantised models: kernels may round a value to either neighbour.
const QUANTISED: Tolerance = Tolerance { side: 1e-3, score: 1e-2 };

/// Compares with golden numbers: the same labels, boxes and scores within the tolerance. Equal scores have no fixed order, and
/// what lies within the tolerance of the threshold may be missing on either side.
fn check_parity(bundle: &Path, golden: &str, tolerance: &Tolerance) {
    let text = std::fs::read_to_string(root().join("tests/data/objects").join(golden)).expect("golden numbers");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let threshold = golden["threshold"].as_f64().expect("a number") as f32;
    let mut finder = finder(bundle, threshold - tolerance.score);
    let kernels = if finder.delegate() == Delegate::Xnnpack { "xnnpack" } else { "builtin" };
    for name in PICTURES {
        let mut found = Vec::new();
        finder.find(view(&picture(name)), &mut found).expect("it is looked at");
        assert!(found.is_sorted_by(|a, b| a.score >= b.score), "the surest first");
        let expected = golden[kernels][name].as_array().expect("a list");
        for one in expected {
            let number = |value: &Value| value.as_f64().expect("a number") as f32;
            let score = number(&one["score"]);
            let close = |detection: &Detection| {
                let bounds = detection.bounds;
                let sides = [bounds.x, bounds.y, bounds.w, bounds.h];
                let expected = ["x", "y", "w", "h"].map(|side| number(&one["box"][side]));
                *detection.label == *one["label"].as_str().expect("a label")
                    && (detection.score - score).abs() < tolerance.score
                    && sides.iter().zip(expected).all(|(side, expected)| (side - expected).abs() < tolerance.side)
            };
            match found.iter().position(close) {
                Some(index) => drop(found.remove(index)),
                None => panic!("{name}, {kernels}: {one} is missing in {found:#?}"),
            }
        }
        found.retain(|detection| detection.score > threshold + tolerance.score);
        assert!(found.is_empty(), "{name}, {kernels}: the reference has no {found:#?}");
    }
}

#[test]
fn the_default_bundle_gives_the_numbers_of_the_python_interpreter() {
    check_parity(&root().join("models/objects"), "objects_expected.json", &QUANTISED);
}

#[test]
fn the_float_bundle_gives_the_numbers_of_the_python_interpreter() {
    check_parity(&root().join("models/objects-float"), "objects_float_expected.json", &FLOAT);
}

#[test]
fn coco_ssd_gives_the_numbers_of_the_python_interpreter() {
    let bundle = root().join("../shared/data/vision/models/coco_ssd_mobilenet_v1");
    if !bundle.exists() {
        println!("skipped: the COCO model is not part of this project");
        return;
    }
    check_parity(&bundle, "coco_ssd_expected.json", &QUANTISED);
}

#[test]
fn outputs_without_names_and_with_empty_slots_are_read() {
    let mut finder = finder(&root().join("tests/data/models/post_process.tflite"), 0.4);
    // Grey is a box code of nearly 0 in this model, so that its boxes are its anchors: the quarters at the upper left and
    // lower right, with the scores that are written in the model. Three of its five slots hold nothing.
    let grey = image::RgbImage::from_pixel(8, 6, image::Rgb([127, 128, 127]));
    let mut found = Vec::new();
    finder.find(view(&grey), &mut found).expect("it is looked at");
    let short: Vec<_> = found.iter().map(|one| (&*one.label, one.score, one.bounds)).collect();
    assert_eq!(short.len(), 2, "{short:?}");
    for ((label, score, bounds), (expected, sure, corner)) in short.into_iter().zip([("0", 0.8, 0.0), ("1", 0.7, 0.5)])
    {
        assert_eq!((label, score), (expected, sure));
        let sides = [bounds.x - corner, bounds.y - corner, bounds.w - 0.5, bounds.h - 0.5];
        assert!(sides.iter().all(|difference| difference.abs() < 2e-3), "{bounds:?}");
    }
    assert_eq!(finder.dropped(), 0);
}

#[test]
fn labels_thresholds_and_size_choose_what_is_reported() {
    let bundle = Bundle::open(&root().join("models/objects")).expect("a bundle");
    let labels = |config: ObjectsConfig| {
        let mut finder = ObjectFinder::new(&config, &bundle).expect("a detector");
        let mut found = Vec::new();
        finder.find(view(&picture(PICTURES[0])), &mut found).expect("it is looked at");
        found.iter().map(|one| one.label.to_string()).collect::<Vec<_>>()
    };
    let default = ObjectsConfig::default;
    let count = |labels: &[String], label: &str| labels.iter().filter(|found| *found == label).count();
    let all = labels(default());
    assert!(count(&all, "person") >= 5 && count(&all, "car") >= 1, "{all:?}");
    let cars = labels(ObjectsConfig { labels: vec!["car".into()], ..default() });
    assert_eq!((count(&cars, "car"), cars.len()), (count(&all, "car"), cars.len()));
    assert_eq!(count(&labels(ObjectsConfig { ignore: vec!["car".into()], ..default() }), "car"), 0);
    let strict = labels(ObjectsConfig { thresholds: [("person".to_owned(), 0.99)].into(), ..default() });
    assert_eq!((count(&strict, "person"), count(&strict, "car")), (0, count(&all, "car")));
    assert!(labels(ObjectsConfig { smallest: 0.5, ..default() }).is_empty());
}

#[test]
fn what_the_model_does_not_know_is_refused_with_what_was_meant() {
    let bundle = Bundle::open(&root().join("models/objects")).expect("a bundle");
    let refused = |config: ObjectsConfig| ObjectFinder::new(&config, &bundle).expect_err("refused");
    let error = refused(ObjectsConfig { ignore: vec!["Persn".into()], ..ObjectsConfig::default() });
    assert!(matches!(&error, DetectorError::Label { nearest, .. } if &**nearest == "person"), "{error}");
    let error = refused(ObjectsConfig { threshold: Some(40.0), ..ObjectsConfig::default() });
    assert_eq!(error.to_string(), "objects.threshold is 40, and must be in 0…1; change it.");
}

#[test]
fn each_frame_gives_exactly_one_event_even_if_it_cannot_be_decoded() {
    let (ledger, stop) = (Ledger::new(), Stop::new());
    let mut hub = Hub::new(Pace::Complete, &ledger);
    let events = hub.subscribe("test", true);
    let (writer, reader) = handover(Pace::Complete, ledger.edge("camera → detector"));
    let bundle = Bundle::open(&root().join("models/objects")).expect("a bundle");
    let mut detector =
        Detector::new(&ObjectsConfig::default(), &bundle, reader, hub.publisher("detector"), false, Audience::Alone)
            .expect("a detector");
    let camera = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let (mut pool, image) = (FramePool::new(8), picture(PICTURES[0]));
            for sequence in 0..3 {
                let frame = pool.fill(|frame| {
                    let geometry = Geometry::packed(PixelFormat::Rgb24, image.width(), image.height());
                    let data = frame.begin(geometry, sequence, MediaTime::of_count(sequence, 10, 1));
                    // The second is cut off.
                    let length = if sequence == 1 { 7 } else { image.as_raw().len() };
                    data.extend_from_slice(&image.as_raw()[..length]);
                    Ok::<_, ()>(())
                });
                assert!(writer.give(frame.expect("free").expect("filled"), &stop));
            }
        }
    });
    let stage = std::thread::spawn({
        let stop = stop.clone();
        move || detector.run(&stop)
    });
    let hub = std::thread::spawn({
        let life = stop.clone();
        move || hub.run(&life)
    });
    let seen: Vec<_> = std::iter::from_fn(|| events.next(&stop))
        .map(|event| {
            let EventKind::Detections(detections) = event.kind else { panic!("a detector finds objects only") };
            assert_eq!((event.time, event.at), (detections.time, None));
            (detections.frame, event.time.as_nanos() / 1_000_000, !detections.items.is_empty())
        })
        .collect();
    assert_eq!(seen, [(0, 0, true), (1, 100, false), (2, 200, true)]);
    camera.join().expect("no panic");
    stage.join().expect("no panic").expect("it ends with its source");
    hub.join().expect("no panic");
}

/// The program with a memory of tried models of its own, so that no test depends on what ran before.
fn lookhear(cache: &Path) -> Command {
    let mut command = Command::cargo_bin("lookhear").expect("the program is built");
    command.current_dir(root()).env("XDG_CACHE_HOME", cache).env_remove("LOOKHEAR_LOG");
    command
}

#[test]
fn the_command_prints_a_table_or_json() {
    let cache = tempfile::tempdir().expect("a folder");
    let picture = "tests/data/objects/street_48s.png";
    lookhear(cache.path())
        .args(["detect", "--model", "models/objects", picture])
        .assert()
        .success()
        .stderr("")
        .stdout(predicate::str::starts_with(format!("{picture}  300×300\n  person                   0.5")));
    let output = lookhear(cache.path())
        .args(["detect", "--model", "models/objects", "--labels", "car", "--threshold", "0.45", "--json", picture])
        .output()
        .expect("it runs");
    let line: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&line["image"], &line["width"]), (&picture.into(), &300.into()));
    let detections = line["detections"].as_array().expect("a list");
    assert_eq!(detections.len(), 2, "{line}");
    assert!(detections.iter().all(|one| one["label"] == "car" && one["box"]["x"].is_f64()), "{line}");
}

#[test]
fn a_picture_that_cannot_be_read_is_named_and_the_others_are_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = root().join("tests/data/objects/street_48s.png");
    let (damaged, text) = (folder.path().join("damaged.png"), folder.path().join("text.png"));
    std::fs::write(&damaged, &std::fs::read(&good).expect("a picture")[..5000]).expect("written");
    std::fs::write(&text, "no picture").expect("written");
    let missing = folder.path().join("missing.jpg");
    lookhear(folder.path())
        .args(["detect", "--model", "models/objects"])
        .args([&damaged, &text, &missing, &good])
        .assert()
        .code(1)
        .stdout(predicate::str::contains("street_48s.png  300×300\n  person"))
        .stderr(predicate::str::contains(format!("Cannot read the picture {}: ", damaged.display())))
        .stderr(predicate::str::contains("text.png: The image format could not be determined"))
        .stderr(predicate::str::contains("missing.jpg: No such file or directory (os error 2); check the path."))
        .stderr(predicate::str::contains("3 of 4 pictures could not be looked at"));
}

#[test]
fn inspecting_a_bundle_tells_all_about_it() {
    let cache = tempfile::tempdir().expect("a folder");
    let inspect = |bundle: &str, parts: &[&str]| {
        let assert = lookhear(cache.path()).args(["model", "inspect", bundle]).assert().success().stderr("");
        let assert = assert.stdout(predicate::str::starts_with(format!("{bundle}: detection\n")));
        let assert = assert.stdout(predicate::str::is_match("runs    [0-9.]+ ms with ").expect("a pattern"));
        parts.iter().fold(assert, |assert, part| assert.stdout(predicate::str::contains(*part)));
    };
    inspect(
        "models/objects-float",
        &[
            "float32 [1, 300, 300, 3]",
            "24: background, bicycle",
            "pixels  (p − 127.5) / 127.5, stretched",
            "class offset 0",
        ],
    );
    let tried = std::fs::read_to_string(cache.path().join("lookhear/tried-models")).expect("it is remembered");
    assert_eq!(tried, "d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6\n");
    inspect(
        "models/objects",
        &[
            "uint8 [1, 300, 300, 3]",
            "float32 [1, 40, 4]",
            "23: bicycle, boot",
            "pixels  as they are, stretched",
            "TFLite_Detection_PostProcess, decoded in the model",
            "class offset 1",
        ],
    );
    let output =
        lookhear(cache.path()).args(["model", "inspect", "--json", "models/objects"]).output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&report["task"], &report["threshold"]), (&"detection".into(), &0.4.into()));
    assert_eq!(report["inputs"][0]["shape"], Value::from(vec![1, 300, 300, 3]));
    assert_eq!(report["labels"].as_array().map(Vec::len), Some(23));
    assert!(report["dry_run"]["time_ms"].as_f64().is_some_and(|time| time > 0.0), "{report}");
}

#[test]
fn a_bundle_can_be_shared_by_several_finders() {
    let bundle = Arc::new(Bundle::open(&root().join("tests/data/models/post_process.tflite")).expect("a bundle"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let bundle = Arc::clone(&bundle);
            std::thread::spawn(move || {
                let config = ObjectsConfig { threads: Some(1), ..ObjectsConfig::default() };
                let mut finder = ObjectFinder::new(&config, &bundle).expect("a detector");
                let (grey, mut found) = (image::RgbImage::from_pixel(2, 2, image::Rgb([128; 3])), Vec::new());
                finder.find(view(&grey), &mut found).expect("it is looked at");
                found.len()
            })
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().expect("no panic") == 2));
}

#[test]
fn a_picture_of_any_size_is_stretched() {
    let mut finder = finder(&root().join("tests/data/models/post_process.tflite"), 0.4);
    let mut found = Vec::new();
    for (width, height) in [(1, 1), (1, 999), (4000, 3)] {
        let image = image::RgbImage::from_pixel(width, height, image::Rgb([128; 3]));
        finder.find(view(&image), &mut found).expect("it is looked at");
        assert_eq!(found.len(), 2);
    }
    let none = RgbView { pixels: &[], width: 0, height: 5 };
    assert!(matches!(finder.find(none, &mut found), Err(DetectorError::Picture { .. })));
    let short = RgbView { pixels: &[0; 10], width: 5, height: 5 };
    assert!(matches!(finder.find(short, &mut found), Err(DetectorError::Picture { .. })));
    assert!(found.is_empty());
}

#[test]
fn a_spotter_is_no_detector() {
    let path: PathBuf = root().join("tests/data/models/reshape_int8.tflite");
    let bundle = Bundle::open(&path).expect("it is a model");
    let error = ObjectFinder::new(&ObjectsConfig::default(), &bundle).expect_err("it finds nothing");
    assert_eq!(
        error.to_string(),
        "The bundle reshape_int8 finds no objects (its task is unknown); name one that does."
    );
}
