#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The machines that the image is booted on: how QEMU is started for each, what is typed at its boot loader, and what its
log must show besides the markers.

    board_cells.py list             the names, the stand-ins for boards first
    board_cells.py stand-ins        of those, the machines that stand in for boards
    board_cells.py table            name and purpose
    board_cells.py lanes NAME       the lanes it can run in
    board_cells.py note NAME        what to know about its figures, if anything
    board_cells.py check NAME SMP   uart_check.py's options for a log of that machine
"""

import dataclasses
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
QEMU = "qemu-system-riscv64"
OPENSBI = pathlib.Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin")
U_BOOT = pathlib.Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")

# Memory of the VisionFive 2, as offsets into its RAM at 0x4000_0000 (tools/visionfive2-map/reset.S).
MAP_RAM = 0x40000000
MAP_RAM_BYTES = 512 << 20
MAP_IMAGE = 0x200000
MAP_TREE = 0x6000000
MAP_INITRD = 0x6100000
U_BOOT_ADDRESS = 0x80200000
CARD_PARTITION = "@@8M"


class CellError(Exception):
    """The cell cannot be started; the message says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One machine. `start` puts the programs into it: direct (by QEMU), card (U-Boot from the SD card image), ram (a
    file that is its RAM) or ram-card (the firmware in such a file, the rest from the card)."""
    name: str
    proves: str
    machine: str = "virt"
    cpu: str = ""
    mem: str = "512M"
    harts: tuple = (1, 2, 3, 4, 5, 6, 7, 8)  # how many usable ones it can have
    other_harts: int = 0   # harts that QEMU counts, too, and the kernel cannot use
    first_cpu: int = 0     # CpuId of the first usable hart
    first_hart: int = 0    # its hart id; the icount lane boots on it
    start: str = "direct"
    menu: str = ""         # what is typed at the card's boot menu
    tree: str = ""         # our device tree, where QEMU's own is not taken
    firmware: str = ""
    parks: bool = False    # cannot switch itself off: says so behind the end marker
    emulator: str = ""     # script that prints the path of another QEMU
    lanes: tuple = ("icount", "mttcg")
    stands_in: bool = True  # for a board, rather than for a processor or another firmware
    expects: tuple = ()    # regular expressions that lines of the log match, in any order
    note: str = ""


HART_0_DISABLED = r"hart 0 is not used: disabled in the device tree$"
VISIONFIVE2_CPU = "rv64,h=off,sstc=off,svade=on,svadu=off,zicbom=off,zicboz=off"
SCALED_TIME = ("time is scaled on purpose: the tree says 4 MHz, as the JH7110's does, and the emulator counts at 10 MHz: a "
               "second of the kernel's lasts 0.4 s")
CELLS = {cell.name: cell for cell in (
    Cell("qemu-virt", "the reference: QEMU starts OpenSBI, which starts the image",
         expects=(r"^OpenSBI v", r"console: serial@10000000 \(ns16550a\)$")),
    Cell("uboot-sd", "U-Boot boots the SD card image by itself: partition, boot menu, Image header, initrd",
         start="card", menu="2",
         expects=(r"^Scanning virtio 0:3\.\.\.$", r"^Moving Image from 0x84000000 to 0x80200000", r"^Starting kernel \.\.\.$")),
    Cell("visionfive2-map", "RAM at 0x4000_0000 as on VisionFive 2, a monitor core, harts 1..4, addressed by our tree",
         cpu=VISIONFIVE2_CPU, mem="256M", harts=(4,), other_harts=1, first_hart=1, start="ram", tree="visionfive2-map",
         expects=(r"NEURON \S+ on VisionFive 2 memory map on QEMU virt, boot hart [1-4]$", HART_0_DISABLED,
                  r"console: serial@10000000 \(starfive,jh7110-uart\)$", r"^Firmware Base +: 0x40000000$",
                  r"^Domain0 Next Address +: 0x0000000040200000$"),
         note=SCALED_TIME),
    Cell("visionfive2-map-uboot", "the same with U-Boot and the SD card image: Image, tree and initrd where the board has them",
         cpu=VISIONFIVE2_CPU, mem="1G", harts=(4,), other_harts=1, first_hart=1, start="ram-card", menu="3",
         tree="visionfive2-map-firmware",
         expects=(r"NEURON \S+ on VisionFive 2 memory map on QEMU virt, boot hart [1-4]$", HART_0_DISABLED,
                  r"console: serial@10000000 \(starfive,jh7110-uart\)$", r"^Retrieving file: /dtbs/visionfive2-map.dtb$",
                  r"Using Device Tree in place at 0+46000000, ", r"^Starting kernel \.\.\.$"),
         note=SCALED_TIME),
    Cell("sifive_u", "a monitor core, the PLIC contexts of the JH7110, SiFive's UART, 1 MHz, no power-off",
         machine="sifive_u", mem="1G", harts=(1, 2, 3, 4), other_harts=1, first_hart=1, parks=True,
         expects=(r"on SiFive HiFive Unleashed A00, boot hart [1-4]$", HART_0_DISABLED,
                  r"console: serial@10010000 \(sifive,uart0\)$")),
    Cell("sifive_u-lying-dt", "a tree that calls the monitor core usable: the firmware starts it and it never comes",
         machine="sifive_u", mem="1G", harts=(4,), other_harts=1, first_cpu=1, first_hart=1, parks=True,
         tree="sifive-u-lying",
         expects=(r"on SiFive HiFive Unleashed A00 \(hart 0 lies\), boot hart [1-4]$",
                  r"cpu0 \(hart 0\) was started and did not come; going on without it$")),
    Cell("icicle", "a word per UART register, console by alias with options, two places of memory, hart 0 unknown to the "
                   "firmware, no reset at all",
         machine="microchip-icicle-kit", mem="2G", harts=(4,), other_harts=1, first_hart=1, parks=True, tree="icicle",
         firmware=str(OPENSBI),
         expects=(r"on Microchip PolarFire-SoC Icicle Kit, boot hart [1-4]$", HART_0_DISABLED,
                  r"console: serial@20000000 \(ns16550a\)$", r"memory: 2GiB of RAM,")),
    Cell("qemu-virt-svade", "clear A and D bits of page tables fault, as on U54 and U74: all of ours are set",
         cpu="rv64,svade=on,svadu=off", stands_in=False),
    Cell("qemu-virt-u54", "privileged architecture 1.10, no Sstc, nothing newer than RV64GC", cpu="sifive-u54", stands_in=False),
    Cell("qemu-virt-aplic", "AIA instead of PLIC: wired interrupts by the APLIC", machine="virt,aia=aplic", stands_in=False,
         expects=(r"interrupts: APLIC, ",)),
    Cell("qemu-virt-aplic-imsic", "AIA with message-signalled interrupts", machine="virt,aia=aplic-imsic", stands_in=False,
         expects=(r"interrupts: APLIC and IMSIC, ",)),
    Cell("qemu72-virt", "the emulator and the firmware of Debian 12: QEMU 7.2, OpenSBI 1.1 without debug console",
         emulator="scripts/fetch-qemu72.sh", lanes=("mttcg",), stands_in=False, expects=(r"^OpenSBI v1\.1$",),
         note="QEMU 7.2 live-locks under icount with more than one hart: a host thread per hart"),
)}


@dataclasses.dataclass
class Job:
    """A boot of a cell: paths of the build, and the word for the kernel."""
    image: pathlib.Path
    initrd: pathlib.Path | None
    build_dir: pathlib.Path
    work: pathlib.Path  # an empty folder that lives as long as the run
    smp: int
    mem: str
    append: str = ""


@dataclasses.dataclass
class Plan:
    """What to run: the emulator, its arguments, (pattern, reply) pairs for its console, and the digests of what the kernel
    was booted from."""
    arguments: list
    dialogue: list
    digests: dict
    emulator: str = QEMU


def digest(data):
    return hashlib.sha256(data).hexdigest()


def need(path, hint):
    if not path.is_file():
        raise CellError(f"no {path}: {hint}")
    return path


def tree_of(job, name):
    return need(job.build_dir / "dts" / f"{name}.dtb", "build it first (ninja dtbs)")


def run_tool(*command, **options):
    try:
        return subprocess.run([str(word) for word in command], check=True, capture_output=True, **options)
    except FileNotFoundError as error:
        raise CellError(f"{error.filename} is not installed: run scripts/setup.sh") from error
    except subprocess.CalledProcessError as error:
        raise CellError(f"{command[0]} failed: {error.stderr.decode(errors='replace').strip()}") from error


def card_of(job):
    """The SD card image: the one that goes on a card, unless the command line asks for words of its own."""
    make = ROOT / "scripts/flash/make-sd-image.sh"
    if job.initrd and job.initrd != job.build_dir / "initrd.cpio" or job.image != job.build_dir / "Image":
        raise CellError(f"the card holds Image and initrd.cpio of {job.build_dir}, no others")
    if job.append:
        card = job.work / "card.img"
        run_tool(make, "--build-dir", job.build_dir, "--output", card, "--append", job.append)
        return card
    card = job.build_dir / "neuron-sd.img"
    inputs = [job.image, job.build_dir / "initrd.cpio", *(job.build_dir / "dts").glob("*.dtb")]
    with (job.build_dir / "neuron-sd.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not card.is_file() or any(path.stat().st_mtime > card.stat().st_mtime for path in inputs):
            run_tool(make, "--build-dir", job.build_dir, "--output", card)
    return card


def from_card(card, name, work):
    """A file of the card's FAT partition, as U-Boot reads it."""
    copy = work / "from-card"
    run_tool("mcopy", "-n", "-o", "-i", f"{card}{CARD_PARTITION}", f"::{name}", copy,
             env={**os.environ, "MTOOLSRC": "/dev/null"})
    return copy.read_bytes()


