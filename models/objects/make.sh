#!/usr/bin/env bash
# Makes this bundle's model.tflite and dict.txt out of the float bundle's.
#
#   models/objects/make.sh PHOTOS
#
# PHOTOS is a folder of photos, of which every second one is used: for the model that lies here, the 128 of coco128.
# Needs npm, and python3 with models/objects/requirements.txt. Takes about a quarter of an hour on two cores.
set -euo pipefail
if [[ $# -ne 1 || ! -d $1 ]]; then
  sed -n '2,/^set/{/^set/d;s/^# \?//;p}' "$0" >&2
  exit 2
fi
photos=$(realpath "$1")
cd "$(dirname "$0")"
float=../objects-float
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$float/make.sh"
export TF_CPP_MIN_LOG_LEVEL=3
python3 rebuild.py "$float/model.tflite" "$photos"
python3 quantise.py "$float/model.tflite" "$photos" "$work/numbers.npz"
python3 write_int8.py "$float/model.tflite" "$work/numbers.npz" "$float/tflite_metadata.json" "$work/model.tflite"
cp "$float/dict.txt" "$work/"
mv "$work/model.tflite" "$work/dict.txt" .
