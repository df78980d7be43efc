#!/bin/bash
# SPDX-License-Identifier: MIT
# The long tier: the same proofs as in scripts/test.sh, deeper and from ever new seeds, until the time is up. Prints the
# seeds, so that a failure can be repeated.
set -uo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/soak.sh [--minutes N] [--seed N] [--only FILTER] [--once]
       scripts/soak.sh boots [options]: boots of the stand-ins; scripts/soak.sh boots --help
       scripts/soak.sh fuzz|calls|storm|kills|mixed|sanitized [options]: fuzzed calls, storms of tasks; scripts/soak.sh fuzz --help
       scripts/soak.sh suites [options]: all of other people's tests; scripts/suites.sh --help
  --minutes  how long; a round that has begun is finished (default 60)
  --seed     of the first round; the next rounds count on by a million (default: the time)
  --only     GoogleTest filter: the tests whose names match, as in 'Differential.*'
  --once     one round
Build first: scripts/build.sh host-release
TEXT
}

if [ "${1-}" = boots ]; then
    shift
    exec "$(dirname "$0")/soak-boots.sh" "$@"
fi

if [[ ${1-} =~ ^(fuzz|calls|storm|kills|mixed|sanitized)$ ]]; then
    exec "$(dirname "$0")/soak-machines.sh" "$@"
fi

if [ "${1-}" = suites ]; then
    shift
    "$(dirname "$0")/suites.sh" --all "$@" || exit 1
    # What only spins runs where instructions are not counted; four harts race.
    exec "$(dirname "$0")/suites.sh" --all --lane mttcg --smp 4 "$@"
fi

minutes=60 seed=$(date +%s) only='*' once=false
while [ $# -gt 0 ]; do
    case "$1" in
        --minutes) minutes=${2:?--minutes wants a number}; shift ;;
        --seed) seed=${2:?--seed wants a number}; shift ;;
        --only) only=${2:?--only wants a pattern}; shift ;;
        --once) once=true ;;
        -h | --help) usage; exit 0 ;;
        *) echo "soak.sh: unknown option '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done
for number in "$minutes" "$seed"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "soak.sh: not a number: '$number'" >&2; exit 1; }
done

cd "$(dirname "$0")/.." || exit 1
if [ ! -f build/host-release/CTestTestfile.cmake ]; then
    echo "soak.sh: nothing built in build/host-release" >&2
    exit 1
fi
mkdir -p build/logs
# The programs behind the tests with the label: a test's name starts with its program's.
mapfile -t programs < <(ctest --preset host-release -N -L proofs | sed -nE 's/^ *Test +#[0-9]+: ([a-z_]+)\..*/\1/p' | grep -vx mutants | sort -u)
[ ${#programs[@]} -gt 0 ] || { echo "soak.sh: no test has the label proofs" >&2; exit 1; }

export NEURON_SOAK=1
end=$((SECONDS + minutes * 60)) round=0
while :; do
    round=$((round + 1))
    export NEURON_SEED=$seed
    echo "== round $round: NEURON_SEED=$seed"
    # A long round is long; what takes four hours hangs.
    printf '%s\n' "${programs[@]}" | xargs -P "$(nproc)" -I{} sh -c '
        log=build/logs/soak-{}-$NEURON_SEED.log
        program=$(find build/host-release/tests -type f -name {} -perm -u+x)
        if timeout 14400 "$program" --gtest_filter="$1" >"$log" 2>&1; then
            echo "{}: $(grep -cE "^\[ +OK \]" "$log") tests passed"
        else
            cat "$log"
            exit 1
        fi' soak "$only"
    if [ $? -ne 0 ]; then
        echo "soak.sh: failed in round $round; repeat with --seed $seed --once" >&2
        exit 1
    fi
    seed=$((seed + 1000000))
    if $once || [ "$SECONDS" -ge "$end" ]; then
        break
    fi
done
echo "$round rounds, no failure"
