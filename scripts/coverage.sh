#!/bin/bash
# SPDX-License-Identifier: MIT
# Which lines the host tests reach, of all code that they can: builds them with gcov's counters, runs them, and has gcovr count.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/coverage.sh [--tests REGEX] [--no-build] [--least PERCENT]
  --tests     of these test programs alone (default: all of the host preset but proofs and lint)
  --no-build  with what is built
  --least     exit status 1 below this part of the lines (default 90)
Prints a line for each folder and the sum; build/coverage/summary.json has each file (gcovr's --json-summary).
TEXT
}

tests=. build=true least=90
while [ $# -gt 0 ]; do
    case "$1" in
        --tests) tests=${2:?--tests wants a regular expression}; shift ;;
        --least) least=${2:?--least wants a number}; shift ;;
        --no-build) build=false ;;
        -h | --help) usage; exit 0 ;;
        *) echo "coverage.sh: unknown option '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done

cd "$(dirname "$0")/.."
command -v gcovr >/dev/null || { echo "coverage.sh: gcovr is not installed: apt-get install gcovr" >&2; exit 1; }
directory=build/coverage
if $build; then
    scripts/build.sh coverage
fi
mapfile -t programs < <(find $directory/tests -type f -perm -u+x \( -name '*_test' -o -name 'sched_differential' \) |
    grep -vE 'mutants|invariants|exhaustive|explore' | grep -E "$tests" | sort)
[ ${#programs[@]} -gt 0 ] || { echo "coverage.sh: no test program matches '$tests'" >&2; exit 1; }
find $directory -name '*.gcda' -delete
mkdir -p build/logs
for program in "${programs[@]}"; do
    log=build/logs/coverage-$(basename "$program").log
    (cd "$(dirname "$program")" && timeout 900 "$OLDPWD/$program") >"$log" 2>&1 || { tail -n 20 "$log"; exit 1; }
    echo "coverage: $(basename "$program"): $(grep -cE '^\[ +OK \]' "$log") tests"
done
# Only what the host runs: what has no counters (the target's own files, main programs) is not in the sum.
gcovr --root . --object-directory $directory --filter 'kernel/' --filter 'execd/' --filter 'shell/' --filter 'user/' \
    --filter 'selftest/' --exclude 'kernel/arch/' --exclude '.*main\.cpp' --exclude-throw-branches \
    --json-summary $directory/summary.json --json-summary-pretty "$directory" >build/logs/coverage.log 2>&1 ||
    { cat build/logs/coverage.log; exit 1; }
python3 - "$directory/summary.json" "$least" <<'PYTHON'
import collections
import json
import sys

summary = json.load(open(sys.argv[1], encoding="utf-8"))
folders = collections.defaultdict(lambda: [0, 0])
for file in summary["files"]:
    sums = folders["/".join(file["filename"].split("/")[:-1])]
    sums[0] += file["line_covered"]
    sums[1] += file["line_total"]
for name, (covered, total) in sorted(folders.items()):
    print(f"{name:20} {covered:6} of {total:6} lines  {100 * covered / max(total, 1):5.1f} %")
covered, total = summary["line_covered"], summary["line_total"]
print(f"{'sum':20} {covered:6} of {total:6} lines  {100 * covered / max(total, 1):5.1f} %")
sys.exit(0 if 100 * covered >= float(sys.argv[2]) * total else 1)
PYTHON
