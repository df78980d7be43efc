#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what is missing, builds, boots QEMU's virt machine and shows its UART; ends when the machine powers off.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/run.sh [options]
  --smp N              harts (default 4)
  --mem SIZE           RAM (default 512M)
  --lane icount|mttcg  deterministic (default, up to 4 harts make sense) or a host thread per hart
  --append "WORDS"     more kernel command line
  --run "PROG ARGS"    start this program of the initrd as init (default: execd); /bin/ is added to a bare name
  --debug              build with DCHECK, auditor and UBSan traps
  --gdb                wait for a debugger on port 1234
  --timeout SECONDS    give up after so long (default 300; 0 = never)
  --help               this text
Leave QEMU with Ctrl-A x. Exit status: 0 pass, 1 fail, 2 kernel panic, 3 timeout, 4 marker missing or out of order.
TEXT
}

smp=4 mem=512M lane=icount append='' run='' preset=riscv-release timeout=300
gdb=()
while [ $# -gt 0 ]; do
    option=$1
    shift
    case "$option" in
        --smp | --mem | --lane | --append | --run | --timeout)
            if [ $# -eq 0 ]; then
                echo "run.sh: $option wants a value" >&2
                exit 1
            fi
            declare "${option#--}=$1"
            shift
            ;;
        --debug) preset=riscv-debug ;;
        --gdb) gdb=(--gdb) timeout=0 ;;
        -h | --help) usage; exit 0 ;;
        *) echo "run.sh: unknown option '$option'" >&2; usage >&2; exit 1 ;;
    esac
done

root=$(cd "$(dirname "$0")/.." && pwd)
"$root/scripts/setup.sh" run
"$root/scripts/build.sh" "$preset"

log=$root/build/logs/run.uart.log
check=(--quiet)
if [ -n "$run" ]; then
    read -r program arguments <<<"$run"
    case "$program" in /*) ;; *) program=/bin/$program ;; esac
    # As on Linux: what follows `--` are init's arguments.
    append="init=$program $append${arguments:+ -- $arguments}"
elif [[ " $append" != *" neuron."* && " $append" != *" init="* ]]; then
    check+=(--manifest "$root/tests/markers.toml" --smp "$smp" --lane "$lane")
fi

[ ${#gdb[@]} -eq 0 ] || echo "run: gdb-multiarch build/$preset/kernel/neuron.elf -ex 'target remote :1234'"
status=0
python3 "$root/tools/qemu_run.py" --image "$root/build/$preset/Image" --initrd "$root/build/$preset/initrd.cpio" \
    --log "$log" --smp "$smp" --mem "$mem" --lane "$lane" --append "$append" --timeout "$timeout" --interactive \
    "${gdb[@]}" || status=$?
case $status in
    0) ;;
    3) check+=(--timed-out) ;;
    *) exit 1 ;;
esac
status=0
python3 "$root/tools/uart_check.py" "$log" "${check[@]}" || status=$?
verdicts=(pass FAIL "KERNEL PANIC" TIMEOUT "marker missing or out of order")
echo "run: ${verdicts[status]-checker failed} (log: build/logs/run.uart.log)"
exit "$status"
