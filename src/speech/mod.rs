//! What is heard: from samples to log-mel columns to scores of words to commands.
//!
//! ```text
//! samples ─▶ framing ─window─▶ stft ─▶ mel ─▶ (mfcc) ─column─▶ spotter ─scores─▶ decision ─▶ listener ─▶ events
//! ```
//! Everything but [`Listener`] is pure: no thread, no clock, no channel, and after construction no allocation.

mod decision;
mod front_end;
mod mel;
mod mfcc;
mod stft;

pub use decision::{Decided, Decider, DecisionSettings, QUIET_AFTER_EVENT};
pub use front_end::{CEPSTRUM_COEFFICIENTS, Feature, Framing, FrontEnd, FrontEndError, FrontEndSettings};
pub use mel::{MelBands, MelBank, log_in_place};
pub use mfcc::Cepstrum;
pub use stft::{Stft, hann};
