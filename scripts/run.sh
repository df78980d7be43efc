#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what is missing, builds, boots QEMU's virt machine and shows its UART; ends when the machine powers off.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/run.sh [options]
       scripts/run.sh [options] --program FILE [--root DIR] [-- ARGUMENT...]
  --program FILE       put this riscv64 program into the archive instead, and start it as init (docs/programs.md)
  --root DIR           and this folder with it, as /: its interpreter, libraries, data; FILE may be a path in it
  --smp N              harts (default 4)
  --mem SIZE           RAM (default 512M)
  --lane icount|mttcg  deterministic (default, up to 4 harts make sense) or a host thread per hart
  --append "WORDS"     more kernel command line
  --run "PROG ARGS"    start this program of the initrd as init (default: execd); /bin/ is added to a bare name
  --debug              build with DCHECK, auditor and UBSan traps
  --gdb                wait for a debugger (scripts/gdb.sh) on port 1234, or NEURON_GDB_PORT
  --timeout SECONDS    give up after so long (default 300; 0 = never)
  --help               this text
Leave QEMU with Ctrl-A x. Exit status: 0 pass, 1 fail, 2 kernel panic, 3 timeout, 4 marker missing or out of order.
With --program: the program's own; 128 + N when signal N ended it, 124 when the time was up, 125 when it did not start or
the kernel did not say how it ended. --lane is mttcg then unless it is given, and --timeout 0.
TEXT
}

smp=4 mem=512M lane='' append='' run='' preset=riscv-release timeout='' program='' root=''
gdb=() arguments=()
while [ $# -gt 0 ]; do
    option=$1
    shift
    case "$option" in
        --smp | --mem | --lane | --append | --run | --timeout | --program | --root)
            if [ $# -eq 0 ]; then
                echo "run.sh: $option wants a value" >&2
                exit 1
            fi
            declare "${option#--}=$1"
            shift
            ;;
        --debug) preset=riscv-debug ;;
        --gdb) gdb=(--gdb) timeout=0 ;;
        --) arguments=("$@"); break ;;
        -h | --help) usage; exit 0 ;;
        *) echo "run.sh: unknown option '$option'" >&2; usage >&2; exit 1 ;;
    esac
done

if [ -z "$program" ] && { [ -n "$root" ] || [ ${#arguments[@]} -gt 0 ]; }; then
    echo "run.sh: --root and arguments behind -- go with --program" >&2
    exit 1
fi
if [ -n "$program" ] && [ -n "$run" ]; then
    echo "run.sh: --program and --run name two programs to start" >&2
    exit 1
fi

project=$(cd "$(dirname "$0")/.." && pwd)
"$project/scripts/setup.sh" run
"$project/scripts/build.sh" "$preset"

log=$project/build/logs/run.uart.log
archive=$project/build/$preset/initrd.cpio
check=(--quiet)
if [ -n "$program" ]; then
    lane=${lane:-mttcg} timeout=${timeout:-0}
    archive=$project/build/program.cpio
    words=$(python3 "$project/tools/program_archive.py" --output "$archive" ${root:+--root "$root"} "$program" \
        -- "${arguments[@]}") || exit 125
    append="$append $words"
else
    lane=${lane:-icount} timeout=${timeout:-300}
fi
if [ -n "$run" ]; then
    read -r path rest <<<"$run"
    case "$path" in /*) ;; *) path=/bin/$path ;; esac
    # As on Linux: what follows `--` are init's arguments.
    append="init=$path $append${rest:+ -- $rest}"
elif [[ " $append" != *" neuron."* && " $append" != *" init="* ]]; then
    check+=(--manifest "$project/tests/markers.toml" --smp "$smp" --lane "$lane")
fi

[ ${#gdb[@]} -eq 0 ] || echo "run: scripts/gdb.sh --preset $preset"
status=0
python3 "$project/tools/qemu_run.py" --image "$project/build/$preset/Image" --initrd "$archive" \
    --log "$log" --smp "$smp" --mem "$mem" --lane "$lane" --append "$append" --timeout "$timeout" --interactive \
    "${gdb[@]}" || status=$?
if [ -n "$program" ]; then
    ending=$(tr -d '\r' <"$log" |
        sed -nE 's/^init: (exited|killed) (with status|by signal) ([0-9]+), powering off$/\1 \3/p' | tail -n 1)
    read -r how number <<<"$ending"
    case "$status $how" in
        "0 exited") exit "$number" ;;
        "0 killed") exit $((128 + number)) ;;
        "3 "*) exit 124 ;;
    esac
    echo "run.sh: the kernel did not say how $program ended (log: build/logs/run.uart.log)" >&2
    exit 125
fi
case $status in
    0) ;;
    3) check+=(--timed-out) ;;
    *) exit 1 ;;
esac
status=0
python3 "$project/tools/uart_check.py" "$log" "${check[@]}" || status=$?
verdicts=(pass FAIL "KERNEL PANIC" TIMEOUT "marker missing or out of order")
echo "run: ${verdicts[status]-checker failed} (log: build/logs/run.uart.log)"
exit "$status"
