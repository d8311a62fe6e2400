#!/usr/bin/env python3
"""How far training by `revbifpn train` and by the published PyTorch code parts, step by step: the same starting weights, the same
batch in every step (pictures of `revbifpn synth`, not cropped, not mirrored), the same rates. Judged by the published code in
float64. Writes the table of docs/accuracy.md.

usage: same_steps.py --official DIR --python PYTHON_WITH_TORCH [--command build/revbifpn] [--runs runs/same_steps] [--seeds 3]
                     [--threads 2] [--out bench/results/same-steps.json] [--docs docs]
       same_steps.py --draw"""
import argparse, json, os, shutil, statistics, subprocess, sys

import meter, trials

SIDE, PICTURES, CLASSES, STEPS, RATE = 64, 32, 4, 20, 0.1
SHOWN = (1, 2, 3, 4, 5, 7, 10, 15, 20)

p = argparse.ArgumentParser()
p.add_argument("--official")
p.add_argument("--python", default=sys.executable)
p.add_argument("--command", default="build/revbifpn")
p.add_argument("--runs", default="runs/same_steps")
p.add_argument("--seeds", type=int, default=3)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--out", default="bench/results/same-steps.json")
p.add_argument("--docs", default="docs")
p.add_argument("--draw", action="store_true")
a = p.parse_args()


def draw_pictures(folder):
    words = [a.command, "synth", "--out", folder, "--images", PICTURES, "--val-images", CLASSES, "--classes", CLASSES, "--imgsz", SIDE,
             "--progress", "none"]
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL)


def published(seed, start, data, *more):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers", "same_steps.py")
    words = [a.python, script, "--official", a.official, "--data", data, "--start", start, "--steps", STEPS, "--lr", RATE,
             "--seed", seed, "--threads", a.threads, *more]
    return trials.by_epoch(f"{start}{''.join(more)}.log", words, r"^step .* loss ([0-9.]+)")


def ours(seed, start, data):
    run = start + ".run"
    shutil.rmtree(run, ignore_errors=True)
    words = [a.command, "train", "--data", data, "--model", "s0", "--imgsz", SIDE, "--batch", PICTURES, "--epochs", STEPS, "--lr", RATE,
             "--drop", 0, "--drop-path", 0, "--scale", "1,1", "--ratio", "1,1", "--hflip", 0, "--weights", start, "--seed", seed,
             "--threads", a.threads, "--progress", "none", "--out", run]
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(run, "steps.jsonl")) as f:
        return [json.loads(line)["loss"] for line in f]


def train(seed):
    """Losses of every step: of the published code in float64 and in float32, and here."""
    data, start = os.path.join(a.runs, "pictures"), os.path.join(a.runs, f"start-{seed}.pth")
    draw_pictures(data)
    return {"float64": published(seed, start, data, "--double"), "float32": published(seed, start, data), "ours": ours(seed, start, data)}


def apart(runs, side, step):
    """Relative distance from float64 after `step` steps, by seed."""
    return [abs(r[side][step - 1] / r["float64"][step - 1] - 1) for r in runs]


def page(result):
    runs = list(result["runs"].values())
    rows = ["| step | loss, first seed | ours, from float64 | PyTorch, from float64 |", "|---|---|---|---|"]
    for step in SHOWN:
        far = [statistics.median(apart(runs, side, step)) for side in ("ours", "float32")]
        rows.append(f"| {step} | {runs[0]['float64'][step - 1]:.6f} | {far[0]:.1e} | {far[1]:.1e} |")
    text = [f"Loss of S0 on the same {PICTURES} pictures of {SIDE}×{SIDE} in each of {STEPS} steps, from the weights that PyTorch drew. How far",
            "ours and PyTorch's are, both in float32, from the published code in float64, relative; median of "
            f"{len(runs)} seeds. At this rate a rounding grows many times over in a step,",
            "on either side. Written by `bench/same_steps.py --official DIR --python PYTHON`.", "", *rows, "",
            "Machine: {processor}, {date}, commit {commit}.".format(**result)]
    meter.put_between(os.path.join(a.docs, "accuracy.md"), "same-steps", "\n".join(text))


if not a.draw and not a.official:
    p.error("--official: the published code")
os.makedirs(a.runs, exist_ok=True)
result = trials.load(a.out) if a.draw else trials.run_all(a.out, [(seed,) for seed in range(a.seeds)], train, float("inf"))
if result["runs"]:
    page(result)
