#!/usr/bin/env python3
"""Races revbifpn's training against the published PyTorch code: interleaved A B A B in one session, same meter for both
sides.

usage: race.py --official DIR [--python PYTHON_WITH_TORCH] [--command build/revbifpn] [--rounds 3]
               [--work s0:224:16,s2:256:8] [--out bench/results/race.json]
Writes a JSON with every single figure, the medians, the machine and the versions; `table.py` turns such files into the
README's table. Goals and losing rows stay in."""
import argparse, os, sys

import session

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


rows = []
for work in a.work.split(","):
    rows += session.interleave(work, contestants(*work.split(":")), a.rounds)
torch = session.run(contestants("s0", "64", "2")["published reversible, eager"])["torch"]
session.write(a.out, rows, threads=a.threads, torch=torch, rounds=a.rounds, steps=a.steps)
