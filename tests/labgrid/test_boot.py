# SPDX-License-Identifier: MIT
"""One boot of a board in a labgrid place, judged against tests/markers.toml. Needs labgrid and pytest; docs/boards.md."""

import pathlib
import sys
import time

import pexpect

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import board_run  # pylint: disable=wrong-import-position
import uart_check  # pylint: disable=wrong-import-position

TIMEOUT_S = 300


def test_boot(target):
    """Power off and on, read to the end marker, judge. Nothing is sent: a byte that comes early stops U-Boot."""
    console = target.get_driver("SerialDriver")
    target.get_driver("PowerProtocol").cycle()
    boot = board_run.Boot()
    deadline = time.monotonic() + TIMEOUT_S
    while not boot.end() and time.monotonic() < deadline:
        try:
            boot.feed(console.read(size=4096, timeout=1.0))
        except pexpect.TIMEOUT:
            pass
    manifest = uart_check.load_manifest((ROOT / "tests/markers.toml").read_text(encoding="utf-8"))
    harts = int(target.env.config.get_target_option(target.name, "harts"))
    report = uart_check.check(boot.judged_part().decode("utf-8", "replace"), manifest, harts, "icount", not boot.end())
    assert report.code == uart_check.PASS, "\n" + uart_check.table(report) + boot.raw[-2000:].decode("utf-8", "replace")
