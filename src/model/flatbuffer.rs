//! Reads flatbuffers, the format of TensorFlow Lite models, without believing them: every place is checked before it is
//! read, nothing recurses, nothing is allocated.
//!
//! ```text
//!  table:  i32 distance back to its vtable │ fields …        vtable:  u16 own bytes │ u16 table's bytes │ u16 place of field 0 │ …
//!  vector: u32 count │ elements …                            offset:  u32 distance forward to a table, vector or string
//! ```

/// A place that does not hold what it should; names what was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged(pub &'static str);

/// A table: a record whose fields may be absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
    vtable_bytes: usize,
    /// What it is, for errors.
    name: &'static str,
}

impl<'a> Table<'a> {
    /// The table that the whole file is, of `name`.
    pub fn root(bytes: &'a [u8], name: &'static str) -> Result<Self, Damaged> {
        let at = read::<4>(bytes, 0).map(u32::from_le_bytes).ok_or(Damaged(name))?;
        Self::at(bytes, at as usize, name)
    }

    fn at(bytes: &'a [u8], at: usize, name: &'static str) -> Result<Self, Damaged> {
        let damaged = Damaged(name);
        let back = read::<4>(bytes, at).map(i32::from_le_bytes).ok_or(damaged)?;
        let vtable = (at as i64).checked_sub(i64::from(back)).and_then(|place| usize::try_from(place).ok());
        let vtable = vtable.ok_or(damaged)?;
        let vtable_bytes = read::<2>(bytes, vtable).map(u16::from_le_bytes).ok_or(damaged)? as usize;
        let own_bytes = vtable.checked_add(2).and_then(|place| read::<2>(bytes, place));
        let own_bytes = own_bytes.map(u16::from_le_bytes).ok_or(damaged)? as usize;
        let fits = |place: usize, length: usize| place.checked_add(length).is_some_and(|end| end <= bytes.len());
        if vtable_bytes < 4 || !fits(vtable, vtable_bytes) || !fits(at, own_bytes) {
            return Err(damaged);
        }
        Ok(Self { bytes, at, vtable, vtable_bytes, name })
    }

    /// Where field `id` lies; `None` if it is absent.
    fn place(&self, id: usize) -> Option<usize> {
        let entry = 4 + 2 * id;
        if entry + 2 > self.vtable_bytes {
            return None;
        }
        let place = read::<2>(self.bytes, self.vtable + entry).map(u16::from_le_bytes)? as usize;
        (place != 0).then(|| self.at + place)
    }

    fn scalar<const N: usize>(&self, id: usize) -> Result<Option<[u8; N]>, Damaged> {
        let Some(place) = self.place(id) else { return Ok(None) };
        read(self.bytes, place).map(Some).ok_or(Damaged(self.name))
    }

    pub fn u8(&self, id: usize) -> Result<u8, Damaged> {
        Ok(self.scalar::<1>(id)?.map_or(0, |bytes| bytes[0]))
    }

    pub fn i32(&self, id: usize) -> Result<i32, Damaged> {
        Ok(self.scalar(id)?.map_or(0, i32::from_le_bytes))
    }

    pub fn u32(&self, id: usize) -> Result<u32, Damaged> {
        Ok(self.scalar(id)?.map_or(0, u32::from_le_bytes))
    }

    pub fn u64(&self, id: usize) -> Result<u64, Damaged> {
        Ok(self.scalar(id)?.map_or(0, u64::from_le_bytes))
    }

    /// The place that the offset in field `id` points to.
    fn target(&self, id: usize) -> Result<Option<usize>, Damaged> {
        let Some(place) = self.place(id) else { return Ok(None) };
        follow(self.bytes, place).map(Some).ok_or(Damaged(self.name))
    }

