//! Which clips of words a folder holds, and which label of a bundle each is an example of.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::photos::files_with;
use crate::findings::Label;

/// Endings of the sound files that are looked for.
const SOUNDS: [&str; 2] = ["wav", "flac"];
/// The folder of long recordings of noise in Google's data set: no clips.
const NOISE_FOLDER: &str = "_background_noise_";

/// Clips with their truth.
#[derive(Debug)]
pub(super) struct Clips {
    /// Each file with the number of its label, by folder and name.
    pub files: Vec<(PathBuf, usize)>,
    /// Folders of words that the model does not know, which count as unknown.
    pub taken_for_unknown: Vec<String>,
    /// Folders that are no examples of any label.
    pub left_out: Vec<String>,
}

impl Clips {
    /// The WAV and FLAC files of the folders in `data`: the name of a folder says what is spoken in it. Case and
    /// underscores around a name do not matter.
    ///
    /// # Errors
    /// That a folder cannot be listed, or that there are no clips.
    pub fn find(data: &Path, labels: &[Label]) -> anyhow::Result<Self> {
        let unlisted = || format!("Cannot list the folder {}: check the path and its permissions.", data.display());
        let mut folders = Vec::new();
        for entry in fs::read_dir(data).with_context(unlisted)? {
            let path = entry.with_context(unlisted)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') {
                folders.push((name, path));
            }
        }
        folders.sort();
        let mut found = Self { files: Vec::new(), taken_for_unknown: Vec::new(), left_out: Vec::new() };
        for (name, path) in folders {
            let files = files_with(&path, &SOUNDS)?;
            if files.is_empty() {
                continue;
            }
            let own = label_called(labels, &name);
            let Some(label) = own.or_else(|| label_called(labels, "unknown")).filter(|_| name != NOISE_FOLDER) else {
                found.left_out.push(name);
                continue;
            };
            if own.is_none() {
                found.taken_for_unknown.push(name);
            }
            found.files.extend(files.into_iter().map(|file| (file, label)));
        }
        if found.files.is_empty() {
            bail!(
                "There are no clips in {}: it must hold a folder for each word, with WAV or FLAC files.",
                data.display()
            );
        }
        Ok(found)
    }
}

/// The label of this name; `_silence_`, `silence` and `Silence` are one.
pub(super) fn label_called(labels: &[Label], name: &str) -> Option<usize> {
    let plain = |name: &str| name.trim().trim_matches('_').to_lowercase();
    let name = plain(name);
    labels.iter().position(|label| plain(label) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of these empty files, as "folder/file=label".
    fn found(files: &[&str], labels: &[&str]) -> anyhow::Result<(Vec<String>, Clips)> {
        let folder = tempfile::tempdir()?;
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder"))?;
            fs::write(path, [])?;
        }
        let labels: Vec<Label> = labels.iter().map(|label| (*label).into()).collect();
        let clips = Clips::find(folder.path(), &labels)?;
        let named = |(path, label): &(PathBuf, usize)| {
            let path = path.strip_prefix(folder.path()).expect("within");
            format!("{}={}", path.display(), labels[*label])
        };
        Ok((clips.files.iter().map(named).collect(), clips))
    }

    #[test]
    fn a_folder_s_name_is_the_truth_and_other_words_are_unknown() {
        let files = ["Yes/b.wav", "Yes/a.FLAC", "_silence_/s.wav", "bed/x.flac", "_unknown_/u.wav", "empty/notes.txt"];
        let more = ["_background_noise_/tap.wav", ".hidden/h.wav", "top.wav"];
        let (named, clips) = found(&[&files[..], &more].concat(), &["silence", "unknown", "yes"]).expect("clips");
        let expected = ["Yes/a.FLAC=yes", "Yes/b.wav=yes", "_silence_/s.wav=silence", "_unknown_/u.wav=unknown"];
        assert_eq!(named, [&expected[..], &["bed/x.flac=unknown"]].concat());
        assert_eq!((clips.taken_for_unknown, clips.left_out), (vec!["bed".into()], vec![NOISE_FOLDER.into()]));
    }

    #[test]
    fn a_model_that_knows_no_unknown_is_not_asked_for_it() {
        let (named, clips) = found(&["yes/a.wav", "bed/x.wav"], &["_yes_", "no"]).expect("clips");
        assert_eq!((named, clips.left_out), (vec!["yes/a.wav=_yes_".to_owned()], vec!["bed".to_owned()]));
    }

    #[test]
    fn no_clips_are_an_error_that_says_what_is_expected() {
        let text = found(&["a.wav"], &["yes"]).expect_err("no folder").to_string();
        assert!(text.contains("a folder for each word"), "{text}");
    }
}
