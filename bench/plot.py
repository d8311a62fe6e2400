"""Pictures as SVG, readable on light and on dark pages. Log-log: two panels side by side, series with measured points
(filled), planned points (hollow) and the exponent of a fit in the legend. And named points over one logarithmic axis. No
dependencies."""
import math

INK = "#808080"  # text and frames: enough contrast on white and on black
PANEL_WIDTH, HEIGHT, LEFT, TOP, GAP, LEGEND = 320, 240, 62, 34, 84, 19


def exponent(points):
    """Slope of log y over log x by least squares, over the points of the upper half of the range of log x (where constant
    parts weigh least); None with fewer than two points."""
    points = [(math.log(x), math.log(y)) for x, y in points if y > 0]
    if len(points) < 2:
        return None
    middle = (min(p[0] for p in points) + max(p[0] for p in points)) / 2
    upper = [p for p in points if p[0] >= middle - 1e-9]
    upper = upper if len(upper) > 1 else sorted(points)[-2:]
    mx, my = (sum(p[i] for p in upper) / len(upper) for i in (0, 1))
    spread = sum((x - mx) ** 2 for x, _ in upper)
    return sum((x - mx) * (y - my) for x, y in upper) / spread if spread else None


class Axis:
    """A logarithmic axis over the values, from pixel `start` to pixel `end`."""

    def __init__(self, values, start, end):
        low, high = math.log(min(values)), math.log(max(values))
        room = 0.05 * (high - low) or 0.5
        self.low, self.high, self.start, self.end = low - room, high + room, start, end

    def at(self, value):
        return self.start + (self.end - self.start) * (math.log(value) - self.low) / (self.high - self.low)

    def ticks(self):
        """1, 2 and 5 times powers of ten; powers alone when the range is long."""
        decades = (self.high - self.low) / math.log(10)
        steps = (1, 2, 5) if decades < 2 else (1,) if decades > 4 else (1, 3)
        every = (s * 10.0 ** e for e in range(-6, 13) for s in steps)
        return [v for v in every if self.low <= math.log(v) <= self.high]


def number(value):
    return f"{value:g}" if value < 1e5 else f"{value:.0e}"


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}">{words}</text>'


def line(x1, y1, x2, y2, opacity):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{INK}" stroke-opacity="{opacity}"/>'


def drawn(series, x, y, colour):
    """A line through all points; measured ones filled, planned ones hollow."""
    points = sorted(series["planned"] + series["measured"])
    path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for kind in ("planned", "measured"):
        fill = colour if kind == "measured" else "none"
        parts += [f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3.6" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
                  for a, b in series[kind]]
    return parts


def panel(left, title, x_name, x_ticks, series, colours):
    """`series`: name → {"measured": [(x, y)], "planned": [(x, y)]}. The exponent is of the measured points when there are
    two, else of the planned ones."""
    filled = {n: s for n, s in series.items() if s["measured"] or s["planned"]}
    every = [p for s in filled.values() for p in s["measured"] + s["planned"]]
    x, y = Axis([p[0] for p in every], left, left + PANEL_WIDTH), Axis([p[1] for p in every], TOP + HEIGHT, TOP)
    parts = [text(left, TOP - 12, title), f'<rect x="{left}" y="{TOP}" width="{PANEL_WIDTH}" height="{HEIGHT}" fill="none" stroke="{INK}"/>']
    for v in y.ticks():
        parts += [line(left, y.at(v), left + PANEL_WIDTH, y.at(v), 0.3), text(left - 6, y.at(v) + 4, number(v), "end")]
    for v in x_ticks:
        parts += [line(x.at(v), TOP, x.at(v), TOP + HEIGHT, 0.3), text(x.at(v), TOP + HEIGHT + 17, number(v), "middle")]
    parts.append(text(left + PANEL_WIDTH / 2, TOP + HEIGHT + 36, x_name, "middle"))
    for row, (name, s) in enumerate(filled.items()):
        power = exponent(s["measured"] if len(s["measured"]) > 1 else s["planned"])
        at = TOP + HEIGHT + 60 + LEGEND * row
        parts += drawn(s, x, y, colours[name])
        parts += [f'<rect x="{left}" y="{at - 9}" width="18" height="4" fill="{colours[name]}"/>',
                  text(left + 26, at, name + (f": exponent {power:.2f}" if power is not None else ""))]
    return parts


def picture(path, x_name, x_ticks, panels, colours):
    """`panels`: [(title, series)]; one without points is left out. Writes the SVG."""
    panels = [(title, series) for title, series in panels if any(s["measured"] or s["planned"] for s in series.values())]
    parts = []
    for i, (title, series) in enumerate(panels):
        parts += panel(LEFT + i * (PANEL_WIDTH + GAP), title, x_name, x_ticks, series, colours)
    width = LEFT + len(panels) * (PANEL_WIDTH + GAP) - GAP + 16
    height = TOP + HEIGHT + 60 + LEGEND * len(colours)
    save(path, width, height, parts)


def save(path, width, height, parts):
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">\n'
                + "\n".join(parts) + "\n</svg>\n")


class Linear:
    """A linear axis over the values, from pixel `start` to pixel `end`, with ticks at multiples of `step`."""

    def __init__(self, values, start, end, step):
        room = 0.05 * (max(values) - min(values)) or 0.5
        self.low, self.high, self.start, self.end, self.step = min(values) - room, max(values) + room, start, end, step

    def at(self, value):
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self):
        return [self.step * i for i in range(math.ceil(self.low / self.step), math.floor(self.high / self.step) + 1)]


def named_points(path, title, x_name, series, colours, step=2):
    """`series`: name → [(x, y, label)], joined by a line; x is logarithmic, y linear with a tick each `step`. Writes the SVG."""
    filled = {n: points for n, points in series.items() if points}
    every = [p for points in filled.values() for p in points]
    wide, high = 2 * PANEL_WIDTH, int(1.4 * HEIGHT)
    x, y = Axis([p[0] for p in every], LEFT, LEFT + wide), Linear([p[1] for p in every], TOP + high, TOP, step)
    parts = [text(LEFT, TOP - 12, title), f'<rect x="{LEFT}" y="{TOP}" width="{wide}" height="{high}" fill="none" stroke="{INK}"/>',
             text(LEFT + wide / 2, TOP + high + 36, x_name, "middle")]
    for v in y.ticks():
        parts += [line(LEFT, y.at(v), LEFT + wide, y.at(v), 0.3), text(LEFT - 6, y.at(v) + 4, number(v), "end")]
    for v in x.ticks():
        parts += [line(x.at(v), TOP, x.at(v), TOP + high, 0.3), text(x.at(v), TOP + high + 17, number(v), "middle")]
    for row, (name, points) in enumerate(filled.items()):
        at = TOP + high + 60 + LEGEND * row
        parts += drawn({"measured": [p[:2] for p in points], "planned": []}, x, y, colours[name])
        right = row and row == len(filled) - 1  # so that names of neighbouring lines do not meet
        parts += [text(x.at(a) + (7 if right else -6), y.at(b) + (15 if right else -6), label, "start" if right else "end") for a, b, label in points]
        parts += [f'<rect x="{LEFT}" y="{at - 9}" width="18" height="4" fill="{colours[name]}"/>', text(LEFT + 26, at, name)]
    save(path, LEFT + wide + 16, TOP + high + 60 + LEGEND * len(filled), parts)
