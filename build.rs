//! Puts the TensorFlow Lite library beside the program, and tells the program to look for it there.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    // Beside the program (a build tree) or in the package's place; tests and examples live one folder deeper.
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN:$ORIGIN/..:$ORIGIN/../lib/lookhear");
    // The library wants a newer C library than some build machines have; it is the target's that counts.
    println!("cargo:rustc-link-arg=-Wl,--allow-shlib-undefined");

    let target = env::var("TARGET").unwrap_or_default();
    let variable = format!("TFLITEC_PREBUILT_PATH_{}", target.to_uppercase().replace('-', "_"));
    println!("cargo:rerun-if-env-changed={variable}");
    let Some(library) = env::var_os(&variable).map(PathBuf::from) else {
        println!(
            "cargo::error=lookhear has no TensorFlow Lite library for {target}: build for x86_64, aarch64 or armv7 \
             Linux, after scripts/setup.sh has fetched it."
        );
        return;
    };
    println!("cargo:rerun-if-changed={}", library.display());
    if !library.is_file() {
        println!(
            "cargo::error=The TensorFlow Lite library {} is missing: run scripts/setup.sh, then build again.",
            library.display()
        );
        return;
    }
    if let Err(error) = place_beside_program(&library) {
        println!("cargo::error=Cannot put {} beside the program: {error}.", library.display());
    }
}

/// Copies `library` into the profile's folder, four levels above what cargo gives as `OUT_DIR`
/// (`target/<profile>/build/<package>/out`).
fn place_beside_program(library: &Path) -> std::io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let profile = out.ancestors().nth(3).unwrap_or(&out);
    let place = profile.join("libtensorflowlite_c.so");
    // A running program may hold the old file open: replace the name, never the bytes.
    let fresh = profile.join("libtensorflowlite_c.so.new");
    fs::copy(library, &fresh)?;
    fs::rename(fresh, place)
}
