//! The event log: one JSON object a line for everything found. `docs/events.md` is its contract.
//!
//! The first line is a `start` event that carries the version of the contract. Nothing is allocated for an event once
//! the longest line has been written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::SinkError;
use crate::findings::{Event, EventKind};
use crate::flow::{Stage, StageError, Stop, Subscriber};
use crate::media::MediaTime;

/// The version of the contract. A new field or type of event leaves it; changing or removing one raises it.
pub const LOG_VERSION: u32 = 1;

/// So long may a line wait while more keep coming; when none waits, what is there goes out at once.
const FLUSH_PERIOD: Duration = Duration::from_secs(1);

/// A sink that writes JSON Lines to a file or to standard output.
///
/// - **waits for**: findings, and the disk or the reader of the pipe
/// - **ends**: with the hub, or when it cannot write
#[derive(Debug)]
pub struct EventLog {
    findings: Subscriber<Event>,
    target: PathBuf,
    output: BufWriter<File>,
    line: Vec<u8>,
}

impl EventLog {
    /// Creates the file `target`, or takes standard output for `-`, and writes what comes from `findings` to it.
    ///
    /// # Errors
    /// [`SinkError::Write`] if the file cannot be created.
    pub fn new(target: &Path, findings: Subscriber<Event>) -> Result<Self, SinkError> {
        let file = if target == Path::new("-") {
            // A handle of our own: the library's would flush at every line, however fast they come.
            rustix::io::dup(rustix::stdio::stdout()).map(File::from).map_err(io::Error::from)
        } else {
            File::create(target)
        };
        let file = file.map_err(|source| failed(target, source))?;
        Ok(Self { findings, target: target.to_owned(), output: BufWriter::new(file), line: Vec::with_capacity(4096) })
    }

    /// Writes one event; [`EventLog::flush`] sends it on its way.
    ///
    /// # Errors
    /// [`SinkError::Write`].
    pub fn write(&mut self, event: &Event) -> Result<(), SinkError> {
        self.line.clear();
        if line_into(event, &mut self.line) {
            self.output.write_all(&self.line).map_err(|source| failed(&self.target, source))?;
        }
        Ok(())
    }

    /// Sends everything written so far to the disk or the pipe.
    ///
    /// # Errors
    /// [`SinkError::Write`].
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.output.flush().map_err(|source| failed(&self.target, source))
    }

    fn write_all(&mut self, stop: &Stop) -> Result<(), SinkError> {
        self.output.write_all(start_line().as_bytes()).map_err(|source| failed(&self.target, source))?;
        let mut flushed = Instant::now();
        loop {
            let event = match self.findings.try_next() {
                Some(event) => event,
                None => {
                    self.flush()?;
                    flushed = Instant::now();
                    let Some(event) = self.findings.next(stop) else { return Ok(()) };
                    event
                }
            };
            stop.beat();
            self.write(&event)?;
            if flushed.elapsed() >= FLUSH_PERIOD {
                self.flush()?;
                flushed = Instant::now();
            }
        }
    }
}

impl Stage for EventLog {
    fn name(&self) -> &'static str {
        "event log"
    }

    fn run(&mut self, stop: &Stop) -> Result<(), StageError> {
        let result = self.write_all(stop);
        if result.is_err() {
            // What is left in the buffer failed once, and would fail again when the buffer is dropped.
            let (_, _lost) = std::mem::replace(&mut self.output, BufWriter::new(null()?)).into_parts();
        }
        result.map_err(StageError::last)
    }
}

fn null() -> Result<File, StageError> {
    File::options().write(true).open("/dev/null").map_err(StageError::last)
}

fn failed(target: &Path, source: io::Error) -> SinkError {
    SinkError::Write { target: target.to_owned(), source }
}

/// The first line of a log, with its line break. It has no time of the world, so that the log of the same input is the
/// same.
pub fn start_line() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("{{\"type\":\"start\",\"time_s\":0.0,\"version\":{LOG_VERSION},\"program\":\"lookhear {version}\"}}\n")
}

/// Appends `event` to `out` as one line, with its line break; returns whether it is one for the log.
pub fn line_into(event: &Event, out: &mut Vec<u8>) -> bool {
    let Some(type_name) = event.type_name() else { return false };
    let length = out.len();
    // A vector takes everything, and no key is anything but a string; should that ever change, half a line is worse
    // than none.
    if serde_json::to_writer(&mut *out, &Line { type_name, event }).is_err() {
        out.truncate(length);
        return false;
    }
    out.push(b'\n');
    true
}

struct Line<'a> {
    type_name: &'static str,
    event: &'a Event,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.type_name)?;
        map.serialize_entry("time_s", &self.event.time)?;
        if let Some(at) = &self.event.at {
            map.serialize_entry("at", at)?;
        }
        match &self.event.kind {
            EventKind::Detections(detections) => {
                map.serialize_entry("frame", &detections.frame)?;
                map.serialize_entry("detections", &detections.items)?;
            }
            EventKind::Keyword(keyword) => {
                map.serialize_entry("label", &*keyword.label)?;
                map.serialize_entry("score", &four_digits(keyword.score))?;
                map.serialize_entry::<_, MediaTime>("decided_s", &keyword.decided)?;
            }
            EventKind::Lost { part, reason, retry_in_s } => {
                map.serialize_entry("part", part)?;
                map.serialize_entry("reason", reason)?;
                map.serialize_entry("retry_in_s", retry_in_s)?;
            }
            EventKind::Found { part } => map.serialize_entry("part", part)?,
            EventKind::Ledger(edges) => map.serialize_entry("edges", edges)?,
            EventKind::Hearing(_) => {}
        }
        map.end()
    }
}

/// As detections are written: finer than any model is right, and short enough to read.
fn four_digits(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}
