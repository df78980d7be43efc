#!/bin/bash
# SPDX-License-Identifier: MIT
# Fetches Debian 13's U-Boot and prints the folder it is in: SPL and U-Boot for the VisionFive 2, for a self-contained SD
# card, or the same version for QEMU, which the tests boot the card with. apt does the checking of signatures, with a
# state of its own: nothing of the system's apt changes, and no privileges are needed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/flash/fetch-u-boot.sh [visionfive2|qemu]
Prints the folder with u-boot-spl.bin.normal.out and u-boot.itb (visionfive2, the default) or u-boot.bin (qemu). Fetched
once, kept in NEURON_CACHE_DIR (default ~/.cache/neuron). NEURON_DEBIAN_MIRROR (default http://deb.debian.org/debian) is
where from.
TEXT
}

readonly suite=trixie architecture=riscv64
case "${1-visionfive2}" in
    visionfive2) package=u-boot-starfive folder=starfive_visionfive2 files=(u-boot-spl.bin.normal.out u-boot.itb) ;;
    qemu) package=u-boot-qemu folder=qemu-riscv64_smode files=(u-boot.bin) ;;
    -h | --help) usage; exit 0 ;;
    *) echo "fetch-u-boot.sh: unknown argument '$1'" >&2; usage >&2; exit 1 ;;
esac
cache=${NEURON_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/neuron}
target=$cache/$package-$suite

mkdir -p "$cache"
exec 9>"$cache/$package-$suite.lock" # one fetches, others wait for it
flock 9
# The last file that comes into being.
if [ -f "$target/from" ]; then
    echo "$target"
    exit 0
fi
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
if ! "$(dirname "$0")/../fetch-debian.sh" "$suite" "$architecture" "$work/tree" "$package"; then
    echo "fetch-u-boot.sh: fetch ${files[*]} by hand (make-sd-image.sh --firmware takes their folder)" >&2
    exit 1
fi
mkdir "$work/files"
for file in "${files[@]}"; do
    if ! cp "$work/tree/usr/lib/u-boot/$folder/$file" "$work/files/"; then
        echo "fetch-u-boot.sh: $package of $suite has no $folder/$file any more" >&2
        exit 1
    fi
done
cp "$work/tree/packages" "$work/files/from"
rm -rf "$target"
mv "$work/files" "$target"
echo "$target"
