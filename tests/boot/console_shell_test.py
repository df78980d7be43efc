#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A person at NEURON's own shell on the console. HARTS says how many there are."""

import json
import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/foreign"))
sys.path.insert(0, str(ROOT / "tools"))
import machine  # pylint: disable=wrong-import-position
from tracing import frames, timeline  # pylint: disable=wrong-import-position

HARTS = int(os.environ["HARTS"])
PROMPT = "neuron# "


class ConsoleShellTest(unittest.TestCase):
    """One session: the steps build on each other as a person's commands do."""

    def boot(self, name, append, archive="initrd.cpio"):
        self.shell = machine.Machine(f"{name}-{HARTS}", [], append, HARTS, "mttcg",
                                     initrd=pathlib.Path(os.environ["BUILD_DIR"]) / archive, prompt=PROMPT)
        self.addCleanup(self.shell.close)

    def test_after_the_selftest(self):
        """With stay the shell comes when the selftest has ended; one that is run by hand leaves the machine on."""
        self.boot("console-selftest", "neuron.selftest=perms,stay neuron.services=selftest")
        self.shell.expect(r"^SELFTEST: end \(pass=1 fail=0 skip=0\)$")
        self.shell.expect(r"^execd: svc=selftest exited \(status 0\)$")
        self.shell.expect(PROMPT)
        self.matches("bench null_call; echo $?", r"^BENCH null_call \d+\.\d\nBENCH end 1 0\n0\n$")
        self.matches("selftest perms; echo $?", r"(?s)SELFTEST: qos perms ok\n.*SELFTEST: end \(pass=1 fail=0 skip=0\)\n0\n$")
        # QEMU ends where a board would start anew.
        self.shell.send("reboot\r")
        self.shell.finish()

    def test_session(self):
        self.boot("console-shell", "neuron.shell=1 neuron.recipes=/recipes-console/first", "test-initrd.cpio")
        # What services print comes between; Return gives a prompt of its own.
        self.shell.expect(r"^execd: svc=ui exited \(status 0\)$")
        self.shell.send("\r")
        self.shell.expect(r"\n" + PROMPT)
        for step in (self.backoff, self.editing, self.machine_tools, self.processes, self.affinity, self.trace, self.quality,
                     self.statistics, self.top, self.jobs, self.services, self.backoff_forgotten, self.reload, self.scripts):
            step()
        self.shell.send("poweroff\r")
        self.shell.finish()

    def prints(self, line, expected):
        self.assertEqual(self.shell.run(line), expected, line)

    def matches(self, line, pattern):
        printed = self.shell.run(line)
        self.assertRegex(printed, pattern, line)
        return printed

    def json(self, line):
        return json.loads(self.shell.run(line + " --json"))

    def editing(self):
        """Tab, the arrows and ^C; what comes back is what was typed last."""
        self.shell.send("ech\thallo\r")
        self.shell.expect(r"^hallo$")
        self.shell.expect(PROMPT)
        self.shell.send("\x1b[A\x1b[D\x1b[D\x7fXX\r")
        self.shell.expect(r"^haXXlo$")
        self.shell.expect(PROMPT)
        self.shell.send("nonsense\x03")
        self.shell.expect(r"\^C\n" + PROMPT)
        self.prints("echo $?", "0\n")

    def machine_tools(self):
        self.prints("nproc", f"{HARTS}\n")
        self.matches("uptime", r"^ \d\d:\d\d:\d\d up 0 min,  load average: \d")
        self.matches("dmesg -l notice", r"(?m)^KINIT: cpu0 online")
        self.assertNotRegex(self.shell.run("dmesg -l err,warn"), r"KINIT|initrd:")
        self.matches("help", r"(?m)^taskset +shows and changes")
        # Each tool is a program of its own.
        for tool in ("bench", "dmesg", "help", "kill", "nproc", "poweroff", "ps", "qos", "reboot", "sched", "selftest", "svc",
                     "taskset", "top", "trace", "uptime"):
            self.matches(f"/bin/{tool} --help; echo $?", rf"(?s)^usage: {tool}\b.*\n0\n$")
        self.prints("nosuch; echo $?", "nsh: nosuch: command not found\n127\n")

    def processes(self):
        names = {row["pid"]: row["comm"] for row in self.json("ps -o pid,comm")}
        self.assertEqual(names[1], "execd")
        self.assertIn("nsh", names.values())
        self.prints("kill -l 143", "TERM\n")
        self.matches("kill 99999; echo $?", r"^kill: 99999: No such process\n1\n$")

    def spin(self, line="spin"):
        """A hog in the background; its pid."""
        self.shell.run(f"{line} &")
        return int(self.shell.run("echo $!"))

    def affinity(self):
        """A running hog moves where taskset says, and the scheduler's own figures agree."""
        pid = self.spin()
        everywhere = (1 << HARTS) - 1
        last = HARTS - 1
        self.prints(f"taskset -p {pid}", f"pid {pid}'s current affinity mask: {everywhere:x}\n")
        self.matches(f"taskset -cp {last} {pid}", rf"new affinity list: {last}\n$")
        before = self.json(f"sched show {pid}")
        after = self.json(f"sched show {pid}")
        self.assertEqual((after["cpu"], after["effective_mask"]), (last, f"{1 << last:x}"))
        ran = {cpu: ns for cpu, ns in after["runtime_by_cpu_ns"]}
        earlier = {cpu: ns for cpu, ns in before["runtime_by_cpu_ns"]}
        self.assertGreater(ran[last], earlier[last])
        self.assertEqual({cpu: ns for cpu, ns in ran.items() if cpu != last},
                         {cpu: ns for cpu, ns in earlier.items() if cpu != last}, "it ran nowhere else")
        self.matches(f"taskset -p {1 << 60:x} {pid}; echo $?", r"failed to set pid \d+'s affinity: Invalid argument\n1\n$")
        self.prints("taskset 1 nproc", "1\n")
        self.end(pid)

    def trace(self):
        """A hog that taskset moves: the scheduler's trace and its figures say the same."""
        if HARTS == 1:
            return
        last = HARTS - 1
        self.prints("trace start --records 8192", "")
        pid = self.spin("taskset 1 spin")
        before = self.json(f"sched show {pid}")
        self.matches(f"taskset -cp {last} {pid}", rf"new affinity list: {last}\n$")
        # What runs on the new CPU has run there for a while by then.
        self.shell.run(f"top -b -n 2 -d 0.2 -p {pid}")
        after = self.json(f"sched show {pid}")
        self.prints("trace stop", "")
        told = timeline.build(frames.from_log(self.shell.run("trace dump"))[-1])
        self.assertFalse(told.warnings or told.lost, (told.warnings, told.lost))
        masks = [event for event in told.events if event.kind == "SetMask" and event.task == pid]
        first, second = next(event for event in masks if event.value == 1), masks[-1]
        self.assertEqual(second.value, 1 << last)
        moves = [(event.value & 0xff, event.value >> 8) for event in told.events
                 if event.kind == "Migrate" and event.task == pid and event.at >= second.at]
        self.assertEqual(moves, [(0, last)], "from CPU 0 to the last one, once")
        slices = [part for part in told.slices if part.task == pid and part.end > first.at]
        ran = {cpu: sum(part.end - part.begin for part in slices if part.cpu == cpu) for cpu in range(HARTS)}
        left = max(part.end for part in slices if part.cpu == 0)
        self.assertEqual({part.cpu for part in slices if part.begin > second.at}, {last})
        self.assertEqual({part.cpu for part in slices if part.begin >= left}, {last})
        self.assertEqual((before["cpu"], after["cpu"]), (0, last))
        # What it was charged from the first look to the second is a part of what the trace saw, all of it on these two.
        charged = {cpu: ns - dict(before["runtime_by_cpu_ns"]).get(cpu, 0) for cpu, ns in after["runtime_by_cpu_ns"]}
        for cpu, ns in charged.items():
            self.assertLessEqual(ns, ran[cpu], "the trace began before and ended behind")
        self.assertGreater(charged[last], 150_000_000)
        self.end(pid)

    def end(self, *pids):
        # On one line: before each prompt the shell tells which jobs have ended, and forgets them.
        self.prints("kill " + " ".join(map(str, pids)) + "; wait; echo $?", "Terminated\n" * len(pids) + "143\n")

    def ratio(self, pids):
        """What the first one got in a second, as a multiple of what the second one got, as top shows it."""
        second = self.shell.run(f"top -b -n 2 -d 1 -p {pids[0]},{pids[1]}").split("\n\n")[1]
        rows = [row.split() for row in second[second.index("PID"):].splitlines()]
        percent = {row[0]: float(row[rows[0].index("%CPU")]) for row in rows[1:]}
        print(f"{HARTS} harts: {percent[str(pids[0])]} and {percent[str(pids[1])]} % of a CPU")
        return percent[str(pids[0])] / percent[str(pids[1])]

    def quality(self):
        """Two hogs on one CPU: what each gets follows their shares, which change while they run."""
        hogs = [self.spin("taskset 1 spin") for _ in range(2)]
        # The kernel's account of each, read in one call; the shell's own commands share the CPU with both alike.
        self.assertAlmostEqual(self.ratio(hogs), 1, delta=0.25)
        self.matches(f"qos set {hogs[0]} shares=300", rf"^pid {hogs[0]}: class=normal shares=300 ")
        self.assertEqual(self.json(f"qos {hogs[0]}")["effective_shares"], 300)
        self.assertAlmostEqual(self.ratio(hogs), 3, delta=0.75)
        self.matches(f"qos set {hogs[1]} shares=0; echo $?", r"^qos: shares=0: wants a number from 1 to 1000\n1\n$")
        self.end(*hogs)

    def statistics(self):
        rows = self.json("sched stat")
        self.assertEqual([row["cpu"] for row in rows], list(range(HARTS)))
        self.assertTrue(all(row["online"] and row["switches"] > 0 and row["busy_ns"] > 0 for row in rows), rows)
        # Each hart has taken interrupts and calls that leave the short way, and some time passed in the longest of them.
        self.assertTrue(all(0 < row["section_max_ns"] < row["busy_ns"] for row in rows), rows)
        self.assertTrue(all(re.search(r" (call|trap) \d+$", row["section_max_what"]) for row in rows), rows)
        self.matches("sched stat", r"^CPU HART STATE .*\n +0 +\d+ online .* (call|trap) \d+\n")

    def top(self):
        """One picture after the other, a bar per hart, and the hog on top of the list."""
        pid = self.spin()
        printed = self.shell.run("top -b -n 2 -d 0.5")
        second = printed.split("\n\n")[1]
        self.assertRegex(second, r"^top - up \d+:\d\d, \d+ processes, \d+ threads, \d+ runnable; last \d\.\ds\n")
        self.assertEqual(re.findall(r"(?m)^cpu(\d+) +\[", second), [str(cpu) for cpu in range(HARTS)])
        table = second[second.index("PID"):].splitlines()
        columns = dict(zip(table[0].split(), table[1].split()))
        self.assertEqual((columns["PID"], columns["COMMAND"]), (str(pid), "spin"))
        self.assertGreater(float(columns["%CPU"]), 50)
        self.shell.send("top -d 0.2\r")
        self.shell.expect(r"; last 0\.\ds\n")
        self.shell.send("q")
        self.shell.expect(PROMPT)
        self.end(pid)

    def jobs(self):
        """^C ends what runs, ^Z stops it, fg goes on, and the shell stays."""
        # What keys reach has said so itself: the shell may not have started it before.
        armed = "nsh -c 'echo armed; spin'"
        for key, answer in (("\x03", r"\^C\n+"), ("\x1a", r"\[1\]  Stopped +nsh -c .*\n")):
            self.shell.send(armed + "\r")
            self.shell.expect(r"^armed\n")
            self.shell.send(key)
            self.shell.expect(answer + PROMPT)
        self.prints("echo $?", "148\n")
        self.shell.send("fg\r")
        self.shell.expect(r"^nsh -c .*\n")
        self.shell.send("\x03")
        self.shell.expect(PROMPT)
        self.prints("echo $?", "130\n")
        self.prints("jobs", "")

    def settle(self):
        """To a prompt of its own, behind what services and execd say meanwhile."""
        self.shell.send("echo settled\r")
        self.shell.expect(r"^settled\n" + PROMPT)

    def services(self):
        """execd shows, starts and reloads; a service that is killed comes back."""
        services = {row["service"]: row for row in self.json("svc status")}
        self.assertEqual({name: row["state"] for name, row in services.items()},
                         {"ui": "ended", "worker": "running", "shell": "running"})
        self.assertEqual(services["ui"]["last_end"], "exited (status 0)")
        self.matches("svc stop nosuch; echo $?", r"^svc: no service 'nosuch'\n4\n$")
        self.matches("svc status ui; echo $?", r"(?m)^ui +ended +- +1 +/bin/demo +exited \(status 0\)\n3\n$")
        self.matches("svc explain ui", r"(?m)^class +interactive +/recipes-console/first/sched/qos.toml:\d+$")
        self.shell.send("svc start ui\r")
        self.shell.expect(r"demo: ui worked ")
        self.shell.expect(r"^execd: svc=ui exited \(status 0\)$")
        self.settle()
        self.matches("svc logs ui", r"(?s)started as pid \d+\n.*is started by hand\n.*started as pid \d+\n.*exited \(status 0\)\n$")
        self.prints("nsh -c 'svc; echo $?'", "svc: there is no channel to execd here; the console's shell has one\n1\n")
        self.shell.send("kill -9 $$\r")
        self.shell.expect(r"^execd: svc=shell killed by signal 9$")
        self.shell.expect(PROMPT)
        shell = {row["service"]: row for row in self.json("svc status")}["shell"]
        self.assertEqual((shell["state"], shell["starts"], shell["last_end"]), ("running", "2", "killed by signal 9"))

    def worker(self):
        return next(row for row in self.json("svc status") if row["service"] == "worker")

    def kill_worker(self, pause):
        """It comes back behind a pause, as another process."""
        before = self.worker()
        self.shell.send(f"kill -9 {before['pid']}\r")
        # Behind the prompt, or before it.
        self.shell.expect(r"execd: svc=worker killed by signal 9$")
        self.shell.expect(rf"execd: svc=worker starts again in {pause}$")
        self.shell.expect(r"execd: qos set \(svc=worker ")
        self.settle()
        after = self.worker()
        self.assertEqual((after["state"], int(after["starts"]), after["last_end"]),
                         ("running", int(before["starts"]) + 1, "killed by signal 9"))
        self.assertNotEqual(after["pid"], before["pid"])

    def backoff(self):
        """A service that is killed comes back, each time later."""
        for pause in ("100ms", "200ms", "400ms"):
            self.kill_worker(pause)

    def backoff_forgotten(self):
        """One that has run for ten seconds is healthy again: its next end is a first one."""
        while self.json(f"sched show {self.worker()['pid']}")["wake_ups"] < 1000:  # one each 10 ms
            self.shell.run("top -b -n 2 -d 1 -p 1")
        self.kill_worker("100ms")
        self.assertTrue(all("] err: killed by signal 9" in line
                            for line in self.shell.run("svc logs -l err worker").splitlines()))
        self.matches("svc logs worker", r"(?s)starts again in 400ms\n.*starts again in 100ms\n.*started as pid \d+\n$")

    def reload(self):
        """New recipes hold at once for what runs, and sched show says which line they come from."""
        pid = self.worker()["pid"]
        self.assertEqual(self.json(f"qos {pid}")["effective_shares"], 100)
        self.matches("svc reload; echo $?", r"(?m)^execd: qos set \(svc=worker class=interactive shares=250 lat=20ms .*\n"
                     r"(?s:.*)^execd: reloaded /recipes-console/second \(1 changed, 0 new, 0 removed, 2 unchanged\)\n0\n$")
        self.assertEqual(self.json(f"qos {pid}")["effective_shares"], 250)
        self.assertEqual(self.worker()["pid"], pid, "it ran on")
        self.matches(f"sched show {pid}", r"(?m)^  recipe +shares = 250, /recipes-console/second/sched/qos.toml:9$")

    def scripts(self):
        self.prints("echo 'nproc' > /tmp/s; echo 'exit 3' >> /tmp/s; nsh /tmp/s; echo $?", f"{HARTS}\n3\n")
        self.prints("nsh -c 'false || echo well'", "well\n")
        self.prints("ps | nsh -c 'nproc'", f"{HARTS}\n")
        # The shell ends, and execd starts another one.
        self.shell.send("exit 2\r")
        self.shell.expect(r"^execd: svc=shell exited \(status 2\)$")
        self.shell.expect(PROMPT)


if __name__ == "__main__":
    unittest.main()
