//! Measuring a detector: the numbers are pycocotools', and the command says what it measured.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use lookhear::vision::{AveragePrecision, CocoTruth, FoundBox, Measured, PixelBox, Precision, TrueBox};
use predicates::prelude::*;
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(root().join("tests/data/average_precision").join(name)).expect("golden data")
}

/// The measure of `categories` (ids of `truth.json`, the first of which is 11) on the golden boxes.
fn measured(categories: &[usize]) -> Measured {
    let truth = CocoTruth::parse(&golden("truth.json")).expect("right");
    let all: Value = serde_json::from_slice(&golden("found.json")).expect("JSON");
    let class_of = |id: usize| categories.iter().position(|category| *category == id);
    let number = |value: &Value| value.as_u64().expect("a number") as usize;
    let mut measure = AveragePrecision::new(categories.len());
    for (index, picture) in truth.pictures.iter().enumerate() {
        let found: Vec<FoundBox> = all
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| {
                let [x, y, w, h] = [0, 1, 2, 3].map(|side| one["bbox"][side].as_f64().expect("a number"));
                let class = class_of(number(&one["category_id"])).filter(|_| number(&one["image_id"]) == index + 1)?;
                Some(FoundBox {
                    class,
                    bounds: PixelBox { x, y, w, h },
                    score: one["score"].as_f64().expect("a number"),
                })
            })
            .collect();
        let boxes: Vec<TrueBox> =
            picture.boxes.iter().filter_map(|one| Some(TrueBox { class: class_of(one.class + 11)?, ..*one })).collect();
        measure.add(&boxes, &found);
    }
    measure.measured()
}

/// Compares with tolerance 1e-9: only the order of sums differs.
fn check(what: &str, found: Option<f64>, expected: &Value) {
    let close = match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
        (None, None) => expected.is_null(),
        _ => false,
    };
    assert!(close, "{what}: {found:?} instead of {expected}");
}

fn check_precision(what: &str, found: Option<Precision>, expected: &Value) {
    check(&format!("{what} AP"), found.map(|one| one.ap), &expected["ap"]);
    check(&format!("{what} AP50"), found.map(|one| one.ap50), &expected["ap50"]);
    check(&format!("{what} AP75"), found.map(|one| one.ap75), &expected["ap75"]);
}

#[test]
fn every_number_is_that_of_pycocotools() {
    let cases: Value = serde_json::from_slice(&golden("expected.json")).expect("JSON");
    for case in cases.as_array().expect("a list") {
        let categories: Vec<usize> = serde_json::from_value(case["categories"].clone()).expect("numbers");
        let Measured { precision, by_size, recall, classes } = measured(&categories);
        let twelve = &case["statistics"];
        check_precision("all", precision, twelve);
        for (name, found) in [("small", by_size.small), ("medium", by_size.medium), ("large", by_size.large)] {
            check_precision(name, found, &case["by_size"][name]);
            check(name, found.map(|one| one.ap), &twelve[format!("ap_{name}")]);
        }
        check("one a class", recall.at_1, &twelve["at_1"]);
        check("ten a class", recall.at_10, &twelve["at_10"]);
        check("a hundred a class", recall.at_100, &twelve["at_100"]);
        check("recall of small", recall.by_size.small, &twelve["small"]);
        check("recall of medium", recall.by_size.medium, &twelve["medium"]);
        check("recall of large", recall.by_size.large, &twelve["large"]);
        for (class, found) in classes.iter().enumerate() {
            check_precision(&format!("class {class}"), found.precision, &case["classes"][class]);
        }
    }
}

/// The program with a memory of tried models of its own, so that no test depends on what ran before.
fn eval(cache: &Path) -> Command {
    let mut command = Command::cargo_bin("lookhear").expect("the program is built");
    command.current_dir(root()).env("XDG_CACHE_HOME", cache).env_remove("LOOKHEAR_LOG").args(["eval", "detector"]);
    command
}

