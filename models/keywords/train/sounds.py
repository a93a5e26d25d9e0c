"""Recordings and texts in which no command is spoken, for measuring false accepts.

A source is a folder with a `source.json` in it:

    {
      "name": "RAVDESS",                what tables call it
      "licence": "CC BY-NC-SA 4.0",
      "kind": "speech",                 or "music", "noise", "text"
      "files": ["Actor_*/*.wav"],       patterns of paths in the folder; everything below it if left out
      "except": ["*/ui/*"],             patterns of paths that are left out
      "speaker": "(Actor_\\d+)",          a regular expression on the path; its first group tells who speaks.
                                        Left out: every file is taken for another speaker
      "says": ["Kids are talking …"],   what every recording there says, or
      "word": "([a-z]+)/[^/]*$",        a regular expression on the path; its first group is what the recording says, or
      "transcripts": "prompts.txt",     a file of lines "name: text" or "name,text"; the name is the path's end, with or
                                        without its suffix
      "official_split": true            names are those of Speech Commands: only speakers of validation are taken
    }

Of a source of speech only what is known to hold no command is taken: a recording without a known text is left out.
Everything that libsndfile reads (WAV, FLAC, Ogg, Opus, MP3) is brought to 16 kHz mono.
"""

import dataclasses
import fnmatch
import hashlib
import json
import math
import os
import pathlib
import re

import numpy as np
import scipy.signal
import soundfile

from features import RATE_HZ
from labels import COMMANDS
from prepare import split_of

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
HALVES = ["choose", "report"]

# What cannot be told from a command by ear, and words that hold one whole.
HOMOPHONES = {"know", "write", "rite", "wright", "awn"}
COMPOUNDS = set("""online offline onto ongoing offset offhand cutoff kickoff takeoff upload upside upright upset uphill
upstairs startup backup setup pickup lookup popup markup cleanup download downhill downright downstairs downward countdown
shutdown breakdown leftover lefty righty rightful copyright copyrights copyrighted outright alright downright playwright
nonstop stopwatch stopped stops stopping goes going logoff logon undergo forgo ago cargo logo amigo""".split())
FORBIDDEN = set(COMMANDS) | HOMOPHONES | COMPOUNDS

# Less is left of a recording that was all but silent.
LEAST_PIECE_S = 0.1
# A spoken word begins and ends where its level crosses this share of the way from its quietest to its loudest frame, in
# decibels; a pause as long as this does not end it.
FRAME_SAMPLES, LEVEL_SHARE, PAUSE_FRAMES = 160, 0.3, 15


@dataclasses.dataclass
class Piece:
    """One recording, or what was spoken of one: float32 samples, who speaks, whence."""

    samples: np.ndarray
    speaker: str
    source: str

    @property
    def seconds(self):
        return len(self.samples) / RATE_HZ


def half_of(speaker):
    """`choose` or `report`: everything of one speaker, or of one file of music, falls into the same half."""
    return HALVES[hashlib.sha1(f"half/{speaker}".encode()).digest()[0] % 2]


def holds_command(text):
    """Whether a listener might take something in the text for one of the commands."""
    return any(token in FORBIDDEN for token in re.findall(r"[a-z]+", text.lower().replace("'", "")))


