#!/usr/bin/env bash
# Runs the whole pipeline on the demo's scene, over and over and as fast as it goes, and watches its memory.
#
#   scripts/soak.sh [MINUTES]          default 10; needs what scripts/setup.sh installs
#
# Prints the resident memory every 30 s. Fails when it ever is more than 4 MiB above what it was at the end of the
# warm-up (a fifth of the time, one minute at most), or when the program ends by itself. The window is part of it where
# there is a display (xvfb-run -a scripts/soak.sh). Not part of the tests: it shows leaks too slow for them.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$HOME/.cargo/bin

minutes=${1:-10}
[[ $minutes =~ ^[1-9][0-9]*$ ]] || { sed -n '2,/^set/{/^set/d;s/^# \?//;p}' "$0"; exit 2; }
most_growth_kib=4096
seconds=$((minutes * 60))
warm_up=$((seconds / 5 < 60 ? seconds / 5 : 60))

cargo build --release --locked --quiet
folder=$(mktemp -d)
pid=
end() {
  [[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap end EXIT

# A list that names one round of the scene again and again: longer than any machine gets through.
ffmpeg -v error -i assets/demo/street.mp4 -i assets/demo/commands.wav -c:v copy -c:a pcm_s16le -shortest "$folder/round.mkv"
{ echo 'ffconcat version 1.0'; for ((round = 0; round < minutes * 1000; round++)); do echo 'file round.mkv'; done; } \
  > "$folder/scene.ffconcat"

target/release/lookhear run --camera "$folder/scene.ffconcat" --microphone "$folder/scene.ffconcat" \
  --no-pace --events /dev/null --stats 2> "$folder/stats" &
pid=$!
resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }

base=0 highest=0 start=$SECONDS told=0
for ((now = 0; now < seconds; now = SECONDS - start)); do
  kill -0 "$pid" 2>/dev/null || { tail -5 "$folder/stats"; echo 'soak.sh: the program ended by itself.'; exit 1; }
  resident=$(resident_kib)
  if ((now < warm_up)); then base=$resident; fi
  if ((now >= warm_up && resident > highest)); then highest=$resident; fi
  if ((now >= told)); then
    echo "$now s: $resident KiB"
    ((told += 30))
  fi
  sleep 1
done
kill -INT "$pid"
wait "$pid" || { tail -5 "$folder/stats"; echo 'soak.sh: the program did not end well.'; exit 1; }
pid=

frames=$(awk '/^camera → detector/ { used = $(NF - 2) } END { print used }' "$folder/stats")
growth=$((highest - base))
processor=$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)
echo "$(date +%F), ${processor:-$(uname -m)}: $minutes min, $frames frames; $base KiB after $warm_up s, $growth KiB more at most."
((growth <= most_growth_kib)) || { echo "soak.sh: the memory grew by more than $most_growth_kib KiB."; exit 1; }
