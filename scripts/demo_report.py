#!/usr/bin/env python3
"""Tells in readable form what the demo found, from its event log.

    demo_report.py [--check] EVENTS           with --check: exit code 1 unless the demo found what it should
    demo_report.py --fullest-moment EVENTS    the time, in seconds, of the frame with the most persons and cars
"""

import json
import sys
from collections import Counter

COMMANDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
FIRST_S, EVERY_S = 1.5, 2.6  # as assets/demo/make.sh places them
WORDS_NEEDED = 7
OBJECTS = ["person", "car"]


def main():
    *options, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    frames = [event for event in events if event["type"] == "detections"]
    if options == ["--fullest-moment"]:
        fullest = max(frames, key=lambda frame: sum(label in OBJECTS for label in labels(frame)), default=None)
        print(fullest["time_s"] if fullest else 0)
        return 0

    words = [event for event in events if event["type"] == "keyword"]
    heard = set()
    for word in words:
        # A word counts when it is heard while it is spoken, not when it is heard anywhere.
        spoken_s = FIRST_S + EVERY_S * COMMANDS.index(word["label"]) if word["label"] in COMMANDS else None
        right = spoken_s is not None and spoken_s - 0.3 <= word["time_s"] <= spoken_s + 1.5
        if right:
            heard.add(word["label"])
        print(f"{word['time_s']:6.2f} s  heard \"{word['label']}\" ({word['score']:.0%}){'' if right else '  — not said here'}")
    for event in events:
        if event["type"] in ("lost", "found"):
            print(f"{event['time_s']:6.2f} s  {event['type']} {event['part']}: {event.get('reason', '')}")

    seen = Counter(label for frame in frames for label in set(labels(frame)))
    print(f"Heard {len(heard)} of the {len(COMMANDS)} commands: {' '.join(word for word in COMMANDS if word in heard) or 'none'}.")
    print(f"Looked at {len(frames)} frames; " + ", ".join(f"{label} in {count}" for label, count in seen.most_common(6)) + ".")
    if "--check" in options and (len(heard) < WORDS_NEEDED or not all(seen[label] for label in OBJECTS)):
        print(f"The demo failed: {WORDS_NEEDED} commands, and boxes for {' and '.join(OBJECTS)}, are expected.", file=sys.stderr)
        return 1
    return 0


def labels(frame):
    return [detection["label"] for detection in frame["detections"]]


if __name__ == "__main__":
    sys.exit(main())
