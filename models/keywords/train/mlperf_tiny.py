"""The keyword model of MLPerf Tiny, to be measured on the same clips as ours; nothing of it is used or shipped.

Banbury et al., "MLPerf Tiny Benchmark", 2021; Apache-2.0: `kws_ref_model.tflite` of its repository, a DS-CNN (Zhang et al.
2018) with a front end of its own. It divides every clip by its largest sample, so that quiet noise arrives as loud as speech.
"""

import numpy as np
import scipy.fft

from features import FFT_SIZE, LOG_OFFSET, hann, mel_matrix
from labels import LABELS
from spotter import Spotter

ITS_LABELS = ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown"]
STEP_SAMPLES, BANDS, COEFFICIENTS = 320, 40, 10
LOW_HZ, HIGH_HZ = 20.0, 4000.0


def features(samples):
    """Samples [n, 16000] in -1…1 to cepstra [n, 49, 10]."""
    loudest = samples.max(-1, keepdims=True)
    scaled = samples / np.where(loudest > 0.0, loudest, 1.0)
    frames = np.lib.stride_tricks.sliding_window_view(scaled, len(hann()), axis=-1)[..., ::STEP_SAMPLES, :]
    bands = np.log(np.abs(scipy.fft.rfft(frames * hann(), FFT_SIZE)) @ mel_matrix(BANDS, LOW_HZ, HIGH_HZ) + LOG_OFFSET)
    waves = np.cos(np.pi * np.arange(COEFFICIENTS) * (2 * np.arange(BANDS)[:, None] + 1) / (2 * BANDS))
    return np.sqrt(2.0 / BANDS) * bands @ waves


class MlperfTiny:
    """Its int8 model; scores in the order of our labels."""

    def __init__(self, model):
        self.spotter = Spotter(model)
        self.order = [ITS_LABELS.index(label) for label in LABELS]

    def scores_of(self, samples):
        """Samples [n, 16000] to scores [n, 12]."""
        scale, zero = self.spotter.input["quantization"]
        parts = np.array_split(samples, 1 + len(samples) // 128)
        windows = np.concatenate([features(part) for part in parts])[..., None]
        quantised = np.clip(np.trunc(windows / scale + zero), -128, 127)
        return self.spotter.scores(quantised)[:, self.order].astype(np.float32)
