//! Keeps the house in order: layers, unsafe code, file sizes and names, and what ARCHITECTURE.md says of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of each layer, the lowest first; a module may import those of lower layers only, unless listed in
/// `ALLOWED`.
const LAYERS: [&[&str]; 5] = [
    &["flow", "media", "findings"],
    &["model"],
    &["camera", "microphone", "vision", "speech", "output"],
    &["pipeline", "config"],
    &["cli"],
];

/// Imports within a layer: (importer, imported).
const ALLOWED: [(&str, &str); 2] = [("findings", "media"), ("pipeline", "config")];

/// The files that may hold unsafe code: one for each C library, one for SIMD, and one for memory shared between processes.
const UNSAFE: [&str; 4] =
    ["src/media/resize_avx2.rs", "src/media/turbojpeg.rs", "src/model/engine.rs", "src/output/shared_pixels.rs"];

/// A file this long is split, or gives its reason in `LONG`.
const LONGEST_FILE: usize = 600;
const LONG: [&str; 0] = [];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                files.push((name, fs::read_to_string(&path).expect("a source file is text")));
            }
        }
    }
    files.sort();
    files
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The module that a source file belongs to: `src/flow/stop.rs` and `src/flow.rs` to `flow`.
fn module_of(file: &str) -> &str {
    let rest = file.strip_prefix("src/").unwrap_or(file);
    rest.split(['/', '.']).next().unwrap_or(rest)
}

/// Every module `x` of `crate::x…` and `crate::{x…, y…}` in `text`.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or("").split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String = name.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            found.insert(name);
        }
    }
    found
}

#[test]
fn modules_import_only_from_below() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let module = module_of(&file).to_owned();
        let Some(layer) = layer_of(&module) else {
            assert!(["lib", "main"].contains(&module.as_str()), "{file} belongs to no layer: name it in LAYERS");
            continue;
        };
        for import in imports(&text) {
            let Some(below) = layer_of(&import) else { continue };
            let allowed = ALLOWED.contains(&(module.as_str(), import.as_str()));
            if import != module && below >= layer && !allowed {
                wrong.push(format!("{file} imports crate::{import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that break the layers:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stands_in_the_listed_files_only() {
    for (file, text) in sources("src") {
        let holds = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or("");
            code.contains("unsafe ") && !code.contains('"')
        });
        assert_eq!(
            holds,
            UNSAFE.contains(&file.as_str()),
            "{file}: unsafe code, and the list in this test, must agree"
        );
    }
}

#[test]
fn files_are_short_and_named_for_what_they_do() {
    for folder in ["src", "tests"] {
        for (file, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST_FILE || LONG.contains(&file.as_str()), "{file} has {lines} lines: split it");
            let stem = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            assert!(
                !["utils", "util", "common", "helpers", "misc"].contains(&stem.as_str()),
                "{file}: name its purpose"
            );
        }
    }
}

#[test]
fn every_path_named_in_the_architecture_page_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let quoted = page.split('`').skip(1).step_by(2);
    let is_path = |text: &&str| {
        let known = ["src/", "tests/", "models/", "assets/", "scripts/", "docs/", "benches/", "third_party/"];
        known.iter().any(|folder| text.starts_with(folder)) && !text.contains([' ', '*', '<'])
    };
    let paths: Vec<PathBuf> = quoted.filter(is_path).map(|path| root().join(path)).collect();
    assert!(paths.len() > 20, "the page names {} paths only", paths.len());
    for path in paths {
        assert!(path.exists(), "ARCHITECTURE.md names {}, which is gone", path.display());
    }
}
