//! Bad models and bundles: each ends in one sentence that says what is wrong, none in a panic, a crash or a hang.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lookhear::model::{Bundle, BundleError, CheckError, Engine, EngineError, EngineOptions, check};
use proptest::prelude::*;
use tempfile::TempDir;

const SMALL: [&str; 4] = ["post_process.tflite", "reshape_int8.tflite", "dynamic.tflite", "constant_input.tflite"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn small(name: &str) -> Vec<u8> {
    fs::read(root().join("tests/data/models").join(name)).expect("a model")
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).expect("written"));
    folder
}

/// Opens a bundle of `files`, which must fail with a message that contains `part`.
fn check_error(files: &[(&str, &[u8])], part: &str) -> BundleError {
    let folder = folder(files);
    let error = Bundle::open(folder.path()).expect_err(part);
    let text = error.to_string();
    assert!(text.contains(part), "{text}");
    assert!(text.contains(&folder.path().display().to_string()), "the message names the place: {text}");
    assert!(text.ends_with('.') && !text.contains('\n'), "one sentence: {text}");
    error
}

#[test]
fn a_missing_bundle_is_named() {
    let error = Bundle::open(Path::new("/no/such/bundle")).expect_err("it is missing");
    assert_eq!(
        error.to_string(),
        "Cannot read /no/such/bundle: No such file or directory (os error 2); check the path and its permissions."
    );
    check_error(&[("dict.txt", b"a\n")], "has no TensorFlow Lite model");
}

#[test]
fn files_that_are_no_models_are_told_apart() {
    check_error(&[("model.tflite", b"")], "it is empty");
    check_error(&[("model.tflite", b"a model, honestly")], "no TensorFlow Lite model");
    check_error(&[("model.tflite", b"version https://git-lfs.github.com/spec/v1\n")], "git lfs pull");
    check_error(&[("model.tflite", b"<!DOCTYPE html>")], "a web page");
    let whole = small("post_process.tflite");
    check_error(&[("model.tflite", &whole[..whole.len() / 2])], "it is damaged");
}

#[test]
fn an_operator_that_the_runtime_lacks_is_named() {
    let model = small("unknown_operator.tflite");
    let error = check_error(&[("model.tflite", &model)], "it needs the operator OurOwnOperator");
    assert!(matches!(error, BundleError::Model { source: CheckError::UnknownOperator(_), .. }));
}

