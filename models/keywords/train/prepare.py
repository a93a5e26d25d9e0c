"""Decodes the recordings once into a cache: `clips.npy`, `speech.npy`, `noise.npy` and `index.json`.

The source is a folder in the official layout of Speech Commands (`yes/0c540988_nohash_0.wav`, `_background_noise_/…`),
or the same folders packed as tars, below any parent; WAV, FLAC and Ogg Opus are read. A folder or tar `continuous`
with LibriSpeech file names (`<reader>-<chapter>-<number>`) adds running speech for the label `unknown`.

Every clip falls into the set that the official hash of its speaker names, whatever folder it lies in. Clips of the
official *testing* set are dropped here, so that nothing later can train on them or select by them.

Recordings of one's own are few and of few speakers: of those in `--own` folders every fifth take of a speaker validates,
the others train. What is measured on them then says how well the words are heard from these speakers, not from others.
"""

import argparse
import hashlib
import io
import json
import pathlib
import tarfile

import numpy as np
import soundfile

from features import CLIP_SAMPLES, RATE_HZ
from labels import COMMANDS

NOISE_FOLDER = "_background_noise_"
SPEECH_FOLDER = "continuous"
SUFFIXES = {".wav", ".flac", ".opus", ".ogg"}
# The last fifth of every noise recording is never heard in training: validation's silence is cut from it.
NOISE_HELD_BACK = 0.2
OWN_TAKES_A_VALIDATION = 5


def split_of(speaker):
    """`training`, `validation` or `testing`: the official rule for a speaker's name."""
    share = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27 * (100.0 / (2**27 - 1))
    if share < 10.0:
        return "validation"
    return "testing" if share < 20.0 else "training"


def split_of_own(take):
    """The set of a take of one's own, by its number, or by its name where it has none."""
    number = int(take) if take.isdigit() else int(hashlib.sha1(take.encode()).hexdigest(), 16)
    return "validation" if number % OWN_TAKES_A_VALIDATION == OWN_TAKES_A_VALIDATION - 1 else "training"


def recordings(folders):
    """Every recording below the folders as (folder, file name, bytes), in a fixed order."""
    for path in (path for data in folders for path in sorted(data.rglob("*"))):
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    name = pathlib.PurePosixPath(member.name)
                    if member.isfile() and name.suffix in SUFFIXES:
                        yield name.parent.name, name.name, tar.extractfile(member).read()
        elif path.suffix in SUFFIXES:
            yield path.parent.name, path.name, path.read_bytes()


def decode(data):
    """16-bit samples at 16 kHz of one recording."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    if rate != RATE_HZ or samples.ndim != 1:
        raise ValueError(f"expected mono at {RATE_HZ} Hz, found {rate} Hz and shape {samples.shape}")
    return samples


def one_second(samples):
    """The clip cut, or padded with zeros at its end, to exactly one second."""
    clip = np.zeros(CLIP_SAMPLES, np.int16)
    clip[: min(len(samples), CLIP_SAMPLES)] = samples[:CLIP_SAMPLES]
    return clip


def prepare(folders, own, cache):
    """Fills `cache` from the folders and from those of one's own; does nothing when it is filled already.

    A recording that lies in several folders is taken from the first: put the lossless copy there.
    """
    index_path = cache / "index.json"
    if index_path.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    clips, pieces, taken = [], {"speech": [], "noise": []}, set()
    index = {"clips": [], "speech": [], "noise": [], "dropped_testing": 0}

    def add_piece(kind, name, split, samples):
        pieces[kind].append(samples)
        index[kind].append({"name": name, "split": split, "samples": len(samples)})

    marked = ((is_own, *recording) for is_own, some in [(True, own), (False, folders)] for recording in recordings(some))
    for is_own, folder, name, data_of_file in marked:
        stem = name.rsplit(".", 1)[0]
        if (folder, stem) in taken:
            continue
        taken.add((folder, stem))
        if folder == NOISE_FOLDER:
            samples = decode(data_of_file)
            cut = int(len(samples) * (1.0 - NOISE_HELD_BACK))
            add_piece("noise", stem, "training", samples[:cut])
            add_piece("noise", stem, "validation", samples[cut:])
            continue
        speaker = stem.split("-")[0] if folder == SPEECH_FOLDER else stem.split("_nohash_")[0]
        split = split_of_own(stem.split("_nohash_")[-1]) if is_own else split_of(speaker)
        if split == "testing":
            index["dropped_testing"] += 1
        elif folder == SPEECH_FOLDER:
            add_piece("speech", stem, split, decode(data_of_file))
        else:
            clips.append(one_second(decode(data_of_file)))
            index["clips"].append({"word": folder, "name": stem, "split": split})

    if not clips:
        raise SystemExit(f"No clips found below {', '.join(map(str, folders))}; expected <word>/<speaker>_nohash_<take>.wav or tars of them.")
    trained = {row["word"] for row in index["clips"] if row["split"] == "training"}
    if missing := [word for word in COMMANDS if word not in trained]:
        raise SystemExit(f"No training recordings of {', '.join(missing)}; record them, or take them out of the list of words.")
    np.save(cache / "clips.npy", np.stack(clips))
    for kind, arrays in pieces.items():
        np.save(cache / f"{kind}.npy", np.concatenate(arrays) if arrays else np.zeros(0, np.int16))
    index_path.write_text(json.dumps(index))
    print(f"{len(clips)} clips, {len(index['speech'])} utterances; dropped as testing: {index['dropped_testing']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--own", type=pathlib.Path, nargs="+", default=[])
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    prepare(arguments.data, arguments.own, arguments.cache)
