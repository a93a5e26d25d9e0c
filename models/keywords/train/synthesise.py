"""Synthetic speech of espeak-ng and flite for training: the ten commands, and words that sound like them.

Synthetic voices never enter validation. Some voices are held back from training altogether; `evaluate.py` reports
them separately, as the answer to "does it hear a synthesiser it has not met?".
"""

import argparse
import concurrent.futures
import json
import pathlib
import random
import subprocess
import tempfile

import numpy as np
import soundfile

from features import CLIP_SAMPLES, RATE_HZ
from labels import COMMANDS

ESPEAK_ACCENTS = ["en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-gb-x-gbclan", "en-029", "en-us-nyc"]
ESPEAK_VARIANTS = [
    "m1", "m2", "m3", "m4", "m5", "m6", "m8", "f1", "f2", "f3", "f4", "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis",
    "Diogo", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario", "max", "Michael", "Mike", "Tweaky", "aunty", "belinda",
    "boris", "david", "ed", "edward", "grandpa", "john", "paul", "rob", "robert", "steph", "zac",
]
FLITE_VOICES = ["kal16", "awb", "slt"]
ESPEAK_HELD_BACK = ["m7", "f5", "linda", "adam"]
FLITE_HELD_BACK = ["rms"]

# Homophones ("know", "write") are left out: no listener can tell them apart without a sentence around them.
NEAR_MISSES = """gold goat goal ghost grow though toe low show snow note nose nope yeah yet yell guess chess less lift laugh
leaf let loft lead rate ride rat light night white bite kite town dawn gown done noun brown dumb cup pup apple app own oh
gone an in arm aunt lawn swan of awful cough office stock stuck top step store stove shop stone drop hello thanks
music lamp kitchen window open close start play pause camera""".split()

# Words of Speech Commands that public copies hold few recordings of.
SCARCE_WORDS = """backward bird dog follow forward house learn marvin nine seven sheila six tree visual wow""".split()

# What else is said in a room: so that `unknown` is more than a list of some hundred words.
EVERYDAY_WORDS = """about after again always because before between both bring call came change children city coffee could
country day different does door earth enough every example eye face family far father feet find first food found friend
garden girl give good great group hand hard have head hear help here high hold home hour idea important inside just keep
kind last late learnt line listen little live long look made make man many maybe mean might mile money moon morning mother
mountain move much must name near never next number once orange other paper part people person picture place plant
please point question quick read really river road room round said same saw school sea second seem sentence set side sleep
small something soon sound speak spell still story street study sun table take talk tell than that there these thing think
thought through time today together tomorrow took turn under until usually wait walk want watch water week well went were
what where which while white whole why wonder word work world would year young""".split()

RENDITIONS_PER_COMMAND = {"espeak": 150, "flite": 50}
RENDITIONS_PER_NEAR_MISS = {"espeak": 18, "flite": 6}
RENDITIONS_PER_SCARCE_WORD = {"espeak": 45, "flite": 15}
RENDITIONS_PER_EVERYDAY_WORD = {"espeak": 6, "flite": 2}
# Running speech without a command: the words above in any order, in one breath, which is what fools a spotter most.
SENTENCES, WORDS_A_SENTENCE = 2400, (5, 11)
RENDITIONS_HELD_BACK = {"espeak": 8, "flite": 4}


def espeak(word, choose, path, variants):
    """Speaks `word` into `path` with a voice, speed and pitch drawn from `choose`."""
    voice = f"{choose.choice(ESPEAK_ACCENTS)}+{choose.choice(variants)}"
    speed, pitch = choose.randint(110, 210), choose.randint(20, 80)
    return ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), word]


def flite(word, choose, path, voices):
    """Like `espeak`, with flite's voices, duration and mean pitch."""
    voice = choose.choice(voices)
    pitch = choose.uniform(150, 230) if voice == "slt" else choose.uniform(80, 150)
    stretch = choose.uniform(0.75, 1.35)
    settings = ["--setf", f"duration_stretch={stretch:.2f}", "--setf", f"int_f0_target_mean={pitch:.0f}"]
    return ["flite", "-voice", voice, *settings, "-t", word, "-o", str(path)]


def resample(samples, rate):
    """Band-limited resampling to 16 kHz of a whole recording."""
    if rate == RATE_HZ:
        return samples
    length = round(len(samples) * RATE_HZ / rate)
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    return np.fft.irfft(spectrum, length) * (length / len(samples))