def card_arguments(card):
    return ["-drive", f"file={card},format=raw,if=none,id=card,readonly=on", "-device", "virtio-blk-device,drive=card"]


def card_digests(card, work):
    return {"Image": digest(from_card(card, "/Image", work)), "initrd": digest(from_card(card, "/initrd.cpio", work))}


def tree_with_chosen(job, tree, append):
    """The tree with what a boot loader would tell the kernel."""
    copy = job.work / "tree.dtb"
    shutil.copyfile(tree_of(job, tree), copy)
    if append:
        run_tool("fdtput", "-t", "s", copy, "/chosen", "bootargs", append)
    if job.initrd:
        end = MAP_RAM + MAP_INITRD + job.initrd.stat().st_size
        run_tool("fdtput", "-t", "x", copy, "/chosen", "linux,initrd-start", "0", f"{MAP_RAM + MAP_INITRD:x}")
        run_tool("fdtput", "-t", "x", copy, "/chosen", "linux,initrd-end", "0", f"{end:x}")
    return copy.read_bytes()


def ram_arguments(job, reset, contents):
    """virt with the RAM of an ivshmem device, filled beforehand; `contents` maps offsets to bytes. Returns the arguments
    and the file."""
    ram = job.work / "ram.bin"
    with ram.open("wb") as file:
        file.truncate(MAP_RAM_BYTES)
        for offset, data in contents.items():
            file.seek(offset)
            file.write(data)
    program = need(job.build_dir / "visionfive2-map" / f"reset-{reset}.bin", "build it first (ninja visionfive2_map)")
    return ["-bios", str(program),
            "-object", f"memory-backend-file,id=ram,mem-path={ram},size={MAP_RAM_BYTES},share=off",
            "-device", "ivshmem-plain,memdev=ram,addr=1"], ram


