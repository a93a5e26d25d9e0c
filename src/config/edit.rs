//! Writing a value into a configuration that somebody wrote: all else, comments included, stays as it is.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, value};

use super::{Config, ConfigError, located, read_bounded};

/// A new file is for everybody to read, as any other.
const NEW_FILE_MODE: u32 = 0o644;

/// Writes the thresholds of words, in hundredths, into `keywords.thresholds` of `file`, which is made if there is none.
/// Who reads the file meanwhile sees the old one or the new one.
///
/// # Errors
/// [`ConfigError`]: the file is no configuration, which is left as it is, or cannot be read or written.
pub fn write_thresholds(file: &Path, thresholds: &BTreeMap<&str, f32>) -> Result<(), ConfigError> {
    let old = editable(file)?;
    let new = with_thresholds(&old, thresholds)
        .map_err(|reason| ConfigError::Value { place: file.display().to_string(), reason })?;
    replace(file, &new).map_err(|source| ConfigError::Write { file: file.to_owned(), source })
}

/// The text of a configuration that may be written into; nothing if there is no such file yet.
///
/// # Errors
/// [`ConfigError`]: it is no configuration, or cannot be read.
pub fn editable(file: &Path) -> Result<String, ConfigError> {
    let text = match read_bounded(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ConfigError::File { file: file.to_owned(), source }),
    };
    toml::from_str::<Config>(&text).map_err(|error| located(file, &text, &error))?;
    Ok(text)
}

/// The text of a configuration with these thresholds; else what is wrong with it.
fn with_thresholds(text: &str, thresholds: &BTreeMap<&str, f32>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let section = Item::Table(Table::new());
    let keywords =
        table_in(document.as_table_mut(), "keywords", section).ok_or("`keywords` is no table; write it as one")?;
    // On one line: under a header of its own, the keys that a user has commented out would belong to it.
    let line = value(InlineTable::new());
    let words = table_in(keywords, "thresholds", line).ok_or("`keywords.thresholds` is no table; write it as one")?;
    for (word, threshold) in thresholds {
        let hundredths = (f64::from(*threshold) * 100.0).round() / 100.0;
        match words.get_mut(word).and_then(Item::as_value_mut) {
            // A comment behind the value stays.
            Some(old) => {
                let decor = old.decor().clone();
                *old = hundredths.into();
                *old.decor_mut() = decor;
            }
            None => drop(words.insert(word, value(hundredths))),
        }
    }
    if let Some(inline) = keywords.get_mut("thresholds").and_then(Item::as_inline_table_mut) {
        inline.fmt();
    }
    Ok(document.to_string())
}

/// The table of this name, made out of `fresh` if there is none.
fn table_in<'a>(table: &'a mut dyn TableLike, name: &str, fresh: Item) -> Option<&'a mut dyn TableLike> {
    if !table.contains_key(name) {
        table.insert(name, fresh);
    }
    table.get_mut(name)?.as_table_like_mut()
}

fn replace(file: &Path, text: &str) -> io::Result<()> {
    // A link stays one.
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = fs::metadata(file).map_or(Permissions::from_mode(NEW_FILE_MODE), |old| old.permissions());
    let mut fresh = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
    fresh.write_all(text.as_bytes())?;
    fresh.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SAMPLE;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        with_thresholds(text, &BTreeMap::from([("go", 0.8), ("stop", 0.65)])).expect("a configuration")
    }

    #[test]
    fn thresholds_are_put_where_they_belong_and_all_else_stays() {
        assert_eq!(written(""), "[keywords]\nthresholds = { go = 0.8, stop = 0.65 }\n");
        let commented = "[keywords]\n#bundle = \"b\"\n\n[camera]\nwidth = 640\n";
        let expected = "[keywords]\nthresholds = { go = 0.8, stop = 0.65 }\n#bundle = \"b\"\n\n[camera]\nwidth = 640\n";
        assert_eq!(written(commented), expected);
        let section =
            "# mine\n[keywords]\nbundle = \"b\" # own\n\n[keywords.thresholds]\nstop = 0.9 # shouted\nyes = 0.5\n";
        let expected = "# mine\n[keywords]\nbundle = \"b\" # own\n\n[keywords.thresholds]\nstop = 0.65 # shouted\nyes = 0.5\ngo = 0.8\n";
        assert_eq!(written(section), expected);
        let inline = "[keywords]\nthresholds = { stop = 0.9 } # few\n[camera]\nwidth = 640\n";
        let expected = "[keywords]\nthresholds = { stop = 0.65, go = 0.8 } # few\n[camera]\nwidth = 640\n";
        assert_eq!(written(inline), expected);
        let sample = written(SAMPLE);
        assert!(SAMPLE.lines().all(|line| sample.contains(line)), "{sample}");
        let config: Config = toml::from_str(&sample).expect("it is one still");
        assert_eq!(config.keywords.thresholds, BTreeMap::from([("go".to_owned(), 0.8), ("stop".to_owned(), 0.65)]));
    }

    #[test]
    fn a_file_that_is_no_configuration_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("room");
        let file = folder.path().join("lookhear.toml");
        let cases = [
            ("[keywords]\ntreshold = 1\n", "lookhear.toml, line 2: unknown key `treshold`; the nearest is `threshold`"),
            ("[", "lookhear.toml, line 1: "),
        ];
        for (text, reason) in cases {
            fs::write(&file, text).expect("room");
            let error = write_thresholds(&file, &BTreeMap::from([("go", 0.8)])).expect_err("no configuration");
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!(fs::read_to_string(&file).expect("it is there"), text);
        }
        let nowhere = folder.path().join("no/folder.toml");
        assert!(matches!(write_thresholds(&nowhere, &BTreeMap::new()), Err(ConfigError::Write { .. })));
    }

    #[test]
    fn a_file_keeps_its_permissions_and_a_link_its_target() {
        let folder = tempfile::tempdir().expect("room");
        let (file, link) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
        fs::write(&file, "[keywords]\n").expect("room");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
        std::os::unix::fs::symlink(&file, &link).expect("room");
        write_thresholds(&link, &BTreeMap::from([("go", 0.8)])).expect("it can be written");
        assert!(link.is_symlink());
        assert!(fs::read_to_string(&file).expect("it is there").contains("go = 0.8"));
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(thresholds in prop::collection::btree_map("[a-z \"\\\\é.]{1,8}", 0u32..=100, 0..8)) {
            let thresholds: BTreeMap<&str, f32> =
                thresholds.iter().map(|(word, hundredths)| (word.as_str(), *hundredths as f32 / 100.0)).collect();
            let text = with_thresholds(SAMPLE, &thresholds).expect("a configuration");
            let config: Config = toml::from_str(&text).expect("it is one still");
            let read: BTreeMap<&str, f32> = config.keywords.thresholds.iter().map(|(word, value)| (word.as_str(), *value)).collect();
            prop_assert_eq!(read, thresholds);
        }
    }
}
