//! Reads numbers out of a FlexBuffer map, the form in which a custom operator's options are stored.
//!
//! ```text
//!  … values vector │ a type byte a value │ … │ root: offset back to the values │ root's type │ root's width in bytes
//!  in front of the values: offset back to the keys vector, width of its elements, count; each an element wide
//! ```
//! A type byte is `type << 2 | log2(width of what it points to)`. Every place is checked before it is read.

/// A map from names to numbers, all of whose parts lie where they should.
///
/// The C library reads such a map without any check, so one that is not well-formed must not reach it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map<'a> {
    bytes: &'a [u8],
    values: usize,
    /// Bytes of a value.
    width: usize,
    count: usize,
    keys: usize,
    /// Bytes of an offset to a key.
    key_width: usize,
}

impl<'a> Map<'a> {
    /// The map that `bytes` are; `None` if they are none, or if it holds something else than numbers.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (&root_width, rest) = bytes.split_last()?;
        let (&root_type, rest) = rest.split_last()?;
        let root_width = usize::from(root_width);
        let root = rest.len().checked_sub(root_width)?;
        if root_type >> 2 != MAP {
            return None;
        }
        let width = 1_usize << (root_type & 3);
        let values = back(bytes, root, root_width)?;
        let count = size(bytes, values.checked_sub(width)?, width)?;
        let keys = back(bytes, values.checked_sub(3 * width)?, width)?;
        let key_width = size(bytes, values.checked_sub(2 * width)?, width)?;
        let count_of_keys = size(bytes, keys.checked_sub(key_width)?, key_width)?;
        let map = Self { bytes, values, width, count, keys, key_width };
        let sound = count <= MOST_KEYS && count == count_of_keys && (0..count).all(|index| map.is_sound(index));
        sound.then_some(map)
    }

    /// Whether key and value number `index` are there. Places within the map cannot overflow: it has few entries.
    fn is_sound(&self, index: usize) -> bool {
        let Some((kind, place)) = self.value(index) else { return false };
        let inside = |place: Option<usize>, length: usize| {
            place.and_then(|place| self.bytes.get(place..place.checked_add(length)?)).is_some()
        };
        let value_is_there = match kind >> 2 {
            NULL | INT | UINT | FLOAT | BOOL => inside(Some(place), self.width),
            INDIRECT_INT | INDIRECT_UINT | INDIRECT_FLOAT => {
                inside(back(self.bytes, place, self.width), 1 << (kind & 3))
            }
            _ => false,
        };
        value_is_there && self.key(index).is_some()
    }

    /// The name of value `index`, which ends with a zero byte.
    fn key(&self, index: usize) -> Option<&'a [u8]> {
        let start = back(self.bytes, self.keys + index * self.key_width, self.key_width)?;
        self.bytes.get(start..)?.split(|byte| *byte == 0).next().filter(|key| start + key.len() < self.bytes.len())
    }

    /// Type and place of value `index`.
    fn value(&self, index: usize) -> Option<(u8, usize)> {
        let kind = *self.bytes.get(self.values + self.count * self.width + index)?;
        Some((kind, self.values + index * self.width))
    }

    /// The whole number under `key`; `None` if there is none.
    pub fn integer(&self, key: &str) -> Option<i64> {
        let index = (0..self.count).find(|index| self.key(*index) == Some(key.as_bytes()))?;
        let (kind, place) = self.value(index)?;
        let indirect_width = 1_usize << (kind & 3);
        match kind >> 2 {
            INT => signed(self.bytes, place, self.width),
            UINT | BOOL => i64::try_from(unsigned(self.bytes, place, self.width)?).ok(),
            INDIRECT_INT => signed(self.bytes, back(self.bytes, place, self.width)?, indirect_width),
            INDIRECT_UINT => {
                i64::try_from(unsigned(self.bytes, back(self.bytes, place, self.width)?, indirect_width)?).ok()
            }
            _ => None,
        }
    }
}

/// Options of operators have a dozen.
const MOST_KEYS: usize = 256;

const NULL: u8 = 0;
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const INDIRECT_INT: u8 = 6;
const INDIRECT_UINT: u8 = 7;
const INDIRECT_FLOAT: u8 = 8;
const MAP: u8 = 9;
const BOOL: u8 = 26;

/// Where the offset at `place`, which counts backwards, points to.
fn back(bytes: &[u8], place: usize, width: usize) -> Option<usize> {
    place.checked_sub(size(bytes, place, width)?)
}

fn size(bytes: &[u8], place: usize, width: usize) -> Option<usize> {
    usize::try_from(unsigned(bytes, place, width)?).ok()
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
        let map = Map::new(&bytes).expect("a map");
        assert_eq!(map.integer("num_classes"), Some(90));
        assert_eq!((map.integer("a"), map.integer("z")), (Some(5), Some(-2)));
        assert_eq!((map.integer("num_class"), map.integer("")), (None, None));
    }

    #[test]
    fn damaged_maps_are_none_and_no_panic() {
        let bytes = sample();
        let look = |bytes: &[u8]| Map::new(bytes).and_then(|map| map.integer("num_classes"));
        for length in 0..bytes.len() {
            assert_eq!(look(&bytes[..length]), None);
        }
        for place in 0..bytes.len() {
            for value in 0..=255 {
                let mut wild = bytes.clone();
                wild[place] = value;
                look(&wild);
            }
        }
        assert!(Map::new(&[0xff; 64]).is_none());
        // More keys than values, and a value that is text.
        for (place, value) in [(16, 4), (26, 5 << 2)] {
            let mut wild = bytes.clone();
            wild[place] = value;
            assert!(Map::new(&wild).is_none(), "{place}");
        }
    }
}
