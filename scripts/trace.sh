#!/bin/bash
# SPDX-License-Identifier: MIT
# Boots NEURON, traces what its scheduler does, and leaves the trace for Perfetto, a picture and a summary.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/trace.sh [options] SCENARIO
       scripts/trace.sh [options] -- PROGRAM [ARGUMENT...]
SCENARIO: a case of the selftest (shares, latency, steal, pi, budget, ...; docs/testing.md names them), or
  sim:NAME           a scenario of sched-sim (sched-sim --list), simulated instead of booted
PROGRAM: a program of the archive with its whole path, such as /bin/demo
  --smp N            harts (default 2)
  --records N        how many records each hart keeps, 256..65536 (default 16384)
  --only CATEGORIES  sched,attr,lag,irq,calls,faults (default: all)
  --from-ms N        where the picture begins, from the begin of the trace; --span-ms N: how much it shows (default: all)
  --help             this text
Leaves build/trace/NAME.pftrace (open it in ui.perfetto.dev), NAME.svg, NAME.txt (the summary, also printed), NAME.log; sim-NAME
of a simulated one.
Exit status: 0, or 1 when the run or the trace failed, or records were lost.
TEXT
}

fail() {
    echo "trace.sh: $1" >&2
    exit 1
}

root=$(cd "$(dirname "$0")/.." && pwd)
smp=2 records=16384 only='' scenario='' program=() view=()
while [ $# -gt 0 ]; do
    case "$1" in
        --smp | --records | --only)
            [ $# -ge 2 ] || fail "$1 wants a value"
            declare "${1#--}=$2"
            shift
            ;;
        --from-ms | --span-ms)
            [ $# -ge 2 ] || fail "$1 wants a value"
            view+=("$1" "$2")
            shift
            ;;
        --) shift; program=("$@"); break ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; fail "unknown option '$1'" ;;
        *)
            [ -z "$scenario" ] || fail "one scenario, not '$scenario' and '$1'"
            scenario=$1
            ;;
    esac
    shift
done
for number in "$smp" "$records"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || fail "not a number: '$number'"
done
if [ ${#program[@]} -gt 0 ]; then
    [ -z "$scenario" ] || fail "a scenario or a program, not both"
    name=$(basename "${program[0]}")
elif [ -n "$scenario" ]; then
    name=${scenario/:/-}
    program=(/bin/selftest "$scenario,stay")
else
    usage >&2
    exit 1
fi
out=$root/build/trace
mkdir -p "$out"

if [[ $scenario == sim:* ]]; then
    "$root/scripts/setup.sh" run >&2
    # The simulator that is there, though slower, rather than one that is yet to be compiled.
    preset=host-release
    simulator=tools/sched-sim/sched-sim
    [ -x "$root/build/$preset/$simulator" ] || [ ! -x "$root/build/host/$simulator" ] || preset=host
    [ -f "$root/build/$preset/build.ninja" ] || cmake --preset $preset -S "$root" >&2
    [ -n "${NEURON_NO_BUILD-}" ] || ninja -C "$root/build/$preset" sched-sim >&2
    input=$out/$name.ntrace
    "$root/build/$preset/$simulator" --scenario "${scenario#sim:}" --quiet --trace "$input"
else
    "$root/scripts/setup.sh" run >&2
    "$root/scripts/build.sh" riscv-release >&2
    log=$out/$name.log
    input=$out/$name.ntrace
    rm -f "$input"
    options="--records $records${only:+ --only $only}"
    python3 "$root/tools/qemu_run.py" --image "$root/build/riscv-release/Image" \
        --initrd "$root/build/riscv-release/initrd.cpio" --smp "$smp" --log "$log" --timeout 300 \
        --host-line "file,path=$input" \
        --append "boothart=0 init=/bin/trace -- run $options -- ${program[*]}" >/dev/null ||
        fail "the machine did not come to its end: $log"
    status=$(sed -nE 's/^init: exited with status ([0-9]+).*/\1/p' "$log" | tail -n 1)
    [ "${status:-none}" = 0 ] || fail "${program[*]}: exit status ${status:-unknown}: $log"
    # Without the line to the host the trace is in the log.
    [ -s "$input" ] || input=$log
fi
"$root/scripts/trace2perfetto" "$input" --perfetto "$out/$name.pftrace" --svg "$out/$name.svg" "${view[@]}"
"$root/scripts/trace2perfetto" "$input" --strict | tee "$out/$name.txt"
