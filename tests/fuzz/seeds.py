# SPDX-License-Identifier: MIT
"""Where the fuzz targets begin: seeds made from what the project ships, and what earlier runs found worth keeping.

Kept inputs stand in corpus/TARGET.txt, one a line, deflated and in base64, so that a change of them can be read as one.
"""
import base64
import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Words of the formats, for targets whose inputs are text.
DICTIONARIES = {
    "cmdline": ["init=/", "rdinit=/", "loglevel=", "maxcpus=", "boothart=", "watchdog=", "quiet", "neuron.selftest=",
                "neuron.paths=general", "neuron.break=", "neuron.junk=", "neuron.fault=",
                "neuron.trace=refused,events", " -- ", "\"", "0x", "console=",
                "18446744073709551615"],
    "cpio": ["070701", "070702", "00000001", "000081A4", "000041ED", "0000A1FF", "TRAILER!!!\0", "../", "./", "ffffffff"],
    "recipe": ["schema = 1\n", "[[service]]\n", "[service.a]\n", "[role.r]\n", "[defaults]\n", "name = \"a\"\n",
               "program = \"/bin/a\"\n", "after = [\"a\"]\n", "role = \"r\"\n", "ready = \"ended\"\n",
               "rights = [\"power\"]\n", "cpus = \"0-2,5\"\n", "cpus = [0, 63]\n", "mask = 0x5\n", "prefer = \"1\"\n",
               "policy = \"prefer\"\n", "limit_cpus = \"all\"\n", "class = \"interactive\"\n", "shares = 300\n",
               "latency = \"5ms\"\n", "burst = \"2ms\"\n", "budget = \"5ms/10ms\"\n", "max_class = \"normal\"\n",
               "max_shares = 200\n", "group_shares = 9\n", "inherit_budget = true\n", "Nice = -5\n",
               "CPUWeight = \"idle\"\n", "CPUQuota = \"50%\"\n", "CPUQuotaPeriodSec = \"10ms\"\n", "CPUAffinity = \"0-2 4\"\n",
               "AllowedCPUs = \"0\"\n", "%%\n", "64", "4294967296", "99999999999", "{", "}", "'''", "\"\"\""],
}


def elf(segments, kind=2, entry=0x10000, extra=b""):
    """An ELF file of these program headers: (type, flags, offset, address, file bytes, memory bytes, alignment)."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", kind, 243, 1, entry, 64, 0, 5, 64, 56,
                                                             len(segments), 64, 0, 0)
    table = b"".join(struct.pack("<IIQQQQQQ", what, flags, offset, address, address, file, memory, align)
                     for what, flags, offset, address, file, memory, align in segments)
    return header + table + extra


def elf_seeds():
    path = b"/lib/ld.so\0"
    # As linkers lay it out: a byte less in an address, and two segments share a page.
    yield elf([(1, 5, 0, 0x10000, 176, 176, 4096), (1, 6, 176, 0x110b0, 16, 32, 4096)])
    yield elf([(3, 4, 232, 232, len(path), len(path), 1), (1, 5, 0, 0, 232, 232, 4096), (0x6474e551, 6, 0, 0, 0, 0, 16)],
              kind=3, entry=64, extra=path)
    yield elf([(1, 4, 0, 0x10000, 64, 64, 0x200000), (1, 5, 0x200040, 0x210040, 16, 16, 0x200000)], entry=0x210040)


def cpio_entry(name, data=b"", mode=0o100644, links=1, inode=1, check=0, magic=b"070701"):
    fields = [inode, mode, 0, 0, links, 1, len(data), 0, 1, 0, 0, len(name) + 1, check]
    entry = magic + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    entry += bytes(-len(entry) % 4) + data
    return entry + bytes(-len(entry) % 4)


def cpio_seeds():
    end = cpio_entry(b"TRAILER!!!", mode=0)
    yield cpio_entry(b".", mode=0o40755) + cpio_entry(b"./a", b"text") + cpio_entry(b".//b", b"more") + end
    yield cpio_entry(b"a", b"", links=2) + cpio_entry(b"b", b"both", links=2) + cpio_entry(b"l", b"a", mode=0o120777) + end
    yield cpio_entry(b"a", b"abc", magic=b"070702", check=294) + end + bytes(512) + cpio_entry(b"/a", b"new") + end


def cmdline_seeds():
    yield b"console=ttyS0 init=/bin/hello loglevel=4 maxcpus=2 boothart=0x1 watchdog=10 -- a b"
    yield b"quiet neuron.selftest=stay neuron.break=shares neuron.trace=refused,events neuron.paths=general A=\"b c\" \"d=e f\""
    yield b"rdinit=/x " + b"word " * 40 + b"k=v " * 40
    yield b"a" * 2100


def recipe_seeds():
    services = b"schema = 1\n[[service]]\nname = \"a\"\nprogram = \"/bin/a\"\n"
    for cpus in (b"cpus = \"0-3\"", b"cpus = [0, 6]\nprefer = \"0,4-6\"", b"mask = \"0x17\"", b"AllowedCPUs = \"0-1\""):
        yield services + b"%%\nschema = 1\n[service.a]\n" + cpus + b"\n"
    for qos in (b"latency = \"9000000s\"", b"budget = \"5ms/10ms\"", b"CPUQuota = \"50%\"", b"Nice = 5", b"shares = 30"):
        yield services + b"%%\n%%\nschema = 1\n[service.a]\n" + qos + b"\n"
    yield services + "%%\n%%\nschema = 1\n[service.a]\n\u00df\u2ff0 = \u4e2d\u3000\n".encode()
    recipes = [ROOT / "recipes", *sorted((ROOT / "tests/boot/recipes").glob("**/services.toml"))]
    for place in recipes:
        place = place.parent if place.suffix else place
        files = [place / "services.toml", place / "sched/affinity.toml", place / "sched/qos.toml"]
        yield b"%%\n".join(file.read_bytes() if file.exists() else b"" for file in files)


def fdt_seeds(build):
    blobs = sorted((build / "dts").glob("**/*.dtb"))
    if not blobs:
        raise FileNotFoundError(f"no device trees in {build}/dts: build the target fuzzers")
    # The large official trees are slow to read and say little more.
    return (blob.read_bytes() for blob in blobs if blob.stat().st_size <= 8192)


def kept(target):
    """What earlier runs kept."""
    path = HERE / "corpus" / f"{target}.txt"
    lines = path.read_text(encoding="ascii").split() if path.exists() else []
    return [zlib.decompress(base64.b64decode(line)) for line in lines]


def keep(target, inputs):
    path = HERE / "corpus" / f"{target}.txt"
    lines = sorted({base64.b64encode(zlib.compress(data, 9)).decode() for data in inputs}, key=lambda line: (len(line), line))
    path.write_text("".join(line + "\n" for line in lines), encoding="ascii")


def unpack(target, build, directory):
    """Seeds and kept inputs as files of `directory`; returns how many."""
    directory.mkdir(parents=True, exist_ok=True)
    made = {"elf": lambda: (bytes(2) + data for data in elf_seeds()), "cpio": cpio_seeds, "cmdline": cmdline_seeds,
            "recipe": recipe_seeds, "fdt": lambda: fdt_seeds(build)}[target]()
    count = 0
    for count, data in enumerate([*made, *kept(target)], 1):
        (directory / f"{count:04}").write_bytes(data)
    return count
