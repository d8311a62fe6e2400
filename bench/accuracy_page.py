"""docs/accuracy.md and docs/accuracy.svg, made from what bench/accuracy.py measured."""
import os, statistics

from plot import INK, line, text

COLOURS = {"published": "#e0693b", "plain": "#2f7fd6", "finetune": "#17a398"}
NAMES = {"published": "published code, plain recipe", "plain": "ours, plain recipe", "finetune": "ours, --recipe finetune"}
WIDTH, HEIGHT, LEFT, TOP, GAP, DOWN = 320, 200, 50, 34, 70, 66  # of a panel, before it, and between panels

HEAD = """# Accuracy on small real sets

Written by `bench/accuracy.py --data FOLDER --official DIR --trainer FILE --python PYTHON`; do not edit. S0 from scratch, batch
32; top-1 on the validation pictures after the last epoch, not after the best. The plain recipe is lr 0.1, weight decay 5·10⁻⁵, smoothing 0.1,
cosine by steps after one epoch of warm-up, crops of 0.35 … 1 of the picture, no dropout, no stochastic depth, and no policy; the
published PyTorch code is trained by it too. `--recipe finetune` is what docs/recipes.md says, begun without weights, with its own number of
epochs: it sees each picture more often than the other two.
"""
VERDICT = """
"Seed noise" is twice the standard error of the difference between the two means, from the spread between seeds on both
sides: a difference inside it says nothing. It is above 0 when ours is better.
"""


def mean_and_spread(values):
    return statistics.mean(values), (statistics.stdev(values) if len(values) > 1 else float("nan"))


def compared(ours, published):
    """The difference of the means, and what of it may be chance."""
    (m1, s1), (m2, s2) = mean_and_spread(ours), mean_and_spread(published)
    noise = 2 * (s1 * s1 / len(ours) + s2 * s2 / len(published)) ** 0.5
    return f"{m1 - m2:+.4f} ± {noise:.4f}", "above" if m1 >= m2 else "within" if m1 - m2 >= -noise else "**below**"


def finals(runs):
    return [r["top1"][-1] for r in runs]


def table(sets):
    rows = ["| set | side, epochs | who | top-1 by seed | mean | against published ± seed noise | |", "|---|---|---|---|---|---|---|"]
    for name, sides in sets.items():
        for side, runs in sides.items():
            if not runs:
                continue
            last, shape = finals(runs), f"{runs[0]['side_pixels']}, {len(runs[0]['top1'])}"
            against = ("", "") if side == "published" or not sides["published"] else compared(last, finals(sides["published"]))
            rows.append(f"| {name} | {shape} | {NAMES[side]} | {', '.join(f'{t:.4f}' for t in last)} | {statistics.mean(last):.4f} "
                        f"| {against[0]} | {against[1]} |")
    return rows


def commands(sets):
    """The options of ours, once for each set and recipe."""
    said = [f"- {name}, {NAMES[side]}: `train {runs[0]['options']}`" for name, sides in sets.items() for side, runs in sides.items()
            if runs and runs[0]["options"]]
    return ["What was said to the command, besides data, seed and run folder:", "", *said]


def panel(name, sides, left, top):
    """Curves of one set: a line a seed; the epochs of each run stretched over the whole width."""
    parts = [text(left, top - 12, f"{name}: validation top-1"),
             f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{INK}"/>']
    for fifth in range(0, 6):
        y = top + HEIGHT * (1 - fifth / 5)
        parts += [text(left - 8, y + 4, f"{fifth / 5:.1f}", "end"), line(left, y, left + WIDTH, y, 0.3)]
    for side, runs in sides.items():
        for run in runs:
            points = " ".join(f"{left + WIDTH * (i + 1) / len(run['top1']):.1f},{top + HEIGHT * (1 - t):.1f}" for i, t in enumerate(run["top1"]))
            parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[side]}" stroke-width="1.5"/>')
    parts.append(text(left + WIDTH / 2, top + HEIGHT + 18, "part of the run", "middle"))
    return parts


def picture(path, sets):
    """Two panels a row, the colours below."""
    rows = (len(sets) + 1) // 2
    width, height = LEFT + 2 * (WIDTH + GAP) - GAP + 16, TOP + rows * (HEIGHT + DOWN) + 20
    parts = []
    for i, (name, sides) in enumerate(sets.items()):
        parts += panel(name, sides, LEFT + i % 2 * (WIDTH + GAP), TOP + i // 2 * (HEIGHT + DOWN))
    for i, (side, colour) in enumerate(COLOURS.items()):
        at = LEFT + 240 * i
        parts += [f'<rect x="{at}" y="{height - 27}" width="18" height="4" fill="{colour}"/>', text(at + 26, height - 20, NAMES[side])]
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">\n'
                + "\n".join(parts) + "\n</svg>\n")


def write(folder, sets, facts):
    """`sets`: name → side → its runs by seed. `facts`: of the machine, in words."""
    sets = {name: sides for name, sides in sets.items() if any(sides.values())}
    picture(os.path.join(folder, "accuracy.svg"), sets)
    lines = [HEAD, *table(sets), VERDICT, "![validation top-1 over the run](accuracy.svg)", "",
             "One line a seed; epochs from left to right, each run over the whole width.", "", *commands(sets), "", facts]
    with open(os.path.join(folder, "accuracy.md"), "w") as f:
        f.write("\n".join(lines) + "\n")