def spoken_part(samples):
    """Start and end, in samples, of what is spoken in a recording: the loudest stretch with what lies close to it."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    if len(frames) == 0:
        return 0, len(samples)
    decibel = 10.0 * np.log10(np.square(frames, dtype=np.float64).mean(1) + 1e-10)
    decibel = np.convolve(np.pad(decibel, 1, "edge"), np.ones(3) / 3, "valid")
    floor, peak = np.percentile(decibel, 10), decibel.max()
    loud = np.flatnonzero(decibel >= max(floor + LEVEL_SHARE * (peak - floor), peak - 30.0))
    loudest = np.searchsorted(loud, decibel.argmax())
    breaks = np.flatnonzero(np.diff(loud) > PAUSE_FRAMES)
    first, last = loud[0], loud[-1]
    for place in breaks:
        if place < loudest:
            first = loud[place + 1]
        else:
            last = loud[place]
            break
    return int(first) * FRAME_SAMPLES, int(last + 1) * FRAME_SAMPLES


def trimmed(samples, margin_s=0.05):
    """A recording of running speech without the silence before its first and after its last word."""
    level = np.sqrt(np.convolve(np.square(samples, dtype=np.float64), np.ones(320) / 320, "same"))
    loud = np.flatnonzero(level > max(0.03 * level.max(), 1e-4))
    if len(loud) == 0:
        return samples[:0]
    margin = int(margin_s * RATE_HZ)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def read(path):
    """A file's samples as float32 at 16 kHz, its channels averaged."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(1)
    if rate != RATE_HZ:
        common = math.gcd(rate, RATE_HZ)
        samples = scipy.signal.resample_poly(samples, RATE_HZ // common, rate // common).astype(np.float32)
    return samples


class Source:
    """A folder with its description."""

    def __init__(self, folder):
        self.folder = folder
        self.about = json.loads((folder / "source.json").read_text())
        self.name, self.kind, self.licence = (self.about[key] for key in ("name", "kind", "licence"))
        self.left_out = 0
        self._texts = self._transcripts()

    def files(self, half):
        """Paths of one half that hold no command, in a fixed order."""
        for path in self._paths():
            inside = path.relative_to(self.folder).as_posix()
            if self.kind == "text" or (half_of(self.speaker(inside)) == half and self._is_free(path, inside)):
                yield path

    def speaker(self, inside):
        found = re.search(self.about["speaker"], inside) if "speaker" in self.about else None
        return f"{self.name}/{found.group(1) if found else inside}"

    def pieces(self, half):
        """Everything of one half, decoded; files that cannot be read are left out and counted."""
        for path in self.files(half):
            try:
                samples = read(path)
            except soundfile.SoundFileError:
                self.left_out += 1
                continue
            if self.kind == "speech":
                samples = trimmed(samples)
            piece = Piece(samples, self.speaker(path.relative_to(self.folder).as_posix()), self.name)
            if piece.seconds > LEAST_PIECE_S:
                yield piece

    def _paths(self):
        found = [pathlib.Path(parent) / name for parent, _, names in os.walk(self.folder, followlinks=True) for name in names]
        for path in sorted(found):
            inside = path.relative_to(self.folder).as_posix()
            wanted = any(fnmatch.fnmatch(inside, pattern) for pattern in self.about.get("files", ["*"]))
            unwanted = any(fnmatch.fnmatch(inside, pattern) for pattern in self.about.get("except", []))
            if wanted and not unwanted and path.name != "source.json" and (self.kind == "text" or path.suffix in SUFFIXES):
                yield path

    def _is_free(self, path, inside):
        if self.kind != "speech":
            return True
        if self.about.get("official_split") and split_of(path.stem.split("_nohash_")[0]) != "validation":
            return False
        texts = self._said(inside)
        free = bool(texts) and not any(holds_command(text) for text in texts)
        self.left_out += not free
        return free

    def _said(self, inside):
        if "says" in self.about:
            return self.about["says"]
        if "word" in self.about:
            found = re.search(self.about["word"], inside)
            return [found.group(1)] if found else []
        stem = inside.rsplit(".", 1)[0]
        ends = ["/".join(stem.split("/")[place:]) for place in range(stem.count("/") + 1)]
        return next(([self._texts[end]] for end in ends if end in self._texts), [])

    def _transcripts(self):
        if "transcripts" not in self.about:
            return {}
        texts = {}
        for line in (self.folder / self.about["transcripts"]).read_text(errors="replace").splitlines():
            found = re.match(r"\s*([^:,]+?)(?:\.\w{3,4})?\s*[:,]\s*(.+)", line)
            if found:
                texts[found.group(1)] = found.group(2)
        return texts


def sources(folders):
    """The sources in the folders, or in folders directly below them, by name."""
    found = [path.parent for folder in folders for path in [folder / "source.json", *folder.glob("*/source.json")] if path.exists()]
    if not found:
        raise SystemExit(f"No source.json in or below {', '.join(map(str, folders))}; `python sounds.py --help` shows one.")
    return sorted((Source(folder) for folder in found), key=lambda source: source.name)


def sentences(source, half):
    """Sentences of a source of texts that hold no command, each once, those of one half."""
    taken = set()
    for path in source.files(half):
        text = re.sub(r"\s+", " ", path.read_text(errors="replace"))
        for sentence in re.split(r"(?<=[.!?;:])\s", text):
            plain = sentence.strip(" \"'*-_()")
            if not 25 <= len(plain) <= 160 or not re.fullmatch(r"[A-Za-z,;:.!?' -]+", plain) or plain in taken:
                continue
            if not holds_command(plain) and half_of(plain) == half:
                taken.add(plain)
                yield plain
