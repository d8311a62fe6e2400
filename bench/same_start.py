#!/usr/bin/env python3
"""Do both sides learn the same from the same start: peers/train_detector.py writes its random starting weights and trains a few
epochs; `revbifpn train` begins with that file. Order of pictures, mirroring and sampling are drawn by each side, so the losses are
alike, not equal. Writes the table of docs/accuracy.md.

usage: same_start.py --data FOLDER_WITH_THE_SETS --official DIR --peer FILE.py --python PYTHON [--command build/revbifpn]
                     [--runs runs/same_start] [--sets microcontrollers] [--seeds 3] [--epochs 2] [--threads 2]
                     [--budget SECONDS] [--out bench/results/same-start.json] [--docs docs]
       same_start.py --draw
Resumable as detect_accuracy.py is; PYTHON has PyTorch, OpenCV and pycocotools."""
import argparse, os

import detector_settings, meter, trials

p = argparse.ArgumentParser()
detector_settings.add_options(p, "runs/same_start", "bench/results/same-start.json")
p.add_argument("--sets", default="microcontrollers")
p.add_argument("--seeds", type=int, default=3)
p.add_argument("--epochs", type=int, default=2)
a = p.parse_args()


def train(name, seed):
    """Training losses by epoch, there and here."""
    run = os.path.abspath(os.path.join(a.runs, f"{name}-{seed}"))
    words = [*detector_settings.words(name, a.epochs, of=12), "--seed", str(seed), "--data", os.path.join(a.data, name)]
    peer = [*detector_settings.peer_command(a), *words, "--start", run + ".pth"]
    there = trials.by_epoch(run + ".log", peer, r"^epoch .* loss ([0-9.]+)")
    ours = trials.train(a.command, run, [*words, "--weights", run + ".pth", "--no-bn-eval"], "train_loss", a.threads)
    return {"set": name, "seed": seed, "ours": ours, "peer": there, "options": " ".join(words[:words.index("--data")])}


def page(result):
    rows = ["| set | seed | epoch | ours | PyTorch | ours / PyTorch |", "|---|---|---|---|---|---|"]
    for r in result["runs"].values():
        for epoch, (ours, there) in enumerate(zip(r["ours"], r["peer"]), 1):
            rows.append(f"| {r['set']} | {r['seed']} | {epoch} | {ours:.4f} | {there:.4f} | {ours / there:.3f} |")
    text = ["Training loss by epoch from the same starting weights, those that PyTorch drew; each side draws order, mirroring and samples",
            "for itself. Written by `bench/same_start.py --data FOLDER --official DIR --peer FILE --python PYTHON`.", "", *rows, "",
            "Machine: {processor}, {date}, commit {commit}.".format(**result)]
    meter.put_between(os.path.join(a.docs, "accuracy.md"), "same-start", "\n".join(text))


if not a.draw and not (a.data and a.official and a.peer):
    p.error("--data, --official and --peer: the sets, and what the other side is made of")
os.makedirs(a.runs, exist_ok=True)
keys = [(name, seed) for seed in range(a.seeds) for name in a.sets.split(",")]
result = trials.load(a.out) if a.draw else trials.run_all(a.out, keys, train, a.budget)
if result["runs"]:
    page(result)
