#!/usr/bin/env python3
"""Does it learn: trains S0 from nothing on small real picture sets, by the plain recipe, by `--recipe finetune`, and with the
published PyTorch code on the plain recipe's arguments, for several seeds; draws the curves and writes docs/accuracy.md.

usage: accuracy.py --data FOLDER_WITH_THE_SETS [--command build/revbifpn] [--runs runs/accuracy] [--seeds 3] [--sets a,b]
                   [--sides published,plain,finetune] [--official DIR --trainer FILE.py --python PYTHON_WITH_TORCH]
                   [--threads N] [--budget SECONDS] [--out bench/results/accuracy.json] [--docs docs]
       accuracy.py --draw
FOLDER_WITH_THE_SETS holds NAME/train/CLASS/* and NAME/val/CLASS/*. Resumable: a run that is in the result file is not
repeated, one that was interrupted goes on, and none is begun once `budget` seconds have passed. --trainer is a script that
trains the published code (checked out at --official) with --data --res --epochs --batch --lr --seed [--no-flip] and prints
`epoch N … top1 X` for each epoch; without it the published side is left out. --threads is of our side; two processes may share
the sets of one file."""
import argparse, os, sys

import accuracy_page, meter, trials

# Picture side, epochs, and whether a mirrored picture is still of its class. Settings of the plain recipe and of the peer.
SETS = {"sign_digits10": {"side_pixels": 64, "epochs": 5, "flip": False}, "clothing10": {"side_pixels": 64, "epochs": 12, "flip": True},
        "caltech20": {"side_pixels": 64, "epochs": 12, "flip": True}, "cifar10_small": {"side_pixels": 32, "epochs": 5, "flip": True}}
BATCH, RATE = 32, 0.1
SIDES = ("published", "plain", "finetune")

p = argparse.ArgumentParser()
p.add_argument("--data")
p.add_argument("--command", default="build/revbifpn")
p.add_argument("--runs", default="runs/accuracy")
p.add_argument("--seeds", type=int, default=3)
p.add_argument("--sets", default=",".join(SETS))
p.add_argument("--sides", default=",".join(SIDES))
p.add_argument("--official")
p.add_argument("--trainer")
p.add_argument("--python", default=sys.executable)
p.add_argument("--threads", type=int)
p.add_argument("--budget", type=float, default=float("inf"))
p.add_argument("--out", default="bench/results/accuracy.json")
p.add_argument("--docs", default="docs")
p.add_argument("--draw", action="store_true")
a = p.parse_args()


def options(side, name):
    """What is said to the command besides data, seed and run folder."""
    s = SETS[name]
    plain = ["--epochs", s["epochs"], "--lr", RATE, "--drop", 0, "--drop-path", 0]
    mirror = [] if s["flip"] else ["--hflip", 0]
    return [str(w) for w in ["--model", "s0", "--imgsz", s["side_pixels"], "--batch", BATCH,
                             *(plain if side == "plain" else ["--recipe", "finetune"]), *mirror]]


def published(name, seed, folder):
    """Top-1 by epoch, of a run that is begun anew unless it had ended."""
    s = SETS[name]
    words = [a.python, a.trainer, "--official", a.official, "--data", folder, "--seed", seed, "--res", s["side_pixels"],
             "--epochs", s["epochs"], "--batch", BATCH, "--lr", RATE, *([] if s["flip"] else ["--no-flip"])]
    return trials.by_epoch(os.path.join(a.runs, f"published-{name}-{seed}.log"), words, r"^epoch \d+ .*top1 ([0-9.]+)")


def ours(side, name, seed, folder):
    words = ["--data", folder, "--seed", seed, *options(side, name)]
    return trials.train(a.command, os.path.join(a.runs, f"{side}-{name}-{seed}"), words, "top1", a.threads)


def train(side, name, seed):
    folder = os.path.join(a.data, name)
    top1 = published(name, seed, folder) if side == "published" else ours(side, name, seed, folder)
    return {"side": side, "set": name, "seed": seed, "top1": top1, **SETS[name],
            "options": " ".join(options(side, name)) if side != "published" else None}


def train_all():
    os.makedirs(a.runs, exist_ok=True)
    sides = [s for s in a.sides.split(",") if s != "published" or a.trainer]
    keys = [(side, name, seed) for seed in range(a.seeds) for name in a.sets.split(",") for side in sides]
    return trials.run_all(a.out, keys, train, a.budget)


def by_seed(runs, side, name):
    return sorted((r for r in runs.values() if (r["side"], r["set"]) == (side, name)), key=lambda r: r["seed"])


if not a.draw and not a.data:
    p.error("--data: the folder with the sets")
result = trials.load(a.out) if a.draw else train_all()
facts = "Machine: {processor}, {date}, commit {commit}.".format(**{**meter.machine(), **result})
accuracy_page.write(a.docs, {name: {side: by_seed(result["runs"], side, name) for side in SIDES} for name in SETS}, facts)
