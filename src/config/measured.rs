//! What `lookhear bench --save` found: how one model runs fastest on one processor.
//!
//! A file of its own, `measured.toml`, and a layer of the configuration of its own: it wins over the defaults, and over
//! nothing else. It holds for the processor and the model it was measured with; anywhere else it is passed over.

use std::env;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use super::{ConfigError, find_data, personal_folder, read_bounded};
use crate::model::Bundle;

/// Names the file, in place of the usual places.
const VARIABLE: &str = "LOOKHEAR_MEASURED";

const HEADER: &str = "# What `lookhear bench --save` found fastest. `lookhear run` takes it for this processor and this model, \
                      where nothing else\n# says how many threads there are; delete the file to forget it.\n";

/// The fastest way to run one model on one processor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// When it was measured, RFC 3339.
    pub at: String,
    /// [`processor`] there.
    pub processor: String,
    /// The name of the model's bundle; for whoever reads the file.
    pub bundle: String,
    /// SHA-256 of the model, hexadecimal.
    pub model_sha256: String,
    /// What it gives `objects.threads`.
    pub threads: usize,
    /// What it gives `objects.accelerate`.
    pub accelerate: bool,
}

impl Measured {
    /// Where it is written: what `LOOKHEAR_MEASURED` names, else beside the personal `lookhear.toml`. `None` for somebody
    /// who has no home.
    pub fn place() -> Option<PathBuf> {
        named().or_else(|| personal_folder().map(|folder| folder.join("measured.toml")))
    }

    /// The one that is there, with its file: where [`Measured::place`] says, or in `/etc/lookhear` unless the variable
    /// names one.
    pub(super) fn find() -> Result<Option<(PathBuf, Self)>, ConfigError> {
        let of_machine = PathBuf::from("/etc/lookhear/measured.toml");
        let places = [Self::place(), named().is_none().then_some(of_machine)];
        let Some(file) = places.into_iter().flatten().find(|file| file.exists()) else { return Ok(None) };
        let damaged = |reason: String| ConfigError::Measured { file: file.clone(), reason };
        let text = read_bounded(&file).map_err(|error| damaged(error.to_string()))?;
        let measured = toml::from_str(&text).map_err(|error| damaged(error.message().trim().to_owned()))?;
        Ok(Some((file, measured)))
    }

    /// Writes it to `file`, whose folder is made if there is none. Who reads the file meanwhile sees the old one or this.
    ///
    /// # Errors
    /// The system's reason.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let text = toml::to_string(self).map_err(io::Error::other)?;
        // Temporary files are their owner's alone; this one may be root's, and is for everybody.
        let mut fresh = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
        write!(fresh, "{HEADER}{text}")?;
        fresh.persist(file)?;
        Ok(())
    }

    /// Whether it was measured on this machine, with the model of `bundle`.
    pub(super) fn holds_for(&self, bundle: &Path) -> bool {
        let here = processor();
        if self.processor != here {
            tracing::info!(measured_on = self.processor, here, "another processor was measured; the defaults hold");
            return false;
        }
        // Whoever uses the bundle will tell why it cannot be opened.
        let Ok(bundle) = Bundle::open(&find_data(bundle)) else { return false };
        let same_model = bundle.sha256() == self.model_sha256;
        if !same_model {
            tracing::info!(
                measured_with = self.bundle,
                bundle = bundle.name,
                "another model was measured; the defaults hold"
            );
        }
        same_model
    }
}

fn named() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// This machine's processor, and how many of its cores are ours: "Cortex-A53, 4 cores".
pub fn processor() -> String {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let brand = system.cpus().first().map(|cpu| cpu.brand().trim()).filter(|brand| !brand.is_empty());
    let brand = brand.map_or_else(System::cpu_arch, str::to_owned);
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => format!("{brand}, 1 core"),
        cores => format!("{brand}, {cores} cores"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        Measured {
            at: "2026-11-26T10:00:00.000Z".to_owned(),
            processor: processor(),
            bundle: "objects".to_owned(),
            model_sha256: "cafe".to_owned(),
            threads: 3,
            accelerate: false,
        }
    }

    #[test]
    fn what_is_saved_is_read_back_and_everybody_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("new/measured.toml");
        for threads in [3, 4] {
            let measured = Measured { threads, ..measured() };
            measured.save(&file).expect("it is written");
            let text = fs::read_to_string(&file).expect("it is there");
            assert!(text.starts_with("# What `lookhear bench --save` found"), "{text}");
            assert_eq!(toml::from_str::<Measured>(&text).expect("TOML"), measured);
        }
        // As any file that this user makes.
        let plain = folder.path().join("plain");
        fs::write(&plain, "").expect("room");
        let readers = |file: &Path| fs::metadata(file).expect("it is there").permissions().mode() & 0o444;
        assert_eq!(readers(&file), readers(&plain));
    }

    #[test]
    fn it_holds_for_its_own_model_and_processor_only() {
        let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/objects");
        let model_sha256 = Bundle::open(&bundle).expect("a bundle").sha256();
        let own = Measured { model_sha256, ..measured() };
        assert!(own.holds_for(&bundle));
        assert!(!own.holds_for(Path::new("no/such/bundle")));
        assert!(!measured().holds_for(&bundle));
        assert!(!Measured { processor: "Cortex-A53, 4 cores".to_owned(), ..own }.holds_for(&bundle));
    }
}