def read_back(ram, offset, size):
    with ram.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def plan_direct(cell, job, append):
    arguments = ["-kernel", str(job.image)]
    digests = {"Image": digest(job.image.read_bytes())}
    if job.initrd:
        arguments += ["-initrd", str(job.initrd)]
        digests["initrd"] = digest(job.initrd.read_bytes())
    if cell.tree:
        arguments += ["-dtb", str(tree_of(job, cell.tree))]
    if cell.firmware:
        arguments += ["-bios", str(need(pathlib.Path(cell.firmware), "run scripts/setup.sh"))]
    if append:
        arguments += ["-append", append]
    return Plan(arguments, [], digests)


def plan_card(cell, job, _append):
    card = card_of(job)
    return Plan(["-kernel", str(need(U_BOOT, "run scripts/setup.sh test")), *card_arguments(card)],
                [(rb"Enter choice: ", cell.menu.encode() + b"\r")], card_digests(card, job.work))


def plan_ram(cell, job, append):
    contents = {0: need(OPENSBI, "run scripts/setup.sh").read_bytes(), MAP_IMAGE: job.image.read_bytes(),
                MAP_TREE: tree_with_chosen(job, cell.tree, append)}
    if job.initrd:
        contents[MAP_INITRD] = job.initrd.read_bytes()
    arguments, ram = ram_arguments(job, "image", contents)
    digests = {"Image": digest(read_back(ram, MAP_IMAGE, job.image.stat().st_size))}
    if job.initrd:
        digests["initrd"] = digest(read_back(ram, MAP_INITRD, job.initrd.stat().st_size))
    return Plan(arguments, [], digests)


