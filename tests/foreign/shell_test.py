#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A person at Debian's busybox shell, which is init, on the console. HARTS says how many there are."""

import os
import re
import unittest

import machine

HARTS = int(os.environ["HARTS"])
MOTD = "one\ntwo\nthree\n"
# What ^C reaches has said so itself: the shell may not have started it before.
FILES = {"/etc/motd": MOTD,
         "/etc/patient": "echo armed; exec sleep 1000",
         "/etc/trap": "trap 'echo caught; exit 7' INT; sh -c 'echo armed; exec cat'"}


class ShellTest(unittest.TestCase):
    """One session: the cases build on each other as a person's commands do."""

    def setUp(self):
        files = {path: machine.text_file(text) for path, text in FILES.items()}
        self.shell = machine.shell(f"foreign-shell-{HARTS}", ["/usr/bin/chrt", "/usr/bin/nice"], HARTS,
                                   {**files, "/bin/sh": machine.link("/usr/bin/busybox")})
        self.addCleanup(self.shell.close)

    def test_session(self):
        for step in (self.files, self.pipes, self.raw_input, self.processes, self.scheduling, self.exit_status, self.jobs, self.interrupt,
                     self.stop_and_continue):
            with self.subTest(step.__name__):
                step()
        self.shell.send("exit 3\r")
        self.assertRegex(self.shell.finish(), r"(?m)^init: exited with status 3, powering off$")

    def prints(self, line, expected):
        self.assertEqual(self.shell.run(line), expected, line)

    def matches(self, line, pattern):
        printed = self.shell.run(line)
        self.assertRegex(printed, pattern, line)
        return printed

    def files(self):
        self.assertLessEqual({"dev", "etc", "lib", "proc", "sys", "tmp", "usr"}, set(self.shell.run("ls /").split()))
        self.prints("cat /etc/motd", MOTD)
        self.matches("ls -l /etc/motd", r"^-rw-r--r-- +1 .* 14 .* /etc/motd\n$")
        self.prints("cd /tmp; mkdir a; echo $((6*7)) > a/b; cat a/b; pwd; cd /", "42\n/tmp\n")
        self.matches("cat /none; echo $?", r"^cat: can't open '/none': No such file or directory\n1\n$")

    def pipes(self):
        self.prints("cat /etc/motd | grep t | sort -r", "two\nthree\n")
        self.prints("yes | head -n 2000 | wc -l", "2000\n")
        self.prints("for i in 1 2 3; do echo $i; done | while read x; do echo $x$x; done", "11\n22\n33\n")

        self.prints("mkfifo /tmp/p; ls -l /tmp/p | cut -c1", "p\n")
        self.prints("sh -c 'cat /tmp/p & echo through > /tmp/p; wait'; rm /tmp/p", "through\n")

    def raw_input(self):
        """More bytes than are typed are wanted: the time between two of them ends the wait."""
        self.shell.send("stty -icanon -echo min 9 time 3; echo ready; dd bs=9 count=1 2>/dev/null; stty icanon echo\r")
        self.shell.expect(r"^ready\n")
        self.shell.send("typed")
        self.shell.expect(r"^typed" + re.escape(machine.PROMPT))

    def processes(self):
        self.matches("ps | cat", r"\A *PID .*\n +1 .*busybox sh\n(.*\n)*.*\bps\b")
        printed = self.matches("top -b -n1", r"(?m)\AMem: \d+K used, \d+K free.*\nCPU: .*\nLoad average: .*\n +PID +PPID .*COMMAND\n")
        self.assertRegex(printed, r"(?m)^ +1 +0 .*\bsh$")
        self.prints("nproc", f"{HARTS}\n")

    def scheduling(self):
        everywhere = (1 << HARTS) - 1
        self.prints("taskset -p 1", f"pid 1's current affinity mask: {everywhere:x}\n")
        self.matches("taskset 1 sh -c 'taskset -p $$'", r"current affinity mask: 1\n$")
        self.matches("chrt -p $$", r"^pid 1's current scheduling policy: SCHED_OTHER\n.*priority: 0\n")
        self.matches("chrt -i 0 sh -c 'chrt -p $$'", r"policy: SCHED_IDLE\n.*priority: 0\n")
        self.matches("chrt -f 10 sh -c 'chrt -p $$'", r"policy: SCHED_FIFO\n.*priority: 10\n")
        self.prints("nice; nice -n 5 nice; nice -n 5 nice -n 5 nice", "0\n5\n10\n")

    def exit_status(self):
        self.prints("false; echo $?; sh -c 'exit 42'; echo $?", "1\n42\n")
        self.matches("nosuch; echo $?", r"not found\n127\n$")
        self.matches("sh -c 'kill -SEGV $$'; echo $?", r"139\n$")

    def jobs(self):
        self.shell.run("sleep 1000 &")
        self.matches("jobs", r"^\[1\]\+  Running +sleep 1000\n$")
        self.matches("kill $!; wait $!; echo $?", r"(?m)^143$")
        self.prints("jobs", "")

    def interrupt(self):
        """^C ends the program in the foreground, however it takes it, and not the shell."""
        for script, answer, status in (("patient", "", 130), ("trap", "caught\n", 7)):
            self.shell.send(f"sh /etc/{script}\r")
            self.shell.expect(r"^armed\n")
            self.shell.send("\x03")
            self.shell.expect(r"\^C\n?" + answer + re.escape(machine.PROMPT))
            self.prints("echo $?", f"{status}\n")

    def stop_and_continue(self):
        """^Z stops it, fg and bg let it go on."""
        self.shell.send("sh -c 'echo first; read x; echo got $x'\r")
        self.shell.expect(r"^first$")
        self.shell.send("\x1a")
        self.shell.expect(re.escape(machine.PROMPT))
        self.matches("jobs", r"^\[1\]\+  Stopped ")
        self.shell.send("fg\r")
        self.shell.expect(r"^sh -c .*")
        self.shell.send("again\r")
        self.shell.expect(r"^got again$")
        self.shell.expect(re.escape(machine.PROMPT))


if __name__ == "__main__":
    unittest.main()
