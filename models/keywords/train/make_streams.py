"""Makes the streams on which a spotter is measured as it is used: words at known places, and hours without commands.

    python make_streams.py --cache DIR --sounds DIR … --into DIR [--seed N]

Two halves, `choose` and `report`, share no speaker, no piece of music and no sentence: thresholds are chosen on the one
and reported on the other. Nothing in either was heard in training. Each half holds, as 16 kHz mono 16 bit WAV, each with
a CSV `start_s,end_s,label` of what is spoken (from the word's first sound to its last, not the clip's second):

    words-clean                 every clip of the half's validation speakers, over noise 45 dB below
    words-20db … words-0db      the same clips at the same places; two scenes of three under noise held back from
                                training, one under three validation readers at once, at that signal-to-noise ratio
    without-commands-real       recordings of speech, music and noise in which no command is spoken
    without-commands-synthetic  sentences without commands, by synthetic voices that training does not hear

The CSV of the last two holds no row; `<stream>.sources.csv` says what lies where, so that a false accept can be traced.
The recordings come from the cache (`prepare.py`) and from the folders of `--sounds`, each described by its
`source.json`; what kinds of source there are is said in `sounds.py`. Kinds that are absent are left out and said.
LibriSpeech's readers have no transcripts here and do speak commands; so they are heard under the words only.

`sources.json` and the table printed at the end say how many distinct minutes lie under the minutes made: recordings are
used again at another speed, in another order, at another loudness, in another room and under another noise, which is
less than new ones.
"""

import argparse
import collections
import concurrent.futures
import csv
import json
import pathlib
import random
import subprocess
import tempfile

import numpy as np
import scipy.signal
import soundfile

from augment import amplitude, coloured_noise, level
from corpus import Corpus
from features import RATE_HZ, from_int16
from labels import COMMANDS
from sounds import HALVES, LEAST_PIECE_S, Piece, half_of, read, sentences, sources, spoken_part, trimmed
from synthesise import ESPEAK_HELD_BACK, FLITE_HELD_BACK, espeak, flite

CLEAN_SNR_DB, SNRS_DB = 45.0, [20, 10, 5, 0]
WORDS_PER_SCENE, WORD_GAP_S = 20, (0.6, 2.0)
READERS_AT_ONCE = 3
# The words are heard from a near speaker at a well set microphone to a far one at a poor one.
WORD_LEVEL_DBFS = (-38.0, -18.0)

# How often speech without commands is used, each time otherwise; and how much music and noise there is beside it.
SPEECH_PASSES, MUSIC_S, NOISE_S, SYNTHETIC_S = 2, 2 * 3600, 3600, 2 * 3600
SCENE_S, RUN_S, SPEECH_GAP_S = 30.0, 8.0, (0.05, 0.6)
SPEED, SCENE_LEVEL_DBFS = (0.9, 1.1), (-42.0, -16.0)
NOISE_SNR_DB, MUSIC_SHARE, MUSIC_SNR_DB = (5.0, 35.0), 0.2, (3.0, 20.0)
ROOM_SHARE, ROOM_RT60_S, ROOM_DIRECT_DB = 0.5, (0.1, 0.7), (-3.0, 12.0)
HISS_DBFS = (-85.0, -60.0)
# Voices of synthetic speech by half.
VOICES = dict(zip(HALVES, [(ESPEAK_HELD_BACK[0::2], []), (ESPEAK_HELD_BACK[1::2], FLITE_HELD_BACK)]))


class Recorder:
    """Writes a stream piece by piece, and counts what it was made of."""

    def __init__(self, path):
        self.path, self.written = path, 0
        self.rows, self.places, self.made = [], [], collections.Counter()

    def __enter__(self):
        self.file = soundfile.SoundFile(self.path.with_suffix(".wav"), "w", RATE_HZ, 1, "PCM_16")
        return self

    def __exit__(self, *_):
        self.file.close()
        _write_table(self.path.with_suffix(".csv"), ["start_s", "end_s", "label"], self.rows)
        if self.places:
            _write_table(self.path.with_suffix(".sources.csv"), ["start_s", "end_s", "source"], self.places)

    @property
    def seconds(self):
        return self.written / RATE_HZ

    def word(self, start, end, label):
        """A word of the scene that is added next, in samples from its start."""
        self.rows.append([f"{self.seconds + start / RATE_HZ:.3f}", f"{self.seconds + end / RATE_HZ:.3f}", label])

    def add(self, samples, source=None):
        if source:
            seconds = len(samples) / RATE_HZ
            self.places.append([f"{self.seconds:.3f}", f"{self.seconds + seconds:.3f}", source])
            self.made[source] += seconds
        self.file.write(np.clip(samples, -1.0, 1.0 - 2.0**-15).astype(np.float32))
        self.written += len(samples)


