# SPDX-License-Identifier: MIT
"""The page: what failed first, then what is missing, then everything else. One file without scripts or anything from elsewhere."""
import datetime
import html
import pathlib
import subprocess

from . import artefacts, plots
from tracing import picture, summary

STYLE = pathlib.Path(__file__).with_name("style.css")
TAIL_LINES = 60
PICTURE_NS = 60_000_000


def escape(words):
    return html.escape(str(words))


def table(head, rows, numbers=(), centred=(), failed=()):
    """head and rows of HTML cells; numbers, centred: columns; failed: rows to mark."""
    def kind(column):
        return ' class="n"' if column in numbers else ' class="c"' if column in centred else ""

    out = ['<div class="wide"><table><thead><tr>']
    out += [f"<th{kind(column)}>{cell}</th>" for column, cell in enumerate(head)]
    out.append("</tr></thead><tbody>")
    for number, row in enumerate(rows):
        out.append('<tr class="failed">' if number in failed else "<tr>")
        out += [f"<td{kind(column)}>{cell}</td>" for column, cell in enumerate(row)]
        out.append("</tr>")
    return "".join(out) + "</tbody></table></div>"


def status_word(status):
    if status in ("pass", "ok"):
        return f'<span class="good">{status}</span>'
    return f'<span class="quiet">{status}</span>' if status == "skip" else f'<span class="bad">{escape(status)}</span>'


def figure(value):
    """A number as people read it."""
    if value is None:
        return '<span class="quiet">none</span>'
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1000 else f"{value:.4g}"


def absent(what, how):
    return f'<p class="absent">{what} <code>{escape(how)}</code> makes it.</p>'


def meter(part, over):
    kind = ' class="over"' if over else ""
    return f'<span class="meter"><i{kind} style="width:{min(max(part, 0), 1):.0%}"></i></span>'


