#!/bin/bash
# SPDX-License-Identifier: MIT
# Formats every tracked C and C++ file, or the files given.
set -euo pipefail
if [ $# -eq 0 ]; then
    cd "$(dirname "$0")/.."
    mapfile -t files < <(git ls-files '*.cpp' '*.hpp' '*.c' '*.h')
    set -- "${files[@]}"
fi
clang-format-19 -i "$@"
