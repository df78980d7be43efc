# SPDX-License-Identifier: MIT
"""A trace as a picture: one lane per CPU, one colour per task. Self-contained SVG that reads on light and dark ground."""
import html

from .summary import by_task, shares_of

WIDTH, LEFT, LANE, GAP, TOP, LEGEND = 1200, 70, 34, 10, 46, 20
# Okabe and Ito's palette, which colour-blind readers can tell apart; then it repeats, lighter.
PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999"]


def colours(timeline):
    """The tasks that ran longest get colours of their own."""
    ran = sorted(by_task(timeline).items(), key=lambda entry: -entry[1][0])
    return {tid: PALETTE[place % len(PALETTE)] for place, (tid, _) in enumerate(ran)}


def label(timeline, tid):
    """What the legend says of a task. Names that begin with `!` are orders that the selftest gave to a worker."""
    name = timeline.name(tid)
    if not name.startswith("!"):
        return f"{name} ({tid})"
    return f"worker {tid}: shares {', then '.join(str(value) for _, value in shares_of(timeline, tid))}"


def svg(timeline, begin=None, end=None, title="Who ran where"):
    """[begin, end) in ns of the trace's clock; all of it by default."""
    begin = timeline.begin if begin is None else begin
    end = timeline.end if end is None else end
    span = max(end - begin, 1)
    scale = (WIDTH - LEFT - 10) / span
    colour = colours(timeline)
    shown = [part for part in timeline.slices if part.end > begin and part.begin < end]
    tasks = [tid for tid in colour if any(part.task == tid for part in shown)][:16]
    bottom = TOP + len(timeline.cpus) * (LANE + GAP)
    height = bottom + 30 + LEGEND * ((len(tasks) + 3) // 4) + 10
    # The class keeps the style to this picture where it stands in a page.
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" class="trace" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
           'font-size="13">',
           "<style>.trace text{fill:#222}.trace .lane{fill:#8883}"
           "@media(prefers-color-scheme:dark){.trace text{fill:#ddd}}</style>",
           f'<text x="{LEFT}" y="22" font-size="16">{html.escape(title)}, {span / 1e6:.3f} ms</text>']
    for row, cpu in enumerate(timeline.cpus):
        y = TOP + row * (LANE + GAP)
        out.append(f'<text x="8" y="{y + 22}">cpu {cpu}</text>'
                   f'<rect class="lane" x="{LEFT}" y="{y}" width="{WIDTH - LEFT - 10}" height="{LANE}"/>')
        for part in shown:
            if part.cpu == cpu:
                left, right = max(part.begin, begin), min(part.end, end)
                words = f"{timeline.name(part.task)} ({part.task}): {(part.end - part.begin) / 1e3:.1f} us, {part.fate}"
                out.append(f'<rect x="{LEFT + (left - begin) * scale:.2f}" y="{y}" height="{LANE}" '
                           f'width="{max((right - left) * scale, 0.3):.2f}" fill="{colour[part.task]}">'
                           f"<title>{html.escape(words)}</title></rect>")
    for tick in range(11):
        x = LEFT + (WIDTH - LEFT - 10) * tick / 10
        out.append(f'<text x="{x:.0f}" y="{bottom + 14}" text-anchor="middle" font-size="11">'
                   f"{(begin - timeline.begin + span * tick / 10) / 1e6:.2f} ms</text>")
    for place, tid in enumerate(tasks):
        x, y = LEFT + place % 4 * 280, bottom + 36 + place // 4 * LEGEND
        out.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{colour[tid]}"/>'
                   f'<text x="{x + 18}" y="{y}">{html.escape(label(timeline, tid))}</text>')
    return "\n".join(out) + "\n</svg>\n"
