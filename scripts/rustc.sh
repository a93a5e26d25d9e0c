#!/bin/sh
# Cargo calls this in place of rustc (.cargo/config.toml). It says what is missing before a build without set-up fails
# somewhere inside a dependency, whose build script runs before ours does; otherwise it is rustc.
for library in "$(dirname "$0")"/../third_party/tflite/lib/*/libtensorflowlite_c.so; do
  [ -f "$library" ] && exec "$@"
done
echo 'The TensorFlow Lite library is missing: run scripts/setup.sh, then build again.' >&2
exit 1
