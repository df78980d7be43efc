# SPDX-License-Identifier: MIT
"""Which tests the foreign suites have, and how each is compiled: read from the suites' own files.

A test is one program. What a suite says about it (the standard it wants, its flags, arguments and expected end) is taken from
there: dg- directives, Makefiles, macros of the test driver.
"""

import dataclasses
import pathlib
import re

CC = "riscv64-linux-gnu-gcc"
CXX = "riscv64-linux-gnu-g++"
# Seconds of guest time. glibc's test driver gives a test 20 s, libstdc++'s 10 minutes on whatever machine; both are for one
# test on an idle machine.
DEFAULT_LIMIT_S = 20
LONG_LIMIT_S = 60
# The kernel's own selftest runner gives a test 45 s, and those of timers no limit (timers/settings); the longest that ends
# sleeps for 120 s and some.
KERNEL_LIMIT_S = 45
TIMERS_LIMIT_S = 165
# Where harts are threads of the host, guest time is the host's, and a test's limit is for a machine that is ten times as fast
# and has a core for each hart: glibc's TIMEOUTFACTOR, for Linux as well.
RACING_LIMIT_FACTOR = 5
# Tests whose threads spin for tens of seconds: hours where every instruction is counted. They run in the other lane only.
BUSY = re.compile(r"^glibc/.*/tst-(?:pthread-timedlock-lockloop|cond1[678]|robust-fork|rwlock-try(?:rd|wr)lock-stall|mutex10|"
                  r"create-detached|rwlock-pwn|thread-affinity-\w+)$|"
                  r"^linux/(?:inconsistency-check|threadtest|posix_timers|leapcrash|skew_consistency|change_skew)$")


@dataclasses.dataclass(frozen=True)
class Library:
    """An archive that tests of a suite link."""
    name: str
    compiler: str
    sources: tuple
    flags: tuple


@dataclasses.dataclass(frozen=True)
class Program:
    """One executable: its sources, and the libraries by name."""
    name: str
    compiler: str
    sources: tuple
    flags: tuple
    libraries: tuple = ()
    link: tuple = ()


@dataclasses.dataclass(frozen=True)
class Test:
    """One run of a program. expect: "exit 0", "signal 6"."""
    name: str
    program: str
    arguments: tuple = ()
    limit_s: int = DEFAULT_LIMIT_S
    expect: str = "exit 0"
    environment: tuple = ()


@dataclasses.dataclass
class Suite:
    name: str
    what: str
    libraries: list = dataclasses.field(default_factory=list)
    programs: list = dataclasses.field(default_factory=list)
    tests: list = dataclasses.field(default_factory=list)

    def add(self, program, *runs):
        """A program with its runs; none given is one without arguments."""
        self.programs.append(program)
        self.tests += runs or [Test(program.name, program.name)]


# libstdc++: { dg-do run { target c++20 } }, { dg-options "-std=gnu++20" }.
DIRECTIVE = re.compile(r'\{ *dg-(?P<what>[\w-]+) *(?P<rest>.*)\}')
QUOTED = re.compile(r'"([^"]*)"')


def libstdcxx_flags(text):
    """The flags of a run test, or None for a test that is only compiled or not for this machine."""
    flags, runs = [], False
    for match in map(DIRECTIVE.search, text.splitlines()):
        if not match:
            continue
        what, rest = match["what"], match["rest"]
        if what == "do":
            runs = rest.split()[0] == "run"
            if "c++11_only" in rest:
                flags.append("-std=gnu++14")
        elif what in ("options", "additional-options"):
            quoted = QUOTED.search(rest)
            flags += quoted[1].split() if quoted else []
    return flags if runs else None


def libstdcxx(root):
    suite = Suite("libstdcxx", "libstdc++'s 30_threads and 29_atomics (gcc-12-source)")
    top = next(root.glob("gcc-12*")) / "libstdc++-v3/testsuite"
    base = ("-O1", "-w", "-D_GLIBCXX_ASSERT", f"-I{top}/util", "-pthread")
    suite.libraries.append(Library("testc++", CXX, tuple(f"{top}/util/testsuite_{part}.cc" for part in (
        "hooks", "allocator", "character")), (*base, "-std=gnu++17")))
    for folder in ("29_atomics", "30_threads"):
        for source in sorted((top / folder).rglob("*.cc")):
            flags = libstdcxx_flags(source.read_text(encoding="latin-1"))
            if flags is None:
                continue
            name = f"libstdcxx/{source.relative_to(top).with_suffix('')}"
            # Named as the suite's own runner does: there is a stop_token.cc beside a folder stop_token.
            program = Program(f"{name}.exe", CXX, (str(source),), (*base, *flags), ("testc++",), ("-latomic",))
            suite.add(program, Test(name, program.name, limit_s=LONG_LIMIT_S))
    return suite


