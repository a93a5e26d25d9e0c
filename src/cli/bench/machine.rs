//! The machine that is measured, for the head of a report.

use std::fmt;

use serde::Serialize;
use sysinfo::{MemoryRefreshKind, Product, RefreshKind, System};

use crate::config::processor;

/// What a speed depends on.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// "Raspberry Pi 3 Model B Rev 1.2"; `None` where the firmware does not say.
    board: Option<String>,
    /// The processor and how many of its cores are ours.
    pub processor: String,
    memory_mib: u64,
    /// "Debian GNU/Linux 12 (bookworm)"
    system: String,
    /// "x86_64", "aarch64" or "arm": what this program was built for.
    architecture: &'static str,
    /// How many threads wanted a core, on average over the last minute; `lookhear bench` itself is not yet one of them.
    load: f64,
}

impl Machine {
    /// This one, before it is put to work.
    pub fn this() -> Self {
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        Self {
            board: Product::name().filter(|name| !name.is_empty()),
            processor: processor(),
            memory_mib: System::new_with_specifics(memory).total_memory() >> 20,
            system: System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned()),
            architecture: std::env::consts::ARCH,
            load: System::load_average().one,
        }
    }

    /// Whether others had so much to do that what is measured is their work as well.
    pub fn is_busy(&self) -> bool {
        self.load > std::thread::available_parallelism().map_or(1.0, |cores| usize::from(cores) as f64)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(board) = &self.board {
            write!(f, "{board}, ")?;
        }
        let Self { processor, memory_mib, system, architecture, load, .. } = self;
        write!(f, "{processor}, {:.1} GB, {system}, {architecture}, load {load:.1}", *memory_mib as f64 / 1024.0)
    }
}
