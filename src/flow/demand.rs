//! Telling a writer whether anybody wants what it could give.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a reader wants to be given anything at present; at first it does not.
///
/// Both ends hold a clone. A writer that looks here first makes nothing that nobody looks at; what it missed in between
/// is gone.
#[derive(Clone, Debug, Default)]
pub struct Demand(Arc<AtomicBool>);

impl Demand {
    /// Says from now on that something is wanted, or that nothing is.
    pub fn set(&self, wanted: bool) {
        self.0.store(wanted, Ordering::Relaxed);
    }

    /// Whether something is wanted.
    pub fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
