#!/bin/bash
# SPDX-License-Identifier: MIT
# Boots of debug kernels from ever new seeds until the time is up: fuzzed system calls, storms of tasks that are started and
# killed, and the fuzzers of parsers in between.
set -uo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/soak.sh fuzz|calls|storm|kills|mixed|sanitized [--minutes N] [--seed S] [--lane icount|mttcg|both] [--smp N] [--append WORDS]
  fuzz       fuzzed system calls (/bin/call_fuzz), every fourth time with failing allocations, every other time guided by what the
             kernel of build/riscv-fuzz says they reach, if there is one; and the parsers in turn
  calls      the same without the parsers
  storm      tasks that come, go, contend, move and kill each other (/bin/stress); memory and tasks back at the end
  kills      children that are started and killed, six at a time; memory and tasks back at the end
  mixed      both in turn
  sanitized  on the kernels with shadow memory and with watched accesses (build riscv-kasan, riscv-kcsan or both, too): fuzzed calls,
             storms, the selftest and programs that mean ill; the second kernel races, whatever the lane
  --minutes  how long; a round that has begun is finished (default 60)
  --seed     of the first round; the next ones count on (default: the time)
  --lane     default both in turn: icount repeats itself, mttcg races
  --smp      harts (default 4)
  --append   more of the kernel's command line
Build first: scripts/build.sh riscv-debug; for fuzz and mixed scripts/build.sh fuzz fuzzers and riscv-fuzz image, too. Prints a line
for each round and a summary; what failed stays in build/logs/soak/ with the command that repeats it.
TEXT
}

