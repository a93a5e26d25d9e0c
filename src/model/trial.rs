//! Trying a model never seen before in a process of its own.
//!
//! [`super::check`] knows a model's structure, not what each operator demands of its inputs, and the C library can crash on a
//! model that lies about that. So the program first lets a child of itself load and run it once: a crash there is an error
//! message here. What passed is remembered by its SHA-256.
//!
//! Only the program does this. Whoever uses lookhear as a library calls [`Engine::load`] and decides for himself.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Bundle, BundleError, Engine, EngineError, EngineOptions};

/// The hidden command of the program that calls [`run_child`].
pub const COMMAND: &str = "__try-model";

/// The longest that loading and running a model once may take: some 20 times what the largest sensible model takes on a
/// Raspberry Pi 3.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How many models are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 1000;
/// A larger memory is not ours.
const LARGEST_MEMORY_BYTES: u64 = 1 << 20;
/// What the child may write, and what is read of it.
const MOST_WORDS_BYTES: u64 = 64 * 1024;
/// Letters of its last line that are passed on.
const MOST_LETTERS: usize = 500;

/// Why a model is not used.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// It ended the child.
    #[error("The model {} crashes TensorFlow Lite (signal {signal}), so it is not used; export it again.", path.display())]
    Crashed {
        /// The model's file.
        path: PathBuf,
        /// The signal that ended the child.
        signal: i32,
    },
    /// It did not come to an end.
    #[error("The model {} did not come to an end within {} s; take a smaller one.", path.display(), PATIENCE.as_secs())]
    TooSlow {
        /// The model's file.
        path: PathBuf,
    },
    /// It does not load or run, without a crash.
    #[error("The model {} cannot be used: {reason}", path.display())]
    Refused {
        /// The model's file.
        path: PathBuf,
        /// What the child said.
        reason: String,
    },
    /// The child cannot be started.
    #[error("Cannot try the model {} in a process of its own: {source}; free some memory.", path.display())]
    Start {
        /// The model's file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// In the child: the model cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// In the child: the model does not load or run.
    #[error("TensorFlow Lite cannot run it: {0}.")]
    Engine(#[from] EngineError),
}

/// Makes sure that the model of `bundle` runs: it is known to, or it is tried now (up to a minute).
///
/// # Errors
/// [`TrialError`]: what happened to the child.
pub fn ensure(bundle: &Bundle) -> Result<(), TrialError> {
    let hash = bundle.sha256();
    let memory = Memory::of_user();
    if memory.knows(&hash) {
        return Ok(());
    }
    let start = |source| TrialError::Start { path: bundle.model_path.clone(), source };
    let program = std::env::current_exe().map_err(start)?;
    tracing::info!(model = %bundle.model_path.display(), "a model not seen before is tried in a process of its own");
    try_with(Command::new(program).arg(COMMAND), &bundle.model_path, &hash, PATIENCE)?;
    memory.add(&hash);
    Ok(())
}

/// The child's work: loads and runs the model of `path` once on zeros, and says its hash.
///
/// # Errors
/// [`TrialError::Bundle`] or [`TrialError::Engine`].
pub fn run_child(path: &Path) -> Result<(), TrialError> {
    // A crash is expected; its memory image is of no use to anybody. And a model that makes the library complain without end
    // must not fill the disk.
    for (resource, most) in [(Resource::Core, 0), (Resource::Fsize, MOST_WORDS_BYTES)] {
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
    let bundle = Bundle::open(path)?;
    Engine::load(bundle.model.clone(), EngineOptions::default())?.invoke()?;
    // The parent asks for this proof: a program that knows nothing of our command could also end well.
    println!("{}", bundle.sha256());
    Ok(())
}

/// Lets `command` try the model at `path`, and waits no longer than `patience` for it to say `hash`.
fn try_with(command: &mut Command, path: &Path, hash: &str, patience: Duration) -> Result<(), TrialError> {
    let start = |source| TrialError::Start { path: path.to_owned(), source };
    // Files, not pipes: a child that says a lot never waits for us.
    let mut words = tempfile::tempfile().map_err(start)?;
    let mut proof = tempfile::tempfile().map_err(start)?;
    let child = command
        .arg(path)
        .stdin(Stdio::null())
        .stdout(proof.try_clone().map_err(start)?)
        .stderr(words.try_clone().map_err(start)?)
        .spawn()
        .map_err(start)?;
    let Some(status) = wait(child, patience).map_err(start)? else {
        return Err(TrialError::TooSlow { path: path.to_owned() });
    };
    if let Some(signal) = status.signal() {
        return Err(TrialError::Crashed { path: path.to_owned(), signal });
    }
    if status.success() && text_of(&mut proof).trim() == hash {
        return Ok(());
    }
    let words = text_of(&mut words);
    let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    let reason = match last {
        Some(line) => line.strip_prefix("lookhear: ").unwrap_or(line).chars().take(MOST_LETTERS).collect(),
        None if status.success() => {
            "the program that tried it did not do so, or the file has changed; try again.".to_owned()
        }
        None => "the program that tried it gave no reason; try again with --verbose.".to_owned(),
    };
    Err(TrialError::Refused { path: path.to_owned(), reason })
}

/// Waits for the child's end; kills it and returns `None` after `patience`.
fn wait(mut child: Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

fn text_of(file: &mut fs::File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read back was not said.
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(MOST_WORDS_BYTES).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The file of hashes of models that ran; one a line, the oldest first. Whatever goes wrong with it only costs another trial.
#[derive(Debug)]
struct Memory(Option<PathBuf>);

impl Memory {
    fn of_user() -> Self {
        let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        Self(cache.map(|cache| cache.join("lookhear/tried-models")))
    }

    fn read(&self) -> Vec<String> {
        let read = |path: &PathBuf| {
            let file = fs::File::open(path).ok()?;
            let mut text = String::new();
            file.take(LARGEST_MEMORY_BYTES).read_to_string(&mut text).ok()?;
            Some(text.lines().map(str::to_owned).collect())
        };
        self.0.as_ref().and_then(read).unwrap_or_default()
    }

    fn knows(&self, hash: &str) -> bool {
        self.read().iter().any(|known| known == hash)
    }

    fn add(&self, hash: &str) {
        let mut hashes = self.read();
        hashes.retain(|known| known != hash);
        hashes.push(hash.to_owned());
        hashes.drain(..hashes.len().saturating_sub(REMEMBERED));
        if let Some(path) = &self.0
            && let Err(error) = replace(path, &(hashes.join("\n") + "\n"))
        {
            tracing::debug!(path = %path.display(), %error, "the model is tried again next time");
        }
    }
}

/// Writes a file that others may read or write at the same time: they see the old one or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(text.as_bytes())?;
    fresh.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A child that is a shell script, with the model's path as `$0`.
    fn attempt(script: &str, patience: Duration) -> Result<(), TrialError> {
        try_with(Command::new("sh").args(["-c", script]), Path::new("a model.tflite"), "cafe", patience)
    }

    #[test]
    fn what_becomes_of_the_child_is_told() {
        let patience = Duration::from_secs(20);
        assert!(attempt("echo cafe", patience).is_ok());
        let error = |script: &str| attempt(script, patience).expect_err(script).to_string();
        assert!(error("kill -SEGV $$").contains("crashes TensorFlow Lite (signal 11)"));
        assert_eq!(
            error("echo first >&2; echo 'lookhear: no good; try another.' >&2; exit 1"),
            "The model a model.tflite cannot be used: no good; try another."
        );
        assert!(error("echo beef").contains("did not do so"), "the proof is missing");
        assert!(error("exit 3").contains("no reason"));
        let much = error("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 3");
        assert!(much.ends_with("xxx") && much.len() < 600, "{} letters", much.len());
        // As the child itself, not as a child of the child: that would outlive the trial.
        let slow = attempt("exec sleep 60", Duration::from_millis(50)).expect_err("too slow").to_string();
        assert!(slow.contains("did not come to an end"), "{slow}");
        let missing = try_with(&mut Command::new("/no/such/program"), Path::new("m"), "cafe", patience);
        assert!(matches!(missing, Err(TrialError::Start { .. })));
    }

    #[test]
    fn what_passed_is_remembered_and_the_oldest_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = Memory(Some(folder.path().join("cache/lookhear/tried-models")));
        assert!(!memory.knows("0"));
        memory.add("0");
        assert!(memory.knows("0"));
        (1..=REMEMBERED).for_each(|hash| memory.add(&hash.to_string()));
        assert!(!memory.knows("0") && memory.knows("1") && memory.knows(&REMEMBERED.to_string()));
        assert_eq!(memory.read().len(), REMEMBERED);
    }

    #[test]
    fn a_memory_that_cannot_be_written_is_no_error() {
        let memory = Memory(Some(PathBuf::from("/proc/no/such/place/tried-models")));
        memory.add("0");
        assert!(!memory.knows("0"));
        Memory(None).add("0");
    }
}
