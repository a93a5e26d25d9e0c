//! Finds the borders of JPEG pictures in a stream of bytes.
//!
//! The end marker alone does not do: a thumbnail in a header has one too. So headers are stepped over by their lengths,
//! and only the coded picture is searched:
//! ```text
//!  garbage │ SOI │ header, length │ header, length │ SOS, length │ coded picture … FF 00 … FF D3 … │ EOI │ garbage
//!  Outside   Segments ─────────────────────────────▶ Scan ─────────────────────────────────────────▶ Outside
//! ```
//! Damage costs the picture that it stands in: the search goes on behind it.

/// No picture is larger: 8192×8192 at 2 bits a pixel. Bounds the memory that a hostile stream can take.
const LARGEST_PICTURE: usize = 16 << 20;

/// The pictures of a stream whose bytes come in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct MjpegSplitter {
    buffer: Vec<u8>,
    /// Where the picture starts in `buffer`; everything before it is done with.
    start: usize,
    /// Up to where it has been looked at.
    at: usize,
    state: State,
    broken: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Outside,
    Segments,
    Scan,
}

impl MjpegSplitter {
    /// Takes the stream's next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole picture; `None` when more bytes are needed.
    pub(super) fn next_picture(&mut self) -> Option<&[u8]> {
        loop {
            if self.at - self.start > LARGEST_PICTURE {
                self.give_up();
            }
            match self.state {
                State::Outside => self.find_start()?,
                State::Segments => self.step_over_segment()?,
                State::Scan => {
                    if let Some(end) = self.find_end()? {
                        let picture = self.start..end;
                        (self.start, self.at, self.state) = (end, end, State::Outside);
                        return Some(&self.buffer[picture]);
                    }
                }
            }
        }
    }

    /// Takes the count of pictures that were damaged or cut short, those in `buffer` included once the stream has ended.
    pub(super) fn take_broken(&mut self, ended: bool) -> u64 {
        let unfinished = ended && !matches!(self.state, State::Outside);
        std::mem::take(&mut self.broken) + u64::from(unfinished)
    }

    /// Drops the picture that is being looked at.
    fn give_up(&mut self) {
        self.broken += 1;
        (self.start, self.state) = (self.at, State::Outside);
    }

    fn begin(&mut self, start: usize) {
        (self.start, self.at, self.state) = (start, start + 2, State::Segments);
    }

    fn find_start(&mut self) -> Option<()> {
        let found = self.buffer[self.at..].windows(2).position(|pair| pair == [0xff, 0xd8]);
        match found {
            Some(offset) => {
                self.begin(self.at + offset);
                Some(())
            }
            None => {
                // The last byte may be the first half of the marker.
                let half = usize::from(self.buffer.ends_with(&[0xff]));
                self.at = self.at.max(self.buffer.len() - half);
                self.start = self.at;
                None
            }
        }
    }

    fn step_over_segment(&mut self) -> Option<()> {
        let rest = &self.buffer[self.at..];
        let (first, kind) = (*rest.first()?, *rest.get(1)?);
        match (first, kind) {
            (0xff, 0xff) => self.at += 1,
            (0xff, 0xd8) => {
                self.broken += 1;
                self.begin(self.at);
            }
            (0xff, 0x01 | 0xd0..=0xd7) => self.at += 2,
            (0xff, 0xd9) => {
                self.at += 2;
                self.give_up();
            }
            (0xff, 0x02..) => {
                let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
                if length < 2 {
                    self.give_up();
                } else if rest.len() < 2 + length {
                    return None;
                } else {
                    self.at += 2 + length;
                    self.state = if kind == 0xda { State::Scan } else { State::Segments };
                }
            }
            _ => self.give_up(),
        }
        Some(())
    }