# glibc: CFLAGS-tst-x.c += -f, tst-x-ARGS = a b; in the test: #define EXPECTED_SIGNAL SIGALRM.
MAKE_CFLAGS = re.compile(r"^(?:CFLAGS|CPPFLAGS)-(?P<file>[\w.-]+) *\+?:?= *(?P<flags>.*)$", re.M)
MACRO = re.compile(r"^# *define +(EXPECTED_SIGNAL|EXPECTED_STATUS|TIMEOUT) +(.+?)(?: */\*.*)?$", re.M)
INCLUDED_TEST = re.compile(r'^#include [<"](?:[\w/]*/)?(tst-[\w-]+\.c)[">]', re.M)
SIGNALS = {"SIGABRT": 6, "SIGKILL": 9, "SIGALRM": 14, "SIGTERM": 15, "SIGCANCEL": 32, "SIGUSR1": 10, "SIGCHLD": 17}
SUPPORT_ROUTINES = re.compile(r"^libsupport-routines = \\\n((?:  [\w-]+ \\\n)+)", re.M)
# For systems of 32 bits.
NO_SUPPORT = ("support_path_support_time64", "support_socket_so_timestamp_time64")
# Included by others, or shared objects.
NO_TEST = re.compile(r"mod\w*$|-time64$|aux$|skeleton|-common$|^tst-cancel-self-cleanup$|-compat$")
# Our stand-ins for what is not in the distribution's C library.
HEADERS = pathlib.Path(__file__).resolve().parent / "headers"
# Headers of glibc's own that tests include and that stand alone.
EMPTY_HEADERS = ("config.h", "shlib-compat.h", "elf/dl-tunables.h")  # included, and nothing of them used
PLAIN_HEADERS = ("array_length.h", "libc-diag.h", "intprops.h", "scratch_buffer.h", "libc-pointer-arith.h")
GLIBC_FOLDERS = ("nptl", "sysdeps/pthread")
GLIBC_LINUX = ("tst-affinity.c", "tst-affinity-pid.c")
GLIBC_POSIX = ("tst-posix_spawn-fd.c", "tst-posix_spawn-setsid.c", "tst-spawn.c", "tst-spawn2.c", "tst-spawn3.c", "tst-spawn4.c",
               "tst-spawn5.c", "tst-spawn6.c", "tst-spawn-chdir.c", "tst-sched_getaffinity.c", "tst-cpuset.c", "tst-cpucount.c",
               "tst-sched_rr_get_interval.c", "tst-vfork1.c", "tst-vfork2.c", "tst-vfork3.c", "tst-waitid.c", "tst-exec.c",
               "tst-fork.c", "tst-pause.c", "tst-nanosleep.c", "tst-getpid1.c", "tst-getpid2.c")
# NAME-ARGS of the Makefiles; SELF stands for $(host-test-program-cmd), the test's own path.
ARGUMENTS = {"tst-spawn": ("--", "SELF"), "tst-spawn5": ("--", "SELF"), "tst-spawn6": ("--", "SELF"), "tst-exec": ("--", "SELF"),
             "tst-exec4": ("SELF",), "tst-cancel7": ("--command", "exec SELF"), "tst-cancelx7": ("--command", "exec SELF"),
             "tst-umask1": ("/tmp/tst-umask1.temp",)}


def glibc_text(source, folders):
    """A test's text with that of the tests it includes behind it."""
    text = source.read_text(encoding="latin-1")
    for name in INCLUDED_TEST.findall(text):
        for folder in (source.parent, *folders):
            if (folder / name).is_file() and folder / name != source:
                text += glibc_text(folder / name, folders)
                break
    return text


