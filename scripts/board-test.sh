#!/bin/bash
# SPDX-License-Identifier: MIT
# Watches a boot of a real board over its serial line and judges it against tests/markers.toml, as qemu-test.sh does for
# QEMU.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/board-test.sh --serial PORT [options]
  --serial PORT       the serial line, for instance /dev/ttyUSB0; opened for reading only, nothing is ever typed
  --power-cmd CMD     a shell command that switches the board off and on; without it, do that by hand when told to
  --baud N            default 115200
  --harts N           usable harts of the board (default 4)
  --online MASK       CpuIds that come up, for a device tree that names harts too many (default: the first N)
  --board NAME        folder of boards/ (default visionfive2); its messages.toml explains what the firmware says
  --boot-timeout S    seconds until the kernel's first line (default 60)
  --timeout S         seconds until the end of the run (default 300)
  --require all|structure
                      all (default): every marker. structure: leave out those that judge time, for a board that shares
                      its processor, such as an emulator
  --log-dir DIR       where NAME.uart.log (the kernel's part), NAME.serial.log (all) and NAME.xml go (default build/logs)
  --log-name NAME     default board-NAME
Exit status: 0 pass, 1 fail, 2 kernel panic, 3 timeout, 4 marker missing or out of order.
TEXT
}

die() {
    echo "board-test.sh: $*" >&2
    exit 1
}

root=$(cd "$(dirname "$0")/.." && pwd)
serial='' power_cmd='' baud=115200 harts=4 online='' board=visionfive2 boot_timeout=60 timeout=300 require=all
log_dir=$root/build/logs log_name=''
while [ $# -gt 0 ]; do
    option=$1
    shift
    case "$option" in
        --serial | --power-cmd | --baud | --harts | --online | --board | --boot-timeout | --timeout | --require | --log-dir | --log-name)
            [ $# -gt 0 ] || die "$option wants a value"
            name=${option#--}
            declare "${name//-/_}=$1"
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "board-test.sh: unknown option '$option'" >&2; usage >&2; exit 1 ;;
    esac
done
[ -n "$serial" ] || { usage >&2; exit 1; }
[ -d "$root/boards/$board" ] || die "no board '$board': boards/ has $(cd "$root/boards" && echo *)"
case "$require" in
    all) lane=icount ;;
    structure) lane=mttcg ;;
    *) die "--require is all or structure, not '$require'" ;;
esac
name=${log_name:-board-$board}
log=$log_dir/$name.uart.log
raw_log=$log_dir/$name.serial.log
messages=$root/boards/$board/messages.toml
[ -f "$messages" ] || messages=''

run_status=0
SECONDS=0
python3 "$root/tools/board_run.py" --serial "$serial" --baud "$baud" ${power_cmd:+--power-cmd "$power_cmd"} \
    --boot-timeout "$boot_timeout" --timeout "$timeout" --log "$log" --raw-log "$raw_log" \
    ${messages:+--messages "$messages"} || run_status=$?
check=(--smp "$harts" --lane "$lane" --junit "$log_dir/$name.xml" --manifest "$root/tests/markers.toml"
       ${online:+--online "$online"})
case $run_status in
    0) ;;
    3) check+=(--timed-out) ;;
    *) exit 1 ;;
esac

echo "$name: ${SECONDS} s, log ${log#"$root"/}, all that the line said ${raw_log#"$root"/}"
status=0
python3 "$root/tools/uart_check.py" "$log" "${check[@]}" || status=$?
verdicts=(pass FAIL "KERNEL PANIC" TIMEOUT "marker missing or out of order")
echo "$name: ${verdicts[status]-checker failed}"
if [ "$status" -ne 0 ]; then
    echo "last lines:"
    tail -n 15 "$raw_log" | tr -cd '\11\12\40-\176'
fi
exit "$status"