    /// `Some(Some(end))` at the picture's end, `Some(None)` when the state has changed.
    fn find_end(&mut self) -> Option<Option<usize>> {
        loop {
            match self.buffer[self.at..].iter().position(|&byte| byte == 0xff) {
                Some(offset) => self.at += offset,
                None => {
                    self.at = self.buffer.len();
                    // Back to the loop that bounds the size, which comes back with more bytes.
                    return if self.at - self.start > LARGEST_PICTURE { Some(None) } else { None };
                }
            }
            match *self.buffer.get(self.at + 1)? {
                0x00 | 0x01 | 0xd0..=0xd7 => self.at += 2,
                0xff => self.at += 1,
                0xd9 => return Some(Some(self.at + 2)),
                0xd8 => {
                    self.broken += 1;
                    self.begin(self.at);
                    return Some(None);
                }
                // A progressive picture: the tables of its next scan.
                _ => {
                    self.state = State::Segments;
                    return Some(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A picture by form: headers (one with a thumbnail), a scan with stuffed bytes and a restart marker.
    fn picture(value: u8) -> Vec<u8> {
        let mut picture = vec![0xff, 0xd8, 0xff, 0xe1, 0, 10, 0xff, 0xd8, 0xff, 0xda, 0, 2, 0xff, 0xd9];
        picture.extend([
            0xff,
            0xff,
            0xc0,
            0,
            3,
            value,
            0xff,
            0xda,
            0,
            4,
            1,
            2,
            9,
            0xff,
            0,
            value & 0x7f,
            0xff,
            0xd3,
            7,
        ]);
        picture.extend([0xff, 0xc4, 0, 3, 1, 0xff, 0xda, 0, 2, 5, 0xff, 0xd9]);
        picture
    }

    fn split(stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, u64) {
        let (mut splitter, mut pictures, mut at, mut pieces) =
            (MjpegSplitter::default(), Vec::new(), 0, pieces.iter().cycle());
        while at < stream.len() {
            let end = stream.len().min(at + pieces.next().expect("endless"));
            splitter.push(&stream[at..end]);
            while let Some(picture) = splitter.next_picture() {
                pictures.push(picture.to_vec());
            }
            at = end;
        }
        (pictures, splitter.take_broken(true))
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_pictures(pieces in prop::collection::vec(1usize..60, 1..20), gaps in prop::collection::vec(0usize..30, 1..8)) {
            let (mut stream, mut expected) = (Vec::new(), Vec::new());
            for (value, gap) in gaps.iter().enumerate() {
                stream.extend(std::iter::repeat_n(b"--boundary\xff\r\n", *gap).flatten());
                expected.push(picture(value as u8));
                stream.extend(&expected[value]);
            }
            prop_assert_eq!(split(&stream, &pieces), (expected, 0));
        }

        #[test]
        fn any_bytes_end_and_a_picture_behind_them_is_found(
            noise in prop::collection::vec(prop::sample::select(&[0xffu8, 0xd8, 0xd9, 0xda, 0xc0, 0x00, 0x02, 0x07][..]), 0..400),
            pieces in prop::collection::vec(1usize..60, 1..20),
        ) {
            let mut stream = noise;
            // No segment is longer than 64 KiB, so behind that many bytes no damage can hide a picture.
            stream.extend(std::iter::repeat_n(0, 70_000));
            stream.extend(picture(1));
            let (pictures, _) = split(&stream, &pieces);
            prop_assert_eq!(pictures.last(), Some(&picture(1)));
        }
    }

    #[test]
    fn a_picture_cut_short_is_dropped_and_counted() {
        let whole = picture(3);
        let stream = [&whole[..30], &whole[..], &whole[..20]].concat();
        assert_eq!(split(&stream, &[7]), (vec![whole], 2));
    }

    #[test]
    fn an_endless_picture_is_given_up() {
        let mut stream = picture(1)[..30].to_vec();
        stream.resize(LARGEST_PICTURE + 100, 1);
        stream.extend(picture(2));
        assert_eq!(split(&stream, &[1 << 16]), (vec![picture(2)], 1));
    }
}
