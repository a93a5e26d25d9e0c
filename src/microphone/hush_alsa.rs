//! Keeps what the ALSA library prints off the user's terminal.
//!
//! Its messages ("ALSA lib pcm.c:2721:(snd_pcm_open_noupdate) Unknown PCM …") come with every device that is tried and
//! does not open, which is no error of the user's. They go to our log. What stays out of reach: the sound system's
//! own thread, and plug-ins that print by themselves (JACK's does).

use alsa::Output;

/// Runs `work` with ALSA's messages of this thread turned to the debug log.
pub(super) fn hushed<T>(work: impl FnOnce() -> T) -> T {
    let messages = Output::local_error_handler();
    let result = work();
    if let Ok(messages) = messages {
        messages.borrow().buffer_string(|bytes| {
            for line in String::from_utf8_lossy(bytes).lines() {
                tracing::debug!(target: "alsa", "{line}");
            }
        });
    }
    result
}
