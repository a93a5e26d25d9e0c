//! The configuration: one tree of sections, each declared beside its user; here they are only put together.
//!
//! A value comes from a flag, else from the environment (`LOOKHEAR_SECTION_KEY`), else from the file, else from what was
//! measured on this machine ([`Measured`]), else it is the default; [`Loaded::show`] tells which. Every layer is checked
//! as it is laid, so that an error names where it stands.

mod edit;
mod measured;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use edit::{editable, write_thresholds};
pub use measured::{Measured, processor};

use crate::camera::CameraConfig;
use crate::flow::Pace;
use crate::microphone::MicrophoneConfig;
use crate::output::PreviewConfig;
use crate::speech::KeywordsConfig;
use crate::vision::ObjectsConfig;

/// The configuration file with every key, commented; what `lookhear init` writes.
pub const SAMPLE: &str = include_str!("sample.toml");

/// Larger files are no configuration.
const LARGEST_FILE: u64 = 1 << 20;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How the pipeline runs.
    pub run: RunConfig,
    /// Where pictures come from.
    pub camera: CameraConfig,
    /// Where sound comes from.
    pub microphone: MicrophoneConfig,
    /// What is seen.
    pub objects: ObjectsConfig,
    /// What is heard.
    pub keywords: KeywordsConfig,
    /// The window.
    pub preview: PreviewConfig,
    /// The event log.
    pub events: SinkConfig,
    /// The annotated recording.
    pub recording: SinkConfig,
}

/// How the pipeline runs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Real time, or everything as fast as possible; default `live`.
    pub pace: PaceConfig,
    /// Whether the ledger is printed once a second; default no.
    pub stats: bool,
}

/// The pace that is asked for; a live source is always live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PaceConfig {
    /// Files play in real time.
    #[default]
    Live,
    /// Files are taken as fast as possible, frame by frame.
    Complete,
}

impl From<PaceConfig> for Pace {
    fn from(pace: PaceConfig) -> Self {
        match pace {
            PaceConfig::Live => Self::Live,
            PaceConfig::Complete => Self::Complete,
        }
    }
}

