#!/bin/bash
# SPDX-License-Identifier: MIT
# Downloads Debian packages of any suite and architecture and unpacks them into a folder, beside whatever is installed. apt
# does the checking of signatures, with a state of its own: nothing of the system's apt changes, and no privileges are needed.
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
mirror=${NEURON_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "fetch-debian.sh: no $tool on this system" >&2; exit 1; }
done
[ -f "$keyring" ] || { echo "fetch-debian.sh: no $keyring: install the package debian-archive-keyring" >&2; exit 1; }
[ ! -e "$target" ] || { echo "fetch-debian.sh: $target exists" >&2; exit 1; }

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,parts,download,tree}
: >"$work/status"
apt_get() {
    apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
        -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/parts" \
        -o Dir::Etc::PreferencesParts="$work/parts" -o Dir::Etc::Preferences=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives" -o APT::Sandbox::User= \
        -o Acquire::Languages=none "$@" >&2
}
# A mirror that is being brought up to date may have indexes of one day and their list of another. It then often has the
# release whole under its other name.
for name in "$suite" stable; do
    echo "deb [arch=$architecture signed-by=$keyring] $mirror $name main" >"$work/sources.list"
    if apt_get update && { [ "$name" = "$suite" ] || grep -qx "Codename: $suite" "$work"/lists/*_dists_"$name"_InRelease; }; then
        break
    elif [ "$name" = stable ]; then
        echo "fetch-debian.sh: $mirror has no complete '$suite' at present" >&2
        exit 1
    fi
    rm -rf "$work/lists" && mkdir -p "$work/lists/partial"
done
(cd "$work/download" && apt_get download "$@")
for package in "$work"/download/*.deb; do
    dpkg-deb --extract "$package" "$work/tree"
    basename "$package" .deb >>"$work/tree/packages"
done
# Another run may have been faster; its copy is as good.
mv -T "$work/tree" "$target" 2>/dev/null || [ -f "$target/packages" ]
