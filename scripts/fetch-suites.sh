#!/bin/bash
# SPDX-License-Identifier: MIT
# The sources of other people's test suites, into the cache: of gcc-12-source and glibc-source (Debian 12, fetched beside what is
# installed), linux-source-6.12 and googletest (installed by scripts/setup.sh). Nothing is built here or committed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/fetch-suites.sh
Prints the folder with the sources. Fetched once (110 MB, 420 MB unpacked), kept in NEURON_CACHE_DIR (default ~/.cache/neuron).
NEURON_DEBIAN_MIRROR (default http://deb.debian.org/debian) is where from.
TEXT
}

case "${1-}" in
    '') ;;
    -h | --help) usage; exit 0 ;;
    *) echo "fetch-suites.sh: unknown argument '$1'" >&2; usage >&2; exit 1 ;;
esac

linux=/usr/src/linux-source-6.12.tar.xz googletest=/usr/src/googletest
for path in "$linux" "$googletest"; do
    [ -e "$path" ] || { echo "fetch-suites.sh: no $path: run scripts/setup.sh" >&2; exit 1; }
done
cache=${NEURON_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/neuron}
mkdir -p "$cache"
exec 9>"$cache/suites.lock" # one fetches, others wait for it
flock 9
packages=$cache/suites-packages
[ -f "$packages/packages" ] ||
    "$(dirname "$0")/fetch-debian.sh" bookworm "$(dpkg --print-architecture)" "$packages" gcc-12-source glibc-source
# Other versions are other sources.
key=$( (cat "$packages/packages"; stat -c %Y "$linux") | sha256sum | cut -c1-12)
target=$cache/suites-$key
if [ ! -f "$target/complete" ]; then
    echo "fetch-suites: unpacking into $target, once" >&2
    rm -rf "$target"
    mkdir "$target"
    tar -xJf "$packages"/usr/src/gcc-12/gcc-12.*.tar.xz -C "$target" --wildcards '*/libstdc++-v3/testsuite/*'
    tar -xJf "$packages"/usr/src/glibc/glibc-2.*.tar.xz -C "$target"
    tar -xJf "$linux" -C "$target" --wildcards '*/tools/testing/selftests/futex/*' '*/tools/testing/selftests/timers/*' \
        '*/tools/testing/selftests/kselftest*.h'
    ln -s "$googletest" "$target/googletest"
    touch "$target/complete"
fi
echo "$target"
