#!/usr/bin/env bash
# Makes this bundle's model.tflite and dict.txt out of the npm package they come from. Needs npm.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The package holds one file of two parts: the label map (184 bytes), then the model.
package=@mediapipe/objectron@0.4.1675468480
data=package/objectron_solution_packed_assets.data
label_map_bytes=184

cd "$work"
npm pack --silent "$package" >/dev/null
tar -xzf mediapipe-objectron-*.tgz "$data"
echo "470986ca5df183f41698da6de74b027d838fe289d77b5ab094497d350bee664e  $data" | sha256sum --check --quiet
tail -c +$((label_map_bytes + 1)) "$data" >model.tflite
echo 'd0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6  model.tflite' | sha256sum --check --quiet

# Small letters as in COCO's names, and the background by the name AutoML gives it.
head -c "$label_map_bytes" "$data" | tr '[:upper:]' '[:lower:]' | sed '1s/^???$/background/' >dict.txt

mv model.tflite dict.txt "$here/"
