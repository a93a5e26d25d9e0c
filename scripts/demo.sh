#!/usr/bin/env bash
# Sets the machine up, builds lookhear and shows it on the bundled street scene and the ten bundled commands.
#
#   scripts/demo.sh [--headless]
#
# With a display it opens the window. Without one, or with --headless, it writes an annotated video and a picture under
# target/demo/, and fails when fewer than 7 commands were heard or no person or no car was seen.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$HOME/.cargo/bin

display=${WAYLAND_DISPLAY:-${DISPLAY:-}}
case ${1:-} in
  '') ;;
  --headless) display='' ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \?//;p}' "$0" && exit 2 ;;
esac

scripts/setup.sh
cargo build --release --locked

out=target/demo
rm -rf "$out"
mkdir -p "$out"
lookhear_run=(cargo run --quiet --release --locked -- run
  --camera assets/demo/street.mp4 --microphone assets/demo/commands.wav
  --objects models/objects --keywords models/keywords --events "$out/events.jsonl")

if [[ -n $display ]]; then
  echo "Opening the window on display $display for 28 s: q quits, space freezes, s saves a picture."
  "${lookhear_run[@]}" --preview auto
  scripts/demo_report.py "$out/events.jsonl"
else
  echo "No display is used: writing $out/annotated.mp4 instead of opening the window."
  "${lookhear_run[@]}" --preview none --no-pace --annotate "$out/annotated.mp4"
  # The picture is the moment with the most persons and cars in it.
  moment=$(scripts/demo_report.py --fullest-moment "$out/events.jsonl")
  ffmpeg -v error -y -ss "$moment" -i "$out/annotated.mp4" -frames:v 1 "$out/frame.png"
  scripts/demo_report.py --check "$out/events.jsonl"
  echo "Look at $PWD/$out/annotated.mp4 and $PWD/$out/frame.png; every event is in $PWD/$out/events.jsonl."
fi
