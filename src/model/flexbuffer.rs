//! Reads whole numbers out of a FlexBuffer map, the form in which a custom operator's options are stored.
//!
//! ```text
//!  … values vector │ a type byte a value │ … │ root: offset back to the values │ root's type │ root's width in bytes
//!  in front of the values: offset back to the keys vector, width of its elements, count; each an element wide
//! ```
//! A type byte is `type << 2 | log2(width of what it points to)`. Every place is checked before it is read.

/// The whole number under `key` in the map that `bytes` are; `None` if there is none, or the bytes are no such map.
pub(super) fn integer_in_map(bytes: &[u8], key: &str) -> Option<i64> {
    let (&root_width, rest) = bytes.split_last()?;
    let (&root_type, rest) = rest.split_last()?;
    let root_width = usize::from(root_width);
    let root = rest.len().checked_sub(root_width)?;
    if root_type >> 2 != MAP {
        return None;
    }
    let width = 1_usize << (root_type & 3);
    let values = back(bytes, root, root_width)?;
    let count = unsigned(bytes, values.checked_sub(width)?, width)?;
    let keys = back(bytes, values.checked_sub(3 * width)?, width)?;
    let key_width = unsigned(bytes, values.checked_sub(2 * width)?, width)?;
    let key_width = usize::try_from(key_width).ok().filter(|width| matches!(width, 1 | 2 | 4 | 8))?;
    let index = (0..count.min(MOST_KEYS)).map(|index| index as usize).find(|index| {
        let name = keys.checked_add(index * key_width).and_then(|place| back(bytes, place, key_width));
        let text = name.and_then(|start| bytes.get(start..start.checked_add(key.len() + 1)?));
        text.and_then(|text| text.strip_suffix(&[0])) == Some(key.as_bytes())
    })?;
    let count = usize::try_from(count).ok()?;
    let types = values.checked_add(count.checked_mul(width)?)?;
    let kind = *bytes.get(types.checked_add(index)?)?;
    let place = values.checked_add(index.checked_mul(width)?)?;
    let indirect_width = 1_usize << (kind & 3);
    match kind >> 2 {
        INT => signed(bytes, place, width),
        UINT | BOOL => i64::try_from(unsigned(bytes, place, width)?).ok(),
        INDIRECT_INT => signed(bytes, back(bytes, place, width)?, indirect_width),
        INDIRECT_UINT => i64::try_from(unsigned(bytes, back(bytes, place, width)?, indirect_width)?).ok(),
        _ => None,
    }
}

/// Options of operators have a dozen.
const MOST_KEYS: u64 = 256;

const INT: u8 = 1;
const UINT: u8 = 2;
const INDIRECT_INT: u8 = 6;
const INDIRECT_UINT: u8 = 7;
const MAP: u8 = 9;
const BOOL: u8 = 26;

/// Where the offset at `place`, which counts backwards, points to.
fn back(bytes: &[u8], place: usize, width: usize) -> Option<usize> {
    place.checked_sub(usize::try_from(unsigned(bytes, place, width)?).ok()?)
}

fn unsigned(bytes: &[u8], place: usize, width: usize) -> Option<u64> {
    if !matches!(width, 1 | 2 | 4 | 8) {
        return None;
    }
    let mut value = [0; 8];
    value[..width].copy_from_slice(bytes.get(place..place.checked_add(width)?)?);
    Some(u64::from_le_bytes(value))
}

fn signed(bytes: &[u8], place: usize, width: usize) -> Option<i64> {
    let value = unsigned(bytes, place, width)?;
    let unused_bits = 64 - 8 * width as u32;
    Some((value << unused_bits) as i64 >> unused_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": 5, "num_classes": 90, "z": -2}`, laid out by hand with elements of one byte.
    fn sample() -> Vec<u8> {
        let mut bytes = b"a\0num_classes\0z\0".to_vec(); // at 0, 2, 14
        bytes.extend([3, 17, 16, 6]); // the keys: their count at 16, offsets back at 17, 18, 19
        bytes.extend([3, 1, 3]); // of the map: its keys at 17, their width, the count of values
        bytes.extend([5, 90, 0xfe]); // the values, at 23
        bytes.extend([INT << 2, UINT << 2, INT << 2]); // their types
        bytes.extend([6, MAP << 2, 1]); // the root
        bytes[18] = 16; // from 18 back to 2
        bytes[19] = 5; // from 19 back to 14
        bytes
    }

    #[test]
    fn numbers_are_found_by_their_key() {
        let bytes = sample();
        assert_eq!(integer_in_map(&bytes, "num_classes"), Some(90));
        assert_eq!(integer_in_map(&bytes, "a"), Some(5));
        assert_eq!(integer_in_map(&bytes, "z"), Some(-2));
        assert_eq!(integer_in_map(&bytes, "num_class"), None);
    }

    #[test]
    fn damaged_maps_give_nothing_and_no_panic() {
        let bytes = sample();
        for length in 0..bytes.len() {
            let _ = integer_in_map(&bytes[..length], "num_classes");
        }
        for place in 0..bytes.len() {
            for value in 0..=255 {
                let mut wild = bytes.clone();
                wild[place] = value;
                let _ = integer_in_map(&wild, "num_classes");
            }
        }
        assert_eq!(integer_in_map(&[0xff; 64], "num_classes"), None);
    }
}
