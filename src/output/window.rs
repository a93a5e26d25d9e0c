//! The window, as a process of its own: Xlib ends the process whose display dies, and that must not be the one that
//! sees and hears.
//!
//! The process is this program with a hidden command. Its standard input is the memory with the pictures, its standard
//! output carries one word a line to the preview, what it has to say goes to standard error. It ends when the user
//! closes the window or asks it to, with its display, and when the preview's process is gone.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use minifb::{InputCallback, Key, ScaleMode, WindowOptions};

use super::canvas::Pixel;
use super::shared_pixels::{PixelReader, SharedPicture};
use crate::media::WallTime;

/// The preview beats ten times a second; one that is silent for so long is stuck, and its picture is a lie.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// What the screens of most people show.
const REFRESH_HZ: usize = 60;
/// How often a picture that does not change is put on the screen again: what lay over the window left holes in it.
const REPAINT_PERIOD: Duration = Duration::from_millis(200);

/// Why the window cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// Standard input is not the memory of a preview.
    #[error("The window shows pictures of a running preview only: use `lookhear run --preview window`.")]
    NoPictures(#[source] io::Error),
    /// The display does not take a window.
    #[error("Cannot open a window: {0}; check that DISPLAY or WAYLAND_DISPLAY names a display that this user may use.")]
    Display(#[from] minifb::Error),
    /// The preview does not move any more.
    #[error("The preview has not been seen at work for {} s, so its window is closed.", STALE_AFTER.as_secs())]
    Stale,
}

/// What the window tells the preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It is on the screen.
    Shown,
    /// The user asked to stop: by `q`, by Escape, or by closing the window.
    Quit,
    /// The user wants to see what is heard, or no longer.
    Sound,
    /// A screenshot was saved under this name.
    Saved(String),
    /// A screenshot was not saved, for this reason.
    NotSaved(String),
}

impl Word {
    /// The word of a line; anything else that may be written there is none.
    pub fn of_line(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (name, rest) {
            ("shown", "") => Some(Self::Shown),
            ("quit", "") => Some(Self::Quit),
            ("sound", "") => Some(Self::Sound),
            ("saved", file) => Some(Self::Saved(file.to_owned())),
            ("not-saved", reason) => Some(Self::NotSaved(reason.to_owned())),
            _ => None,
        }
    }

    fn say(&self) {
        let (name, rest) = match self {
            Self::Shown => ("shown", None),
            Self::Quit => ("quit", None),
            Self::Sound => ("sound", None),
            Self::Saved(file) => ("saved", Some(file)),
            Self::NotSaved(reason) => ("not-saved", Some(reason)),
        };
        let (gap, rest) = rest.map_or(("", ""), |rest| (" ", rest.as_str()));
        // A line of its own, even if somebody left one unfinished. A preview that is gone is noticed elsewhere.
        let _ = writeln!(io::stdout().lock(), "\n{name}{gap}{rest}").and_then(|()| io::stdout().flush());
    }
}

