#!/bin/bash
# SPDX-License-Identifier: MIT
# Which lines the host tests reach, of all code that they can: builds them with gcov's counters, runs them, and has gcovr count.
# What is not counted is in tests/host-testable.toml, with reasons.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/coverage.sh [--tests REGEX] [--no-build] [--least PERCENT]
  --tests     of these test programs alone (default: all unit tests, and the scheduler's comparison with its reference)
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
# The other proofs compile the scheduler and the dispatcher once more, to change or to watch them.
proofs='sched_differential sched_balance'
not_counted='explore|mutants|invariants|exhaustive'
if $build; then
    # shellcheck disable=SC2086
    scripts/build.sh coverage unit_tests $proofs
fi
mapfile -t programs < <(find $directory/tests -type f -perm -u+x \( -name '*_test' -o -name sched_differential -o -name sched_balance \) |
    grep -vE "$not_counted" | grep -E "$tests" | sort)
[ ${#programs[@]} -gt 0 ] || { echo "coverage.sh: no test program matches '$tests'" >&2; exit 1; }
find $directory -name '*.gcda' -delete
mkdir -p build/logs
for program in "${programs[@]}"; do
    log=build/logs/coverage-$(basename "$program").log
    (cd "$(dirname "$program")" && timeout 900 "$OLDPWD/$program") >"$log" 2>&1 || { tail -n 20 "$log"; exit 1; }
    echo "coverage: $(basename "$program"): $(grep -cE '^\[ +OK \]' "$log") tests"
done
gcovr -j 2 --root . --object-directory $directory --exclude-directories ".*($not_counted).*" --filter 'kernel/' --filter 'execd/' \
    --filter 'shell/' --filter 'user/' --filter 'selftest/' --exclude 'kernel/arch/host/' --exclude '.*main\.cpp' \
    --exclude-throw-branches --json-summary $directory/summary.json --json-summary-pretty "$directory" >build/logs/coverage.log 2>&1 ||
    { cat build/logs/coverage.log; exit 1; }
python3 tools/coverage_table.py $directory/summary.json $directory/compile_commands.json tests/host-testable.toml "$least" "$not_counted"