fn report(command: &mut Command) -> Value {
    let output = command.arg("--json").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// 128 photos that are not part of this project; `None` where they are absent.
fn coco128() -> Option<(PathBuf, PathBuf)> {
    let data = root().join("../shared/data/vision");
    let there = data.join("coco128/instances.json").is_file();
    if !there {
        println!("skipped: coco128 and the COCO model are not part of this project");
    }
    there.then(|| (data.join("coco128"), data.join("models")))
}

/// The reference is the Python interpreter with pycocotools: AP 0.211, AP50 0.335.
#[test]
fn coco_ssd_measures_as_with_python_from_json_and_from_text() {
    let Some((photos, models)) = coco128() else { return };
    let cache = tempfile::tempdir().expect("a folder");
    let measure = |boxes: &Path| {
        let mut command = eval(cache.path());
        command.arg("--model").arg(models.join("coco_ssd_mobilenet_v1"));
        command.arg("--images").arg(photos.join("images/train2017"));
        command.arg("--boxes").arg(boxes).arg("--names").arg(models.join("coco80_labels.txt"));
        let report = report(&mut command);
        for (key, expected) in [("ap", 0.211), ("ap50", 0.335)] {
            let found = report[key].as_f64().expect("a number");
            assert!((found - expected).abs() < 0.003, "{key} with {}: {found}", boxes.display());
        }
        assert_eq!((&report["photos"], &report["true_boxes"]), (&json!(128), &json!(929)));
        assert_eq!(report["classes_only_in_boxes"], json!([]));
        [&report["photos_unlabelled"], &report["photos_absent"]].map(Value::as_u64)
    };
    assert_eq!(measure(&photos), [Some(0), Some(0)]);
    // Two photos have no label file, and two label files no photo.
    assert_eq!(measure(&photos.join("labels/train2017")), [Some(2), Some(2)]);
}

/// A photo and what the default bundle finds in it, in YOLO's form, with the public name of one class.
struct Marked {
    folder: tempfile::TempDir,
}

impl Marked {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["photos", "labels", "cache"] {
            fs::create_dir(folder.path().join(name)).expect("room");
        }
        let marked = Self { folder };
        fs::copy(root().join("tests/data/objects/street_48s.png"), marked.at("photos/street.png")).expect("a copy");
        let mut command = Command::cargo_bin("lookhear").expect("the program is built");
        command.current_dir(root()).env("XDG_CACHE_HOME", marked.at("cache"));
        let output = command.args(["detect", "--json"]).arg(marked.at("photos/street.png")).output().expect("it runs");
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let mut labels = String::new();
        for one in found["detections"].as_array().expect("a list") {
            let class = match one["label"].as_str() {
                Some("person") => 0,
                Some("car") => 1,
                _ => continue,
            };
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| one["box"][side].as_f64().expect("a number"));
            labels.push_str(&format!("{class} {} {} {w} {h}\n", x + w / 2.0, y + h / 2.0));
        }
        fs::write(marked.at("labels/street.txt"), labels).expect("room");
        fs::write(marked.at("labels/classes.txt"), "person\ncar\ncow\numbrella\n").expect("room");
        marked
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn eval(&self) -> Command {
        let mut command = eval(&self.at("cache"));
        command.arg("--images").arg(self.at("photos")).arg("--boxes").arg(self.at("labels"));
        command
    }

    fn check_refusal(&self, message: &str) {
        let text = predicate::str::contains(message);
        self.eval().assert().code(1).stdout("").stderr(text.and(predicate::str::contains("\n").count(1)));
    }
}

