#!/bin/bash
# SPDX-License-Identifier: MIT
# Downloads Debian packages of any suite and architecture and unpacks them into a folder, beside whatever is installed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/fetch-debian.sh SUITE ARCHITECTURE FOLDER PACKAGE...
FOLDER must not exist; it gets the packages' files, and in FOLDER/packages the names with versions. Dependencies are not
followed. NEURON_DEBIAN_MIRROR (default http://deb.debian.org/debian) is where from.
TEXT
}

case "${1-}" in
    -h | --help) usage; exit 0 ;;
esac
if [ $# -lt 4 ]; then
    usage >&2
    exit 1
fi
suite=$1 architecture=$2 target=$3
shift 3
command -v dpkg-deb >/dev/null || { echo "fetch-debian.sh: no dpkg-deb on this system" >&2; exit 1; }
[ ! -e "$target" ] || { echo "fetch-debian.sh: $target exists" >&2; exit 1; }

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
"$(dirname "$0")/fetch-deb.sh" "$suite" "$architecture" "$work/download" "$@" >/dev/null
for package in "$work"/download/*.deb; do
    dpkg-deb --extract "$package" "$work/tree"
    basename "$package" .deb >>"$work/tree/packages"
done
# Another run may have been faster; its copy is as good.
mv -T "$work/tree" "$target" 2>/dev/null || [ -f "$target/packages" ]
