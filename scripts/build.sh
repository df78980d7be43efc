#!/bin/bash
# SPDX-License-Identifier: MIT
# Configures (once) and builds one preset; quiet unless something breaks. NEURON_NO_BUILD=1: what was built before will do.
set -euo pipefail

preset=${1:?usage: scripts/build.sh PRESET [target...]}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$root/build/logs"
log=$root/build/logs/build-$preset.log
SECONDS=0
cd "$root"
# What is built stays as it is: tests that run scripts share it with others that run at the same time.
if [ -n "${NEURON_NO_BUILD-}" ] && [ -f "build/$preset/build.ninja" ]; then
    exit 0
fi
if [ ! -f "build/$preset/build.ninja" ]; then
    echo "build: configuring $preset"
    cmake --preset "$preset" >"$log" 2>&1 || { cat "$log"; exit 1; }
fi
echo "build: $preset"
targets=("$@")
[ $# -eq 0 ] || targets=(--target "$@")
cmake --build --preset "$preset" "${targets[@]}" >"$log" 2>&1 || { tail -n 60 "$log"; exit 1; }
echo "build: $preset is up to date (${SECONDS} s)"