#[test]
fn what_a_detector_finds_itself_it_finds_all_of() {
    let marked = Marked::new();
    fs::copy(marked.at("photos/street.png"), marked.at("photos/without-labels.png")).expect("a copy");
    fs::write(marked.at("labels/gone.txt"), "").expect("room");
    let found = report(&mut marked.eval());
    let counts = ["photos", "photos_unlabelled", "photos_unlisted", "photos_absent"].map(|key| found[key].as_u64());
    assert_eq!(counts, [Some(2), Some(1), Some(0), Some(1)]);
    assert_eq!(found["classes_only_in_boxes"], json!(["umbrella"]));
    let only_in_model = found["classes_only_in_model"].as_array().expect("a list");
    assert!(only_in_model.contains(&json!("boot")) && !only_in_model.contains(&json!("background")), "{found}");
    // The bundle says that `cattle` are also called `cow`, of which there is none here.
    let class = |label: &str| {
        let mut lines = found["classes"].as_array().expect("a list").iter();
        lines.find(|line| line["label"] == label).cloned().unwrap_or_else(|| panic!("{label} in {found}"))
    };
    assert_eq!(class("cattle"), json!({"label": "cattle", "true_boxes": 0, "ap": null, "ap50": null, "ap75": null}));
    // All are found at every overlap, and again in the second photo, which has no boxes: one mistake for each.
    assert!(class("person")["true_boxes"].as_u64().is_some_and(|boxes| boxes >= 5), "{found}");
    assert!(found["recall"]["at_100"].as_f64().is_some_and(|recall| (recall - 1.0).abs() < 1e-12), "{found}");
    let precision = found["ap"].as_f64().expect("a number");
    assert!((0.4..0.8).contains(&precision), "{found}");

    let cars = report(marked.eval().args(["--labels", "car"]));
    assert_eq!(cars["classes"], json!([class("car")]));
    assert_eq!(cars["ap"], class("car")["ap"]);
}

#[test]
fn the_table_has_a_line_a_class() {
    let marked = Marked::new();
    marked
        .eval()
        .assert()
        .success()
        .stderr("")
        .stdout(predicate::str::starts_with("1 photo, "))
        .stdout(predicate::str::is_match(r"\nall +[0-9]+  1\.000  1\.000  1\.000\n").expect("a pattern"))
        .stdout(predicate::str::is_match(r"\ncattle +0      –      –      –\n").expect("a pattern"))
        .stdout(predicate::str::contains("not measured, since the model does not know them: umbrella\n"));
}

#[test]
fn what_cannot_be_measured_is_said_in_one_sentence() {
    let marked = Marked::new();
    let write = |name: &str, text: &str| fs::write(marked.at(name), text).expect("room");
    write("labels/street.txt", "0 0.5 0.5 1 1\n7 0.5 0.5 1 1\n");
    marked.check_refusal("street.txt: line 2 is of class 7, and there are names for 4; ");
    write("labels/street.txt", "0 0.5 0.5 1 1\n");
    write("labels/classes.txt", "umbrella\n");
    marked.check_refusal("have no class in common: the marks have umbrella, the model bicycle, boot, ");
    fs::remove_file(marked.at("labels/classes.txt")).expect("it was there");
    marked.check_refusal("number their classes, and nothing names them: put the names, one a line, into ");
    write("labels/classes.txt", "person\n");
    fs::rename(marked.at("photos/street.png"), marked.at("photos/road.png")).expect("it was there");
    marked.check_refusal("No photo in ");
    fs::rename(marked.at("photos/road.png"), marked.at("photos/street.png")).expect("it was there");

    let coco = |width: u32, file: &str| {
        json!({"images": [{"id": 1, "file_name": file, "width": width, "height": 300}], "categories": [{"id": 1, "name": "person"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}]})
        .to_string()
    };
    write("labels/marks.json", &coco(400, "street.png"));
    marked.check_refusal("is 300×300, and was 400×300 when its boxes were marked: ");
    write("labels/marks.json", &coco(300, "road.png"));
    marked.check_refusal("None of the 1 pictures that ");
    write("labels/marks.json", &coco(300, "../road.png"));
    marked.check_refusal("marks.json: image 1 lies outside of the folder of the pictures; ");
    write("labels/more.json", "{}");
    marked.check_refusal("has several JSON files; name the one that is meant, such as --boxes ");
    fs::remove_file(marked.at("labels/more.json")).expect("it was there");
    write("labels/marks.json", &coco(300, "street.png"));
    write("photos/street.png", "no picture");
    marked.check_refusal("Cannot read the picture ");
    marked
        .eval()
        .args(["--labels", "persn"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("has no label \"persn\""));
    marked.eval().args(["--labels", "car"]).assert().code(1).stderr(predicate::str::contains("is called \"car\""));
}
