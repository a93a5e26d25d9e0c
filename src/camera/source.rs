//! What the user calls a camera.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::CameraError;
use crate::media::without_password;

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    None,
    /// The first camera found.
    Auto,
    /// A V4L2 device.
    Device(PathBuf),
    /// A recording with an end, as `ffmpeg` names it: `file:` and a path, or the URL of a video file.
    Film(String),
    /// A network stream: a URL.
    Stream(String),
    /// Picture files, in order.
    Images(Vec<PathBuf>),
    /// Standard input.
    Stdin,
}

/// Kinds of stream that are handed to ffmpeg. Its others (`concat:`, `subfile:`, `crypto:` …) read local files and are
/// no cameras.
const SCHEMES: [&str; 9] = ["rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp", "tcp", "srt"];
/// Endings of files that are recordings even on a web server, and so have an end and a pace of their own.
const FILMS: [&str; 8] = ["mp4", "m4v", "mkv", "webm", "avi", "mov", "gif", "ogv"];
const PICTURES: [&str; 3] = ["jpg", "jpeg", "png"];

impl Source {
    /// Understands `text`; see [`super::CameraConfig::source`] for the grammar. Looks at the file system, opens nothing.
    ///
    /// # Errors
    /// [`CameraError::NoSuchSource`], [`CameraError::Scheme`], [`CameraError::NoImages`], [`CameraError::Folder`].
    pub fn parse(text: &str) -> Result<Self, CameraError> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text {
            "none" => return Ok(Self::None),
            "auto" => return Ok(Self::Auto),
            "-" => return Ok(Self::Stdin),
            // The number of a device, unless there is a file of that name.
            _ if is_number && !Path::new(text).exists() => return Ok(Self::Device(format!("/dev/video{text}").into())),
            _ if text.starts_with("/dev/video") || text.starts_with("/dev/v4l/") => {
                return Ok(Self::Device(text.into()));
            }
            _ => {}
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "http" | "https" if has_ending(Path::new(without_query(rest)), &FILMS) => {
                    Ok(Self::Film(text.to_owned()))
                }
                _ if SCHEMES.contains(&scheme) => Ok(Self::Stream(text.to_owned())),
                _ => Err(CameraError::Scheme {
                    url: without_password(text),
                    scheme: scheme.to_owned(),
                    known: SCHEMES.join(", "),
                }),
            };
        }
        let path = Path::new(text);
        if path.is_dir() {
            return pictures_in(path).map(Self::Images);
        }
        if path.exists() {
            // The prefix keeps ffmpeg from taking a name with a colon or a leading dash for something else.
            let picture = has_ending(path, &PICTURES);
            return Ok(if picture { Self::Images(vec![path.into()]) } else { Self::Film(format!("file:{text}")) });
        }
        let list: Vec<PathBuf> = text.split(',').map(|item| item.trim().into()).collect();
        match list.iter().find(|path| !path.is_file()) {
            None => Ok(Self::Images(list)),
            Some(missing) if list.len() > 1 => Err(CameraError::NoSuchSource(missing.display().to_string())),
            Some(_) => Err(CameraError::NoSuchSource(text.to_owned())),
        }
    }

    /// Whether the source follows the clock of the world, so that nobody can make it wait: devices, network streams and
    /// standard input. Films and pictures wait.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Auto | Self::Device(_) | Self::Stream(_) | Self::Stdin)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Device(path) => path.display().fmt(f),
            Self::Film(location) => f.write_str(&without_password(location.strip_prefix("file:").unwrap_or(location))),
            Self::Stream(url) => f.write_str(&without_password(url)),
            Self::Images(paths) => match paths.as_slice() {
                [path] => path.display().fmt(f),
                paths => write!(f, "{} pictures", paths.len()),
            },
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// The pictures of a folder, by name.
fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, CameraError> {
    let unlisted = |source| CameraError::Folder { folder: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(unlisted)?;
    let mut pictures = Vec::new();
    for entry in entries {
        let path = entry.map_err(unlisted)?.path();
        if has_ending(&path, &PICTURES) && path.is_file() {
            pictures.push(path);
        }
    }
    if pictures.is_empty() {
        return Err(CameraError::NoImages(folder.to_owned()));
    }
    pictures.sort();
    Ok(pictures)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["b.JPG", "a.png", "film.mp4", "notes.txt", "a,b.png"] {
            fs::write(at(name), "").expect("room");
        }
        let check = |text: &str, expected: Source, live: bool| {
            let source = Source::parse(text).expect("a source");
            assert_eq!((&source, source.is_live()), (&expected, live), "{text}");
        };
        check("none", Source::None, false);
        check("auto", Source::Auto, true);
        check("-", Source::Stdin, true);
        check("3", Source::Device("/dev/video3".into()), true);
        check("/dev/video0", Source::Device("/dev/video0".into()), true);
        check("/dev/v4l/by-id/usb-x", Source::Device("/dev/v4l/by-id/usb-x".into()), true);
        check("rtsp://cam/1", Source::Stream("rtsp://cam/1".into()), true);
        check("http://cam/video.mjpg", Source::Stream("http://cam/video.mjpg".into()), true);
        check("https://host/a.MP4?x=1", Source::Film("https://host/a.MP4?x=1".into()), false);
        check(&at("film.mp4"), Source::Film(format!("file:{}", at("film.mp4"))), false);
        check(&at("a.png"), Source::Images(vec![at("a.png").into()]), false);
        check(&at("a,b.png"), Source::Images(vec![at("a,b.png").into()]), false);
        check(
            &format!("{}, {}", at("b.JPG"), at("a.png")),
            Source::Images(vec![at("b.JPG").into(), at("a.png").into()]),
            false,
        );
        let sorted = ["a,b.png", "a.png", "b.JPG"].map(|name| at(name).into());
        check(&folder.path().display().to_string(), Source::Images(sorted.into()), false);
    }

    #[test]
    fn what_is_no_source_is_said() {
        let check = |text: &str, expected: &str| {
            let error = Source::parse(text).expect_err("no source").to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check("no.mp4", "Cannot open camera no.mp4: there is no such file or folder; give a device (/dev/video0), ");
        check("", "Cannot open camera : there is no such file or folder; ");
        check(
            "gopher://me:secret@host/",
            "Cannot open camera gopher://…@host/: gopher:// is no known kind of stream; ",
        );
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        check(&path.to_string(), &format!("Cannot show the folder {path}: there is no JPEG or PNG file in it; "));
    }
}