/// A sink that writes to a file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinkConfig {
    /// The file; none switches the sink off, which is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("Cannot read the configuration {}: {source}; check the path, or write one with `lookhear init`.", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("Cannot write the configuration {}: {source}; check the folder's permissions and its room.", file.display())]
    Write {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What was measured cannot be read.
    #[error("Cannot use what was measured in {}: {reason}; run `lookhear bench --save` again, or delete it.", file.display())]
    Measured {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key or a value is wrong.
    #[error("{place}: {reason}.")]
    Value {
        /// File and line, variable, or flag.
        place: String,
        /// What is wrong, and what is near.
        reason: String,
    },
}

/// Where a value comes from.
#[derive(Clone, Debug)]
enum Origin {
    File(PathBuf),
    Environment(String),
    Flag(String),
    Because(&'static str),
}

/// A configuration under construction.
#[derive(Debug)]
pub struct Layers {
    table: Table,
    origins: BTreeMap<String, Origin>,
    /// Laid last, under everything else: whether it holds depends on the bundle that the other layers name.
    measured: Option<(PathBuf, Measured)>,
}

/// A configuration with the origin of each value.
#[derive(Debug)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// Takes what was measured, lays the file (`file`, or the first found of the usual places), then the environment.
    ///
    /// # Errors
    /// [`ConfigError`]; a file that was not asked for may be absent.
    pub fn new(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut layers = Self { measured: Measured::find()?, ..Self::empty() };
        if let Some(file) = file.map(Path::to_owned).or_else(find_file) {
            layers.file(&file)?;
        }
        layers.environment(env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let key = name.strip_prefix("LOOKHEAR_")?.to_lowercase();
            // The section has no underscore, the key may have some. Other variables of ours have no section.
            let (section, key) = key.split_once('_')?;
            let key = format!("{section}.{key}");
            Some((name, key, value.into_string().ok()?))
        }))?;
        Ok(layers)
    }

    fn empty() -> Self {
        Self { table: Table::new(), origins: BTreeMap::new(), measured: None }
    }

    fn file(&mut self, file: &Path) -> Result<(), ConfigError> {
        let text = read_bounded(file).map_err(|source| ConfigError::File { file: file.to_owned(), source })?;
        let wrong = |error| located(file, &text, &error);
        toml::from_str::<Config>(&text).map_err(wrong)?;
        let table: Table = toml::from_str(&text).map_err(wrong)?;
        for (section, values) in table {
            if let Value::Table(values) = values {
                for (key, value) in values {
                    self.set(&format!("{section}.{key}"), value, Origin::File(file.to_owned()));
                }
            }
        }
        Ok(())
    }

    fn environment(&mut self, variables: impl Iterator<Item = (String, String, String)>) -> Result<(), ConfigError> {
        for (name, key, text) in variables {
            // The text is what the key's type makes of it: a string, else TOML, else a list with commas.
            let list = || Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect());
            let as_toml = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
            let mut readings = [Some(Value::String(text.clone())), as_toml, Some(list())].into_iter().flatten();
            let mut first_error = None;
            let fits = readings.find(|value| match self.check(&key, value.clone()) {
                Ok(()) => true,
                Err(error) => {
                    first_error.get_or_insert(error);
                    false
                }
            });
            match (fits, first_error) {
                (Some(value), _) => self.set(&key, value, Origin::Environment(name)),
                (None, Some(reason)) => return Err(ConfigError::Value { place: name, reason }),
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Lays the value of a flag, if it was given.
    ///
    /// # Errors
    /// [`ConfigError::Value`] if it does not fit.
    pub fn flag(&mut self, flag: &str, key: &str, value: Option<impl Into<Value>>) -> Result<(), ConfigError> {
        if let Some(value) = value.map(Into::into) {
            self.check(key, value.clone()).map_err(|reason| ConfigError::Value { place: flag.to_owned(), reason })?;
            self.set(key, value, Origin::Flag(flag.to_owned()));
        }
        Ok(())
    }

    /// Whether `value` fits `key`; else what is wrong.
    fn check(&self, key: &str, value: Value) -> Result<(), String> {
        let mut alone = Self::empty();
        alone.set(key, value, Origin::Because("it is tried"));
        Config::deserialize(alone.table).map(drop).map_err(|error| with_nearest_key(error.message()))
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) {
        if let Some((section, name)) = key.split_once('.')
            && let Value::Table(section) =
                self.table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()))
        {
            section.insert(name.to_owned(), value);
            self.origins.insert(key.to_owned(), origin);
        }
    }

    /// What holds. Reads the detector's model where something was measured, to see whether it was with this one.
    ///
    /// Who names a file for one sense and says nothing of the other means the file alone: the other is `none` then.
    ///
    /// # Errors
    /// [`ConfigError::Value`], which the layers have ruled out one by one.
    pub fn decide(mut self) -> Result<Loaded, ConfigError> {
        let wrong = |error: toml::de::Error| ConfigError::Value {
            place: "The configuration".to_owned(),
            reason: with_nearest_key(error.message()),
        };
        let written = Config::deserialize(self.table.clone()).map_err(wrong)?;
        let (camera_given, microphone_given) =
            (self.origins.contains_key("camera.source"), self.origins.contains_key("microphone.source"));
        let none = || Value::String("none".to_owned());
        let (camera, microphone) = (&written.camera, &written.microphone);
        if camera_given && !microphone_given && !camera.is_live() && !camera.is_none() {
            self.set("microphone.source", none(), Origin::Because("the camera is a file"));
        }
        if microphone_given && !camera_given && !microphone.is_live() && !microphone.is_none() {
            self.set("camera.source", none(), Origin::Because("the microphone is a file"));
        }
        if let Some((file, measured)) = self.measured.take()
            && measured.holds_for(&written.objects.bundle)
        {
            let threads = i64::try_from(measured.threads).unwrap_or(i64::MAX);
            for (key, value) in [
                ("objects.threads", Value::Integer(threads)),
                ("objects.accelerate", Value::Boolean(measured.accelerate)),
            ] {
                if !self.origins.contains_key(key) {
                    self.set(key, value, Origin::File(file.clone()));
                }
            }
        }
        let config = Config::deserialize(self.table).map_err(wrong)?;
        Ok(Loaded { config, origins: self.origins })
    }
}

impl Loaded {
    /// The configuration as TOML, each value with its origin as a comment.
    ///
    /// # Errors
    /// [`ConfigError::Value`] if a value cannot be written as TOML.
    pub fn show(&self) -> Result<String, ConfigError> {
        let table = Table::try_from(&self.config)
            .map_err(|error| ConfigError::Value { place: "The configuration".to_owned(), reason: error.to_string() })?;
        let mut text = String::new();
        for (section, values) in &table {
            let _ = writeln!(text, "[{section}]");
            for (key, value) in values.as_table().into_iter().flatten() {
                let origin = match self.origins.get(&format!("{section}.{key}")) {
                    None => "default".to_owned(),
                    Some(Origin::File(file)) => format!("from {}", file.display()),
                    Some(Origin::Environment(name) | Origin::Flag(name)) => format!("from {name}"),
                    Some(Origin::Because(reason)) => format!("because {reason}"),
                };
                let _ = writeln!(text, "{:<40} # {origin}", format!("{key} = {}", as_written(value)));
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        Ok(text)
    }
}

/// A value as somebody would write it: 0.99, and not the 0.9900000095367432 that is nearest to it in single precision.
fn as_written(value: &Value) -> Value {
    match value {
        Value::Float(number) if f64::from(*number as f32) == *number => {
            Value::Float((*number as f32).to_string().parse().unwrap_or(*number))
        }
        Value::Table(table) => {
            Value::Table(table.iter().map(|(key, value)| (key.clone(), as_written(value))).collect())
        }
        _ => value.clone(),
    }
}

/// Where a user's own files of lookhear lie; `None` for somebody who has no home.
fn personal_folder() -> Option<PathBuf> {
    env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".config")))
        .map(|folder| folder.join("lookhear"))
}

