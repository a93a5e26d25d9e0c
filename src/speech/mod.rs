//! What is heard: from samples to log-mel columns to scores of words to commands.
//!
//! ```text
//! samples ─▶ gain ─▶ framing ─▶ stft ─▶ mel ─▶ (mfcc) ─columns─▶ scorer ─scores─▶ decision ─▶ wake word ─▶ listener
//!       ╰──▶ activity gate ──── nothing but silence: none of this ────────silence──╯
//! ```
//! `spotter` joins these.
//! Everything but the [`Listener`] is pure: no thread, no clock, no channel, and, but for [`ClipScorer`], no
//! allocation once it is made.

mod activity;
mod clip;
mod decision;
mod features;
mod gain;
mod listener;
mod mel;
mod mfcc;
mod scorer;
mod spotter;
mod stft;
mod take;
mod wake_word;

pub use activity::{ActivityGate, HOP_SAMPLES};
pub use clip::ClipScorer;
pub use decision::{Decided, Decider, DecisionSettings, QUIET_AFTER_EVENT};
pub use features::{CEPSTRUM_COEFFICIENTS, DEFAULT_FRONT_END, FeatureExtractor, Framing, FrontEndError};
pub use gain::{Gain, GainConfig, GainError};
pub use listener::Listener;
pub use mel::{MelBands, MelBank, log_in_place};
pub use mfcc::Cepstrum;
pub use scorer::{Scorer, TfliteScorer};
pub use spotter::{KeywordsConfig, ListenerError, Look, Spotter};
pub use stft::{Stft, hann};
pub use take::{CLIP_SAMPLES, SpokenWord, TakeFault, clip_around, find_word};
pub use wake_word::WakeWord;
