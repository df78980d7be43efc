#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian 12's own emulator and firmware, QEMU 7.2 with OpenSBI 1.1: old firmware and an old device tree for the boots. The
# packages conflict with the ones from backports, so they are unpacked into the cache; nothing is installed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/fetch-qemu72.sh [--help]
Prints the path of the emulator, which finds its firmware by itself. Fetched once (60 MB), kept in NEURON_CACHE_DIR (default
~/.cache/neuron). NEURON_DEBIAN_MIRROR (default http://deb.debian.org/debian) is where from.
TEXT
}

case "${1-}" in
    '') ;;
    -h | --help) usage; exit 0 ;;
    *) echo "fetch-qemu72.sh: unknown argument '$1'" >&2; usage >&2; exit 1 ;;
esac

cache=${NEURON_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/neuron}
target=$cache/qemu-7.2-bookworm
emulator=$target/qemu-system-riscv64
if [ ! -x "$emulator" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$target.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    "$(dirname "$0")/fetch-debian.sh" bookworm "$(dpkg --print-architecture)" "$work/tree" qemu-system-misc opensbi
    mkdir "$work/files"
    cp "$work/tree/usr/bin/qemu-system-riscv64" "$work/files/qemu"
    cp "$work/tree/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin" \
        "$work/files/opensbi-riscv64-generic-fw_dynamic.bin"
    cp "$work/tree/packages" "$work/files/"
    # shellcheck disable=SC2016 # expands where it runs
    printf '%s\n' '#!/bin/sh' 'here=$(dirname "$0")' 'exec "$here/qemu" -L "$here" "$@"' >"$work/files/qemu-system-riscv64"
    chmod +x "$work/files/qemu-system-riscv64"
    mv -T "$work/files" "$target" 2>/dev/null || [ -x "$emulator" ]
fi
if missing=$(ldd "$target/qemu" | grep 'not found'); then
    echo "fetch-qemu72.sh: libraries of QEMU 7.2 are not installed on this system:" >&2
    echo "$missing" >&2
    exit 1
fi
echo "$emulator"