class Page:
    """Everything that was read, and the sections made of it."""

    def __init__(self, logs, build):
        self.run = artefacts.run_of(logs)
        self.logs = logs
        self.tests = artefacts.tests(logs, self.run)
        self.boots = artefacts.boots(logs, self.run)
        self.panics = artefacts.panics(logs, self.run)
        self.gates = artefacts.gated_figures(logs, self.run)
        self.costs = artefacts.costs(logs, self.run)
        self.trace = artefacts.trace(logs, self.run)
        self.histograms = artefacts.histograms(logs, self.run)
        self.proofs = artefacts.proofs(logs, self.run)
        self.coverage = artefacts.coverage(build)

    # What failed.

    def failed_tests(self):
        return [test for test in self.tests if test.status == "FAIL"]

    def failed_stages(self):
        """Stages that failed for another reason than their tests: the build, or the time where that counts."""
        with_tests = {test.stage for test in self.failed_tests()}
        return [stage for stage in self.run.stages if stage.status != "ok" and (stage.over or stage.name not in with_tests)]

    def failed_gates(self):
        return [(boot, gate, value) for boot, gate, value in self.gates if value is None or not gate.holds(value)]

    def failed_boots(self):
        return [boot for boot in self.boots if boot.failed and boot.folder in ("", "riscv-release", "riscv-debug")
               ]

    def is_bad(self):
        return bool(self.failed_tests() or self.failed_stages() or self.panics or self.failed_gates() or self.failed_boots() or
                    self.run.unreadable or self.run.failed)

    def failures(self):
        if not self.is_bad():
            return '<p class="good">Nothing failed.</p>' if self.tests or self.boots else "<p>No test has left a result.</p>"
        out = []
        for stage in self.failed_stages():
            why = f"took {stage.seconds} s of {stage.budget} s" if stage.over else "did not come to its end"
            out.append(f'<div class="failure"><b>stage {escape(stage.name)}</b> {why}</div>')
        for path, why in self.run.unreadable:
            out.append(f'<div class="failure"><b>{escape(self.short(path))}</b> cannot be read: {escape(why)}</div>')
        for test in self.failed_tests():
            tail = "\n".join(test.output.splitlines()[-TAIL_LINES:]) or "(no output)"
            out.append(f'<div class="failure"><b>{escape(test.name)}</b> <span class="quiet">{escape(test.stage)}, '
                       f'{escape(test.preset)}, {test.seconds:.1f} s</span><pre>{escape(tail)}</pre></div>')
        for log, lines in self.panics:
            out.append(f'<div class="failure"><b>kernel panic</b> in <code>{escape(self.short(log))}</code>'
                       f"<pre>{escape(chr(10).join(lines))}</pre></div>")
        for boot in self.failed_boots():
            rows = "\n".join(f"{row.status:8} {row.name}  {row.detail}".rstrip() for row in boot.failed)
            out.append(f'<div class="failure"><b>boot {escape(boot.name)}</b> <code>{escape(self.short(boot.log))}</code>'
                       f"<pre>{escape(rows)}</pre></div>")
        for boot, gate, value in self.failed_gates():
            out.append(f'<div class="failure"><b>figure {escape(gate.gauge)}.{escape(gate.figure)}</b> is {figure(value)}, wanted '
                       f"{escape(gate.limit())}<p>{escape(gate.why)}</p></div>")
        return "".join(out)

    def short(self, path):
        try:
            return str(path.relative_to(artefacts.ROOT))
        except ValueError:
            return path.name

    # What is not there.

    def missing(self):
        """(what, the command that makes it)."""
        wanted = [
            (self.run.stages, "Stage times", "scripts/test.sh"),
            (self.tests, "Results of tests", "scripts/test.sh"),
            (self.boots, "Boots of the selftest", "scripts/test.sh --only icount,mttcg"),
            (self.gates, "The scheduler's figures", "scripts/test.sh --only figures"),
            (self.costs, "Instructions of operations", "scripts/bench.sh"),
            (self.trace, "A trace of the shares case", "ctest --preset riscv-release -R trace.shares"),
            (self.histograms, "Histograms of wake-ups", "scripts/test.sh --only figures"),
            (self.proofs, "The proofs' figures", "scripts/test.sh --only proofs"),
            (self.coverage, "Coverage", "scripts/coverage.sh"),
        ]
        return [(what, how) for there, what, how in wanted if not there]

    def missing_section(self):
        rows = self.missing()
        if not rows:
            return "<p>Every part of this page has its data.</p>"
        items = "".join(f"<li>{what}: <code>{escape(how)}</code></li>" for what, how in rows)
        return ("<p>These parts of the page are empty, because the run left nothing for them. The command beside each makes "
                f'it.</p><ul class="missing">{items}</ul>')

    # The rest.

    def stages(self):
        if not self.run.stages:
            return absent("No stage has left its time.", "scripts/test.sh")
        counts = {}
        for test in self.tests:
            counts.setdefault(test.stage, []).append(test.status)
        rows = []
        for stage in self.run.stages:
            statuses = counts.get(stage.name, [])
            tests = f"{statuses.count('pass')} of {len(statuses)}" if statuses else ""
            rows.append([f"<b>{escape(stage.name)}</b>", status_word(stage.status), tests, f"{stage.seconds} s",
                         f"{stage.budget} s", meter(stage.seconds / max(stage.budget, 1), stage.over), escape(stage.what)])
        seconds = sum(stage.seconds for stage in self.run.stages)
        text = f"<p>{seconds // 60} min {seconds % 60} s in all; the whole may take 30 minutes on two cores.</p>"
        return text + table(["stage", "", "tests", "took", "may take", "", "what"], rows, numbers=(2, 3, 4),
                            failed=[i for i, stage in enumerate(self.run.stages) if stage.status != "ok"])

    def reference(self):
        """The boot whose figures stand for all: the deterministic lane with the most harts."""
        candidates = [boot for boot in self.boots if not boot.control]
        named = [boot for boot in candidates if boot.name == "icount-4" and boot.folder == "riscv-release"]
        return (named or sorted(candidates, key=lambda boot: ("icount" not in boot.name, -boot.harts)) or [None])[0]

    def boots_section(self):
        if not self.boots:
            return absent("No boot has left a verdict.", "scripts/test.sh --only icount,mttcg")
        rows, failed = [], []
        for boot in sorted(self.boots, key=lambda boot: (not boot.failed, boot.control, boot.name)):
            if boot.failed:
                failed.append(len(rows))
            verdict = "FAIL" if boot.failed else "pass"
            note = "one marker has to fail, and did" if boot.control and not boot.failed else ""
            guest = f"{boot.guest_ms} ms" if boot.guest_ms is not None else ""
            rows.append([f"<b>{escape(boot.name)}</b>", status_word(verdict), boot.harts, escape(boot.counts), guest, note,
                         f"<code>{escape(self.short(boot.log))}</code>"])
        return table(["boot", "", "harts", "selftest", "guest time", "", "log"], rows, numbers=(2, 4), failed=failed)

    def markers(self):
        boot = self.reference()
        if not boot:
            return absent("No boot has left its markers.", "scripts/test.sh --only icount")
        manifest = artefacts.uart_check.load_manifest((artefacts.ROOT / "tests/markers.toml").read_text(encoding="utf-8"))
        proves = {marker.name: marker.proves for marker in manifest}
        others = [other for other in self.boots if other is not boot and not other.control ]
        rows, failed = [], []
        for row in (row for row in boot.rows if row.name in proves):
            elsewhere = [next((theirs.status for theirs in other.rows if theirs.name == row.name), "skip") for other in others]
            bad = [other.name for other, status in zip(others, elsewhere) if status not in ("pass", "skip")]
            if row.status not in ("pass", "skip") or bad:
                failed.append(len(rows))
            where = f"{elsewhere.count('pass')} of {len(others)}"
            where += f' <span class="bad">{escape(" ".join(bad))}</span>' if bad else ""
            detail = f'<br><span class="quiet">{escape(boot.detail(row.name))}</span>' if boot.detail(row.name) else ""
            rows.append([f"<b>{escape(row.name)}</b><br>{escape(proves[row.name])}{detail}", status_word(row.status), where])
        return (f"<p>Figures of the boot <b>{escape(boot.name)}</b>; the last column says in how many of the other boots the "
                "marker was earned: some ask for more harts, or another lane, than a boot has.</p>" +
                table(["marker, what it proves, its figures", "", "elsewhere"], rows, numbers=(2,), failed=failed))

    def figures(self):
        if not self.gates:
            return absent("The measuring program did not run.", "scripts/test.sh --only figures")
        rows, failed = [], []
        for boot, gate, value in self.gates:
            good = value is not None and gate.holds(value)
            if not good:
                failed.append(len(rows))
            limit = gate.at_most if gate.at_most is not None else gate.at_least
            part = 0.0 if value is None or not limit else value / limit if gate.at_most is not None else limit / max(value, 1e-9)
            rows.append([f"<b>{escape(gate.gauge)}.{escape(gate.figure)}</b>", status_word("ok" if good else "FAIL"), figure(value),
                         escape(gate.limit()), meter(part, not good), escape(gate.why)])
        return table(["figure", "", "measured", "limit", "of its limit", "why so much"], rows, numbers=(2, 3), failed=failed)

    def costs_section(self):
        if not self.costs:
            return absent("Nothing was measured.", "scripts/bench.sh")
        rows, failed = [], []
        for cost in self.costs:
            change = "" if not cost.recorded or cost.now is None else f"{cost.now / cost.recorded - 1:+.1%}"
            if cost.dearer:
                change = f'<span class="bad">{change}</span>'
                failed.append(len(rows))
            budget = "" if cost.row.budget is None else figure(cost.row.budget)
            verdict = "" if cost.row.budget is None or cost.now is None else status_word("ok")
            if cost.over_budget:
                verdict = f'<span class="warn">{cost.now / max(cost.row.budget, 1e-9):.2f} times</span>'
            now = figure(cost.now) if cost.now is not None else f'<span class="quiet">{escape(cost.why_not)}</span>'
            rows.append([f"<b>{escape(cost.row.title())}</b>", escape(cost.row.unit), now,
                         figure(cost.recorded) if cost.recorded is not None else "", change, budget, verdict])
        kept = sum(1 for cost in self.costs if cost.row.budget is not None and cost.now is not None and not cost.over_budget)
        budgeted = sum(1 for cost in self.costs if cost.row.budget is not None)
        measured = sum(1 for cost in self.costs if cost.now is not None)
        head = ["operation", "unit", "this run", "recorded", "change", "budget", ""]
        return (f"<p>{measured} of {len(self.costs)} operations were measured; {kept} of {budgeted} budgets are kept. "
                "<i>Recorded</i> is the table in docs/perf/bench.md, which each landing that changes a cost brings up to date; a change beyond the "
                "tolerance is marked.</p>" + table(head, rows, numbers=(2, 3, 4, 5), failed=failed))

    def fairness(self):
        if not self.trace:
            return absent("No trace of the shares case.", "ctest --preset riscv-release -R trace.shares")
        told = self.trace
        legend = "".join(f'<span><i class="key k{place}"></i>{escape(words)}</span>'
                         for place, words in enumerate(plots.describe_workers(told)))
        out = ["<p>From the trace of the case <i>shares</i>: two tasks on one CPU with shares 100 and 300, which are swapped "
               f'while they run.</p><p class="legend">{legend}</p>']
        parts = [(plots.share_chart(told),
                  "Part of the CPU in windows of 24 ms, a window every 6 ms. Dashed: what the shares ask for."),
                 (plots.lag_chart(told), "What each task was owed whenever it was preempted. One request of class Normal is 3 ms.")]
        if plots.competition(told):
            at = plots.swap(told)
            parts.append((picture.svg(told, at - PICTURE_NS // 2, at + PICTURE_NS // 2), "Who ran where, around the swap."))
        for svg, caption in parts:
            if svg:
                out.append(f'<figure><div class="wide">{svg}</div><figcaption>{caption}</figcaption></figure>')
        errors = summary.account_errors(told)
        if errors:
            rows = [[f"{escape(task.name)} ({task.tid})", f"{ran / 1e6:.3f}", f"{charged / 1e6:.3f}",
                     f"{abs(ran - charged) / max(charged, 1):.4%}"]
                    for task, ran, charged in errors]
            out.append("<h3>Slices of the trace and time charged</h3>" +
                       table(["task", "ms in slices", "ms charged", "off"], rows, numbers=(1, 2, 3)))
        return "".join(out)

    def latency(self):
        out = []
        for found in self.histograms:
            name = f"{found.name}, {sum(count for _, count in found.bars)} times"
            out.append(f'<figure><div class="wide">{plots.histogram(found.bars, found.unit, name, log_y=True)}</div>'
                       f"<figcaption><b>{escape(name)}</b>. Heights are logarithmic; the numbers are counts.</figcaption></figure>")
        if not self.histograms:
            out.append(absent("The measuring program printed no histogram.", "scripts/test.sh --only figures"))
        delays = [delay / 1000 for found in summary.wake_delays(self.trace).values() for delay in found] if self.trace else []
        if delays:
            svg = plots.histogram(plots.buckets(delays), "us", "wake-ups of the trace", log_y=True)
            out.append(f'<figure><div class="wide">{svg}</div><figcaption><b>Wake-ups in the trace of the shares case, '
                       f"{len(delays)} times</b>: from the wake-up until the task ran, all classes.</figcaption></figure>")
        return "".join(out)

    def proofs_section(self):
        if not self.proofs:
            return absent("The proofs left no figures.", "scripts/test.sh --only proofs")
        return table(["", "invariant", "target", "measured", ""],
                     [[escape(cell) for cell in row[:4]] + [status_word(row[4])] for row in self.proofs],
                     failed=[number for number, row in enumerate(self.proofs) if row[4] != "ok"])

    @staticmethod
    def recorded_coverage():
        """What the documents say of the last time it was measured."""
        rows, said = artefacts.recorded_coverage((artefacts.ROOT / "docs/reliability.md").read_text(encoding="utf-8"))
        if not rows:
            return ""
        shown = [[f"<b>{escape(name)}</b>", escape(value), meter(float(value.split()[0]) / 100, False)] for name, value in rows]
        return (f"<p>From docs/reliability.md: {escape(said[:1].lower() + said[1:])}</p>" + table(["folder", "lines", ""], shown,
                                                                                                numbers=(1,)))

    def coverage_section(self):
        if not self.coverage:
            return absent("Coverage was not measured in this run.", "scripts/coverage.sh") + self.recorded_coverage()
        folders = {}
        for file in self.coverage.get("files", []):
            folder = "/".join(file["filename"].split("/")[:2])
            covered, total = folders.get(folder, (0, 0))
            folders[folder] = covered + file["line_covered"], total + file["line_total"]
        rows = [[f"<b>{escape(folder)}</b>", f"{covered / max(total, 1):.1%}", f"{covered} of {total}",
                 meter(covered / max(total, 1), False)]
                for folder, (covered, total) in sorted(folders.items())]
        whole = f"{self.coverage['line_covered'] / self.coverage['line_total']:.1%}"
        return f"<p>{whole} of all lines.</p>" + table(["folder", "lines", "", ""], rows, numbers=(1, 2))

    def tests_section(self):
        if not self.tests:
            return absent("No test has left a result.", "scripts/test.sh")
        slowest = sorted(self.tests, key=lambda test: -test.seconds)
        rows = [[escape(test.name), escape(test.stage), status_word(test.status), f"{test.seconds:.2f} s"] for test in slowest]
        head = ["test", "stage", "", "took"]
        return (f"<p>The slowest of {len(self.tests)}.</p>" + table(head, rows[:15], numbers=(3,)) +
                f"<details><summary>All {len(self.tests)}</summary>{table(head, rows, numbers=(3,))}</details>")

    def sections(self):
        """(id, title, number to show beside it, HTML)."""
        bad = len(self.failed_tests()) + len(self.failed_stages()) + len(self.panics) + len(self.failed_gates())
        return [("failures", "What failed", bad, self.failures()), ("missing", "What is missing", 0, self.missing_section()),
                ("stages", "Stages", 0, self.stages()), ("boots", "Boots", len(self.failed_boots()), self.boots_section()),
                ("markers", "Markers", 0, self.markers()), ("figures", "Figures", len(self.failed_gates()), self.figures()),
                ("costs", "Instruction budgets", 0, self.costs_section()), ("fairness", "Fairness", 0, self.fairness()),
                ("latency", "Latency", 0, self.latency()), ("proofs", "Proofs", 0, self.proofs_section()),
                ("coverage", "Coverage", 0, self.coverage_section()), ("tests", "Tests", 0, self.tests_section())]

    def verdict(self):
        statuses = [test.status for test in self.tests]
        told = f"{statuses.count('pass')} of {len(statuses)} tests passed" if statuses else f"{len(self.boots)} boots"
        missing = len(self.missing())
        parts = "1 part of this page has no data." if missing == 1 else f"{missing} parts of this page have no data."
        rest = f' <span class="quiet">{parts}</span>' if missing else ""
        if self.is_bad():
            return f'<div class="verdict bad"><span class="bad">FAIL</span> {told}.{rest}</div>'
        if not self.tests and not self.boots:
            return f'<div class="verdict bad">No test has left a result.{rest}</div>'
        return f'<div class="verdict"><span class="good">pass</span> {told}.{rest}</div>'

    def write(self):
        sections = self.sections()
        began = datetime.datetime.fromtimestamp(self.run.began).strftime("%Y-%m-%d %H:%M") if self.run.began else "of several runs"
        links = "".join(f'<li><a href="#{name}">{title}{f" <b>{bad}</b>" if bad else ""}</a></li>'
                        for name, title, bad, _ in sections)
        body = "".join(f'<section id="{name}"><h2>{title}</h2>{text}</section>' for name, title, _, text in sections)
        return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
                '<meta name="viewport" content="width=device-width, initial-scale=1"><title>NEURON: test run</title>'
                f'<link rel="icon" href="data:,"><style>{STYLE.read_text(encoding="utf-8")}</style></head><body><div class="frame">'
                f'<nav aria-label="Contents"><ol>{links}</ol></nav><main><h1>NEURON: test run</h1>'
                f'<p class="quiet">{escape(commit())}<br>begun {began}</p>{self.verdict()}{body}</main></div></body></html>\n')


def commit():
    """Which source this is, as git knows it."""
    def git(*words):
        return subprocess.run(["git", "-C", artefacts.ROOT, *words], check=True, capture_output=True, text=True).stdout.strip()

    try:
        changed = ", with changes that are not committed" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("log", "-1", "--format=%h %s") + changed
    except (OSError, subprocess.CalledProcessError):
        return "source without a history"
