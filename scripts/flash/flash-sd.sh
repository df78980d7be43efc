#!/bin/bash
# SPDX-License-Identifier: MIT
# Writes the SD card image to a card and reads it back. It would rather refuse a good device than erase a wrong one.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/flash/flash-sd.sh [--image FILE] [--dry-run] DEVICE
  DEVICE        the card: a whole disk, as /dev/sdX or /dev/mmcblkN, or a link to it from /dev/disk
  --image FILE  default build/riscv-release/neuron-sd.img
  --dry-run     check everything, write nothing
Refused are partitions, disks that cannot be taken out, disks in use, and cards that are too small or write-protected. It
asks to type the device's name before it writes, and compares afterwards.
Exit status: 0 written and compared, 1 refused or failed.
TEXT
}

die() {
    echo "flash-sd.sh: $*" >&2
    exit 1
}

root=$(cd "$(dirname "$0")/../.." && pwd)
image=$root/build/riscv-release/neuron-sd.img device='' dry_run=false
# For tests: a folder that stands for the whole system, with dev/, sys/ and proc/ of its own. Devices are files there, and
# nothing but a file is written then.
fake=${NEURON_FLASH_TEST_ROOT:-}

while [ $# -gt 0 ]; do
    case "$1" in
        --image) image=${2:?--image wants a file}; shift ;;
        --dry-run) dry_run=true ;;
        -h | --help) usage; exit 0 ;;
        -*) echo "flash-sd.sh: unknown option '$1'" >&2; usage >&2; exit 1 ;;
        *) [ -z "$device" ] || die "one device at a time: '$device' or '$1'?"; device=$1 ;;
    esac
    shift
done

# The text of a file of sysfs without blanks at its ends; nothing when there is none.
attribute() { if [ -r "$1" ]; then sed 's/^ *//; s/ *$//' "$1"; fi; }

# Whether a disk of sysfs is a card or stick: what the bus calls removable, or what the host of a card reader calls an SD
# card (its disks are not "removable" for Linux, as eMMC is not).
is_card() { [ "$(attribute "$1/removable")" = 1 ] || [ "$(attribute "$1/device/type")" = SD ]; }

describe() {
    local block=$1
    echo "$(attribute "$block/device/vendor") $(attribute "$block/device/model")$(attribute "$block/device/name")," \
        "$(($(attribute "$block/size") / 2048)) MiB"
}

if [ -z "$device" ]; then
    echo "flash-sd.sh: which device? These can be taken out:" >&2
    for block in "$fake"/sys/block/*; do
        if is_card "$block" && [ "$(attribute "$block/size")" != 0 ]; then
            echo "  /dev/${block##*/}  $(describe "$block")" >&2
        fi
    done
    exit 1
fi

[ -f "$image" ] || die "no image $image: make it first (scripts/flash/make-sd-image.sh)"
path=$(readlink -f "$fake$device") || die "no such device: $device"
[ -e "$path" ] || die "no such device: $device"
if [ -n "$fake" ]; then
    [ -f "$path" ] || die "$device: a test writes to files only"
    case "$path" in "$(readlink -f "$fake")"/dev/*) ;; *) die "$device: outside the test's folder" ;; esac
elif [ ! -b "$path" ]; then
    die "$device is not a disk but a $(stat -c %F "$path")"
fi
name=${path##*/}
block=$fake/sys/block/$name
if [ ! -d "$block" ]; then
    for parent in "$fake"/sys/block/*; do
        [ ! -d "$parent/$name" ] || die "$device is a partition: the image has its own, give the whole disk /dev/${parent##*/}"
    done
    die "$device: the system knows no disk of this name"
fi
is_card "$block" || die "$device cannot be taken out ($(describe "$block")): that is no SD card"
[ "$(attribute "$block/ro")" = 0 ] || die "$device is write-protected: look at the switch on the card's side"

# In use: mounted, swapped to, or part of something bigger; the disk or one of its partitions.
parts=("$name")
for part in "$block/$name"*; do
    [ ! -d "$part" ] || parts+=("${part##*/}")
done
for part in "${parts[@]}"; do
    while read -r source target _; do
        case "$source" in
            /dev/*) [ "$(basename "$(readlink -f "$fake$source")")" != "$part" ] ||
                die "/dev/$part is mounted on $target: unmount it first (umount $target)" ;;
        esac
    done <"$fake/proc/self/mounts"
    while read -r source _; do
        [ "$source" != "/dev/$part" ] || die "/dev/$part is used as swap space"
    done <"$fake/proc/swaps"
    holders=$block/holders
    [ "$part" = "$name" ] || holders=$block/$part/holders
    for holder in "$holders"/*; do
        [ ! -e "$holder" ] || die "/dev/$part is used by ${holder##*/} (RAID, LVM or encryption)"
    done
done

size=$(stat -c %s "$image")
[ "$(attribute "$block/size")" != 0 ] || die "there is no card in $device"
[ $(($(attribute "$block/size") * 512)) -ge "$size" ] || die "$device is too small: the image has $((size >> 20)) MiB"
sums=$(dirname "$image")/SHA256SUMS
if [ -f "$sums" ]; then
    wanted=$(awk -v name="$(basename "$image")" '$2 == name { print $1 }' "$sums")
    [ -z "$wanted" ] || [ "$wanted" = "$(sha256sum <"$image" | cut -d ' ' -f 1)" ] ||
        die "$image is not what $sums says: make it again"
fi

echo "image:  $image ($((size >> 20)) MiB)"
echo "device: /dev/$name, $(describe "$block"); partitions now: $((${#parts[@]} - 1))"
if $dry_run; then
    echo "dry run: nothing is written"
    exit 0
fi
[ -w "$path" ] || die "$device: not writable for $(id -un): run it with sudo"
echo "EVERYTHING on /dev/$name will be lost."
printf 'Type the name of the device (%s) to go on: ' "$name"
typed=''
read -r typed || true
[ "$typed" = "$name" ] || [ "$typed" = "/dev/$name" ] || die "that was '$typed': nothing is written"

flags=()
[ -n "$fake" ] || flags=(iflag=direct) # past the page cache: what the card has, not what was written
dd if="$image" of="$path" bs=1M conv=fsync,notrunc status=none || die "$device: writing failed"
cmp -n "$size" <(dd if="$path" bs=1M count=$(((size + 1048575) >> 20)) "${flags[@]}" status=none) "$image" >&2 ||
    die "$device: what was read back differs: the card or its reader is bad"
# Makes the system read the new partition table; it does so by itself when the card is put in again.
[ -n "$fake" ] || blockdev --rereadpt "$path" 2>/dev/null || true
echo "written and compared: take the card out"