def centred_second(samples):
    """The spoken part, found by level, in the middle of one second of digital silence, as 16-bit samples."""
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    spoken = samples[loud[0] : loud[-1] + 1]
    surplus = max(0, len(spoken) - CLIP_SAMPLES) // 2
    spoken = spoken[surplus : surplus + CLIP_SAMPLES]
    clip = np.zeros(CLIP_SAMPLES)
    start = (CLIP_SAMPLES - len(spoken)) // 2
    clip[start : start + len(spoken)] = spoken * (0.5 / np.abs(spoken).max())
    return np.round(clip * 32767).astype(np.int16)


def spoken(command, path):
    """Runs a synthesiser and reads back its WAV at 16 kHz."""
    subprocess.run(command, check=True, capture_output=True)
    samples, rate = soundfile.read(path)
    return resample(samples, rate)


def speak(command, path):
    """Runs a synthesiser for one word; its WAV as one centred second."""
    return centred_second(spoken(command, path))


def speak_sentence(command, path):
    """Runs a synthesiser for a sentence; its WAV at about the level of the words, as 16-bit samples."""
    samples = spoken(command, path)
    path.unlink()
    return np.round(samples * (0.5 / np.abs(samples).max()) * 32767).astype(np.int16)


def sentences(cache, seed=2):
    """Fills `sentences.npy` and `sentences.json` in `cache`; does nothing when they are there."""
    index_path = cache / "sentences.json"
    if index_path.exists():
        return
    choose = random.Random(seed)
    words = [word for word in NEAR_MISSES + SCARCE_WORDS + EVERYDAY_WORDS if word not in COMMANDS]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        paths = [pathlib.Path(folder) / f"{number}.wav" for number in range(SENTENCES)]
        commands = []
        for path in paths:
            text = " ".join(choose.choices(words, k=choose.randint(*WORDS_A_SENTENCE)))
            say, voices = choose.choice([(espeak, ESPEAK_VARIANTS)] * 3 + [(flite, FLITE_VOICES)])
            commands.append(say(text, choose, path, voices))
        pieces = list(pool.map(speak_sentence, commands, paths))
    np.save(cache / "sentences.npy", np.concatenate(pieces))
    rows = [{"split": "training", "voice": command[2], "samples": len(piece)} for command, piece in zip(commands, pieces)]
    index_path.write_text(json.dumps(rows))
    print(f"{len(pieces)} synthetic sentences, {sum(map(len, pieces)) / RATE_HZ / 60:.0f} minutes")


def synthesise(cache, seed=1):
    """Fills `synthetic.npy` and `synthetic.json` in `cache`; does nothing when they are there."""
    index_path = cache / "synthetic.json"
    if index_path.exists():
        return
    choose = random.Random(seed)
    jobs = []

    def plan(word, split, renditions, variants, voices):
        jobs.extend((word, split, espeak, variants) for _ in range(renditions["espeak"]))
        jobs.extend((word, split, flite, voices) for _ in range(renditions["flite"]))

    for word in COMMANDS:
        plan(word, "training", RENDITIONS_PER_COMMAND, ESPEAK_VARIANTS, FLITE_VOICES)
        plan(word, "held back", RENDITIONS_HELD_BACK, ESPEAK_HELD_BACK, FLITE_HELD_BACK)
    for words, renditions in [
        (NEAR_MISSES, RENDITIONS_PER_NEAR_MISS),
        (SCARCE_WORDS, RENDITIONS_PER_SCARCE_WORD),
        (EVERYDAY_WORDS, RENDITIONS_PER_EVERYDAY_WORD),
    ]:
        for word in (word for word in words if word not in COMMANDS):
            plan(word, "training", renditions, ESPEAK_VARIANTS, FLITE_VOICES)

    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        paths = [pathlib.Path(folder) / f"{number}.wav" for number in range(len(jobs))]
        commands = [say(word, choose, path, voices) for (word, _, say, voices), path in zip(jobs, paths)]
        clips = list(pool.map(speak, commands, paths))
    np.save(cache / "synthetic.npy", np.stack(clips))
    rows = [{"word": word, "split": split, "voice": command[2]} for (word, split, _, _), command in zip(jobs, commands)]
    index_path.write_text(json.dumps(rows))
    print(f"{len(clips)} synthetic clips")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    folder_of_cache = parser.parse_args().cache
    synthesise(folder_of_cache)
    sentences(folder_of_cache)
