//! Reading from pipes without ever hanging.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Reads from a pipe, a socket or a terminal, and gives up when nothing comes for too long, or on request.
///
/// The request is a closure, so that this works below everything that knows how to stop.
#[derive(Debug)]
pub struct PatientReader<R> {
    inner: R,
    patience: Duration,
}

/// How often a reader that waits looks whether it is asked to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

impl<R: Read + AsFd> PatientReader<R> {
    /// Reads from `inner`, waiting at most `patience` for each next byte.
    pub fn new(inner: R, patience: Duration) -> Self {
        Self { inner, patience }
    }

    /// Changes how long it waits for each next byte.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Reads what is there, at most `buffer.len()` bytes; 0 is the end.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] when nothing came in time, [`ErrorKind::Interrupted`] when `stopped` says so, else the
    /// system's.
    pub fn read(&mut self, buffer: &mut [u8], stopped: &dyn Fn() -> bool) -> io::Result<usize> {
        let start = Instant::now();
        loop {
            if stopped() {
                return Err(ErrorKind::Interrupted.into());
            }
            let mut waits = [PollFd::new(&self.inner, PollFlags::IN)];
            match poll(&mut waits, Some(&LOOK)) {
                Ok(0) if start.elapsed() > self.patience => return Err(ErrorKind::TimedOut.into()),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.inner.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Fills `buffer`. Returns how much of it was filled before the end: all, or less.
    ///
    /// # Errors
    /// As [`PatientReader::read`].
    pub fn fill(&mut self, buffer: &mut [u8], stopped: &dyn Fn() -> bool) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..], stopped)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_silent_pipe_is_given_up_and_a_request_ends_the_wait() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut reader = PatientReader::new(reader, Duration::from_millis(60));
        writer.write_all(b"abc").expect("room");
        let mut buffer = [0; 5];
        let kind = |result: io::Result<usize>| result.map_err(|error| error.kind());
        assert_eq!(kind(reader.fill(&mut buffer, &|| false)), Err(ErrorKind::TimedOut));
        assert_eq!(kind(reader.fill(&mut buffer, &|| true)), Err(ErrorKind::Interrupted));
        writer.write_all(b"de").expect("room");
        drop(writer);
        assert_eq!(kind(reader.fill(&mut buffer, &|| false)), Ok(2));
    }
}
