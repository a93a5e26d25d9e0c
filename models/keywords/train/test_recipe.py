"""What the rest of the recipe leans on. Run with `python -m unittest` in this folder."""

import pathlib
import unittest

import numpy as np
import soundfile
import tensorflow as tf

import features
import report_models
from labels import COMMANDS, LABELS, label_index
from prepare import one_second, split_of
from stream import events


GOLDEN = pathlib.Path(__file__).resolve().parents[4] / "shared" / "golden" / "kws"


def log_mel_of_tensorflow(samples):
    """The reference: the same features by tf.signal."""
    stft = tf.signal.stft(samples, features.WINDOW_SAMPLES, features.STEP_SAMPLES, features.FFT_SIZE)
    mel = tf.signal.linear_to_mel_weight_matrix(features.MEL_BANDS, 257, features.RATE_HZ, features.LOW_HZ, features.HIGH_HZ)
    return tf.math.log(tf.abs(stft) @ mel + features.LOG_OFFSET).numpy()


class Features(unittest.TestCase):
    def test_they_equal_tf_signal(self):
        noise = np.random.default_rng(5).standard_normal(16_000).astype(np.float32) * 0.1
        np.testing.assert_allclose(features.log_mel(noise), log_mel_of_tensorflow(noise), atol=1e-3)

    def test_digital_silence_is_the_offset_in_every_band(self):
        silent = features.log_mel(np.zeros(16_000))
        self.assertEqual(silent.shape, (98, 40))
        np.testing.assert_allclose(silent, np.log(1e-6), rtol=1e-6)

    def test_frames_are_counted_without_padding(self):
        for samples, frames in [(480, 1), (639, 1), (640, 2), (16_000, 98)]:
            self.assertEqual(len(features.log_mel(np.zeros(samples))), frames)


class Split(unittest.TestCase):
    def test_speakers_fall_into_their_official_set(self):
        for speaker, expected in SPEAKERS:
            self.assertEqual(split_of(speaker), expected, speaker)


class Clips(unittest.TestCase):
    def test_a_short_clip_is_padded_at_its_end(self):
        clip = one_second(np.ones(5_945, np.int16))
        self.assertEqual((len(clip), clip.sum(), clip[0]), (16_000, 5_945, 1))

    def test_words_that_are_no_command_are_unknown(self):
        self.assertEqual([LABELS[label_index(word)] for word in ("marvin", "go")], ["unknown", "go"])


class ReportModels(unittest.TestCase):
    def test_they_have_the_parameters_that_the_report_counts(self):
        counts = {name: report_models.build(name).count_params() for name in report_models.ARCHITECTURES}
        self.assertEqual(counts, {"stacked-fc": 5_449_228, "cnn-3l": 17_464_004, "custom-vgg": 8_311_116})

    @unittest.skipUnless(GOLDEN.is_dir(), "skipped: the reference data is not beside this checkout")
    def test_their_features_are_those_of_tensorflow(self):
        samples, _ = soundfile.read(GOLDEN / "chirp.wav", dtype="int16")
        clip = features.from_int16(one_second(samples))[None]
        for feature, name in zip(report_models.FEATURES, ["spec", "logmel", "mfcc"]):
            golden = np.load(GOLDEN / f"chirp_{name}_98x98.npy")
            np.testing.assert_allclose(report_models.feature_of(clip, feature)[0, :, :, 0], golden, atol=1e-3)


class Events(unittest.TestCase):
    def heard(self, *stretches):
        """Events for stretches of (word or None, decisions)."""
        scores = np.concatenate([np.tile(np.eye(len(LABELS))[LABELS.index(word or "silence")], (count, 1)) for word, count in stretches])
        return [word for _, word in events(np.arange(len(scores)) * 0.1, scores, dict.fromkeys(COMMANDS, 0.8))]

    def test_one_utterance_is_one_event(self):
        self.assertEqual(self.heard((None, 5), ("yes", 9), (None, 5)), ["yes"])

    def test_the_same_word_twice_is_two_events(self):
        self.assertEqual(self.heard((None, 5), ("yes", 6), (None, 5), ("yes", 6)), ["yes", "yes"])

    def test_the_same_word_again_before_the_first_has_left_the_window_is_two_events(self):
        self.assertEqual(self.heard((None, 5), ("yes", 11)), ["yes"])
        self.assertEqual(self.heard((None, 5), ("yes", 17)), ["yes", "yes"])

    def test_silence_is_no_event(self):
        self.assertEqual(self.heard((None, 50)), [])


SPEAKERS = [
    ("00176480", "training"),
    ("004ae714", "training"),
    ("abb8e5a8", "validation"),
    ("a9b58b34", "validation"),
    ("05cc99f5", "testing"),
    ("1da07f0e", "testing"),
]

if __name__ == "__main__":
    unittest.main()
