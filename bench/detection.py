#!/usr/bin/env python3
"""What the paper's COCO tables take with this program: parameters, MACs and memory of S0 … S6 as Faster and Mask R-CNN beside
the published figures, and the commands. Runs `revbifpn inspect` and `revbifpn plan` alone: seconds.

usage: detection.py [--build build] [--doc docs/detection.md] [--side 1344x800]
With --doc the tables replace what is between `<!-- detectors: begin -->`, `<!-- detector-commands: begin -->` and their ends in
that file; without, they are printed."""
import argparse, json, subprocess

import meter

p = argparse.ArgumentParser()
p.add_argument("--build", default="build")
p.add_argument("--doc")
p.add_argument("--side", default="1344x800")
a = p.parse_args()
MODELS = [f"s{i}" for i in range(7)]

# Figures of the authors' README.md (figures/ of their repository): G MACs, GB a sample in training on a GPU, box AP (Faster), and
# of Mask R-CNN mask AP / box AP. `~`: read off a plot.
FASTER = {"s0": (None, "~0.83", "~31.4"), "s1": (None, "~0.89", "~32.0"), "s2": (None, "~1.07", "~36.3"), "s3": (180.99, "1.31", "38.7"),
          "s4": (None, "~2.02", "~40.3"), "s5": (328.91, "2.75", "41.3"), "s6": (465.43, "3.69", "42.2")}
MASK = {"s0": (188.20, "~0.87", "29.7 / 31.4"), "s1": (193.73, "~0.91", "31.0 / 34.0"), "s2": (210.49, "1.06", "33.7 / 37.1"),
        "s3": (232.9, "~1.33", "35.5 / 39.4"), "s4": (304.09, "2.05", "37.1 / 41.5"), "s5": (382.0, "~2.77", "37.8 / 42.2"),
        "s6": (518.50, "3.71", "38.7 / 43.3")}
GOALS = {("detect", "s0"): 0.45, ("detect", "s3"): 0.65, ("detect", "s6"): 1.6, ("segment", "s3"): 0.75}  # GB a sample


def run(verb, task, model, *more):
    words = [f"{a.build}/revbifpn", verb, "--task", task, "--model", model, "--imgsz", a.side, "--json", *more]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def macs(published, got):
    """The published figure beside the rule that gives it: norms counted or not."""
    rules = {"norms not counted": got["macs_published_rule"] / 1e9, "norms counted": got["macs_published_rule_with_norms"] / 1e9}
    if published is None:
        return f"– | {rules['norms not counted']:.2f}"
    digits = 1 if round(published, 1) == published else 2
    for rule, value in rules.items():
        if round(value, digits) == published:
            return f"{published} | {value:.2f} ({rule})"
    return f"{published} | **{rules['norms not counted']:.2f}**"


def table():
    lines = ["| | network | parameters | G MACs, published | here, by a rule of theirs | G MACs formed here | GB a sample, published (GPU) | here, planned | goal | AP, published |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for task, title, published in (("detect", "Faster", FASTER), ("segment", "Mask", MASK)):
        for model in MODELS:
            cost, plan = run("inspect", task, model), run("plan", task, model)
            mac, memory, ap = published[model]
            goal = GOALS.get((task, model))
            gb = plan["activation_bytes_per_sample"] / 1e9
            reached = "" if goal is None else f"≤ {goal}: {'reached' if gb <= goal else '**not reached**'}"
            lines.append(f"| {title} | {model.upper()} | {cost['parameters']:,} | {macs(mac, cost)} | {cost['macs_run'] / 1e9:.2f} | {memory} | {gb:.3f} | {reached} | {ap} |")
    return "\n".join(lines) + f"\n\nAt {a.side.replace('x', ' × ')}, float32, frozen norms; one more picture in the batch, all that a step keeps and works in. " \
        "MACs formed here are without what Winograd's method saves in the 3×3 layers."


def commands():
    lines = []
    for task, title in (("detect", "Faster R-CNN"), ("segment", "Mask R-CNN")):
        lines += [f"# {title}, schedule 1x, 16 pictures a step"]
        for model in MODELS:
            plan = run("plan", task, model, "--batch", "2")
            lines.append(f"revbifpn train --task {task} --data coco --model {model} --weights {model}.safetensors --imgsz 1333x800 --batch 2 --accumulate 8 "
                         f"--out runs/{task}/coco-{model}  # {plan['total_bytes'] / 1e9:.2f} GB")
    return "```sh\n" + "\n".join(lines) + "\n```"


for mark, text in (("detectors", table()), ("detector-commands", commands())):
    if a.doc:
        meter.put_between(a.doc, mark, text)
    else:
        print(text + "\n")
