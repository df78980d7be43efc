#!/bin/bash
# SPDX-License-Identifier: MIT
# One page about a test run, for people: what failed, boots and markers, figures, costs, fairness, latency, coverage.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/report.sh [options]
  --logs DIR   what the tests left (default build/logs)
  --out FILE   the page (default build/report/index.html)
  --help       this text
The page is one file without scripts and without anything from elsewhere: open it in a browser, also offline. What the run did
not leave is named on it with the command that makes it. scripts/test.sh writes the page at its end.
TEXT
}

root=$(cd "$(dirname "$0")/.." && pwd)
logs=$root/build/logs out=$root/build/report/index.html
while [ $# -gt 0 ]; do
    case "$1" in
        --logs | --out)
            [ $# -ge 2 ] || { echo "report.sh: $1 wants a value" >&2; exit 1; }
            declare "${1#--}=$2"
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "report.sh: unknown option '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done
exec python3 "$root/tools/run_report/make.py" --logs "$logs" --build "$root/build" --out "$out"
