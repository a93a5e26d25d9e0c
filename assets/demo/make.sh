#!/usr/bin/env bash
# Makes the demo's picture (street.mp4, and a frame of it, street.jpg) and sound (commands.wav) from Debian packages.
# Needs apt-get, dpkg-deb, ffmpeg, flite and python3. The sound comes out the same byte for byte; the pictures do with the same ffmpeg.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

from_s=44 # from here on persons come close to the camera, and both cars stay visible
length_s=28

(cd "$work" && apt-get download -q opencv-doc && dpkg-deb -x opencv-doc_*.deb .)
original=$work/usr/share/doc/opencv-doc/examples/data/vtest.avi
echo "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf  $original" | sha256sum --check --quiet
ffmpeg -v error -y -ss "$from_s" -t "$length_s" -i "$original" -an -map_metadata -1 \
  -c:v libx264 -preset veryslow -crf 27 -g 50 -pix_fmt yuv420p -threads 1 \
  -fflags +bitexact -flags:v +bitexact -movflags +faststart "$here/street.mp4"
# As webcams send it: halved colour along the rows, and the Huffman tables of the standard.
ffmpeg -v error -y -ss 4 -i "$here/street.mp4" -frames:v 1 -vf scale=640:480:flags=area -map_metadata -1 \
  -c:v mjpeg -pix_fmt yuvj422p -huffman default -q:v 4 -threads 1 -fflags +bitexact -flags:v +bitexact "$here/street.jpg"

# Two voices: slt (a woman's) and rms (a man's), both made of recordings of the CMU Arctic set; each word by the one that says it
# more clearly.
commands=(yes no up down left right on off stop go)
voices=(rms rms slt slt slt rms slt rms slt rms)
for i in "${!commands[@]}"; do
  flite -voice "${voices[i]}" -t "${commands[i]}" -o "$work/$i.wav"
done
python3 - "$work" "${#commands[@]}" "$length_s" "$here/commands.wav" <<'PY'
"""Lays the words, one each 2.6 s, over the murmur of a quiet room."""
import array
import random
import sys
import wave

folder, count, length_s, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
RATE = 16_000
FIRST_S, EVERY_S = 1.5, 2.6
SPEECH_PEAK = 0.4   # of full scale: somebody who speaks a metre away
NOISE_RMS = 0.003   # -50 dBFS

# A room's noise falls with frequency: white noise through one pole at about 400 Hz, with a little of the white left.
source = random.Random(1)
low, noise = 0.0, []
for _ in range(RATE * length_s):
    white = source.uniform(-1.0, 1.0)
    low += 0.15 * (white - low)
    noise.append(low + 0.1 * white)
rms = (sum(value * value for value in noise) / len(noise)) ** 0.5
mix = [value * NOISE_RMS / rms for value in noise]

for i in range(count):
    with wave.open(f"{folder}/{i}.wav") as word:
        assert (word.getframerate(), word.getnchannels(), word.getsampwidth()) == (RATE, 1, 2)
        samples = array.array("h", word.readframes(word.getnframes()))
    gain = SPEECH_PEAK / max(abs(sample) for sample in samples)
    start = int(RATE * (FIRST_S + EVERY_S * i))
    for offset, sample in enumerate(samples):
        mix[start + offset] += sample * gain

with wave.open(out, "wb") as file:
    file.setparams((1, 2, RATE, 0, "NONE", ""))
    file.writeframes(array.array("h", (round(value * 32767) for value in mix)).tobytes())
PY
