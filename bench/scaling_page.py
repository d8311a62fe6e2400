"""What bench/scaling.py measures, and docs/scaling.md with its pictures, made from the result file."""
import os

import plot

OURS, OURS_STORED, PUBLISHED, PUBLISHED_STORED = "ours reversible", "ours stored", "published reversible", "published stored"
SERIES = [OURS, OURS_STORED, PUBLISHED, PUBLISHED_STORED]
COLOURS = dict(zip(SERIES, ["#2f7fd6", "#17a398", "#e0693b", "#b565c9"]))
WIDTHS = {1: "s0", 1.33: "s1", 2: "s2", 2.67: "s3", 4: "s4", 5.33: "s5", 6.67: "s6"}

# `work`: a value of the axis → network, side, batch, extension levels (0: the network's own)
AXES = {
    "side": {"title": "Side of the pictures", "about": "S0, one picture a step.", "name": "side, pixels",
             "values": [224, 448, 896, 1792, 2560, 4096], "series": SERIES, "work": lambda v: ("s0", v, 1, 0)},
    "batch": {"title": "Batch", "about": "S0 at 224 px.", "name": "pictures a step",
              "values": [2, 4, 8, 16, 32, 64, 128], "series": SERIES, "work": lambda v: ("s0", 224, v, 0)},
    "width": {"title": "Width: S0 … S6", "about": "At 256 px, four pictures a step. The published networks as they are: from S3 on "
              "they also have more levels.", "name": "width, multiples of S0",
              "values": list(WIDTHS), "series": SERIES, "work": lambda v: (WIDTHS[v], 256, 4, 0)},
    "depth": {"title": "Depth", "about": "S0 at 224 px, eight pictures a step, with more and more extension levels.",
              "name": "extension levels", "values": [2, 4, 8, 16, 32], "series": SERIES, "work": lambda v: ("s0", 224, 8, v)},
    "large": {"title": "Very large pictures", "values": [4096, 2048], "series": [OURS],
              "work": lambda v: ("s0", 4096, 1, 0) if v == 4096 else ("s6", 2048, 1, 0)},
}
THREADS = {"works": ["s0:224:16", "s2:256:8", "s4:320:4"], "goal": 1.8}


def activations(point, weights):
    """Measured bytes without weights, gradients and momenta; None when not measured."""
    return max(point["rss_bytes"] - weights, 1) if "seconds" in point else None


def weights_of(points, value):
    """Bytes of weights, gradients and momenta at a value, from our plan; the published network has the same."""
    plan = points.get(OURS, {}).get(str(value), {}).get("plan")
    return plan and plan["weights_bytes"] + plan["gradient_bytes"] + plan["optimizer_bytes"]


def collect(axis, points):
    """(time, memory): series → measured and planned points."""
    time, memory = ({s: {"measured": [], "planned": []} for s in AXES[axis]["series"]} for _ in range(2))
    for series in AXES[axis]["series"]:
        for value in AXES[axis]["values"]:
            point, weights = points.get(series, {}).get(str(value), {}), weights_of(points, value)
            if "seconds" in point:
                time[series]["measured"].append((value, point["seconds"]))
                if weights:
                    memory[series]["measured"].append((value, activations(point, weights) / 2**20))
            elif "plan" in point:
                memory[series]["planned"].append((value, point["plan"]["activation_bytes"] / 2**20))
    return time, memory


def cell(point):
    if "seconds" in point:
        return f"{point['seconds']:.3g} s, {point['rss_bytes'] / 2**20:.0f} MiB"
    planned = f"planned {point['plan']['total_bytes'] / 2**20:.0f} MiB" if "plan" in point else ""
    return "; ".join(x for x in (point.get("failed"), planned) if x) or "–"


def axis_section(axis, points, folder):
    spec = AXES[axis]
    panels = list(zip(["seconds a step", "MiB of RSS beyond weights, gradients, momenta"], collect(axis, points)))
    plot.picture(os.path.join(folder, f"scaling-{axis}.svg"), spec["name"], spec["values"], panels, COLOURS)
    lines = [f"## {spec['title']}", "", spec["about"], "", f"![time and memory over {spec['name']}](scaling-{axis}.svg)", "",
             f"| {spec['name']} | " + " | ".join(spec["series"]) + " |", "|---" * (len(spec["series"]) + 1) + "|"]
    for value in spec["values"]:
        lines.append(f"| {value} | " + " | ".join(cell(points.get(s, {}).get(str(value), {})) for s in spec["series"]) + " |")
    return lines + [""]


def large_section(points):
    lines = ["## One step on very large pictures", "", "Reversible, one picture.", "",
             "| network, side | step | RSS | planned |", "|---|---|---|---|"]
    for value in AXES["large"]["values"]:
        model, side, _, _ = AXES["large"]["work"](value)
        point = points.get(OURS, {}).get(str(value), {})
        step = f"{point['seconds']:.3g} s | {point['rss_bytes']:,} bytes" if "seconds" in point else f"{point.get('failed', '–')} | –"
        lines.append(f"| {model.upper()} {side} × {side} | {step} | {point['plan']['total_bytes']:,} bytes |" if "plan" in point else
                     f"| {model.upper()} {side} × {side} | – | – | – |")
    return lines + [""]


def threads_section(threads):
    lines = ["## Threads", "", f"The same steps with one and with two threads in turn, medians; goal: two are at least {THREADS['goal']} × as fast.", "",
             "| network, side, batch | one thread | two threads | gain | goal |", "|---|---|---|---|---|"]
    for work in THREADS["works"]:
        if work not in threads:
            continue
        model, side, batch = work.split(":")
        one, two = (sorted(threads[work]["seconds"][t]) for t in ("1", "2"))
        spread = lambda s: f"{s[len(s) // 2]:.3g} s ({s[0]:.3g} … {s[-1]:.3g})"
        lines.append(f"| {model.upper()} {side} b{batch} | {spread(one)} | {spread(two)} | {threads[work]['gain']:.2f} × "
                     f"| {'reached' if threads[work]['gain'] >= THREADS['goal'] else '**not reached**'} |")
    return lines + [""]


def write(result, folder):
    machine = result.get("machine", {})
    lines = ["# Growth", "",
             "How time and memory of a training step grow. Written by `bench/scaling.py` from `bench/results/scaling.json`; do not edit.",
             f"{machine.get('processor', '')}, commit {machine.get('commit', '')}, {machine.get('date', '')}.", "",
             "Each point is one process: median step, peak RSS read from outside. The published code is in its channels_last form. Filled:",
             "measured; hollow: planned, not run (`revbifpn plan`). Memory in the pictures is RSS without weights, gradients and momenta",
             "(the same bytes on both sides; some 300 MiB of PyTorch itself stay in its lines). An exponent is the slope of log y over log x",
             "in the upper half of the range.", ""]
    for axis in AXES:
        points = result["points"].get(axis)
        if points:
            lines += large_section(points) if axis == "large" else axis_section(axis, points, folder)
    if result.get("threads"):
        lines += threads_section(result["threads"])
    with open(os.path.join(folder, "scaling.md"), "w") as f:
        f.write("\n".join(lines))