def glibc_end(text):
    """(expected end, limit) of what the test driver's macros say; the first definition counts."""
    macros = {}
    for name, value in MACRO.findall(text):
        macros.setdefault(name, value.strip())
    limit = macros.get("TIMEOUT", "")
    limit_s = max(DEFAULT_LIMIT_S, eval(limit)) if re.fullmatch(r"[\d +*()]+", limit) else DEFAULT_LIMIT_S
    signal = macros.get("EXPECTED_SIGNAL")
    if named := re.search(rf"^# *define +{signal} +(SIG\w+)", text, re.M):
        signal = named[1]
    if signal in SIGNALS:
        return f"signal {SIGNALS[signal]}", limit_s
    status = macros.get("EXPECTED_STATUS", "0")
    return f"exit {int(status, 0) if re.fullmatch(r'[0-9a-fx]+', status) else 0}", limit_s


def glibc(root):
    suite = Suite("glibc", "glibc's nptl, affinity and posix_spawn tests (glibc-source)")
    top = root / "glibc-2.36"
    shim = root / "glibc-headers"
    folders = [top / "nptl", top / "sysdeps/pthread", top / "posix", top / "sysdeps/unix/sysv/linux"]
    make = "".join((folder / "Makefile").read_text(encoding="latin-1") for folder in folders[:3])
    make = make.replace("\\\n", " ")
    extra = {}
    for match in MAKE_CFLAGS.finditer(make):
        extra.setdefault(match["file"], []).extend(word for word in match["flags"].split() if "$" not in word)
    quoted = [f"-iquote{folder}" for folder in (*folders, top)]
    base = ("-O2", "-w", "-D_GNU_SOURCE", "-D_LIBC_REENTRANT", "'-Dlibc_hidden_proto(x)='", "'-DTEST_COMPAT(library,from,to)=0'",
            "'-DOBJPFX=\"/tmp/\"'", f"-I{HEADERS}", f"-I{shim}", *quoted, "-pthread")
    c_flags = ("-std=gnu11", "-fgnu89-inline", *base)
    support = SUPPORT_ROUTINES.search((top / "support/Makefile").read_text(encoding="latin-1"))[1].replace("\\", "").split()
    paths = tuple(f'-D{name}="\\"{value}\\""' for name, value in (
        ("SRCDIR_PATH", "/suites"), ("OBJDIR_PATH", "/suites"), ("OBJDIR_ELF_LDSO_PATH", "/none"), ("INSTDIR_PATH", "/none"),
        ("LIBDIR_PATH", "/none"), ("BINDIR_PATH", "/bin"), ("SBINDIR_PATH", "/sbin"), ("ROOTSBINDIR_PATH", "/sbin"),
        ("SLIBDIR_PATH", "/none"), ("COMPLOCALEDIR_PATH", "/none"), ("SYSCONFDIR_PATH", "/etc")))
    suite.libraries.append(Library("support", CC, tuple(f"{top}/support/{name}.c" for name in support if name not in NO_SUPPORT),
                                   (*c_flags, f"-I{top}/support", "-DTIMEOUTFACTOR=1", "-include limits.h", *paths)))
    sources = [source for name in GLIBC_FOLDERS for pattern in ("tst-*.c", "tst-*.cc") for source in sorted((top / name).glob(pattern))]
    sources += [folders[3] / name for name in GLIBC_LINUX] + [folders[2] / name for name in GLIBC_POSIX]
    for source in sources:
        if NO_TEST.search(source.stem) or not source.is_file():
            continue
        name = f"glibc/{source.relative_to(top).parent.name}/{source.stem}"
        is_cxx = source.suffix == ".cc"
        flags = (("-std=gnu++11", *base) if is_cxx else c_flags) + (f"-iquote{source.parent}", *extra.get(source.name, ()))
        expect, limit_s = glibc_end(glibc_text(source, folders))
        arguments = ["--direct", *(word.replace("SELF", f"/suites/{name}") for word in ARGUMENTS.get(source.stem, ()))]
        suite.add(Program(name, CXX if is_cxx else CC, (str(source),), flags, ("support",)),
                  Test(name, name, tuple(arguments), limit_s, expect))
    return suite


