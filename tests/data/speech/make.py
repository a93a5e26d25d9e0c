"""Makes the sound and the expected features in this folder; needs Python and numpy only.

The sound is made here, of a sweep, two tones, a click and seeded noise, so it has no licence but that of lookhear. The
features follow the formulae of TensorFlow's `tf.signal` (stft, linear_to_mel_weight_matrix,
mfccs_from_log_mel_spectrograms) in double precision, written as plain matrices: nothing is shared with the program.
"""

import pathlib
import wave

import numpy as np

HERE = pathlib.Path(__file__).parent
RATE_HZ, WINDOW, STEP, POINTS, BINS = 16_000, 480, 160, 512, 257


def sound():
    """0.4 s as 16-bit samples."""
    n = np.arange(6_400)
    t = n / RATE_HZ
    sweep = 0.3 * np.sin(2 * np.pi * (200 * t + 8_000 * t**2))
    tones = 0.1 * np.sin(2 * np.pi * 440 * t) + 0.02 * np.sin(2 * np.pi * 3_100 * t)
    noise = 0.01 * np.random.default_rng(10).standard_normal(len(n))
    clip = np.where(n < 4_000, sweep, 0.0) + np.where((n > 1_500) & (n < 5_000), tones, 0.0) + np.where(n < 5_500, noise, 0.0)
    clip[5_700] = 0.9
    return np.round(np.clip(clip, -1, 1) * 32_767).astype("<i2")


def spectrogram(samples):
    """Magnitudes [frames, 257] by the definition of the discrete Fourier transform."""
    k = np.arange(WINDOW)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * k / WINDOW)
    waves = np.exp(-2j * np.pi * np.outer(k, np.arange(BINS)) / POINTS)
    frames = 1 + (len(samples) - WINDOW) // STEP
    return np.stack([np.abs((samples[i * STEP : i * STEP + WINDOW] * hann) @ waves) for i in range(frames)])


def mel_matrix(bands):
    """Weights [257, bands]: HTK scale, triangles straight in mel, no row for 0 Hz."""
    mel = lambda hz: 1127.0 * np.log(1.0 + hz / 700.0)
    edges = np.linspace(mel(80.0), mel(7600.0), bands + 2)
    bins = mel(np.arange(BINS) * RATE_HZ / POINTS)
    weights = np.zeros((BINS, bands))
    for band in range(bands):
        low, middle, high = edges[band : band + 3]
        weights[:, band] = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    weights[0] = 0
    return weights


def mfcc(log_mel, count=13):
    """The first coefficients of a DCT-II, all scaled by sqrt(2 / bands)."""
    bands = log_mel.shape[1]
    n = np.arange(bands)
    return np.stack([np.sqrt(2 / bands) * log_mel @ np.cos(np.pi * k * (2 * n + 1) / (2 * bands)) for k in range(count)], 1)


if __name__ == "__main__":
    samples = sound()
    with wave.open(str(HERE / "sounds.wav"), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    magnitudes = spectrogram(samples / 32_768)
    log_mel = {bands: np.log(magnitudes @ mel_matrix(bands) + 1e-6) for bands in (80, 40)}
    for name, values in {
        "sounds_spectrogram": magnitudes,
        "sounds_logmel": log_mel[80],
        "sounds_logmel40": log_mel[40],
        "sounds_mfcc": mfcc(log_mel[80]),
    }.items():
        np.save(HERE / f"{name}.npy", values.astype("<f4"))