/// The first configuration file of the usual places.
fn find_file() -> Option<PathBuf> {
    let personal = personal_folder().map(|folder| folder.join("lookhear.toml"));
    [Some(PathBuf::from("lookhear.toml")), personal, Some(PathBuf::from("/etc/lookhear/lookhear.toml"))]
        .into_iter()
        .flatten()
        .find(|file| file.is_file())
}

fn read_bounded(file: &Path) -> io::Result<String> {
    if fs::metadata(file)?.len() > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    fs::read_to_string(file)
}

/// Where a bundle or another file of ours lies: `path` itself, or below one of the folders in which lookhear keeps its
/// data: two or three above the program (a build tree), `share/lookhear` beside it, `/usr/share/lookhear`.
pub fn find_data(path: &Path) -> PathBuf {
    if path.is_absolute() || path.exists() {
        return path.to_owned();
    }
    let program = env::current_exe().unwrap_or_default();
    let beside = program.ancestors().nth(2).map(|prefix| prefix.join("share/lookhear"));
    let build_tree = program.ancestors().skip(3).take(2).map(Path::to_owned);
    beside
        .into_iter()
        .chain(build_tree)
        .chain([PathBuf::from("/usr/share/lookhear")])
        .map(|folder| folder.join(path))
        .find(|candidate| candidate.exists())
        .unwrap_or_else(|| path.to_owned())
}

/// What is wrong with the text of a file, and in which line.
fn located(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = match line {
        Some(line) => format!("{}, line {line}", file.display()),
        None => file.display().to_string(),
    };
    ConfigError::Value { place, reason: with_nearest_key(error.message()) }
}

