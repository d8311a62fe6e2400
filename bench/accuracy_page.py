"""The classifiers' part of docs/accuracy.md and docs/accuracy.svg, made from what bench/accuracy.py measured."""
import os, statistics

import curves, meter, trials

NAMES = {"published": "published code, plain recipe", "plain": "ours, plain recipe", "finetune": "ours, --recipe finetune"}

HEAD = """Written by `bench/accuracy.py --data FOLDER --official DIR --trainer FILE --python PYTHON`, as far as it has run. S0 from scratch, batch
32; top-1 on the validation pictures after the last epoch, not after the best. The plain recipe is lr 0.1, weight decay 5·10⁻⁵, smoothing 0.1,
cosine by steps after one epoch of warm-up, crops of 0.35 … 1 of the picture, no dropout, no stochastic depth, and no policy; the
published PyTorch code is trained by it too. `--recipe finetune` is what docs/recipes.md says, begun without weights, with its own number of
epochs: it sees each picture more often than the other two.
"""
VERDICT = """
"Seed noise" is twice the standard error of the difference between the two means, from the spread between seeds on both
sides: a difference inside it says nothing. It is above 0 when ours is better.
"""


def finals(runs):
    return [r["top1"][-1] for r in runs]


def table(sets):
    rows = ["| set | side, epochs | who | top-1 by seed | mean | against published ± seed noise | |", "|---|---|---|---|---|---|---|"]
    for name, sides in sets.items():
        for side, runs in sides.items():
            if not runs:
                continue
            last, shape = finals(runs), f"{runs[0]['side_pixels']}, {len(runs[0]['top1'])}"
            against = ("", "") if side == "published" or not sides["published"] else trials.compared(last, finals(sides["published"]))
            rows.append(f"| {name} | {shape} | {NAMES[side]} | {', '.join(f'{t:.4f}' for t in last)} | {statistics.mean(last):.4f} "
                        f"| {against[0]} | {against[1]} |")
    return rows


def commands(sets):
    """The options of ours, once for each set and recipe."""
    said = [f"- {name}, {NAMES[side]}: `train {runs[0]['options']}`" for name, sides in sets.items() for side, runs in sides.items()
            if runs and runs[0]["options"]]
    return ["What was said to the command, besides data, seed and run folder:", "", *said]


def write(folder, sets, facts):
    """`sets`: name → side → its runs by seed. `facts`: of the machine, in words."""
    sets = {name: sides for name, sides in sets.items() if any(sides.values())}
    panels = {f"{name}: validation top-1": {side: [r["top1"] for r in runs] for side, runs in sides.items()} for name, sides in sets.items()}
    curves.picture(os.path.join(folder, "accuracy.svg"), panels, NAMES)
    lines = [HEAD, *table(sets), VERDICT, "![validation top-1 over the run](accuracy.svg)", "",
             "One line a seed; epochs from left to right, each run over the whole width.", "", *commands(sets), "", facts]
    meter.put_between(os.path.join(folder, "accuracy.md"), "classifiers", "\n".join(lines))
