#!/bin/bash
# SPDX-License-Identifier: MIT
# Boots the image on QEMU, without a terminal, and judges its UART log against tests/markers.toml.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONDONTWRITEBYTECODE=1
cells() { python3 "$root/tools/board_cells.py" "$@"; }

usage() {
    cat <<'TEXT'
usage: [NAME=value...] scripts/qemu-test.sh [--all-boards]
  --all-boards       every board below once, in LANE where it has that lane, and a table; the same Image and initrd on all
  SMP=4              usable harts
  BOARD=qemu-virt    which machine (below)
  LANE=icount        icount (deterministic) or mttcg (a host thread per hart)
  MEM=               RAM instead of the board's own (qemu-virt: 512M)
  TIMEOUT=300        seconds of wall time
  APPEND=            additions to the kernel command line; on boards that boot the SD card image: of a card made for it
  INITRD=            another archive than the build's; not on boards that boot the SD card image
  TURN_US=           icount: bound a hart's turn to so many microseconds (default 200, 0 for one hart)
  BUILD_DIR=build/riscv-release   where Image and initrd.cpio are
  LOG_DIR=build/logs              where BOARD-LANE-SMP.uart.log and .xml go
  LOG_NAME=BOARD-LANE-SMP         name of the log
  ONLY_FAIL=         negative control: pass when exactly this marker fails
Boards:
TEXT
    cells table
    echo "Exit status: 0 pass, 1 fail, 2 kernel panic, 3 timeout, 4 marker missing or out of order."
}

lane=${LANE:-icount}
smp=${SMP:-4}
build_dir=${BUILD_DIR:-$root/build/riscv-release}
log_dir=${LOG_DIR:-$root/build/logs}

# Each board by this script; then one line for each, and whether they all booted the same bytes.
all_boards() {
    local board board_lane board_lanes log status seconds counts failed=0 rows=() digests=()
    for variable in SMP INITRD APPEND MEM LOG_NAME ONLY_FAIL; do
        if [ -n "${!variable:-}" ]; then
            echo "qemu-test.sh: $variable has no place beside --all-boards" >&2
            return 1
        fi
    done
    mkdir -p "$log_dir"
    for board in $(cells list); do
        mapfile -t board_lanes < <(cells lanes "$board")
        board_lane=${board_lanes[0]}
        [[ " ${board_lanes[*]} " != *" $lane "* ]] || board_lane=$lane
        log=$log_dir/all-boards-$board.log
        SECONDS=0
        status=0
        BOARD=$board LANE=$board_lane "$0" >"$log" 2>&1 || status=$?
        seconds=$SECONDS
        counts=$(sed -n 's/.*SELFTEST: end (\(.*\))$/\1/p' "$log" | tail -n 1)
        [ $status -eq 0 ] || { failed=$((failed + 1)); cat "$log"; }
        digests+=("$(sed -n 's/^sha256 //p' "$log")")
        rows+=("$(printf '%-22s %-6s %-8s %4d s  %s' "$board" "$board_lane" "${verdicts[status]-?}" "$seconds" "$counts")")
        echo "${rows[-1]}"
    done
    echo "== boards"
    printf '%s\n' "${rows[@]}"
    if [ "$(printf '%s\n' "${digests[@]}" | sort -u | wc -l)" -eq 2 ]; then
        printf 'all from sha256 %s\n' "${digests[0]//$'\n'/, }"
    else
        echo "qemu-test.sh: not all boards booted the same Image and initrd:" >&2
        printf '%s\n' "${digests[@]}" | sort | uniq -c >&2
        failed=$((failed + 1))
    fi
    echo "$((${#rows[@]})) boards, $failed failed"
    [ $failed -eq 0 ]
}

verdicts=(pass FAIL "KERNEL PANIC" TIMEOUT "marker missing or out of order")
case "${1-}" in
    '') ;;
    --all-boards) all_boards; exit ;;
    -h | --help) usage; exit 0 ;;
    *) echo "qemu-test.sh: unknown argument '$1'; its parameters are environment variables" >&2; usage >&2; exit 1 ;;
esac

board=${BOARD:-qemu-virt}
name=${LOG_NAME:-$board-$lane-$smp}
log=$log_dir/$name.uart.log
machine_check=$(cells check "$board" "$smp") || exit 1
image=$build_dir/Image
initrd=${INITRD:-$build_dir/initrd.cpio}
for file in "$image" "$initrd"; do
    if [ ! -f "$file" ]; then
        echo "qemu-test.sh: no $file: build it first (cmake --build --preset riscv-release)" >&2
        exit 1
    fi
done

note=$(cells note "$board")
[ -z "$note" ] || echo "$name: note: $note"
run_status=0
SECONDS=0
python3 "$root/tools/qemu_run.py" --board "$board" --image "$image" --initrd "$initrd" --build-dir "$build_dir" --log "$log" \
    --smp "$smp" --mem "${MEM:-}" --lane "$lane" ${TURN_US:+--turn-us "$TURN_US"} --append "${APPEND:-}" \
    --timeout "${TIMEOUT:-300}" --digests || run_status=$?
mapfile -t check <<<"$machine_check"
check+=(--smp "$smp" --lane "$lane" --junit "$log_dir/$name.xml")
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

echo "$name: ${SECONDS} s, log ${log#"$root"/}"
status=0
python3 "$root/tools/uart_check.py" "$log" "${check[@]}" || status=$?
echo "$name: ${verdicts[status]-checker failed}"
exit "$status"
