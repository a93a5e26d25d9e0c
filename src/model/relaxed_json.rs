//! JSON as people edit it: `//` and `/* */` comments and trailing commas are blanked out, the rest stays strict JSON.

/// `text` with comments and trailing commas replaced by spaces, so that lines and columns of later errors still hold.
///
/// A comment that does not end is left as it is: the strict reader then names its place.
pub(super) fn strict_from(text: &str) -> String {
    // Only ASCII is replaced, and only by ASCII of the same number of bytes; UTF-8 stays UTF-8.
    let mut bytes = text.as_bytes().to_vec();
    let mut comma = None;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                comma = None;
                at = end_of_string(&bytes, at);
                continue;
            }
            b'/' => {
                if let Some(end) = end_of_comment(&bytes, at) {
                    bytes[at..end]
                        .iter_mut()
                        .filter(|byte| !matches!(byte, b'\n' | b'\r'))
                        .for_each(|byte| *byte = b' ');
                    at = end;
                    continue;
                }
                comma = None;
            }
            b',' => comma = Some(at),
            b']' | b'}' => {
                if let Some(trailing) = comma.take() {
                    bytes[trailing] = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The place behind the string that opens at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// The place behind the comment that opens at `at`, if one does.
fn end_of_comment(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'/' => Some(bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)),
        b'*' => bytes[at + 2..].windows(2).position(|pair| pair == b"*/").map(|length| at + 2 + length + 2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_vanish_and_strings_stay() {
        let check = |relaxed: &str, strict: &str| {
            let cleaned = strict_from(relaxed);
            assert_eq!(cleaned.len(), relaxed.len());
            let value: serde_json::Value = serde_json::from_str(&cleaned).expect(relaxed);
            assert_eq!(value, serde_json::from_str::<serde_json::Value>(strict).expect("strict"), "{relaxed}");
        };
        check("{\"a\": [1, 2, // two\n 3,], /* end */}", "{\"a\": [1, 2, 3]}");
        check(
            r#"{"url": "http://a//b", "c": "/* no */", "d": ",]"}"#,
            r#"{"url": "http://a//b", "c": "/* no */", "d": ",]"}"#,
        );
        check(r#"["a\"//", 1 /* ä€ */ , ]"#, r#"["a\"//", 1]"#);
        check("[1, /* a */ // b\n]", "[1]");
    }

    #[test]
    fn everything_else_stays_an_error() {
        for wrong in ["[,]x", "[1,,]", "{'a': 1}", "[1] /* open", "[1 / 2]", "\"open", "\"\\", "/", "[1,,2]"] {
            assert!(serde_json::from_str::<serde_json::Value>(&strict_from(wrong)).is_err(), "{wrong}");
        }
    }
}
