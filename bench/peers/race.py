#!/usr/bin/env python3
"""Races revbifpn against the published PyTorch code: interleaved A B A B in one session, same meter for both sides.

usage: race.py --official DIR [--python PYTHON_WITH_TORCH] [--command build/revbifpn] [--rounds 3]
               [--work s0:224:16,s2:256:8] [--out bench/results/race.json]
Writes a JSON with every single figure, the medians, their ratio, the machine and the versions; `table.py` turns such
files into the README's table. Goals and losing rows stay in."""
import argparse, datetime, json, os, platform, statistics, subprocess, sys

p = argparse.ArgumentParser()
p.add_argument("--official", required=True)
p.add_argument("--python", default=sys.executable)
p.add_argument("--command", default="build/revbifpn")
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--steps", type=int, default=3)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--work", default="s0:224:16")
p.add_argument("--out", default="bench/results/race.json")
a = p.parse_args()
here = os.path.dirname(os.path.abspath(__file__))


def run(words):
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def contestants(model, side, batch):
    common = ["--model", model, "--imgsz", side, "--batch", batch, "--steps", str(a.steps), "--threads", str(a.threads)]
    ours = [a.command, "bench", *common, "--mode", "train", "--json"]
    theirs = [a.python, os.path.join(here, "published.py"), "--official", a.official, *common]
    return {
        "ours reversible": [*ours, "--activations", "reversible"],
        "published reversible, eager": [*theirs, "--activations", "reversible"],
        "ours stored": [*ours, "--activations", "stored"],
        "published reversible, channels_last": [*theirs, "--activations", "reversible", "--channels-last"],
        "published stored, channels_last": [*theirs, "--activations", "stored", "--channels-last"],
    }


def cpu_name():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.processor())


rows = []
for work in a.work.split(","):
    model, side, batch = work.split(":")
    sides = contestants(model, side, batch)
    figures = {name: [] for name in sides}
    for _ in range(a.rounds):
        for name, words in sides.items():
            figures[name].append(run(words))
            print(work, name, round(figures[name][-1]["images_per_second_median"], 2), file=sys.stderr, flush=True)
    for name, got in figures.items():
        speeds = [g["images_per_second_median"] for g in got]
        rows.append({"work": work, "side": name, "images_per_second": speeds, "median": statistics.median(speeds),
                     "peak_rss_bytes": max(g["peak_rss_bytes"] for g in got),
                     "planned_bytes": got[0].get("planned_bytes")})
commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
torch = next((g["torch"] for g in [run(contestants("s0", "64", "2")["published reversible, eager"])]), None)
os.makedirs(os.path.dirname(a.out) or ".", exist_ok=True)
with open(a.out, "w") as f:
    json.dump({"date": datetime.date.today().isoformat(), "commit": commit, "processor": cpu_name(), "threads": a.threads,
               "torch": torch, "rounds": a.rounds, "steps": a.steps, "rows": rows}, f, indent=1)
