#!/bin/bash
# SPDX-License-Identifier: MIT
# gdb at a running NEURON, with its symbols and the nx- commands.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/gdb.sh [options] [-- GDB-ARGUMENT...]
  --preset NAME      which build (default riscv-release; riscv-debug shows more, and runs with all checks)
  --elf FILE         the kernel with its symbols, instead of a preset's
  --port N           the debugger's port (default NEURON_GDB_PORT, or 1234: QEMU's, as `scripts/run.sh --gdb` opens it)
  --board            the port of OpenOCD instead, 3333 (boards/visionfive2/openocd.cfg)
  --help             this text
Inside: nx-hart, nx-tasks, nx-runq [CPU], nx-pt ADDRESS [TID], nx-log [LINES]; `help nx-pt` and so on.
TEXT
}

fail() {
    echo "gdb.sh: $1" >&2
    exit 1
}

root=$(cd "$(dirname "$0")/.." && pwd)
preset=riscv-release port=${NEURON_GDB_PORT:-1234} elf='' arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --preset | --port | --elf)
            [ $# -ge 2 ] || fail "$1 wants a value"
            declare "${1#--}=$2"
            shift
            ;;
        --board) port=3333 ;;
        --) shift; arguments=("$@"); break ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option '$1'" ;;
    esac
    shift
done
elf=${elf:-$root/build/$preset/kernel/neuron.elf}
[ -f "$elf" ] || fail "$elf is not there: scripts/build.sh $preset"
command -v gdb-multiarch >/dev/null || fail "gdb-multiarch is not installed: scripts/setup.sh"
exec gdb-multiarch -q -nx "$elf" -ex "set substitute-path ./ $root" -ex "set tcp connect-timeout 60" -ex "target remote :$port" \
    -ex "source $root/tools/gdb/neuron.py" "${arguments[@]}"
