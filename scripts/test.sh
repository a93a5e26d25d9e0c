#!/usr/bin/env bash
# Sets the machine up and runs every test. Arguments are passed on to `cargo test`: scripts/test.sh keywords
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$HOME/.cargo/bin

scripts/setup.sh --test
cargo test --locked "$@"
