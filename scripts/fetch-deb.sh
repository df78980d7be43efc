#!/bin/bash
# SPDX-License-Identifier: MIT
# Downloads packages of any Debian suite and architecture into a directory, without their dependencies. apt does the
# checking of signatures, with a state of its own: nothing of the system's apt changes, and no privileges are needed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/fetch-deb.sh SUITE ARCHITECTURE DIRECTORY PACKAGE...
Prints the file name of each. A package that is empty but for one dependency on a package of the same name and more (as
linux-image-riscv64) stands for that one.
NEURON_DEBIAN_MIRROR (default http://deb.debian.org/debian) is where from.
TEXT
}

if [ $# -lt 4 ]; then
    [ "${1-}" = --help ] || [ "${1-}" = -h ] || { usage >&2; exit 1; }
    usage
    exit 0
fi
suite=$1 architecture=$2 directory=$3
shift 3
mirror=${NEURON_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
command -v apt-get >/dev/null || { echo "fetch-deb.sh: no apt-get on this system" >&2; exit 1; }
if [ ! -f "$keyring" ]; then
    echo "fetch-deb.sh: no $keyring: install the package debian-archive-keyring" >&2
    exit 1
fi

mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
work=$(mktemp -d "$directory/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,parts,download}
: >"$work/status"
isolated=(-o APT::Architecture="$architecture" -o APT::Architectures="$architecture"
    -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts="$work/parts"
    -o Dir::Etc::PreferencesParts="$work/parts" -o Dir::Etc::Preferences=/dev/null
    -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status"
    -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives" -o APT::Sandbox::User=
    -o Acquire::Languages=none)
# A mirror that is being brought up to date may have indexes of one day and their list of another. It then often has the
# release whole under its other name.
for name in "$suite" stable; do
    echo "deb [arch=$architecture signed-by=$keyring] $mirror $name main" >"$work/sources.list"
    if apt-get -qq "${isolated[@]}" update >&2 &&
        { [ "$name" = "$suite" ] || grep -qx "Codename: $suite" "$work"/lists/*_dists_"$name"_InRelease; }; then
        break
    elif [ "$name" = stable ]; then
        echo "fetch-deb.sh: $mirror has no complete '$suite' at present" >&2
        exit 1
    fi
    rm -rf "$work/lists" && mkdir -p "$work/lists/partial"
done
for package in "$@"; do
    # linux-image-riscv64 depends on linux-image-VERSION-riscv64.
    real=$(apt-cache "${isolated[@]}" depends "$package" |
        awk -v stem="${package%-*}" '$1 == "Depends:" && index($2, stem "-") == 1 { print $2 }')
    if [ "$(wc -w <<<"$real")" -gt 1 ]; then
        real=
    fi
    (cd "$work/download" && apt-get -qq "${isolated[@]}" download "${real:-$package}" >&2)
done
for file in "$work"/download/*.deb; do
    mv "$file" "$directory/"
    echo "$directory/$(basename "$file")"
done
