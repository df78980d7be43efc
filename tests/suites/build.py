# SPDX-License-Identifier: MIT
"""Compiles the suites with ninja: in parallel, only what is new, and with a record of what does not compile.

A test that does not compile is no failure of the build: its log stays beside where the program would be, and is tried again
only when its command or a header of ours changes.
"""

import pathlib
import re
import shutil
import subprocess

import plan

COMPILER_ERROR = re.compile(r"(?:fatal )?error: (.*)|undefined reference to `([^']*)'|(cannot find .*)")

class BuildError(Exception):
    """The build cannot go on; the message says why."""


def quote(text):
    """For ninja's files; the words are for a shell already."""
    return text.replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def prepare_headers(sources):
    folder = sources / "glibc-headers"
    folder.mkdir(exist_ok=True)
    for name, target in plan.glibc_headers(sources).items():
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(target)
    for name in plan.EMPTY_HEADERS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def rules(launcher, folder, suites):
    """The lines of build.ninja."""
    lines = [f"builddir = {folder}", f"launcher = {launcher}",
             "rule object", "  command = $launcher $cc $flags -c $in -o $out", "  description = $out",
             "rule archive", "  command = rm -f $out && riscv64-linux-gnu-ar rc $out $in", "  description = $out",
             "rule program", "  command = $steps", "  description = $out"]
    for suite in suites:
        for library in suite.libraries:
            objects = []
            for source in library.sources:
                target = f"{folder}/{library.name}/{pathlib.Path(source).stem}.o"
                objects.append(target)
                lines += [f"build {quote(target)}: object {quote(source)}", f"  cc = {library.compiler}",
                          f"  flags = {' '.join(library.flags).replace('$', '$$')}"]
            lines.append(f"build {folder}/lib{library.name}.a: archive {' '.join(map(quote, objects))}")
        for program in suite.programs:
            lines += program_rule(folder, program)
    return lines


def program_rule(folder, program):
    target = str(folder / "root" / "suites" / program.name)
    parts = [f"{target}.{number}.o" for number in range(len(program.sources))]
    flags = " ".join(program.flags)
    steps = [f"$launcher {program.compiler} {flags} -c {source} -o {part}" for source, part in zip(program.sources, parts)]
    archives = [f"{folder}/lib{name}.a" for name in program.libraries]
    steps.append(" ".join([program.compiler, "-static -s -pthread", *parts, *archives, *program.link, "-o", target]))
    log, status = f"{folder}/logs/{program.name}.log", f"{folder}/status/{program.name}"
    shell = (f"mkdir -p {pathlib.Path(target).parent} {pathlib.Path(log).parent}; "
             f"if ( {' && '.join(steps)} ) >{log} 2>&1; then echo built >{status}; "
             f"else rm -f {target}; echo failed >{status}; fi; rm -f {' '.join(parts)}")
    needed = " ".join(quote(path) for path in [*program.sources, *archives])
    return [f"build {quote(status)}: program {needed}", f"  steps = {shell.replace('$', '$$').replace('$$launcher', '$launcher')}"]


def forget_failures(folder, names):
    """What did not compile is tried again when the stand-ins for headers have changed since."""
    changed = max(header.stat().st_mtime for header in plan.HEADERS.iterdir())
    for name in names:
        status = folder / "status" / name
        if status.is_file() and status.stat().st_mtime < changed and status.read_text(encoding="utf-8").strip() != "built":
            status.unlink()


def build(sources, folder, suites, wanted):
    """Builds the programs of the tests `wanted`; returns {program: why it was not built}. Raises BuildError."""
    prepare_headers(sources)
    folder.mkdir(parents=True, exist_ok=True)
    launcher = "ccache" if shutil.which("ccache") else ""
    file = folder / "build.ninja"
    text = "\n".join(rules(launcher, folder, suites)) + "\n"
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    programs = sorted({test.program for test in wanted})
    forget_failures(folder, programs)
    status = subprocess.run(["nice", "ninja", "-C", folder, "--quiet", *(f"{folder}/status/{name}" for name in programs)],
                            check=False)
    if status.returncode != 0:
        raise BuildError(f"ninja ended with status {status.returncode} in {folder}")
    missing = {}
    for name in programs:
        if (folder / "status" / name).read_text(encoding="utf-8").strip() != "built":
            missing[name] = reason(folder / "logs" / f"{name}.log")
    return missing


def reason(log):
    """The first error of a compiler's or linker's log."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = COMPILER_ERROR.search(line)
        if match:
            return match[1] or match[3] or f"undefined: {match[2]}"
    return f"see {log}"