/// serde's "unknown field `x`, expected one of `y`, `z`" with the nearest of those it expected.
fn with_nearest_key(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let Some(key) = quoted.next().filter(|_| unknown) else {
        return message.lines().next().unwrap_or(message).to_owned();
    };
    let what = if message.starts_with("unknown field") { "key" } else { "value" };
    let known: Vec<&str> = quoted.collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    match nearest {
        Some(nearest) => format!("unknown {what} `{key}`; the nearest is `{nearest}` (known: {})", known.join(", ")),
        None => format!("unknown {what} `{key}`; remove it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Layers {
        Layers::empty()
    }

    fn from_file(text: &str) -> Result<Loaded, String> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(file.path(), text).expect("room");
        let mut layers = layers();
        let name = file.path().display().to_string();
        let result = layers.file(file.path()).and_then(|()| layers.decide());
        result.map_err(|error| error.to_string().replace(&name, "lookhear.toml"))
    }

    #[test]
    fn a_typo_names_file_line_key_and_the_nearest_known_key() {
        let error = from_file("[camera]\nsource = \"auto\"\n\n[objects]\ntreshold = 0.5\n").expect_err("a typo");
        assert!(
            error.starts_with("lookhear.toml, line 5: unknown key `treshold`; the nearest is `threshold`"),
            "{error}"
        );
        let error = from_file("[obects]\n").expect_err("a typo");
        assert!(error.contains("line 1: unknown key `obects`; the nearest is `objects`"), "{error}");
        let error = from_file("[run]\npace = \"life\"\n").expect_err("a typo");
        assert!(error.contains("line 2: unknown value `life`; the nearest is `live`"), "{error}");
        let error = from_file("[objects]\nthreshold = \"high\"\n").expect_err("a wrong type");
        assert!(error.contains("line 2: invalid type"), "{error}");
    }

    #[test]
    fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
        let mut layers = layers();
        layers.set("objects.threshold", Value::Float(0.1), Origin::File("lookhear.toml".into()));
        layers.set("camera.source", Value::String("a".to_owned()), Origin::File("lookhear.toml".into()));
        let variable = |name: &str, key: &str, value: &str| (name.to_owned(), key.to_owned(), value.to_owned());
        let variables = [
            variable("LOOKHEAR_OBJECTS_THRESHOLD", "objects.threshold", "0.2"),
            variable("LOOKHEAR_CAMERA_SOURCE", "camera.source", "0"),
            variable("LOOKHEAR_OBJECTS_LABELS", "objects.labels", "person, car"),
        ];
        layers.environment(variables.into_iter()).expect("they fit");
        layers.flag("--threshold", "objects.threshold", Some(0.3)).expect("it fits");
        let loaded = layers.decide().expect("it holds");
        assert_eq!(loaded.config.objects.threshold, Some(0.3));
        assert_eq!(loaded.config.camera.source, "0");
        assert_eq!(loaded.config.objects.labels, ["person", "car"]);
        let shown = loaded.show().expect("it can be written");
        assert!(shown.contains("threshold = 0.3  ") && shown.contains("# from --threshold"), "{shown}");
        assert!(shown.contains("# from LOOKHEAR_CAMERA_SOURCE"), "{shown}");
        let table = from_file("[keywords]\nthresholds = { go = 0.84 }\n").expect("it holds").show().expect("as above");
        assert!(table.contains("thresholds = { go = 0.84 }"), "{table}");
        let error = Layers::empty()
            .environment([variable("LOOKHEAR_OBJECTS_TRESHOLD", "objects.treshold", "0.2")].into_iter())
            .expect_err("a typo");
        assert!(error.to_string().starts_with("LOOKHEAR_OBJECTS_TRESHOLD: unknown key `treshold`"), "{error}");
    }

    #[test]
    fn what_was_measured_wins_over_the_default_alone() {
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects");
        let measured = Measured {
            at: "2026-11-26T10:00:00.000Z".to_owned(),
            processor: processor(),
            bundle: "objects".to_owned(),
            model_sha256: crate::model::Bundle::open(&bundle).expect("a bundle").sha256(),
            threads: 7,
            accelerate: false,
        };
        let decided = |measured: Measured, threads_of_file: Option<i64>| {
            let mut layers = Layers { measured: Some(("measured.toml".into(), measured)), ..Layers::empty() };
            layers.set("objects.bundle", Value::String(bundle.display().to_string()), Origin::Flag("--objects".into()));
            if let Some(threads) = threads_of_file {
                layers.set("objects.threads", Value::Integer(threads), Origin::File("lookhear.toml".into()));
            }
            layers.decide().expect("it holds")
        };
        let here = decided(measured.clone(), None);
        assert_eq!((here.config.objects.threads, here.config.objects.accelerate), (Some(7), false));
        let shown = here.show().expect("it can be written");
        assert_eq!(shown.matches("# from measured.toml").count(), 2, "{shown}");
        let with_file = decided(measured.clone(), Some(2)).config.objects;
        assert_eq!((with_file.threads, with_file.accelerate), (Some(2), false));
        let elsewhere = decided(Measured { processor: "another".to_owned(), ..measured }, None).config.objects;
        assert_eq!((elsewhere.threads, elsewhere.accelerate), (None, true));
    }

    #[test]
    fn who_names_a_file_for_one_sense_means_the_file_alone() {
        let sources = |camera: Option<&str>, microphone: Option<&str>| {
            let mut layers = layers();
            layers.flag("--camera", "camera.source", camera).expect("it fits");
            layers.flag("--microphone", "microphone.source", microphone).expect("it fits");
            let config = layers.decide().expect("it holds").config;
            (config.camera.source, config.microphone.source)
        };
        let pair = |camera: &str, microphone: &str| (camera.to_owned(), microphone.to_owned());
        assert_eq!(sources(None, None), pair("auto", "auto"));
        assert_eq!(sources(Some("assets/demo/street.mp4"), None), pair("assets/demo/street.mp4", "none"));
        assert_eq!(sources(None, Some("assets/demo/commands.wav")), pair("none", "assets/demo/commands.wav"));
        assert_eq!(sources(Some("/dev/video0"), None), pair("/dev/video0", "auto"));
        assert_eq!(sources(Some("none"), None), pair("none", "auto"));
        assert_eq!(sources(Some("assets/demo"), Some("auto")), pair("assets/demo", "auto"));
    }

    #[test]
    fn the_sample_has_every_key_with_its_default() {
        let defaults = Table::try_from(Config::default()).expect("defaults can be written");
        assert!(toml::from_str::<Config>(SAMPLE).is_ok());
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_lowercase()) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let all: Table = toml::from_str(&uncommented).expect("it is TOML");
        toml::from_str::<Config>(&uncommented).expect("every key is known");
        for (section, values) in &defaults {
            for (key, value) in values.as_table().into_iter().flatten() {
                // A table of thresholds by label is empty by default; the sample shows one.
                let empty = value.as_table().is_some_and(Table::is_empty);
                let in_sample = all.get(section).and_then(|section| section.get(key));
                assert!(in_sample.is_some(), "the sample lacks {section}.{key}");
                assert!(empty || in_sample == Some(value), "{section}.{key}: {in_sample:?}, the default is {value}");
            }
        }
    }
}
