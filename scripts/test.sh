#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what is missing, builds everything and runs every test, stage by stage. The whole fails when it takes longer than half
# an hour. A stage's budget, for two cores and an empty compiler cache, says which of them grew: machines differ more than it has room.
set -uo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/test.sh [--only STAGE[,STAGE...]] [--list] [--no-budget]
  --only       run these stages (build them first with --only build)
  --list       name the stages
  --no-budget  report the times, do not fail for them
TEXT
}

# name  budget in seconds  what it does
stages=(
    "build    600 set-up, host build, release and debug image, kernels with shadow memory and with watched accesses"
    "host      55 unit tests with sanitizers"
    "fuzz      12 parsers under libFuzzer, the decoders of traces; planted defects they must find"
    "proofs   235 the scheduler's invariants in the simulator, every interleaving, seeded defects"
    "lint     240 house rules, clang-tidy, thread-safety analysis"
    "icount    95 boots with 1 to 4 harts, twice the same, and the negative controls"
    "figures   55 shares, lag, latency, budgets and costs in figures, against their limits"
    "scale     52 ten thousand threads, a thousand processes, what independent harts share"
    "mttcg     70 boots with a host thread per hart"
    "debug    135 boots of the debug image, system calls, faults of firmware and interrupts"
    "sanitized 60 what these kernels must find, and where there must be nothing to find"
    "boards    34 other harts, memory sizes, interrupt controllers, boot harts; two stand-ins for boards"
    "card      30 the SD card with a recipe edited on it, and the runner of boards on a serial line"
    "programs 175 programs from elsewhere, malformed input, hostile programs"
)

whole_s=1800
only='' with_budget=true
while [ $# -gt 0 ]; do
    case "$1" in
        --only) only=${2:?--only wants stages}; shift ;;
        --list) printf '%s\n' "${stages[@]}"; exit 0 ;;
        --no-budget) with_budget=false ;;
        -h | --help) usage; exit 0 ;;
        *) echo "test.sh: unknown option '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done

cd "$(dirname "$0")/.." || exit 1
mkdir -p build/logs
passed=0 failed=0
times=() total_s=0
# What scripts/report.sh makes a page of.
stages_file=build/logs/stages.tsv
printf 'began\t%s\n' "$(date +%s)" >"$stages_file"

# Runs ctest on a preset, shows what fails, and adds its counts.
run_ctest() {
    local preset=$1 log
    shift
    log=build/logs/ctest-$stage-$preset.log
    echo "ctest --preset $preset $*"
    ctest --preset "$preset" -j "$(nproc)" --no-tests=error --output-junit "$PWD/${log%.log}.xml" "$@" >"$log" 2>&1
    local status=$?
    local summary
    summary=$(grep -E 'tests passed, [0-9]+ tests? failed out of [0-9]+' "$log" | tail -n 1)
    if [[ $summary =~ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
        failed=$((failed + BASH_REMATCH[1]))
        passed=$((passed + BASH_REMATCH[2] - BASH_REMATCH[1]))
    else
        failed=$((failed + 1))
    fi
    if [ $status -ne 0 ]; then
        grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test +#[0-9]+: .* Passed )' "$log"
    fi
    echo "${summary:-no tests ran}"
}

run_stage() {
    case "$1" in
        build)
            { scripts/setup.sh test && scripts/build.sh host && scripts/build.sh host-release proofs &&
                scripts/build.sh fuzz fuzzers &&
                scripts/build.sh riscv-release && scripts/build.sh riscv-debug &&
                scripts/build.sh riscv-kasan image && scripts/build.sh riscv-kcsan image; } || { failed=$((failed + 1)); return 1; }
            ;;
        host) run_ctest host -LE lint ;;
        fuzz) run_ctest fuzz -L fuzz ;;
        proofs)
            export NEURON_RESULTS=$PWD/build/logs/invariants.tsv
            : >"$NEURON_RESULTS"
            run_ctest host-release -L proofs
            tools/invariant_table.py "$NEURON_RESULTS" || failed=$((failed + 1))
            ;;
        lint) run_ctest host -L lint; run_ctest riscv-release -L lint ;;
        icount) run_ctest riscv-release -L 'icount|determinism|control' ;;
        figures)
            run_ctest riscv-release -L figures
            # What operations cost now, for the page of scripts/report.sh, which says which budgets are not kept.
            python3 tools/bench_table.py --budgets bench/budgets.toml --build build/riscv-release --logs build/logs/bench \
                >build/logs/bench.txt 2>&1 || true
            ;;
        scale) run_ctest riscv-release -L scale ;;
        mttcg) run_ctest riscv-release -L mttcg ;;
        debug) run_ctest riscv-debug -R '^boot\.(icount-[14]|mttcg-4|.*_calls_.*|call-fuzz.*|control-debug.*|fault-.*)$' ;;
        sanitized) run_ctest riscv-kasan -L quick; run_ctest riscv-kcsan -L quick ;;
        boards) run_ctest riscv-release -L boards ;;
        card) run_ctest riscv-release -L card ;;
        programs) run_ctest riscv-release -L 'programs|malformed' ;;
    esac
}

for entry in "${stages[@]}"; do
    read -r stage budget what <<<"$entry"
    if [ -n "$only" ] && [[ ",$only," != *",$stage,"* ]]; then
        continue
    fi
    echo "== $stage: $what"
    SECONDS=0
    failed_before=$failed
    run_stage "$stage"
    status=$?
    note=''
    [ "$SECONDS" -le "$budget" ] || note='  over its budget'
    total_s=$((total_s + SECONDS))
    verdict=ok
    [ "$failed" -eq "$failed_before" ] || verdict=FAIL
    printf 'stage\t%s\t%s\t%s\t%s\t%s\n' "$stage" "$SECONDS" "$budget" "$verdict" "$what" >>"$stages_file"
    times+=("$(printf '%-10s %4d s of %4d s%s' "$stage" "$SECONDS" "$budget" "$note")")
    # Nothing behind a broken build tells anything.
    [ "$stage" = build ] && [ $status -ne 0 ] && break
done

if [ ${#times[@]} -eq 0 ]; then
    echo "test.sh: no stage is called '$only' (see --list)" >&2
    exit 1
fi
echo "== time"
printf '%s\n' "${times[@]}"
printf '%-10s %4d s of %4d s\n' whole "$total_s" "$whole_s"
if [ "$total_s" -gt "$whole_s" ] && $with_budget; then
    echo "test.sh: the whole took longer than $whole_s s" >&2
    failed=$((failed + 1))
fi
printf 'total\t%s\t%s\n' "$passed" "$failed" >>"$stages_file"
scripts/report.sh || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