    pub fn table(&self, id: usize, name: &'static str) -> Result<Option<Table<'a>>, Damaged> {
        self.target(id)?.map(|at| Self::at(self.bytes, at, name)).transpose()
    }

    /// The vector in field `id`, whose elements have `N` bytes; an absent one is empty.
    pub fn vector<const N: usize>(&self, id: usize, name: &'static str) -> Result<Vector<'a, N>, Damaged> {
        let damaged = Damaged(name);
        let Some(at) = self.target(id)? else { return Ok(Vector { bytes: self.bytes, at: 0, count: 0, name }) };
        let count = read::<4>(self.bytes, at).map(u32::from_le_bytes).ok_or(damaged)? as usize;
        let at = at + 4;
        let end = count.checked_mul(N).and_then(|length| at.checked_add(length)).ok_or(damaged)?;
        if end > self.bytes.len() {
            return Err(damaged);
        }
        Ok(Vector { bytes: self.bytes, at, count, name })
    }

    /// The bytes of the string or byte vector in field `id`; `None` if it is absent.
    pub fn bytes(&self, id: usize, name: &'static str) -> Result<Option<&'a [u8]>, Damaged> {
        if self.place(id).is_none() {
            return Ok(None);
        }
        let vector = self.vector::<1>(id, name)?;
        Ok(Some(&self.bytes[vector.at..vector.at + vector.count]))
    }
}

/// A vector of elements of `N` bytes, all of which are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vector<'a, const N: usize> {
    bytes: &'a [u8],
    at: usize,
    count: usize,
    name: &'static str,
}

impl<'a, const N: usize> Vector<'a, N> {
    pub fn len(&self) -> usize {
        self.count
    }

    fn raw(self) -> impl Iterator<Item = [u8; N]> + 'a {
        (0..self.count).filter_map(move |index| read(self.bytes, self.at + index * N))
    }
}

impl<'a> Vector<'a, 4> {
    pub fn i32s(self) -> impl Iterator<Item = i32> + 'a {
        self.raw().map(i32::from_le_bytes)
    }

    pub fn f32s(self) -> impl Iterator<Item = f32> + 'a {
        self.raw().map(f32::from_le_bytes)
    }

    /// The tables that the elements point to, each to be checked when it is reached.
    pub fn tables(self) -> impl Iterator<Item = Result<Table<'a>, Damaged>> + 'a {
        (0..self.count).map(move |index| {
            let at = follow(self.bytes, self.at + index * 4).ok_or(Damaged(self.name))?;
            Table::at(self.bytes, at, self.name)
        })
    }
}

impl<'a> Vector<'a, 8> {
    pub fn i64s(self) -> impl Iterator<Item = i64> + 'a {
        self.raw().map(i64::from_le_bytes)
    }
}

fn read<const N: usize>(bytes: &[u8], place: usize) -> Option<[u8; N]> {
    bytes.get(place..place.checked_add(N)?)?.try_into().ok()
}

/// Where the offset at `place` points to.
fn follow(bytes: &[u8], place: usize) -> Option<usize> {
    let forward = u32::from_le_bytes(read(bytes, place)?) as usize;
    place.checked_add(forward).filter(|target| *target < bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One table with a `u32` of 7 as field 0, no field 1, a vector of 1 and 2 as field 2, and the string "hi" as field 3.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![];
        bytes.extend(16_u32.to_le_bytes()); // the root
        bytes.extend([12, 0, 16, 0, 4, 0, 0, 0, 8, 0, 12, 0]); // the vtable, at 4
        bytes.extend(12_i32.to_le_bytes()); // the table, at 16
        bytes.extend(7_u32.to_le_bytes());
        bytes.extend(8_u32.to_le_bytes()); // at 24, to 32
        bytes.extend(16_u32.to_le_bytes()); // at 28, to 44
        bytes.extend([2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        bytes.extend([2, 0, 0, 0, b'h', b'i', 0, 0]);
        bytes
    }

    #[test]
    fn fields_are_found_and_absent_ones_have_their_default() {
        let bytes = sample();
        let table = Table::root(&bytes, "sample").expect("right");
        assert_eq!((table.u32(0), table.u32(1), table.u64(9)), (Ok(7), Ok(0), Ok(0)));
        let vector = table.vector::<4>(2, "numbers").expect("right");
        assert_eq!((vector.len(), vector.i32s().collect::<Vec<_>>()), (2, vec![1, 2]));
        assert_eq!(table.bytes(3, "text"), Ok(Some(b"hi".as_slice())));
        assert_eq!(table.bytes(1, "absent"), Ok(None));
    }

    #[test]
    fn every_truncation_and_every_wild_byte_is_survived() {
        let bytes = sample();
        let visit = |bytes: &[u8]| -> Result<(), Damaged> {
            let table = Table::root(bytes, "sample")?;
            for id in 0..6 {
                let _ = (table.u8(id)?, table.u32(id)?, table.u64(id)?);
                let _ = table.bytes(id, "text");
                for inner in table.vector::<4>(id, "numbers")?.tables() {
                    inner?.table(0, "inner")?;
                }
            }
            Ok(())
        };
        for length in 0..bytes.len() {
            let _ = visit(&bytes[..length]);
        }
        for place in 0..bytes.len() {
            for value in 0..=255 {
                let mut wild = bytes.clone();
                wild[place] = value;
                let _ = visit(&wild);
            }
        }
    }
}
