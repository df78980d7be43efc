#!/bin/bash
# SPDX-License-Identifier: MIT
# Boots every stand-in many times, each time with the whole selftest, and prints a table. In the mttcg lane no boot is like the
# other: boot hart by lot, real concurrency, the host's load.
set -uo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/soak.sh boots [--count N] [--boards "NAME..."] [--lane mttcg|icount] [--jobs N]
  --count   boots of each board (default 50)
  --boards  which (default: all stand-ins; scripts/qemu-test.sh --help lists the names)
  --lane    default mttcg: an icount boot repeats itself
  --jobs    boots at a time (default: one for every two CPUs)
Build first: scripts/build.sh riscv-release. Logs of boots that failed stay in build/logs/soak-boots/.
TEXT
}

root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONDONTWRITEBYTECODE=1
count=50 lane=mttcg jobs=$((($(nproc) + 1) / 2))
boards=$(python3 "$root/tools/board_cells.py" stand-ins | tr '\n' ' ')
while [ $# -gt 0 ]; do
    case "$1" in
        --count | --boards | --lane | --jobs)
            name=${1#--}
            declare "$name=${2:?$1 wants a value}"
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "soak.sh boots: unknown option '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done
for number in "$count" "$jobs"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "soak.sh boots: not a number: '$number'" >&2; exit 1; }
done

export LOG_DIR=$root/build/logs/soak-boots LANE=$lane root
rm -rf "$LOG_DIR"
mkdir -p "$LOG_DIR"

# One boot; a line "board number status seconds boot-hart pass fail skip" into $LOG_DIR/results.
boot_once() {
    local board=$1 number=$2 name status=0 log counts hart
    name=$board-$number
    log=$LOG_DIR/$name.uart.log
    SECONDS=0
    BOARD=$board LOG_NAME=$name "$root/scripts/qemu-test.sh" >"$LOG_DIR/$name.log" 2>&1 || status=$?
    counts=$(sed -nE 's/^SELFTEST: end \(pass=([0-9]+) fail=([0-9]+) skip=([0-9]+)\).*/\1 \2 \3/p' "$log" | tail -n 1)
    hart=$(sed -nE 's/.*NEURON [^ ]+ on .*, boot hart ([0-9]+).*/\1/p' "$log" | tail -n 1)
    echo "$board $number $status $SECONDS ${hart:--} ${counts:-- - -}" >>"$LOG_DIR/results"
    if [ "$status" -eq 0 ]; then
        rm -f "$LOG_DIR/$name".*
    else
        echo "soak.sh boots: $board, boot $number: exit status $status, logs build/logs/soak-boots/$name.*" >&2
    fi
}
export -f boot_once

begin=$(date +%s)
: >"$LOG_DIR/results"
# Who stops it gets the table of what was booted until then.
stopped=false
trap 'stopped=true' INT TERM
# Round by round, so that a run that is stopped has booted every board about as often.
for ((number = 1; number <= count; number++)); do
    for board in $boards; do
        echo "$board $number"
    done
done | xargs -P "$jobs" -L 1 bash -c 'boot_once "$1" "$2"' boot

awk -v lane="$lane" -v elapsed=$(($(date +%s) - begin)) '
    { n[$1]++; if ($3 != 0) bad[$1]++; s[$1] += $4; if ($4 > most[$1]) most[$1] = $4
      harts[$1, $5]++; if ($5 > top) top = $5
      if ($6 != "-") { p[$1] += $6; f[$1] += $7; k[$1] += $8 }
      if (!($1 in seen)) { seen[$1]; order[++boards] = $1 } }
    END {
        printf "%-22s %-6s %6s %9s %8s %8s  %-20s %s\n", "board", "lane", "boots", "failures", "mean s", "most s", "cases pass/fail/skip", "boots by boot hart"
        for (i = 1; i <= boards; i++) {
            b = order[i]; total += n[b]; failures += bad[b]; lot = ""
            for (h = 0; h <= top; h++) if ((b, h) in harts) lot = lot sprintf(" %d:%d", h, harts[b, h])
            printf "%-22s %-6s %6d %9d %8.1f %8d  %-20s%s\n", b, lane, n[b], bad[b], s[b] / n[b], most[b], p[b] "/" f[b] "/" k[b], lot
        }
        printf "%d boots in %d s, %d failures\n", total, elapsed, failures
        exit failures > 0 || total == 0
    }' "$LOG_DIR/results" || exit 1
if $stopped; then
    echo "soak.sh boots: stopped before $count boots of each" >&2
    exit 1
fi
