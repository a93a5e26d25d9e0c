//! Where the truth about a stream comes from: a table of what is spoken when.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{anyhow, bail};

/// Larger tables are no tables of words: a million rows fit.
const LARGEST_BYTES: u64 = 64 << 20;

/// What is spoken, and when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Where it begins, in seconds of the stream.
    pub start_s: f64,
    /// Where it ends.
    pub end_s: f64,
    /// What it is.
    pub label: String,
}

/// Reads a CSV file of rows `start_s,end_s,label`, in any order. Empty lines, lines that begin with `#`, further columns
/// and a first line of names are passed over.
///
/// # Errors
/// That the file cannot be read, or which line is wrong.
pub(super) fn read_rows(path: &Path) -> anyhow::Result<Vec<Row>> {
    let unreadable = |error| anyhow!("Cannot read {}: {error}; check the path.", path.display());
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        bail!("Cannot read {}: it is too large for a table of words (64 MiB); split it.", path.display());
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| anyhow!("Cannot read {}: it is no text in UTF-8; write it anew.", path.display()))?;
    rows(&text).map_err(|error| anyhow!("Cannot use {}: {error}.", path.display()))
}

fn rows(text: &str) -> anyhow::Result<Vec<Row>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Vec::new();
    let lines = text.lines().map(str::trim).enumerate();
    for (place, (number, line)) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).enumerate() {
        let mut fields = line.split(',').map(str::trim);
        let mut field = || fields.next().unwrap_or("");
        let (start, end, label) = (field(), field(), field());
        if place == 0 && start == "start_s" {
            continue;
        }
        let wrong = |what: &str| anyhow!("line {} {what}; a row is `start_s,end_s,label`", number + 1);
        let (Ok(start_s), Ok(end_s)) = (start.parse::<f64>(), end.parse::<f64>()) else {
            return Err(wrong("does not begin with two times in seconds"));
        };
        if !(start_s >= 0.0 && start_s <= end_s && end_s.is_finite()) {
            return Err(wrong("has times that are not in order"));
        }
        if label.is_empty() {
            return Err(wrong("does not say what is spoken"));
        }
        rows.push(Row { start_s, end_s, label: label.to_owned() });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_is_read_with_or_without_names_and_comments() {
        let row = |start_s, end_s, label: &str| Row { start_s, end_s, label: label.to_owned() };
        let expected = vec![row(1.5, 1.9, "yes"), row(4.1, 5.0, "_unknown_")];
        let plain = "1.5,1.9,yes\n4.1,5,_unknown_\n";
        let spaced =
            "\u{feff}# made by hand\r\nstart_s,end_s,label,snr\r\n\r\n 1.5 , 1.9 , yes , 10\r\n4.1,5.0,_unknown_,";
        for text in [plain, spaced] {
            assert_eq!(rows(text).expect("right"), expected, "{text:?}");
        }
        assert_eq!(rows("start_s,end_s,label\n").expect("no words"), vec![]);
        assert_eq!(rows("").expect("no words"), vec![]);
    }

    #[test]
    fn a_wrong_row_is_named_by_its_line() {
        let cases = [
            ("# words\n\n1,2\n", "line 3 does not say what is spoken"),
            ("1,2,yes\nstart_s,end_s,label", "line 2 does not begin with two times"),
            ("yes,1,2", "line 1 does not begin with two times"),
            ("2,1,yes", "line 1 has times that are not in order"),
            ("-1,1,yes", "not in order"),
            ("NaN,1,yes", "not in order"),
            ("1,inf,yes", "not in order"),
        ];
        for (text, reason) in cases {
            let error = rows(text).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_it_takes_is_in_order(text in "[0-9.,e\\-# a\n]{0,60}") {
            for row in rows(&text).unwrap_or_default() {
                prop_assert!(0.0 <= row.start_s && row.start_s <= row.end_s && !row.label.is_empty());
            }
        }
    }
}