def plan_ram_card(cell, job, _append):
    contents = {0: need(OPENSBI, "run scripts/setup.sh").read_bytes(), MAP_TREE: tree_of(job, cell.tree).read_bytes()}
    arguments, _ = ram_arguments(job, "u-boot", contents)
    card = card_of(job)
    arguments += ["-device", f"loader,file={need(U_BOOT, 'run scripts/setup.sh test')},addr={U_BOOT_ADDRESS:#x}",
                  *card_arguments(card)]
    # The addresses of the board's own U-Boot.
    addresses = {"kernel_addr_r": 0x40200000, "fdt_addr_r": MAP_RAM + MAP_TREE, "ramdisk_addr_r": MAP_RAM + MAP_INITRD,
                 "scriptaddr": 0x43900000, "pxefile_addr_r": 0x45900000}
    commands = [f"setenv {name} {address:#x}" for name, address in addresses.items()] + ["run distro_bootcmd"]
    return Plan(arguments, [(rb"Hit any key to stop autoboot", b" "),
                            *((rb"=> ", command.encode() + b"\r") for command in commands),
                            (rb"Enter choice: ", cell.menu.encode() + b"\r")], card_digests(card, job.work))


def emulator_of(cell):
    if not cell.emulator:
        return QEMU
    try:
        return subprocess.run([ROOT / cell.emulator], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    except subprocess.CalledProcessError as error:
        raise CellError(f"{cell.emulator} failed") from error


def plan(cell, job, append):
    """`append` is the whole kernel command line where there is no card; job.append what the caller asked for."""
    if job.smp not in cell.harts:
        raise CellError(f"{cell.name} has {' or '.join(map(str, cell.harts))} usable harts, not {job.smp}")
    made = {"direct": plan_direct, "card": plan_card, "ram": plan_ram, "ram-card": plan_ram_card}[cell.start](cell, job, append)
    made.emulator = emulator_of(cell)
    return made


def check_options(cell, smp):
    """uart_check.py's options for a log of this machine."""
    options = ["--online", hex(((1 << smp) - 1) << cell.first_cpu)]
    if cell.parks:
        options.append("--parks")
    for pattern in cell.expects:
        options += ["--expect", pattern]
    return options


def find(name):
    if name not in CELLS:
        raise CellError(f"no board is called '{name}' (known: {', '.join(CELLS)})")
    return CELLS[name]


def main(arguments):
    try:
        match arguments:
            case ["list"]:
                print("\n".join(CELLS))
            case ["stand-ins"]:
                print("\n".join(name for name, cell in CELLS.items() if cell.stands_in))
            case ["table"]:
                width = max(map(len, CELLS))
                print("\n".join(f"  {name:{width}}  {cell.proves}" for name, cell in CELLS.items()))
            case ["lanes", name]:
                print("\n".join(find(name).lanes))
            case ["note", name]:
                print(find(name).note)
            case ["check", name, smp] if re.fullmatch(r"[1-9]\d*", smp):
                print("\n".join(check_options(find(name), int(smp))))
            case _:
                print(__doc__.strip(), file=sys.stderr)
                return 2
    except CellError as error:
        print(f"board_cells: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
