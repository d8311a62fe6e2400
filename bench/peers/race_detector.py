#!/usr/bin/env python3
"""Races a detector's training step against the same detector in PyTorch (detector.py): interleaved, every figure from a process
of its own.

usage: race_detector.py --official DIR --peer FILE.py [--python PYTHON_WITH_TORCH] [--command build/revbifpn] [--rounds 3]
                        [--work detect:s0:512:2] [--out bench/results/race-detector.json] [--doc docs/detection.md]
       race_detector.py --draw --doc docs/detection.md
That both compute the same is held by the golden figures (`make golden`), which the definition in FILE.py made. With --doc the
table replaces what is between `<!-- detector-race: begin -->` and its end."""
import json, os, sys

import session

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import meter

GOAL = 3.0  # at least so many times the pictures a second of the other side's best form

p = session.options("detect:s0:512:2", 3, "bench/results/race-detector.json")
for action in p._actions:
    if action.dest == "official":
        action.required = False
p.add_argument("--peer")
p.add_argument("--steps", type=int, default=2)
p.add_argument("--doc")
p.add_argument("--draw", action="store_true")
a = p.parse_args()
here = os.path.dirname(os.path.abspath(__file__))


def sides(task, model, side, batch):
    common = ["--task", task, "--model", model, "--imgsz", side, "--batch", batch, "--steps", str(a.steps), "--threads", str(a.threads)]
    theirs = [a.python, os.path.join(here, "detector.py"), "--official", a.official, "--peer", a.peer, *common]
    return {"ours": [a.command, "bench", *common, "--mode", "train", "--json"],
            "PyTorch, stored, channels_last": theirs,
            "PyTorch, reversible, channels_last": [*theirs, "--activations", "reversible"]}


def race():
    rows = []
    for work in a.work.split(","):
        rows += session.interleave(work, sides(*work.split(":")), a.rounds)
        session.write(a.out, rows, threads=a.threads, steps=a.steps)


def table(found):
    lines = ["| work | side | pictures a second | ours is faster | peak RSS | goal |", "|---|---|---|---|---|---|"]
    for row in found["rows"]:
        ours = next(r for r in found["rows"] if r["work"] == row["work"] and r["side"] == "ours")
        best = max(r["median"] for r in found["rows"] if r["work"] == row["work"] and r["side"] != "ours")
        ratio = ours["median"] / row["median"]
        goal = "" if row["side"] == "ours" or row["median"] < best else f"≥ {GOAL:g} ×: {'reached' if ratio >= GOAL else '**not reached**'}"
        speeds = row["images_per_second"]
        lines.append(f"| {row['work']} | {row['side']} | {row['median']:.3f} ({min(speeds):.3f} … {max(speeds):.3f}) | {ratio:.2f} × | {row['peak_rss_bytes'] / 2 ** 20:.0f} MiB | {goal} |")
    return (f"Training steps, median of {len(found['rows'][0]['images_per_second'])} interleaved rounds (lowest … highest); {found['processor']}, "
            f"{found['threads']} threads, {found['date']}, commit {found['commit']}.\n\n" + "\n".join(lines))


if not a.draw:
    race()
with open(a.out) as f:
    text = table(json.load(f))
if a.doc:
    meter.put_between(a.doc, "detector-race", text)
else:
    print(text)