#[test]
fn a_dictionary_that_does_not_fit_is_refused_with_both_numbers() {
    let model = small("post_process.tflite");
    let open = |dictionary: &str| {
        let folder = folder(&[("model.tflite", &model), ("dict.txt", dictionary.as_bytes())]);
        Bundle::open(folder.path())
            .map(|bundle| bundle.labels.iter().map(|label| label.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(open("cat\ndog\n").expect("it fits"), ["cat", "dog"]);
    assert_eq!(open("???\r\ncat\r\ndog\r\n\r\n").expect("with the background"), ["cat", "dog"]);
    let files = |dictionary: &'static [u8]| [("model.tflite", model.as_slice()), ("dict.txt", dictionary)];
    check_error(&files(b"cat\n"), "it has 1 labels, and the model has 2 classes");
    check_error(&files(b"cat\n\n\ndog\n"), "it has 4 labels, and the model has 2 classes");
    check_error(&files(b"caf\xe9\n"), "not UTF-8");
    // The float bundle's raw head counts the background.
    let (objects, metadata) = (root().join("models/objects-float"), "tflite_metadata.json");
    let [model, metadata] = ["model.tflite", metadata].map(|name| fs::read(objects.join(name)).expect("ours"));
    let files = [("model.tflite", model.as_slice()), ("tflite_metadata.json", &metadata), ("dict.txt", b"a\nb\n")];
    check_error(&files, "it has 2 labels, and the model has 24 classes");
}

#[test]
fn metadata_that_is_wrong_is_refused_and_one_that_contradicts_the_model_is_overruled() {
    let model = small("post_process.tflite");
    let files = |metadata: &'static [u8]| [("model.tflite", model.as_slice()), ("tflite_metadata.json", metadata)];
    check_error(&files(b"{\"inputShape\": [1, 2,\n, 2]}"), "line 2");
    check_error(&files(b"{\"lookhear\": {\"task\": \"detection\"}}"), "missing field `head`");
    let head = b"{\"lookhear\": {\"task\": \"detection\", \"head\": {\"kind\": \"post-process\"}, \"threshold\": 40}}";
    check_error(&files(head), "its threshold is 40");
    let folder =
        folder(&files(b"{\"inputShape\": [1, 320, 320, 3], \"outputTensors\": [\"a\", \"zebra\"], // both\n}"));
    let bundle = Bundle::open(folder.path()).expect("the model counts");
    let warnings = bundle.warnings.join("\n");
    assert!(warnings.contains("[1, 320, 320, 3], the model [1, 2, 2, 3]"), "{warnings}");
    assert!(warnings.contains("the output zebra") && !warnings.contains("output a,"), "{warnings}");
}

#[test]
fn folders_in_which_there_is_a_choice_are_refused_unless_the_names_decide() {
    let model = small("post_process.tflite");
    check_error(&[("a.tflite", &model), ("b.tflite", &model)], "a.tflite, b.tflite");
    check_error(&[("a.tflite", &model), ("one.txt", b"x\ny"), ("two.txt", b"x\ny")], "one.txt, two.txt");
    let files: [(&str, &[u8]); 4] = [
        ("my model.tflite", &model),
        ("README.txt", b"read me"),
        ("labels.txt", b"x\ny"),
        ("export_tflite_metadata.json", b"{}"),
    ];
    let folder = folder(&files);
    let bundle = Bundle::open(folder.path()).expect("there is no choice");
    assert_eq!(bundle.labels.len(), 2);
    assert!(bundle.notes.contains(&"metadata: export_tflite_metadata.json".to_owned()), "{:?}", bundle.notes);
    let alone = Bundle::open(&folder.path().join("my model.tflite")).expect("a model file");
    assert_eq!((alone.labels, alone.name.as_str()), (bundle.labels, "my model"));
}

#[test]
fn models_that_cannot_be_fed_or_read_are_refused() {
    check_error(&[("model.tflite", &small("no_input.tflite"))], "it has no input");
    let load = |name: &str| Engine::load(small(name).into(), EngineOptions::default()).expect_err("refused");
    let error = load("constant_input.tflite");
    assert!(matches!(&error, EngineError::Tensor { role: "input", name, .. } if name == "constant"), "{error}");
    let error = load("dynamic.tflite");
    assert!(matches!(&error, EngineError::Tensor { role: "output", name, .. } if name == "result"), "{error}");
    assert!(matches!(load("no_input.tflite"), EngineError::Check(CheckError::Without("input"))));
}

/// Numbers that are the same on every machine (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Damages a model: some bytes become others, most of them small or all ones, as counts and offsets are; or its end is missing.
fn damage(model: &mut Vec<u8>, random: &mut Random) {
    if random.below(8) == 0 {
        model.truncate(random.below(model.len()));
        return;
    }
    for _ in 0..=random.below(4) {
        let place = random.below(model.len());
        model[place] = match random.below(4) {
            0 => 0xff,
            1 => random.below(8) as u8,
            2 => model[place] ^ (1 << random.below(8)),
            _ => random.below(256) as u8,
        };
    }
}

#[test]
fn damaged_models_end_in_an_error_or_run_and_never_take_the_program_along() {
    let (folder, mut random, mut passed) = (tempfile::tempdir().expect("a folder"), Random(20), 0);
    for round in 0..1200 {
        let mut model = small(SMALL[round % SMALL.len()]);
        damage(&mut model, &mut random);
        if check(&model).is_ok() {
            passed += 1;
            // The C library itself is only met in a child, as the program does it; a part of them is enough for a test.
            if passed % 10 == 0 {
                let path = folder.path().join("model.tflite");
                fs::write(&path, &model).expect("written");
                try_in_child(&path);
            }
        }
    }
    assert!((100..1100).contains(&passed), "{passed} of 1200 damaged models passed, so this tests nothing");
}

/// However the child ends, it ends, and soon.
fn try_in_child(path: &Path) {
    let start = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_lookhear"))
        .arg("__try-model")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    child.expect("the child starts");
    assert!(start.elapsed() < Duration::from_secs(30), "{} takes long", path.display());
}

#[test]
fn a_large_model_survives_damage_to_its_tables() {
    let whole = fs::read(root().join("models/objects/model.tflite")).expect("ours");
    let (mut model, mut random) = (whole.clone(), Random(7));
    // Its tables lie at both ends, the weights between.
    let tables = |random: &mut Random| match random.below(2) {
        0 => random.below(4096),
        _ => whole.len() - 1 - random.below(64 * 1024),
    };
    for _ in 0..300 {
        let places: Vec<usize> = (0..4).map(|_| tables(&mut random)).collect();
        places.iter().for_each(|place| model[*place] = random.below(256) as u8);
        let _ = check(&model);
        places.iter().for_each(|place| model[*place] = whole[*place]);
    }
    assert!(check(&model).is_ok());
    for length in (0..whole.len()).step_by(whole.len() / 50) {
        assert!(check(&whole[..length]).is_err(), "a model of {length} bytes");
    }
}

/// A small file whose tables point to the same list over and over must not make for a lot of work.
#[test]
fn a_file_that_asks_for_endless_work_is_refused_soon() {
    const GRAPHS: usize = 200;
    const TENSORS: usize = 100_000;
    let start = Instant::now();
    let mut file = Vec::new();
    let number = |file: &mut Vec<u8>, value: usize| file.extend((value as u32).to_le_bytes());
    let vtable =
        |file: &mut Vec<u8>, entries: &[u16]| file.extend(entries.iter().flat_map(|entry| entry.to_le_bytes()));
    number(&mut file, 24);
    file.extend(b"TFL3");
    vtable(&mut file, &[14, 16, 4, 0, 8, 0, 12, 0]); // at 8: version, subgraphs, buffers
    number(&mut file, 16); // at 24: the model
    number(&mut file, 3);
    number(&mut file, 8); // the subgraphs follow
    number(&mut file, 0); // at 36: to the buffers, filled in below
    number(&mut file, GRAPHS);
    // Each of the 200 is the same table: behind the list, and behind its own vtable of 8 bytes.
    let graph = file.len() + 4 * GRAPHS + 8;
    (file.len()..).step_by(4).take(GRAPHS).for_each(|place| number(&mut file, graph - place));
    vtable(&mut file, &[6, 8, 4, 0]);
    number(&mut file, 8);
    number(&mut file, 4); // the tensors follow
    number(&mut file, TENSORS);
    // Each of the 100,000 is the same empty table.
    let tensor = file.len() + 4 * TENSORS + 4;
    (file.len()..).step_by(4).take(TENSORS).for_each(|place| number(&mut file, tensor - place));
    vtable(&mut file, &[4, 4]);
    number(&mut file, 4);
    let buffers = file.len() - 36;
    file[36..40].copy_from_slice(&(buffers as u32).to_le_bytes());
    number(&mut file, 1);
    number(&mut file, 8); // past this number and the vtable
    vtable(&mut file, &[4, 4]);
    number(&mut file, 4);
    let error = check(&file).expect_err("20 million tensors in 0.4 MB");
    assert!(matches!(error, CheckError::TooLarge { what: "the number of its parts is", .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let mut model = b"\x10\0\0\0TFL3".to_vec();
        model.extend(bytes);
        let _ = check(&model);
    }

    #[test]
    fn any_change_of_a_model_is_survived(
        which in 0..SMALL.len(), places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let mut model = small(SMALL[which]);
        for (place, value) in places {
            let place = place.index(model.len());
            model[place] = value;
        }
        let _ = check(&model);
    }
}
