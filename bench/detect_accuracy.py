#!/usr/bin/env python3
"""Does a detector learn as it does in PyTorch: trains Faster or Mask R-CNN on S0 from nothing on small real sets, here and with
peers/train_detector.py on the same settings; draws the curves into docs/accuracy.md.

usage: detect_accuracy.py --data FOLDER_WITH_THE_SETS [--command build/revbifpn] [--runs runs/detect_accuracy] [--sets a,b]
                          [--sides peer,ours] [--official DIR --peer FILE.py --python PYTHON] [--epochs N] [--threads 2]
                          [--budget SECONDS] [--out bench/results/detect-accuracy.json] [--docs docs]
       detect_accuracy.py --draw
FOLDER_WITH_THE_SETS holds NAME/images and NAME/annotations/instances_{train,val}.json. Resumable: a run that is in the result
file is not repeated, one of ours that was interrupted goes on, and none is begun once `budget` seconds have passed. Two processes
with --threads 1 may share the sets of one file. PYTHON has PyTorch, OpenCV and pycocotools; without --peer that side is left out."""
import argparse, os, sys

import curves, meter, trials

SETS = {"bccd": "detect", "microcontrollers": "detect", "facades": "segment", "nuclei": "segment"}
EPOCHS = {"bccd": 12, "microcontrollers": 12, "facades": 12, "nuclei": 12}  # at most 12, and what two cores do in 40 minutes
FPN, FC, SIDE, BATCH, RATE, WARMUP, SEED = 64, 256, 320, 4, 0.01, 100, 0
NAMES = {"peer": "PyTorch", "ours": "ours"}
JUDGED = {"detect": "AP50 of boxes", "segment": "AP50 of masks"}

p = argparse.ArgumentParser()
p.add_argument("--data")
p.add_argument("--command", default="build/revbifpn")
p.add_argument("--runs", default="runs/detect_accuracy")
p.add_argument("--sets", default=",".join(SETS))
p.add_argument("--sides", default=",".join(NAMES))
p.add_argument("--official")
p.add_argument("--peer")
p.add_argument("--python", default=sys.executable)
p.add_argument("--epochs", type=int, help="of every set, instead of EPOCHS")
p.add_argument("--threads", type=int, default=2)
p.add_argument("--budget", type=float, default=float("inf"))
p.add_argument("--out", default="bench/results/detect-accuracy.json")
p.add_argument("--docs", default="docs")
p.add_argument("--draw", action="store_true")
a = p.parse_args()
here = os.path.dirname(os.path.abspath(__file__))


def settings(name):
    """What both sides are told, in the same words."""
    epochs = a.epochs or EPOCHS[name]
    milestones = f"{epochs * 2 // 3},{epochs * 11 // 12}"
    words = ["--task", SETS[name], "--model", "s0", "--fpn", FPN, "--fc", FC, "--imgsz", SIDE, "--epochs", epochs, "--batch", BATCH,
             "--lr", RATE, "--milestones", milestones, "--warmup-steps", WARMUP, "--seed", SEED]
    return [str(w) for w in words]


def train(side, name):
    words = [*settings(name), "--data", os.path.join(a.data, name), "--threads", str(a.threads)]
    if side == "ours":
        column = "ap50" if SETS[name] == "detect" else "mask_ap50"
        values = trials.train(a.command, os.path.join(a.runs, f"ours-{name}"), words, column)
    else:
        full = [a.python, os.path.join(here, "peers", "train_detector.py"), "--official", a.official, "--peer", a.peer, *words]
        values = trials.by_epoch(os.path.join(a.runs, f"peer-{name}.log"), full, r"^epoch .* AP50 ([0-9.]+)")
    return {"side": side, "set": name, "ap": values, "options": " ".join(settings(name))}


def train_all():
    os.makedirs(a.runs, exist_ok=True)
    sides = [s for s in a.sides.split(",") if s != "peer" or a.peer]
    return trials.run_all(a.out, [(side, name) for name in a.sets.split(",") for side in sides], train, a.budget)


def page(result):
    runs = result["runs"]
    rows = ["| set | measure | ours | PyTorch | |", "|---|---|---|---|---|"]
    panels = {}
    for name, task in SETS.items():
        both = {side: runs[f"{side} {name}"]["ap"] for side in NAMES if f"{side} {name}" in runs}
        if not both:
            continue
        ours, theirs = (f"{both[side][-1]:.4f}" if side in both else "not run" for side in ("ours", "peer"))
        verdict = "" if len(both) < 2 else "above" if both["ours"][-1] >= both["peer"][-1] else "**below**"
        rows.append(f"| {name} | {JUDGED[task]} | {ours} | {theirs} | {verdict} |")
        panels[f"{name}: {JUDGED[task]}"] = {side: [values] for side, values in both.items()}
    curves.picture(os.path.join(a.docs, "detect-accuracy.svg"), panels, NAMES)
    some = next(iter(runs.values()))
    text = ["Written by `bench/detect_accuracy.py --data FOLDER --official DIR --peer FILE --python PYTHON`. S0 from nothing, one seed, with",
            f"`{some['options']}` (or `--task segment`); after the last epoch. Decay 1e-4 on everything and flips are both sides' defaults.",
            "", *rows, "", "![average precision over the run](detect-accuracy.svg)", "",
            "Machine: {processor}, {date}, commit {commit}.".format(**result)]
    meter.put_between(os.path.join(a.docs, "accuracy.md"), "detectors", "\n".join(text))


if not a.draw and not a.data:
    p.error("--data: the folder with the sets")
result = trials.load(a.out) if a.draw else train_all()
if result["runs"]:
    page(result)
