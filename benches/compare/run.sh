#!/usr/bin/env bash
# Measures lookhear's hot paths beside those of other libraries, alternating, in one run, and prints the ratios.
#
#   benches/compare/run.sh [NAME ...]     all comparisons, or those named; --list lists them
#
# Needs what scripts/setup.sh installs, and python3 with venv; the other libraries come from the Python package index.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:$HOME/.cargo/bin

environment=${COMPARE_VENV:-target/compare-venv}
[[ -x $environment/bin/python ]] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --requirement benches/compare/requirements.txt
cargo build --locked --quiet --profile bench --bench compare
"$environment/bin/python" benches/compare/compare.py "$@"
