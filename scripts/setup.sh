#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what the build and the tests need on Debian 12, and nothing that is there already. The second run makes no
# apt call. QEMU and OpenSBI come from bookworm-backports: Debian 12's own QEMU 7.2 live-locks under -icount with more
# than one hart.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/setup.sh [--dry-run] [run|test]
  run        only what building and booting needs
  test       that and what scripts/test.sh needs (the default)
  --dry-run  print what would be installed, change nothing
TEXT
}

readonly backports_suite=bookworm-backports
readonly backports_file=/etc/apt/sources.list.d/neuron-backports.list
readonly backports_line="deb http://deb.debian.org/debian $backports_suite main"

# Building: cross compiler for kernel and programs, libfdt's source, toml++ for execd, GoogleTest's source.
run_packages=(cmake ninja-build ccache g++ g++-riscv64-linux-gnu git python3 xz-utils linux-source-6.12
              libtomlplusplus-dev googletest device-tree-compiler)
# Testing: libfdt as the host's oracle, the second compiler, its tools and its libFuzzer, U-Boot, what makes the SD card image,
# debuggers, protoc, which reads traces, spin, which checks models, and a browser that looks at the page of scripts/report.sh.
test_packages=(libfdt-dev libgtest-dev libgmock-dev clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev gcovr spin u-boot-qemu
               mtools dosfstools genimage gdb-multiarch openocd qemu-user cpio chromium-headless-shell
               protobuf-compiler)
# name=oldest version that works
backports_packages=(qemu-system-riscv=1:8.1 qemu-system-common=1:8.1 qemu-system-data=1:8.1 opensbi=1.5)

dry_run=false
group="test"
for argument in "$@"; do
    case "$argument" in
        --dry-run) dry_run=true ;;
        run | test) group=$argument ;;
        -h | --help) usage; exit 0 ;;
        *) echo "setup.sh: unknown argument '$argument'" >&2; usage >&2; exit 2 ;;
    esac
done

# Prints the version when the package is installed, nothing otherwise.
installed_version() {
    dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p' || true
}

missing=()
wanted=("${run_packages[@]}")
if [ "$group" = test ]; then
    wanted+=("${test_packages[@]}")
    # Any npm will do; Debian's brings hundreds of packages.
    command -v npm >/dev/null || wanted+=(npm)
fi
for package in "${wanted[@]}"; do
    [ -n "$(installed_version "$package")" ] || missing+=("$package")
done
missing_backports=()
for entry in "${backports_packages[@]}"; do
    version=$(installed_version "${entry%%=*}")
    if [ -z "$version" ] || ! dpkg --compare-versions "$version" ge "${entry#*=}"; then
        missing_backports+=("${entry%%=*}")
    fi
done

# U-Boot of Debian 13 for VisionFive 2 and for QEMU, Debian 12's old QEMU, programs for the guest: into the cache, not into
# the system.
fetch_into_cache() {
    if [ "$group" = test ] && ! $dry_run; then
        "$(dirname "$0")/flash/fetch-u-boot.sh" visionfive2 >/dev/null
        "$(dirname "$0")/flash/fetch-u-boot.sh" qemu >/dev/null
        "$(dirname "$0")/fetch-qemu72.sh" >/dev/null
        "$(dirname "$0")/fetch-programs.sh" >/dev/null
    fi
}

if [ ${#missing[@]} -eq 0 ] && [ ${#missing_backports[@]} -eq 0 ]; then
    fetch_into_cache
    echo "setup: everything is installed"
    exit 0
fi

. /etc/os-release
if [ "${VERSION_CODENAME:-}" != bookworm ]; then
    echo "setup.sh: written for Debian 12 (bookworm), this is ${PRETTY_NAME:-unknown}." >&2
    echo "setup.sh: install by hand: ${missing[*]-} ${missing_backports[*]-}" >&2
    exit 1
fi

add_backports=false
if [ ${#missing_backports[@]} -gt 0 ] &&
    ! grep -rqsE "^[^#]*\b$backports_suite\b" /etc/apt/sources.list /etc/apt/sources.list.d \
        --include='*.list' --include='*.sources'; then
    add_backports=true
fi

[ ${#missing[@]} -eq 0 ] || echo "setup: to install: ${missing[*]}"
[ ${#missing_backports[@]} -eq 0 ] || echo "setup: to install from $backports_suite: ${missing_backports[*]}"
$add_backports && echo "setup: to add to $backports_file: $backports_line"
if $dry_run; then
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup.sh: packages are missing (see above); run it as root, or install sudo" >&2
        exit 1
    fi
    as_root=(sudo)
fi

if $add_backports; then
    echo "$backports_line" | "${as_root[@]}" tee "$backports_file" >/dev/null
fi
apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }
apt_get update
[ ${#missing[@]} -eq 0 ] || apt_get install -y --no-install-recommends "${missing[@]}"
[ ${#missing_backports[@]} -eq 0 ] ||
    apt_get install -y --no-install-recommends -t "$backports_suite" "${missing_backports[@]}"
fetch_into_cache
echo "setup: done"
