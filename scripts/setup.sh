#!/usr/bin/env bash
# Makes this machine ready to build and run lookhear. Safe to run again: does only what is missing.
#
#   scripts/setup.sh [--test] [--arch x86_64|aarch64|armv7l]
#
#   --test   also what the tests need
#   --arch   fetch the TensorFlow Lite library for another machine (cross-compiling); may be given more than once
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$HOME/.cargo/bin

rust_needed=1.89
glibc_needed=2.34

# Debian package | program that is as good as the package ("-": none) | why
build_packages='
gcc             | cc         | compiles and links
libc6-dev       | -          | headers and start files of the C library
pkg-config      | pkg-config | finds the C libraries
libssl-dev      | -          | the crate tflitec builds against it
libclang-dev    | -          | reads the C headers of TensorFlow Lite
libasound2-dev  | -          | the microphone (ALSA)
cmake           | cmake      | builds the JPEG decoder (libjpeg-turbo)
make            | make       | builds the JPEG decoder (libjpeg-turbo)
ca-certificates | -          | downloads over TLS
ffmpeg          | ffmpeg     | video files in, recordings out
'
x86_packages='
nasm            | nasm       | the fast parts of the JPEG decoder on x86
'
test_packages='
xvfb            | Xvfb       | tests: a display without a screen
libx11-6        | -          | tests: the window is drawn through it
libxcursor1     | -          | tests: the window is drawn through it
'
pip_packages='
python3         | python3    | unpacks the TensorFlow Lite library
python3-pip     | -          | fetches the TensorFlow Lite library
'

main() {
  local with_tests=no architectures=()
  while (($#)); do
    case $1 in
      --test) with_tests=yes ;;
      --arch) architectures+=("${2:?--arch needs x86_64, aarch64 or armv7l}") && shift ;;
      -h | --help) sed -n '2,/^set/{/^set/d;s/^# \?//;p}' "$0" && exit ;;
      *) die 2 "unknown argument '$1'; --help lists them." ;;
    esac
    shift
  done
  local here
  here=$(this_architecture)
  ((${#architectures[@]})) || architectures=("$here")

  check_glibc "$here"
  check_rust
  install_packages "$build_packages"
  [[ $here != x86_64 ]] || install_packages "$x86_packages"
  [[ $with_tests == no ]] || install_packages "$test_packages"
  local architecture
  for architecture in "${architectures[@]}"; do
    library_is_good "$architecture" || fetch_library "$architecture"
  done
}

die() {
  echo "setup.sh: $2" >&2
  exit "$1"
}

# The name of the libraries' folder. Asks for the programs' architecture, not the kernel's: a 32-bit Raspberry Pi OS runs a 64-bit kernel.
this_architecture() {
  local name
  name=$(dpkg --print-architecture 2>/dev/null || uname -m)
  case $name in
    amd64 | x86_64) echo x86_64 ;;
    arm64 | aarch64) echo aarch64 ;;
    armhf | armv7l) echo armv7l ;;
    *) die 1 "there is no TensorFlow Lite library for $name, only for x86_64, aarch64 and armv7l." ;;
  esac
}

check_glibc() {
  local version
  version=$(getconf GNU_LIBC_VERSION 2>/dev/null) || die 1 "the TensorFlow Lite library needs the GNU C library; this system has another one."
  version=${version#glibc }
  at_least "$version" "$glibc_needed" ||
    die 1 "the TensorFlow Lite library needs glibc $glibc_needed, this system has $version: use Debian 12, Ubuntu 22.04, Raspberry Pi OS 'bookworm' or newer."
}

check_rust() {
  local version
  version=$(rustc --version 2>/dev/null) ||
    die 1 "Rust is missing: install $rust_needed or newer with rustup (https://rustup.rs), then run this again."
  version=${version#rustc }
  version=${version%%[ -]*}
  at_least "$version" "$rust_needed" || die 1 "Rust $version is too old, $rust_needed is needed: run 'rustup update', then run this again."
}

# Is version $1 equal to $2 or newer?
at_least() {
  [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

# Installs those packages of a table that are missing, and says which and why.
install_packages() {
  local table=$1 installed package program why missing=()
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null || true)
  while IFS='|' read -r package program why; do
    package=${package// /} program=${program// /}
    [[ -n $package ]] || continue
    if ! grep -qx "installed $package" <<<"$installed" && ! command -v "$program" >/dev/null; then
      echo "missing: $package (${why# })"
      missing+=("$package")
    fi
  done <<<"$table"
  ((${#missing[@]})) || return 0

  command -v apt-get >/dev/null || die 1 "this system has no apt-get: install what corresponds to ${missing[*]} yourself, then run this again."
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die 1 "no right to install packages: run 'apt-get install ${missing[*]}' as root, then run this again."
    as_root=(sudo)
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq)
  # A broken list of one foreign source must not stop us: what counts is whether the packages can be installed.
  "${as_root[@]}" update || echo "setup.sh: apt-get update failed; going on with the lists at hand." >&2
  "${as_root[@]}" install --yes --no-install-recommends "${missing[@]}" </dev/null >/dev/null ||
    die 1 "apt-get failed: run 'apt-get install ${missing[*]}' as root, then run this again."
}

library_is_good() {
  local file=lib/$1/libtensorflowlite_c.so
  (cd third_party/tflite && [[ -f $file ]] && grep " $file\$" SHA256SUMS | sha256sum --check --status)
}

# Unpacks the library beside its place, and moves it there only when its hash is right.
fetch_library() {
  local architecture=$1 python
  grep -q "lib/$architecture/" third_party/tflite/SHA256SUMS || die 2 "there is no library for '$architecture', only for x86_64, aarch64 and armv7l."
  has_pip python3 || has_pip /usr/bin/python3 || install_packages "$pip_packages"
  python=python3
  has_pip "$python" || python=/usr/bin/python3
  has_pip "$python" || die 1 "neither python3 nor /usr/bin/python3 has pip: install the package python3-pip, then run this again."

  echo "fetching: TensorFlow Lite for $architecture"
  mkdir -p "third_party/tflite/lib/$architecture"
  work=$(mktemp -d "third_party/tflite/lib/$architecture/new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  "$python" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: \
    --platform "manylinux_2_35_$architecture" --python-version 3.11 \
    --requirement third_party/tflite/requirements.txt --dest "$work" ||
    die 1 "cannot fetch the TensorFlow Lite library: is the Python package index within reach?"
  "$python" - "$work"/*.whl "$work/libtensorflowlite_c.so" <<'PY'
import sys, zipfile
wheel, library = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, open(library, "wb") as out:
    out.write(archive.read("pymicro_wakeword/lib/libtensorflowlite_c.so"))
PY
  local expected
  expected=$(grep " lib/$architecture/" third_party/tflite/SHA256SUMS | cut -d ' ' -f 1)
  echo "$expected  $work/libtensorflowlite_c.so" | sha256sum --check --status ||
    die 1 "the TensorFlow Lite library for $architecture is not the one in third_party/tflite/SHA256SUMS; it was not installed."
  mv -f "$work/libtensorflowlite_c.so" "third_party/tflite/lib/$architecture/"
  rm -rf "$work"
  trap - EXIT
}

has_pip() {
  "$1" -m pip --version >/dev/null 2>&1
}

main "$@"
