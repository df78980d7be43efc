#!/bin/bash
# SPDX-License-Identifier: MIT
# Fuzzes what reads input that nobody vouches for, on this machine. docs/testing.md says what each target promises.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/fuzz.sh TARGET [--minutes N] [--seed S] [--keep]
       scripts/fuzz.sh TARGET --replay FILE...
       scripts/fuzz.sh --planted
  TARGET     fdt, elf, cpio, cmdline, recipe (libFuzzer, ASan, UBSan), decoder (traces and their frames), or all
  --minutes  how long each target (default 1)
  --seed     of the first inputs (default: the time); printed, so that a failure can be repeated
  --keep     what was found worth keeping goes into tests/fuzz/corpus/
  --replay   these inputs alone
  --planted  each defect of tests/fuzz/planted.toml, switched on, must be found
TEXT
}

targets=() minutes=1 seed=$(date +%s) keep=() files=() planted=false
while [ $# -gt 0 ]; do
    case "$1" in
        --minutes) minutes=${2:?--minutes wants a number}; shift ;;
        --seed) seed=${2:?--seed wants a number}; shift ;;
        --keep) keep=(--keep) ;;
        --planted) planted=true ;;
        --replay) shift; files=("$@"); break ;;
        -h | --help) usage; exit 0 ;;
        all) targets+=(fdt elf cpio cmdline recipe decoder) ;;
        fdt | elf | cpio | cmdline | recipe | decoder) targets+=("$1") ;;
        *) echo "fuzz.sh: no target or option is called '$1'" >&2; usage >&2; exit 1 ;;
    esac
    shift
done
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || { echo "fuzz.sh: not a number: '$minutes'" >&2; exit 1; }
[[ $seed =~ ^[0-9]+$ ]] || { echo "fuzz.sh: not a number: '$seed'" >&2; exit 1; }
if [ ${#targets[@]} -eq 0 ] && ! $planted; then
    usage >&2
    exit 1
fi

cd "$(dirname "$0")/.."
scripts/build.sh fuzz fuzzers
if $planted; then
    tests/fuzz/decoders.py planted
    tests/fuzz/run.py planted --seed "$seed"
fi
for target in "${targets[@]}"; do
    program=(tests/fuzz/run.py)
    [ "$target" = decoder ] && program=(tests/fuzz/decoders.py)
    if [ ${#files[@]} -gt 0 ]; then
        if [ "$target" = decoder ]; then "${program[@]}" replay "${files[@]}"; else "${program[@]}" replay "$target" "${files[@]}"; fi
    elif [ "$target" = decoder ]; then
        "${program[@]}" long --minutes "$minutes" --seed "$seed"
    else
        "${program[@]}" long "$target" --minutes "$minutes" --seed "$seed" "${keep[@]}"
    fi
done
