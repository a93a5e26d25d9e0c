#!/usr/bin/env python3
"""Writes the list of crates in THIRD-PARTY.md from Cargo.lock.

    third_party.py           writes it
    third_party.py --check   exit code 1 when it is out of date
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf"]
BEGIN = "<!-- written by scripts/third_party.py -->\n"


def main():
    path = ROOT / "THIRD-PARTY.md"
    head, _, old = path.read_text(encoding="utf-8").partition(BEGIN)
    new = "".join(
        f"- **{licence}**: {', '.join(sorted(crates))}\n" for licence, crates in sorted(crates_by_licence().items())
    )
    if "--check" in sys.argv[1:]:
        if old != new:
            sys.exit("THIRD-PARTY.md is out of date: run scripts/third_party.py and commit what it writes.")
        return
    path.write_text(head + BEGIN + new, encoding="utf-8")


def crates_by_licence():
    """The crates that end up in the program: no build scripts, no macros, no tests."""
    command = ["cargo", "metadata", "--format-version=1", "--locked"]
    command += [f"--filter-platform={target}" for target in TARGETS]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    dependencies = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
    found = defaultdict(set)
    waiting, seen = [metadata["resolve"]["root"]], set()
    while waiting:
        package = packages[waiting.pop()]
        if package["id"] in seen or any("proc-macro" in target["kind"] for target in package["targets"]):
            continue
        seen.add(package["id"])
        if package["id"] != metadata["resolve"]["root"]:
            licence = (package["license"] or f"see {package['license_file']}").replace("/", " OR ")
            found[" OR ".join(sorted(licence.split(" OR ")))].add(package["name"])
        for dependency in dependencies[package["id"]]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return found


if __name__ == "__main__":
    main()