def _write_table(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


class Sounds:
    """Everything of one half: `speech`, `music` and `noise` as lists of pieces, `texts` as sentences."""

    def __init__(self, cache, found, half, rng):
        self.speech, self.music, self.texts = [], [], []
        self.noise, self.left_out = held_back_noise(cache, half, rng), {}
        for source in found:
            if source.kind == "text":
                self.texts += sentences(source, half)
                continue
            getattr(self, source.kind).extend(source.pieces(half))
            self.left_out[source.name] = source.left_out
        self.rng = rng

    def cut(self, pieces, count):
        """So many samples out of a random piece, repeated where it is shorter."""
        piece = pieces[self.rng.integers(len(pieces))]
        return np.resize(np.roll(piece.samples, -self.rng.integers(len(piece.samples))), count), piece.source

    def under(self, samples, pieces, snr_db):
        """The samples with a sound of these pieces below them."""
        other, _ = self.cut(pieces, len(samples))
        return samples + other * np.float32(level(samples) / amplitude(snr_db) / level(other))

    def in_a_room(self, samples):
        """The samples with the echoes of a room: the direct sound, then noise that falls by 60 dB in the time drawn."""
        decay = int(self.rng.uniform(*ROOM_RT60_S) * RATE_HZ)
        tail = self.rng.standard_normal(decay) * np.exp(np.linspace(0.0, -np.log(1000.0), decay))
        tail[0] = amplitude(self.rng.uniform(*ROOM_DIRECT_DB)) * np.sqrt(np.square(tail).sum())
        return scipy.signal.fftconvolve(samples, (tail / tail[0]).astype(np.float32))[: len(samples)]

    def heard(self, samples):
        """A scene as a microphone gives it: at some loudness, with some hiss."""
        samples = samples * np.float32(amplitude(self.rng.uniform(*SCENE_LEVEL_DBFS)) / level(samples))
        hiss = amplitude(self.rng.uniform(*HISS_DBFS))
        return samples + self.rng.standard_normal(len(samples), np.float32) * np.float32(hiss)


def held_back_noise(cache, half, rng):
    """One half of the noise that training does not hear, and coloured noise."""
    pieces = [coloured_noise(rng) for _ in range(4)]
    for array in Corpus(cache, "validation").noise.arrays:
        pieces.append(np.array_split(array, 2)[HALVES.index(half)])
    return [Piece(from_int16(array), "noise", "Speech Commands' noise held back, and computed noise") for array in pieces]


def words_of(cache, half, rng):
    """(samples, word) of every clip of the half's validation speakers, in a random order."""
    index, corpus = json.loads((cache / "index.json").read_text())["clips"], Corpus(cache, "validation")
    rows = [(row, word) for word, numbers in corpus.by_word.items() for row in numbers
            if half_of(index[row]["name"].split("_nohash_")[0]) == half]
    return [(from_int16(corpus.clips[rows[place][0]]), rows[place][1]) for place in rng.permutation(len(rows))]


def readers_of(cache, half):
    """Running speech of the half's validation readers."""
    index = [row["name"] for row in json.loads((cache / "index.json").read_text())["speech"] if row["split"] == "validation"]
    arrays = Corpus(cache, "validation").spoken.arrays
    return [from_int16(array) for name, array in zip(index, arrays) if half_of(name.split("-")[0]) == half]


class Scene:
    """Words with gaps between them, at a loudness of the scene's own; made once, laid over one noise after another."""

    def __init__(self, clips, rng):
        pieces, self.words, count = [], [], 0
        wanted = amplitude(rng.uniform(*WORD_LEVEL_DBFS))
        for samples, word in clips:
            start, end = spoken_part(samples)
            gap = np.zeros(int(rng.uniform(*WORD_GAP_S) * RATE_HZ), np.float32)
            samples = samples * np.float32(wanted / level(samples[start:end]))
            self.words.append((count + len(gap) + start, count + len(gap) + end, word))
            pieces += [gap, np.clip(samples, -1.0, 1.0)]
            count += len(gap) + len(samples)
        self.samples, self.wanted = np.concatenate(pieces), wanted

    def over(self, background, snr_db):
        """Every word's spoken part at this ratio to the noise as it is on the whole."""
        return self.samples + background * np.float32(self.wanted / amplitude(snr_db) / level(background))


def make_words(cache, sounds, half, into, rng):
    """`words-clean` and the same in noise."""
    clips, readers = words_of(cache, half, rng), readers_of(cache, half)
    places = np.array_split(np.arange(len(clips)), max(1, len(clips) // WORDS_PER_SCENE))
    scenes = [Scene([clips[place] for place in part], rng) for part in places]
    quiet = [sounds.cut(sounds.noise[:4], len(scene.samples))[0] for scene in scenes]
    loud = []
    for number, scene in enumerate(scenes):
        if number % 3 == 2 and readers:
            loud.append(sum(np.resize(np.roll(reader, -rng.integers(len(reader))), len(scene.samples))
                            for reader in (readers[place] for place in rng.choice(len(readers), READERS_AT_ONCE))))
        else:
            loud.append(sounds.cut(sounds.noise, len(scene.samples))[0])
    for name, backgrounds, snr_db in [("clean", quiet, CLEAN_SNR_DB), *((f"{snr}db", loud, snr) for snr in SNRS_DB)]:
        with Recorder(into / f"words-{name}") as stream:
            for scene, background in zip(scenes, backgrounds):
                for start, end, word in scene.words:
                    stream.word(start, end, word)
                stream.add(scene.over(background, snr_db))
    commands = sum(word in COMMANDS for _, word in clips)
    return {"clips": len(clips), "commands": commands, "minutes": round(stream.seconds / 60, 1)}


def runs_of(pieces, rng):
    """The pieces in a new order, some seconds of one speaker at a time."""
    by_speaker = collections.defaultdict(list)
    for piece in pieces:
        by_speaker[piece.speaker].append(piece)
    runs = []
    for group in by_speaker.values():
        run, seconds = [], 0.0
        for place in rng.permutation(len(group)):
            run.append(group[place])
            seconds += group[place].seconds
            if seconds >= RUN_S:
                runs.append(run)
                run, seconds = [], 0.0
        if run:
            runs.append(run)
    return [runs[place] for place in rng.permutation(len(runs))]


def spoken_run(run, rng):
    """One speaker's pieces one after another, at another speed than recorded and about equally loud."""
    speed, samples = rng.uniform(*SPEED), []
    for piece in run:
        places = np.arange(0.0, len(piece.samples) - 1, speed)
        spoken = np.interp(places, np.arange(len(piece.samples)), piece.samples).astype(np.float32)
        gap = np.zeros(int(rng.uniform(*SPEECH_GAP_S) * RATE_HZ), np.float32)
        samples += [spoken * np.float32(0.05 / level(spoken)), gap]
    return np.concatenate(samples)


def add_speech(stream, sounds, pieces, music, rng):
    """One pass over the pieces of speech, in scenes with a room and a noise of their own, some with music."""
    scene, seconds = [], 0.0
    runs = runs_of(pieces, rng)
    for number, run in enumerate(runs):
        samples = spoken_run(run, rng)
        scene.append((samples, run[0].source))
        seconds += len(samples) / RATE_HZ
        if seconds < SCENE_S and number + 1 < len(runs):
            continue
        whole = np.concatenate([samples for samples, _ in scene])
        if rng.random() < ROOM_SHARE:
            whole = sounds.in_a_room(whole)
        if music and rng.random() < MUSIC_SHARE:
            whole = sounds.under(whole, music, rng.uniform(*MUSIC_SNR_DB))
        whole = sounds.heard(sounds.under(whole, sounds.noise, rng.uniform(*NOISE_SNR_DB)))
        ends = np.cumsum([len(samples) for samples, _ in scene])
        for part, (_, source) in zip(np.split(whole, ends[:-1]), scene):
            stream.add(part, source)
        scene, seconds = [], 0.0


def add_music(stream, sounds):
    """Music, a scene out of one piece."""
    for _ in range(int(MUSIC_S / SCENE_S) if sounds.music else 0):
        samples, source = sounds.cut(sounds.music, int(SCENE_S * RATE_HZ))
        stream.add(sounds.heard(samples), source)


def add_noise(stream, sounds, rng):
    """Noises, one after another and about equally loud: a short one that was repeated would be counted as often."""
    for _ in range(int(NOISE_S / SCENE_S)):
        scene, missing = [], int(SCENE_S * RATE_HZ)
        while missing > 0:
            piece = sounds.noise[rng.integers(len(sounds.noise))]
            start = rng.integers(max(1, len(piece.samples) - missing))
            samples = piece.samples[start : start + missing]
            scene.append((samples * np.float32(0.05 / level(samples)), piece.source))
            missing -= len(samples)
        whole = sounds.heard(np.concatenate([samples for samples, _ in scene]))
        ends = np.cumsum([len(samples) for samples, _ in scene])
        for part, (_, source) in zip(np.split(whole, ends[:-1]), scene):
            stream.add(part, source)


def make_real(sounds, into, rng, of_noise):
    """`without-commands-real`."""
    with Recorder(into / "without-commands-real") as stream:
        for _ in range(SPEECH_PASSES if sounds.speech else 0):
            add_speech(stream, sounds, sounds.speech, sounds.music, rng)
        add_music(stream, sounds)
        sounds.rng = of_noise
        add_noise(stream, sounds, of_noise)
    return stream


def synthetic_pieces(texts, voices, seconds, seed):
    """Sentences spoken by synthetic voices until there are so many seconds of them."""
    choose = random.Random(seed)
    say = [lambda text, path: espeak(text, choose, path, voices[0])] * 3
    if voices[1]:
        say.append(lambda text, path: flite(text, choose, path, voices[1]))

    def spoken(job):
        command, path, speaker = job
        subprocess.run(command, check=True, capture_output=True)
        samples = trimmed(read(path))
        path.unlink()
        return Piece(samples, speaker, f"synthetic speech, {command[0]}")

    pieces = []
    texts = choose.sample(texts, len(texts))
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        for start in range(0, len(texts), 200):
            jobs = []
            for number, text in enumerate(texts[start : start + 200]):
                path = pathlib.Path(folder) / f"{number}.wav"
                command = choose.choice(say)(text, path)
                jobs.append((command, path, f"{command[0]} {command[2]}"))
            # A synthesiser that finds nothing to say in a text leaves silence.
            pieces += [piece for piece in pool.map(spoken, jobs) if piece.seconds > LEAST_PIECE_S]
            if sum(piece.seconds for piece in pieces) >= seconds:
                break
    return pieces


def make_synthetic(sounds, half, into, rng):
    """`without-commands-synthetic`; its pieces beside it."""
    pieces = synthetic_pieces(sounds.texts, VOICES[half], SYNTHETIC_S, int(rng.integers(2**31)))
    with Recorder(into / "without-commands-synthetic") as stream:
        if pieces:
            add_speech(stream, sounds, pieces, [], rng)
    return stream, pieces


def minutes_by_source(pieces):
    seconds = collections.Counter()
    for piece in pieces:
        seconds[piece.source] += piece.seconds
    return {source: round(count / 60, 1) for source, count in seconds.items()}


def make_half(cache, found, half, into, seed):
    """Makes one half; what it was made of, for the table."""
    rng = np.random.default_rng([seed, HALVES.index(half)])
    # Generators of their own: more or fewer recordings of speech leave noise and synthetic speech as they are.
    of_synthetic, of_noise = (np.random.default_rng([seed, HALVES.index(half), number]) for number in (1, 2))
    into.mkdir(parents=True, exist_ok=True)
    sounds = Sounds(cache, found, half, rng)
    for kind in ("speech", "music", "texts"):
        if not getattr(sounds, kind):
            print(f"{half}: no {kind} in --sounds; left out")
    words = make_words(cache, sounds, half, into, rng)
    real = make_real(sounds, into, rng, of_noise)
    sounds.rng = of_synthetic
    synthetic, spoken = make_synthetic(sounds, half, into, of_synthetic)
    distinct = minutes_by_source([*sounds.speech, *sounds.music, *sounds.noise, *spoken])
    made = {source: round(seconds / 60, 1) for source, seconds in (real.made + synthetic.made).items()}
    return {
        "words": words,
        "hours_without_commands": {"real": round(real.seconds / 3600, 2), "synthetic": round(synthetic.seconds / 3600, 2)},
        "sources": {source: {"distinct_minutes": minutes, "made_minutes": made.get(source, 0.0)} for source, minutes in distinct.items()},
        "recordings_left_out": {name: count for name, count in sounds.left_out.items() if count},
    }


def table(manifest, licences):
    """The manifest as Markdown."""
    lines = ["| half | source | licence | distinct minutes | minutes made |", "|---|---|---|---|---|"]
    for half, about in manifest.items():
        for source, minutes in sorted(about["sources"].items()):
            licence = licences.get(source, "as the voices" if source.startswith("synthetic") else "CC BY 4.0")
            lines.append(f"| {half} | {source} | {licence} | {minutes['distinct_minutes']} | {minutes['made_minutes']} |")
    return "\n".join(lines)


def make_streams(cache, folders, into, seed=7):
    """Makes both halves in the folder `into`; does nothing when they are there."""
    manifest_path = into / "sources.json"
    if manifest_path.exists():
        return
    found = sources(folders) if folders else []
    manifest = {half: make_half(cache, found, half, into / half, seed) for half in HALVES}
    licences = {source.name: source.licence for source in found}
    print(table(manifest, licences))
    for half, about in manifest.items():
        print(f"{half}: {about['words']}, hours without commands: {about['hours_without_commands']}")
    manifest_path.write_text(json.dumps(manifest | {"licences": licences}, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="what prepare.py made")
    parser.add_argument("--sounds", type=pathlib.Path, nargs="*", default=[], help="folders with a source.json, or folders of such")
    parser.add_argument("--into", type=pathlib.Path, required=True, help="about 2 GB for the hours of the default")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    make_streams(arguments.cache, arguments.sounds, arguments.into, arguments.seed)
