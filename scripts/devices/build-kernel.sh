#!/usr/bin/env bash
# Builds the kernel of run-with-devices.sh from Debian's own source packages into a folder.
#
#   build-kernel.sh [FOLDER]      (default target/devices; 7 to 9 minutes on two busy cores, 9 MB kept)
#
# Does nothing when FOLDER already holds what this script and kernel.config would build.
# Works on Debian 12 or newer with its usual package sources; apt-get needs root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-target/devices}"
out=$(realpath "${1:-target/devices}")

stamp=$(cat "$here/build-kernel.sh" "$here/kernel.config" | sha256sum)
if [ -x "$out/linux" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "build-kernel: $out is up to date"
  exit 0
fi
begin=$SECONDS
root=() && [ "$(id -u)" -eq 0 ] || root=(sudo)

# Tools for the build, then the tools with which tests feed, set up and break the devices.
packages=(bc bison flex gcc libc6-dev make xz-utils kmod iproute2 debian-archive-keyring
  alsa-utils ffmpeg gpiod v4l-utils)
if ! dpkg-query -W "${packages[@]}" >/dev/null 2>&1; then
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}"
fi

build=$(mktemp -d "$out/build.XXXXXX")
trap 'rm -rf "$build"' EXIT
cd "$build"

# The fast way to run User-Mode Linux (seccomp instead of ptrace) came with Linux 6.16, newer than
# Debian 12's and 13's own, so the sources come from later suites of the mirror this machine already uses.
# The package lists are kept apart: nothing of those suites is installed, and the machine's stay as they are.
# shellcheck disable=SC2016 # apt-get expands this one
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
mkdir -p apt/parts apt/lists/partial apt/cache/archives/partial
for suite in trixie-backports sid; do
  echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >apt/sources.list
apt=(-q -o "Dir::Etc::sourcelist=$build/apt/sources.list" -o "Dir::Etc::sourceparts=$build/apt/parts"
  -o "Dir::State::lists=$build/apt/lists" -o "Dir::Cache=$build/apt/cache" -o "APT::Sandbox::User=root"
  -o "Acquire::Languages=none" -o "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false")
apt-get "${apt[@]}" update
# Linux 7.3 is the one tried; when the mirror has moved on, the newest.
linux=$(apt-cache "${apt[@]}" pkgnames linux-source- | grep -E '^linux-source-[0-9.]+$' | sort -V | tail -n 1)
if apt-cache "${apt[@]}" show linux-source-7.3 >/dev/null 2>&1; then linux='linux-source-7.3'; fi
apt-get "${apt[@]}" download "$linux" v4l2loopback-dkms
for package in *.deb; do dpkg -x "$package" . && rm "$package"; done
mv usr/src/v4l2loopback-* v4l2loopback
echo "build-kernel: unpacking $linux"
tar -xf "usr/src/$linux.tar.xz"

export ARCH=um
source=$build/$linux modules=$build/modules
# 1000 clock ticks a second instead of 100: the sound card's position moves in ticks.
sed -i '/^config HZ$/,/default/s/default 100$/default 1000/' "$source/arch/um/Kconfig"
mkdir object
make -s -C "$source" O="$build/object" KCONFIG_ALLCONFIG="$here/kernel.config" allnoconfig
missing=$(grep -E '^CONFIG_.*=[^n]' "$here/kernel.config" | grep -vxFf object/.config || true)
[ -z "$missing" ] || { echo "build-kernel: $linux does not know or allow: $missing" >&2; exit 1; }
make -s -C object -j "$(nproc)" linux modules
make -s -C object M="$build/v4l2loopback" modules
make -s -C object INSTALL_MOD_PATH="$modules" INSTALL_MOD_STRIP=1 modules_install
make -s -C object M="$build/v4l2loopback" INSTALL_MOD_PATH="$modules" INSTALL_MOD_STRIP=1 modules_install

rm -rf "${out:?}/lib"
cp -r "$modules/lib" "$out/lib"
strip -o "$out/linux" object/linux
echo "$stamp" >"$out/stamp"
echo "build-kernel: $linux, $(du -sh --exclude='build.*' "$out" | cut -f1) in $out, $((SECONDS - begin)) s"
