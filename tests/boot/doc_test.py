#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does what a document says: types its sessions at the console, runs its commands, and compares what comes back.

    doc_test.py docs/shell.md ...

A block of code has a comment on the line above it that says what it is:

  <!-- session -->          begins with `$ scripts/run.sh OPTIONS`: a machine is booted so, and what follows `neuron# ` is typed.
                            A document's blocks share a machine: `<!-- session goes on -->` has no first line.
  <!-- on the host -->      what follows `$ ` is run by bash in the root of the sources; each command has to succeed
  <!-- printed above -->    is part of what the block before it printed
  <!-- commands -->         commands alone: their scripts are there and know the options

Behind it may stand `, figures vary`: then numbers stand for any number, `0x` for any address, `[|| ]` for any bar, and `...` within
a line for anything. In what is printed a line `...` stands for any lines. A block without such a comment is an error.
"""

import dataclasses
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/foreign"))
import machine  # pylint: disable=wrong-import-position

PROMPT = "neuron# "
RUN_LOG = "build/logs/run.uart.log"
KINDS = ("session", "session goes on", "on the host", "printed above", "commands")
VARIES = ", figures vary"
# Of wall time, for a command on the host. Nothing is judged by it.
TIMEOUT_S = 150


class Mismatch(AssertionError):
    """What a document says is not so."""


@dataclasses.dataclass
class Block:
    """A fenced block: where it begins, what it is, its text."""
    line: int
    kind: str
    varies: bool
    text: str


def blocks_of(text):
    """The blocks of a document; raises Mismatch for one that does not say what it is."""
    lines = text.split("\n")
    found, at = [], 0
    while at < len(lines):
        if lines[at].startswith("```"):
            comment = re.fullmatch(r"<!-- (.*?) -->", lines[at - 1]) if at else None
            words = comment[1] if comment else ""
            kind = words.removesuffix(VARIES)
            if kind not in KINDS:
                raise Mismatch(f"line {at + 1}: the block has no comment above it that says what it is ('{words}')")
            end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("```")), None)
            if end is None:
                raise Mismatch(f"line {at + 1}: the block does not end")
            found.append(Block(at + 1, kind, words.endswith(VARIES), "\n".join(lines[at + 1:end]) + "\n"))
            at = end
        at += 1
    return found


def steps_of(text, prompt):
    """What is printed before the first command, and [(command, what it prints)]."""
    head, *parts = re.split(rf"(?m)^{re.escape(prompt)}", text)
    return head, [part.partition("\n")[::2] for part in parts]


TOKEN = re.compile(r"(?P<dots>\.\.\.)|(?P<hex>0x[0-9a-f]+)|(?P<bar>\[[| ]*\])|(?P<number>(?<![\w.])-?\d+(?:[.:]\d+)*)|"
                   r"(?P<space> +)|(?P<other>.)")
ANY = {"dots": ".*", "hex": r"0x[0-9a-f]+", "bar": r"\[[| ]*\]", "number": r"-?\d+(?:[.:]\d+)*", "space": " +"}


def line_pattern(line, varies):
    if not varies:
        return re.escape(line)
    # A column may be as wide as its widest number: spaces at the begin may come and go.
    return " *" + "".join(ANY.get(token.lastgroup) or re.escape(token[0]) for token in TOKEN.finditer(line.strip(" "))) + " *"


def pattern_of(expected, varies):
    return "".join(r"(?:.*\n)*?" if line == "..." else line_pattern(line, varies) + r"\n" for line in expected.splitlines())


def check_text(printed, expected, varies, what):
    if not re.fullmatch(pattern_of(expected, varies), printed):
        raise Mismatch(f"{what}: printed\n{printed}\nand the document has\n{expected}")


class Document:
    """One document, done from its begin to its end."""

    def __init__(self, path):
        self.path = path
        self.shell = None
        self.printed = ""

    def boot(self, command, head, varies):
        """The machine that `scripts/run.sh` would boot, up to its first prompt."""
        if self.shell:
            self.shell.close()
        words = shlex.split(command)
        if words[:1] != ["scripts/run.sh"] or "mttcg" not in words:
            raise Mismatch(f"a session begins with scripts/run.sh and --lane mttcg, not with: {command}")
        check_options(command)
        given = dict(zip(words, words[1:]))
        build = pathlib.Path(os.environ["BUILD_DIR"])
        name = f"doc-{self.path.stem}"
        self.shell = machine.Machine(name, [], given.get("--append", ""), int(given.get("--smp", 4)), "mttcg",
                                     initrd=build / "initrd.cpio", prompt=PROMPT)
        for line in head.splitlines():
            if line not in ("...", PROMPT.strip()):
                # Programs on several harts print in an order of their own.
                self.shell.seen = 0
                self.shell.expect(rf"^{line_pattern(line, varies)}$")
        # To a prompt of its own, behind what programs print meanwhile.
        self.shell.send("echo settled\r")
        self.shell.expect(r"^settled\n" + PROMPT)

    def session(self, block):
        head, steps = steps_of(block.text, PROMPT)
        if block.kind == "session":
            if not head.startswith("$ "):
                raise Mismatch("a session's first line is `$ scripts/run.sh ...`")
            command, _, rest = head[2:].partition("\n")
            self.boot(command, rest, block.varies)
        elif not self.shell or head:
            raise Mismatch("no session goes on here")
        self.printed = ""
        for typed, expected in steps:
            if not typed:
                continue
            if typed == "poweroff":
                self.shell.send("poweroff\r")
                self.shell.finish()
                continue
            printed = self.shell.run(typed)
            self.printed += printed
            check_text(printed, expected, block.varies, typed)

    def host(self, block):
        head, steps = steps_of(block.text, "$ ")
        if head:
            raise Mismatch(f"no command before: {head}")
        self.printed = ""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        for command, expected in steps:
            # The session's log is the one that scripts/run.sh would have left.
            line = command.replace(RUN_LOG, str(self.shell.log)) if self.shell else command
            done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                                  env={**os.environ, "NEURON_GDB_PORT": port, "NEURON_NO_BUILD": "1"})
            if done.returncode:
                raise Mismatch(f"{command}: status {done.returncode}: {done.stdout}{done.stderr}")
            self.printed += done.stdout
            check_text(done.stdout, expected, block.varies, command)

    def run(self):
        """What is wrong, in words; nothing behind a block that is wrong is done."""
        try:
            for block in blocks_of(self.path.read_text(encoding="utf-8")):
                try:
                    if block.kind in ("session", "session goes on"):
                        self.session(block)
                    elif block.kind == "on the host":
                        self.host(block)
                    elif block.kind == "commands":
                        for line in block.text.splitlines():
                            check_options(line)
                    elif not re.search(rf"(?m)^{pattern_of(block.text, block.varies)}", self.printed):
                        raise Mismatch(f"not in what is printed above:\n{block.text}\nwhich is\n{self.printed}")
                except AssertionError as why:
                    raise Mismatch(f"line {block.line}: {why}") from why
                except subprocess.TimeoutExpired as why:
                    raise Mismatch(f"line {block.line}: no end after {TIMEOUT_S} s: {why.cmd}") from why
        finally:
            if self.shell:
                self.shell.close()


def check_options(line):
    """The script of a command is there and its help names the options it is given."""
    for command in re.split(r"&&|\|", line.split(" #")[0]):
        words = shlex.split(command)
        while words and re.fullmatch(r"\w+=\S*", words[0]):
            words.pop(0)
        if not words or not words[0].startswith(("scripts/", "tools/")):
            continue
        if not os.access(ROOT / words[0], os.X_OK):
            raise Mismatch(f"{words[0]}: no such script")
        told = subprocess.run([ROOT / words[0], "--help"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False).stdout
        own = words[1:words.index("--")] if "--" in words else words[1:]
        for word in own:
            if word.startswith("--") and not re.search(rf"{re.escape(word)}\b", told):
                raise Mismatch(f"{words[0]} --help does not name {word}")


def main(arguments):
    if not arguments:
        print(__doc__)
        return 2
    wrong = 0
    for path in map(pathlib.Path, arguments):
        try:
            Document(path).run()
            print(f"{path}: done")
        except Mismatch as why:
            wrong += 1
            print(f"{path}: {why}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
