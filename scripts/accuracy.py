#!/usr/bin/env python3
"""Trains on image folders with the plain recipe for several seeds and writes what came out: docs/accuracy.md and the
curves docs/accuracy.svg. Runs that are finished already are not repeated.

usage: accuracy.py --data FOLDER_WITH_THE_SETS [--command build/revbifpn] [--runs runs/accuracy] [--seeds 3]
FOLDER_WITH_THE_SETS holds sign_digits10/ and clothing10/ (train/CLASS/*, val/CLASS/*)."""
import argparse, csv, os, subprocess

p = argparse.ArgumentParser()
p.add_argument("--data", required=True)
p.add_argument("--command", default="build/revbifpn")
p.add_argument("--runs", default="runs/accuracy")
p.add_argument("--seeds", type=int, default=3)
a = p.parse_args()

# The recipe of the published code that the figures are compared with: no dropout, no stochastic depth.
PLAIN = ["--model", "s0", "--batch", "32", "--lr", "0.1", "--drop", "0", "--drop-path", "0"]
SETS = [
    {"name": "sign_digits10", "options": ["--imgsz", "96", "--epochs", "5", "--hflip", "0"], "published": "0.9825"},
    {"name": "clothing10", "options": ["--imgsz", "128", "--epochs", "20"], "published": "0.455, 0.479"},
]


def rows_of(folder):
    try:
        with open(os.path.join(folder, "results.csv")) as f:
            return list(csv.DictReader(f))
    except FileNotFoundError:
        return []


def train(entry, seed):
    folder = os.path.join(a.runs, f"{entry['name']}-{seed}")
    epochs = int(entry["options"][entry["options"].index("--epochs") + 1])
    if len(rows_of(folder)) < epochs:
        start = ["--resume", folder] if os.path.exists(os.path.join(folder, "args.json")) else [
            "--data", os.path.join(a.data, entry["name"]), "--seed", str(seed), "--out", folder, *PLAIN, *entry["options"]]
        subprocess.run([a.command, "train", *start], check=True)
    return rows_of(folder)


def polyline(rows, x0, y0, width, height, colour):
    points = " ".join(f"{x0 + width * int(r['epoch']) / len(rows):.1f},{y0 + height * (1 - float(r['top1'])):.1f}" for r in rows)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'


def panel(entry, index):
    x0, y0, width, height = 50 + 380 * index, 40, 320, 220
    parts = [f'<text x="{x0}" y="{y0 - 14}">{entry["name"]}: validation top-1 by epoch</text>',
             f'<rect x="{x0}" y="{y0}" width="{width}" height="{height}" fill="none" stroke="#888"/>']
    for tenth in range(0, 11, 2):
        y = y0 + height * (1 - tenth / 10)
        parts.append(f'<text x="{x0 - 8}" y="{y + 4}" text-anchor="end">{tenth / 10:.1f}</text>')
        parts.append(f'<line x1="{x0}" y1="{y}" x2="{x0 + width}" y2="{y}" stroke="#ddd"/>')
    count = len(entry["runs"][0])
    for epoch in range(0, count + 1, max(1, count // 5)):
        parts.append(f'<text x="{x0 + width * epoch / count}" y="{y0 + height + 18}" text-anchor="middle">{epoch}</text>')
    for colour, rows in zip(["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b"], entry["runs"]):
        parts.append(polyline(rows, x0, y0, width, height, colour))
    return "\n".join(parts)


for entry in SETS:
    entry["runs"] = [train(entry, seed) for seed in range(a.seeds)]
svg = "\n".join(panel(entry, i) for i, entry in enumerate(SETS))
with open("docs/accuracy.svg", "w") as f:
    f.write('<svg xmlns="http://www.w3.org/2000/svg" width="780" height="300" font-family="sans-serif" font-size="13">\n'
            f'<rect width="780" height="300" fill="white"/>\n{svg}\n</svg>\n')
lines = ["# Accuracy on small real sets", "",
         "Written by `scripts/accuracy.py --data FOLDER`; do not edit. S0 from scratch, batch 32, lr 0.1, no dropout, no stochastic",
         "depth, the other options as they are by default; final epoch. The published PyTorch code with the same recipe is beside it.", "",
         "| set | options | top-1 by seed | mean | published code |", "|---|---|---|---|---|"]
for entry in SETS:
    finals = [float(rows[-1]["top1"]) for rows in entry["runs"]]
    lines.append(f"| {entry['name']} | `{' '.join(entry['options'])}` | {', '.join(f'{t:.4f}' for t in finals)} "
                 f"| {sum(finals) / len(finals):.4f} | {entry['published']} |")
lines += ["", "![validation top-1 by epoch](accuracy.svg)", "", "One line a seed.", ""]
with open("docs/accuracy.md", "w") as f:
    f.write("\n".join(lines))
