"""The twelve labels of the spotter, in the order of the network's outputs."""

SILENCE = "silence"
UNKNOWN = "unknown"
COMMANDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
LABELS = [SILENCE, UNKNOWN, *COMMANDS]


def label_index(word):
    """Index of the label that a clip of `word` carries; every word that is not a command is `unknown`."""
    return LABELS.index(word) if word in COMMANDS else LABELS.index(UNKNOWN)
