#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs tests that others wrote for their C++ library, C library, kernel and test framework, and compares with Linux.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/suites.sh [--sample | --all] [--only PATTERN] [options]
  --sample       the tests of tests/suites/sample.list (the default)
  --all          all of them
  --only PATTERN of these the ones whose names hold the regular expression
  --linux        run them on Debian's own riscv64 kernel instead, and keep how they end in tests/suites/linux.baseline
  --lane LANE    icount (the default) or mttcg; tests that only spin for seconds run in mttcg only
  --smp N        harts (default 2)
  --jobs N       boots at a time (default 1)
  --listed       run what stands in docs/skip.list, too, and say what of it passes
  --table        only print the table of the last runs, as Markdown
  --not-built    only print which tests do not compile, and why
  --help         this text
Suites: libstdc++ (30_threads, 29_atomics), glibc (nptl, affinity, posix_spawn), Linux' selftests (futex, timers), GoogleTest. A
test counts when it passes on Linux in the same emulator (tests/suites/linux.baseline) and does not stand in docs/skip.list.
Exit status: 0 when 99 % of those pass (of the sample: all), 1 otherwise.
TEXT
}

root=$(cd "$(dirname "$0")/.." && pwd)
arguments=() linux=false build=true
while [ $# -gt 0 ]; do
    case "$1" in
        --sample | --all | --listed | --not-built) arguments+=("$1") ;;
        --table) arguments+=("$1") build=false ;;
        --linux) linux=true ;;
        --only | --lane | --smp | --jobs)
            [ $# -ge 2 ] || { echo "suites.sh: $1 wants a value" >&2; exit 2; }
            arguments+=("$1" "$2")
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "suites.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    esac
    shift
done

if $build; then
    "$root/scripts/setup.sh" run >&2
    "$root/scripts/build.sh" riscv-release image suite_runner >&2
fi
sources=$("$root/scripts/fetch-suites.sh")
programs=$("$root/scripts/fetch-programs.sh")
if $linux; then
    arguments+=(--linux "$("$root/scripts/linux-kernel.sh" debian)")
fi
exec python3 "$root/tests/suites/suites.py" --sources "$sources" --programs "$programs" --kernel-build "$root/build/riscv-release" \
    --build "$root/build/suites" --logs "$root/build/logs/suites" "${arguments[@]}"
