"""The labels of the spotter, in the order of the network's outputs: silence, unknown, then the commands of `words.txt`.

For words of one's own, write them one a line into a file and name it in the environment: `WORDS=my-words.txt`.
"""

import os
import pathlib

SILENCE = "silence"
UNKNOWN = "unknown"
COMMANDS = pathlib.Path(os.environ.get("WORDS", pathlib.Path(__file__).with_name("words.txt"))).read_text().split()
LABELS = [SILENCE, UNKNOWN, *COMMANDS]


def label_index(word):
    """Index of the label that a clip of `word` carries; every word that is not a command is `unknown`."""
    return LABELS.index(word) if word in COMMANDS else LABELS.index(UNKNOWN)
