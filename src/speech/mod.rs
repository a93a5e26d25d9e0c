//! What is heard: from samples to log-mel columns to scores of words to commands.
//!
//! ```text
//! samples ─▶ framing ─window─▶ stft ─▶ mel ─▶ (mfcc) ─column─▶ spotter ─▶ scorer ─scores─▶ decision ─▶ listener
//! ```
//! Everything but the [`Listener`] is pure: no thread, no clock, no channel, and no allocation once it is made.

mod decision;
mod features;
mod listener;
mod mel;
mod mfcc;
mod scorer;
mod spotter;
mod stft;

pub use decision::{Decided, Decider, DecisionSettings, QUIET_AFTER_EVENT};
pub use features::{CEPSTRUM_COEFFICIENTS, DEFAULT_FRONT_END, FeatureExtractor, Framing, FrontEndError};
pub use listener::Listener;
pub use mel::{MelBands, MelBank, log_in_place};
pub use mfcc::Cepstrum;
pub use scorer::{Scorer, TfliteScorer};
pub use spotter::{KeywordsConfig, ListenerError, Look, Spotter};
pub use stft::{Stft, hann};
