#!/bin/bash
# SPDX-License-Identifier: MIT
# What operations cost on NEURON, in instructions, beside their budgets and beside Linux in the same emulator.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/bench.sh [options]
  --linux            measure Debian's own riscv64 kernel, too
  --lean             and Linux 6.12 with bench/linux-lean.config (built once, see scripts/linux-kernel.sh)
  --only NAME,NAME   these operations only
  --markdown         print the table as Markdown
  --help             this text
Budgets: bench/budgets.toml. What each row measures: docs/perf/bench.md. Exit status: 0 when every row with a budget was
measured and is within it, 1 otherwise.
TEXT
}

root=$(cd "$(dirname "$0")/.." && pwd)
linux=false lean=false arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --linux) linux=true ;;
        --lean) linux=true lean=true ;;
        --markdown) arguments+=(--markdown) ;;
        --only)
            if [ $# -lt 2 ]; then
                echo "bench.sh: --only wants names" >&2
                exit 1
            fi
            arguments+=(--only "$2")
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "bench.sh: unknown option '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done

"$root/scripts/setup.sh" run >&2
"$root/scripts/build.sh" riscv-release >&2
if $linux; then
    image=$("$root/scripts/linux-kernel.sh" debian)
    arguments+=(--system "Linux Debian=$image")
fi
if $lean; then
    image=$("$root/scripts/linux-kernel.sh" lean)
    arguments+=(--system "Linux lean=$image")
fi
exec python3 "$root/tools/bench_table.py" --budgets "$root/bench/budgets.toml" --build "$root/build/riscv-release" \
    --logs "$root/build/logs/bench" "${arguments[@]}"
