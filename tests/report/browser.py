# SPDX-License-Identifier: MIT
"""A headless Chromium that is told what to do through a pipe (the DevTools protocol), so that a test can look at a page as a
person sees it: of any width, light or dark, with what it complains about.
"""
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ("chromium-headless-shell", "chromium")
# Of wall time, for one answer. Nothing is judged by it: a browser that hangs ends here.
TIMEOUT_S = 60


class BrowserError(Exception):
    """The browser is not there, refused a command or ended."""


class Browser:
    """One browser with one page. Use it with `with`: it ends with the block, and its profile is removed."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if not program:
            raise BrowserError(f"no {' or '.join(NAMES)}: run scripts/setup.sh")
        self.folder = tempfile.TemporaryDirectory(prefix="neuron-browser-", ignore_cleanup_errors=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # The protocol's pipes are descriptors 3 and 4. Root has no sandbox of Chromium's.
        line = ["bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', program, "--headless", "--remote-debugging-pipe",
                "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
                "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen(line, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                        env={**os.environ, "HOME": self.folder.name})
        os.close(theirs_in)
        os.close(theirs_out)
        self.to, self.back = ours_out, ours_in
        self.held = b""
        self.number = 0
        self.session = None
        self.complaints = []  # what the page logged, threw or could not load
        self.requests = []  # addresses that were asked for
        self.loaded = False

    def __enter__(self):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        # With all processes it has started: they write into the profile until they end.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.to)
        os.close(self.back)
        self.folder.cleanup()

    def _message(self, end):
        """The next message of the browser."""
        while b"\0" not in self.held:
            if time.monotonic() > end:
                raise BrowserError(f"no answer for {TIMEOUT_S} s")
            data = os.read(self.back, 1 << 20)
            if not data:
                raise BrowserError("the browser ended")
            self.held += data
        message, _, self.held = self.held.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        method, told = event.get("method", ""), event.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.loadingFailed":
            self.complaints.append(f"not loaded: {told.get('errorText')}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"].get("text")))
        elif method == "Log.entryAdded":
            self.complaints.append(f"{told['entry']['level']}: {told['entry']['text']}")
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(f"console.{told['type']}")

    def ask(self, method, **words):
        """A command and its answer."""
        self.number += 1
        request = {"id": self.number, "method": method, "params": words}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + TIMEOUT_S
        while True:
            message = self._message(end)
            if message.get("id") == self.number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error'].get('message')}")
                return message["result"]
            self._note(message)

    def view(self, width, height=900, dark=False):
        """How wide the window is and which scheme it prefers."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, path):
        self.loaded = False
        self.ask("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        end = time.monotonic() + TIMEOUT_S
        while not self.loaded:
            self._note(self._message(end))

    def run(self, expression):
        """The value of a JavaScript expression in the page."""
        told = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in told:
            raise BrowserError(f"{expression}: {told['exceptionDetails'].get('exception', {}).get('description')}")
        return told["result"].get("value")

    def picture(self, path, clip=None):
        """A PNG of the page as it is shown now; of a part of it."""
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, **({"clip": clip} if clip else {}))
        pathlib.Path(path).write_bytes(base64.b64decode(told["data"]))
