//! Dictionaries: a name a line, by the number of the class.

use std::sync::Arc;

use crate::findings::Label;

/// A larger dictionary is none: ImageNet's 21,000 names have 0.5 MiB.
pub const LARGEST_DICTIONARY_BYTES: u64 = 4 << 20;

/// Why a dictionary cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text; save it as UTF-8")]
    Text(#[source] std::str::Utf8Error),
    /// It does not fit the model.
    #[error(
        "it has {lines} labels, and the model has {classes} classes; take the dictionary that was exported with it"
    )]
    Count {
        /// Labels in the dictionary.
        lines: usize,
        /// Classes of the model.
        classes: usize,
    },
}

/// The labels of a dictionary.
///
/// Accepted are a byte order mark, any line ends, and blank lines at the end, which are no labels; a blank line between
/// others is one, since leaving it out would shift those after it. Blanks at the end of a line are cut.
///
/// # Errors
/// [`DictionaryError::Text`].
pub(super) fn labels_from(bytes: &[u8]) -> Result<Vec<Label>, DictionaryError> {
    let text = std::str::from_utf8(bytes).map_err(DictionaryError::Text)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
    Ok(if text.is_empty() { Vec::new() } else { text.lines().map(|line| Arc::from(line.trim_end())).collect() })
}

/// The labels by the model's own class numbers, and how that was decided.
///
/// `classes` is how many the model has, or `None` if it does not say. A dictionary may have one more line, first, for the
/// background, which such a model does not count.
///
/// # Errors
/// [`DictionaryError::Count`] if the numbers do not fit.
pub(super) fn without_background(
    mut lines: Vec<Label>,
    classes: Option<usize>,
) -> Result<(Vec<Label>, String), DictionaryError> {
    let count = lines.len();
    let first_is_background =
        lines.first().is_some_and(|first| first.eq_ignore_ascii_case("background") || &**first == "???");
    let (offset, how) = match classes {
        Some(classes) => match count.checked_sub(classes) {
            Some(offset @ (0 | 1)) => (
                offset,
                format!("class offset {offset}: the dictionary has {count} labels, the model {classes} classes"),
            ),
            _ => return Err(DictionaryError::Count { lines: count, classes }),
        },
        None if first_is_background => (
            1,
            "class offset 1: the model does not say how many classes it has, and the first label is the background"
                .to_owned(),
        ),
        None => (
            0,
            "class offset 0: the model does not say how many classes it has, and no label is the background".to_owned(),
        ),
    };
    lines.drain(..offset);
    Ok((lines, how))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<String> {
        labels_from(text.as_bytes()).expect("text").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_are_labels_however_they_end() {
        let check = |text: &str, expected: &[&str]| assert_eq!(labels(text), expected, "{text:?}");
        check("a\nb\n", &["a", "b"]);
        check("\u{feff}a\r\nb c \r\n\r\n \n", &["a", "b c"]);
        check("a\n\nb", &["a", "", "b"]);
        check("", &[]);
        check("\n\n", &[]);
        assert!(matches!(labels_from(b"\xff\xfe"), Err(DictionaryError::Text(_))));
    }

    #[test]
    fn the_offset_is_decided_by_counting() {
        let check = |text: &str, classes: Option<usize>, expected: Option<usize>| {
            let lines = labels_from(text.as_bytes()).expect("text");
            let count = lines.len();
            let offset = without_background(lines, classes).ok().map(|(labels, _)| count - labels.len());
            assert_eq!(offset, expected, "{text:?} {classes:?}");
        };
        check("background\na\nb", Some(2), Some(1));
        check("a\nb", Some(2), Some(0));
        check("???\na\nb", Some(2), Some(1));
        check("Background\na\nb", None, Some(1));
        check("a\nb", None, Some(0));
        check("background\na\nb", Some(3), Some(0));
        check("a\nb", Some(5), None);
        check("a\nb\nc\nd", Some(2), None);
    }

    #[test]
    fn both_numbers_are_named_when_they_do_not_fit() {
        let lines = labels_from(b"a\nb").expect("text");
        let error = without_background(lines, Some(5)).expect_err("too few").to_string();
        assert!(error.starts_with("it has 2 labels, and the model has 5 classes"), "{error}");
    }
}
