# SPDX-License-Identifier: MIT
"""Charts as inline SVG. Colours come from the page's style sheet, so they follow light and dark; every mark has a title."""
import html
import math

from tracing import summary

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 240, 56, 16, 12, 40


def text(x, y, words, anchor="middle", kind="tick"):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def nice_ticks(low, high, wanted=5):
    """Round numbers from low to high, about so many."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= wanted)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, int(math.floor(high / step + 1e-9)) + 1)]


class Chart:
    """Axes, and lines in them. x and y are in the units of the axes' names."""

    def __init__(self, x_range, y_range, x_name, y_name, label):
        self.x_range, self.y_range = x_range, y_range
        self.out = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(label)}">']
        for tick in nice_ticks(*y_range):
            y = self.y(tick)
            self.out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            self.out.append(text(LEFT - 6, y + 4, f"{tick:g}", "end"))
        for tick in nice_ticks(*x_range, wanted=8):
            self.out.append(text(self.x(tick), HEIGHT - BOTTOM + 16, f"{tick:g}"))
        self.out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_name))
        self.out.append(f'<text class="tick" transform="rotate(-90)" x="{-(TOP + HEIGHT - BOTTOM) / 2:.0f}" y="13" '
                        f'text-anchor="middle">{html.escape(y_name)}</text>')

    def x(self, value):
        low, high = self.x_range
        return LEFT + (value - low) / (high - low or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low or 1) * (HEIGHT - TOP - BOTTOM)

    def line(self, points, colour, title, dashed=False):
        """A line through (x, y) points in the page's series colour of that number."""
        if points:
            path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
            kind = "target" if dashed else "series"
            self.out.append(f'<polyline class="{kind} c{colour}" points="{path}"><title>{html.escape(title)}</title></polyline>')

    def svg(self):
        return "".join(self.out) + "</svg>"


def steps(changes, end):
    """The corners of a value that changes at instants: [(at, value)] in order."""
    points = []
    for (at, value), then in zip(changes, [*(at for at, _ in changes[1:]), end]):
        points += [(at, value), (then, value)]
    return points


def histogram(bars, unit, label, log_y=False):
    """Bars of (upper end, count); the ends are the labels."""
    most = max((count for _, count in bars), default=1) or 1
    out = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT - 40}" role="img" aria-label="{html.escape(label)}">']
    ground = HEIGHT - 40 - BOTTOM
    slot = (WIDTH - LEFT - RIGHT) / max(len(bars), 1)
    for place, (end, count) in enumerate(bars):
        part = math.log1p(count) / math.log1p(most) if log_y else count / most
        height = max(part * (ground - TOP - 14), 1.5 if count else 0)
        x = LEFT + place * slot
        out.append(f'<rect class="bar" x="{x + 1:.1f}" y="{ground - height:.1f}" width="{slot - 2:.1f}" height="{height:.1f}">'
                   f"<title>up to {end:g} {html.escape(unit)}: {count}</title></rect>")
        if count:
            out.append(text(x + slot / 2, ground - height - 4, str(count)))
        out.append(text(x + slot / 2, ground + 15, f"{end:g}"))
    out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{ground}" y2="{ground}"/>')
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 46, f"up to so many {unit}"))
    return "".join(out) + "</svg>"


def buckets(values):
    """(upper end, count) by powers of two, from the first to the last that is not empty."""
    if not values:
        return []
    ends = [max(0, math.ceil(math.log2(value))) if value > 0 else 0 for value in values]
    return [(2.0 ** end, ends.count(end)) for end in range(min(ends), max(ends) + 1)]


def ran_between(slices, begin, end):
    """ns that slices of one task spent in [begin, end)."""
    return sum(max(0, min(part.end, end) - max(part.begin, begin)) for part in slices)


def workers_of(told):
    """The tasks of a selftest case that compete, (tid, name), the one that ran longest first. Their names begin with `!`."""
    ran = summary.by_task(told)
    found = [(tid, task.name) for tid, task in told.tasks.items() if task.name.startswith("!")]
    return sorted(found, key=lambda worker: -ran[worker[0]][0])


def shares_over_time(told, tids):
    return {tid: summary.shares_of(told, tid) for tid in tids}


def competition(told):
    """[begin, end) in which all workers compete: from when all have been preempted, until the first was for the last time."""
    ends = [[part.end for part in told.slices if part.task == tid and part.fate == "preempted"] for tid, _ in workers_of(told)]
    if len(ends) < 2 or not all(ends):
        return None
    begin, end = max(found[0] for found in ends), min(found[-1] for found in ends)
    return (begin, end) if begin < end else None


def swap(told):
    """When shares changed while the workers competed; the middle of that time when they did not."""
    begin, end = competition(told)
    changed = [at for changes in shares_over_time(told, [tid for tid, _ in workers_of(told)]).values()
               for at, _ in changes if begin < at < end]
    return min(changed, default=(begin + end) // 2)


def describe_workers(told):
    """What the legend says of each: the shares it had, in their order."""
    workers = workers_of(told)
    shares = shares_over_time(told, [tid for tid, _ in workers])
    return [f"task {tid}: shares {', then '.join(str(value) for _, value in shares[tid])}" for tid, _ in workers]


def share_chart(told, window_ns=24_000_000):
    """What part of their CPU the workers got in each window, beside what their shares ask for."""
    span = competition(told)
    if not span or span[1] - span[0] < 2 * window_ns:
        return None
    begin, end = span
    workers = workers_of(told)
    shares = shares_over_time(told, [tid for tid, _ in workers])
    chart = Chart((0, (end - begin) / 1e6), (0, 1), "ms", "part of the CPU", "Part of the CPU over time, beside the shares")

    def share_at(tid, at):
        return next((value for when, value in reversed(shares[tid]) if when <= at), shares[tid][0][1])

    instants = sorted({begin, *(at for changes in shares.values() for at, _ in changes if begin < at < end)})
    for colour, (tid, name) in enumerate(workers):
        targets = [((at - begin) / 1e6, share_at(tid, at) / sum(share_at(other, at) for other, _ in workers)) for at in instants]
        chart.line(steps(targets, (end - begin) / 1e6), colour, f"{name} ({tid}): what its shares ask for", dashed=True)
        parts = [part for part in told.slices if part.task == tid]
        points = [((at + window_ns / 2 - begin) / 1e6, ran_between(parts, at, at + window_ns) / window_ns)
                  for at in range(begin, end - window_ns, window_ns // 4)]
        chart.line(points, colour, f"{name} ({tid}): what it got")
    return chart.svg()


def lag_chart(told):
    """What the kernel owed each worker whenever it was preempted."""
    span = competition(told)
    if not span:
        return None
    begin, end = span
    lags = {}
    for event in told.events:
        if event.kind == "Lag" and begin <= event.at <= end:
            lag = event.value - (1 << 32) if event.value >> 31 else event.value
            lags.setdefault(event.task, []).append(((event.at - begin) / 1e6, lag / 1000))
    workers = [worker for worker in workers_of(told) if worker[0] in lags]
    if not workers:
        return None
    reach = max(3.0, *(abs(lag) for points in lags.values() for _, lag in points))
    chart = Chart((0, (end - begin) / 1e6), (-reach, reach), "ms", "ms owed", "Lag of each task over time")
    chart.line([(0, 0), ((end - begin) / 1e6, 0)], "x", "exact", dashed=True)
    for colour, (tid, name) in enumerate(workers_of(told)):
        chart.line(lags.get(tid, []), colour, f"{name} ({tid}): what it is owed")
    return chart.svg()
