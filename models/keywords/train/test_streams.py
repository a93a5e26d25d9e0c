"""What makes a stream's truth true. Run with `python -m unittest` in this folder."""

import json
import pathlib
import tempfile
import unittest

import numpy as np
import soundfile

import make_streams
import stream
from features import RATE_HZ
from labels import COMMANDS
from sounds import HALVES, Piece, half_of, holds_command, sentences, sources, spoken_part

SECOND = np.arange(RATE_HZ) / RATE_HZ


def spoken(start_s, end_s, noise=1e-4):
    """A second of noise with a tone between two times."""
    samples = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32) * np.float32(noise)
    samples[(SECOND >= start_s) & (SECOND < end_s)] += 0.3
    return samples


class Words(unittest.TestCase):
    def test_a_text_holds_a_command_if_a_listener_might_take_a_word_for_one(self):
        for text in ["Please press one.", "Now we are home", "A noble gopher", "Uppermost", "It stood there"]:
            self.assertFalse(holds_command(text), text)
        for text in ["Stop!", "I don't know", "the copyright holder", "GO", "an on-line help", "turn it off.", "no: five"]:
            self.assertTrue(holds_command(text), text)

    def test_a_word_is_found_by_its_level(self):
        for noise in (1e-4, 1e-2):
            start, end = spoken_part(spoken(0.3, 0.7, noise))
            self.assertAlmostEqual(start / RATE_HZ, 0.3, delta=0.021)
            self.assertAlmostEqual(end / RATE_HZ, 0.7, delta=0.021)

    def test_a_click_far_from_the_word_is_no_part_of_it(self):
        samples = spoken(0.5, 0.8)
        samples[1600:1700] += 0.2
        self.assertGreater(spoken_part(samples)[0], 0.45 * RATE_HZ)

    def test_rows_lie_where_the_words_are(self):
        rng = np.random.default_rng(3)
        scene = make_streams.Scene([(spoken(0.2, 0.6), "yes"), (spoken(0.5, 0.9), "bed")], rng)
        self.assertEqual([word for _, _, word in scene.words], ["yes", "bed"])
        for start, end, _ in scene.words:
            inside = scene.samples[start + 400 : end - 400]
            outside = scene.samples[max(0, start - 1600) : start - 400]
            self.assertGreater(np.abs(inside).min(), 20 * np.abs(outside).max())

    def test_noise_lies_at_the_ratio_asked_for(self):
        rng = np.random.default_rng(3)
        scene = make_streams.Scene([(spoken(0.2, 0.8), "yes")], rng)
        background = rng.standard_normal(len(scene.samples)).astype(np.float32)
        for snr_db in (0, 20):
            noise = scene.over(background, snr_db) - scene.samples
            ratio = 20 * np.log10(scene.wanted / np.sqrt(np.mean(noise**2)))
            self.assertAlmostEqual(ratio, snr_db, places=3)


class Sources(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def source(self, name, files, **about):
        folder = self.folder / name
        folder.mkdir()
        (folder / "source.json").write_text(json.dumps({"name": name, "licence": "none", "kind": "speech"} | about))
        for path, content in files.items():
            if path.endswith(".wav"):
                soundfile.write(folder / path, np.tile(spoken(0.2, 0.8), content), RATE_HZ)
            else:
                (folder / path).write_text(content)
        return next(source for source in sources([self.folder]) if source.name == name)

    def names(self, source):
        return sorted(path.name for half in HALVES for path in source.files(half))

    def test_only_recordings_that_are_known_to_hold_no_command_are_taken(self):
        prompts = {"a.wav": 1, "b.wav": 1, "c.wav": 1, "prompts.txt": "a: Thank you.\nb: Log off.\n"}
        source = self.source("prompts", prompts, transcripts="prompts.txt")
        self.assertEqual((self.names(source), source.left_out), (["a.wav"], 2))
        source = self.source("words", {"bed_1.wav": 1, "go_1.wav": 1}, word="([a-z]+)_")
        self.assertEqual(self.names(source), ["bed_1.wav"])
        self.assertEqual(self.names(self.source("unknown", {"a.wav": 1})), [])

    def test_a_speaker_falls_into_one_half(self):
        files = {f"{speaker}_{take}.wav": 1 for speaker in "abcdefgh" for take in range(3)}
        source = self.source("speakers", files, speaker="(.)_", says=["Good morning."])
        halves = [{path.name[0] for path in source.files(half)} for half in HALVES]
        self.assertEqual(halves[0] & halves[1], set())
        self.assertEqual(halves[0] | halves[1], set("abcdefgh"))
        self.assertEqual({half_of(f"speakers/{speaker}") for speaker in halves[0]}, {HALVES[0]})

    def test_sentences_hold_no_command_and_fall_into_one_half(self):
        text = "The cat sat upon the mat in the sun. You may stop it whenever you like to. The dog lay under a tree all day."
        source = self.source("texts", {"a.txt": text}, kind="text")
        halves = [list(sentences(source, half)) for half in HALVES]
        self.assertEqual(len(halves[0] + halves[1]), 2)
        self.assertFalse(any("stop" in sentence for sentence in halves[0] + halves[1]))

    def test_a_stream_is_as_long_as_what_was_put_into_it(self):
        rng = np.random.default_rng(5)
        sounds = object.__new__(make_streams.Sounds)
        sounds.rng, sounds.noise = rng, [Piece(rng.standard_normal(RATE_HZ).astype(np.float32), "noise", "noise")]
        pieces = [Piece(spoken(0.1, 0.9), f"speaker {number % 3}", "source") for number in range(9)]
        with make_streams.Recorder(self.folder / "without-commands") as stream:
            make_streams.add_speech(stream, sounds, pieces, [], rng)
        samples, rate = soundfile.read(self.folder / "without-commands.wav")
        self.assertEqual((len(samples), rate), (stream.written, RATE_HZ))
        self.assertAlmostEqual(stream.made["source"], stream.seconds, places=6)
        self.assertGreater(stream.seconds, 9 * 0.9)
        self.assertEqual((self.folder / "without-commands.csv").read_text(), "start_s,end_s,label\n")


class Judging(unittest.TestCase):
    def test_a_hit_lies_between_a_words_start_and_a_second_after_its_end(self):
        spoken = [(1.0, 1.5, "yes"), (4.0, 4.4, "no"), (8.0, 8.5, "go")]
        tally = stream.judge(spoken, [(0.9, "yes"), (2.4, "yes"), (2.45, "yes"), (5.5, "no"), (8.4, "on")])
        self.assertEqual(tally["yes"], {"spoken": 1, "hits": 1, "false": 1})
        self.assertEqual((tally["no"], tally["go"], tally["on"]), ({"spoken": 1, "false": 1}, {"spoken": 1}, {"false": 1}))

    def test_each_word_gets_the_threshold_at_which_all_together_keep_the_rate(self):
        swept = {(word, limit): (limit, 0.0) for word in COMMANDS for limit in stream.THRESHOLDS}
        swept |= {("on", limit): (limit, 40.0 if limit < 0.9 else 0.0) for limit in stream.THRESHOLDS}
        self.assertEqual(stream.choose(swept), dict.fromkeys(COMMANDS, 0.3) | {"on": 0.9})


if __name__ == "__main__":
    unittest.main()
