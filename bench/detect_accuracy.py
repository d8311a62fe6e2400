#!/usr/bin/env python3
"""Does a detector learn as it does in PyTorch: trains Faster or Mask R-CNN on S0 from nothing on small real sets, here and with
peers/train_detector.py on the same settings; draws the curves into docs/accuracy.md.

usage: detect_accuracy.py --data FOLDER_WITH_THE_SETS [--command build/revbifpn] [--runs runs/detect_accuracy] [--sets a,b]
                          [--sides peer,ours] [--official DIR --peer FILE.py --python PYTHON] [--epochs 12] [--seeds 1]
                          [--threads 2] [--budget SECONDS] [--out bench/results/detect-accuracy.json] [--docs docs]
       detect_accuracy.py --draw
FOLDER_WITH_THE_SETS holds NAME/images and NAME/annotations/instances_{train,val}.json. Resumable: a run that is in the result
file is not repeated, one of ours that was interrupted goes on, and none is begun once `budget` seconds have passed. Two processes
with --threads 1 may share the sets of one file. PYTHON has PyTorch, OpenCV and pycocotools; without --peer that side is left out."""
import argparse, os, statistics

import curves, detector_settings, meter, trials
from detector_settings import SETS

NAMES = {"peer": "PyTorch", "ours": "ours"}
JUDGED = {"detect": "AP50 of boxes", "segment": "AP50 of masks"}

p = argparse.ArgumentParser()
detector_settings.add_options(p, "runs/detect_accuracy", "bench/results/detect-accuracy.json")
p.add_argument("--sets", default=",".join(SETS))
p.add_argument("--sides", default=",".join(NAMES))
p.add_argument("--epochs", type=int, default=12)
p.add_argument("--seeds", type=int, default=1)
a = p.parse_args()


def train(side, name, seed):
    words = [*detector_settings.words(name, a.epochs), "--seed", str(seed), "--data", os.path.join(a.data, name)]
    run = os.path.join(a.runs, f"{side}-{name}-{seed}")
    if side == "ours":
        values = trials.train(a.command, run, words, "ap50" if SETS[name] == "detect" else "mask_ap50", a.threads)
    else:
        values = trials.by_epoch(run + ".log", [*detector_settings.peer_command(a), *words], r"^epoch .* AP50 ([0-9.]+)")
    return {"side": side, "set": name, "seed": seed, "ap50": values, "options": " ".join(detector_settings.words(name, a.epochs))}


def train_all():
    os.makedirs(a.runs, exist_ok=True)
    sides = [s for s in a.sides.split(",") if s != "peer" or a.peer]
    keys = [(side, name, seed) for seed in range(a.seeds) for name in a.sets.split(",") for side in sides]
    return trials.run_all(a.out, keys, train, a.budget)


def page(result):
    rows = ["| set | measure | ours, by seed | PyTorch, by seed | ours against PyTorch ± seed noise | | best epoch, mean: ours, PyTorch |",
            "|---|---|---|---|---|---|---|"]
    panels = {}
    for name, task in SETS.items():
        runs = {side: [r for r in result["runs"].values() if (r["side"], r["set"]) == (side, name)] for side in NAMES}
        last = {side: [r["ap50"][-1] for r in sorted(found, key=lambda r: r["seed"])] for side, found in runs.items()}
        said = [", ".join(f"{v:.3f}" for v in last[side]) or "not run" for side in ("ours", "peer")]
        difference, verdict = trials.compared(last["ours"], last["peer"]) if all(last.values()) else ("", "")
        best = [f"{statistics.mean(max(r['ap50']) for r in runs[side]):.3f}" if runs[side] else "–" for side in ("ours", "peer")]
        rows.append(f"| {name} | {JUDGED[task]} | {said[0]} | {said[1]} | {difference} | {verdict} | {best[0]}, {best[1]} |")
        panels[f"{name}: {JUDGED[task]}"] = {side: [r["ap50"] for r in found] for side, found in runs.items()}
    curves.picture(os.path.join(a.docs, "detect-accuracy.svg"), panels, NAMES)
    some = next(iter(result["runs"].values()))
    seeds = 1 + max(r["seed"] for r in result["runs"].values())
    command = f"bench/detect_accuracy.py --data FOLDER --official DIR --peer FILE --python PYTHON --seeds {seeds} --threads 1"
    text = [f"Written by `{command}`, as far as it has run. S0 from nothing, with",
            f"`{some['options']}` (or `--task segment`); after the last epoch, seed noise as twice the standard error. Decay 1e-4 on everything and flips are both sides' defaults.",
            "", *rows, "", "![average precision over the run](detect-accuracy.svg)", "",
            "Machine: {processor}, {date}, commit {commit}.".format(**result)]
    meter.put_between(os.path.join(a.docs, "accuracy.md"), "detectors", "\n".join(text))


if not a.draw and not a.data:
    p.error("--data: the folder with the sets")
result = trials.load(a.out) if a.draw else train_all()
if result["runs"]:
    page(result)
