#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles a preprocessed device tree and takes every word of dtc for an error: dtc itself exits 0 after a warning.
# usage: compile.sh OUTPUT DTC [FLAG...] SOURCE
set -eu
output=$1
shift
if ! messages=$("$@" -I dts -O dtb -o "$output.part" 2>&1) || [ -n "$messages" ]; then
    printf '%s\n' "$messages" >&2
    rm -f "$output.part"
    exit 1
fi
mv "$output.part" "$output"