root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONDONTWRITEBYTECODE=1
mode=${1:-} minutes=60 seed=$(date +%s) lane=both smp=4 append=
case "$mode" in
    fuzz | calls | storm | kills | mixed | sanitized) shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 1 ;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
        --minutes | --seed | --lane | --smp | --append)
            name=${1#--}
            declare "$name=${2:?$1 wants a value}"
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "soak.sh $mode: unknown option '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done
for number in "$minutes" "$seed" "$smp"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "soak.sh $mode: not a number: '$number'" >&2; exit 1; }
done
[[ $lane =~ ^(icount|mttcg|both)$ ]] || { echo "soak.sh $mode: no lane is called '$lane'" >&2; exit 1; }
build=$root/build/riscv-debug logs=$root/build/logs/soak kernel=riscv-debug guide=$root/build/riscv-fuzz/Image
kernels=(riscv-debug)
if [ "$mode" = sanitized ]; then
    guide= kernels=()
    for kernel in riscv-kasan riscv-kcsan; do
        [ ! -f "$root/build/$kernel/Image" ] || kernels+=("$kernel")
    done
    [ ${#kernels[@]} -gt 0 ] || kernels=(riscv-kasan)
fi
for preset in riscv-debug "${kernels[@]}"; do
    [ -f "$root/build/$preset/Image" ] || { echo "soak.sh $mode: nothing built in build/$preset" >&2; exit 1; }
done
mkdir -p "$logs"

calls=0 guided=0 started=0 killed=0 parsers=0 parser=0
targets=(fdt elf cpio cmdline recipe decoder)

# boot NAME LANE ARCHIVE GOOD APPEND: a line that matches GOOD must come, no panic, and the machine must end by itself.
boot() {
    local name=$1 lane=$2 archive=$3 good=$4 append=$5 image=${6:-$root/build/$kernel/Image} status=0
    local command=("$root/tools/qemu_run.py" --image "$image" --initrd "$build/$archive" --smp "$smp" --lane "$lane"
        --timeout 900 --append "$append")
    "${command[@]}" --log "$logs/$name.uart.log" >"$logs/$name.txt" 2>&1 || status=$?
    if [ $status -ne 0 ] || ! grep -qaE "$good" "$logs/$name.uart.log" || grep -qaE '^KERNEL PANIC|WRONG' "$logs/$name.uart.log"; then
        echo "soak: FAILED (exit status $status): $logs/$name.uart.log" >&2
        grep -aE -A12 '^KERNEL PANIC begin|WRONG' "$logs/$name.uart.log" | head -n 40 >&2
        printf 'soak: repeat with:' >&2
        printf ' %q' "${command[@]}" --log /tmp/soak.uart.log >&2
        echo >&2
        return 1
    fi
}

fuzz_round() {
    local name=calls-$1-$2 append="$append loglevel=4 watchdog=60 init=/bin/call_fuzz"
    [ $((round % 4)) -ne 3 ] || append="$append neuron.fail=40"
    # Four rounds of each kind in turn: lanes and storms take turns, too.
    if [ $((round / 4 % 2)) -eq 1 ] && [ -f "$guide" ]; then
        boot "$name" "$2" fuzz-initrd.cpio '^call_fuzz: good: ' "$append -- guided $1 0 600 300" "$guide" || return 1
        sed -n 's/^call_fuzz: kept //p' "$logs/$name.uart.log" | tr -d '\r' >>"$logs/kept.txt"
        guided=$((guided + $(sed -nE 's/^call_fuzz: good: ([0-9]+) calls.*/\1/p' "$logs/$name.uart.log" | tail -n 1)))
    else
        boot "$name" "$2" fuzz-initrd.cpio '^call_fuzz: good: ' "$append -- $1 0 1000 300" || return 1
    fi
    calls=$((calls + $(sed -nE 's/^call_fuzz: good: ([0-9]+) calls.*/\1/p' "$logs/$name.uart.log" | tail -n 1)))
    rm -f "$logs/$name".*
    [[ $mode =~ ^(fuzz|mixed)$ ]] || return 0
    "$root/scripts/fuzz.sh" "${targets[parser]}" --minutes 0.5 --seed "$1" >"$logs/parser.txt" 2>&1 || { cat "$logs/parser.txt" >&2; return 1; }
    parsers=$((parsers + $(sed -nE 's/^fuzz [a-z]+: ([0-9]+) inputs.*/\1/p' "$logs/parser.txt" | tail -n 1)))
    parser=$(((parser + 1) % ${#targets[@]}))
}

storm_round() {
    local name=storm-$1-$2 words="$1 10 500"
    [ "$mode" != kills ] || words="kills $1 4 500"
    boot "$name" "$2" test-initrd.cpio '^stress: good' "$append loglevel=4 watchdog=60 init=/bin/stress -- $words" || return 1
    local counts='s/^stress: ([0-9]+) children started, ([0-9]+) killed.*/\1 \2/p'
    read -r started killed < <(sed -nE "$counts" "$logs/$name.uart.log" |
        awk -v a="$started" -v b="$killed" '{a += $1; b += $2} END {print a, b}')
    rm -f "$logs/$name".*
}

# What stays the same in each round, in turn.
fixed_round() {
    local programs=(selftest neuron_calls_adversaries neuron_calls_hostile)
    local program=${programs[round / 3 % 3]}
    local name=$program-$1-$2
    if [ "$program" = selftest ]; then
        boot "$name" "$2" initrd.cpio '^SELFTEST: end [(]pass=[0-9]+ fail=0 ' "$append" || return 1
    else
        boot "$name" "$2" test-initrd.cpio '^init: exited with status 0' "$append loglevel=4 init=/bin/$program" || return 1
    fi
    rm -f "$logs/$name".*
}

end=$((SECONDS + minutes * 60)) round=0 begin=$seed
while [ "$round" -eq 0 ] || [ "$SECONDS" -lt "$end" ]; do
    case "$lane" in
        both) if [ $((round % 2)) -eq 0 ]; then this=mttcg; else this=icount; fi ;;
        *) this=$lane ;;
    esac
    # Three rounds of each, so that all there is to run is run on each.
    kernel=${kernels[round / 3 % ${#kernels[@]}]}
    [ "$kernel" != riscv-kcsan ] || this=mttcg
    status=0
    if [ "$mode" = sanitized ] && [ $((round % 3)) -eq 2 ]; then
        fixed_round "$seed" "$this" || status=1
    elif [ "$mode" = sanitized ] && [ $((round % 3)) -eq 0 ]; then
        fuzz_round "$seed" "$this" || status=1
    elif [[ $mode =~ ^(fuzz|calls)$ ]] || { [ "$mode" = mixed ] && [ $((round / 2 % 2)) -eq 0 ]; }; then
        fuzz_round "$seed" "$this" || status=1
    else
        storm_round "$seed" "$this" || status=1
    fi
    if [ $status -ne 0 ]; then
        echo "soak.sh $mode: failed in round $round, seed $seed, lane $this" >&2
        exit 1
    fi
    round=$((round + 1))
    echo "soak $mode: round $round, seed $seed, $this: $calls fuzzed calls ($guided guided), $parsers inputs of parsers, $started tasks started, $killed of them killed, $((SECONDS / 60)) min"
    seed=$((seed + 1))
done
echo "soak.sh $mode: $round rounds from seed $begin, $calls fuzzed calls ($guided guided), $parsers inputs of parsers, $started tasks started, $killed of them killed, no failure"
