//! The preview's side of the window: starts its process, hands it pictures, hears its words, starts it again.
//!
//! ```text
//!            started               "shown"
//!  waiting ─────────▶ starting ───────────▶ on screen ── "quit" ──▶ the program stops
//!     ▲                  │ ends                │ ends (its display died)
//!     └──── back-off ────┴─────────────────────┘
//! ```

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};

use super::shared_pixels::PixelWriter;
use super::window::Word;

/// The wait after the first death; it doubles with each further one. A display that comes back after a log-out gets
/// its window within a breath, a missing one costs nearly nothing.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A window that stood for so long was well, and its death is a new trouble.
const WELL_AFTER: Duration = Duration::from_secs(5);
/// How long a window has to close when it is told to.
const CLOSE_WITHIN: Duration = Duration::from_millis(300);

/// How the window's process is started.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The program; its parent must be this process, so a wrapper has to `exec`.
    pub program: PathBuf,
    /// Its arguments, which make it call [`run_child`](super::window::run_child).
    pub arguments: Vec<OsString>,
    /// Variables that it gets beside ours.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder in which it saves screenshots.
    pub folder: PathBuf,
}

/// Keeps a window on the screen.
#[derive(Debug)]
pub(super) struct Supervisor {
    opening: Opening,
    /// The largest picture, in pixels.
    capacity: usize,
    window: Option<WindowProcess>,
    next_try: Instant,
    wait: Duration,
    /// Whether the user knows that there is no window: what repeats is not said again.
    told: bool,
}

/// What the user wants, as far as the window heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    GoOn,
    Stop,
    /// To see what is heard, or no longer.
    ToggleSound,
}

impl Supervisor {
    /// Will show pictures of up to `capacity` pixels.
    pub fn new(opening: Opening, capacity: usize) -> Self {
        Self { opening, capacity, window: None, next_try: Instant::now(), wait: FIRST_WAIT, told: false }
    }

    /// Looks after the window, at least ten times a second; never waits for it, and takes it for no error that it
    /// cannot be shown.
    pub fn look(&mut self) -> Wish {
        let Some(window) = &mut self.window else {
            if Instant::now() >= self.next_try {
                match WindowProcess::start(&self.opening, self.capacity, self.told) {
                    Ok(window) => self.window = Some(window),
                    Err(error) => self.failed(&format!("cannot be started ({error})")),
                }
            }
            return Wish::GoOn;
        };
        window.pixels.beat();
        // A child that cannot be asked is as good as dead.
        let ended = window
            .child
            .try_wait()
            .map_or_else(|_| Some("it is gone".to_owned()), |end| end.map(|end| end.to_string()));
        if ended.is_some() {
            window.join_readers();
        }
        while let Ok(word) = window.words.try_recv() {
            match word {
                Word::Quit => return Wish::Stop,
                // What else was said, and an end, is found at the next look.
                Word::Sound => return Wish::ToggleSound,
                Word::Shown => {
                    tracing::info!(
                        "The window is open: q stops, m shows what is heard, s saves the picture, space freezes it."
                    );
                    (window.shown, self.told) = (Some(Instant::now()), false);
                }
                Word::Saved(file) => tracing::info!("Saved {}.", self.opening.folder.join(file).display()),
                Word::NotSaved(reason) => tracing::error!("Cannot save the picture: {reason}."),
            }
        }
        if let Some(status) = ended {
            let shown = window.shown;
            if shown.is_some_and(|shown| shown.elapsed() > WELL_AFTER) {
                self.wait = FIRST_WAIT;
            }
            let what = if shown.is_some() { "was lost" } else { "could not be opened" };
            self.failed(&format!("{what} ({status})"));
        }
        Wish::GoOn
    }

    fn failed(&mut self, how: &str) {
        if !self.told {
            tracing::warn!("The window {how}; all else goes on, and it is tried again.");
        }
        (self.told, self.window) = (true, None);
        self.next_try = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }

    /// Where the next picture goes, [`PixelWriter::next`]; `None` while there is no window to show it.
    pub fn next(&mut self, width: u32, height: u32) -> Option<&mut [u32]> {
        self.window.as_mut()?.pixels.next(width, height)
    }

    /// Hands the picture to the window.
    pub fn publish(&mut self) {
        if let Some(window) = &mut self.window {
            window.pixels.publish();
        }
    }
}

/// One life of the window.
#[derive(Debug)]
struct WindowProcess {
    /// Memory of its own for each life: nobody knows which slot a dead reader held.
    pixels: PixelWriter,
    child: Child,
    words: Receiver<Word>,
    readers: Vec<JoinHandle<()>>,
    shown: Option<Instant>,
}

impl WindowProcess {
    fn start(opening: &Opening, capacity: usize, quiet: bool) -> io::Result<Self> {
        let pixels = PixelWriter::new(capacity)?;
        let mut command = Command::new(&opening.program);
        command.args(&opening.arguments).envs(opening.environment.iter().cloned());
        if !opening.folder.as_os_str().is_empty() {
            command.current_dir(&opening.folder);
        }
        // An interrupt typed at the terminal is for the program; the window would look as if it had died of itself.
        command.process_group(0);
        let mut child = command.stdin(pixels.handle()?).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, words) = unbounded();
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(each_line(stdout, move |line| {
                // The receiver is gone only when the window is.
                let _ = Word::of_line(line).map(|word| sender.send(word));
            })?);
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(each_line(stderr, move |line| match quiet {
                true => tracing::debug!("window: {line}"),
                false => tracing::info!("window: {line}"),
            })?);
        }
        Ok(Self { pixels, child, words, readers, shown: None })
    }

    /// To be called when the process has ended: then its pipes have too.
    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            // It cannot panic, and if it did, the words it brought are still here.
            let _ = reader.join();
        }
    }
}

impl Drop for WindowProcess {
    fn drop(&mut self) {
        self.pixels.end();
        let deadline = Instant::now() + CLOSE_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn each_line(
    pipe: impl Read + Send + 'static,
    mut take: impl FnMut(&str) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("window's words".to_owned()).spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if !line.trim().is_empty() {
                take(line.trim_end());
            }
        }
    })
}