/// Shows the pictures behind standard input until the window is closed or nobody makes pictures any more. To be called
/// on the main thread.
///
/// - `q`, Escape: asks the program to stop
/// - `s`: saves the picture as `lookhear-<time>.png` in the current folder
/// - `m`: shows what the machine hears, or shows it no longer
/// - space: freezes the picture, and lets it go on
///
/// # Errors
/// [`WindowError`].
pub fn run_child() -> Result<(), WindowError> {
    let mut pictures = PixelReader::open(rustix::stdio::stdin()).map_err(WindowError::NoPictures)?;
    let mut maker = Maker::new(&pictures);
    // The window gets the size of the first picture.
    while !pictures.take_latest() {
        if !maker.is_there(&pictures)? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let Some(first) = pictures.picture() else {
        return Err(WindowError::NoPictures(io::ErrorKind::InvalidData.into()));
    };
    let options = WindowOptions { resize: true, scale_mode: ScaleMode::AspectRatioStretch, ..WindowOptions::default() };
    let mut window = minifb::Window::new(TITLE, first.width as usize, first.height as usize, options)?;
    window.set_target_fps(REFRESH_HZ);
    let keys = Keys::default();
    window.set_input_callback(Box::new(keys.clone()));
    show(&mut window, first)?;
    Word::Shown.say();
    let (mut frozen, mut painted, mut size) = (false, Instant::now(), window.get_size());
    while maker.is_there(&pictures)? {
        let mut wants_file = false;
        for key in keys.take() {
            match key {
                Key::Q | Key::Escape => {
                    Word::Quit.say();
                    return Ok(());
                }
                Key::Space => {
                    frozen = !frozen;
                    window.set_title(if frozen { "lookhear (frozen)" } else { TITLE });
                }
                Key::S => wants_file = true,
                Key::M => Word::Sound.say(),
                _ => {}
            }
        }
        if !window.is_open() {
            Word::Quit.say();
            return Ok(());
        }
        let fresh = !frozen && pictures.take_latest();
        let Some(picture) = pictures.picture() else { break };
        if wants_file {
            let word = match save(picture, Path::new("")) {
                Ok(file) => Word::Saved(file.display().to_string()),
                Err(error) => Word::NotSaved(error.to_string()),
            };
            word.say();
        }
        if fresh || window.get_size() != size || painted.elapsed() > REPAINT_PERIOD {
            (painted, size) = (Instant::now(), window.get_size());
            show(&mut window, picture)?;
        } else {
            window.update();
        }
    }
    Ok(())
}

const TITLE: &str = "lookhear";

/// The keys that went down since they were last looked at. Asking which are down now would miss those that were pressed
/// and released while a picture was being painted.
#[derive(Clone, Default)]
struct Keys(Rc<RefCell<KeysSeen>>);

#[derive(Default)]
struct KeysSeen {
    down: Vec<Key>,
    pressed: Vec<Key>,
}

impl Keys {
    fn take(&self) -> Vec<Key> {
        std::mem::take(&mut self.0.borrow_mut().pressed)
    }
}

impl InputCallback for Keys {
    fn add_char(&mut self, _: u32) {}

    fn set_key_state(&mut self, key: Key, is_down: bool) {
        let KeysSeen { down, pressed } = &mut *self.0.borrow_mut();
        let was_down = down.contains(&key);
        down.retain(|other| *other != key);
        if is_down {
            down.push(key);
            // A key that is held repeats itself; it counts once.
            if !was_down {
                pressed.push(key);
            }
        }
    }
}

fn show(window: &mut minifb::Window, picture: SharedPicture<'_>) -> Result<(), minifb::Error> {
    window.update_with_buffer(picture.pixels, picture.width as usize, picture.height as usize)
}

/// The process that makes the pictures.
struct Maker {
    process: u32,
    heartbeat: u32,
    seen: Instant,
}

impl Maker {
    fn new(pictures: &PixelReader) -> Self {
        Self { process: pictures.writer(), heartbeat: pictures.heartbeat(), seen: Instant::now() }
    }

    /// Whether more pictures may come: it has not said that it ends, it is our parent, it moves.
    fn is_there(&mut self, pictures: &PixelReader) -> Result<bool, WindowError> {
        // A process whose parent dies gets another one.
        let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
        if pictures.is_ended() || parent != Some(self.process) {
            return Ok(false);
        }
        let heartbeat = pictures.heartbeat();
        if heartbeat != self.heartbeat {
            (self.heartbeat, self.seen) = (heartbeat, Instant::now());
        }
        if self.seen.elapsed() > STALE_AFTER { Err(WindowError::Stale) } else { Ok(true) }
    }
}

/// Writes `picture` into `folder` under a name of its own, and returns that.
fn save(picture: SharedPicture<'_>, folder: &Path) -> image::ImageResult<PathBuf> {
    // Colons are not allowed on the file systems of memory cards.
    let file = folder.join(format!("lookhear-{}.png", WallTime::now().to_string().replace(':', "")));
    let output = BufWriter::new(File::create_new(&file)?);
    let rgb: Vec<[u8; 3]> = picture.pixels.iter().map(|pixel| pixel.colour()).collect();
    PngEncoder::new_with_quality(output, CompressionType::Fast, FilterType::Adaptive).write_image(
        rgb.as_flattened(),
        picture.width,
        picture.height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_are_heard() {
        assert_eq!(Word::of_line("shown"), Some(Word::Shown));
        assert_eq!(Word::of_line("saved my picture.png"), Some(Word::Saved("my picture.png".to_owned())));
        assert_eq!(Word::of_line("quit"), Some(Word::Quit));
        assert_eq!(Word::of_line("sound"), Some(Word::Sound));
        for noise in ["", "running 1 test", "test child ... ok", "quit!", "sound on"] {
            assert_eq!(Word::of_line(noise), None);
        }
    }

    #[test]
    fn a_key_counts_once_however_short_or_long_it_is_held() {
        let keys = Keys::default();
        let mut window = keys.clone();
        let events = [(Key::S, true), (Key::S, false), (Key::Q, true), (Key::Q, true), (Key::S, true)];
        events.into_iter().for_each(|(key, is_down)| window.set_key_state(key, is_down));
        assert_eq!(keys.take(), [Key::S, Key::Q, Key::S]);
        window.set_key_state(Key::Q, true);
        assert!(keys.take().is_empty());
    }

    #[test]
    fn a_screenshot_is_the_picture() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let picture = SharedPicture { pixels: &[0x00FF_8000, 0x0000_0001], width: 2, height: 1 };
        let file = save(picture, folder.path()).expect("room");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name.starts_with("lookhear-2") && name.ends_with(".png") && !name.contains(':'), "{name}");
        let read = image::open(&file).expect("a picture").to_rgb8();
        assert_eq!(read.as_raw().as_slice(), [255, 128, 0, 0, 0, 1]);
    }
}
