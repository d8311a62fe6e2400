#!/usr/bin/env python3
"""Races revbifpn's training against the published PyTorch code: interleaved A B A B in one session, same meter for both
sides.

usage: race.py --official DIR [--python PYTHON_WITH_TORCH] [--command build/revbifpn] [--rounds 3]
               [--work s0:224:16,s2:256:8] [--out bench/results/race.json] [--no-compile]
Writes a JSON with every single figure, the medians, their ratio, the machine and the versions; `table.py` turns such
files into the README's table. Goals and losing rows stay in. Nothing is timed when outputs differ (same_outputs.py). The
published stored form also runs under torch.compile, compiled before it is timed (the first time this takes minutes); it is
left out, with a line, where that fails. Ours also runs in bf16 when `bench` has --precision."""
import os, subprocess, sys

import session
from session import run

p = session.options("s0:224:16", 3, "bench/results/race.json")
p.add_argument("--steps", type=int, default=3)
p.add_argument("--no-compile", action="store_true")
a = p.parse_args()
LIMIT = 1e-3  # of a difference of log probabilities, which are about 7
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
        "published stored, eager": [*theirs, "--activations", "stored"],
        **compiled([*theirs, "--activations", "stored", "--channels-last", "--compile"]),
        **in_bf16(ours),
    }


def compiled(words):
    """That side, if it runs: once before the race, which also fills the compiler's cache."""
    if a.no_compile:
        return {}
    tried = subprocess.run(words, capture_output=True, text=True)
    if not tried.returncode:
        return {"published stored, compiled": words}
    print("torch.compile failed, left out:", (tried.stderr.strip().splitlines() or ["no reason given"])[-1], file=sys.stderr)
    return {}


def in_bf16(ours):
    known = "--precision" in subprocess.run([a.command, "bench", "--help"], check=True, capture_output=True, text=True).stdout
    return {"ours reversible, bf16": [*ours, "--precision", "bf16"]} if known else {}


def check_outputs(model, side):
    """Refuses to time networks that do not compute the same."""
    words = [a.python, os.path.join(here, "same_outputs.py"), "--official", a.official, "--model", model, "--imgsz", side]
    found = run([*words, "--command", a.command])
    print(model, side, "largest differences:", found, file=sys.stderr, flush=True)
    if not max(found.values()) <= LIMIT:
        sys.exit(f"{model} at {side}: outputs differ by more than {LIMIT}: nothing is timed")
    return found


def macs(model, side):
    return run([a.command, "inspect", "--model", model, "--imgsz", side, "--json"])["macs"]


rows = []
peak = max(run([os.path.join(os.path.dirname(a.command), "bench_peak")])["gflops"] for _ in range(3))
for work in a.work.split(","):
    model, side, batch = work.split(":")
    facts = {"macs": macs(model, side), "differences": check_outputs(model, side)}
    rows += [{**row, **facts} for row in session.interleave(work, contestants(model, side, batch), a.rounds)]
torch = run([a.python, "-c", "import json, torch; print(json.dumps(torch.__version__))"])
session.write(a.out, rows, threads=a.threads, torch=torch, peak_gflops=peak, rounds=a.rounds, steps=a.steps)
