//! Keeps the C library's own words off the terminal.
//!
//! One line for each interpreter ("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.") is written to standard error
//! whatever one does. While an interpreter is made, standard error is a file in memory; afterwards the library's lines go
//! to our log, and those of anybody else, who only happened to speak at that moment, to where they were meant for.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

/// Standard error belongs to the whole process: one redirection at a time.
static REDIRECTION: Mutex<()> = Mutex::new(());

/// More than the library says of any model; a hostile one must not make it fill the memory of ours.
const MOST_BYTES: u64 = 64 * 1024;

/// Runs `work` with standard error turned aside. Where that is impossible, `work` runs all the same.
pub(super) fn with_quiet_library<T>(work: impl FnOnce() -> T) -> T {
    let _one = REDIRECTION.lock().unwrap_or_else(PoisonError::into_inner);
    let redirected = Redirected::new();
    let result = work();
    if let Ok(redirected) = redirected {
        redirected.finish();
    }
    result
}

/// Standard error while it is a file in memory. Dropping it puts things back, also when `work` panics.
struct Redirected {
    terminal: OwnedFd,
    memory: File,
}

impl Redirected {
    fn new() -> std::io::Result<Self> {
        let memory = rustix::fs::memfd_create("lookhear-stderr", rustix::fs::MemfdFlags::CLOEXEC)?;
        let terminal = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
        rustix::stdio::dup2_stderr(&memory)?;
        Ok(Self { terminal, memory: memory.into() })
    }

    fn finish(self) {
        let mut text = Vec::new();
        let mut memory = &self.memory;
        let read = memory.seek(SeekFrom::Start(0)).and_then(|_| memory.take(MOST_BYTES).read_to_end(&mut text));
        drop(self);
        if read.is_err() {
            return;
        }
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let tags: [&[u8]; 4] = [b"INFO: ", b"WARNING: ", b"ERROR: ", b"VERBOSE: "];
            if tags.iter().any(|tag| line.starts_with(tag)) {
                tracing::debug!(message = String::from_utf8_lossy(line).trim_end(), "TensorFlow Lite says");
            } else {
                // If standard error is closed, nobody misses the line.
                let _ = std::io::stderr().write_all(line);
            }
        }
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        // It fails only if the descriptor is not open, and it was just made.
        let _ = rustix::stdio::dup2_stderr(&self.terminal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_error_is_back_after_the_work_and_after_a_panic() {
        let inode = || rustix::fs::fstat(rustix::stdio::stderr()).expect("standard error is open").st_ino;
        let before = inode();
        let inside = with_quiet_library(|| {
            std::io::stderr().write_all(b"INFO: a line of the library\n").expect("it can be written");
            inode()
        });
        assert_eq!(inode(), before);
        assert_ne!(inside, before);
        let panicked = std::panic::catch_unwind(|| with_quiet_library(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(inode(), before);
    }
}
