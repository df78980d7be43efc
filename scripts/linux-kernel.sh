#!/bin/bash
# SPDX-License-Identifier: MIT
# Provides a Linux kernel for riscv64 to compare with, and prints the file: a flat Image that QEMU's -kernel takes.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/linux-kernel.sh debian|lean
  debian  Debian 13's own, from the package linux-image-riscv64 (112 MB, fetched once)
  lean    Linux 6.12 of the package linux-source-6.12 with bench/linux-lean.config, built once (about 15 minutes of one
          quiet core; wants flex, bison and bc)
Both are kept in NEURON_CACHE_DIR (default ~/.cache/neuron).
TEXT
}

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${NEURON_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/neuron}
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT

# A new folder that a whole result is moved from.
new_folder() {
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/linux.XXXXXX")
}

debian() {
    local target=$cache/linux-debian-trixie
    if [ ! -f "$target/Image" ]; then
        new_folder
        local package
        package=$("$root/scripts/fetch-deb.sh" trixie riscv64 "$work" linux-image-riscv64)
        mkdir "$work/tree" "$work/result"
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/tree" --wildcards './boot/vmlinu*' './boot/config*'
        local kernel
        kernel=$(find "$work/tree/boot" -name 'vmlinu*')
        if [ ! -f "$kernel" ]; then
            echo "linux-kernel.sh: $(basename "$package") has no kernel in /boot (found: '$kernel')" >&2
            exit 1
        fi
        # vmlinuz is compressed, vmlinux is the Image as it is.
        if ! gzip -dc "$kernel" >"$work/result/Image" 2>/dev/null; then
            cp "$kernel" "$work/result/Image"
        fi
        if [ "$(dd if="$work/result/Image" bs=1 skip=48 count=5 2>/dev/null)" != RISCV ]; then
            echo "linux-kernel.sh: $(basename "$kernel") of $(basename "$package") is not a riscv64 Image" >&2
            exit 1
        fi
        cp "$work"/tree/boot/config* "$work/result/config"
        basename "$package" >"$work/result/from"
        rm -rf "$target"
        mv "$work/result" "$target"
    fi
    echo "$target/Image"
}

lean() {
    local archive=/usr/src/linux-source-6.12.tar.xz config=$root/bench/linux-lean.config
    if [ ! -f "$archive" ]; then
        echo "linux-kernel.sh: no $archive: scripts/setup.sh installs linux-source-6.12" >&2
        exit 1
    fi
    # Another source or another configuration is another kernel.
    local key
    key=$( (stat -c %Y "$archive"; cat "$config"; riscv64-linux-gnu-gcc -dumpfullversion) | sha256sum | cut -c1-12)
    local target=$cache/linux-lean-$key
    if [ ! -f "$target/Image" ]; then
        local tool
        for tool in flex bison bc make gcc riscv64-linux-gnu-gcc; do
            command -v "$tool" >/dev/null ||
                { echo "linux-kernel.sh: no $tool: apt-get install flex bison bc make gcc" >&2; exit 1; }
        done
        new_folder
        mkdir "$work/source" "$work/result"
        echo "linux-kernel: unpacking and building Linux, once (log: $target.log)" >&2
        tar -xJf "$archive" --strip-components=1 -C "$work/source"
        local make=(make -s -C "$work/source" ARCH=riscv CROSS_COMPILE=riscv64-linux-gnu-)
        "${make[@]}" KCONFIG_ALLCONFIG="$config" allnoconfig >"$target.log" 2>&1
        check_config "$config" "$work/source/.config"
        nice -n 19 "${make[@]}" -j"${JOBS:-$(nproc)}" Image >>"$target.log" 2>&1 ||
            { tail -n 30 "$target.log" >&2; exit 1; }
        cp "$work/source/arch/riscv/boot/Image" "$work/result/Image"
        cp "$work/source/.config" "$work/result/config"
        mv "$work/result" "$target"
    fi
    echo "$target/Image"
}

# What the fragment asks for and kconfig dropped without a word would make the comparison another one.
check_config() {
    local line missing=()
    while read -r line; do
        case "$line" in
            CONFIG_*=n) ! grep -q "^${line%=n}=" "$2" || missing+=("$line") ;;
            CONFIG_*) grep -qx "$line" "$2" || missing+=("$line") ;;
        esac
    done <"$1"
    if [ ${#missing[@]} -gt 0 ]; then
        echo "linux-kernel.sh: $1: kconfig did not take ${missing[*]}" >&2
        exit 1
    fi
}

case "${1-}" in
    debian | lean) "$1" ;;
    -h | --help) usage ;;
    *) usage >&2; exit 1 ;;
esac