def glibc_headers(root):
    """{name: file} of the folder whose headers stand before the compiler's: the support library's, and few of glibc's own."""
    top = root / "glibc-2.36"
    links = {"support": top / "support", "test-skeleton.c": top / "test-skeleton.c", "nptl": top / "nptl", "posix": top / "posix", "malloc": top / "malloc",
             "sysdeps": top / "sysdeps"}
    links.update({name: top / "include" / name for name in PLAIN_HEADERS})
    links["internaltypes.h"] = top / "sysdeps/nptl/internaltypes.h"
    links["arch-fd_to_filename.h"] = top / "sysdeps/unix/sysv/linux/arch-fd_to_filename.h"
    links["stackinfo.h"] = top / "sysdeps/riscv/stackinfo.h"
    links["tst-stack-align.h"] = top / "sysdeps/generic/tst-stack-align.h"
    return links


# What run.sh runs.
REQUEUE_PI_RUNS = ("", "-b", "-b -l", "-b -o", "-l", "-o", "-b -l -t 5000", "-l -t 5000", "-b -l -t 500000", "-l -t 500000", "-b -t 5000",
                   "-t 5000", "-b -t 500000", "-t 500000", "-b -o -t 5000", "-l -t 5000", "-b -o -t 500000",
                   "-b -l -t 2000000000", "-l -t 2000000000")


def linux(root):
    suite = Suite("linux", "Linux' futex and timers selftests (linux-source-6.12)")
    top = root / "linux-source-6.12/tools/testing/selftests"
    base = ("-O2", "-w", "-D_GNU_SOURCE", "-pthread", f"-I{top}/futex/include", f"-I{top}")
    for source in sorted((top / "futex/functional").glob("*.c")):
        name = f"linux/{source.stem}"
        program = Program(name, CC, (str(source),), base)
        if source.stem == "futex_requeue_pi":
            runs = dict.fromkeys(REQUEUE_PI_RUNS)
            suite.add(program, *(Test(" ".join((name, run)).strip().replace(" ", "_"), name, tuple(run.split()), KERNEL_LIMIT_S) for run in runs))
        else:
            suite.add(program, Test(name, name, limit_s=KERNEL_LIMIT_S))
    for source in sorted((top / "timers").glob("*.c")):
        name = f"linux/{source.stem}"
        suite.add(Program(name, CC, (str(source),), base, (), ("-lrt", "-lm", "-Wl,-z,muldefs")), Test(name, name, limit_s=TIMERS_LIMIT_S))
    return suite


# cxx_test(name main_library other_source...), cxx_test_with_flags(name "${flags}" libraries source...)
CXX_TEST = re.compile(r"^  (?:  )?cxx_test\((?P<name>[\w-]+)\s+(?P<library>\w+)(?P<sources>[^)]*)\)", re.M)


def googletest(root):
    suite = Suite("googletest", "GoogleTest's and GoogleMock's own tests (googletest)")
    top = root / "googletest"
    test, mock = top / "googletest", top / "googlemock"
    # Not optimised: what is tested here is not the compiler, and the matchers' tests take minutes of it.
    base = ("-O0", "-w", "-std=gnu++17", "-pthread", "-DGTEST_HAS_PTHREAD=1")
    include = tuple(f"-I{path}" for path in (test / "include", test, mock / "include", mock))
    suite.libraries += [
        Library("gtest", CXX, (f"{test}/src/gtest-all.cc",), base + include),
        Library("gtest_main", CXX, (f"{test}/src/gtest_main.cc",), base + include),
        Library("gmock", CXX, (f"{mock}/src/gmock-all.cc",), base + include),
        Library("gmock_main", CXX, (f"{mock}/src/gmock_main.cc",), base + include)]
    chain = {"gtest": ("gtest",), "gtest_main": ("gtest_main", "gtest"), "gmock": ("gmock", "gtest"),
             "gmock_main": ("gmock_main", "gmock", "gtest")}
    for folder in (test, mock):
        for match in CXX_TEST.finditer((folder / "CMakeLists.txt").read_text(encoding="utf-8")):
            name = f"googletest/{match['name']}"
            # A list may name the test's own file once more.
            sources = tuple(dict.fromkeys((f"{folder}/test/{match['name']}.cc",
                                           *(f"{folder}/{source}" for source in match["sources"].split()))))
            suite.add(Program(name, CXX, sources, base + include, chain[match["library"]]), Test(name, name, limit_s=LONG_LIMIT_S))
    return suite


def suites(root):
    """All suites of the sources in `root`."""
    root = pathlib.Path(root)
    return [libstdcxx(root), glibc(root), linux(root), googletest(root)]
