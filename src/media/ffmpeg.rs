//! The program `ffmpeg` as a child process: it reads and writes the video and sound files that lookhear does not.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Why `ffmpeg` did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum FfmpegError {
    /// There is no such program.
    #[error("Cannot {task}: the program ffmpeg is not installed; install it with `sudo apt install ffmpeg`.")]
    NotInstalled {
        /// What it was wanted for: "read street.mp4".
        task: String,
    },
    /// The system did not start it, or broke the connection.
    #[error("Cannot {task}: ffmpeg could not be run: {source}.")]
    System {
        /// What it was wanted for.
        task: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It ran and failed.
    #[error("Cannot {task}: ffmpeg says: {message}.")]
    Failed {
        /// What it was wanted for.
        task: String,
        /// The last thing it wrote to its standard error.
        message: String,
    },
}

/// A running `ffmpeg`; it is killed when this is dropped.
#[derive(Debug)]
pub struct FfmpegProcess {
    task: String,
    child: Child,
    complaints: Option<JoinHandle<()>>,
    last_complaint: Arc<Mutex<String>>,
}

impl FfmpegProcess {
    /// Starts `ffmpeg` with `arguments` in order to do `task` ("read street.mp4").
    ///
    /// Its standard input and output are pipes where asked for, its standard error is kept for the error message. It
    /// never asks questions and is quiet but for errors.
    ///
    /// # Errors
    /// [`FfmpegError::NotInstalled`] and [`FfmpegError::System`].
    pub fn spawn<S: AsRef<OsStr>>(
        task: &str,
        arguments: impl IntoIterator<Item = S>,
        stdin: Stdio,
        stdout: Stdio,
    ) -> Result<Self, FfmpegError> {
        let mut child = Command::new("ffmpeg")
            .args(["-nostdin", "-hide_banner", "-loglevel", "error"])
            .args(arguments)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            // An interrupt typed at the terminal goes to its whole group. It is ours to tell ffmpeg to end, once it has
            // been given everything.
            .process_group(0)
            .spawn()
            .map_err(|source| Self::not_started(task, source))?;
        let last_complaint = Arc::new(Mutex::new(String::new()));
        let complaints = child.stderr.take().map(|stderr| {
            let last = Arc::clone(&last_complaint);
            // A full pipe would stop ffmpeg, so somebody has to read it.
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    let line = without_password(String::from_utf8_lossy(&line).trim());
                    tracing::debug!(target: "ffmpeg", "{line}");
                    if !line.is_empty() {
                        *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
                    }
                }
            })
        });
        Ok(Self { task: task.to_owned(), child, complaints, last_complaint })
    }

    fn not_started(task: &str, source: io::Error) -> FfmpegError {
        let task = task.to_owned();
        match source.kind() {
            ErrorKind::NotFound => FfmpegError::NotInstalled { task },
            _ => FfmpegError::System { task, source },
        }
    }

    /// The pipe that carries its output; once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The pipe to its input; once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits for its end, no longer than `patience` (it is killed then), and tells how it went. Drop the pipes first.
    ///
    /// # Errors
    /// [`FfmpegError::Failed`] with what it complained of, [`FfmpegError::System`].
    pub fn finish(mut self, patience: Duration) -> Result<(), FfmpegError> {
        let deadline = Instant::now() + patience;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    let message = format!("it did not end within {} s", patience.as_secs());
                    return Err(FfmpegError::Failed { task: self.task.clone(), message });
                }
                Err(source) => return Err(FfmpegError::System { task: self.task.clone(), source }),
            }
        };
        if let Some(complaints) = self.complaints.take() {
            // Ends with the pipe, and the pipe ended with the process.
            let _ = complaints.join();
        }
        if status.success() {
            return Ok(());
        }
        let last = self.last_complaint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let message = if last.is_empty() { status.to_string() } else { last.trim_end_matches('.').to_owned() };
        Err(FfmpegError::Failed { task: self.task.clone(), message })
    }
}

impl Drop for FfmpegProcess {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `text` with "…" for the user name and password of every URL in it: ffmpeg repeats the URL it was given, and neither
/// a log nor a message may show a password.
pub fn without_password(text: &str) -> String {
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find("://").map(|colon| colon + 3) {
        let (scheme, after) = rest.split_at(start);
        clean.push_str(scheme);
        // The last @ counts, since a password may hold one that its owner did not escape.
        let authority = after.find(['/', '?', '#', ' ', '"', '\'']).unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(at) => {
                clean.push('…');
                &after[at..]
            }
            None => after,
        };
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_cut_out_of_what_ffmpeg_says() {
        let check = |text, expected| assert_eq!(without_password(text), expected);
        check("rtsp://me:se@cret@10.0.0.1:554/a: Connection refused", "rtsp://…@10.0.0.1:554/a: Connection refused");
        check("http://host/a@b and http://u:p@host?q", "http://host/a@b and http://…@host?q");
        check("no URL: me@home", "no URL: me@home");
    }
}
