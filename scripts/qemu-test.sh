#!/bin/bash
# SPDX-License-Identifier: MIT
# Boots the image once on QEMU, without a terminal, and judges its UART log against tests/markers.toml.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: [NAME=value...] scripts/qemu-test.sh
  SMP=4              usable harts
  BOARD=qemu-virt    which machine
  LANE=icount        icount (deterministic) or mttcg (a host thread per hart)
  MEM=512M           RAM
  TIMEOUT=300        seconds of wall time
  APPEND=            additions to the kernel command line
  INITRD=            another archive than the build's
  TURN_US=           icount: bound a hart's turn to so many microseconds (default 200, 0 for one hart)
  BUILD_DIR=build/riscv-release   where Image and initrd.cpio are
  LOG_DIR=build/logs              where BOARD-LANE-SMP.uart.log and .xml go
  LOG_NAME=BOARD-LANE-SMP         name of the log
  ONLY_FAIL=         negative control: pass when exactly this marker fails
Exit status: 0 pass, 1 fail, 2 kernel panic, 3 timeout, 4 marker missing or out of order.
TEXT
}

case "${1-}" in
    '') ;;
    -h | --help) usage; exit 0 ;;
    *) echo "qemu-test.sh: unknown argument '$1'; its parameters are environment variables" >&2; usage >&2; exit 1 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
board=${BOARD:-qemu-virt}
lane=${LANE:-icount}
smp=${SMP:-4}
mem=${MEM:-512M}
timeout=${TIMEOUT:-300}
build_dir=${BUILD_DIR:-$root/build/riscv-release}
log_dir=${LOG_DIR:-$root/build/logs}
name=${LOG_NAME:-$board-$lane-$smp}
log=$log_dir/$name.uart.log

if [ "$board" != qemu-virt ]; then
    echo "qemu-test.sh: board $board is not supported by this version (known: qemu-virt)" >&2
    exit 1
fi

image=$build_dir/Image
initrd=${INITRD:-$build_dir/initrd.cpio}
for file in "$image" "$initrd"; do
    if [ ! -f "$file" ]; then
        echo "qemu-test.sh: no $file: build it first (cmake --build --preset riscv-release)" >&2
        exit 1
    fi
done

run_status=0
SECONDS=0
python3 "$root/tools/qemu_run.py" --image "$image" --initrd "$initrd" --log "$log" --smp "$smp" --mem "$mem" \
    --lane "$lane" ${TURN_US:+--turn-us "$TURN_US"} --append "${APPEND:-}" --timeout "$timeout" || run_status=$?
check=(--smp "$smp" --lane "$lane" --junit "$log_dir/$name.xml")
case $run_status in
    0) ;;
    3) check+=(--timed-out) ;;
    *) exit 1 ;;
esac
if [ -n "${ONLY_FAIL:-}" ]; then
    check+=(--only-fail "$ONLY_FAIL")
else
    check+=(--manifest "$root/tests/markers.toml")
fi

echo "$name: $mem, ${SECONDS} s, log ${log#"$root"/}"
status=0
python3 "$root/tools/uart_check.py" "$log" "${check[@]}" || status=$?
verdicts=(pass FAIL "KERNEL PANIC" TIMEOUT "marker missing or out of order")
echo "$name: ${verdicts[status]-checker failed}"
if [ "$status" -ne 0 ] && [ -f "$log" ]; then
    echo "last lines of the log:"
    tail -n 15 "$log"
fi
exit "$status"
