"""Log-mel energies exactly as the streaming front end of lookhear computes them.

Frames of 480 samples every 160, no padding; periodic Hann; real FFT of 512; magnitude (not power); mel triangles that
are straight in HTK mel and not normalised; natural logarithm of the sum plus an offset. A model trained on any other
log-mel (Slaney scale, power spectrum, centred frames) fails silently in use, so nothing here is tunable by accident.
"""

import functools

import numpy as np
import scipy.fft

RATE_HZ = 16_000
WINDOW_SAMPLES = 480
STEP_SAMPLES = 160
FFT_SIZE = 512
MEL_BANDS = 40
LOW_HZ = 80.0
HIGH_HZ = 7600.0
LOG_OFFSET = 1e-6
CLIP_SAMPLES = RATE_HZ
CLIP_FRAMES = 1 + (CLIP_SAMPLES - WINDOW_SAMPLES) // STEP_SAMPLES


def mel(hz):
    """HTK mel of a frequency in hertz."""
    return 1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0)


def mel_matrix(bands=MEL_BANDS, low_hz=LOW_HZ, high_hz=HIGH_HZ):
    """Weights [257, bands] from magnitude spectrum to mel bands; the row of 0 Hz is zero."""
    bins = mel(np.arange(FFT_SIZE // 2 + 1) * RATE_HZ / FFT_SIZE)[:, None]
    edges = np.linspace(mel(low_hz), mel(high_hz), bands + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    weights = np.maximum(weights, 0.0)
    weights[0] = 0.0
    return weights


def hann():
    """Periodic Hann window of one frame."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)).astype(np.float32)


_HANN = hann()
_mel_matrix_of = functools.cache(lambda bands: mel_matrix(bands).astype(np.float32))


def spectrogram(samples):
    """Samples [..., n] in -1…1 to magnitudes [..., 1 + (n - 480) // 160, 257], float32."""
    samples = np.asarray(samples, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES, axis=-1)[..., ::STEP_SAMPLES, :]
    # SciPy's transform is four times as fast as NumPy's on many short rows, and this is half of what a batch costs.
    return np.abs(scipy.fft.rfft(frames * _HANN, FFT_SIZE))


def log_mel(samples, bands=MEL_BANDS):
    """Samples [..., n] in -1…1 to log-mel energies [..., 1 + (n - 480) // 160, bands], float32."""
    return np.log(spectrogram(samples) @ _mel_matrix_of(bands) + np.float32(LOG_OFFSET))


def from_int16(samples):
    """16-bit samples to float32 in -1…1, as the microphone stage does it."""
    return np.asarray(samples, np.float32) / 32768.0


def front_end():
    """The front end's parameters in the form that the bundle's metadata carries."""
    return {
        "feature": "log-mel",
        "rate_hz": RATE_HZ,
        "window_samples": WINDOW_SAMPLES,
        "step_samples": STEP_SAMPLES,
        "fft_size": FFT_SIZE,
        "mel_bands": MEL_BANDS,
        "low_hz": int(LOW_HZ),
        "high_hz": int(HIGH_HZ),
        "log_offset": LOG_OFFSET,
    }
