"""Reads what `teacher.py` wrote."""

import numpy as np

from features import CLIP_SAMPLES, RATE_HZ

# Mean and maximum of the teacher's 96 numbers over a clip.
HINTS = 2 * 96
# Running speech has hints at this grid; a second that is cut from it takes those of the nearest place.
GRID_SAMPLES = RATE_HZ // 4


def grid(piece):
    """Where the seconds of a piece of running speech begin of which there are hints."""
    return range(0, len(piece) - CLIP_SAMPLES + 1, GRID_SAMPLES)


class Lessons:
    """Hints by row of the corpus, and doubts of its recordings."""

    def __init__(self, cache, corpus):
        taught = np.load(cache / "teacher.npz")
        self.clips, self.synthetic = taught["clips"].astype(np.float32), taught["synthetic"].astype(np.float32)
        self.doubts, self.speech = taught["doubts"].astype(np.float32), taught["speech"].astype(np.float32)
        counts = [len(grid(piece)) for piece in corpus.spoken.arrays]
        self.counts, self.begins = counts, np.concatenate([[0], np.cumsum(counts)])

    def of_speech(self, piece, start):
        """Hints of about the second that begins at sample `start` of a piece of running speech."""
        return self.speech[self.begins[piece] + min(round(start / GRID_SAMPLES), self.counts[piece] - 1)]
