#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: make_archive.sh CPIO OUTPUT
set -eu
cpio=$1 output=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
mkdir -p bin etc/empty
printf 'hello\n' > etc/greeting
chmod 640 etc/greeting
printf 'program' > bin/one
chmod 755 bin/one
ln bin/one bin/two
ln -s ../etc/greeting bin/link
find . | LC_ALL=C sort | "$cpio" -o -H newc --quiet > "$output"
