#!/bin/bash
# SPDX-License-Identifier: MIT
# Writes the SD card image: the same files make the same bytes. Needs neither privileges nor loop devices.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/flash/make-sd-image.sh [options]
  --build-dir DIR  where Image, initrd.cpio and dts/*.dtb are (default build/riscv-release)
  --output FILE    the image (default DIR/neuron-sd.img); FILE.bmap and SHA256SUMS are written beside it
  --firmware DIR   a self-contained card, for the boot mode SD: with u-boot-spl.bin.normal.out and u-boot.itb from
                   here (scripts/flash/fetch-u-boot.sh gets Debian's); default output DIR/neuron-sd-firmware.img
  --append WORDS   more kernel command line, in every boot entry
  --help           this text
SOURCE_DATE_EPOCH, in seconds, is the date of all files on the card (default: 2025-01-01).
TEXT
}

die() {
    echo "make-sd-image.sh: $*" >&2
    exit 1
}

root=$(cd "$(dirname "$0")/../.." && pwd)
build_dir=$root/build/riscv-release output='' firmware='' append=''
while [ $# -gt 0 ]; do
    option=$1
    shift
    case "$option" in
        --build-dir | --output | --firmware | --append)
            [ $# -gt 0 ] || die "$option wants a value"
            name=${option#--}
            declare "${name//-/_}=$1"
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "make-sd-image.sh: unknown option '$option'" >&2; usage >&2; exit 1 ;;
    esac
done
layout=neuron-sd
[ -z "$firmware" ] || layout=neuron-sd-firmware
output=${output:-$build_dir/$layout.img}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1735689600}
export TZ=UTC LC_ALL=C MTOOLSRC=/dev/null PYTHONDONTWRITEBYTECODE=1
PATH=$PATH:/usr/sbin:/sbin

for tool in genimage mkfs.vfat mcopy mmd python3; do
    command -v "$tool" >/dev/null || die "no $tool: run scripts/setup.sh"
done
# What extlinux.conf, uEnv.txt and U-Boot's shell all take literally.
case "$append" in
    *[!A-Za-z0-9\ .,:=/_-]*) die "--append '$append': letters, digits, blanks and . , : = / _ - only" ;;
esac
board=$root/boards/visionfive2
inputs=("$build_dir/Image" "$build_dir/initrd.cpio" "$build_dir/dts/jh7110-visionfive2.dtb"
        "$build_dir/dts/visionfive2-map.dtb")
for file in "${inputs[@]}"; do
    [ -f "$file" ] || die "no $file: build it first (scripts/build.sh riscv-release)"
done

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage"/{card/{dtbs,extlinux,tools},in,out,root,tmp}

# What lies on the card.
card=$stage/card
cp "${inputs[@]:0:2}" "$card/"
cp "${inputs[@]:2}" "$card/dtbs/"
cp "$root/tools/update_recipes.py" "$root/tools/mkinitrd.py" "$card/tools/"
python3 "$root/tools/update_recipes.py" --extract --initrd "$card/initrd.cpio" --recipes "$card/recipes"
sed "s|^ *append .*|&${append:+ $append}|" "$board/extlinux.conf" >"$card/extlinux/extlinux.conf"
for file in uEnv.txt vf2_uEnv.txt; do
    sed "s|^bootargs=.*|&${append:+ $append}|" "$board/$file" >"$card/$file"
done

# The file system, in a fixed order; mtools takes the date from SOURCE_DATE_EPOCH.
vfat=$stage/in/neuron-boot.vfat
truncate -s 64M "$vfat"
mkfs.vfat -F 32 -s 1 -n NEURON --invariant "$vfat" >/dev/null
(cd "$card" && find . -mindepth 1 -type d | sort) | while IFS= read -r folder; do mmd -i "$vfat" "::$folder"; done
(cd "$card" && find . -type f | sort) | while IFS= read -r file; do mcopy -i "$vfat" "$card/$file" "::$file"; done

if [ -n "$firmware" ]; then
    python3 "$root/tools/check_firmware.py" "$firmware" || exit 1
    cp "$firmware/u-boot-spl.bin.normal.out" "$firmware/u-boot.itb" "$stage/in/"
fi
genimage --config "$board/$layout.genimage.cfg" --rootpath "$stage/root" --tmppath "$stage/tmp" \
    --inputpath "$stage/in" --outputpath "$stage/out" >"$stage/log" 2>&1 || { cat "$stage/log" >&2; die "genimage failed"; }

mkdir -p "$(dirname "$output")"
cp --sparse=always "$stage/out/$layout.img" "$output.part"
mv "$output.part" "$output"
python3 "$root/tools/make_bmap.py" "$output" "$output.bmap"
cd "$(dirname "$output")"
name=$(basename "$output")
{
    grep -vsF -e " $name" SHA256SUMS || true
    sha256sum "$name" "$name.bmap"
} | sort -k 2 >SHA256SUMS.part
mv SHA256SUMS.part SHA256SUMS
echo "make-sd-image: $output"
