//! Which photos a folder holds.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Endings of the pictures that lookhear reads.
const PHOTOS: [&str; 3] = ["jpg", "jpeg", "png"];

/// The JPEG and PNG files of a folder, by name; subfolders are not looked into.
///
/// # Errors
/// That the folder cannot be listed.
pub(super) fn photos_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    files_with(folder, &PHOTOS)
}

/// The files of a folder whose name ends in one of `endings`, by name.
///
/// # Errors
/// That the folder cannot be listed.
pub(super) fn files_with(folder: &Path, endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let unlisted = || format!("Cannot list the folder {}: check the path and its permissions.", folder.display());
    let has_ending = |ending: &OsStr| endings.iter().any(|one| ending.to_string_lossy().eq_ignore_ascii_case(one));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(unlisted)? {
        let path = entry.with_context(unlisted)?.path();
        if path.extension().is_some_and(has_ending) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
