#!/bin/bash
# SPDX-License-Identifier: MIT
# Fetches SPL and U-Boot for the VisionFive 2 from Debian 13's u-boot-starfive, for a self-contained SD card, and prints the
# folder they are in. apt does the checking of signatures, with a state of its own: nothing of the system's apt changes,
# and no privileges are needed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/flash/fetch-u-boot.sh [--help]
Prints the folder with u-boot-spl.bin.normal.out and u-boot.itb. Fetched once, kept in NEURON_CACHE_DIR (default
~/.cache/neuron). NEURON_DEBIAN_MIRROR (default http://deb.debian.org/debian) is where from.
TEXT
}

case "${1-}" in
    '') ;;
    -h | --help) usage; exit 0 ;;
    *) echo "fetch-u-boot.sh: unknown argument '$1'" >&2; usage >&2; exit 1 ;;
esac

readonly suite=trixie architecture=riscv64 package=u-boot-starfive
readonly files=(u-boot-spl.bin.normal.out u-boot.itb)
mirror=${NEURON_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${NEURON_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/neuron}
target=$cache/$package-$suite

if [ -f "$target/${files[0]}" ] && [ -f "$target/${files[1]}" ]; then
    echo "$target"
    exit 0
fi
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "fetch-u-boot.sh: no $tool: fetch ${files[*]} by hand and give their folder to
make-sd-image.sh --firmware" >&2; exit 1; }
done
if [ ! -f "$keyring" ]; then
    echo "fetch-u-boot.sh: no $keyring: install the package debian-archive-keyring" >&2
    exit 1
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,parts,download}
echo "deb [arch=$architecture signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
: >"$work/status"
apt_get() {
    apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/parts" \
        -o Dir::Etc::PreferencesParts="$work/parts" -o Dir::Etc::Preferences=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives" -o APT::Sandbox::User= \
        -o Acquire::Languages=none "$@"
}
apt_get update >&2
(cd "$work/download" && apt_get download "$package" >&2)
dpkg-deb --extract "$work"/download/"$package"_*.deb "$work/tree"
mkdir "$work/files"
for file in "${files[@]}"; do
    found=$(find "$work/tree" -path "*visionfive2*/$file")
    if [ ! -f "$found" ]; then
        echo "fetch-u-boot.sh: $package of $suite has no $file for VisionFive 2 (found: '$found')" >&2
        exit 1
    fi
    cp "$found" "$work/files/"
done
basename "$work"/download/*.deb >"$work/files/from"
rm -rf "$target"
mv "$work/files" "$target"
echo "$target"
